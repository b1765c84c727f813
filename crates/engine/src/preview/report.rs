//! What a look before the start has found, as plain data.
//!
//! In each part `fails` says what would not work, and `notes` what a person may want to know of it. Where `fails` is `None`
//! nothing was found that would not work, which is less than a proof: [`SourceLook`] and `unknown` say what was not seen.

use std::{collections::BTreeMap, path::PathBuf};

use lakehead_model::{ColumnType, Name};
use serde::Serialize;

/// What a start would find.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Preview {
    /// The data directory.
    pub data: DataPreview,
    /// Each source.
    pub sources: BTreeMap<Name, SourcePreview>,
    /// Each stream of the pipeline, by the events that its sources brought.
    pub streams: BTreeMap<Name, StreamPreview>,
    /// Each view, by the same events.
    pub views: BTreeMap<Name, ViewPreview>,
    /// Each sink.
    pub sinks: BTreeMap<Name, SinkPreview>,
}

impl Preview {
    /// Everything that would not work, a line each.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        fn named<'a, T: 'a>(
            what: &'static str,
            parts: &'a BTreeMap<Name, T>,
            fails: impl Fn(&'a T) -> &'a Option<String> + 'a,
        ) -> impl Iterator<Item = String> + 'a {
            parts.iter().filter_map(move |(name, part)| fails(part).as_ref().map(|why| format!("{what} {name}: {why}")))
        }
        let data = self.data.fails.iter().map(|why| format!("data directory: {why}"));
        data.chain(named("source", &self.sources, |source| &source.fails))
            .chain(named("view", &self.views, |view| &view.fails))
            .chain(named("sink", &self.sinks, |sink| &sink.fails))
            .collect()
    }

    /// The sources of which nothing was seen: neither an event nor an end nor an error.
    pub fn unseen(&self) -> impl Iterator<Item = &Name> {
        let is_unseen = |state| matches!(state, SourceLook::Quiet | SourceLook::Unseen);
        self.sources.iter().filter(move |(_, source)| is_unseen(source.state)).map(|(name, _)| name)
    }
}

/// The data directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DataPreview {
    /// Where it is, or will be.
    pub path: PathBuf,
    /// Whether it is there already: sources then go on from their cursors in it.
    pub exists: bool,
    /// The process that runs on it now.
    pub held_by: Option<u32>,
    /// What would not work.
    pub fails: Option<String>,
}

/// What became of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceLook {
    /// It brought something.
    Read,
    /// It has come to its end, and there was nothing from its cursor on.
    Ended,
    /// It was opened, and brought nothing within the wait: its upstream is quiet, or does not answer.
    #[default]
    Quiet,
    /// Its kind cannot be looked at without changing something outside.
    Unseen,
    /// It cannot be opened or read.
    Failed,
}

/// One source.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SourcePreview {
    /// Its kind.
    pub kind: String,
    /// The streams that it feeds.
    pub streams: Vec<Name>,
    /// Whether it began at a cursor of the data directory.
    pub resumed: bool,
    /// What became of it.
    pub state: SourceLook,
    /// Events that were looked at.
    pub events: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Events that came beyond those, in the same chunk.
    pub passed_over: u64,
    /// What was refused.
    pub rejects: u64,
    /// The first of these.
    pub rejected: Vec<RejectPreview>,
    /// Events that came again and would be dropped.
    pub duplicates: u64,
    /// Events that are proven to be missing upstream.
    pub missing: u64,
    /// Seconds until it was opened.
    pub opened_after: Option<f64>,
    /// Seconds until its first chunk.
    pub first_after: Option<f64>,
    /// What would not work.
    pub fails: Option<String>,
    /// What else is to be known.
    pub notes: Vec<String>,
}

/// Something that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RejectPreview {
    /// Why.
    pub reason: String,
    /// Where it stood at the source.
    pub position: String,
    /// How it begins.
    pub payload: String,
}

/// One stream, by the events that were looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StreamPreview {
    /// How many these are.
    pub events: u64,
    /// Where their event times were found.
    pub event_time: EventTimePreview,
    /// Its columns, in their order.
    pub columns: Vec<ColumnPreview>,
    /// Keys at the top of the events that no column and no event time is of; the first of them by name.
    pub other_keys: Vec<String>,
    /// How many events come, as far as so few can tell.
    pub rate: Option<SampleRate>,
    /// What is to be known.
    pub notes: Vec<String>,
}

/// The event times of a sample.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EventTimePreview {
    /// Whether the stream's events have one at all, by its own word.
    pub wanted: bool,
    /// Events with one.
    pub found: u64,
    /// Events without.
    pub without: u64,
    /// How many each rule of the stream gave, in their order.
    pub by: Vec<TimeRulePreview>,
    /// Why the first of those without has none, and what to do.
    pub why: Option<String>,
    /// The least.
    pub least: Option<String>,
    /// The greatest.
    pub greatest: Option<String>,
}

/// What one rule of a stream's event time has given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TimeRulePreview {
    /// Where it looks, and for what.
    pub rule: String,
    /// Events whose time it is.
    pub found: u64,
}

/// One column, by the events that were looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnPreview {
    /// Its name.
    pub name: String,
    /// Where it stands in an event.
    pub path: String,
    /// Its type.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// Events that have a value of this type there.
    pub found: u64,
    /// Events that have nothing there, or `null`.
    pub missing: u64,
    /// Events that have something else there: the column is NULL then.
    pub mistyped: u64,
    /// The first value of the type, as it stands in its event.
    pub sample: Option<String>,
    /// The first of another type.
    pub mistyped_sample: Option<String>,
}

/// How often events come.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SampleRate {
    /// Events a second.
    pub per_second: f64,
    /// What that is taken from.
    pub by: RateBy,
}

/// What a rate is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RateBy {
    /// The span of the event times.
    EventTimes,
    /// When they came: of what was waiting to be read, more than will come later.
    Arrival,
}

/// One view, by the events that were looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ViewPreview {
    /// The stream at its root.
    pub stream: String,
    /// Events that it was given.
    pub events: u64,
    /// Of these, in its rows.
    pub in_view: u64,
    /// Left out by its own conditions.
    pub filtered: u64,
    /// Left out since they have no event time.
    pub without_time: u64,
    /// Left out since an expression fails on them.
    pub failed: u64,
    /// Why, of the first.
    pub failed_reason: Option<String>,
    /// Its rows.
    pub rows: u64,
    /// Whether these are fewer than there are.
    pub rows_cut: bool,
    /// Of a view that groups: the groups beside its window, as many as were seen.
    pub groups: Option<u64>,
    /// What an hour adds, as far as so few events can tell.
    pub hourly: Option<Hourly>,
    /// Its first rows.
    pub shown: Vec<serde_json::Value>,
    /// What would not work.
    pub fails: Option<String>,
    /// What else is to be known.
    pub notes: Vec<String>,
}

/// What an hour of events adds to a view: between these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Hourly {
    /// Rows, if no group comes that the sample does not have.
    pub rows_least: u64,
    /// Rows, if further events bring new groups as often as those of the sample did.
    pub rows_most: u64,
    /// Bytes of state that `rows_least` take; `None` for a view that keeps none.
    pub bytes_least: Option<u64>,
    /// Bytes of state that `rows_most` take.
    pub bytes_most: Option<u64>,
    /// Events that this is taken from.
    pub events: u64,
}

/// One sink.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SinkPreview {
    /// Its kind.
    pub kind: String,
    /// What it delivers.
    pub from: String,
    /// What was asked, and is as it should be.
    pub found: Vec<String>,
    /// What shows only when something is written.
    pub unknown: Vec<String>,
    /// What would not work.
    pub fails: Option<String>,
}
