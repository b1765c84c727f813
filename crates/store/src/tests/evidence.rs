//! What was done to a data directory while nothing ran on it: `fsck` names it, and after a repair the stream opens, each
//! event that is left is at its offset, and there is nothing more to name.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use lakehead_model::{ByteSize, Clock};

use super::{
    rig::{ManualClock, append, block_on, name},
    sealing::{seal_all, small},
};
use crate::{CheckReport, Options, Severity, Store, Stream, Witness};

/// Events in each of the two streams.
const EVENTS: usize = 60;

fn options() -> Options {
    Options { reserve_bytes: ByteSize(0), ..small() }
}

fn store(dir: &Path, clock: &Arc<ManualClock>) -> Store {
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    Store::open(dir, options(), clock).expect("opens")
}

fn event(stream: &str, n: usize) -> String {
    format!("{{\"s\":\"{stream}\",\"n\":{n},\"pad\":\"{}\"}}", "x".repeat(n % 7))
}

/// A data directory with two streams of several segments, cleanly stopped.
struct World {
    dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
}

impl World {
    fn new(sealed: bool) -> Self {
        let (dir, clock) = (tempfile::tempdir().expect("a folder"), ManualClock::new());
        let store = store(dir.path(), &clock);
        let streams = ["s", "other"].map(|text| (text, store.stream(&name(text)).expect("opens")));
        for n in 0..EVENTS {
            for (text, stream) in &streams {
                append(stream, &[&event(text, n)]).expect("kept");
            }
            clock.advance(180_000_000);
        }
        if sealed {
            streams.iter().for_each(|(_, stream)| drop(seal_all(stream).expect("seals")));
        }
        store.close().expect("closes");
        Self { dir, clock }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    fn segments(&self, stream: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        collect(&self.path("streams").join(stream), &mut found);
        found.sort();
        found
    }

    fn checked(&self, stream: &str) -> CheckReport {
        let store = Store::open_read_only(self.dir.path()).expect("opens");
        store.fsck(&name(stream), &[], &mut |_, _| {}).expect("reads")
    }

    fn opens(&self, stream: &str) -> Result<(), String> {
        let store = Store::open_read_only(self.dir.path()).expect("opens");
        store.stream(&name(stream)).map(|_| ()).map_err(|error| error.to_string())
    }

    /// Repairs what is damaged, as `lakehead fsck --repair` does.
    fn repair(&self) -> Vec<String> {
        let damaged: Vec<&str> =
            ["s", "other"].into_iter().filter(|stream| self.checked(stream).is_damaged()).collect();
        let store = store(self.dir.path(), &self.clock);
        let mut done = store.restore_misplaced().expect("puts back");
        for stream in damaged {
            done.extend(block_on(store.repair(&name(stream), &[])).expect("repairs"));
        }
        store.close().expect("closes");
        done
    }
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("lists") {
        let path = entry.expect("lists").path();
        if path.is_dir() { collect(&path, found) } else { found.push(path) }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().expect("a folder")).expect("creates");
    fs::copy(from, to).expect("copies");
}

fn swap(a: &Path, b: &Path) {
    let third = a.with_extension("third");
    fs::rename(a, &third).expect("renames");
    fs::rename(b, a).expect("renames");
    fs::rename(&third, b).expect("renames");
}

fn renamed(path: &Path, name: &str) {
    fs::rename(path, path.with_file_name(name)).expect("renames");
}

fn truncated(path: &Path, len: u64) {
    fs::File::options().write(true).open(path).expect("opens").set_len(len).expect("cuts");
}

/// What a case leaves of the stream `s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// Everything.
    All,
    /// Everything, at its offset, but for some that are null.
    Nulls,
    /// The end is gone.
    Beginning,
    /// The beginning is gone.
    End,
    /// Nothing.
    Nothing,
}

type Case = (&'static str, fn(&World, &[PathBuf]), Left);

/// What is done, and what is left after a repair. None of it may be passed over.
const CASES: &[Case] = &[
    ("two segments in the middle are swapped", |_, at| swap(&at[1], &at[2]), Left::All),
    ("the first two are swapped", |_, at| swap(&at[0], &at[1]), Left::All),
    ("the last two are swapped", |_, at| swap(&at[at.len() - 1], &at[at.len() - 2]), Left::All),
    ("the first and the last are swapped", |_, at| swap(&at[0], &at[at.len() - 1]), Left::All),
    (
        "three go round",
        |_, at| {
            swap(&at[1], &at[2]);
            swap(&at[2], &at[3]);
        },
        Left::All,
    ),
    ("a segment is renamed by one digit", |_, at| renamed(&at[2], "00000000000000000999.jsonl.zst"), Left::All),
    ("the first is renamed by one digit", |_, at| renamed(&at[0], "00000000000000000001.jsonl.zst"), Left::All),
    (
        "the last is renamed by one digit",
        |_, at| renamed(&at[at.len() - 1], "00000000000000000999.jsonl.zst"),
        Left::All,
    ),
    ("a segment lacks a digit of its name", |_, at| renamed(&at[2], "0000000000000000999.jsonl.zst"), Left::All),
    ("a segment is called .bak", |_, at| renamed(&at[1], "old.bak"), Left::All),
    ("the last is called .bak", |_, at| renamed(&at[at.len() - 1], "old.bak"), Left::All),
    (
        "a segment lies in another hour",
        |world, at| {
            let to = world.path("streams/s/2026/11/24/00").join(at[1].file_name().expect("a name"));
            copy(&at[1], &to);
            fs::remove_file(&at[1]).expect("removes");
        },
        Left::All,
    ),
    (
        "a segment lies in the folder of the stream",
        |world, at| {
            fs::rename(&at[1], world.path("streams/s").join("x.jsonl.zst")).expect("moves");
        },
        Left::All,
    ),
    (
        "a segment lies in another stream",
        |world, at| {
            let to = world.path("streams/other/2026/11/23/07/00000000000000000777.jsonl.zst");
            fs::rename(&at[1], to).expect("moves");
        },
        Left::All,
    ),
    (
        "a segment of another stream lies here",
        |world, at| {
            copy(&world.segments("other")[1], &at[1].with_file_name("00000000000000000777.jsonl.zst"));
        },
        Left::All,
    ),
    (
        "a segment of another stream lies in the place of one",
        |world, at| {
            copy(&world.segments("other")[1], &at[1]);
        },
        Left::Nulls,
    ),
    (
        "a segment is there twice",
        |_, at| copy(&at[1], &at[1].with_file_name("00000000000000000777.jsonl.zst")),
        Left::All,
    ),
    (
        "the last is there twice",
        |_, at| {
            let last = &at[at.len() - 1];
            copy(last, &last.with_file_name("00000000000000000777.jsonl.zst"));
        },
        Left::All,
    ),
    (
        "a segment is there twice, in two hours",
        |world, at| {
            copy(&at[1], &world.path("streams/s/2026/11/25/00").join(at[1].file_name().expect("a name")));
        },
        Left::All,
    ),
    ("a segment was put over another", |_, at| copy(&at[1], &at[2]), Left::Nulls),
    (
        "a plain .zst lies beyond the end",
        |_, at| {
            let bytes = zstd::encode_all(&b"{\"n\":1}\n{\"n\":2}\n"[..], 3).expect("compresses");
            fs::write(at[at.len() - 1].with_file_name("00000000000000000999.jsonl.zst"), bytes).expect("writes");
        },
        Left::All,
    ),
    (
        "a plain .zst of two frames lies at the end",
        |world, _| {
            let bytes = zstd::encode_all(&b"{\"n\":1}\n"[..], 3).expect("compresses");
            let to = world.path(&format!("streams/s/2026/11/23/23/{EVENTS:020}.jsonl.zst"));
            fs::create_dir_all(to.parent().expect("a folder")).expect("creates");
            fs::write(to, [bytes.clone(), bytes].concat()).expect("writes");
        },
        Left::All,
    ),
    (
        "a file of zeros lies beyond the end",
        |_, at| {
            fs::write(at[at.len() - 1].with_file_name("00000000000000000999.jsonl.zst"), [0; 5_000]).expect("writes");
        },
        Left::All,
    ),
    (
        "an empty file lies beyond the end",
        |_, at| {
            fs::write(at[at.len() - 1].with_file_name("00000000000000000999.jsonl.zst"), []).expect("writes");
        },
        Left::All,
    ),
    ("the first is cut to nothing", |_, at| truncated(&at[0], 0), Left::End),
    ("one in the middle is cut to nothing", |_, at| truncated(&at[2], 0), Left::Nulls),
    ("the last is cut to nothing", |_, at| truncated(&at[at.len() - 1], 0), Left::Beginning),
    (
        "the last is cut in half",
        |_, at| {
            let last = &at[at.len() - 1];
            truncated(last, fs::metadata(last).expect("there").len() / 2);
        },
        Left::Beginning,
    ),
    ("the last is garbage", |_, at| fs::write(&at[at.len() - 1], [7; 900]).expect("writes"), Left::Beginning),
    ("the first is garbage", |_, at| fs::write(&at[0], [7; 900]).expect("writes"), Left::End),
    (
        "a folder is in the place of one in the middle",
        |_, at| {
            fs::remove_file(&at[2]).expect("removes");
            fs::create_dir(&at[2]).expect("creates");
        },
        Left::Nulls,
    ),
    (
        "a folder is in the place of the last",
        |_, at| {
            fs::remove_file(&at[at.len() - 1]).expect("removes");
            fs::create_dir(&at[at.len() - 1]).expect("creates");
        },
        Left::Beginning,
    ),
    (
        "a link that leads nowhere is in the place of one",
        |_, at| {
            fs::remove_file(&at[2]).expect("removes");
            std::os::unix::fs::symlink("/nowhere/at/all", &at[2]).expect("links");
        },
        Left::Nulls,
    ),
    (
        "a link that leads nowhere is in the place of the last",
        |_, at| {
            fs::remove_file(&at[at.len() - 1]).expect("removes");
            std::os::unix::fs::symlink("/nowhere/at/all", &at[at.len() - 1]).expect("links");
        },
        Left::Beginning,
    ),
    ("the oldest is deleted", |_, at| fs::remove_file(&at[0]).expect("removes"), Left::End),
    (
        "the oldest two are deleted",
        |_, at| at[..2].iter().for_each(|at| fs::remove_file(at).expect("removes")),
        Left::End,
    ),
    (
        "all but the last are deleted",
        |_, at| {
            at[..at.len() - 1].iter().for_each(|at| fs::remove_file(at).expect("removes"));
        },
        Left::End,
    ),
    ("one in the middle is deleted", |_, at| fs::remove_file(&at[2]).expect("removes"), Left::Nulls),
    ("the newest is deleted", |_, at| fs::remove_file(&at[at.len() - 1]).expect("removes"), Left::Beginning),
    (
        "the two newest are deleted",
        |_, at| {
            at[at.len() - 2..].iter().for_each(|at| fs::remove_file(at).expect("removes"));
        },
        Left::Beginning,
    ),
    ("every segment is deleted", |_, at| at.iter().for_each(|at| fs::remove_file(at).expect("removes")), Left::Nothing),
    (
        "the stream's folder is deleted",
        |world, _| fs::remove_dir_all(world.path("streams/s")).expect("removes"),
        Left::Nothing,
    ),
];

#[test]
fn whatever_was_done_to_the_files_is_named_and_after_a_repair_it_opens_and_nothing_more_is_named() {
    for sealed in [false, true] {
        for (case, act, left) in CASES {
            let case = format!("{case} ({})", if sealed { "sealed" } else { "not sealed" });
            let world = World::new(sealed);
            assert_eq!(world.checked("s").findings, [], "{case}: before");
            let at = world.segments("s");
            act(&world, &at);
            let found = world.checked("s");
            let elsewhere = world.checked("other").is_damaged();
            assert!(found.is_damaged() || elsewhere, "{case}: passed over: {:?}", found.findings);
            let done = world.repair();
            assert!(!done.is_empty(), "{case}: nothing was done about {:?}", found.findings);
            for stream in ["s", "other"] {
                let again = world.checked(stream);
                let damage: Vec<_> = again.findings.iter().filter(|f| f.severity == Severity::Damage).collect();
                assert!(damage.is_empty(), "{case}: {stream} after {done:#?}: {damage:#?}");
                assert_eq!(world.opens(stream), Ok(()), "{case}: {stream} after {done:#?}");
            }
            let store = store(world.dir.path(), &world.clock);
            let other = read(&store.stream(&name("other")).expect("opens"));
            assert_eq!(other, (0, expected("other")), "{case}: the other stream is whole");
            let stream = store.stream(&name("s")).expect("opens");
            let (start, events) = read(&stream);
            let whole = expected("s");
            let as_before = |n: usize, now: &String| *now == whole[n] || now.trim_end() == "null";
            assert!(events.iter().enumerate().all(|(n, now)| as_before(start + n, now)), "{case}: {events:?}");
            let nulls = events.iter().filter(|event| event.trim_end() == "null").count();
            let (end, is_whole) = (start + events.len(), events.len() == EVENTS && nulls == 0);
            match left {
                Left::All => assert!(is_whole, "{case}: {done:#?} {events:?}"),
                Left::Nulls => {
                    assert!(events.len() == EVENTS && (1..30).contains(&nulls), "{case}: {nulls} {events:?}")
                }
                Left::Beginning => assert!(start == 0 && (1..EVENTS).contains(&end), "{case}: {start} {end}"),
                Left::End => assert!(end == EVENTS && (1..EVENTS).contains(&start), "{case}: {start} {end}"),
                Left::Nothing => assert!(events.is_empty(), "{case}: {events:?}"),
            }
            assert_eq!(stream.head().epoch > 0, *left != Left::All, "{case}: whoever saw what is gone can tell");
            assert!(stream.losses().iter().all(|loss| loss.acknowledged), "{case}");
            append(&stream, &["\"more\""]).expect("it goes on");
        }
    }
}

fn expected(stream: &str) -> Vec<String> {
    (0..EVENTS).map(|n| event(stream, n)).collect()
}

/// Where it begins, and all events.
fn read(stream: &Stream) -> (usize, Vec<String>) {
    let start = stream.head().start.0;
    (usize::try_from(start).expect("small"), super::rig::read(stream, start))
}

#[test]
fn whatever_opening_refuses_fsck_names() {
    for sealed in [false, true] {
        for (case, act, _) in CASES {
            let world = World::new(sealed);
            act(&world, &world.segments("s"));
            if let Err(refused) = world.opens("s") {
                assert!(world.checked("s").is_damaged(), "{case}: {refused}");
            }
        }
    }
}

#[test]
fn a_loss_at_either_end_is_seen_by_the_next_start_and_stays_until_a_repair_takes_note_of_it() {
    for newest in [false, true] {
        let world = World::new(true);
        let at = world.segments("s");
        let gone = if newest { &at[at.len() - 2..] } else { &at[..2] };
        gone.iter().for_each(|at| fs::remove_file(at).expect("removes"));
        for _ in 0..2 {
            // What goes on would hide it.
            let store = store(world.dir.path(), &world.clock);
            let stream = store.stream(&name("s")).expect("opens");
            assert_eq!(stream.losses().len(), 1, "{:?}", stream.losses());
            assert_eq!(stream.head().epoch, u64::from(newest));
            for _ in 0..30 {
                append(&stream, &["\"more\""]).expect("goes on");
                world.clock.advance(180_000_000);
            }
            assert_eq!(stream.check_inventory().expect("compares"), None);
            store.close().expect("closes");
            assert!(world.checked("s").is_damaged(), "newest {newest}");
        }
        world.repair();
        assert!(!world.checked("s").is_damaged());
        let store = store(world.dir.path(), &world.clock);
        assert!(store.stream(&name("s")).expect("opens").losses().iter().all(|loss| loss.acknowledged));
    }
}

#[test]
fn what_retention_took_is_no_loss_and_what_is_deleted_beyond_it_is_one() {
    let world = World::new(true);
    {
        let store = store(world.dir.path(), &world.clock);
        let stream = store.stream(&name("s")).expect("opens");
        let rule = crate::Retention { age: None, size: Some(ByteSize(0)) };
        let plan = stream.plan_retention(&rule, world.clock.now(), &[]).expect("plans");
        let few = crate::RetentionPlan { remove: plan.remove[..2].to_vec(), ..plan };
        stream.retain(&few).expect("removes");
        store.close().expect("closes");
    }
    assert_eq!(world.checked("s").findings, []);
    fs::remove_file(&world.segments("s")[0]).expect("removes");
    assert!(world.checked("s").is_damaged());
}

#[test]
fn a_view_that_has_seen_more_than_the_log_holds_is_evidence_without_an_inventory() {
    let world = World::new(false);
    fs::remove_dir_all(world.path("inventory")).expect("removes");
    assert_eq!(world.checked("s").findings, []);
    let at = world.segments("s");
    at[at.len() - 2..].iter().for_each(|at| fs::remove_file(at).expect("removes"));
    assert!(!world.checked("s").is_damaged(), "nothing here says so");
    let witnesses =
        [Witness { by: "the checkpoint of view v".to_owned(), seen: lakehead_model::Offset(EVENTS as u64) }];
    let store_read = Store::open_read_only(world.dir.path()).expect("opens");
    let found = store_read.fsck(&name("s"), &witnesses, &mut |_, _| {}).expect("reads");
    assert!(found.is_damaged() && found.findings[0].what.contains("the checkpoint of view v"), "{found:?}");
    let store = store(world.dir.path(), &world.clock);
    let done = block_on(store.repair(&name("s"), &witnesses)).expect("repairs");
    assert!(done.iter().any(|done| done.contains("are lost")), "{done:?}");
    store.close().expect("closes");
    let found = store_read.fsck(&name("s"), &witnesses, &mut |_, _| {}).expect("reads");
    assert!(!found.is_damaged(), "it is known: {found:?}");
}

#[test]
fn a_log_that_begins_late_without_an_inventory_is_said() {
    let world = World::new(true);
    fs::remove_dir_all(world.path("inventory")).expect("removes");
    fs::remove_file(&world.segments("s")[0]).expect("removes");
    let found = world.checked("s");
    assert!(!found.is_damaged() && found.findings[0].what.contains("no inventory"), "{found:?}");
}
