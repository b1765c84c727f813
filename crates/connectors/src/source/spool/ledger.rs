//! The files that were taken and are not out of the way yet: what the reader and the acknowledger share.
//!
//! ```text
//! reader: all of it was read ─▶ entry ─▶ in each cursor ─▶ on disk ─▶ acknowledger puts it out of the way ─▶ no entry
//!                                 ▲                                    └─ it has changed ─▶ reader: a reject ─┐
//!                                 └──────────────────────── to be set aside ◀─────────────────────────────────┘
//! ```

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::{cursor::TakenFile, names::SpoolName};

/// The most entries, and bytes of their names. A chunk has at most half as many files, so that one is read while another is
/// committed; with them a cursor has at most 32 KiB, half of what it may have.
pub(super) const ENTRIES_MAX: usize = 128;
const NAMES_BYTES_MAX: usize = 16 << 10;

/// The entries.
#[derive(Default)]
pub(super) struct Ledger {
    entries: Mutex<BTreeMap<SpoolName, LedgerEntry>>,
    /// There is room again, or something to be told.
    pub(super) changed: Notify,
}

struct LedgerEntry {
    file: TakenFile,
    /// It was found changed, and nobody has told so yet.
    has_changed: bool,
}

/// What became of a file that was to be put out of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// It is out of the way.
    Away,
    /// It is not what was taken: it was left where it is.
    Changed,
}

impl Ledger {
    pub(super) fn new(files: Vec<TakenFile>) -> Self {
        let ledger = Self::default();
        files.into_iter().for_each(|file| ledger.add(file));
        ledger
    }

    /// Whether one more of this name may be added.
    pub(super) fn has_room(&self, name: &SpoolName) -> bool {
        let entries = self.lock();
        let bytes: usize = entries.keys().map(SpoolName::len).sum();
        entries.len() < ENTRIES_MAX && bytes + name.len() <= NAMES_BYTES_MAX
    }

    pub(super) fn has(&self, name: &SpoolName) -> bool {
        self.lock().contains_key(name)
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn add(&self, file: TakenFile) {
        self.lock().insert(file.name.clone(), LedgerEntry { file, has_changed: false });
    }

    /// All, as a cursor has them.
    pub(super) fn files(&self) -> Vec<TakenFile> {
        self.lock().values().map(|entry| entry.file.clone()).collect()
    }

    /// Which of `files`, that a committed cursor has, are to be put out of the way now: not those that are already, nor those of
    /// which something else was found out since.
    pub(super) fn due(&self, files: Vec<TakenFile>) -> Vec<TakenFile> {
        let entries = self.lock();
        let is_due =
            |file: &TakenFile| entries.get(&file.name).is_some_and(|entry| !entry.has_changed && entry.file == *file);
        files.into_iter().filter(is_due).collect()
    }

    /// What became of files that were due.
    pub(super) fn settled(&self, outcomes: Vec<(SpoolName, Settled)>) {
        let mut entries = self.lock();
        for (name, outcome) in outcomes {
            match (outcome, entries.get_mut(&name)) {
                (Settled::Changed, Some(entry)) => entry.has_changed = true,
                _ => drop(entries.remove(&name)),
            }
        }
        drop(entries);
        self.changed.notify_one();
    }

    /// Those that were found changed, each once: from now on they are to be set aside.
    pub(super) fn take_changed(&self) -> Vec<SpoolName> {
        let mut names = Vec::new();
        for (name, entry) in self.lock().iter_mut().filter(|(_, entry)| entry.has_changed) {
            (entry.has_changed, entry.file.is_refused) = (false, true);
            names.push(name.clone());
        }
        names
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SpoolName, LedgerEntry>> {
        // Each change is one step, so what a panic has left is whole.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{
        super::cursor::{FileState, SpoolCursor},
        *,
    };

    fn file(name: &str) -> TakenFile {
        let state = FileState { size: u64::MAX, modified_ns: i64::MIN, inode: u64::MAX };
        TakenFile { name: SpoolName::of(Path::new(name)), state, is_refused: false }
    }

    #[test]
    fn a_changed_file_is_told_once_and_set_aside_only_when_a_cursor_says_so() {
        let ledger = Ledger::new(vec![file("a"), file("b")]);
        let before = ledger.files();
        assert_eq!(ledger.due(before.clone()), before);
        let name = |name: &str| SpoolName::of(Path::new(name));
        ledger.settled(vec![(name("a"), Settled::Changed), (name("b"), Settled::Away)]);
        assert!(ledger.due(before.clone()).is_empty(), "nothing of the old cursor is done again");
        assert_eq!((ledger.take_changed(), ledger.take_changed()), (vec![name("a")], vec![]));
        assert!(ledger.due(before).is_empty(), "the reject is not on disk yet");
        let now = ledger.files();
        assert!(now[0].is_refused && ledger.due(now.clone()) == now);
    }

    #[test]
    fn a_full_ledger_fits_a_cursor() {
        for name_bytes in [5, 1_024] {
            let ledger = Ledger::default();
            for n in 0.. {
                let file = file(&format!("{n:0name_bytes$}"));
                if !ledger.has_room(&file.name) {
                    break;
                }
                ledger.add(file);
            }
            let cursor = SpoolCursor { reading: None, taken: ledger.files() };
            assert!(cursor.taken.len() >= 16 && cursor.text().len() < 30 << 10, "{}", cursor.text().len());
        }
    }
}
