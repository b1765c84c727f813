//! Rows on their way to a sink.

use bytes::Bytes;
use lakehead_model::{Name, Position, Timestamp};

/// What a row does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Operation {
    /// It is new.
    #[default]
    Insert,
    /// It replaces the row of the same key.
    Update,
    /// The row of this key is gone. It is given as it was.
    Delete,
}

impl Operation {
    /// As in `insert`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// Rows on their way to a sink, in order: events of a stream, which share the memory of the log's block, or changes of a view.
#[derive(Clone, Debug)]
pub struct Batch {
    from: Name,
    /// Where the first row stands; the others follow one by one.
    start: Position,
    /// Where to go on after the last row.
    end: Position,
    /// Each row as JSON, followed by a newline.
    payload: Bytes,
    ends: Vec<u32>,
    rows: Vec<RowHead>,
    kind: BatchKind,
}

/// What of a row is not in its JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowHead {
    /// What it does.
    pub operation: Operation,
    /// Which row it is among those of a view: a JSON array of the values of its key columns. Of an event, which is never
    /// replaced, `None`.
    pub key: Option<Bytes>,
    /// Its number: for an event its offset, for a change its place within the commit. With the name of the stream or view and
    /// the epoch or incarnation it is the row's stable id.
    pub number: u64,
    /// When it happened; of a view's row its window's start, where it has one.
    pub event_time: Option<Timestamp>,
}

/// Whether a batch tells what changed or what there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BatchKind {
    /// What has come since the batch before.
    #[default]
    Changes,
    /// Rows of all that there is, since the position was none, or of another incarnation of the view, or too old. A keyed sink
    /// upserts them and deletes what an older incarnation left once `is_last`. The last batch of a snapshot has no rows; it goes
    /// to one instance of the sink, after all rows of all instances have an answer, and nothing is written before it has its own.
    Snapshot {
        /// Whether changes follow after this batch.
        is_last: bool,
    },
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// What of it is not in its JSON.
    pub head: &'a RowHead,
    /// The row as one line of JSON, without its newline.
    pub json: &'a [u8],
}

impl Batch {
    /// A batch of rows of `from` that stand in `[start, end)`. `ends` says where each row's line ends in `payload`, just after
    /// its newline.
    ///
    /// # Panics
    /// When there are not as many heads as lines.
    #[must_use]
    pub fn new(
        from: Name,
        (start, end): (Position, Position),
        (payload, ends): (Bytes, Vec<u32>),
        rows: Vec<RowHead>,
        kind: BatchKind,
    ) -> Self {
        assert_eq!(ends.len(), rows.len(), "one head for each line");
        Self { from, start, end, payload, ends, rows, kind }
    }

    /// The stream or view.
    #[must_use]
    pub fn from(&self) -> &Name {
        &self.from
    }

    /// Where its first row stands.
    #[must_use]
    pub fn start(&self) -> &Position {
        &self.start
    }

    /// Where to go on once all of its rows have an answer.
    #[must_use]
    pub fn end(&self) -> &Position {
        &self.end
    }

    /// Whether it tells changes or what there is.
    #[must_use]
    pub fn kind(&self) -> BatchKind {
        self.kind
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none; such a batch only moves the position.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The bytes of its rows, each with its newline.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// The row at `index`.
    #[must_use]
    pub fn row(&self, index: usize) -> Option<Row<'_>> {
        let start = match index.checked_sub(1) {
            Some(before) => *self.ends.get(before)? as usize,
            None => 0,
        };
        let end = *self.ends.get(index)? as usize;
        Some(Row { head: self.rows.get(index)?, json: self.payload.get(start..end.saturating_sub(1))? })
    }

    /// Its rows in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        (0..self.rows.len()).map(|index| self.row(index).expect("each row has its line"))
    }

    /// What names a row for good, so that a target knows it when it comes again: the stream or view, the epoch or incarnation
    /// and, of a view, the commit, and the row's number.
    #[must_use]
    pub fn id(&self, row: Row<'_>) -> String {
        match self.start {
            Position::Log { epoch, .. } => format!("{}-{epoch}-{}", self.from, row.head.number),
            Position::View { incarnation, commit } => {
                format!("{}-{incarnation}-{commit}-{}", self.from, row.head.number)
            }
        }
    }

    /// The rows at these places, in this order, as a batch of their own: those of a lane, or those that are written again.
    #[must_use]
    pub fn select(&self, places: &[usize]) -> Self {
        let mut payload = Vec::new();
        let (mut ends, mut rows) = (Vec::with_capacity(places.len()), Vec::with_capacity(places.len()));
        for row in places.iter().filter_map(|place| self.row(*place)) {
            payload.extend_from_slice(row.json);
            payload.push(b'\n');
            ends.push(u32::try_from(payload.len()).unwrap_or(u32::MAX));
            rows.push(row.head.clone());
        }
        Self { payload: payload.into(), ends, rows, from: self.from.clone(), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use lakehead_model::Offset;

    use super::*;

    fn batch() -> Batch {
        let heads = (7..10).map(|number| RowHead { number, ..RowHead::default() }).collect();
        let position = |next| Position::Log { epoch: 2, next: Offset(next) };
        let lines = (Bytes::from_static(b"{}\n[1]\n\"x\"\n"), vec![3, 7, 11]);
        let from = Name::new("s").expect("a name");
        Batch::new(from, (position(7), position(10)), lines, heads, BatchKind::Changes)
    }

    #[test]
    fn rows_and_their_ids_are_those_of_the_log() {
        let batch = batch();
        let rows: Vec<_> = batch.rows().map(|row| (batch.id(row), row.json)).collect();
        assert_eq!(rows, [("s-2-7".into(), &b"{}"[..]), ("s-2-8".into(), b"[1]"), ("s-2-9".into(), b"\"x\"")]);
        assert!(batch.row(3).is_none());
    }

    #[test]
    fn selected_rows_keep_their_ids() {
        let batch = batch();
        let some = batch.select(&[2, 0]);
        let rows: Vec<_> = some.rows().map(|row| (some.id(row), row.json)).collect();
        assert_eq!(rows, [("s-2-9".into(), &b"\"x\""[..]), ("s-2-7".into(), b"{}")]);
    }
}
