//! The page docs/reference/pipeline.md, made of what reads a pipeline file: every table and key with its type, default and
//! meaning, and an example. A test fails when the page is not this, or a table of the file is not on it. The keys of each kind of
//! source and sink have pages of their own.

use lakehead_model::TimeFormat;
use lakehead_store::Options;
use schemars::{JsonSchema, Schema, schema_for};
use serde_json::Value;

use super::{
    panel::PanelKeys,
    push_token::PushTokenKeys,
    sink::SinkKeys,
    source::SourceKeys,
    stream::{ColumnKeys, StreamKeys, TimeKeys},
    verify::VerifyKeys,
    view::ViewKeys,
};
use crate::settings_table::settings_table;

/// The keys at the top of the file.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Top {
    /// The data directory, from the folder in which Lakehead is started. Default: "./data".
    data: Option<String>,
    /// IP and port to listen on. Default: "127.0.0.1:8080".
    listen: Option<String>,
    /// Allows an address that other machines can reach without a token. Default: false.
    listen_anyone: Option<bool>,
    /// At least 16 characters that every request from another machine must bring; take it from the environment. A request
    /// straight from this machine needs none: so a reverse proxy on it must set `X-Forwarded-For` or `Forwarded`, else everyone
    /// who reaches it passes. Default: none.
    token: Option<String>,
}

/// A table of the file: how it is written, what it is, its keys, an example.
struct TableEntry {
    head: &'static str,
    what: &'static str,
    schema: fn() -> Schema,
    example: &'static str,
}

const TABLES: &[TableEntry] = &[
    TableEntry {
        head: "At the top",
        what: "Before the first table.",
        schema: || schema_for!(Top),
        example: "data = \"./mine\"\nlisten = \"127.0.0.1:8081\"\ntoken = \"${LAKEHEAD_TOKEN}\"",
    },
    TableEntry {
        head: "[stream.NAME]",
        what: "A sequence of events, and a table in SQL. A pipeline has at least one. `rejects` and `gaps` are always there.",
        schema: || schema_for!(StreamKeys),
        example: "[stream.requests]\nevent_time = \"dt\"\ncolumns = { user = \"user.name\", ms = { path = \"ms\", type = \"float64\" } }\nretention = \"90d\"",
    },
    TableEntry {
        head: "[stream.NAME.columns]",
        what: "Each key is a column; its value is a path, or a table with these keys.",
        schema: || schema_for!(ColumnKeys),
        example: "[stream.requests.columns]\nuser = \"user.name\"\nms = { path = \"ms\", type = \"float64\" }\nis_post = { path = \"method\", equals = \"POST\" }",
    },
    TableEntry {
        head: "[stream.NAME].event_time",
        what: "A path, or a table with these keys, or an array of such.",
        schema: time_keys,
        example: "[stream.requests]\nevent_time = { path = \"ts\", format = \"unix_seconds\" }",
    },
    TableEntry {
        head: "[view.NAME]",
        what: "A standing query, and a table in SQL ([views](../views.md), [SQL](../sql.md)).",
        schema: || schema_for!(ViewKeys),
        example: "[view.requests_per_minute]\nsql = \"\"\"\nSELECT tumble(event_time, INTERVAL '1 minute') AS minute, count(*) AS requests\nFROM requests GROUP BY 1\"\"\"\nlateness = \"6h\"",
    },
    TableEntry {
        head: "[panel.NAME]",
        what: "What the dashboard shows of a view or a stream ([the dashboard](../dashboard.md)); each has a panel without it.",
        schema: || schema_for!(PanelKeys),
        example: "[panel.requests_per_minute]\nkind = \"lines\"\ntitle = \"Requests\"",
    },
    TableEntry {
        head: "[source.NAME]",
        what: "Brings events into a stream ([every kind](connectors.md)). Pushes need none.",
        schema: || schema_for!(SourceKeys),
        example: "[source.wikimedia]\nkind = \"eventstreams\"\nstream = \"recentchange\"\nurl = \"https://stream.wikimedia.org/v2/stream/recentchange\"",
    },
    TableEntry {
        head: "[sink.NAME]",
        what: "Delivers the events of a stream or the changes of a view to another system ([every kind](connectors.md)).",
        schema: || schema_for!(SinkKeys),
        example: "[sink.minutes]\nkind = \"http\"\nfrom = \"requests_per_minute\"\nurl = \"https://example.org/hook\"",
    },
    TableEntry {
        head: "[push_token.NAME]",
        what: "A token that may push to some streams, and do nothing else ([push](../push.md#tokens)). A reload adds, changes and removes them.",
        schema: || schema_for!(PushTokenKeys),
        example: "[push_token.sensors]\nsecret = \"${SENSORS_TOKEN}\"\nstreams = [\"heat\", \"wind\"]",
    },
    TableEntry {
        head: "[store]",
        what: "How the log is written ([the store](../store.md)).",
        schema: || schema_for!(Options),
        example: "[store]\nsync = \"1s\"\nreserve_bytes = \"1 GiB\"",
    },
    TableEntry {
        head: "[verify]",
        what: "When the standing audit runs ([the audit](../verify.md)).",
        schema: || schema_for!(VerifyKeys),
        example: "[verify]\nevery = \"6h\"",
    },
];

/// The keys of an event time, with its formats called as messages and the other pages call them: the file takes synonyms, too.
fn time_keys() -> Schema {
    let mut schema = schema_for!(TimeKeys);
    let formats = schema.pointer_mut("/$defs/TimeFormat/oneOf").and_then(Value::as_array_mut);
    for format in formats.into_iter().flatten() {
        if let Ok(known) = serde_json::from_value::<TimeFormat>(format["const"].clone()) {
            format["const"] = known.name().into();
        }
    }
    schema
}

/// The page.
pub(crate) fn page() -> String {
    let mut text = String::from(
        "# The pipeline file\n\nMade of the code by `lakehead reference pipeline`; a test fails when it is stale.\n\n\
         TOML. `lakehead check FILE` says everything that is wrong with one. Spans of time are a whole number and a unit (ms, s, \
         m, h, d), sizes a whole number and a unit (B, KiB, MiB, GiB, TiB, or kB, MB, GB, TB of 1000). Names begin with a \
         lower-case letter, then come lower-case letters, digits and underscores, at most 63 bytes. In every text `${NAME}` is \
         the environment variable NAME, and `$${` stands for `${` itself.\n",
    );
    for table in TABLES {
        let schema = serde_json::to_value((table.schema)()).unwrap_or_default();
        let head = if table.head.starts_with('[') { format!("`{}`", table.head) } else { table.head.to_owned() };
        text.push_str(&format!("\n## {head}\n\n{}\n\n", table.what));
        text.push_str(&settings_table(&schema));
        if !table.example.is_empty() {
            text.push_str(&format!("\n```toml\n{}\n```\n", table.example));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_and_key_of_the_file_is_on_the_page() {
        let page = page();
        for word in super::super::pipeline::TOP {
            let there = [format!("\n| `{word}` |"), format!("\n## `[{word}]`"), format!("\n## `[{word}.NAME]`")];
            assert!(there.iter().any(|way| page.contains(way)), "{word} is not on the page; add it to TABLES or Top");
        }
        assert!(page.contains("| `seal.level` |") && page.contains("| `retention_bytes` |"), "{page}");
        assert!(!page.contains("| | "), "a key has no words: {page}");
    }

    #[test]
    fn nothing_on_the_page_is_called_otherwise_than_in_messages_and_no_link_of_the_code_is_left() {
        let page = page();
        assert!(page.contains("\"unix_ms\"") && !page.contains("unix_millis"), "{page}");
        assert!(!page.contains("[`"), "{page}");
    }
}
