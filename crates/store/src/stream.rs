//! A stream: one log, its two threads, and the handles to it.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use lakehead_model::{Clock, Name, Offset, Timestamp};
use tokio::sync::{oneshot, watch};

use crate::{
    Appender, Error, Head, IdempotencyKey, Loss, Only, Options, Reader, SegmentFile, Stats, Walks,
    commit::{self, Commit},
    evidence,
    files::{Access, Files},
    inventory,
    layout::Layout,
    published::Published,
    queue::Queue,
    reader::Held,
    recovery,
    segment::{Place, Segment},
    store::NoClock,
    writer::{Command, Writer},
};

/// Whether a stream can be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// The last write was committed, or none was tried yet.
    #[default]
    Ok,
    /// The last write failed, with what failed and what to do. Every later append is a new try; it goes on by itself.
    CannotWrite(Arc<str>),
}

/// One stream of a store. Cheap to clone; all clones are the same stream.
#[derive(Clone, Debug)]
pub struct Stream {
    pub(crate) inner: Arc<Inner>,
}

/// What the handles and the threads share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) name: Name,
    pub(crate) files: Arc<dyn Files>,
    pub(crate) layout: Layout,
    pub(crate) options: Options,
    pub(crate) clock: Arc<dyn Clock>,
    /// The way in; none when opened for reading only.
    queue: Option<Queue<Command>>,
    pub(crate) commit: Commit,
    published: Mutex<Published>,
    pub(crate) committed: watch::Sender<Offset>,
    pub(crate) health: watch::Sender<Health>,
    /// How many writes have failed. What was handed over before the last of them is refused.
    failures: AtomicU64,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// The readers that are open, each for as long as it is.
    held: Mutex<Vec<Weak<Held>>>,
    /// Held by whoever seals, removes or compares: one at a time.
    pub(crate) upkeep: Mutex<()>,
    quarantined: Vec<PathBuf>,
    /// What is noted as lost.
    losses: Mutex<Vec<Loss>>,
    /// Whether opening has found that the log ends before where it once ended, and has raised the epoch.
    epoch_rises: bool,
    /// For a stream that is read as another process told it: what was found in its last segment before.
    walks: Option<Walks>,
}

/// Closes the queue and the commit when the writer ends, also by a panic, so that nobody waits for ever.
struct WriterEnds(Arc<Inner>);

impl Drop for WriterEnds {
    fn drop(&mut self) {
        if let Some(queue) = &self.0.queue {
            queue.close();
            // After a panic what is left gets no answer; dropping it tells those who wait that the stream is closed.
            while let crate::queue::Taken::Next(left) = queue.take(None) {
                drop(left);
            }
        }
        self.0.commit.close();
    }
}

impl Stream {
    pub(crate) fn open(
        files: Arc<dyn Files>,
        layout: Layout,
        name: Name,
        options: Options,
        clock: Arc<dyn Clock>,
        access: Access,
    ) -> Result<Self, Error> {
        let mut recovered = recovery::open(&*files, &layout, &name, access)?;
        let mut losses = Vec::new();
        let (mut is_new, mut epoch_rises) = (false, false);
        match &recovered.inventory {
            inventory::Found::Whole(inventory) => {
                let standing = recovered.standing();
                let now = if access == Access::Write { clock.now() } else { Timestamp(0) };
                let lost = evidence::lost(inventory, &standing, now);
                for loss in &lost {
                    tracing::error!(stream = %name, from = %loss.from, to = %loss.to, evidence = %loss.evidence,
                        "events that were committed are gone; `lakehead fsck` says what there is");
                }
                is_new = !lost.is_empty();
                // Events beyond the end were seen outside, and their offsets will be given to others.
                epoch_rises = access == Access::Write && lost.iter().any(|loss| loss.from >= standing.end.offset);
                losses.clone_from(&inventory.lost);
                evidence::note(&mut losses, lost);
            }
            inventory::Found::Damaged => {
                tracing::warn!(stream = %name, "the inventory is not as it was written; it is made anew from the files");
            }
            inventory::Found::Nothing => {}
        }
        recovered.mark.epoch += u64::from(epoch_rises);
        let published = Published::new(&recovered, options.tail_bytes.0);
        let mark = recovered.mark.clone();
        let queue = (access == Access::Write).then(|| Queue::new(options.queue_bytes.0));
        let inner = Arc::new(Inner {
            files,
            layout,
            clock,
            queue,
            commit: Commit::default(),
            committed: watch::Sender::new(published.mark.next_offset),
            published: Mutex::new(published),
            health: watch::Sender::default(),
            failures: AtomicU64::new(0),
            threads: Mutex::default(),
            held: Mutex::default(),
            upkeep: Mutex::default(),
            quarantined: std::mem::take(&mut recovered.quarantined),
            losses: Mutex::new(losses),
            epoch_rises,
            walks: None,
            options,
            name,
        });
        if access == Access::Write {
            if is_new {
                // Before anything is written: what comes next would hide it.
                inner.record()?;
            }
            let folder = inner.layout.stream(&inner.name);
            inner.files.create_folders(&folder).map_err(Error::io("create", &folder))?;
            let writer = Writer::new(Arc::clone(&inner), mark, recovered.last.take(), epoch_rises)?;
            let guard = WriterEnds(Arc::clone(&inner));
            let syncing = Arc::clone(&inner);
            let threads = [
                spawn(&inner, "write", move || {
                    let _guard = guard;
                    writer.run();
                })?,
                spawn(&inner, "sync", move || commit::run(&syncing))?,
            ];
            inner.threads().extend(threads);
        }
        Ok(Self { inner })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.inner.name
    }

    /// A new way to append. One for each opening of a source: see [`Appender`].
    #[must_use]
    pub fn appender(&self) -> Appender {
        Appender::new(Arc::clone(&self.inner))
    }

    /// Where it begins and ends and where its sources stand, as committed.
    #[must_use]
    pub fn head(&self) -> Head {
        self.inner.published().head()
    }

    /// The last idempotency keys, oldest first: those of this process and of the last two segments before it, at most 65,536.
    #[must_use]
    pub fn recent_keys(&self) -> Vec<IdempotencyKey> {
        self.inner.published().keys.iter().cloned().collect()
    }

    /// The offset after the last committed event; notifies at every commit, also of blocks without events.
    #[must_use]
    pub fn committed(&self) -> watch::Receiver<Offset> {
        self.inner.committed.subscribe()
    }

    /// A reader that begins with the event at `from`.
    #[must_use]
    pub fn reader(&self, from: Offset) -> Reader {
        self.reader_for("a reader", from)
    }

    /// As [`reader`](Self::reader); `by` says for whom, where retention has to wait for it.
    #[must_use]
    pub fn reader_for(&self, by: &str, from: Offset) -> Reader {
        Reader::new(Arc::clone(&self.inner), from, by.to_owned())
    }

    /// The offsets `[from, to)` between which everything lies that `only` may want, as far as is known without reading.
    #[must_use]
    pub fn narrow(&self, only: &Only) -> (Offset, Offset) {
        self.inner.published().narrow(only)
    }

    /// Lets go of the memory of blocks that came longer ago than anybody who follows the stream needs. The next block does the
    /// same; this is for a stream that stands still after a burst.
    pub fn forget_old(&self) {
        let now = self.inner.clock.now();
        self.inner.published().let_go(now);
    }

    /// How much it holds.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.inner.published().stats()
    }

    /// Its files, in order, as committed.
    #[must_use]
    pub fn segments(&self) -> Vec<SegmentFile> {
        self.inner.published().segment_files()
    }

    /// The received time of the first event that is kept, when the log does not begin with its first event any more, as
    /// far as that is known without reading.
    #[must_use]
    pub fn kept_since(&self) -> Option<Timestamp> {
        self.inner.published().kept_since()
    }

    /// Whether more than half of what may be on its way into the stream is: whoever can wait, should.
    #[must_use]
    pub fn has_backlog(&self) -> bool {
        self.inner.queue.as_ref().is_some_and(Queue::is_half_full)
    }

    /// Whether it can be written.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.inner.health.subscribe()
    }

    /// Looks whether the last segment is still where it was written, and makes that known as its [`health`](Self::health) when
    /// it is not: somebody has removed or moved it. Does I/O.
    pub fn look_after(&self) {
        let inner = &self.inner;
        let Some(last) = inner.published().segment_files().pop().filter(|_| inner.queue.is_some()) else { return };
        if let Err(error) = inner.files.open(&last.path, Access::Read)
            && error.kind() == std::io::ErrorKind::NotFound
        {
            inner.failed(&format!("cannot write {}: {}", last.path.display(), commit::gone()));
        }
    }

    /// What was committed once and is gone, as far as something still names it. A repair takes note of it.
    #[must_use]
    pub fn losses(&self) -> Vec<Loss> {
        self.inner.losses().clone()
    }

    /// Whether opening has found that the log ends before where it once ended: its epoch has risen then.
    #[must_use]
    pub fn has_lost_its_end(&self) -> bool {
        self.inner.epoch_rises
    }

    /// What opening cut from the end of the log, since it was never committed, and where it is now.
    #[must_use]
    pub fn quarantined(&self) -> &[PathBuf] {
        &self.inner.quarantined
    }

    /// Begins the next epoch, durably, and returns it: for when a checkpoint or a client names an offset beyond the end.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be written, `Closed`, or `Invalid` when opened for reading only.
    pub async fn raise_epoch(&self) -> Result<u64, Error> {
        let closed = || Error::Closed { stream: self.inner.name.clone() };
        let (answer, receiver) = oneshot::channel();
        self.inner.queue()?.push(Command::RaiseEpoch(answer)).map_err(|_| closed())?;
        receiver.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Gives back the cursors of `sources`, durably: from now on no footer repeats them. For sources that are done; whoever
    /// asks later where they stood must have noted it elsewhere before. Those that have none are passed over.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be written, `Closed`, or `Invalid` when opened for reading only.
    pub async fn drop_cursors(&self, sources: Vec<Name>) -> Result<(), Error> {
        let closed = || Error::Closed { stream: self.inner.name.clone() };
        let (answer, receiver) = oneshot::channel();
        self.inner.queue()?.push(Command::DropCursors(sources, answer)).map_err(|_| closed())?;
        receiver.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Commits all that was handed over, marks the end as clean and ends the threads. Blocks. Appends after this are refused.
    ///
    /// # Errors
    /// `Internal` when one of the threads has panicked.
    pub(crate) fn close(&self) -> Result<(), Error> {
        let Some(queue) = &self.inner.queue else { return Ok(()) };
        queue.close();
        let threads = std::mem::take(&mut *self.inner.threads());
        let mut panicked = false;
        for thread in threads {
            panicked |= thread.join().is_err();
        }
        if let Err(error) = self.inner.record() {
            tracing::warn!(stream = %self.inner.name, %error, "could not write the inventory; the next start does without");
        }
        if panicked {
            return Err(Error::Internal(format!("a thread of stream {} has panicked", self.inner.name)));
        }
        Ok(())
    }
}

fn spawn(inner: &Inner, what: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    thread::Builder::new()
        .name(format!("{what} {}", inner.name))
        .spawn(run)
        .map_err(Error::io("start a thread for", &inner.layout.stream(&inner.name)))
}

impl Inner {
    /// A stream as another process told it, for reading.
    pub(crate) fn pinned(
        files: Arc<dyn Files>,
        layout: Layout,
        name: Name,
        published: Published,
        walks: Walks,
    ) -> Self {
        Self {
            files,
            layout,
            clock: Arc::new(NoClock),
            queue: None,
            commit: Commit::default(),
            committed: watch::Sender::new(published.mark.next_offset),
            published: Mutex::new(published),
            health: watch::Sender::default(),
            failures: AtomicU64::new(0),
            threads: Mutex::default(),
            held: Mutex::default(),
            upkeep: Mutex::default(),
            quarantined: Vec::new(),
            losses: Mutex::default(),
            epoch_rises: false,
            walks: Some(walks),
            options: Options::default(),
            name,
        }
    }

    /// The blocks of a segment that is not sealed, those that end at or before byte `end`.
    pub(crate) fn places(&self, segment: &Segment, end: u64) -> Result<Vec<Place>, Error> {
        let is_last = || self.published().segments().last().is_some_and(|last| last.at == segment.at);
        match &self.walks {
            Some(walks) if is_last() => walks.places(&self.name, segment, end),
            _ => Ok(segment.walk(end)?.places),
        }
    }

    // A panic under this lock can only come from a defect; what is published before it is still true.
    pub(crate) fn published(&self) -> MutexGuard<'_, Published> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn held(&self) -> MutexGuard<'_, Vec<Weak<Held>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn losses(&self) -> MutexGuard<'_, Vec<Loss>> {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an open reader.
    pub(crate) fn hold(&self, held: &Arc<Held>) {
        let mut all = self.held();
        all.retain(|held| held.strong_count() > 0);
        all.push(Arc::downgrade(held));
    }

    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn queue(&self) -> Result<&Queue<Command>, Error> {
        self.queue.as_ref().ok_or_else(|| Error::ReadOnly { dir: self.layout.root().to_owned() })
    }

    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Acquire)
    }

    /// Notes a failed write: from here on nothing that was handed over before is kept.
    pub(crate) fn failed(&self, what: &str) {
        // Said once: while a disk is full every try fails, several in a second.
        if self.health.send_replace(Health::CannotWrite(what.into())) == Health::Ok {
            tracing::warn!(stream = %self.name, what, "cannot write; what is not committed is refused, until it can again");
        }
        self.failures.fetch_add(1, Ordering::AcqRel);
    }

    /// The error for everything that a failed write took with it.
    pub(crate) fn cannot_write(&self) -> Error {
        let reason = match &*self.health.borrow() {
            Health::CannotWrite(reason) => Arc::clone(reason),
            Health::Ok => "a write before this one failed; begin again from the stream's cursor".into(),
        };
        Error::CannotWrite { stream: self.name.clone(), reason }
    }
}

/// The streams that a store has opened.
pub(crate) type Streams = Mutex<BTreeMap<Name, Stream>>;
