//! What a query and its worker may take: bytes, memory, time.

use std::time::Duration;

/// The longest statement: a page of SQL has 4 KB, a list of some thousand values 64.
pub const SQL_BYTES_MAX: usize = 64 << 10;
/// What one query may take when nobody says otherwise: of processor time over all its threads, and by the clock from its
/// turn until its answer is there. Handing the answer over is not counted.
pub const TIME_MAX: Duration = Duration::from_secs(60);
/// Memory of one worker beside its program: twice what DataFusion accounts for, since functions and answers are not
/// accounted.
pub const WORKER_BYTES_MAX: u64 = 512 << 20;
/// Memory of all workers together: beyond it the largest is stopped.
pub const WORKERS_BYTES_MAX: u64 = 1 << 30;
/// Bytes of one answer: ten times what 100,000 events of a kilobyte have.
pub const ANSWER_BYTES_MAX: u64 = 1 << 30;
/// What a query may use before it counts as a long one: some times what one over views takes.
pub(super) const SLICE_CPU: Duration = Duration::from_millis(300);
/// The same by the clock, for queries that wait for something, as a slow disk.
pub(super) const SLICE_WALL: Duration = Duration::from_millis(1_500);
/// What a client may take to read its answer before its query counts as a long one.
pub(super) const SLICE_SENDING: Duration = Duration::from_millis(250);
/// One that has more memory than this after a query is not kept, so that a peak does not last.
pub(super) const WARM_BYTES_MAX: u64 = 96 << 20;
/// How long a client may take none of its answer at first, and how slowly it may take it after that, in bytes a second:
/// slower than any network over which one would ask.
pub(super) const TAKING_GRACE: Duration = Duration::from_secs(30);
pub(super) const TAKING_RATE: u64 = 64 << 10;

const _: () = assert!(SQL_BYTES_MAX < lakehead_query::worker::FRAME_BYTES_MAX / 8);
const _: () = assert!(WORKER_BYTES_MAX < WORKERS_BYTES_MAX);
