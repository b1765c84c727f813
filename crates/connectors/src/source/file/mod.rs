#![doc = include_str!("manual.md")]
//!
//! ---
//!
//! ```text
//! find: paths → files ─▶ reading (a thread): file → decompressed → runs of whole lines ─▶ reader: checked → chunks
//! ```
//! In this folder: `config` (what a user may set), `format` (what files hold) and `history` (rows of MediaWiki history dumps),
//! `find` (the files that paths stand for), `cursor` (the position as it is written), `reading` (the thread that reads), `reader`
//! (lines into chunks). `lakehead import` is made of the same parts: it
//! finds the files itself, since it knows the data directory, and reads standard input, too.

mod config;
mod cursor;
mod find;
mod format;
mod history;
mod reader;
mod reading;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use lakehead_connector_api::{ConnectorKind, Error, Opened, Resume, SourceKind};

use self::{
    config::Config,
    find::{DataDirectories, expanded},
};
pub use self::{
    cursor::FileCursor,
    find::{Apart, Found},
    format::FileFormat,
    reader::FileReader,
    reading::{Input, ReadLines, Reading},
};

/// The source kind `file`.
pub(crate) struct JsonFiles;

/// How many of the files and folders that are left out are named in the log.
const LEFT_OUT_TOLD_MAX: usize = 10;

impl ConnectorKind for JsonFiles {
    const NAME: &'static str = "file";
    const MANUAL: &'static str = include_str!("manual.md");
    const EXAMPLE: &'static str = r#"[source.history]
kind = "file"
paths = ["dump/*.jsonl.gz"]
stream = "history"
"#;
    type Config = Config;

    fn check(config: &Config) -> Result<(), String> {
        config.check()
    }
}

impl SourceKind for JsonFiles {
    async fn open(config: Config, mut resume: Resume) -> Result<Opened, Error> {
        let stream = resume.only_stream()?;
        let cursor = match &stream.cursor {
            Some(cursor) => FileCursor::read(&cursor.position)?,
            None => FileCursor::default(),
        };
        let format = config.format;
        let found = move || found(&config, cursor);
        let input = tokio::task::spawn_blocking(found).await.map_err(|error| Error::Internal(error.to_string()))??;
        let reading = match input {
            Some(input) => Some(Reading::start_as(format, input, cursor, format.run_bytes(), Arc::default())?),
            None => None,
        };
        Ok(Opened::reader(FileReader::of(format, reading, stream.event_time)))
    }
}

/// What is still to be read; `None` when nothing is.
fn found(config: &Config, cursor: FileCursor) -> Result<Option<Input>, Error> {
    let mut paths = expanded(&config.paths)?;
    if cursor.done {
        // Files that were read may be taken away afterwards, all of them.
        paths.retain(|path| path.exists());
    }
    let found = Found::of(config.format, &paths, &DataDirectories)?;
    for (path, why) in found.left_out.iter().take(LEFT_OUT_TOLD_MAX) {
        tracing::warn!(path = %path.display(), why, "left out");
    }
    if let Some(more) = found.left_out.len().checked_sub(LEFT_OUT_TOLD_MAX + 1) {
        tracing::warn!(count = more + 1, "more left out");
    }
    if found.files.is_empty() {
        return match cursor.done {
            true => Ok(None),
            false => Err(Error::Invalid(format!(
                "paths: nothing is there: {}; a folder's files end in {}, also with .gz, .zst or .bz2",
                config.paths.join(", "),
                config.format.endings().iter().map(|ending| format!(".{ending}")).collect::<Vec<_>>().join(", ")
            ))),
        };
    }
    let left = cursor.left(&found.files).map_err(|what| {
        Error::Invalid(format!(
            "{what}; put back what was there, or give the source another name to read everything once more"
        ))
    })?;
    Ok((left > 0).then_some(Input::Files(found.files)))
}
