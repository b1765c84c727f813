//! The sinks on `GET /metrics`. Their counters begin at 0 with the process; their positions, and so their lag, are for good.

use std::collections::BTreeMap;

use lakehead_engine::status::{SinkState, SinkStatus};
use lakehead_model::Name;

use crate::answers::MetricsPage;

impl MetricsPage {
    /// Adds every family that is about sinks.
    pub(super) fn sinks(&mut self, sinks: &BTreeMap<Name, SinkStatus>) {
        let all = || sinks;
        let gauge = |name, help| (name, "gauge", help);
        let counter = |name, help| (name, "counter", help);
        self.family("lakehead_sink_state", "gauge", "1 for the state that the sink is in, 0 for the others.");
        for (name, sink) in all() {
            for state in STATES {
                let is = f64::from(u8::from(state == state_name(&sink.state)));
                self.value(&[("sink", name.as_str()), ("kind", sink.kind), ("state", state)], is);
            }
        }
        let up = gauge("lakehead_sink_up", "1 while the target takes rows or has all of them, else 0.");
        self.each(up, "sink", all(), |s| Some(f64::from(u8::from(is_up(&s.state)))));
        let delivered = counter("lakehead_sink_delivered_total", "Rows that the target has taken.");
        self.each(delivered, "sink", all(), |s| Some(s.delivered as f64));
        let rejected = counter("lakehead_sink_rejected_total", "Rows that the target refused for good.");
        self.each(rejected, "sink", all(), |s| Some(s.rejected as f64));
        let retried = counter("lakehead_sink_retried_total", "Rows that were written again.");
        self.each(retried, "sink", all(), |s| Some(s.retried as f64));
        let lost = counter("lakehead_sink_lost_total", "Rows that retention removed before they were delivered.");
        self.each(lost, "sink", all(), |s| Some(s.lost.as_ref().map_or(0.0, |lost| lost.rows as f64)));
        let rate = gauge("lakehead_sink_rows_per_second", "Delivered rows, over ten seconds.");
        self.each(rate, "sink", all(), |s| Some(s.rows_per_second));
        let rows = gauge("lakehead_sink_lag_rows", "Rows of its stream that are not delivered yet.");
        self.each(rows, "sink", all(), |s| s.lag_rows.map(|rows| rows as f64));
        let commits = gauge("lakehead_sink_lag_commits", "Commits of its view that are not delivered yet.");
        self.each(commits, "sink", all(), |s| s.lag_commits.map(|commits| commits as f64));
        let bytes = gauge("lakehead_sink_under_way_bytes", "Bytes of rows that are read and have no answer yet.");
        self.each(bytes, "sink", all(), |s| Some(s.under_way_bytes as f64));
        let opened = counter("lakehead_sink_reconnects_total", "How often it was opened again.");
        self.each(opened, "sink", all(), |s| Some(s.opened.saturating_sub(1) as f64));
        let committed = gauge("lakehead_sink_committed_timestamp_seconds", "When its position was last committed.");
        self.each(committed, "sink", all(), |s| s.committed.map(|time| time.0 as f64 / 1e6));
    }
}

fn is_up(state: &SinkState) -> bool {
    matches!(state, SinkState::Delivering | SinkState::CaughtUp)
}

const STATES: [&str; 7] = ["opening", "delivering", "caught_up", "away", "waiting", "failed", "stopped"];

fn state_name(state: &SinkState) -> &'static str {
    match state {
        SinkState::Opening => "opening",
        SinkState::Delivering => "delivering",
        SinkState::CaughtUp => "caught_up",
        SinkState::Away { .. } => "away",
        SinkState::Waiting { .. } => "waiting",
        SinkState::Failed { .. } => "failed",
        SinkState::Stopped => "stopped",
    }
}

#[cfg(test)]
mod tests {
    use lakehead_engine::status::SinkLost;
    use lakehead_model::Timestamp;

    use super::*;

    #[test]
    fn a_sink_is_up_while_it_delivers_and_tells_what_it_lost() {
        let name = |text| Name::new(text).expect("a name");
        let well = SinkStatus {
            kind: "http",
            from: name("s"),
            delivery: "at least once",
            state: SinkState::CaughtUp,
            delivered: 12,
            rejected: 2,
            retried: 1,
            rows_per_second: 0.5,
            lag_rows: Some(3),
            lag_commits: None,
            under_way_bytes: 70,
            position: Some("log.0.14".into()),
            committed: Some(Timestamp::from_seconds(9)),
            opened: 1,
            last_error: None,
            last_error_at: None,
            lost: None,
            finding: None,
            counted_since: Timestamp(0),
        };
        let away = SinkStatus {
            state: SinkState::Away { since: Timestamp(0), error: "refused".into(), next_try: Timestamp(7) },
            lag_rows: None,
            lag_commits: Some(4),
            lost: Some(SinkLost { rows: 5, why: "retention".into() }),
            committed: None,
            opened: 3,
            ..well.clone()
        };
        let mut page = MetricsPage::default();
        page.sinks(&[(name("well"), well), (name("away"), away)].into());
        for line in [
            "lakehead_sink_state{sink=\"away\",kind=\"http\",state=\"away\"} 1",
            "lakehead_sink_state{sink=\"away\",kind=\"http\",state=\"caught_up\"} 0",
            "lakehead_sink_up{sink=\"well\"} 1",
            "lakehead_sink_up{sink=\"away\"} 0",
            "lakehead_sink_delivered_total{sink=\"well\"} 12",
            "lakehead_sink_rejected_total{sink=\"well\"} 2",
            "lakehead_sink_retried_total{sink=\"well\"} 1",
            "lakehead_sink_lost_total{sink=\"well\"} 0",
            "lakehead_sink_lost_total{sink=\"away\"} 5",
            "lakehead_sink_lag_rows{sink=\"well\"} 3",
            "lakehead_sink_lag_commits{sink=\"away\"} 4",
            "lakehead_sink_reconnects_total{sink=\"away\"} 2",
            "lakehead_sink_committed_timestamp_seconds{sink=\"well\"} 9",
        ] {
            assert!(page.text.lines().any(|l| l == line), "{line} is missing in\n{}", page.text);
        }
        // What is not known is not there, rather than 0.
        for none in ["lag_commits{sink=\"well\"}", "lag_rows{sink=\"away\"}", "timestamp_seconds{sink=\"away\"}"] {
            assert!(!page.text.contains(none), "{none} in\n{}", page.text);
        }
    }
}
