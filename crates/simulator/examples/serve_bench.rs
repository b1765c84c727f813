//! Measures serving: events a second over one connection on the loopback, at rate 0, server and reader on a thread each.
//!
//! `cargo run --release -p lakehead-simulator --example serve_bench [EVENTS]`

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Instant,
};

use lakehead_model::{Clock, Timestamp};
use lakehead_simulator::{Options, Simulator};

/// At rate 0 nothing asks for the time.
#[derive(Debug)]
struct NoClock;

impl Clock for NoClock {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let events: u64 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(2_000_000);
    let options = Options { rate: 0.0, events: Some(events), ..Options::default() };
    let simulator = Arc::new(Simulator::new(options, Arc::new(NoClock))?);
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let served = Arc::clone(&simulator);
    std::thread::spawn(move || -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            served.serve(tokio::net::TcpListener::from_std(listener)?, std::future::pending()).await
        })
    });
    let mut socket = TcpStream::connect(address)?;
    socket.write_all(b"GET /v2/stream/recentchange HTTP/1.1\r\nhost: bench\r\n\r\n")?;
    let mut buffer = vec![0; 1 << 20];
    let (begun, mut bytes) = (Instant::now(), 0);
    while simulator.stats().events < events {
        bytes += socket.read(&mut buffer)?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("{:.0} events/s, {:.0} MB/s", events as f64 / seconds, bytes as f64 / seconds / 1e6);
    Ok(())
}
