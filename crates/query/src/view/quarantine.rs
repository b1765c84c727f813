//! The quarantine: what a view has and nobody could make again is linked into it before the view is replaced.
//!
//! ```text
//!   quarantine/view-NAME.N/about.json            what it was, why it is here, which events the log had no more
//!   quarantine/view-NAME.N/2026-11-23T10.parquet the results, by the names that other programs know
//!   quarantine/view-NAME.N/state/                everything else that its checkpoint named, and the checkpoint itself
//! ```
//!
//! The files are hard links where the file system has them, so that it takes no room and no time. Nothing is taken away here;
//! the folder gets its name in one step when it is whole.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use lakehead_model::{Name, Offset, TimeRange};
use serde::Serialize;

use super::files::{Checkpoint, Folder, Slot, label};
use crate::{error::Error, syncing::sync_folder};

/// What stands beside quarantined results.
#[derive(Serialize)]
struct About<'a> {
    view: &'a Name,
    /// Why it was replaced.
    why: &'a str,
    /// Its SQL; none where its checkpoint could not be read.
    sql: Option<&'a str>,
    /// The first event that it had seen, and the first that it had not.
    events: Option<(Offset, Offset)>,
    /// Where the log began when the shadow was begun: no view can count what lies before.
    log_began_at: Offset,
}

/// Links everything that `checkpoint` names into the quarantine; where the checkpoint could not be read, everything that lies
/// there. Answers where, or `None` when there is nothing.
pub(super) fn quarantine(
    folder: &Folder,
    view: &Name,
    checkpoint: Option<&Checkpoint>,
    why: &str,
    log_began_at: Offset,
) -> Result<Option<PathBuf>, Error> {
    let mut links: Vec<(PathBuf, String)> = Vec::new();
    match checkpoint {
        Some(checkpoint) => {
            for (start, period) in &checkpoint.periods {
                let range = TimeRange { start: *start, end: period.end };
                let from = folder.result(range, checkpoint.build, period.generation);
                links.push((from, format!("{}.parquet", label(range))));
            }
            for (start, parts) in &checkpoint.parts {
                let range = TimeRange { start: *start, end: parts.end };
                for part in &parts.files {
                    let from = folder.part(range, checkpoint.build, part.generation);
                    links.push((from, format!("{}.part-{}.parquet", label(range), part.generation)));
                }
            }
            let known: HashSet<PathBuf> = links.iter().map(|(from, _)| from.clone()).collect();
            let rest = checkpoint.files(folder).into_iter().filter(|file| !known.contains(file));
            links.extend(rest.filter_map(|file| Some((file.clone(), in_state(&file)?))));
        }
        None => {
            for shown in listed(folder.shown())? {
                if let Some(name) = shown.file_name() {
                    let name = name.to_string_lossy().into_owned();
                    links.push((shown, name));
                }
            }
            for file in listed(folder.state())? {
                if let Some(name) = in_state(&file) {
                    links.push((file, name));
                }
            }
        }
    }
    if links.is_empty() {
        return Ok(None);
    }
    links.push((folder.checkpoint(Slot::Active), "state/checkpoint.json".into()));
    link(folder, view, links, checkpoint, why, log_began_at)
}

/// Links these damaged files into the quarantine.
pub(super) fn quarantine_damaged(
    folder: &Folder,
    view: &Name,
    damaged: &[PathBuf],
    checkpoint: &Checkpoint,
    log_began_at: Offset,
) -> Result<Option<PathBuf>, Error> {
    let links = damaged.iter().filter_map(|file| Some((file.clone(), in_state(file)?))).collect();
    link(folder, view, links, Some(checkpoint), "these files were damaged or not there", log_began_at)
}

fn link(
    folder: &Folder,
    view: &Name,
    links: Vec<(PathBuf, String)>,
    checkpoint: Option<&Checkpoint>,
    why: &str,
    log_began_at: Offset,
) -> Result<Option<PathBuf>, Error> {
    let Some(data) = folder.shown().parent().and_then(Path::parent) else { return Ok(None) };
    let quarantined = data.join("quarantine");
    let step = quarantined.join(format!("view-{view}.writing"));
    match fs::remove_dir_all(&step) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Error::file(&step)(error)),
        _ => {}
    }
    let state = step.join("state");
    fs::create_dir_all(&state).map_err(Error::file(&state))?;
    for (from, name) in links {
        let to = step.join(name);
        // What is named and not there is what the view is rebuilt for, perhaps.
        if from.exists() && !to.exists() {
            fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(|_| ())).map_err(Error::file(&to))?;
        }
    }
    let about = About {
        view,
        why,
        sql: checkpoint.map(|checkpoint| checkpoint.sql.as_str()),
        events: checkpoint.map(|checkpoint| (checkpoint.begins, checkpoint.next_offset)),
        log_began_at,
    };
    let about = serde_json::to_vec_pretty(&about).map_err(|error| Error::Engine(error.to_string()))?;
    let path = step.join("about.json");
    fs::write(&path, about).map_err(Error::file(&path))?;
    sync_folder(&state)?;
    sync_folder(&step)?;
    let free = |n: &u32| !quarantined.join(format!("view-{view}.{n}")).exists();
    let n = (0..u32::MAX).find(free).unwrap_or(u32::MAX);
    let aside = quarantined.join(format!("view-{view}.{n}"));
    fs::rename(&step, &aside).map_err(Error::file(&aside))?;
    sync_folder(&quarantined)?;
    Ok(Some(aside))
}

/// The quarantined results of the view `name` under `data`: paths in the data directory, oldest first.
#[must_use]
pub fn quarantined(data: &Path, name: &Name) -> Vec<String> {
    let number = |entry: fs::DirEntry| {
        let name_of = entry.file_name().to_string_lossy().into_owned();
        name_of.strip_prefix(&format!("view-{name}."))?.parse::<u32>().ok()
    };
    let entries = fs::read_dir(data.join("quarantine")).into_iter().flatten().flatten();
    let mut numbers: Vec<u32> = entries.filter_map(number).collect();
    numbers.sort_unstable();
    numbers.into_iter().map(|number| format!("quarantine/view-{name}.{number}")).collect()
}

fn in_state(file: &Path) -> Option<String> {
    Some(format!("state/{}", file.file_name()?.to_string_lossy()))
}

/// The files in a folder, without those below it.
fn listed(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(folder).map_err(Error::file(folder))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(Error::file(folder))?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    Ok(files)
}
