//! A pipeline that fits together, and what follows from it: the tables' schemas, which view reads which stream, the kind of
//! each source. Nothing is opened for it, so finding out costs nothing and changes nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use lakehead_connector_api::SourceSpec;
use lakehead_model::{Name, StreamSchema};

use crate::{
    Error, Parts, Pipeline,
    builtin::schemas,
    identity::Identities,
    pipeline::{StreamConfig, ViewConfig},
};

/// A pipeline, found good.
pub(crate) struct Plan {
    pub(crate) pipeline: Arc<Pipeline>,
    /// Of every stream, the built-in ones among them.
    pub(crate) schemas: BTreeMap<Name, StreamSchema>,
    /// The views, by the stream that they read, be it by way of other views.
    pub(crate) views: BTreeMap<Name, BTreeMap<Name, ViewConfig>>,
    /// The kind of each source.
    pub(crate) specs: BTreeMap<Name, SourceSpec>,
}

impl Plan {
    /// Checks that `pipeline` fits together, with the kinds of source that `parts` have.
    ///
    /// # Errors
    /// `Invalid`, with everything that is wrong, a line each.
    pub(crate) async fn check(pipeline: Pipeline, parts: &Parts) -> Result<Self, Error> {
        let schemas = schemas(&pipeline.streams);
        let (mut views, mut specs, mut wrong) = (BTreeMap::<_, BTreeMap<_, _>>::new(), BTreeMap::new(), Vec::new());
        let texts = pipeline.views.iter().map(|(name, config)| (name.clone(), config.sql.clone())).collect();
        for (name, plan) in lakehead_query::check_views(&texts, &schemas).await? {
            match (plan, pipeline.views.get(&name)) {
                (Ok(plan), Some(config)) => {
                    views.entry(plan.stream().clone()).or_default().insert(name, config.clone());
                }
                (Err(error), _) => wrong.push(format!("view {name}: {error}")),
                (Ok(_), None) => {}
            }
        }
        for (name, config) in &pipeline.sources {
            let Some(spec) = parts.sources.iter().find(|spec| spec.name == config.kind) else {
                wrong.push(format!("source {name}: no kind {:?}", config.kind));
                continue;
            };
            let absent = config.streams.iter().filter(|stream| !pipeline.streams.contains_key(*stream));
            wrong.extend(absent.map(|stream| format!("source {name}: no stream {:?}", stream.as_str())));
            let distinct: BTreeSet<&Name> = config.streams.iter().collect();
            if distinct.len() != config.streams.len() || distinct.is_empty() {
                wrong.push(format!("source {name}: expected at least one stream, and none twice"));
            }
            if let Err(what) = (spec.check)(&config.settings) {
                wrong.push(format!("source {name}: {what}"));
            }
            specs.insert(name.clone(), *spec);
        }
        if wrong.is_empty() {
            Ok(Self { pipeline: Arc::new(pipeline), schemas, views, specs })
        } else {
            Err(Error::Pipeline(wrong.join("\n")))
        }
    }

    /// Where the events of each stream say which they are upstream, as the kinds of its sources do.
    pub(crate) fn identities(&self) -> Identities {
        let mut identities = Identities::default();
        self.pipeline.streams.keys().for_each(|stream| identities.know(stream));
        for (name, config) in &self.pipeline.sources {
            let Some(identity) = self.specs.get(name).and_then(|spec| spec.identity) else { continue };
            config.streams.iter().for_each(|stream| identities.add(stream, identity.into()));
        }
        identities
    }

    /// How a stream is kept; `None` for a built-in one.
    pub(crate) fn config(&self, stream: &Name) -> Option<&StreamConfig> {
        self.pipeline.streams.get(stream)
    }
}
