//! Which rows finished files have already. Pure.

use std::path::PathBuf;

use super::place::{FileRun, RowPlace};

/// The runs of finished files, in order.
#[derive(Debug, Default)]
pub(super) struct Covered(Vec<(FileRun, PathBuf)>);

impl Covered {
    /// Of these files. Where two have the same rows, which no crash of ours leaves, either will do.
    pub(super) fn new(mut runs: Vec<(FileRun, PathBuf)>) -> Self {
        runs.sort_by_key(|(run, _)| (run.first, run.next));
        Self(runs)
    }

    /// Adds a finished file.
    pub(super) fn add(&mut self, run: FileRun, path: PathBuf) {
        let place = self.0.partition_point(|(other, _)| other.first <= run.first);
        self.0.insert(place, (run, path));
    }

    /// The file that has the row at `place`.
    pub(super) fn at(&self, place: RowPlace) -> Option<&(FileRun, PathBuf)> {
        let after = self.0.partition_point(|(run, _)| run.first <= place);
        self.0[..after].last().filter(|(run, _)| place < run.next)
    }

    /// Forgets files that end before `place`: what comes from there on cannot be in them.
    pub(super) fn forget_before(&mut self, place: RowPlace) {
        self.0.retain(|(run, _)| run.next > place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_covered_by_the_run_that_it_is_in() {
        let place = |number| RowPlace { life: 0, commit: None, number };
        let run = |first, next| (FileRun { first: place(first), next: place(next), ending: ".jsonl" }, PathBuf::new());
        let mut covered = Covered::new(vec![run(20, 30), run(0, 10)]);
        let (more, path) = run(40, 41);
        covered.add(more, path);
        let are: Vec<u64> = (0..50).filter(|n| covered.at(place(*n)).is_some()).collect();
        assert_eq!(are, (0..10).chain(20..30).chain(40..41).collect::<Vec<_>>());
        assert!(covered.at(RowPlace { life: 1, commit: None, number: 5 }).is_none());
        covered.forget_before(place(29));
        assert!(covered.at(place(5)).is_none() && covered.at(place(29)).is_some());
    }
}
