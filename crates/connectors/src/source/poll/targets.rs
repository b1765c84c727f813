//! Which request is made next, and when: the state of each, as a pure function of two clocks.
//!
//! The wall clock says when a request is due; a clock that only goes forward says how long ago the last one was, so that neither
//! the rate nor a pause depends on who sets the time.
//!
//! ```text
//!            ┌──────────── due ◀──────────────────┐
//!            ▼                                    │ answered, refused, or a person must act: after the schedule
//!  waiting ─ asked ───────────────────────────────┤
//!            ▲                                    │ failed: after a pause that doubles
//!            └──────────── not before ◀───────────┘
//! ```

use std::time::Duration;

use lakehead_model::Timestamp;
use tokio::time::Instant;

use super::{
    config::PollRequest,
    cursor::{AnswerPart, PollCursor, PollEntry, Validator},
    fingerprint::Fingerprint,
    meaning::{Reach, RequestFailure},
    schedule::{Schedule, believed},
};

/// The first pause after a failure, and the longest; it doubles from one to the other.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(600);

/// How often the wall clock is looked at while nothing is due: a machine that slept, or a clock that was set, is noticed so soon.
const CLOCK_EVERY: Duration = Duration::from_secs(30);

/// Most answers that may be handed over by half at once; of more, the first begin again.
const PARTS_MAX: usize = 16;

/// All requests of a source.
pub(super) struct Targets {
    all: Vec<PollTarget>,
    schedule: Schedule,
    /// Between one request and the next.
    spacing: Duration,
    last: Option<Instant>,
    /// Nothing is asked before this, and how often in a row that was so.
    paused_until: Option<Instant>,
    pauses: u32,
    parts: Vec<AnswerPart>,
}

/// One request and where it stands.
pub(super) struct PollTarget {
    pub(super) request: PollRequest,
    /// When its last answer was asked for.
    asked: Option<Timestamp>,
    /// What the next time is reckoned from: the last request, or the opening.
    base: Timestamp,
    is_first: bool,
    due: Timestamp,
    pub(super) print: Option<Fingerprint>,
    pub(super) validator: Option<Validator>,
    /// Failures in a row.
    failures: u32,
    not_before: Option<Instant>,
    attempted: Option<Instant>,
    /// The last answer was refused for this.
    refused: Option<Fingerprint>,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NextPoll {
    /// Make this request.
    Ask(usize),
    /// One is due, and has to wait so long for its turn.
    Spacing(Duration),
    /// None is due for so long.
    Idle(Duration),
}

impl Targets {
    /// Where `cursor` left them, at `opened`.
    pub(super) fn new(
        requests: Vec<PollRequest>,
        schedule: Schedule,
        requests_per_minute: u32,
        cursor: PollCursor,
        opened: Timestamp,
    ) -> Self {
        let PollCursor { requests: entries, part: parts, .. } = cursor;
        let target = |request: PollRequest| {
            let entry = entries.iter().find(|entry| entry.0 == request.id);
            let asked = entry.map(|entry| believed(entry.1, opened));
            // One whose time was noted by a clock that was ahead is asked as if it were the first time, and then its time is right.
            let is_first = asked.is_none_or(|asked| entry.is_some_and(|entry| entry.1 != asked));
            PollTarget {
                asked,
                base: asked.unwrap_or(opened),
                is_first,
                due: schedule.due(asked.filter(|_| !is_first), opened),
                print: entry.and_then(|entry| entry.2),
                validator: entry.and_then(|entry| entry.3.clone()),
                failures: 0,
                not_before: None,
                attempted: None,
                refused: None,
                request,
            }
        };
        let all: Vec<PollTarget> = requests.into_iter().map(target).collect();
        let spacing = Duration::from_secs(60) / requests_per_minute.max(1);
        Self { all, schedule, spacing, last: None, paused_until: None, pauses: 0, parts }
    }

    pub(super) fn get(&self, place: usize) -> &PollTarget {
        &self.all[place]
    }

    pub(super) fn get_mut(&mut self, place: usize) -> &mut PollTarget {
        &mut self.all[place]
    }

    /// What to do at `now`, by either clock. Of several that are due, the one that was asked longest ago.
    pub(super) fn next(&mut self, now: Timestamp, at: Instant) -> NextPoll {
        for target in &mut self.all {
            let base = believed(target.base, now);
            if base != target.base {
                target.base = base;
                target.due = self.schedule.due((!target.is_first).then_some(base), base);
            }
        }
        let wait = |target: &PollTarget| target.due.since(now).max(until(target.not_before, at));
        let is_due = |(_, target): &(usize, &PollTarget)| wait(target).is_zero();
        let next = self.all.iter().enumerate().filter(is_due).min_by_key(|(place, target)| (target.attempted, *place));
        let Some((place, _)) = next else {
            let wait = self.all.iter().map(wait).min().unwrap_or(CLOCK_EVERY);
            return NextPoll::Idle(wait.min(CLOCK_EVERY));
        };
        let turn = self.last.map(|last| last + self.spacing);
        let wait = until(turn, at).max(until(self.paused_until, at));
        if wait.is_zero() { NextPoll::Ask(place) } else { NextPoll::Spacing(wait) }
    }

    /// It is asked now.
    pub(super) fn ask(&mut self, place: usize, at: Instant) {
        self.last = Some(at);
        self.all[place].attempted = Some(at);
    }

    /// It was asked at `asked`, and what came is accounted for. Answers whether it had failed before.
    pub(super) fn answered(&mut self, place: usize, asked: Timestamp) -> bool {
        self.pauses = 0;
        let target = &mut self.all[place];
        (target.asked, target.base, target.is_first) = (Some(asked), asked, false);
        target.due = self.schedule.due(Some(asked), asked);
        (target.not_before, target.refused) = (None, None);
        std::mem::take(&mut target.failures) > 0
    }

    /// It was asked at `asked`, and what came was refused for this reason. Answers whether for another one than the last time.
    pub(super) fn refused(&mut self, place: usize, asked: Timestamp, reason: &str) -> bool {
        let (before, reason) = (self.all[place].refused, Some(Fingerprint::of(reason.as_bytes())));
        self.answered(place, asked);
        self.all[place].refused = reason;
        before != reason
    }

    /// It has no answer. Answers how often in a row.
    pub(super) fn failed(&mut self, place: usize, failure: &RequestFailure, now: Timestamp, at: Instant) -> u32 {
        let asked_wait = failure.retry_after.unwrap_or_default();
        let target = &mut self.all[place];
        target.failures = target.failures.saturating_add(1);
        let mut wait = asked_wait.max(pause(target.failures));
        match failure.reach {
            Reach::Person => {
                (target.base, target.is_first) = (now, false);
                target.due = self.schedule.due(Some(now), now);
                wait = asked_wait;
            }
            Reach::Everyone => {
                self.pauses = self.pauses.saturating_add(1);
                wait = asked_wait.max(pause(self.pauses));
                self.paused_until = Some(at + wait);
            }
            Reach::Request | Reach::Server => {}
        }
        target.not_before = Some(at + wait);
        target.failures
    }

    /// When every request has failed: how long until one of them is made again.
    pub(super) fn all_failing(&self, now: Timestamp, at: Instant) -> Option<Duration> {
        let wait = |target: &PollTarget| {
            let own = target.due.since(now).max(until(target.not_before, at));
            (target.failures > 0).then_some(own)
        };
        let waits: Option<Vec<Duration>> = self.all.iter().map(wait).collect();
        Some(waits?.into_iter().min()?.max(until(self.paused_until, at)))
    }

    /// Forgets every pause, as if its time had passed.
    #[cfg(test)]
    pub(super) fn hurry(&mut self) {
        self.paused_until = None;
        self.all.iter_mut().for_each(|target| target.not_before = None);
    }

    /// How many of this answer's events came before; they are not to come again.
    pub(super) fn taken(&mut self, place: usize, answer: Fingerprint) -> usize {
        let id = &self.all[place].request.id;
        let part = self.parts.iter().find(|AnswerPart(of, print, _)| of == id && *print == answer);
        part.map_or(0, |part| part.2)
    }

    /// So many of this answer's events are handed over; `None` for all.
    pub(super) fn take(&mut self, place: usize, answer: Fingerprint, events: Option<usize>) {
        let id = self.all[place].request.id.clone();
        self.parts.retain(|part| part.0 != id);
        let Some(events) = events else { return };
        if self.parts.len() == PARTS_MAX {
            self.parts.remove(0);
        }
        self.parts.push(AnswerPart(id, answer, events));
    }

    /// The cursor as of now.
    pub(super) fn cursor(&self) -> PollCursor {
        let entry = |target: &PollTarget| {
            Some(PollEntry(target.request.id.clone(), target.asked?, target.print, target.validator.clone()))
        };
        PollCursor::new(self.all.iter().filter_map(entry).collect(), self.parts.clone())
    }
}

/// How long until `then`.
fn until(then: Option<Instant>, at: Instant) -> Duration {
    then.map_or(Duration::ZERO, |then| then.saturating_duration_since(at))
}

/// The pause after so many failures in a row.
fn pause(failures: u32) -> Duration {
    PAUSE_MIN.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use lakehead_model::Span;

    use super::*;
    use crate::source::poll::config::Config;

    const NOW: Timestamp = Timestamp(1_796_040_000_000_000);

    fn targets(cities: usize, cursor: PollCursor) -> Targets {
        let cities: Vec<usize> = (0..cities).collect();
        let settings = serde_json::json!({ "url": "http://h/{n}", "each": { "n": cities } });
        let config: Config = serde_json::from_value(settings).expect("settings");
        let schedule = Schedule::new(Some(Span::seconds(600)), None, None).expect("a schedule");
        Targets::new(config.requests().expect("requests"), schedule, 60, cursor, NOW)
    }

    fn failure(reach: Reach, retry_after: Option<u64>) -> RequestFailure {
        RequestFailure { what: String::new(), retry_after: retry_after.map(Duration::from_secs), reach }
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn each_is_asked_in_its_turn_and_again_after_the_interval() {
        let (mut targets, at) = (targets(2, PollCursor::default()), Instant::now());
        assert_eq!(targets.next(NOW, at), NextPoll::Ask(0));
        targets.ask(0, at);
        targets.answered(0, NOW);
        assert_eq!(targets.next(NOW, at), NextPoll::Spacing(seconds(1)), "sixty a minute");
        assert_eq!(targets.next(NOW, at + seconds(1)), NextPoll::Ask(1));
        targets.ask(1, at + seconds(1));
        targets.answered(1, NOW.plus(seconds(1)));
        assert_eq!(targets.next(NOW.plus(seconds(2)), at + seconds(2)), NextPoll::Idle(CLOCK_EVERY));
        assert_eq!(targets.next(NOW.plus(seconds(595)), at + seconds(595)), NextPoll::Idle(seconds(5)));
        // The machine slept for three days: each is asked once.
        let (now, at) = (NOW.plus(seconds(259_200)), at + seconds(600));
        assert_eq!(targets.next(now, at), NextPoll::Ask(0));
        targets.ask(0, at);
        targets.answered(0, now);
        assert_eq!(targets.next(now, at + seconds(1)), NextPoll::Ask(1));
        targets.ask(1, at + seconds(1));
        targets.answered(1, now);
        assert_eq!(targets.next(now, at + seconds(2)), NextPoll::Idle(CLOCK_EVERY));
    }

    #[test]
    fn a_restart_asks_what_is_due_and_nothing_else() {
        let (mut before, at) = (targets(2, PollCursor::default()), Instant::now());
        before.answered(0, NOW);
        let mut after = targets(2, before.cursor());
        assert_eq!(after.next(NOW, at), NextPoll::Ask(1), "the first is not due");
        let mut later = targets(2, before.cursor());
        assert_eq!(later.next(NOW.plus(seconds(600)), at), NextPoll::Ask(0));
        assert_eq!(
            targets(1, before.cursor()).next(NOW, at),
            NextPoll::Idle(CLOCK_EVERY),
            "one that is gone is forgotten"
        );
    }

    #[test]
    fn a_clock_that_is_set_back_holds_nothing_up_for_longer_than_the_interval() {
        let (mut targets, at) = (targets(1, PollCursor::default()), Instant::now());
        targets.answered(0, NOW);
        let back = NOW.minus(seconds(86_400 * 365));
        assert_eq!(targets.next(back, at), NextPoll::Idle(CLOCK_EVERY));
        assert_eq!(targets.next(back.plus(seconds(600)), at), NextPoll::Ask(0));
        let never_asked = self::targets(1, PollCursor::default()).next(back, at);
        assert_eq!(never_asked, NextPoll::Ask(0));
    }

    #[test]
    fn one_that_fails_waits_ever_longer_and_holds_up_no_other() {
        let (mut targets, mut at) = (targets(2, PollCursor::default()), Instant::now());
        let mut waits = Vec::new();
        for _ in 0..12 {
            targets.ask(0, at);
            targets.failed(0, &failure(Reach::Request, None), NOW, at);
            let wait = targets.all[0].not_before.expect("a pause") - at;
            waits.push(wait.as_secs());
            assert_eq!(targets.next(NOW, at + seconds(1)), NextPoll::Ask(1), "the other has its turn");
            assert_eq!(targets.all_failing(NOW, at), None);
            at += wait;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
        targets.failed(0, &failure(Reach::Request, Some(3_000)), NOW, at);
        assert_eq!(targets.all[0].not_before, Some(at + seconds(3_000)), "as the server asked");
        assert!(targets.answered(0, NOW), "it had failed before");
        assert!(!targets.answered(0, NOW));
    }

    #[test]
    fn a_key_that_is_wrong_is_not_tried_sooner_than_the_schedule_says() {
        let (mut targets, at) = (targets(1, PollCursor::default()), Instant::now());
        targets.ask(0, at);
        targets.failed(0, &failure(Reach::Person, None), NOW, at);
        assert_eq!(targets.all_failing(NOW, at), Some(seconds(600)));
        assert!(targets.cursor().requests.is_empty(), "after a restart it is asked at once");
    }

    #[test]
    fn too_many_requests_hold_up_all_and_the_one_that_met_it_comes_last() {
        let (mut targets, at) = (targets(2, PollCursor::default()), Instant::now());
        targets.ask(0, at);
        targets.failed(0, &failure(Reach::Everyone, Some(7)), NOW, at);
        assert_eq!(targets.next(NOW, at + seconds(1)), NextPoll::Spacing(seconds(6)));
        assert_eq!(targets.next(NOW, at + seconds(7)), NextPoll::Ask(1), "not the first again");
        targets.ask(1, at + seconds(7));
        targets.failed(1, &failure(Reach::Everyone, None), NOW, at + seconds(7));
        assert_eq!(targets.all_failing(NOW, at + seconds(7)), Some(seconds(2)), "the second in a row");
    }

    #[test]
    fn the_same_refusal_is_told_once() {
        let mut targets = targets(1, PollCursor::default());
        assert!(targets.refused(0, NOW, "404") && !targets.refused(0, NOW, "404") && targets.refused(0, NOW, "400"));
        targets.answered(0, NOW);
        assert!(targets.refused(0, NOW, "400"), "it was answered in between");
    }
}
