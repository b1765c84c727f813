//! Places where an upstream's own offsets do not follow one another.

use lakehead_model::Timestamp;

/// A place where the upstream's offsets do not follow one another: something is missing, or nothing is and there is a reason.
/// Each is kept in the gap ledger, so that an audit can tell one from the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Discontinuity {
    /// Events are missing: the upstream had them and does not give them.
    Missing(Gap),
    /// Nothing is missing: the same events have other offsets from here on.
    Renumbered(Renumbering),
    /// Nothing is missing: these offsets never held an event for a reader (a transaction's marker, a compacted record).
    Skipped(SkippedOffsets),
}

/// A gap in the upstream: `[from, to)` of its offsets was asked for twice and did not come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The upstream's own name for the sequence: topic and partition.
    pub partition: String,
    /// The first upstream offset that is missing.
    pub from: i64,
    /// The first upstream offset after the gap.
    pub to: i64,
    /// Event time just before the gap.
    pub after: Option<Timestamp>,
    /// Event time just after it.
    pub before: Option<Timestamp>,
    /// Why, as far as known.
    pub reason: String,
}

/// A place where offsets do not follow one another and nothing is missing: another cluster answered, which numbers the same
/// events differently, or an event came that is kept already under another offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renumbering {
    /// As [`Gap::partition`].
    pub partition: String,
    /// The offset that was expected next.
    pub from: i64,
    /// The offset that comes next instead; what came under other offsets meanwhile is in no order.
    pub to: i64,
    /// Why.
    pub reason: &'static str,
}

/// Offsets `[from, to)` that no reader is given, though nothing is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedOffsets {
    /// As [`Gap::partition`].
    pub partition: String,
    /// The first offset that held no event.
    pub from: i64,
    /// The first after them.
    pub to: i64,
    /// Why, as far as known.
    pub reason: &'static str,
}
