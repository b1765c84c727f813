//! Where each file of a stream belongs, by what is in it: the checksums of a segment's footers and index are seeded with its
//! stream and its first offset, so they prove both, whatever the file is called and wherever it lies.
//!
//! ```text
//!   all files below streams/<stream>/ ─▶ what is it? ─▶ where it belongs ─▶ there already │ to be put back │ set aside
//! ```
//!
//! [`arrange`] looks and changes nothing; [`put_back`](super::put_back) acts.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use lakehead_model::{Name, Offset};

use crate::{
    disk::{
        files::{Access, Files},
        layout::{self, SegmentPath},
        log_files::LogFiles,
    },
    error::Error,
    fsck::finding::Finding,
    recover::inventory::Inventory,
    segment::file::Segment,
};

/// How deep below a stream's folder files are looked for: year, month, day, hour, and as many again.
const DEPTH_MAX: usize = 8;
/// A segment, wherever its file lies.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    /// Its first offset, and where its file is now.
    pub(super) at: SegmentPath,
    /// Where it belongs.
    pub(super) place: PathBuf,
    pub(super) len: u64,
    /// Whether its footers or its index prove what it is.
    pub(super) proven: bool,
}

/// What a repair has to do with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It belongs there.
    Back { from: PathBuf, to: PathBuf },
    /// It belongs nowhere and is in the way of what does.
    Aside { path: PathBuf },
}

/// A stream's files, put in order.
#[derive(Debug, Default)]
pub(super) struct Arrangement {
    /// Its segments in order, as they will be when everything is put back.
    pub(super) segments: Vec<Placed>,
    pub(super) puts: Vec<Put>,
    pub(super) findings: Vec<Finding>,
    /// Files that cannot be read at all: nobody knows what is in them, so nothing is to be repaired before they can.
    pub(super) unreadable: Vec<PathBuf>,
}

/// What a file turns out to be.
enum Identity {
    Segment {
        stream: Name,
        first_offset: Offset,
        hour: String,
    },
    /// Nothing in it proves anything.
    Unknown,
}

/// One name below a stream's folder.
struct Item {
    path: PathBuf,
    len: u64,
    is_folder: bool,
}

/// By the path at which they belong: the segments that belong there, wherever they lie.
type ByPlace = BTreeMap<PathBuf, Vec<Placed>>;

/// Finds out where the files of a stream belong. `streams` are all there are.
pub(super) fn arrange(log: &LogFiles, streams: &[Name], inventory: Option<&Inventory>) -> Result<Arrangement, Error> {
    let mut arrangement = Arrangement::default();
    let mut items = Vec::new();
    walk(&*log.files, &log.folder(), DEPTH_MAX, &mut items)?;
    let recorded: Vec<Offset> =
        inventory.iter().flat_map(|inventory| &inventory.segments).map(|line| line.first_offset).collect();
    let mut by_place = ByPlace::new();
    for item in items {
        let named = named(log, &item.path);
        if item.is_folder {
            if named.is_some() {
                arrangement.aside(item.path, "a folder has the name of a segment".to_owned());
            }
            continue;
        }
        match identify(log, streams, &item.path, named, &recorded) {
            Ok(identity) => arrangement.sort_in(log, item, named, identity, &mut by_place)?,
            Err(error) => arrangement.not_identified(log, item.path, named, error)?,
        }
    }
    for (place, all) in by_place {
        arrangement.choose(log, &place, all);
    }
    arrangement.segments.sort_by(|a, b| (a.at.first_offset, &a.place).cmp(&(b.at.first_offset, &b.place)));
    Ok(arrangement)
}

impl Arrangement {
    /// Puts a file that was identified where it belongs.
    fn sort_in(
        &mut self,
        log: &LogFiles,
        item: Item,
        named: Option<Offset>,
        identity: Identity,
        by_place: &mut ByPlace,
    ) -> Result<(), Error> {
        let Item { path, len, .. } = item;
        match identity {
            Identity::Segment { stream: of, first_offset, hour } => {
                let belongs = log.layout.segment_in(&of, &hour, first_offset).path;
                if of != log.name {
                    let is_there = log.has(&belongs)?;
                    self.foreign(path, belongs, &of, is_there);
                } else {
                    let at = SegmentPath { first_offset, path };
                    let placed = Placed { at, place: belongs.clone(), len, proven: true };
                    by_place.entry(belongs).or_default().push(placed);
                }
            }
            Identity::Unknown => {
                let Some(first_offset) = named else {
                    let what = "it is no segment".to_owned();
                    self.findings.push(Finding::notice(&path, 0, what, "it is left alone"));
                    return Ok(());
                };
                let at = SegmentPath { first_offset, path: path.clone() };
                by_place.entry(path.clone()).or_default().push(Placed { at, place: path, len, proven: false });
            }
        }
        Ok(())
    }

    /// Notes a file of which nobody knows what it is.
    ///
    /// # Errors
    /// When a newer version wrote it.
    fn not_identified(
        &mut self,
        log: &LogFiles,
        path: PathBuf,
        named: Option<Offset>,
        error: Error,
    ) -> Result<(), Error> {
        let is_gone = matches!(&error, Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound);
        match error {
            Error::NewerSegment { .. } => return Err(error),
            // Nobody takes it for a segment.
            _ if named.is_none() => {}
            // Retention is at work.
            _ if is_gone && !still_listed(&*log.files, &path) => {}
            _ if is_gone => self.aside(path, "it is a link that leads nowhere".to_owned()),
            error => {
                self.findings.push(Finding::misplaced(
                    &path,
                    format!("it cannot be read: {error}"),
                    "none before it can be read: see to the file or the disk first",
                ));
                self.unreadable.push(path);
            }
        }
        Ok(())
    }

    /// Of several segments that belong at `place` the one that proves itself, and of these the one that lies there.
    fn choose(&mut self, log: &LogFiles, place: &Path, mut all: Vec<Placed>) {
        all.sort_by_key(|placed| (!placed.proven, placed.at.path != place, placed.at.path.clone()));
        let mut all = all.into_iter();
        let Some(best) = all.next() else { return };
        if best.at.path != place {
            let what = format!(
                "by its own checksums this is the segment of {} that begins with offset {} and belongs at {}",
                log.name,
                best.at.first_offset,
                place.display()
            );
            self.findings.push(Finding::misplaced(&best.at.path, what, "it is put back there"));
            self.puts.push(Put::Back { from: best.at.path.clone(), to: place.to_owned() });
        }
        for other in all {
            let what = match other.proven {
                true => format!("it is a second copy of the segment at {}", place.display()),
                false => "nothing in it is whole, and the segment that belongs here lies elsewhere".to_owned(),
            };
            if named(log, &other.at.path).is_some() {
                self.aside(other.at.path, what);
            } else {
                self.findings.push(Finding::notice(&other.at.path, 0, what, "it is left alone"));
            }
        }
        self.segments.push(best);
    }

    fn aside(&mut self, path: PathBuf, what: String) {
        self.findings.push(Finding::misplaced(&path, what, "it is moved to the quarantine"));
        self.puts.push(Put::Aside { path });
    }

    fn foreign(&mut self, path: PathBuf, belongs: PathBuf, of: &Name, is_there: bool) {
        let what = format!("by its own checksums this is a segment of {of} and belongs at {}", belongs.display());
        if is_there {
            self.aside(path, format!("{what}, where there is one"));
        } else {
            self.findings.push(Finding::misplaced(&path, what, "it is put back there"));
            self.puts.push(Put::Back { from: path, to: belongs });
        }
    }
}

/// The offset in a segment's name, when the path is one that opening takes for a segment's.
fn named(log: &LogFiles, path: &Path) -> Option<Offset> {
    log.hour_of(path).filter(|hour| hour.split('/').count() == 4)?;
    layout::first_offset(path.file_name()?.to_str()?)
}

fn walk(files: &dyn Files, folder: &Path, depth: usize, items: &mut Vec<Item>) -> Result<(), Error> {
    let mut entries = files.list(folder).map_err(Error::io("list", folder))?;
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    for entry in entries {
        let path = folder.join(&entry.name);
        if entry.is_folder && depth > 0 && layout::first_offset(&entry.name).is_none() {
            walk(files, &path, depth - 1, items)?;
        }
        items.push(Item { path, len: entry.len, is_folder: entry.is_folder });
    }
    Ok(())
}

fn still_listed(files: &dyn Files, path: &Path) -> bool {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return false };
    files.list(folder).is_ok_and(|entries| entries.iter().any(|entry| name == entry.name.as_str()))
}

/// Finds out what the file at `path` is: by the stream and offset that it lies under, by those that it names itself, and by
/// those that the inventory knows.
fn identify(
    log: &LogFiles,
    streams: &[Name],
    path: &Path,
    named: Option<Offset>,
    recorded: &[Offset],
) -> Result<Identity, Error> {
    let own = &log.name;
    let open = |stream: &Name, first_offset: Offset| {
        Segment::open(&log.of(stream), SegmentPath { first_offset, path: path.to_owned() }, Access::Read)
    };
    let proven = |stream: &Name, first_offset: Offset| -> Result<Option<Identity>, Error> {
        let hour = open(stream, first_offset)?.proven_hour()?;
        Ok(hour.map(|hour| Identity::Segment { stream: stream.clone(), first_offset, hour }))
    };
    if let Some(named) = named
        && let Some(identity) = proven(own, named)?
    {
        return Ok(identity);
    }
    let claimed = open(own, named.unwrap_or(Offset(0)))?.claimed_offset()?;
    let elsewhere = streams.iter().filter(|stream| *stream != own);
    for stream in std::iter::once(own).chain(elsewhere) {
        for first_offset in [claimed, named].into_iter().flatten() {
            if let Some(identity) = proven(stream, first_offset)? {
                return Ok(identity);
            }
        }
    }
    for first_offset in recorded {
        if let Some(identity) = proven(own, *first_offset)? {
            return Ok(identity);
        }
    }
    // Its beginning and its end are damaged; a footer in between may still prove what its name says.
    let Some(first_offset) = named else { return Ok(Identity::Unknown) };
    let segment = open(own, first_offset)?;
    match segment.last_footer_before(segment.len()?)? {
        Some((footer, _)) => {
            let hour = footer.received_time.hour_folder();
            Ok(Identity::Segment { stream: own.clone(), first_offset, hour })
        }
        None => Ok(Identity::Unknown),
    }
}
