//! What a source of files promises, over real files: each line once, whatever ends it, and nothing read that has changed.

mod dumps;

use std::{fs, path::Path, sync::Arc};

use lakehead_connector_api::{Chunk, Error, Resume, SourceSpec, StreamResume};
use lakehead_model::{Cursor, Name, StreamSchema, Timestamp};
use lakehead_testkit::{ManualClock, VecTail, conformance};
use serde_json::{Value, json};

use super::*;

const NOON: Timestamp = Timestamp(0);

const SPEC: SourceSpec = SourceSpec::of::<JsonFiles>();

fn settings(paths: &[&Path]) -> Value {
    json!({ "paths": paths })
}

async fn open(settings: &Value, cursor: Option<Cursor>) -> Result<Opened, Error> {
    let stream = StreamResume {
        stream: Name::new("s").expect("a name"),
        cursor,
        event_time: StreamSchema::builtin("json").expect("built in").event_time,
        tail: Box::new(VecTail::default()),
    };
    let resume = Resume { name: "history".to_owned(), streams: vec![stream], clock: Arc::new(ManualClock::new(NOON)) };
    (SPEC.open)(settings.clone(), resume).await
}

/// All chunks from `cursor` on.
async fn read(settings: &Value, cursor: Option<Cursor>) -> Result<Vec<Chunk>, Error> {
    let mut opened = open(settings, cursor).await?;
    let mut chunks = Vec::new();
    while let Some(chunk) = opened.reader.next().await? {
        chunks.push(chunk);
    }
    assert!(opened.reader.next().await?.is_none(), "it stays at its end");
    Ok(chunks)
}

fn events(chunks: &[Chunk]) -> Vec<String> {
    let of = |chunk: &Chunk| chunk.events.events().map(|e| String::from_utf8_lossy(e).into_owned()).collect::<Vec<_>>();
    chunks.iter().flat_map(of).collect()
}

fn numbered(from: u64, to: u64) -> String {
    (from..to)
        .map(|n| format!("{{\"n\":{n},\"dt\":\"2026-11-01T00:00:00Z\",\"noise\":\"{:032x}\"}}\n", n * n))
        .collect()
}

fn gzip(text: &str) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).expect("in memory");
    encoder.finish().expect("in memory")
}

/// Opened again behind each chunk, it brings what is left.
async fn goes_on_behind_each(settings: &Value, chunks: &[Chunk]) {
    let (all, mut before) = (events(chunks), 0);
    for chunk in chunks {
        before += chunk.events.len();
        let rest = read(settings, chunk.cursor.clone()).await.expect("read on");
        assert_eq!(events(&rest), all[before..], "behind {before} events");
    }
}

/// How many events come before it fails, and why it does.
async fn taken_before_damage(settings: &Value) -> (usize, Error) {
    let mut opened = open(settings, None).await.expect("opens");
    let mut taken = 0;
    loop {
        match opened.reader.next().await {
            Ok(Some(chunk)) => taken += chunk.events.len(),
            Ok(None) => panic!("what is damaged has no end"),
            Err(error) => return (taken, error),
        }
    }
}

async fn refused(settings: &Value, cursor: Option<Cursor>) -> String {
    match open(settings, cursor).await {
        Err(error @ Error::Invalid(_)) => error.to_string(),
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it opened"),
    }
}

#[tokio::test]
async fn keeps_the_source_contract() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a.jsonl"), numbered(0, 3_000)).expect("a file");
    fs::write(folder.path().join("b.json.gz"), gzip(&numbered(3_000, 6_000))).expect("a file");
    fs::write(folder.path().join("c.ndjson"), numbered(6_000, 6_010)).expect("a file");
    let expected: Vec<Vec<u8>> = numbered(0, 6_010).lines().map(|line| line.as_bytes().to_vec()).collect();
    let settings = async || settings(&[folder.path()]);
    conformance::source_that_ends::<JsonFiles, _>(settings, NOON, &expected).await;
}

#[tokio::test]
async fn it_goes_on_behind_every_chunk_and_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a.jsonl"), numbered(0, 9_000)).expect("a file");
    fs::write(folder.path().join("b.json.gz"), gzip(&numbered(9_000, 18_000))).expect("a file");
    fs::write(folder.path().join("c.json"), "[{\"n\":18000}, {\"n\":18001}]").expect("a file");
    let settings = settings(&[folder.path()]);
    let chunks = read(&settings, None).await.expect("read");
    let all = events(&chunks);
    assert_eq!(all.len(), 18_002);
    assert_eq!((&*all[17_999], &*all[18_001]), (numbered(17_999, 18_000).trim_end(), "{\"n\":18001}"));
    assert!(chunks.len() > 6 && chunks.iter().all(|chunk| chunk.events.payload().len() <= (256 << 10) + 1_000));
    assert!(chunks[0].events.event_times().iter().all(Option::is_some), "by the stream's rule");
    goes_on_behind_each(&settings, &chunks).await;
}

#[tokio::test]
async fn when_all_is_read_it_has_ended_and_goes_on_only_in_files_that_come_later() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a.jsonl"), "1\n2\n").expect("a file");
    let pattern = folder.path().join("*.jsonl");
    let settings = settings(&[&pattern]);
    let last = |chunks: Vec<Chunk>| chunks.into_iter().last().expect("chunks").cursor;
    let done = last(read(&settings, None).await.expect("read"));
    assert!(read(&settings, done.clone()).await.expect("ended").is_empty());
    fs::write(folder.path().join("b.jsonl"), "3").expect("a file");
    let more = read(&settings, done.clone()).await.expect("read on");
    assert_eq!(events(&more), ["3"]);
    let done = last(more);
    fs::write(folder.path().join("a2.jsonl"), "4").expect("a file");
    let said = refused(&settings, done.clone()).await;
    assert!(said.contains("changed or added since: ") && said.contains("a2.jsonl;"), "{said}");
    for name in ["a.jsonl", "a2.jsonl", "b.jsonl"] {
        fs::remove_file(folder.path().join(name)).expect("removed");
    }
    assert!(read(&settings, done.clone()).await.expect("ended").is_empty(), "what was read was taken away");
    let gone = self::settings(&[&folder.path().join("a.jsonl")]);
    assert!(read(&gone, done).await.expect("ended").is_empty());
}

#[tokio::test]
async fn a_file_that_changed_after_it_was_read_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    fs::write(file("a.jsonl"), "1\n").expect("a file");
    fs::write(file("b.jsonl"), numbered(0, 9_000)).expect("a file");
    let settings = settings(&[folder.path()]);
    let chunks = read(&settings, None).await.expect("read");
    let in_b = chunks[2].cursor.clone();
    assert!(in_b.as_ref().is_some_and(|cursor| cursor.position.contains("\"files\":1")), "{in_b:?}");
    fs::write(file("b.jsonl"), numbered(1, 9_000)).expect("a file");
    let said = refused(&settings, in_b.clone()).await;
    assert!(said.contains("b.jsonl is not the file that was being read"), "{said}");
    fs::write(file("b.jsonl"), numbered(0, 9_000)).expect("a file");
    fs::write(file("a.jsonl"), "1\n2\n").expect("a file");
    let said = refused(&settings, in_b).await;
    assert!(said.contains("a.jsonl") && said.contains("give the source another name"), "{said}");
}

#[tokio::test]
async fn what_is_no_event_is_refused_with_its_line_and_damage_stops_it_behind_what_is_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.jsonl");
    fs::write(&file, "\u{feff}{\"a\":1}\r\n\n{\"a\":\n2\n").expect("a file");
    let chunks = read(&settings(&[&file]), None).await.expect("read");
    assert_eq!(events(&chunks), ["{\"a\":1}", "2"]);
    let rejects: Vec<_> = chunks.iter().flat_map(|chunk| &chunk.rejects).collect();
    assert_eq!(rejects.len(), 1);
    assert!(rejects[0].position.ends_with("a.jsonl line 3"), "{}", rejects[0].position);

    fs::write(&file, "no\n".repeat(5_000)).expect("a file");
    let chunks = read(&settings(&[&file]), None).await.expect("read");
    assert_eq!((chunks[0].rejects.len(), chunks[0].refused_more), (1_001, 3_999));

    let whole = gzip(&numbered(0, 20_000));
    fs::write(&file, &whole[..whole.len() / 2]).expect("a file");
    let (taken, error) = taken_before_damage(&settings(&[&file])).await;
    assert!(taken > 1_000 && matches!(error, Error::Invalid(_)), "{taken} {error:?}");
    assert!(error.to_string().contains(&format!("a.jsonl behind line {taken}; ")), "{error}");
}

#[tokio::test]
async fn wrong_settings_are_named() {
    for (settings, expected) in [
        (json!({}), "missing field `paths`"),
        (json!({ "paths": [] }), "paths: expected 1 to 1000 files"),
        (json!({ "paths": ["a", " "] }), "paths: expected the path"),
        (json!({ "paths": ["-"] }), "lakehead import STREAM -"),
        (json!({ "paths": ["a[b"] }), "paths: \"a[b\" is no pattern: "),
        (json!({ "paths": "a" }), "`paths`: invalid type: string"),
        (json!({ "paths": ["a"], "path": "b" }), "unknown field `path`"),
    ] {
        let said = (SPEC.check)(&settings).expect_err("refused");
        assert!(said.contains(expected), "{settings}: {said}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let nothing = refused(&settings(&[&folder.path().join("*.gz")]), None).await;
    assert!(nothing.contains("nothing is there"), "{nothing}");
    let missing = refused(&settings(&[&folder.path().join("none")]), None).await;
    assert!(missing.contains("none: No such file"), "{missing}");
}
