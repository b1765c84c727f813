//! A body of events for several streams, taken apart: each event goes to the stream that it names in `meta.stream`.
//!
//! Pure: bytes in; a portion for each stream and a list of what failed out. One bad event fails alone. What failed is told in
//! the answer up to [`INVALID_SHOWN_MAX`] of each sort, and counted beyond.
//!
//! A name of Wikimedia's form is a name of ours in lower case and with `_` for `.` and `-`: `mediawiki.page-create` is the
//! stream `mediawiki_page_create`.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use lakehead_json::{EventTimes, Refusal, check_event, on_one_line, validate};
use lakehead_json_schema::JsonSchema;
use lakehead_model::{APPEND_EVENTS_MAX, EVENT_BYTES_MAX, EventBatch, Name, Refusals, Reject, hint::instead};
use serde_json::value::RawValue;

use crate::{
    Error,
    body::{Documents, place},
    envelope::Envelope,
    event_ids::EventIds,
    push::INVALID_SHOWN_MAX,
};

/// The largest event that is told again where it failed: 4 KiB, so that an answer stays below a mebibyte.
const ECHO_BYTES_MAX: usize = 4 << 10;

/// How much of a name that is no stream's is told again.
const NAME_CHARS_MAX: usize = 80;

/// Why an event was not kept, by who can change that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Its client: it is no event of its stream.
    Invalid,
    /// Its client: there is no such stream.
    UnknownStream,
    /// Who gives out tokens: this one may not push to that stream.
    NotAllowed,
    /// Time: the stream's queue is full.
    Busy,
    /// Room on the disk.
    Full,
    /// Something else that may pass.
    Unavailable,
}

/// One event that was not kept.
#[derive(Clone, Debug)]
pub struct FailedEvent {
    /// Its place in the body, from 0.
    pub index: u64,
    /// Who can change that.
    pub cause: Cause,
    /// What was expected and what was found.
    pub reason: String,
    /// The stream that it names, if it names one.
    pub stream: Option<String>,
    /// The event, if it is JSON of at most 4 KiB.
    pub event: Option<Box<RawValue>>,
}

/// The events that were not kept.
#[derive(Clone, Debug, Default)]
pub struct FailedEvents {
    /// How many, by cause.
    pub counts: BTreeMap<Cause, u64>,
    /// The first of those that are not valid, and the first of the others.
    pub shown: Vec<FailedEvent>,
    shown_invalid: usize,
}

impl FailedEvents {
    /// One more.
    pub(crate) fn add(&mut self, cause: Cause, event: impl FnOnce() -> FailedEvent) {
        *self.counts.entry(cause).or_default() += 1;
        let shown = match cause {
            Cause::Invalid => self.shown_invalid,
            _ => self.shown.len() - self.shown_invalid,
        };
        if shown < INVALID_SHOWN_MAX {
            self.shown_invalid += usize::from(cause == Cause::Invalid);
            self.shown.push(event());
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.values().sum()
    }

    /// How many are not valid.
    #[must_use]
    pub fn invalid(&self) -> u64 {
        self.counts.get(&Cause::Invalid).copied().unwrap_or(0)
    }
}

/// Where events may go.
pub(crate) struct Destinations {
    /// How each stream takes events.
    pub(crate) streams: BTreeMap<Name, Entrance>,
    /// The streams that this client may push to; `None`: all.
    pub(crate) allowed: Option<Arc<BTreeSet<Name>>>,
}

/// How one stream takes events.
#[derive(Clone)]
pub(crate) struct Entrance {
    /// How their times are read.
    pub(crate) times: Arc<EventTimes>,
    /// What they have to conform to.
    pub(crate) conforms: Option<Arc<JsonSchema>>,
}

/// What of a body goes to one stream.
#[derive(Debug, Default)]
pub(crate) struct Portion {
    /// The events in order, with their times.
    pub(crate) events: EventBatch,
    /// The places of the first of them in the body, as many as would be told if they failed.
    pub(crate) first: Vec<u64>,
}

/// A body, taken apart.
#[derive(Debug, Default)]
pub(crate) struct Sorted {
    pub(crate) portions: BTreeMap<Name, Portion>,
    pub(crate) failed: FailedEvents,
    /// What is to be kept in `rejects`.
    pub(crate) refusals: Refusals,
    /// The stream that each of [`Refusals::kept`] names; empty where it names none.
    pub(crate) refused_of: Vec<String>,
    /// How many of each stream were refused.
    pub(crate) refused: BTreeMap<Name, u64>,
    /// How many events the body has.
    pub(crate) events: u64,
}

/// Takes `body` apart. `now` is written into events without a time.
///
/// # Errors
/// `Invalid` when there are more than [`APPEND_EVENTS_MAX`].
pub(crate) fn sort(
    body: &Bytes,
    content_type: Option<&str>,
    destinations: &Destinations,
    now: &str,
) -> Result<Sorted, Error> {
    let mut documents = Documents::of(body, content_type);
    let (envelope, mut ids, mut sorted) = (Envelope::new(), EventIds::new(), Sorted::default());
    if let Some(reason) = documents.broken() {
        sorted.events = 1;
        sorted.refuse(Cause::Invalid, None, 0, body, || reason.clone());
    }
    while let Some((index, document)) = documents.document() {
        if index >= APPEND_EVENTS_MAX as u64 {
            return Err(Error::TooManyAtOnce { limit: APPEND_EVENTS_MAX });
        }
        sorted.events += 1;
        if let Err(refusal) = check_event(&document) {
            sorted.refuse(Cause::Invalid, None, index, &document, || refusal.to_string());
            continue;
        }
        let line = on_one_line(&document);
        let Some(event) = envelope.read(&line) else {
            let reason = || "it names no stream: `meta.stream` is missing, or is no text".to_owned();
            sorted.refuse(Cause::Invalid, None, index, &document, reason);
            continue;
        };
        let Some((stream, Entrance { times, conforms })) = destinations.find(event.stream()) else {
            let reason = || destinations.unknown(event.stream());
            sorted.refuse(Cause::UnknownStream, Some(event.stream()), index, &document, reason);
            continue;
        };
        if destinations.allowed.as_ref().is_some_and(|allowed| !allowed.contains(stream)) {
            // Not kept: who may not push does not fill the disk either.
            let reason = || format!("the token of this request may not push to the stream {stream}");
            sorted.fail(Cause::NotAllowed, Some(event.stream()), index, &document, reason);
            continue;
        }
        let id = if event.lacks_id() { ids.next()? } else { String::new() };
        let whole = event.completed(&id, now);
        if whole.len() > EVENT_BYTES_MAX {
            let reason = || format!("with the id and the time that it lacks, {}", Refusal::TooLarge(whole.len()));
            sorted.refuse_of(stream, index, &document, reason);
            continue;
        }
        if let Some(Err(reason)) = conforms.as_ref().map(|schema| schema.check(&whole)) {
            sorted.refuse_of(stream, index, &document, || reason.clone());
            continue;
        }
        let time = times.of(&whole);
        let portion = sorted.portions.entry(stream.clone()).or_default();
        portion.events.push(&whole, time);
        portion.events.set_time_rule(times.rule());
        if portion.first.len() < INVALID_SHOWN_MAX {
            portion.first.push(index);
        }
    }
    Ok(sorted)
}

impl Destinations {
    fn find(&self, named: &str) -> Option<(&Name, &Entrance)> {
        self.streams.get_key_value(named).or_else(|| self.streams.get_key_value(&*ours(named)))
    }

    /// What is said of a stream that is not there.
    fn unknown(&self, named: &str) -> String {
        let named = short(named);
        format!("there is no stream {named:?}; {}", instead(&named, self.streams.keys().map(Name::as_str)))
    }
}

impl Sorted {
    /// Fails an event that is kept in `rejects`.
    fn refuse(&mut self, cause: Cause, stream: Option<&str>, index: u64, event: &Bytes, reason: impl Fn() -> String) {
        let of = &mut self.refused_of;
        self.refusals.add(index, || {
            of.push(stream.map(short).unwrap_or_default());
            Reject { reason: reason(), position: place(index), payload: event.clone() }
        });
        self.fail(cause, stream, index, event, reason);
    }

    /// Refuses an event of `stream`.
    fn refuse_of(&mut self, stream: &Name, index: u64, event: &Bytes, reason: impl Fn() -> String) {
        *self.refused.entry(stream.clone()).or_default() += 1;
        self.refuse(Cause::Invalid, Some(stream.as_str()), index, event, reason);
    }

    fn fail(&mut self, cause: Cause, stream: Option<&str>, index: u64, event: &Bytes, reason: impl Fn() -> String) {
        self.failed.add(cause, || FailedEvent {
            index,
            cause,
            reason: reason(),
            stream: stream.map(short),
            event: echo(event),
        });
    }
}

/// The event as it is told again: three levels deep in an answer, which has to be read by who takes 127 levels.
fn echo(event: &[u8]) -> Option<Box<RawValue>> {
    if event.len() > ECHO_BYTES_MAX {
        return None;
    }
    validate(&[b"[[[", event, b"]]]"].concat()).ok()?;
    RawValue::from_string(String::from_utf8(event.to_vec()).ok()?).ok()
}

fn short(name: &str) -> String {
    name.chars().take(NAME_CHARS_MAX).collect()
}

/// A name of Wikimedia's form as ours.
fn ours(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| matches!(byte, b'.' | b'-' | b'A'..=b'Z')) {
        return name.chars().map(|c| if matches!(c, '.' | '-') { '_' } else { c.to_ascii_lowercase() }).collect();
    }
    Cow::Borrowed(name)
}

#[cfg(test)]
mod tests {
    use lakehead_model::StreamSchema;

    use super::*;

    const NOW: &str = "2026-11-30T12:00:00Z";

    fn destinations(allowed: Option<&[&str]>) -> Destinations {
        let name = |text: &str| Name::new(text).expect("a name");
        let schema = StreamSchema::builtin("json").expect("built in");
        let conforms =
            JsonSchema::new(br#"{"properties": {"meta": {"required": ["id", "dt"]}, "n": {"type": "number"}}}"#);
        let conforms = Some(Arc::new(conforms.expect("a schema")));
        let entrance = Entrance { times: Arc::new(EventTimes::new(&schema)), conforms };
        let streams = ["edits", "mediawiki_page_create"].map(|text| (name(text), entrance.clone()));
        let allowed = allowed.map(|names| Arc::new(names.iter().map(|text| name(text)).collect()));
        Destinations { streams: streams.into(), allowed }
    }

    fn sorted(body: &str, allowed: Option<&[&str]>) -> Sorted {
        let body = Bytes::copy_from_slice(body.as_bytes());
        sort(&body, None, &destinations(allowed), NOW).expect("not too many")
    }

    fn lines(sorted: &Sorted, stream: &str) -> Vec<String> {
        let portion = sorted.portions.get(stream);
        let events = portion.into_iter().flat_map(|portion| portion.events.events());
        events.map(|event| String::from_utf8_lossy(event).into_owned()).collect()
    }

    #[test]
    fn each_event_goes_to_the_stream_that_it_names_and_a_bad_one_fails_alone() {
        let body = r#"[
            {"meta":{"stream":"edits","id":"1","dt":"2026-11-30T11:00:00Z"},"n": 1.0},
            {"meta":{"stream":"edit"}}, {"n":2}, 3,
            {"meta":{"stream":"mediawiki.page-create","id":"2","dt":"x"}},
            {"meta":{"stream":"edits","id":"3","dt":"y"}}
        ]"#;
        let sorted = sorted(body, None);
        assert_eq!(
            lines(&sorted, "edits"),
            [
                r#"{"meta":{"stream":"edits","id":"1","dt":"2026-11-30T11:00:00Z"},"n": 1.0}"#,
                r#"{"meta":{"stream":"edits","id":"3","dt":"y"}}"#
            ]
        );
        assert_eq!(lines(&sorted, "mediawiki_page_create").len(), 1);
        assert_eq!(sorted.portions["edits"].first, [0, 5]);
        let failed: Vec<_> = sorted.failed.shown.iter().map(|event| (event.index, event.cause)).collect();
        assert_eq!(failed, [(1, Cause::UnknownStream), (2, Cause::Invalid), (3, Cause::Invalid)]);
        assert!(sorted.failed.shown[0].reason.contains("did you mean `edits`?"), "{}", sorted.failed.shown[0].reason);
        assert_eq!(sorted.failed.shown[1].event.as_ref().map(|event| event.get()), Some(r#"{"n":2}"#));
        assert_eq!((sorted.failed.count(), sorted.failed.invalid(), sorted.events), (3, 2, 6));
        assert_eq!(sorted.refused_of, ["edit", "", ""]);
    }

    #[test]
    fn what_a_token_may_not_push_to_fails_and_is_not_kept_as_a_reject() {
        let sorted = sorted(r#"{"meta":{"stream":"edits"}}"#, Some(&["mediawiki_page_create"]));
        assert_eq!(sorted.failed.shown[0].cause, Cause::NotAllowed);
        assert!(sorted.portions.is_empty() && sorted.refusals.kept.is_empty());
    }

    #[test]
    fn an_event_is_held_to_the_schema_of_its_stream_with_what_was_written_in() {
        let sorted = sorted(r#"[{"meta":{"stream":"edits"},"n":1},{"meta":{"stream":"edits"},"n":"1"}]"#, None);
        assert_eq!(sorted.portions["edits"].first, [0]);
        let failed = &sorted.failed.shown[0];
        assert_eq!((failed.index, failed.cause), (1, Cause::Invalid));
        assert!(failed.reason.contains("/n: expected number, found a string"), "{}", failed.reason);
        assert_eq!(sorted.refused.values().sum::<u64>(), 1);
    }

    #[test]
    fn an_event_without_a_time_gets_that_of_its_arrival() {
        let sorted = sorted(r#"{"meta":{"stream":"edits","id":"1"}}"#, None);
        let expected = format!(r#"{{"meta":{{"dt":"{NOW}","stream":"edits","id":"1"}}}}"#);
        assert_eq!(lines(&sorted, "edits"), [expected]);
    }

    #[test]
    fn a_million_tiny_events_are_too_many_and_what_failed_is_bounded() {
        let tiny = format!("[{}1]", "1,".repeat(1_000_000));
        let refused = sort(&Bytes::from(tiny), None, &destinations(None), NOW);
        assert!(matches!(refused, Err(Error::TooManyAtOnce { limit: APPEND_EVENTS_MAX })), "{refused:?}");
        let many = sorted(&format!("[{}1]", "1,".repeat(APPEND_EVENTS_MAX - 1)), None);
        assert_eq!(many.failed.count(), APPEND_EVENTS_MAX as u64);
        assert_eq!(many.failed.shown.len(), INVALID_SHOWN_MAX);
        assert_eq!(many.refusals.kept.len(), many.refused_of.len());
    }

    #[test]
    fn an_event_that_is_full_to_the_brim_is_refused_with_what_it_lacks() {
        let around = r#"{"meta":{"stream":"edits"},"x":""}"#;
        let full = around.replace("\"\"", &format!("\"{}\"", "x".repeat(EVENT_BYTES_MAX - around.len())));
        assert_eq!(full.len(), EVENT_BYTES_MAX);
        let sorted = sorted(&full, None);
        assert!(sorted.failed.shown[0].reason.contains("at most 4 MiB"), "{}", sorted.failed.shown[0].reason);
        assert_eq!(sorted.refused.values().sum::<u64>(), 1);
    }

    #[test]
    fn an_event_is_told_again_only_where_the_answer_can_be_read_with_it() {
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(echo(deep(124).as_bytes()).is_some());
        for not in [deep(125), deep(128), "[1".to_owned(), format!("\"{}\"", "x".repeat(ECHO_BYTES_MAX))] {
            assert!(echo(not.as_bytes()).is_none(), "{not}");
        }
    }

    #[test]
    fn an_array_that_is_not_json_fails_as_a_whole() {
        let sorted = sorted(r#"[{"meta":{"stream":"edits"}},{]"#, None);
        assert_eq!((sorted.events, sorted.failed.invalid(), sorted.portions.len()), (1, 1, 0));
    }
}
