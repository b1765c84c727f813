//! What a push is answered, as JSON: for a push to one stream, and in EventGate's shape for one to several.
//!
//! The status says all, some or none; who has to act says which of the refusing ones it is.

use axum::http::StatusCode;
use lakehead_engine::{Cause, EventsPushed, FailedEvent, Pushed, Rejected, StreamPushed};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

/// What became of a push to one stream.
#[derive(Serialize, JsonSchema)]
pub(crate) struct PushAnswer {
    /// How many events are kept.
    pub(crate) accepted: u64,
    /// The offset of the first of them.
    pub(crate) first_offset: Option<u64>,
    /// How many were refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rejected: Option<u64>,
    /// The first 100 of these; more of them lie in the stream `rejects`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<RejectedEvent>>")]
    pub(crate) invalid: Option<Vec<Rejected>>,
    /// Kept events that have no event time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) without_event_time: Option<WithoutEventTime>,
    /// They were kept before, with the same key.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) repeated: bool,
    /// Why not all, where that is not in `invalid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

/// One refused event.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used: the engine's type is written")]
struct RejectedEvent {
    /// Its place in the body, from 0.
    index: u64,
    /// Why.
    reason: String,
}

/// Events that have no event time, and so are in no window over it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct WithoutEventTime {
    /// How many.
    count: u64,
    /// Why the first of them has none.
    reason: Option<String>,
}

/// What became of a push of events for several streams.
#[derive(Serialize, JsonSchema)]
pub(crate) struct EventsAnswer {
    /// How many events are kept; with `hasty`, how many are in the queues.
    accepted: u64,
    /// What is kept, by stream.
    success: Vec<StreamSuccess>,
    /// How many events are not valid.
    invalid_count: u64,
    /// The first 100 of these.
    invalid: Vec<EventFailure>,
    /// How many events were not kept for another reason.
    error_count: u64,
    /// The first 100 of these.
    error: Vec<EventFailure>,
}

/// What one stream has taken.
#[derive(Serialize, JsonSchema)]
struct StreamSuccess {
    /// `success`.
    status: &'static str,
    /// The stream.
    stream: String,
    /// How many events.
    count: u64,
    /// The offset of the first; `null` with `hasty`.
    first_offset: Option<u64>,
    /// They were kept before, with the same key.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    repeated: bool,
    /// Those without an event time.
    #[serde(skip_serializing_if = "Option::is_none")]
    without_event_time: Option<WithoutEventTime>,
}

/// One event that was not kept.
#[derive(Serialize, JsonSchema)]
struct EventFailure {
    /// `invalid` or `error`.
    status: &'static str,
    /// Its place in the body, from 0.
    index: u64,
    /// The stream that it names.
    stream: Option<String>,
    /// The event, where it is JSON of at most 4 KiB.
    #[schemars(with = "serde_json::Value")]
    event: Option<Box<RawValue>>,
    /// Why.
    context: FailureContext,
}

/// Why an event was not kept.
#[derive(Serialize, JsonSchema)]
struct FailureContext {
    /// What was expected and what was found.
    message: String,
}

impl PushAnswer {
    pub(crate) fn of(pushed: &Pushed) -> Self {
        let is_none = pushed.accepted == 0 && !pushed.repeated;
        Self {
            accepted: pushed.accepted,
            first_offset: pushed.first_offset.map(|offset| offset.0),
            rejected: (pushed.rejected > 0).then_some(pushed.rejected),
            invalid: (pushed.rejected > 0).then(|| pushed.invalid.clone()),
            without_event_time: WithoutEventTime::of(pushed.without_event_time, pushed.why_without.as_deref()),
            repeated: pushed.repeated,
            error: is_none.then(|| "no event was taken; the reasons stand in \"invalid\"".to_owned()),
        }
    }
}

impl WithoutEventTime {
    fn of(count: u64, why: Option<&str>) -> Option<Self> {
        (count > 0).then(|| Self { count, reason: why.map(str::to_owned) })
    }
}

impl EventsAnswer {
    pub(crate) fn of(pushed: EventsPushed) -> Self {
        let (accepted, invalid_count) = (pushed.accepted(), pushed.failed.invalid());
        let error_count = pushed.failed.count() - invalid_count;
        let success = pushed.streams.into_iter().map(|(name, stream)| StreamSuccess::of(name.to_string(), stream));
        let success = success.collect();
        let (invalid, error): (Vec<_>, Vec<_>) =
            pushed.failed.shown.into_iter().partition(|event| event.cause == Cause::Invalid);
        let told = |events: Vec<FailedEvent>, status| {
            events.into_iter().map(|event| EventFailure::of(event, status)).collect()
        };
        Self {
            accepted,
            success,
            invalid_count,
            invalid: told(invalid, "invalid"),
            error_count,
            error: told(error, "error"),
        }
    }
}

impl StreamSuccess {
    fn of(stream: String, pushed: StreamPushed) -> Self {
        Self {
            status: "success",
            stream,
            count: pushed.accepted,
            first_offset: pushed.first_offset.map(|offset| offset.0),
            repeated: pushed.repeated,
            without_event_time: WithoutEventTime::of(pushed.without_event_time, pushed.why_without.as_deref()),
        }
    }
}

impl EventFailure {
    fn of(event: FailedEvent, status: &'static str) -> Self {
        let FailedEvent { index, reason, stream, event, .. } = event;
        Self { status, index, stream, event, context: FailureContext { message: reason } }
    }
}

/// The status for what became of a push of events for several streams.
pub(crate) fn events_status(pushed: &EventsPushed, hasty: bool) -> StatusCode {
    let counts = &pushed.failed.counts;
    match (pushed.streams.is_empty(), counts.is_empty()) {
        (false, _) if hasty => StatusCode::ACCEPTED,
        (false, true) => StatusCode::CREATED,
        (false, false) => StatusCode::MULTI_STATUS,
        // None: by who has to act. What only time or room can change comes first, since then the same body may be kept later.
        (true, _) if counts.contains_key(&Cause::Full) => StatusCode::INSUFFICIENT_STORAGE,
        (true, _) if counts.contains_key(&Cause::Busy) => StatusCode::TOO_MANY_REQUESTS,
        (true, _) if counts.contains_key(&Cause::Unavailable) => StatusCode::SERVICE_UNAVAILABLE,
        (true, _) if counts.contains_key(&Cause::NotAllowed) => StatusCode::FORBIDDEN,
        (true, _) => StatusCode::BAD_REQUEST,
    }
}

#[cfg(test)]
mod tests {
    use lakehead_engine::FailedEvents;
    use lakehead_model::{Name, Offset};
    use serde_json::json;

    use super::*;

    fn pushed(kept: u64, failed: &[Cause]) -> EventsPushed {
        let stream = StreamPushed { accepted: kept, first_offset: Some(Offset(7)), ..StreamPushed::default() };
        let streams = if kept > 0 { [(Name::new("a").expect("a name"), stream)].into() } else { [].into() };
        let mut events = FailedEvents::default();
        for cause in failed {
            *events.counts.entry(*cause).or_default() += 1;
            let (reason, stream, event) = ("why".to_owned(), None, None);
            events.shown.push(FailedEvent { index: 1, cause: *cause, reason, stream, event });
        }
        EventsPushed { streams, failed: events }
    }

    #[test]
    fn the_status_tells_all_some_or_none_and_of_none_who_has_to_act() {
        use Cause::{Busy, Full, Invalid, NotAllowed, Unavailable, UnknownStream};
        for (kept, failed, hasty, status) in [
            (2, &[][..], false, 201),
            (2, &[], true, 202),
            (2, &[Invalid], true, 202),
            (2, &[Invalid], false, 207),
            (2, &[Full, Busy], false, 207),
            (0, &[Invalid], false, 400),
            (0, &[Invalid], true, 400),
            (0, &[UnknownStream], false, 400),
            (0, &[Invalid, NotAllowed], false, 403),
            (0, &[Invalid, Busy], false, 429),
            (0, &[Unavailable], false, 503),
            (0, &[Busy, Full], false, 507),
        ] {
            assert_eq!(events_status(&pushed(kept, failed), hasty).as_u16(), status, "{kept} {failed:?} {hasty}");
        }
    }

    #[test]
    fn an_answer_has_eventgate_s_three_arrays() {
        let answer = EventsAnswer::of(pushed(2, &[Cause::Invalid, Cause::UnknownStream]));
        let failure = |status: &str| json!({"status": status, "index": 1, "stream": null, "event": null, "context": {"message": "why"}});
        let expected = json!({
            "accepted": 2,
            "success": [{"status": "success", "stream": "a", "count": 2, "first_offset": 7}],
            "invalid_count": 1,
            "invalid": [failure("invalid")],
            "error_count": 1,
            "error": [failure("error")],
        });
        assert_eq!(serde_json::to_value(answer).expect("JSON"), expected);
    }
}
