//! The history of a view's changes: from which positions it can be followed, and how much of it is kept.
//!
//! ```text
//!   incarnation 3                              │ cutover          incarnation 4
//!   (3,40)   (3,41) (3,43)   last commit (3,44)│ (4,7) follows on (3,44)   (4,9)
//!      └ the oldest position that is known     └ the difference old → new
//! ```
//!
//! A commit that changed nothing has no file. A cutover whose difference is told continues the history of the old incarnation;
//! another one begins a new history, and whoever follows begins with a snapshot.

use super::{commit_id::CommitId, files::ChangeFile};

/// Rows and files that are kept though nobody has claimed them, for followers that keep their position themselves.
const UNCLAIMED_ROWS_MAX: u64 = 2_000_000;
const UNCLAIMED_FILES_MAX: usize = 2_000;

/// Files that are kept for claims: a day of commits every ten seconds. The checkpoint names each of them, which takes about
/// 150 bytes in each commit.
const CLAIMED_FILES_MAX: usize = 10_000;

/// What is kept of a view's changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct History<'a> {
    /// In the order of the commits.
    pub(super) files: &'a [ChangeFile],
    /// The incarnation of the files that name none.
    pub(super) own: u64,
    /// The oldest position from which the files lead on.
    pub(super) oldest: CommitId,
    /// The last commit.
    pub(super) newest: CommitId,
}

impl History<'_> {
    /// The place of the first file that a follower at `position` has not read yet; `None` where the files do not lead on from
    /// there.
    pub(super) fn first_after(&self, position: CommitId) -> Option<usize> {
        let CommitId { incarnation, commit } = position;
        let begins = if incarnation == self.oldest.incarnation {
            self.oldest.commit
        } else {
            let begins = |file: &&ChangeFile| file.follows.is_some() && file.id(self.own).incarnation == incarnation;
            self.files.iter().find(begins)?.generation
        };
        let ends = if incarnation == self.newest.incarnation {
            self.newest.commit
        } else {
            let follows = self.files.iter().filter_map(|file| file.follows);
            follows.filter(|last| last.incarnation == incarnation).map(|last| last.commit).next()?
        };
        let first = || self.files.partition_point(|file| file.id(self.own) <= position);
        (begins <= commit && commit <= ends).then(first)
    }

    /// How many of the oldest files are not kept: those that no claim needs and that are too many without, and those beyond
    /// what is kept for claims. `needed` is the furthest back that a follower has got. The newest file is always kept.
    pub(super) fn outdated(&self, needed: Option<CommitId>, bytes_max: u64) -> usize {
        let (mut rows, mut bytes) = (0, 0);
        for file in self.files {
            rows += file.rows;
            bytes += file.bytes;
        }
        let mut gone = 0;
        for file in self.files.iter().take(self.files.len().saturating_sub(1)) {
            let count = self.files.len() - gone;
            let is_needed = needed.is_some_and(|at| at < file.id(self.own));
            let is_modest = rows <= UNCLAIMED_ROWS_MAX && count <= UNCLAIMED_FILES_MAX;
            let is_within = bytes <= bytes_max && count <= CLAIMED_FILES_MAX;
            if is_within && (is_needed || is_modest) {
                break;
            }
            rows -= file.rows;
            bytes -= file.bytes;
            gone += 1;
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(incarnation: u64, commit: u64) -> CommitId {
        CommitId { incarnation, commit }
    }

    fn file(build: Option<u64>, generation: u64, follows: Option<CommitId>) -> ChangeFile {
        ChangeFile { generation, rows: 10, bytes: 100, build, follows }
    }

    /// That of the drawing above.
    fn files() -> Vec<ChangeFile> {
        vec![file(Some(3), 41, None), file(Some(3), 43, None), file(None, 7, Some(id(3, 44))), file(None, 9, None)]
    }

    #[test]
    fn a_position_is_known_from_the_oldest_to_the_last_commit_of_each_incarnation() {
        let files = files();
        let history = History { files: &files, own: 4, oldest: id(3, 40), newest: id(4, 10) };
        let known = [
            (id(3, 40), 0),
            (id(3, 41), 1),
            (id(3, 42), 1),
            (id(3, 43), 2),
            (id(3, 44), 2),
            (id(4, 7), 3),
            (id(4, 8), 3),
            (id(4, 9), 4),
            (id(4, 10), 4),
        ];
        for (position, first) in known {
            assert_eq!(history.first_after(position), Some(first), "{position:?}");
        }
        // Before the oldest; after the last of an incarnation; of a shadow before its cutover; of no incarnation of these.
        for position in [id(3, 39), id(3, 45), id(4, 6), id(4, 11), id(2, 41), id(5, 1)] {
            assert_eq!(history.first_after(position), None, "{position:?}");
        }
        // The cutover itself is not kept any more.
        let history = History { files: &files[3..], own: 4, oldest: id(4, 7), newest: id(4, 10) };
        assert_eq!([id(3, 44), id(4, 7), id(4, 9)].map(|at| history.first_after(at)), [None, Some(0), Some(1)]);
    }

    #[test]
    fn files_are_kept_for_a_claim_within_bounds_and_few_without() {
        let many: Vec<ChangeFile> = (1..=3_000).map(|generation| file(None, generation, None)).collect();
        let history = History { files: &many, own: 0, oldest: id(0, 0), newest: id(0, 3_000) };
        assert_eq!(history.outdated(None, u64::MAX), 1_000, "a modest number");
        assert_eq!(history.outdated(Some(id(0, 400)), u64::MAX), 400, "what it has not read yet");
        assert_eq!(history.outdated(Some(id(0, 2_900)), u64::MAX), 1_000, "no fewer for a claim than without one");
        assert_eq!(history.outdated(Some(id(0, 0)), u64::MAX), 0);
        assert_eq!(history.outdated(Some(id(0, 0)), 250_000), 500, "bounded in bytes");
        assert_eq!(history.outdated(None, 0), 2_999, "the newest stays");
        let many: Vec<ChangeFile> = (1..=10_100).map(|generation| file(None, generation, None)).collect();
        let history = History { files: &many, own: 0, oldest: id(0, 0), newest: id(0, 10_100) };
        assert_eq!(history.outdated(Some(id(0, 0)), u64::MAX), 100, "bounded in number");
        let history = History { files: &[], own: 0, oldest: id(0, 0), newest: id(0, 1) };
        assert_eq!(history.outdated(None, 0), 0);
    }

    #[test]
    fn rows_that_nobody_claims_are_bounded() {
        let mut large = vec![file(None, 1, None), file(None, 2, None), file(None, 3, None)];
        large.iter_mut().for_each(|file| file.rows = 1_500_000);
        let history = History { files: &large, own: 0, oldest: id(0, 0), newest: id(0, 3) };
        assert_eq!(history.outdated(None, u64::MAX), 2);
        assert_eq!(history.outdated(Some(id(0, 1)), u64::MAX), 1);
    }
}
