//! What a data directory holds, as its last run knew it: `<data>/catalog.json`.
//!
//! It lets `lakehead query` and its like work on a directory without its pipeline file. It is written at each start and
//! never believed over a pipeline; it holds no settings of sources, so no secrets.

use std::{collections::BTreeMap, io, path::Path, time::Duration};

use lakehead_model::{ByteSize, Name, StreamSchema};
use lakehead_query::Late;
use lakehead_store::record;
use serde::{Deserialize, Serialize};

use crate::{
    Error, Pipeline,
    identity::Identities,
    pipeline::{SinkConfig, StreamConfig, Swap, ViewConfig},
};

const FILE: &str = "catalog.json";

/// The streams and views of one data directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    /// Each stream's schema; not the built-in streams'.
    pub streams: BTreeMap<Name, StreamSchema>,
    /// Each view.
    pub views: BTreeMap<Name, CatalogView>,
    /// Each sink.
    #[serde(default)]
    pub sinks: BTreeMap<Name, CatalogSink>,
    /// Where the events of each stream say which they are upstream; `None` in a catalog of before this was kept.
    #[serde(default)]
    pub identities: Option<Identities>,
}

/// A sink, as far as retention needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogSink {
    /// [`SinkConfig::from`].
    pub from: Name,
    /// [`SinkConfig::keep`]: for how long retention waits for it; for ever without.
    pub keep: Option<Duration>,
}

/// A view, as far as reading its results needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogView {
    /// Its query.
    pub sql: String,
    /// [`ViewConfig::watermark_delay`].
    pub watermark_delay: Duration,
    /// [`ViewConfig::lateness`].
    pub lateness: Duration,
    /// [`ViewConfig::late`].
    pub late: Late,
    /// [`ViewConfig::state_max`].
    #[serde(default = "state_max")]
    pub state_max: ByteSize,
    /// [`ViewConfig::changes_max`].
    #[serde(default = "changes_max")]
    pub changes_max: ByteSize,
    /// [`ViewConfig::swap`].
    #[serde(default)]
    pub swap: Swap,
}

/// Of a catalog that was written before there was such a setting.
fn state_max() -> ByteSize {
    ViewConfig::new("").state_max
}

/// The same.
fn changes_max() -> ByteSize {
    ViewConfig::new("").changes_max
}

impl Catalog {
    /// What `pipeline` says.
    #[must_use]
    pub fn of(pipeline: &Pipeline) -> Self {
        let streams = pipeline.streams.iter().map(|(name, stream)| (name.clone(), stream.schema.clone()));
        let views = pipeline.views.iter().map(|(name, view)| {
            let ViewConfig { sql, watermark_delay, lateness, late, state_max, changes_max, swap } = view.clone();
            (name.clone(), CatalogView { sql, watermark_delay, lateness, late, state_max, changes_max, swap })
        });
        let sinks = pipeline.sinks.iter().map(|(name, sink)| {
            let SinkConfig { from, keep, .. } = sink;
            (name.clone(), CatalogSink { from: from.clone(), keep: keep.at_most() })
        });
        Self { streams: streams.collect(), views: views.collect(), sinks: sinks.collect(), identities: None }
    }

    /// Reads the catalog of `data`.
    ///
    /// # Errors
    /// When there is none, or it is of a version of Lakehead that wrote another form.
    pub fn load(data: &Path) -> Result<Self, Error> {
        let path = data.join(FILE);
        let text = record::read(&path).map_err(|source| match source.kind() {
            io::ErrorKind::InvalidData => Error::Damaged {
                path: path.clone(),
                what: format!("{source}; `lakehead run` writes it anew from the pipeline file"),
            },
            _ => Error::Io { what: format!("reading {}", path.display()), source },
        })?;
        serde_json::from_str(&text).map_err(|error| {
            Error::Pipeline(format!(
                "{} is not a catalog of this version of Lakehead: {error}; `lakehead run` writes it anew",
                path.display()
            ))
        })
    }

    /// Where the events of each stream say which they are upstream, as far as this directory knows.
    #[must_use]
    pub fn known_identities(&self) -> Identities {
        Identities::default().after(self.identities.as_ref(), self.streams.keys())
    }

    /// Replaces the catalog of `data`, by rename: a reader finds the old one or the new one.
    ///
    /// # Errors
    /// `Unavailable` when the disk says no.
    pub fn save(&self, data: &Path) -> Result<(), Error> {
        let path = data.join(FILE);
        let json = serde_json::to_string_pretty(self).expect("names and texts are always JSON");
        record::write(&path, &json).map_err(|source| Error::Io { what: format!("writing {}", path.display()), source })
    }

    /// The streams as a pipeline has them.
    #[must_use]
    pub fn stream_configs(&self) -> BTreeMap<Name, StreamConfig> {
        self.streams
            .iter()
            .map(|(name, schema)| (name.clone(), StreamConfig { schema: schema.clone(), ..StreamConfig::default() }))
            .collect()
    }
}

/// Writes the catalog of `pipeline`, with these identities, into its data directory; a failure is logged.
pub(crate) fn save_or_warn(pipeline: &Pipeline, identities: &Identities) {
    let catalog = Catalog { identities: Some(identities.clone()), ..Catalog::of(pipeline) };
    if let Err(error) = catalog.save(&pipeline.data) {
        // A full disk, perhaps: what is there can be read and served all the same.
        tracing::warn!("queries without a running process may not know every table: {error}");
    }
}

impl From<CatalogView> for ViewConfig {
    fn from(CatalogView { sql, watermark_delay, lateness, late, state_max, changes_max, swap }: CatalogView) -> Self {
        Self { sql, watermark_delay, lateness, late, state_max, changes_max, swap }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::EventIdentity;

    #[test]
    fn a_catalog_reads_back_as_written() {
        let dir = tempfile::tempdir().expect("a folder");
        assert!(matches!(Catalog::load(dir.path()), Err(Error::Io { .. })));
        let view = ViewConfig::new("SELECT 1");
        let pipeline = Pipeline {
            data: dir.path().to_owned(),
            listen: ([127, 0, 0, 1], 0).into(),
            token: None,
            push_tokens: [].into(),
            streams: [(Name::new("s").expect("a name"), StreamConfig::default())].into(),
            sources: BTreeMap::new(),
            views: [(Name::new("v").expect("a name"), view.clone())].into(),
            store: lakehead_store::Options::default(),
            verify: crate::audit::AuditSettings::default(),
            sinks: [].into(),
            dashboard: crate::dashboard::Dashboard::default(),
        };
        let stream = Name::new("s").expect("a name");
        let mut identities = Identities::default();
        identities.add(&stream, EventIdentity::as_ever());
        let catalog = Catalog { identities: Some(identities), ..Catalog::of(&pipeline) };
        catalog.save(dir.path()).expect("a file");
        let read = Catalog::load(dir.path()).expect("a catalog");
        assert_eq!(read, catalog);
        assert_eq!(ViewConfig::from(read.views["v"].clone()), view);
        assert_eq!(read.known_identities().of(&stream), [EventIdentity::as_ever()]);
    }

    #[test]
    fn a_catalog_of_before_there_were_identities_is_audited_as_ever() {
        let text = r#"{"streams":{"s":{"event_time":[],"columns":[]}},"views":{}}"#;
        let catalog: Catalog = serde_json::from_str(text).expect("a catalog of 2026-11-25");
        let stream = Name::new("s").expect("a name");
        assert_eq!(catalog.known_identities().of(&stream), [EventIdentity::as_ever()]);
        let none = Catalog { identities: Some(Identities::default()), ..catalog };
        assert!(none.known_identities().of(&stream).is_empty(), "no source says it");
    }
}
