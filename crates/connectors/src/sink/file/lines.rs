//! Many rows in a file. A file is written under a hidden name, synced at each commit, and gets its own name when it is finished.
//!
//! ```text
//! row ─▶ part (hidden) ──commit: sync, rename to the hidden name that says how far──▶ part ──finish: sync, rename──▶ file
//!                      └─crash─▶ opening cuts it at what its name says, and finishes it
//! ```
//!
//! A file's name says which rows it has, so a row that comes again is known, and is not written again.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::PathBuf,
};

use lakehead_connector_api::{Answer, Batch, Error, Row};
use lakehead_model::{EVENT_BYTES_MAX, Timestamp};

use super::{
    compressed,
    config::{FileCompression, Rotation},
    covered::Covered,
    folder::Folder,
    place::{FileRun, RowPlace, Unfinished},
};
use crate::folder::{failed, sync};

/// Lines are compressed and written in pieces of this size, and at each commit: enough for a good ratio, and little to hold.
const PIECE_BYTES: usize = 1 << 20;

/// Writes lines into files.
pub(super) struct LineFiles {
    folder: Folder,
    compression: FileCompression,
    rotation: Rotation,
    covered: Covered,
    part: Option<Part>,
    is_first: bool,
}

/// A file that is not finished.
struct Part {
    folder: PathBuf,
    path: PathBuf,
    file: File,
    /// Its rows, those in `piece` too.
    run: FileRun,
    state: Unfinished,
    /// Lines that are not in the file yet.
    piece: Vec<u8>,
    /// Bytes of its lines, compression not counted.
    line_bytes: u64,
    /// Bytes of the file.
    bytes: u64,
}

impl LineFiles {
    /// Finds what is there. What a crash left is cut at its last commit and finished, or removed where nothing of it was
    /// committed.
    pub(super) fn open(folder: Folder, compression: FileCompression, rotation: Rotation) -> Result<Self, Error> {
        let mut runs = Vec::new();
        for (place, name) in folder.files()? {
            let path = place.join(&name);
            if let Some((run, state)) = FileRun::parse_part(&name, folder.from()) {
                if state.rows == 0 {
                    fs::remove_file(&path).map_err(|error| failed("be removed", &path, &error))?;
                    continue;
                }
                let cut = || {
                    let file = OpenOptions::new().write(true).open(&path)?;
                    file.set_len(state.bytes)?;
                    file.sync_all()
                };
                cut().map_err(|error| failed("be cut at its last commit", &path, &error))?;
                let own = place.join(run.name(folder.from()));
                fs::rename(&path, &own).map_err(|error| failed("be renamed", &path, &error))?;
                sync(&place)?;
                runs.push((run, own));
            } else if let Some(run) = FileRun::parse(&name, folder.from()) {
                runs.push((run, path));
            }
        }
        Ok(Self { folder, compression, rotation, covered: Covered::new(runs), part: None, is_first: true })
    }

    pub(super) fn write(&mut self, batch: &Batch, now: Timestamp) -> Result<Vec<Answer>, Error> {
        let (mut answers, mut is_checked) = (Vec::with_capacity(batch.len()), false);
        for row in batch.rows() {
            let place = RowPlace::of(batch, row);
            if std::mem::take(&mut self.is_first) {
                // Files that end before it are not asked for again, and there may be many.
                self.covered.forget_before(place);
            }
            if self.has(place, row, &mut is_checked)? {
                answers.push(Answer::Done);
            } else {
                self.add(place, row, now)?;
                answers.push(Answer::Held);
            }
        }
        Ok(answers)
    }

    /// Makes durable what was written.
    pub(super) fn commit(&mut self, now: Timestamp) -> Result<(), Error> {
        if let Some(part) = &mut self.part {
            part.commit(self.folder.from(), self.compression)?;
        }
        self.finish_if_old(now)
    }

    /// Finishes the file that is being written once it is old enough.
    pub(super) fn finish_if_old(&mut self, now: Timestamp) -> Result<(), Error> {
        let is_old = |part: &Part| now.since(Timestamp::from_millis(part.state.began_ms)) >= self.rotation.age_max;
        if self.part.as_ref().is_some_and(is_old) { self.finish() } else { Ok(()) }
    }

    /// Gives the file that is being written its own name.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        if let Some(part) = self.part.take() {
            let (run, path) = part.finish(self.folder.from(), self.compression)?;
            self.covered.add(run, path);
        }
        Ok(())
    }

    /// Whether a file has the row already. The first such row of a batch is compared with what stands there, as far as its line
    /// can be found: a folder that was filled from another data directory has other rows under the same names.
    fn has(&self, place: RowPlace, row: Row<'_>, is_checked: &mut bool) -> Result<bool, Error> {
        let is_in_part = |part: &Part| part.run.first <= place && place < part.run.next;
        if self.part.as_ref().is_some_and(is_in_part) {
            return Ok(true);
        }
        let Some((run, path)) = self.covered.at(place) else { return Ok(false) };
        if !std::mem::replace(is_checked, true) && run.first.commit == place.commit {
            match compressed::line(path, place.number - run.first.number, 2 * EVENT_BYTES_MAX) {
                Ok(Some(line)) if line == row.json => {}
                Ok(_) => {
                    return Err(Error::Invalid(format!(
                        "{} has another row at the place of row {} of {}: it was written from another data directory; set path \
                         to a folder without it",
                        path.display(),
                        place.number,
                        self.folder.from()
                    )));
                }
                // Somebody took the file away: they have the row.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed("be read", path, &error)),
            }
        }
        Ok(true)
    }

    fn add(&mut self, place: RowPlace, row: Row<'_>, now: Timestamp) -> Result<(), Error> {
        self.finish_if_old(now)?;
        let is_full = |part: &Part| part.state.rows >= self.rotation.rows_max || !place.follows(part.run.next);
        if self.part.as_ref().is_some_and(is_full) {
            self.finish()?;
        }
        let bytes = row.json.len() as u64 + 1;
        if self.part.as_ref().is_some_and(|part| part.line_bytes + bytes > self.rotation.bytes_max) {
            self.finish()?;
        }
        let part = match &mut self.part {
            Some(part) => part,
            none => {
                let folder = self.folder.of(row.head.event_time)?;
                none.insert(Part::begin(folder, self.folder.from(), place, self.compression, now)?)
            }
        };
        part.add(place, row.json, self.compression)
    }
}

impl Part {
    fn begin(
        folder: PathBuf,
        from: &str,
        first: RowPlace,
        compression: FileCompression,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let run = FileRun { first, next: first, ending: compression.lines_ending() };
        let state = Unfinished { rows: 0, bytes: 0, began_ms: now.millis() };
        let path = folder.join(run.part_name(from, state));
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        let file = file.map_err(|error| failed("be made", &path, &error))?;
        Ok(Self { folder, path, file, run, state, piece: Vec::new(), line_bytes: 0, bytes: 0 })
    }

    fn add(&mut self, place: RowPlace, json: &[u8], compression: FileCompression) -> Result<(), Error> {
        self.piece.extend_from_slice(json);
        self.piece.push(b'\n');
        self.run.next = place.next();
        self.state.rows += 1;
        self.line_bytes += json.len() as u64 + 1;
        if self.piece.len() >= PIECE_BYTES { self.flush(compression) } else { Ok(()) }
    }

    fn flush(&mut self, compression: FileCompression) -> Result<(), Error> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = compression.encode(std::mem::take(&mut self.piece));
        let written = piece.and_then(|piece| self.file.write_all(&piece).map(|()| piece.len()));
        self.bytes += written.map_err(|error| failed("be written", &self.path, &error))? as u64;
        Ok(())
    }

    /// After this its hidden name says what it has, and that is on disk.
    fn commit(&mut self, from: &str, compression: FileCompression) -> Result<(), Error> {
        self.flush(compression)?;
        if self.bytes == self.state.bytes {
            return Ok(());
        }
        self.file.sync_all().map_err(|error| failed("be synced", &self.path, &error))?;
        self.state.bytes = self.bytes;
        let path = self.folder.join(self.run.part_name(from, self.state));
        fs::rename(&self.path, &path).map_err(|error| failed("be renamed", &self.path, &error))?;
        self.path = path;
        sync(&self.folder)
    }

    fn finish(mut self, from: &str, compression: FileCompression) -> Result<(FileRun, PathBuf), Error> {
        self.flush(compression)?;
        self.file.sync_all().map_err(|error| failed("be synced", &self.path, &error))?;
        let path = self.folder.join(self.run.name(from));
        fs::rename(&self.path, &path).map_err(|error| failed("be renamed", &self.path, &error))?;
        sync(&self.folder)?;
        Ok((self.run, path))
    }
}
