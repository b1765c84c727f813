//! A file for each row. It is written under a hidden name and gets its own name at the next commit, once it is synced.
//!
//! A name is taken once: a row that comes again finds its file with the same content and is done, and a row whose name another
//! file has is refused, so that no row overwrites another and nothing that is not ours is touched.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use lakehead_connector_api::{Answer, Batch, Error, Row};

use super::{
    config::FileCompression,
    folder::Folder,
    template::{Naming, Template},
};
use crate::folder::{failed, sync};

/// The most files that wait for a commit; more are given their names before it.
const WAITING_MAX: usize = 4_096;

/// Writes rows into files of their own.
pub(super) struct EventFiles {
    folder: Folder,
    compression: FileCompression,
    naming: Naming,
    /// Files that are written and not synced, by the path that they will have.
    waiting: BTreeMap<PathBuf, PathBuf>,
    /// Of hidden names.
    next_number: u64,
}

impl EventFiles {
    /// Removes what a crash left under hidden names: it was not committed and comes again.
    pub(super) fn open(folder: Folder, compression: FileCompression, name: &Template) -> Result<Self, Error> {
        let (start, naming) = (hidden(folder.from(), ""), name.naming());
        let is_left_over = |name: &str| {
            let number = name.strip_prefix(&start[..start.len() - ".part".len()]).and_then(|n| n.strip_suffix(".part"));
            number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
        };
        for (place, name) in folder.files()? {
            if place == folder.root() && is_left_over(&name) {
                let path = place.join(name);
                fs::remove_file(&path).map_err(|error| failed("be removed", &path, &error))?;
            }
        }
        Ok(Self { folder, compression, naming, waiting: BTreeMap::new(), next_number: 0 })
    }

    pub(super) fn write(&mut self, batch: &Batch) -> Result<Vec<Answer>, Error> {
        let mut answers = Vec::with_capacity(batch.len());
        for row in batch.rows() {
            answers.push(self.add(row, &batch.id(row))?);
            if self.waiting.len() >= WAITING_MAX {
                self.commit()?;
            }
        }
        Ok(answers)
    }

    /// Gives the files that wait their names.
    pub(super) fn commit(&mut self) -> Result<(), Error> {
        let mut folders = BTreeSet::new();
        for (path, hidden) in std::mem::take(&mut self.waiting) {
            let synced = File::open(&hidden).and_then(|file| file.sync_all());
            synced.map_err(|error| failed("be synced", &hidden, &error))?;
            if path.symlink_metadata().is_ok() {
                return Err(Error::unavailable(format!("{} was made by another program just now", path.display())));
            }
            fs::rename(&hidden, &path).map_err(|error| failed("be renamed", &hidden, &error))?;
            folders.extend(path.parent().map(Path::to_owned));
        }
        folders.iter().try_for_each(|folder| sync(folder))
    }

    fn add(&mut self, row: Row<'_>, position: &str) -> Result<Answer, Error> {
        let name = match self.naming.name(row.json, position) {
            Ok(name) => name + self.compression.ending(),
            Err(why) => return Ok(Answer::Refused(format!("{why}; set name to something shorter"))),
        };
        let path = self.folder.of(row.head.event_time)?.join(name);
        let mut content = Vec::with_capacity(row.json.len() + 1);
        content.extend_from_slice(row.json);
        content.push(b'\n');
        let content = self.compression.encode(content).map_err(|error| failed("be compressed", &path, &error))?;
        let waits = self.waiting.get(&path);
        match has(waits.unwrap_or(&path), &content).map_err(|error| failed("be read", &path, &error))? {
            Some(true) => return Ok(if waits.is_some() { Answer::Held } else { Answer::Done }),
            Some(false) => {
                return Ok(Answer::Refused(format!(
                    "{} is there already and has another content; add {{position}} to name, so that each row has a file of \
                     its own",
                    path.display()
                )));
            }
            None => {}
        }
        let hidden = self.folder.root().join(hidden(self.folder.from(), &self.next_number.to_string()));
        self.next_number += 1;
        let written = File::create(&hidden).and_then(|mut file| file.write_all(&content));
        written.map_err(|error| failed("be written", &hidden, &error))?;
        self.waiting.insert(path, hidden);
        Ok(Answer::Held)
    }
}

fn hidden(from: &str, number: &str) -> String {
    format!(".{from}-{number}.part")
}

/// Whether there is a file with this content; `None` when there is nothing at all.
fn has(path: &Path, content: &[u8]) -> io::Result<Option<bool>> {
    let metadata = match path.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !metadata.is_file() || metadata.len() != content.len() as u64 {
        return Ok(Some(false));
    }
    let mut found = Vec::with_capacity(content.len());
    File::open(path)?.take(content.len() as u64 + 1).read_to_end(&mut found)?;
    Ok(Some(found == content))
}
