//! A follower of a view whose changes are written by hand.

use std::sync::Mutex;

use futures::future::BoxFuture;
use lakehead_query::ChangeHead;

use super::*;
use crate::{
    follow::claim::ChangesHeld,
    sync::lock,
    tests::{SOON, name},
};

/// One commit: its number, and the texts of its rows in parts.
type Commit = (u64, Vec<Vec<&'static str>>);

/// Changes written by hand, of incarnation 1.
struct Hand {
    /// The oldest position that is known.
    oldest: u64,
    commits: Mutex<Vec<Commit>>,
    newest: watch::Sender<Position>,
}

fn at(commit: u64) -> Position {
    Position::View { incarnation: 1, commit }
}

impl Hand {
    fn new(oldest: u64, commits: Vec<Commit>) -> Arc<Self> {
        let newest = commits.last().map_or(oldest, |(number, _)| *number);
        Arc::new(Self { oldest, commits: Mutex::new(commits), newest: watch::Sender::new(at(newest)) })
    }

    fn commits(&self, commit: Commit) {
        let number = commit.0;
        lock(&self.commits).push(commit);
        self.newest.send_replace(at(number));
    }
}

fn lines(texts: &[&str]) -> ChangeLines {
    let mut lines = ChangeLines::default();
    for text in texts {
        lines.text.extend_from_slice(text.as_bytes());
        lines.text.push(b'\n');
        let operation = if text.starts_with('-') { "delete" } else { "insert" };
        let key = Some(text.trim_start_matches('-').into());
        let head = ChangeHead { end: lines.text.len(), operation: operation.into(), key, window_start: None };
        lines.heads.push(head);
    }
    lines
}

impl ChangeFeed for Hand {
    fn commits(&self) -> watch::Receiver<Position> {
        self.newest.subscribe()
    }

    fn read(&self, after: Option<Position>) -> BoxFuture<'static, Result<ChangesRead, Error>> {
        let newest = *self.newest.borrow();
        let after = match after {
            Some(Position::View { incarnation: 1, commit }) if commit >= self.oldest => Some(commit),
            _ => None,
        };
        let mut parts = Vec::new();
        for (number, rows) in lock(&self.commits).iter().filter(|(number, _)| after.is_none_or(|after| *number > after))
        {
            for (index, part) in rows.iter().enumerate() {
                let (commit, is_last) = (at(*number), index + 1 == rows.len());
                parts.push(Ok(ChangesPart { commit, is_last, lines: lines(part) }));
            }
        }
        let read = ChangesRead { is_snapshot: after.is_none(), to: newest, parts: Box::new(parts.into_iter()) };
        Box::pin(std::future::ready(Ok(read)))
    }

    fn claim(&self, _: &str, _: Option<Position>) -> Box<dyn ChangesHeld> {
        unreachable!("a follower claims nothing by itself")
    }
}

/// What comes next: the ids and texts of its rows, its kind, and the position after it.
async fn next(follower: &mut ViewFollower) -> (Vec<String>, BatchKind, Option<Position>) {
    match tokio::time::timeout(SOON, follower.next()).await.expect("in time").expect("readable") {
        Step::Told(finding, _) => (vec![finding.why], BatchKind::Changes, None),
        Step::Rows { batch, to } => {
            let rows = batch.rows().map(|row| {
                let text = String::from_utf8_lossy(row.json);
                format!("{} {} {text}", batch.id(row), row.head.operation.name())
            });
            (rows.collect(), batch.kind(), to)
        }
    }
}

const ROWS: BatchKind = BatchKind::Snapshot { is_last: false };
const END: BatchKind = BatchKind::Snapshot { is_last: true };

#[tokio::test]
async fn a_snapshot_ends_with_an_empty_batch_and_changes_follow_commit_by_commit() {
    let hand = Hand::new(0, vec![(4, vec![vec!["a", "b"], vec!["c"]])]);
    let mut follower = ViewFollower::new(name("v"), hand.clone(), None);
    assert!(!follower.is_at_end());
    let row = |id: &str, row: &str| format!("v-1-{id} {row}");
    assert_eq!(next(&mut follower).await, (vec![row("4-0", "insert a"), row("4-1", "insert b")], ROWS, None));
    assert_eq!(next(&mut follower).await, (vec![row("4-2", "insert c")], ROWS, None));
    assert_eq!(next(&mut follower).await, (vec![], END, Some(at(4))));
    assert!(follower.is_at_end());
    hand.commits((5, vec![vec!["-a"], vec!["d"]]));
    hand.commits((7, vec![vec!["e"]]));
    assert_eq!(next(&mut follower).await, (vec![row("5-0", "delete -a")], BatchKind::Changes, None));
    assert_eq!(next(&mut follower).await, (vec![row("5-1", "insert d")], BatchKind::Changes, Some(at(5))));
    assert_eq!(next(&mut follower).await, (vec![row("7-0", "insert e")], BatchKind::Changes, Some(at(7))));
    assert!(follower.is_at_end());
    hand.commits((8, vec![]));
    assert_eq!(next(&mut follower).await, (vec![], BatchKind::Changes, Some(at(8))), "it changed nothing");
}

#[tokio::test]
async fn a_follower_waits_for_a_commit_and_loses_nothing_when_it_is_dropped_meanwhile() {
    let hand = Hand::new(3, vec![]);
    let mut follower = ViewFollower::new(name("v"), hand.clone(), Some(at(3)));
    assert!(follower.is_at_end());
    for _ in 0..2 {
        let waited = tokio::time::timeout(std::time::Duration::from_millis(5), follower.next()).await;
        assert!(waited.is_err(), "there is nothing");
    }
    let (told, ()) = tokio::join!(next(&mut follower), async { hand.commits((4, vec![vec!["a"]])) });
    assert_eq!(told.2, Some(at(4)));
}

#[tokio::test]
async fn a_position_that_is_not_known_is_told_and_a_snapshot_comes() {
    for position in [at(2), Position::View { incarnation: 9, commit: 4 }] {
        let mut follower = ViewFollower::new(name("v"), Hand::new(3, vec![(4, vec![vec!["a"]])]), Some(position));
        let (told, ..) = next(&mut follower).await;
        assert!(told[0].contains(&format!("since {position}")), "{told:?}");
        assert_eq!(next(&mut follower).await.1, ROWS);
        assert_eq!(next(&mut follower).await.2, Some(at(4)));
    }
    // Commit 0 is the position of who has not taken in a whole snapshot.
    let mut follower = ViewFollower::new(name("v"), Hand::new(0, vec![(4, vec![vec!["a"]])]), Some(at(0)));
    assert_eq!(next(&mut follower).await.1, ROWS, "nothing to be told");
}
