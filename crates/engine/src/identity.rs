//! Where an event says which one it is upstream, of each stream: what the audit compares by.
//!
//! It comes from the kinds of the sources that feed a stream, and is kept in the catalogue, since events stay when their source
//! is gone, and since `lakehead verify` reads directories without a pipeline.

use std::collections::BTreeMap;

use lakehead_connector_api::Identity;
use lakehead_model::{Name, Offset};
use lakehead_store::Stream;
use serde::{Deserialize, Serialize};

use crate::builtin;

/// Most identities that a stream keeps of all kinds of source that ever fed it; each is one more walk over an event.
const OF_ONE_STREAM_MAX: usize = 8;

/// Where an event says which one it is upstream, each a path of keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventIdentity {
    /// The sequence that offsets belong to: a topic.
    pub topic: Vec<String>,
    /// Its partition.
    pub partition: Vec<String>,
    /// The offset in it.
    pub offset: Vec<String>,
    /// What is the same where the event comes again under another offset.
    pub id: Vec<String>,
}

impl From<Identity> for EventIdentity {
    fn from(identity: Identity) -> Self {
        let path = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
        Self {
            topic: path(identity.topic),
            partition: path(identity.partition),
            offset: path(identity.offset),
            id: path(identity.id),
        }
    }
}

impl EventIdentity {
    /// What the audit looked at in every stream before kinds of source said it themselves, until 2026-11-30. It goes for
    /// directories of before, and what is pushed or imported is told apart by its `meta.id` as ever.
    pub(crate) fn as_ever() -> Self {
        let path = |key: &str| vec!["meta".to_owned(), key.to_owned()];
        Self { topic: path("topic"), partition: path("partition"), offset: path("offset"), id: path("id") }
    }
}

/// Those of each stream, the one that goes now first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Identities(BTreeMap<Name, Vec<EventIdentity>>);

impl Identities {
    /// The stream is known, whether or not a source says it.
    pub(crate) fn know(&mut self, stream: &Name) {
        self.0.entry(stream.clone()).or_default();
    }

    /// Whether the stream was ever known, with an identity or without.
    pub(crate) fn knows(&self, stream: &Name) -> bool {
        self.0.contains_key(stream)
    }

    /// Events of `stream` may say it in this way, too.
    pub(crate) fn add(&mut self, stream: &Name, identity: EventIdentity) {
        let known = self.0.entry(stream.clone()).or_default();
        if !known.contains(&identity) && known.len() < OF_ONE_STREAM_MAX {
            known.push(identity);
        }
    }

    /// Of a directory whose catalog cannot be read: where a stream holds events, they are looked at as ever.
    pub(crate) fn of_a_log<'s>(streams: impl Iterator<Item = &'s Stream>) -> Self {
        let mut identities = Self::default();
        let held = streams.filter(|stream| stream.head().end > Offset(0) && !builtin::is_builtin(stream.name()));
        held.for_each(|stream| identities.add(stream.name(), EventIdentity::as_ever()));
        identities
    }

    /// Those of `stream`; none where no source says it.
    pub(crate) fn of(&self, stream: &Name) -> &[EventIdentity] {
        self.0.get(stream).map_or(&[], Vec::as_slice)
    }

    /// These, and behind them those of `before`: what a source of before brought is still there. `None` is a directory of before
    /// there were identities, with these streams.
    #[must_use]
    pub(crate) fn after<'s>(mut self, before: Option<&Self>, streams: impl Iterator<Item = &'s Name>) -> Self {
        match before {
            Some(Self(before)) => {
                for (stream, known) in before {
                    self.know(stream);
                    known.iter().for_each(|one| self.add(stream, one.clone()));
                }
            }
            None => streams.for_each(|stream| self.add(stream, EventIdentity::as_ever())),
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_source_of_before_said_stays_known() {
        let (stream, gone) = (Name::new("s").expect("a name"), Name::new("gone").expect("a name"));
        let other = EventIdentity { id: vec!["uuid".to_owned()], ..EventIdentity::as_ever() };
        let mut before = Identities::default();
        before.add(&stream, EventIdentity::as_ever());
        before.add(&gone, EventIdentity::as_ever());
        let mut now = Identities::default();
        now.add(&stream, other.clone());
        let after = now.clone().after(Some(&before), [&stream].into_iter());
        assert_eq!(after.of(&stream), [other.clone(), EventIdentity::as_ever()]);
        assert_eq!(after.of(&gone), [EventIdentity::as_ever()]);
        assert_eq!(after.clone().after(Some(&after), std::iter::empty()), after, "nothing stands there twice");
        let first = now.after(None, [&stream, &gone].into_iter());
        assert_eq!(first.of(&stream), [other, EventIdentity::as_ever()]);
        assert_eq!(first.of(&gone), [EventIdentity::as_ever()], "a directory of before");
        assert!(Identities::default().of(&stream).is_empty());
    }
}
