//! The views of a stream as a status shows them: each with what is known of it, and with the one that is built to take its
//! place. A swap changes it, on the views' own thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lakehead_model::{Name, Offset};
use lakehead_query::ViewHandle;

use super::kept::{Note, Noted, lock};
use crate::status::{NextView, ViewState, ViewStatus};

/// The views of a stream. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Shown(Arc<Mutex<Vec<Entry>>>);

#[derive(Clone)]
struct Entry {
    handle: ViewHandle,
    note: Noted,
    next: Option<(ViewHandle, Noted)>,
}

impl Shown {
    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows a view, in the place of one of its name.
    pub(super) fn add(&self, handle: ViewHandle, note: Noted) {
        let mut entries = self.entries();
        entries.retain(|entry| entry.handle.name() != handle.name());
        entries.push(Entry { handle, note, next: None });
    }

    /// Shows a view that is built to take the place of the one of its name.
    pub(super) fn add_next(&self, handle: ViewHandle, note: Noted) {
        let mut entries = self.entries();
        if let Some(entry) = entries.iter_mut().find(|entry| entry.handle.name() == handle.name()) {
            entry.next = Some((handle, note));
        }
    }

    /// The one that was built has taken the place of `name`; it answers with the old one's handle.
    pub(super) fn swapped(&self, name: &Name, note: &Noted) {
        let mut entries = self.entries();
        if let Some(entry) = entries.iter_mut().find(|entry| entry.handle.name() == name) {
            entry.note = Arc::clone(note);
            entry.next = None;
        }
    }

    /// The view of this name, and the one that is built to take its place.
    pub(super) fn find(&self, name: &Name) -> Option<(ViewHandle, Option<ViewHandle>)> {
        let entries = self.entries();
        let entry = entries.iter().find(|entry| entry.handle.name() == name)?;
        Some((entry.handle.clone(), entry.next.as_ref().map(|(handle, _)| handle.clone())))
    }

    /// What each view needs of the log: its name, and the offset of its last commit.
    pub(super) fn needs(&self) -> Vec<(Name, Offset)> {
        let entries = self.entries();
        let own = entries.iter().map(|entry| (&entry.handle, &entry.note));
        let next = entries.iter().filter_map(|entry| entry.next.as_ref().map(|(handle, note)| (handle, note)));
        let reads_log = |(handle, _): &(&ViewHandle, &Noted)| handle.plan().reads().is_none();
        let need =
            |(handle, note): (&ViewHandle, &Noted)| (handle.name().clone(), lock(note).checkpoint.unwrap_or_default());
        own.chain(next).filter(reads_log).map(need).collect()
    }

    /// Each view's status, on a stream that ends at `end`.
    pub(super) fn status(&self, end: Offset) -> Vec<(Name, ViewStatus)> {
        let entries = self.entries().clone();
        let one = |entry: &Entry| {
            let snapshot = entry.handle.snapshot();
            let note = lock(&entry.note);
            let plan = entry.handle.plan();
            let counts = snapshot.counts;
            let (rows, rows_are_all) = snapshot.rows();
            let values = snapshot.failed_values();
            let status = ViewStatus {
                stream: plan.stream().to_string(),
                reads: plan.reads().map(ToString::to_string),
                state: state(&note, snapshot.next_offset, end),
                offset: snapshot.next_offset,
                behind: end.since(snapshot.next_offset),
                watermark: snapshot.watermark,
                rows,
                rows_at_least: !rows_are_all,
                files: snapshot.result_files() as u64,
                open_bytes: snapshot.open_bytes as u64,
                late_corrected: counts.late,
                late_dropped: counts.late_dropped + counts.too_late,
                late_by: lakehead_query::LateBy::NAMES.into_iter().zip(counts.late_by.0).collect(),
                without_time: counts.without_time,
                failed_events: if plan.reads().is_some() { 0 } else { counts.failed },
                failed_values: values.count,
                failure: note.left_out.clone().or_else(|| values.told.into_iter().next()),
                checkpoint: note.checkpoint,
                failed: note.failed.clone(),
                set_aside: note.set_aside.clone(),
                failed_since: note.since,
                next: entry.next.as_ref().map(|(handle, note)| {
                    let (snapshot, note) = (handle.snapshot(), lock(note));
                    NextView {
                        state: state(&note, snapshot.next_offset, end),
                        offset: snapshot.next_offset,
                        waits: note.waits,
                        failed: note.failed.clone(),
                    }
                }),
            };
            (entry.handle.name().clone(), status)
        };
        entries.iter().map(one).collect()
    }
}

fn state(note: &Note, at: Offset, end: Offset) -> ViewState {
    match &note.build {
        _ if note.stands_still => ViewState::Failed,
        Some(build) => build.state(at, end),
        None => ViewState::Live,
    }
}
