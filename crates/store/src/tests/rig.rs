//! What the tests share: a clock that is set, a stream on a file system in memory, short ways to append and read.

use std::{
    path::{Path, PathBuf},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use lakehead_model::{ByteSize, Clock, Cursor, EventBatch, Name, Offset, Span, Timestamp};

use super::memory::Memory;
use crate::{
    Append, Appended, Appender, Error, Options, Stream, Ticket,
    disk::files::{Access, Files},
    disk::layout::Layout,
};

/// 2026-11-23T07:00:00Z.
pub(super) const START: i64 = 1_795_417_200_000_000;

#[derive(Debug)]
pub(super) struct ManualClock(AtomicI64);

impl ManualClock {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(START)))
    }

    pub(super) fn advance(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

pub(super) fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

/// Blocks close as soon as nothing more is waiting.
pub(super) fn options() -> Options {
    Options {
        block_bytes: ByteSize(4 << 10),
        block_age_max: Span::millis(0),
        block_age_hurried: Span::millis(0),
        ..Options::default()
    }
}

pub(super) fn try_open(files: &Memory, options: Options, clock: &Arc<ManualClock>) -> Result<Stream, Error> {
    open_for(files, options, clock, Access::Write)
}

pub(super) fn open_for(
    files: &Memory,
    options: Options,
    clock: &Arc<ManualClock>,
    access: Access,
) -> Result<Stream, Error> {
    let files: Arc<dyn Files> = Arc::new(files.clone());
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    Stream::open(files, Layout::new(Path::new("/data")), name("s"), options, clock, access)
}

pub(super) fn open(files: &Memory) -> Stream {
    try_open(files, options(), &ManualClock::new()).expect("opens")
}

/// Longest wait of a test for another thread: whatever takes longer hangs, and the test fails.
const WAIT_MAX: Duration = Duration::from_secs(60);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future that only waits for other threads, and not for ever.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "no answer within {WAIT_MAX:?}");
        thread::park_timeout(left);
    }
}

pub(super) fn batch(events: &[&str]) -> EventBatch {
    let mut batch = EventBatch::default();
    for event in events {
        batch.push(event.as_bytes(), None);
    }
    batch
}

pub(super) fn cursor(position: &str) -> Cursor {
    Cursor { position: position.into(), progress: None }
}

pub(super) fn events(events: &[&str]) -> Append {
    Append { source: name("a"), events: batch(events), cursor: None, keys: Vec::new(), urgent: false }
}

pub(super) fn hand_over(appender: &Appender, append: Append) -> Result<Ticket, Error> {
    block_on(appender.append(append))
}

pub(super) fn append(stream: &Stream, texts: &[&str]) -> Result<Appended, Error> {
    block_on(hand_over(&stream.appender(), events(texts))?)
}

pub(super) fn append_at(stream: &Stream, texts: &[&str], position: &str) -> Result<Appended, Error> {
    block_on(hand_over(&stream.appender(), Append { cursor: Some(cursor(position)), ..events(texts) })?)
}

/// All events from an offset on.
pub(super) fn try_read(stream: &Stream, from: u64) -> Result<Vec<String>, Error> {
    let mut reader = stream.reader(Offset(from));
    let mut read = Vec::new();
    while let Some(block) = reader.next()? {
        assert_eq!(block.first_offset.0, from + read.len() as u64, "offsets have no gaps");
        read.extend(block.events().map(|event| String::from_utf8(event.to_vec()).expect("tests write text")));
    }
    Ok(read)
}

pub(super) fn read(stream: &Stream, from: u64) -> Vec<String> {
    try_read(stream, from).expect("reads")
}

pub(super) fn segments(files: &Memory) -> Vec<PathBuf> {
    files.paths("/data/streams/s")
}

pub(super) fn quarantine(files: &Memory) -> Vec<PathBuf> {
    files.paths("/data/quarantine")
}
