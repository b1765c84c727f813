//! The suite, the order, what a file may hold, and what becomes of it.

use std::{fs, time::Duration};

use lakehead_connector_api::{Error, SourceSpec};
use lakehead_model::Timestamp;
use lakehead_testkit::conformance;
use serde_json::json;

use super::{
    super::SpoolDirectory,
    world::{SpoolWorld, gzip, lines, numbered},
};

#[tokio::test]
async fn keeps_the_source_contract() {
    let folder = tempfile::tempdir().expect("a folder");
    let inbox = folder.path().join("in");
    let restore = || {
        let _ = fs::remove_dir_all(&inbox);
        fs::create_dir(&inbox).expect("a folder");
        let file = |name: &str, content: &[u8]| fs::write(inbox.join(name), content).expect("a file");
        file("a.jsonl", numbered(0, 6_000).as_bytes());
        // Fewer than are held without an acknowledgement: one part of the suite acknowledges nothing.
        for n in 6_000..6_100 {
            file(&format!("b{n}.json"), numbered(n, n + 1).as_bytes());
        }
        file("c.ndjson.gz", &gzip(&numbered(6_100, 9_000)));
    };
    let expected: Vec<Vec<u8>> = numbered(0, 9_000).lines().map(|line| line.as_bytes().to_vec()).collect();
    let settings = async || json!({ "path": inbox, "rest": "0s", "poll": "100ms" });
    conformance::source_of_an_upstream_used_up::<SpoolDirectory, _>(settings, restore, Timestamp(0), &expected).await;
}

#[test]
fn settings_are_checked_before_anything_opens() {
    let check = SourceSpec::of::<SpoolDirectory>().kind.check;
    for (settings, wanted) in [
        (json!({ "path": "a", "rest": "5" }), "`rest`"),
        (json!({ "path": "a", "when_done": "keep" }), "`when_done`"),
        (json!({ "path": "a", "when_done": "move" }), "done_folder"),
        (json!({ "path": "a", "pol": "1s" }), "unknown field `pol`"),
    ] {
        let error = check(&settings).expect_err(wanted);
        assert!(error.contains(wanted), "{settings}: {error}");
    }
}

#[test]
fn a_file_is_a_document_an_array_or_lines() {
    let pretty = "{\n  \"a\": 1,\n  \"b\": [1, 2]\n}\n";
    let array = "[\n  {\"a\": 1},\n  {\"a\": 2}\n]";
    for (content, name, text, expected) in [
        ("by_name", "a.json", pretty, vec!["{\"a\":1,\"b\":[1,2]}"]),
        ("by_name", "a.json", array, vec!["[{\"a\":1},{\"a\":2}]"]),
        ("by_name", "a.jsonl", "{\"a\": 1}\n[1,2]", vec!["{\"a\": 1}", "[1,2]"]),
        ("by_name", "a.ndjson", "[1,2]", vec!["[1,2]"]),
        ("document", "a.jsonl", pretty, vec!["{\"a\":1,\"b\":[1,2]}"]),
        ("array", "a.json", array, vec!["{\"a\":1}", "{\"a\":2}"]),
        ("array", "a.json", pretty, vec!["{\"a\":1,\"b\":[1,2]}"]),
        ("array", "a.json", "\u{feff} [ ]", vec![]),
        ("lines", "a.json", "{\"a\": 1}\r\n\n{\"a\": 2}", vec!["{\"a\": 1}", "{\"a\": 2}"]),
    ] {
        for (ending, bytes) in [
            ("", text.as_bytes().to_vec()),
            (".gz", gzip(text)),
            (".zst", zstd::encode_all(text.as_bytes(), 1).expect("in memory")),
        ] {
            let mut world = SpoolWorld::new(json!({ "content": content }));
            let name = format!("{name}{ending}");
            world.put(&name, bytes);
            world.run();
            assert_eq!(
                (&world.events, world.reasons()),
                (&lines(&expected.join("\n")), vec![]),
                "{content} {name} {text}"
            );
            assert_eq!(world.names("in"), [format!("{name}.COMPLETED")]);
        }
    }
}

#[test]
fn a_sample_of_each_producer_is_one_event() {
    let mut world = SpoolWorld::new(json!({}));
    let sample = |n: u64| {
        let document = json!({ "$schema": "/mediawiki/recentchange/1.0.0", "meta": { "id": n, "dt": "2022-12-11T04:27:02Z" }, "id": n });
        serde_json::to_string_pretty(&document).expect("text")
    };
    for n in 0..3 {
        world.put(&format!("change_{n}.json"), sample(n));
    }
    world.run();
    let ids: Vec<_> = world
        .events
        .iter()
        .map(|event| serde_json::from_str::<serde_json::Value>(event).expect("json")["id"].clone())
        .collect();
    assert_eq!(ids, [0, 1, 2]);
    assert_eq!(world.names("in"), ["change_0.json.COMPLETED", "change_1.json.COMPLETED", "change_2.json.COMPLETED"]);
}

#[test]
fn files_are_taken_in_order_and_a_later_one_with_a_smaller_name_is_taken_too() {
    let modified = |world: &SpoolWorld, name: &str, seconds: u64| {
        world.put(name, format!("\"{name}\""));
        let file = fs::File::options().write(true).open(world.at(name)).expect("a file");
        file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(seconds)).expect("its time");
    };
    for (order, expected) in
        [("name", ["\"a\"", "\"b\"", "\"c\"", "\"0\""]), ("modified", ["\"c\"", "\"a\"", "\"b\"", "\"0\""])]
    {
        let mut world = SpoolWorld::new(json!({ "order": order, "files": ["*"] }));
        for (name, seconds) in [("b", 30), ("c", 10), ("a", 20)] {
            modified(&world, name, seconds);
        }
        let mut spool = world.open();
        world.drain(&mut spool);
        modified(&world, "0", 1);
        world.drain(&mut spool);
        assert_eq!(world.events, expected, "{order}");
    }
}

#[test]
fn a_file_goes_where_the_setting_says_and_only_when_it_is_on_disk() {
    for (settings, left, done) in [
        (json!({}), vec!["a.json.COMPLETED"], vec![]),
        (json!({ "suffix": ".seen" }), vec!["a.json.seen"], vec![]),
        (json!({ "when_done": "delete" }), vec![], vec![]),
        (json!({ "when_done": "move", "done_folder": "done" }), vec![], vec!["a.json"]),
    ] {
        let mut world = SpoolWorld::new(settings);
        world.put("a.json", "1");
        let mut spool = world.open();
        let chunk = world.next(&mut spool).expect("an event");
        world.acknowledge(&spool);
        assert_eq!(world.names("in"), ["a.json"], "handed over, not committed");
        world.commit(chunk);
        assert_eq!(world.names("in"), ["a.json"], "committed, not acknowledged");
        world.acknowledge(&spool);
        assert_eq!(
            (world.names("in"), world.names("done")),
            (left.iter().map(ToString::to_string).collect(), done.iter().map(ToString::to_string).collect())
        );
    }
}

#[test]
fn folders_below_are_watched_where_the_setting_says_so() {
    for (subfolders, expected) in [(false, vec!["1"]), (true, vec!["1", "2", "3"])] {
        let mut world =
            SpoolWorld::new(json!({ "subfolders": subfolders, "when_done": "move", "done_folder": "in/done" }));
        fs::create_dir_all(world.at("b/c")).expect("folders");
        world.put("a.json", "1");
        world.put("b/a.json", "2");
        world.put("b/c/a.json", "3");
        world.run();
        world.run();
        assert_eq!(world.events, expected);
        assert!(fs::exists(world.at("done/a.json")).expect("seen"));
        assert_eq!(fs::exists(world.at("done/b/c/a.json")).expect("seen"), subfolders, "the folders are kept");
    }
}

#[test]
fn a_file_that_is_being_written_is_left_until_it_rests() {
    let mut world = SpoolWorld::new(json!({ "rest": "5s" }));
    world.put("a.jsonl", "1\n");
    let mut spool = world.open();
    for _ in 0..4 {
        world.pass(2);
        world.append("a.jsonl", "2\n");
        while let Some(chunk) = world.next(&mut spool) {
            world.commit(chunk);
        }
        assert!(world.events.is_empty());
    }
    for (seconds, count) in [(1, 0), (5, 5)] {
        world.pass(seconds);
        while let Some(chunk) = world.next(&mut spool) {
            world.commit(chunk);
        }
        assert_eq!(world.events.len(), count);
    }
}

#[test]
fn what_cannot_work_is_refused_when_it_opens() {
    let refused = |world: &SpoolWorld| world.try_open().err().expect("it does not open");
    let world = SpoolWorld::new(json!({ "when_done": "move", "done_folder": "in" }));
    assert!(matches!(refused(&world), Error::Invalid(what) if what.contains("done_folder: ")));

    let world = SpoolWorld::new(json!({}));
    let held = world.open();
    assert!(matches!(refused(&world), Error::Unavailable { what, .. } if what.contains("another source")));
    drop(held);
    drop(world.open());

    world.put("lakehead.json", "{}");
    assert!(matches!(refused(&world), Error::Invalid(what) if what.contains("data directory")));
    fs::remove_dir_all(world.inbox()).expect("removed");
    assert!(matches!(refused(&world), Error::Unavailable { .. }), "it may come back");
    fs::write(world.inbox(), "").expect("a file");
    assert!(matches!(refused(&world), Error::Invalid(what) if what.contains("set path to a folder")));
}
