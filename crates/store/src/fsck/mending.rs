//! The mending of one segment: what is good of it stays as it is, the rest becomes null.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use lakehead_model::Timestamp;

use crate::{
    disk::{
        files::{File, clear_name},
        layout::SegmentPath,
        log_files::LogFiles,
    },
    error::Error,
    format::{
        boundary::Boundary,
        checksum,
        data_frame::{self, Decompressor},
        footer::RAW_BYTES_MAX,
        index::{Index, IndexedBlock},
    },
    fsck::{
        examine::{Contents, frames_of},
        open_writer::{LEVEL, NULLS_MAX, OpenWriter, Prior, after, nulls},
    },
    recover::quarantine,
    segment::{
        file::{Beginning, FoundFooter, Segment},
        sealed_writer::SealedWriter,
    },
};

/// What a repair has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Repaired {
    pub(crate) path: PathBuf,
    /// Where the file is now that was there before; `None` when there was none.
    pub(crate) kept: Option<PathBuf>,
    /// Events that are null now.
    pub(crate) nulls: u64,
    /// What was done, where it is something else than putting in nulls.
    pub(crate) said: Option<String>,
    /// Whether events that were seen outside are not there any more, or others than before.
    pub(crate) is_loss: bool,
}

impl Repaired {
    pub(super) fn told(said: String, is_loss: bool) -> Self {
        Self { path: PathBuf::new(), kept: None, nulls: 0, said: Some(said), is_loss }
    }
}

/// One segment to be mended.
pub(super) struct Mending<'a> {
    pub(super) log: &'a LogFiles,
    pub(super) segment: &'a Segment,
    pub(super) next: Option<Beginning>,
}

/// A frame that is whole.
struct WholeFrame {
    stored: Vec<u8>,
    payload: Bytes,
}

/// Where a sealed segment without its index stands.
struct Unindexed {
    first_number: u64,
    /// Bytes of all the stream's events before it.
    raw_before: u64,
    ends: Boundary,
    /// Events that are in none of its frames, and their bytes.
    lost: u64,
    lost_bytes: u64,
}

/// What was done, if anything, and where the log stands after the segment.
pub(super) type Mended = Option<(Option<Repaired>, Prior)>;

impl Mending<'_> {
    fn cannot(&self, why: &str) -> Error {
        Error::Invalid(format!("{} cannot be repaired: {why}; keep a copy of it", self.segment.at.path.display()))
    }

    pub(super) fn mend(&self, prior: Option<&Prior>, contents: &Contents) -> Result<Mended, Error> {
        match contents {
            Contents::Open { blocks, counts_to, .. } => self.open(prior, blocks, *counts_to),
            Contents::Sealed { index, frames } => self.sealed(index, frames).map(Some),
            Contents::Unindexed => self.unindexed(prior).map(Some),
        }
    }

    /// Makes the replacement under `temporary/` with `write`, keeps the old file and puts the new one in its place.
    fn replace(
        &self,
        nulls: u64,
        write: impl FnOnce(&dyn File, &Path) -> Result<(), Error>,
    ) -> Result<Repaired, Error> {
        let at = &self.segment.at;
        self.put(at, write)?;
        let kept = quarantine::keep(self.log, self.segment, 0, self.segment.len()?)?;
        self.settle(at)?;
        Ok(Repaired { path: at.path.clone(), kept: Some(kept), nulls, said: None, is_loss: true })
    }

    fn temporary(&self, at: &SegmentPath) -> PathBuf {
        self.log.layout.temporary().join(format!("{}-{:020}.repair", self.log.name, at.first_offset.0))
    }

    fn put(&self, at: &SegmentPath, write: impl FnOnce(&dyn File, &Path) -> Result<(), Error>) -> Result<(), Error> {
        let folder = self.log.layout.temporary();
        self.log.files.create_folders(&folder).map_err(Error::io("create", &folder))?;
        let temporary = self.temporary(at);
        clear_name(&*self.log.files, &temporary)?;
        let file = self.log.files.create(&temporary).map_err(Error::io("create", &temporary))?;
        write(&*file, &temporary)?;
        file.sync().map_err(Error::io("sync", &temporary))
    }

    fn settle(&self, at: &SegmentPath) -> Result<(), Error> {
        self.log
            .files
            .rename(&self.temporary(at), &at.path)
            .map_err(Error::io("put the repaired file in the place of", &at.path))?;
        self.log.sync_folders_to(&at.path)
    }

    /// A segment with footers: its good blocks as they are, the others as null.
    fn open(&self, prior: Option<&Prior>, blocks: &[(FoundFooter, bool)], counts_to: u64) -> Result<Mended, Error> {
        let Some((first, _)) = blocks.first() else { return self.without_block(prior) };
        let start = prior.cloned().unwrap_or_else(|| self.prior_of(first));
        // A file that ends with its last block is whole: what is missing after it is another file.
        let next = if counts_to == self.segment.len()? { None } else { self.next };
        if is_whole(&start, blocks, next) {
            let last = blocks.last().map_or(start, |((footer, block_ref), _)| after(footer, block_ref.ends()));
            return Ok(Some((None, last)));
        }
        let mut nulls_made = 0;
        let mut last = start;
        let done = self.replace(0, |file, path| {
            let mut writer = OpenWriter::new(file, path, self.segment.seed)?;
            let mut decompressor = Decompressor::new().map_err(Error::io("decompress", path))?;
            for ((footer, block_ref), good) in blocks {
                if block_ref.first_offset < last.boundary.offset || block_ref.number < last.boundary.number {
                    return Err(self.cannot("its blocks are not in order"));
                }
                nulls_made += writer.nulls(&mut last, block_ref.begins(), footer.raw_before)?;
                let payload = if *good {
                    let stored = self.segment.read(block_ref.start, block_ref.footer_start())?;
                    decompressor.decompress(&stored, block_ref.raw_len as usize).map(Vec::from)
                } else {
                    nulls_made += u64::from(block_ref.count);
                    Some(nulls(block_ref.count.into(), block_ref.raw_len.into()))
                };
                let Some(payload) = payload else {
                    return Err(self.cannot("a block that was good a moment ago is not"));
                };
                writer.block(footer.clone(), &payload)?;
                last = after(footer, block_ref.ends());
            }
            if let Some(next) = next {
                nulls_made += writer.nulls(&mut last, next.boundary, next.raw_before)?;
            }
            Ok(())
        })?;
        Ok(Some((Some(Repaired { nulls: nulls_made, ..done }), last)))
    }

    /// A segment with footers of which no block is whole: nulls, where something is missing that counts.
    fn without_block(&self, prior: Option<&Prior>) -> Result<Mended, Error> {
        match (prior, self.next) {
            // Nothing that counts is in it; opening sets it aside.
            (_, None) => Ok(None),
            (Some(prior), Some(Beginning { boundary: next, raw_before })) if next.offset > prior.boundary.offset => {
                let lost = next.offset.since(prior.boundary.offset);
                let done = self.replace(lost, |file, path| self.nulls_only(prior, next, raw_before, file, path))?;
                Ok(Some((Some(done), Prior { boundary: next, raw_end: raw_before, ..prior.clone() })))
            }
            (None, Some(Beginning { boundary: next, .. })) if next.offset > self.segment.at.first_offset => {
                Err(self.cannot("it is the first segment and no block in it is whole"))
            }
            _ => Ok(None),
        }
    }

    /// Where the log stands before the first segment, by its first block that is left.
    fn prior_of(&self, (footer, block_ref): &FoundFooter) -> Prior {
        let missing = block_ref.first_offset.since(self.segment.at.first_offset);
        Prior {
            boundary: Boundary {
                number: block_ref.number.saturating_sub(u64::from(missing > 0)),
                offset: self.segment.at.first_offset,
            },
            raw_end: footer.raw_before.saturating_sub(missing * 5),
            received: footer.received_time,
            epoch: footer.epoch,
            cursors: Arc::clone(&footer.cursors),
        }
    }

    /// A sealed segment: its good frames as they are, the others made anew of nulls of the same length.
    fn sealed(&self, index: &Index, frames: &[bool]) -> Result<(Option<Repaired>, Prior), Error> {
        let last = Prior {
            boundary: index.ends(),
            raw_end: index.raw_before + index.raw_bytes(),
            received: index.blocks.last().map_or(Timestamp(0), |block| block.received_time),
            epoch: index.blocks.last().map_or(0, |block| block.epoch),
            cursors: Arc::clone(&index.cursors),
        };
        if frames.iter().all(|good| *good) {
            return Ok((None, last));
        }
        let mut nulls_made = 0;
        let done = self.replace(0, |file, path| {
            let mut writer = SealedWriter::new(file, path, self.segment.seed, LEVEL)?;
            for (i, (frame, good)) in index.frames.iter().zip(frames).enumerate() {
                let end = index.frames.get(i + 1).map_or(index.blocks.len(), |next| next.first_block);
                let blocks = index.blocks.get(frame.first_block..end).unwrap_or(&[]);
                blocks.iter().for_each(|block| writer.block(*block));
                if *good {
                    let stored = self.segment.read(frame.start, frame.start + u64::from(frame.stored_len))?;
                    writer.stored_frame(&stored, frame.raw_len as usize)?;
                } else {
                    nulls_made += blocks.iter().map(|block| u64::from(block.count)).sum::<u64>();
                    let payload: Vec<u8> =
                        blocks.iter().flat_map(|block| nulls(block.count.into(), block.raw_len.into())).collect();
                    writer.frame(&payload)?;
                }
            }
            let (first, keys) = (index.first_number, index.keys.clone());
            writer.finish(first, index.raw_before, Arc::clone(&index.cursors), keys, index.chain).map(|_| ())
        })?;
        Ok((Some(Repaired { nulls: nulls_made, ..done }), last))
    }

    /// A sealed segment without its index: the events of its frames, one block for each frame; the times are not known any
    /// more, so they are the latest that they can be.
    fn unindexed(&self, prior: Option<&Prior>) -> Result<(Option<Repaired>, Prior), Error> {
        let frames = self.whole_frames()?;
        let Unindexed { first_number, raw_before, ends, lost, lost_bytes } = self.without_index(prior, &frames)?;
        let hour = self.log.hour_of(&self.segment.at.path).and_then(|hour| start_of(&hour));
        let received = prior.map(|prior| prior.received).max(hour).unwrap_or_default();
        let epoch = prior.map_or(0, |prior| prior.epoch);
        let cursors = prior.map_or_else(Arc::default, |prior| Arc::clone(&prior.cursors));
        let done = self.replace(lost, |file, path| {
            let mut writer = SealedWriter::new(file, path, self.segment.seed, LEVEL)?;
            let mut offset = self.segment.at.first_offset;
            let mut entry = |count: u64, raw_len: usize| {
                let event_times = (count > 0).then_some((Timestamp(i64::MIN), Timestamp(i64::MAX)));
                let (first_offset, received_time, progress, time_rule) = (offset, received, None, None);
                offset = offset.plus(count);
                // A frame holds at most RAW_BYTES_MAX bytes, and so at most as many lines.
                let (count, raw_len) = (count as u32, raw_len as u32);
                IndexedBlock { first_offset, count, raw_len, received_time, event_times, time_rule, progress, epoch }
            };
            for WholeFrame { stored, payload } in &frames {
                writer.block(entry(lines(payload), payload.len()));
                writer.stored_frame(stored, payload.len())?;
            }
            let left = ends.number - first_number - frames.len() as u64;
            if left > 0 {
                let payload = if lost == 0 { Vec::new() } else { nulls(lost, lost_bytes.max(lost * 2)) };
                writer.block(entry(lost, payload.len()));
                (1..left).for_each(|_| writer.block(entry(0, 0)));
                writer.frame(&payload)?;
            }
            writer.finish(first_number, raw_before, Arc::clone(&cursors), Vec::new(), 0).map(|_| ())
        })?;
        let raw_end = raw_before + raw_bytes(&frames) + if lost == 0 { 0 } else { lost_bytes };
        Ok((Some(done), Prior { boundary: ends, raw_end, received, epoch, cursors }))
    }

    /// The frames of the segment that are whole, up to the first that is not.
    fn whole_frames(&self) -> Result<Vec<WholeFrame>, Error> {
        let mut decompressor = Decompressor::new().map_err(Error::io("decompress", &self.segment.at.path))?;
        let mut frames = Vec::new();
        for range in frames_of(self.segment)? {
            let stored = self.segment.read(range.start, range.end)?;
            let Some(raw_len) = data_frame::content_len(&stored).filter(|len| *len <= RAW_BYTES_MAX) else { continue };
            let Some(payload) = decompressor.decompress(&stored, raw_len) else { break };
            frames.push(WholeFrame { stored, payload });
        }
        Ok(frames)
    }

    /// Where these frames, all that is left of the segment, stand between its neighbours.
    ///
    /// # Errors
    /// `Invalid` when they do not fit there.
    fn without_index(&self, prior: Option<&Prior>, frames: &[WholeFrame]) -> Result<Unindexed, Error> {
        let first_offset = self.segment.at.first_offset;
        let frame_count = frames.len() as u64;
        let events: u64 = frames.iter().map(|frame| lines(&frame.payload)).sum();
        let raw_bytes = raw_bytes(frames);
        let first_number = match (prior, self.next) {
            (Some(prior), _) => prior.boundary.number,
            (None, Some(next)) => next.boundary.number.saturating_sub(frame_count + 1),
            (None, None) => 0,
        };
        let ends = self
            .next
            .map(|next| next.boundary)
            .unwrap_or(Boundary { number: first_number + frame_count, offset: first_offset.plus(events) });
        let blocks = ends.number.saturating_sub(first_number);
        let lost = ends.offset.since(first_offset).checked_sub(events);
        let (Some(lost), true) = (lost, blocks >= frame_count && blocks > 0) else {
            return Err(self.cannot("its frames hold more than fits between its neighbours"));
        };
        if lost > 0 && blocks == frame_count || lost > NULLS_MAX {
            return Err(self.cannot("there is no block left for the events that are lost"));
        }
        let raw_before = match (prior, self.next) {
            (Some(prior), _) => prior.raw_end,
            (None, Some(next)) => next.raw_before.saturating_sub(raw_bytes + lost * 5),
            (None, None) => 0,
        };
        let lost_bytes = self.next.map_or(lost * 5, |next| next.raw_before.saturating_sub(raw_before + raw_bytes));
        Ok(Unindexed { first_number, raw_before, ends, lost, lost_bytes })
    }

    /// A segment that is not there at all, made of nulls.
    pub(super) fn missing(&self, prior: &Prior, until: Boundary, raw_before: u64) -> Result<Repaired, Error> {
        // In the hour of what came before or, where that name is taken by a segment without an event, of what comes after.
        let after = self.next_received().unwrap_or(prior.received);
        let mut free = None;
        for received in [prior.received, after] {
            let at = self.log.segment_in(&received.hour_folder(), prior.boundary.offset);
            if free.is_none() && !self.log.has(&at.path)? {
                free = Some((at, received));
            }
        }
        let Some((at, received)) = free else {
            return Err(
                self.cannot("the segment before it is missing, and another one has the name that it would need")
            );
        };
        let prior = &Prior { received, ..prior.clone() };
        if let Some(folder) = at.path.parent() {
            self.log.files.create_folders(folder).map_err(Error::io("create", folder))?;
        }
        self.put(&at, |file, path| self.nulls_only(prior, until, raw_before, file, path))?;
        self.settle(&at)?;
        Ok(Repaired {
            path: at.path,
            kept: None,
            nulls: until.offset.since(prior.boundary.offset),
            said: None,
            is_loss: true,
        })
    }

    /// When the first events of this segment were received, by the hour that it lies in.
    fn next_received(&self) -> Option<Timestamp> {
        self.log.hour_of(&self.segment.at.path).and_then(|hour| start_of(&hour))
    }

    /// Writes a segment of nothing but nulls from `prior` up to `until`.
    fn nulls_only(
        &self,
        prior: &Prior,
        until: Boundary,
        raw_before: u64,
        file: &dyn File,
        path: &Path,
    ) -> Result<(), Error> {
        let mut writer = OpenWriter::new(file, path, checksum::seed(&self.log.name, prior.boundary.offset))?;
        let mut last = prior.clone();
        writer.nulls(&mut last, until, raw_before).map(|_| ())
    }
}

/// Whether nothing is missing from `start` on, between the blocks, and up to what comes `next`.
fn is_whole(start: &Prior, blocks: &[(FoundFooter, bool)], next: Option<Beginning>) -> bool {
    let (mut end, mut at) = (start.boundary, 0);
    let mut whole = true;
    for ((_, block_ref), good) in blocks {
        whole &= *good && block_ref.begins() == end && block_ref.start == at;
        end = block_ref.ends();
        at = block_ref.end();
    }
    whole && next.is_none_or(|next| next.boundary == end)
}

fn lines(payload: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', payload).count() as u64
}

/// Bytes of the events in these frames.
fn raw_bytes(frames: &[WholeFrame]) -> u64 {
    frames.iter().map(|frame| frame.payload.len() as u64).sum()
}

/// `2026/11/23/07` as a time.
fn start_of(hour: &str) -> Option<Timestamp> {
    let mut parts = hour.split('/');
    let (year, month, day, hour) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    format!("{year}-{month}-{day}T{hour}:00:00Z").parse().ok()
}
