//! From an opened source into the store, until one of the two says no.
//!
//! For each chunk: rejects and gaps are committed, then its events are appended together with its cursor, in one block.
//! Several appends are under way at once; each is acknowledged to the source when it is on disk, in order. Whatever
//! ends the run, it first waits for every append that is under way, so that the cursor in the store is the truth when
//! the source is opened again: an event that was appended is never fetched a second time.

use std::{collections::VecDeque, sync::Arc};

use lakehead_connector_api::{Chunk, Discontinuity, Opened};
use lakehead_json::EventTimes;
use lakehead_model::{Clock, Cursor, Name};
use lakehead_store::{Appender, Stream, Ticket};
use tokio::sync::watch;

use crate::{
    Error,
    inlet::{self, Entry, Inlet},
    ledgers::gaps,
    sync::stopped,
    untimed::Untimed,
    watch::SourceWatch,
};

/// Most appends under way for one source. At a live feed's pace a chunk holds an event or two, and a block gathers
/// them for up to 250 ms, so there must be room for that many at a few hundred a second.
const UNDER_WAY_MAX: usize = 256;

/// Most bytes of events under way for one source: enough to fill the disk's queue while it syncs, 50 ms at 200 MB/s.
const UNDER_WAY_BYTES_MAX: usize = 16 << 20;

/// Where one source's events go.
pub(crate) struct Ingest {
    pub(crate) source: Name,
    pub(crate) stream: Stream,
    pub(crate) rejects: Appender,
    pub(crate) gaps: Appender,
    pub(crate) times: EventTimes,
    pub(crate) untimed: Arc<Untimed>,
    pub(crate) watch: Arc<SourceWatch>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Why a run ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The source has no more events.
    Ended,
    /// Lakehead is stopping.
    Stopped,
}

/// Why a run ended with one. Who said no decides what happens next.
#[derive(Debug)]
pub(crate) enum Failure {
    Source(lakehead_connector_api::Error),
    Store(Error),
}

/// An append that is not on disk yet, and what is told of it once it is.
struct PendingAppend {
    ticket: Ticket,
    cursor: Option<Cursor>,
    events: u64,
    bytes: usize,
}

/// What the run woke up for.
enum Wake {
    Stop,
    Committed(Result<(), Error>),
    Chunk(Result<Option<Chunk>, lakehead_connector_api::Error>),
}

impl Ingest {
    /// Runs `source` until it ends, fails, or `stop` turns true. `worked` is told how many events each chunk brings.
    pub(crate) async fn run(
        &self,
        source: &mut Opened,
        stop: &mut watch::Receiver<bool>,
        worked: &mut (dyn FnMut(u64) + Send),
    ) -> Result<Ending, Failure> {
        let inlet = Inlet::new(self.source.clone(), &self.stream, self.rejects.clone(), Arc::clone(&self.untimed));
        let mut under_way = VecDeque::new();
        let outcome = self.pass_on(source, &inlet, stop, worked, &mut under_way).await;
        let drained = self.drain(source, &mut under_way).await;
        match (outcome, drained) {
            (Ok(ending), Ok(())) => Ok(ending),
            (Err(failure), Ok(())) => Err(failure),
            (_, Err(failure)) => Err(failure),
        }
    }

    async fn pass_on(
        &self,
        source: &mut Opened,
        inlet: &Inlet,
        stop: &mut watch::Receiver<bool>,
        worked: &mut (dyn FnMut(u64) + Send),
        under_way: &mut VecDeque<PendingAppend>,
    ) -> Result<Ending, Failure> {
        let mut bytes = 0;
        loop {
            let waiting = !under_way.is_empty();
            let room = under_way.len() < UNDER_WAY_MAX && bytes < UNDER_WAY_BYTES_MAX;
            let wake = tokio::select! {
                biased;
                () = stopped(stop) => Wake::Stop,
                done = oldest(under_way), if waiting => Wake::Committed(done),
                chunk = source.reader.next(), if room => Wake::Chunk(chunk),
            };
            match wake {
                Wake::Stop => return Ok(Ending::Stopped),
                Wake::Committed(done) => {
                    let first = under_way.pop_front().expect("the oldest of several has just resolved");
                    bytes -= first.bytes;
                    done.map_err(Failure::Store)?;
                    self.acknowledge(source, first).await?;
                }
                Wake::Chunk(Err(error)) => return Err(Failure::Source(error)),
                Wake::Chunk(Ok(None)) => return Ok(Ending::Ended),
                Wake::Chunk(Ok(Some(chunk))) => {
                    worked(chunk.events.len() as u64);
                    self.watch.active(chunk.activity.as_ref(), self.clock.now());
                    if let Some(appended) = self.append(inlet, chunk).await.map_err(Failure::Store)? {
                        bytes += appended.bytes;
                        under_way.push_back(appended);
                    }
                }
            }
        }
    }

    async fn append(&self, inlet: &Inlet, mut chunk: Chunk) -> Result<Option<PendingAppend>, Error> {
        let settled = inlet.refuse(&chunk.rejects).await?;
        let (mut holes, mut renumberings) = (Vec::new(), Vec::new());
        for discontinuity in std::mem::take(&mut chunk.discontinuities) {
            match discontinuity {
                Discontinuity::Missing(gap) => holes.push(gap),
                Discontinuity::Renumbered(renumbering) => renumberings.push(renumbering),
                Discontinuity::Skipped(_) => {}
            }
        }
        if !holes.is_empty() || !renumberings.is_empty() {
            let entries = gaps::batch(&holes, &renumberings, self.stream.name(), &self.source);
            inlet::commit(&self.gaps, &self.source, entries).await?;
        }
        let missing: u64 = holes.iter().map(gaps::missing).sum();
        self.watch.update(|status| {
            status.duplicates += chunk.duplicates;
            status.rejects += chunk.rejects.len() as u64;
            status.gaps += missing;
        });
        if chunk.events.is_empty() && chunk.cursor.is_none() {
            return Ok(None);
        }
        self.find_times(&mut chunk);
        let (events, bytes) = (chunk.events.len() as u64, chunk.events.payload().len());
        let entry = Entry { events: chunk.events, cursor: chunk.cursor.clone(), key: None, urgent: false };
        let ticket = settled.append(entry, &self.times).await?;
        Ok(Some(PendingAppend { ticket, cursor: chunk.cursor, events, bytes }))
    }

    /// Sets the event times by the stream's rule, unless the source has read them by that itself. Times that it read by
    /// another, and what it says of progress by them, do not count.
    fn find_times(&self, chunk: &mut Chunk) {
        let events = &mut chunk.events;
        if events.time_rule() != Some(self.times.rule()) {
            if events.time_rule().is_some() {
                chunk.cursor.iter_mut().for_each(|cursor| cursor.progress = None);
            }
            let times = events.events().map(|event| self.times.of(event)).collect();
            events.set_event_times(times, self.times.rule());
        }
    }

    /// What was committed counts, and the source is told.
    async fn acknowledge(&self, source: &mut Opened, committed: PendingAppend) -> Result<(), Failure> {
        let PendingAppend { cursor, events, .. } = committed;
        let progress = cursor.as_ref().and_then(|cursor| cursor.progress);
        self.watch.committed(events, progress, self.clock.now());
        match cursor {
            Some(cursor) => match &mut source.acks {
                Some(acks) => acks.acknowledge(Default::default(), &cursor).await.map_err(Failure::Source),
                None => Ok(()),
            },
            None => Ok(()),
        }
    }

    /// Waits for everything under way; the first that failed is what is returned.
    async fn drain(&self, source: &mut Opened, under_way: &mut VecDeque<PendingAppend>) -> Result<(), Failure> {
        let mut outcome = Ok(());
        while !under_way.is_empty() {
            let done = oldest(under_way).await.map_err(Failure::Store);
            let first = under_way.pop_front().expect("it was not empty");
            if outcome.is_ok() {
                outcome = done;
            }
            if outcome.is_ok() {
                outcome = self.acknowledge(source, first).await;
            }
        }
        outcome
    }
}

/// Waits for the oldest append. Dropped before it resolves, nothing is lost: the ticket stays where it is.
async fn oldest(under_way: &mut VecDeque<PendingAppend>) -> Result<(), Error> {
    match under_way.front_mut() {
        Some(first) => {
            (&mut first.ticket).await?;
            Ok(())
        }
        None => std::future::pending().await,
    }
}
