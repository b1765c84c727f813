//! A body as it arrives: decoded, in memory that is granted as it comes, and no slower than is fair.
//!
//! Time is counted only while we wait for the sender. It has [`PATIENCE_MAX`]; each byte earns some back, so that a body goes
//! on as long as it comes faster than [`BYTES_PER_SECOND_MIN`]. One that is taken line by line has its own measure.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, BodyDataStream, Bytes},
    http::{HeaderMap, StatusCode},
};
use bytes::BytesMut;
use futures::StreamExt;
use tokio::time::{Instant, timeout};

use super::{
    coding::{Coding, Undone},
    memory::{BodyMemory, Grant, MEMORY_TIME_MAX},
};
use crate::answers::Refusal;

/// How long a sender may keep us waiting, as long as it has earned nothing: a packet that was lost takes a second or two.
pub(crate) const PATIENCE_MAX: Duration = Duration::from_secs(10);

/// The slowest body that is waited for: 8 KiB/s. The largest takes 35 minutes at it, and holds no more than it has sent.
pub(crate) const BYTES_PER_SECOND_MIN: u32 = 8 << 10;

/// A body that comes.
pub(crate) struct Arriving {
    pieces: BodyDataStream,
    coding: Coding,
    bytes_max: usize,
    memory: Grant,
    patience: Patience,
    /// What has come and waits for memory.
    pending: Option<Bytes>,
    ended: bool,
}

/// The time for which a sender may still keep us waiting.
#[derive(Clone, Copy, Debug)]
struct Patience {
    left: Duration,
    /// More than this is not saved up.
    max: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { left: PATIENCE_MAX, max: PATIENCE_MAX }
    }
}

impl Patience {
    fn left(self) -> Duration {
        self.left
    }

    /// After `waited`, so many bytes came.
    fn heard(&mut self, waited: Duration, bytes: usize) {
        let earned = Duration::from_secs(1).mul_f64(bytes as f64 / f64::from(BYTES_PER_SECOND_MIN));
        // What is used up is not earned back: else a body that drips a little at the last moment would never end.
        let rest = self.left.checked_sub(waited).filter(|rest| !rest.is_zero());
        self.left = rest.map_or(Duration::ZERO, |rest| rest.saturating_add(earned).min(self.max));
    }
}

/// What a slow sender is told.
fn too_slow(pauses_max: Duration) -> Refusal {
    let error = format!(
        "the body kept this server waiting for {} s; send at least {BYTES_PER_SECOND_MIN} bytes a second, or in parts",
        pauses_max.as_secs(),
    );
    Refusal::new(StatusCode::REQUEST_TIMEOUT, error)
}

impl Arriving {
    /// A body of at most `bytes_max` bytes, decoded.
    ///
    /// # Errors
    /// 415 when it is coded as we cannot undo.
    pub(crate) fn new(
        memory: &Arc<BodyMemory>,
        headers: &HeaderMap,
        body: Body,
        bytes_max: usize,
    ) -> Result<Self, Refusal> {
        Ok(Self {
            coding: Coding::of(headers)?,
            pieces: body.into_data_stream(),
            bytes_max,
            memory: memory.begin(),
            patience: Patience::default(),
            pending: None,
            ended: false,
        })
    }

    /// The whole of it. Its memory is held until `self` is dropped.
    ///
    /// # Errors
    /// 413 when it is larger, 408 when it is slower, 400 when the connection breaks in it or it is damaged, 503 when there is
    /// no memory for it.
    pub(crate) async fn whole(&mut self) -> Result<Bytes, Refusal> {
        let mut whole = BytesMut::new();
        while let Some(piece) = self.next(whole.len()).await? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    /// The next piece, decoded, when so many bytes are held already; `None` at the end. It may be empty. Cancel-safe: what was
    /// not returned comes the next time.
    pub(crate) async fn next(&mut self, held: usize) -> Result<Option<Bytes>, Refusal> {
        if self.ended {
            return Ok(None);
        }
        if self.pending.is_none() {
            self.pending = Some(match self.wait().await? {
                Some(piece) => self.undo(piece, held)?,
                None => {
                    let room = self.bytes_max.saturating_sub(held);
                    let rest = self.coding.finish(room).map_err(|why| self.refused(why))?;
                    self.ended = true;
                    if rest.is_empty() {
                        return Ok(None);
                    }
                    Bytes::from(rest)
                }
            });
        }
        let bytes = self.pending.as_ref().map_or(0, Bytes::len);
        if held + bytes > self.bytes_max {
            return Err(self.refused(Undone::TooLarge));
        }
        if bytes > 0 && !self.memory.grow(bytes).await {
            let error = format!("other bodies took all memory for {} s; send it again", MEMORY_TIME_MAX.as_secs());
            return Err(Refusal::busy(error, 5));
        }
        Ok(self.pending.take())
    }

    /// So many bytes of what was returned are dealt with.
    pub(crate) fn forget(&self, bytes: usize) {
        self.memory.shrink(bytes);
    }

    /// From now on the sender may keep us waiting for `pauses_max`, until this is said again.
    pub(crate) fn allow_pauses(&mut self, pauses_max: Duration) {
        self.patience = Patience { left: pauses_max, max: pauses_max };
    }

    fn undo(&mut self, piece: Bytes, held: usize) -> Result<Bytes, Refusal> {
        if self.coding.is_plain() {
            return Ok(piece);
        }
        let room = self.bytes_max.saturating_sub(held);
        self.coding.undo(&piece, room).map(Bytes::from).map_err(|why| self.refused(why))
    }

    async fn wait(&mut self) -> Result<Option<Bytes>, Refusal> {
        // What is there already costs nobody time.
        let begun = Instant::now();
        self.memory.waits(true);
        let piece = tokio::select! {
            biased;
            piece = timeout(self.patience.left(), self.pieces.next()) => piece,
            () = self.memory.given_up() => {
                let error = "the body was slow and its memory was needed for others; send it again, in parts";
                return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, error));
            }
        };
        self.memory.waits(false);
        match piece {
            Err(_) => Err(too_slow(self.patience.max)),
            Ok(None) => Ok(None),
            Ok(Some(Ok(piece))) => {
                self.patience.heard(begun.elapsed(), piece.len());
                Ok(Some(piece))
            }
            Ok(Some(Err(error))) => {
                Err(Refusal::new(StatusCode::BAD_REQUEST, format!("the body could not be read: {error}")))
            }
        }
    }

    fn refused(&self, why: Undone) -> Refusal {
        match why {
            Undone::TooLarge => {
                let what = if self.coding.is_plain() { "has" } else { "becomes" };
                let error = format!("the body {what} more than {} bytes; send it in parts", self.bytes_max);
                Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, error)
            }
            Undone::Damaged(what) => Refusal::new(StatusCode::BAD_REQUEST, what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arriving(body: Body, bytes_max: usize) -> Arriving {
        Arriving::new(&Arc::default(), &HeaderMap::new(), body, bytes_max).expect("not coded")
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_too_large_and_one_at_the_limit_is_not() {
        let body = |bytes: usize| Body::from(vec![b'x'; bytes]);
        assert_eq!(arriving(body(8), 8).whole().await.map(|b| b.len()).ok(), Some(8));
        let refusal = arriving(body(9), 8).whole().await.expect_err("nine bytes");
        assert_eq!(refusal.status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn a_body_that_never_comes_is_given_up() {
        let never = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        let mut arriving = arriving(never, 8);
        arriving.allow_pauses(Duration::from_millis(1));
        let refusal = arriving.whole().await.expect_err("no body");
        assert_eq!(refusal.status, StatusCode::REQUEST_TIMEOUT);
    }

    #[test]
    fn a_body_that_drips_runs_out_of_patience_and_one_that_flows_does_not() {
        let drips = |bytes: usize| {
            let mut patience = Patience::default();
            for _ in 0..1_000 {
                if !patience.left().is_zero() {
                    patience.heard(Duration::from_secs(2), bytes);
                }
            }
            patience.left()
        };
        assert!(drips(1).is_zero() && drips(8 << 10).is_zero());
        assert_eq!(drips(32 << 10), PATIENCE_MAX);
    }
}
