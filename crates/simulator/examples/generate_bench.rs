//! Measures the generator alone: events a second, bytes an event, and how it compresses.
//!
//! `cargo run --release -p lakehead-simulator --example generate_bench [EVENTS]`

use std::time::Instant;

use lakehead_model::Timestamp;
use lakehead_simulator::Generator;

fn main() {
    let count: u64 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let generator = Generator::new(7, Timestamp::from_seconds(1_788_000_000), 0.0);
    let mut buffer = Vec::with_capacity(1 << 20);
    let mut bytes = 0;
    let begun = Instant::now();
    for n in 0..count {
        generator.write_event(n, &mut buffer);
        buffer.push(b'\n');
        if buffer.len() > 1 << 18 {
            bytes += buffer.len();
            buffer.clear();
        }
    }
    bytes += buffer.len();
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{count} events in {seconds:.2} s: {:.0} events/s, {:.0} ns and {:.0} bytes each",
        count as f64 / seconds,
        seconds * 1e9 / count as f64,
        bytes as f64 / count as f64
    );
}
