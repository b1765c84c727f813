//! Names: which files are taken by theirs, and a file's name as the cursor has it.

use std::{
    ffi::{OsStr, OsString},
    fmt::Write,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Component, Path, PathBuf},
};

use glob::Pattern;
use serde::{Deserialize, Serialize};

use super::config::{Config, REFUSED};
use crate::json_lines::json_ending;

/// Which names are taken.
pub(super) struct Wanted {
    /// `None`: those that end as JSON does.
    files: Option<Vec<Pattern>>,
    ignore: Vec<Pattern>,
    suffix: String,
}

impl Wanted {
    pub(super) fn new(config: &Config) -> Self {
        // What is no pattern was refused before.
        let patterns = |texts: &[String]| texts.iter().filter_map(|text| Pattern::new(text).ok()).collect();
        let files = config.files.as_deref().map(patterns);
        Self { files, ignore: patterns(&config.ignore), suffix: config.suffix().to_owned() }
    }

    /// Whether nobody is to look at it, be it a file or a folder.
    pub(super) fn ignores(&self, name: &OsStr) -> bool {
        let text = name.to_string_lossy();
        text.starts_with('.') || self.ignore.iter().any(|pattern| pattern.matches(&text))
    }

    /// Whether a file of this name is taken.
    pub(super) fn takes(&self, name: &OsStr) -> bool {
        let text = name.to_string_lossy();
        let is_ours = text.ends_with(&self.suffix) || text.ends_with(REFUSED);
        let is_named = || match &self.files {
            Some(patterns) => patterns.iter().any(|pattern| pattern.matches(&text)),
            None => json_ending(Path::new(name)).is_some(),
        };
        !is_ours && !self.ignores(name) && is_named()
    }
}

/// A file's path below the folder, as the cursor has it: what is no letter, digit or plain sign of ASCII is `%` and two digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct SpoolName(String);

impl SpoolName {
    pub(super) fn of(below: &Path) -> Self {
        let mut text = String::new();
        for byte in below.as_os_str().as_bytes() {
            if byte.is_ascii_graphic() && !matches!(byte, b'%' | b'"' | b'\\') {
                text.push(char::from(*byte));
            } else {
                // Writing to a text cannot fail.
                let _ = write!(text, "%{byte:02x}");
            }
        }
        Self(text)
    }

    /// The path below the folder; `None` where a text that was read is no such path.
    pub(super) fn path(&self) -> Option<PathBuf> {
        let mut bytes = Vec::with_capacity(self.0.len());
        let mut rest = self.0.as_bytes();
        while let Some((first, behind)) = rest.split_first() {
            rest = behind;
            if *first == b'%' {
                let digits = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok())?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &behind[2..];
            } else {
                bytes.push(*first);
            }
        }
        let path = PathBuf::from(OsString::from_vec(bytes));
        let is_below = path.components().all(|part| matches!(part, Component::Normal(_))) && path.file_name().is_some();
        is_below.then_some(path)
    }

    /// Bytes of it in a cursor.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wanted(settings: serde_json::Value) -> Wanted {
        Wanted::new(&serde_json::from_value(settings).expect("settings"))
    }

    #[test]
    fn files_are_taken_by_their_names() {
        let plain = wanted(json!({ "path": "in" }));
        for (name, takes) in [
            ("change_1.json", true),
            ("a.JSONL.gz", true),
            ("a b.ndjson.zst", true),
            ("a.json.tmp", false),
            (".a.json", false),
            ("a.json.COMPLETED", false),
            ("a.json.1.COMPLETED", false),
            ("a.json.REFUSED", false),
            ("a.txt", false),
            ("a.json.part", false),
        ] {
            assert_eq!(plain.takes(OsStr::new(name)), takes, "{name}");
        }
        let own = wanted(json!({ "path": "in", "files": ["*"], "ignore": ["*.part", "x*"], "suffix": ".done" }));
        for (name, takes) in [
            ("a.txt", true),
            ("a.json.tmp", true),
            ("a.COMPLETED", true),
            ("a.done", false),
            ("a.REFUSED", false),
            ("a.part", false),
            ("x.json", false),
            (".a", false),
        ] {
            assert_eq!(own.takes(OsStr::new(name)), takes, "{name}");
        }
        assert!(plain.takes(OsStr::from_bytes(b"\xff\xfe.json")));
    }

    #[test]
    fn a_name_of_any_bytes_comes_back_from_the_cursor() {
        for bytes in
            [&b"a.json"[..], b"sub/a b.json", b"50%.json", b"q\"\\.json", b"\xff\n\x01.json", "f\u{fc}.json".as_bytes()]
        {
            let path = Path::new(OsStr::from_bytes(bytes));
            let name = SpoolName::of(path);
            assert!(
                name.0.is_ascii() && serde_json::to_string(&name).expect("text").len() == name.len() + 2,
                "{name:?}"
            );
            assert_eq!(name.path().as_deref(), Some(path));
        }
        for text in ["", "/etc/passwd", "../a", "a/../../b", "a%", "a%x1", "%2e%2e/a", "a%f"] {
            assert_eq!(SpoolName(text.to_owned()).path(), None, "{text}");
        }
    }
}
