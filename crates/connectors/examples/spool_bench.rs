//! How fast the `spool` source is, and how much memory it takes: a folder of one-event files, or one large file of lines, read,
//! acknowledged and put away; nothing stored. `cargo run --release -p lakehead-connectors --example spool_bench [FILES] [LINES]`
//!
//! With LINES each file holds so many lines. Prints events a second and the most memory that was resident (Linux only).

use std::{fs, io::Write, sync::Arc, time::Instant};

use lakehead_connector_api::{Resume, StreamIndex, StreamResume};
use lakehead_connectors::SOURCES;
use lakehead_model::{Name, StreamSchema, Timestamp};
use lakehead_testkit::{ManualClock, VecTail};

fn main() {
    let argument = |n: usize| std::env::args().nth(n).map(|text| text.parse::<u64>().expect("a number"));
    let (files, lines) = (argument(1).unwrap_or(10_000), argument(2));
    let folder = tempfile::tempdir().expect("a folder");
    let event = |n: u64| {
        let noise = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!("{{\"n\":{n},\"dt\":\"2026-11-01T00:00:00Z\",\"noise\":\"{}\"}}", format!("{noise:016x}").repeat(50))
    };
    for file in 0..files {
        let path = folder.path().join(format!("change_{file:08}.{}", if lines.is_some() { "jsonl" } else { "json" }));
        let mut file = std::io::BufWriter::new(fs::File::create(path).expect("a file"));
        (0..lines.unwrap_or(1)).for_each(|n| writeln!(file, "{}", event(n)).expect("written"));
        file.flush().expect("written");
    }
    let count = files * lines.unwrap_or(1);
    let resident_before = resident();
    let begun = Instant::now();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let (mut events, mut bytes, mut chunks, mut cursor_bytes) = (0, 0, 0_u64, 0);
    runtime.block_on(async {
        let spec = SOURCES.iter().find(|spec| spec.name == "spool").expect("it is registered");
        let settings = serde_json::json!({ "path": folder.path(), "rest": "0s", "when_done": "delete" });
        let event_time = StreamSchema::builtin("json").unwrap_or_default().event_time;
        let tail = Box::new(VecTail::default());
        let stream = StreamResume { stream: Name::new("bench").expect("a name"), cursor: None, event_time, tail };
        let clock = Arc::new(ManualClock::new(Timestamp(0)));
        let resume = Resume { name: "bench".to_owned(), streams: vec![stream], clock };
        let mut source = (spec.open)(settings, resume).await.expect("it opens");
        let mut acks = source.acks.take().expect("it has some");
        while events < count {
            let chunk = source.reader.next().await.expect("no error").expect("no end");
            assert!(chunk.rejects.is_empty(), "{:?}", chunk.rejects);
            events += chunk.events.len() as u64;
            bytes += chunk.events.payload().len() as u64;
            chunks += 1;
            if let Some(cursor) = &chunk.cursor {
                cursor_bytes = cursor_bytes.max(cursor.position.len());
                acks.acknowledge(StreamIndex(0), cursor).await.expect("put away");
            }
        }
    });
    let seconds = begun.elapsed().as_secs_f64();
    #[allow(clippy::cast_precision_loss)]
    let rate = |count: u64| count as f64 / seconds;
    println!(
        "{count} events, {} MB in {seconds:.2} s: {:.0} events/s, {:.1} MB/s, {chunks} chunks, cursor at most {cursor_bytes} bytes; \
         resident at most {} KiB, {resident_before} KiB before",
        bytes / 1_000_000,
        rate(count),
        rate(bytes) / 1e6,
        resident(),
    );
}

/// The most memory that was resident so far, in KiB, by proc(5).
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
