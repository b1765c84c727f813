//! Background tasks that look at the streams and at the disk, so that a status needs neither history nor I/O.

use std::{path::PathBuf, sync::Arc, time::Duration};

use lakehead_store::Stream;
use tokio::{sync::watch, time::Instant};
use tracing::warn;

use crate::{
    columns::{LOOK_EVERY, look_back},
    disk,
    rates::SAMPLE_EVERY,
    shared::Shared,
    status::DiskStatus,
    sync::{blocking, lock, stopped},
};

/// How often the disk is measured: a walk over the views' files, so not often.
const DISK_EVERY: Duration = Duration::from_secs(10);

/// Looks at the streams' ends and at the disk, so that a status needs no history and no I/O.
pub(crate) async fn sample(shared: Arc<Shared>, data: PathBuf, mut stop: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(SAMPLE_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut measured: Option<Instant> = None;
    loop {
        tokio::select! {
            () = stopped(&mut stop) => return,
            _ = ticks.tick() => {}
        }
        let current = shared.current();
        for entry in current.streams.values() {
            lock(&entry.rate).observe(shared.begun.elapsed(), entry.stream.head().end.0);
        }
        if measured.is_none_or(|at| at.elapsed() >= DISK_EVERY) {
            measured = Some(Instant::now());
            current.streams.values().for_each(|entry| entry.stream.drop_old_tail());
            let dir = data.clone();
            let streams = current.only_streams();
            // One that nobody writes at the moment is looked after as well.
            let looked = blocking(move || streams.values().for_each(Stream::check_last_segment)).await;
            if let Err(error) = looked {
                warn!("the streams' files could not be looked after: {error}");
            }
            let found = blocking(move || (disk::size_below(&dir.join("views")), disk::free_bytes(&dir)));
            let logs: u64 = current.streams.values().map(|entry| entry.stream.stats().stored_bytes).sum();
            if let Ok((views, Ok(free_bytes))) = found.await {
                *lock(&shared.disk) = DiskStatus { data_bytes: logs + views, free_bytes };
            }
        }
    }
}

/// Looks at how well what comes fits the columns.
pub(crate) async fn look_at_columns(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stopped(&mut stop) => return,
            _ = ticks.tick() => {}
        }
        let current = shared.current();
        let look = move || {
            for (name, entry) in &current.streams {
                let Some(schema) = current.plan.schemas.get(name).filter(|_| entry.gateway.is_some()) else { continue };
                // Where the one cannot read what lies behind, the other may still follow what comes.
                let looked = entry.untimed.look_back(|events_max| look_back(&entry.stream, schema, events_max));
                if let Err(error) = looked.and(entry.columns.look(&entry.stream, schema)) {
                    // Whoever needs the events says it louder.
                    tracing::debug!(stream = %name, "its columns cannot be looked at: {error}");
                }
            }
        };
        // An error means that it panicked, which the log has; the next time it is tried again.
        let _ = blocking(look).await;
    }
}
