//! What the dashboard asks of the lake: each panel's SQL, what it reads, and how often it is asked.
//!
//! The SQL of a panel reads one view of the default pipeline (or the raw stream, for the latest events). A panel whose
//! view is not there is left out. "Now" is the view's own watermark, not the clock, so that a stream that is replayed
//! or lags shows as well. Two words are replaced before a query runs: `{since}`, a time so far before the watermark
//! that nothing shown lies before it, which keeps the query to the newest result files; `{from_offset}`, likewise for a
//! stream.

use std::time::Duration;

use lakehead_engine::status::Status;
use lakehead_model::Timestamp;

/// What a panel reads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reads {
    /// A view's newest rows: from this long before its watermark.
    View { name: &'static str, back: Duration },
    /// A stream's newest events: this many.
    Stream { name: &'static str, last: u64 },
}

/// One panel of the dashboard.
#[derive(Debug)]
pub(crate) struct Panel {
    /// Its name in the page.
    pub(crate) name: &'static str,
    /// What it reads.
    pub(crate) reads: Reads,
    /// How often it is asked at most.
    pub(crate) every: Duration,
    /// What it asks.
    pub(crate) sql: &'static str,
}

const SECOND: Duration = Duration::from_secs(1);
const FIVE_SECONDS: Duration = Duration::from_secs(5);
const fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

/// All panels, the cheap and quick ones first.
pub(crate) const PANELS: &[Panel] = &[
    Panel {
        name: "edits_per_second",
        reads: Reads::View { name: "edits_per_second", back: minutes(6) },
        every: SECOND,
        sql: "SELECT second, edits FROM edits_per_second WHERE second >= {since} ORDER BY second DESC LIMIT 302",
    },
    Panel {
        name: "latest",
        reads: Reads::Stream { name: "recentchange", last: 40 },
        every: SECOND,
        sql: "SELECT event_offset, event_time, wiki, server_name, \"type\", \"user\", bot, title, length_old, length_new \
              FROM recentchange WHERE event_offset >= {from_offset} AND NOT canary ORDER BY event_offset DESC LIMIT 24",
    },
    Panel {
        name: "edits_per_minute",
        reads: Reads::View { name: "edits_per_minute", back: minutes(70) },
        every: FIVE_SECONDS,
        sql: "WITH recent AS (SELECT minute, wiki, edits FROM edits_per_minute WHERE minute >= {since}), \
              busiest AS (SELECT wiki FROM recent GROUP BY wiki ORDER BY sum(edits) DESC, wiki LIMIT 8) \
              SELECT recent.minute, coalesce(busiest.wiki, 'others') AS wiki, sum(recent.edits) AS edits \
              FROM recent LEFT JOIN busiest ON recent.wiki = busiest.wiki GROUP BY 1, 2 ORDER BY 1, 2",
    },
    Panel {
        name: "bots_and_people",
        reads: Reads::View { name: "bots_and_people", back: minutes(70) },
        every: FIVE_SECONDS,
        sql: "SELECT minute, bot, edits FROM bots_and_people WHERE minute >= {since} ORDER BY minute, bot",
    },
    Panel {
        name: "events_per_type",
        reads: Reads::View { name: "events_per_type", back: minutes(70) },
        every: FIVE_SECONDS,
        sql: "SELECT minute, \"type\", events FROM events_per_type WHERE minute >= {since} ORDER BY minute, \"type\"",
    },
    Panel {
        name: "bytes_changed",
        reads: Reads::View { name: "bytes_changed", back: minutes(70) },
        every: FIVE_SECONDS,
        sql: "SELECT minute, added, removed FROM bytes_changed WHERE minute >= {since} ORDER BY minute",
    },
    Panel {
        name: "edits_per_page",
        reads: Reads::View { name: "edits_per_page", back: minutes(30) },
        every: FIVE_SECONDS,
        sql: "WITH newest AS (SELECT max(ten_minutes) AS start FROM edits_per_page WHERE ten_minutes >= {since}) \
              SELECT wiki, title, sum(edits) AS edits, max(newest.start) AS ten_minutes \
              FROM edits_per_page JOIN newest ON ten_minutes >= newest.start - INTERVAL '10 minutes' \
              WHERE ten_minutes >= {since} GROUP BY wiki, title ORDER BY edits DESC, wiki, title LIMIT 10",
    },
    Panel {
        name: "events_per_domain",
        reads: Reads::View { name: "events_per_domain", back: minutes(20) },
        every: FIVE_SECONDS,
        sql: "WITH newest AS (SELECT max(minute) AS start FROM events_per_domain WHERE minute >= {since}) \
              SELECT domain, sum(events) AS events, max(newest.start) AS newest \
              FROM events_per_domain JOIN newest ON minute > newest.start - INTERVAL '10 minutes' \
              WHERE minute >= {since} GROUP BY domain ORDER BY events DESC, domain LIMIT 10",
    },
    Panel {
        name: "new_pages",
        reads: Reads::View { name: "new_pages", back: minutes(120) },
        every: FIVE_SECONDS,
        sql: "WITH newest AS (SELECT max(hour) AS start FROM new_pages WHERE hour >= {since}) \
              SELECT hour, domain, pages FROM new_pages JOIN newest ON hour = newest.start \
              WHERE hour >= {since} ORDER BY pages DESC, domain LIMIT 10",
    },
];

impl Panel {
    /// The query as of `status`, or `None` when what it reads is not there.
    pub(crate) fn query(&self, status: &Status) -> Option<String> {
        match self.reads {
            Reads::View { name, back } => {
                let view = status.views.get(name)?;
                let since = view.watermark.map_or(Timestamp::default(), |watermark| watermark.minus(back));
                Some(self.sql.replace("{since}", &format!("TIMESTAMP '{since}'")))
            }
            Reads::Stream { name, last } => {
                let end = status.streams.get(name)?.end.0;
                Some(self.sql.replace("{from_offset}", &end.saturating_sub(last).to_string()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_query_is_bounded_by_what_it_reads() {
        for panel in PANELS {
            let word = match panel.reads {
                Reads::View { name, .. } => {
                    assert!(panel.sql.contains(&format!("FROM {name} ")), "{}", panel.name);
                    "{since}"
                }
                Reads::Stream { .. } => "{from_offset}",
            };
            assert!(panel.sql.contains(word), "{}", panel.name);
            assert!(panel.sql.matches('{').count() == panel.sql.matches(word).count(), "{}", panel.name);
        }
    }
}
