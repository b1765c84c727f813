//! The files of a folder that hold JSON lines, or lines of another kind, by their names.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Endings of files of JSON lines.
pub(crate) const JSON_ENDINGS: &[&str] = &["json", "jsonl", "ndjson"];

/// What may stand behind the ending of a file that is taken from a folder.
const COMPRESSED: [&str; 3] = ["gz", "zst", "bz2"];

/// The files that `path` stands for: itself, or, of a folder, those in it and below it that have one of these endings, sorted
/// by path; and what else is in it. Folders of which `is_other` says so are among the latter and not looked into; links to
/// folders are not followed.
///
/// # Errors
/// When it cannot be listed.
pub fn files(
    path: &Path,
    endings: &[&str],
    is_other: &dyn Fn(&Path, &fs::Metadata) -> bool,
) -> io::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    if !fs::metadata(path)?.is_dir() {
        return Ok((vec![path.to_owned()], Vec::new()));
    }
    let (mut taken, mut left_out, mut folders) = (Vec::new(), Vec::new(), vec![path.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let path = entry.path();
            let kind = entry.file_type()?;
            if kind.is_dir() {
                if is_other(&path, &entry.metadata()?) {
                    left_out.push(path);
                } else {
                    folders.push(path);
                }
            } else if holds_lines(&path, endings) && (kind.is_file() || path.is_file()) {
                taken.push(path);
            } else {
                left_out.push(path);
            }
        }
    }
    taken.sort();
    left_out.sort();
    Ok((taken, left_out))
}

/// Whether the name of `path` says that it holds lines of this kind.
fn holds_lines(path: &Path, endings: &[&str]) -> bool {
    ending(path, endings).is_some()
}

/// The ending by which the name of `path` says that it holds JSON: `json`, `jsonl` or `ndjson`, also before the ending of a
/// compressed file.
#[must_use]
pub fn json_ending(path: &Path) -> Option<&'static str> {
    ending(path, JSON_ENDINGS)
}

fn ending<'e>(path: &Path, endings: &[&'e str]) -> Option<&'e str> {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let plain = match name.rsplit_once('.') {
        Some((plain, ending)) if COMPRESSED.contains(&ending) => plain,
        _ => &name,
    };
    let (_, ending) = plain.rsplit_once('.')?;
    endings.iter().find(|known| **known == ending).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_what_ends_as_json_lines_do() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("b")).expect("a folder");
        for name in ["b/1.jsonl.zst", "a.ndjson", "c.json.GZ", "b/2.txt", "notes", "x.gz"] {
            fs::write(folder.path().join(name), "").expect("a file");
        }
        let names = |paths: Vec<PathBuf>| -> Vec<String> {
            let name = |path: PathBuf| path.strip_prefix(folder.path()).expect("below it").display().to_string();
            paths.into_iter().map(name).collect()
        };
        for (name, ending) in
            [("a.NDJSON.bz2", Some("ndjson")), ("json", None), ("a.json.tmp", None), ("a.gz.json", Some("json"))]
        {
            assert_eq!(json_ending(Path::new(name)), ending, "{name}");
        }
        let (taken, left_out) = files(folder.path(), JSON_ENDINGS, &|_, _| false).expect("listed");
        assert_eq!(names(taken), ["a.ndjson", "b/1.jsonl.zst", "c.json.GZ"]);
        assert_eq!(names(left_out), ["b/2.txt", "notes", "x.gz"]);
        let (taken, _) = files(folder.path(), &["txt"], &|_, _| false).expect("listed");
        assert_eq!(names(taken), ["b/2.txt"]);
    }
}
