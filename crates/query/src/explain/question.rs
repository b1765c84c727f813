//! What is asked about rows of a view, and what is answered: the rows and the events behind them.

use lakehead_model::Offset;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What is to be explained.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Which rows of the view, as in a WHERE; all when empty.
    #[serde(default, rename = "where")]
    pub filter: String,
    /// Most rows. Default: 10.
    #[serde(default)]
    pub rows: Option<usize>,
    /// Most events shown for one row. Default: 100.
    #[serde(default)]
    pub events: Option<usize>,
}

/// Rows of a view and the events behind them.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Explanation {
    /// The view.
    pub view: String,
    /// The stream whose events these are.
    pub stream: String,
    /// View and log as of this offset.
    pub offset: Offset,
    /// The rows.
    pub rows: Vec<ExplainedRow>,
    /// Whether there are more rows than were asked for.
    pub more: bool,
}

/// One row and the events behind it.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ExplainedRow {
    /// The row, by column.
    #[schemars(with = "serde_json::Value")]
    pub row: Box<RawValue>,
    /// How many events went into it.
    pub events: u64,
    /// The first of them.
    pub shown: Vec<ExplainedEvent>,
    /// How many rows of the view that this one reads they went through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_way_of: Option<u64>,
    /// What the query makes of these events now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    pub recount: Option<Box<RawValue>>,
    /// Whether that is the row.
    pub agrees: bool,
    /// What else there is to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// One event.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ExplainedEvent {
    /// Its offset in the stream.
    pub offset: u64,
    /// The event as it was received.
    #[schemars(with = "serde_json::Value")]
    pub event: Box<RawValue>,
}
