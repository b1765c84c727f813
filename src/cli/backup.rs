//! `lakehead backup`: a copy of a data directory that opens as if the power had been cut at one moment.
//!
//! The order is what makes it right, whether a process writes meanwhile or not: first the positions of sinks, then the views, then
//! the streams, so that no sink and no view has seen what its view or log does not hold; `rejects` and `gaps` last, since what a cursor has passed is committed to
//! them first. A finished segment that is there already is not copied again. The copy mirrors: what the directory does
//! not hold any more is removed from it. docs/backup.md says the same for `cp` and `rsync`.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, bail};
use clap::Args;
use lakehead_model::{ByteSize, Name};
use lakehead_store::{SegmentFile, Store, holder};

use crate::{
    client::Target,
    file_set::FileSet,
    numbers::{counted, grouped},
    outcome::Outcome,
    output::{note, say},
    progress::with_progress,
};

/// How often a folder that changes while it is copied is begun anew.
const TRIES_MAX: usize = 20;

/// Files of the data directory itself that are copied: its mark, and what queries without a pipeline know.
const OWN_FILES: [&str; 2] = ["lakehead.json", "catalog.json"];

/// What imports have done.
const IMPORTS: &str = "imports.json";

/// The streams that are copied after the others.
const LAST: [&str; 2] = ["gaps", "rejects"];

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where the copy is made, or brought up to date.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// The data directory; without it ./data, or the demo's.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// What was done.
#[derive(Debug, Default)]
struct Copied {
    files: u64,
    bytes: u64,
    unchanged: u64,
}

pub(crate) async fn run(arguments: Arguments, target: &Target) -> Outcome {
    target.needs_no_token("backup")?;
    let data = target.directory(arguments.data, "backup")?;
    let to = arguments.to;
    let begun = Instant::now();
    let copied = with_progress("copying", async |_| {
        let (data, to) = (data.clone(), to.clone());
        tokio::task::spawn_blocking(move || backup(&data, &to)).await.context("copying")?
    })
    .await?;
    Ok(say(format_args!(
        "{}, {} copied, {} there already, in {:.1} s; {} is a data directory like another\n",
        counted(copied.files, "file"),
        ByteSize(copied.bytes).rounded(),
        grouped(copied.unchanged),
        begun.elapsed().as_secs_f64(),
        to.display()
    ))?)
}

fn backup(data: &Path, to: &Path) -> anyhow::Result<Copied> {
    // Refuses what is no data directory before anything is made.
    Store::open_read_only(data)?;
    let is_new = !to.exists();
    fs::create_dir_all(to).with_context(|| format!("creating {}", to.display()))?;
    let (from_whole, to_whole) = (fs::canonicalize(data)?, fs::canonicalize(to)?);
    let is_within = FileSet::of(data)?.holds(to) || FileSet::of(to)?.holds(data);
    if is_within || to_whole.starts_with(&from_whole) || from_whole.starts_with(&to_whole) {
        if is_new {
            fs::remove_dir(to).with_context(|| format!("removing {}", to.display()))?;
        }
        bail!("{} and {} lie in each other: choose another place for the copy", data.display(), to.display());
    }
    let holds_other = !to.join(OWN_FILES[0]).exists() && fs::read_dir(to)?.next().is_some();
    if holds_other {
        bail!("{} is not empty and no earlier copy: choose another folder or an empty one", to.display());
    }
    if let Some(holder) = holder(to)? {
        bail!("process {} runs on {}: choose another place for the copy", holder.pid, to.display());
    }
    let mut copied = Copied::default();
    for name in OWN_FILES {
        copy_small(&data.join(name), &to.join(name), &mut copied)?;
    }
    copy_sinks(data, to, &mut copied)?;
    copy_views(data, to, &mut copied)?;
    copy_streams(data, to, &mut copied)?;
    // After the streams: what it says of events that are not in the copy is not believed, and what it does not say of those
    // that are would be imported twice.
    copy_small(&data.join(IMPORTS), &to.join(IMPORTS), &mut copied)?;
    sync_folder(to)?;
    // What cannot be opened is no backup.
    let store = Store::open_read_only(to)?;
    for name in store.names()? {
        store.stream(&name).with_context(|| format!("opening the copy of {name}"))?;
    }
    Ok(copied)
}

/// The positions of sinks, each replaced in one step by whoever writes it. One that is not in the copy begins as its `start` says.
fn copy_sinks(data: &Path, to: &Path, copied: &mut Copied) -> anyhow::Result<()> {
    let (sinks, to_sinks) = (data.join("sinks"), to.join("sinks"));
    fs::remove_dir_all(&to_sinks).or_else(missing_is_fine)?;
    let positions: Vec<_> =
        listed(&sinks)?.into_iter().filter(|name| name.extension() == Some("json".as_ref())).collect();
    if positions.is_empty() {
        return Ok(());
    }
    fs::create_dir_all(&to_sinks).with_context(|| format!("creating {}", to_sinks.display()))?;
    for name in positions {
        copy_small(&sinks.join(&name), &to_sinks.join(&name), copied)?;
    }
    sync_folder(&to_sinks)
}

/// Each view as of one checkpoint: begun anew when one was written meanwhile, left out when that never ends. A view that is
/// not in the copy is counted anew from the log.
fn copy_views(data: &Path, to: &Path, copied: &mut Copied) -> anyhow::Result<()> {
    let (views, to_views) = (data.join("views"), to.join("views"));
    if to_views.exists() {
        fs::remove_dir_all(&to_views).with_context(|| format!("removing the earlier {}", to_views.display()))?;
    }
    for view in listed(&views)? {
        let (from, target) = (views.join(&view), to_views.join(&view));
        let mut whole = false;
        for _ in 0..TRIES_MAX {
            let before = state_of(&from)?;
            whole = copy_folder(&from, &target, copied)? && state_of(&from)? == before;
            if whole {
                break;
            }
            fs::remove_dir_all(&target).or_else(missing_is_fine)?;
        }
        if !whole {
            note(format_args!(
                "view {} changes too often to be copied; it is left out and will be counted anew",
                view.display()
            ));
        }
    }
    Ok(())
}

/// What tells one commit of a view from another: name, size and time of change of all its files.
fn state_of(folder: &Path) -> anyhow::Result<BTreeSet<(PathBuf, u64, std::time::SystemTime)>> {
    let mut found = BTreeSet::new();
    for name in listed(folder)? {
        let path = folder.join(&name);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => found.extend(state_of(&path)?),
            Ok(metadata) => {
                found.insert((path, metadata.len(), metadata.modified()?));
            }
            Err(error) => missing_is_fine(error)?,
        }
    }
    Ok(found)
}

/// Copies a folder with all below it; false when something of it went away meanwhile.
fn copy_folder(from: &Path, to: &Path, copied: &mut Copied) -> anyhow::Result<bool> {
    fs::create_dir_all(to).with_context(|| format!("creating {}", to.display()))?;
    for name in listed(from)? {
        let (from, to) = (from.join(&name), to.join(&name));
        let whole = if from.is_dir() { copy_folder(&from, &to, copied)? } else { copy_small(&from, &to, copied)? };
        if !whole {
            return Ok(false);
        }
    }
    sync_folder(to)?;
    Ok(true)
}

/// Copies one whole file; false when it is not there.
fn copy_small(from: &Path, to: &Path, copied: &mut Copied) -> anyhow::Result<bool> {
    match File::open(from) {
        Ok(file) => copy(file, u64::MAX, to, copied).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("reading {}", from.display())),
    }
}

fn copy_streams(data: &Path, to: &Path, copied: &mut Copied) -> anyhow::Result<()> {
    let mut names = Store::open_read_only(data)?.names()?;
    names.sort_by_key(|name| LAST.contains(&name.as_str()));
    for name in &names {
        let mut whole = None;
        for _ in 0..TRIES_MAX {
            whole = copy_stream(data, to, name, copied)?;
            if whole.is_some() {
                break;
            }
        }
        let Some(kept) = whole else { bail!("stream {name} changes faster than it can be copied; try again") };
        remove_others(&to.join("streams").join(name.as_str()), &kept)?;
    }
    Ok(())
}

/// Copies what is missing; `None` when the stream has got another last segment meanwhile, or lost its first ones.
fn copy_stream(data: &Path, to: &Path, name: &Name, copied: &mut Copied) -> anyhow::Result<Option<BTreeSet<PathBuf>>> {
    let segments = segments_of(data, name)?;
    let mut kept = BTreeSet::new();
    for (index, segment) in segments.iter().enumerate() {
        let target = to.join(segment.path.strip_prefix(data).context("a segment lies in its data directory")?);
        let Ok(file) = File::open(&segment.path) else { return Ok(None) };
        let is_last = index + 1 == segments.len();
        // A finished segment counts as a whole: it may have been sealed since it was listed. That of the last one, opened
        // before this second look, may not, if the look still finds it last.
        let last_now = if is_last { segments_of(data, name)?.pop().map(|last| last.path) } else { None };
        if is_last && last_now.as_ref() != Some(&segment.path) {
            return Ok(None);
        }
        let length = file.metadata()?.len();
        let bytes = if is_last { segment.bytes.min(length) } else { length };
        let there = fs::metadata(&target).is_ok_and(|there| there.len() == bytes);
        if there && !is_last {
            copied.unchanged += 1;
        } else {
            let folder = target.parent().context("a segment lies in a folder")?;
            fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
            copy(file, bytes, &target, copied)?;
            for folder in folder.ancestors().take_while(|folder| folder.starts_with(to)) {
                sync_folder(folder)?;
            }
        }
        kept.insert(target);
    }
    Ok(Some(kept))
}

fn segments_of(data: &Path, name: &Name) -> anyhow::Result<Vec<SegmentFile>> {
    Ok(Store::open_read_only(data)?.stream(name)?.segments())
}

/// Removes the files below `folder` that are not in `kept`.
fn remove_others(folder: &Path, kept: &BTreeSet<PathBuf>) -> anyhow::Result<()> {
    for name in listed(folder)? {
        let path = folder.join(name);
        if path.is_dir() {
            remove_others(&path, kept)?;
        } else if !kept.contains(&path) {
            fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        }
    }
    Ok(())
}

/// Copies the first `bytes` of `from`, synced, under its name only when it is whole.
fn copy(from: File, bytes: u64, to: &Path, copied: &mut Copied) -> anyhow::Result<()> {
    let name = to.file_name().context("a copy has a name")?.to_string_lossy().into_owned();
    let partial = to.with_file_name(format!(".{name}.partial"));
    let write = || {
        let mut file = File::create(&partial)?;
        let written = io::copy(&mut from.take(bytes), &mut file)?;
        file.sync_all()?;
        fs::rename(&partial, to).map(|()| written)
    };
    copied.bytes += write().with_context(|| format!("copying to {}", to.display()))?;
    copied.files += 1;
    Ok(())
}

/// The names in a folder, in order; none when it is not there.
fn listed(folder: &Path) -> anyhow::Result<BTreeSet<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(error).with_context(|| format!("listing {}", folder.display())),
    };
    entries.map(|entry| Ok(PathBuf::from(entry?.file_name()))).collect()
}

fn sync_folder(folder: &Path) -> anyhow::Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).with_context(|| format!("syncing {}", folder.display()))
}

fn missing_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}
