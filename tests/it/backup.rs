//! `lakehead backup`: a copy made while events come in opens, holds all that was there, and counts right.

use std::{fs, path::Path};

use serde_json::Value;

use crate::{
    lakehead::{Lakehead, query, run, stored, text},
    push::pipeline,
};

/// Events a second while the copy is made.
const RATE: &str = "3000";

fn backup(data: &Path, to: &Path) -> String {
    let ended = run(&["backup", "--data", text(data), "--to", text(to)]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.stdout
}

/// The view's sum, and the same counted from the raw events.
fn counted(data: &Path) -> (Value, Value) {
    let view = query(data, "SELECT sum(edits) AS n FROM edits_per_minute");
    let log = "SELECT count(*) AS n FROM recentchange WHERE NOT canary AND type IN ('edit', 'new') AND event_time IS NOT NULL";
    (view[0]["n"].clone(), query(data, log)[0]["n"].clone())
}

fn events(data: &Path) -> u64 {
    query(data, "SELECT count(*) AS n FROM recentchange")[0]["n"].as_u64().expect("a count")
}

#[test]
fn a_copy_made_under_load_holds_what_was_there_and_an_older_one_raises_the_epoch() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (data, copy, older) = (folder.path().join("data"), folder.path().join("copy"), folder.path().join("older"));
    let upstream = Lakehead::start(&["simulate", "--rate", RATE, "--seed", "7", "--listen", "127.0.0.1:0"]);
    let lakehead = Lakehead::run_on(&upstream, &data);
    lakehead.until_stored("recentchange", 6_000);
    backup(&data, &older);
    // The views' checkpoint is to lie behind the older copy's end.
    let end = events(&older);
    let passed = |status: &Value| status["views"]["edits_per_minute"]["checkpoint"].as_u64() > Some(end);
    let status = lakehead.until("a checkpoint beyond the first copy", passed);
    let before = stored(&status, "recentchange");
    backup(&data, &copy);
    let said = backup(&data, &copy);
    assert!(said.contains("is a data directory like another"), "{said}");
    assert!(lakehead.finish().success());

    let held = events(&copy);
    assert!(held >= before, "the copy holds {held} events, {before} were there before it was begun");
    let (view, log) = counted(&copy);
    assert_eq!(view, log, "the copy's view against its log");

    let restored = Lakehead::run_on(&upstream, &copy);
    let status = restored.until_counted("recentchange", held + 1_000);
    assert_eq!(status["streams"]["recentchange"]["epoch"], 0, "it lost nothing that a view has seen");
    assert!(restored.finish().success());
    let (view, log) = counted(&copy);
    assert_eq!(view, log, "after it ran on");

    // Older streams beneath newer views.
    fs::remove_dir_all(older.join("views")).expect("views of the older copy");
    fs::rename(copy.join("views"), older.join("views")).expect("newer views in their place");
    let restored = Lakehead::run_on(&upstream, &older);
    let status = restored.until_counted("recentchange", end + 1_000);
    assert_eq!(status["streams"]["recentchange"]["epoch"], 1, "{}", restored.said());
    assert!(restored.said().contains("its epoch rises"), "{}", restored.said());
    assert!(restored.finish().success());
    let (view, log) = counted(&older);
    assert_eq!(view, log, "views rebuilt over the older log");
}

#[test]
fn a_copy_is_not_made_over_something_else() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (data, other) = (folder.path().join("data"), folder.path().join("other"));
    let made = run(&["backup", "--data", text(&data), "--to", text(&other)]);
    assert_eq!(made.code, Some(2), "there is no data: {}", made.stdout);
    assert!(!other.exists());

    let lakehead = Lakehead::run_pipeline(&pipeline(folder.path()), &data);
    assert_eq!(lakehead.push("people", b"{\"name\":\"Ada\"}").status, 201);
    fs::create_dir(&other).expect("a folder");
    fs::write(other.join("letter.txt"), "mine").expect("a file");
    let inside = data.join("copy");
    for (to, why) in [(&other, "not empty"), (&inside, "lie in each other"), (&data, "lie in each other")] {
        let made = run(&["backup", "--data", text(&data), "--to", text(to)]);
        assert!(made.code == Some(1) && made.stderr.contains(why), "{} {}", to.display(), made.stderr);
    }
    assert!(!inside.exists(), "what was refused leaves nothing behind");
}
