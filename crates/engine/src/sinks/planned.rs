//! Whether a sink fits the rest of its pipeline, and what it will be given. Pure: settings in, a planned sink or every fault out.

use std::{collections::BTreeMap, sync::Arc};

use lakehead_connector_api::{Delivery, Feed, SinkSpec, Takes};
use lakehead_model::{Name, StreamSchema};
use lakehead_query::{ViewPlan, type_name};

use crate::{Parts, builtin, pipeline::SinkConfig};

/// A sink, found good.
#[derive(Clone)]
pub(crate) struct PlannedSink {
    pub(crate) spec: SinkSpec,
    /// What it delivers.
    pub(crate) feed: Feed,
    /// The stream at the root of it: itself, or the one that the view reads, be it by way of other views.
    pub(crate) stream: Name,
}

/// What a sink can deliver.
pub(crate) struct Deliverable<'a> {
    pub(crate) schemas: &'a BTreeMap<Name, StreamSchema>,
    /// The views that are good.
    pub(crate) views: &'a BTreeMap<Name, Arc<ViewPlan>>,
    /// Views that are not good, which the pipeline is refused for anyway.
    pub(crate) faulty: &'a [Name],
}

impl PlannedSink {
    /// Checks the sink with these settings.
    ///
    /// # Errors
    /// Everything that is wrong, a sentence each.
    pub(crate) fn check(config: &SinkConfig, parts: &Parts, there: &Deliverable<'_>) -> Result<Self, Vec<String>> {
        let mut wrong = Vec::new();
        let spec = parts.sinks.iter().find(|spec| spec.name == config.kind).copied();
        match &spec {
            None => wrong.push(unknown_kind(&config.kind, parts.sinks)),
            Some(spec) => wrong.extend((spec.check)(&config.settings).err()),
        }
        wrong.extend(limits(config));
        wrong.extend(spec.as_ref().and_then(|spec| too_many_lanes(config, spec)));
        let feed = feed(&config.from, there);
        match (&feed, &spec) {
            (Err(what), _) => wrong.extend(what.clone()),
            (Ok((feed, _)), Some(spec)) => wrong.extend(unkeyed(feed, spec)),
            (Ok(_), None) => {}
        }
        match (spec, feed) {
            (Some(spec), Ok((feed, stream))) if wrong.is_empty() => Ok(Self { spec, feed, stream }),
            _ => Err(wrong),
        }
    }

    /// Whether what it delivers is made of rejects: what it refuses stands in that stream already, and a reject of a reject
    /// would be delivered again, without end.
    pub(crate) fn is_of_rejects(&self) -> bool {
        self.stream.as_str() == builtin::REJECTS
    }
}

fn unknown_kind(kind: &str, kinds: &[SinkSpec]) -> String {
    let shown: String = kind.chars().take(80).collect();
    let known: Vec<&str> = kinds.iter().map(|spec| spec.name).collect();
    if known.is_empty() {
        return format!("no kind {shown:?}: this program has no sinks");
    }
    format!("no kind {shown:?}; there are {}", known.join(", "))
}

/// Why a sink that is in one transaction cannot have several lanes.
fn too_many_lanes(config: &SinkConfig, spec: &SinkSpec) -> Option<String> {
    (config.lanes > 1 && spec.delivery == Delivery::Transactional).then(|| {
        format!(
            "`lanes` is {}, and `{}` keeps rows and position in one transaction: leave it out",
            config.lanes, spec.name
        )
    })
}

/// Settings of the engine's own that are out of their limits.
fn limits(config: &SinkConfig) -> Vec<String> {
    let SinkConfig { lanes, memory, commit_every, .. } = config;
    let mut wrong = Vec::new();
    if !(1..=SinkConfig::LANES_MAX).contains(lanes) {
        wrong.push(format!("`lanes` is {lanes}, and may be from 1 to {}", SinkConfig::LANES_MAX));
    }
    if *memory < SinkConfig::MEMORY_MIN {
        wrong.push(format!("`memory` is {memory}, and has to be at least {}", SinkConfig::MEMORY_MIN));
    }
    if commit_every.is_zero() || *commit_every > SinkConfig::COMMIT_EVERY_MAX {
        let most = SinkConfig::COMMIT_EVERY_MAX.as_secs();
        wrong.push(format!("`commit_every` is {commit_every:?}, and has to be more than 0 and at most {most} s"));
    }
    wrong
}

/// What `from` gives, and the stream at its root; `Err(None)` when it is a view that is told elsewhere.
fn feed(from: &Name, there: &Deliverable<'_>) -> Result<(Feed, Name), Option<String>> {
    if let Some(schema) = there.schemas.get(from) {
        return Ok((Feed::Stream { name: from.clone(), columns: schema.columns.clone() }, from.clone()));
    }
    if let Some(plan) = there.views.get(from) {
        let schema = plan.schema();
        let columns = schema.fields().iter().map(|field| (field.name().clone(), type_name(field.data_type())));
        let key = plan.key().map(<[String]>::to_vec).unwrap_or_default();
        return Ok((Feed::View { name: from.clone(), columns: columns.collect(), key }, plan.stream().clone()));
    }
    if there.faulty.contains(from) {
        return Err(None);
    }
    let known: Vec<&str> = there.schemas.keys().chain(there.views.keys()).map(Name::as_str).collect();
    Err(Some(format!(
        "`from` names {:?}, and there is no such stream or view; there are {}",
        from.as_str(),
        known.join(", ")
    )))
}

/// Why a sink that needs a key cannot have one here, and what to do.
fn unkeyed(feed: &Feed, spec: &SinkSpec) -> Option<String> {
    if spec.takes != Takes::Keyed {
        return None;
    }
    let kind = spec.name;
    match feed {
        Feed::Stream { name, .. } => Some(format!(
            "`{kind}` replaces and deletes rows by their key, and events of the stream {name} have none: deliver a view that \
             groups them, or take a kind that appends"
        )),
        Feed::View { name, key, .. } if key.is_empty() => Some(format!(
            "`{kind}` replaces and deletes rows by their key, and the view {name} does not show all columns that it groups by: \
             select each of them, its window's start too, or take a kind that appends"
        )),
        Feed::View { .. } => None,
    }
}
