//! Puts the files of a stream where they belong, by what [`arrange`] has found out.
//!
//! A file is renamed to `….moving` beside its place first and then to its name, so that one that a crash leaves half-way is
//! found and put back by the next repair.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    disk::{files::Files, layout::Layout, log_files::LogFiles},
    error::Error,
    fsck::arrange::{Put, arrange},
    recover::{inventory, quarantine},
};

/// How a file is called between its wrong place and its right one.
const MOVING: &str = ".moving";

/// Puts the files of all streams where they belong.
pub(crate) fn put_all_back(files: &Arc<dyn Files>, layout: &Layout) -> Result<Vec<String>, Error> {
    let streams = layout.list_streams(&**files)?;
    let mut done = Vec::new();
    for stream in &streams {
        let log = LogFiles { name: stream.clone(), files: Arc::clone(files), layout: layout.clone() };
        let recorded = inventory::read(&log)?.whole();
        let arranged = arrange(&log, &streams, recorded.as_ref())?;
        done.extend(put_back(&log, &arranged.puts)?);
    }
    Ok(done)
}

/// Puts every file of `puts` where it belongs, or aside. Answers what was done, in words.
pub(super) fn put_back(log: &LogFiles, puts: &[Put]) -> Result<Vec<String>, Error> {
    let mut done = Vec::new();
    for put in puts {
        if let Put::Aside { path } = put {
            let kept = quarantine::move_path(log, path)?;
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
        log.files.create_folders(folder).map_err(Error::io("create", folder))?;
        log.files.rename(from, &moving(to)).map_err(Error::io("move", from))?;
        log.sync_folders_to(from)?;
        log.sync_folders_to(to)?;
    }
    for put in puts {
        let Put::Back { from, to } = put else { continue };
        if log.has(to)? {
            let kept = quarantine::move_path(log, to)?;
            done.push(format!("{} is moved to {}", to.display(), kept.display()));
        }
        log.files.rename(&moving(to), to).map_err(Error::io("put back", to))?;
        log.sync_folders_to(to)?;
        done.push(format!("{} is put back at {}", from.display(), to.display()));
    }
    Ok(done)
}
