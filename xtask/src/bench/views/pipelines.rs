//! The pipelines that are measured: ten views over Wikimedia's recent changes, or one of them.
//!
//! The ten are the eight that a user has who configures nothing, as they stood when this was written, and two more of the
//! kind. They stand here a second time so that figures of different versions are about the same work.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// A view: its name and its SQL.
pub(super) type NamedView = (&'static str, &'static str);

/// The view that is rebuilt alone, and asked for a day.
pub(super) const EDITS_PER_MINUTE: NamedView = (
    "edits_per_minute",
    "SELECT tumble(event_time, INTERVAL '1 minute') AS minute, wiki, count(*) AS edits
FROM recentchange WHERE NOT canary AND type IN ('edit', 'new') GROUP BY 1, 2",
);

/// Ten different views of one stream.
pub(super) const TEN: [NamedView; 10] = [
    EDITS_PER_MINUTE,
    (
        "edits_per_second",
        "SELECT tumble(received_time, INTERVAL '1 second') AS second, count(*) AS edits
FROM recentchange WHERE NOT canary AND type IN ('edit', 'new') GROUP BY 1",
    ),
    (
        "events_per_domain",
        "SELECT tumble(event_time, INTERVAL '1 minute') AS minute, meta_domain AS domain, count(*) AS events
FROM recentchange WHERE NOT canary GROUP BY 1, 2",
    ),
    (
        "events_per_type",
        "SELECT tumble(event_time, INTERVAL '1 minute') AS minute, type, count(*) AS events
FROM recentchange WHERE NOT canary GROUP BY 1, 2",
    ),
    (
        "bots_and_people",
        "SELECT tumble(event_time, INTERVAL '1 minute') AS minute, bot, count(*) AS edits
FROM recentchange WHERE NOT canary AND type IN ('edit', 'new') GROUP BY 1, 2",
    ),
    (
        "new_pages",
        "SELECT tumble(event_time, INTERVAL '1 hour') AS hour, meta_domain AS domain, count(*) AS pages
FROM recentchange WHERE NOT canary AND type = 'new' GROUP BY 1, 2",
    ),
    (
        "bytes_changed",
        "SELECT tumble(event_time, INTERVAL '1 minute') AS minute,
       sum(CASE WHEN length_new > coalesce(length_old, 0) THEN length_new - coalesce(length_old, 0) ELSE 0 END) AS added,
       sum(CASE WHEN length_new < length_old THEN length_old - length_new ELSE 0 END) AS removed
FROM recentchange WHERE NOT canary AND type IN ('edit', 'new') GROUP BY 1",
    ),
    (
        "edits_per_page",
        "SELECT tumble(event_time, INTERVAL '10 minutes') AS ten_minutes, wiki, title, count(*) AS edits
FROM recentchange WHERE NOT canary AND type IN ('edit', 'new') GROUP BY 1, 2, 3",
    ),
    (
        "edits_per_namespace",
        "SELECT tumble(event_time, INTERVAL '1 minute') AS minute, namespace, minor, count(*) AS edits
FROM recentchange WHERE NOT canary AND type IN ('edit', 'new') GROUP BY 1, 2, 3",
    ),
    (
        "log_entries",
        "SELECT tumble(event_time, INTERVAL '1 hour') AS hour, wiki, log_type, log_action, count(*) AS entries
FROM recentchange WHERE NOT canary AND type = 'log' GROUP BY 1, 2, 3, 4",
    ),
];

/// Writes the pipeline of these views into `folder`. Without an upstream it has no source, and counts what is there.
///
/// Sealing is switched off: it would take its turn in the middle of whatever is measured.
pub(super) fn write(folder: &Path, name: &str, upstream: Option<&str>, views: &[NamedView]) -> Result<PathBuf> {
    let path = folder.join(name).with_extension("toml");
    fs::write(&path, text(upstream, views)).with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

fn text(upstream: Option<&str>, views: &[NamedView]) -> String {
    let mut text =
        "[store.seal]\nenabled = false\n\n[stream.recentchange]\nschema = \"mediawiki/recentchange\"\n".to_owned();
    if let Some(url) = upstream {
        let source =
            format!("\n[source.upstream]\nkind = \"eventstreams\"\nurl = \"{url}\"\nstream = \"recentchange\"\n");
        text.push_str(&source);
    }
    for (name, sql) in views {
        text.push_str(&format!("\n[view.{name}]\nsql = \"\"\"\n{sql}\"\"\"\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipeline_has_its_views_and_a_source_only_with_an_upstream() {
        let with = text(Some("http://127.0.0.1:1/"), &TEN).parse::<toml::Table>().expect("TOML");
        assert_eq!(with["view"].as_table().map(|views| views.len()), Some(10));
        assert_eq!(with["source"]["upstream"]["url"].as_str(), Some("http://127.0.0.1:1/"));
        let without = text(None, &[EDITS_PER_MINUTE]).parse::<toml::Table>().expect("TOML");
        assert!(!without.contains_key("source"));
        assert_eq!(without["view"].as_table().map(|views| views.len()), Some(1));
    }
}
