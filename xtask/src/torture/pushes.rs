//! What is pushed: batches of events whose text is a pure function of their id, and what became of each.
//!
//! ```text
//! issued ──201──▶ acknowledged: every event is an obligation
//!    └──no answer──▶ with a key: pushed again after the restart until it is answered
//!                    without:    open, all of it may be there or nothing
//! ```
//! After a kill the last acknowledged key is pushed once more too; the answer must be the old one.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{JoinHandle, sleep},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{
    pipeline::PUSHED,
    random::{Random, mix},
};
use crate::http;

/// Between two pushes: some land in the same block, some do not.
const PAUSE: Duration = Duration::from_millis(4);

/// Events in a batch, at most.
const BATCH_MAX: u64 = 8;

/// Events in one second of event time.
const EVENTS_A_SECOND: u64 = 40;

/// The second of event 0: 2026-09-01T00:00:00Z.
const FIRST_SECOND: u64 = 1_788_220_800;

/// Event `id` of this seed.
pub(crate) fn event(seed: u64, id: u64) -> Vec<u8> {
    let second = id / EVENTS_A_SECOND;
    let (day, hour, minute) = (1 + second / 86_400, second / 3600 % 24, second / 60 % 60);
    let check = mix(seed ^ mix(id));
    let text = "lake ".repeat((check % 40) as usize);
    // Another time, an hour later, for a stream whose event time is changed.
    let later = second + 3_600;
    let at =
        format!("2026-09-{:02}T{:02}:{:02}:{:02}Z", 1 + later / 86_400, later / 3600 % 24, later / 60 % 60, later % 60);
    format!(
        r#"{{"id":{id},"dt":"2026-09-{day:02}T{hour:02}:{minute:02}:{:02}Z","at":"{at}","second":{},"check":"{check:016x}","text":"{text}"}}"#,
        second % 60,
        FIRST_SECOND + second,
    )
    .into_bytes()
}

/// One push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) first_id: u64,
    pub(crate) count: u64,
    pub(crate) key: Option<String>,
}

/// Every push of a round and what became of it.
pub(crate) struct Pushes {
    pub(crate) seed: u64,
    random: Random,
    /// The id after the last that was issued.
    pub(crate) next_id: u64,
    /// Answered 201, with the offset that was answered.
    pub(crate) acknowledged: Vec<(Batch, u64)>,
    /// Sent without a key, and not answered.
    pub(crate) open: Vec<Batch>,
    /// Sent with a key, and not answered yet.
    again: Option<Batch>,
    /// Acknowledged with a key by a process that is gone: to be sent once more.
    repeat: Option<(Batch, u64)>,
    /// How many pushes were answered as repeated.
    pub(crate) repeated: u64,
    /// Answers that were wrong.
    pub(crate) wrong: Vec<String>,
}

impl Pushes {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            random: Random::new(mix(seed)),
            next_id: 0,
            acknowledged: Vec::new(),
            open: Vec::new(),
            again: None,
            repeat: None,
            repeated: 0,
            wrong: Vec::new(),
        }
    }

    /// How many events are obligations.
    pub(crate) fn obligations(&self) -> u64 {
        self.acknowledged.iter().map(|(batch, _)| batch.count).sum()
    }

    /// The offset after the last acknowledged event.
    pub(crate) fn end(&self) -> u64 {
        self.acknowledged.iter().map(|(batch, offset)| offset + batch.count).max().unwrap_or(0)
    }

    /// The process is gone: its last acknowledged key will be tried again.
    fn lost_process(&mut self) {
        self.repeat = self.acknowledged.iter().rev().find(|(batch, _)| batch.key.is_some()).cloned();
    }

    fn next(&mut self) -> Batch {
        let count = self.random.between(1, BATCH_MAX + 1);
        let key = self.random.once_in(2).then(|| format!("torture-{}-{}", self.seed, self.next_id));
        let batch = Batch { first_id: self.next_id, count, key };
        self.next_id += count;
        batch
    }

    /// Notes an answer that came.
    fn answered(&mut self, batch: Batch, status: u16, answer: &Value, before: Option<u64>) -> Result<()> {
        if status != 201 {
            bail!("a push was answered {status}: {answer}");
        }
        let offset = answer["first_offset"].as_u64().with_context(|| format!("no first_offset in {answer}"))?;
        let repeated = answer["repeated"] == true;
        self.repeated += u64::from(repeated);
        if answer["accepted"].as_u64() != Some(batch.count) {
            self.wrong.push(format!("{batch:?} was answered {answer}"));
        }
        match before {
            Some(before) if !repeated || before != offset => {
                self.wrong.push(format!("{batch:?} was answered at offset {before}, and its repetition {answer}"));
            }
            Some(_) => {}
            None => self.acknowledged.push((batch, offset)),
        }
        Ok(())
    }
}

/// Pushes to one process for as long as it answers.
pub(crate) struct Pusher {
    pushes: Arc<Mutex<Pushes>>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Option<anyhow::Error>>,
}

impl Pusher {
    pub(crate) fn start(address: &str, pushes: &Arc<Mutex<Pushes>>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (address, shared, stopped) = (address.to_owned(), Arc::clone(pushes), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                if let Err(error) = push(&address, &shared) {
                    return Some(error);
                }
                sleep(PAUSE);
            }
            None
        });
        Self { pushes: Arc::clone(pushes), stop, thread }
    }

    /// The process is gone, or is to be left alone. Returns why a push was refused, if one was.
    pub(crate) fn join(self) -> Option<anyhow::Error> {
        self.stop.store(true, Ordering::Relaxed);
        let refused = self.thread.join().ok().flatten();
        lock(&self.pushes).lost_process();
        refused
    }
}

/// Pushes one batch; an error when there was no answer or a bad one.
pub(crate) fn push(address: &str, pushes: &Mutex<Pushes>) -> Result<()> {
    let (batch, before, seed) = {
        let mut pushes = lock(pushes);
        let (batch, before) = match (pushes.repeat.take(), pushes.again.take()) {
            (Some((batch, offset)), again) => {
                pushes.again = again;
                (batch, Some(offset))
            }
            (None, Some(again)) => (again, None),
            (None, None) => (pushes.next(), None),
        };
        (batch, before, pushes.seed)
    };
    let mut body = Vec::new();
    for id in batch.first_id..batch.first_id + batch.count {
        body.extend(event(seed, id));
        body.push(b'\n');
    }
    let mut headers = vec![("Content-Type", "application/x-ndjson")];
    headers.extend(batch.key.as_deref().map(|key| ("Idempotency-Key", key)));
    let answer = http::post(address, &format!("/v1/streams/{PUSHED}/events"), &headers, &body);
    let answer = answer.and_then(|answer| {
        let document = serde_json::from_str(&answer.body).context("the answer to a push is not JSON")?;
        Ok((answer.status, document))
    });
    let mut pushes = lock(pushes);
    match answer {
        Ok((status, document)) => {
            let answered = pushes.answered(batch.clone(), status, &document, before);
            if answered.is_err() {
                pushes.unanswered(batch, before);
            }
            answered
        }
        Err(error) => {
            pushes.unanswered(batch, before);
            Err(error)
        }
    }
}

impl Pushes {
    fn unanswered(&mut self, batch: Batch, before: Option<u64>) {
        match (before, &batch.key) {
            (Some(_), _) => {}
            (None, Some(_)) => self.again = Some(batch),
            (None, None) => self.open.push(batch),
        }
    }
}

pub(crate) fn lock(pushes: &Mutex<Pushes>) -> MutexGuard<'_, Pushes> {
    pushes.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_follows_from_seed_and_id_and_says_its_second() {
        let one: Value = serde_json::from_slice(&event(7, 40 * 61)).expect("JSON");
        assert_eq!((one["dt"].as_str(), one["second"].as_u64()), (Some("2026-09-01T00:01:01Z"), Some(1_788_220_861)));
        assert_eq!(event(7, 5), event(7, 5));
        assert_ne!(event(7, 5), event(8, 5));
    }

    #[test]
    fn a_repetition_must_be_answered_as_the_first_time() {
        let mut pushes = Pushes::new(7);
        let batch = Batch { first_id: 0, count: 2, key: Some("k".to_owned()) };
        let answer = |offset: u64, repeated: bool| json!({"accepted": 2, "first_offset": offset, "repeated": repeated});
        pushes.answered(batch.clone(), 201, &answer(5, false), None).expect("201");
        pushes.answered(batch.clone(), 201, &answer(5, true), Some(5)).expect("201");
        assert_eq!((pushes.wrong.len(), pushes.obligations(), pushes.end()), (0, 2, 7));
        pushes.answered(batch.clone(), 201, &answer(9, false), Some(5)).expect("201");
        assert_eq!(pushes.wrong.len(), 1);
        assert!(pushes.answered(batch, 503, &json!({}), None).is_err());
    }
}
