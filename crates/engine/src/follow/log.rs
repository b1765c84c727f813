//! Follows a stream: its blocks as batches, in order, each row with its offset and its event time.
//!
//! A block of usual size is handed on as it is, sharing its memory with the log; a large one is cut, and small neighbours are
//! joined, so that a target is not asked once for every event of a quiet stream. Reading is done where it may block, one read
//! at a time, and a read that nobody waits for any more is not lost.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use lakehead_connector_api::{Batch, BatchKind, RowHead};
use lakehead_json::EventTimes;
use lakehead_model::{Name, Offset, Position};
use lakehead_store::{Block, Claim, Error as StoreError, Reader, Stream};
use tokio::{sync::watch, task::JoinHandle};

use super::step::{Finding, Step};
use crate::Error;

/// Most rows of a batch: what a target is asked to take at once.
const BATCH_ROWS_MAX: usize = 10_000;

/// Most bytes of a batch that has more than one row: blocks are as large by default, so most are handed on whole.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// Neighbours are joined up to this many bytes; copying so much costs less than one more request.
const JOINED_BYTES_MAX: usize = 256 << 10;

/// How much is read at once.
const READ_BYTES: usize = 1 << 20;

/// Follows one stream.
pub(crate) struct LogFollower {
    stream: Stream,
    times: Arc<EventTimes>,
    /// Under which name, and for how long, its reader holds up retention.
    claim: Claim,
    committed: watch::Receiver<Offset>,
    /// The offset of the next event that is read.
    next: Offset,
    ready: VecDeque<Batch>,
    reader: Option<Reader>,
    reading: Option<JoinHandle<BlocksRead>>,
}

/// What a read came to.
struct BlocksRead {
    reader: Reader,
    outcome: Result<Vec<Batch>, StoreError>,
}

impl LogFollower {
    /// Follows `stream` from where `claim` begins.
    pub(crate) fn new(stream: Stream, times: Arc<EventTimes>, claim: Claim) -> Self {
        let (committed, next) = (stream.committed(), claim.from);
        Self { stream, times, claim, committed, next, ready: VecDeque::new(), reader: None, reading: None }
    }

    /// Whether everything that is committed was handed over.
    pub(crate) fn is_at_end(&self) -> bool {
        self.ready.is_empty() && self.reading.is_none() && self.next >= *self.committed.borrow()
    }

    /// The next batch; waits while there is none. Nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// When the log cannot be read; `Closed` when it is closed.
    pub(crate) async fn next(&mut self) -> Result<Step, Error> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                let to = Some(*batch.end());
                return Ok(Step::Rows { batch, to });
            }
            let reading = match self.reading.take() {
                Some(reading) => self.reading.insert(reading),
                None => {
                    // Seen before the read, so that a commit after it wakes this.
                    let end = *self.committed.borrow_and_update();
                    if self.next >= end {
                        self.committed.changed().await.map_err(|_| Error::Stopping)?;
                        continue;
                    }
                    let reading = self.read();
                    self.reading.insert(reading)
                }
            };
            let read = reading.await.map_err(|error| Error::Internal(format!("reading the log: {error}")));
            self.reading = None;
            let BlocksRead { reader, outcome } = read?;
            match outcome {
                Ok(batches) => {
                    self.next = reader.position();
                    self.reader = Some(reader);
                    self.ready.extend(batches);
                }
                Err(StoreError::OffsetOutOfRange { start, .. }) if start > self.next => {
                    let to = Position::Log { epoch: self.stream.head().epoch, next: start };
                    return Ok(Step::Told(self.pass_over(start), Some(to)));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Goes on at `start`, since what is before it is gone.
    fn pass_over(&mut self, start: Offset) -> Finding {
        let from = std::mem::replace(&mut self.next, start);
        let lost_rows = start.since(from);
        let why = format!(
            "retention removed {lost_rows} events of {} before they were delivered (offsets {from} to {start}): keep more of \
             the stream, or let `keep` of this sink hold retention for longer",
            self.stream.name()
        );
        Finding { lost_rows, why }
    }

    fn read(&mut self) -> JoinHandle<BlocksRead> {
        let claim = Claim { from: self.next, ..self.claim.clone() };
        let mut reader = self.reader.take().unwrap_or_else(|| self.stream.reader_of(claim));
        let (name, times) = (self.stream.name().clone(), Arc::clone(&self.times));
        tokio::task::spawn_blocking(move || {
            let outcome = blocks(&mut reader).map(|blocks| batches(&name, &blocks, &times));
            BlocksRead { reader, outcome }
        })
    }
}

/// What is at hand, up to [`READ_BYTES`] and a block more.
fn blocks(reader: &mut Reader) -> Result<Vec<Arc<Block>>, StoreError> {
    let (mut blocks, mut bytes) = (Vec::new(), 0);
    while bytes < READ_BYTES {
        let block = match reader.next() {
            Ok(Some(block)) => block,
            Ok(None) => break,
            // What was read before it is handed over first, and the error comes again.
            Err(_) if !blocks.is_empty() => break,
            Err(error) => return Err(error),
        };
        bytes += block.payload.len();
        if !block.is_empty() {
            blocks.push(block);
        }
    }
    Ok(blocks)
}

/// The events of `blocks`, which follow one another, as batches.
fn batches(from: &Name, blocks: &[Arc<Block>], times: &EventTimes) -> Vec<Batch> {
    let mut batches = Vec::new();
    let mut blocks = blocks.iter().peekable();
    while let Some(first) = blocks.next() {
        let (mut bytes, mut rows) = (first.payload.len(), first.len());
        let mut joined = vec![first];
        while let Some(next) = blocks.next_if(|next| {
            next.epoch == first.epoch
                && next.first_offset.0 == first.first_offset.0 + rows as u64
                && bytes + next.payload.len() <= JOINED_BYTES_MAX
                && rows + next.len() <= BATCH_ROWS_MAX
        }) {
            bytes += next.payload.len();
            rows += next.len();
            joined.push(next);
        }
        match joined.as_slice() {
            [one] => batches.extend(cut(from, one, times)),
            several => {
                let (mut payload, mut ends) = (Vec::with_capacity(bytes), Vec::with_capacity(rows));
                for block in several {
                    let begun = u32::try_from(payload.len()).unwrap_or(u32::MAX);
                    ends.extend(block.ends.iter().map(|end| begun + end));
                    payload.extend_from_slice(&block.payload);
                }
                batches.push(batch(from, (first.epoch, first.first_offset), (payload.into(), ends), times));
            }
        }
    }
    batches
}

/// One block, in parts where it is large. They share its memory.
fn cut(from: &Name, block: &Block, times: &EventTimes) -> Vec<Batch> {
    let (mut parts, mut first, mut begun) = (Vec::new(), 0, 0);
    while first < block.len() {
        let rest = block.ends.get(first..).unwrap_or_default();
        let fits = |end: &&u32| (**end - begun) as usize <= BATCH_BYTES_MAX;
        let rows = rest.iter().take_while(fits).count().clamp(1, BATCH_ROWS_MAX).min(rest.len());
        let ends: Vec<u32> = rest.iter().take(rows).map(|end| end - begun).collect();
        let length = ends.last().copied().unwrap_or(0);
        let payload = block.payload.slice(begun as usize..(begun + length) as usize);
        let at = (block.epoch, block.first_offset.plus(first as u64));
        parts.push(batch(from, at, (payload, ends), times));
        (first, begun) = (first + rows, begun + length);
    }
    parts
}

fn batch(from: &Name, (epoch, first): (u64, Offset), lines: (Bytes, Vec<u32>), times: &EventTimes) -> Batch {
    let mut begin = 0;
    let head = |(index, end): (usize, &u32)| {
        let line = lines.0.get(begin..(*end as usize).saturating_sub(1)).unwrap_or_default();
        begin = *end as usize;
        RowHead { number: first.0 + index as u64, event_time: times.of(line), ..RowHead::default() }
    };
    let heads: Vec<RowHead> = lines.1.iter().enumerate().map(head).collect();
    let at = |next| Position::Log { epoch, next };
    let end = first.plus(heads.len() as u64);
    Batch::new(from.clone(), (at(first), at(end)), lines, heads, BatchKind::Changes)
}

#[cfg(test)]
mod tests {
    use lakehead_model::{StreamSchema, Timestamp};

    use super::*;

    fn block(first: u64, epoch: u64, events: &[&str]) -> Arc<Block> {
        let mut payload = Vec::new();
        let ends = events.iter().map(|event| {
            payload.extend_from_slice(event.as_bytes());
            payload.push(b'\n');
            u32::try_from(payload.len()).expect("small")
        });
        let ends = ends.collect();
        Arc::new(Block {
            number: 0,
            first_offset: Offset(first),
            received_time: Timestamp(0),
            event_time_least: None,
            event_time_greatest: None,
            time_rule: None,
            progress: None,
            epoch,
            payload: payload.into(),
            ends,
        })
    }

    fn batches_of(blocks: &[Arc<Block>]) -> Vec<Batch> {
        let times = EventTimes::new(&StreamSchema::builtin("json").expect("built in"));
        batches(&Name::new("s").expect("a name"), blocks, &times)
    }

    fn offsets(batches: &[Batch]) -> Vec<(u64, usize)> {
        let first = |batch: &Batch| match batch.start() {
            Position::Log { next, .. } => next.0,
            Position::View { .. } => u64::MAX,
        };
        batches.iter().map(|batch| (first(batch), batch.len())).collect()
    }

    #[test]
    fn small_neighbours_are_joined_and_a_usual_block_is_not_copied() {
        let usual = "x".repeat(JOINED_BYTES_MAX);
        let blocks = [
            block(0, 0, &["1", "2"]),
            block(2, 0, &["3"]),
            block(3, 0, &[&usual]),
            block(4, 1, &["5"]),
            block(7, 1, &["8"]),
        ];
        let batches = batches_of(&blocks);
        assert_eq!(offsets(&batches), [(0, 3), (3, 1), (4, 1), (7, 1)], "a gap and another epoch part them");
        let ids: Vec<String> = batches[0].rows().map(|row| batches[0].id(row)).collect();
        assert_eq!(ids, ["s-0-0", "s-0-1", "s-0-2"]);
        assert_eq!(batches[0].rows().map(|row| row.json).collect::<Vec<_>>(), [b"1", b"2", b"3"]);
        assert_eq!(batches[1].payload().as_ptr(), blocks[2].payload.as_ptr());
        assert_eq!(batches[2].end(), &Position::Log { epoch: 1, next: Offset(5) });
    }

    #[test]
    fn a_large_block_is_cut_by_rows_and_by_bytes_and_a_large_row_stands_alone() {
        let many: Vec<String> = (0..BATCH_ROWS_MAX + 1).map(|n| n.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(offsets(&batches_of(&[block(5, 0, &many)])), [(5, BATCH_ROWS_MAX), (5 + BATCH_ROWS_MAX as u64, 1)]);
        let large = "y".repeat(4 << 20);
        let half = "z".repeat(BATCH_BYTES_MAX / 2);
        let batches = batches_of(&[block(0, 0, &["1", &large, "2", &half, &half])]);
        assert_eq!(offsets(&batches), [(0, 1), (1, 1), (2, 2), (4, 1)]);
        assert_eq!(batches[1].row(0).expect("a row").json.len(), 4 << 20);
        assert_eq!(batches[3].row(0).expect("a row").json, half.as_bytes());
    }

    #[test]
    fn each_row_has_its_event_time() {
        let batches = batches_of(&[block(0, 0, &["{\"dt\":\"1970-01-01T00:00:01Z\"}", "{}"])]);
        let times: Vec<_> = batches[0].rows().map(|row| row.head.event_time).collect();
        assert_eq!(times, [Some(Timestamp(1_000_000)), None]);
    }
}
