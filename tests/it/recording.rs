//! A recorded connection served again: every event once, byte for byte, and its cut last frame not at all.

use std::process::Command;

use crate::{
    lakehead::{Lakehead, query, shared, skip, stored, text},
    segments,
};

const RECORDING: &str = "data/sse/recentchange_2021-08-27.sse.gz";
/// Whole frames in it; a last one has its `id:` and no `data:`.
const EVENTS: u64 = 1_950;

#[test]
fn a_recorded_connection_is_kept_once_without_its_cut_frame() {
    let name = "recording::a_recorded_connection_is_kept_once_without_its_cut_frame";
    let Some(recording) = shared(RECORDING) else {
        return skip(name, &format!("../shared/{RECORDING} is not beside the checkout"));
    };
    let said = Command::new("gzip").args(["-dc", text(&recording)]).output().expect("gzip is there");
    let recorded = String::from_utf8(said.stdout).expect("the recording is UTF-8");
    let expected: Vec<&str> = recorded.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert_eq!(expected.len() as u64, EVENTS);
    assert!(!recorded.ends_with("\n\n"), "the recording ends inside a frame");

    let folder = tempfile::tempdir().expect("a folder for the test");
    let upstream = Lakehead::start(&["simulate", "--from", text(&recording), "--rate", "0", "--listen", "127.0.0.1:0"]);
    let lakehead = Lakehead::run_on(&upstream, folder.path());
    let status = lakehead.until_counted("recentchange", EVENTS);
    assert_eq!(stored(&status, "recentchange"), EVENTS);
    assert_eq!(stored(&status, "rejects"), 0);
    let rows = query(folder.path(), "SELECT count(DISTINCT meta_id) AS ids, count(*) AS kept FROM recentchange");
    assert_eq!((rows[0]["ids"].as_u64(), rows[0]["kept"].as_u64()), (Some(EVENTS), Some(EVENTS)));
    assert!(lakehead.finish().success());

    if segments::zstdcat_is_here() {
        let log = segments::zstdcat(folder.path(), "recentchange");
        for (n, (line, expected)) in segments::lines(&log).into_iter().zip(expected).enumerate() {
            assert!(line == expected.as_bytes(), "event {n} changed: {}", String::from_utf8_lossy(line));
        }
    }
}
