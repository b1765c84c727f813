//! Each fault shows, and a client that comes back gets past it.

use lakehead_simulator::{Faults, Options};
use serde_json::Value;

use crate::common::{EQIAD, Frame, STREAM, Upstream, at_once, event, generator, start};

async fn with(faults: &[&str], events: u64) -> Upstream {
    let faults = Faults::parse(faults.iter().copied()).expect("faults that can be read");
    start(Options { faults, ..at_once(events) }).await
}

async fn all(upstream: &Upstream, count: usize) -> Vec<Frame> {
    upstream.events(STREAM, &[], count).await
}

fn asking(offset: u64) -> String {
    format!("[{{\"topic\":\"{EQIAD}\",\"partition\":0,\"offset\":{offset}}}]")
}

#[tokio::test]
async fn a_hole_stays_and_a_hole_once_is_filled_the_second_time() {
    let upstream = with(&["hole=5,7..9", "hole-once=20"], 40).await;
    let first: Vec<u64> = all(&upstream, 36).await.iter().map(Frame::offset).collect();
    let second: Vec<u64> = all(&upstream, 37).await.iter().map(Frame::offset).collect();
    let offsets = |without: &[u64]| -> Vec<u64> {
        (0..40).filter(|n| !without.contains(n)).map(|n| generator().offset(n)).collect()
    };
    assert_eq!(first, offsets(&[5, 7, 8, 20]));
    assert_eq!(second, offsets(&[5, 7, 8]));
}

#[tokio::test]
async fn a_cut_leaves_part_of_a_frame_and_happens_once() {
    for (fault, ends_inside) in
        [("cut-inside-frame=12", "\ndata: {"), ("cut-inside-character=12", "\ndata: {"), ("cut-after-id=12", "\nid: [")]
    {
        let upstream = with(&[fault], 30).await;
        let mut response = upstream.get(STREAM, &[]).await;
        let (body, whole) = response.until_closed().await;
        assert!(!whole, "{fault}");
        assert_eq!(crate::common::frames(&body).len(), 12, "{fault}");
        let last = body.windows(2).rposition(|pair| pair == b"\n\n").expect("frames before");
        let rest = String::from_utf8_lossy(&body[last..]).into_owned();
        assert!(rest.contains(ends_inside), "{fault}: {rest}");
        assert_eq!(fault.contains("after-id"), rest.ends_with('\n'), "{fault}: {rest}");
        assert_eq!(all(&upstream, 30).await.len(), 30, "{fault}");
    }
}

#[tokio::test]
async fn a_cut_can_fall_inside_a_character() {
    let generator = generator();
    let wide = (0..100).find(|n| !event(&generator, *n).is_ascii()).expect("an event with other letters");
    let upstream = with(&[&format!("cut-inside-character={wide}")], 100).await;
    let (body, _) = upstream.get(STREAM, &[]).await.until_closed().await;
    let error = std::str::from_utf8(&body).expect_err("the last character is not whole");
    assert_eq!(error.error_len(), None, "it is cut, not wrong");
}

#[tokio::test]
async fn a_duplicate_is_the_same_frame_twice() {
    let frames = all(&with(&["duplicate=3"], 10).await, 11).await;
    assert_eq!(frames.len(), 11);
    assert_eq!(frames[3], frames[4]);
}

#[tokio::test]
async fn silence_keeps_the_connection_open() {
    let upstream = with(&["silence=4:1h"], 10).await;
    let mut response = upstream.get(STREAM, &[]).await;
    assert_eq!(response.frames(4).await.len(), 4);
    assert!(response.is_silent().await && !response.closed);
    assert_eq!(all(&upstream, 10).await.len(), 10, "whoever comes back hears all");
}

#[tokio::test]
async fn connections_are_refused_with_429_and_503() {
    let upstream = with(&["too-many-requests=1:7s", "unavailable=2"], 3).await;
    let mut first = upstream.get(STREAM, &[]).await;
    assert_eq!((first.status, first.header("retry-after")), (429, Some("7")));
    assert_eq!(first.body().await["type"], "too_many_requests");
    let second = upstream.get(STREAM, &[]).await;
    assert_eq!((second.status, second.header("content-type")), (503, Some("text/html; charset=utf-8")));
    assert_eq!(all(&upstream, 3).await.len(), 3);
}

#[tokio::test]
async fn contents_go_wrong_where_they_are_told_to() {
    let faults = ["not-json=1", "huge=2:3 MB", "no-time=3", "wrong-types=4", "canary=5"];
    let frames = all(&with(&faults, 10).await, 10).await;
    assert!(serde_json::from_slice::<Value>(&frames[1].data).is_err());
    assert!(std::str::from_utf8(&frames[1].data).is_ok());
    assert!(frames[2].data.len() > 3_000_000 && frames[2].json()["comment"].is_string());
    let timeless = frames[3].json();
    assert!(timeless.get("timestamp").is_none() && timeless["meta"].get("dt").is_none());
    let odd = frames[4].json();
    assert!(odd["namespace"].is_string() && odd["timestamp"].is_string() && odd["bot"].is_string());
    let canary = frames[5].json();
    assert_eq!((canary["meta"]["domain"].as_str(), canary.get("type")), (Some("canary"), None));
    assert_eq!(frames[5].offset(), generator().offset(5));
    for n in [0, 6, 9] {
        assert_eq!(frames[n as usize].data, event(&generator(), n), "the others are as they are");
    }
}

#[tokio::test]
async fn an_error_event_ends_the_stream_in_order() {
    let upstream = with(&["error-event=6"], 10).await;
    let (body, whole) = upstream.get(STREAM, &[]).await.until_closed().await;
    let frames = crate::common::frames(&body);
    assert!(whole);
    assert_eq!(frames.len(), 7);
    assert_eq!(frames[6].event, "error");
    assert_eq!(frames[6].id, frames[5].id, "positions are of what was delivered");
    assert_eq!(all(&upstream, 10).await.len(), 10);
}

#[tokio::test]
async fn the_second_cluster_has_other_offsets_for_the_same_events() {
    let upstream = with(&["second-cluster=alternate:-100"], 1_000).await;
    let first = all(&upstream, 300).await;
    let second = all(&upstream, 300).await;
    for (one, other) in first.iter().zip(&second) {
        assert_eq!(one.json()["meta"]["id"], other.json()["meta"]["id"]);
        assert_eq!(one.offset() - 100, other.offset());
    }
    // The third connection is the first cluster's again; the fourth takes the offset for another event.
    let held = first[200].offset();
    let third = upstream.events(STREAM, &[("Last-Event-ID", &asking(held))], 1).await;
    let fourth = upstream.events(STREAM, &[("Last-Event-ID", &asking(held))], 1).await;
    assert_eq!(third[0].json()["meta"]["id"], first[200].json()["meta"]["id"]);
    assert_eq!(fourth[0].offset(), held);
    assert_ne!(fourth[0].json()["meta"]["id"], first[200].json()["meta"]["id"]);
}

#[tokio::test]
async fn a_far_second_cluster_answers_from_the_end() {
    let upstream = with(&["second-cluster=after-100"], 1_000).await;
    let held = all(&upstream, 1_000).await[500].offset();
    let mut response = upstream.get(STREAM, &[("Last-Event-ID", &asking(held))]).await;
    assert!(response.frames(0).await.is_empty() && response.is_silent().await);
}
