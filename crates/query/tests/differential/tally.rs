//! What a run went through, added up, so that a suite that tests nothing cannot pass.

use std::fmt;

use crate::suite::Examined;

/// The sums of all cases.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Streams that were asked about; the recorded ones are there where the recordings are.
    pub(crate) tables: u64,
    /// Queries, each equal in every way there is.
    pub(crate) queries: u64,
    /// Of these, from the grammar.
    pub(crate) generated: u64,
    pub(crate) rows: u64,
    /// Queries whose answer has no rows.
    pub(crate) empty: u64,
    pub(crate) blocks: u64,
    pub(crate) commits: u64,
    pub(crate) restarts: u64,
    pub(crate) crashes: u64,
    /// Late events, each of which corrected a window that was written.
    pub(crate) late: u64,
    /// Views that had any.
    pub(crate) corrected: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, examined: &Examined, generated: bool) {
        let history = &examined.history;
        self.queries += 1;
        self.generated += u64::from(generated);
        self.rows += examined.rows;
        self.empty += u64::from(examined.rows == 0);
        self.blocks += history.blocks;
        self.commits += history.commits;
        self.restarts += history.restarts;
        self.crashes += history.crashes;
        self.late += history.late;
        self.corrected += u64::from(history.late > 0);
    }

    /// Holds the sums of one whole round against what a round that tests something has.
    pub(crate) fn check(&self) {
        assert!(self.queries >= 100 * self.tables, "too few queries: {self}");
        assert!(self.generated >= 60 * self.tables, "too few of the grammar: {self}");
        assert!(self.rows >= 50 * self.queries, "too few rows: {self}");
        assert!(self.queries - self.empty >= 90 * self.tables, "too few answers that have rows: {self}");
        assert!(self.commits >= 5 * self.queries, "too few commits: {self}");
        assert!(self.restarts >= self.queries, "too few restarts: {self}");
        assert!(self.crashes >= self.queries / 4, "too few crashes: {self}");
        assert!(self.late >= 10 * self.queries, "too few late events: {self}");
        assert!(self.corrected >= self.queries / 2, "too few corrected views: {self}");
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} streams, {} queries ({} of the grammar, {} with an empty answer), {} rows compared, {} blocks, {} commits, {} restarts \
             ({} crashes), {} late events that corrected {} views",
            self.tables,
            self.queries,
            self.generated,
            self.empty,
            self.rows,
            self.blocks,
            self.commits,
            self.restarts,
            self.crashes,
            self.late,
            self.corrected
        )
    }
}
