//! The difference between two pipelines, and which part of it cannot be applied while the first of them runs.
//!
//! Pure: two settings in, names and words out. [`reload`](crate::reload) acts on it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{changes::Changes, fixed::Fixed, pipeline::Pipeline};

/// What a reload changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Reloaded {
    /// The streams: columns, event time, retention.
    pub streams: Changes,
    /// The sources: kind, stream, settings.
    pub sources: Changes,
    /// The views: SQL, watermark, lateness.
    pub views: Changes,
    /// The sinks: kind, what they deliver, settings.
    #[serde(default)]
    pub sinks: Changes,
    /// When the standing audit runs.
    pub verify: bool,
    /// The tokens that may push to some streams.
    #[serde(default)]
    pub push_tokens: Changes,
    /// The panels of the dashboard.
    #[serde(default)]
    pub panels: Changes,
}

impl Reloaded {
    /// What becomes different when `new` takes the place of `old`.
    #[must_use]
    pub fn between(old: &Pipeline, new: &Pipeline) -> Self {
        Self {
            streams: Changes::between(&old.streams, &new.streams),
            sources: Changes::between(&old.sources, &new.sources),
            views: Changes::between(&old.views, &new.views),
            sinks: Changes::between(&old.sinks, &new.sinks),
            verify: old.verify != new.verify,
            push_tokens: Changes::between(&old.push_tokens, &new.push_tokens),
            panels: old.dashboard.changes(&new.dashboard),
        }
    }

    /// What is told by name.
    fn nouns(&self) -> [(&'static str, &Changes); 6] {
        [
            ("stream", &self.streams),
            ("source", &self.sources),
            ("view", &self.views),
            ("sink", &self.sinks),
            ("push token", &self.push_tokens),
            ("panel", &self.panels),
        ]
    }

    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// One change each, as in `view edits_per_minute added`.
    #[must_use]
    pub fn in_words(&self) -> Vec<String> {
        let named = self.nouns().into_iter().flat_map(|(what, changes)| changes.in_words(what));
        named.chain(self.verify.then(|| "verify changed".to_owned())).collect()
    }
}

/// What differs and cannot change while Lakehead runs.
pub(crate) fn fixed(old: &Pipeline, new: &Pipeline) -> Vec<Fixed> {
    let mut found = Vec::new();
    let mut differ = |key: &str, from: &dyn fmt::Display, to: &dyn fmt::Display| {
        let what = format!("cannot change while running: restart to move from {from} to {to}");
        found.push(Fixed { key: key.to_owned(), what });
    };
    if old.data != new.data {
        differ("data", &old.data.display(), &new.data.display());
    }
    if old.listen != new.listen {
        differ("listen", &old.listen, &new.listen);
    }
    let (before, now) = (serde_json::to_value(&old.store), serde_json::to_value(&new.store));
    let (mut before_keys, mut now_keys) = (BTreeMap::new(), BTreeMap::new());
    flatten("store", &before.unwrap_or_default(), &mut before_keys);
    flatten("store", &now.unwrap_or_default(), &mut now_keys);
    let keys: BTreeSet<&String> = before_keys.keys().chain(now_keys.keys()).collect();
    for key in keys {
        let (from, to) = (before_keys.get(key).unwrap_or(&Value::Null), now_keys.get(key).unwrap_or(&Value::Null));
        if from != to {
            differ(key, from, to);
        }
    }
    if old.token != new.token {
        let what = "cannot change while running: restart to use the new one".to_owned();
        found.push(Fixed { key: "token".to_owned(), what });
    }
    found
}

/// The values below `value`, by dotted key.
fn flatten(key: &str, value: &Value, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(table) => table.iter().for_each(|(name, below)| flatten(&format!("{key}.{name}"), below, into)),
        value => {
            into.insert(key.to_owned(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lakehead_model::Name;
    use lakehead_store::Options;

    use super::*;
    use crate::{
        audit::AuditSettings,
        pipeline::{PushToken, SinkConfig, StreamConfig, Token, ViewConfig},
    };

    fn name(text: &str) -> Name {
        Name::new(text).expect("a name")
    }

    fn pipeline() -> Pipeline {
        Pipeline {
            data: "./data".into(),
            listen: ([127, 0, 0, 1], 8080).into(),
            token: None,
            push_tokens: [].into(),
            streams: [(name("s"), StreamConfig::default())].into(),
            sources: [].into(),
            views: [(name("a"), ViewConfig::new("SELECT 1")), (name("b"), ViewConfig::new("SELECT 2"))].into(),
            sinks: [].into(),
            store: Options::default(),
            verify: AuditSettings::default(),
            dashboard: crate::dashboard::Dashboard::default(),
        }
    }

    #[test]
    fn each_change_is_told_by_name() {
        let (old, mut new) = (pipeline(), pipeline());
        assert!(Reloaded::between(&old, &new).is_empty());
        new.views.remove("a");
        new.views.insert(name("b"), ViewConfig::new("SELECT 3"));
        new.views.insert(name("c"), ViewConfig::new("SELECT 4"));
        new.streams.insert(name("t"), StreamConfig::default());
        new.verify.every = None;
        let token = Token::new("0123456789abcdef").expect("long enough");
        new.push_tokens.insert(name("p"), PushToken { token, streams: Arc::default() });
        new.sinks.insert(name("out"), SinkConfig::new("stdout", name("s"), Value::Null));
        let words = Reloaded::between(&old, &new).in_words();
        let expected = [
            "stream t added",
            "view c added",
            "view a removed",
            "view b changed",
            "sink out added",
            "push token p added",
            "verify changed",
        ];
        assert_eq!(words, expected);
    }

    #[test]
    fn what_cannot_change_is_told_by_key_and_a_token_never_shows() {
        let (old, mut new) = (pipeline(), pipeline());
        assert!(fixed(&old, &new).is_empty());
        new.listen.set_port(9090);
        new.data = "./elsewhere".into();
        new.store.level = 3;
        new.store.seal.enabled = false;
        new.token = Some(Token::new("0123456789abcdef").expect("long enough"));
        let expected = [
            "data: cannot change while running: restart to move from ./data to ./elsewhere",
            "listen: cannot change while running: restart to move from 127.0.0.1:8080 to 127.0.0.1:9090",
            "store.level: cannot change while running: restart to move from 1 to 3",
            "store.seal.enabled: cannot change while running: restart to move from true to false",
            "token: cannot change while running: restart to use the new one",
        ];
        assert_eq!(fixed(&old, &new).iter().map(Fixed::to_string).collect::<Vec<_>>(), expected);
    }
}
