//! A stream as the suite knows it: its schema, its events in the order in which they came, and what may be asked of its
//! columns so that two engines must give one answer.

use lakehead_model::{StreamSchema, Timestamp};

/// Events that came at one moment. A block of the log has one received time, so block borders lie anywhere in a burst
/// and always between two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Burst {
    pub(crate) received: Timestamp,
    pub(crate) events: Vec<String>,
}

/// A stream with its events.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// What names it in messages, and how many events of which kind.
    pub(crate) label: &'static str,
    pub(crate) origin: String,
    /// The stream's name in SQL.
    pub(crate) name: &'static str,
    pub(crate) schema: StreamSchema,
    /// What may be asked of the columns, those of every stream among them.
    pub(crate) columns: Vec<Column>,
    /// Sizes of windows that have some events in most windows, as SQL writes them, with their microseconds.
    pub(crate) sizes: &'static [(&'static str, i64)],
    pub(crate) bursts: Vec<Burst>,
}

/// A column and what may be done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
}

/// What a column holds. Two engines agree on more than this, but not on everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Integers below 2^31 that can be summed.
    Small,
    /// Any 64-bit integers: a sum would leave the type, in each engine in another way.
    Big,
    /// Floats above zero.
    Float,
    /// Floats that are multiples of 1/64 below 2^20: their sums are exact whatever the order, and may cancel out.
    Dyadic,
    Bool,
    /// Any text.
    Text,
    /// Text whose letters have one upper and one lower case each: DataFusion folds as Unicode's full mapping says,
    /// DuckDB as its simple one.
    Plain,
    Time,
    /// A JSON value as its text.
    Json,
}

impl Table {
    pub(crate) fn len(&self) -> usize {
        self.bursts.iter().map(|burst| burst.events.len()).sum()
    }

    pub(crate) fn events(&self) -> impl Iterator<Item = (&str, Timestamp)> {
        self.bursts.iter().flat_map(|burst| burst.events.iter().map(|event| (event.as_str(), burst.received)))
    }

    /// The columns of these kinds.
    pub(crate) fn of(&self, kinds: &[Kind]) -> Vec<Column> {
        self.columns.iter().filter(|column| kinds.contains(&column.kind)).copied().collect()
    }

    /// The same stream with only the events whose place `keep` says.
    pub(crate) fn only(&self, keep: &[usize]) -> Self {
        let mut place = 0;
        let mut keep = keep.iter().copied().peekable();
        let mut bursts = Vec::new();
        for burst in &self.bursts {
            let mut events = Vec::new();
            for event in &burst.events {
                if keep.next_if_eq(&place).is_some() {
                    events.push(event.clone());
                }
                place += 1;
            }
            if !events.is_empty() {
                bursts.push(Burst { received: burst.received, events });
            }
        }
        Self { bursts, ..self.clone() }
    }
}

/// The columns that every stream has.
pub(crate) const EVERYWHERE: &[Column] = &[
    Column { name: "event_offset", kind: Kind::Small },
    Column { name: "event_time", kind: Kind::Time },
    Column { name: "received_time", kind: Kind::Time },
];
