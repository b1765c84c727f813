//! Which files rest: nobody has changed them for a while, so whoever writes them is done.
//!
//! A file rests when it was seen twice, so far apart, and was the same; that needs no clock but ours. One that was changed so long
//! ago that no difference between clocks explains it rests at once, so that a folder full of old files is taken without delay.

use std::{
    collections::HashMap,
    fs::Metadata,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use lakehead_model::{Clock, Timestamp};
use tokio::time::Instant;

use super::{cursor::FileState, listing::CLOCK_SKEW};

/// What was seen of files that do not rest yet; of two looks at the folder, so it is bounded as they are.
pub(super) struct Resting {
    rest: Duration,
    clock: Arc<dyn Clock>,
    before: HashMap<PathBuf, Sight>,
    seen: HashMap<PathBuf, Sight>,
}

/// How a file was, and since when it has been seen so.
#[derive(Clone, Copy)]
struct Sight {
    state: FileState,
    /// When anything of it was changed last; nobody can set this, as they can when its content was.
    changed: Timestamp,
    since: Instant,
}

impl Resting {
    pub(super) fn new(rest: Duration, clock: Arc<dyn Clock>) -> Self {
        Self { rest, clock, before: HashMap::new(), seen: HashMap::new() }
    }

    /// The folder is looked at once more: files that are not asked about any more are forgotten.
    pub(super) fn next_look(&mut self) {
        self.before = std::mem::take(&mut self.seen);
    }

    /// Whether the file `below` the folder rests.
    pub(super) fn rests(&mut self, below: &Path, metadata: &Metadata, now: Instant) -> bool {
        if self.rest.is_zero() {
            return true;
        }
        let micros = metadata.ctime().saturating_mul(1_000_000).saturating_add(metadata.ctime_nsec() / 1_000);
        let sight = Sight { state: FileState::of(metadata), changed: Timestamp(micros), since: now };
        if sight.changed.plus(self.rest + CLOCK_SKEW) <= self.clock.now() {
            return true;
        }
        let before = self.seen.get(below).or_else(|| self.before.get(below));
        let same = before.filter(|before| before.state == sight.state && before.changed == sight.changed);
        let since = same.map_or(now, |before| before.since);
        self.seen.insert(below.to_owned(), Sight { since, ..sight });
        now.duration_since(since) >= self.rest
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use lakehead_testkit::ManualClock;

    use super::*;

    #[test]
    fn a_file_rests_once_it_was_the_same_for_so_long() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        fs::write(&path, "1").expect("a file");
        let seen = |path: &Path| fs::metadata(path).expect("a file");
        let mut resting = Resting::new(Duration::from_secs(5), Arc::new(ManualClock::new(Timestamp(0))));
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let below = Path::new("a");
        assert!(!resting.rests(below, &seen(&path), at(0)));
        assert!(!resting.rests(below, &seen(&path), at(4)));
        fs::write(&path, "12").expect("a file");
        resting.next_look();
        assert!(!resting.rests(below, &seen(&path), at(6)), "it has changed");
        resting.next_look();
        assert!(!resting.rests(below, &seen(&path), at(10)));
        resting.next_look();
        assert!(resting.rests(below, &seen(&path), at(11)));
        resting.next_look();
        resting.next_look();
        assert!(!resting.rests(below, &seen(&path), at(12)), "what was not asked about is forgotten");
        let mut at_once = Resting::new(Duration::ZERO, Arc::new(ManualClock::new(Timestamp(0))));
        assert!(at_once.rests(below, &seen(&path), at(0)));
    }

    #[test]
    fn an_old_file_rests_at_once_and_one_from_the_future_after_a_while() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        fs::write(&path, "1").expect("a file");
        let metadata = fs::metadata(&path).expect("a file");
        let changed = Timestamp::from_seconds(metadata.ctime());
        let now = Instant::now();
        for (clock, rests) in
            [(changed.plus(Duration::from_secs(66)), true), (changed.plus(Duration::from_secs(60)), false)]
        {
            let mut resting = Resting::new(Duration::from_secs(5), Arc::new(ManualClock::new(clock)));
            assert_eq!(resting.rests(Path::new("a"), &metadata, now), rests);
        }
        let long_ago = Arc::new(ManualClock::new(Timestamp(0)));
        let mut resting = Resting::new(Duration::from_secs(5), long_ago);
        assert!(!resting.rests(Path::new("a"), &metadata, now));
        assert!(resting.rests(Path::new("a"), &metadata, now + Duration::from_secs(5)));
    }
}
