//! How long an event takes until a query shows it: 10,000 a second through a source, with ten views at work.
//!
//! ```text
//!   produced: start + N / rate ─▶ sent (the simulator waits 5 ms or more) ─▶ stored, synced ─▶ counted ─▶ first answer with N
//!   └───────────────────────────────────────── measured for every event ─────────────────────────────────────────┘
//! ```
//! Event N of the simulator is due at a moment that follows from N, and becomes the event of offset N. One more view keeps
//! the greatest offset of each second; a question for the greatest of all is put again and again. An event is visible when
//! the first answer that is at least its offset has arrived, whole, over HTTP. That offset N is event N is not taken on
//! trust: the events' own times say so afterwards, to the millisecond.

use std::{
    path::Path,
    process::Command,
    thread::sleep,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{
    pipelines::{self, NamedView, TEN},
    spread::Spread,
};
use crate::{
    bench::{
        report::thousands,
        scratch::{self, text},
        status::STREAM,
    },
    http,
    process::{Cpu, Process},
};

/// The longest that 99 of a hundred events may take.
const BAR_MILLIS: f64 = 250.0;
/// Events a second, and so the time between two.
const RATE: u64 = 10_000;
const MICROS_EACH: u64 = 1_000_000 / RATE;
/// Between an answer and the next question.
const PAUSE: Duration = Duration::from_millis(2);
/// What everything has to start and connect before the first event is due.
const BEFORE_FIRST: Duration = Duration::from_secs(5);
/// Longest wait for the last event, after it was due.
const STUCK_AFTER: Duration = Duration::from_secs(60);
/// How far an event's `meta.dt` lies before the moment when it is due: the simulator keeps to what was recorded.
const BEFORE_DUE_MICROS: std::ops::Range<i64> = 0..251_000;

/// The view beside the ten. Its name makes it the last of them in any order by name.
const VISIBLE: NamedView = (
    "visible",
    "SELECT tumble(event_time, INTERVAL '1 second') AS second, max(event_offset) AS last FROM recentchange GROUP BY 1",
);
const QUESTION: &str = "SELECT max(last) AS last FROM visible";

/// An answer: when it was there, and how far it counts.
struct Sight {
    micros: u64,
    last: u64,
}

/// When events became visible, and what that took.
struct Visibility {
    sights: Vec<Sight>,
    /// How long each question took.
    questions: Spread,
    /// CPU time of Lakehead from the first event to the last.
    cpu: Cpu,
    memory_peak: u64,
}

/// Lets events come in for so many seconds; a table.
pub(super) fn measure(binary: &Path, scratch: &Path, seconds: u64) -> Result<String> {
    println!("event to visible: {} events a second for {seconds} s", thousands(RATE as f64));
    let data = scratch.join("live");
    let (events, start) = (seconds * RATE, micros_now()?.div_ceil(1_000_000) + BEFORE_FIRST.as_secs());
    let (rate, begins) = (RATE.to_string(), rfc3339(start)?);
    // It goes on after the events that are measured: at its end the last few would wait for more to make a block with.
    let words = ["simulate", "--rate", &rate, "--start", &begins, "--listen", "127.0.0.1:0"];
    let mut upstream = Process::start(binary, &words)?;
    let url = format!("http://{}/v2/stream/{STREAM}", upstream.address);
    let views: Vec<NamedView> = TEN.into_iter().chain([VISIBLE]).collect();
    let pipeline = pipelines::write(scratch, "live", Some(&url), &views)?;
    let words = ["run", &text(&pipeline)?, "--data", &text(&data)?, "--listen", "127.0.0.1:0"];
    let mut lakehead = Process::start(binary, &words)?;
    let watched = watch(&mut lakehead, start * 1_000_000, events)?;
    upstream.kill()?;
    check(&lakehead, start * 1_000_000, events)?;
    lakehead.finish()?;
    scratch::clear(&data)?;
    let delays = Spread::new(delays(start * 1_000_000, events, &watched.sights));
    Ok(section(seconds, &delays, &watched))
}

/// Asks again and again until the last event is visible.
fn watch(lakehead: &mut Process, start_micros: u64, events: u64) -> Result<Visibility> {
    let (mut sights, mut questions) = (Vec::new(), Vec::new());
    let due = start_micros + events * MICROS_EACH;
    let mut before = lakehead.cpu()?;
    loop {
        let asked = Instant::now();
        let last = last(&lakehead.address)?;
        let micros = micros_now()?;
        if micros < start_micros {
            before = lakehead.cpu()?;
        } else {
            questions.push(asked.elapsed().as_secs_f64());
        }
        if let Some(last) = last {
            sights.push(Sight { micros, last });
            if last + 1 >= events {
                let memory_peak = lakehead.memory_peak()?;
                let cpu = lakehead.cpu()?.since(before);
                return Ok(Visibility { sights, questions: Spread::new(questions), cpu, memory_peak });
            }
        }
        if micros > due + STUCK_AFTER.as_micros() as u64 || !lakehead.is_running() {
            bail!("stuck at event {last:?} of {events}; it said:\n{}", lakehead.said());
        }
        sleep(PAUSE);
    }
}

/// The greatest offset that the view counts; `None` while it counts none.
fn last(address: &str) -> Result<Option<u64>> {
    Ok(ask(address, QUESTION)?[0]["last"].as_u64())
}

fn ask(address: &str, sql: &str) -> Result<Value> {
    let answer = http::post(address, "/v1/sql", &[], sql.as_bytes())?;
    if answer.status != 200 {
        bail!("{sql:?} was answered with {}: {}", answer.status, answer.body);
    }
    serde_json::from_str(&answer.body).with_context(|| format!("the answer to {sql:?} is not JSON"))
}

/// Makes sure that the event of offset N is the simulator's event N, by the times that the events carry: were they off by
/// ten events, each time would be off by a millisecond, and the least or greatest distance would say so.
fn check(lakehead: &Process, start_micros: u64, events: u64) -> Result<()> {
    let sql = format!(
        "SELECT count(*) AS events, min(before) AS least, max(before) AS greatest FROM (SELECT {start_micros} \
         + CAST(event_offset AS BIGINT) * {MICROS_EACH} - CAST(meta_dt AS BIGINT) AS before FROM {STREAM} \
         WHERE event_offset < {events})"
    );
    let answer = ask(&lakehead.address, &sql)?;
    let number = |key: &str| answer[0][key].as_i64().with_context(|| format!("no {key} in {answer}"));
    let (stored, least, greatest) = (number("events")?, number("least")?, number("greatest")?);
    let is_exact = BEFORE_DUE_MICROS.contains(&least) && least < 1_000 && BEFORE_DUE_MICROS.contains(&greatest);
    if stored as u64 != events || !is_exact {
        bail!(
            "{stored} of {events} events are stored, made {least} to {greatest} µs before they were due: offsets are not the \
             simulator's numbers, so nothing follows from them"
        );
    }
    Ok(())
}

/// For each event, the seconds from when it was due to the first answer that shows it.
fn delays(start_micros: u64, events: u64, sights: &[Sight]) -> Vec<f64> {
    let mut next = 0;
    let mut delays = Vec::new();
    for sight in sights {
        while next <= sight.last && next < events {
            let due = start_micros + next * MICROS_EACH;
            delays.push((sight.micros as f64 - due as f64) / 1e6);
            next += 1;
        }
    }
    delays
}

fn section(seconds: u64, delays: &Spread, watched: &Visibility) -> String {
    format!(
        "\n### From an event to a query that shows it\n\n{} events a second for {seconds} s, ten views and one that keeps the \
         greatest offset.\n\n| what | p50 ms | p99 ms | max ms | bar |\n|---|---:|---:|---:|---:|\n\
         | event due to visible, {} events | {} | p99 {BAR_MILLIS:.0} |\n| a question by itself, {} of them | {} | |\n\n\
         - An event is due at a moment that follows from its number; what the simulator waits before it sends (5 ms at \
         least) is counted, and so is the question, its connection included.\n\
         - Lakehead: {:.2} CPU s for {seconds} s of events, the questions included; peak memory {} MiB.\n",
        thousands(RATE as f64),
        thousands(delays.count() as f64),
        delays.cells(),
        thousands(watched.questions.count() as f64),
        watched.questions.cells(),
        watched.cpu.seconds(),
        watched.memory_peak >> 20,
    )
}

fn micros_now() -> Result<u64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?;
    Ok(since.as_micros() as u64)
}

/// A time in whole Unix seconds as the command line takes it.
fn rfc3339(seconds: u64) -> Result<String> {
    let at = format!("@{seconds}");
    let said = Command::new("date").args(["-u", "-d", &at, "+%Y-%m-%dT%H:%M:%SZ"]).output().context("starting date")?;
    Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_visible_with_the_first_answer_that_reaches_it() {
        let sights = [(1_000_300, 1), (1_000_900, 1), (1_001_000, 9)].map(|(micros, last)| Sight { micros, last });
        let delays = delays(1_000_000, 4, &sights);
        assert_eq!(delays, [0.000_3, 0.000_2, 0.000_8, 0.000_7]);
    }
}
