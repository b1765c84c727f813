//! What a user may set.

use schemars::JsonSchema;
use serde::Deserialize;

use super::format::FileFormat;

/// The most entries of `paths`. Thousands of files are a folder or a pattern.
const PATHS_MAX: usize = 1_000;

/// Settings of a `file` source.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Files, folders and patterns, as in `["dump/*.jsonl.gz", "more"]`: lines, plain or compressed with gzip, Zstandard or bzip2. They are read once, in the order of the files' paths. At most 1,000 entries, which stand for at most 1,000,000
    /// files.
    pub(super) paths: Vec<String>,
    /// What they hold: `json`, or `mediawiki-history` for the rows of MediaWiki history dumps (`.tsv.bz2`), each of which becomes
    /// an event of the schema `mediawiki/history`. Default: `json`.
    #[serde(default)]
    pub(super) format: FileFormat,
}

impl Config {
    pub(super) fn check(&self) -> Result<(), String> {
        let entries = self.paths.len();
        if !(1..=PATHS_MAX).contains(&entries) {
            return Err(format!(
                "paths: expected 1 to {PATHS_MAX} files, folders or patterns, as in [\"dump/*.jsonl.gz\"], found {entries}"
            ));
        }
        for path in &self.paths {
            if path.trim().is_empty() {
                return Err(
                    "paths: expected the path of a file or a folder, or a pattern, found an empty text".to_owned()
                );
            }
            if path == "-" {
                return Err(
                    "paths: standard input (-) is read by `lakehead import STREAM -`, not by a pipeline".to_owned()
                );
            }
            glob::Pattern::new(path).map_err(|error| {
                format!("paths: {path:?} is no pattern: {} at character {}", error.msg, error.pos + 1)
            })?;
        }
        Ok(())
    }
}
