//! One query with its worker, from the first word to the last byte: the conversation, and beside it the watch that holds
//! it to its limits.

use std::{
    io,
    sync::{Arc, OnceLock, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use lakehead_model::Name;
use lakehead_query::{
    Lake, Snapshot,
    worker::{Ask, Failure, Frame, FrameKind, Head, Moment, Query},
};
use serde::de::DeserializeOwned;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};

use super::{
    ANSWER_BYTES_MAX, Ended, Error, HELD_FOR, Inner, SLICE_CPU, SLICE_SENDING, SLICE_WALL, TAKING_GRACE, TAKING_RATE,
    WARM_BYTES_MAX, WORKER_BYTES_MAX, WORKERS_BYTES_MAX,
    familiar::Text,
    process::{Process, Running, Usage, Wire},
};
use crate::engine::lock;

/// How often a worker is looked at: what it can take between two looks is bounded by its own limits.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What is said when there is no place for what takes long.
pub(super) const BUSY_LONG: &str =
    "this query takes long, and others that do so are running already; ask again in half a minute";

/// Who is told what.
pub(super) struct Told {
    pub(super) head: Option<oneshot::Sender<Result<Head, Error>>>,
    pub(super) pieces: mpsc::Sender<Bytes>,
    pub(super) ended: Arc<Ended>,
}

/// How it went.
enum Outcome {
    /// The whole answer was handed over.
    Whole,
    /// The worker said no, and is ready for the next query.
    Refused(Error),
    /// The worker has gone, and may say why.
    Died,
    /// It is to be killed, for this reason.
    Kill(Error),
    /// Nobody waits for the answer any more.
    Left,
}

/// Sees `query` through.
pub(super) async fn attend(
    inner: Arc<Inner>,
    mut process: Process,
    (mut place, text): (Place, Text),
    query: Query,
    given: Vec<(Name, Arc<Snapshot>)>,
    mut told: Told,
) {
    let sending = OnceLock::new();
    let pieces = told.pieces.clone();
    if let Some(running) = &process.child
        && place.is_long
    {
        running.yield_to_all();
    }
    let (mut usage, begun) = (Usage::default(), Instant::now());
    let before = process.child.as_ref().map(|running| running.usage().cpu).unwrap_or_default();
    let outcome = {
        let talk = Talk { lake: &inner.lake, query: &query, given: &given, told: &mut told, sending: &sending };
        tokio::select! {
            biased;
            () = pieces.closed() => Outcome::Left,
            outcome = talk.converse(&mut process.wire) => outcome.unwrap_or_else(|error| {
                Outcome::Kill(Error::Failed(format!("the worker of the query cannot be understood: {error}")))
            }),
            why = watch(&inner, process.child.as_ref(), (&mut place, text), before, &sending) => Outcome::Kill(why),
        }
    };
    let mut error = None;
    if let Some(running) = &mut process.child {
        usage = running.usage();
        lock(&inner.sizes).remove(&running.id());
        if matches!(outcome, Outcome::Died) {
            error = Some(running.why().await);
        }
    }
    let is_well = matches!(outcome, Outcome::Whole | Outcome::Refused(_));
    if is_well && usage.cpu.saturating_sub(before) < SLICE_CPU && begun.elapsed() < SLICE_WALL {
        inner.familiar.was_quick(text);
    }
    match outcome {
        Outcome::Whole => {
            inner.counts.answered.fetch_add(1, Ordering::Relaxed);
            told.ended.whole.store(true, Ordering::Release);
        }
        Outcome::Refused(why) | Outcome::Kill(why) => error = Some(why),
        Outcome::Died => {
            error = error.or_else(|| Some(Error::Failed("the worker of the query has ended; ask again".to_owned())));
        }
        Outcome::Left => {
            inner.counts.stopped.fetch_add(1, Ordering::Relaxed);
        }
    }
    // What took much is not kept, so that its memory is given back; nor what has given up its priority for good.
    if is_well && !place.is_long && usage.bytes <= WARM_BYTES_MAX {
        inner.keep(process);
    } else {
        drop(process);
    }
    drop(place);
    if let Some(error) = error {
        match told.head.take() {
            // Who has left need not know.
            Some(head) => drop(head.send(Err(error))),
            None => {
                tracing::warn!("an answer broke off: {error}");
                inner.counts.stopped.fetch_add(1, Ordering::Relaxed);
                *lock(&told.ended.why) = Some(error);
            }
        }
    }
}

/// The conversation with the worker.
struct Talk<'a> {
    lake: &'a Lake,
    query: &'a Query,
    given: &'a [(Name, Arc<Snapshot>)],
    told: &'a mut Told,
    /// Since when the worker has been handing over what it has, rather than being at work.
    sending: &'a OnceLock<Instant>,
}

impl Talk<'_> {
    async fn converse(self, wire: &mut Wire) -> io::Result<Outcome> {
        let query = Frame::json(FrameKind::Query, self.query).map_err(io::Error::other)?;
        if !wire.send(query.kind, &query.content).await? {
            return Ok(Outcome::Died);
        }
        // What the worker reads stays where it is until it is done.
        let mut pinned: Option<Moment> = None;
        let (mut begun, mut taken) = (Instant::now(), 0);
        loop {
            let Some(Frame { kind, content }) = wire.receive().await? else { return Ok(Outcome::Died) };
            match kind {
                FrameKind::Ask => {
                    let ask: Ask = understood(&content)?;
                    let moment = self.lake.moment(&ask, self.given).await;
                    let frames = moment.frames().await;
                    pinned = Some(moment);
                    let frames = match frames {
                        Ok(frames) => frames,
                        Err(error) => {
                            vec![Frame::json(FrameKind::Failed, &Failure::from(error)).map_err(io::Error::other)?]
                        }
                    };
                    for frame in frames {
                        if !wire.send(frame.kind, &frame.content).await? {
                            return Ok(Outcome::Died);
                        }
                    }
                }
                FrameKind::Head => {
                    let head: Head = understood(&content)?;
                    // All rows are collected: nothing that was pinned is read any more.
                    pinned = None;
                    begun = *self.sending.get_or_init(Instant::now);
                    if let Some(tell) = self.told.head.take()
                        && tell.send(Ok(head)).is_err()
                    {
                        return Ok(Outcome::Left);
                    }
                }
                FrameKind::Data => {
                    taken += content.len() as u64;
                    if taken > ANSWER_BYTES_MAX {
                        return Ok(Outcome::Kill(Error::Limit(format!(
                            "the answer has more than {} MiB; ask for fewer rows or columns, or use `lakehead export`",
                            ANSWER_BYTES_MAX >> 20
                        ))));
                    }
                    let until = begun + TAKING_GRACE + Duration::from_secs(taken / TAKING_RATE);
                    tokio::select! {
                        biased;
                        sent = self.told.pieces.send(content.into()) => {
                            if sent.is_err() {
                                return Ok(Outcome::Left);
                            }
                        }
                        () = sleep_until(until) => {
                            return Ok(Outcome::Kill(Error::Limit(format!(
                                "the client took its answer more slowly than {} KiB/s and was cut off",
                                TAKING_RATE >> 10
                            ))));
                        }
                    }
                }
                FrameKind::Done => return Ok(Outcome::Whole),
                FrameKind::Failed => {
                    let failure: Failure = understood(&content)?;
                    drop(pinned);
                    return Ok(Outcome::Refused(failure.into()));
                }
                FrameKind::Query | FrameKind::Tables | FrameKind::Rows => {
                    return Err(io::Error::other(format!("{kind:?} comes from this side")));
                }
            }
        }
    }
}

fn understood<T: DeserializeOwned>(content: &[u8]) -> io::Result<T> {
    Ok(serde_json::from_slice(content)?)
}

/// Which kind of place a query has.
pub(super) struct Place {
    permit: Option<OwnedSemaphorePermit>,
    is_long: bool,
}

impl Place {
    pub(super) fn new(permit: OwnedSemaphorePermit, is_long: bool) -> Self {
        Self { permit: Some(permit), is_long }
    }

    pub(super) fn is_long(&self) -> bool {
        self.is_long
    }
}

/// Looks at the worker again and again; returns why it has to be killed. `before` is the processor time that it had used when
/// the query came.
async fn watch(
    inner: &Inner,
    running: Option<&Running>,
    (place, text): (&mut Place, Text),
    before: Duration,
    sending: &OnceLock<Instant>,
) -> Error {
    let Some(running) = running else { return std::future::pending().await };
    let begun = Instant::now();
    let mut held_still = Duration::ZERO;
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let usage = running.usage();
        let (cpu, wall) = (usage.cpu.saturating_sub(before), begun.elapsed().saturating_sub(held_still));
        if let Some(why) = too_much(usage, (cpu, wall), inner.time_max, sending.get().is_none()) {
            return why;
        }
        if let Some(why) = too_much_together(inner, running.id(), usage.bytes) {
            return why;
        }
        let is_taken_slowly = sending.get().is_some_and(|since| since.elapsed() >= SLICE_SENDING);
        if cpu >= SLICE_CPU && !inner.familiar.is_long(text) {
            inner.familiar.took_long(text);
        }
        if !place.is_long && (cpu >= SLICE_CPU || wall >= SLICE_WALL || is_taken_slowly) {
            match go_long(inner, running, place).await {
                Ok(held) => held_still += held,
                Err(why) => return why,
            }
        }
    }
}

/// What a single worker takes too much of.
fn too_much(usage: Usage, (cpu, wall): (Duration, Duration), time_max: Duration, computing: bool) -> Option<Error> {
    let less = "ask for a shorter time range, or make a view of it";
    if usage.is_stopped {
        return Some(Error::Busy("the worker of the query was stopped by a signal from outside; ask again".to_owned()));
    }
    let seconds = time_max.as_secs();
    if cpu > time_max {
        return Some(Error::Limit(format!(
            "the query took more than {seconds} s of processor time and was stopped; {less}"
        )));
    }
    if computing && wall > time_max {
        return Some(Error::Limit(format!("the query took longer than {seconds} s and was stopped; {less}")));
    }
    (usage.bytes > WORKER_BYTES_MAX).then(|| {
        Error::Limit(format!(
            "the query needs more memory than it may use, which is {} MiB; ask for fewer rows, columns or groups",
            WORKER_BYTES_MAX >> 20
        ))
    })
}

/// Whether all workers together have too much memory, and this one has the most.
fn too_much_together(inner: &Inner, id: u32, bytes: u64) -> Option<Error> {
    let mut sizes = lock(&inner.sizes);
    sizes.insert(id, bytes);
    let (all, most) = (sizes.values().sum::<u64>(), sizes.values().max().copied().unwrap_or(0));
    if all <= WORKERS_BYTES_MAX || bytes < most {
        return None;
    }
    sizes.remove(&id);
    Some(Error::Busy(format!(
        "all queries together need more than {} MiB of memory, and this one needs most; ask again when others are done, or \
         for fewer rows, columns or groups",
        WORKERS_BYTES_MAX >> 20
    )))
}

/// Gives up the quick place for a long one; holds the query still until there is one. Answers for how long.
async fn go_long(inner: &Inner, running: &Running, place: &mut Place) -> Result<Duration, Error> {
    let busy = || Error::Busy(BUSY_LONG.to_owned());
    let mut held = Duration::ZERO;
    let permit = match Arc::clone(&inner.long).try_acquire_owned() {
        Ok(permit) => permit,
        Err(_) => {
            let _place = inner.held.try_acquire().map_err(|_| busy())?;
            running.hold();
            place.permit = None;
            let since = Instant::now();
            let permit = timeout(HELD_FOR, Arc::clone(&inner.long).acquire_owned()).await;
            let permit = permit.map_err(|_| busy())?.map_err(|_| busy())?;
            held = since.elapsed();
            running.go_on();
            permit
        }
    };
    *place = Place { permit: Some(permit), is_long: true };
    running.yield_to_all();
    Ok(held)
}
