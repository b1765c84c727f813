//! The thread that reads: files, or standard input, as runs of whole lines, each with where the source stands behind it.

use std::{
    io,
    path::Path,
    sync::{Arc, atomic::AtomicU64},
};

use lakehead_connector_api::Error;
use tokio::sync::mpsc;

use super::{cursor::FileCursor, format::FileFormat};
use crate::json_lines::{Counted, FileId, LinePosition, Lines, Run};

/// Runs that are read and not yet taken; this bounds the memory, and a run is read while another is checked.
const RUNS_READ_MAX: usize = 2;

/// What is to be read.
#[derive(Clone, Debug)]
pub enum Input {
    /// Files, sorted by path.
    Files(Vec<FileId>),
    /// Standard input.
    StandardInput,
}

impl Input {
    /// Bytes to be read in all, those of files that were read before not counted; `None` where nobody knows.
    #[must_use]
    pub fn bytes_left(&self, cursor: &FileCursor) -> Option<u64> {
        match self {
            Self::Files(files) => Some(files.iter().skip(behind(cursor)).map(|file| file.size).sum()),
            Self::StandardInput => None,
        }
    }
}

/// Lines that were read and are not checked yet.
#[derive(Debug)]
pub struct ReadLines {
    /// The lines.
    pub run: Run,
    /// Where they come from, for a person.
    pub from: Arc<str>,
    /// Where the source stands behind them.
    pub cursor: FileCursor,
}

/// Reads on a thread of its own, until the end, or until nobody takes what was read.
pub struct Reading {
    runs: mpsc::Receiver<Result<ReadLines, Error>>,
}

impl Reading {
    /// Reads `input`, JSON lines, from `cursor` on, in runs of about `run_bytes`. `read` counts the bytes of the files as they
    /// lie.
    ///
    /// # Errors
    /// `Unavailable` where no thread can be started.
    pub fn start(input: Input, cursor: FileCursor, run_bytes: usize, read: Arc<AtomicU64>) -> Result<Self, Error> {
        Self::start_as(FileFormat::Json, input, cursor, run_bytes, read)
    }

    /// As [`start`](Self::start), of lines of any format.
    ///
    /// # Errors
    /// `Unavailable` where no thread can be started.
    pub fn start_as(
        format: FileFormat,
        input: Input,
        cursor: FileCursor,
        run_bytes: usize,
        read: Arc<AtomicU64>,
    ) -> Result<Self, Error> {
        let (sender, runs) = mpsc::channel(RUNS_READ_MAX);
        let work = move || {
            let outcome = match input {
                Input::Files(files) => read_files(&files, format, cursor, run_bytes, &read, &sender),
                Input::StandardInput => read_standard_input(cursor, run_bytes, &read, &sender),
            };
            if let Err(error) = outcome {
                // Nobody takes it when the source was stopped.
                let _ = sender.blocking_send(Err(error));
            }
        };
        std::thread::Builder::new()
            .name("read".into())
            .spawn(work)
            .map_err(|error| Error::unavailable(format!("starting a thread that reads: {error}")))?;
        Ok(Self { runs })
    }

    /// The next lines; `None` at the end. A call that is dropped has taken nothing.
    ///
    /// # Errors
    /// `Invalid` where the input is damaged or is not what was read before; `Unavailable` where it cannot be read now.
    pub async fn next(&mut self) -> Result<Option<ReadLines>, Error> {
        self.runs.recv().await.transpose()
    }
}

/// Where the runs are handed to.
type LinesSender = mpsc::Sender<Result<ReadLines, Error>>;

/// How many files are not read any more.
fn behind(cursor: &FileCursor) -> usize {
    usize::try_from(cursor.files).unwrap_or(usize::MAX)
}

fn read_files(
    files: &[FileId],
    format: FileFormat,
    mut cursor: FileCursor,
    run_bytes: usize,
    read: &Arc<AtomicU64>,
    sender: &LinesSender,
) -> Result<(), Error> {
    for (index, file) in files.iter().enumerate().skip(behind(&cursor)) {
        // What is read is noted as it is now, not as it was when it was found.
        let file = &FileId::of(&file.path).map_err(|error| failed(&file.path, cursor.at.lines, &error))?;
        if !cursor.goes_on_in(file) {
            let what = format!("{} has changed while it was being read", file.path.display());
            return Err(Error::Invalid(what));
        }
        let from: Arc<str> = file.path.display().to_string().into();
        let mut lines = format
            .open(&file.path, cursor.at, run_bytes, Arc::clone(read))
            .map_err(|error| failed(&file.path, cursor.at.lines, &error))?;
        cursor.file = file.chained(0);
        loop {
            let next = lines.next().map_err(|error| failed(&file.path, lines.position().lines, &error))?;
            let Some(run) = next else { break };
            cursor = FileCursor { at: run.end, content: None, ..cursor };
            if sender.blocking_send(Ok(ReadLines { run, from: Arc::clone(&from), cursor })).is_err() {
                return Ok(());
            }
        }
        let content = file.content().map_err(|error| failed(&file.path, lines.position().lines, &error))?;
        cursor = cursor.behind(file, content, index + 1 == files.len());
        if sender.blocking_send(Ok(ReadLines { run: nothing(cursor.at), from, cursor })).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn read_standard_input(
    mut cursor: FileCursor,
    run_bytes: usize,
    read: &Arc<AtomicU64>,
    sender: &LinesSender,
) -> Result<(), Error> {
    let other = "standard input is not what this import was reading: --name another, or --again";
    let counted = Counted::new(io::stdin(), Arc::clone(read));
    let mut lines =
        Lines::read(counted, run_bytes).map_err(|error| Error::Invalid(format!("reading standard input: {error}")))?;
    lines.pass(cursor.at).map_err(|error| Error::Invalid(format!("{other}: {error}")))?;
    loop {
        let next = lines.next().map_err(|error| {
            Error::Invalid(format!("reading standard input behind line {}: {error}", lines.position().lines))
        })?;
        let ended = next.is_none();
        let run = next.unwrap_or_else(|| nothing(lines.position()));
        cursor = FileCursor { at: run.end, done: ended, ..cursor };
        if sender.blocking_send(Ok(ReadLines { run, from: "standard input".into(), cursor })).is_err() || ended {
            return Ok(());
        }
    }
}

/// No lines; for a cursor that moves by itself.
fn nothing(end: LinePosition) -> Run {
    Run { text: Default::default(), first_line: 1, cut: None, end }
}

/// A file could not be read on. Damage stays, and so does a file that is not there or not ours to read; a disk or a network may
/// come back.
fn failed(path: &Path, lines: u64, error: &io::Error) -> Error {
    let what = format!("reading {} behind line {lines}; what stands before it is imported: {error}", path.display());
    match error.raw_os_error() {
        Some(_) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
            Error::unavailable(what)
        }
        _ => Error::Invalid(what),
    }
}
