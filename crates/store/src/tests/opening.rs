//! A store on a real disk: who may open what, and what a second one is told.

use std::{fs, path::Path, sync::Arc};

use lakehead_model::{Clock, Kind, Offset};

use super::rig::{ManualClock, append, name, read};
use crate::{Error, Options, Store, holder};

fn try_open(dir: &Path) -> Result<Store, Error> {
    let clock: Arc<dyn Clock> = ManualClock::new();
    Store::open(dir, Options { block_age_max: lakehead_model::Span::millis(0), ..Options::default() }, clock)
}

#[test]
fn events_are_there_after_closing_and_opening_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("not/yet/there");
    let store = try_open(&data).expect("opens");
    append(&store.stream(&name("wiki")).expect("opens"), &["1", "2"]).expect("kept");
    append(&store.stream(&name("other")).expect("opens"), &["3"]).expect("kept");
    store.close().expect("closes");
    drop(store);
    let store = try_open(&data).expect("opens");
    assert_eq!(store.names().expect("lists"), [name("other"), name("wiki")]);
    let stream = store.stream(&name("wiki")).expect("opens");
    assert_eq!(read(&stream, 0), ["1", "2"]);
    assert_eq!(append(&stream, &["4"]).expect("kept").first_offset, Offset(2));
    assert!(store.free_bytes().expect("the system says") > 0);
}

#[test]
fn a_second_writer_is_refused_with_the_pid_and_address_of_the_first() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = try_open(dir.path()).expect("opens");
    store.publish_address("127.0.0.1:4711").expect("writes");
    let error = try_open(dir.path()).expect_err("held");
    assert_eq!(error.kind(), Kind::Invalid);
    let pid = std::process::id();
    assert!(error.to_string().contains(&format!("in use by process {pid} at 127.0.0.1:4711")), "{error}");
    assert_eq!(holder(dir.path()).expect("readable").expect("held").pid, pid);
    drop(store);
    assert_eq!(holder(dir.path()).expect("readable"), None);
    try_open(dir.path()).expect("free again");
}

#[test]
fn readers_are_welcome_beside_a_writer() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = try_open(dir.path()).expect("opens");
    append(&store.stream(&name("wiki")).expect("opens"), &["1"]).expect("kept");
    let reading = Store::open_read_only(dir.path()).expect("opens");
    assert_eq!(read(&reading.stream(&name("wiki")).expect("opens"), 0), ["1"]);
    let error = reading.stream(&name("nothing")).expect_err("not there");
    assert!(error.to_string().contains("there is no stream nothing"), "{error}");
    assert!(reading.publish_address("x").is_err());
}

#[test]
fn what_is_not_ours_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("thesis.tex"), "x").expect("writes");
    let error = try_open(dir.path()).expect_err("foreign");
    assert!(error.to_string().contains("choose another directory"), "{error}");
    assert_eq!(fs::read_dir(dir.path()).expect("lists").count(), 1, "nothing is left there");

    let file = dir.path().join("thesis.tex");
    let error = try_open(&file).expect_err("a file");
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("a data directory is a folder"), "{error}");

    let error = Store::open_read_only(&dir.path().join("nowhere")).expect_err("not there");
    assert!(error.to_string().contains("holds no Lakehead data"), "{error}");
}

#[test]
fn a_directory_that_may_not_be_written_is_refused_with_what_to_do() {
    // Nobody may make a folder in /proc, not even root.
    let error = try_open(Path::new("/proc/lakehead")).expect_err("not there to be written");
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("/proc/lakehead"), "{error}");
    let error = Error::io("create", Path::new("/d"))(std::io::ErrorKind::ReadOnlyFilesystem.into());
    assert!(error.to_string().contains("mount it for writing or choose another data directory"), "{error}");
    let error = Error::io("create", Path::new("/d"))(std::io::ErrorKind::PermissionDenied.into());
    assert!(error.to_string().contains("give this user the right to it"), "{error}");
}
