//! The events that were taken before, in memory and in the log: says of each that comes whether it is new.
//!
//! [`Recent`] holds what was taken last. Only after a reconnect that had to ask by time, the log is read back, too
//! ([`History`]): before an event is placed, [`look_up`](EventMemory::look_up) reads what it takes to say whether the log has
//! it, so that placing it waits for nothing. Events without `meta.id` are told apart by their place, else by their SSE id, else they are counted
//! ([`Nameless`]).

use lakehead_connector_api::{Error, TailReader};
use lakehead_eventstreams_wire::read_id;
use lakehead_model::Timestamp;

use super::{
    event::{FactReader, Facts},
    partition::{Memory, OVERLAP},
    seen::{History, Nameless},
};
use crate::{event_key::Key, recent_keys::Recent};

/// The events that were taken before.
pub(super) struct EventMemory {
    recent: Recent,
    history: Option<History>,
    nameless: Nameless,
    /// This connection was asked for what may have come before. Until it pauses, the upstream may repeat itself.
    asked_back: bool,
    /// Where to read back to, when the topics changed.
    since: Option<Timestamp>,
    tail: Box<dyn TailReader>,
    reader: FactReader,
}

impl Memory for EventMemory {
    fn contains(&self, facts: &Facts<'_>) -> bool {
        self.recent.contains(facts.key) || self.history.as_ref().is_some_and(|history| history.contains(facts.key))
    }

    fn remember(&mut self, facts: &Facts<'_>) -> bool {
        if !facts.named {
            return self.remember_nameless(facts, self.history.is_some());
        }
        if self.history.is_some() && self.contains(facts) {
            return false;
        }
        self.recent.insert(facts.key)
    }
}

impl EventMemory {
    pub(super) fn new(tail: Box<dyn TailReader>) -> Self {
        Self {
            recent: Recent::default(),
            history: None,
            nameless: Nameless::default(),
            asked_back: false,
            since: None,
            tail,
            reader: FactReader::new(),
        }
    }

    /// Prepares for a new connection. `asked_back`: it is asked for what may have come before.
    pub(super) fn connect(&mut self, asked_back: bool) {
        self.history = None;
        self.nameless.connect();
        self.asked_back = asked_back;
    }

    /// Whether the new connection is asked for what may have come before, once that is known.
    pub(super) fn set_asked_back(&mut self, asked_back: bool) {
        self.asked_back = asked_back;
    }

    /// From now on the log is read back as far as `since`: the topics changed, and the log may hold events of a topic that
    /// was left out for a while.
    pub(super) fn topics_changed(&mut self, since: Timestamp) {
        self.since = Some(since);
    }

    /// Reads the log back as far as the new connection's overlap begins, if it has one.
    pub(super) async fn read_back(&mut self, overlap_start: Option<Timestamp>) -> Result<(), Error> {
        if let Some(start) = overlap_start.into_iter().chain(self.since).min() {
            // Disorder in the log: the first overlap again is room enough for it.
            let since = start.minus(OVERLAP);
            self.history = Some(History::read_back(self.tail.as_mut(), &self.reader, since).await?);
        }
        Ok(())
    }

    /// Reads what it takes to say whether the log holds this event. To be called before the event is placed.
    pub(super) async fn look_up(&mut self, facts: &Facts<'_>) -> Result<(), Error> {
        let Self { recent, history: Some(history), tail, reader, .. } = self else { return Ok(()) };
        if recent.contains(facts.key) {
            return Ok(());
        }
        history.look_up(facts.key, facts.kafka_time, tail.as_mut(), reader).await
    }

    /// Lets go of what was read back of the log, when the upstream is well past the end that the log then had: nothing of
    /// it will come again.
    pub(super) fn forget_history(&mut self, kafka_time: Option<Timestamp>) {
        if let Some(history) = &self.history
            && match (kafka_time, history.greatest()) {
                (Some(time), Some(greatest)) => time > greatest.plus(OVERLAP),
                (_, greatest) => greatest.is_none(),
            }
        {
            self.history = None;
            self.since = None;
        }
    }

    /// Remembers what was refused; false when it is known to have been refused before.
    pub(super) fn remember_refused(&mut self, key: Key) -> bool {
        self.recent.insert(key)
    }

    /// Remembers an event whose place is not followed, and whose SSE id is `id`; false when it is known to be one that
    /// was taken before.
    pub(super) fn remember_unplaced(&mut self, facts: &Facts<'_>, id: Option<&[u8]>) -> bool {
        if facts.named {
            return self.remember(facts);
        }
        match identity(facts, id) {
            Some(key) => self.recent.insert(key),
            None => self.remember_nameless(facts, self.asked_back || self.history.is_some()),
        }
    }

    /// That an event looks like another proves nothing, but where the upstream `repeats` itself.
    fn remember_nameless(&mut self, facts: &Facts<'_>, repeats: bool) -> bool {
        if repeats {
            let in_log = self.contains(facts);
            if self.nameless.came_again(facts.key, in_log) {
                return false;
            }
        }
        self.nameless.keep(facts.key);
        self.recent.insert(facts.key);
        true
    }

    /// Nothing came for a second: what the upstream had to repeat has come.
    pub(super) fn paused(&mut self) {
        self.asked_back &= !self.nameless.any_came();
    }
}

/// What tells an event without `meta.id` from all others: its place, though it is not followed, or else its SSE id.
fn identity(facts: &Facts<'_>, id: Option<&[u8]>) -> Option<Key> {
    let text = facts.key.0.to_le_bytes();
    if let (Some(topic), Some(offset)) = (facts.topic, facts.offset) {
        return Some(Key::hash([topic, &facts.partition.to_le_bytes(), &offset.to_le_bytes(), &text]));
    }
    let id = id.filter(|id| is_identity(id))?;
    Some(Key::hash([id, &text]))
}

/// Whether no other event has this SSE id. Of EventStreams' own only one that names one place by its offset: many
/// events share a time, and of several places it is not known which one is the event's.
fn is_identity(id: &[u8]) -> bool {
    match read_id(id) {
        Some(assignments) => matches!(&assignments[..], [one] if one.offset.is_some_and(|offset| offset >= 0)),
        None => !id.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_id_that_no_other_event_has_is_an_identity() {
        for own in ["17", r#"[{"topic":"t","partition":0,"offset":5}]"#, r#"["t"]"#] {
            assert!(is_identity(own.as_bytes()), "{own}");
        }
        for shared in [
            "",
            "[]",
            r#"[{"topic":"t","partition":0}]"#,
            r#"[{"topic":"t","partition":0,"offset":-1}]"#,
            r#"[{"topic":"t","partition":0,"timestamp":5}]"#,
            r#"[{"topic":"t","partition":0,"offset":5},{"topic":"u","partition":0,"offset":5}]"#,
        ] {
            assert!(!is_identity(shared.as_bytes()), "{shared}");
        }
    }
}
