//! `GET /metrics`: the status as numbers, in Prometheus' text format 0.0.4.
//!
//! Every name begins with `lakehead_`, ends with its unit, counters with `_total`. All comes from one status, so the
//! numbers of one scrape fit together. Counters of sources, sinks and pushes begin at 0 with the process.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use lakehead_engine::status::{ReloadOutcome, SourceState, Status, ViewState, ViewStatus};
use lakehead_model::Timestamp;

use crate::{answers::MetricsPage, app::App};

/// `GET /metrics`
pub(crate) async fn get(State(app): State<Arc<App>>) -> Response {
    let mut page = MetricsPage::default();
    page.status(&app.engine.status());
    page.family("lakehead_live_clients", "gauge", "Dashboards that are being pushed to.");
    page.value(&[], app.live.clients() as f64);
    page.connections(&app);
    page.family("lakehead_panel_query_seconds", "gauge", "What a dashboard panel's last query took.");
    for (panel, took) in app.live.costs() {
        page.value(&[("panel", panel.as_str())], took.as_secs_f64());
    }
    page.family("lakehead_queries_total", "counter", "Queries from outside, by what became of them.");
    let tally = app.sql.tally();
    for (became, count) in
        [("answered", tally.answered), ("refused", tally.refused), ("busy", tally.busy), ("stopped", tally.stopped)]
    {
        page.value(&[("became", became)], count as f64);
    }
    page.family("lakehead_query_workers_bytes", "gauge", "Memory of the workers that are answering queries now.");
    page.value(&[], tally.bytes as f64);
    let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, content_type)], page.text).into_response()
}

impl MetricsPage {
    fn status(&mut self, status: &Status) {
        self.family("lakehead_build_info", "gauge", "1, with the version as a label.");
        self.value(&[("version", status.version)], 1.0);
        self.family("lakehead_uptime_seconds", "gauge", "Time since the process started.");
        self.value(&[], status.uptime_seconds as f64);
        self.family("lakehead_data_bytes", "gauge", "Space that streams and views take.");
        self.value(&[], status.disk.data_bytes as f64);
        self.family("lakehead_free_bytes", "gauge", "Space that is left on the data directory's disk.");
        self.value(&[], status.disk.free_bytes as f64);
        self.streams(status);
        self.sources(status);
        self.views(status);
        self.sinks(&status.sinks);
        self.audit(status);
        self.reloads(status);
    }

    fn connections(&mut self, app: &App) {
        let counts = app.places.counts();
        self.family("lakehead_http_connections", "gauge", "Connections that are open.");
        self.value(&[], counts.connections as f64);
        self.family("lakehead_http_unsent_bytes", "gauge", "Bytes of answers that wait to be read.");
        self.value(&[], counts.unsent_bytes as f64);
        self.family(
            "lakehead_http_connections_closed_total",
            "counter",
            "Connections closed by the server, by reason.",
        );
        for (reason, count) in counts.closed {
            self.value(&[("reason", reason)], count as f64);
        }
        self.family(
            "lakehead_http_turned_away_total",
            "counter",
            "Connections and requests for which there was no place.",
        );
        self.value(&[], counts.turned_away as f64);
        let (bytes, bodies) = app.body_memory.counts();
        self.family("lakehead_http_bodies", "gauge", "Bodies that are being read or dealt with.");
        self.value(&[], bodies as f64);
        self.family("lakehead_http_bodies_bytes", "gauge", "What they hold.");
        self.value(&[], bytes as f64);
    }

    fn streams(&mut self, status: &Status) {
        let all = || &status.streams;
        let gauge = |name, help| (name, "gauge", help);
        let counter = |name, help| (name, "counter", help);
        self.each(counter("lakehead_stream_events_total", "Events ever committed."), "stream", all(), |s| {
            Some(s.end.0 as f64)
        });
        self.each(gauge("lakehead_stream_kept_events", "Events that are kept."), "stream", all(), |s| {
            Some(s.events as f64)
        });
        self.each(gauge("lakehead_stream_events_per_second", "Rate over ten seconds."), "stream", all(), |s| {
            Some(s.rate_10s)
        });
        self.each(gauge("lakehead_stream_raw_bytes", "Size of the events kept."), "stream", all(), |s| {
            Some(s.raw_bytes as f64)
        });
        self.each(gauge("lakehead_stream_stored_bytes", "Their size on disk."), "stream", all(), |s| {
            Some(s.stored_bytes as f64)
        });
        self.each(gauge("lakehead_stream_segments", "Files of the log."), "stream", all(), |s| Some(s.segments as f64));
        let unsealed = gauge("lakehead_stream_segments_unsealed", "Finished files of the log that are not sealed yet.");
        self.each(unsealed, "stream", all(), |s| Some(s.upkeep.unsealed as f64));
        let held =
            gauge("lakehead_stream_retention_held_bytes", "Bytes that retention would remove and somebody needs.");
        self.each(held, "stream", all(), |s| Some(s.upkeep.held.as_ref().map_or(0.0, |held| held.bytes as f64)));
        let received = gauge("lakehead_stream_last_received_timestamp_seconds", "When the newest event was received.");
        self.each(received, "stream", all(), |s| s.last_received.map(seconds));
        let pushed = counter("lakehead_stream_pushed_events_total", "Events taken by push.");
        self.each(pushed, "stream", all(), |s| Some(s.pushed as f64));
        let refused = counter("lakehead_stream_push_rejected_events_total", "Pushed events that were refused.");
        self.each(refused, "stream", all(), |s| Some(s.push_rejects as f64));
        let lost = counter(
            "lakehead_stream_push_lost_events_total",
            "Events of hasty pushes that could not be written after the push was answered.",
        );
        self.each(lost, "stream", all(), |s| Some(s.push_lost as f64));
        let untimed =
            counter("lakehead_stream_events_without_time_total", "Events without event time, since the start.");
        self.each(untimed, "stream", all(), |s| Some(s.event_times.without as f64));
        let name = "lakehead_stream_mistyped_values_total";
        self.family(name, "counter", "Values of a declared column that are of another type, since the start.");
        for (stream, status) in all() {
            for (column, count) in &status.columns.mistyped {
                self.value(&[("stream", stream.as_str()), ("column", column)], *count as f64);
            }
        }
        let writable = gauge("lakehead_stream_writable", "1 while the store can write, 0 while it cannot.");
        self.each(writable, "stream", all(), |s| Some(f64::from(u8::from(s.cannot_write.is_none()))));
    }

    fn sources(&mut self, status: &Status) {
        let all = || &status.sources;
        self.family("lakehead_source_state", "gauge", "1 for the state that the source is in, 0 for the others.");
        for (name, source) in all() {
            for state in STATES {
                let is = f64::from(u8::from(state == state_name(&source.state)));
                let labels = [("source", name.as_str()), ("kind", source.kind), ("state", state)];
                self.value(&labels, is);
            }
        }
        let counter = |name, help| (name, "counter", help);
        self.each(counter("lakehead_source_events_total", "Events committed."), "source", all(), |s| {
            Some(s.events as f64)
        });
        let again = counter("lakehead_source_duplicate_events_total", "Events that came again and were dropped.");
        self.each(again, "source", all(), |s| Some(s.duplicates as f64));
        self.each(counter("lakehead_source_rejected_events_total", "Events refused."), "source", all(), |s| {
            Some(s.rejects as f64)
        });
        let gaps = counter("lakehead_source_missing_events_total", "Events proven to be missing upstream.");
        self.each(gaps, "source", all(), |s| Some(s.gaps as f64));
        let opened = counter("lakehead_source_reconnects_total", "How often it was opened again.");
        self.each(opened, "source", all(), |s| Some(s.opened.saturating_sub(1) as f64));
        let progress = "lakehead_source_progress_timestamp_seconds";
        let help = "The event time up to which it has brought everything.";
        self.each((progress, "gauge", help), "source", all(), |s| s.progress.map(seconds));
    }

    fn views(&mut self, status: &Status) {
        let all = || &status.views;
        let gauge = |name, help| (name, "gauge", help);
        let counter = |name, help| (name, "counter", help);
        let offset = gauge("lakehead_view_offset", "Up to this offset every event is counted.");
        self.each(offset, "view", all(), |v| Some(v.offset.0 as f64));
        let behind = gauge("lakehead_view_behind_events", "Committed events that are not counted yet.");
        self.each(behind, "view", all(), |v| Some(v.behind as f64));
        let watermark = gauge("lakehead_view_watermark_timestamp_seconds", "Windows before this are closed.");
        self.each(watermark, "view", all(), |v| v.watermark.map(seconds));
        let rows = gauge(
            "lakehead_view_rows",
            "Rows that a query finds; the least there are where /v1/status says rows_at_least of the view.",
        );
        self.each(rows, "view", all(), |v| Some(v.rows as f64));
        let corrected = counter("lakehead_view_late_corrected_events_total", "Late events that corrected a window.");
        self.each(corrected, "view", all(), |v| Some(v.late_corrected as f64));
        let dropped = counter("lakehead_view_late_dropped_events_total", "Late events that came too late to count.");
        self.each(dropped, "view", all(), |v| Some(v.late_dropped as f64));
        let timeless = counter("lakehead_view_events_without_time_total", "Events without event time, not counted.");
        self.each(timeless, "view", all(), |v| Some(v.without_time as f64));
        let poison =
            counter("lakehead_view_failed_events_total", "Events left out since the SQL of the view fails on them.");
        self.each(poison, "view", all(), |v| Some(v.failed_events as f64));
        let nulls =
            gauge("lakehead_view_failed_values", "Values in its rows that are NULL since they cannot be computed.");
        self.each(nulls, "view", all(), |v| Some(v.failed_values as f64));
        let failed = gauge("lakehead_view_failed", "1 while the view stands still.");
        self.each(failed, "view", all(), |v| Some(f64::from(u8::from(v.failed.is_some()))));
        let building = gauge("lakehead_view_building", "1 while the view is built from the log, beside the live ones.");
        self.each(building, "view", all(), |v| Some(f64::from(u8::from(build(v).is_some()))));
        let done =
            gauge("lakehead_view_build_ratio", "How much of the log a view that is built has read, from 0 to 1.");
        self.each(done, "view", all(), |v| build(v).map(|(fraction, ..)| fraction));
        let pace = gauge("lakehead_view_build_events_per_second", "How fast a view is built, over ten seconds.");
        self.each(pace, "view", all(), |v| build(v).map(|(_, pace, _)| pace));
        let left = gauge("lakehead_view_build_left_seconds", "About how long a build takes from here.");
        self.each(left, "view", all(), |v| build(v).and_then(|(.., left)| left));
    }

    /// Nothing where no audit has come to its end yet, so that an alert can tell "not yet" from "all is well".
    fn audit(&mut self, status: &Status) {
        let Some(last) = &status.audit.last else { return };
        self.family("lakehead_audit_differences", "gauge", "Things that do not add up, by the last audit.");
        for (name, stream) in &last.streams {
            self.value(&[("stream", name.as_str())], stream.differences as f64);
        }
        for (name, view) in &last.views {
            self.value(&[("view", name.as_str())], view.differences as f64);
        }
        self.family("lakehead_audit_last_run_timestamp_seconds", "gauge", "When the last audit was done.");
        self.value(&[], seconds(last.at));
        if let Some(success) = status.audit.last_success {
            let name = "lakehead_audit_last_success_timestamp_seconds";
            self.family(name, "gauge", "When everything last added up.");
            self.value(&[], seconds(success));
        }
        self.family("lakehead_audit_duration_seconds", "gauge", "What the last audit took.");
        self.value(&[], last.took_seconds);
    }

    fn reloads(&mut self, status: &Status) {
        let reloads = &status.reloads;
        self.family("lakehead_reloads_total", "counter", "Reloads of the pipeline file, by what came of them.");
        for (outcome, count) in [("done", reloads.done), ("refused", reloads.refused), ("failed", reloads.failed)] {
            self.value(&[("outcome", outcome)], count as f64);
        }
        let Some(last) = &reloads.last else { return };
        self.family("lakehead_reload_last_timestamp_seconds", "gauge", "When the pipeline file was last reloaded.");
        self.value(&[], seconds(last.at));
        self.family("lakehead_reload_last_successful", "gauge", "1 when the last reload was done, else 0.");
        self.value(&[], f64::from(u8::from(matches!(last.outcome, ReloadOutcome::Done { .. }))));
    }
}

/// Of a view that is being built: how much is done, events a second, seconds left.
fn build(view: &ViewStatus) -> Option<(f64, f64, Option<f64>)> {
    match view.state {
        ViewState::Building { fraction, events_per_second, seconds_left, .. } => {
            Some((fraction, events_per_second, seconds_left))
        }
        ViewState::Live | ViewState::Failed => None,
    }
}

const STATES: [&str; 7] = ["opening", "catching_up", "live", "away", "waiting", "ended", "failed"];

fn state_name(state: &SourceState) -> &'static str {
    match state {
        SourceState::Opening => "opening",
        SourceState::CatchingUp => "catching_up",
        SourceState::Live => "live",
        SourceState::Away { .. } => "away",
        SourceState::Waiting { .. } => "waiting",
        SourceState::Ended => "ended",
        SourceState::Failed { .. } => "failed",
    }
}

fn seconds(time: Timestamp) -> f64 {
    time.0 as f64 / 1e6
}
