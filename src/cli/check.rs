//! `lakehead check`: a pipeline file, read and judged, and held against the last events of the log, where there is one; nothing
//! is made, nothing is connected to.

use std::path::PathBuf;

use clap::Args;

use lakehead_engine::{Pipeline, offline::look_back, pipeline::StreamConfig};
use lakehead_query::{TimeColumn, check_views};
use lakehead_store::Store;

use super::streams::LOOK_BACK_EVENTS;
use crate::{
    config,
    kinds::Kinds,
    numbers::{counted, grouped},
    outcome::{Failure, Outcome},
    output::{note, say},
    pipeline_file::load,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The pipeline file; without one, the default pipeline.
    pipeline: Option<PathBuf>,
    /// The data directory whose last events are looked at, in place of the pipeline's `data`.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

pub(crate) async fn run(arguments: Arguments) -> Outcome {
    let name = arguments.pipeline.as_ref().map_or(config::DEFAULT_NAME.to_owned(), |file| file.display().to_string());
    let overrides = config::Overrides { data: arguments.data, ..config::Overrides::default() };
    let pipeline = load(arguments.pipeline, None, overrides).await?;
    look_at(&pipeline);
    look_at_views(&pipeline).await;
    for (sink, config) in &pipeline.sinks {
        let delivery = Kinds::BUILT.sink(&config.kind).map_err(Failure::Usage)?.delivery.in_words();
        say(format_args!("sink {sink}: {} to `{}`, {delivery}\n", config.from, config.kind))?;
    }
    let count = |number: usize, what| counted(number as u64, what);
    Ok(say(format_args!(
        "{name} is good: {}, {}, {}, {}; data in {}, listening on {}\n",
        count(pipeline.streams.len(), "stream"),
        count(pipeline.sources.len(), "source"),
        count(pipeline.views.len(), "view"),
        count(pipeline.sinks.len(), "sink"),
        pipeline.data.display(),
        pipeline.listen,
    ))?)
}

/// Says of each view that reads the event time of a stream whose events have none, by its own word: it would stay empty.
async fn look_at_views(pipeline: &Pipeline) {
    let texts = pipeline.views.iter().map(|(name, view)| (name.clone(), view.sql.clone())).collect();
    let schemas = pipeline.streams.iter().map(|(name, stream)| (name.clone(), stream.schema.clone())).collect();
    let plans = check_views(&texts, &schemas).await.unwrap_or_default();
    for (name, plan) in plans.iter().filter_map(|(name, plan)| Some((name, plan.as_ref().ok()?))) {
        let stream = plan.stream();
        let is_without = schemas.get(stream).is_some_and(|schema| schema.event_time.is_empty());
        if is_without && plan.required_columns().iter().any(|column| column == TimeColumn::EventTime.name()) {
            note(format_args!(
                "view {name}: it reads event_time, which no event of stream {stream} has, since its event_time is []; name \
                 the field that holds it, or read received_time"
            ));
        }
    }
}

/// Says of each stream whose log is there already how its last events fit the pipeline, and where there is none, that they were
/// not looked at. Nothing is opened that is not there.
fn look_at(pipeline: &Pipeline) {
    let asks = |stream: &StreamConfig| !stream.schema.event_time.is_empty() || !stream.schema.columns.is_empty();
    if !pipeline.streams.values().any(asks) {
        return;
    }
    let data = pipeline.data.display();
    let opened = Store::open_read_only(&pipeline.data).and_then(|store| Ok((store.names()?, store)));
    let (there, store) = match opened {
        Ok((there, store)) if pipeline.streams.keys().any(|name| there.contains(name)) => (there, store),
        Err(error) if pipeline.data.exists() => {
            return note(format_args!("the log at {data} was not looked at: {error}"));
        }
        _ => {
            return note(format_args!(
                "no log at {data}, so its events were not looked at; --data DIR names another place"
            ));
        }
    };
    for (name, stream) in pipeline.streams.iter().filter(|(name, _)| there.contains(name)) {
        let log = store.stream(name).ok();
        let looked = log.and_then(|log| look_back(&log, &stream.schema, LOOK_BACK_EVENTS).ok()).unwrap_or_default();
        let events = counted(looked.events, "event");
        if let Some(why) = &looked.why {
            let count = grouped(looked.without_event_time);
            note(format_args!("stream {name}: no event time in {count} of its last {events}: {why}"));
        }
        for (column, count) in &looked.mistyped {
            let count = grouped(*count);
            note(format_args!(
                "stream {name}: column {column} is NULL in {count} of its last {events}, which have another type there"
            ));
        }
    }
}
