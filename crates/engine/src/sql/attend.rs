//! One query with its worker, from the first word to the last byte: the conversation, and the watch that holds the worker to
//! its limits meanwhile.

use std::{
    io,
    sync::{Arc, OnceLock, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use lakehead_model::Name;
use lakehead_query::{
    Lake, Snapshot,
    worker::{AnswerHead, Failure, Frame, FrameKind, Moment, Query, TableRequest},
};
use serde::de::DeserializeOwned;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use super::{
    answering::Ended,
    bounds::{
        ANSWER_BYTES_MAX, SLICE_CPU, SLICE_SENDING, SLICE_WALL, TAKING_GRACE, TAKING_RATE, WARM_BYTES_MAX,
        WORKER_BYTES_MAX,
    },
    error::SqlError,
    familiar::Text,
    places::Place,
    pool::Pool,
    process::{ChildProcess, Process, Usage, Wire},
};
use crate::sync::lock;

/// How often a worker is looked at: what it can take between two looks is bounded by its own limits.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Who waits for the answer.
pub(super) struct Listener {
    pub(super) head: Option<oneshot::Sender<Result<AnswerHead, SqlError>>>,
    pub(super) pieces: mpsc::Sender<Bytes>,
    pub(super) ended: Arc<Ended>,
}

/// How it went.
enum Outcome {
    /// The whole answer was handed over.
    Whole,
    /// The worker said no, and is ready for the next query.
    Refused(SqlError),
    /// The worker has gone, and may say why.
    Died,
    /// It is to be killed, for this reason.
    Kill(SqlError),
    /// Nobody waits for the answer any more.
    Left,
}

/// Sees `query` through.
pub(super) async fn attend(
    pool: Arc<Pool>,
    mut process: Process,
    (mut place, text): (Place, Text),
    query: Query,
    given: Vec<(Name, Arc<Snapshot>)>,
    mut listener: Listener,
) {
    let sending = OnceLock::new();
    let pieces = listener.pieces.clone();
    if let Some(child) = &process.child
        && place.is_long()
    {
        child.yield_to_all();
    }
    let (mut usage, begun) = (Usage::default(), Instant::now());
    let before = process.child.as_ref().map(|child| child.usage().cpu).unwrap_or_default();
    let outcome = {
        let talk = Talk { lake: &pool.lake, query: &query, given: &given, listener: &mut listener, sending: &sending };
        tokio::select! {
            biased;
            () = pieces.closed() => Outcome::Left,
            outcome = talk.converse(&mut process.wire) => outcome.unwrap_or_else(|error| {
                Outcome::Kill(SqlError::Failed(format!("the worker of the query cannot be understood: {error}")))
            }),
            why = watch(&pool, process.child.as_ref(), (&mut place, text), before, &sending) => Outcome::Kill(why),
        }
    };
    let mut why_died = None;
    if let Some(child) = &mut process.child {
        usage = child.usage();
        pool.forget_size(child.id());
        if matches!(outcome, Outcome::Died) {
            why_died = Some(child.why().await);
        }
    }
    let is_well = matches!(outcome, Outcome::Whole | Outcome::Refused(_));
    if is_well && usage.cpu.saturating_sub(before) < SLICE_CPU && begun.elapsed() < SLICE_WALL {
        pool.familiar.was_quick(text);
    }
    let error = settle(outcome, why_died, &pool, &listener);
    // What took much is not kept, so that its memory is given back; nor what has given up its priority for good.
    if is_well && !place.is_long() && usage.bytes <= WARM_BYTES_MAX {
        pool.keep(process);
    } else {
        drop(process);
    }
    drop(place);
    if let Some(error) = error {
        listener.fail(error, &pool);
    }
}

/// Counts what became of a query; answers the error that its listener is to see.
fn settle(outcome: Outcome, why_died: Option<SqlError>, pool: &Pool, listener: &Listener) -> Option<SqlError> {
    match outcome {
        Outcome::Whole => {
            pool.counts.answered.fetch_add(1, Ordering::Relaxed);
            listener.ended.whole.store(true, Ordering::Release);
            None
        }
        Outcome::Refused(why) | Outcome::Kill(why) => Some(why),
        Outcome::Died => {
            why_died.or_else(|| Some(SqlError::Failed("the worker of the query has ended; ask again".to_owned())))
        }
        Outcome::Left => {
            pool.counts.stopped.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}

impl Listener {
    /// Says why there is no answer, or why it breaks off.
    fn fail(mut self, error: SqlError, pool: &Pool) {
        match self.head.take() {
            // Who has left need not know.
            Some(head) => drop(head.send(Err(error))),
            None => {
                tracing::warn!("an answer broke off: {error}");
                pool.counts.stopped.fetch_add(1, Ordering::Relaxed);
                *lock(&self.ended.why) = Some(error);
            }
        }
    }
}

/// The conversation with the worker.
struct Talk<'a> {
    lake: &'a Lake,
    query: &'a Query,
    given: &'a [(Name, Arc<Snapshot>)],
    listener: &'a mut Listener,
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
                    let ask: TableRequest = understood(&content)?;
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
                    let head: AnswerHead = understood(&content)?;
                    // All rows are collected: nothing that was pinned is read any more.
                    pinned = None;
                    begun = *self.sending.get_or_init(Instant::now);
                    if let Some(tell) = self.listener.head.take()
                        && tell.send(Ok(head)).is_err()
                    {
                        return Ok(Outcome::Left);
                    }
                }
                FrameKind::Data => {
                    taken += content.len() as u64;
                    if taken > ANSWER_BYTES_MAX {
                        return Ok(Outcome::Kill(SqlError::Limit(format!(
                            "the answer has more than {} MiB; ask for fewer rows or columns, or use `lakehead export`",
                            ANSWER_BYTES_MAX >> 20
                        ))));
                    }
                    let until = begun + TAKING_GRACE + Duration::from_secs(taken / TAKING_RATE);
                    tokio::select! {
                        biased;
                        sent = self.listener.pieces.send(content.into()) => {
                            if sent.is_err() {
                                return Ok(Outcome::Left);
                            }
                        }
                        () = sleep_until(until) => {
                            return Ok(Outcome::Kill(SqlError::Limit(format!(
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

/// Looks at the worker again and again; returns why it has to be killed. `before` is the processor time that it had used when
/// the query came.
async fn watch(
    pool: &Pool,
    child: Option<&ChildProcess>,
    (place, text): (&mut Place, Text),
    before: Duration,
    sending: &OnceLock<Instant>,
) -> SqlError {
    let Some(child) = child else { return std::future::pending().await };
    let begun = Instant::now();
    let mut held_still = Duration::ZERO;
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let usage = child.usage();
        let (cpu, wall) = (usage.cpu.saturating_sub(before), begun.elapsed().saturating_sub(held_still));
        if let Some(why) = too_much(usage, (cpu, wall), pool.time_max, sending.get().is_none()) {
            return why;
        }
        if let Err(why) = pool.note_size(child.id(), usage.bytes) {
            return why;
        }
        let is_taken_slowly = sending.get().is_some_and(|since| since.elapsed() >= SLICE_SENDING);
        if cpu >= SLICE_CPU && !pool.familiar.is_long(text) {
            pool.familiar.took_long(text);
        }
        if !place.is_long() && (cpu >= SLICE_CPU || wall >= SLICE_WALL || is_taken_slowly) {
            match pool.places.take_long(place, child).await {
                Ok(held) => held_still += held,
                Err(why) => return why,
            }
        }
    }
}

/// What a single worker takes too much of.
fn too_much(usage: Usage, (cpu, wall): (Duration, Duration), time_max: Duration, computing: bool) -> Option<SqlError> {
    let less = "ask for a shorter time range, or make a view of it";
    if usage.is_stopped {
        return Some(SqlError::Busy(
            "the worker of the query was stopped by a signal from outside; ask again".to_owned(),
        ));
    }
    let seconds = time_max.as_secs();
    if cpu > time_max {
        return Some(SqlError::Limit(format!(
            "the query took more than {seconds} s of processor time and was stopped; {less}"
        )));
    }
    if computing && wall > time_max {
        return Some(SqlError::Limit(format!("the query took longer than {seconds} s and was stopped; {less}")));
    }
    (usage.bytes > WORKER_BYTES_MAX).then(|| {
        SqlError::Limit(format!(
            "the query needs more memory than it may use, which is {} MiB; ask for fewer rows, columns or groups",
            WORKER_BYTES_MAX >> 20
        ))
    })
}
