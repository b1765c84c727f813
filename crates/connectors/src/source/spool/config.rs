//! What a user may set, and its limits.

use std::{path::PathBuf, time::Duration};

use lakehead_model::{ByteSize, Span};
use schemars::JsonSchema;
use serde::Deserialize;

/// What files end in that were refused.
pub(super) const REFUSED: &str = ".REFUSED";

/// The most patterns of `files` or `ignore`, and bytes of one.
const PATTERNS_MAX: usize = 100;
const PATTERN_BYTES_MAX: usize = 256;

/// The longest suffix. A name has at most 255 bytes with it.
const SUFFIX_BYTES_MAX: usize = 32;

/// Settings of a `spool` source.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The folder that is watched. A relative path is below the folder that Lakehead was started in.
    pub(super) path: PathBuf,
    /// What a file holds. `by_name`: lines where its name ends in `.jsonl` or `.ndjson`, also compressed, else one document.
    /// `document`: one JSON document, in whatever layout, which is one event. `array`: a JSON array whose elements are the
    /// events; a file that holds something else is one document. `lines`: an event on each line. Default: `by_name`.
    #[serde(default)]
    pub(super) content: Content,
    /// Patterns of the names of files that are taken, as in `["change_*"]`; `*` and `?` stand for anything, `[ab]` for one of
    /// these characters. At most 100. Default: names that end in `.json`, `.jsonl` or `.ndjson`, also with `.gz`, `.zst` or
    /// `.bz2` behind it.
    #[serde(default)]
    pub(super) files: Option<Vec<String>>,
    /// Patterns of names that are left alone all the same, files and folders. Hidden ones are always. At most 100. Default:
    /// `["*.tmp"]`.
    #[serde(default = "ignore_default")]
    pub(super) ignore: Vec<String>,
    /// In which order the files that wait are taken: by `name`, as bytes compare, or by when they were `modified` last, the
    /// oldest first. Default: `name`.
    #[serde(default)]
    pub(super) order: Order,
    /// A file is taken when it has not changed for so long. From `0s`, for a folder that files are moved into whole, to 1h.
    /// Default: 5s.
    #[serde(default = "rest_default")]
    pub(super) rest: Span,
    /// How often the folder is looked at while nothing waits. From 100ms to 1h. Default: 1s.
    #[serde(default = "poll_default")]
    pub(super) poll: Span,
    /// Whether folders below it are watched, too. Links to folders are not followed. Default: false.
    #[serde(default)]
    pub(super) subfolders: bool,
    /// What becomes of a file once its events are on disk. `rename`: it gets `suffix`. `move`: it goes to `done_folder`.
    /// `delete`: it is deleted, unless something in it was refused. Default: `rename`.
    #[serde(default)]
    pub(super) when_done: WhenDone,
    /// With `rename`: what is added to the name. It begins with a dot and has at most 32 bytes. Default: `.COMPLETED`.
    #[serde(default)]
    pub(super) suffix: Option<String>,
    /// With `move`: where files go, on the same file system as `path`. It is made if it is not there.
    #[serde(default)]
    pub(super) done_folder: Option<PathBuf>,
    /// With `rename` and `move`: what becomes of a file whose name a file had that was taken before and is still there. `refuse`:
    /// it is set aside with a reject, unread. `number`: it is a new file, and gets a number when it is done. Default: `refuse`.
    #[serde(default)]
    pub(super) name_again: Option<NameAgain>,
    /// A file that holds more than this, decompressed, is set aside with a reject; of lines, what stands before is kept. From
    /// 1 KiB to 1024 TiB. Default: 64 GiB.
    #[serde(default = "file_bytes_max_default")]
    pub(super) file_bytes_max: ByteSize,
}

fn ignore_default() -> Vec<String> {
    vec!["*.tmp".to_owned()]
}

fn rest_default() -> Span {
    Span::seconds(5)
}

fn poll_default() -> Span {
    Span::seconds(1)
}

fn file_bytes_max_default() -> ByteSize {
    ByteSize(64 << 30)
}

/// What a file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Content {
    #[default]
    ByName,
    Document,
    Array,
    Lines,
}

/// In which order files are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    #[default]
    Name,
    Modified,
}

/// What becomes of a file that is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum WhenDone {
    #[default]
    Rename,
    Move,
    Delete,
}

/// What becomes of a file whose name was taken before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum NameAgain {
    #[default]
    Refuse,
    Number,
}

impl Config {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.path.as_os_str().is_empty() {
            return Err("path: expected a folder, as in \"./inbox\", found nothing".to_owned());
        }
        patterns("files", self.files.as_deref().unwrap_or_default())?;
        patterns("ignore", &self.ignore)?;
        if self.files.as_ref().is_some_and(Vec::is_empty) {
            return Err("files: expected patterns, as in [\"*.json\"], found none: no file would be taken".to_owned());
        }
        within("rest", self.rest, Duration::ZERO, "0s to 1h")?;
        within("poll", self.poll, Duration::from_millis(100), "100ms to 1h")?;
        if !(1 << 10..=1 << 50).contains(&self.file_bytes_max.0) {
            return Err(format!("file_bytes_max: expected 1 KiB to 1024 TiB, found {}", self.file_bytes_max));
        }
        self.check_done()
    }

    fn check_done(&self) -> Result<(), String> {
        match (self.when_done, &self.done_folder) {
            (WhenDone::Move, None) => {
                return Err("done_folder: when_done = \"move\" needs it, as in \"./done\"".to_owned());
            }
            (WhenDone::Move, Some(folder)) if folder.as_os_str().is_empty() || *folder == self.path => {
                return Err("done_folder: expected another folder than path, as in \"./done\"".to_owned());
            }
            (WhenDone::Rename | WhenDone::Delete, Some(_)) => {
                return Err("done_folder: only with when_done = \"move\"".to_owned());
            }
            _ => {}
        }
        if self.when_done != WhenDone::Rename && self.suffix.is_some() {
            return Err("suffix: only with when_done = \"rename\"".to_owned());
        }
        if self.when_done == WhenDone::Delete && self.name_again.is_some() {
            return Err("name_again: not with when_done = \"delete\": what is deleted leaves no name".to_owned());
        }
        let suffix = self.suffix();
        let is_one = suffix.len() > 1 && suffix.starts_with('.') && !suffix.contains(['/', '\0']);
        if !is_one || suffix.len() > SUFFIX_BYTES_MAX || suffix == REFUSED {
            return Err(format!(
                "suffix: expected a dot and 1 to {} more bytes, as in \".COMPLETED\", not {REFUSED}; found {suffix:?}",
                SUFFIX_BYTES_MAX - 1
            ));
        }
        Ok(())
    }

    /// What is added to the name of a file that is done; also where files are moved or deleted, since some may be there of a time
    /// when they were renamed.
    pub(super) fn suffix(&self) -> &str {
        self.suffix.as_deref().unwrap_or(".COMPLETED")
    }

    /// Whether a name may come again after its file is done.
    pub(super) fn may_repeat(&self) -> bool {
        self.when_done == WhenDone::Delete || self.name_again == Some(NameAgain::Number)
    }
}

fn patterns(key: &str, patterns: &[String]) -> Result<(), String> {
    if patterns.len() > PATTERNS_MAX {
        return Err(format!("{key}: expected at most {PATTERNS_MAX} patterns, found {}", patterns.len()));
    }
    for pattern in patterns {
        if pattern.is_empty() || pattern.len() > PATTERN_BYTES_MAX || pattern.contains('/') {
            return Err(format!(
                "{key}: expected patterns of names, of 1 to {PATTERN_BYTES_MAX} bytes and without a slash, found {pattern:?}"
            ));
        }
        glob::Pattern::new(pattern).map_err(|error| {
            format!("{key}: {pattern:?} is no pattern: {} at character {}", error.msg, error.pos + 1)
        })?;
    }
    Ok(())
}

fn within(key: &str, span: Span, least: Duration, expected: &str) -> Result<(), String> {
    if (least..=Duration::from_secs(3_600)).contains(&span.0) {
        return Ok(());
    }
    Err(format!("{key}: expected {expected}, found {span}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_that_cannot_work_are_refused_by_their_key() {
        let check = |settings: serde_json::Value| {
            serde_json::from_value::<Config>(settings).map_err(|error| error.to_string())?.check()
        };
        for good in [
            json!({ "path": "inbox" }),
            json!({ "path": "/in", "when_done": "move", "done_folder": "/done", "name_again": "number" }),
            json!({ "path": "in", "when_done": "delete", "rest": "0s", "poll": "1h", "order": "modified" }),
            json!({ "path": "in", "files": ["change_*", "[ab]?.json"], "ignore": [], "suffix": ".done", "content": "array" }),
        ] {
            assert_eq!(check(good.clone()), Ok(()), "{good}");
        }
        let many = vec!["a"; 101];
        for (settings, wanted) in [
            (json!({}), "missing field `path`"),
            (json!({ "path": "" }), "path: expected a folder"),
            (json!({ "path": "a", "paths": ["b"] }), "unknown field `paths`"),
            (json!({ "path": "a", "content": "json" }), "`by_name`"),
            (json!({ "path": "a", "files": [] }), "files: expected patterns"),
            (json!({ "path": "a", "files": ["b/*"] }), "files: expected patterns of names"),
            (json!({ "path": "a", "files": many }), "files: expected at most 100"),
            (json!({ "path": "a", "ignore": ["a[b"] }), "ignore: \"a[b\" is no pattern"),
            (json!({ "path": "a", "order": "mtime" }), "`modified`"),
            (json!({ "path": "a", "rest": "2h" }), "rest: expected 0s to 1h, found 2h"),
            (json!({ "path": "a", "poll": "99ms" }), "poll: expected 100ms"),
            (json!({ "path": "a", "poll": 1 }), "invalid type"),
            (json!({ "path": "a", "when_done": "move" }), "done_folder: when_done = \"move\" needs it"),
            (json!({ "path": "a", "when_done": "move", "done_folder": "a" }), "done_folder: expected another"),
            (json!({ "path": "a", "done_folder": "b" }), "done_folder: only with"),
            (json!({ "path": "a", "when_done": "delete", "suffix": ".x" }), "suffix: only with"),
            (json!({ "path": "a", "when_done": "delete", "name_again": "number" }), "name_again: not with"),
            (json!({ "path": "a", "suffix": "done" }), "suffix: expected a dot"),
            (json!({ "path": "a", "suffix": "./x" }), "suffix: expected a dot"),
            (json!({ "path": "a", "suffix": ".REFUSED" }), "suffix: expected a dot"),
            (json!({ "path": "a", "file_bytes_max": "1 B" }), "file_bytes_max: expected 1 KiB"),
        ] {
            let error = check(settings.clone()).expect_err(wanted);
            assert!(error.contains(wanted), "{settings}: {error}");
        }
    }
}
