#![doc = include_str!("manual.md")]
//!
//! ---
//!
//! In this folder: `config` (what a user may set, and the requests that it makes), `template` (the address), `schedule` (when a
//! request is due), `targets` (which one is next), `fetch` (one request), `meaning` (what its status says), `events` (what is in its
//! answer), `fingerprint` (whether it is the same as before), `gathering` (the chunk in the making), `cursor` (the position as it
//! is written), `hidden` (keys are shown nowhere). Here is only the loop that joins them: wait, ask, take, hand over.

mod config;
mod cursor;
mod events;
mod fetch;
mod fingerprint;
mod gathering;
mod hidden;
mod meaning;
mod schedule;
mod targets;
mod template;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, pin::Pin, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use lakehead_connector_api::{Activity, Chunk, ConnectorKind, Error, Opened, Reader, Resume, SourceKind};
use lakehead_json::Paths;
use lakehead_model::{Clock, Refusals, Reject, Timestamp};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use self::{
    config::{AnswerPath, ChangeTest, Config},
    cursor::PollCursor,
    events::AnswerReader,
    fetch::{Fetched, FetchedBody, Fetcher},
    fingerprint::Fingerprint,
    gathering::Gathering,
    hidden::Hidden,
    meaning::{AnswerHead, Meaning, Reach, RequestFailure, meaning},
    targets::{NextPoll, Targets},
};

/// The source kind `poll`.
pub(crate) struct Poll;

impl ConnectorKind for Poll {
    const NAME: &'static str = "poll";
    const MANUAL: &'static str = include_str!("manual.md");
    const EXAMPLE: &'static str = r#"[source.weather]
kind = "poll"
stream = "weather"
url = "https://api.openweathermap.org/data/2.5/weather?q={city}&units=metric&appid={key}"
every = "10m"
changed = true
each = { city = ["Athens", "New York", "Oslo"] }
secrets = { key = "${OPENWEATHER_KEY}" }
"#;
    type Config = Config;

    fn check(config: &Config) -> Result<(), String> {
        config.check()
    }
}

impl SourceKind for Poll {
    async fn open(config: Config, mut resume: Resume) -> Result<Opened, Error> {
        let stream = resume.only_stream()?;
        let cursor = match &stream.cursor {
            Some(cursor) => PollCursor::read(&cursor.position)?,
            None => PollCursor::default(),
        };
        Ok(Opened::reader(Poller::new(&config, cursor, resume.clock).map_err(Error::Invalid)?))
    }
}

type Fetching = Pin<Box<dyn Future<Output = Result<Fetched, RequestFailure>> + Send>>;

/// A request under way.
struct Asking {
    place: usize,
    /// When it was made.
    asked: Timestamp,
    answer: Fetching,
}

/// A running source.
struct Poller {
    targets: Targets,
    fetcher: Fetcher,
    answers: AnswerReader,
    /// Where changes are looked for: in the values at so many paths, or in all of an answer.
    changed: Option<Option<(Paths, usize)>>,
    hidden: Hidden,
    clock: Arc<dyn Clock>,
    /// Kept here so that a call that is dropped does not ask again.
    asking: Option<Asking>,
    gathering: Gathering,
    ready: VecDeque<Chunk>,
    /// What is to be returned once everything that came before it has been handed over.
    failed: Option<Error>,
    /// It has not said yet that it is at work.
    is_silent: bool,
}

#[async_trait]
impl Reader for Poller {
    async fn next(&mut self) -> Result<Option<Chunk>, Error> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                return Ok(Some(chunk));
            }
            let gathered_until = self.gathering.deadline();
            if self.failed.is_some() && gathered_until.is_none() {
                return self.failed.take().map_or(Ok(None), Err);
            }
            if self.failed.is_some() || gathered_until.is_some_and(|until| until <= Instant::now()) {
                self.hand_over();
                continue;
            }
            // The call may be dropped wherever it waits; what is under way stays in its place.
            if let Some(asking) = &mut self.asking {
                let answer = match gathered_until {
                    Some(until) => timeout_at(until, asking.answer.as_mut()).await.ok(),
                    None => Some(asking.answer.as_mut().await),
                };
                if let Some(answer) = answer
                    && let Some(Asking { place, asked, .. }) = self.asking.take()
                {
                    self.take(place, asked, answer);
                }
                continue;
            }
            let now = self.clock.now();
            match self.targets.next(now, Instant::now()) {
                NextPoll::Ask(place) => self.ask(place, now),
                NextPoll::Spacing(wait) => {
                    let turn = Instant::now() + wait;
                    sleep_until(gathered_until.map_or(turn, |until| until.min(turn))).await;
                }
                NextPoll::Idle(_) if gathered_until.is_some() => self.hand_over(),
                NextPoll::Idle(wait) => sleep(wait).await,
            }
        }
    }
}

impl Poller {
    fn new(config: &Config, cursor: PollCursor, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let (requests, schedule) = (config.requests()?, config.schedule()?);
        let changed = match &config.changed {
            None | Some(ChangeTest::Whole(false)) => None,
            Some(ChangeTest::Whole(true)) => Some(None),
            Some(ChangeTest::Paths(paths)) => {
                let keys: Vec<Vec<String>> = paths.iter().map(AnswerPath::keys).collect();
                Some(Some((Paths::new(&keys), keys.len())))
            }
        };
        Ok(Self {
            targets: Targets::new(requests, schedule, config.requests_per_minute, cursor, clock.now()),
            fetcher: Fetcher::new(config)?,
            answers: AnswerReader::new(config),
            changed,
            hidden: config.hidden()?,
            clock,
            asking: None,
            gathering: Gathering::default(),
            ready: VecDeque::new(),
            failed: None,
            is_silent: true,
        })
    }

    fn ask(&mut self, place: usize, asked: Timestamp) {
        self.targets.ask(place, Instant::now());
        let target = self.targets.get(place);
        // Without a look for changes each answer is an event, also one that says that nothing is new.
        let validator = target.validator.as_ref().filter(|_| self.changed.is_some());
        let answer = Box::pin(self.fetcher.fetch(target.request.url.clone(), validator));
        self.asking = Some(Asking { place, asked, answer });
    }

    /// What was gathered becomes a chunk.
    fn hand_over(&mut self) {
        let mut chunk = self.gathering.take(&self.targets.cursor());
        chunk.activity = std::mem::take(&mut self.is_silent).then_some(Activity::Live);
        self.ready.push_back(chunk);
    }

    fn take(&mut self, place: usize, asked: Timestamp, answer: Result<Fetched, RequestFailure>) {
        let fetched = match answer {
            Ok(fetched) => fetched,
            Err(failure) => return self.fail(place, failure),
        };
        // Before any of it is cut, or a part of a key may be left.
        let is_success = (200..300).contains(&fetched.status);
        let said = if is_success { Bytes::new() } else { self.hidden.bytes(fetched.body.bytes().clone()) };
        let head = AnswerHead {
            status: fetched.status,
            retry_after: fetched.retry_after.as_deref(),
            leads_to: fetched.leads_to.as_deref(),
            said: &said,
            was_conditional: fetched.was_conditional,
        };
        match meaning(&head, self.clock.now()) {
            Meaning::Failed(failure) => self.fail(place, failure),
            Meaning::Refused(what) => self.refuse(place, asked, &what, fetched.body.bytes().clone()),
            Meaning::Nothing => self.answered(place, asked),
            Meaning::NotModified => {
                self.answered(place, asked);
                self.gathering.duplicates(1);
            }
            Meaning::Answered => match fetched.body {
                FetchedBody::TooLarge(head, what) => self.refuse(place, asked, &what, head),
                FetchedBody::Whole(body) => match self.answers.events(&body) {
                    Err(what) => self.refuse(place, asked, &what, body),
                    Ok(events) => {
                        self.take_events(place, asked, &body, &events);
                        self.targets.get_mut(place).validator = fetched.validator.filter(|_| self.changed.is_some());
                        self.answered(place, asked);
                    }
                },
            },
        }
        if self.gathering.is_full() {
            self.hand_over();
        }
    }

    /// The events of an answer, unless it is the one before. Of many, those that fill a chunk are handed over with a cursor that
    /// says how many they are.
    fn take_events(&mut self, place: usize, asked: Timestamp, body: &Bytes, events: &[Bytes]) {
        let whole = Fingerprint::of(body);
        let print = self.changed.as_ref().map(|at| match at {
            Some((paths, count)) => Fingerprint::at(paths, *count, body),
            None => whole,
        });
        let target = self.targets.get(place);
        if print.is_some() && target.print == print {
            return self.gathering.duplicates(events.len());
        }
        let stamp = self.answers.stamp(&target.request.parameters, asked);
        let held = self.targets.taken(place, whole).min(events.len());
        self.gathering.duplicates(held);
        let (mut refusals, mut kept) = (Refusals::default(), 0);
        for (number, event) in events.iter().enumerate().skip(held) {
            if self.gathering.is_full() {
                self.targets.take(place, whole, Some(number));
                self.hand_over();
            }
            self.gathering.begin(Instant::now());
            match self.answers.event(event, stamp.as_deref()) {
                Ok(event) => self.gathering.event(&event),
                Err(what) => {
                    refusals.add(number as u64, || self.reject(place, asked, Some(number), &what, event.clone()))
                }
            }
            for (_, reject) in refusals.kept.drain(..) {
                kept += 1;
                self.gathering.reject(reject);
            }
        }
        let label = &self.targets.get(place).request.label;
        if let Some(rest) = refusals.rest(|number| format!("{label}, asked {asked}, event {number}")) {
            // The entry stands for all that were only counted, and is one of them itself.
            self.gathering.refused_more(refusals.count.saturating_sub(kept + 1));
            self.gathering.reject(rest);
        }
        self.targets.take(place, whole, None);
        self.targets.get_mut(place).print = print;
    }

    /// What came is accounted for.
    fn answered(&mut self, place: usize, asked: Timestamp) {
        self.gathering.begin(Instant::now());
        if self.targets.answered(place, asked) {
            tracing::info!("{} answers again", self.targets.get(place).request.label);
        }
    }

    /// What came is no event. Refused for the same reason again and again, it is kept once and counted from then on.
    fn refuse(&mut self, place: usize, asked: Timestamp, what: &str, payload: Bytes) {
        self.gathering.begin(Instant::now());
        if self.targets.refused(place, asked, what) {
            let reject = self.reject(place, asked, None, what, payload);
            self.gathering.reject(reject);
        } else {
            self.gathering.refused_more(1);
        }
    }

    fn reject(&self, place: usize, asked: Timestamp, number: Option<usize>, what: &str, payload: Bytes) -> Reject {
        let label = &self.targets.get(place).request.label;
        let event = number.map(|number| format!(", event {number}")).unwrap_or_default();
        let mut reason = format!("{label} {what}");
        if payload.len() > Reject::PAYLOAD_BYTES_MAX {
            reason.push_str(&format!("; of {} bytes the first are kept", payload.len()));
        }
        let head = self.hidden.head(payload, Reject::PAYLOAD_BYTES_MAX);
        Reject {
            reason: self.hidden.text(&reason),
            position: format!("{label}, asked {asked}{event}"),
            // A copy, so that a reject that waits for the disk does not hold on to the whole answer.
            payload: Bytes::copy_from_slice(&head),
        }
    }

    /// There is no answer. Others are asked meanwhile; when all have failed, or the server is away, the engine is told.
    fn fail(&mut self, place: usize, failure: RequestFailure) {
        let (now, at) = (self.clock.now(), Instant::now());
        let what = self.hidden.text(&format!("{} {}", self.targets.get(place).request.label, failure.what));
        let failures = self.targets.failed(place, &failure, now, at);
        let retry_after = match failure.reach {
            Reach::Server => Some(failure.retry_after),
            _ => self.targets.all_failing(now, at).map(Some),
        };
        match retry_after {
            Some(retry_after) => self.failed = Some(Error::Unavailable { what, retry_after }),
            None if failures == 1 => tracing::warn!("{what}; other requests go on"),
            None => tracing::debug!(failures, "{what}"),
        }
    }
}

#[cfg(test)]
impl Poller {
    fn is_waiting_for_its_turn(&mut self) -> bool {
        matches!(self.targets.next(self.clock.now(), Instant::now()), NextPoll::Spacing(_) | NextPoll::Ask(_))
    }
}
