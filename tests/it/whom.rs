//! Whom a command asks, and what it leaves behind: no command but `run`, `demo` and `import` makes a data directory; of
//! two, standard error says which one answers; what is no data directory is refused.

use std::{fs, path::Path, process::Command};

use crate::lakehead::{Ended, Lakehead, run_with, text, unread};

const PIPELINE: &str = "[stream.s]\nretention = \"1s\"\n[view.v]\nsql = \"SELECT tumble(event_time, INTERVAL '1 minute') AS \
                        m, count(*) AS n FROM s GROUP BY 1\"\n";

fn run_in(folder: &Path, words: &[&str]) -> Ended {
    let said =
        Command::new(env!("CARGO_BIN_EXE_lakehead")).args(words).current_dir(folder).output().expect("it starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Ended { code: said.status.code(), stdout: text(said.stdout), stderr: text(said.stderr) }
}

/// What is in a folder, with every size.
pub(crate) fn listed(folder: &Path) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(listed(&path));
        }
        found.push((path.display().to_string(), entry.metadata().map_or(0, |about| about.len())));
    }
    found.sort();
    found
}

/// Every command that reads, with what it must be given.
const READING: &[&[&str]] = &[
    &["query", "SELECT 1"],
    &["streams"],
    &["streams", "s"],
    &["views"],
    &["views", "v"],
    &["view", "explain", "v"],
    &["view", "diff", "v"],
    &["view", "rebuild", "v"],
    &["view", "swap", "v"],
    &["view", "changes", "v"],
    &["tail", "s"],
    &["gaps"],
    &["verify"],
    &["fsck"],
    &["fsck", "--repair"],
    &["retention"],
    &["retention", "p.toml"],
    &["retention", "p.toml", "--apply"],
    &["retention", "p.toml", "--dry-run"],
    &["export", "--stream", "s"],
    &["backup", "--to", "copy"],
    &["reload"],
    &["import", "s", "p.toml"],
];

#[test]
fn no_command_that_reads_makes_a_directory() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("p.toml"), PIPELINE).expect("a file");
    let before = listed(folder.path());
    for words in READING.iter().chain(&[
        &["check", "p.toml"] as &[&str],
        &["plan", "p.toml"],
        &["explain", "source"],
        &["completions", "bash"],
    ]) {
        let ended = run_in(folder.path(), words);
        assert_eq!(listed(folder.path()), before, "`lakehead {}` left something: {}", words.join(" "), ended.stderr);
        if READING.contains(words) {
            assert_eq!(ended.code, Some(2), "`lakehead {}`: {}{}", words.join(" "), ended.stdout, ended.stderr);
        }
    }
    fs::create_dir(folder.path().join("photos")).expect("a folder");
    fs::write(folder.path().join("photos/a.jpg"), "a").expect("a file");
    let before = listed(folder.path());
    for words in READING {
        for (typo, says) in [("dta", "dta"), ("photos", "photos is not empty and not a Lakehead data directory")] {
            let words = [*words, &["--data", typo]].concat();
            let ended = run_in(folder.path(), &words);
            assert_eq!(listed(folder.path()), before, "`lakehead {}` left something", words.join(" "));
            assert_eq!(ended.code, Some(2), "`lakehead {}`: {}{}", words.join(" "), ended.stdout, ended.stderr);
            assert!(ended.stderr.contains(says), "`lakehead {}`: {}", words.join(" "), ended.stderr);
        }
    }
}

#[test]
fn retention_reports_and_removes_only_what_it_is_told_to_apply() {
    let folder = tempfile::tempdir().expect("a folder");
    let pipeline = folder.path().join("p.toml");
    fs::write(&pipeline, PIPELINE).expect("a file");
    let data = folder.path().join("demo-data");
    let lakehead = Lakehead::run_pipeline(&pipeline, &data);
    lakehead.push("s", b"{\"a\":1}");
    assert!(lakehead.finish().success());
    let before = listed(&data);
    for words in [&["retention", "p.toml"] as &[&str], &["retention", "p.toml", "--dry-run"]] {
        let words = [words, &["--data", "demo-data"]].concat();
        let ended = run_in(folder.path(), &words);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stderr.contains("nothing to remove") && !ended.stderr.contains("--apply"), "{}", ended.stderr);
        assert_eq!(listed(&data), before);
    }
    let both = run_in(folder.path(), &["retention", "p.toml", "--apply", "--dry-run"]);
    assert_eq!(both.code, Some(2));
    // The demo's directory is found, and the rules are asked for; nothing is made.
    let ended = run_in(folder.path(), &["retention"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("./demo-data") && !folder.path().join("data").exists(), "{}", ended.stderr);
    let ended = run_in(folder.path(), &["retention", "p.toml", "--data", "demo-data", "--apply"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("nothing to remove"), "{}", ended.stderr);
    fs::write(&pipeline, PIPELINE.replace("retention", "# retention")).expect("a file");
    let ended = run_in(folder.path(), &["retention", "p.toml", "--data", "demo-data"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{}", ended.stderr);
    assert!(ended.stderr.contains("no stream has a rule"), "{}", ended.stderr);
}

#[test]
fn who_asks_no_process_refuses_to_be_told_of_one_and_takes_no_note_of_the_environment() {
    let folder = tempfile::tempdir().expect("a folder");
    let pipeline = folder.path().join("p.toml");
    fs::write(&pipeline, PIPELINE).expect("a file");
    let elsewhere = "http://127.0.0.1:1";
    let asks_nobody: &[&[&str]] = &[
        &["run", "p.toml"],
        &["demo"],
        &["simulate"],
        &["check", "p.toml"],
        &["explain", "source"],
        &["completions", "bash"],
        &["man", "pages"],
        &["reference", "http"],
        &["import", "s", "p.toml", "--pipeline", "p.toml"],
    ];
    for words in asks_nobody {
        let ended = run_in(folder.path(), &[*words, &["--url", elsewhere]].concat());
        assert_eq!(ended.code, Some(2), "{words:?}: {}{}", ended.stdout, ended.stderr);
        assert!(ended.stderr.contains("--url"), "{words:?}: {}", ended.stderr);
    }
    for words in [&["run", "p.toml"] as &[&str], &["fsck"], &["backup", "--to", "copy"], &["export", "--stream", "s"]] {
        let ended = run_in(folder.path(), &[words, &["--token-file", "p.toml"]].concat());
        assert_eq!(ended.code, Some(2), "{words:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("--token-file would do nothing"), "{words:?}: {}", ended.stderr);
    }
    let data = folder.path().join("data");
    let lakehead = Lakehead::run_pipeline_with(&pipeline, &data, &[("LAKEHEAD_URL", elsewhere)]);
    let checked = run_with(&["check", text(&pipeline), "--data", text(&data)], |command| {
        command.env("LAKEHEAD_URL", elsewhere);
    });
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""));
    // Where nobody listens, one line says what to look after.
    let ended = run_in(folder.path(), &["query", "SELECT 1", "--url", elsewhere]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("nothing listens there; is the process running"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("os error"), "{}", ended.stderr);
    assert!(lakehead.finish().success());
}

#[test]
fn a_channel_that_nobody_reads_is_no_defect_of_a_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let (pipeline, data) = (folder.path().join("p.toml"), folder.path().join("data"));
    fs::write(&pipeline, PIPELINE).expect("a file");
    let unheard = |words: &[&str], expected: i32| {
        let words = [words, &["--data", text(&data)]].concat();
        for is_output in [true, false] {
            let ended = run_with(&words, |command| {
                if is_output {
                    command.stdout(unread());
                } else {
                    command.stderr(unread());
                }
            });
            assert_eq!(ended.code, Some(expected), "{words:?}: {}", ended.stderr);
        }
    };
    let lakehead = Lakehead::run_pipeline(&pipeline, &data);
    for words in [&["view", "changes", "v"][..], &["views"], &["query", "SELECT 1"], &["verify"]] {
        unheard(words, 0);
    }
    assert!(lakehead.finish().success());
    for words in
        [&["views"][..], &["tail", "s"], &["fsck"], &["retention", text(&pipeline)], &["check", text(&pipeline)]]
    {
        unheard(words, 0);
    }
    unheard(&["tail", "q"], 2);
}

#[test]
fn of_two_directories_the_one_that_a_process_runs_on_answers_and_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let pipeline = folder.path().join("p.toml");
    fs::write(&pipeline, PIPELINE).expect("a file");
    for name in ["data", "demo-data"] {
        assert!(Lakehead::run_pipeline(&pipeline, &folder.path().join(name)).finish().success());
    }
    let ended = run_in(folder.path(), &["query", "SELECT 1"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("the files of ./data answer; there is ./demo-data, too"), "{}", ended.stderr);
    let lakehead = Lakehead::run_pipeline(&pipeline, &folder.path().join("demo-data"));
    let ended = run_in(folder.path(), &["query", "SELECT 1"]);
    assert!(ended.stderr.contains("on ./demo-data answers; there is ./data, too"), "{}", ended.stderr);
    let ended = run_in(folder.path(), &["query", "SELECT 1", "--data", "data"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));

    let url = format!("http://{}", lakehead.address);
    for words in
        [&["query", "SELECT 1"] as &[&str], &["streams"], &["streams", "s"], &["views"], &["verify"], &["retention"]]
    {
        let ended = run_in(folder.path(), &[&["--url", &url], words].concat());
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{words:?}");
    }
    for words in [&["fsck"] as &[&str], &["backup", "--to", "copy"], &["export", "--stream", "s"]] {
        let ended = run_in(folder.path(), &[words, &["--url", &url]].concat());
        assert_eq!(ended.code, Some(2), "{words:?}");
        assert!(ended.stderr.contains("works on files"), "{}", ended.stderr);
    }
    let ended = run_in(folder.path(), &["streams", "--url", &url, "--data", text(&folder.path().join("data"))]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
}

#[test]
fn a_name_that_is_not_there_ends_every_command_with_2_and_says_what_there_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let pipeline = folder.path().join("p.toml");
    fs::write(&pipeline, PIPELINE).expect("a file");
    let lakehead = Lakehead::run_pipeline(&pipeline, &folder.path().join("data"));
    let asked: &[&[&str]] = &[
        &["query", "SELECT * FROM q"],
        &["query", "SELECT q FROM s"],
        &["streams", "q"],
        &["views", "q"],
        &["view", "explain", "q"],
        &["view", "diff", "q"],
        &["view", "rebuild", "q"],
        &["tail", "q"],
        &["verify", "--stream", "q"],
        &["verify", "--view", "q"],
        &["fsck", "--stream", "q"],
        &["export", "--stream", "q"],
        &["import", "q", "p.toml"],
    ];
    let judge = |words: &[&str]| {
        let ended = run_in(folder.path(), words);
        assert_eq!(ended.code, Some(2), "`lakehead {}`: {}", words.join(" "), ended.stderr);
        assert!(ended.stderr.contains('q'), "`lakehead {}`: {}", words.join(" "), ended.stderr);
    };
    asked.iter().for_each(|words| judge(words));
    assert!(lakehead.finish().success());
    let needs_a_process = ["diff", "rebuild"];
    asked
        .iter()
        .filter(|words| !words.iter().any(|word| needs_a_process.contains(word)))
        .for_each(|words| judge(words));
}
