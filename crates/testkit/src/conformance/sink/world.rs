//! What the engine is to a sink: it opens, writes, checks the answers, commits, and asks the target.

use std::{sync::Arc, time::Duration};

use lakehead_connector_api::{Answer, Batch, Delivery, Error, Feed, Sink, SinkContext, SinkSpec, Takes};
use lakehead_model::Timestamp;

use super::{rows, target::Target};
use crate::ManualClock;

/// The longest that a call may take when the target is well. Far more than any needs: what it catches never ends.
const CALL_MAX: Duration = Duration::from_secs(30);

/// A sink kind and its target.
pub(super) struct SinkWorld<T> {
    pub(super) spec: SinkSpec,
    pub(super) target: T,
}

impl<T: Target> SinkWorld<T> {
    pub(super) fn new(spec: SinkSpec, target: T) -> Self {
        Self { spec, target }
    }

    /// Whether rows have keys, and so are those of a view.
    pub(super) fn is_keyed(&self) -> bool {
        self.spec.takes == Takes::Keyed
    }

    /// Whether a row that is written twice has one effect.
    pub(super) fn is_once(&self) -> bool {
        self.spec.delivery != Delivery::AtLeastOnce
    }

    /// Opens the sink for what its kind takes at least: events, or a view.
    pub(super) async fn open(&self) -> Box<dyn Sink> {
        self.open_for(self.is_keyed()).await
    }

    pub(super) async fn open_for(&self, view: bool) -> Box<dyn Sink> {
        let settings = self.target.settings();
        (self.spec.check)(&settings).expect("the target's settings pass the check");
        let from = if view {
            let columns = vec![("id".to_owned(), "BIGINT".to_owned()), ("text".to_owned(), "VARCHAR".to_owned())];
            Feed::View { name: rows::name(), columns, key: vec!["id".to_owned()] }
        } else {
            Feed::Stream { name: rows::name(), columns: Vec::new() }
        };
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_800_000_000)));
        let context = SinkContext { name: "tested".to_owned(), from, clock };
        in_time("open", (self.spec.open)(settings, context)).await.expect("the sink opens")
    }

    /// Writes what the target takes. A row that it wants later is written again, as the engine does.
    pub(super) async fn write(&self, sink: &mut dyn Sink, batch: &Batch) {
        let mut rest: Vec<usize> = (0..batch.len()).collect();
        for _ in 0..10 {
            let part = batch.select(&rest);
            let answers = write(sink, &part).await.expect("a write to a target that is well");
            rest = rest.iter().zip(&answers).filter(|(_, a)| matches!(a, Answer::Later(_))).map(|(r, _)| *r).collect();
            for answer in answers {
                assert!(!matches!(answer, Answer::Refused(_)), "a row that was good is refused: {answer:?}");
            }
            if rest.is_empty() {
                return;
            }
        }
        panic!("a target that is well never takes row {rest:?}");
    }

    pub(super) async fn commit(&self, sink: &mut dyn Sink, batch: &Batch) {
        in_time("commit", sink.commit(batch.end())).await.expect("a commit to a target that is well");
    }

    /// Opens, writes, commits and closes.
    pub(super) async fn deliver(&self, batches: &[Batch]) {
        let mut sink = self.open().await;
        for batch in batches {
            self.write(sink.as_mut(), batch).await;
            self.commit(sink.as_mut(), batch).await;
        }
        in_time("close", sink.close()).await.expect("a close of a target that is well");
    }

    /// That the target holds exactly these rows, in this order; with keys in any order.
    pub(super) async fn holds(&mut self, expected: &[Vec<u8>], when: &str) {
        let found = self.target.rows().await;
        let (found, expected) = (self.sorted(found), self.sorted(expected.to_vec()));
        if found != expected {
            let short = |rows: &[Vec<u8>]| -> Vec<String> {
                rows.iter().map(|row| String::from_utf8_lossy(row).chars().take(60).collect()).collect()
            };
            panic!("{when}: the target holds {:?}, expected {:?}", short(&found), short(&expected));
        }
    }

    /// That the target holds each of these rows, and nothing else: once where the kind promises it, else at least once.
    pub(super) async fn holds_each(&mut self, expected: &[Vec<u8>], when: &str) {
        if self.is_once() {
            return self.holds(expected, when).await;
        }
        let found = self.target.rows().await;
        for row in expected {
            assert!(found.contains(row), "{when}: {} is lost", String::from_utf8_lossy(row));
        }
        for row in &found {
            assert!(expected.contains(row), "{when}: {} was never written", String::from_utf8_lossy(row));
        }
    }

    /// A target with keys has no order, and its own way to write a row.
    fn sorted(&self, mut rows: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        if self.is_keyed() {
            for row in &mut rows {
                if let Ok(value) = serde_json::from_slice::<serde_json::Value>(row) {
                    *row = value.to_string().into_bytes();
                }
            }
            rows.sort();
        }
        rows
    }
}

/// One write, with one answer for each row.
pub(super) async fn write(sink: &mut dyn Sink, batch: &Batch) -> Result<Vec<Answer>, Error> {
    let answers = in_time("write", sink.write(batch)).await?;
    assert_eq!(answers.len(), batch.len(), "one answer for each row");
    Ok(answers)
}

/// What `call` comes to, which it has to within [`CALL_MAX`].
pub(super) async fn in_time<R>(what: &str, call: impl Future<Output = R>) -> R {
    tokio::time::timeout(CALL_MAX, call)
        .await
        .unwrap_or_else(|_| panic!("{what} did not come to an end within {} s", CALL_MAX.as_secs()))
}
