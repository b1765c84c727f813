//! Turns at long answers: so many are written at once, each as its client takes it, and nobody keeps a turn without reading.
//!
//! ```text
//!           asked for            written
//! Untaken ────────────▶ writing ─────────▶ Untaken      after the last piece, or when the client has left: free
//!    │ another waits, and nothing was asked for in UNTAKEN_MIN
//!    ▼
//!  lost: the answer breaks off
//! ```
//! A piece is written on a thread for work that blocks, once the one before has gone to the socket. So an answer holds one
//! piece and what it is made from, however long it is and however slowly it is read.

use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use axum::body::Bytes;
use futures::{Stream, stream};
use lakehead_query::Error;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
    time::timeout,
};

/// Answers that are written at once. Each may take a core, and the stream needs the machine too.
const TURNS_MAX: usize = 4;

/// How many wait for a turn, and how long, as queries do; what comes after is sent away. One that waits has a place, and no
/// other can have it.
const WAITING_MAX: usize = 32;
const WAITING_FOR: Duration = Duration::from_secs(10);

/// How often one that waits looks who does not read.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How long a client may leave a piece of 256 KiB before it loses its turn to one who waits: it reads 1 Mbit/s or less, and
/// what the system holds for it on the way is taken already.
const UNTAKEN_MIN: Duration = Duration::from_secs(2);

/// What an answer is made from: it is written a piece at a time, and may block.
pub(crate) type Pieces = Box<dyn Iterator<Item = Result<Vec<u8>, Error>> + Send>;

/// All turns.
pub(crate) struct Turns {
    free: Arc<Semaphore>,
    waiting: Semaphore,
    held: Mutex<Vec<Weak<Slot>>>,
}

/// The right to write an answer, until the answer ends or is dropped.
pub(crate) struct Turn {
    turns: Arc<Turns>,
    permit: OwnedSemaphorePermit,
}

/// An answer of which nothing is asked for right now. The place of it is empty while a piece is written, and for good once
/// another has got the turn.
struct Untaken {
    since: Instant,
    pieces: Pieces,
    permit: OwnedSemaphorePermit,
}

type Slot = Mutex<Option<Untaken>>;

impl Default for Turns {
    fn default() -> Self {
        Self { free: Arc::new(Semaphore::new(TURNS_MAX)), waiting: Semaphore::new(WAITING_MAX), held: Mutex::default() }
    }
}

impl Turns {
    /// A turn, for which one who does not read may lose his; `None` when none came in time or too many wait already.
    pub(crate) async fn take(self: &Arc<Self>) -> Option<Turn> {
        let _waiting = self.waiting.try_acquire().ok()?;
        let mut permit = pin!(Arc::clone(&self.free).acquire_owned());
        let begun = Instant::now();
        while begun.elapsed() < WAITING_FOR {
            match timeout(LOOK_EVERY, permit.as_mut()).await {
                Ok(permit) => return Some(Turn { turns: Arc::clone(self), permit: permit.ok()? }),
                Err(_) => self.slowest_loses(),
            }
        }
        None
    }

    /// Takes its turn from the client that has asked for nothing for the longest, if that is long enough.
    fn slowest_loses(&self) {
        let all: Vec<Arc<Slot>> = lock(&self.held).iter().filter_map(Weak::upgrade).collect();
        let since = |slot: &Arc<Slot>| lock(slot).as_ref().map(|untaken| untaken.since);
        let slowest = all.iter().filter_map(|slot| Some((since(slot)?, slot))).min_by_key(|(since, _)| *since);
        if let Some((_, slot)) = slowest {
            // As it is by now. What it was made from is dropped outside the lock: files may go with it.
            let lost = lock(slot).take_if(|untaken| untaken.since.elapsed() >= UNTAKEN_MIN);
            drop(lost);
        }
    }
}

impl Turn {
    /// The answer that `pieces` make. After an error it is over.
    pub(crate) fn write(self, pieces: Pieces) -> impl Stream<Item = Result<Bytes, Error>> + Send + 'static {
        let Self { turns, permit } = self;
        let slot = Arc::new(Mutex::new(Some(Untaken { since: Instant::now(), pieces, permit })));
        let mut held = lock(&turns.held);
        held.retain(|slot| slot.strong_count() > 0);
        held.push(Arc::downgrade(&slot));
        drop(held);
        stream::unfold(Some(slot), |slot| async {
            let slot = slot?;
            match next(&slot).await? {
                Ok(piece) => Some((Ok(piece), Some(slot))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }
}

async fn next(slot: &Slot) -> Option<Result<Bytes, Error>> {
    let untaken = lock(slot).take();
    let Some(Untaken { mut pieces, permit, .. }) = untaken else {
        let what = "the answer was not read, and others waited for its turn; ask again, and read faster";
        return Some(Err(Error::Limit(what.to_owned())));
    };
    match spawn_blocking(move || (pieces.next(), pieces, permit)).await {
        Ok((Some(Ok(piece)), pieces, permit)) => {
            *lock(slot) = Some(Untaken { since: Instant::now(), pieces, permit });
            Some(Ok(Bytes::from(piece)))
        }
        Ok((Some(Err(error)), ..)) => Some(Err(error)),
        Ok((None, ..)) => None,
        Err(error) => Some(Err(Error::Engine(error.to_string()))),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;

    fn endless() -> Pieces {
        Box::new(std::iter::repeat_with(|| Ok::<_, Error>(vec![b'x'; 8])))
    }

    #[tokio::test]
    async fn a_turn_ends_with_the_answer_whether_it_was_read_or_left() {
        let turns = Arc::new(Turns::default());
        let answer = |pieces| async { turns.take().await.expect("a turn").write(pieces) };
        let two: Pieces = Box::new(["a", "b"].map(|text| Ok::<_, Error>(text.as_bytes().to_vec())).into_iter());
        let whole = answer(two).await;
        let left = answer(endless()).await;
        assert_eq!(turns.free.available_permits(), TURNS_MAX - 2);
        let whole: Vec<_> = whole.map(|piece| piece.expect("written")).collect().await;
        assert_eq!(whole, ["a", "b"]);
        assert_eq!(turns.free.available_permits(), TURNS_MAX - 1);
        drop(left);
        assert_eq!(turns.free.available_permits(), TURNS_MAX);
    }

    #[tokio::test]
    async fn who_does_not_read_loses_its_turn_to_one_who_waits_and_who_reads_does_not() {
        let turns = Arc::new(Turns::default());
        let mut answers = Vec::new();
        for _ in 0..TURNS_MAX {
            let mut answer = Box::pin(turns.take().await.expect("a turn").write(endless()));
            assert!(answer.next().await.expect("a piece").is_ok());
            answers.push(answer);
        }
        turns.slowest_loses();
        assert_eq!(turns.free.available_permits(), 0, "all have just been asked for more");
        let long_ago = Instant::now().checked_sub(2 * UNTAKEN_MIN).expect("the machine runs longer");
        let slow = lock(&turns.held)[2].upgrade().expect("it is held");
        lock(&slow).as_mut().expect("nothing is asked for").since = long_ago;
        assert!(turns.take().await.is_some(), "a turn is free");
        assert!(answers[2].next().await.expect("it is told").is_err());
        assert!(answers[2].next().await.is_none());
        assert!(answers[0].next().await.expect("it goes on").is_ok());
    }
}
