//! What the campaign left in the logs, as other programs read it.

use std::path::Path;

use anyhow::Result;

use super::{
    events::{self, FAKES, LINES},
    expected::{self, Expected},
};
use crate::torture::{files, oracle::Findings};

/// The streams, in the order of the report.
pub(super) const STREAMS: [&str; 5] = ["ticks", "answers", "spooled", "lines", "fakes"];

/// What lies in the logs: of the tortured pipeline by stream, and of the one beside it that was let be.
pub(super) struct Found {
    pub(super) logs: [Vec<Vec<u8>>; 5],
    pub(super) whole_fakes: Vec<Vec<u8>>,
    /// Entries of the stream `rejects`.
    pub(super) rejects: Vec<Vec<u8>>,
}

impl Found {
    pub(super) fn read(scratch: &Path) -> Result<Self> {
        let of = |data: &str, stream: &str| files::events(&files::segments(&scratch.join(data), stream)?);
        let mut logs: [Vec<Vec<u8>>; 5] = Default::default();
        for (log, stream) in logs.iter_mut().zip(STREAMS) {
            *log = of("data", stream)?;
        }
        Ok(Self { logs, whole_fakes: of("reference", "fakes")?, rejects: of("data", "rejects").unwrap_or_default() })
    }

    pub(super) fn check(&self, expected: &Expected, inbox: &Path, findings: &mut Findings) -> Result<()> {
        let [ticks, answers, spooled, lines, fakes] = &self.logs;
        expected::in_order("ticks", ticks, expected.ticks, events::tick, findings);
        expected::answers(answers, &expected.cities, findings);
        expected::spooled(spooled, &expected.spooled, inbox, findings)?;
        expected::in_order("lines", lines, LINES, events::line, findings);
        expected::same("fakes", fakes, &self.whole_fakes, FAKES, findings);
        Ok(())
    }
}
