//! A sink that is given at most so many rows a second. Used by `http`, for targets that count what a client sends.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use lakehead_model::{Clock, Position, Timestamp};

use crate::{Answer, Batch, Error, Sink};

/// Says how long to wait: a token bucket that holds one second's worth and begins full. It may be overdrawn, so that a batch
/// larger than the bucket goes too; the next one then waits for what is owed.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    per_second: f64,
    held: f64,
    at: Timestamp,
}

impl TokenBucket {
    /// A full bucket of `per_second` tokens, at least one.
    #[must_use]
    pub fn new(per_second: u32, now: Timestamp) -> Self {
        let per_second = f64::from(per_second.max(1));
        Self { per_second, held: per_second, at: now }
    }

    /// How long to wait before `tokens` may be taken: until the bucket has them, or is full where it never can. A clock that
    /// was set back adds nothing.
    #[must_use]
    pub fn wait(&mut self, tokens: usize, now: Timestamp) -> Duration {
        self.held = (self.held + now.since(self.at).as_secs_f64() * self.per_second).min(self.per_second);
        self.at = now;
        let missing = count(tokens).min(self.per_second) - self.held;
        Duration::from_secs_f64((missing / self.per_second).max(0.0))
    }

    /// Takes them.
    pub fn take(&mut self, tokens: usize) {
        self.held -= count(tokens);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a batch has far fewer than 2^52 rows")]
fn count(rows: usize) -> f64 {
    rows as f64
}

type Sleep = Box<dyn Fn(Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// Waits before a write until the rows of it may go.
pub struct Limited {
    inner: Box<dyn Sink>,
    bucket: TokenBucket,
    clock: Arc<dyn Clock>,
    sleep: Sleep,
}

impl Limited {
    /// Around `inner`: at most `rows_per_second`, and as many at once after a pause.
    #[must_use]
    pub fn new(inner: Box<dyn Sink>, rows_per_second: u32, clock: Arc<dyn Clock>) -> Self {
        Self::with_sleep(inner, rows_per_second, clock, Box::new(|wait| Box::pin(tokio::time::sleep(wait))))
    }

    fn with_sleep(inner: Box<dyn Sink>, rows_per_second: u32, clock: Arc<dyn Clock>, sleep: Sleep) -> Self {
        Self { inner, bucket: TokenBucket::new(rows_per_second, clock.now()), clock, sleep }
    }
}

#[async_trait]
impl Sink for Limited {
    async fn resume(&mut self) -> Result<Option<Position>, Error> {
        self.inner.resume().await
    }

    async fn write(&mut self, batch: &Batch) -> Result<Vec<Answer>, Error> {
        let wait = self.bucket.wait(batch.len(), self.clock.now());
        if !wait.is_zero() {
            (self.sleep)(wait).await;
            let _ = self.bucket.wait(batch.len(), self.clock.now());
        }
        self.bucket.take(batch.len());
        self.inner.write(batch).await
    }

    async fn commit(&mut self, through: &Position) -> Result<(), Error> {
        self.inner.commit(through).await
    }

    async fn close(self: Box<Self>) -> Result<(), Error> {
        self.inner.close().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use lakehead_model::{Name, Offset};

    use super::*;
    use crate::{BatchKind, RowHead};

    #[test]
    fn rows_a_second_are_kept_to_over_any_stretch() {
        let mut now = Timestamp(0);
        let mut bucket = TokenBucket::new(100, now);
        for _ in 0..50 {
            now = now.plus(bucket.wait(30, now));
            let _ = bucket.wait(30, now);
            bucket.take(30);
        }
        // 1,500 rows, of which a second's worth was there at the start.
        assert!((13_900_000..=14_100_000).contains(&now.0), "{now}");
    }

    #[test]
    fn a_batch_that_is_larger_than_the_bucket_goes_and_is_owed() {
        let mut bucket = TokenBucket::new(10, Timestamp(0));
        assert_eq!(bucket.wait(50, Timestamp(0)), Duration::ZERO);
        bucket.take(50);
        assert_eq!(bucket.wait(10, Timestamp(0)), Duration::from_secs(5));
        assert_eq!(bucket.wait(10, Timestamp(-9)), Duration::from_secs(5), "a clock that was set back");
    }

    #[test]
    fn a_pause_saves_up_a_second_and_no_more() {
        let mut bucket = TokenBucket::new(10, Timestamp(0));
        let later = Timestamp::from_seconds(3_600);
        assert_eq!(bucket.wait(10, later), Duration::ZERO);
        bucket.take(10);
        assert_eq!(bucket.wait(10, later), Duration::from_secs(1));
    }

    #[derive(Debug, Default)]
    struct Set(AtomicI64);

    impl Clock for Set {
        fn now(&self) -> Timestamp {
            Timestamp(self.0.load(Ordering::SeqCst))
        }
    }

    struct Taking;

    #[async_trait]
    impl Sink for Taking {
        async fn write(&mut self, batch: &Batch) -> Result<Vec<Answer>, Error> {
            Ok(vec![Answer::Done; batch.len()])
        }
    }

    #[tokio::test]
    async fn a_write_waits_until_its_rows_may_go() {
        let clock = Arc::new(Set::default());
        let sleeping = Arc::clone(&clock);
        let sleep: Sleep = Box::new(move |wait| {
            sleeping.0.fetch_add(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX), Ordering::SeqCst);
            Box::pin(std::future::ready(()))
        });
        let mut sink = Limited::with_sleep(Box::new(Taking), 2, clock.clone(), sleep);
        let position = Position::Log { epoch: 0, next: Offset(0) };
        let lines = (b"1\n2\n".to_vec().into(), vec![2, 4]);
        let name = Name::new("s").expect("a name");
        let batch = Batch::new(name, (position, position), lines, vec![RowHead::default(); 2], BatchKind::Changes);
        for second in 0..4 {
            assert_eq!(sink.write(&batch).await.expect("answers").len(), 2);
            assert_eq!(clock.now(), Timestamp::from_seconds(second));
        }
    }
}
