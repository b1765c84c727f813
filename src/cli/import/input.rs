//! What is imported: the files that the paths stand for, or standard input. Nothing of the data directory is ever read, nor what
//! this process or the one that runs on it writes.

use std::{
    fs::Metadata,
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow};
use lakehead_connectors::{
    file::{Apart, Found, Input},
    json_lines::FileId,
};
use lakehead_engine::import::PREFIX;
use lakehead_model::Name;

use super::arguments::Arguments;
use crate::{file_set::FileSet, outcome::Failure, output::note};

/// What is not read.
struct Own {
    data: FileSet,
    /// By this process, and the one that runs on the data directory.
    written: FileSet,
}

impl Apart for Own {
    fn folder(&self, _: &Path, metadata: &Metadata) -> Option<&'static str> {
        self.data.has(metadata).then_some("it is the data directory")
    }

    fn file(&self, path: &Path) -> Option<&'static str> {
        if self.data.holds(path) {
            Some("it belongs to the data directory")
        } else {
            self.written.holds(path).then_some("Lakehead itself writes it")
        }
    }
}

/// What the paths stand for; tells what is left out.
pub(super) fn find(paths: &[PathBuf], data: &Path) -> Result<Input, Failure> {
    let own = FileSet::of(data).with_context(|| format!("looking into {}", data.display()))?;
    let standard = |path: &PathBuf| path.as_os_str() == "-";
    if paths.is_empty() || (paths.len() == 1 && standard(&paths[0])) {
        if std::fs::metadata("/dev/stdin").is_ok_and(|input| input.is_file() && own.has(&input)) {
            return Err(of_its_own(Path::new("standard input"), data));
        }
        return Ok(Input::StandardInput);
    }
    if paths.iter().any(standard) {
        return Err(Failure::Usage("standard input (-) is imported by itself, without files beside it".into()));
    }
    if let Some(path) = paths.iter().find(|path| own.holds(path)) {
        return Err(of_its_own(path, data));
    }
    let written = match lakehead_store::holder(data) {
        Ok(Some(running)) => FileSet::default().and_written_by(running.pid),
        _ => FileSet::default(),
    };
    let own = Own { data: own, written: written.and_written_by(std::process::id()) };
    let found = Found::at(paths, &own).map_err(anyhow::Error::from)?;
    for (path, why) in &found.left_out {
        note(format_args!("left out, {why}: {}", path.display()));
    }
    if found.files.is_empty() {
        return Err(
            anyhow!("there is no file of JSON lines there: .json, .jsonl, .ndjson, also .gz, .zst, .bz2").into()
        );
    }
    Ok(Input::Files(found.files))
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
                chain = FileId { path, size: 0, head: 0, changed_ns: 0 }.chained(chain);
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
