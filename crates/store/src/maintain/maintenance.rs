//! One stream's maintenance: what is known of its finished segments, what is lost, and the inventory that records both.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lakehead_model::Clock;

use crate::{
    disk::{files::Access, layout::SegmentPath, log_files::LogFiles},
    error::Error,
    format::boundary::Boundary,
    options::Options,
    read::{published::SegmentEntry, read_side::ReadSide},
    recover::{
        inventory::{self, Inventory, Line},
        loss::Loss,
    },
    segment::{
        file::{Beginning, Segment},
        neighbours::{end_before, first_block},
        summary::Summary,
    },
};

/// The maintenance of one stream.
#[derive(Debug)]
pub(crate) struct Maintenance {
    pub(super) read: Arc<ReadSide>,
    pub(super) options: Options,
    pub(super) clock: Arc<dyn Clock>,
    access: Access,
    /// What is noted as lost.
    losses: Mutex<Vec<Loss>>,
    /// Held by whoever seals, removes or compares: one at a time.
    one_at_a_time: Mutex<()>,
}

impl Maintenance {
    pub(crate) fn new(
        read: Arc<ReadSide>,
        options: Options,
        clock: Arc<dyn Clock>,
        access: Access,
        losses: Vec<Loss>,
    ) -> Self {
        Self { read, options, clock, access, losses: Mutex::new(losses), one_at_a_time: Mutex::default() }
    }

    // Every change under this lock is one operation, so a panic elsewhere leaves the list whole.
    pub(crate) fn losses(&self) -> MutexGuard<'_, Vec<Loss>> {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the inventory: the finished segments from the start on, up to the first of which nothing is known; where the log
    /// begins, and how far it reaches on the disk.
    pub(crate) fn record(&self) -> Result<(), Error> {
        let (known, start, end) = {
            let published = self.read.published();
            let end = Boundary { number: published.synced_blocks, offset: published.synced_to };
            (published.finished_segments().to_vec(), published.head().start, end)
        };
        let line = |entry: &SegmentEntry| {
            let (hour, summary) = (self.log().hour_of(&entry.at.path)?, entry.summary?);
            Some(Line { hour, first_offset: entry.at.first_offset, bytes: entry.end, summary })
        };
        let mut segments: Vec<Line> = Vec::with_capacity(known.len());
        for line in known.iter().map_while(line) {
            let begins = Boundary { number: line.summary.first_number, offset: line.first_offset };
            if segments.last().is_some_and(|last| last.summary.ends(last.first_offset) != begins) {
                // A segment is missing here: those after it are found in their folders.
                break;
            }
            segments.push(line);
        }
        let inventory = Inventory {
            segments,
            start: Some(start),
            end: Some(end),
            lost: self.losses().clone(),
            ..Inventory::default()
        };
        inventory::write(self.log(), inventory)
    }

    pub(super) fn log(&self) -> &LogFiles {
        &self.read.log
    }

    /// Waits for its turn.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether files may be changed.
    pub(super) fn may_write(&self) -> bool {
        self.access == Access::Write
    }

    /// # Errors
    /// `Invalid` when the stream was opened for reading only.
    pub(super) fn check_may_write(&self) -> Result<(), Error> {
        if self.may_write() { Ok(()) } else { Err(Error::ReadOnly { dir: self.log().layout.root().to_owned() }) }
    }

    /// This finished segment with its summary, which is found in the file when nobody has asked before.
    pub(super) fn looked_into(&self, entry: SegmentEntry) -> Result<SegmentEntry, Error> {
        if entry.summary.is_some() {
            return Ok(entry);
        }
        let next: Vec<SegmentPath> = {
            let published = self.read.published();
            published.segments().iter().map(|other| &other.at).filter(|other| **other > entry.at).cloned().collect()
        };
        let found = self.look_into(&entry.at, &next)?;
        if let Some(summary) = found.summary {
            self.read.published().describe(&found.at, found.end, summary);
        }
        Ok(found)
    }

    /// What the file of the finished segment at `at` holds; `next` are those after it.
    pub(super) fn look_into(&self, at: &SegmentPath, next: &[SegmentPath]) -> Result<SegmentEntry, Error> {
        let segment = Segment::open(self.log(), at.clone(), Access::Read)?;
        let (end, summary) = match segment.index()? {
            Some(index) => (segment.len()?, Some(Summary::of_index(&index))),
            None => {
                let same = next.first().map(|first| first.first_offset);
                let same = next.iter().take_while(|next| Some(next.first_offset) == same);
                let Beginning { boundary, .. } = first_block(self.log(), same)?;
                let end = end_before(&segment, boundary)?;
                let walked = segment.walk(end)?;
                (end, Summary::of_blocks(&walked.block_refs, walked.raw_before))
            }
        };
        Ok(SegmentEntry { at: at.clone(), end, end_is_known: true, summary })
    }
}
