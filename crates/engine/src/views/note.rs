//! The note of a view: what its snapshot does not tell. Its last commit, the progress of its build, what is wrong. The view's
//! thread writes the note, a status reads it.

use std::{
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use lakehead_model::{Offset, Timestamp};
use lakehead_query::ViewHandle;

use super::progress::BuildProgress;
use crate::{claims::ClaimGuard, sync::lock};

/// What a view's snapshot does not tell. Its thread writes it, a status reads it.
#[derive(Default)]
pub(super) struct Note {
    /// The offset of its last commit.
    pub(super) checkpoint: Option<Offset>,
    /// Keeps what it needs of the log; a view over another needs none of it.
    claim: Option<ClaimGuard>,
    /// What is wrong.
    pub(super) failed: Option<String>,
    /// It goes no further.
    pub(super) is_stopped: bool,
    /// How its build goes, while it is built.
    pub(super) build: Option<BuildProgress>,
    /// It is built, and waits until somebody asks for its cutover.
    pub(super) waits: bool,
    /// Its quarantined results.
    pub(super) quarantined: Vec<String>,
    /// Since when it is stopped.
    pub(super) since: Option<Timestamp>,
    /// Why the last event that it has left out was.
    pub(super) left_out: Option<String>,
}

/// A note that is shared.
pub(super) type SharedNote = Arc<Mutex<Note>>;

impl Note {
    /// Of a view that was just opened: at `checkpoint`, where it reads the log by `claim`.
    pub(super) fn opened(read: Option<(Offset, ClaimGuard)>) -> SharedNote {
        // A view over another has files to make even when nothing comes, so it has no checkpoint at first.
        let (checkpoint, claim) = read.unzip();
        Arc::new(Mutex::new(Self { checkpoint, claim, ..Self::default() }))
    }

    /// The view has committed what is before `offset`.
    pub(super) fn committed(&mut self, offset: Offset) {
        self.checkpoint = Some(offset);
        if let Some(claim) = &self.claim {
            claim.advance(offset);
        }
    }

    /// The view goes no further; its last results can still be read. Answers whether it did until now.
    pub(super) fn stop(&mut self, view: &ViewHandle, why: &str) -> bool {
        if self.is_stopped {
            return false;
        }
        let since = now();
        view.mark_stopped(since, why);
        self.since = Some(since);
        self.is_stopped = true;
        self.failed = Some(why.to_owned());
        self.build = None;
        true
    }
}

/// Notes that a view is stopped when its thread is stopped by a defect: nobody else would.
pub(super) struct StopOnPanic(pub(super) SharedNote, pub(super) ViewHandle);

impl Drop for StopOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            lock(&self.0).stop(&self.1, "its thread was stopped by a defect; see the log");
        }
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
