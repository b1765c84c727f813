//! How far a sink has got: which rows have an answer, and the position before the first that has none. Pure.
//!
//! ```text
//!   handed out   [ a a a ][ b b b ][ c c c ]        a position is kept only before the first row without an answer,
//!   answered       x x x    x . x    x x x          here after the first of b, whatever stands answered behind it
//!                              ^ through
//! ```

use std::collections::{BTreeMap, VecDeque};

use lakehead_model::Position;

/// Rows that were handed out, in order, and what became of them.
#[derive(Debug, Default)]
pub(crate) struct DeliveryProgress {
    /// The number of the first of `batches`.
    first: u64,
    batches: VecDeque<HandedOut>,
    /// Everything before it has an answer.
    through: Option<Position>,
    /// Memory of what has no answer.
    bytes: usize,
    /// Rows and bytes with an answer since the last commit.
    pub(crate) answered_rows: u64,
    pub(crate) answered_bytes: u64,
}

/// A batch that was handed out, in parts: one for each lane that has rows of it.
#[derive(Debug)]
struct HandedOut {
    start: Position,
    /// Where to go on after it; `None` where nobody can begin there.
    to: Option<Position>,
    /// Of each part that has rows without an answer the first of these, by its place in the batch.
    open: BTreeMap<usize, usize>,
    bytes: usize,
}

impl DeliveryProgress {
    /// Begins at `position`.
    pub(crate) fn new(position: Option<Position>) -> Self {
        Self { through: position, ..Self::default() }
    }

    /// Notes a batch that begins at `start` and leads to `to`, and takes `bytes` of memory; it is handed out in `parts`, given
    /// by their lane and the place of their first row. Answers its number.
    pub(crate) fn hand_out(
        &mut self,
        (start, to): (Position, Option<Position>),
        bytes: usize,
        parts: impl IntoIterator<Item = (usize, usize)>,
    ) -> u64 {
        let number = self.first + self.batches.len() as u64;
        self.bytes += bytes;
        self.batches.push_back(HandedOut { start, to, open: parts.into_iter().collect(), bytes });
        self.advance();
        number
    }

    /// Of the part of batch `number` in `lane`, `rows` rows of `bytes` bytes more have an answer; `lowest` is the place of the
    /// first that has none.
    pub(crate) fn answered(&mut self, number: u64, lane: usize, lowest: Option<usize>, (rows, bytes): (u64, u64)) {
        self.answered_rows += rows;
        self.answered_bytes += bytes;
        let index = number.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        if let Some(batch) = index.and_then(|index| self.batches.get_mut(index)) {
            match lowest {
                Some(place) => drop(batch.open.insert(lane, place)),
                None => drop(batch.open.remove(&lane)),
            }
        }
        self.advance();
    }

    fn advance(&mut self) {
        while let Some(batch) = self.batches.front().filter(|batch| batch.open.is_empty()) {
            self.through = batch.to.or(self.through);
            self.bytes -= batch.bytes;
            self.batches.pop_front();
            self.first += 1;
        }
    }

    /// Everything before it has an answer.
    pub(crate) fn through(&self) -> Option<Position> {
        let within = self.batches.front().and_then(|batch| match (batch.start, batch.open.values().min()) {
            // Events stand one by one, so a position may lie within a batch of them.
            (Position::Log { epoch, next }, Some(place)) if *place > 0 => {
                Some(Position::Log { epoch, next: next.plus(*place as u64) })
            }
            _ => None,
        });
        within.or(self.through)
    }

    /// What was answered up to here is committed.
    pub(crate) fn committed(&mut self) {
        (self.answered_rows, self.answered_bytes) = (0, 0);
    }

    /// Whether all that was handed out has an answer.
    pub(crate) fn is_idle(&self) -> bool {
        self.batches.is_empty()
    }

    /// Memory of what has no answer.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use lakehead_model::Offset;

    use super::*;

    fn log(next: u64) -> Position {
        Position::Log { epoch: 0, next: Offset(next) }
    }

    fn view(commit: u64) -> Position {
        Position::View { incarnation: 1, commit }
    }

    #[test]
    fn the_position_is_before_the_first_row_without_an_answer() {
        let mut progress = DeliveryProgress::new(Some(log(0)));
        let a = progress.hand_out((log(0), Some(log(3))), 10, [(0, 0)]);
        let b = progress.hand_out((log(3), Some(log(6))), 20, [(1, 0)]);
        let c = progress.hand_out((log(6), Some(log(9))), 30, [(0, 0)]);
        assert_eq!((progress.through(), progress.bytes()), (Some(log(0)), 60));
        progress.answered(c, 0, None, (3, 30));
        progress.answered(b, 1, Some(1), (2, 10));
        assert_eq!((progress.through(), progress.bytes()), (Some(log(0)), 60), "nothing of the first is answered");
        progress.answered(a, 0, None, (3, 10));
        assert_eq!((progress.through(), progress.bytes()), (Some(log(4)), 50), "within the second");
        assert!(!progress.is_idle());
        progress.answered(b, 1, None, (1, 10));
        assert_eq!((progress.through(), progress.bytes(), progress.is_idle()), (Some(log(9)), 0, true));
        assert_eq!((progress.answered_rows, progress.answered_bytes), (9, 60));
    }

    #[test]
    fn nobody_begins_within_a_commit_or_a_snapshot() {
        let mut progress = DeliveryProgress::new(None);
        let a = progress.hand_out((view(4), None), 1, [(0, 0), (3, 1)]);
        progress.answered(a, 0, None, (1, 1));
        progress.answered(a, 3, Some(5), (1, 1));
        assert_eq!(progress.through(), None);
        progress.answered(a, 3, None, (1, 1));
        assert_eq!((progress.through(), progress.is_idle()), (None, true));
        let empty = progress.hand_out((view(4), Some(view(4))), 0, []);
        assert_eq!((empty, progress.through()), (1, Some(view(4))), "no rows: nobody has to answer");
    }
}
