//! The events of one stream that were looked at.

use std::time::Duration;

use lakehead_model::EventBatch;

/// Events, and when they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    /// The events, with no event times: those are for [`fit`](super::fit) to find.
    pub(super) events: EventBatch,
    /// When the first and the last of them came, since their source was opened.
    pub(super) came: Option<(Duration, Duration)>,
    /// They are of several sources, whose arrivals are not to be compared.
    pub(super) is_mixed: bool,
}

impl Sample {
    /// Takes the first events of `batch`, up to `events_max` in all and as long as there is room for `bytes`. Answers how many.
    pub(super) fn take(&mut self, batch: &EventBatch, at: Duration, events_max: usize, mut bytes: usize) -> usize {
        let mut taken = 0;
        for event in batch.events() {
            // The first one is looked at whatever its size.
            if self.events.len() >= events_max || (event.len() > bytes && !self.events.is_empty()) {
                break;
            }
            bytes = bytes.saturating_sub(event.len());
            self.events.push(event, None);
            taken += 1;
        }
        if taken > 0 {
            self.came = Some((self.came.map_or(at, |(first, _)| first), at));
        }
        taken
    }

    /// Adds what another source of the stream brought.
    pub(super) fn add(&mut self, other: Self) {
        if self.events.is_empty() {
            *self = other;
            return;
        }
        if !other.events.is_empty() {
            other.events.events().for_each(|event| self.events.push(event, None));
            self.is_mixed = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_taken_than_there_may_be_and_the_first_always() {
        let mut batch = EventBatch::default();
        ["\"aaaa\"", "1", "2", "3"].iter().for_each(|event| batch.push(event.as_bytes(), None));
        let mut sample = Sample::default();
        assert_eq!(sample.take(&batch, Duration::from_secs(1), 3, 2), 1, "the first is greater than the room");
        assert_eq!(sample.take(&batch, Duration::from_secs(2), 3, 100), 2);
        assert_eq!(sample.take(&batch, Duration::from_secs(3), 3, 100), 0);
        assert_eq!(sample.came, Some((Duration::from_secs(1), Duration::from_secs(2))));
        let mut all = Sample::default();
        all.add(sample.clone());
        assert!(!all.is_mixed);
        all.add(Sample::default());
        assert_eq!((all.events.len(), all.is_mixed), (3, false));
        all.add(sample);
        assert_eq!((all.events.len(), all.is_mixed), (6, true));
    }
}
