//! How a simulator is set.

use std::{path::PathBuf, time::Duration};

use lakehead_model::Timestamp;

use crate::{faults::Faults, timeline::NOMINAL_RATE};

/// How the simulator is set.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the generated events follow from. Default: 7.
    pub seed: u64,
    /// Events per second; 0 is as fast as they are read, with the times of 36.1 a second. Default: 36.1, Wikimedia's mean
    /// of August and September 2026.
    pub rate: f64,
    /// How many events there are, counted over all topics, canaries and events withheld by a fault included: event 0 to
    /// event N - 1. After them the stream stays open and silent. Default: no end.
    pub events: Option<u64>,
    /// Recordings to serve instead of generated events: JSON lines or SSE, plain or gzip. Default: none.
    pub from: Vec<PathBuf>,
    /// Whether one generated event in sixteen is of a second stream, `mediawiki.page-create`, which has topics of its own. The
    /// events of the first are those of fifteen sixteenths of the rate. Default: no.
    pub page_creates: bool,
    /// When event 0 is produced. Default: the clock's time when the simulator is made; at rate 0, where the events' times
    /// have nothing to do with the clock, 2026-09-01T00:00:00Z, so that events follow from the seed alone.
    pub start: Option<Timestamp>,
    /// After how long a connection is cut. Default: 15 minutes (EVENTSTREAMS.md, section 1.6).
    pub cut_after: Duration,
    /// How many streams a client, as named by its X-Client-IP, may have open; the header is required then. Default: no
    /// limit.
    pub connections_per_client: Option<u32>,
    /// What goes wrong. Default: nothing.
    pub faults: Faults,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 7,
            rate: NOMINAL_RATE,
            events: None,
            from: Vec::new(),
            page_creates: false,
            start: None,
            cut_after: Duration::from_secs(15 * 60),
            connections_per_client: None,
            faults: Faults::default(),
        }
    }
}
