//! Measures the store from memory: what an append costs, a scan, an opening. `cargo xtask bench store` drives it.
//!
//! ```text
//! store_bench append DIR EVENTS EVERY SYNC   events appended in batches as sources hand them over; a line for each EVERY
//! store_bench seal DIR                       every finished segment sealed, as fast as one thread can
//! store_bench scan DIR READERS               every event read, by so many readers at once
//! store_bench segments DIR COUNT             a stream of so many segments, one for each hour of a clock that is set
//! store_bench open DIR                       opens the store and the stream, for writing
//! ```
//! Each prints lines of JSON. Events are those of the simulator, made before the clock starts; time and CPU time count only
//! from the first append of a portion until its last event is committed. CPU time is the whole process's.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use lakehead_model::{ByteSize, Clock, Cursor, EventBatch, Name, Offset, Timestamp};
use lakehead_simulator::Generator;
use lakehead_store::{Append, Options, Store};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// 2026-09-01T00:00:00Z.
const START: Timestamp = Timestamp(1_788_220_800_000_000);
/// Events in a batch: about 256 KiB, as sources hand them over.
const BATCH_EVENTS: u64 = 256;
/// Events that are made at a time: about 600 MB of memory.
const PORTION_EVENTS: u64 = 500_000;
const STREAM: &str = "bench";
/// Shorter than the default, so that nearly all of a few million events lie in finished segments and can be sealed.
const SEGMENT_BYTES: ByteSize = ByteSize::mib(64);

fn main() -> Outcome {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["append", dir, events, every, sync] => append(Path::new(dir), events.parse()?, every.parse()?, sync),
        ["seal", dir] => seal(Path::new(dir)),
        ["scan", dir, readers] => scan(Path::new(dir), readers.parse()?),
        ["segments", dir, count] => segments(Path::new(dir), count.parse()?),
        ["open", dir] => open(Path::new(dir)),
        _ => {
            Err("usage: store_bench append DIR EVENTS EVERY SYNC | seal DIR | scan DIR READERS | segments DIR COUNT | open DIR"
                .into())
        }
    }
}

#[derive(Debug)]
struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

fn append(dir: &Path, events: u64, every: u64, sync: &str) -> Outcome {
    let options = Options { sync: sync.to_owned().try_into()?, segment_bytes: SEGMENT_BYTES, ..Options::default() };
    let store = Store::open(dir, options, Arc::new(SystemClock))?;
    let stream = store.stream(&Name::new(STREAM)?)?;
    let generator = Generator::new(7, START, 0.0);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let (appender, source) = (stream.appender(), Name::new("bench")?);
    let (mut done, mut wall, mut cpu) = (0, Duration::ZERO, Duration::ZERO);
    let mut before = stream.stats();
    while done < events {
        let end = events.min(done + PORTION_EVENTS).min((done / every + 1) * every);
        let batches = make_batches(&generator, done, end);
        let (started, cpu_before) = (Instant::now(), cpu_time());
        runtime.block_on(async {
            let mut last = None;
            for (position, events) in batches {
                let cursor = Some(Cursor { position: position.to_string().into(), progress: None });
                let append = Append { source: source.clone(), events, cursor, keys: Vec::new(), urgent: false };
                last = Some(appender.append(append).await?);
            }
            match last {
                Some(ticket) => ticket.await.map(|_| ()),
                None => Ok(()),
            }
        })?;
        wall += started.elapsed();
        cpu += cpu_time() - cpu_before;
        done = end;
        if done % every == 0 || done == events {
            let stats = stream.stats();
            println!(
                r#"{{"events":{done},"wall_seconds":{:.4},"cpu_seconds":{:.4},"raw_bytes":{},"stored_bytes":{}}}"#,
                wall.as_secs_f64(),
                cpu.as_secs_f64(),
                stats.raw_bytes - before.raw_bytes,
                stats.stored_bytes - before.stored_bytes,
            );
            (before, wall, cpu) = (stats, Duration::ZERO, Duration::ZERO);
        }
    }
    store.close()?;
    Ok(())
}

/// Events `[from, to)` in batches, each with the cursor's position after it.
fn make_batches(generator: &Generator, from: u64, to: u64) -> Vec<(u64, EventBatch)> {
    let mut batches = Vec::new();
    let mut event = Vec::new();
    let mut next = from;
    while next < to {
        let end = to.min(next + BATCH_EVENTS);
        let mut batch = EventBatch::with_capacity(BATCH_EVENTS as usize, BATCH_EVENTS as usize * 1200);
        for n in next..end {
            event.clear();
            generator.write_event(n, &mut event);
            batch.push(&event, Some(Timestamp(generator.kafka_millis(n) * 1000)));
        }
        batches.push((end, batch));
        next = end;
    }
    batches
}

fn seal(dir: &Path) -> Outcome {
    let store = Store::open(dir, Options::default(), Arc::new(SystemClock))?;
    let stream = store.stream(&Name::new(STREAM)?)?;
    let (started, cpu) = (Instant::now(), cpu_time());
    let (mut segments, mut events, mut raw_bytes, mut stored_bytes) = (0, 0, 0, 0);
    while let Some(sealed) = stream.seal_next(&mut |_| ControlFlow::Continue(()))? {
        segments += 1;
        events += sealed.events;
        raw_bytes += sealed.raw_bytes;
        stored_bytes += sealed.stored_bytes;
    }
    println!(
        r#"{{"segments":{segments},"events":{events},"raw_bytes":{raw_bytes},"stored_bytes":{stored_bytes},"wall_seconds":{:.4},"cpu_seconds":{:.4}}}"#,
        started.elapsed().as_secs_f64(),
        (cpu_time() - cpu).as_secs_f64()
    );
    store.close()?;
    Ok(())
}

fn scan(dir: &Path, readers: usize) -> Outcome {
    let store = Store::open_read_only(dir)?;
    let stream = store.stream(&Name::new(STREAM)?)?;
    let (started, cpu) = (Instant::now(), cpu_time());
    let threads: Vec<_> = (0..readers)
        .map(|_| {
            let stream = stream.clone();
            std::thread::spawn(move || {
                let mut reader = stream.reader(stream.head().start);
                let (mut events, mut bytes) = (0, 0);
                while let Some(block) = reader.next()? {
                    events += block.len();
                    bytes += block.payload.len();
                }
                Ok::<_, lakehead_store::Error>((events, bytes))
            })
        })
        .collect();
    let (mut events, mut bytes) = (0, 0);
    for thread in threads {
        let (more_events, more_bytes) = thread.join().map_err(|_| "a reader panicked")??;
        events += more_events;
        bytes += more_bytes;
    }
    println!(
        r#"{{"events":{events},"bytes":{bytes},"wall_seconds":{:.4},"cpu_seconds":{:.4}}}"#,
        started.elapsed().as_secs_f64(),
        (cpu_time() - cpu).as_secs_f64()
    );
    Ok(())
}

/// A clock that is set.
#[derive(Debug)]
struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

fn segments(dir: &Path, count: u64) -> Outcome {
    let clock = Arc::new(SetClock(AtomicI64::new(START.0)));
    // Finished segments are synced all the same.
    let options = Options { sync: "off".to_owned().try_into()?, ..Options::default() };
    let store = Store::open(dir, options, Arc::<SetClock>::clone(&clock))?;
    let stream = store.stream(&Name::new(STREAM)?)?;
    let appender = stream.appender();
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let generator = Generator::new(7, START, 0.0);
    for n in 0..count {
        let Some((position, events)) = make_batches(&generator, n * 16, n * 16 + 16).pop() else { continue };
        let cursor = Some(Cursor { position: position.to_string().into(), progress: None });
        let append = Append { source: Name::new("bench")?, events, cursor, keys: Vec::new(), urgent: true };
        runtime.block_on(async { appender.append(append).await?.await })?;
        clock.0.fetch_add(3_600_000_000, Ordering::Relaxed);
    }
    println!(r#"{{"segments":{}}}"#, stream.segments().len());
    // The end of a process that was killed: what is measured is the opening after that.
    std::process::exit(0)
}

fn open(dir: &Path) -> Outcome {
    let started = Instant::now();
    let store = Store::open(&PathBuf::from(dir), Options::default(), Arc::new(SystemClock))?;
    let stream = store.stream(&Name::new(STREAM)?)?;
    let opened = started.elapsed();
    let mut reader = stream.reader(Offset(stream.head().end.0.saturating_sub(1)));
    let last = reader.next()?.map_or(0, |block| block.len());
    println!(
        r#"{{"seconds":{:.4},"first_read_seconds":{:.4},"segments":{},"last_block_events":{last}}}"#,
        opened.as_secs_f64(),
        started.elapsed().as_secs_f64(),
        stream.segments().len()
    );
    store.close()?;
    Ok(())
}

/// User and system time of this process, from Linux' /proc in ticks of 10 ms; zero where there is none.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // proc_pid_stat(5): after the name in parentheses, user and system time are the 12th and 13th field.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let ticks: u64 = fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
