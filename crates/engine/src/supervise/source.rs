//! Keeps one source running: opens it at the store's cursor, runs it, and acts on what an error means.
//!
//! ```text
//!            ┌──────────────── wait ────────────────┐
//!            ↓                                      │ unavailable, or the store cannot write
//! cursor → open → run (ingest) → ended, stopped     │
//!            └──────┴──────→ error ─────────────────┤
//!                                                   └→ failed: invalid, corrupt, internal, a panic
//! ```
//! An error of one source never touches another.

use std::{sync::Arc, time::Duration};

use lakehead_connector_api::{Resume, SourceSpec, StreamResume};
use lakehead_model::{EventBatch, Kind, Offset};
use tokio::{sync::watch, time::Instant};

use super::decision::{Decision, classify};
use crate::{
    backoff::{Backoff, random},
    ingest::{Ending, Failure, FedStream, Ingest},
    inlet,
    sync::stopped,
    tail::Tail,
};

/// How often a source that waits for the store tries to write an empty block. Cheap, and soon enough for whoever freed
/// the space; the upstream is left alone meanwhile.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// A source that ran for so long, or brought so many events, has worked: the next failure is the first again. One that fails
/// after each event or two is left alone ever longer.
const WORKED_TIME: Duration = Duration::from_secs(10);
const WORKED_EVENTS: u64 = 1_000;

/// Runs the source until it ends, fails for good, or `stop` turns true. A panic in it is a failure like another.
pub(crate) async fn supervise(
    ingest: Ingest,
    spec: SourceSpec,
    settings: serde_json::Value,
    stop: watch::Receiver<bool>,
) {
    let watch = Arc::clone(&ingest.watch);
    let clock = Arc::clone(&ingest.clock);
    if let Err(error) = tokio::spawn(keep_going(ingest, spec, settings, stop)).await {
        let panic = error.try_into_panic().ok();
        let said = panic.as_deref().and_then(|panic| {
            panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied())
        });
        watch.failed(clock.now(), format!("stopped by a defect: {}", said.unwrap_or("a panic without a message")));
    }
}

async fn keep_going(ingest: Ingest, spec: SourceSpec, settings: serde_json::Value, mut stop: watch::Receiver<bool>) {
    let (mut backoff, mut store_backoff) = (Backoff::default(), Backoff::default());
    let mut end = ends(&ingest);
    while !*stop.borrow() {
        let failure = match once(&ingest, spec, &settings, &mut stop, &mut backoff).await {
            Ok(Ending::Ended) => return ingest.watch.ended(),
            Ok(Ending::Stopped) => return,
            Err(failure) => failure,
        };
        let now = ingest.clock.now();
        let wait = match classify(failure) {
            Decision::Stopped if *stop.borrow() => return,
            Decision::Stopped => return ingest.watch.failed(now, "the store has stopped; see the log".to_owned()),
            Decision::Failed(error) => return ingest.watch.failed(now, error),
            Decision::Away { error, asked } => {
                let wait = backoff.next(asked, random());
                ingest.watch.away(now, error, wait);
                wait
            }
            Decision::StoreCannotWrite(error) => {
                ingest.watch.waiting(now, error);
                until_writable(&ingest, &mut stop).await;
                // An empty block may fit where events do not: without progress, come back ever more slowly.
                let reached = ends(&ingest);
                if reached != std::mem::replace(&mut end, reached.clone()) {
                    store_backoff.reset();
                }
                store_backoff.next(None, random())
            }
        };
        // Whichever comes first; the loop looks again at what it was.
        let _ = tokio::time::timeout(wait, stopped(&mut stop)).await;
    }
}

/// Where each of its streams ends.
fn ends(ingest: &Ingest) -> Vec<Offset> {
    ingest.streams.iter().map(|fed| fed.stream.head().end).collect()
}

/// Returns when the store has written an empty block into each stream, or when waiting for that makes no sense any more.
async fn until_writable(ingest: &Ingest, stop: &mut watch::Receiver<bool>) {
    loop {
        if tokio::time::timeout(STORE_RETRY, stopped(stop)).await.is_ok() {
            return;
        }
        if !is_unavailable(ingest).await {
            return;
        }
    }
}

async fn is_unavailable(ingest: &Ingest) -> bool {
    for fed in &ingest.streams {
        let written = inlet::commit(&fed.stream.appender(), &ingest.source, EventBatch::default()).await;
        if written.is_err_and(|error| error.kind() == Kind::Unavailable) {
            return true;
        }
    }
    false
}

async fn once(
    ingest: &Ingest,
    spec: SourceSpec,
    settings: &serde_json::Value,
    stop: &mut watch::Receiver<bool>,
    backoff: &mut Backoff,
) -> Result<Ending, Failure> {
    ingest.watch.update(|status| status.opened += 1);
    let stream = |fed: &FedStream| StreamResume {
        stream: fed.stream.name().clone(),
        cursor: fed.stream.head().cursors.get(&ingest.source).cloned(),
        event_time: fed.times.rules().to_vec(),
        tail: Box::new(Tail::of(fed.stream.clone())),
    };
    let resume = Resume {
        name: ingest.source.as_str().to_owned(),
        streams: ingest.streams.iter().map(stream).collect(),
        clock: Arc::clone(&ingest.clock),
    };
    let opened = tokio::select! {
        () = stopped(stop) => return Ok(Ending::Stopped),
        opened = (spec.open)(settings.clone(), resume) => opened.map_err(Failure::Source)?,
    };
    let (began, mut brought) = (Instant::now(), 0);
    let mut worked = |events: u64| {
        brought += events;
        if brought >= WORKED_EVENTS || began.elapsed() >= WORKED_TIME {
            backoff.reset();
        }
    };
    ingest.run(opened, stop, &mut worked).await
}
