//! Where a row stands, the name of a file of lines that has a run of them, and the state of one that is being written. Pure.
//!
//! ```text
//! recentchange-0-00000000000000001200-00000000000000001300.jsonl         the events 1200 to 1299 of epoch 0
//! edits-3-00000000000000000017_0000000000-00000000000000000017_0000000004.jsonl.zst
//!                                         the changes 0 to 3 of commit 17 of incarnation 3; `s` for `_` in a snapshot
//! .recentchange-0-…1300-…1340.jsonl-40-65536-1790000000000.part           not finished: rows, bytes and since when
//! ```

use lakehead_connector_api::{Batch, BatchKind, Row};
use lakehead_model::Position;

/// Where a row stands among all of its stream or view. Places of one life are in the order in which they are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RowPlace {
    /// The epoch, or the incarnation.
    pub(super) life: u64,
    /// Of a view.
    pub(super) commit: Option<Commit>,
    pub(super) number: u64,
}

/// Which commit of a view, and whether the row is of what there was then or of what changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Commit {
    pub(super) number: u64,
    pub(super) is_change: bool,
}

impl RowPlace {
    pub(super) fn of(batch: &Batch, row: Row<'_>) -> Self {
        let number = row.head.number;
        match *batch.start() {
            Position::Log { epoch, .. } => Self { life: epoch, commit: None, number },
            Position::View { incarnation, commit } => {
                let commit = Commit { number: commit, is_change: batch.kind() == BatchKind::Changes };
                Self { life: incarnation, commit: Some(commit), number }
            }
        }
    }

    /// The place after this one.
    pub(super) fn next(self) -> Self {
        Self { number: self.number.saturating_add(1), ..self }
    }

    /// Whether a row here comes right after those before `next`: so that one name can stand for all of them.
    pub(super) fn follows(self, next: Self) -> bool {
        if self == next {
            return true;
        }
        match (self.commit, next.commit) {
            (Some(here), Some(before)) => {
                self.life == next.life
                    && here.is_change == before.is_change
                    && here.number > before.number
                    && self.number == 0
            }
            _ => false,
        }
    }

    fn text(self) -> String {
        let number = self.number;
        match self.commit {
            None => format!("{number:020}"),
            Some(commit) => {
                let kind = if commit.is_change { '_' } else { 's' };
                format!("{:020}{kind}{number:010}", commit.number)
            }
        }
    }

    fn parse(life: u64, text: &str) -> Option<Self> {
        let digits = |text: &str, least| {
            (text.len() >= least && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse::<u64>().ok())?
        };
        let Some(split) = text.find(['_', 's']) else {
            return Some(Self { life, commit: None, number: digits(text, 20)? });
        };
        let (commit, number) = (digits(&text[..split], 20)?, digits(&text[split + 1..], 10)?);
        let is_change = text.as_bytes().get(split) == Some(&b'_');
        Some(Self { life, commit: Some(Commit { number: commit, is_change }), number })
    }
}

/// The rows of a file, `[first, next)`, and how its name ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileRun {
    pub(super) first: RowPlace,
    pub(super) next: RowPlace,
    /// `.jsonl`, `.jsonl.gz` or `.jsonl.zst`.
    pub(super) ending: &'static str,
}

const ENDINGS: [&str; 3] = [".jsonl", ".jsonl.gz", ".jsonl.zst"];

/// How far a file is that is not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unfinished {
    pub(super) rows: u64,
    /// The length that it had when it was last synced. What stands behind is no row.
    pub(super) bytes: u64,
    /// When its first row was written, in milliseconds since 1970.
    pub(super) began_ms: i64,
}

impl FileRun {
    /// The name of the finished file of rows of `from`.
    pub(super) fn name(&self, from: &str) -> String {
        let Self { first, next, ending } = self;
        format!("{from}-{}-{}-{}{ending}", first.life, first.text(), next.text())
    }

    /// Its name while it is being written.
    pub(super) fn part_name(&self, from: &str, state: Unfinished) -> String {
        let Unfinished { rows, bytes, began_ms } = state;
        format!(".{}-{rows}-{bytes}-{began_ms}.part", self.name(from))
    }

    /// What a file of this name has; `None` when the name is not one that is given to rows of `from`.
    pub(super) fn parse(name: &str, from: &str) -> Option<Self> {
        let (life, places) = name.strip_prefix(from)?.strip_prefix('-')?.split_once('-')?;
        let (first, rest) = places.split_once('-')?;
        let ending = ENDINGS
            .into_iter()
            .find(|ending| rest.ends_with(ending) && rest.find('.') == Some(rest.len() - ending.len()))?;
        let life = life.parse().ok()?;
        let run = Self {
            first: RowPlace::parse(life, first)?,
            next: RowPlace::parse(life, &rest[..rest.len() - ending.len()])?,
            ending,
        };
        // Written back, it is the same: `+1` and leading zeros are not of us.
        (run.name(from) == name && run.first <= run.next).then_some(run)
    }

    /// As [`parse`](Self::parse), of a file that is not finished.
    pub(super) fn parse_part(name: &str, from: &str) -> Option<(Self, Unfinished)> {
        let mut pieces = name.strip_prefix('.')?.strip_suffix(".part")?.rsplitn(4, '-');
        let began_ms = pieces.next()?.parse().ok()?;
        let bytes = pieces.next()?.parse().ok()?;
        let rows = pieces.next()?.parse().ok()?;
        let (run, state) = (Self::parse(pieces.next()?, from)?, Unfinished { rows, bytes, began_ms });
        (run.part_name(from, state) == name).then_some((run, state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(number: u64) -> RowPlace {
        RowPlace { life: 0, commit: None, number }
    }

    fn view(commit: u64, is_change: bool, number: u64) -> RowPlace {
        RowPlace { life: 3, commit: Some(Commit { number: commit, is_change }), number }
    }

    #[test]
    fn a_name_says_which_rows_a_file_has() {
        for (run, name) in [
            (
                FileRun { first: log(1_200), next: log(1_300), ending: ".jsonl" },
                "s-0-00000000000000001200-00000000000000001300.jsonl",
            ),
            (
                FileRun { first: view(17, true, 0), next: view(18, true, 4), ending: ".jsonl.zst" },
                "s-3-00000000000000000017_0000000000-00000000000000000018_0000000004.jsonl.zst",
            ),
            (
                FileRun { first: view(17, false, 2), next: view(17, false, u64::MAX), ending: ".jsonl.gz" },
                "s-3-00000000000000000017s0000000002-00000000000000000017s18446744073709551615.jsonl.gz",
            ),
        ] {
            assert_eq!(run.name("s"), name);
            assert_eq!(FileRun::parse(name, "s"), Some(run.clone()));
            let state = Unfinished { rows: 7, bytes: 65_536, began_ms: 1_790_000_000_000 };
            assert_eq!(FileRun::parse_part(&run.part_name("s", state), "s"), Some((run, state)));
        }
    }

    #[test]
    fn other_files_are_not_taken_for_ours() {
        for name in [
            "s-0-1200-1300.jsonl",
            "s-0-00000000000000001200-00000000000000001300.jsonl.bz2",
            "s-0-00000000000000001200-00000000000000001300.json",
            "s-0-00000000000000001300-00000000000000001200.jsonl",
            "s-+0-00000000000000001200-00000000000000001300.jsonl",
            "st-0-00000000000000001200-00000000000000001300.jsonl",
            "s-0-00000000000000001200.jsonl",
            "notes.txt",
            "",
        ] {
            assert_eq!(FileRun::parse(name, "s"), None, "{name}");
            assert_eq!(FileRun::parse_part(&format!(".{name}-1-1.part"), "s"), None, "{name}");
        }
    }

    #[test]
    fn rows_follow_one_another_within_a_life() {
        assert!(log(8).follows(log(8)) && !log(9).follows(log(8)) && !log(7).follows(log(8)));
        assert!(view(4, true, 2).follows(view(4, true, 2)));
        assert!(view(5, true, 0).follows(view(4, true, 2)) && !view(5, true, 1).follows(view(4, true, 2)));
        assert!(!view(5, true, 0).follows(view(4, false, 2)), "changes are not in a file of a snapshot");
    }
}
