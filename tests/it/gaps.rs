//! `lakehead gaps`: the holes of an upstream are listed and added up, the same with a process and without.

use serde_json::Value;

use crate::lakehead::{Ended, Lakehead, run, text};

#[test]
fn holes_are_listed_with_their_offsets_and_totals() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let words = ["simulate", "--events", "20000", "--rate", "0", "--seed", "7", "--fault", "hole=5001..5003,13000"];
    let upstream = Lakehead::start(&[&words[..], &["--listen", "127.0.0.1:0"]].concat());
    let lakehead = Lakehead::run_on(&upstream, &data);
    // Two offsets are missing in the first hole and one in the second.
    lakehead.until_stored("recentchange", 19_997);
    let gaps = |more: &[&str]| -> Ended {
        let ended = run(&[&["gaps", "--data", text(&data)], more].concat());
        assert_eq!(ended.code, Some(0), "{more:?}: {}{}", ended.stdout, ended.stderr);
        ended
    };
    let with_a_process = gaps(&[]).stdout;
    let first = with_a_process.lines().next().unwrap_or_default();
    assert!(first.starts_with("noted") && first.contains("between"), "{with_a_process}");
    assert!(
        with_a_process
            .contains("stream recentchange: 3 events missing in 2 gaps, found by source wikimedia, the last noted at"),
        "{with_a_process}"
    );
    assert!(lakehead.finish().success());
    assert_eq!(gaps(&[]).stdout, with_a_process, "the files say the same");

    let whole: Value = serde_json::from_str(&gaps(&["--json"]).stdout).expect("JSON");
    let entries = whole["entries"].as_array().expect("a list");
    assert!(entries.iter().all(|entry| entry["missing"].as_u64() > Some(0) && entry["kind"] == "missing"), "{whole}");
    assert!(entries.iter().all(|entry| entry["to_offset"].as_i64() > entry["from_offset"].as_i64()), "{whole}");
    assert_eq!(whole["totals"][0]["missing"], 3, "{whole}");
    let moved: Value = serde_json::from_str(&gaps(&["--json", "--kind", "renumbered"]).stdout).expect("JSON");
    assert_eq!(
        (&moved["entries"], &moved["totals"]),
        (&serde_json::json!([]), &whole["totals"]),
        "totals are of every kind"
    );

    assert!(gaps(&["--rows", "1"]).stdout.contains("the newest 1 of 2; --rows N lists more"));
    for more in [&["--stream", "other"] as &[&str], &["--source", "other"], &["--since", "2100-01-01T00:00:00Z"]] {
        assert!(gaps(more).stdout.starts_with("No event is noted as missing "), "{more:?}: {}", gaps(more).stdout);
    }
    let skipped = gaps(&["--kind", "skipped"]).stdout;
    assert_eq!(skipped, "No offset is noted as skipped.\nnot listed: 2 missing; --kind lists them\n");
    for more in [&["--stream", "a'b"] as &[&str], &["--kind", "lost"], &["--since", "yesterday"], &["--rows", "0"]] {
        let ended = run(&[&["gaps", "--data", text(&data)], more].concat());
        assert_eq!(ended.code, Some(2), "{more:?}: {}{}", ended.stdout, ended.stderr);
    }
}
