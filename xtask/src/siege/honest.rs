//! Honest clients: one pushes, one asks small questions. They come again when they are told to, and expect to be served.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{JoinHandle, sleep, spawn},
    time::{Duration, Instant},
};

use anyhow::Result;
use serde_json::Value;

use super::{client, pipeline::PUSHED, threads::joined};

/// Between two pushes, and between two questions.
const PUSH_EVERY: Duration = Duration::from_millis(20);
const ASK_EVERY: Duration = Duration::from_millis(250);

/// Events in one push.
const BATCH: u64 = 10;

/// A request that takes longer is given up, and what became of it is open.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(30);

/// What the honest got.
#[derive(Default)]
pub(crate) struct Honest {
    pub(crate) pushes: Vec<Duration>,
    pub(crate) questions: Vec<Duration>,
    /// Ids of events that were answered 201.
    pub(crate) acknowledged: Vec<u64>,
    /// Ids of events of which nobody said what became.
    pub(crate) open: Vec<u64>,
    /// What was not as it should be.
    pub(crate) wrong: Vec<String>,
    /// How often one was told to come again.
    pub(crate) again: u64,
}

/// Two that run.
pub(crate) struct Running(JoinHandle<Honest>, JoinHandle<Honest>);

pub(crate) fn begin(address: &str, seed: u64, stop: &Arc<AtomicBool>) -> Running {
    let (pusher, asker) = (address.to_owned(), address.to_owned());
    let (stop_push, stop_ask) = (Arc::clone(stop), Arc::clone(stop));
    Running(spawn(move || push(&pusher, seed, &stop_push)), spawn(move || question(&asker, &stop_ask)))
}

impl Running {
    pub(crate) fn end(self) -> Result<Honest> {
        let (pushed, asked) = (joined(self.0)?, joined(self.1)?);
        let again = pushed.again + asked.again;
        let wrong = [pushed.wrong, asked.wrong].concat();
        Ok(Honest { questions: asked.questions, again, wrong, ..pushed })
    }
}

/// Asks until it is served; the time counts from the first time.
fn served(
    address: &str,
    path: &str,
    headers: &str,
    body: &[u8],
    again: &mut u64,
    open: &mut bool,
) -> Result<client::Answered, String> {
    let begun = Instant::now();
    loop {
        match client::ask(address, "POST", path, headers, body, GIVEN_UP_AFTER) {
            Ok(answer) if answer.status == 503 && begun.elapsed() < GIVEN_UP_AFTER => {
                *again += 1;
                sleep(Duration::from_millis(200));
            }
            Ok(answer) => return Ok(client::Answered { took: begun.elapsed(), ..answer }),
            Err(error) => {
                *open = true;
                if begun.elapsed() >= GIVEN_UP_AFTER {
                    return Err(format!("{error:#}"));
                }
                *again += 1;
                sleep(Duration::from_millis(200));
            }
        }
    }
}

fn push(address: &str, seed: u64, stop: &AtomicBool) -> Honest {
    let (mut honest, mut id, path) = (Honest::default(), 0, format!("/v1/streams/{PUSHED}/events"));
    let at = |id: u64| format!("2026-09-01T{:02}:{:02}:{:02}Z", id / 144_000 % 24, id / 2_400 % 60, id / 40 % 60);
    while !stop.load(Relaxed) {
        let ids: Vec<u64> = (id..id + BATCH).collect();
        id += BATCH;
        let body: String = ids.iter().map(|id| format!("{{\"id\":{id},\"dt\":\"{}\"}}\n", at(*id))).collect();
        // With a key one may push again what was not answered.
        let headers = format!("Idempotency-Key: siege-{seed}-{id}\r\n");
        let mut open = false;
        match served(address, &path, &headers, body.as_bytes(), &mut honest.again, &mut open) {
            Ok(answer) if answer.status == 201 => {
                honest.pushes.push(answer.took);
                honest.acknowledged.extend(ids);
            }
            // A push that was cut off may still be under way.
            Ok(answer) if answer.status == 409 && open => honest.open.extend(ids),
            Ok(answer) => {
                honest.wrong.push(format!("an honest push was answered {}: {:.200}", answer.status, answer.body));
                honest.open.extend(ids);
            }
            Err(error) => {
                honest.wrong.push(format!("an honest push was not answered: {error}"));
                honest.open.extend(ids);
            }
        }
        sleep(PUSH_EVERY);
    }
    honest
}

fn question(address: &str, stop: &AtomicBool) -> Honest {
    let (mut honest, mut least) = (Honest::default(), 0);
    while !stop.load(Relaxed) {
        let sql = "SELECT max(event_offset) AS last FROM pushed";
        match served(address, "/v1/sql", "", sql.as_bytes(), &mut honest.again, &mut false) {
            Ok(answer) if answer.status == 200 => {
                honest.questions.push(answer.took);
                let rows: Value = serde_json::from_str(&answer.body).unwrap_or_default();
                let last = rows[0]["last"].as_u64().unwrap_or(0);
                if last < least {
                    honest.wrong.push(format!("the last offset was {least}, and is {last}"));
                }
                least = last;
            }
            Ok(answer) => {
                honest.wrong.push(format!("a small question was answered {}: {:.200}", answer.status, answer.body));
            }
            Err(error) => honest.wrong.push(format!("a small question was not answered: {error}")),
        }
        sleep(ASK_EVERY);
    }
    honest
}
