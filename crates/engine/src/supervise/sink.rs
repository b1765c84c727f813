//! Keeps one sink running: opens its lanes at its position, delivers, and acts on what an error means.
//!
//! ```text
//!              ┌──────────────── wait ────────────────┐
//!              ↓                                      │ unavailable, or nothing can be noted
//! position → open → deliver → stopped                 │
//!              └──────┴─────→ error ──────────────────┤
//!                                                     └→ failed: invalid, corrupt, internal, a panic
//! ```
//! An error of one sink touches neither the log nor another sink.

use std::{sync::Arc, time::Duration};

use lakehead_connector_api::{Error as SinkError, Sink};
use lakehead_model::Position;
use tokio::{sync::watch, time::Instant};

use super::decision::{Decision, classify};
use crate::{
    Error,
    backoff::{Backoff, random},
    follow::{
        position::{self, CheckedPosition},
        step::Finding,
    },
    ingest::Failure,
    sinks::{
        begin,
        course::{Course, Followed},
        deliver::DeliveryRun,
        position_file::PositionRecord,
    },
    sync::{blocking, stopped},
};

/// A sink that ran for so long, or delivered so many rows, has worked: the next failure is the first again.
const WORKED_TIME: Duration = Duration::from_secs(10);
const WORKED_ROWS: u64 = 1_000;

/// Runs the sink until it fails for good or `stop` turns true. A panic in it is a failure like another.
pub(crate) async fn supervise(course: Arc<Course>, record: PositionRecord, stop: watch::Receiver<bool>) {
    let watch = Arc::clone(&course.watch);
    if let Err(error) = tokio::spawn(keep_going(course, record, stop)).await {
        let said = error.try_into_panic().map(|panic| lakehead_query::panic_words(panic.as_ref()));
        watch.failed(format!("stopped by a defect: {}", said.unwrap_or_else(|error| error.to_string())));
    }
    watch.stopped();
}

async fn keep_going(course: Arc<Course>, mut record: PositionRecord, mut stop: watch::Receiver<bool>) {
    let (watch, mut backoff) = (&course.watch, Backoff::default());
    while !*stop.borrow() {
        let opened = Instant::now();
        let (delivered, outcome) = once(&course, &mut record, &mut stop).await;
        if delivered >= WORKED_ROWS || opened.elapsed() >= WORKED_TIME {
            backoff.reset();
        }
        let Err(failure) = outcome else { return };
        let wait = match classify(failure) {
            Decision::Stopped if *stop.borrow() => return,
            Decision::Stopped => return watch.failed("the store has stopped; see the log".to_owned()),
            Decision::Failed(error) => return watch.failed(error),
            Decision::Away { error, asked } => {
                let wait = backoff.next(asked, random());
                watch.away(error, wait);
                wait
            }
            Decision::StoreCannotWrite(error) => {
                watch.waiting(error);
                backoff.next(None, random())
            }
        };
        // Whichever comes first; the loop looks again at what it was.
        let _ = tokio::time::timeout(wait, stopped(&mut stop)).await;
    }
}

/// One run. How many rows it delivered stands beside how it ended.
async fn once(
    course: &Arc<Course>,
    record: &mut PositionRecord,
    stop: &mut watch::Receiver<bool>,
) -> (u64, Result<(), Failure>) {
    course.watch.opens();
    let opening = async {
        let (sinks, target) = open(course).await.map_err(Failure::Source)?;
        settle(course, record, target).await.map_err(Failure::Store)?;
        Ok(sinks)
    };
    let sinks = tokio::select! {
        () = stopped(stop) => return (0, Ok(())),
        opened = opening => match opened {
            Ok(sinks) => sinks,
            Err(failure) => return (0, Err(failure)),
        },
    };
    DeliveryRun::new(course, record, sinks).run(stop).await
}

/// Opens an instance for each lane. The position that the target keeps stands beside.
async fn open(course: &Course) -> Result<(Vec<Box<dyn Sink>>, Option<Position>), SinkError> {
    let (mut sinks, mut target) = (Vec::with_capacity(course.config.lanes), None);
    for _ in 0..course.config.lanes {
        let mut sink = (course.spec.open)(course.config.settings.clone(), course.context()).await?;
        let resumed = sink.resume().await?;
        target = target.or(resumed);
        sinks.push(sink);
    }
    Ok((sinks, target))
}

/// Decides where to begin, and tells where that is not where it had got to.
async fn settle(course: &Arc<Course>, record: &mut PositionRecord, target: Option<Position>) -> Result<(), Error> {
    let (position, told) = begin::position(target, record, course.spec.delivery);
    if let Some(why) = told {
        course.watch.found(&Finding { lost_rows: 0, why: why.to_owned() }, record.lost_rows);
    }
    record.position = position;
    let is_of_a_view = matches!(position, Some(Position::View { .. }));
    match (&course.followed, position) {
        (_, None) => Ok(()),
        (Followed::View { .. }, Some(_)) if is_of_a_view => Ok(()),
        (Followed::Log { stream, .. }, Some(position)) => {
            let of = stream.clone();
            let Some(checked) = blocking(move || position::check(&of, position)).await?? else {
                return begin_anew(course, record, position).await;
            };
            let CheckedPosition { position, finding, needs_epoch } = checked;
            let epoch = if needs_epoch { Some(stream.raise_epoch().await?) } else { None };
            record.position = Some(match (position, epoch) {
                (Position::Log { next, .. }, Some(epoch)) => Position::Log { epoch, next },
                (position, _) => position,
            });
            if let Some(finding) = finding {
                course.watch.found(&finding, record.lost_rows);
            }
            Ok(())
        }
        (_, Some(position)) => begin_anew(course, record, position).await,
    }
}

/// Begins as `start` says, since `position` is not of what the sink delivers.
async fn begin_anew(course: &Arc<Course>, record: &mut PositionRecord, position: Position) -> Result<(), Error> {
    let why = format!(
        "its position {position} is not of {} as it is now: the data directory was replaced by another or an older one. It \
         begins anew, as its `start` says",
        course.config.from
    );
    course.watch.found(&Finding { lost_rows: 0, why }, record.lost_rows);
    record.position = course.followed.beginning(course.config.start);
    let (file, saved) = (course.file.clone(), record.clone());
    blocking(move || file.save(&saved)).await?
}
