//! Recorded events of Wikimedia, which lie beside the project where it is developed. Elsewhere there are none, and tests of
//! them are skipped.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    path::PathBuf,
};

use serde_json::value::RawValue;

/// The events of each recording, without their line ends; says that the test is skipped where there is no recording.
///
/// # Panics
/// When a recording cannot be read.
#[must_use]
pub fn all() -> Vec<Vec<String>> {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let mut all = Vec::new();
    for folder in ["recentchange", "other-streams"] {
        for file in fs::read_dir(data.join(folder)).into_iter().flatten() {
            let path = file.expect("a folder that can be listed").path();
            if path.to_string_lossy().ends_with(".jsonl.gz") {
                let mut text = String::new();
                let packed = fs::File::open(&path).expect("a recording");
                flate2::read::MultiGzDecoder::new(packed).read_to_string(&mut text).expect("gzip");
                all.push(text.lines().map(str::to_owned).collect());
            }
        }
    }
    if let Ok(text) = fs::read_to_string(data.join("odd/odd_recentchange.jsonl")) {
        let event = |line| {
            let odd: BTreeMap<String, Box<RawValue>> = serde_json::from_str(line).expect("JSON");
            odd["event"].get().to_owned()
        };
        all.push(text.lines().map(event).collect());
    }
    if all.is_empty() {
        let _ = writeln!(std::io::stdout(), "SKIPPED recordings: no recordings in {}", data.display());
    }
    all
}
