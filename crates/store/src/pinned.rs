//! A stream as of one moment, told to another process of this machine, so that it reads the same events from the same
//! files and never one more.
//!
//! What is told is where the segments lie, which of their bytes count and where the committed end is: nothing of what is in
//! memory, since all that is committed is in the files. The last segment is told like a finished one; its blocks are
//! found by their footers, once, and kept for the next moment in [`Walks`]. Whoever tells keeps the [`Hold`] for as long
//! as the other reads: retention leaves the log alone meanwhile. Sealing may go on: it replaces a file by the same
//! events under the same name.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use lakehead_model::{Name, Offset};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Stream,
    disk::Disk,
    inventory::Summary,
    layout::{Layout, SegmentPath},
    mark::Mark,
    published::{Kept, Published},
    reader::Held,
    segment::{Place, Segment, follows_not},
    stream::Inner,
};

/// Where a stream's committed events lie, as of one moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pinned {
    root: PathBuf,
    name: Name,
    segments: Vec<PinnedSegment>,
    first_number: u64,
    next_number: u64,
    next_offset: Offset,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct PinnedSegment {
    /// Below the root.
    path: PathBuf,
    first_offset: Offset,
    /// Bytes of it that count.
    end: u64,
    end_is_known: bool,
    summary: Option<Summary>,
}

/// Keeps the log of a stream from being removed, for as long as it is there.
#[derive(Debug)]
pub struct Hold {
    _held: Arc<Held>,
}

/// A segment, and the blocks of it that were found.
type Known = (SegmentPath, Vec<Place>);

/// The blocks of the segments that were still being written when they were last read, by stream: what is known need not be
/// found again. Cheap to clone; all clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Walks {
    known: Arc<Mutex<BTreeMap<Name, Known>>>,
}

impl Pinned {
    /// The offset after the last committed event.
    #[must_use]
    pub fn end(&self) -> Offset {
        self.next_offset
    }

    /// The stream as it was at that moment, for reading; `walks` is used again from one moment to the next.
    #[must_use]
    pub fn open(self, walks: &Walks) -> Stream {
        let layout = Layout::new(&self.root);
        let kept = |segment: PinnedSegment| Kept {
            at: SegmentPath { first_offset: segment.first_offset, path: self.root.join(segment.path) },
            end: segment.end,
            end_is_known: segment.end_is_known,
            summary: segment.summary,
        };
        let mark = Mark { next_number: self.next_number, next_offset: self.next_offset, ..Mark::default() };
        let segments = self.segments.into_iter().map(kept).collect();
        let published = Published::of_files(segments, self.first_number, mark);
        Stream { inner: Arc::new(Inner::pinned(Arc::new(Disk), layout, self.name, published, walks.clone())) }
    }
}

impl Stream {
    /// All that is committed now, and what keeps it where it is. `by` says for whom, where retention has to wait for it.
    #[must_use]
    pub fn pin(&self, by: &str) -> (Pinned, Hold) {
        // Held before it is looked at: what is removed between the two is not in what was seen.
        let held = Arc::new(Held { by: by.to_owned(), from: AtomicU64::new(0) });
        self.inner.hold(&held);
        let root = self.inner.layout.root();
        let published = self.inner.published();
        held.from.store(published.head().start.0, Ordering::Release);
        let segment = |kept: &Kept| PinnedSegment {
            path: kept.at.path.strip_prefix(root).unwrap_or(&kept.at.path).to_owned(),
            first_offset: kept.at.first_offset,
            end: kept.end,
            end_is_known: kept.end_is_known,
            summary: kept.summary,
        };
        let pinned = Pinned {
            root: root.to_owned(),
            name: self.inner.name.clone(),
            segments: published.segments().iter().map(segment).collect(),
            first_number: published.first_number(),
            next_number: published.mark.next_number,
            next_offset: published.mark.next_offset,
        };
        drop(published);
        (pinned, Hold { _held: held })
    }
}

impl Walks {
    /// The blocks of `segment` that end at or before byte `end`, in order.
    ///
    /// # Errors
    /// `Corrupt` when the footers do not follow on each other.
    pub(crate) fn places(&self, stream: &Name, segment: &Segment, end: u64) -> Result<Vec<Place>, Error> {
        // Held while it is read: whoever else wants them waits instead of reading them, too.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut places = match known.remove(stream) {
            Some((at, places)) if at == segment.at => places,
            _ => Vec::new(),
        };
        let known_end = places.last().map_or(0, Place::end);
        if known_end < end {
            if places.is_empty() {
                places = segment.walk(end)?.places;
            } else {
                let mut at = end;
                let mut fresh: Vec<Place> = Vec::new();
                while at > known_end {
                    let Some((_, place)) = segment.footer_ending_at(at)? else {
                        return Err(segment.corrupt(at, "the footer that must end here is not there"));
                    };
                    at = place.start;
                    fresh.push(place);
                }
                if let (Some(last), Some(first)) = (places.last(), fresh.last())
                    && (at != known_end || last.ends() != first.begins())
                {
                    return Err(segment.corrupt(at, follows_not(last.ends(), first.begins())));
                }
                places.extend(fresh.into_iter().rev());
            }
        }
        let wanted = places.partition_point(|place| place.end() <= end);
        let answer = places.get(..wanted).unwrap_or(&[]).to_vec();
        known.insert(stream.clone(), (segment.at.clone(), places));
        Ok(answer)
    }
}
