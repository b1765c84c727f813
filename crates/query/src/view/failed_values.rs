//! Failed values: values of a view's rows that are NULL because they could not be computed.

use serde::{Deserialize, Serialize};

use crate::checked::Note;

/// How many failed values of a file are told.
const TOLD_MAX: usize = 3;

/// Values of finished rows that could not be computed and are NULL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedValues {
    /// How many.
    pub count: u64,
    /// The first of them: the row's groups and why.
    pub told: Vec<String>,
}

impl FailedValues {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn noted(count: u64, notes: Vec<Note>) -> Self {
        let tell = |note: Note| match note.row.as_str() {
            "" => note.reason,
            row => format!("{row}: {}", note.reason),
        };
        Self { count, told: notes.into_iter().take(TOLD_MAX).map(tell).collect() }
    }

    /// These and `others`.
    #[must_use]
    pub(crate) fn and(mut self, others: &Self) -> Self {
        self.count += others.count;
        let room = TOLD_MAX.saturating_sub(self.told.len());
        self.told.extend(others.told.iter().take(room).cloned());
        self
    }
}
