#![doc = include_str!("manual.md")]
//!
//! ---
//!
//! ```text
//! listing ─▶ resting ─▶ open_file ─▶ gathering ─▶ chunk + cursor ─▶ store ─▶ acks ─▶ put_away
//!                          spooler: one file after the other          ▲                 │
//!                                     └────────── ledger: taken, not out of the way ◀───┘
//! ```
//! In this folder: `config` (what a user may set), `names` (which names are taken, and how the cursor has them), `cursor` (the
//! position), `listing` (one look into the folder), `resting` (which files are finished), `open_file` (one file, in pieces),
//! `gathering` (what becomes a chunk), `ledger` (files that were taken and are not out of the way), `put_away` (renames, moves,
//! deletes), `spooler` (goes over the files), `reader` and `acks` (the two halves of the source).

mod acks;
mod config;
mod cursor;
mod gathering;
mod ledger;
mod listing;
mod names;
mod open_file;
mod put_away;
mod reader;
mod resting;
mod spooler;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, File, TryLockError},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

use lakehead_connector_api::{ConnectorKind, Error, Opened, Peeked, Resume, SourceKind};
use lakehead_json::EventTimes;
use lakehead_model::StreamSchema;

use self::{
    acks::{SpoolAcks, settle},
    config::{Config, WhenDone},
    cursor::SpoolCursor,
    ledger::Ledger,
    listing::{LOOK_FILES_MAX, SpoolFolder},
    names::Wanted,
    open_file::Manner,
    put_away::PutAway,
    reader::{SpoolReader, unless_it_panics},
    resting::Resting,
    spooler::{SpoolState, Spooler, folder_at},
};
use crate::folder::{failed, is_in_data_directory};

/// The source kind `spool`.
pub(crate) struct SpoolDirectory;

impl ConnectorKind for SpoolDirectory {
    const NAME: &'static str = "spool";
    const MANUAL: &'static str = include_str!("manual.md");
    const EXAMPLE: &'static str = r#"[source.inbox]
kind = "spool"
path = "./inbox"
stream = "changes"
"#;
    type Config = Config;

    fn check(config: &Config) -> Result<(), String> {
        config.check()
    }
}

impl SourceKind for SpoolDirectory {
    async fn open(config: Config, resume: Resume) -> Result<Opened, Error> {
        // Putting files of before out of the way may take a while.
        let (reader, acks) = unless_it_panics(tokio::task::spawn_blocking(move || open(&config, resume)).await)?;
        Ok(Opened { reader: Box::new(reader), acks: Some(Box::new(acks)) })
    }

    /// Lists the folder. A file that is taken may be set aside, which renames it: so none is.
    async fn peek(config: Config, _: Resume) -> Result<Peeked, Error> {
        unless_it_panics(tokio::task::spawn_blocking(move || look(&config)).await)
    }
}

/// The two halves of the source, and files of before put out of the way.
fn open(config: &Config, mut resume: Resume) -> Result<(SpoolReader, SpoolAcks), Error> {
    let stream = resume.only_stream()?;
    let cursor = match &stream.cursor {
        Some(cursor) => SpoolCursor::read(&cursor.position)?,
        None => SpoolCursor::default(),
    };
    let root = folder_at(&config.path)?;
    if is_in_data_directory(&root) {
        return Err(Error::Invalid(format!("path: {} belongs to a data directory of Lakehead", root.display())));
    }
    let lock = locked(&root)?;
    let done_folder = match (config.when_done, &config.done_folder) {
        (WhenDone::Move, Some(folder)) => Some(done_folder(folder, &root)?),
        _ => None,
    };
    let put_away = PutAway::new(config, root.clone(), done_folder.clone());
    let ledger = Arc::new(Ledger::new(cursor.taken.clone()));
    let in_cursor = cursor.taken.len();
    settle(&ledger, &put_away, cursor.taken)?;
    let stop = Arc::<AtomicBool>::default();
    let spooler = Spooler {
        folder: SpoolFolder {
            root,
            wanted: Wanted::new(config),
            order: config.order,
            subfolders: config.subfolders,
            done_folder,
        },
        put_away: put_away.clone(),
        ledger: Arc::clone(&ledger),
        resting: Resting::new(config.rest.0, Arc::clone(&resume.clock)),
        manner: Manner { content: config.content, file_bytes_max: config.file_bytes_max.0, stop: Arc::clone(&stop) },
        times: Arc::new(EventTimes::new(&StreamSchema { event_time: stream.event_time, ..StreamSchema::default() })),
        clock: resume.clock,
        poll: config.poll.0,
        keeps_refusals: config.when_done == WhenDone::Delete,
        state: SpoolState::resumed(cursor.reading, in_cursor),
    };
    let reader = SpoolReader { spooler: Some(spooler), ledger: Arc::clone(&ledger), stop, _lock: lock };
    Ok((reader, SpoolAcks { ledger, put_away }))
}

/// What a look at the folder says, for people.
fn look(config: &Config) -> Result<Peeked, Error> {
    let root = folder_at(&config.path)?;
    let folder = SpoolFolder {
        root: root.clone(),
        wanted: Wanted::new(config),
        order: config.order,
        subfolders: config.subfolders,
        done_folder: config.done_folder.clone(),
    };
    let found = folder.look(LOOK_FILES_MAX)?;
    let at_least = if found.is_cut { "at least " } else { "" };
    Ok(Peeked::Unseen(format!(
        "{} can be listed, and {at_least}{} files wait in it; they are not opened, since what is taken is renamed",
        root.display(),
        found.waiting.len()
    )))
}

/// The folder, for as long as the file is held.
fn locked(root: &Path) -> Result<File, Error> {
    let folder = File::open(root).map_err(|error| failed("be watched", root, &error))?;
    match folder.try_lock() {
        Ok(()) => Ok(folder),
        Err(TryLockError::WouldBlock) => Err(Error::unavailable(format!(
            "{} is watched by another source: give each a folder of its own",
            root.display()
        ))),
        // A file system that knows no locks.
        Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => Ok(folder),
        Err(TryLockError::Error(error)) => Err(failed("be locked", root, &error)),
    }
}

/// The folder that files are moved to, made if it is not there.
fn done_folder(folder: &Path, root: &Path) -> Result<PathBuf, Error> {
    fs::create_dir_all(folder).map_err(|error| failed("be made", folder, &error))?;
    let whole = folder_at(folder)?;
    let device = |path: &Path| {
        fs::metadata(path).map(|metadata| metadata.dev()).map_err(|error| failed("be used", path, &error))
    };
    if whole == root {
        return Err(Error::Invalid(format!("done_folder: {} is the folder that is watched", whole.display())));
    }
    if device(&whole)? != device(root)? {
        return Err(Error::Invalid(format!(
            "done_folder: {} is on another file system than {}, where a file cannot be moved in one step",
            whole.display(),
            root.display()
        )));
    }
    Ok(whole)
}
