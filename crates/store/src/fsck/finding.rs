//! What `fsck` finds, and the sum of it for one stream.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use lakehead_model::Offset;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is lost and nothing has to be done: a torn tail that the next opening cuts, a leftover.
    Notice,
    /// Something that was committed is not as it was written.
    Damage,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Notice => "notice",
            Self::Damage => "damage",
        })
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// The file or folder.
    pub path: PathBuf,
    /// The byte in the file at which it begins.
    pub at: u64,
    /// What was expected and what was found.
    pub what: String,
    /// Events that cannot be read because of it: `[from, to)`; none when both are the same.
    pub lost: (Offset, Offset),
    /// What a repair would do about it.
    pub repair: String,
}

/// What was found in one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Segment files.
    pub segments: u64,
    /// Of these, sealed ones.
    pub sealed: u64,
    /// Blocks that are as they were written.
    pub blocks: u64,
    /// Events in them.
    pub events: u64,
    /// Bytes read.
    pub bytes: u64,
    /// The first offset kept, and the one after the last.
    pub offsets: (Offset, Offset),
    /// What is wrong, in the order of the log.
    pub findings: Vec<Finding>,
}

impl CheckReport {
    /// Whether something that was committed is damaged.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Damage)
    }
}

impl Finding {
    /// Damage at byte `at` by which the events `lost` cannot be read.
    pub(super) fn damage(path: &Path, at: u64, what: String, lost: (Offset, Offset), repair: &str) -> Self {
        Self { severity: Severity::Damage, path: path.to_owned(), at, what, lost, repair: repair.to_owned() }
    }

    /// Damage to a file as a whole, by itself no loss of events.
    pub(super) fn misplaced(path: &Path, what: String, repair: &str) -> Self {
        Self::damage(path, 0, what, (Offset(0), Offset(0)), repair)
    }

    /// Something at byte `at` by which nothing is lost.
    pub(super) fn notice(path: &Path, at: u64, what: String, repair: &str) -> Self {
        Self { severity: Severity::Notice, ..Self::damage(path, at, what, (Offset(0), Offset(0)), repair) }
    }
}
