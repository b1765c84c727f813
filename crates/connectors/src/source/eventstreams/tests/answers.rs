//! Answers that are no stream, streams that break off or bring nothing, frames that are no events.

use std::time::Duration;

use lakehead_connector_api::{Error, Reader};
use lakehead_testkit::{Act, Upstream, VecTail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    kafka::{Kafka, topics},
    world::{ALIKE, feed, feed_with, run},
};

#[test]
fn each_answer_that_is_no_stream_says_what_to_do_next() {
    run(async {
        let answers = [
            (
                "400 Bad Request",
                "",
                r#"{"title":"Stream Not Found","detail":"Invalid streams: t"}"#,
                "Invalid streams: t",
            ),
            ("403 Forbidden", "", "", "contact"),
            ("404 Not Found", "", r#"{"message":"topic x is not available"}"#, "topic x"),
        ];
        for (status, headers, body, wanted) in answers {
            let upstream = Upstream::start(move |_, _| vec![Act::answer(status, headers, body)]).await;
            let mut feed = feed(&upstream.url("/t"), None, &VecTail::default()).expect("it opens");
            let error = feed.next().await.expect_err(status);
            assert!(matches!(&error, Error::Invalid(what) if what.contains(wanted)), "{error}");
        }
        let busy = |_: usize, _: &str| vec![Act::answer("429 Too Many Requests", "Retry-After: 7\r\n", "")];
        let upstream = Upstream::start(busy).await;
        let error = feed(&upstream.url("/t"), None, &VecTail::default()).expect("it opens").next().await;
        let wait = Some(Duration::from_secs(7));
        assert!(matches!(&error, Err(Error::Unavailable { retry_after, .. }) if *retry_after == wait), "{error:?}");
        let head = &upstream.requests()[0];
        assert!(head.contains("user-agent: Lakehead/") && head.contains("(no contact set)"), "{head}");
        let page = |_: usize, _: &str| vec![Act::answer("200 OK", "Content-Type: text/html\r\n", "<html>")];
        let upstream = Upstream::start(page).await;
        let error = feed(&upstream.url("/t"), None, &VecTail::default()).expect("it opens").next().await;
        assert!(matches!(&error, Err(Error::Unavailable { what, .. }) if what.contains("text/html")), "{error:?}");
    });
}

#[test]
fn an_error_frame_and_a_hang_up_without_an_event_and_silence_are_the_upstream_being_away() {
    run(async {
        let cases: [(Vec<Act>, &str); 3] = [
            (vec![Act::stream(), Act::send("event: error\ndata: {\"message\":\"broker down\"}\n\n")], "broker down"),
            (vec![Act::stream()], "hung up without an event"),
            (vec![Act::stream(), Act::Hang], "sent nothing for 1s (silence_max)"),
        ];
        for (acts, wanted) in cases {
            let upstream = Upstream::start(move |_, _| acts.clone()).await;
            let settings = serde_json::json!({ "url": upstream.url("/t"), "silence_max": "1s" });
            let mut feed = feed_with(settings, None, &VecTail::default()).expect("it opens");
            let error = loop {
                if let Err(error) = feed.next().await {
                    break error;
                }
            };
            assert!(matches!(&error, Error::Unavailable { what, .. } if what.contains(wanted)), "{error}");
        }
    });
}

/// An upstream that sends `piece` for ever, and never anything else.
async fn endless(piece: &'static str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/t", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.read(&mut [0; 4096]).await;
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
            let mut sent = socket.write_all(head.as_bytes()).await;
            while sent.is_ok() {
                sent = socket.write_all(piece.repeat(1_000).as_bytes()).await;
            }
        }
    });
    url
}

#[test]
fn bytes_that_never_end_an_event_are_silence() {
    for piece in ["data: {\n", "id: 1\n\n", "data\n\n", ": x", "x"] {
        run(async {
            let settings = serde_json::json!({ "url": endless(piece).await, "silence_max": "1s" });
            let mut feed = feed_with(settings, None, &VecTail::default()).expect("it opens");
            let error = feed.next().await.expect_err("nothing but bytes came");
            let wanted = "sent no whole event for 1s (silence_max), though ";
            assert!(matches!(&error, Error::Unavailable { what, .. } if what.contains(wanted)), "{piece:?}: {error}");
        });
    }
}

#[test]
fn whole_comments_keep_a_quiet_connection_for_longer_than_silence_may_last() {
    run(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/t", listener.local_addr().expect("an address"));
        // It takes one connection and no other.
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.expect("a connection");
            let _ = socket.read(&mut [0; 4096]).await;
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
            socket.write_all(head.as_bytes()).await.expect("taken");
            for _ in 0..8 {
                tokio::time::sleep(Duration::from_millis(300)).await;
                socket.write_all(b":\r\n\r\n: still here\n\n").await.expect("taken");
            }
            socket.write_all(ALIKE.as_bytes()).await.expect("taken");
            std::future::pending::<()>().await;
        });
        let settings = serde_json::json!({ "url": url, "silence_max": "1s" });
        let mut feed = feed_with(settings, None, &VecTail::default()).expect("it opens");
        let chunk = feed.next().await.expect("no silence").expect("no end");
        assert_eq!(chunk.events.len(), 1);
    });
}

#[test]
fn events_that_come_in_one_read_with_an_error_frame_are_kept_before_it_is_reported() {
    run(async {
        let kafka = Kafka { topics: topics(20), ..Kafka::default() };
        let mut text = String::new();
        (0..3).for_each(|place| kafka.frame(0, 0, place, &mut text));
        text.push_str("event: error\ndata: {\"message\":\"broker down\"}\n\n");
        let upstream = Upstream::start(move |_, _| vec![Act::stream(), Act::send(text.clone())]).await;
        let mut feed = feed(&upstream.url("/t"), None, &VecTail::default()).expect("it opens");
        let chunk = feed.next().await.expect("first what was taken").expect("no end");
        assert_eq!((chunk.events.len(), chunk.cursor.is_some()), (3, true));
        let error = feed.next().await.expect_err("then the error");
        assert!(matches!(&error, Error::Unavailable { what, .. } if what.contains("broker down")), "{error}");
    });
}

#[test]
fn an_upstream_that_hangs_up_after_each_event_is_asked_ever_more_slowly() {
    // Whatever else comes with it is not worth a connection: comments, frames that are refused.
    let huge = "x".repeat(100 << 10);
    let refused = format!("id: {}\ndata: {{\"a\":1}}\n\n", "x".repeat(5 << 20));
    for beside in ["", format!(": {huge}\n\n").as_str(), refused.as_str()] {
        run(async {
            let kafka = Kafka { topics: topics(1_000), ..Kafka::default() };
            let (beside, padding) = (beside.to_owned(), beside.len());
            let one = move |n: usize, _: &str| {
                let mut text = beside.clone();
                kafka.frame(0, 0, n as u64, &mut text);
                vec![Act::stream(), Act::send(text)]
            };
            let upstream = Upstream::start(one).await;
            let mut feed = feed(&upstream.url("/t"), None, &VecTail::default()).expect("it opens");
            let begun = std::time::Instant::now();
            let mut events = 0;
            while events < 9 {
                events += feed.next().await.expect("it brings something each time").expect("no end").events.len();
            }
            // The first two follow at once; then 1, 2, 4 … 64 ms.
            assert!(begun.elapsed() >= Duration::from_millis(127), "{padding} bytes beside: {:?}", begun.elapsed());
            assert_eq!(feed.not_before.map(|at| at > tokio::time::Instant::now()), Some(true), "the next has to wait");
        });
    }
}

#[test]
fn a_frame_whose_id_or_name_passes_the_limit_is_refused_and_the_rest_goes_on() {
    run(async {
        let kafka = Kafka { topics: topics(20), ..Kafka::default() };
        let (mut before, mut after) = (String::new(), String::new());
        kafka.frame(0, 0, 0, &mut before);
        kafka.frame(0, 0, 3, &mut after);
        let huge = "x".repeat(5 << 20);
        let lines = [
            format!("id: {huge}\ndata: {{\"a\":1}}\n\n"),
            format!("event: {huge}\ndata: {{\"a\":2}}\n\n"),
            format!(": {huge}\n\n"),
        ];
        let text = format!("{before}{}{after}", lines.concat());
        let upstream = Upstream::start(move |_, _| vec![Act::stream(), Act::send(text.clone()), Act::Hang]).await;
        let mut feed = feed(&upstream.url("/t"), None, &VecTail::default()).expect("it opens");
        let (mut events, mut rejects) = (0, Vec::new());
        while events < 2 {
            let chunk = feed.next().await.expect("no error").expect("no end");
            events += chunk.events.len();
            rejects.extend(chunk.rejects);
            let lacks = &chunk.discontinuities;
            assert!(lacks.is_empty(), "the refused account for what is missing: {lacks:?}");
        }
        assert_eq!(rejects.len(), 2, "not the comment: {rejects:?}");
        for reject in &rejects {
            assert!(reject.reason.contains("event_bytes_max") && reject.reason.len() < 2_000, "{}", reject.reason);
        }
    });
}

#[test]
fn the_media_type_is_compared_as_media_types_are() {
    run(async {
        let kafka = Kafka { topics: topics(20), ..Kafka::default() };
        let mut text = String::new();
        kafka.frame(0, 0, 0, &mut text);
        for named in ["Text/Event-Stream", "text/event-stream;charset=UTF-8", "TEXT/EVENT-STREAM ; a=b"] {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {named}\r\n\r\n{text}");
            let upstream = Upstream::start(move |_, _| vec![Act::send(head.clone()), Act::Hang]).await;
            let mut feed = feed(&upstream.url("/t"), None, &VecTail::default()).expect("it opens");
            assert_eq!(feed.next().await.expect(named).expect("no end").events.len(), 1);
        }
    });
}

#[test]
fn what_only_looks_like_a_stream_is_said_and_tried_again() {
    run(async {
        let cases = [
            ("200 OK", "Content-Type: text/event-stream-not\r\n", "expected text/event-stream"),
            ("200 OK", "Content-Type: text/event-stream\r\nContent-Encoding: br\r\n", "Content-Encoding"),
            ("204 No Content", "", "204"),
            ("302 Found", "Location: http://127.0.0.2:9/t\r\n", "127.0.0.2"),
            ("302 Found", "Location: /t\r\n", "in a circle"),
        ];
        for (status, headers, wanted) in cases {
            let upstream = Upstream::start(move |_, _| vec![Act::answer(status, headers, "")]).await;
            let error = feed(&upstream.url("/t"), None, &VecTail::default()).expect("it opens").next().await;
            assert!(matches!(&error, Err(Error::Unavailable { what, .. }) if what.contains(wanted)), "{error:?}");
            assert!(upstream.requests().len() < 10);
        }
    });
}
