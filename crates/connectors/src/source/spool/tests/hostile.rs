//! What somebody may put into the folder, or do to it.

use std::{ffi::OsStr, fs, io::Write, os::unix::ffi::OsStrExt, path::Path, process::Command};

use lakehead_connector_api::Error;
use serde_json::json;

use super::world::{SpoolWorld, gzip, is_there, numbered};

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 1).expect("in memory")
}

/// Beside what is hostile, a good file comes through.
fn with_a_good_file(world: &mut SpoolWorld) {
    world.put("z.json", "\"good\"");
    world.run();
    assert_eq!(world.events.last().map(String::as_str), Some("\"good\""));
    assert!(is_there(&world.at("z.json.COMPLETED")));
}

#[test]
fn links_pipes_sockets_and_folders_are_left_where_they_are() {
    let mut world = SpoolWorld::new(json!({}));
    fs::write(world.at("../secret"), "1").expect("a file");
    std::os::unix::fs::symlink(world.at("../secret"), world.at("a.json")).expect("a link");
    std::os::unix::fs::symlink(world.at("nowhere"), world.at("b.json")).expect("a link");
    assert!(Command::new("mkfifo").arg(world.at("c.json")).status().expect("it runs").success());
    let _socket = std::os::unix::net::UnixListener::bind(world.at("d.json")).expect("a socket");
    fs::create_dir(world.at("e.json")).expect("a folder");
    with_a_good_file(&mut world);
    assert_eq!((world.events.len(), world.rejects.len()), (1, 0));
    for name in ["a.json", "b.json", "c.json", "d.json", "e.json"] {
        assert!(is_there(&world.at(name)), "{name}");
    }
}

#[test]
fn a_file_that_vanishes_or_becomes_something_else_behind_the_listing_is_passed_over() {
    let mut world = SpoolWorld::new(json!({}));
    let mut spool = world.open();
    // The first fills a chunk, so that the others are listed and not opened.
    world.put("a.jsonl", numbered(0, 4_000));
    for name in ["b.json", "c.json", "d.json", "e.json"] {
        world.put(name, "1");
    }
    let chunk = world.next(&mut spool).expect("events");
    world.commit(chunk);
    for name in ["b.json", "c.json", "d.json"] {
        fs::remove_file(world.at(name)).expect("removed");
    }
    fs::create_dir(world.at("c.json")).expect("a folder");
    assert!(Command::new("mkfifo").arg(world.at("d.json")).status().expect("it runs").success());
    world.drain(&mut spool);
    assert_eq!((world.events.len(), world.rejects.len()), (4_001, 0));
}

#[test]
fn files_of_nothing_are_done_and_bring_nothing() {
    let mut world = SpoolWorld::new(json!({}));
    for (name, content) in [
        ("a.json", &b""[..]),
        ("b.jsonl", b""),
        ("c.json", b" \n\t"),
        ("d.jsonl", b"\n\n\r\n"),
        ("e.json.gz", &gzip("")),
    ] {
        world.put(name, content);
    }
    with_a_good_file(&mut world);
    assert_eq!((world.events.len(), world.rejects.len()), (1, 0));
    assert!(world.names("in").iter().all(|name| name.ends_with(".COMPLETED")));
}

#[test]
fn what_is_no_json_is_refused_with_its_place_and_a_document_is_set_aside() {
    let mut world = SpoolWorld::new(json!({}));
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (name, content) in [
        ("a.json", &b"{\"a\": \"\xff\xfe\"}"[..]),
        ("b.json", b"{\"a\":1}\n{\"a\":2}\n"),
        ("c.json", deep.as_bytes()),
        ("d.json", b"\0\0\0\0"),
        ("e.jsonl", b"1\n\xff\n{\n2"),
        ("f.json", b"NaN"),
        ("g.json", b"<html>not found</html>"),
    ] {
        world.put(name, content);
    }
    with_a_good_file(&mut world);
    assert_eq!(world.events, ["1", "2", "\"good\""]);
    let places: Vec<&str> = world.rejects.iter().filter_map(|r| r.position.rsplit('/').next()).collect();
    assert_eq!(
        places,
        ["a.json", "b.json", "c.json", "d.json", "e.jsonl line 2", "e.jsonl line 3", "f.json", "g.json"]
    );
    assert!(world.reasons()[1].contains("set content = \"lines\""), "{:?}", world.reasons());
    let set_aside = world.names("in").iter().filter(|name| name.ends_with(".REFUSED")).count();
    assert_eq!(set_aside, 6, "of lines those that are good count: {:?}", world.names("in"));
}

#[test]
fn a_file_with_refusals_is_not_deleted() {
    let mut world = SpoolWorld::new(json!({ "when_done": "delete" }));
    world.put("a.jsonl", format!("{}no\n{}", numbered(0, 6_000), numbered(6_000, 12_000)));
    world.put("b.jsonl", "1");
    world.put("c.json", "no");
    let mut spool = world.open();
    // The refusal is in an earlier life than the end.
    for _ in 0..2 {
        let chunk = world.next(&mut spool).expect("events");
        world.commit(chunk);
    }
    drop(spool);
    world.run();
    assert_eq!((world.events.len(), world.rejects.len()), (12_001, 2));
    assert_eq!(world.names("in"), ["a.jsonl.REFUSED", "c.json.REFUSED"]);
}

#[test]
fn documents_and_lines_that_are_too_large_are_refused_and_what_swells_costs_no_memory() {
    let mut world = SpoolWorld::new(json!({}));
    let giant = vec![b'x'; (4 << 20) + 1];
    let bomb = zstd(&vec![b'['; 256 << 20]);
    world.put("a.json", [b"\"", &giant[..], b"\""].concat());
    world.put("b.json.zst", &bomb);
    world.put("c.jsonl", [b"1\n\"", &giant[..], b"\"\n2\n"].concat());
    world.put("d.jsonl.zst", &bomb);
    with_a_good_file(&mut world);
    assert_eq!(world.events, ["1", "2", "\"good\""]);
    let told = world.reasons();
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told[0].starts_with("the event has at least 4194305 bytes; at most 4 MiB"), "{told:?}");
    assert!(
        told[2].contains("the line has 4194308 bytes") || told[2].contains("the line has 4194307 bytes"),
        "{told:?}"
    );
    assert!(told[3].contains("the line has 268435456 bytes"), "{told:?}");
    assert!(world.rejects.iter().all(|reject| reject.payload.len() <= 64 << 10));
}

#[test]
fn a_file_that_holds_more_than_it_may_is_set_aside_behind_what_was_good() {
    let mut world = SpoolWorld::new(json!({ "file_bytes_max": "1 MiB" }));
    world.put("a.jsonl.gz", gzip(&numbered(0, 40_000)));
    world.put("b.jsonl.zst", zstd(&vec![b'\n'; 64 << 20]));
    world.put("c.jsonl.zst", zstd(&vec![b'['; 64 << 20]));
    with_a_good_file(&mut world);
    let told = world.reasons();
    assert!(
        told.len() == 3 && told.iter().all(|what| what.contains("more than 1048576 bytes, decompressed")),
        "{told:?}"
    );
    let count = world.events.len() - 1;
    assert!(count > 10_000 && count < 20_000 && told[0].contains(&format!("behind line {count}")), "{count} {told:?}");
    assert!(is_there(&world.at("a.jsonl.gz.REFUSED")));
}

#[test]
fn damage_is_told_and_does_not_stop_the_others() {
    let mut world = SpoolWorld::new(json!({}));
    let whole = gzip(&numbered(0, 9_000));
    world.put("a.jsonl.gz", &whole[..whole.len() / 2]);
    let mut broken = whole.clone();
    let checksum = broken.len() - 8;
    broken[checksum] ^= 0xff;
    world.put("b.jsonl.gz", broken);
    world.put("c.json.zst", &zstd(b"{}")[..6]);
    world.put("d.json.bz2", b"BZh9 and no more");
    world.put("e.jsonl.gz", [&whole[..], b"junk behind"].concat());
    with_a_good_file(&mut world);
    assert_eq!(world.rejects.len(), 5, "{:?}", world.reasons());
    assert!(world.reasons().iter().all(|what| what.contains("cannot be read behind line")));
    assert_eq!(world.names("in").iter().filter(|name| name.ends_with(".REFUSED")).count(), 5);
}

#[test]
fn an_array_that_breaks_off_gives_what_is_whole() {
    let mut world = SpoolWorld::new(json!({ "content": "array" }));
    world.put("a.json", "[{\"n\": 1}, {\"n\": 2}, {\"n\"");
    world.put("b.json", "[1, 2] and more");
    with_a_good_file(&mut world);
    assert_eq!(world.events, ["{\"n\":1}", "{\"n\":2}", "1", "2", "\"good\""]);
    assert_eq!(world.rejects.len(), 2, "{:?}", world.rejects);
}

#[test]
fn names_of_any_bytes_are_taken_and_those_that_are_too_long_are_left() {
    let mut world = SpoolWorld::new(json!({}));
    let odd = [&b"\xff\xfe.json"[..], b" .json", b"new\nline.json", b"-rf.json", b"%2e%2e.json", b"\"q\".json"];
    for name in odd {
        fs::write(world.inbox().join(OsStr::from_bytes(name)), "1").expect("a file");
    }
    let long = format!("{}.json", "n".repeat(240));
    world.put(&long, "2");
    let longest = format!("{}.json", "m".repeat(195));
    world.put(&longest, "1");
    // Cut in the middle, so that the names are read back from the cursor.
    let mut spool = world.open();
    let chunk = world.next(&mut spool).expect("events");
    world.commit(chunk);
    drop(spool);
    with_a_good_file(&mut world);
    assert_eq!((world.events.len(), world.rejects.len()), (odd.len() + 2, 0));
    assert!(is_there(&world.at(&long)), "it is left, and named in the log");
    for name in odd {
        assert!(is_there(&world.inbox().join(Path::new(OsStr::from_bytes(&[name, b".COMPLETED"].concat())))));
    }
}

#[test]
fn what_may_not_be_read_is_told_and_set_aside() {
    use std::os::unix::fs::PermissionsExt;
    let mut world = SpoolWorld::new(json!({}));
    world.put("a.json", "1");
    fs::set_permissions(world.at("a.json"), fs::Permissions::from_mode(0o000)).expect("set");
    with_a_good_file(&mut world);
    // A superuser reads it all the same.
    let is_readable = fs::File::open(world.at("a.json.COMPLETED")).is_ok();
    assert!(is_readable || (world.reasons()[0].contains("may not be read") && is_there(&world.at("a.json.REFUSED"))));
}

#[test]
fn a_folder_that_may_not_be_written_stops_the_source_and_what_it_read_is_not_read_again() {
    use std::os::unix::fs::PermissionsExt;
    let mut world = SpoolWorld::new(json!({}));
    world.put("a.json", "1");
    let set =
        |world: &SpoolWorld, mode| fs::set_permissions(world.inbox(), fs::Permissions::from_mode(mode)).expect("set");
    set(&world, 0o555);
    if fs::write(world.at("b.json"), "2").is_ok() {
        // A superuser may write all the same.
        return set(&world, 0o755);
    }
    let mut spool = world.open();
    let chunk = world.next(&mut spool).expect("an event");
    world.commit(chunk);
    drop(spool);
    let stopped = world.try_open().err().expect("it cannot put a file away");
    assert!(
        matches!(&stopped, Error::Invalid(what) if what.contains("a.json") && what.contains("write in both folders")),
        "{stopped}"
    );
    set(&world, 0o755);
    world.run();
    assert_eq!((&world.events, world.names("in")), (&vec!["1".to_owned()], vec!["a.json.COMPLETED".to_owned()]));
}

#[test]
fn a_file_that_is_written_while_it_is_read_is_not_half_read() {
    let mut world = SpoolWorld::new(json!({}));
    let mut file = fs::File::create(world.at("a.jsonl")).expect("a file");
    file.write_all(numbered(0, 20_000).as_bytes()).expect("written");
    let mut spool = world.open();
    let mut chunks = 0;
    while let Some(chunk) = world.next(&mut spool) {
        world.commit(chunk);
        world.acknowledge(&spool);
        chunks += 1;
        if chunks == 2 {
            file.write_all(b"{\"n\":20000}\n").expect("written");
        }
    }
    assert_eq!(world.rejects.len(), 1, "{:?}", world.rejects);
    assert!(world.reasons()[0].contains(&format!("{} of its lines were read", world.events.len())));
}
