//! The log as other programs see it: files on disk, read by `zstdcat`, without a line of Lakehead's code.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The segments of a stream in the order of their offsets, which is the order of their paths.
pub(crate) fn files(data: &Path, stream: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(&data.join("streams").join(stream), ".jsonl.zst", &mut found);
    found.sort();
    found
}

/// The result files of a view.
pub(crate) fn results(data: &Path, view: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(&data.join("views").join(view), ".parquet", &mut found);
    found.sort();
    found
}

fn collect(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    // A folder that is not there holds nothing.
    for entry in fs::read_dir(folder).into_iter().flatten().map_while(Result::ok) {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, ending, found);
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
}

/// Whether `zstdcat` is on this machine.
pub(crate) fn zstdcat_is_here() -> bool {
    Command::new("zstdcat").arg("--version").output().is_ok()
}

/// What `zstdcat` prints over the segments of a stream.
///
/// # Panics
/// When it finds anything wrong with a file.
pub(crate) fn zstdcat(data: &Path, stream: &str) -> Vec<u8> {
    let said = Command::new("zstdcat").args(files(data, stream)).output().expect("zstdcat is here");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    said.stdout
}

/// The lines of some bytes, each of which must end with a newline.
pub(crate) fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    let Some(whole) = bytes.strip_suffix(b"\n") else {
        assert!(bytes.is_empty(), "the last line has no newline");
        return Vec::new();
    };
    whole.split(|byte| *byte == b'\n').collect()
}
