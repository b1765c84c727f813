//! How many events of a stream have no event time, and why: counted where they come in, shown in the status.
//!
//! The inlet counts them a batch at a time, after their times were read; a single event costs nothing more.
//! *Recent* are a few thousand events: what was wrong a day ago and is mended does not trouble anybody.

use std::sync::Mutex;

use lakehead_json::EventTimes;
use lakehead_model::EventBatch;

use crate::{columns::TailFit, status::EventTimeStatus, sync::lock};

/// When this many events are in the recent count it is halved, so that it follows what comes now.
const RECENT_EVENTS_MAX: u64 = 4_096;

/// The counts of one stream, since the process began.
#[derive(Debug, Default)]
pub(crate) struct Untimed(Mutex<TimeCounts>);

#[derive(Debug, Default)]
struct TimeCounts {
    status: EventTimeStatus,
    recent_events: u64,
    recent_without: u64,
    /// What was in the log before is among the recent ones.
    has_looked_back: bool,
}

/// How many of `events`, whose times were read by `times`, have none though they should, and why the first of them has none.
/// `None` where each has one.
pub(crate) fn without_time(times: &EventTimes, events: &EventBatch) -> Option<(u64, String)> {
    if times.none_wanted() {
        return None;
    }
    let mut without = events.event_times().iter().zip(events.events()).filter(|(time, _)| time.is_none());
    let (_, first) = without.next()?;
    Some((1 + without.count() as u64, times.why_none(first).to_string()))
}

impl Untimed {
    /// Counts the events of `batch`, whose times were read by `times`.
    pub(crate) fn note(&self, times: &EventTimes, batch: &EventBatch) {
        if batch.is_empty() || times.none_wanted() {
            return;
        }
        let events = batch.len() as u64;
        let first = batch.event_times().iter().position(Option::is_none);
        let without = match first {
            None => 0,
            Some(first) => batch.event_times().iter().skip(first).filter(|time| time.is_none()).count() as u64,
        };
        let mut counts = lock(&self.0);
        counts.status.events += events;
        counts.status.without += without;
        counts.recent(events, without);
        let is_over = counts.recent_events >= RECENT_EVENTS_MAX;
        // What is wrong now may be something else than at first.
        if let Some(first) = first.filter(|_| is_over || counts.status.why.is_none()) {
            counts.status.why = batch.events().nth(first).map(|event| times.why_none(event).to_string());
        }
        counts.settle();
    }

    /// At a start, and after the stream's event time was changed, the last events of the log count as recent: the rule is for
    /// them, too. `look` answers how many there are of how many events at most, how many of them are without, and why.
    pub(crate) fn look_back<E>(&self, look: impl FnOnce(u64) -> Result<TailFit, E>) -> Result<(), E> {
        if lock(&self.0).has_looked_back {
            return Ok(());
        }
        let looked = look(RECENT_EVENTS_MAX)?;
        let mut counts = lock(&self.0);
        counts.has_looked_back = true;
        counts.recent(looked.events, looked.without_event_time);
        counts.status.why = counts.status.why.take().or(looked.why);
        counts.settle();
        Ok(())
    }

    /// Starts over: the stream's event time is read otherwise from now on.
    pub(crate) fn start_over(&self) {
        *lock(&self.0) = TimeCounts::default();
    }

    /// What is known now.
    pub(crate) fn status(&self) -> EventTimeStatus {
        lock(&self.0).status.clone()
    }
}

impl TimeCounts {
    fn recent(&mut self, events: u64, without: u64) {
        self.recent_events += events;
        self.recent_without += without;
    }

    fn settle(&mut self) {
        while self.recent_events >= RECENT_EVENTS_MAX {
            self.recent_events /= 2;
            self.recent_without /= 2;
        }
        self.status.most_without = self.recent_without * 2 > self.recent_events;
    }
}

#[cfg(test)]
mod tests {
    use lakehead_model::StreamSchema;

    use super::*;

    fn note(untimed: &Untimed, times: &EventTimes, event: &str, count: usize) {
        let mut batch = EventBatch::default();
        (0..count).for_each(|_| batch.push(event.as_bytes(), None));
        let found = batch.events().map(|event| times.of(event)).collect();
        batch.set_event_times(found, times.rule());
        untimed.note(times, &batch);
    }

    #[test]
    fn most_of_the_last_events_without_a_time_are_trouble_until_others_come() {
        let times = EventTimes::new(&StreamSchema::builtin("json").expect("built in"));
        let untimed = Untimed::default();
        note(&untimed, &times, r#"{"dt":"2026-11-28T11:30:00Z"}"#, 5);
        note(&untimed, &times, r#"{"dt":1795865400}"#, 5);
        assert!(!untimed.status().most_without, "half of them");
        note(&untimed, &times, r#"{"dt":1795865400}"#, 1);
        let status = untimed.status();
        assert_eq!((status.events, status.without, status.most_without), (11, 6, true));
        assert!(status.why.is_some_and(|why| why.contains("looks like Unix seconds")));
        for _ in 0..4 {
            note(&untimed, &times, r#"{"dt":"2026-11-28T11:30:00Z"}"#, 3_000);
        }
        assert!(!untimed.status().most_without);
        untimed.start_over();
        assert_eq!(untimed.status(), EventTimeStatus::default());
        let looked = |without| TailFit { events: 100, without_event_time: without, ..TailFit::default() };
        untimed.look_back(|_| Err::<TailFit, _>("unreadable")).expect_err("it says so");
        untimed.look_back(|_| Ok::<_, ()>(looked(99))).expect("looked");
        assert_eq!(untimed.status(), EventTimeStatus { most_without: true, ..EventTimeStatus::default() });
        untimed.look_back(|_| Ok::<_, ()>(looked(0))).expect("once is enough");
        assert!(untimed.status().most_without);
        note(&untimed, &times, r#"{"dt":"2026-11-28T11:30:00Z"}"#, 200);
        assert!(!untimed.status().most_without);
    }

    #[test]
    fn a_stream_whose_events_have_no_time_by_its_own_word_is_no_trouble() {
        let times = EventTimes::new(&StreamSchema::default());
        let untimed = Untimed::default();
        note(&untimed, &times, "{}", 5);
        assert_eq!(untimed.status(), EventTimeStatus::default());
    }
}
