//! The difference between two sets of named things: names that came, went, or stayed with other settings.

use std::collections::BTreeMap;

use lakehead_model::Name;
use serde::{Deserialize, Serialize};

/// Names that came, went, or stayed with other settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Changes {
    /// Only the new pipeline has them.
    pub added: Vec<Name>,
    /// Only the old one had them.
    pub removed: Vec<Name>,
    /// Both have them, with different settings.
    pub changed: Vec<Name>,
}

impl Changes {
    pub(crate) fn between<T: PartialEq>(old: &BTreeMap<Name, T>, new: &BTreeMap<Name, T>) -> Self {
        let only = |these: &BTreeMap<Name, T>, others: &BTreeMap<Name, T>| {
            these.keys().filter(|name| !others.contains_key(*name)).cloned().collect()
        };
        let differs =
            |(name, now): (&Name, &T)| old.get(name).is_some_and(|before| before != now).then(|| name.clone());
        Self { added: only(new, old), removed: only(old, new), changed: new.iter().filter_map(differs).collect() }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }

    /// One change each, as in `view edits_per_minute added`, where `what` is `view`.
    pub(crate) fn in_words<'a>(&'a self, what: &'a str) -> impl Iterator<Item = String> + 'a {
        let parts = [("added", &self.added), ("removed", &self.removed), ("changed", &self.changed)];
        parts
            .into_iter()
            .flat_map(move |(became, names)| names.iter().map(move |name| format!("{what} {name} {became}")))
    }
}
