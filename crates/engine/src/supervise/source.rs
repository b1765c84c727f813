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
use lakehead_model::{EventBatch, Kind};
use tokio::{sync::watch, time::Instant};

use super::decision::{Decision, classify};
use crate::{
    backoff::{Backoff, random},
    ingest::{Ending, Failure, Ingest},
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
    let mut end = ingest.stream.head().end;
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
                let reached = ingest.stream.head().end;
                if reached > std::mem::replace(&mut end, reached) {
                    store_backoff.reset();
                }
                store_backoff.next(None, random())
            }
        };
        // Whichever comes first; the loop looks again at what it was.
        let _ = tokio::time::timeout(wait, stopped(&mut stop)).await;
    }
}

/// Returns when the store has written an empty block, or when waiting for that makes no sense any more.
async fn until_writable(ingest: &Ingest, stop: &mut watch::Receiver<bool>) {
    loop {
        if tokio::time::timeout(STORE_RETRY, stopped(stop)).await.is_ok() {
            return;
        }
        match inlet::commit(&ingest.stream.appender(), &ingest.source, EventBatch::default()).await {
            Err(error) if error.kind() == Kind::Unavailable => {}
            _ => return,
        }
    }
}

async fn once(
    ingest: &Ingest,
    spec: SourceSpec,
    settings: &serde_json::Value,
    stop: &mut watch::Receiver<bool>,
    backoff: &mut Backoff,
) -> Result<Ending, Failure> {
    ingest.watch.update(|status| status.opened += 1);
    let resume = Resume {
        name: ingest.source.as_str().to_owned(),
        streams: vec![StreamResume {
            stream: ingest.stream.name().clone(),
            cursor: ingest.stream.head().cursors.get(&ingest.source).cloned(),
            event_time: ingest.times.rules().to_vec(),
            tail: Box::new(Tail(ingest.stream.clone())),
        }],
        clock: Arc::clone(&ingest.clock),
    };
    let mut source = tokio::select! {
        () = stopped(stop) => return Ok(Ending::Stopped),
        opened = (spec.open)(settings.clone(), resume) => opened.map_err(Failure::Source)?,
    };
    let (opened, mut brought) = (Instant::now(), 0);
    let mut worked = |events: u64| {
        brought += events;
        if brought >= WORKED_EVENTS || opened.elapsed() >= WORKED_TIME {
            backoff.reset();
        }
    };
    ingest.run(&mut source, stop, &mut worked).await
}
