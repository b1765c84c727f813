//! `lakehead check`: a pipeline file, read and judged; nothing is opened, nothing is connected to.

use std::path::PathBuf;

use clap::Args;

use lakehead_engine::{Pipeline, offline::look_back};
use lakehead_query::{TimeColumn, check_views};
use lakehead_store::Store;

use super::{run::load, streams::LOOK_BACK_EVENTS};
use crate::{config, outcome::Outcome, output::say, service::grouped};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The pipeline file; without one, the default pipeline.
    pipeline: Option<PathBuf>,
}

pub(crate) async fn run(arguments: Arguments) -> Outcome {
    let name = arguments.pipeline.as_ref().map_or(config::DEFAULT_NAME.to_owned(), |file| file.display().to_string());
    let pipeline = load(arguments.pipeline, None, config::Overrides::default()).await?;
    look_at(&pipeline);
    look_at_views(&pipeline).await;
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    Ok(say(format_args!(
        "{name} is good: {}, {}, {}; data in {}, listening on {}\n",
        count(pipeline.streams.len(), "stream"),
        count(pipeline.sources.len(), "source"),
        count(pipeline.views.len(), "view"),
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
        if is_without && plan.wanted().iter().any(|column| column == TimeColumn::EventTime.name()) {
            eprintln!(
                "view {name}: it reads event_time, which no event of stream {stream} has, since its event_time is []; name \
                 the field that holds it, or read received_time"
            );
        }
    }
}

/// Says of each stream whose log is there already how its last events fit the pipeline. What cannot be read says so when it
/// runs; here nothing is opened that is not there.
fn look_at(pipeline: &Pipeline) {
    let Ok(store) = Store::open_read_only(&pipeline.data) else { return };
    let there = store.names().unwrap_or_default();
    for (name, stream) in pipeline.streams.iter().filter(|(name, _)| there.contains(name)) {
        let log = store.stream(name).ok();
        let looked = log.and_then(|log| look_back(&log, &stream.schema, LOOK_BACK_EVENTS).ok()).unwrap_or_default();
        if let Some(why) = &looked.why {
            let (count, events) = (grouped(looked.without_event_time), grouped(looked.events));
            eprintln!("stream {name}: {count} of its last {events} events have no event time: {why}");
        }
        for (column, count) in &looked.mistyped {
            let (count, events) = (grouped(*count), grouped(looked.events));
            eprintln!(
                "stream {name}: column {column} is NULL in {count} of its last {events} events, which have another type there"
            );
        }
    }
}
