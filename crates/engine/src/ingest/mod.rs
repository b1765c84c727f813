//! From an opened source into the store, until one of the two says no.
//!
//! ```text
//!  reader ──chunks──▶ rejects, discontinuities: handed to their streams ──▶ waits for these ──▶ appended ──▶ committed ──▶ acks
//!  (a task)  bounded           (several chunks at once)                      in order           with cursor              (a task)
//! ```
//! A chunk is appended once its own rejects and those of all before it are on disk, so a cursor never passes a reject that is not
//! kept. Several chunks are at each stage; nobody waits for the disk but the chunk that has to. Whatever ends the run, it first
//! waits for every append that is under way, so that the cursor in the store is the truth when the source is opened again: an
//! event that was appended is never fetched a second time.

mod acknowledging;
mod reading;

use std::{collections::VecDeque, sync::Arc};

use lakehead_connector_api::{Chunk, Opened, StreamIndex};
use lakehead_json::EventTimes;
use lakehead_json_schema::JsonSchema;
use lakehead_model::{Clock, Cursor, Name};
use lakehead_store::{Appender, Stream, Ticket};
use tokio::sync::watch;

use self::{
    acknowledging::Acknowledging,
    reading::{Handed, Reading},
};
use crate::{
    Error,
    conformance::{Conformance, hold},
    inlet::{self, Entry, Inlet, Refusing},
    ledgers::gaps,
    sync::{blocking, stopped},
    untimed::Untimed,
    watch::SourceWatch,
};

/// Most chunks under way for one source, from the reader to the disk. At a live feed's pace a chunk holds an event or two, and a
/// block gathers them for up to 250 ms, so there must be room for that many at a few hundred a second.
const UNDER_WAY_MAX: usize = 256;

/// Most bytes of events under way for one source: enough to fill the disk's queue while it syncs, 50 ms at 200 MB/s.
const UNDER_WAY_BYTES_MAX: usize = 16 << 20;

/// How much of a cursor is told where an event of its chunk does not conform.
const FROM_CHARS_MAX: usize = 200;

/// Where one source's events go.
pub(crate) struct Ingest {
    pub(crate) source: Name,
    /// The streams that it feeds, in the order of the pipeline: a [`StreamIndex`] is a place in here.
    pub(crate) streams: Vec<FedStream>,
    pub(crate) rejects: Appender,
    pub(crate) gaps: Appender,
    pub(crate) watch: Arc<SourceWatch>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// A stream that a source feeds.
pub(crate) struct FedStream {
    pub(crate) stream: Stream,
    pub(crate) times: EventTimes,
    pub(crate) untimed: Arc<Untimed>,
    pub(crate) conformance: Arc<Conformance>,
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

/// A chunk that is not appended yet: it or one before it was refused something that is not on disk yet.
struct HeldChunk<'i> {
    chunk: Chunk,
    refusing: Refusing<'i>,
    /// Its entries in the gap ledger.
    ledger: Option<Ticket>,
}

/// An append that is not on disk yet, and what is told of it once it is.
struct PendingAppend {
    ticket: Ticket,
    to: StreamIndex,
    cursor: Option<Cursor>,
    events: u64,
    bytes: usize,
}

/// What the run woke up for.
enum Wake<'i> {
    Stop,
    Committed(Result<(), Error>),
    Settled(Result<inlet::Settled<'i>, Error>),
    Acknowledged(lakehead_connector_api::Error),
    Handed(Handed),
}

impl Ingest {
    /// Runs the source until it ends, fails, or `stop` turns true. `worked` is told how many events each chunk brings.
    pub(crate) async fn run(
        &self,
        opened: Opened,
        stop: &mut watch::Receiver<bool>,
        worked: &mut (dyn FnMut(u64) + Send),
    ) -> Result<Ending, Failure> {
        let inlet = |fed: &FedStream| {
            Inlet::new(self.source.clone(), &fed.stream, self.rejects.clone(), Arc::clone(&fed.untimed))
        };
        let inlets: Vec<Inlet> = self.streams.iter().map(inlet).collect();
        let mut reading = Reading::start(opened.reader);
        let mut acks = opened.acks.map(Acknowledging::start);
        let mut run =
            Run { ingest: self, inlets: &inlets, held: VecDeque::new(), under_way: VecDeque::new(), bytes: 0 };
        let outcome = run.pass_on(&mut reading, &mut acks, stop, worked).await;
        // What was read and not appended comes again: no cursor has passed it.
        reading.end().await;
        let drained = run.drain(&mut acks).await;
        let acknowledged = match acks {
            Some(acks) => acks.end().await,
            None => Ok(()),
        };
        let ending = outcome?;
        drained?;
        acknowledged.map_err(Failure::Source)?;
        Ok(ending)
    }
}

/// What is under way of one opened source.
struct Run<'i> {
    ingest: &'i Ingest,
    inlets: &'i [Inlet],
    held: VecDeque<HeldChunk<'i>>,
    under_way: VecDeque<PendingAppend>,
    /// Of events, in both.
    bytes: usize,
}

impl<'i> Run<'i> {
    async fn pass_on(
        &mut self,
        reading: &mut Reading,
        acks: &mut Option<Acknowledging>,
        stop: &mut watch::Receiver<bool>,
        worked: &mut (dyn FnMut(u64) + Send),
    ) -> Result<Ending, Failure> {
        let mut is_last = None;
        loop {
            // What was read before the end, or the failure, is kept first.
            if self.held.is_empty()
                && let Some(last) = is_last.take()
            {
                return last;
            }
            let (waiting, holding) = (!self.under_way.is_empty(), !self.held.is_empty());
            let count = self.held.len() + self.under_way.len();
            let room = is_last.is_none() && count < UNDER_WAY_MAX && self.bytes < UNDER_WAY_BYTES_MAX;
            let wake = tokio::select! {
                biased;
                () = stopped(stop) => Wake::Stop,
                error = failed(acks) => Wake::Acknowledged(error),
                done = oldest(&mut self.under_way), if waiting => Wake::Committed(done),
                settled = settled(&mut self.held), if holding => Wake::Settled(settled),
                handed = reading.next(), if room => Wake::Handed(handed),
            };
            match wake {
                Wake::Stop => return Ok(Ending::Stopped),
                Wake::Acknowledged(error) => return Err(Failure::Source(error)),
                Wake::Committed(done) => self.committed(done, acks)?,
                Wake::Settled(settled) => {
                    let settled = settled.map_err(Failure::Store)?;
                    let first = self.held.pop_front().expect("the oldest of several has just settled");
                    self.append(first.chunk, settled).await.map_err(Failure::Store)?;
                }
                Wake::Handed(Handed::Failed(error)) => is_last = Some(Err(Failure::Source(error))),
                Wake::Handed(Handed::Ended) => is_last = Some(Ok(Ending::Ended)),
                Wake::Handed(Handed::Chunk(chunk)) => {
                    worked(chunk.events.len() as u64);
                    self.take(chunk).await?;
                }
            }
        }
    }

    /// Hands what the chunk has refused to the store, and its events, too, if nothing has to be on disk before.
    async fn take(&mut self, mut chunk: Chunk) -> Result<(), Failure> {
        let ingest = self.ingest;
        ingest.watch.active(chunk.activity.as_ref(), ingest.clock.now());
        let (Some(inlet), Some(fed)) = (self.inlets.get(chunk.to.0), ingest.streams.get(chunk.to.0)) else {
            let what = format!("it feeds {} streams, and hands over a chunk for {:?}", self.inlets.len(), chunk.to);
            return Err(Failure::Source(lakehead_connector_api::Error::Internal(what)));
        };
        if let Some(schema) = fed.conformance.now().filter(|_| !chunk.events.is_empty()) {
            let from =
                chunk.cursor.as_ref().map_or("", |cursor| &cursor.position).chars().take(FROM_CHARS_MAX).collect();
            chunk = held_to(schema, chunk, from).await.map_err(Failure::Store)?;
        }
        let refusing = inlet.refusing(&chunk.rejects).await.map_err(Failure::Store)?;
        let ledger = if chunk.discontinuities.is_empty() {
            None
        } else {
            let entries = gaps::batch(&chunk.discontinuities, fed.stream.name(), &ingest.source);
            Some(inlet::begin(&ingest.gaps, &ingest.source, entries).await.map_err(Failure::Store)?)
        };
        let missing: u64 = chunk.discontinuities.iter().map(gaps::missing_at).sum();
        ingest.watch.update(|status| {
            status.duplicates += chunk.duplicates;
            status.rejects += chunk.rejects.len() as u64 + chunk.refused_more;
            status.gaps += missing;
        });
        self.bytes += chunk.events.payload().len();
        if self.held.is_empty()
            && ledger.is_none()
            && let Some(settled) = refusing.is_settled()
        {
            return self.append(chunk, settled).await.map_err(Failure::Store);
        }
        self.held.push_back(HeldChunk { chunk, refusing, ledger });
        Ok(())
    }

    async fn append(&mut self, mut chunk: Chunk, settled: inlet::Settled<'i>) -> Result<(), Error> {
        if chunk.events.is_empty() && chunk.cursor.is_none() {
            return Ok(());
        }
        let times = &self.ingest.streams[chunk.to.0].times;
        find_times(times, &mut chunk);
        let (events, bytes) = (chunk.events.len() as u64, chunk.events.payload().len());
        let entry = Entry { events: chunk.events, cursor: chunk.cursor.clone(), key: None, urgent: false };
        let ticket = settled.append(entry, times).await?;
        self.under_way.push_back(PendingAppend { ticket, to: chunk.to, cursor: chunk.cursor, events, bytes });
        Ok(())
    }

    /// The oldest append is on disk, or failed: it counts, and the source is told.
    fn committed(&mut self, done: Result<(), Error>, acks: &mut Option<Acknowledging>) -> Result<(), Failure> {
        let Some(PendingAppend { to, cursor, events, bytes, .. }) = self.under_way.pop_front() else { return Ok(()) };
        self.bytes -= bytes;
        done.map_err(Failure::Store)?;
        let progress = cursor.as_ref().and_then(|cursor| cursor.progress);
        self.ingest.watch.committed(events, progress, self.ingest.clock.now());
        if let (Some(acks), Some(cursor)) = (acks, cursor) {
            acks.tell(to, cursor);
        }
        Ok(())
    }

    /// Waits for everything under way; the first that failed is what is returned.
    async fn drain(&mut self, acks: &mut Option<Acknowledging>) -> Result<(), Failure> {
        let mut outcome = Ok(());
        while !self.under_way.is_empty() {
            let done = oldest(&mut self.under_way).await;
            if outcome.is_ok() {
                outcome = self.committed(done, acks);
            } else {
                self.under_way.pop_front();
            }
        }
        outcome
    }
}

/// The chunk without the events that do not conform to `schema`, which are among its rejects. They are looked at away from the
/// threads that serve everyone: an event takes some ten microseconds.
async fn held_to(schema: Arc<JsonSchema>, mut chunk: Chunk, from: String) -> Result<Chunk, Error> {
    let events = std::mem::take(&mut chunk.events);
    let held = blocking(move || hold(&schema, events, &from)).await?;
    chunk.events = held.events;
    chunk.rejects.extend(held.rejects);
    chunk.refused_more += held.refused_more;
    Ok(chunk)
}

/// Sets the event times by the stream's rule, unless the source has read them by that itself. Times that it read by another,
/// and what it says of progress by them, do not count.
fn find_times(times: &EventTimes, chunk: &mut Chunk) {
    let events = &mut chunk.events;
    if events.time_rule() != Some(times.rule()) {
        if events.time_rule().is_some() {
            chunk.cursor.iter_mut().for_each(|cursor| cursor.progress = None);
        }
        let found = events.events().map(|event| times.of(event)).collect();
        events.set_event_times(found, times.rule());
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

/// Waits until the oldest chunk that is held may be appended. As [`oldest`], nothing is lost when it is dropped.
async fn settled<'i>(held: &mut VecDeque<HeldChunk<'i>>) -> Result<inlet::Settled<'i>, Error> {
    match held.front_mut() {
        Some(first) => {
            if let Some(ticket) = &mut first.ledger {
                ticket.await?;
                first.ledger = None;
            }
            first.refusing.on_disk().await
        }
        None => std::future::pending().await,
    }
}

/// Waits until the source does not take an acknowledgement.
async fn failed(acks: &mut Option<Acknowledging>) -> lakehead_connector_api::Error {
    match acks {
        Some(acks) => acks.failed().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
