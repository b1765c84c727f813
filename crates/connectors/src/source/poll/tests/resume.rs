//! Stops at every step: what was committed does not come again, and what was not comes.

use futures::future::poll_immediate;
use lakehead_connector_api::{Error, Reader as _};
use lakehead_testkit::Act;
use serde_json::json;

use super::world::{Shore, api, is_at_work, next, ok, settings, weather};

/// A list that fills some six chunks.
fn list(marks: &str) -> (Vec<String>, String) {
    let events: Vec<String> = (0..70).map(|n| weather(marks, n, &"1".repeat(20_000))).collect();
    let body = format!("{{\"list\":[{}]}}", events.join(","));
    (events, body)
}

#[tokio::test]
async fn a_long_answer_that_was_committed_by_half_goes_on_where_it_was() {
    let (events, body) = list("a");
    let api = api(move |_, _| ok(&body)).await;
    for committed in 0..8 {
        let mut shore = Shore::new(settings(&api, &["a"]));
        shore.set("events", json!("list"));
        let mut poller = shore.open();
        for _ in 0..committed {
            if !is_at_work(&mut poller).await {
                break;
            }
            let chunk = next(&mut poller).await.expect("no error");
            shore.commit(chunk);
        }
        let held = shore.log.len() as u64;
        poller = shore.open();
        shore.until_idle(&mut poller).await.expect("no error");
        assert!(shore.events() == events, "stopped after {committed} chunks: every event once, in order");
        let again = if held < 70 { held } else { 0 };
        assert_eq!(shore.duplicates, again, "what came again is counted");
        shore.set("changed", json!(true));
    }
}

#[tokio::test]
async fn an_answer_that_changed_in_between_is_another_one() {
    let ((first, one), (second, other)) = (list("a"), list("b"));
    let api = api(move |n, _| ok(if n == 0 { &one } else { &other })).await;
    let mut shore = Shore::new(settings(&api, &["a"]));
    shore.set("events", json!("list"));
    let mut poller = shore.open();
    let chunk = next(&mut poller).await.expect("no error");
    shore.commit(chunk);
    let held = shore.log.len();
    poller = shore.open();
    shore.until_idle(&mut poller).await.expect("no error");
    assert!(held > 0 && shore.events() == [&first[..held], &second[..]].concat(), "as the manual says");
    assert!(!shore.cursor.expect("a cursor").position.contains("part"), "nothing is under way any more");
}

#[tokio::test]
async fn an_answer_that_was_not_committed_is_asked_for_again() {
    let api = api(|n, query| ok(weather(&query["q"], n as i64, "7"))).await;
    let mut shore = Shore::new(settings(&api, &["a"]));
    drop(next(&mut shore.open()).await.expect("no error"));
    let mut poller = shore.open();
    shore.until_idle(&mut poller).await.expect("no error");
    assert_eq!(shore.events(), [weather("a", 1, "7")], "what the API says by then");
    let mut poller = shore.open();
    assert!(!is_at_work(&mut poller).await, "it is not due");
    assert_eq!(api.requests().len(), 2);
}

#[tokio::test]
async fn a_call_that_is_dropped_at_any_step_loses_nothing() {
    let api = api(|n, query| ok(weather(&query["q"], n as i64, "7"))).await;
    let mut shore = Shore::new(settings(&api, &["a", "b", "c", "d"]));
    let mut poller = shore.open();
    while shore.log.len() < 4 {
        // Each call is dropped after one step.
        match poll_immediate(poller.next()).await {
            Some(chunk) => shore.commit(chunk.expect("no error").expect("it never ends")),
            None => tokio::task::yield_now().await,
        }
    }
    let expected: Vec<String> = ["a", "b", "c", "d"].iter().zip(0..).map(|(city, n)| weather(city, n, "7")).collect();
    assert_eq!((shore.events(), api.requests().len()), (expected, 4), "each was asked once");
}

#[tokio::test]
async fn an_answer_that_is_cut_at_any_byte_is_no_event() {
    let body = weather("a", 1, "7");
    let whole = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let bytes = whole.len();
    let api = api(move |n, _| vec![Act::send(&whole.as_bytes()[..n])]).await;
    for n in 0..bytes {
        let mut shore = Shore::new(settings(&api, &["a"]));
        let mut poller = shore.open();
        let error = shore.until_idle(&mut poller).await.expect_err("it is cut");
        assert!(matches!(&error, Error::Unavailable { .. }), "cut after {n} bytes: {error}");
        assert_eq!((shore.log.len(), shore.rejects.len()), (0, 0), "cut after {n} bytes");
    }
    let mut shore = Shore::new(settings(&api, &["a"]));
    let mut poller = shore.open();
    let ended = shore.until_idle(&mut poller).await;
    assert!(ended.is_err() || shore.events() == [body]);
}

#[tokio::test]
async fn cities_that_come_and_go_leave_the_others_where_they_were() {
    let api = api(|n, query| ok(weather(&query["q"], n as i64, "7"))).await;
    let mut shore = Shore::new(settings(&api, &["a", "b"]));
    let mut poller = shore.open();
    shore.until_idle(&mut poller).await.expect("no error");
    shore.set("each", json!({ "city": ["c", "b"] }));
    shore.set("secrets", json!({ "key": "another-secret" }));
    let mut poller = shore.open();
    shore.until_idle(&mut poller).await.expect("no error");
    assert_eq!(shore.events(), [weather("a", 0, "7"), weather("b", 1, "7"), weather("c", 2, "7")]);
    shore.set("each", json!({ "city": ["a"] }));
    let mut poller = shore.open();
    assert!(is_at_work(&mut poller).await, "one that was gone begins again");
}
