//! The views of a stream as a status shows them: each with what is known of it, and with the one that is built to take its
//! place. A cutover changes it, on the views' own thread.

use std::sync::{Arc, Mutex};

use lakehead_model::{Name, Offset};
use lakehead_query::ViewHandle;

use super::note::{Note, SharedNote};
use crate::{
    status::{ShadowStatus, ViewState, ViewStatus},
    sync::lock,
};

/// The views of a stream. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Registry(Arc<Mutex<Vec<RegisteredView>>>);

#[derive(Clone)]
struct RegisteredView {
    handle: ViewHandle,
    note: SharedNote,
    shadow: Option<(ViewHandle, SharedNote)>,
}

impl Registry {
    /// Shows a view, in the place of one of its name.
    pub(super) fn add(&self, handle: ViewHandle, note: SharedNote) {
        let mut entries = lock(&self.0);
        entries.retain(|entry| entry.handle.name() != handle.name());
        entries.push(RegisteredView { handle, note, shadow: None });
    }

    /// Shows a view that is built to take the place of the one of its name.
    pub(super) fn add_shadow(&self, handle: ViewHandle, note: SharedNote) {
        let mut entries = lock(&self.0);
        if let Some(entry) = entries.iter_mut().find(|entry| entry.handle.name() == handle.name()) {
            entry.shadow = Some((handle, note));
        }
    }

    /// The one that was built has taken the place of `name`; it answers with the old one's handle.
    pub(super) fn swapped(&self, name: &Name, note: &SharedNote) {
        let mut entries = lock(&self.0);
        if let Some(entry) = entries.iter_mut().find(|entry| entry.handle.name() == name) {
            entry.note = Arc::clone(note);
            entry.shadow = None;
        }
    }

    /// The view of this name, and the one that is built to take its place.
    pub(super) fn find(&self, name: &Name) -> Option<(ViewHandle, Option<ViewHandle>)> {
        let entries = lock(&self.0);
        let entry = entries.iter().find(|entry| entry.handle.name() == name)?;
        Some((entry.handle.clone(), entry.shadow.as_ref().map(|(handle, _)| handle.clone())))
    }

    /// Each view's status, on a stream that ends at `end`.
    pub(super) fn status(&self, end: Offset) -> Vec<(Name, ViewStatus)> {
        let entries = lock(&self.0).clone();
        entries.iter().map(|entry| (entry.handle.name().clone(), entry.status(end))).collect()
    }
}

impl RegisteredView {
    fn status(&self, end: Offset) -> ViewStatus {
        let snapshot = self.handle.snapshot();
        let note = lock(&self.note);
        let plan = self.handle.plan();
        let counts = snapshot.counts;
        let (rows, rows_are_all) = snapshot.rows();
        let values = snapshot.failed_values();
        ViewStatus {
            stream: plan.stream().to_string(),
            reads: plan.upstream().map(ToString::to_string),
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
            failed_events: if plan.upstream().is_some() { 0 } else { counts.failed },
            failed_values: values.count,
            failure: note.left_out.clone().or_else(|| values.told.into_iter().next()),
            followers_overtaken: self.handle.claims().overtaken(),
            checkpoint: note.checkpoint,
            failed: note.failed.clone(),
            set_aside: note.quarantined.clone(),
            failed_since: note.since,
            next: self.shadow.as_ref().map(|(handle, note)| shadow_status(handle, &lock(note), end)),
        }
    }
}

fn shadow_status(handle: &ViewHandle, note: &Note, end: Offset) -> ShadowStatus {
    let offset = handle.snapshot().next_offset;
    ShadowStatus { state: state(note, offset, end), offset, waits: note.waits, failed: note.failed.clone() }
}

fn state(note: &Note, at: Offset, end: Offset) -> ViewState {
    match &note.build {
        _ if note.is_stopped => ViewState::Failed,
        Some(build) => build.state(at, end),
        None => ViewState::Live,
    }
}
