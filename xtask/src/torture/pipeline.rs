//! The pipeline that is tortured: everything small, so that a kill meets everything within a second.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use super::changed::Definition;

/// The stream that reads the simulated upstream.
pub(crate) const CHANGES: &str = "recentchange";
/// The stream that takes pushes.
pub(crate) const PUSHED: &str = "pushed";

/// The pipeline file; `{url}`, `{since}` and `{pushed}`, the stream of the pushes and what is over it, are filled in. To torture more of the store, switch it on here. Retention may
/// stand on the changes alone: what it takes of them the oracle knows from the upstream.
const PIPELINE: &str = r#"
[store]
block_bytes = "32 KiB"                # many blocks, many segments
segment_bytes = "256 KiB"
queue_bytes = "1 MiB"
tail_bytes = "256 KiB"                # views that fall behind read files

[store.seal]                          # at once after every start
block_bytes = "128 KiB"
level = 3
cpu_percent = 100

[stream.recentchange]
schema = "mediawiki/recentchange"
retention_bytes = "1 MiB"             # likewise, as far as the views' checkpoints let it

{pushed}
[source.upstream]
kind = "eventstreams"
url = "{url}"
stream = "recentchange"
since = "{since}"

[view.edits]
sql = """
SELECT tumble(event_time, INTERVAL '1 second') AS opened, wiki AS name, count(*) AS events, sum(length_new) AS total
FROM recentchange WHERE NOT canary AND type IN ('edit', 'new') GROUP BY 1, 2"""
watermark_delay = "2s"                # one event in a hundred comes later and corrects a closed window

[view.types]
sql = """
SELECT tumble(event_time, INTERVAL '10 seconds') AS opened, type AS name, count(*) AS events, sum(namespace) AS total
FROM recentchange WHERE NOT canary GROUP BY 1, 2"""
watermark_delay = "2s"

[view.pushes]
sql = """
SELECT tumble(event_time, INTERVAL '1 second') AS opened, 'all' AS name, count(*) AS events, sum(id) AS total
FROM pushed GROUP BY 1"""
watermark_delay = "2s"

[view.hops]                           # each event in three windows
sql = """
SELECT hop(event_time, INTERVAL '2 seconds', INTERVAL '6 seconds') AS opened, type AS name, count(*) AS events,
       sum(namespace) AS total
FROM recentchange WHERE NOT canary GROUP BY 1, 2"""
watermark_delay = "2s"

[view.sittings]                       # what comes late makes two sessions one
sql = """
SELECT session(event_time, INTERVAL '2 seconds') AS opened, wiki AS name, count(*) AS events, sum(length_new) AS total
FROM recentchange WHERE NOT canary AND type IN ('edit', 'new') GROUP BY 1, 2"""
watermark_delay = "2s"

[view.clean]                          # a projection: a row for each event
sql = """
SELECT event_time AS opened, concat(wiki, ' ', meta_id) AS name, 1 AS events, length_new AS total
FROM recentchange WHERE NOT canary AND type IN ('edit', 'new')"""
watermark_delay = "2s"

[view.per_ten]                        # over another view's windows and their corrections
sql = """
SELECT tumble(opened, INTERVAL '10 seconds') AS opened, name, sum(events) AS events, sum(total) AS total
FROM edits GROUP BY 1, 2"""
"#;

/// A view that is tortured.
pub(crate) struct View {
    pub(crate) name: &'static str,
    /// The stream that it counts.
    pub(crate) stream: &'static str,
    /// Its result files hold every row up to the newest that they hold. Sessions close by name, and the rows of a projection
    /// lie by the hour in which their events were received.
    pub(crate) closes_in_order: bool,
}

/// The views.
pub(crate) const VIEWS: &[View] = &[
    View { name: "edits", stream: CHANGES, closes_in_order: true },
    View { name: "types", stream: CHANGES, closes_in_order: true },
    View { name: "hops", stream: CHANGES, closes_in_order: true },
    View { name: "sittings", stream: CHANGES, closes_in_order: false },
    View { name: "clean", stream: CHANGES, closes_in_order: false },
    View { name: "per_ten", stream: CHANGES, closes_in_order: true },
    View { name: "pushes", stream: PUSHED, closes_in_order: true },
];

/// Writes the pipeline for an upstream at `address` to `file`.
pub(crate) fn write(file: &Path, address: &str, since: &str, definition: &Definition) -> Result<()> {
    let url = format!("http://{address}/v2/stream/{CHANGES}");
    let text = PIPELINE.replace("{url}", &url).replace("{since}", since);
    let text = text.replace("{pushed}", &definition.toml(PUSHED));
    // As editors do it: nobody reads half of it.
    let fresh = file.with_extension("new");
    fs::write(&fresh, text).with_context(|| format!("writing {}", fresh.display()))?;
    fs::rename(&fresh, file).with_context(|| format!("replacing {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_view_and_stream_is_in_the_pipeline() {
        let pipeline = PIPELINE.replace("{pushed}", &Definition::first().toml(PUSHED));
        for View { name, stream, .. } in VIEWS {
            assert!(pipeline.contains(&format!("[view.{name}]")) && pipeline.contains(&format!("[stream.{stream}]")));
        }
    }
}
