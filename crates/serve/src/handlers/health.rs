//! `GET /healthz`: whether a supervisor should worry.
//!
//! 503 only for what does not mend itself: a stream that cannot be written, a source, a view or a sink that failed for good, a
//! process that is stopping. An upstream or target that is away is noted with 200: trying again is what Lakehead is for, and a
//! restart would not bring it back.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use lakehead_engine::status::{ReloadOutcome, SinkState, SourceState, Status};
use schemars::JsonSchema;
use serde::Serialize;

use crate::app::App;

/// What `/healthz` answers.
#[derive(Serialize, JsonSchema)]
pub(crate) struct HealthAnswer {
    /// `ok` or `unwell`.
    status: &'static str,
    /// Why a supervisor should intervene.
    reasons: Vec<String>,
    /// What is worth a look.
    notes: Vec<String>,
}

/// `GET /healthz`
pub(crate) async fn get(State(app): State<Arc<App>>) -> Response {
    let Health { reasons, notes } = Health::of(&app.engine.status());
    let (status, word) =
        if reasons.is_empty() { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "unwell") };
    (status, Json(HealthAnswer { status: word, reasons, notes })).into_response()
}

/// What is wrong, and what is only worth knowing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Health {
    pub(crate) reasons: Vec<String>,
    pub(crate) notes: Vec<String>,
}

impl Health {
    pub(crate) fn of(status: &Status) -> Self {
        let mut health = Self::default();
        if status.stopping {
            health.reasons.push("the process is stopping".into());
        }
        for (name, stream) in &status.streams {
            health
                .reasons
                .extend(stream.cannot_write.iter().map(|why| format!("stream {name} cannot be written: {why}")));
            health.notes.extend(stream.lost.iter().map(|lost| format!("stream {name}: {lost}; see `lakehead fsck`")));
        }
        for (name, stream) in status.streams.iter().filter(|(_, stream)| stream.event_times.most_without) {
            let why = stream.event_times.why.as_deref().unwrap_or("the field that says it is not there");
            health.notes.push(format!("most of the last events of stream {name} have no event time: {why}"));
        }
        for (name, source) in &status.sources {
            match &source.state {
                SourceState::Failed { error, .. } => health.reasons.push(format!("source {name} failed: {error}")),
                SourceState::Away { since, error, .. } => {
                    health.notes.push(format!("the upstream of source {name} is away since {since}: {error}"));
                }
                SourceState::Waiting { since, error } => {
                    health.notes.push(format!("source {name} waits for the store since {since}: {error}"));
                }
                SourceState::Opening | SourceState::CatchingUp | SourceState::Live | SourceState::Ended => {}
            }
        }
        for (name, sink) in &status.sinks {
            match &sink.state {
                SinkState::Failed { error, .. } => health.reasons.push(format!("sink {name} failed: {error}")),
                SinkState::Away { since, error, .. } => {
                    health.notes.push(format!("the target of sink {name} is away since {since}: {error}"));
                }
                SinkState::Waiting { since, error } => {
                    health.notes.push(format!("sink {name} waits for the store since {since}: {error}"));
                }
                SinkState::Opening | SinkState::Delivering | SinkState::CaughtUp | SinkState::Stopped => {}
            }
            let lost = sink.lost.iter().map(|lost| format!("sink {name} lost {} rows: {}", lost.rows, lost.why));
            health.notes.extend(lost);
            health.notes.extend(sink.finding.iter().map(|finding| format!("sink {name}: {finding}")));
        }
        for (name, view) in &status.views {
            health.reasons.extend(view.failed.iter().map(|why| format!("view {name} stands still: {why}")));
            let why = view.failure.as_deref().unwrap_or("see the stream rejects");
            if view.failed_events > 0 {
                health.notes.push(format!(
                    "view {name} has left out {} events that its SQL fails on: {why}; once the SQL is mended they are taken in",
                    view.failed_events
                ));
            } else if view.failed_values > 0 {
                health.notes.push(format!("view {name} has {} values that are NULL: {why}", view.failed_values));
            }
        }
        if let Some(last) = status.audit.last.as_ref().filter(|last| last.differences > 0) {
            let first = last.told.first().map_or("", String::as_str);
            health.notes.push(format!("the audit of {} found {} differences: {first}", last.at, last.differences));
        }
        if let Some(last) = &status.reloads.last {
            match &last.outcome {
                ReloadOutcome::Done { .. } => {}
                ReloadOutcome::Refused { why } | ReloadOutcome::Failed { why } => {
                    health.notes.push(format!("the pipeline was not reloaded at {}: {why}", last.at));
                }
            }
        }
        health.notes.extend(status.audit.failed.iter().map(|why| format!("the audit could not be done: {why}")));
        health
    }
}
