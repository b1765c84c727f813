//! Recordings are served as they were recorded.

use std::{io::Write, path::PathBuf};

use lakehead_simulator::{Options, Simulator};

use crate::common::{FixedClock, START, frames, start};

fn shared(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    if !path.exists() {
        let _ = writeln!(std::io::stdout(), "SKIPPED recordings: there is no recording {}", path.display());
    }
    path.exists().then_some(path)
}

fn from(paths: &[PathBuf]) -> Options {
    Options { from: paths.to_vec(), rate: 0.0, start: Some(START), ..Options::default() }
}

fn gunzip(path: &PathBuf) -> Vec<u8> {
    let mut bytes = Vec::new();
    let stored = std::fs::read(path).expect("the recording");
    std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(stored.as_slice()), &mut bytes).expect("gzip");
    bytes
}

#[tokio::test]
async fn a_recorded_response_comes_back_byte_for_byte() {
    for (name, stream, count) in [
        ("sse/recentchange_2021-08-27.sse.gz", "recentchange", 1_950),
        ("sse/revision-create_2021-08-27.sse.gz", "revision-create", 1_571),
        ("sse/page-create_2021-08-20.sse.gz", "page-create", 41),
    ] {
        let Some(path) = shared(name) else { continue };
        let upstream = start(from(std::slice::from_ref(&path))).await;
        assert_eq!(upstream.simulator.total(), Some(count));
        let mut response = upstream.get(&format!("/v2/stream/{stream}"), &[]).await;
        let served = response.frames(count as usize).await;
        assert_eq!(served.len() as u64, count);
        // The recordings end without the blank line after the last frame's data.
        let recorded = [gunzip(&path), b"\n".to_vec()].concat();
        let body = response.stream().0;
        let common = body.len().min(recorded.len());
        assert_eq!(body[..common], recorded[..common], "{name}: ids and data as they were recorded");
        assert!(body.len() <= recorded.len());
        let frames = frames(&body);
        assert_eq!(frames.last().map(|frame| frame.data.last() == Some(&b'}')), Some(true));
    }
}

#[tokio::test]
async fn files_are_united_and_each_event_comes_once() {
    let (Some(sse), Some(lines)) =
        (shared("sse/recentchange_2021-08-27.sse.gz"), shared("recentchange/raw_2021-08_kirajano.jsonl.gz"))
    else {
        return;
    };
    let upstream = start(from(&[lines.clone(), sse, lines])).await;
    let total = upstream.simulator.total().expect("recordings end");
    assert_eq!(total, 2_012, "the response's events are among the lines");
    let frames = upstream.events("/v2/stream/recentchange", &[], total as usize).await;
    let offsets: Vec<u64> = frames.iter().map(crate::common::Frame::offset).collect();
    assert!(offsets.is_sorted_by(|a, b| a < b));
}

#[tokio::test]
async fn every_shape_in_the_folder_is_served() {
    for (name, count) in [
        ("recentchange/firehose_2023-01-25_349s.jsonl.gz", 11_967),
        ("recentchange/raw_2026-02_sat99496.jsonl.gz", 50),
        ("recentchange/raw_2019-06_amommendes_schema-v2.jsonl.gz", 179),
    ] {
        let Some(path) = shared(name) else { continue };
        let upstream = start(from(std::slice::from_ref(&path))).await;
        assert_eq!(upstream.simulator.total(), Some(count), "{name}");
        let frames = upstream.events("/v2/stream/recentchange", &[], count as usize).await;
        let mut lines: Vec<Vec<u8>> = gunzip(&path).split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        lines.retain(|line| !line.is_empty());
        let mut served: Vec<Vec<u8>> = frames.into_iter().map(|frame| frame.data).collect();
        lines.sort_unstable();
        served.sort_unstable();
        assert_eq!(served, lines, "{name}");
    }
}

fn file(content: &[u8], name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("recordings");
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join(name);
    std::fs::File::create(&path).and_then(|mut file| file.write_all(content)).expect("a file");
    path
}

#[tokio::test]
async fn an_event_without_an_offset_gets_one_by_its_order() {
    let lines = br#"{"meta":{"stream":"mediawiki.page-create","dt":"2026-01-01T00:00:00Z"},"a":1}
{"a":{"b":"}"},"meta":{}}
{"a":3}
"#;
    let upstream = start(from(&[file(lines, "no_offsets.jsonl")])).await;
    let frames = upstream.events("/v2/stream/page-create,recentchange", &[], 3).await;
    let mut data: Vec<_> = frames.iter().map(|frame| String::from_utf8_lossy(&frame.data).into_owned()).collect();
    data.sort();
    assert_eq!(
        data,
        [
            r#"{"a":3,"meta":{"topic":"eqiad.mediawiki.recentchange","partition":0,"offset":1}}"#,
            r#"{"a":{"b":"}"},"meta":{"topic":"eqiad.mediawiki.recentchange","partition":0,"offset":0}}"#,
            r#"{"meta":{"stream":"mediawiki.page-create","dt":"2026-01-01T00:00:00Z","topic":"eqiad.mediawiki.page-create","partition":0,"offset":0},"a":1}"#,
        ]
    );
}

#[tokio::test]
async fn the_cut_last_frame_of_a_response_is_dropped() {
    let sse = b":ok\n\nevent: message\nid: [1]\ndata: {\"a\":1}\n\nevent: message\nid: [2]\ndata: {\"a\":2,\"b";
    assert_eq!(start(from(&[file(sse, "cut.sse")])).await.simulator.total(), Some(1));
}

#[test]
fn a_recording_that_cannot_be_used_is_named() {
    let missing = std::env::temp_dir().join("no such recording");
    let error = |path: PathBuf| {
        let made = Simulator::new(from(&[path]), std::sync::Arc::new(FixedClock(START)));
        made.expect_err("it cannot be used").to_string()
    };
    assert!(error(missing).contains("cannot read the recording"));
    assert!(error(file(b"{\"a\":1}\nnot json\n", "bad.jsonl")).contains("bad.jsonl line 2: expected one JSON object"));
    assert!(error(file(b"\n\n", "empty.jsonl")).contains("found none"));
}
