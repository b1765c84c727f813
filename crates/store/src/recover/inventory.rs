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

use std::{io, path::PathBuf};

use lakehead_model::{Name, Offset};
use serde::{Deserialize, Serialize};

use crate::{
    crash,
    disk::{
        files::{Access, File, clear_name},
        log_files::LogFiles,
    },
    error::Error,
    format::{
        boundary::Boundary,
        checksum::{self, Running},
    },
    recover::loss::Loss,
    segment::summary::Summary,
};

/// The version of this format; another one's inventory is made anew.
const FORMAT: u32 = 1;
/// Greatest size: a hundred bytes for each of a few million segments.
const INVENTORY_BYTES_MAX: u64 = 1 << 30;

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
    pub(crate) end: Option<Boundary>,
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
    pub(crate) fn ends(&self) -> Option<Boundary> {
        let finished = self.segments.last().map(|line| line.summary.ends(line.first_offset));
        self.end.max(finished)
    }
}

/// What is there under an inventory's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InventoryFile {
    /// Nothing.
    Missing,
    /// Something that is not what was written.
    Damaged,
    /// An inventory, whole.
    Whole(Inventory),
}

impl InventoryFile {
    pub(crate) fn whole(self) -> Option<Inventory> {
        match self {
            Self::Whole(inventory) => Some(inventory),
            Self::Missing | Self::Damaged => None,
        }
    }
}

pub(crate) fn path(log: &LogFiles) -> PathBuf {
    log.layout.inventory().join(format!("{}.json", log.name))
}

/// Reads the inventory.
///
/// # Errors
/// When the disk does not give it. That says nothing of what is in it: an inventory that is taken as damaged is made anew, and
/// the losses that it notes are forgotten.
pub(crate) fn read(log: &LogFiles) -> Result<InventoryFile, Error> {
    let path = path(log);
    let bytes = log.files.open(&path, Access::Read).and_then(|file| bytes(&*file));
    match bytes {
        Ok(bytes) => Ok(whole(&bytes, &log.name).map_or(InventoryFile::Damaged, InventoryFile::Whole)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(InventoryFile::Missing),
        Err(error) => Err(Error::io("read", &path)(error)),
    }
}

/// The bytes of the file; none where there are more than an inventory has.
fn bytes(file: &dyn File) -> io::Result<Vec<u8>> {
    let len = file.len()?;
    if len > INVENTORY_BYTES_MAX {
        return Ok(Vec::new());
    }
    let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

fn whole(bytes: &[u8], stream: &Name) -> Option<Inventory> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (json, checksum) = text.strip_suffix('\n')?.split_once('\n')?;
    if checksum != checksum_of(stream, json) {
        return None;
    }
    let inventory: Inventory = serde_json::from_str(json).ok()?;
    let joins = inventory.segments.iter().zip(inventory.segments.iter().skip(1)).all(|(one, next)| {
        let next = Boundary { number: next.summary.first_number, offset: next.first_offset };
        one.summary.ends(one.first_offset) == next
    });
    (inventory.format == FORMAT && joins).then_some(inventory)
}

fn checksum_of(stream: &Name, json: &str) -> String {
    format!("{:016x}", Running::after(checksum::seed(stream, Offset(0))).over(json.as_bytes()).value())
}

/// Replaces the inventory in one step, durably: what retention removes after it must not be named by an older one.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write(log: &LogFiles, inventory: Inventory) -> Result<(), Error> {
    let folder = log.layout.inventory();
    log.files.create_folders(&folder).map_err(Error::io("create", &folder))?;
    let json = serde_json::to_string(&Inventory { format: FORMAT, ..inventory })
        .map_err(|error| Error::Internal(format!("the inventory of {}: {error}", log.name)))?;
    let text = format!("{json}\n{}\n", checksum_of(&log.name, &json));
    let (path, fresh) = (path(log), folder.join(format!("{}.json.new", log.name)));
    clear_name(&*log.files, &fresh)?;
    let file = log.files.create(&fresh).map_err(Error::io("create", &fresh))?;
    file.write_all_at(text.as_bytes(), 0).map_err(Error::io("write", &fresh))?;
    file.sync().map_err(Error::io("sync", &fresh))?;
    crash::point("inventory.written");
    log.files.rename(&fresh, &path).map_err(Error::io("replace", &path))?;
    log.files.sync_folder(&folder).map_err(Error::io("sync", &folder))?;
    log.files.sync_folder(log.layout.root()).map_err(Error::io("sync", log.layout.root()))
}
