//! The pipeline file of the command line: read within limits, and checked.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use lakehead_engine::Pipeline;

use crate::{
    config::{self, environment},
    kinds::Kinds,
    outcome::Failure,
    regular_file,
};

/// The largest pipeline file: 1 MiB, some ten thousand lines.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The source of the default pipeline.
const DEFAULT_SOURCE: &str = "wikimedia";

/// Reads the pipeline file, or the default pipeline, with what the command line says over it.
pub(crate) async fn load(
    file: Option<PathBuf>,
    upstream: Option<String>,
    overrides: config::Overrides,
) -> Result<Pipeline, Failure> {
    let (name, text) = match file {
        None => (config::DEFAULT_NAME.to_owned(), config::DEFAULT.to_owned()),
        Some(file) => (file.display().to_string(), text(&file).map_err(|error| Failure::Usage(format!("{error:#}")))?),
    };
    let mut pipeline = config::read(&name, &text, Kinds::BUILT, &environment, overrides).await?;
    if let Some(url) = upstream
        && let Some(source) = pipeline.sources.get_mut(DEFAULT_SOURCE)
    {
        source.settings["url"] = url.into();
        if let Some(Err(what)) = Kinds::BUILT.source(&source.kind).ok().map(|spec| (spec.check)(&source.settings)) {
            return Err(Failure::Usage(format!("--upstream: {what}")));
        }
    }
    Ok(pipeline)
}

/// The text of a pipeline file: a regular file of at most [`FILE_BYTES_MAX`].
pub(crate) fn text(file: &Path) -> anyhow::Result<String> {
    let name = file.display();
    let bytes = regular_file::bytes(file, "a pipeline file", FILE_BYTES_MAX)?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let (before, byte) = (String::from_utf8_lossy(&error.as_bytes()[..at]).into_owned(), error.as_bytes()[at]);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        anyhow!("{name}:{line}:{column}: the byte {byte:#04x} is no UTF-8; save the file as UTF-8")
    })
}

#[cfg(test)]
mod tests {
    use rustix::fs::Mode;

    use super::*;

    #[test]
    fn only_a_regular_file_of_a_sensible_size_is_read_and_nothing_is_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("good.toml"), "[stream.s]\n").expect("written");
        assert_eq!(text(&path("good.toml")).expect("read"), "[stream.s]\n");
        rustix::fs::mknodat(rustix::fs::CWD, path("pipe"), rustix::fs::FileType::Fifo, Mode::RWXU, 0).expect("a FIFO");
        let large = std::fs::File::create(path("large.toml")).expect("created");
        large.set_len(10 << 30).expect("a sparse file");
        std::fs::write(path("latin.toml"), b"# a\n# \xe9\n").expect("written");
        for (file, wanted) in [
            (path("pipe"), "is a pipe"),
            (folder.path().to_owned(), "is a folder"),
            (PathBuf::from("/dev/zero"), "is a device"),
            (path("large.toml"), "at most 1 MiB"),
            (path("latin.toml"), "latin.toml:2:"),
            (path("none.toml"), "No such file"),
        ] {
            let error = format!("{:#}", text(&file).expect_err(wanted));
            assert!(error.contains(wanted), "{error}");
        }
    }
}
