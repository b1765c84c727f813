//! Measures decoding on a file of JSON lines, plain or gzip:
//! `cargo run --release -p lakehead-decode --example decode_bench -- FILE [ROUNDS]`.
//!
//! Cuts the events into blocks of about 1 MiB, as the store does, and prints events/s, MB/s and ns/event for the
//! columns that the default views need and for others; the best of the rounds, one thread.

use std::{
    error::Error,
    fs,
    hint::black_box,
    io::Read,
    time::{Duration, Instant},
};

use bytes::Bytes;
use lakehead_decode::{Decoder, Events, table_schema};
use lakehead_model::{Offset, StreamSchema, Timestamp};

/// The size at which the store closes a block.
const BLOCK_BYTES: usize = 1 << 20;

const VIEWS: &[&str] =
    &["wiki", "meta_domain", "server_name", "type", "bot", "canary", "title", "length_old", "length_new", "event_time"];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: decode_bench FILE.jsonl[.gz] [ROUNDS]")?;
    let rounds = arguments.next().map_or(Ok(20), |rounds| rounds.parse())?;
    let mut text = fs::read(&path)?;
    if path.ends_with(".gz") {
        let packed = std::mem::take(&mut text);
        flate2::read::MultiGzDecoder::new(&packed[..]).read_to_end(&mut text)?;
    }
    let blocks = blocks(&text)?;
    println!("{} blocks, {} bytes", blocks.len(), text.len());
    let schema = StreamSchema::builtin("mediawiki/recentchange").ok_or("a built-in schema")?;
    let table = table_schema(&schema);
    let all: Vec<_> = table.fields().iter().map(|field| field.name().as_str()).collect();
    for (name, wanted) in [
        ("nothing (count)", &[][..]),
        ("wiki", &["wiki"]),
        ("event_time", &["event_time"]),
        ("data", &["data"]),
        ("edits_per_minute", &["event_time", "wiki", "canary", "type"]),
        ("the default views", VIEWS),
        ("all", &all),
    ] {
        let wanted: Vec<_> = wanted.iter().map(|&name| name.to_owned()).collect();
        measure(name, &Decoder::new(&schema, &wanted)?, &blocks, rounds)?;
    }
    Ok(())
}

/// A payload and where its events end.
type Block = (Bytes, Vec<u32>);

fn blocks(text: &[u8]) -> Result<Vec<Block>, Box<dyn Error>> {
    let mut blocks = Vec::new();
    let (mut payload, mut ends) = (Vec::new(), Vec::new());
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        payload.extend_from_slice(line);
        ends.push(u32::try_from(payload.len())?);
        if payload.len() >= BLOCK_BYTES {
            blocks.push((std::mem::take(&mut payload).into(), std::mem::take(&mut ends)));
        }
    }
    blocks.push((payload.into(), ends));
    Ok(blocks)
}

fn measure(name: &str, decoder: &Decoder, blocks: &[Block], rounds: u32) -> Result<(), lakehead_decode::Error> {
    let mut best = Duration::MAX;
    let (mut rows, mut bytes) = (0, 0);
    for _ in 0..rounds {
        (rows, bytes) = (0, 0);
        let begun = Instant::now();
        for (payload, ends) in blocks {
            let (first_offset, received_time) = (Offset(0), Timestamp(0));
            let batch = decoder.decode(&Events { payload, ends, first_offset, received_time })?;
            rows += black_box(batch).num_rows();
            bytes += payload.len();
        }
        best = best.min(begun.elapsed());
    }
    #[allow(clippy::cast_precision_loss)]
    let (seconds, rows, bytes) = (best.as_secs_f64(), rows as f64, bytes as f64);
    println!(
        "{name:20} {:>12.0} events/s {:8.0} MB/s {:8.0} ns/event",
        rows / seconds,
        bytes / seconds / 1e6,
        seconds * 1e9 / rows
    );
    Ok(())
}
