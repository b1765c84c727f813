//! Every version of a segment that was ever written opens, or is refused by name. What a version wrote lies in
//! `crates/store/fixtures/`; it is never written again.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use lakehead_model::Offset;

use super::{
    memory::Memory,
    rig::{ManualClock, append, append_at, cursor, read, segments, try_open, try_read},
    sealing::{seal_all, small},
};
use crate::{
    disk::{layout::Layout, log_files::LogFiles},
    fsck::check::check,
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");

/// Twelve events in two segments, of which the first is sealed.
fn write(folder: &Path) {
    let (files, clock) = (Memory::default(), ManualClock::new());
    let stream = try_open(&files, small(), &clock).expect("opens");
    for n in 0..12 {
        append_at(&stream, &[&format!("{{\"n\":{n}}}")], &n.to_string()).expect("kept");
        clock.advance(if n == 5 { 3_600_000_000 } else { 1_000_000 });
    }
    seal_all(&stream).expect("seals");
    stream.close().expect("closes");
    for path in segments(&files) {
        let copy = folder.join(path.strip_prefix("/data").expect("below the data directory"));
        std::fs::create_dir_all(copy.parent().expect("a folder")).expect("creates");
        std::fs::write(copy, files.bytes(&path)).expect("writes");
    }
}

fn found(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("lists") {
        let path = entry.expect("lists").path();
        if path.is_dir() { found(&path, files) } else { files.push(path) }
    }
}

#[test]
fn a_stream_of_version_1_opens_reads_and_goes_on() {
    let folder = Path::new(FOLDER).join("segment_v1");
    if std::env::var_os("LAKEHEAD_WRITE_FIXTURES").is_some() {
        write(&folder);
    }
    let mut paths = Vec::new();
    found(&folder, &mut paths);
    assert!(paths.len() >= 2, "{paths:?}");
    let files = Memory::default();
    for path in &paths {
        let below = path.strip_prefix(&folder).expect("below it");
        files.put(&Path::new("/data").join(below), std::fs::read(path).expect("reads"));
    }
    let layout = Layout::new("/data".as_ref());
    let log = LogFiles { name: super::rig::name("s"), files: Arc::new(files.clone()), layout };
    let checked = check(&log, &[], &mut |_, _| {}).expect("reads");
    assert_eq!(checked.findings, []);
    assert!(checked.sealed >= 1 && checked.events == 12, "{checked:?}");
    let clock = ManualClock::new();
    clock.advance(9_000_000_000);
    let stream = try_open(&files, small(), &clock).expect("opens");
    assert_eq!(read(&stream, 0), (0..12).map(|n| format!("{{\"n\":{n}}}")).collect::<Vec<_>>());
    assert_eq!(stream.head().cursors.values().next(), Some(&cursor("11")));
    assert_eq!(append(&stream, &["12"]).expect("goes on").first_offset, Offset(12));
    assert_eq!(try_read(&stream, 11).expect("reads").len(), 2);
}
