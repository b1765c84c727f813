//! What the files of a data directory prove, by the real binary: what is gone is a loss with exit code 3, what stands
//! beside the log is checked when it is read, and an import gives back what it holds.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    http,
    lakehead::{Ended, Lakehead, query, run, text},
    push::pipeline,
    segments,
};

fn lines(from: u64, to: u64) -> String {
    (from..to).map(|n| format!("{}\n", json!({ "name": format!("n{n}"), "age": n }))).collect()
}

/// A folder with a pipeline, and a data directory with so many files of a hundred lines imported, each into a segment of
/// its own.
fn imported(folder: &Path, files: u64) -> (std::path::PathBuf, std::path::PathBuf) {
    let (pipeline, data) = (pipeline(folder), folder.join("data"));
    let small = fs::read_to_string(&pipeline).expect("a file")
        + "\n[store]\nblock_bytes = \"1 KiB\"\nsegment_bytes = \"1 KiB\"\nreserve_bytes = \"0 B\"\n";
    fs::write(&pipeline, small).expect("a file");
    for n in 0..files {
        let from = folder.join(format!("{n}.jsonl"));
        fs::write(&from, lines(n * 100, n * 100 + 100)).expect("a file");
        let said = run(&["import", "people", text(&from), "--pipeline", text(&pipeline), "--data", text(&data)]);
        assert_eq!(said.code, Some(0), "{}", said.stderr);
    }
    (pipeline, data)
}

fn on(data: &Path, words: &[&str]) -> Ended {
    run(&[words, &["--data", text(data)]].concat())
}

fn get(address: &str, path: &str) -> String {
    http::get(address, path).expect("an answer").body
}

fn post(address: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    http::request(address, "POST", path, headers, body.as_bytes()).expect("an answer").body
}

#[track_caller]
fn ends(said: &Ended, code: i32, words: &[&str]) {
    assert_eq!(said.code, Some(code), "{}{}", said.stdout, said.stderr);
    for word in words {
        assert!(
            said.stdout.contains(word) || said.stderr.contains(word),
            "no {word:?} in {}{}",
            said.stdout,
            said.stderr
        );
    }
}

#[test]
fn segments_deleted_at_either_end_of_a_stopped_directory_are_a_loss_in_fsck_verify_and_health() {
    for newest in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let (pipeline, data) = imported(folder.path(), 6);
        ends(&on(&data, &["fsck"]), 0, &["no damage"]);
        ends(&on(&data, &["verify"]), 0, &["Everything adds up"]);
        let files = segments::files(&data, "people");
        assert!(files.len() >= 4, "{files:?}");
        let gone = if newest { &files[files.len() - 2..] } else { &files[..2] };
        gone.iter().for_each(|path| fs::remove_file(path).expect("removes"));
        ends(&on(&data, &["fsck"]), 3, &["are gone", "the inventory says"]);
        let verified = on(&data, &["verify"]);
        ends(&verified, 3, &["now: the events", "are gone"]);
        assert!(!verified.stdout.contains("1970"), "{}", verified.stdout);

        let lakehead = Lakehead::run_pipeline(&pipeline, &data);
        let health = get(&lakehead.address, "/healthz");
        assert!(health.contains("are gone"), "{health}");
        assert!(lakehead.finish().success());
        ends(&on(&data, &["fsck"]), 3, &["are gone"]);
        ends(&on(&data, &["fsck", "--repair"]), 3, &["took note"]);
        ends(&on(&data, &["fsck"]), 0, &["no damage"]);
        ends(&on(&data, &["verify"]), 0, &["known to be lost"]);
    }
}

#[test]
fn two_segments_that_changed_names_are_put_back_and_every_event_is_at_its_offset() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, data) = imported(folder.path(), 5);
    let before = query(&data, "SELECT event_offset, name FROM people ORDER BY 1");
    let files = segments::files(&data, "people");
    let third = files[1].with_extension("third");
    for (from, to) in [(&files[1], &third), (&files[2], &files[1]), (&third, &files[2])] {
        fs::rename(from, to).expect("renames");
    }
    ends(&on(&data, &["fsck"]), 3, &["belongs at"]);
    ends(&on(&data, &["fsck", "--repair"]), 3, &["is put back at"]);
    ends(&on(&data, &["fsck"]), 0, &["no damage"]);
    assert_eq!(query(&data, "SELECT event_offset, name FROM people ORDER BY 1"), before);
}

#[test]
fn a_flipped_byte_of_any_record_is_named_and_after_a_repair_everything_opens() {
    for record in ["lakehead.json", "catalog.json", "imports.json", "inventory/people.json"] {
        let folder = tempfile::tempdir().expect("a folder");
        let (pipeline, data) = imported(folder.path(), 2);
        let path = data.join(record);
        let mut bytes = fs::read(&path).expect("it is there");
        let at = bytes.iter().position(u8::is_ascii_digit).expect("a digit");
        bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
        fs::write(&path, bytes).expect("writes");
        ends(&on(&data, &["fsck"]), 3, &[path.file_name().and_then(|name| name.to_str()).expect("a name")]);
        ends(&on(&data, &["fsck", "--repair"]), 3, &["repaired"]);
        ends(&on(&data, &["fsck"]), 0, &["no damage"]);
        let lakehead = Lakehead::run_pipeline(&pipeline, &data);
        assert!(lakehead.finish().success());
        assert_eq!(query(&data, "SELECT count(*) AS n FROM people")[0]["n"], 200, "{record}");
    }
}

#[test]
fn three_hundred_imports_leave_room_for_a_new_one_and_each_still_knows_that_it_is_done() {
    let folder = tempfile::tempdir().expect("a folder");
    let (pipeline, data) = imported(folder.path(), 1);
    let lakehead = Lakehead::run_pipeline(&pipeline, &data);
    for n in 0..300 {
        let path = format!("/v1/streams/people/import?source=import_n{n}&from=x&first_line=1");
        let cursor = r#"{"files":1,"chain":1,"file":0,"at":{"bytes":0,"lines":0,"last":0},"done":true}"#;
        let answer = post(&lakehead.address, &path, &[("lakehead-cursor", cursor)], &lines(n, n + 1));
        assert!(answer.contains("\"events\":1"), "import {n}: {answer}");
    }
    let held = get(&lakehead.address, "/v1/streams/people/import?source=import_n7");
    assert!(held.contains("done"), "{held}");
    assert!(lakehead.finish().success());
    let from = folder.path().join("another.jsonl");
    fs::write(&from, lines(9_000, 9_003)).expect("a file");
    ends(&on(&data, &["import", "people", text(&from)]), 0, &["3 events"]);
    ends(&on(&data, &["import", "people", text(&from)]), 0, &["already imported"]);
    assert_eq!(query(&data, "SELECT count(*) AS n FROM people")[0]["n"], 403);
}

#[test]
fn an_import_of_the_folder_that_holds_the_data_directory_reads_nothing_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, data) = imported(folder.path(), 1);
    std::os::unix::fs::symlink(&data, folder.path().join("link")).expect("links");
    std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).expect("links");
    let segment = segments::files(&data, "people").remove(0);
    std::os::unix::fs::symlink(&segment, folder.path().join("x.jsonl.zst")).expect("links");
    fs::hard_link(&segment, folder.path().join("y.jsonl.zst")).expect("links");
    fs::write(folder.path().join("more.jsonl"), lines(500, 510)).expect("a file");
    let said = on(&data, &["import", "people", text(folder.path()), "--again"]);
    ends(&said, 0, &["110 events", "it is the data directory", "belongs to the data directory"]);
    assert_eq!(query(&data, "SELECT count(*) AS n FROM people")[0]["n"], 210);
    for own in [segment.as_path(), &data.join("streams"), &folder.path().join("link/streams")] {
        ends(&on(&data, &["import", "people", text(own)]), 2, &["belongs to the data directory"]);
    }
    let output = data.join("streams/people/out.jsonl");
    ends(&on(&data, &["export", "--stream", "people", "--output", text(&output)]), 2, &["lies in the data directory"]);
    ends(&on(&data, &["backup", "--to", text(&folder.path().join("link/copy"))]), 1, &["lie in each other"]);
}

#[test]
fn the_same_file_under_another_name_and_an_import_that_kept_nothing_are_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, data) = imported(folder.path(), 1);
    let other = folder.path().join("other.jsonl");
    fs::copy(folder.path().join("0.jsonl"), &other).expect("copies");
    ends(&on(&data, &["import", "people", text(&other)]), 1, &["byte for byte", "--again"]);
    ends(&on(&data, &["import", "people", text(&other), "--again"]), 0, &["100 events"]);
    let nothing = folder.path().join("nothing.jsonl");
    fs::write(&nothing, "no event\n\nnor this\n").expect("writes");
    ends(&on(&data, &["import", "people", text(&nothing)]), 1, &["nothing was imported", "2 lines"]);
    let array = folder.path().join("array.json");
    fs::write(&array, "\u{feff}[\n  {\"name\": \"a\",\n   \"age\": 1},\n  {\"name\": \"b\"}\n]\n").expect("writes");
    ends(&on(&data, &["import", "people", text(&array)]), 0, &["2 events"]);
    assert_eq!(
        query(&data, "SELECT data FROM people ORDER BY event_offset DESC LIMIT 1")[0]["data"],
        "{\"name\":\"b\"}"
    );
}

#[test]
fn events_with_an_id_that_were_imported_twice_are_seen_and_what_is_not_checked_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, data) = imported(folder.path(), 1);
    let with_ids = folder.path().join("ids.jsonl");
    let event = |n: u64| format!("{{\"meta\":{{\"id\":\"id-{n}\",\"topic\":\"t\",\"offset\":{n}}},\"n\":{n}}}\n");
    fs::write(&with_ids, (0..3_000).map(event).collect::<String>()).expect("writes");
    ends(&on(&data, &["import", "people", text(&with_ids)]), 0, &["3,000 events"]);
    ends(&on(&data, &["verify"]), 0, &["Everything adds up", "not checked: stream people: upstream offsets, because"]);
    ends(&on(&data, &["import", "people", text(&with_ids), "--again"]), 0, &["3,000 events"]);
    ends(&on(&data, &["verify"]), 3, &["3,000", "is in the log twice"]);
}

#[test]
fn a_streams_folder_that_is_taken_away_under_a_running_process_is_noticed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (pipeline, data) = imported(folder.path(), 1);
    let lakehead = Lakehead::run_pipeline(&pipeline, &data);
    let push = || {
        post(
            &lakehead.address,
            "/v1/streams/people/events",
            &[("Content-Type", "application/json")],
            "{\"name\":\"a\",\"age\":1}",
        )
    };
    assert!(push().contains("offset"), "{}", push());
    fs::remove_dir_all(data.join("streams/people")).expect("removes");
    for _ in 0..3 {
        let answer = push();
        assert!(answer.contains("removed or moved"), "{answer}");
    }
    let health = get(&lakehead.address, "/healthz");
    let health: Value = serde_json::from_str(&health).expect("JSON");
    assert_ne!(health["status"], "ok", "{health}");
    drop(lakehead);
}

#[test]
fn damage_under_a_running_process_is_told_as_itself_and_not_as_a_mistake_of_the_statement() {
    let folder = tempfile::tempdir().expect("a folder");
    let (pipeline, data) = imported(folder.path(), 4);
    let lakehead = Lakehead::run_pipeline(&pipeline, &data);
    let ask = |sql: &str| http::request(&lakehead.address, "POST", "/v1/sql", &[], sql.as_bytes()).expect("an answer");
    let sum = "SELECT sum(age) AS n FROM people";
    assert_eq!(ask(sum).status, 200);
    let path = segments::files(&data, "people")[1].clone();
    let whole = fs::read(&path).expect("a segment");
    let mut bytes = whole.clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).expect("it can be damaged");
    let told = ask(sum);
    assert_eq!(told.status, 500, "{}", told.body);
    assert!(told.body.contains(text(&path)) && !told.body.contains("line 1"), "{}", told.body);
    // A mistake stays one, and what is whole is answered.
    assert_eq!(ask("SELECT sum(agee) AS n FROM people").status, 400);
    fs::write(&path, &whole).expect("it can be put back");
    assert_eq!(ask(sum).json()[0]["n"], (0..400).sum::<u64>());
    assert!(lakehead.finish().success());
}
