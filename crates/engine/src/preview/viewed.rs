//! The events that were looked at, taken through the views: of an empty state in memory that nothing is ever committed of.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use lakehead_decode::{Decoder, Events};
use lakehead_model::{Name, Offset, StreamSchema, Timestamp};
use lakehead_query::{
    FailedEvent, Lake, Limits, MicroBatch, Outline, SharedFilter, View, ViewHandle, check_views,
    format::{Format, write},
};
use serde_json::Value;

use super::{
    estimate::{Seen, rows_an_hour},
    report::{Hourly, ViewPreview},
    sample::Sample,
};
use crate::{Error, plan::Plan};

/// Rows of a view that are counted. Windows that overlap make many of one event.
const ROWS_MAX: usize = 100_000;

/// Rows that are told.
const ROWS_TOLD_MAX: usize = 5;

/// A folder that is in no data directory, so that a view has nothing to go on from. It is only looked for.
const NOWHERE: &str = "nothing is kept for a look before the start";

/// Takes `samples` through the views. `rates` has the events a second of each stream of which that is known.
///
/// # Errors
/// For a defect alone. What a view fails with stands in its preview.
pub(super) async fn viewed(
    plan: &Plan,
    samples: &BTreeMap<Name, Sample>,
    rates: &BTreeMap<Name, f64>,
    now: Timestamp,
) -> Result<BTreeMap<Name, ViewPreview>, Error> {
    let texts = plan.pipeline.views.iter().map(|(name, view)| (name.clone(), view.sql.clone())).collect();
    let lake = Lake::new(Limits { rows: ROWS_MAX, ..Limits::default() })?;
    let (mut handles, mut told) = (BTreeMap::<Name, ViewHandle>::new(), BTreeMap::new());
    let empty = Sample::default();
    for (name, compiled) in check_views(&texts, &plan.schemas).await? {
        let compiled = compiled.map_err(|source| Error::View { view: name.clone(), source })?;
        let Some(config) = plan.pipeline.views.get(&name) else { continue };
        let stream = compiled.stream().clone();
        let sample = samples.get(&stream).unwrap_or(&empty);
        let upstream = compiled.upstream().and_then(|above| handles.get(above).cloned());
        let is_over_stream = compiled.upstream().is_none();
        let nowhere = plan.pipeline.data.join(NOWHERE);
        let opened = View::open_read_only(&nowhere, name.clone(), compiled, config.settings(), upstream).await;
        let mut view = opened.map_err(|source| Error::View { view: name.clone(), source })?.0;
        let applied = match is_over_stream {
            true => apply(&mut view, &plan.schemas[&stream], sample, now).await,
            false => Ok(Vec::new()),
        };
        let handle = view.handle();
        lake.add_view(handle.clone());
        let preview = match applied {
            Ok(failed) => {
                let preview = counted(&stream, sample, &handle, &failed);
                of_rows(preview, &lake, &handle, rates.get(&stream).copied()).await
            }
            Err(error) => failing(&stream, sample, &error),
        };
        handles.insert(name.clone(), handle);
        told.insert(name, preview);
    }
    Ok(told)
}

/// Applies the events to the view. Answers those on which an expression fails.
async fn apply(
    view: &mut View,
    schema: &StreamSchema,
    sample: &Sample,
    now: Timestamp,
) -> Result<Vec<FailedEvent>, lakehead_query::Error> {
    if sample.events.is_empty() {
        return Ok(Vec::new());
    }
    let ours = |error: lakehead_decode::Error| lakehead_query::Error::Engine(error.to_string());
    let decoder = Decoder::new(schema, view.plan().required_columns()).map_err(ours)?;
    let payload = Bytes::copy_from_slice(sample.events.payload());
    let ends = sample.events.ends();
    let events = Events { payload: &payload, ends, first_offset: Offset(0), received_time: now };
    let batch = decoder.decode(&events).map_err(ours)?;
    let greatest = decoder.greatest_event_time(&batch, 0..sample.events.len());
    let events = sample.events.len() as u64;
    let micro_batch =
        MicroBatch { batches: vec![batch], events, end: Offset(events), times: vec![(None, greatest, now)] };
    let plan = Arc::clone(view.plan());
    let aggregate = plan.partial_aggregate(&mut SharedFilter::new(&micro_batch)).await?;
    let failed = aggregate.failed().to_vec();
    view.apply(aggregate).await?;
    Ok(failed)
}

/// What became of the events.
fn counted(stream: &Name, sample: &Sample, handle: &ViewHandle, failed: &[FailedEvent]) -> ViewPreview {
    let counts = handle.snapshot().counts;
    let events = sample.events.len() as u64;
    let mut told = ViewPreview {
        stream: stream.to_string(),
        events,
        in_view: counts.in_view,
        without_time: counts.without_time,
        failed: counts.failed,
        filtered: events.saturating_sub(counts.in_view + counts.without_time + counts.failed),
        failed_reason: failed.iter().map(|event| &event.reason).find(|reason| !reason.is_empty()).cloned(),
        ..ViewPreview::default()
    };
    if handle.plan().upstream().is_some() {
        // Its rows are made of another view's, and nobody counts events there.
        (told.in_view, told.filtered) = (0, 0);
        return told;
    }
    let why = told.failed_reason.as_deref().unwrap_or("an expression fails");
    if events > 0 && told.in_view == 0 {
        if told.failed > 0 {
            told.fails =
                Some(format!("its SQL fails on {} of {events} events, and none is in a row: {why}", told.failed));
        } else if told.without_time > 0 {
            told.fails =
                Some("it reads the event time, which no event of the sample has: it would stay empty".to_owned());
        } else {
            told.notes.push("its conditions leave out every event of the sample".to_owned());
        }
    } else if told.failed > 0 {
        told.notes.push(format!("{} of {events} events are left out: {why}", told.failed));
    }
    told
}

fn failing(stream: &Name, sample: &Sample, error: &lakehead_query::Error) -> ViewPreview {
    let events = sample.events.len() as u64;
    let fails = Some(format!("it stops at the events of the sample: {error}"));
    ViewPreview { stream: stream.to_string(), events, fails, ..ViewPreview::default() }
}

/// What the view's rows are, and what that says of an hour.
async fn of_rows(mut told: ViewPreview, lake: &Lake, handle: &ViewHandle, rate: Option<f64>) -> ViewPreview {
    let answer = match lake.query(&format!("SELECT * FROM \"{}\"", handle.name())).await {
        Ok(answer) => answer,
        Err(error) => {
            told.fails = told.fails.or_else(|| Some(format!("its rows cannot be computed: {error}")));
            return told;
        }
    };
    let mut lines = Vec::new();
    if let Err(error) = write(&answer, Format::Ndjson, &mut lines) {
        told.notes.push(format!("its rows cannot be written: {error}"));
        return told;
    }
    let rows = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let rows: Vec<Value> = rows.filter_map(|line| serde_json::from_slice(line).ok()).collect();
    let outline = handle.outline();
    (told.rows, told.rows_cut) = (rows.len() as u64, answer.truncated);
    told.groups = groups(&outline, &rows);
    if !answer.truncated
        && let Some(rate) = rate
    {
        let seen = Seen { events: told.events, rows: told.rows, groups: told.groups, step: outline.step };
        let snapshot = handle.snapshot();
        let open = (snapshot.open_rows as u64, snapshot.open_bytes as u64);
        told.hourly = rows_an_hour(seen, rate).map(|(rows_least, rows_most)| {
            // Windows that overlap share their state, so that it is not one of their rows.
            let is_by_row = told.groups.is_some() && outline.overlap.is_none() && open.0 > 0;
            let bytes = |rows: u64| is_by_row.then(|| taken(rows, open.1, told.rows));
            Hourly {
                rows_least,
                rows_most,
                bytes_least: bytes(rows_least),
                bytes_most: bytes(rows_most),
                events: told.events,
            }
        });
    }
    told.shown = rows.into_iter().take(ROWS_TOLD_MAX).collect();
    told
}

/// Bytes that the state of `rows` takes, where that of `of_rows` takes `bytes`.
fn taken(rows: u64, bytes: u64, of_rows: u64) -> u64 {
    let each = bytes as f64 / of_rows.max(1) as f64;
    // The cast saturates.
    (each * rows as f64).ceil() as u64
}

/// How many groups there are beside the window; `None` where the view has no groups, or does not show them all.
fn groups(outline: &Outline, rows: &[Value]) -> Option<u64> {
    outline.step?;
    if !outline.keys_are_whole {
        return None;
    }
    let window = outline.window_column().map(|column| column.name.as_str());
    let keys: Vec<&str> = outline
        .columns
        .iter()
        .filter(|column| column.is_key && Some(column.name.as_str()) != window)
        .map(|column| column.name.as_str())
        .collect();
    let of = |row: &Value| keys.iter().map(|key| row[*key].to_string()).collect::<Vec<_>>();
    Some(rows.iter().map(of).collect::<BTreeSet<_>>().len() as u64)
}
