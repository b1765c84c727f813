//! The simulated upstream: `lakehead simulate` with cuts, and the same one without.

use std::path::Path;

use anyhow::Result;

use crate::process::Process;

/// How one upstream is made; what it issues follows from this.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    pub(crate) seed: u64,
    /// Events a second.
    pub(crate) rate: u64,
    /// When event 0 happens, RFC 3339.
    pub(crate) start: String,
}

impl Upstream {
    /// The upstream that misbehaves: every connection is cut after `cut_after`, and some inside a frame.
    pub(crate) fn with_cuts(&self, binary: &Path, cut_after: &str) -> Result<Process> {
        self.launch(binary, &["--cut-after", cut_after, "--fault", "cut-inside-frame=every-4001"])
    }

    /// The same events from one that does not.
    pub(crate) fn without_faults(&self, binary: &Path) -> Result<Process> {
        self.launch(binary, &[])
    }

    fn launch(&self, binary: &Path, more: &[&str]) -> Result<Process> {
        let (seed, rate) = (self.seed.to_string(), self.rate.to_string());
        let words = ["simulate", "--seed", &seed, "--rate", &rate, "--start", &self.start, "--listen", "127.0.0.1:0"];
        Process::start(binary, &[&words, more].concat())
    }
}
