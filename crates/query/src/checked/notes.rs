//! What was left out, noted while a plan runs.
//!
//! A view's plan is made once and runs on several threads at a time, so the notes are not part of the plan: they belong to the
//! task that runs it. Its plans have one partition, which is one task.

use std::sync::{Arc, Mutex, PoisonError};

/// How many notes have a reason; the others are only counted.
const TOLD_MAX: usize = 1_000;

/// One failure: of an event, or of one value of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Note {
    /// The offset of the event, where the plan has it.
    pub(crate) offset: Option<u64>,
    /// What names the row: its groups and their values.
    pub(crate) row: String,
    /// Why.
    pub(crate) reason: String,
}

/// All failures of one run.
#[derive(Debug, Default)]
pub(crate) struct Notes(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    count: u64,
    notes: Vec<Note>,
}

impl Notes {
    /// Takes one down. `make` is asked for reasons only while there is room for them; offsets are kept always.
    pub(super) fn add(&self, offset: Option<u64>, row: impl FnOnce() -> String, reason: impl FnOnce() -> String) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.count += 1;
        if inner.notes.len() < TOLD_MAX {
            inner.notes.push(Note { offset, row: row(), reason: reason() });
        } else if offset.is_some() {
            inner.notes.push(Note { offset, ..Note::default() });
        }
    }

    /// How many there are, and those that are told.
    pub(crate) fn take(&self) -> (u64, Vec<Note>) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut inner.count), std::mem::take(&mut inner.notes))
    }
}

tokio::task_local! {
    static CURRENT: Arc<Notes>;
}

/// The notes of the task that asks, if it takes any.
pub(super) fn current() -> Option<Arc<Notes>> {
    CURRENT.try_with(Arc::clone).ok()
}

/// Runs `work` and answers also what it noted.
pub(crate) async fn noted<T>(work: impl Future<Output = T>) -> (T, u64, Vec<Note>) {
    let notes: Arc<Notes> = Arc::default();
    let done = CURRENT.scope(Arc::clone(&notes), work).await;
    let (count, told) = notes.take();
    (done, count, told)
}
