//! A stream: one log, and the handle to its read side, its write side and its maintenance.

use std::{path::PathBuf, sync::Arc};

use lakehead_model::{Clock, Name, Offset, Timestamp};
use tokio::sync::{oneshot, watch};

use crate::{
    disk::{
        files::{Access, Files},
        layout::Layout,
        log_files::LogFiles,
    },
    error::{Error, segment_gone},
    format::key::IdempotencyKey,
    maintain::{
        maintenance::Maintenance,
        retention::{ExpiredSegment, Retention, RetentionPlan},
        seal::{SealProgress, SealedSegment},
    },
    no_clock::NoClock,
    options::Options,
    read::{
        block_cache::BlockCache,
        block_filter::BlockFilter,
        claims::Claim,
        log_head::{LogHead, SegmentFile, Stats},
        pinned::{PinGuard, Pinned},
        published::Published,
        read_side::ReadSide,
        reader::Reader,
    },
    recover::{
        evidence,
        inventory::InventoryFile,
        loss::{self, Loss},
        recovery::{self, Recovered},
    },
    write::{
        appender::Appender,
        command::Command,
        health::{Health, WriteHealth},
        threads::WriteThreads,
        write_side::WriteSide,
        writer::Writer,
    },
};

/// One stream of a store. Cheap to clone; all clones are the same stream.
#[derive(Clone, Debug)]
pub struct Stream {
    pub(crate) inner: Arc<Inner>,
}

/// What the handles of one stream share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) read: Arc<ReadSide>,
    /// None when opened for reading only.
    write: Option<Writing>,
    health: Arc<WriteHealth>,
    maintenance: Maintenance,
    clock: Arc<dyn Clock>,
    quarantined: Vec<PathBuf>,
    /// Whether opening has found that the log ends before where it once ended, and has raised the epoch.
    epoch_rises: bool,
}

/// The write side, and the threads that run on it.
#[derive(Debug)]
struct Writing {
    side: Arc<WriteSide>,
    threads: WriteThreads,
}

/// What the inventory proves to be lost when a stream is opened.
#[derive(Default)]
struct LossesFound {
    /// All that is noted, what is new included.
    noted: Vec<Loss>,
    is_new: bool,
    /// Whether events beyond the end were seen outside: their offsets will be given to others.
    is_end_lost: bool,
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
        let log = LogFiles { name, files, layout };
        let mut recovered = recovery::open(&log, access)?;
        let now = || if access == Access::Write { clock.now() } else { Timestamp(0) };
        let LossesFound { noted, is_new, is_end_lost } = losses(&log.name, &recovered, now);
        let epoch_rises = access == Access::Write && is_end_lost;
        recovered.log_end.epoch += u64::from(epoch_rises);
        let read = Arc::new(ReadSide::new(log, Published::new(&recovered, options.tail_bytes.0)));
        let health = Arc::new(WriteHealth::new(read.log.name.clone()));
        let maintenance = Maintenance::new(Arc::clone(&read), options.clone(), Arc::clone(&clock), access, noted);
        let quarantined = std::mem::take(&mut recovered.quarantined);
        let write = match access {
            Access::Read => None,
            Access::Write => {
                if is_new {
                    // Before anything is written: what comes next would hide it.
                    maintenance.record()?;
                }
                let side = WriteSide::new(Arc::clone(&read), options, Arc::clone(&clock), Arc::clone(&health));
                Some(Writing::start(side, recovered, epoch_rises)?)
            }
        };
        Ok(Self { inner: Arc::new(Inner { read, write, health, maintenance, clock, quarantined, epoch_rises }) })
    }

    /// A stream as another process told it, for reading.
    fn pinned(read: ReadSide) -> Self {
        let (read, clock): (_, Arc<dyn Clock>) = (Arc::new(read), Arc::new(NoClock));
        let health = Arc::new(WriteHealth::new(read.log.name.clone()));
        let maintenance =
            Maintenance::new(Arc::clone(&read), Options::default(), Arc::clone(&clock), Access::Read, Vec::new());
        let (quarantined, epoch_rises) = (Vec::new(), false);
        Self { inner: Arc::new(Inner { read, write: None, health, maintenance, clock, quarantined, epoch_rises }) }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.inner.read.log.name
    }

    /// A new way to append. One for each opening of a source: see [`Appender`].
    #[must_use]
    pub fn appender(&self) -> Appender {
        Appender::new(self.inner.write_side().cloned())
    }

    /// Where it begins and ends and where its sources stand, as committed.
    #[must_use]
    pub fn head(&self) -> LogHead {
        self.inner.read.published().head()
    }

    /// The last idempotency keys, oldest first: those of this process and of the last two segments before it, at most 65,536.
    #[must_use]
    pub fn recent_keys(&self) -> Vec<IdempotencyKey> {
        self.inner.read.published().keys.iter().cloned().collect()
    }

    /// The offset after the last committed event; notifies at every commit, also of blocks without events.
    #[must_use]
    pub fn committed(&self) -> watch::Receiver<Offset> {
        self.inner.read.committed.subscribe()
    }

    /// A reader that begins with the event at `from`.
    #[must_use]
    pub fn reader(&self, from: Offset) -> Reader {
        self.reader_as("a reader", from)
    }

    /// As [`reader`](Self::reader), under the name `by`, which is shown where retention has to wait for it.
    #[must_use]
    pub fn reader_as(&self, by: &str, from: Offset) -> Reader {
        self.reader_of(Claim::new(by, from))
    }

    /// A reader that begins where `claim` does and holds up retention as that says.
    #[must_use]
    pub fn reader_of(&self, claim: Claim) -> Reader {
        Reader::new(Arc::clone(&self.inner.read), claim)
    }

    /// The bounds `[from, to)` of the offsets that `block_filter` may admit, as far as is known without reading.
    #[must_use]
    pub fn bounds_for(&self, block_filter: &BlockFilter) -> (Offset, Offset) {
        self.inner.read.published().bounds_for(block_filter)
    }

    /// Drops the old part of the tail in memory: blocks older than any follower of the stream needs. The next block does the
    /// same; this is for a stream that is quiet after a burst.
    pub fn drop_old_tail(&self) {
        let now = self.inner.clock.now();
        self.inner.read.published().let_go(now);
    }

    /// How much it holds.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.inner.read.published().stats()
    }

    /// Its files, in order, as committed.
    #[must_use]
    pub fn segments(&self) -> Vec<SegmentFile> {
        self.inner.read.published().segment_files()
    }

    /// The received time of the first event that retention has left, when the log does not begin with its first event any
    /// more, as far as that is known without reading.
    #[must_use]
    pub fn retained_since(&self) -> Option<Timestamp> {
        self.inner.read.published().retained_since()
    }

    /// Whether more than half of what may be on its way into the stream is: whoever can wait, should.
    #[must_use]
    pub fn has_backlog(&self) -> bool {
        self.inner.write.as_ref().is_some_and(|write| write.side.queue.is_half_full())
    }

    /// Whether it can be written.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.inner.health.subscribe()
    }

    /// Checks that the last segment is still where it was written, and reports in [`health`](Self::health) when somebody has
    /// removed or moved it. Does I/O.
    pub fn check_last_segment(&self) {
        let Inner { read, write, health, .. } = &*self.inner;
        let Some(last) = read.published().segment_files().pop().filter(|_| write.is_some()) else { return };
        if let Err(error) = read.log.files.open(&last.path, Access::Read)
            && error.kind() == std::io::ErrorKind::NotFound
        {
            health.failed(&format!("cannot write {}: {}", last.path.display(), segment_gone()));
        }
    }

    /// What was committed once and is gone, as far as something still names it. A repair takes note of it.
    #[must_use]
    pub fn losses(&self) -> Vec<Loss> {
        self.inner.maintenance.losses().clone()
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
        self.inner.ask(Command::RaiseEpoch).await
    }

    /// Gives back the cursors of `sources`, durably: from now on no footer repeats them. For sources that are done; whoever
    /// asks later where they stood must have noted it elsewhere before. Those that have none are passed over.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be written, `Closed`, or `Invalid` when opened for reading only.
    pub async fn drop_cursors(&self, sources: Vec<Name>) -> Result<(), Error> {
        self.inner.ask(|answer| Command::DropCursors(sources, answer)).await
    }

    /// Seals the oldest finished segment that is not sealed, and answers which; `None` when there is none, or
    /// `progress` said stop. Blocks, and takes a while: about 90 MB of events a second at level 9.
    ///
    /// # Errors
    /// `Corrupt` when the segment is not as it was written: it stays as it is; `Unavailable` when the copy cannot be written,
    /// for want of room perhaps; `Invalid` when opened for reading only.
    pub fn seal_next(&self, progress: &mut SealProgress<'_>) -> Result<Option<SealedSegment>, Error> {
        self.inner.maintenance.seal_next(progress)
    }

    /// How many finished segments are not sealed yet.
    #[must_use]
    pub fn unsealed(&self) -> usize {
        self.inner.maintenance.unsealed()
    }

    /// What `rule` would remove at `now`, given who needs what beside the open readers, which the stream knows itself.
    ///
    /// # Errors
    /// When a segment of which nothing is known cannot be read.
    pub fn plan_retention(&self, rule: &Retention, now: Timestamp, claims: &[Claim]) -> Result<RetentionPlan, Error> {
        self.inner.maintenance.plan_retention(rule, now, claims)
    }

    /// Removes what `plan` says. Answers what is gone; less than planned when a reader has been opened there meanwhile.
    ///
    /// # Errors
    /// `Unavailable` when a file cannot be removed; what was removed before it is gone.
    pub fn retain(&self, plan: &RetentionPlan) -> Result<Vec<ExpiredSegment>, Error> {
        self.inner.maintenance.retain(plan)
    }

    /// Lists all folders, compares them with what is known of the stream, looks into the segments of which nothing is known,
    /// and writes the inventory anew. Answers what the files say otherwise, in words; it counts from now on. For after the
    /// start, and on its own thread: with ten thousand segments it may take seconds.
    ///
    /// # Errors
    /// When the folders or a segment cannot be read.
    pub fn check_inventory(&self) -> Result<Option<String>, Error> {
        self.inner.maintenance.check_inventory()
    }

    /// All that is committed now, and what keeps it where it is. `by` says for whom, where retention has to wait for it.
    #[must_use]
    pub fn pin(&self, by: &str) -> (Pinned, PinGuard) {
        Pinned::new(&self.inner.read, by)
    }

    /// Commits all that was handed over, marks the end as clean and ends the threads. Blocks. Appends after this are refused.
    ///
    /// # Errors
    /// `Internal` when one of the threads has panicked.
    pub(crate) fn close(&self) -> Result<(), Error> {
        let Some(write) = &self.inner.write else { return Ok(()) };
        write.side.queue.close();
        let panicked = write.threads.join();
        if let Err(error) = self.inner.maintenance.record() {
            tracing::warn!(stream = %self.name(), %error, "could not write the inventory; the next start does without");
        }
        if panicked {
            return Err(Error::Internal(format!("a thread of stream {} has panicked", self.name())));
        }
        Ok(())
    }
}

impl Pinned {
    /// The stream as it was at that moment, for reading; `block_cache` is used again from one moment to the next.
    #[must_use]
    pub fn open(self, block_cache: &BlockCache) -> Stream {
        Stream::pinned(self.into_read_side(block_cache))
    }
}

impl Writing {
    fn start(side: WriteSide, recovered: Recovered, epoch_rises: bool) -> Result<Self, Error> {
        let folder = side.log().folder();
        side.log().files.create_folders(&folder).map_err(Error::io("create", &folder))?;
        let side = Arc::new(side);
        let Recovered { log_end, last, .. } = recovered;
        let writer = Writer::new(Arc::clone(&side), log_end, last, epoch_rises)?;
        let threads = WriteThreads::start(&side, writer)?;
        Ok(Self { side, threads })
    }
}

impl Inner {
    fn write_side(&self) -> Result<&Arc<WriteSide>, Error> {
        let dir = || self.read.log.layout.root().to_owned();
        self.write.as_ref().map(|write| &write.side).ok_or_else(|| Error::ReadOnly { dir: dir() })
    }

    /// Asks the writer, and waits for its answer.
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Command) -> Result<T, Error> {
        let side = self.write_side()?;
        let (answer, receiver) = oneshot::channel();
        side.queue.push(command(answer)).map_err(|_| side.closed())?;
        receiver.await.unwrap_or_else(|_| Err(side.closed()))
    }
}

/// What the inventory names and the files that were found do not have.
fn losses(stream: &Name, recovered: &Recovered, now: impl FnOnce() -> Timestamp) -> LossesFound {
    let inventory = match &recovered.inventory {
        InventoryFile::Whole(inventory) => inventory,
        InventoryFile::Damaged => {
            tracing::warn!(%stream, "the inventory is not as it was written; it is made anew from the files");
            return LossesFound::default();
        }
        InventoryFile::Missing => return LossesFound::default(),
    };
    let standing = recovered.standing();
    let lost = evidence::lost(inventory, &standing, now());
    lost.iter().for_each(|loss| loss.report(stream));
    let is_new = !lost.is_empty();
    let is_end_lost = lost.iter().any(|loss| loss.from >= standing.end.offset);
    let mut noted = inventory.lost.clone();
    loss::note(&mut noted, lost);
    LossesFound { noted, is_new, is_end_lost }
}
