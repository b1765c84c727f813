//! Where each file of a stream belongs, by what is in it: the checksums of a segment's footers and index are seeded with its
//! stream and its first offset, so they prove both, whatever the file is called and wherever it lies.
//!
//! ```text
//!   all files below streams/<stream>/ ─▶ what is it? ─▶ where it belongs ─▶ there already │ to be put back │ set aside
//! ```
//!
//! [`arrange`] looks and changes nothing; [`put_back`] acts. A file is renamed to `….moving` beside its place first and then
//! to its name, so that one that a crash leaves half-way is found and put back by the next repair.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use lakehead_model::{Name, Offset};

use super::{Finding, Severity};
use crate::{
    Error,
    files::{Access, Files},
    inventory::Inventory,
    layout::{self, Layout, SegmentPath},
    quarantine,
    segment::Segment,
};

/// How deep below a stream's folder files are looked for: year, month, day, hour, and as many again.
const DEPTH_MAX: usize = 8;
/// How a file is called between its wrong place and its right one.
const MOVING: &str = ".moving";

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

/// Finds out where the files of `stream` belong. `streams` are all there are.
pub(super) fn arrange(
    files: &dyn Files,
    layout: &Layout,
    stream: &Name,
    streams: &[Name],
    inventory: Option<&Inventory>,
) -> Result<Arrangement, Error> {
    let mut arrangement = Arrangement::default();
    let mut items = Vec::new();
    walk(files, &layout.stream(stream), DEPTH_MAX, &mut items)?;
    let recorded: Vec<Offset> =
        inventory.iter().flat_map(|inventory| &inventory.segments).map(|line| line.first_offset).collect();
    // By where they belong: those that do, whatever they are called.
    let mut by_place: BTreeMap<PathBuf, Vec<Placed>> = BTreeMap::new();
    for Item { path, len, is_folder } in items {
        let named = named(layout, stream, &path);
        if is_folder {
            if named.is_some() {
                let what = "a folder has the name of a segment".to_owned();
                arrangement.aside(path, what);
            }
            continue;
        }
        let identity = match identify(files, stream, streams, &path, named, &recorded) {
            Ok(identity) => identity,
            Err(Error::NewerSegment { path, what }) => return Err(Error::NewerSegment { path, what }),
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                if still_listed(files, &path) && named.is_some() {
                    arrangement.aside(path, "it is a link that leads nowhere".to_owned());
                }
                // Else retention is at work.
                continue;
            }
            Err(error) => {
                if named.is_some() {
                    arrangement.findings.push(damage(
                        &path,
                        format!("it cannot be read: {error}"),
                        "none before it can be read: see to the file or the disk first",
                    ));
                    arrangement.unreadable.push(path);
                }
                continue;
            }
        };
        match identity {
            Identity::Segment { stream: of, first_offset, hour } => {
                let belongs = layout.segment_in(&of, &hour, first_offset).path;
                if of != *stream {
                    let is_there = files.open(&belongs, Access::Read).is_ok();
                    arrangement.foreign(path, belongs, &of, is_there);
                    continue;
                }
                let placed =
                    Placed { at: SegmentPath { first_offset, path }, place: belongs.clone(), len, proven: true };
                by_place.entry(belongs).or_default().push(placed);
            }
            Identity::Unknown => {
                let Some(first_offset) = named else {
                    arrangement.findings.push(notice(&path, "it is no segment".to_owned(), "it is left alone"));
                    continue;
                };
                let at = SegmentPath { first_offset, path: path.clone() };
                by_place.entry(path.clone()).or_default().push(Placed { at, place: path, len, proven: false });
            }
        }
    }
    for (place, mut all) in by_place {
        // Of several the one that proves itself, and of these the one that lies where it belongs.
        all.sort_by_key(|placed| (!placed.proven, placed.at.path != place, placed.at.path.clone()));
        let mut all = all.into_iter();
        let Some(best) = all.next() else { continue };
        if best.at.path != place {
            let what = format!(
                "by its own checksums this is the segment of {stream} that begins with offset {} and belongs at {}",
                best.at.first_offset,
                place.display()
            );
            arrangement.findings.push(damage(&best.at.path, what, "it is put back there"));
            arrangement.puts.push(Put::Back { from: best.at.path.clone(), to: place.clone() });
        }
        for other in all {
            let what = match other.proven {
                true => format!("it is a second copy of the segment at {}", place.display()),
                false => "nothing in it is whole, and the segment that belongs here lies elsewhere".to_owned(),
            };
            if named_at(layout, stream, &other.at.path) {
                arrangement.aside(other.at.path, what);
            } else {
                arrangement.findings.push(notice(&other.at.path, what, "it is left alone"));
            }
        }
        arrangement.segments.push(best);
    }
    arrangement.segments.sort_by(|a, b| (a.at.first_offset, &a.place).cmp(&(b.at.first_offset, &b.place)));
    Ok(arrangement)
}

impl Arrangement {
    fn aside(&mut self, path: PathBuf, what: String) {
        self.findings.push(damage(&path, what, "it is moved to the quarantine"));
        self.puts.push(Put::Aside { path });
    }

    fn foreign(&mut self, path: PathBuf, belongs: PathBuf, of: &Name, is_there: bool) {
        let what = format!("by its own checksums this is a segment of {of} and belongs at {}", belongs.display());
        if is_there {
            self.aside(path, format!("{what}, where there is one"));
        } else {
            self.findings.push(damage(&path, what, "it is put back there"));
            self.puts.push(Put::Back { from: path, to: belongs });
        }
    }
}

fn damage(path: &Path, what: String, repair: &str) -> Finding {
    let (path, repair, lost) = (path.to_owned(), repair.to_owned(), (Offset(0), Offset(0)));
    Finding { severity: Severity::Damage, path, at: 0, what, lost, repair }
}

fn notice(path: &Path, what: String, repair: &str) -> Finding {
    Finding { severity: Severity::Notice, ..damage(path, what, repair) }
}

/// The offset in a segment's name, when the path is one that opening takes for a segment's.
fn named(layout: &Layout, stream: &Name, path: &Path) -> Option<Offset> {
    layout.hour_of(stream, path).filter(|hour| hour.split('/').count() == 4)?;
    layout::first_offset(path.file_name()?.to_str()?)
}

fn named_at(layout: &Layout, stream: &Name, path: &Path) -> bool {
    named(layout, stream, path).is_some()
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
    files: &dyn Files,
    own: &Name,
    streams: &[Name],
    path: &Path,
    named: Option<Offset>,
    recorded: &[Offset],
) -> Result<Identity, Error> {
    let open = |stream: &Name, first_offset: Offset| {
        Segment::open(files, stream, SegmentPath { first_offset, path: path.to_owned() }, Access::Read)
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

/// Puts every file of `puts` where it belongs, or aside. Answers what was done, in words.
pub(super) fn put_back(files: &dyn Files, layout: &Layout, stream: &Name, puts: &[Put]) -> Result<Vec<String>, Error> {
    let mut done = Vec::new();
    for put in puts {
        if let Put::Aside { path } = put {
            let kept = quarantine::move_path(files, layout, stream, path)?;
            done.push(format!("{} is moved to {}", path.display(), kept.display()));
        }
    }
    let moving = |to: &Path| {
        let mut name = to.as_os_str().to_owned();
        name.push(MOVING);
        PathBuf::from(name)
    };
    for put in puts {
        let Put::Back { from, to } = put else { continue };
        let folder = to.parent().unwrap_or(to);
        files.create_folders(folder).map_err(Error::io("create", folder))?;
        files.rename(from, &moving(to)).map_err(Error::io("move", from))?;
        sync(files, layout, from)?;
        sync(files, layout, to)?;
    }
    for put in puts {
        let Put::Back { from, to } = put else { continue };
        if files.open(to, Access::Read).is_ok() {
            let kept = quarantine::move_path(files, layout, stream, to)?;
            done.push(format!("{} is moved to {}", to.display(), kept.display()));
        }
        files.rename(&moving(to), to).map_err(Error::io("put back", to))?;
        sync(files, layout, to)?;
        done.push(format!("{} is put back at {}", from.display(), to.display()));
    }
    Ok(done)
}

fn sync(files: &dyn Files, layout: &Layout, path: &Path) -> Result<(), Error> {
    for folder in layout.folders_to(path) {
        files.sync_folder(folder).map_err(Error::io("sync", folder))?;
    }
    Ok(())
}
