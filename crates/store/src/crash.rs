//! Named points at which a test can end the process, as a power cut or SIGKILL would: between two steps, nothing tidied up.
//!
//! `cargo xtask torture` starts the very binary that users run with `LAKEHEAD_CRASH_AT=POINT:NTH`; the binary hands that to
//! [`arm`], and the NTH pass through that point is the process's last act. Not armed, a point costs one load; there is none
//! on the path of a single event.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

/// Every point there is, in the order in which an event meets them.
pub const POINTS: &[&str] = &[
    // A block: nothing of it is written; half of it; all of it; it is synced and nobody has been told.
    "write.before",
    "write.torn",
    "write.after",
    "sync.after",
    // The next segment's file is there and empty.
    "segment.created",
    // Sealing: the new file is written; synced; in the place of the old one; in the inventory.
    "seal.written",
    "seal.synced",
    "seal.renamed",
    "seal.recorded",
    // The inventory's new text is written and not yet in its place.
    "inventory.written",
    // Retention: the inventory no longer names the segment; its file is gone.
    "retain.recorded",
    "retain.removed",
    // A view's commit: its files are written; the new checkpoint is written; in its place; published to other programs.
    "checkpoint.files",
    "checkpoint.written",
    "checkpoint.renamed",
    "checkpoint.published",
    // A view takes the place of the one beside which it was built: all of it is committed; its checkpoint is in place.
    "view.swap",
    "view.swapped",
];

#[derive(Debug)]
struct Armed {
    point: &'static str,
    left: AtomicU64,
}

static ARMED: OnceLock<Armed> = OnceLock::new();

/// From now on the `nth` pass (1 is the next) through `point` ends the process. Only the first call counts.
///
/// # Errors
/// When there is no such point; the message names those that there are.
pub fn arm(point: &str, nth: u64) -> Result<(), String> {
    let Some(point) = POINTS.iter().find(|known| **known == point) else {
        return Err(format!("there is no point {point:?} to crash at; there are: {}", POINTS.join(", ")));
    };
    let _ = ARMED.set(Armed { point, left: AtomicU64::new(nth.max(1)) });
    Ok(())
}

/// Ends the process here if this pass through `point` is the one that was armed.
pub fn point(point: &'static str) {
    if due(point) {
        die();
    }
}

/// Whether this pass through `point` is the one that was armed; the caller leaves its mess and calls [`die`].
pub(crate) fn due(point: &'static str) -> bool {
    ARMED.get().is_some_and(|armed| armed.point == point && armed.left.fetch_sub(1, Ordering::Relaxed) == 1)
}

/// Ends the process without tidying anything up.
pub(crate) fn die() -> ! {
    // SIGKILL, which nothing can catch; should it be refused, an abort comes close.
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_point_is_refused_with_those_there_are() {
        let error = arm("seal.wirtten", 1).expect_err("misspelt");
        assert!(error.contains("seal.written"), "{error}");
    }

    #[test]
    fn a_point_that_is_not_armed_does_nothing() {
        point("write.before");
    }
}
