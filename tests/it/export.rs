//! `lakehead export`: what comes out is what went in, and only the range that was asked for.

use std::{fs, path::Path};

use serde_json::json;

use crate::{
    lakehead::{Lakehead, query, run, run_with, text, unread},
    push::pipeline,
};

/// Events of one minute each, with spelling that a parser would not keep, every seventh without event time.
fn event(n: u64) -> String {
    let time = if n.is_multiple_of(7) {
        String::new()
    } else {
        format!(", \"dt\":\"2026-09-01T{:02}:{:02}:00Z\"", n / 60, n % 60)
    };
    format!("{{ \"name\" : \"n{n}\",\"age\": {n}.0e0{time}}}")
}

fn lines(range: impl Iterator<Item = u64>) -> String {
    range.map(|n| format!("{}\n", event(n))).collect()
}

fn export(data: &Path, words: &[&str]) -> String {
    let ended = run(&[&["export", "--data", text(data)], words].concat());
    assert_eq!(ended.code, Some(0), "{words:?}: {}", ended.stderr);
    ended.stdout
}

#[test]
fn a_range_comes_out_byte_for_byte_with_and_without_a_process() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (pipeline, data) = (pipeline(folder.path()), folder.path().join("data"));
    let lakehead = Lakehead::run_pipeline(&pipeline, &data);
    for start in (0..1_000).step_by(100) {
        assert_eq!(lakehead.push("people", lines(start..start + 100).as_bytes()).status, 201);
    }
    let check = || {
        let of = |words: &[&str]| export(&data, &[&["--stream", "people"], words].concat());
        assert_eq!(of(&[]), lines(0..1_000));
        assert_eq!(of(&["--from", "250", "--to", "253"]), lines(250..253), "half-open");
        let times = ["--from", "2026-09-01T02:00:00Z", "--to", "2026-09-01T03:00:00Z"];
        assert_eq!(of(&times), lines((120..180).filter(|n| n % 7 != 0)), "half-open, and who has no time is in none");
        assert_eq!(of(&["--where", "name = 'n5' OR name = 'n9'", "--to", "9"]), lines(5..6), "the range goes before");
        assert_eq!(of(&["--time", "received", "--to", "2026-01-01T00:00:00Z"]), "");
    };
    check();
    assert!(lakehead.finish().success());
    check();

    for (words, said) in [
        (&["--stream", "people", "--from", "yesterday"][..], "yesterday"),
        (&["--stream", "people", "--from", "10", "--to", "5"], "--from lies behind --to"),
        (&["--stream", "people", "--from", "2026-09-02T00:00:00Z", "--to", "2026-09-01T00:00:00Z"], "behind --to"),
        (&["--stream", "peopel"], "did you mean `people`?"),
        (&["--stream", "people_per_minute"], "--sql \"SELECT * FROM people_per_minute\""),
        (&[], "--sql"),
    ] {
        let ended = run(&[&["export", "--data", text(&data)], words].concat());
        assert!(ended.code == Some(2) && ended.stderr.contains(said), "{words:?}: {}", ended.stderr);
    }
    // Whoever has seen enough is told nothing, least of all how much it has not seen.
    for words in [&["--stream", "people"][..], &["--sql", "SELECT * FROM people", "--format", "parquet"]] {
        let ended = run_with(&[&["export", "--data", text(&data)], words].concat(), |command| {
            command.stdout(unread());
        });
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{words:?}");
    }
    let sql = "SELECT count(*) AS n, sum(age) AS ages FROM people";
    let expected = query(&data, sql);
    for (name, words) in [
        ("x.parquet", &["--format", "parquet"][..]),
        ("x.jsonl.gz", &["--compress", "gzip"]),
        ("x.jsonl.zst", &["--compress", "zstd"]),
    ] {
        let file = folder.path().join(name);
        export(&data, &[&["--stream", "people", "--output", text(&file)], words].concat());
        if name.ends_with("parquet") {
            let bytes = fs::read(&file).expect("a file");
            assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
            continue;
        }
        // There and back again: what was exported is imported into a second lake, byte for byte.
        let second = folder.path().join(format!("{name}.data"));
        let words = ["import", "people", text(&file), "--pipeline", text(&pipeline), "--data", text(&second)];
        let ended = run(&words);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(export(&second, &["--stream", "people"]), lines(0..1_000), "{name}");
        assert_eq!(query(&second, sql), expected, "{name}");
    }
    let left: Vec<_> = fs::read_dir(folder.path()).expect("listed").flatten().map(|entry| entry.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("partial")), "{left:?}");
    let counted = export(&data, &["--sql", "SELECT count(*) AS n FROM people"]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&counted).expect("a row"), json!({ "n": 1_000 }));
}
