//! The thread that reads: files, or standard input, as runs of whole lines, each with where the import stands behind it.

use std::{
    io,
    sync::{Arc, atomic::AtomicU64},
};

use anyhow::Context;
use lakehead_connectors::json_lines::{self, FileId, Lines, Position};
use tokio::sync::mpsc;

use super::{input::Input, stand::Stand};

/// Runs that are read and not yet handed over; with those under way this bounds the memory.
const RUNS_READ_MAX: usize = 2;

/// What the reading thread hands on.
pub(super) struct ReadRun {
    pub(super) run: json_lines::Run,
    pub(super) from: Arc<str>,
    pub(super) stand: Stand,
}

/// Reads on a thread of its own.
pub(super) fn start(
    input: Input,
    stand: Stand,
    run_bytes: usize,
    read: Arc<AtomicU64>,
) -> anyhow::Result<mpsc::Receiver<anyhow::Result<ReadRun>>> {
    let (sender, receiver) = mpsc::channel(RUNS_READ_MAX);
    let work = move || {
        let outcome = match input {
            Input::Files(files) => read_files(&files, stand, run_bytes, &read, &sender),
            Input::StandardInput => read_standard_input(stand, run_bytes, &read, &sender),
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
    mut stand: Stand,
    run_bytes: usize,
    read: &Arc<AtomicU64>,
    sender: &Sender,
) -> anyhow::Result<()> {
    let first = usize::try_from(stand.files).unwrap_or(usize::MAX);
    for (index, file) in files.iter().enumerate().skip(first) {
        let name = file.path.display().to_string();
        let failed = |lines: u64| format!("reading {name} behind line {lines}; what stands before it is imported");
        let mut lines =
            Lines::open(&file.path, stand.at, run_bytes, Arc::clone(read)).with_context(|| failed(stand.at.lines))?;
        stand.file = file.chained(0);
        loop {
            let next = lines.next().with_context(|| failed(lines.position().lines))?;
            let Some(run) = next else { break };
            stand.at = run.end;
            stand.content = None;
            if sender.blocking_send(Ok(ReadRun { run, from: name.as_str().into(), stand })).is_err() {
                return Ok(());
            }
        }
        let files_read = stand.files + 1;
        let done = index + 1 == files.len();
        let content = file.content().with_context(|| failed(lines.position().lines))?;
        let chain = file.chained(stand.chain);
        let content = Some((file.size, content));
        stand = Stand { files: files_read, chain, file: 0, at: Position::default(), done, content };
        let run = json_lines::Run { text: Default::default(), first_line: 1, cut: None, end: stand.at };
        if sender.blocking_send(Ok(ReadRun { run, from: name.into(), stand })).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn read_standard_input(
    mut stand: Stand,
    run_bytes: usize,
    read: &Arc<AtomicU64>,
    sender: &Sender,
) -> anyhow::Result<()> {
    let counted = json_lines::Counted::new(io::stdin(), Arc::clone(read));
    let mut lines = Lines::read(counted, run_bytes).context("reading standard input")?;
    lines.pass(stand.at).context("standard input is not what this import was reading: --name another, or --again")?;
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
        stand = Stand { at: run.end, done: ended, ..stand };
        if sender.blocking_send(Ok(ReadRun { run, from: "standard input".into(), stand })).is_err() || ended {
            return Ok(());
        }
    }
}
