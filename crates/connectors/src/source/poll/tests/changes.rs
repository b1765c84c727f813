//! Answers that are the same as the one before, conditional requests, what is put into events.

use serde_json::json;

use super::world::{Shore, answer, api, ok, settings, weather};
use std::time::Duration;

#[tokio::test]
async fn an_answer_as_before_is_no_event_again_and_is_counted() {
    let api = api(|n, query| ok(weather(&query["q"], if n < 4 { 1 } else { 2 }, "7"))).await;
    let mut shore = Shore::new(settings(&api, &["a", "b"]));
    shore.set("changed", json!(true));
    let mut poller = shore.open();
    for round in 1..=3_u64 {
        shore.until_idle(&mut poller).await.expect("no error");
        assert_eq!(api.requests().len() as u64, 2 * round, "each once in a round");
        shore.clock.advance(Duration::from_secs(600));
        // What was seen is in the cursor.
        poller = shore.open();
    }
    let events = [weather("a", 1, "7"), weather("b", 1, "7"), weather("a", 2, "7"), weather("b", 2, "7")];
    assert_eq!((shore.events(), shore.duplicates), (events.to_vec(), 2));
}

#[tokio::test]
async fn without_a_look_for_changes_each_answer_is_an_event() {
    let api = api(|_, query| answer("200 OK", "ETag: \"a\"\r\n", weather(&query["q"], 1, "7"))).await;
    let mut shore = Shore::new(settings(&api, &["a"]));
    let mut poller = shore.open();
    for _ in 0..3 {
        shore.until_idle(&mut poller).await.expect("no error");
        shore.clock.advance(Duration::from_secs(600));
    }
    assert_eq!((shore.log.len(), shore.duplicates), (3, 0));
    assert!(api.requests().iter().all(|head| !head.contains("if-none-match")), "{:?}", api.requests());
}

#[tokio::test]
async fn only_the_values_at_the_paths_tell_a_change() {
    let api = api(|n, query| ok(weather(&query["q"], n as i64 / 2, &format!("{n}.5")))).await;
    let mut shore = Shore::new(settings(&api, &["a"]));
    shore.set("changed", json!(["dt", "name"]));
    let mut poller = shore.open();
    for _ in 0..4 {
        shore.until_idle(&mut poller).await.expect("no error");
        shore.clock.advance(Duration::from_secs(600));
    }
    assert_eq!((shore.events(), shore.duplicates), (vec![weather("a", 0, "0.5"), weather("a", 1, "2.5")], 2));
}

#[tokio::test]
async fn a_server_is_asked_for_what_is_new_by_its_own_name_for_the_answer() {
    for (header, value, asks) in [
        ("ETag", "W/\"v1\"", "if-none-match: W/\"v1\"\r\n"),
        ("Last-Modified", "Sat, 28 Nov 2026 11:30:00 GMT", "if-modified-since: Sat, 28 Nov 2026 11:30:00 GMT\r\n"),
    ] {
        let named = format!("{header}: {value}\r\n");
        let api = api(move |n, query| match n {
            0 | 2 => answer("200 OK", &named, weather(&query["q"], n as i64, "7")),
            _ => answer("304 Not Modified", "", ""),
        })
        .await;
        let mut shore = Shore::new(settings(&api, &["a"]));
        shore.set("changed", json!(true));
        for _ in 0..4 {
            let mut poller = shore.open();
            shore.until_idle(&mut poller).await.expect("no error");
            shore.clock.advance(Duration::from_secs(600));
        }
        let conditional: Vec<bool> = api.requests().iter().map(|head| head.contains(asks)).collect();
        assert_eq!(conditional, [false, true, true, true], "{:?}", api.requests());
        assert_eq!((shore.log.len(), shore.duplicates), (2, 2));
    }
}

#[tokio::test]
async fn what_was_asked_is_put_into_events_where_that_is_wanted_and_is_no_change() {
    let api = api(|_, query| ok(format!("{{\"list\":[{}, 7]}}", weather(&query["q"], 1, "7.10")))).await;
    let mut shore = Shore::new(settings(&api, &["a"]));
    for (key, value) in [("changed", json!(true)), ("events", json!("list")), ("request_key", json!("request"))] {
        shore.set(key, value);
    }
    let mut poller = shore.open();
    for _ in 0..2 {
        shore.until_idle(&mut poller).await.expect("no error");
        shore.clock.advance(Duration::from_secs(600));
    }
    let as_answered = weather("a", 1, "7.10");
    let expected = format!("{{\"request\":{{\"asked\":\"2026-11-30T12:00:00Z\",\"city\":\"a\"}},{}", &as_answered[1..]);
    assert_eq!((shore.events(), shore.duplicates), (vec![expected], 2));
    assert!(shore.rejects.len() == 1 && shore.rejects[0].reason.contains("no object"), "{:?}", shore.rejects);
    assert!(shore.rejects[0].position.ends_with("asked 2026-11-30T12:00:00Z, event 1"), "{:?}", shore.rejects);
}
