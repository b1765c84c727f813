//! Events on their way into the store: one buffer of lines, and where each ends.

use crate::{TimeRule, Timestamp};

/// The largest event, whatever brings it: 4 MiB, the limit of Wikimedia's event platform, whose largest events have about 4 MB.
pub const EVENT_BYTES_MAX: usize = 4 << 20;

/// The most events that are appended at once: 262,144, so that what is kept beside each of them stays within the size of the
/// largest body of a push. A body of the largest size has as many only when they have less than 64 bytes each.
pub const APPEND_EVENTS_MAX: usize = 1 << 18;

/// A run of events in one buffer, newline-delimited as the store will write them, so that the store copies once.
///
/// Each event is one valid JSON document without a raw newline; the code that fills a batch has checked that. The event time
/// of each stands beside it, `None` where the event has none, and by which rule these were read, where one says it.
#[derive(Clone, Debug, Default)]
pub struct EventBatch {
    payload: Vec<u8>,
    ends: Vec<u32>,
    event_times: Vec<Option<Timestamp>>,
    time_rule: Option<TimeRule>,
}

impl EventBatch {
    /// A batch with room for `events` events in `bytes` bytes.
    #[must_use]
    pub fn with_capacity(events: usize, bytes: usize) -> Self {
        Self {
            payload: Vec::with_capacity(bytes + events),
            ends: Vec::with_capacity(events),
            event_times: Vec::with_capacity(events),
            time_rule: None,
        }
    }

    /// Adds one event: a JSON document without raw newlines. The newline that ends its line is added here.
    ///
    /// # Panics
    /// When the batch would pass 4 GiB; the code that fills a batch bounds it far below that.
    pub fn push(&mut self, event: &[u8], event_time: Option<Timestamp>) {
        debug_assert!(!event.contains(&b'\n'), "an event must not hold a raw newline");
        self.payload.extend_from_slice(event);
        self.payload.push(b'\n');
        self.ends.push(u32::try_from(self.payload.len()).expect("a batch is far below 4 GiB"));
        self.event_times.push(event_time);
    }

    /// The events, each followed by a newline.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Where each event's line ends in [`payload`](Self::payload), just after its newline.
    #[must_use]
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// Each event's event time.
    #[must_use]
    pub fn event_times(&self) -> &[Option<Timestamp>] {
        &self.event_times
    }

    /// By which rule the event times were read; `None` where nobody says it, and then no range may be made of them.
    #[must_use]
    pub fn time_rule(&self) -> Option<TimeRule> {
        self.time_rule
    }

    /// Says by which rule the event times were read, those of events to come as well.
    pub fn set_time_rule(&mut self, rule: TimeRule) {
        self.time_rule = Some(rule);
    }

    /// The batch taken apart without copying: payload, ends and event times, as the accessors of those names give them.
    #[must_use]
    pub fn into_parts(self) -> (Vec<u8>, Vec<u32>, Vec<Option<Timestamp>>) {
        (self.payload, self.ends, self.event_times)
    }

    /// The number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no event in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The events in order, without their newlines.
    pub fn events(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let end = *end as usize;
            let event = &self.payload[start..end - 1];
            start = end;
            event
        })
    }

    /// Sets every event's time, read by `rule`; used by the stage that knows the stream's schema.
    ///
    /// # Panics
    /// When there are not as many times as events.
    pub fn set_event_times(&mut self, event_times: Vec<Option<Timestamp>>, rule: TimeRule) {
        assert_eq!(event_times.len(), self.ends.len(), "one event time for each event");
        self.event_times = event_times;
        self.time_rule = Some(rule);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_back_as_they_went_in() {
        let mut batch = EventBatch::default();
        batch.push(b"{}", None);
        batch.push(b"{\"a\":1}", Some(Timestamp(7)));
        assert_eq!(batch.events().collect::<Vec<_>>(), [&b"{}"[..], b"{\"a\":1}"]);
        assert_eq!(batch.payload(), b"{}\n{\"a\":1}\n");
        assert_eq!(batch.ends(), [3, 11]);
    }
}
