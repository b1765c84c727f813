//! The thread that reads: files, or standard input, as runs of whole lines, each with where the import stands behind it.

use std::{
    io,
    sync::{Arc, atomic::AtomicU64},
};

use anyhow::Context;
use lakehead_connectors::json_lines::{self, FileId, LinePosition, Lines};
use tokio::sync::mpsc;

use super::{cursor::ImportCursor, input::Input};

/// Runs that are read and not yet handed over; with those under way this bounds the memory.
const RUNS_READ_MAX: usize = 2;

/// What the reading thread hands on.
pub(super) struct ReadRun {
    pub(super) run: json_lines::Run,
    pub(super) from: Arc<str>,
    pub(super) cursor: ImportCursor,
}

/// Reads on a thread of its own.
pub(super) fn start(
    input: Input,
    cursor: ImportCursor,
    run_bytes: usize,
    read: Arc<AtomicU64>,
) -> anyhow::Result<mpsc::Receiver<anyhow::Result<ReadRun>>> {
    let (sender, receiver) = mpsc::channel(RUNS_READ_MAX);
    let work = move || {
        let outcome = match input {
            Input::Files(files) => read_files(&files, cursor, run_bytes, &read, &sender),
            Input::StandardInput => read_standard_input(cursor, run_bytes, &read, &sender),
        };
        if let Err(error) = outcome {
            // Nobody takes it when the import has failed already.
            let _ = sender.blocking_send(Err(error));
        }
    };
    std::thread::Builder::new().name("read".into()).spawn(work).context("starting a thread that reads")?;
    Ok(receiver)
}

/// Where the runs are handed to.
type Sender = mpsc::Sender<anyhow::Result<ReadRun>>;

fn read_files(
    files: &[FileId],
    mut cursor: ImportCursor,
    run_bytes: usize,
    read: &Arc<AtomicU64>,
    sender: &Sender,
) -> anyhow::Result<()> {
    let first = usize::try_from(cursor.files).unwrap_or(usize::MAX);
    for (index, file) in files.iter().enumerate().skip(first) {
        let name = file.path.display().to_string();
        let failed = |lines: u64| format!("reading {name} behind line {lines}; what stands before it is imported");
        let mut lines =
            Lines::open(&file.path, cursor.at, run_bytes, Arc::clone(read)).with_context(|| failed(cursor.at.lines))?;
        cursor.file = file.chained(0);
        loop {
            let next = lines.next().with_context(|| failed(lines.position().lines))?;
            let Some(run) = next else { break };
            cursor.at = run.end;
            cursor.content = None;
            if sender.blocking_send(Ok(ReadRun { run, from: name.as_str().into(), cursor })).is_err() {
                return Ok(());
            }
        }
        let files_read = cursor.files + 1;
        let done = index + 1 == files.len();
        let content = file.content().with_context(|| failed(lines.position().lines))?;
        let chain = file.chained(cursor.chain);
        let content = Some((file.size, content));
        cursor = ImportCursor { files: files_read, chain, file: 0, at: LinePosition::default(), done, content };
        let run = json_lines::Run { text: Default::default(), first_line: 1, cut: None, end: cursor.at };
        if sender.blocking_send(Ok(ReadRun { run, from: name.into(), cursor })).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn read_standard_input(
    mut cursor: ImportCursor,
    run_bytes: usize,
    read: &Arc<AtomicU64>,
    sender: &Sender,
) -> anyhow::Result<()> {
    let counted = json_lines::Counted::new(io::stdin(), Arc::clone(read));
    let mut lines = Lines::read(counted, run_bytes).context("reading standard input")?;
    lines.pass(cursor.at).context("standard input is not what this import was reading: --name another, or --again")?;
    loop {
        let next =
            lines.next().with_context(|| format!("reading standard input behind line {}", lines.position().lines))?;
        let ended = next.is_none();
        let run = next.unwrap_or_else(|| json_lines::Run {
            text: Default::default(),
            first_line: 1,
            cut: None,
            end: lines.position(),
        });
        cursor = ImportCursor { at: run.end, done: ended, ..cursor };
        if sender.blocking_send(Ok(ReadRun { run, from: "standard input".into(), cursor })).is_err() || ended {
            return Ok(());
        }
    }
}
