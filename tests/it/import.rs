//! `lakehead import`: every line once, whatever happens to the process, with and without one that runs.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::json;

use crate::{
    http,
    lakehead::{Lakehead, query, run, text},
    push::pipeline,
};

/// Lines `[from, to)`, each with a payload that does not compress to nothing.
fn lines(from: u64, to: u64) -> String {
    let line =
        |n: u64| json!({ "name": format!("n{n}"), "age": n, "noise": format!("{:x}", n.wrapping_mul(0x9e37_79b9)) });
    (from..to).map(|n| format!("{}\n", line(n))).collect()
}

/// A folder with a plain file of 60,000 lines, one of 20,000 and a line that is none, and a file that is left out.
fn folder_of_lines(folder: &Path) -> std::path::PathBuf {
    let lines_in = folder.join("lines");
    fs::create_dir_all(lines_in.join("deeper")).expect("folders");
    fs::write(lines_in.join("a.jsonl"), lines(0, 60_000)).expect("a file");
    let second = format!("{}no event\n", lines(60_000, 80_000));
    fs::write(lines_in.join("deeper/b.ndjson"), second).expect("a file");
    fs::write(lines_in.join("notes.txt"), "not for us").expect("a file");
    lines_in
}

fn import(words: &[&str], crash_at: Option<&str>, input: Option<&[u8]>) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lakehead"));
    command.arg("import").args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(point) = crash_at {
        command.env("LAKEHEAD_CRASH_AT", point);
    }
    let mut child = command.spawn().expect("the binary starts");
    let mut pipe = child.stdin.take().expect("its input was asked for");
    // It may end before it has read everything.
    let _ = pipe.write_all(input.unwrap_or_default());
    drop(pipe);
    let said = child.wait_with_output().expect("it ends");
    let text = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    (said.status.code(), text)
}

fn each_once(data: &Path, events: u64) {
    let rows = query(data, "SELECT count(*) AS n, count(DISTINCT name) AS names, max(age) AS last FROM people");
    assert_eq!(rows[0], json!({ "n": events, "names": events, "last": events - 1 }));
}

#[test]
fn an_import_that_is_killed_goes_on_without_losing_or_doubling_a_line() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (pipeline, data, from) = (pipeline(folder.path()), folder.path().join("data"), folder_of_lines(folder.path()));
    let words = ["people", text(&from), "--pipeline", text(&pipeline), "--data", text(&data)];
    for point in ["write.before:2", "write.torn:2", "write.after:2", "sync.after:2"] {
        let (code, said) = import(&words, Some(point), None);
        assert_ne!(code, Some(0), "{point} did not end it: {said}");
    }
    let (code, said) = import(&words, None, None);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("notes.txt") && said.contains("going on"), "{said}");
    each_once(&data, 80_000);
    let rejects = query(&data, "SELECT DISTINCT position FROM rejects");
    assert!(rejects[0]["position"].as_str().is_some_and(|p| p.ends_with("b.ndjson line 20001")), "{rejects:?}");

    let (code, said) = import(&words, None, None);
    assert!(code == Some(0) && said.contains("already imported"), "{said}");
    each_once(&data, 80_000);
    let (code, said) = import(&[&words[..], &["--again"]].concat(), None, None);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(query(&data, "SELECT count(*) AS n FROM people")[0]["n"], 160_000);
}

#[test]
fn standard_input_goes_on_by_its_name() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (pipeline, data) = (pipeline(folder.path()), folder.path().join("data"));
    let words = ["people", "--name", "piped", "--pipeline", text(&pipeline), "--data", text(&data)];
    let all = lines(0, 60_000);
    let (code, said) = import(&words, Some("write.after:2"), Some(all.as_bytes()));
    assert_ne!(code, Some(0), "{said}");
    let (code, said) = import(&words, None, Some(lines(1, 60_000).as_bytes()));
    assert!(code == Some(1) && said.contains("not what this import was reading"), "{said}");
    let (code, said) = import(&words, None, Some(all.as_bytes()));
    assert_eq!(code, Some(0), "{said}");
    each_once(&data, 60_000);
}

#[test]
fn a_running_process_takes_an_import_exactly() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (pipeline, data, from) = (pipeline(folder.path()), folder.path().join("data"), folder_of_lines(folder.path()));
    let lakehead = Lakehead::run_pipeline(&pipeline, &data);
    for _ in 0..2 {
        let ended = run(&["import", "people", text(&from), "--data", text(&data)]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
    each_once(&data, 80_000);

    let path = "/v1/streams/people/import?source=import_mine";
    let post = |expected: &str, cursor: &str| {
        let mut headers = vec![("lakehead-cursor", cursor)];
        headers.extend((!expected.is_empty()).then_some(("lakehead-cursor-expected", expected)));
        http::request(&lakehead.address, "POST", path, &headers, b"{\"name\":\"Ada\",\"age\":1}\n").expect("an answer")
    };
    assert_eq!(post("", "1").status, 200);
    assert_eq!(post("", "1").status, 409, "the same once more, as after a lost answer");
    assert_eq!(post("1", "2").status, 200);
    assert_eq!(http::get(&lakehead.address, path).expect("an answer").json()["cursor"], "2");
    assert_eq!(query(&data, "SELECT count(*) AS n FROM people WHERE name = 'Ada'")[0]["n"], 2);
    let live = http::request(
        &lakehead.address,
        "POST",
        "/v1/streams/people/import?source=wikimedia",
        &[("lakehead-cursor", "1")],
        b"{}",
    );
    assert_eq!(live.expect("an answer").status, 400, "a live source's cursor is not moved");
}
