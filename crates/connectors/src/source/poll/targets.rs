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
            PollTarget {
                asked,
                base: asked.unwrap_or(opened),
                is_first: asked.is_none(),
                due: schedule.due(asked, opened),
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
        waits?.into_iter().min()
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
