//! What a view leaves out.
//!
//! An event on which a view's SQL fails is a reject of that view: a reference in the stream `rejects`, not a copy. Rejects are
//! committed before the checkpoint that passes them, so that after a kill some may stand twice, and none is lost. How many there
//! are in all is among the view's counts; of a view that fails on everything, the first of each hour are reported.

use std::time::{Duration, Instant};

use lakehead_model::{EventBatch, Name};
use lakehead_query::FailedEvent;
use serde::Serialize;

use super::{log::Log, note::SharedNote};
use crate::{Error, inlet, sync::lock};

/// Rejects of one view that are reported in an hour: enough to see what is wrong, too few to fill a disk.
const REPORTED_AN_HOUR_MAX: usize = 100;
const HOUR: Duration = Duration::from_secs(3_600);

/// The longest reason, in bytes: an error may quote a value.
const REASON_BYTES_MAX: usize = 1_000;

/// What one view has left out since the last commit, as far as it is reported.
#[derive(Default)]
pub(super) struct LeftOut {
    pending: Vec<FailedEvent>,
    /// Since when, and how many were reported.
    hour: Option<(Instant, usize)>,
}

/// A reject of a view.
#[derive(Serialize)]
struct LeftOutRecord<'a> {
    stream: &'a str,
    source: &'a str,
    view: &'a str,
    refused_offset: Option<u64>,
    reason: &'a str,
    position: &'a str,
    payload: &'a str,
    payload_bytes: usize,
}

impl LeftOut {
    /// Takes down what a micro-batch has left out.
    pub(super) fn add(&mut self, failed: &[FailedEvent], note: &SharedNote) {
        let Some(first) = failed.first() else { return };
        if self.hour.is_none_or(|(since, _)| since.elapsed() >= HOUR) {
            self.hour = Some((Instant::now(), 0));
        }
        let reported = self.hour.as_ref().map_or(0, |(_, reported)| *reported);
        let fresh: Vec<FailedEvent> =
            failed.iter().take(REPORTED_AN_HOUR_MAX.saturating_sub(reported)).cloned().collect();
        if let Some((_, reported)) = &mut self.hour {
            *reported += fresh.len();
        }
        self.pending.extend(fresh);
        let place = first.offset.map_or_else(String::new, |offset| format!(" at offset {offset}"));
        lock(note).left_out = Some(format!("{}{place}", cut(&first.reason)));
    }

    /// Commits it to the stream `rejects`.
    pub(super) async fn report(&mut self, log: &Log, view: &Name) -> Result<(), Error> {
        let Some(stream) = log.rejects.as_ref().filter(|_| !self.pending.is_empty()) else {
            self.pending.clear();
            return Ok(());
        };
        let mut events = EventBatch::default();
        for failed in &self.pending {
            let position = failed.offset.map_or_else(String::new, |offset| format!("offset {offset}"));
            let record = LeftOutRecord {
                stream: log.stream.name().as_str(),
                source: "view",
                view: view.as_str(),
                refused_offset: failed.offset.map(|offset| offset.0),
                reason: cut(&failed.reason),
                position: &position,
                payload: "",
                payload_bytes: 0,
            };
            let json = serde_json::to_vec(&record).map_err(|error| Error::Internal(error.to_string()))?;
            events.push(&json, None);
        }
        tracing::warn!(view = %view, events = self.pending.len(), "left out, since its SQL fails on them; see the stream rejects");
        inlet::commit(&stream.appender(), &writer(), events).await?;
        self.pending.clear();
        Ok(())
    }
}

/// The name under which views write rejects.
fn writer() -> Name {
    Name::new("views").expect("a constant that is a name")
}

fn cut(reason: &str) -> &str {
    let end = (0..=REASON_BYTES_MAX.min(reason.len())).rev().find(|end| reason.is_char_boundary(*end));
    reason.get(..end.unwrap_or(0)).unwrap_or(reason)
}
