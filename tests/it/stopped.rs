//! What does not answer, and what never ends: a process that was stopped, and names of pipeline files behind which there is no
//! file.

use std::{fs, process::Command};

use crate::{
    http,
    lakehead::{Lakehead, eventually, run, text},
    push::pipeline,
};

fn make_pipe(path: &std::path::Path) {
    let made = Command::new("mkfifo").arg(path).status().expect("mkfifo is there");
    assert!(made.success());
}

#[test]
fn a_stopped_process_is_named_with_the_way_on() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let data = folder.path().join("data");
    let lakehead = Lakehead::run_pipeline(&pipeline(folder.path()), &data);
    let pid = lakehead.pid().to_string();
    let signal = |name: &str| assert!(Command::new("kill").args([name, &pid]).status().expect("kill").success());
    signal("-STOP");
    for words in [&["query", "SELECT 1"][..], &["streams"], &["verify"]] {
        let asked = run(&[words, &["--data", text(&data)]].concat());
        assert_ne!(asked.code, Some(0), "{asked:?}");
        for word in [&*pid, "is stopped", "kill -CONT", "kill -KILL"] {
            assert!(asked.stderr.contains(word), "{words:?}: no {word:?} in {}", asked.stderr);
        }
    }
    signal("-CONT");
    assert_eq!(run(&["query", "SELECT 1", "--data", text(&data)]).code, Some(0));
}

#[test]
fn what_is_no_regular_file_is_no_pipeline() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let pipe = folder.path().join("pipe.toml");
    make_pipe(&pipe);
    let data = folder.path().join("data");
    for file in [text(&pipe), "/dev/zero", text(folder.path())] {
        let checked = run(&["check", file]);
        let ran = run(&["run", file, "--data", text(&data), "--listen", "127.0.0.1:0"]);
        assert_eq!((checked.code, ran.code), (Some(2), Some(2)), "{file}: {checked:?} {ran:?}");
        assert!(checked.stderr.contains("regular file"), "{}", checked.stderr);
    }
}

#[test]
fn a_pipe_in_place_of_the_pipeline_file_is_refused_by_a_reload_and_holds_up_no_stop() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (file, data) = (pipeline(folder.path()), folder.path().join("data"));
    let lakehead = Lakehead::run_pipeline(&file, &data);
    fs::remove_file(&file).expect("it was there");
    make_pipe(&file);
    let reloaded = run(&["reload", "--data", text(&data)]);
    assert_eq!(reloaded.code, Some(2), "{reloaded:?}");
    assert!(reloaded.stderr.contains("is a pipe"), "{}", reloaded.stderr);
    lakehead.hang_up();
    assert!(eventually(|| lakehead.status()["reloads"]["refused"].as_u64() >= Some(2)), "{:#}", lakehead.status());
    assert_eq!(http::get(&lakehead.address, "/healthz").expect("an answer").status, 200);
    assert!(lakehead.finish().success());
}
