//! The events that were taken before, in memory and in the streams' logs: says of each that comes whether it is new.
//!
//! [`Recent`] holds what was taken last. Only after a reconnect that had to ask by time, the log is read back, too
//! ([`History`]): before an event is placed, [`look_up`](EventMemory::look_up) reads what it takes to say whether the log has
//! it, so that placing it waits for nothing. What was taken last is remembered for all streams together, which bounds it; a log
//! is asked only for events that may be in it ([`Logs`]). Events without `meta.id` are told apart by their place, else by their
//! SSE id, else they are counted ([`Nameless`]).

use lakehead_connector_api::{Error, TailReader};
use lakehead_eventstreams_wire::read_id;
use lakehead_model::Timestamp;

use super::{
    event::{FactReader, Facts},
    partition::{Logs, Memory, OVERLAP},
    seen::{History, Nameless},
};
use crate::{event_key::Key, recent_keys::Recent};

/// The events that were taken before, into whichever stream of the source.
pub(super) struct EventMemory {
    recent: Recent,
    nameless: Nameless,
    /// This connection was asked for what may have come before. Until it pauses, the upstream may repeat itself.
    asked_back: bool,
    logs: Vec<LogMemory>,
    reader: FactReader,
}

/// What one stream's log holds.
struct LogMemory {
    history: Option<History>,
    /// Where to read back to, when the topics changed.
    since: Option<Timestamp>,
    tail: Box<dyn TailReader>,
}

/// The memory of what may be in some of the logs.
pub(super) struct MemoryOf<'m> {
    memory: &'m mut EventMemory,
    logs: Logs,
}

impl Memory for MemoryOf<'_> {
    fn contains(&self, facts: &Facts<'_>) -> bool {
        self.memory.contains(facts, self.logs)
    }

    fn remember(&mut self, facts: &Facts<'_>) -> bool {
        self.memory.remember(facts, self.logs)
    }
}

impl EventMemory {
    /// Of streams with these logs.
    pub(super) fn new(tails: Vec<Box<dyn TailReader>>) -> Self {
        Self {
            recent: Recent::default(),
            nameless: Nameless::default(),
            asked_back: false,
            logs: tails.into_iter().map(|tail| LogMemory { history: None, since: None, tail }).collect(),
            reader: FactReader::new(),
        }
    }

    /// The memory of what may be in these logs.
    pub(super) fn of(&mut self, logs: Logs) -> MemoryOf<'_> {
        MemoryOf { memory: self, logs }
    }

    /// What is known of the logs that may hold an event.
    fn histories(&self, logs: Logs) -> impl Iterator<Item = &History> {
        let known = self.logs.iter().enumerate().filter(move |(stream, _)| logs.include(*stream));
        known.filter_map(|(_, log)| log.history.as_ref())
    }

    fn contains(&self, facts: &Facts<'_>, logs: Logs) -> bool {
        let key = facts.known_by();
        self.recent.contains(key) || self.histories(logs).any(|history| history.contains(key))
    }

    fn remember(&mut self, facts: &Facts<'_>, logs: Logs) -> bool {
        let looks_back = self.histories(logs).next().is_some();
        if !facts.named {
            return self.remember_nameless(facts, logs, looks_back);
        }
        if looks_back && self.contains(facts, logs) {
            return false;
        }
        self.recent.insert(facts.known_by())
    }

    /// Prepares for a new connection. `asked_back`: it is asked for what may have come before.
    pub(super) fn connect(&mut self, asked_back: bool) {
        self.logs.iter_mut().for_each(|log| log.history = None);
        self.nameless.connect();
        self.asked_back = asked_back;
    }

    /// Whether the new connection is asked for what may have come before, once that is known.
    pub(super) fn set_asked_back(&mut self, asked_back: bool) {
        self.asked_back = asked_back;
    }

    /// From now on the logs are read back as far as `since`: the topics changed, and a log may hold events of a topic that
    /// was left out for a while.
    pub(super) fn topics_changed(&mut self, since: Timestamp) {
        self.logs.iter_mut().for_each(|log| log.since = log.since.into_iter().chain([since]).min());
    }

    /// Reads the logs back as far as the new connection's overlap begins, if it has one.
    pub(super) async fn read_back(&mut self, overlap_start: Option<Timestamp>) -> Result<(), Error> {
        for log in &mut self.logs {
            if let Some(start) = overlap_start.into_iter().chain(log.since).min() {
                // Disorder in the log: the first overlap again is room enough for it.
                let since = start.minus(OVERLAP);
                log.history = Some(History::read_back(log.tail.as_mut(), &self.reader, since).await?);
            }
        }
        Ok(())
    }

    /// Reads what it takes to say whether one of these logs holds this event. To be called before the event is placed.
    pub(super) async fn look_up(&mut self, facts: &Facts<'_>, logs: Logs) -> Result<(), Error> {
        let key = facts.known_by();
        if self.histories(logs).next().is_none() || self.recent.contains(key) {
            return Ok(());
        }
        for (_, log) in self.logs.iter_mut().enumerate().filter(|(stream, _)| logs.include(*stream)) {
            if let Some(history) = &mut log.history {
                history.look_up(key, facts.kafka_time, log.tail.as_mut(), &self.reader).await?;
            }
        }
        Ok(())
    }

    /// Lets go of what was read back of a stream's log, once the upstream `is_past` the time up to which it may repeat what is
    /// in there.
    pub(super) fn forget_history(&mut self, stream: usize, is_past: impl FnOnce(Timestamp) -> bool) {
        let Some(log) = self.logs.get_mut(stream) else { return };
        if let Some(history) = &log.history
            && history.greatest().is_none_or(|greatest| is_past(greatest.plus(OVERLAP)))
        {
            (log.history, log.since) = (None, None);
        }
    }

    /// Remembers what was refused; false when it is known to have been refused before.
    pub(super) fn remember_refused(&mut self, key: Key) -> bool {
        self.recent.insert(key)
    }

    /// Remembers an event whose place is not followed, and whose SSE id is `id`; false when it is known to be one that
    /// was taken before.
    pub(super) fn remember_unplaced(&mut self, facts: &Facts<'_>, logs: Logs, id: Option<&[u8]>) -> bool {
        if facts.named {
            return self.remember(facts, logs);
        }
        match identity(facts, id) {
            Some(key) => self.recent.insert(key),
            None => self.remember_nameless(facts, logs, self.asked_back || self.histories(logs).next().is_some()),
        }
    }

    /// That an event looks like another proves nothing, but where the upstream `repeats` itself.
    fn remember_nameless(&mut self, facts: &Facts<'_>, logs: Logs, repeats: bool) -> bool {
        let key = facts.known_by();
        if repeats {
            let in_log = self.contains(facts, logs);
            if self.nameless.came_again(key, in_log) {
                return false;
            }
        }
        self.nameless.keep(key);
        self.recent.insert(key);
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
