#![doc = include_str!("manual.md")]
//!
//! ---
//!
//! In this folder, from what a user writes to what comes out: `config` (settings), `template` (the built-in ones), `values`
//! and `parameters` (the language of templates), `check` (its limits); `generator` (the n-th event), `written` (one value), `invented`
//! (names and the like), `walk` and `weights` (how some are drawn), `draws` (randomness as a pure function); `rate` (when an
//! event is due). Here is what becomes of the numbers: to which stream each goes, and where a stream continues.

mod check;
mod config;
mod draws;
mod generator;
mod invented;
mod parameters;
mod rate;
mod template;
#[cfg(test)]
mod tests;
mod values;
mod walk;
mod weights;
mod written;

use std::{collections::VecDeque, sync::Arc};

use async_trait::async_trait;
use lakehead_connector_api::{
    Activity, Chunk, ConnectorKind, Error, Opened, Reader, Resume, SourceKind, StreamIndex, StreamResume,
};
use lakehead_model::{Clock, Cursor, EventBatch};
use tokio::time::Instant;

use self::{config::Config, generator::Generator, rate::Rate};

/// Events handed over at once, over all streams: what the contract of a source asks for.
const CHUNK_BYTES: usize = 256 << 10;

/// The source kind `fake`.
pub(crate) struct Fake;

impl ConnectorKind for Fake {
    const NAME: &'static str = "fake";
    const MANUAL: &'static str = include_str!("manual.md");
    const EXAMPLE: &'static str = r#"[source.dice]
kind = "fake"
stream = "throws"
rate = 20
fields = { player = { choice = ["ada", "bob", "cleo"] }, face = { int = [1, 6] }, city = "city" }
"#;
    type Config = Config;

    fn check(config: &Config) -> Result<(), String> {
        config.check()
    }
}

impl SourceKind for Fake {
    async fn open(config: Config, resume: Resume) -> Result<Opened, Error> {
        let next = resume.streams.iter().map(held).collect::<Result<Vec<_>, _>>()?;
        Ok(Opened::reader(Maker {
            count: config.count.unwrap_or(u64::MAX),
            generator: config.generator(),
            numbers: Numbers::new(next),
            clock: resume.clock,
            ready: VecDeque::new(),
            rate: Rate::new(config.rate, Instant::now()),
            is_silent: true,
        }))
    }
}

/// The first number that a stream has not got.
fn held(stream: &StreamResume) -> Result<u64, Error> {
    let Some(cursor) = &stream.cursor else { return Ok(0) };
    let wrong =
        || Error::Corrupt(format!("the cursor of stream {} is no number: {:?}", stream.stream, cursor.position));
    cursor.position.parse().map_err(|_| wrong())
}

/// A running source.
struct Maker {
    /// Numbers at and above this are not made.
    count: u64,
    generator: Generator,
    numbers: Numbers,
    clock: Arc<dyn Clock>,
    /// Made, and not handed over yet: a chunk for each stream that got something.
    ready: VecDeque<Chunk>,
    rate: Rate,
    /// It has not said yet that it is at work.
    is_silent: bool,
}

#[async_trait]
impl Reader for Maker {
    async fn next(&mut self) -> Result<Option<Chunk>, Error> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                return Ok(Some(chunk));
            }
            if self.numbers.first().is_none_or(|(_, n)| n >= self.count) {
                return Ok(None);
            }
            // The call may be dropped here; nothing has been taken yet.
            tokio::time::sleep_until(self.rate.next_at()).await;
            let due = self.rate.due(Instant::now());
            self.make(due);
        }
    }
}

impl Maker {
    /// Makes `due` events, unless there are not as many, or they are more than may be handed over at once.
    fn make(&mut self, due: u64) {
        let made_at = self.clock.now();
        let mut batches: Vec<(EventBatch, u64)> = vec![(EventBatch::default(), 0); self.numbers.next.len()];
        let (mut event, mut bytes) = (Vec::new(), 0);
        for _ in 0..due {
            let Some((stream, n)) = self.numbers.first().filter(|(_, n)| *n < self.count) else { break };
            if bytes >= CHUNK_BYTES {
                break;
            }
            event.clear();
            self.generator.write(n, made_at, &mut event);
            bytes += event.len();
            // The engine reads the event time, by the stream's rule.
            batches[stream].0.push(&event, None);
            batches[stream].1 = self.numbers.take(stream);
            self.rate.made();
        }
        for (to, (events, next)) in batches.into_iter().enumerate().filter(|(_, (events, _))| !events.is_empty()) {
            let cursor = Some(Cursor { position: next.to_string().into(), progress: None });
            let activity = std::mem::take(&mut self.is_silent).then_some(Activity::Live);
            self.ready.push_back(Chunk { to: StreamIndex(to), events, cursor, activity, ..Chunk::default() });
        }
    }
}

/// Which numbers each stream gets: the n-th event goes to the stream in place n modulo their count.
struct Numbers {
    /// The next number of each.
    next: Vec<u64>,
}

impl Numbers {
    /// Of streams that hold all of their numbers below these.
    fn new(held: Vec<u64>) -> Self {
        let count = held.len() as u64;
        let next = held.into_iter().zip(0..).map(|(held, place)| {
            let beyond = (place + count - held % count) % count;
            held.saturating_add(beyond)
        });
        Self { next: next.collect() }
    }

    /// The least number that some stream has not got, and the stream.
    fn first(&self) -> Option<(usize, u64)> {
        self.next.iter().copied().enumerate().min_by_key(|(_, n)| *n)
    }

    /// The stream gets its next number; answers the first number that it has not got then.
    fn take(&mut self, stream: usize) -> u64 {
        let count = self.next.len() as u64;
        let next = &mut self.next[stream];
        let taken = *next;
        *next = taken.saturating_add(count);
        taken.saturating_add(1)
    }
}
