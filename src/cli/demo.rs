//! `lakehead demo`: a simulated upstream, the default pipeline and the dashboard in one process, with no network.
//!
//! The upstream's timeline belongs to the data directory: `<data>/demo.json` keeps its seed, start and rate, so a demo
//! that is stopped and started again goes on with the same events, and the pipeline fetches what it missed.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, anyhow};
use clap::Args;
use lakehead_model::{Clock, Timestamp};
use lakehead_simulator::{Options, Simulator};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use super::values::address;
use crate::{
    client::DEMO_DATA,
    clock::SystemClock,
    config::Overrides,
    outcome::{Failure, Outcome},
    output::say,
    pipeline_file::load,
    reload::Origin,
    service::Service,
    signals::Signals,
    socket::bind,
    version::VERSION,
};

/// Events a second when nobody says: about six times Wikimedia's own 36, so that every chart moves.
const RATE: f64 = 200.0;

/// The seed when nobody says. Any number would do.
const SEED: u64 = 7;

/// The demo's own file in its data directory.
const FILE: &str = "demo.json";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Simulated events a second; 200 unless this directory's demo has another (Wikimedia's own rate is about 36).
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,
    /// Makes another world of events; 7 unless this directory's demo has another.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Where everything is kept.
    #[arg(long, value_name = "DIR", default_value = DEMO_DATA)]
    data: PathBuf,
    /// Where to listen; 127.0.0.1:8080 unless said otherwise.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    listen: Option<SocketAddr>,
    /// Allows an address that other machines can reach without a token: everyone who reaches it may read and push.
    #[arg(long)]
    listen_anyone: bool,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= 1_000_000.0 => Ok(rate),
        _ => Err("write a number of events a second, above 0 and at most 1000000".to_owned()),
    }
}

/// What a demo was begun with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Timeline {
    seed: u64,
    start: Timestamp,
    rate: f64,
}

pub(crate) async fn run(arguments: Arguments) -> Outcome {
    let path = arguments.data.join(FILE);
    let (timeline, begun_now) = timeline(&path, &arguments)?;
    let upstream = bind((Ipv4Addr::LOCALHOST, 0).into())?;
    let upstream_address = upstream.local_addr().context("asking for the simulator's address")?;
    let overrides = Overrides {
        data: Some(arguments.data.clone()),
        listen: arguments.listen,
        listen_anyone: arguments.listen_anyone,
    };
    let mut pipeline = load(None, Some(format!("http://{upstream_address}/v2/stream/recentchange")), overrides).await?;
    pipeline.dashboard.simulated = true;
    let listener = bind(pipeline.listen)?;
    let signals = Signals::listen()?;
    let service = Service::start(pipeline, Origin::BuiltIn("the demo"), listener).await?;
    // Kept before the first event can arrive, so that no event is without its timeline.
    if begun_now {
        keep(&path, &timeline).with_context(|| format!("writing {}", path.display()))?;
    }
    simulate(timeline, upstream);
    // That nobody reads it is no reason not to run.
    let _ = say(format_args!(
        "Lakehead {VERSION} demo: open {}\n{} simulated events a second, kept in {}; Ctrl-C stops, the same command goes on where it \
         stopped\n",
        service.url(),
        timeline.rate,
        arguments.data.display()
    ));
    Ok(service.until(signals).await?)
}

/// The directory's timeline, or a new one that begins now; and whether it is new.
fn timeline(path: &Path, arguments: &Arguments) -> Result<(Timeline, bool), Failure> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let (seed, rate) = (arguments.seed.unwrap_or(SEED), arguments.rate.unwrap_or(RATE));
            return Ok((Timeline { seed, start: SystemClock.now(), rate }, true));
        }
        Err(error) => return Err(anyhow!(error).context(format!("reading {}", path.display())).into()),
    };
    let kept: Timeline =
        serde_json::from_slice(&bytes).with_context(|| format!("{} is not a demo's file", path.display()))?;
    let other = |what: &str, kept: String, asked: String| {
        Failure::Usage(format!(
            "the demo in {} runs with --{what} {kept}, not {asked}: its events go on with their own timeline; leave the \
             option out, or begin another demo with --data DIR",
            arguments.data.display()
        ))
    };
    match (arguments.seed, arguments.rate) {
        (Some(seed), _) if seed != kept.seed => Err(other("seed", kept.seed.to_string(), seed.to_string())),
        (_, Some(rate)) if rate != kept.rate => Err(other("rate", kept.rate.to_string(), rate.to_string())),
        _ => Ok((kept, false)),
    }
}

fn keep(path: &Path, timeline: &Timeline) -> anyhow::Result<()> {
    let fresh = path.with_extension("json.new");
    fs::write(&fresh, serde_json::to_vec(timeline)?)?;
    fs::File::open(&fresh)?.sync_all()?;
    Ok(fs::rename(&fresh, path)?)
}

/// Runs the simulator beside the service; it ends with the process, as an upstream that goes away.
fn simulate(Timeline { seed, start, rate }: Timeline, listener: TcpListener) {
    let options = Options { seed, start: Some(start), rate, ..Options::default() };
    tokio::spawn(async move {
        let serving = match Simulator::new(options, Arc::new(SystemClock)) {
            Ok(simulator) => Arc::new(simulator).serve(listener, std::future::pending()).await.map_err(Into::into),
            Err(error) => Err(anyhow::Error::from(error)),
        };
        if let Err(error) = serving {
            tracing::error!("the simulated upstream has stopped: {error:#}");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(data: &Path, rate: Option<f64>) -> Arguments {
        Arguments { rate, seed: None, data: data.to_owned(), listen: None, listen_anyone: false }
    }

    #[test]
    fn a_demo_goes_on_with_its_own_timeline() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join(FILE);
        let (begun, new) = timeline(&path, &arguments(dir.path(), Some(50.0))).expect("a new one");
        assert!(new && begun.rate == 50.0);
        keep(&path, &begun).expect("a file");
        let (again, new) = timeline(&path, &arguments(dir.path(), None)).expect("the same");
        assert!(!new);
        assert_eq!(again, begun);
        let Err(Failure::Usage(what)) = timeline(&path, &arguments(dir.path(), Some(60.0))) else {
            panic!("another rate is another demo")
        };
        assert!(what.contains("--rate 50") && what.contains("--data"), "{what}");
    }

    #[test]
    fn a_rate_is_a_number_of_events() {
        assert_eq!(rate("36.1"), Ok(36.1));
        for bad in ["0", "-1", "many", "nan", "inf"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }
}
