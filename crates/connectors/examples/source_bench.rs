//! How fast the `eventstreams` source is: the simulator in the same process at full speed, the source read to its end,
//! nothing stored. `cargo run --release -p lakehead-connectors --example source_bench [EVENTS]`
//!
//! Prints events a second for both together, and the processor time of the source alone: the simulator runs on a
//! thread of its own, whose time is counted apart (Linux only).

use std::{sync::Arc, time::Instant};

use lakehead_connector_api::{Resume, StreamResume};
use lakehead_connectors::SOURCES;
use lakehead_model::{Name, StreamSchema, Timestamp};
use lakehead_simulator::{Options, Simulator};
use lakehead_testkit::{ManualClock, VecTail};

fn main() {
    let events: u64 = std::env::args().nth(1).map_or(1_000_000, |text| text.parse().expect("a number of events"));
    rustls::crypto::ring::default_provider().install_default().expect("the first one");
    let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_800_000_000)));
    let options = Options { rate: 0.0, events: Some(events), ..Options::default() };
    let simulator = Arc::new(Simulator::new(options, clock.clone()).expect("a simulator"));
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            tell.send((listener.local_addr().expect("an address"), thread_id())).expect("somebody listens");
            simulator.serve(listener, std::future::pending()).await.expect("it serves");
        });
    });
    let (address, simulator_thread) = told.recv().expect("the simulator starts");

    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let (mut count, mut bytes, mut chunks) = (0, 0, 0_u64);
    let begun = Instant::now();
    runtime.block_on(async {
        let spec = SOURCES.iter().find(|spec| spec.name == "eventstreams").expect("it is registered");
        let settings = serde_json::json!({ "url": format!("http://{address}/v2/stream/recentchange"), "since": "2026-01-01T00:00:00Z" });
        let tail = Box::new(VecTail::default());
        let event_time = StreamSchema::builtin("mediawiki/recentchange").unwrap_or_default().event_time;
        let stream = StreamResume { stream: Name::new("bench").expect("a name"), cursor: None, event_time, tail };
        let resume = Resume { name: "bench".to_owned(), streams: vec![stream], clock };
        let mut source = (spec.open)(settings, resume).await.expect("it opens").reader;
        while count < events {
            let chunk = source.next().await.expect("no error").expect("no end");
            let (lacks, rejects) = (&chunk.discontinuities, &chunk.rejects);
            assert!(lacks.is_empty() && rejects.is_empty(), "{lacks:?} {rejects:?}");
            count += chunk.events.len() as u64;
            bytes += chunk.events.payload().len();
            chunks += 1;
        }
    });
    let seconds = begun.elapsed().as_secs_f64();
    let all = cpu_seconds("/proc/self/stat");
    let simulator = cpu_seconds(&format!("/proc/self/task/{simulator_thread}/stat"));
    #[allow(clippy::cast_precision_loss)]
    let of = |part: f64| part / count as f64;
    println!(
        "{count} events of {:.0} bytes in {seconds:.2} s: {:.0} events/s; {:.0} events a chunk; processor time an event: \
         source {:.2} us, simulator {:.2} us",
        of(bytes as f64),
        1.0 / of(seconds),
        count as f64 / chunks as f64,
        of(all - simulator) * 1e6,
        of(simulator) * 1e6,
    );
}

/// The calling thread's number.
fn thread_id() -> String {
    let link = std::fs::read_link("/proc/thread-self").expect("Linux");
    link.file_name().expect("a number").to_string_lossy().into_owned()
}

/// User and system time by proc(5), in ticks of 10 ms.
fn cpu_seconds(stat: &str) -> f64 {
    let stat = std::fs::read_to_string(stat).expect("Linux");
    let fields: Vec<&str> = stat[stat.rfind(')').expect("a name") + 2..].split(' ').collect();
    let ticks = |n: usize| fields[n].parse::<f64>().expect("a number");
    (ticks(11) + ticks(12)) / 100.0
}
