//! A thread that yields: what is live goes first, a build takes what is left.

/// The niceness of a build's threads: beside a thread of the usual priority each gets a tenth of a core, and all of it
/// where nobody else wants it. (The weights are 110 and 1024: `sched_prio_to_weight` in Linux' kernel/sched/core.c.)
const NICE: i32 = 10;

/// From now on this thread yields to others. On Linux a thread has a priority of its own.
pub(super) fn lower() {
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "a view is built at the usual priority");
    }
}
