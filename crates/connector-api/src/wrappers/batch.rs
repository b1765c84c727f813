//! A sink that is given at most so many rows and bytes at once. Used by `http`, whose requests have limits of their own.

use std::{ops::Range, time::Duration};

use async_trait::async_trait;
use lakehead_model::Position;

use crate::{Answer, Batch, Error, Sink};

/// The most that a sink is given at once. A row that alone has more bytes goes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CutLimits {
    /// Rows, at least 1.
    pub rows_max: usize,
    /// Bytes of rows, each with its newline.
    pub bytes_max: usize,
}

/// Cuts each batch into parts and writes one after another, in order.
pub struct Batched {
    inner: Box<dyn Sink>,
    limits: CutLimits,
}

impl Batched {
    /// Around `inner`.
    #[must_use]
    pub fn new(inner: Box<dyn Sink>, limits: CutLimits) -> Self {
        Self { inner, limits }
    }
}

#[async_trait]
impl Sink for Batched {
    async fn resume(&mut self) -> Result<Option<Position>, Error> {
        self.inner.resume().await
    }

    async fn write(&mut self, batch: &Batch) -> Result<Vec<Answer>, Error> {
        let lengths = batch.rows().map(|row| row.json.len() + 1);
        let parts = cut(lengths, self.limits);
        if parts.len() <= 1 {
            return self.inner.write(batch).await;
        }
        let mut answers = Vec::with_capacity(batch.len());
        for part in parts {
            match self.inner.write(&batch.select(&part.collect::<Vec<_>>())).await {
                Ok(some) => answers.extend(some),
                Err(error) => return progress_or(error, answers, batch.len()),
            }
            // What follows would be at the target before it.
            if let Some(wait) = held_up(&answers) {
                answers.resize(batch.len(), Answer::Later(wait));
                break;
            }
        }
        Ok(answers)
    }

    async fn commit(&mut self, through: &Position) -> Result<(), Error> {
        self.inner.commit(through).await
    }

    async fn close(self: Box<Self>) -> Result<(), Error> {
        self.inner.close().await
    }
}

/// What a write of `rows` rows answers when `error` came after the first ones were answered: these answers, and for the rest
/// that they are to be tried again. Their next try finds the error by itself if it is still there, and then nothing is known
/// of any row, so that the error is told.
///
/// # Errors
/// `error`, when no row was answered before.
pub fn progress_or(error: Error, mut answers: Vec<Answer>, rows: usize) -> Result<Vec<Answer>, Error> {
    if answers.is_empty() {
        return Err(error);
    }
    let wait = match error {
        Error::Unavailable { retry_after, .. } => retry_after,
        _ => None,
    };
    answers.resize(rows, Answer::Later(wait));
    Ok(answers)
}

/// Whether a row is to be tried again, and no sooner than when: with rows that are kept in order nothing goes before it then.
#[must_use]
pub fn held_up(answers: &[Answer]) -> Option<Option<Duration>> {
    answers.iter().find_map(|answer| match answer {
        Answer::Later(wait) => Some(*wait),
        _ => None,
    })
}

/// Where rows of these lengths are cut: runs of them, in order, each within the limits if it has more than one row.
fn cut(lengths: impl Iterator<Item = usize>, limits: CutLimits) -> Vec<Range<usize>> {
    let mut parts: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0_usize;
    for (place, length) in lengths.enumerate() {
        match parts.last_mut() {
            Some(part) if part.len() < limits.rows_max && bytes.saturating_add(length) <= limits.bytes_max => {
                part.end = place + 1;
                bytes += length;
            }
            _ => {
                parts.push(place..place + 1);
                bytes = length;
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use lakehead_model::{Name, Offset};

    use super::*;
    use crate::{BatchKind, RowHead};

    #[test]
    fn rows_are_cut_by_number_and_by_bytes() {
        let limits = CutLimits { rows_max: 3, bytes_max: 10 };
        let cut = |lengths: &[usize]| cut(lengths.iter().copied(), limits);
        assert!(cut(&[]).is_empty());
        assert_eq!(cut(&[1, 1, 1, 1]), [0..3, 3..4]);
        assert_eq!(cut(&[5, 5, 1]), [0..2, 2..3], "ten bytes are within ten");
        assert_eq!(cut(&[1, 90, 1]), [0..1, 1..2, 2..3], "a row with more goes by itself");
    }

    /// Answers `Done` until it is away; or, to the write of this number, that it is to be tried again.
    struct Recording {
        written: Arc<Mutex<Vec<usize>>>,
        away_after: usize,
        busy_at: usize,
    }

    #[async_trait]
    impl Sink for Recording {
        async fn write(&mut self, batch: &Batch) -> Result<Vec<Answer>, Error> {
            let mut written = self.written.lock().expect("no test panics while it holds the lock");
            if written.len() == self.away_after {
                return Err(Error::Unavailable { what: "away".into(), retry_after: Some(Duration::from_secs(7)) });
            }
            written.push(batch.len());
            let is_busy = written.len() == self.busy_at;
            Ok(vec![if is_busy { Answer::Later(None) } else { Answer::Done }; batch.len()])
        }
    }

    async fn write(rows: u64, away_after: usize) -> (Result<Vec<Answer>, Error>, Vec<usize>) {
        write_to(rows, away_after, usize::MAX).await
    }

    async fn write_to(rows: u64, away_after: usize, busy_at: usize) -> (Result<Vec<Answer>, Error>, Vec<usize>) {
        let position = |next| Position::Log { epoch: 0, next: Offset(next) };
        let lines = (b"{}\n".repeat(rows as usize).into(), (1..=rows as u32).map(|n| n * 3).collect());
        let heads = (0..rows).map(|number| RowHead { number, ..RowHead::default() }).collect();
        let name = Name::new("s").expect("a name");
        let batch = Batch::new(name, (position(0), position(rows)), lines, heads, BatchKind::Changes);
        let written = Arc::default();
        let inner = Recording { written: Arc::clone(&written), away_after, busy_at };
        let answers = Batched::new(Box::new(inner), CutLimits { rows_max: 2, bytes_max: 100 }).write(&batch).await;
        let written = written.lock().expect("no test panics while it holds the lock").clone();
        (answers, written)
    }

    #[tokio::test]
    async fn each_row_has_its_answer() {
        let (answers, written) = write(5, usize::MAX).await;
        assert_eq!((answers.expect("answers"), written), (vec![Answer::Done; 5], vec![2, 2, 1]));
        assert_eq!(write(0, usize::MAX).await.0.expect("answers"), []);
    }

    #[tokio::test]
    async fn nothing_goes_before_rows_that_are_to_be_tried_again() {
        let (answers, written) = write_to(5, usize::MAX, 2).await;
        let later = Answer::Later(None);
        assert_eq!(answers.expect("answers"), [Answer::Done, Answer::Done, later.clone(), later.clone(), later]);
        assert_eq!(written, [2, 2], "the last row would be at the target before them");
    }

    #[tokio::test]
    async fn what_was_written_before_an_error_stays_written() {
        let (answers, _) = write(5, 1).await;
        let later = Answer::Later(Some(Duration::from_secs(7)));
        assert_eq!(answers.expect("answers"), [Answer::Done, Answer::Done, later.clone(), later.clone(), later]);
        assert!(write(5, 0).await.0.is_err(), "nothing is known of any row");
    }
}
