//! Recorded events, sealed: at most an eighth of their size, and byte for byte the same.
//!
//! The recordings lie beside the checkout and are not a part of it; without them this is skipped, aloud.

use std::{
    io::{BufRead, BufReader, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use lakehead_model::{ByteSize, Clock, Cursor, EventBatch, Name, Offset, Timestamp};
use lakehead_store::{Append, Options, Store};

/// A complete slice of Wikimedia's recent changes, in upstream order.
const RECORDING: &str = "../../../shared/data/recentchange/firehose_2023-01-25_349s.jsonl.gz";
/// Events in a block at Wikimedia's rate: 36 a second, four blocks a second.
const EVENTS_IN_A_BLOCK: usize = 9;

#[derive(Debug)]
struct SteppingClock(AtomicI64);

impl Clock for SteppingClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.fetch_add(250_000, Ordering::Relaxed))
    }
}

fn recording() -> Option<Vec<Vec<u8>>> {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join(RECORDING);
    let file = std::fs::File::open(path).ok()?;
    let lines = BufReader::new(flate2::read::GzDecoder::new(file)).split(b'\n');
    Some(lines.map(|line| line.expect("a whole recording")).filter(|line| !line.is_empty()).collect())
}

/// A cursor as the source of recent changes keeps it: about 300 bytes, other for each block.
fn cursor(n: usize) -> Cursor {
    let id = format!(
        "{:016x}{:016x}",
        (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15),
        (n as u64).wrapping_mul(0xff51_afd7_ed55_8ccd)
    );
    let one = |topic: &str, n: usize| {
        format!(
            r#"{{"topic":"{topic}","partition":0,"offset":{},"id":"{id}","timestamp":{}}}"#,
            4_000_000_000 + n,
            1_674_600_000_000 + n
        )
    };
    let position = format!("[{},{}]", one("eqiad.mediawiki.recentchange", n), one("codfw.mediawiki.recentchange", 0));
    Cursor { position: position.into(), progress: Some(Timestamp(n as i64 * 1_000)) }
}

#[test]
fn recorded_events_take_at_most_an_eighth_when_they_are_sealed() {
    let Some(events) = recording() else {
        // Past the harness, which keeps what a passing test prints to itself.
        let _ = writeln!(
            std::io::stdout().lock(),
            "SKIPPED recorded::recorded_events_take_at_most_an_eighth_when_they_are_sealed: no recordings beside the checkout"
        );
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options {
        block_age_max: lakehead_model::Span::millis(0),
        segment_bytes: ByteSize::mib(64),
        ..Options::default()
    };
    let clock = Arc::new(SteppingClock(AtomicI64::new(1_674_600_000_000_000)));
    let name = Name::new("recentchange").expect("a name");
    let store =
        Store::open(folder.path(), options, Arc::<SteppingClock>::clone(&clock) as Arc<dyn Clock>).expect("opens");
    let stream = store.stream(&name).expect("opens");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let appender = stream.appender();
    let append = |chunk: &[Vec<u8>], n: usize| {
        let mut batch = EventBatch::default();
        chunk.iter().for_each(|event| batch.push(event, Some(Timestamp(n as i64))));
        let append =
            Append { source: name.clone(), events: batch, cursor: Some(cursor(n)), keys: Vec::new(), urgent: false };
        runtime.block_on(async { appender.append(append).await.expect("taken").await.expect("kept") });
    };
    let mut n = 0;
    for chunk in events.chunks(EVENTS_IN_A_BLOCK) {
        n += chunk.len();
        append(chunk, n);
    }
    let before = stream.stats();
    // The next hour begins: the segment is finished.
    clock.0.fetch_add(3_600_000_000, Ordering::Relaxed);
    append(&events[..1], n + 1);
    let sealed = stream.seal_next(&mut |_| ControlFlow::Continue(())).expect("seals").expect("one is finished");
    assert_eq!(sealed.raw_bytes, before.raw_bytes);
    assert!(
        sealed.stored_bytes * 8 <= sealed.raw_bytes,
        "{} bytes of {} are more than an eighth",
        sealed.stored_bytes,
        sealed.raw_bytes
    );
    let mut reader = stream.reader(Offset(0));
    let mut read = Vec::new();
    while let Some(block) = reader.next().expect("reads") {
        read.extend(block.events().map(<[u8]>::to_vec));
    }
    assert!(read[..events.len()] == events[..], "byte for byte");
    println!(
        "{} events, {} bytes raw, {} before sealing, {} after: {:.2} to 1",
        events.len(),
        sealed.raw_bytes,
        sealed.stored_before,
        sealed.stored_bytes,
        sealed.raw_bytes as f64 / sealed.stored_bytes as f64
    );
}
