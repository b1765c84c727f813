//! Goes over the files: the next that waits and rests is opened, read, checked, and noted in the ledger.
//!
//! ```text
//! look ─▶ waiting ─▶ rests? ─▶ name free? ─▶ open ─▶ pieces ─▶ end ─▶ ledger
//!                     └ later    └ refused     └ gone: passed over  └ changed, damaged: refused
//! ```
//! It blocks, and runs where that is allowed. A file is handed over only as far as it was unchanged behind what was read.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use lakehead_connector_api::{Activity, Chunk, Error};
use lakehead_json::EventTimes;
use lakehead_model::{Clock, Cursor};
use tokio::time::Instant;

use super::{
    cursor::{FileState, HalfRead, SpoolCursor, TakenFile},
    gathering::SpoolGathering,
    ledger::Ledger,
    listing::{LOOK_FILES_MAX, Look, SpoolFolder},
    names::SpoolName,
    open_file::{AtPath, FilePiece, Manner, OpenFile, found, open, path_of},
    put_away::PutAway,
    resting::Resting,
};
use crate::{folder::failed, json_lines::LinePosition};

/// How many of those that are left out are named in the log.
const LEFT_OUT_TOLD_MAX: usize = 100;

/// Goes over the files.
pub(super) struct Spooler {
    pub(super) folder: SpoolFolder,
    pub(super) put_away: PutAway,
    pub(super) ledger: Arc<Ledger>,
    pub(super) resting: Resting,
    pub(super) manner: Manner,
    pub(super) times: Arc<EventTimes>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) poll: Duration,
    /// Files of which something was refused are set aside when they are done.
    pub(super) keeps_refusals: bool,
    pub(super) state: SpoolState,
}

/// Where it is.
#[derive(Default)]
pub(super) struct SpoolState {
    /// To be read on, after an opening or a failure.
    half: Option<HalfRead>,
    /// How many files the last cursor has.
    in_cursor: usize,
    current: Option<OpenFile>,
    look: Look,
    looked_at: Option<Instant>,
    /// It looked since it was asked for a chunk.
    has_looked: bool,
    /// Files wait that did not rest, or were not out of the way: no name has to come or go for them.
    has_restless: bool,
    /// A file was taken since the last look.
    has_taken: bool,
    failed: Option<Error>,
    activity: Option<Activity>,
    left_out_told: BTreeSet<PathBuf>,
}

impl SpoolState {
    /// After an opening at a cursor.
    pub(super) fn resumed(half: Option<HalfRead>, in_cursor: usize) -> Self {
        Self { half, in_cursor, ..Self::default() }
    }
}

/// Why no more was read.
#[derive(Clone, Copy, PartialEq)]
enum Stop {
    /// The chunk is full.
    Full,
    /// No file waits.
    Idle,
    /// The ledger is full.
    NoRoom,
}

impl Spooler {
    /// The next chunk; `None` when there is nothing now.
    ///
    /// # Errors
    /// When the folder or a file cannot be read for now, or a person has to help.
    pub(super) fn gather(&mut self, now: Instant) -> Result<Option<Chunk>, Error> {
        if let Some(error) = self.state.failed.take() {
            return Err(error);
        }
        self.state.has_looked = false;
        let mut gathering = SpoolGathering::new(Arc::clone(&self.times));
        for name in self.ledger.take_changed() {
            let path = path_of(&self.folder.root, &name).display().to_string();
            let what = "it changed after it was taken: what it held then is in the stream, what it holds now is not; it is set aside";
            gathering.refuse(&path, what.to_owned(), Bytes::new());
        }
        let stop = match self.fill(&mut gathering, now) {
            Ok(stop) => stop,
            Err(error) if gathering.is_empty() => return Err(error),
            // What was read before it is handed over first.
            Err(error) => {
                self.state.failed = Some(error);
                Stop::Full
            }
        };
        Ok(self.chunk(gathering, stop))
    }

    fn fill(&mut self, gathering: &mut SpoolGathering, now: Instant) -> Result<Stop, Error> {
        while !gathering.is_full() {
            if self.state.current.is_none()
                && let Some(stop) = self.open_next(gathering, now)?
            {
                return Ok(stop);
            }
            self.read_piece(gathering)?;
        }
        Ok(Stop::Full)
    }

    fn chunk(&mut self, gathering: SpoolGathering, stop: Stop) -> Option<Chunk> {
        let state = &mut self.state;
        let activity = match stop {
            Stop::Idle => Some(Activity::Live),
            Stop::Full => Some(Activity::CatchingUp),
            Stop::NoRoom => None,
        };
        let activity = activity.filter(|activity| state.activity.as_ref() != Some(activity));
        if activity.is_some() {
            state.activity.clone_from(&activity);
        }
        // Once a look finds nothing, what is out of the way leaves the cursor, too; else the next chunk sees to that.
        let shrinks = stop == Stop::Idle && state.has_looked && self.ledger.len() < state.in_cursor;
        let has_moved = !gathering.is_empty() || shrinks;
        let cursor = has_moved.then(|| {
            let reading = state.current.as_ref().and_then(OpenFile::half_read).or_else(|| state.half.clone());
            let cursor = SpoolCursor { reading, taken: self.ledger.files() };
            state.in_cursor = cursor.taken.len();
            Cursor { position: cursor.text(), progress: None }
        });
        let SpoolGathering { events, rejects, refused_more, .. } = gathering;
        (has_moved || activity.is_some()).then(|| Chunk {
            events,
            cursor,
            rejects,
            refused_more,
            activity,
            ..Chunk::default()
        })
    }

    /// Opens the next file that can be read. Answers why not, if there is none.
    fn open_next(&mut self, gathering: &mut SpoolGathering, now: Instant) -> Result<Option<Stop>, Error> {
        while !gathering.is_full() {
            if let Some(half) = self.state.half.take() {
                let outcome = self.resume(&half, gathering);
                if outcome.is_err() {
                    self.state.half = Some(half);
                }
                outcome?;
            } else {
                let Some(below) = self.next_waiting(now)? else { return Ok(Some(Stop::Idle)) };
                let name = SpoolName::of(&below);
                if self.ledger.has(&name) {
                    // What stands there may be another file by now.
                    self.state.has_restless = true;
                    continue;
                }
                if !self.ledger.has_room(&name) {
                    self.state.look.waiting.push_front(below);
                    return Ok(Some(Stop::NoRoom));
                }
                self.begin(name, &below, gathering, now)?;
            }
            if self.state.current.is_some() {
                return Ok(None);
            }
        }
        Ok(Some(Stop::Full))
    }

    /// The next file that waits. Looks into the folder when none is known and it is time.
    fn next_waiting(&mut self, now: Instant) -> Result<Option<PathBuf>, Error> {
        let state = &mut self.state;
        if let Some(below) = state.look.waiting.pop_front() {
            return Ok(Some(below));
        }
        let goes_on = state.look.is_cut && state.has_taken;
        if !goes_on && state.looked_at.is_some_and(|looked| now.duration_since(looked) < self.poll) {
            return Ok(None);
        }
        (state.looked_at, state.has_looked) = (Some(now), true);
        if !state.look.is_cut && !state.has_restless && state.look.is_up_to_date(self.clock.now()) {
            return Ok(None);
        }
        (state.has_restless, state.has_taken) = (false, false);
        self.resting.next_look();
        state.look = self.folder.look(LOOK_FILES_MAX)?;
        for (path, why) in &state.look.left_out {
            let is_new = state.left_out_told.len() < LEFT_OUT_TOLD_MAX && state.left_out_told.insert(path.clone());
            if is_new {
                tracing::warn!(path = %self.folder.root.join(path).display(), why, "left out");
            }
        }
        Ok(state.look.waiting.pop_front())
    }

    /// Begins the file `below` the folder, if it is there, rests, and may be taken.
    fn begin(
        &mut self,
        name: SpoolName,
        below: &Path,
        gathering: &mut SpoolGathering,
        now: Instant,
    ) -> Result<(), Error> {
        let path = self.folder.root.join(below);
        let AtPath::File(there) = found(&path).map_err(|error| unreadable(&path, &error))? else { return Ok(()) };
        if !self.resting.rests(below, &there, now) {
            self.state.has_restless = true;
            return Ok(());
        }
        let from = path.display().to_string();
        let state = FileState::of(&there);
        if let Some(done) = self.put_away.refusing_name(&name) {
            let what = format!(
                "a file of this name was taken before, and is {}: nothing of this one is read, and it is set aside; give it \
                 another name, or set name_again = \"number\"",
                done.display()
            );
            self.refuse(name, state, &from, what, gathering);
            return Ok(());
        }
        let file = match open(&path) {
            Ok(Some(file)) => file,
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let what = format!(
                    "it may not be read ({error}): it is set aside; let the user that Lakehead runs as read it"
                );
                self.refuse(name, state, &from, what, gathering);
                return Ok(());
            }
            Err(error) => return Err(unreadable(&path, &error)),
        };
        match OpenFile::begin(name.clone(), &path, file, &self.manner) {
            Ok(file) if file.state == state => self.state.current = Some(file),
            Ok(_) => self.state.has_restless = true,
            Err(error) => self.fault(name, state, &from, LinePosition::default(), &error, gathering)?,
        }
        Ok(())
    }

    /// Goes on in the file that was being read.
    fn resume(&mut self, half: &HalfRead, gathering: &mut SpoolGathering) -> Result<(), Error> {
        let path = path_of(&self.folder.root, &half.name);
        let from = path.display().to_string();
        let lines = half.at.lines;
        let opened = match open(&path) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return self.fault(half.name.clone(), half.state, &from, half.at, &error, gathering);
            }
            Err(error) => return Err(unreadable(&path, &error)),
        };
        let Some(file) = opened else {
            let what =
                format!("it was taken away while it was being read: {lines} of its lines were read, and no more come");
            gathering.refuse(&from, what, Bytes::new());
            return Ok(());
        };
        match OpenFile::resume(half, &path, file, &self.manner) {
            Ok(Some(file)) => self.state.current = Some(file),
            Ok(None) => self.refuse(half.name.clone(), half.state, &from, changed(lines), gathering),
            Err(error) => self.fault(half.name.clone(), half.state, &from, half.at, &error, gathering)?,
        }
        Ok(())
    }

    /// Reads on in the current file.
    fn read_piece(&mut self, gathering: &mut SpoolGathering) -> Result<(), Error> {
        let Some(mut file) = self.state.current.take() else { return Ok(()) };
        let (piece, is_unchanged) = match file.next().and_then(|piece| Ok((piece, file.is_unchanged()?))) {
            Ok(read) => read,
            Err(error) => {
                let from = Arc::clone(&file.from);
                let outcome = self.fault(file.name.clone(), file.state, &from, file.handed, &error, gathering);
                if outcome.is_err() {
                    // It is opened again, and read on behind what was handed over.
                    self.state.half = file.half_read();
                }
                return outcome;
            }
        };
        if !is_unchanged {
            if file.handed == LinePosition::default() {
                // Nothing of it is in the stream: it was not at rest after all.
                self.state.has_restless = true;
            } else {
                let what = changed(file.handed.lines);
                self.refuse(file.name, file.state, &file.from, what, gathering);
            }
            return Ok(());
        }
        match piece {
            FilePiece::Document(document) => {
                let is_refused = gathering.document(document, &file.from);
                self.taken(TakenFile { name: file.name, state: file.state, is_refused }, gathering);
            }
            FilePiece::Run(run) => {
                file.has_refusals |= gathering.lines(&run, &file.from);
                file.handed = run.end;
                self.state.current = Some(file);
            }
            FilePiece::End => {
                let is_refused = self.keeps_refusals && file.has_refusals;
                self.taken(TakenFile { name: file.name, state: file.state, is_refused }, gathering);
            }
        }
        Ok(())
    }

    /// A file could not be read. Damage is told and the file set aside; a disk may come back.
    fn fault(
        &mut self,
        name: SpoolName,
        state: FileState,
        from: &str,
        handed: LinePosition,
        error: &io::Error,
        gathering: &mut SpoolGathering,
    ) -> Result<(), Error> {
        if error.raw_os_error().is_some() && error.kind() != io::ErrorKind::PermissionDenied {
            return Err(unreadable(Path::new(from), error));
        }
        let what = format!("it cannot be read behind line {}: {error}; it is set aside", handed.lines);
        self.refuse(name, state, from, what, gathering);
        Ok(())
    }

    fn refuse(&mut self, name: SpoolName, state: FileState, from: &str, what: String, gathering: &mut SpoolGathering) {
        gathering.refuse(from, what, Bytes::new());
        self.taken(TakenFile { name, state, is_refused: true }, gathering);
    }

    /// No more is to be read of a file.
    fn taken(&mut self, file: TakenFile, gathering: &mut SpoolGathering) {
        self.ledger.add(file);
        self.state.has_taken = true;
        gathering.files += 1;
    }
}

fn changed(lines: u64) -> String {
    format!("it changed after it was taken: {lines} of its lines were read, and no more of it is; it is set aside")
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    failed("be read", path, error)
}

/// The folder at `path` as it is written without links.
///
/// # Errors
/// `Unavailable` while it is not there, `Invalid` where it is no folder.
pub(super) fn folder_at(path: &Path) -> Result<PathBuf, Error> {
    let whole = fs::canonicalize(path).map_err(|error| failed("be watched", path, &error))?;
    let metadata = fs::metadata(&whole).map_err(|error| failed("be watched", path, &error))?;
    match metadata.is_dir() {
        true => Ok(whole),
        false => Err(failed("be watched", path, &io::ErrorKind::NotADirectory.into())),
    }
}
