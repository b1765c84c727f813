//! What the besieged binary runs: a stream from the simulated upstream, one for honest pushes, one for rubbish.

/// Events a second of the simulated upstream: fifty times what Wikimedia's recentchange brings.
pub(crate) const RATE: u64 = 2_000;

/// Where honest pushes go, and where everything else that is pushed goes.
pub(crate) const PUSHED: &str = "pushed";
pub(crate) const RUBBISH: &str = "rubbish";

/// The pipeline; `{url}` and `{since}` are filled in.
pub(crate) const PIPELINE: &str = r#"
[stream.recentchange]
schema = "mediawiki/recentchange"

[stream.pushed]
schema = "json"
columns = { id = { path = "id", type = "int64" } }

[stream.rubbish]
schema = "json"
columns = { a = { path = "a", type = "int64" } }
retention_bytes = "256 MiB"

[source.upstream]
kind = "eventstreams"
url = "{url}"
stream = "recentchange"
since = "{since}"

[view.edits]
sql = """
SELECT tumble(event_time, INTERVAL '10 seconds') AS opened, wiki AS name, count(*) AS events
FROM recentchange WHERE NOT canary GROUP BY 1, 2"""

[view.pushes]
sql = """
SELECT tumble(event_time, INTERVAL '1 second') AS opened, count(*) AS events, sum(id) AS total
FROM pushed GROUP BY 1"""
"#;
