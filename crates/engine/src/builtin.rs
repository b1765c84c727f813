//! The streams that every data directory has, with their names and columns: `rejects`, which keeps what was refused, and
//! `gaps`, the gap ledger. What is written to them stands in [`ledgers`](crate::ledgers).

use std::collections::BTreeMap;

use lakehead_model::{Column, ColumnType, Name, StreamSchema};

use crate::pipeline::StreamConfig;

/// The stream of what was refused.
pub(crate) const REJECTS: &str = "rejects";

/// The gap ledger.
pub(crate) const GAPS: &str = "gaps";

/// [`REJECTS`] as a name.
pub(crate) fn rejects() -> Name {
    Name::new(REJECTS).expect("a constant that is a name")
}

/// [`GAPS`] as a name.
pub(crate) fn gaps() -> Name {
    Name::new(GAPS).expect("a constant that is a name")
}

/// Whether `stream` is one of them.
pub(crate) fn is_builtin(stream: &Name) -> bool {
    [REJECTS, GAPS].contains(&stream.as_str())
}

/// The schemas by which `pipeline`'s streams are tables, the built-in streams among them.
#[must_use]
pub fn schemas(streams: &BTreeMap<Name, StreamConfig>) -> BTreeMap<Name, StreamSchema> {
    let own = streams.iter().map(|(name, config)| (name.clone(), config.schema.clone()));
    own.chain([(rejects(), rejects_schema()), (gaps(), gaps_schema())]).collect()
}

fn rejects_schema() -> StreamSchema {
    StreamSchema::builtin(REJECTS).expect("the model has a schema of this name")
}

/// By `kind`: `missing` events, `[from_offset, to_offset)` of `partition`; `renumbered`, offsets that continue at `to_offset` where
/// `from_offset` was expected, which may be the greater one; `skipped` offsets, which never held an event. The last two have 0
/// `missing`. Entries of before there were kinds have none.
pub(crate) fn gaps_schema() -> StreamSchema {
    use ColumnType::{Int64, Text};
    let column = |(name, column_type): (&str, ColumnType)| Column {
        name: name.to_owned(),
        path: vec![name.to_owned()],
        column_type,
        equals: None,
    };
    let columns = [
        ("stream", Text),
        ("source", Text),
        ("kind", Text),
        ("partition", Text),
        ("from_offset", Int64),
        ("to_offset", Int64),
        ("missing", Int64),
        ("after", ColumnType::Timestamp),
        ("before", ColumnType::Timestamp),
        ("reason", Text),
    ];
    StreamSchema { event_time: Vec::new(), columns: columns.map(column).to_vec() }
}
