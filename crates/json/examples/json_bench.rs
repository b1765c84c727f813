//! `cargo run --release -p lakehead-json --example json_bench -- FILE [ROUNDS]`.
//!
//! Prints MB/s and ns/event of checking, of finding fields by path and of finding the event time; the best of the
//! rounds, one thread.

use std::{
    error::Error,
    fs,
    hint::black_box,
    io::Read,
    time::{Duration, Instant},
};

use lakehead_json::{EventTimes, Paths, validate};
use lakehead_model::StreamSchema;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: json_bench FILE.jsonl[.gz] [ROUNDS]")?;
    let rounds = arguments.next().map_or(Ok(20), |rounds| rounds.parse())?;
    let mut text = fs::read(&path)?;
    if path.ends_with(".gz") {
        let packed = std::mem::take(&mut text);
        flate2::read::MultiGzDecoder::new(&packed[..]).read_to_end(&mut text)?;
    }
    let events: Vec<&[u8]> = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    println!("{} events, {} bytes each", events.len(), text.len() / events.len().max(1));
    let run = |name: &str, work: &mut dyn FnMut(&[u8]) -> u64| measure(name, &events, rounds, work);

    run("validate", &mut |event| u64::from(validate(event).is_ok()));
    run("std from_utf8 alone", &mut |event| u64::from(std::str::from_utf8(event).is_ok()));
    run("serde_json ignored", &mut |event| u64::from(serde_json::from_slice::<serde::de::IgnoredAny>(event).is_ok()));

    for (name, wanted) in [
        ("paths: $schema (near the front)", &["$schema"][..]),
        ("paths: meta.domain", &["meta.domain"]),
        ("paths: wiki", &["wiki"]),
        ("paths: a key that is not there", &["no_such_key"]),
        (
            "paths: 11 fields",
            &[
                "wiki",
                "meta.domain",
                "server_name",
                "type",
                "bot",
                "meta.domain",
                "title",
                "length.old",
                "length.new",
                "timestamp",
                "meta.dt",
            ],
        ),
    ] {
        let wanted: Vec<Vec<String>> = wanted.iter().map(|path| path.split('.').map(str::to_owned).collect()).collect();
        let paths = Paths::new(&wanted);
        run(name, &mut |event| {
            let mut found = [None; 16];
            paths.extract(event, &mut found);
            found.iter().flatten().count() as u64
        });
    }
    let schema = StreamSchema::builtin("mediawiki/recentchange").ok_or("a built-in schema")?;
    let all: Vec<_> = schema.columns.iter().map(|column| column.path.clone()).collect();
    let paths = Paths::new(&all);
    run("paths: all columns", &mut |event| {
        let mut found = [None; 32];
        paths.extract(event, &mut found);
        found.iter().flatten().count() as u64
    });
    let times = EventTimes::new(&schema);
    run("event time", &mut |event| u64::from(times.of(event).is_some()));
    Ok(())
}

fn measure(name: &str, events: &[&[u8]], rounds: u32, work: &mut dyn FnMut(&[u8]) -> u64) {
    let bytes: usize = events.iter().map(|event| event.len()).sum();
    let mut best = Duration::MAX;
    let mut sum = 0;
    for _ in 0..rounds {
        let begun = Instant::now();
        sum = events.iter().map(|event| work(black_box(event))).sum();
        best = best.min(begun.elapsed());
    }
    #[allow(clippy::cast_precision_loss)]
    let (each, rate) = (best.as_nanos() as f64 / events.len() as f64, bytes as f64 / best.as_secs_f64() / 1e6);
    println!("{name:34} {rate:8.0} MB/s {each:8.0} ns/event   (sum {sum})");
}
