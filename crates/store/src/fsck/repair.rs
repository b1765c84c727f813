//! The repair of a damaged stream: what cannot be read any more is put in as `null`, so that every other event keeps its
//! offset, and each file that is replaced is kept in the quarantine. Nothing is deleted.
//!
//! ```text
//!   damaged segment ─copy─▶ quarantine/      then: good blocks or frames as they are, null for the rest
//!        ▲                                          │
//!        └───────────────── rename ────────── temporary/
//! ```
//!
//! A segment that is missing altogether is made of nulls. What was lost was seen outside, so the caller raises the stream's
//! epoch afterwards: views and clients then know.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use lakehead_model::{Cursor, Name, Offset, Timestamp};

use super::{
    arrange::{arrange, put_back},
    segment::{Contents, Next, contents, frames_of, next_of},
};
use crate::{
    Error, Loss, Witness,
    checksum::seed,
    data_frame::{self, Compressor, Decompressor},
    files::{Access, File, Files, clear_name},
    footer::{Footer, RAW_BYTES_MAX},
    index::{Entry, Index},
    inventory::{self, Inventory},
    layout::{Layout, SegmentPath},
    quarantine, recovery,
    seal::SealedWriter,
    segment::{Beginning, Border, Found, Segment},
};

/// Events of `null` in one block: five bytes each, within a block's bound.
const NULLS_MAX: u64 = 100_000_000;
/// The zstd level of what is made anew.
const LEVEL: i32 = 3;

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
    fn told(said: String, is_loss: bool) -> Self {
        Self { path: PathBuf::new(), kept: None, nulls: 0, said: Some(said), is_loss }
    }
}

/// Where the log stands after all that was looked at: what the next block goes on from.
#[derive(Clone, Debug)]
struct Prior {
    border: Border,
    raw_end: u64,
    received: Timestamp,
    epoch: u64,
    cursors: Arc<BTreeMap<Name, Cursor>>,
}

/// Repairs every damage of `stream`, from its start to its end, so that it opens. The stream must not be open. `witnesses` have
/// seen it.
///
/// # Errors
/// `Invalid` when there is a file that cannot be read, or damage for which no repair is known: what was repaired before it
/// stays repaired.
pub(crate) fn repair(
    files: &dyn Files,
    layout: &Layout,
    stream: &Name,
    witnesses: &[Witness],
    now: Timestamp,
) -> Result<Vec<Repaired>, Error> {
    let recorded = inventory::read(files, layout, stream);
    let is_damaged = recorded == inventory::Found::Damaged;
    let recorded = recorded.whole().unwrap_or_default();
    let streams = layout.list_streams(files)?;
    let arranged = arrange(files, layout, stream, &streams, Some(&recorded))?;
    if let Some(path) = arranged.unreadable.first() {
        let what = format!("{} cannot be read: see to the file or the disk before a repair", path.display());
        return Err(Error::Invalid(what));
    }
    let mut repaired: Vec<Repaired> = Vec::new();
    let put = put_back(files, layout, stream, &arranged.puts)?;
    repaired.extend(put.into_iter().map(|said| Repaired::told(said, false)));
    // Each time round takes a file out of the log, so this comes to its end.
    let recovered = loop {
        mend_all(files, layout, stream, &recorded, &mut repaired)?;
        match recovery::open(files, layout, stream, Access::Read) {
            Ok(recovered) => break recovered,
            Err(Error::Corrupt { path, .. }) if path.starts_with(layout.stream(stream)) => {
                repaired.push(set_aside(files, layout, stream, &path)?);
            }
            Err(error) => return Err(error),
        }
    };
    let standing = recovered.standing();
    let lost = super::lost(files, layout, stream, &recorded, &standing, witnesses);
    let is_news = |loss: &&Loss| !loss.acknowledged;
    for loss in lost.iter().filter(is_news) {
        let (from, to) = (loss.from, loss.to);
        let said = format!("took note that the events from offset {from} up to, and not with, {to} are lost");
        repaired.push(Repaired::told(said, true));
    }
    if is_damaged {
        repaired.push(Repaired::told("the inventory is made anew from the files".to_owned(), false));
    }
    // What it was told of the files as they were; the next opening adds what the segments hold.
    let noticed = |loss: Loss| Loss {
        noticed: if loss.noticed == Timestamp(0) { now } else { loss.noticed },
        acknowledged: true,
        ..loss
    };
    let lost = lost.into_iter().map(noticed).collect();
    let (start, end) = (standing.start.or(Some(standing.end.offset)), Some(standing.end));
    inventory::write(files, layout, stream, Inventory { start, end, lost, ..Inventory::default() })?;
    Ok(repaired)
}

/// Once over the log: what cannot be read becomes null, what does not join is set aside.
fn mend_all(
    files: &dyn Files,
    layout: &Layout,
    stream: &Name,
    recorded: &Inventory,
    repaired: &mut Vec<Repaired>,
) -> Result<(), Error> {
    let listed: Vec<SegmentPath> = layout.list_segments(files, stream, "")?.into_iter().map(|(at, _)| at).collect();
    let mut prior: Option<Prior> = None;
    for (i, at) in listed.iter().enumerate() {
        let segment = Segment::open(files, stream, at.clone(), Access::Read)?;
        let next: Vec<&SegmentPath> = listed.iter().skip(i + 1).collect();
        let next = next_of(files, stream, &next);
        let contents = contents(&segment, next)?;
        let is_last = next == Next::Nothing;
        let next = next.beginning();
        let mending = Mending { files, layout, stream, segment: &segment, next };
        let begins = beginning(&contents);
        let is_recorded = recorded.segments.iter().any(|line| line.first_offset == at.first_offset);
        let goes_on =
            prior.as_ref().map_or(Some(at.first_offset), |prior| Some(prior.border.offset)) == Some(at.first_offset);
        let stray = match (&prior, begins, &contents) {
            // It claims events that the log has already, or blocks that come before them.
            (Some(before), Some((begins, _)), _) => {
                begins.offset < before.border.offset || begins.number < before.border.number
            }
            // At the end, and nothing says that it belongs here.
            (_, None, Contents::Unindexed) => is_last && !(goes_on && is_recorded),
            // Opening sets aside what holds nothing, where the next segment would begin.
            (_, None, _) => is_last && !goes_on,
            (None, Some(_), _) => false,
        };
        if stray {
            // Where it was part of the log, the inventory says so.
            repaired.push(Repaired { is_loss: begins.is_some(), ..set_aside(files, layout, stream, &at.path)? });
            continue;
        }
        if let (Some(before), Some((begins, raw_before))) = (&prior, begins)
            && begins.number > before.border.number
            && begins.offset == at.first_offset
            && !(begins.offset == before.border.offset && matches!(contents, Contents::Open { .. }))
        {
            repaired.push(mending.missing(before, begins, raw_before)?);
            prior = Some(Prior { border: begins, raw_end: raw_before, ..before.clone() });
        }
        match mending.mend(prior.as_ref(), &contents) {
            Ok(Some((done, after))) => {
                repaired.extend(done);
                prior = Some(after);
            }
            Ok(None) => {}
            // No repair of it is known: the log goes on without it, and what it held is lost.
            Err(Error::Invalid(_)) => repaired.push(set_aside(files, layout, stream, &at.path)?),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn set_aside(files: &dyn Files, layout: &Layout, stream: &Name, path: &std::path::Path) -> Result<Repaired, Error> {
    let kept = quarantine::move_path(files, layout, stream, path)?;
    let what = format!("{} does not join with the log and is moved to {}", path.display(), kept.display());
    Ok(Repaired { path: path.to_owned(), kept: Some(kept), nulls: 0, said: Some(what), is_loss: true })
}

fn beginning(contents: &Contents) -> Option<(Border, u64)> {
    match contents {
        Contents::Open { blocks, .. } => blocks.first().map(|((footer, place), _)| (place.begins(), footer.raw_before)),
        Contents::Sealed { index, .. } => Some((index.begins(), index.raw_before)),
        Contents::Unindexed => None,
    }
}

/// Events of `null`, each on its line, in `raw_len` bytes where that is possible: the first is followed by spaces.
fn nulls(count: u64, raw_len: u64) -> Vec<u8> {
    let text: &[u8] = if raw_len >= count * 5 { b"null\n" } else { b"0\n" };
    let padding = raw_len.saturating_sub(count * text.len() as u64);
    let mut payload = Vec::with_capacity(raw_len as usize);
    for n in 0..count {
        let (value, newline) = text.split_at(text.len() - 1);
        payload.extend_from_slice(value);
        if n == 0 {
            payload.resize(payload.len() + padding as usize, b' ');
        }
        payload.extend_from_slice(newline);
    }
    payload
}

struct Mending<'a> {
    files: &'a dyn Files,
    layout: &'a Layout,
    stream: &'a Name,
    segment: &'a Segment,
    next: Option<Beginning>,
}

/// What was done, if anything, and where the log stands after the segment.
type Mended = Option<(Option<Repaired>, Prior)>;

impl Mending<'_> {
    fn cannot(&self, why: &str) -> Error {
        Error::Invalid(format!("{} cannot be repaired: {why}; keep a copy of it", self.segment.at.path.display()))
    }

    fn mend(&self, prior: Option<&Prior>, contents: &Contents) -> Result<Mended, Error> {
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
        write: impl FnOnce(&dyn File, &std::path::Path) -> Result<(), Error>,
    ) -> Result<Repaired, Error> {
        let at = &self.segment.at;
        self.put(at, write)?;
        let kept = quarantine::keep(self.files, self.layout, self.stream, self.segment, 0, self.segment.len()?)?;
        self.settle(at)?;
        Ok(Repaired { path: at.path.clone(), kept: Some(kept), nulls, said: None, is_loss: true })
    }

    fn temporary(&self, at: &SegmentPath) -> PathBuf {
        self.layout.temporary().join(format!("{}-{:020}.repair", self.stream, at.first_offset.0))
    }

    fn put(
        &self,
        at: &SegmentPath,
        write: impl FnOnce(&dyn File, &std::path::Path) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let folder = self.layout.temporary();
        self.files.create_folders(&folder).map_err(Error::io("create", &folder))?;
        let temporary = self.temporary(at);
        clear_name(self.files, &temporary)?;
        let file = self.files.create(&temporary).map_err(Error::io("create", &temporary))?;
        write(&*file, &temporary)?;
        file.sync().map_err(Error::io("sync", &temporary))
    }

    fn settle(&self, at: &SegmentPath) -> Result<(), Error> {
        self.files
            .rename(&self.temporary(at), &at.path)
            .map_err(Error::io("put the repaired file in the place of", &at.path))?;
        for folder in self.layout.folders_to(&at.path) {
            self.files.sync_folder(folder).map_err(Error::io("sync", folder))?;
        }
        Ok(())
    }

    /// A segment with footers: its good blocks as they are, the others as null.
    fn open(&self, prior: Option<&Prior>, blocks: &[(Found, bool)], counts_to: u64) -> Result<Mended, Error> {
        let Some(((footer, place), _)) = blocks.first() else {
            return match (prior, self.next) {
                // Nothing that counts is in it; opening sets it aside.
                (_, None) => Ok(None),
                (Some(prior), Some(Beginning { border: next, raw_before })) if next.offset > prior.border.offset => {
                    let lost = next.offset.since(prior.border.offset);
                    let done = self.replace(lost, |file, path| self.nulls_only(prior, next, raw_before, file, path))?;
                    Ok(Some((Some(done), Prior { border: next, raw_end: raw_before, ..prior.clone() })))
                }
                (None, Some(Beginning { border: next, .. })) if next.offset > self.segment.at.first_offset => {
                    Err(self.cannot("it is the first segment and no block in it is whole"))
                }
                _ => Ok(None),
            };
        };
        let start = match prior {
            Some(prior) => prior.clone(),
            None => Prior {
                border: Border {
                    number: place.number.saturating_sub(u64::from(place.first_offset > self.segment.at.first_offset)),
                    offset: self.segment.at.first_offset,
                },
                raw_end: footer.raw_before.saturating_sub(place.first_offset.since(self.segment.at.first_offset) * 5),
                received: footer.received_time,
                epoch: footer.epoch,
                cursors: Arc::clone(&footer.cursors),
            },
        };
        let mut end = start.border;
        let mut at = 0;
        let mut whole = true;
        for ((_, place), good) in blocks {
            whole &= *good && place.begins() == end && place.start == at;
            end = place.ends();
            at = place.end();
        }
        // A file that ends with its last block is whole: what is missing after it is another file.
        let ends_here = counts_to == self.segment.len()?;
        whole &= ends_here || self.next.is_none_or(|next| next.border == end);
        if whole {
            let last = blocks.last().map_or(start, |((footer, place), _)| after(footer, place.ends()));
            return Ok(Some((None, last)));
        }
        let mut nulls_made = 0;
        let mut last = start;
        let mut failed = Ok(());
        let done = self.replace(0, |file, path| {
            let mut writer = OpenWriter::new(file, path, self.segment.seed)?;
            let mut decompressor = Decompressor::new().map_err(Error::io("decompress", path))?;
            for ((footer, place), good) in blocks {
                if place.first_offset < last.border.offset || place.number < last.border.number {
                    failed = Err(self.cannot("its blocks are not in order"));
                    return Ok(());
                }
                nulls_made += writer.nulls(&mut last, place.begins(), footer.raw_before)?;
                let payload = if *good {
                    let stored = self.segment.read(place.start, place.footer_start())?;
                    decompressor.decompress(&stored, place.raw_len as usize).map(Vec::from)
                } else {
                    nulls_made += u64::from(place.count);
                    Some(nulls(place.count.into(), place.raw_len.into()))
                };
                let Some(payload) = payload else {
                    failed = Err(self.cannot("a block that was good a moment ago is not"));
                    return Ok(());
                };
                writer.block(footer.clone(), &payload)?;
                last = after(footer, place.ends());
            }
            if let Some(next) = self.next.filter(|_| !ends_here) {
                nulls_made += writer.nulls(&mut last, next.border, next.raw_before)?;
            }
            Ok(())
        });
        failed?;
        Ok(Some((Some(Repaired { nulls: nulls_made, ..done? }), last)))
    }

    /// A sealed segment: its good frames as they are, the others made anew of nulls of the same length.
    fn sealed(&self, index: &Index, frames: &[bool]) -> Result<(Option<Repaired>, Prior), Error> {
        let last = Prior {
            border: index.ends(),
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
        let first_offset = self.segment.at.first_offset;
        let mut decompressor = Decompressor::new().map_err(Error::io("decompress", &self.segment.at.path))?;
        let mut frames = Vec::new();
        for range in frames_of(self.segment)? {
            let stored = self.segment.read(range.start, range.end)?;
            let Some(raw_len) = data_frame::content_len(&stored).filter(|len| *len <= RAW_BYTES_MAX) else { continue };
            let Some(payload) = decompressor.decompress(&stored, raw_len) else { break };
            frames.push((stored, payload));
        }
        let count = |payload: &[u8]| memchr::memchr_iter(b'\n', payload).count() as u64;
        let events: u64 = frames.iter().map(|(_, payload)| count(payload)).sum();
        let raw_bytes: u64 = frames.iter().map(|(_, payload)| payload.len() as u64).sum();
        let first_number = match (prior, self.next) {
            (Some(prior), _) => prior.border.number,
            (None, Some(next)) => next.border.number.saturating_sub(frames.len() as u64 + 1),
            (None, None) => 0,
        };
        let ends = self
            .next
            .map(|next| next.border)
            .unwrap_or(Border { number: first_number + frames.len() as u64, offset: first_offset.plus(events) });
        let blocks = ends.number.saturating_sub(first_number);
        let lost = ends.offset.since(first_offset).checked_sub(events);
        let (Some(lost), true) = (lost, blocks >= frames.len() as u64 && blocks > 0) else {
            return Err(self.cannot("its frames hold more than fits between its neighbours"));
        };
        if lost > 0 && blocks == frames.len() as u64 || lost > NULLS_MAX {
            return Err(self.cannot("there is no block left for the events that are lost"));
        }
        let hour = self.layout.hour_of(self.stream, &self.segment.at.path).and_then(|hour| start_of(&hour));
        let received = prior.map(|prior| prior.received).max(hour).unwrap_or_default();
        let epoch = prior.map_or(0, |prior| prior.epoch);
        let cursors = prior.map_or_else(Arc::default, |prior| Arc::clone(&prior.cursors));
        let raw_before = match (prior, self.next) {
            (Some(prior), _) => prior.raw_end,
            (None, Some(next)) => next.raw_before.saturating_sub(raw_bytes + lost * 5),
            (None, None) => 0,
        };
        let lost_bytes = self.next.map_or(lost * 5, |next| next.raw_before.saturating_sub(raw_before + raw_bytes));
        let done = self.replace(lost, |file, path| {
            let mut writer = SealedWriter::new(file, path, self.segment.seed, LEVEL)?;
            let mut offset = first_offset;
            let mut entry = |count: u64, raw_len: usize| {
                let event_times = (count > 0).then_some((Timestamp(i64::MIN), Timestamp(i64::MAX)));
                let (first_offset, received_time, progress, time_rule) = (offset, received, None, None);
                offset = offset.plus(count);
                // A frame holds at most RAW_BYTES_MAX bytes, and so at most as many lines.
                let (count, raw_len) = (count as u32, raw_len as u32);
                Entry { first_offset, count, raw_len, received_time, event_times, time_rule, progress, epoch }
            };
            for (stored, payload) in &frames {
                writer.block(entry(count(payload), payload.len()));
                writer.stored_frame(stored, payload.len())?;
            }
            let left = blocks - frames.len() as u64;
            if left > 0 {
                let payload = if lost == 0 { Vec::new() } else { nulls(lost, lost_bytes.max(lost * 2)) };
                writer.block(entry(lost, payload.len()));
                (1..left).for_each(|_| writer.block(entry(0, 0)));
                writer.frame(&payload)?;
            }
            writer.finish(first_number, raw_before, Arc::clone(&cursors), Vec::new(), 0).map(|_| ())
        })?;
        let raw_end = raw_before + raw_bytes + if lost == 0 { 0 } else { lost_bytes };
        Ok((Some(done), Prior { border: ends, raw_end, received, epoch, cursors }))
    }

    /// A segment that is not there at all, made of nulls.
    fn missing(&self, prior: &Prior, until: Border, raw_before: u64) -> Result<Repaired, Error> {
        // In the hour of what came before or, where that name is taken by a segment without an event, of what comes after.
        let after = self.next_received().unwrap_or(prior.received);
        let free = [prior.received, after].into_iter().find_map(|received| {
            let at = self.layout.segment_in(self.stream, &received.hour_folder(), prior.border.offset);
            self.files.open(&at.path, Access::Read).is_err().then_some((at, received))
        });
        let Some((at, received)) = free else {
            return Err(
                self.cannot("the segment before it is missing, and another one has the name that it would need")
            );
        };
        let prior = &Prior { received, ..prior.clone() };
        if let Some(folder) = at.path.parent() {
            self.files.create_folders(folder).map_err(Error::io("create", folder))?;
        }
        self.put(&at, |file, path| self.nulls_only(prior, until, raw_before, file, path))?;
        self.settle(&at)?;
        Ok(Repaired {
            path: at.path,
            kept: None,
            nulls: until.offset.since(prior.border.offset),
            said: None,
            is_loss: true,
        })
    }

    /// When the first events of this segment were received, by the hour that it lies in.
    fn next_received(&self) -> Option<Timestamp> {
        self.layout.hour_of(self.stream, &self.segment.at.path).and_then(|hour| start_of(&hour))
    }

    /// Writes a segment of nothing but nulls from `prior` up to `until`.
    fn nulls_only(
        &self,
        prior: &Prior,
        until: Border,
        raw_before: u64,
        file: &dyn File,
        path: &std::path::Path,
    ) -> Result<(), Error> {
        let mut writer = OpenWriter::new(file, path, seed(self.stream, prior.border.offset))?;
        let mut last = prior.clone();
        writer.nulls(&mut last, until, raw_before).map(|_| ())
    }
}

fn after(footer: &Footer, border: Border) -> Prior {
    Prior {
        border,
        raw_end: footer.raw_before + u64::from(footer.raw_len),
        received: footer.received_time,
        epoch: footer.epoch,
        cursors: Arc::clone(&footer.cursors),
    }
}

/// `2026/11/23/07` as a time.
fn start_of(hour: &str) -> Option<Timestamp> {
    let mut parts = hour.split('/');
    let (year, month, day, hour) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    format!("{year}-{month}-{day}T{hour}:00:00Z").parse().ok()
}

/// Writes blocks with footers.
struct OpenWriter<'a> {
    file: &'a dyn File,
    path: &'a std::path::Path,
    compressor: Compressor,
    seed: u64,
    chain: u64,
    end: u64,
    out: Vec<u8>,
}

impl<'a> OpenWriter<'a> {
    fn new(file: &'a dyn File, path: &'a std::path::Path, seed: u64) -> Result<Self, Error> {
        let compressor = Compressor::new(LEVEL).map_err(Error::io("compress", path))?;
        Ok(Self { file, path, compressor, seed, chain: seed, end: 0, out: Vec::new() })
    }

    /// Writes a block with this footer, apart from what depends on where it stands.
    fn block(&mut self, footer: Footer, payload: &[u8]) -> Result<(), Error> {
        self.compressor.compress(payload, &mut self.out).map_err(Error::io("compress", self.path))?;
        // A block has at most RAW_BYTES_MAX bytes. What stands here is synced before it counts.
        let (raw_len, stored_len) = (payload.len() as u32, self.out.len() as u32);
        let (synced_to, synced_blocks) = (footer.first_offset, footer.number);
        let footer = Footer { raw_len, stored_len, synced_to, synced_blocks, ..footer };
        let chain = footer.seal(&mut self.out, self.seed, self.chain);
        self.chain = chain.ok_or_else(|| Error::Internal("a footer that was read does not fit a footer".to_owned()))?;
        self.file.write_all_at(&self.out, self.end).map_err(Error::io("write", self.path))?;
        self.end += self.out.len() as u64;
        Ok(())
    }

    /// Fills with nulls from `last` up to `until`, so that `raw_before` bytes lie before that; answers how many.
    fn nulls(&mut self, last: &mut Prior, until: Border, raw_before: u64) -> Result<u64, Error> {
        let all = until.offset.since(last.border.offset);
        let blocks = until.number.saturating_sub(last.border.number);
        if blocks == 0 && all > 0 || blocks > 0 && all.div_ceil(blocks) > NULLS_MAX {
            let what = format!("{}: there are not enough blocks for {all} events that are lost", self.path.display());
            return Err(Error::Invalid(what));
        }
        let mut left = all;
        for n in 0..blocks {
            let count = left.div_ceil(blocks - n);
            left -= count;
            let room = raw_before.saturating_sub(last.raw_end);
            // All the padding goes into the last of them, as far as it fits a block.
            let raw_len = if n + 1 == blocks { room.min(RAW_BYTES_MAX as u64) } else { count * 5 };
            let payload = if count == 0 { Vec::new() } else { nulls(count, raw_len.max(count * 2)) };
            // Nobody knows when they were: at any time, so that a query by time reads them.
            let times = (count > 0).then_some((Timestamp(i64::MIN), Timestamp(i64::MAX)));
            let footer = Footer {
                number: last.border.number,
                first_offset: last.border.offset,
                count: count as u32,
                raw_len: 0,
                stored_len: 0,
                raw_before: last.raw_end,
                received_time: last.received,
                event_time_least: times.map(|times| times.0),
                event_time_greatest: times.map(|times| times.1),
                time_rule: None,
                synced_to: Offset(0),
                synced_blocks: 0,
                epoch: last.epoch,
                cursors: Arc::clone(&last.cursors),
                keys: Vec::new(),
            };
            self.block(footer, &payload)?;
            last.border = Border { number: last.border.number + 1, offset: last.border.offset.plus(count) };
            last.raw_end += payload.len() as u64;
        }
        Ok(all)
    }
}
