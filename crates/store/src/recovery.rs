//! Opening a stream: where does it stand, and what of its end can be believed?
//!
//! ```text
//!   …──[block]──[block]──[block]──[block]──[bl…        the last segment
//!            anchor ┘  ╰─ verified, written again ─╯ └ torn: to the quarantine
//!      < greatest synced_blocks  ≥ greatest synced_blocks
//! ```
//!
//! Only the end of the last segment is judged (docs/formats/segment.md, "Opening"). Damage below `synced_blocks` is
//! corruption: stop, cut nothing. At or above it is a torn tail. [`judge`] decides and changes nothing; [`open`] acts.

use std::path::PathBuf;

use lakehead_model::{Name, Offset};

use crate::{
    Error,
    evidence::Standing,
    files::{Access, Files},
    footer::IdempotencyKey,
    index::Index,
    inventory::{self, Known, Summary},
    layout::{Layout, SegmentPath},
    mark::Mark,
    quarantine, seal,
    segment::{Beginning, Border, Found, Place, Segment, follows_not},
};

/// What an opened stream starts from.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) mark: Mark,
    /// The segments in order, each with the bytes of it that count.
    pub(crate) segments: Vec<Known>,
    /// The last segment, when there is one.
    pub(crate) last: Option<LastSegment>,
    /// Bytes of events before the first segment, and before the last.
    pub(crate) raw_before: u64,
    pub(crate) raw_before_last: u64,
    /// The number of the first block.
    pub(crate) first_number: u64,
    /// The idempotency keys of the last two segments, oldest first.
    pub(crate) keys: Vec<IdempotencyKey>,
    /// What was cut, and where it is now.
    pub(crate) quarantined: Vec<PathBuf>,
    /// What the inventory said.
    pub(crate) inventory: inventory::Found,
}

impl Recovered {
    /// Where the log stands, by its files.
    pub(crate) fn standing(&self) -> Standing {
        Standing {
            start: self.segments.first().map(|known| known.at.first_offset),
            end: Border { number: self.mark.next_number, offset: self.mark.next_offset },
        }
    }
}

/// The last segment as it was found.
#[derive(Debug)]
pub(crate) struct LastSegment {
    pub(crate) segment: Segment,
    /// Its blocks; none when it is sealed.
    pub(crate) places: Vec<Place>,
    /// Whether blocks may be added to it: not when a torn tail could not be cut.
    pub(crate) can_grow: bool,
    /// Whether its last footers are not yet covered by a later one's `synced_blocks`.
    pub(crate) unmarked: bool,
    /// Whether something was cut from its end. A footer in that may have been the only proof of what was synced, so the
    /// first thing to be written is a new one.
    pub(crate) was_cut: bool,
}

/// What the end of a segment is.
#[derive(Debug)]
struct Judged {
    /// The byte after the last good block; 0 when there is none.
    good_end: u64,
    /// The first byte that no footer proves to have been synced.
    unproven_from: u64,
    /// The file's length.
    file_len: u64,
    /// The last good footer.
    last: Option<Found>,
    /// Blocks below this number were synced, as a footer in the file says.
    synced_blocks: u64,
}

/// Judges the end of `segment`; reads only.
///
/// # Errors
/// `Corrupt` when something is damaged that a later footer proves to have been synced.
fn judge(segment: &Segment) -> Result<Judged, Error> {
    let file_len = segment.len()?;
    let (mut synced_blocks, mut synced_to) = (0, segment.at.first_offset);
    let mut above: Vec<Found> = Vec::new();
    let mut anchor = None;
    let mut end = file_len;
    while let Some((footer, place)) = segment.last_footer_before(end)? {
        synced_blocks = synced_blocks.max(footer.synced_blocks);
        synced_to = synced_to.max(footer.synced_to);
        end = place.start;
        if footer.number < synced_blocks {
            anchor = Some((footer, place));
            break;
        }
        above.push((footer, place));
    }
    let mut good_end = anchor.as_ref().map_or(0, |(_, place)| place.end());
    let unproven_from = good_end;
    let mut chain = anchor.as_ref().map_or(segment.seed, |(_, place)| place.chain);
    let mut last = anchor;
    for (footer, place) in above.into_iter().rev() {
        let in_order = match &last {
            Some((_, before)) => before.ends() == place.begins(),
            None => place.first_offset == segment.at.first_offset,
        };
        if place.start != good_end || !in_order || !segment.verify(&place, chain)? {
            break;
        }
        good_end = place.end();
        chain = place.chain;
        last = Some((footer, place));
    }
    let lost = match &last {
        Some((_, place)) => place.number + 1 < synced_blocks,
        None => synced_to > segment.at.first_offset,
    };
    if lost {
        return Err(synced_but_gone(segment, good_end, synced_blocks));
    }
    Ok(Judged { good_end, unproven_from, file_len, last, synced_blocks })
}

fn synced_but_gone(segment: &Segment, at: u64, synced_blocks: u64) -> Error {
    let what =
        format!("a later footer proves that all blocks below number {synced_blocks} were synced, and one is not here");
    segment.corrupt(at, what)
}

/// The last segment with something in it.
#[expect(clippy::large_enum_variant, reason = "there is one, for a moment")]
enum End {
    /// It is sealed: nothing of it is in doubt.
    Sealed(Segment, Index),
    /// Blocks with footers; the last whole one.
    Open(Segment, Judged, Found),
}

/// Opens the log of `stream` and, with [`Access::Write`], mends its end.
pub(crate) fn open(files: &dyn Files, layout: &Layout, stream: &Name, access: Access) -> Result<Recovered, Error> {
    if access == Access::Write {
        seal::sweep(files, layout, stream)?;
    }
    // Before the folders: retention may be at work beside, and lets the inventory forget first.
    let inventory = inventory::read(files, layout, stream);
    let known = match &inventory {
        inventory::Found::Whole(known) => Some(known),
        inventory::Found::Nothing | inventory::Found::Damaged => None,
    };
    let mut segments = inventory::segments(files, layout, stream, known)?;
    let mut quarantined = Vec::new();
    let mut aside: Vec<(Segment, Judged)> = Vec::new();
    let mut end = None;
    while let Some(Known { at, .. }) = segments.last() {
        let segment = Segment::open(files, stream, at.clone(), access)?;
        if let Some(index) = segment.index()? {
            end = Some(End::Sealed(segment, index));
            break;
        }
        let mut judged = judge(&segment)?;
        if let Some(last) = judged.last.take() {
            end = Some(End::Open(segment, judged, last));
            break;
        }
        if segment.was_sealed()? {
            return Err(segment.corrupt(judged.file_len, "this segment was sealed, and its index is not at its end"));
        }
        aside.push((segment, judged));
        segments.pop();
    }
    let mark = match &end {
        None => Mark::default(),
        Some(End::Sealed(_, index)) => Mark::after_index(index),
        Some(End::Open(_, _, last)) => Mark::after(&last.0),
    };
    for (segment, judged) in &aside {
        if judged.synced_blocks > mark.next_number {
            return Err(synced_but_gone(segment, 0, judged.synced_blocks));
        }
        if segment.at.first_offset > mark.next_offset {
            let what = format!("it holds no good block, and the stream before it ends at offset {}", mark.next_offset);
            return Err(segment.corrupt(0, what));
        }
    }
    if access == Access::Write {
        for (segment, judged) in &aside {
            set_segment_aside(files, layout, stream, segment, judged.file_len, &mut quarantined)?;
        }
    }
    let mut repair = Repair { files, layout, stream, access, quarantined };
    let (last, begins, raw_before_last, end, keys_last) = match end {
        None => return Ok(nothing(repair.quarantined, inventory)),
        Some(End::Sealed(segment, index)) => {
            let len = segment.len()?;
            let last = LastSegment { segment, places: Vec::new(), can_grow: false, unmarked: false, was_cut: false };
            if let Some(known) = segments.last_mut() {
                known.summary = Some(Summary::of_index(&index));
            }
            (last, index.begins(), index.raw_before, len, index.keys)
        }
        Some(End::Open(segment, judged, found)) => {
            let can_grow = repair.mend_end(&segment, &judged)?;
            let walked = segment.walk(judged.good_end)?;
            let begins = walked.places.first().map_or(Border { number: 0, offset: Offset(0) }, Place::begins);
            let unmarked = found.0.count > 0 || found.0.synced_blocks < found.0.number;
            let was_cut = access == Access::Write && judged.good_end < judged.file_len;
            let last = LastSegment { segment, places: walked.places, can_grow, unmarked, was_cut };
            (last, begins, walked.raw_before, judged.good_end, walked.keys)
        }
    };
    let mut keys = repair.before_last(&mut segments, begins)?;
    keys.extend(keys_last);
    if let Some(known) = segments.last_mut() {
        known.len = end;
    }
    let same_start: Vec<&SegmentPath> = segments
        .iter()
        .map(|known| &known.at)
        .take_while(|at| segments.first().is_some_and(|first| at.first_offset == first.at.first_offset))
        .collect();
    let first = first_block(files, stream, same_start.into_iter())?;
    let (raw_before, first_number) = (first.raw_before, first.border.number);
    let quarantined = repair.quarantined;
    let last = Some(last);
    Ok(Recovered { mark, segments, last, raw_before, raw_before_last, first_number, keys, quarantined, inventory })
}

fn nothing(quarantined: Vec<PathBuf>, inventory: inventory::Found) -> Recovered {
    let (mark, segments, keys) = Default::default();
    let (raw_before, raw_before_last, first_number) = (0, 0, 0);
    let last = None;
    Recovered { mark, segments, last, raw_before, raw_before_last, first_number, keys, quarantined, inventory }
}

/// What opening changes, where it may.
struct Repair<'a> {
    files: &'a dyn Files,
    layout: &'a Layout,
    stream: &'a Name,
    access: Access,
    quarantined: Vec<PathBuf>,
}

impl Repair<'_> {
    /// Writes the unproven blocks again and cuts the torn tail; answers whether the segment can grow.
    fn mend_end(&mut self, segment: &Segment, judged: &Judged) -> Result<bool, Error> {
        if self.access == Access::Read {
            return Ok(true);
        }
        let mut can_grow = true;
        write_again(segment, judged.unproven_from, judged.good_end)?;
        if judged.good_end < judged.file_len {
            can_grow = self.cut(segment, judged.good_end, judged.file_len);
        }
        if judged.unproven_from < judged.good_end {
            for folder in self.layout.folders_to(&segment.at.path) {
                self.files.sync_folder(folder).map_err(Error::io("sync", folder))?;
            }
        }
        Ok(can_grow)
    }

    /// Finds the segment before the last, which begins at `begins`, cuts what it holds beyond, and answers its keys. Those
    /// that hold nothing that counts are set aside.
    fn before_last(&mut self, segments: &mut Vec<Known>, begins: Border) -> Result<Vec<IdempotencyKey>, Error> {
        while let Some(index) = segments.len().checked_sub(2) {
            let Some(Known { at, .. }) = segments.get(index).cloned() else { break };
            let before = Segment::open(self.files, self.stream, at, self.access)?;
            if let Some(found) = before.index()? {
                if found.ends() != begins {
                    return Err(before.corrupt(before.len()?, follows_not(found.ends(), begins)));
                }
                if let Some(known) = segments.get_mut(index) {
                    known.len = before.len()?;
                    known.summary = Some(Summary::of_index(&found));
                }
                return Ok(found.keys);
            }
            let (end, file_len) = (end_before(&before, begins)?, before.len()?);
            if end > 0 {
                if end < file_len && self.access == Access::Write {
                    self.cut(&before, end, file_len);
                }
                let walked = before.walk(end)?;
                if let Some(known) = segments.get_mut(index) {
                    known.len = end;
                    known.summary = Summary::of_places(&walked.places, walked.raw_before);
                }
                return Ok(walked.keys);
            }
            if self.access == Access::Write {
                set_segment_aside(self.files, self.layout, self.stream, &before, file_len, &mut self.quarantined)?;
            }
            segments.remove(index);
        }
        Ok(Vec::new())
    }

    fn cut(&mut self, segment: &Segment, from: u64, until: u64) -> bool {
        cut(self.files, self.layout, self.stream, segment, from, until, &mut self.quarantined)
    }
}

/// What the first of these segments that has a block begins with. They begin with the same offset; the others failed before
/// their first block was committed.
///
/// # Errors
/// `Corrupt` when none has a whole first block.
pub(crate) fn first_block<'a>(
    files: &dyn Files,
    stream: &Name,
    segments: impl Iterator<Item = &'a SegmentPath>,
) -> Result<Beginning, Error> {
    let mut last = None;
    for at in segments {
        let segment = Segment::open(files, stream, at.clone(), Access::Read)?;
        if let Some(found) = segment.beginning()? {
            return Ok(found);
        }
        last = Some(segment);
    }
    Err(last.map_or_else(
        || Error::Internal("a segment has one after it or is the last".to_owned()),
        |segment| segment.corrupt(0, "its first block is not whole"),
    ))
}

/// The byte at which `segment`, which is not sealed, ends, given where the segment after it begins. What it holds beyond
/// never counted ("A segment ends where the next begins"); 0 when nothing of it did.
///
/// # Errors
/// `Corrupt` when the two do not join.
pub(crate) fn end_before(segment: &Segment, next: Border) -> Result<u64, Error> {
    let mut end = segment.len()?;
    while let Some((_, place)) = segment.last_footer_before(end)? {
        if place.number < next.number {
            return if place.ends() == next {
                Ok(place.end())
            } else {
                Err(segment.corrupt(place.end(), follows_not(place.ends(), next)))
            };
        }
        end = place.start;
    }
    if segment.was_sealed()? {
        return Err(segment.corrupt(segment.len()?, "this segment was sealed, and its index is not at its end"));
    }
    if segment.at.first_offset == next.offset {
        return Ok(0);
    }
    Err(segment.corrupt(0, format!("it holds no block before number {}, where the next segment begins", next.number)))
}

/// Writes what is good but not known to be synced once more in place and syncs it: the pages may come from a cache whose
/// write-back failed before this process began, and then a sync alone would succeed and prove nothing.
fn write_again(segment: &Segment, from: u64, until: u64) -> Result<(), Error> {
    const WINDOW: u64 = 1 << 20;
    let mut buffer = Vec::new();
    let mut at = from;
    while at < until {
        let end = (at + WINDOW).min(until);
        buffer.resize(usize::try_from(end - at).unwrap_or(0), 0);
        segment.file.read_exact_at(&mut buffer, at).map_err(Error::io("read", &segment.at.path))?;
        segment.file.write_all_at(&buffer, at).map_err(Error::io("write", &segment.at.path))?;
        at = end;
    }
    if from < until {
        segment.file.sync().map_err(Error::io("sync", &segment.at.path))?;
    }
    Ok(())
}

/// Moves a torn tail into the quarantine. Answers whether it is gone from the segment: on a full disk it is not, and then the
/// segment takes no more blocks and ends where the next one begins.
fn cut(
    files: &dyn Files,
    layout: &Layout,
    stream: &Name,
    segment: &Segment,
    from: u64,
    until: u64,
    quarantined: &mut Vec<PathBuf>,
) -> bool {
    let bytes = until - from;
    let done = quarantine::keep(files, layout, stream, segment, from, until).and_then(|copy| {
        quarantined.push(copy.clone());
        segment.file.truncate(from).map_err(Error::io("cut", &segment.at.path))?;
        segment.file.sync().map_err(Error::io("sync", &segment.at.path))?;
        Ok(copy)
    });
    match done {
        Ok(copy) => {
            tracing::warn!(%stream, segment = %segment.at.path.display(), from, bytes, copy = %copy.display(),
                "cut a tail that was never committed; it is kept in the quarantine");
            true
        }
        Err(error) => {
            tracing::warn!(%stream, segment = %segment.at.path.display(), from, bytes, %error,
                "could not cut a tail that was never committed; the log goes on in a new segment");
            false
        }
    }
}

/// Takes a segment without a good block out of the log: an empty one is removed, another moved to the quarantine.
pub(crate) fn set_segment_aside(
    files: &dyn Files,
    layout: &Layout,
    stream: &Name,
    segment: &Segment,
    len: u64,
    quarantined: &mut Vec<PathBuf>,
) -> Result<(), Error> {
    if len > 0 {
        let copy = quarantine::move_whole(files, layout, stream, segment)?;
        tracing::warn!(%stream, segment = %segment.at.path.display(), bytes = len, copy = %copy.display(),
            "set aside a segment without a committed block; it is kept in the quarantine");
        quarantined.push(copy);
    } else {
        files.remove(&segment.at.path).map_err(Error::io("remove", &segment.at.path))?;
    }
    if let Some(folder) = segment.at.path.parent() {
        files.sync_folder(folder).map_err(Error::io("sync", folder))?;
    }
    Ok(())
}
