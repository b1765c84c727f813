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

mod attend;
pub mod child;
mod explain;
mod familiar;
mod process;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use lakehead_model::{Kind, Name};
use lakehead_query::{
    Lake, Limits, Snapshot,
    worker::{Failure, Head, Mends, Query},
};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::{Instant, timeout},
};

pub use lakehead_query::worker::Form;

use self::{attend::Place, familiar::Familiar, process::Process};
use crate::engine::lock;

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
/// Queries at once that have not shown yet whether they take long.
const QUICK_MAX: usize = 2;
/// Queries at once that take long, beside the quick ones.
const LONG_MAX: usize = 3;
/// Queries that take long and are held still until a place is free, each with its memory; what comes after is sent away.
const HELD_MAX: usize = 4;
/// How long one is held still at most.
const HELD_FOR: Duration = Duration::from_secs(30);
/// What a query may use before it counts as a long one: some times what one over views takes.
const SLICE_CPU: Duration = Duration::from_millis(300);
/// The same by the clock, for queries that wait for something, as a slow disk.
const SLICE_WALL: Duration = Duration::from_millis(1_500);
/// What a client may take to read its answer before its query counts as a long one.
const SLICE_SENDING: Duration = Duration::from_millis(250);
/// Queries that wait for a place; what comes after is sent away.
const WAITING_MAX: usize = 32;
/// How long one waits for a place.
const WAITING_FOR: Duration = Duration::from_secs(10);
/// Workers that are kept warm.
const WARM_MAX: usize = 2;
/// How long one is kept warm with nothing to do.
const WARM_FOR: Duration = Duration::from_secs(300);
/// One that has more memory than this after a query is not kept, so that a peak does not last.
const WARM_BYTES_MAX: u64 = 96 << 20;
/// Pieces of an answer, of 64 KiB each, between a worker and its client: what a client that does not read costs here.
const PIECES_AHEAD: usize = 4;
/// How long a client may take none of its answer at first, and how slowly it may take it after that, in bytes a second:
/// slower than any network over which one would ask.
const TAKING_GRACE: Duration = Duration::from_secs(30);
const TAKING_RATE: u64 = 64 << 10;

const _: () = assert!(SQL_BYTES_MAX < lakehead_query::worker::FRAME_BYTES_MAX / 8);
const _: () = assert!(WORKER_BYTES_MAX < WORKERS_BYTES_MAX);

/// Why a query was not answered.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The SQL is wrong.
    #[error("{0}")]
    Sql(String),
    /// It took more than it may.
    #[error("{0}")]
    Limit(String),
    /// There is no room for it now; the same query may be answered a little later.
    #[error("{0}")]
    Busy(String),
    /// Something failed that is no fault of the SQL.
    #[error("{0}")]
    Failed(String),
}

impl Error {
    /// What the caller does next.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Sql(_) | Self::Limit(_) => Kind::Invalid,
            Self::Busy(_) => Kind::Unavailable,
            Self::Failed(_) => Kind::Internal,
        }
    }
}

impl From<lakehead_query::Error> for Error {
    fn from(error: lakehead_query::Error) -> Self {
        Failure::from(error).into()
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure.mends {
            Mends::Sql => Self::Sql(failure.what),
            Mends::Limit => Self::Limit(failure.what),
            Mends::Nobody => Self::Failed(failure.what),
        }
    }
}

/// How a worker is started.
#[derive(Clone, Debug)]
pub enum Launch {
    /// As a process: this program, with these words.
    Process {
        /// The program.
        program: PathBuf,
        /// Its words.
        words: Vec<String>,
    },
    /// As a thread of this process, without any limit: for tests that have no such program.
    Thread,
}

impl Launch {
    /// This very program, with `words`; also when another one lies in its place by now.
    ///
    /// # Errors
    /// When the system does not say what this program is.
    pub fn this_program(words: &[&str]) -> std::io::Result<Self> {
        let own = Path::new("/proc/self/exe");
        let program = if own.exists() { own.to_owned() } else { std::env::current_exe()? };
        Ok(Self::Process { program, words: words.iter().map(|word| (*word).to_owned()).collect() })
    }
}

/// Answers SQL over a lake by workers. Cheap to clone; all clones share the workers.
#[derive(Clone)]
pub struct Workers {
    inner: Arc<Inner>,
}

struct Inner {
    lake: Lake,
    launch: Launch,
    limits: Limits,
    /// Processor time, and time by the clock, of one query.
    time_max: Duration,
    warm: Mutex<Vec<(Instant, Process)>>,
    waiting: Semaphore,
    quick: Arc<Semaphore>,
    long: Arc<Semaphore>,
    held: Semaphore,
    /// Those that wait for a long place without having begun.
    waiting_long: Semaphore,
    familiar: Familiar,
    /// Memory of each worker that is at work, by its process id.
    sizes: Mutex<std::collections::BTreeMap<u32, u64>>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    answered: AtomicU64,
    refused: AtomicU64,
    busy: AtomicU64,
    stopped: AtomicU64,
}

/// What became of the queries since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Those that were answered whole.
    pub answered: u64,
    /// Those whose SQL was wrong.
    pub refused: u64,
    /// Those that were sent away since there was no room.
    pub busy: u64,
    /// Those that were stopped: at a limit, by a defect, or since the client left.
    pub stopped: u64,
    /// Memory of the workers that are at work, in bytes.
    pub bytes: u64,
}

/// An answer that comes bit by bit. Dropping it stops its query.
#[derive(Debug)]
pub struct Answering {
    /// What is known before the first byte.
    pub head: Head,
    pieces: mpsc::Receiver<Bytes>,
    ended: Arc<Ended>,
}

/// How an answer ended.
#[derive(Debug, Default)]
struct Ended {
    whole: AtomicBool,
    why: Mutex<Option<Error>>,
}

impl Answering {
    /// The next bytes; `None` after the last.
    ///
    /// # Errors
    /// When the answer breaks off: what came before is only a part of it.
    pub async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        if let Some(piece) = self.pieces.recv().await {
            return Some(Ok(piece));
        }
        if self.ended.whole.load(Ordering::Acquire) {
            return None;
        }
        let why = lock(&self.ended.why).clone();
        Some(Err(why.unwrap_or_else(|| Error::Failed("the answer broke off".to_owned()))))
    }

    /// All of it, of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// When it breaks off, or is larger.
    pub async fn whole(&mut self, bytes_max: usize) -> Result<Vec<u8>, Error> {
        let mut whole = Vec::new();
        while let Some(piece) = self.next().await {
            whole.extend_from_slice(&piece?);
            if whole.len() > bytes_max {
                return Err(Error::Limit(format!("the answer has more than {bytes_max} bytes; ask for less")));
            }
        }
        Ok(whole)
    }
}

impl Workers {
    /// Workers that answer from `lake`. None is started yet. `time_max` is what one query may take of processor time, and
    /// by the clock until its answer is there: [`TIME_MAX`] unless somebody says otherwise.
    #[must_use]
    pub fn new(lake: Lake, launch: Launch, time_max: Duration) -> Self {
        let inner = Inner {
            lake,
            launch,
            time_max,
            limits: Limits { threads: child::threads(), ..Limits::default() },
            warm: Mutex::default(),
            waiting: Semaphore::new(WAITING_MAX),
            quick: Arc::new(Semaphore::new(QUICK_MAX)),
            long: Arc::new(Semaphore::new(LONG_MAX)),
            held: Semaphore::new(HELD_MAX),
            waiting_long: Semaphore::new(WAITING_MAX),
            familiar: Familiar::default(),
            sizes: Mutex::default(),
            counts: Counts::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Answers `sql`, written in `form`. Returns when all rows are there and their first bytes can be had.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn answer(&self, sql: &str, form: Form) -> Result<Answering, Error> {
        let limits = self.inner.limits;
        let query = Query { sql: sql.to_owned(), form, rows: limits.rows, threads: limits.threads, part: None };
        self.ask(query, Vec::new()).await
    }

    /// What became of the queries since the start.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let Counts { answered, refused, busy, stopped } = &self.inner.counts;
        let [answered, refused, busy, stopped] =
            [answered, refused, busy, stopped].map(|count| count.load(Ordering::Relaxed));
        Tally { answered, refused, busy, stopped, bytes: lock(&self.inner.sizes).values().sum() }
    }

    async fn ask(&self, query: Query, given: Vec<(Name, Arc<Snapshot>)>) -> Result<Answering, Error> {
        let answer = self.try_ask(query, given).await;
        let counts = &self.inner.counts;
        let count = match &answer {
            // Counted when its last byte is taken.
            Ok(_) => return answer,
            Err(Error::Sql(_)) => &counts.refused,
            Err(Error::Busy(_)) => &counts.busy,
            Err(Error::Limit(_) | Error::Failed(_)) => &counts.stopped,
        };
        count.fetch_add(1, Ordering::Relaxed);
        answer
    }

    async fn try_ask(&self, query: Query, given: Vec<(Name, Arc<Snapshot>)>) -> Result<Answering, Error> {
        if query.sql.len() > SQL_BYTES_MAX {
            return Err(Error::Limit(format!(
                "the statement has {} bytes and may have {SQL_BYTES_MAX}; put long lists into a stream and join with it",
                query.sql.len()
            )));
        }
        let text = self.inner.familiar.text(&query.sql);
        let mut place = self.inner.place(self.inner.familiar.is_long(text)).await?;
        // Of twenty that came at once, the first has shown meanwhile what the others will take.
        if !place.is_long() && self.inner.familiar.is_long(text) {
            drop(place);
            place = self.inner.place(true).await?;
        }
        let process = self.inner.worker().map_err(|error| {
            Error::Failed(format!(
                "a worker for the query could not be started: {error}; ask again when the machine has room"
            ))
        })?;
        let (tell_head, head) = oneshot::channel();
        let (tell_pieces, pieces) = mpsc::channel(PIECES_AHEAD);
        let ended = Arc::new(Ended::default());
        let told = attend::Told { head: Some(tell_head), pieces: tell_pieces, ended: Arc::clone(&ended) };
        tokio::spawn(attend::attend(Arc::clone(&self.inner), process, (place, text), query, given, told));
        let head = head.await.unwrap_or_else(|_| Err(Error::Failed("the query was given up".to_owned())))?;
        Ok(Answering { head, pieces, ended })
    }
}

impl Inner {
    /// Waits for a place: a quick one, or a long one for what is known to take long.
    async fn place(&self, is_long: bool) -> Result<Place, Error> {
        let full = || {
            Error::Busy(if is_long {
                attend::BUSY_LONG.to_owned()
            } else {
                "other queries have been waiting for too long; ask again in some seconds, or make a view of what is asked \
                 often"
                    .to_owned()
            })
        };
        let (waiting, places, time) = if is_long {
            (&self.waiting_long, &self.long, HELD_FOR)
        } else {
            (&self.waiting, &self.quick, WAITING_FOR)
        };
        let _waiting = waiting.try_acquire().map_err(|_| full())?;
        let permit = timeout(time, Arc::clone(places).acquire_owned()).await;
        Ok(Place::new(permit.ok().and_then(Result::ok).ok_or_else(full)?, is_long))
    }

    /// A worker: a warm one, or else a new one.
    fn worker(&self) -> std::io::Result<Process> {
        loop {
            let warm = lock(&self.warm).pop();
            let Some((_, mut process)) = warm else { return Process::start(&self.launch) };
            if process.is_well() {
                return Ok(process);
            }
            // It ended while it had nothing to do: somebody killed it, or the system did. The next one may be well.
        }
    }

    /// Keeps a worker warm.
    fn keep(self: &Arc<Self>, process: Process) {
        {
            let mut warm = lock(&self.warm);
            if warm.len() >= WARM_MAX {
                return;
            }
            warm.push((Instant::now(), process));
        }
        let weak = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(WARM_FOR + Duration::from_secs(1)).await;
            if let Some(inner) = weak.upgrade() {
                lock(&inner.warm).retain(|(since, _)| since.elapsed() < WARM_FOR);
            }
        });
    }
}
