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

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc, sync::atomic::AtomicI64};

    use lakehead_model::EventBatch;
    use lakehead_store::{Options, Store};

    use super::*;
    use crate::{
        inlet,
        tests::{Ticking, name},
    };

    async fn append(stream: &Stream, events: u64) {
        let mut batch = EventBatch::default();
        (0..events).for_each(|_| batch.push(b"{}", None));
        inlet::commit(&stream.appender(), &name("test"), batch).await.expect("committed");
    }

    fn open(dir: &Path) -> (Store, Stream) {
        let store = Store::open(dir, Options::default(), Arc::new(Ticking(AtomicI64::new(0)))).expect("opens");
        let stream = store.stream(&name("s")).expect("a stream");
        (store, stream)
    }

    fn log(epoch: u64, next: u64) -> Position {
        Position::Log { epoch, next: Offset(next) }
    }

    #[tokio::test]
    async fn a_position_is_used_only_where_the_events_before_it_are_those_that_were_seen() {
        let dir = tempfile::tempdir().expect("a folder");
        let (_store, stream) = open(dir.path());
        for _ in 0..6 {
            append(&stream, 10).await;
        }
        let is_as_it_was = |position| {
            let checked = check(&stream, position).expect("readable").expect("of this stream");
            checked == CheckedPosition { position, finding: None, needs_epoch: false }
        };
        assert!([0, 1, 59, 60].into_iter().all(|next| is_as_it_was(log(0, next))));
        let beyond = check(&stream, log(0, 70)).expect("readable").expect("of this stream");
        assert_eq!((beyond.position, beyond.needs_epoch), (log(0, 60), true));
        assert!(beyond.finding.expect("told").why.contains("10 of them, from offset 60 to 70"));
        // 60 to 79 were seen and are gone; others have their offsets.
        stream.raise_epoch().await.expect("raised");
        for _ in 0..3 {
            append(&stream, 10).await;
        }
        assert!(is_as_it_was(log(0, 60)) && is_as_it_was(log(1, 75)) && is_as_it_was(log(1, 30)));
        for next in [61, 75, 90, 95] {
            let checked = check(&stream, log(0, next)).expect("readable").expect("of this stream");
            assert_eq!((checked.position, checked.needs_epoch), (log(1, 60), false), "{next}");
            assert!(checked.finding.is_some());
        }
        assert_eq!(check(&stream, log(2, 5)).expect("readable"), None, "of an epoch that is not there yet");
        assert_eq!(check(&stream, Position::View { incarnation: 0, commit: 5 }).expect("readable"), None);
    }
}
