//! The pipeline that is tortured: everything small, so that a kill meets everything within a second.

use std::{fs, path::Path};

use anyhow::{Context, Result};

/// The stream that reads the simulated upstream.
pub(crate) const CHANGES: &str = "recentchange";
/// The stream that takes pushes.
pub(crate) const PUSHED: &str = "pushed";

/// The pipeline file; `{url}` and `{since}` are filled in. To torture more of the store, switch it on here. Retention may
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

[stream.pushed]
schema = "json"
columns = { id = { path = "id", type = "int64" } }

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
"#;

/// The views, each with the stream that it counts.
pub(crate) const VIEWS: &[(&str, &str)] = &[("edits", CHANGES), ("types", CHANGES), ("pushes", PUSHED)];

/// Writes the pipeline for an upstream at `address` to `file`.
pub(crate) fn write(file: &Path, address: &str, since: &str) -> Result<()> {
    let url = format!("http://{address}/v2/stream/{CHANGES}");
    let text = PIPELINE.replace("{url}", &url).replace("{since}", since);
    fs::write(file, text).with_context(|| format!("writing {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_view_and_stream_is_in_the_pipeline() {
        for (view, stream) in VIEWS {
            assert!(PIPELINE.contains(&format!("[view.{view}]")) && PIPELINE.contains(&format!("[stream.{stream}]")));
        }
    }
}
