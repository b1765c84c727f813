//! The suite finds what is planted: a source that keeps every promise passes, one that breaks a single one does not.

use async_trait::async_trait;
use lakehead_connector_api::{Acknowledge, ConnectorKind};
use lakehead_model::EventBatch;
use schemars::JsonSchema;
use serde::Deserialize;

use super::*;

/// Counts upward, in turn into each of its streams; the cursor is how many a stream has got.
struct Numbers;

/// Settings of [`Numbers`].
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// How many numbers each stream gets.
    count: u64,
    /// What it does wrong.
    #[serde(default)]
    fault: Fault,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
enum Fault {
    #[default]
    None,
    SkipsAfterOpening,
    RepeatsAfterOpening,
    NoCursor,
    CursorAhead,
    UnboundedChunk,
    OtherOrder,
    OtherStream,
    BeginsAgainAfterItsEnd,
    ForgetsWhatWasNotAcknowledged,
    RefusesAcknowledgements,
    Stops,
    NeverEnds,
    TakesWhatItLooksAt,
    LooksAndSeesNothing,
    IsUnseenWithoutAWord,
}

thread_local! {
    /// How many numbers are gone from the upstream of [`Fault::TakesWhatItLooksAt`].
    static TAKEN: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

impl ConnectorKind for Numbers {
    const NAME: &'static str = "numbers";
    const MANUAL: &'static str = "`numbers`: counts upward and ends. It exists so that the suite of sources has something to \
        be tried on: without a fault it keeps every promise of a source, with one it breaks just that promise, and the suite \
        has to say which one.";
    const EXAMPLE: &'static str = "[source.n]\nkind = \"numbers\"\nstreams = [\"a\", \"b\"]\ncount = 10\n";
    type Config = Config;
}

impl SourceKind for Numbers {
    async fn open(config: Config, resume: Resume) -> Result<Opened, Error> {
        let mut next: Vec<u64> = Vec::new();
        for stream in &resume.streams {
            let Some(cursor) = &stream.cursor else {
                next.push(TAKEN.get());
                continue;
            };
            let held: u64 = cursor.position.parse().map_err(|_| Error::Corrupt("no number".to_owned()))?;
            next.push(match config.fault {
                Fault::SkipsAfterOpening => held + 1,
                Fault::RepeatsAfterOpening => held.saturating_sub(1),
                _ => held,
            });
        }
        if config.fault == Fault::BeginsAgainAfterItsEnd && next.iter().all(|next| *next == config.count) {
            next.fill(0);
        }
        let reader = Counting { fault: config.fault, count: config.count, next, turn: 0 };
        let acks = Acks { fault: config.fault, last: Vec::new() };
        Ok(Opened { reader: Box::new(reader), acks: Some(Box::new(acks)) })
    }

    async fn peek(mut config: Config, resume: Resume) -> Result<Peeked, Error> {
        match config.fault {
            Fault::IsUnseenWithoutAWord => return Ok(Peeked::Unseen(String::new())),
            Fault::LooksAndSeesNothing => config.count = 0,
            _ => {}
        }
        let takes = config.fault == Fault::TakesWhatItLooksAt;
        let opened = Self::open(config, resume).await?;
        TAKEN.set(TAKEN.get() + u64::from(takes));
        Ok(Peeked::Opened(opened))
    }
}

struct Counting {
    fault: Fault,
    count: u64,
    next: Vec<u64>,
    turn: usize,
}

fn number(stream: usize, n: u64) -> Vec<u8> {
    format!("{{\"stream\":{stream},\"n\":{n}}}").into_bytes()
}

#[async_trait]
impl Reader for Counting {
    async fn next(&mut self) -> Result<Option<Chunk>, Error> {
        if self.fault == Fault::Stops && self.next.iter().sum::<u64>() > 8 {
            return Err(Error::Unavailable { what: "stopped".to_owned(), retry_after: None });
        }
        let left = (0..self.next.len()).map(|turn| (self.turn + turn) % self.next.len());
        let Some(to) = left.into_iter().find(|to| self.next[*to] < self.count) else {
            if self.fault == Fault::NeverEnds {
                self.next.fill(0);
            }
            return Ok(None);
        };
        // Something is taken here, and a reader that is dropped now must not have lost it.
        tokio::task::yield_now().await;
        self.turn = to + 1;
        let mut events = EventBatch::default();
        let n = self.next[to];
        for n in n..(n + 3).min(self.count) {
            events.push(&number(if self.fault == Fault::OtherStream { 0 } else { to }, n), None);
        }
        if self.fault == Fault::OtherOrder && events.len() > 1 {
            events = EventBatch::default();
            [n + 1, n].iter().for_each(|n| events.push(&number(to, *n), None));
        }
        if self.fault == Fault::UnboundedChunk {
            events.push(&vec![b'1'; CHUNK_BYTES_MAX], None);
        }
        self.next[to] += events.len() as u64;
        let mut position = self.next[to];
        if self.fault == Fault::CursorAhead {
            position = (position + 1).min(self.count);
        }
        let cursor = Cursor { position: position.to_string().into(), progress: None };
        let cursor = (self.fault != Fault::NoCursor).then_some(cursor);
        if self.fault == Fault::ForgetsWhatWasNotAcknowledged && n > 6 {
            // As if it were told of the one before only.
            let cursor = Some(Cursor { position: n.to_string().into(), progress: None });
            return Ok(Some(Chunk { to: StreamIndex(to), events, cursor, ..Chunk::default() }));
        }
        Ok(Some(Chunk { to: StreamIndex(to), events, cursor, ..Chunk::default() }))
    }
}

struct Acks {
    fault: Fault,
    last: Vec<(StreamIndex, u64)>,
}

#[async_trait]
impl Acknowledge for Acks {
    async fn acknowledge(&mut self, to: StreamIndex, cursor: &Cursor) -> Result<(), Error> {
        let position: u64 = cursor.position.parse().expect("a cursor of its own");
        let before = self.last.iter().rev().find(|(of, _)| *of == to);
        assert!(before.is_none_or(|(_, before)| *before <= position), "the suite acknowledges in order");
        if self.fault == Fault::RefusesAcknowledgements {
            return Err(Error::Corrupt("of another reader".to_owned()));
        }
        self.last.push((to, position));
        Ok(())
    }
}

/// What the suite says of `Numbers` with this fault; `None` where it passes.
fn said(fault: Fault, streams: &[&'static str]) -> Option<String> {
    const COUNT: u64 = 40;
    TAKEN.set(0);
    let settings = || async move { serde_json::json!({ "count": COUNT, "fault": format!("{fault:?}") }) };
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let expected: Vec<_> = streams
            .iter()
            .enumerate()
            .map(|(at, name)| (*name, (0..COUNT).map(|n| number(at, n)).collect::<Vec<_>>()))
            .collect();
        runtime.block_on(source_of_streams::<Numbers, _>(settings, Timestamp(0), &expected, true));
    };
    let panic = std::panic::catch_unwind(run).err()?;
    let text = panic.downcast_ref::<String>().cloned();
    Some(text.unwrap_or_else(|| (*panic.downcast_ref::<&str>().expect("a message")).to_owned()))
}

#[test]
fn a_source_that_keeps_every_promise_passes() {
    assert_eq!(said(Fault::None, &["one"]), None);
    assert_eq!(said(Fault::None, &["one", "two", "three"]), None);
}

#[test]
fn each_broken_promise_is_named() {
    for (fault, what) in [
        (Fault::SkipsAfterOpening, "every event once, in order"),
        (Fault::RepeatsAfterOpening, "every event once, in order"),
        (Fault::NoCursor, "events come with a cursor"),
        (Fault::CursorAhead, "every event once, in order"),
        (Fault::UnboundedChunk, "a chunk is bounded"),
        (Fault::OtherOrder, "every event once, in order"),
        (Fault::BeginsAgainAfterItsEnd, "every event once, in order"),
        (Fault::ForgetsWhatWasNotAcknowledged, "every event once, in order"),
        (Fault::RefusesAcknowledgements, "the source takes acknowledgements"),
        (Fault::Stops, "the source continues"),
        (Fault::NeverEnds, "a source that has ended stays ended"),
        (Fault::TakesWhatItLooksAt, "every event once, in order"),
        (Fault::LooksAndSeesNothing, "a look sees what is there"),
        (Fault::IsUnseenWithoutAWord, "it says why"),
    ] {
        for streams in [&["one"][..], &["one", "two"]] {
            let said = said(fault, streams).unwrap_or_default();
            assert!(said.contains(what), "{fault:?} into {streams:?}: {said}");
        }
    }
    let said = said(Fault::OtherStream, &["one", "two"]).unwrap_or_default();
    assert!(said.contains("stream two has"), "{said}");
}
