//! Sealing, fsck with its repair, and retention, on the real binary.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    lakehead::{Lakehead, query, run, skip, stored, text},
    segments,
};

const EVENTS: u64 = 60_000;

/// Segments of 1 MiB, so that a few seconds make several; what else stands in `more` is added to the stream.
fn pipeline(folder: &Path, upstream: &Lakehead, more: &str) -> PathBuf {
    let path = folder.join("pipeline.toml");
    let written = format!(
        "\
[store]
segment_bytes = \"1 MiB\"
[store.seal]
cpu_percent = 100
[stream.recentchange]
schema = \"mediawiki/recentchange\"
{more}
[source.wikimedia]
kind = \"eventstreams\"
url = \"http://{}/v2/stream/recentchange\"
stream = \"recentchange\"
[view.edits_per_minute]
sql = \"SELECT tumble(event_time, INTERVAL '1 minute') AS minute, wiki, count(*) AS edits FROM recentchange GROUP BY 1, 2\"
",
        upstream.address
    );
    fs::write(&path, written).expect("the pipeline can be written");
    path
}

fn upstream() -> Lakehead {
    Lakehead::start(&["simulate", "--rate", "0", "--events", "60000", "--seed", "7", "--listen", "127.0.0.1:0"])
}

/// Runs the pipeline until all is counted and sealed, and stops it cleanly.
fn filled(folder: &Path, upstream: &Lakehead) -> PathBuf {
    let data = folder.join("data");
    let lakehead = Lakehead::run_pipeline(&pipeline(folder, upstream, ""), &data);
    lakehead.until_counted("recentchange", EVENTS);
    lakehead.until("everything finished to be sealed", |status| {
        let stream = &status["streams"]["recentchange"];
        stream["unsealed"] == 0 && stream["segments"].as_u64() > Some(3)
    });
    assert!(lakehead.finish().success());
    data
}

fn edits(data: &Path) -> u64 {
    query(data, "SELECT sum(edits) AS edits FROM edits_per_minute")[0]["edits"].as_u64().expect("a sum")
}

#[test]
fn damage_is_found_named_repaired_and_seen_by_verify() {
    let name = "upkeep::damage_is_found_named_repaired_and_seen_by_verify";
    if !segments::zstdcat_is_here() {
        return skip(name, "zstdcat is missing");
    }
    let folder = tempfile::tempdir().expect("a folder for the test");
    let upstream = upstream();
    let data = filled(folder.path(), &upstream);
    assert_eq!(segments::lines(&segments::zstdcat(&data, "recentchange")).len() as u64, EVENTS);
    let whole = run(&["fsck", "--data", text(&data)]);
    assert_eq!(whole.code, Some(0), "{}{}", whole.stdout, whole.stderr);
    assert!(whole.stdout.contains("60,000") && whole.stdout.contains("no damage"), "{}", whole.stdout);

    // One bit, in the middle of a sealed segment in the middle of the log.
    let path = segments::files(&data, "recentchange")[1].clone();
    let mut bytes = fs::read(&path).expect("a segment");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).expect("it can be damaged");
    let read = run(&["query", "SELECT count(wiki) FROM recentchange", "--data", text(&data)]);
    assert_eq!(read.code, Some(1), "damage is never read: {}", read.stdout);
    assert!(read.stderr.contains(text(&path)) && read.stderr.contains("`lakehead fsck`"), "{}", read.stderr);
    let found = run(&["fsck", "--data", text(&data)]);
    assert_eq!(found.code, Some(3), "{}{}", found.stdout, found.stderr);
    assert!(found.stdout.contains(text(&path)) && found.stdout.contains("fails its checksum"), "{}", found.stdout);
    assert_eq!(fs::read(&path).expect("a segment"), bytes, "checking changes nothing");

    let repaired = run(&["fsck", "--repair", "--data", text(&data)]);
    assert_eq!(repaired.code, Some(3), "{}{}", repaired.stdout, repaired.stderr);
    assert!(repaired.stdout.contains("are null now"), "{}", repaired.stdout);
    let kept = fs::read_dir(data.join("quarantine")).expect("a quarantine").next().expect("a file").expect("a file");
    assert_eq!(fs::read(kept.path()).expect("the old one"), bytes, "what was replaced is kept");
    let again = run(&["fsck", "--data", text(&data)]);
    assert_eq!(again.code, Some(0), "{}{}", again.stdout, again.stderr);
    let rows = query(&data, "SELECT count(*) AS all_of_them, count(wiki) AS whole FROM recentchange");
    let (all, left) = (rows[0]["all_of_them"].as_u64(), rows[0]["whole"].as_u64());
    assert_eq!(all, Some(EVENTS), "every event has its offset");
    assert!(left < Some(EVENTS) && left > Some(EVENTS / 2), "only one frame is lost: {left:?}");
    let verified = run(&["verify", "--data", text(&data)]);
    assert_eq!(verified.code, Some(3), "what views counted is not in the log any more: {}", verified.stdout);
}

#[test]
fn retention_removes_the_start_says_who_holds_what_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let upstream = upstream();
    let data = filled(folder.path(), &upstream);
    let before = edits(&data);
    let ruled = pipeline(folder.path(), &upstream, "retention_bytes = \"2 MiB\"");

    let dry = run(&["retention", text(&ruled), "--data", text(&data), "--dry-run"]);
    assert_eq!(dry.code, Some(0), "{}{}", dry.stdout, dry.stderr);
    assert!(
        dry.stdout.contains("recentchange") && dry.stderr.contains("nothing was removed"),
        "{}{}",
        dry.stdout,
        dry.stderr
    );
    assert_eq!(query(&data, "SELECT min(event_offset) AS first FROM recentchange")[0]["first"], 0);

    let lakehead = Lakehead::run_pipeline(&ruled, &data);
    let status = lakehead.until("retention", |status| status["streams"]["recentchange"]["removed"].as_u64() > Some(0));
    let start = status["streams"]["recentchange"]["start"].as_u64().expect("an offset");
    assert!(start > 0 && stored(&status, "recentchange") == EVENTS - start);
    assert!(status["streams"]["recentchange"]["rebuildable_since"].is_string(), "{status:#}");
    assert!(lakehead.finish().success());
    let rows = query(&data, "SELECT min(event_offset) AS first, count(*) AS events FROM recentchange");
    assert_eq!((rows[0]["first"].as_u64(), rows[0]["events"].as_u64()), (Some(start), Some(EVENTS - start)));
    assert_eq!(edits(&data), before, "what was counted stays counted");
    assert_eq!(run(&["fsck", "--data", text(&data)]).code, Some(0));
    let verified = run(&["verify", "--data", text(&data)]);
    assert_eq!(verified.code, Some(0), "{}{}", verified.stdout, verified.stderr);
}
