//! The inventory: what a stream's finished segments hold, in one small file, so that opening a stream takes as long with
//! ten thousand of them as with ten, and a query by time opens only those that it needs.
//!
//! `<data>/inventory/<stream>.json`: one line of JSON and, on a second line, its checksum. What is read is read from the files:
//! the last segments are listed and read at every opening, the first is opened, and [`Stream::check_inventory`] compares
//! all of it with the folders after the start. Missing, it is made anew from them.
//!
//! It is evidence, too: it says where retention has let the log begin and how far the log reached, synced, when it was written.
//! What it names and the files do not have is a [loss](crate::Loss), which is noted in it and stays there.
//!
//! [`Stream::check_inventory`]: crate::Stream::check_inventory

use std::path::PathBuf;

use lakehead_model::{Name, Offset, TimeRule, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Error,
    checksum::Running,
    crash,
    evidence::Loss,
    files::{Access, File, Files, clear_name},
    index::{Entry, Index},
    layout::{Layout, SegmentPath},
    segment::{Border, Place},
};

/// The version of this format; another one's inventory is made anew.
const FORMAT: u32 = 1;
/// Greatest size: a hundred bytes for each of a few million segments.
const INVENTORY_BYTES_MAX: u64 = 1 << 30;

/// What a finished segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) first_number: u64,
    pub(crate) blocks: u64,
    pub(crate) events: u64,
    /// Bytes of all the stream's events before it.
    pub(crate) raw_before: u64,
    pub(crate) raw_bytes: u64,
    pub(crate) received_first: Timestamp,
    pub(crate) received_last: Timestamp,
    pub(crate) event_times: Option<(Timestamp, Timestamp)>,
    /// By which rule these were read, where it is one for all of the segment's blocks and known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) time_rule: Option<TimeRule>,
    pub(crate) sealed: bool,
}

impl Summary {
    pub(crate) fn of_index(index: &Index) -> Self {
        let received = |block: Option<&Entry>| block.map_or_else(Timestamp::default, |block| block.received_time);
        let (begins, ends) = (index.begins(), index.ends());
        Self {
            first_number: begins.number,
            blocks: ends.number - begins.number,
            events: ends.offset.since(begins.offset),
            raw_before: index.raw_before,
            raw_bytes: index.raw_bytes(),
            received_first: received(index.blocks.first()),
            received_last: received(index.blocks.last()),
            event_times: spanned(index.blocks.iter().filter_map(|block| block.event_times)),
            time_rule: common(index.blocks.iter().filter(|block| block.count > 0).map(|block| block.time_rule)),
            sealed: true,
        }
    }

    /// Of a segment that is not sealed; `None` when it has no block.
    pub(crate) fn of_places(places: &[Place], raw_before: u64) -> Option<Self> {
        let (first, last) = (places.first()?, places.last()?);
        Some(Self {
            first_number: first.number,
            blocks: places.len() as u64,
            events: last.end_offset().since(first.first_offset),
            raw_before,
            raw_bytes: places.iter().map(|place| u64::from(place.raw_len)).sum(),
            received_first: first.received_time,
            received_last: last.received_time,
            event_times: spanned(places.iter().filter_map(|place| place.event_times)),
            time_rule: common(places.iter().filter(|place| place.count > 0).map(|place| place.time_rule)),
            sealed: false,
        })
    }

    /// Where it ends, given the offset of its first event.
    pub(crate) fn ends(&self, first_offset: Offset) -> Border {
        Border { number: self.first_number + self.blocks, offset: first_offset.plus(self.events) }
    }
}

fn spanned(times: impl Iterator<Item = (Timestamp, Timestamp)>) -> Option<(Timestamp, Timestamp)> {
    times.reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)))
}

/// The rule that all of them are, if they are one.
fn common(mut rules: impl Iterator<Item = Option<TimeRule>>) -> Option<TimeRule> {
    let first = rules.next()??;
    rules.all(|rule| rule == Some(first)).then_some(first)
}

/// One finished segment in the inventory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// `YYYY/MM/DD/HH`.
    pub(crate) hour: String,
    pub(crate) first_offset: Offset,
    /// Bytes of the file that count.
    pub(crate) bytes: u64,
    pub(crate) summary: Summary,
}

/// What an inventory says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Inventory {
    pub(crate) format: u32,
    /// The finished segments in order, without a gap, up to the first of which nothing was known.
    pub(crate) segments: Vec<Line>,
    /// Where the log begins: what was before has been removed by retention, or is among what is lost. Inventories of before
    /// 2026-11-28 do not say it, but by their first segment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) start: Option<Offset>,
    /// How far the log reached, synced, when this was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) end: Option<Border>,
    /// What was committed once and is gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) lost: Vec<Loss>,
}

impl Inventory {
    /// Where the log begins, as far as it says.
    pub(crate) fn begins(&self) -> Option<Offset> {
        self.start.or(self.segments.first().map(|line| line.first_offset))
    }

    /// How far the log reached at least, as far as it says.
    pub(crate) fn ends(&self) -> Option<Border> {
        let finished = self.segments.last().map(|line| line.summary.ends(line.first_offset));
        self.end.max(finished)
    }
}

/// What is there under an inventory's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing.
    Nothing,
    /// Something that is not what was written.
    Damaged,
    /// An inventory, whole.
    Whole(Inventory),
}

impl Found {
    pub(crate) fn whole(self) -> Option<Inventory> {
        match self {
            Self::Whole(inventory) => Some(inventory),
            Self::Nothing | Self::Damaged => None,
        }
    }
}

/// A segment as it was listed or recorded.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) at: SegmentPath,
    pub(crate) len: u64,
    /// What the inventory says of it.
    pub(crate) summary: Option<Summary>,
}

pub(crate) fn path(layout: &Layout, stream: &Name) -> PathBuf {
    layout.inventory().join(format!("{stream}.json"))
}

/// Reads the inventory.
pub(crate) fn read(files: &dyn Files, layout: &Layout, stream: &Name) -> Found {
    match files.open(&path(layout, stream), Access::Read) {
        Ok(file) => whole(&*file, stream).map_or(Found::Damaged, Found::Whole),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Found::Nothing,
        Err(_) => Found::Damaged,
    }
}

fn whole(file: &dyn File, stream: &Name) -> Option<Inventory> {
    let len = file.len().ok().filter(|len| *len <= INVENTORY_BYTES_MAX)?;
    let mut bytes = vec![0; usize::try_from(len).ok()?];
    file.read_exact_at(&mut bytes, 0).ok()?;
    let text = std::str::from_utf8(&bytes).ok()?;
    let (json, checksum) = text.strip_suffix('\n')?.split_once('\n')?;
    if checksum != checksum_of(stream, json) {
        return None;
    }
    let inventory: Inventory = serde_json::from_str(json).ok()?;
    let joins = inventory.segments.iter().zip(inventory.segments.iter().skip(1)).all(|(one, next)| {
        let next = Border { number: next.summary.first_number, offset: next.first_offset };
        one.summary.ends(one.first_offset) == next
    });
    (inventory.format == FORMAT && joins).then_some(inventory)
}

fn checksum_of(stream: &Name, json: &str) -> String {
    format!("{:016x}", Running::after(crate::checksum::seed(stream, Offset(0))).over(json.as_bytes()).value())
}

/// Replaces the inventory in one step, durably: what retention removes after it must not be named by an older one.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write(files: &dyn Files, layout: &Layout, stream: &Name, inventory: Inventory) -> Result<(), Error> {
    let folder = layout.inventory();
    files.create_folders(&folder).map_err(Error::io("create", &folder))?;
    let json = serde_json::to_string(&Inventory { format: FORMAT, ..inventory })
        .map_err(|error| Error::Internal(format!("the inventory of {stream}: {error}")))?;
    let text = format!("{json}\n{}\n", checksum_of(stream, &json));
    let (path, fresh) = (path(layout, stream), folder.join(format!("{stream}.json.new")));
    clear_name(files, &fresh)?;
    let file = files.create(&fresh).map_err(Error::io("create", &fresh))?;
    file.write_all_at(text.as_bytes(), 0).map_err(Error::io("write", &fresh))?;
    file.sync().map_err(Error::io("sync", &fresh))?;
    crash::point("inventory.written");
    files.rename(&fresh, &path).map_err(Error::io("replace", &path))?;
    files.sync_folder(&folder).map_err(Error::io("sync", &folder))?;
    files.sync_folder(layout.root()).map_err(Error::io("sync", layout.root()))
}

/// The stream's segments in order: the finished ones by the `inventory`, where that joins with what lies in the newest
/// folders; by all folders where it does not.
pub(crate) fn segments(
    files: &dyn Files,
    layout: &Layout,
    stream: &Name,
    inventory: Option<&Inventory>,
) -> Result<Vec<Known>, Error> {
    if let Some(inventory) = inventory
        && let Some(known) = extend(files, layout, stream, &inventory.segments)?
    {
        return Ok(known);
    }
    let listed = layout.list_segments(files, stream, "")?;
    Ok(listed.into_iter().map(|(at, len)| Known { at, len, summary: None }).collect())
}

/// The recorded segments and those after them; `None` when the folders say otherwise.
fn extend(files: &dyn Files, layout: &Layout, stream: &Name, lines: &[Line]) -> Result<Option<Vec<Known>>, Error> {
    let Some(newest) = lines.last().map(|line| line.hour.clone()) else { return Ok(None) };
    let mut known: Vec<Known> = lines
        .iter()
        .map(|line| {
            let at = layout.segment_in(stream, &line.hour, line.first_offset);
            Known { at, len: line.bytes, summary: Some(line.summary) }
        })
        .collect();
    let Some(first) = known.first() else { return Ok(None) };
    if files.open(&first.at.path, Access::Read).is_err() {
        return Ok(None);
    }
    let listed = layout.list_segments(files, stream, &newest)?;
    let last = known.last().map(|known| known.at.clone());
    let recorded = listed.partition_point(|(at, _)| Some(at) <= last.as_ref());
    let (before, after) = listed.split_at(recorded);
    // Of the newest recorded hour both must name the same files, with the same lengths.
    let of_that_hour = known.iter().rev().take(before.len()).rev();
    let same = !before.is_empty()
        && before.len() <= known.len()
        && of_that_hour.zip(before).all(|(known, (at, len))| known.at == *at && known.len <= *len);
    if !same {
        return Ok(None);
    }
    known.extend(after.iter().map(|(at, len)| Known { at: at.clone(), len: *len, summary: None }));
    Ok(Some(known))
}
