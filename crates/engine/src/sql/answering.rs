//! An answer on its way to the client, piece by piece, and how it ended.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use lakehead_query::worker::AnswerHead;
use tokio::sync::mpsc;

use super::error::SqlError;
use crate::sync::lock;

/// An answer that comes bit by bit. Dropping it stops its query.
#[derive(Debug)]
pub struct Answering {
    /// What is known before the first byte.
    pub head: AnswerHead,
    pub(super) pieces: mpsc::Receiver<Bytes>,
    pub(super) ended: Arc<Ended>,
}

/// How an answer ended.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// The whole answer was handed over.
    pub(super) whole: AtomicBool,
    /// Why it broke off, where that is known.
    pub(super) why: Mutex<Option<SqlError>>,
}

impl Answering {
    /// The next bytes; `None` after the last.
    ///
    /// # Errors
    /// When the answer breaks off: what came before is only a part of it.
    pub async fn next(&mut self) -> Option<Result<Bytes, SqlError>> {
        if let Some(piece) = self.pieces.recv().await {
            return Some(Ok(piece));
        }
        if self.ended.whole.load(Ordering::Acquire) {
            return None;
        }
        let why = lock(&self.ended.why).clone();
        Some(Err(why.unwrap_or_else(|| SqlError::Failed("the answer broke off".to_owned()))))
    }

    /// All of it, of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// When it breaks off, or is larger.
    pub async fn whole(&mut self, bytes_max: usize) -> Result<Vec<u8>, SqlError> {
        let mut whole = Vec::new();
        while let Some(piece) = self.next().await {
            whole.extend_from_slice(&piece?);
            if whole.len() > bytes_max {
                return Err(SqlError::Limit(format!("the answer has more than {bytes_max} bytes; ask for less")));
            }
        }
        Ok(whole)
    }
}
