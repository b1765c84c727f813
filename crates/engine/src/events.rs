//! Pushes of events for several streams: each event says in `meta.stream` where it belongs.
//!
//! ```text
//! body ─▶ sorted by stream ─▶ refusals on disk ─▶ handed to the queue of each stream ─▶ on disk in all of them ─▶ the answer
//!                             └ hasty: handed to the queue, too ──────────────────────────────────────────────▶ the answer
//! ```
//! What goes to one stream is kept there as a whole or not at all; what goes to another does not depend on it. A key is kept by
//! each stream with its events: the same body sent again with it is kept where it was not.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use lakehead_model::{ByteSize, Name, Offset, Timestamp};
use lakehead_store::Ticket;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use crate::{
    BODY_BYTES_MAX, Engine, Error,
    body::place,
    builtin,
    current::Current,
    inlet,
    ledgers::rejects,
    push::{Gateway, INLINE_BYTES_MAX, blocking_if, check_key},
    routing::{Cause, Destinations, Entrance, FailedEvent, FailedEvents, Portion, Sorted, sort},
    stream_entry::StreamEntry,
    untimed::without_time,
};

/// How long a push waits for room in the queues of its streams. A disk that does not make room for a body in this time is
/// behind by 32 MiB and does not keep up: its clients had better wait than we.
const ROOM_TIME_MAX: Duration = Duration::from_secs(5);

/// The same of a hasty push, which does not wait for a disk.
const HASTY_ROOM_TIME_MAX: Duration = Duration::from_millis(50);

/// How a body is pushed.
#[derive(Clone, Debug, Default)]
pub struct EventsPush<'a> {
    /// What its sender calls it.
    pub content_type: Option<&'a str>,
    /// Makes it idempotent in each stream that remembers the key.
    pub key: Option<&'a str>,
    /// It is answered once it is in the queues; nothing is promised then.
    pub hasty: bool,
    /// The streams that its sender may push to; `None`: all.
    pub allowed: Option<Arc<BTreeSet<Name>>>,
}

/// What became of a body. Unless it was hasty, all that it says is on disk.
#[derive(Clone, Debug, Default)]
pub struct EventsPushed {
    /// The events that are kept, by stream.
    pub streams: BTreeMap<Name, StreamPushed>,
    /// The others.
    pub failed: FailedEvents,
}

/// What one stream has taken of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamPushed {
    /// How many events.
    pub accepted: u64,
    /// The offset of the first; the others follow without a gap. Of a hasty push it is not known yet.
    pub first_offset: Option<Offset>,
    /// Whether these were kept before, with the same key.
    pub repeated: bool,
    /// How many have no event time, and so are in no window over it.
    pub without_event_time: u64,
    /// Why the first of them has none.
    pub why_without: Option<String>,
}

impl EventsPushed {
    /// How many events are kept.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.streams.values().map(|stream| stream.accepted).sum()
    }

    /// All events for one stream failed together.
    fn fail(&mut self, stream: &Name, (count, first): (u64, &[u64]), error: &Error) {
        let cause = match error {
            Error::QueueFull { .. } => Cause::Busy,
            Error::Store(error) if error.is_full() => Cause::Full,
            _ => Cause::Unavailable,
        };
        for place in 0..count {
            self.failed.add(cause, || FailedEvent {
                index: usize::try_from(place).ok().and_then(|place| first.get(place)).copied().unwrap_or_default(),
                cause,
                reason: error.to_string(),
                stream: Some(stream.to_string()),
                event: None,
            });
        }
    }
}

/// Events on their way to one stream.
struct Entering {
    name: Name,
    entry: Arc<StreamEntry>,
    count: u64,
    first: Vec<u64>,
    untimed: Option<(u64, String)>,
    ticket: Ticket,
}

impl Engine {
    /// Takes a body of events for any streams: each goes to the one that it names in `meta.stream`, and gets an id and a time in
    /// `meta` where it has none. Returns when all of it is on disk in all streams or, where it is `hasty`, in their queues.
    ///
    /// # Errors
    /// `Invalid` for a body above [`BODY_BYTES_MAX`] or with too many events or none, and for a bad key; `Unavailable` while the
    /// key is in use, and while refusals cannot be written; `Closed` while stopping. Nothing of the body was kept then.
    pub async fn push_events(&self, body: Bytes, how: EventsPush<'_>) -> Result<EventsPushed, Error> {
        if *self.stop.borrow() {
            return Err(Error::Stopping);
        }
        if body.len() > BODY_BYTES_MAX {
            return Err(Error::BodyTooLarge { limit: ByteSize(BODY_BYTES_MAX as u64) });
        }
        how.key.map_or(Ok(()), check_key)?;
        if how.key.is_some() && how.hasty {
            return Err(Error::HastyKey);
        }
        let current = self.shared.current();
        let now = Timestamp::from_millis(self.parts.clock.now().millis()).to_string();
        let (content_type, much) = (how.content_type.map(str::to_owned), body.len() > INLINE_BYTES_MAX);
        let destinations = Destinations { streams: entrances(&current), allowed: how.allowed };
        let sorting = blocking_if(much, move || {
            let sorted = sort(&body, content_type.as_deref(), &destinations, &now);
            (sorted, destinations)
        });
        let (sorted, Destinations { streams: entrances, .. }) = sorting.await?;
        let mut sorted = sorted?;
        if sorted.events == 0 {
            return Err(Error::EmptyBody);
        }
        let portions = std::mem::take(&mut sorted.portions);
        let held = portions.keys().filter_map(|name| Some(gateway(&current, name)?.hold(how.key?)));
        let _keys = held.collect::<Result<Vec<_>, Error>>()?;
        let mut pushed = EventsPushed { failed: std::mem::take(&mut sorted.failed), ..EventsPushed::default() };
        let portions = fresh(&current, portions, how.key, &mut pushed);
        let until = Instant::now() + if how.hasty { HASTY_ROOM_TIME_MAX } else { ROOM_TIME_MAX };
        if !portions.is_empty() || pushed.streams.is_empty() {
            keep_refusals(&current, sorted, how.hasty, until).await?;
        }
        let mut under_way = Vec::with_capacity(portions.len());
        for (name, portion) in portions {
            match enter(&current, &entrances, &name, portion, how.key, until).await {
                Ok(entering) => under_way.push(entering),
                Err((error, count, first)) => pushed.fail(&name, (count, &first), &error),
            }
        }
        if how.hasty {
            for entering in &under_way {
                pushed.streams.insert(entering.name.clone(), entering.taken(None));
            }
            tokio::spawn(watch(under_way));
            return Ok(pushed);
        }
        for entering in under_way {
            let taken = entering.taken(None);
            match entering.ticket.await {
                Ok(appended) => {
                    entering.entry.gateway.iter().for_each(|gateway| gateway.accepted(entering.count));
                    let taken = StreamPushed { first_offset: Some(appended.first_offset), ..taken };
                    pushed.streams.insert(entering.name, taken);
                }
                Err(error) => pushed.fail(&entering.name, (entering.count, &entering.first), &error.into()),
            }
        }
        Ok(pushed)
    }
}

impl Entering {
    fn taken(&self, first_offset: Option<Offset>) -> StreamPushed {
        let (without_event_time, why_without) =
            self.untimed.clone().map_or((0, None), |(count, why)| (count, Some(why)));
        StreamPushed { accepted: self.count, first_offset, repeated: false, without_event_time, why_without }
    }
}

/// How each stream that takes pushes takes them at this moment.
fn entrances(current: &Current) -> BTreeMap<Name, Entrance> {
    let of = |(name, entry): (&Name, &Arc<StreamEntry>)| {
        let times = entry.gateway.as_ref()?.times();
        Some((name.clone(), Entrance { times, conforms: entry.conformance.now() }))
    };
    current.streams.iter().filter_map(of).collect()
}

fn gateway<'c>(current: &'c Current, stream: &Name) -> Option<&'c Gateway> {
    current.streams.get(stream)?.gateway.as_ref()
}

/// The portions that were not kept before with the same key; those that were are told in `pushed`.
fn fresh(
    current: &Current,
    portions: BTreeMap<Name, Portion>,
    key: Option<&str>,
    pushed: &mut EventsPushed,
) -> BTreeMap<Name, Portion> {
    let Some(key) = key else { return portions };
    let is_fresh = |(name, portion): (Name, Portion)| match gateway(current, &name).and_then(|way| way.remembered(key))
    {
        None => Some((name, portion)),
        Some((accepted, first)) => {
            let before =
                StreamPushed { accepted, first_offset: Some(first), repeated: true, ..StreamPushed::default() };
            pushed.streams.insert(name, before);
            None
        }
    };
    portions.into_iter().filter_map(is_fresh).collect()
}

/// Keeps in `rejects` what was refused, and counts it. Returns when it is on disk or, where it is hasty, in the queue.
async fn keep_refusals(current: &Current, mut sorted: Sorted, hasty: bool, until: Instant) -> Result<(), Error> {
    let rest = sorted.refusals.rest(place);
    let kept = sorted.refused_of.iter().map(String::as_str).zip(sorted.refusals.kept.iter().map(|(_, reject)| reject));
    let source = Name::new(Gateway::NAME).map_err(|error| Error::Internal(error.to_string()))?;
    let entries = rejects::batch_of_several(kept.chain(rest.iter().map(|rest| ("", rest))), &source);
    if !entries.is_empty() {
        let stream = builtin::rejects();
        let appender = current.streams[&stream].stream.appender();
        let beginning = timeout_at(until, inlet::begin(&appender, &source, entries)).await;
        let ticket = beginning.map_err(|_| Error::QueueFull { stream })??;
        if !hasty {
            ticket.await?;
        }
    }
    for (name, count) in sorted.refused {
        gateway(current, &name).into_iter().for_each(|gateway| gateway.refused(count));
    }
    Ok(())
}

/// Hands a portion to the queue of its stream, if there is room until then; else says why not, and of which events.
async fn enter(
    current: &Current,
    entrances: &BTreeMap<Name, Entrance>,
    name: &Name,
    portion: Portion,
    key: Option<&str>,
    until: Instant,
) -> Result<Entering, (Error, u64, Vec<u64>)> {
    let Portion { events, first } = portion;
    let count = events.len() as u64;
    let (Some(entry), Some(Entrance { times, .. })) = (current.streams.get(name), entrances.get(name)) else {
        return Err((current.unknown(name.as_str()), count, first));
    };
    let Some(gateway) = &entry.gateway else { return Err((current.unknown(name.as_str()), count, first)) };
    let untimed = without_time(times, &events);
    match timeout_at(until, gateway.enter(events, key, times)).await {
        Ok(Ok(ticket)) => Ok(Entering { name: name.clone(), entry: Arc::clone(entry), count, first, untimed, ticket }),
        Ok(Err(error)) => Err((error, count, first)),
        Err(_) => Err((Error::QueueFull { stream: name.clone() }, count, first)),
    }
}

/// Waits for what a hasty push has brought, so that what is lost of it is counted and told, though its sender is not.
async fn watch(under_way: Vec<Entering>) {
    for Entering { name, entry, count, ticket, .. } in under_way {
        let written = ticket.await;
        let Some(gateway) = &entry.gateway else { continue };
        match written {
            Ok(_) => gateway.accepted(count),
            Err(error) => {
                gateway.lost(count);
                warn!("{count} events of a hasty push to {name} are lost: {error}");
            }
        }
    }
}
