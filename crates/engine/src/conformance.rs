//! Holds what enters a stream to the stream's JSON Schema, whatever brings it: what does not conform becomes a reject.
//!
//! A stream has one [`Conformance`] for as long as it is in the pipeline; a reload changes the schema in it. An event is held to
//! the schema that stands when the batch that it came with is looked at.

use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use lakehead_json_schema::JsonSchema;
use lakehead_model::{EventBatch, Refusals, Reject};

/// The schema of a stream at this moment, if it has one.
#[derive(Default)]
pub(crate) struct Conformance(RwLock<Option<Arc<JsonSchema>>>);

impl Conformance {
    pub(crate) fn new(schema: Option<Arc<JsonSchema>>) -> Self {
        Self(RwLock::new(schema))
    }

    /// The schema for what comes now.
    pub(crate) fn now(&self) -> Option<Arc<JsonSchema>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on it is this one.
    pub(crate) fn set(&self, schema: Option<Arc<JsonSchema>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = schema;
    }
}

/// What a batch becomes that is held to a schema.
pub(crate) struct Held {
    /// The events that conform, with their times.
    pub(crate) events: EventBatch,
    /// The others.
    pub(crate) rejects: Vec<Reject>,
    /// How many more there are than entries of `rejects`.
    pub(crate) refused_more: u64,
}

/// Holds `events` to `schema`. `from` says where they come from, for people.
pub(crate) fn hold(schema: &JsonSchema, events: EventBatch, from: &str) -> Held {
    let wrong: Vec<Option<String>> = events.events().map(|event| schema.check(event).err()).collect();
    if wrong.iter().all(Option::is_none) {
        return Held { events, rejects: Vec::new(), refused_more: 0 };
    }
    let mut kept = EventBatch::with_capacity(events.len(), events.payload().len());
    let place = |number: u64| format!("event {number} of those up to {from}");
    let mut refusals = Refusals::default();
    let rule = events.time_rule();
    for (number, ((event, time), wrong)) in events.events().zip(events.event_times()).zip(wrong).enumerate() {
        match wrong {
            None => kept.push(event, *time),
            Some(reason) => refusals.add(number as u64, || Reject {
                reason,
                position: place(number as u64),
                payload: Bytes::copy_from_slice(event),
            }),
        }
    }
    if let Some(rule) = rule {
        kept.set_time_rule(rule);
    }
    let rest = refusals.rest(place);
    let rejects: Vec<Reject> = refusals.kept.into_iter().map(|(_, reject)| reject).chain(rest).collect();
    let refused_more = refusals.count.saturating_sub(rejects.len() as u64);
    Held { events: kept, rejects, refused_more }
}

#[cfg(test)]
mod tests {
    use lakehead_json::EventTimes;
    use lakehead_model::{StreamSchema, Timestamp};

    use super::*;

    #[test]
    fn what_does_not_conform_is_taken_out_and_the_rest_keeps_its_times() {
        let schema = JsonSchema::new(br#"{"type": "object", "required": ["a"]}"#).expect("a schema");
        let mut events = EventBatch::default();
        for (event, time) in [("{\"a\":1}", 1), ("{\"b\":1}", 2), ("3", 3), ("{\"a\":4}", 4)] {
            events.push(event.as_bytes(), Some(Timestamp(time)));
        }
        let rule = EventTimes::new(&StreamSchema::builtin("json").expect("built in")).rule();
        events.set_time_rule(rule);
        let held = hold(&schema, events, "7");
        assert_eq!(held.events.time_rule(), Some(rule), "who reads the log relies on it");
        assert_eq!(held.events.events().collect::<Vec<_>>(), [b"{\"a\":1}", b"{\"a\":4}"]);
        assert_eq!(held.events.event_times(), [Some(Timestamp(1)), Some(Timestamp(4))]);
        assert_eq!((held.rejects.len(), held.refused_more), (2, 0));
        assert_eq!(held.rejects[0].position, "event 1 of those up to 7");
        assert!(held.rejects[0].reason.contains("\"a\" is missing"), "{}", held.rejects[0].reason);
    }

    #[test]
    fn of_many_the_first_are_kept_and_all_are_counted() {
        let schema = JsonSchema::new(br#"{"type": "object"}"#).expect("a schema");
        let mut events = EventBatch::default();
        (0..5_000).for_each(|_| events.push(b"1", None));
        let held = hold(&schema, events, "7");
        assert!(held.events.is_empty() && held.rejects.len() < 1_100);
        assert_eq!(held.rejects.len() as u64 + held.refused_more, 5_000);
    }
}
