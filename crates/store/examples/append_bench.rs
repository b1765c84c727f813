//! Measures the store: events of about 1 KB appended with every block synced, then read back.
//!
//! `cargo run --release -p lakehead-store --example append_bench -- DIR [EVENTS] [always|off|1s]`. DIR is made and must not
//! hold a store. The events are JSON of the shape of a recent change with random parts, so that they compress about as
//! recorded ones do. CPU time is the process's own, making the events not counted.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use lakehead_model::{Clock, Cursor, EventBatch, Name, Offset, Timestamp};
use lakehead_store::{Append, Options, Store};

#[derive(Debug)]
struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// Distinct batches that are appended in turn.
const BATCHES: usize = 64;
/// Events in a batch: about 256 KiB, as sources hand them over.
const BATCH_EVENTS: usize = 256;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().ok_or("usage: append_bench DIR [EVENTS] [always|off|1s]")?);
    let events: usize = arguments.next().unwrap_or_else(|| "2000000".to_owned()).parse()?;
    let sync = arguments.next().unwrap_or_else(|| "always".to_owned()).try_into()?;
    let store = Store::open(&dir, Options { sync, ..Options::default() }, Arc::new(SystemClock))?;
    let stream = store.stream(&Name::new("bench")?)?;
    let batches = make_batches();
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;

    println!("zstd level 1 alone: {:.0} events per CPU second", zstd_alone(&batches)?);
    let (started, cpu) = (Instant::now(), cpu_time());
    let rounds = events.div_ceil(BATCH_EVENTS);
    let copying = runtime.block_on(async {
        let appender = stream.appender();
        let source = Name::new("bench").map_err(|e| e.to_string())?;
        let mut last = None;
        let mut copying = Duration::ZERO;
        for round in 0..rounds {
            let now = Instant::now();
            let events = batches.get(round % BATCHES).cloned().unwrap_or_default();
            copying += now.elapsed();
            let cursor = Some(Cursor { position: round.to_string().into(), progress: None });
            let append = Append { source: source.clone(), events, cursor, keys: Vec::new(), urgent: false };
            last = Some(appender.append(append).await.map_err(|e| e.to_string())?);
        }
        if let Some(ticket) = last {
            ticket.await.map_err(|e| e.to_string())?;
        }
        Ok::<_, String>(copying)
    })?;
    let (wall, cpu) = (started.elapsed(), cpu_time() - cpu - copying);
    let count = (rounds * BATCH_EVENTS) as f64;
    let stats = stream.stats();
    println!(
        "append: {:.0} events/s, {:.0} events per CPU second, {:.0} bytes an event, stored 1/{:.1}, {} blocks, {:.2} s",
        count / wall.as_secs_f64(),
        count / cpu.as_secs_f64(),
        stats.raw_bytes as f64 / count,
        stats.raw_bytes as f64 / stats.stored_bytes as f64,
        stats.blocks,
        wall.as_secs_f64()
    );
    store.close()?;
    drop((stream, store));

    let started = Instant::now();
    let store = Store::open_read_only(&dir)?;
    let stream = store.stream(&Name::new("bench")?)?;
    println!("open: {:.1} ms", started.elapsed().as_secs_f64() * 1e3);
    let (started, mut bytes, mut read) = (Instant::now(), 0_usize, 0_usize);
    let mut reader = stream.reader(Offset(0));
    while let Some(block) = reader.next()? {
        bytes += block.payload.len();
        read += block.len();
    }
    let wall = started.elapsed().as_secs_f64();
    println!(
        "read: {:.0} events/s, {:.2} GB/s of raw events, {read} events",
        read as f64 / wall,
        bytes as f64 / wall / 1e9
    );
    Ok(())
}

/// What the compression of the same events in blocks of 1 MiB costs by itself.
fn zstd_alone(batches: &[EventBatch]) -> std::io::Result<f64> {
    let mut compressor = zstd::bulk::Compressor::new(1)?;
    let mut frame = vec![0; zstd::zstd_safe::compress_bound(2 << 20)];
    let blocks: Vec<Vec<u8>> =
        batches.chunks(4).map(|four| four.iter().flat_map(|batch| batch.payload()).copied().collect()).collect();
    let (cpu, rounds) = (cpu_time(), 20);
    for _ in 0..rounds {
        for block in &blocks {
            compressor.compress_to_buffer(block, frame.as_mut_slice())?;
        }
    }
    Ok((rounds * BATCHES * BATCH_EVENTS) as f64 / (cpu_time() - cpu).as_secs_f64())
}

/// User and system time of this process, from Linux' /proc in ticks of 10 ms; zero where there is none.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // proc_pid_stat(5): after the name in parentheses, user and system time are the 12th and 13th field.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let ticks: u64 = fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// Numbers that look random, from a seed (SplitMix64: Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

fn make_batches() -> Vec<EventBatch> {
    let mut random = Random(7);
    let words = ["river", "castle", "Winter", "station", "list of", "album", "football", "species", "County", "1987"];
    let word = |random: &mut Random| words[usize::try_from(random.below(words.len() as u64)).unwrap_or(0)];
    let wikis =
        ["en.wikipedia.org", "commons.wikimedia.org", "www.wikidata.org", "de.wikipedia.org", "fr.wikipedia.org"];
    let mut batches = Vec::new();
    for _ in 0..BATCHES {
        let mut batch = EventBatch::with_capacity(BATCH_EVENTS, BATCH_EVENTS * 1100);
        for _ in 0..BATCH_EVENTS {
            let domain = wikis[usize::try_from(random.below(5)).unwrap_or(0)];
            let title = format!("{} {} {}", word(&mut random), word(&mut random), random.below(100_000));
            let (id, revision, user) =
                (random.below(2_000_000_000), random.below(1_200_000_000), random.below(300_000));
            let (a, b) = (random.next(), random.next());
            let second = 1_795_417_200 + random.below(3600);
            let (old, new) = (random.below(90_000), random.below(90_000));
            let event = format!(
                r#"{{"$schema":"/mediawiki/recentchange/1.0.0","meta":{{"uri":"https://{domain}/wiki/{title}","request_id":"{a:016x}-{b:016x}","id":"{b:08x}-{a:016x}","dt":"2026-11-23T07:{:02}:{:02}Z","domain":"{domain}","stream":"mediawiki.recentchange","topic":"eqiad.mediawiki.recentchange","partition":0,"offset":{}}},"id":{id},"type":"edit","namespace":0,"title":"{title}","comment":"/* {} */ {} {} {}, [[{}]] per talk page","timestamp":{second},"user":"Editor{user}","bot":{},"minor":{},"length":{{"old":{old},"new":{new}}},"revision":{{"old":{revision},"new":{}}},"server_url":"https://{domain}","server_name":"{domain}","server_script_path":"/w","wiki":"{}","parsedcomment":"<span dir=\"auto\"><span class=\"autocomment\"><a href=\"/wiki/{title}#{}\">→{}</a>: </span> {} {}, per talk page</span>"}}"#,
                second / 60 % 60,
                second % 60,
                4_000_000_000_u64 + id,
                word(&mut random),
                word(&mut random),
                word(&mut random),
                random.below(1000),
                word(&mut random),
                random.below(4) == 0,
                random.below(3) == 0,
                revision + 17,
                domain.replace('.', ""),
                word(&mut random),
                word(&mut random),
                word(&mut random),
                random.below(1000),
            );
            batch.push(event.as_bytes(), Some(Timestamp::from_seconds(second as i64)));
        }
        batches.push(batch);
    }
    batches
}
