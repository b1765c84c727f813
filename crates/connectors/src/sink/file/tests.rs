//! The sink against a folder: the suite in each layout, crashes, rotation, and files that are not ours.

use std::{fs, path::Path, sync::Arc};

use lakehead_connector_api::{BatchKind, Feed, RowHead};
use lakehead_model::{Name, Offset};
use lakehead_testkit::{Behaviour, ManualClock, Target, conformance};
use serde_json::json;
use tempfile::TempDir;

use super::{place::FileRun, *};

struct Disk {
    folder: TempDir,
    settings: serde_json::Value,
}

impl Disk {
    fn new(settings: serde_json::Value) -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), settings }
    }

    fn out(&self) -> std::path::PathBuf {
        self.folder.path().join("out")
    }

    fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut folders = vec![self.out()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("listed") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    names.push(path.strip_prefix(self.out()).expect("below it").display().to_string());
                }
            }
        }
        names.retain(|name| !name.ends_with(".lock"));
        // Positions in names of rows are not padded.
        names.sort_by_key(|name| (name.starts_with('.'), name.matches('-').count(), name.len(), name.clone()));
        names
    }
}

fn read(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    if fs::metadata(path).expect("it is there").len() == 0 {
        return bytes;
    }
    std::io::Read::read_to_end(&mut compressed::open(path).expect("it opens"), &mut bytes).expect("it is read");
    bytes
}

#[async_trait]
impl Target for Disk {
    fn settings(&self) -> serde_json::Value {
        let mut settings = self.settings.clone();
        settings["path"] = json!(self.out());
        settings
    }

    async fn rows(&mut self) -> Vec<Vec<u8>> {
        let mut rows = Vec::new();
        for name in self.names() {
            let path = self.out().join(&name);
            let plain =
                match FileRun::parse_part(path.file_name().expect("a name").to_str().expect("text"), "delivered") {
                    // What is committed of a file that is not finished.
                    Some((run, state)) => {
                        let bytes =
                            &fs::read(&path).expect("it is read")[..usize::try_from(state.bytes).expect("small")];
                        let copy = self.folder.path().join(format!("copy{}", run.ending));
                        fs::write(&copy, bytes).expect("written");
                        read(&copy)
                    }
                    None if name.starts_with('.') => continue,
                    None => read(&path),
                };
            rows.extend(plain.split_inclusive(|b| *b == b'\n').map(|line| line[..line.len() - 1].to_vec()));
        }
        rows
    }

    async fn behave(&mut self, how: Behaviour) -> bool {
        let (out, away) = (self.out(), self.folder.path().join("away"));
        match how {
            Behaviour::Away => fs::rename(out, away).is_ok(),
            Behaviour::Well => fs::rename(away, out).is_ok(),
            Behaviour::Silent | Behaviour::RefusingPoison => false,
        }
    }
}

/// A disk that never answers cannot be made here, and no row is refused for what is in it.
const UNTOLD: [Behaviour; 2] = [Behaviour::RefusingPoison, Behaviour::Silent];

#[tokio::test]
async fn files_of_lines_keep_the_promises_of_a_sink() {
    for settings in [
        json!({}),
        json!({ "compression": "gzip", "rows_max": 3 }),
        json!({ "compression": "zstd", "bytes_max": "1 KiB", "folders": "hour" }),
    ] {
        let untold = conformance::sink::<Files, _, _>(|| std::future::ready(Disk::new(settings.clone()))).await;
        assert_eq!(untold, UNTOLD, "{settings}");
    }
}

#[tokio::test]
async fn a_file_for_each_row_keeps_the_promises_of_a_sink() {
    for settings in [json!({}), json!({ "compression": "gzip", "folders": "day" })] {
        let disk = || {
            let mut disk = Disk::new(settings.clone());
            disk.settings["layout"] = json!("one_file_an_event");
            std::future::ready(disk)
        };
        assert_eq!(conformance::sink::<Files, _, _>(disk).await, UNTOLD, "{settings}");
    }
}

const CLOCK: fn() -> Arc<ManualClock> = || Arc::new(ManualClock::new(Timestamp::from_seconds(1_800_000_000)));

async fn open(disk: &Disk, clock: Arc<ManualClock>) -> Result<Box<dyn Sink>, Error> {
    let from = Feed::Stream { name: Name::new("s").expect("a name"), columns: Vec::new() };
    let config: Config = serde_json::from_value(disk.settings()).expect("settings");
    config.check().expect("good settings");
    Files::open(config, SinkContext { name: "files".to_owned(), from, clock }).await
}

/// Events of stream `s` from offset `first` on.
fn batch(first: u64, rows: &[&str]) -> Batch {
    let (mut payload, mut ends) = (Vec::new(), Vec::new());
    for row in rows {
        payload.extend_from_slice(row.as_bytes());
        payload.push(b'\n');
        ends.push(u32::try_from(payload.len()).expect("small"));
    }
    let heads = (first..).take(rows.len()).map(|number| RowHead { number, ..RowHead::default() }).collect();
    let position = |next| Position::Log { epoch: 0, next: Offset(next) };
    let range = (position(first), position(first + rows.len() as u64));
    Batch::new(Name::new("s").expect("a name"), range, (payload.into(), ends), heads, BatchKind::Changes)
}

fn run(first: u64, next: u64) -> String {
    format!("s-0-{first:020}-{next:020}.jsonl")
}

#[tokio::test]
async fn files_are_finished_by_rows_bytes_and_age() {
    let disk = Disk::new(json!({ "rows_max": 3, "bytes_max": "1 KiB", "age_max": "1m" }));
    let clock = CLOCK();
    let mut sink = open(&disk, clock.clone()).await.expect("it opens");
    let long = format!("\"{}\"", "x".repeat(600));
    let some = batch(0, &["1", "2", "3", "4", &long, &long]);
    assert_eq!(sink.write(&some).await.expect("written"), vec![Answer::Held; 6]);
    sink.commit(some.end()).await.expect("committed");
    assert_eq!(disk.names()[..2], [run(0, 3), run(3, 5)], "three rows, and what has 1 KiB");
    assert!(disk.names()[2].starts_with(&format!(".{}-1-603-", run(5, 6))), "{:?}", disk.names());
    clock.advance(Duration::from_secs(59));
    sink.commit(some.end()).await.expect("committed");
    assert_eq!(disk.names().len(), 3);
    clock.advance(Duration::from_secs(1));
    sink.commit(some.end()).await.expect("committed");
    assert_eq!(disk.names(), [run(0, 3), run(3, 5), run(5, 6)]);
}

#[tokio::test]
async fn a_file_is_finished_by_its_age_while_nothing_comes() {
    let disk = Disk::new(json!({ "age_max": "1s" }));
    let clock = CLOCK();
    let mut sink = open(&disk, clock.clone()).await.expect("it opens");
    let some = batch(0, &["1"]);
    sink.write(&some).await.expect("written");
    sink.commit(some.end()).await.expect("committed");
    clock.advance(Duration::from_secs(1));
    let finished = async {
        while disk.names() != [run(0, 1)] {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), finished).await.expect("it is finished by itself");
}

#[tokio::test]
async fn what_a_crash_left_is_cut_at_the_last_commit() {
    let disk = Disk::new(json!({}));
    let mut sink = open(&disk, CLOCK()).await.expect("it opens");
    sink.write(&batch(0, &["1", "2"])).await.expect("written");
    sink.commit(batch(0, &["1", "2"]).end()).await.expect("committed");
    drop(sink);
    // Bytes behind the commit, and a file of which nothing was committed.
    let part = disk.out().join(&disk.names()[0]);
    fs::write(&part, "1\n2\n3\nhal").expect("written");
    let other = FileRun::parse(&run(7, 8), "s").expect("a run");
    let state = place::Unfinished { rows: 0, bytes: 0, began_ms: 0 };
    fs::write(disk.out().join(other.part_name("s", state)), "7\n").expect("written");
    fs::write(disk.out().join(".theirs-0.part"), "").expect("written");
    let sink = open(&disk, CLOCK()).await.expect("it opens");
    assert_eq!(disk.names(), [run(0, 2), ".theirs-0.part".to_owned()]);
    assert_eq!(fs::read(disk.out().join(run(0, 2))).expect("it is read"), b"1\n2\n");
    drop(sink);
}

#[tokio::test]
async fn a_folder_of_another_data_directory_is_found_out() {
    let disk = Disk::new(json!({ "compression": "gzip" }));
    let sink = async |rows: Vec<&'static str>| {
        let mut sink = open(&disk, CLOCK()).await?;
        let answers = sink.write(&batch(0, &rows)).await?;
        sink.close().await.map(|()| answers)
    };
    sink(vec!["1", "2"]).await.expect("delivered");
    assert_eq!(sink(vec!["1", "2", "3"]).await.expect("known"), [Answer::Done, Answer::Done, Answer::Held]);
    let error = sink(vec!["9", "2"]).await.expect_err("another first row");
    assert!(matches!(&error, Error::Invalid(what) if what.contains("another data directory")), "{error}");
}

#[tokio::test]
async fn rows_with_a_gap_between_them_are_not_in_one_file() {
    let disk = Disk::new(json!({}));
    let mut sink = open(&disk, CLOCK()).await.expect("it opens");
    let all = batch(0, &["0", "1", "2", "3"]);
    sink.write(&all.select(&[0, 1, 3])).await.expect("written");
    sink.write(&all.select(&[2])).await.expect("written");
    sink.close().await.expect("closed");
    assert_eq!(disk.names(), [run(0, 2), run(2, 3), run(3, 4)]);
}

#[tokio::test]
async fn no_file_is_overwritten_by_one_of_the_same_name() {
    let disk = Disk::new(json!({ "layout": "one_file_an_event", "name": "change_{id}.json" }));
    let mut sink = open(&disk, CLOCK()).await.expect("it opens");
    fs::write(disk.out().join("change_3.json"), "theirs").expect("written");
    fs::write(disk.out().join(".s-12.part"), "left over").expect("written");
    let rows = [r#"{"id":1,"v":1}"#, r#"{"id":1,"v":2}"#, r#"{"id":1,"v":1}"#, r#"{"id":3}"#, r#"{"id":null}"#];
    let answers = sink.write(&batch(7, &rows)).await.expect("written");
    let refused = |answer: &Answer| matches!(answer, Answer::Refused(why) if why.contains("another content"));
    assert!(refused(&answers[1]) && refused(&answers[3]), "{answers:?}");
    assert_eq!((&answers[0], &answers[2], &answers[4]), (&Answer::Held, &Answer::Held, &Answer::Held));
    sink.commit(batch(0, &[]).end()).await.expect("committed");
    drop(sink);
    let mut sink = open(&disk, CLOCK()).await.expect("it opens");
    assert_eq!(disk.names(), ["change_1.json", "change_3.json", "change_s-0-11.json"], "the left-over is gone");
    assert_eq!(fs::read(disk.out().join("change_1.json")).expect("read"), b"{\"id\":1,\"v\":1}\n");
    assert_eq!(fs::read(disk.out().join("change_3.json")).expect("read"), b"theirs");
    assert_eq!(sink.write(&batch(7, &rows[..1])).await.expect("written"), [Answer::Done]);
}
