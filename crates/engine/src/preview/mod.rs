//! What a start would find, found out before it (`lakehead plan`): each source opened and asked for a few events, these taken
//! through every stage in memory, each sink's target asked whether it is there.
//!
//! ```text
//! place (data directory, cursors) ─▶ look (sources, all at once) ─▶ fit (columns, event time) ─▶ viewed (groups, their rate)
//!                                    probe (sinks, at the same time)
//! ```
//! Nothing is written and nothing acknowledged: no data directory, no position, no file of a sink. Sources are opened by
//! [`SourceSpec::peek`](lakehead_connector_api::SourceSpec), whose contract that is, and dropped. Views are made of an empty
//! state that is never committed. What is found is plain data ([`Preview`]); how it is told is for others.

mod estimate;
mod fit;
mod limits;
mod look;
mod place;
mod probe;
mod report;
mod sample;
mod viewed;
mod words;

use std::collections::BTreeMap;

use futures::future::join_all;
use lakehead_model::Name;

pub use self::{
    limits::PreviewLimits,
    report::{
        ColumnPreview, DataPreview, EventTimePreview, Hourly, Preview, RateBy, RejectPreview, SampleRate, SinkPreview,
        SourceLook, SourcePreview, StreamPreview, TimeRulePreview, ViewPreview,
    },
};
use self::{place::DataPlace, sample::Sample};
use crate::{Error, Parts, Pipeline, plan::Plan};

/// Finds out what a start of `pipeline` would find.
///
/// # Errors
/// `Invalid` when the pipeline does not fit together, which `lakehead check` says with lines. What a source or a sink fails with
/// is no error but stands in the preview.
pub async fn preview(pipeline: Pipeline, parts: &Parts, limits: PreviewLimits) -> Result<Preview, Error> {
    let plan = Plan::check(pipeline, parts).await?;
    let (place, data) = DataPlace::look(&plan.pipeline.data);
    let looks = plan.pipeline.sources.keys().map(|name| look::look(&plan, name, &place, parts, limits));
    let probes = plan.pipeline.sinks.keys().map(|name| probe::probe(&plan, name, parts, limits));
    let (looked, probed) = tokio::join!(join_all(looks), join_all(probes));

    let (mut sources, mut samples) = (BTreeMap::new(), BTreeMap::<Name, Sample>::new());
    for (name, source, brought) in looked {
        sources.insert(name, source);
        for (stream, sample) in brought {
            samples.entry(stream).or_default().add(sample);
        }
    }
    let mut streams = BTreeMap::new();
    for name in plan.pipeline.streams.keys() {
        let sample = samples.entry(name.clone()).or_default();
        let has_source = plan.pipeline.sources.values().any(|source| source.streams.contains(name));
        streams.insert(name.clone(), fit::fit(&plan.schemas[name], sample, has_source)?);
    }
    let rates = streams.iter().filter_map(|(name, stream)| Some((name.clone(), stream.rate?.per_second))).collect();
    let views = viewed::viewed(&plan, &samples, &rates, parts.clock.now()).await?;
    Ok(Preview { data, sources, streams, views, sinks: probed.into_iter().collect() })
}

#[cfg(test)]
mod tests;
