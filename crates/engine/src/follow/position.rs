//! Whether a position is of the stream as it is now. One that is not is never used as it is: what is done instead is told.
//!
//! ```text
//!   epoch 0              │ epoch 1: after a restore, say, 60 was given to another event
//!   0 … 59  [60 … 79]    │ 60 … 90
//!            gone          a position log.0.70 is past events that are gone: the follower goes back to 60
//! ```
//! A position has the epoch of the last event before it; where that event is of a later epoch now, the one that was seen is gone.

use lakehead_model::{Offset, Position};
use lakehead_store::Stream;

use super::step::Finding;
use crate::Error;

/// Where to go on, and what is to be told about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CheckedPosition {
    pub(crate) position: Position,
    pub(crate) finding: Option<Finding>,
    /// Offsets that were given will be given again, and nobody has noted that: the stream needs another epoch.
    pub(crate) needs_epoch: bool,
}

/// Holds `position` against `stream`. `None` when it is of another stream, or not of a stream at all. Blocks.
///
/// # Errors
/// When the log cannot be read.
pub(crate) fn check(stream: &Stream, position: Position) -> Result<Option<CheckedPosition>, Error> {
    let Position::Log { epoch, next } = position else { return Ok(None) };
    let head = stream.head();
    if epoch > head.epoch {
        return Ok(None);
    }
    let begins = next.min(head.end);
    let begins = first_of_later_epoch(stream, epoch, head.start, begins)?.unwrap_or(begins);
    if begins == next {
        return Ok(Some(CheckedPosition { position, finding: None, needs_epoch: false }));
    }
    let why = format!(
        "events of {} that were delivered are not in the log any more ({} of them, from offset {begins} to {next}): their \
         offsets belong to other events, and delivery goes on with those at {begins}",
        stream.name(),
        next.since(begins)
    );
    Ok(Some(CheckedPosition {
        position: Position::Log { epoch: head.epoch, next: begins },
        finding: Some(Finding { lost_rows: 0, why }),
        needs_epoch: epoch == head.epoch,
    }))
}

/// The first offset in `[start, end)` whose event was written after `epoch`; `None` where all are of that or an earlier one.
/// Epochs only rise along the log.
fn first_of_later_epoch(stream: &Stream, epoch: u64, start: Offset, end: Offset) -> Result<Option<Offset>, Error> {
    if end <= start || epoch_at(stream, Offset(end.0 - 1))? <= epoch {
        return Ok(None);
    }
    let (mut earlier, mut later) = (start.0, end.0 - 1);
    while earlier < later {
        let middle = earlier + (later - earlier) / 2;
        if epoch_at(stream, Offset(middle))? > epoch {
            later = middle;
        } else {
            earlier = middle + 1;
        }
    }
    Ok(Some(Offset(later)))
}

fn epoch_at(stream: &Stream, offset: Offset) -> Result<u64, Error> {
    Ok(stream.reader(offset).next()?.map_or(0, |block| block.epoch))
}
