//! Measures the generator alone: events a second, bytes an event, and what parsing a byte of them costs. With `--write`
//! it prints the events; with `--lines FILE` it measures the parsing of that file's lines too, to compare.
//!
//! `cargo run --release -p lakehead-simulator --example generate_bench [EVENTS] [--write | --lines FILE]`

use std::{
    io::{self, Write},
    time::Instant,
};

use lakehead_model::Timestamp;
use lakehead_simulator::Generator;
use serde_json::Value;

/// 2026-09-01T00:00:00Z.
const START: Timestamp = Timestamp(1_788_220_800_000_000);

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let count: u64 = arguments.iter().find_map(|text| text.parse().ok()).unwrap_or(1_000_000);
    let write = arguments.iter().any(|text| text == "--write");
    let generator = Generator::new(7, START, 0.0);
    let mut buffer = Vec::with_capacity(1 << 19);
    let mut bytes = 0;
    let begun = Instant::now();
    for n in 0..count {
        generator.write_event(n, &mut buffer);
        buffer.push(b'\n');
        if buffer.len() > 1 << 18 || n + 1 == count {
            bytes += buffer.len();
            if write {
                io::stdout().write_all(&buffer)?;
            }
            buffer.clear();
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    eprintln!(
        "{count} events in {seconds:.2} s: {:.0} events/s, {:.0} ns and {:.0} bytes each",
        count as f64 / seconds,
        seconds * 1e9 / count as f64,
        bytes as f64 / count as f64
    );
    if write {
        return Ok(());
    }
    let mut some = Vec::new();
    for n in 0..count.min(10_000) {
        generator.write_event(n, &mut some);
        some.push(b'\n');
    }
    eprintln!("generated: {:.3} ns to parse a byte", parse_nanoseconds(&some));
    if let Some(path) = arguments.iter().skip_while(|text| *text != "--lines").nth(1) {
        eprintln!("{path}: {:.3} ns to parse a byte", parse_nanoseconds(&std::fs::read(path)?));
    }
    Ok(())
}

/// How long it takes to parse a byte of these lines into values: the best of nine runs.
fn parse_nanoseconds(lines: &[u8]) -> f64 {
    let run = |_| {
        let begun = Instant::now();
        let parsed = lines.split(|byte| *byte == b'\n').filter(|line| serde_json::from_slice::<Value>(line).is_ok());
        std::hint::black_box(parsed.count());
        begun.elapsed().as_secs_f64() * 1e9 / lines.len() as f64
    };
    (0..9).map(run).fold(f64::INFINITY, f64::min)
}
