//! SQL that comes from outside: answered by worker processes, so that it can cost its client the answer and nothing else.
//!
//! ```text
//!   asked ──► waits for a quick place ──► a worker: parses, plans, runs ──► the answer, as fast as it is taken
//!                    │ too many, too long            │ more than its slice: goes on in a long place, or is held still
//!                    ▼                               ▼ until one is free; beyond a limit: killed
//!                 busy, come again                an error that says which limit, and what to do
//! ```
//!
//! What took long before waits for a long place at once (`familiar`). A worker is this program again. It begins with limits
//! on itself ([`child`]), is started when first asked, kept warm, and killed when a query takes too much or its client
//! leaves. What it reads is pinned by this side for as long as it reads. Why processes: [the decision](../../../../docs/decisions/0016-sql-from-outside-runs-in-a-worker-process.md).

mod answering;
mod attend;
mod bounds;
pub mod child;
mod error;
mod explain;
mod familiar;
mod launch;
mod places;
mod pool;
mod process;
mod workers;

pub use lakehead_query::worker::AnswerFormat;

pub use self::{
    answering::Answering,
    bounds::{ANSWER_BYTES_MAX, SQL_BYTES_MAX, TIME_MAX, WORKER_BYTES_MAX, WORKERS_BYTES_MAX},
    error::SqlError as Error,
    launch::Launch,
    pool::Tally,
    workers::Workers,
};
