//! Answers that are no stream, streams that break off or bring nothing, and how long the source waits then.

use std::time::{Duration, Instant};

use lakehead_connector_api::{Activity, Error, Reader, Resume, SourceSpec, StreamResume};
use lakehead_model::Name;
use lakehead_testkit::{Act, Upstream, VecTail};
use serde_json::json;

use super::{
    super::Sse,
    world::{STREAM, World, clock, feed_of, last_event_id, none, run, taken},
};

const SECRET: &str = "tops3cret";

#[test]
fn each_answer_that_is_no_stream_says_what_to_do_next_and_no_secret() {
    let page = "<html>login tops3cret</html>";
    for (status, headers, kind, wanted) in [
        ("400 Bad Request", "", "invalid", "answered 400"),
        ("401 Unauthorized", "WWW-Authenticate: Bearer\r\n", "invalid", "set headers"),
        ("403 Forbidden", "", "invalid", "set headers"),
        ("404 Not Found", "", "invalid", "check url"),
        ("410 Gone", "", "invalid", "check url"),
        ("200 OK", "Content-Type: text/html\r\n", "away", "expected text/event-stream"),
        ("200 OK", "", "away", "no content type"),
        ("200 OK", "Content-Type: application/json\r\n", "away", "application/json"),
        ("206 Partial Content", "Content-Type: text/event-stream\r\n", "away", "206"),
        ("200 OK", "Content-Type: text/event-stream\r\nContent-Encoding: br\r\n", "away", "Content-Encoding \"br\""),
        ("302 Found", "Location: http://127.0.0.2:9/t\r\n", "away", "127.0.0.2"),
        ("302 Found", "Location: /feed?token=tops3cret\r\n", "away", "in a circle"),
        ("502 Bad Gateway", "Content-Type: text/html\r\n", "away", "answered 502"),
    ] {
        run(async {
            let upstream = Upstream::start(move |_, _| vec![Act::answer(status, headers, page)]).await;
            let settings = json!({ "headers": { "Authorization": format!("Bearer {SECRET}"), "X-Key": SECRET } });
            let mut world = World::new(&upstream.url(&format!("/feed?token={SECRET}")), &settings);
            let error = world.error().await;
            let is_invalid = matches!(error, Error::Invalid(_));
            assert_eq!(is_invalid, kind == "invalid", "{status}: {error:?}");
            let text = format!("{error} {error:?} {:?}", world.settings.get("url"));
            assert!(error.to_string().contains(wanted), "{error}");
            // A redirect within the feed shows where it leads.
            assert!(headers.contains(SECRET) || !error.to_string().contains(SECRET), "{text}");
            assert!(upstream.requests()[0].contains(&format!("authorization: Bearer {SECRET}")));
            assert!(upstream.requests()[0].contains(&format!("GET /feed?token={SECRET}")));
            assert!(upstream.requests().len() < 10);
        });
    }
}

#[test]
fn headers_do_not_follow_to_another_port() {
    run(async {
        let thief = Upstream::start(|_, _| vec![Act::send(STREAM), Act::Hang]).await;
        let to = thief.url("/feed");
        let upstream = Upstream::start(move |_, _| {
            vec![Act::answer("307 Temporary Redirect", &format!("Location: {to}\r\n"), "")]
        })
        .await;
        let mut world = World::new(&upstream.url("/feed"), &json!({ "headers": { "X-Key": SECRET } }));
        let error = world.error().await;
        assert!(error.to_string().contains("another host or port"), "{error}");
        assert!(thief.requests().is_empty());
    });
}

#[test]
fn a_redirect_on_the_same_host_and_port_is_followed_with_headers_and_id() {
    run(async {
        let upstream = Upstream::start(|_, head| match head.starts_with("GET /feed ") {
            true => vec![Act::answer("307 Temporary Redirect", "Location: /v2/feed\r\n", "")],
            false => vec![Act::send(STREAM), Act::send("data: 1\n\n"), Act::Hang],
        })
        .await;
        let settings = json!({ "headers": { "Authorization": SECRET }, "start_after": "5" });
        let mut world = World::new(&upstream.url("/feed"), &settings);
        world.run(1, false).await;
        let second = upstream.requests().pop().expect("a request");
        assert!(second.contains(SECRET) && last_event_id(&second) == Some("5"), "{second}");
    });
}

#[test]
fn a_busy_feed_is_left_alone_for_as_long_as_it_asks() {
    for (status, headers, wait) in [
        ("429 Too Many Requests", "Retry-After: 7\r\n", Some(7)),
        ("503 Service Unavailable", "Retry-After: 999999\r\n", Some(3_600)),
        (
            "503 Service Unavailable",
            "Date: Sat, 28 Nov 2026 11:30:00 GMT\r\nRetry-After: Sat, 28 Nov 2026 11:30:30 GMT\r\n",
            Some(30),
        ),
        ("503 Service Unavailable", "Retry-After: soon\r\n", None),
    ] {
        run(async {
            let upstream = Upstream::start(move |_, _| vec![Act::answer(status, headers, "")]).await;
            let error = World::new(&upstream.url("/feed"), &none()).error().await;
            let wait = wait.map(Duration::from_secs);
            assert!(matches!(&error, Error::Unavailable { retry_after, .. } if *retry_after == wait), "{error:?}");
        });
    }
}

#[test]
fn the_feeds_own_retry_is_kept_between_connections() {
    run(async {
        let first = "retry: 300\nid: 1\ndata: 1\n\n".to_owned();
        let upstream = feed_of(vec![first, "retry: x\nid: 2\ndata: 2\n\n".to_owned()]).await;
        let mut world = World::new(&upstream.url("/feed"), &none());
        let begun = Instant::now();
        world.run(2, false).await;
        assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
    });
    run(async {
        // Also where the engine does the waiting.
        let upstream = feed_of(vec!["retry: 99999999\n\n".to_owned(), String::new()]).await;
        let error = World::new(&upstream.url("/feed"), &none()).error().await;
        let wait = Some(Duration::from_secs(60));
        assert!(matches!(&error, Error::Unavailable { retry_after, .. } if *retry_after == wait), "{error:?}");
    });
}

#[test]
fn a_hang_up_without_an_event_and_silence_are_the_feed_being_away() {
    run(async {
        for (acts, wanted) in [
            (vec![Act::send(STREAM)], "hung up without anything new"),
            (vec![Act::send(STREAM), Act::Reset], "hung up without anything new"),
            (vec![Act::send(STREAM), Act::Hang], "sent nothing for 1s (silence_max)"),
            (
                vec![Act::send(STREAM), Act::send("data: {\"a\":"), Act::Hang],
                "sent no whole event for 1s (silence_max), though 11",
            ),
            (vec![Act::send("HTTP/1.1 200 OK\r\nContent-Ty")], "cannot be reached"),
            (vec![Act::send("\u{0}\u{1} this is no HTTP\r\n\r\n")], "cannot be reached"),
        ] {
            let upstream = Upstream::start(move |_, _| acts.clone()).await;
            let error = World::new(&upstream.url("/feed"), &json!({ "silence_max": "1s" })).error().await;
            assert!(matches!(&error, Error::Unavailable { what, .. } if what.contains(wanted)), "{error}");
        }
        let error = World::new("http://127.0.0.1:1/feed?a=tops3cret", &none()).error().await;
        assert!(matches!(&error, Error::Unavailable { what, .. } if what.contains("cannot be reached")), "{error}");
        assert!(!error.to_string().contains(SECRET), "{error}");
    });
}

#[test]
fn what_was_taken_before_an_error_is_handed_over_before_it() {
    run(async {
        let text = "id: 1\ndata: 1\n\ndata: {";
        let upstream = Upstream::start(move |n, _| match n {
            0 => vec![Act::send(STREAM), Act::send(text)],
            _ => vec![Act::answer("401 Unauthorized", "", "")],
        })
        .await;
        let mut world = World::new(&upstream.url("/feed"), &none());
        let error = world.error().await;
        assert!(matches!(&error, Error::Invalid(_)), "{error}");
        assert_eq!((world.events(), last_event_id(&upstream.requests()[1])), (vec!["1".to_owned()], Some("1")));
    });
}

#[test]
fn only_events_of_these_names_are_taken() {
    run(async {
        let text = "event: order\ndata: 1\n\ndata: 2\n\nevent: ping\ndata: no JSON\n\nevent: message\ndata: 3\n\nevent: Order\n\
                    data: 4\n\nevent: refund\ndata: 5\n\nevent:\ndata: 6\n\nevent: order\nevent: ping\ndata: 7\n\n";
        for (settings, events) in [
            (json!({ "events": ["order", "refund"] }), "1,5"),
            (json!({ "events": ["message"] }), "2,3,6"),
            (none(), "1,2,3,4,5,6,7"),
        ] {
            let world = taken(text, &settings, events.split(',').count()).await;
            assert_eq!(world.events().join(","), events);
            assert_eq!(world.rejects.len(), usize::from(settings == none()));
        }
    });
}

#[test]
fn it_is_live_once_a_second_brings_nothing_and_catches_up_before() {
    run(async {
        let upstream = Upstream::start(|_, _| vec![Act::send(STREAM), Act::send("data: 1\n\n"), Act::Hang]).await;
        for (settings, activities) in [
            (json!({ "start_after": "0" }), vec![Activity::CatchingUp, Activity::Live]),
            (none(), vec![Activity::Live]),
        ] {
            let world = World::new(&upstream.url("/feed"), &settings);
            let mut source = world.open().await.expect("it opens");
            let mut found = Vec::new();
            while found.len() < activities.len() {
                found.extend(source.next().await.expect("no error").expect("no end").activity);
            }
            assert_eq!(found, activities);
        }
    });
}

#[test]
fn a_cursor_that_cannot_be_read_is_corrupt_and_two_streams_are_refused() {
    run(async {
        let mut world = World::new("http://127.0.0.1:1/feed", &none());
        world.cursor = Some(lakehead_model::Cursor { position: "17".into(), progress: None });
        let error = world.open().await.err().expect("an error");
        assert!(matches!(&error, Error::Corrupt(_)), "{error}");
        let stream = |name: &str| StreamResume {
            stream: Name::new(name).expect("a name"),
            cursor: None,
            event_time: Vec::new(),
            tail: Box::new(VecTail::default()),
        };
        let resume = Resume { name: "s".into(), streams: vec![stream("a"), stream("b")], clock: clock() };
        let error = (SourceSpec::of::<Sse>().open)(world.settings, resume).await.err().expect("an error");
        assert!(matches!(&error, Error::Invalid(what) if what.contains("one stream")), "{error}");
    });
}
