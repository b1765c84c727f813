//! Measures the generator alone: events a second and bytes an event. With `--write` it prints the events instead.
//!
//! `cargo run --release -p lakehead-simulator --example generate_bench [EVENTS] [--write]`

use std::{
    io::{self, Write},
    time::Instant,
};

use lakehead_model::Timestamp;
use lakehead_simulator::Generator;

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
    Ok(())
}
