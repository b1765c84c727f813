//! What is imported: the files that the paths stand for, or standard input.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use lakehead_connectors::json_lines::{self, FileId};
use lakehead_engine::import::PREFIX;
use lakehead_model::Name;

use super::{arguments::Arguments, cursor::ImportCursor};
use crate::{file_set::FileSet, outcome::Failure, output::note};

/// What is to be read.
pub(super) enum Input {
    Files(Vec<FileId>),
    StandardInput,
}

impl Input {
    /// Bytes to be read in all, those of files that were read before not counted.
    pub(super) fn bytes_left(&self, cursor: &ImportCursor) -> Option<u64> {
        match self {
            Self::Files(files) => {
                Some(files.iter().skip(usize::try_from(cursor.files).unwrap_or(usize::MAX)).map(|file| file.size).sum())
            }
            Self::StandardInput => None,
        }
    }

    /// What the paths stand for; tells what is left out. Nothing of the data directory is ever read, nor what this process or the
    /// one that runs on it writes.
    pub(super) fn find(paths: &[PathBuf], data: &Path) -> Result<Self, Failure> {
        let own = FileSet::of(data).with_context(|| format!("looking into {}", data.display()))?;
        let standard = |path: &PathBuf| path.as_os_str() == "-";
        if paths.is_empty() || (paths.len() == 1 && standard(&paths[0])) {
            if std::fs::metadata("/dev/stdin").is_ok_and(|input| input.is_file() && own.has(&input)) {
                return Err(of_its_own(Path::new("standard input"), data));
            }
            return Ok(Self::StandardInput);
        }
        let written = match lakehead_store::holder(data) {
            Ok(Some(running)) => FileSet::default().and_written_by(running.pid),
            _ => FileSet::default(),
        };
        let written = written.and_written_by(std::process::id());
        if paths.iter().any(standard) {
            return Err(Failure::Usage("standard input (-) is imported by itself, without files beside it".into()));
        }
        let mut files = Vec::new();
        for path in paths {
            if own.holds(path) {
                return Err(of_its_own(path, data));
            }
            let (taken, left_out) = json_lines::files(path, &|folder| own.has(folder))
                .with_context(|| format!("looking for files in {}", path.display()))?;
            for path in left_out {
                let why = match path.is_dir() {
                    true if own.holds(&path) => "it is the data directory",
                    true => "it is a link to a folder",
                    false => "its name does not end as JSON lines do",
                };
                note(format_args!("left out, {why}: {}", path.display()));
            }
            for path in taken {
                if own.holds(&path) {
                    note(format_args!("left out, it belongs to the data directory: {}", path.display()));
                } else if written.holds(&path) {
                    note(format_args!("left out, Lakehead itself writes it: {}", path.display()));
                } else {
                    files.push(FileId::of(&path).with_context(|| format!("reading {}", path.display()))?);
                }
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        // By links a file may be found under several names; its own is what counts.
        files.dedup();
        if files.is_empty() {
            return Err(
                anyhow!("there is no file of JSON lines there: .json, .jsonl, .ndjson, also .gz, .zst, .bz2").into()
            );
        }
        Ok(Self::Files(files))
    }
}

/// The import's name: the one given, else one made from the paths as they were written, made absolute.
pub(super) fn source_name(input: &Input, arguments: &Arguments) -> Result<Name, Failure> {
    let name = match (&arguments.name, input) {
        (Some(name), _) => format!("{PREFIX}{name}"),
        (None, Input::StandardInput) => format!("{PREFIX}stdin"),
        (None, Input::Files(_)) => {
            let mut chain = 0;
            for path in &arguments.paths {
                let path = std::fs::canonicalize(path).with_context(|| format!("looking for {}", path.display()))?;
                chain = FileId { path, size: 0, head: 0 }.chained(chain);
            }
            format!("{PREFIX}{chain:016x}")
        }
    };
    if arguments.name.is_none() && matches!(input, Input::StandardInput) {
        note("standard input without --name: a broken import could not be told from a new one, so it begins anew");
    }
    Name::new(&name).map_err(|error| Failure::Usage(format!("--name: {error}")))
}

fn of_its_own(path: &Path, data: &Path) -> Failure {
    Failure::Usage(format!(
        "{} belongs to the data directory {}, which is not read by an import; `lakehead export --stream NAME | lakehead \
         import OTHER -` copies a stream",
        path.display(),
        data.display()
    ))
}
