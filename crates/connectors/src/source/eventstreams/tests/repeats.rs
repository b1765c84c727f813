//! Events and refusals that come again, or only look so; and partitions that are too many to be followed.

use std::{collections::BTreeMap, sync::Arc};

use lakehead_connector_api::Reader;
use lakehead_eventstreams_wire::{Data, Frame};
use lakehead_model::{Cursor, Reject, Timestamp};
use lakehead_testkit::{Act, ManualClock, Upstream, VecTail};

use super::{
    super::{
        cursor::{PARTITIONS_MAX, SavedCursor},
        intake::{Intake, Reads, Step},
        routes::Routes,
    },
    kafka::{Kafka, LIMIT, START, topics},
    world::{ALIKE, feed_with, resume, run},
};

/// What a source gave.
#[derive(Default)]
struct Given {
    events: u64,
    duplicates: u64,
    rejects: Vec<Reject>,
    cursor: Option<Cursor>,
}

/// Reads until so many events have come, be they new or not, from connections that bring `texts` in turn. The last hangs.
async fn given(settings: serde_json::Value, texts: Vec<String>, count: u64) -> Given {
    let last = texts.len() - 1;
    let upstream = Upstream::start(move |n, _| {
        let mut acts = vec![Act::stream(), Act::send(texts[n.min(last)].clone())];
        acts.extend((n >= last).then_some(Act::Hang));
        acts
    })
    .await;
    let mut settings = settings;
    settings["url"] = upstream.url("/t").into();
    let mut feed = feed_with(settings, None, &VecTail::default()).expect("it opens");
    let mut given = Given::default();
    while given.events + given.duplicates < count {
        let chunk = feed.next().await.expect("no error").expect("no end");
        given.events += chunk.events.len() as u64;
        given.duplicates += chunk.duplicates;
        given.rejects.extend(chunk.rejects);
        given.cursor = chunk.cursor.or(given.cursor);
    }
    given
}

fn alike(id: &str) -> String {
    format!("id: {id}\n{ALIKE}")
}

#[test]
fn events_that_only_look_alike_are_all_kept() {
    let frames: [fn(u64) -> String; 5] = [
        |_| ALIKE.to_owned(),
        |n| alike(&n.to_string()),
        |n| alike(&format!(r#"[{{"topic":"t","partition":0,"offset":{n}}}]"#)),
        |_| alike(r#"[{"topic":"t","partition":0,"timestamp":1}]"#),
        |n| format!("data: {{\"meta\":{{\"topic\":\"t\",\"partition\":0,\"offset\":{n}}}}}\n\n"),
    ];
    for (case, frame) in frames.into_iter().enumerate() {
        for since in [serde_json::json!("1h"), serde_json::Value::Null] {
            run(async {
                let text = (0..1_000).map(frame).collect();
                let given = given(serde_json::json!({ "since": since }), vec![text], 1_000).await;
                assert_eq!((given.events, given.duplicates), (1_000, 0), "{case}");
            });
        }
    }
}

#[test]
fn what_an_upstream_repeats_after_a_reconnect_is_dropped_and_counted() {
    run(async {
        let (since, now) = (serde_json::json!({ "since": "1h" }), serde_json::json!({ "since": null }));
        // Asked by a time, an upstream begins where it began before.
        let given_since = given(since, vec![ALIKE.repeat(3), ALIKE.repeat(5)], 8).await;
        assert_eq!((given_since.events, given_since.duplicates), (5, 3));
        // Asked from now on, it has nothing to repeat.
        let given_now = given(now.clone(), vec![ALIKE.repeat(3), ALIKE.repeat(5)], 8).await;
        assert_eq!((given_now.events, given_now.duplicates), (8, 0));
        // By its id an event is known wherever it comes; also when nothing new comes with it.
        let ids = [alike("7"), alike("8"), alike("9")].concat();
        let given_ids = given(now, vec![ids.clone(), ids], 6).await;
        assert_eq!((given_ids.events, given_ids.duplicates), (3, 3));
    });
}

#[test]
fn a_pause_ends_what_an_upstream_repeats() {
    run(async {
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(START)));
        let resume = resume("t", None, &VecTail::default());
        let names = vec!["t".to_owned()];
        let routes = Routes::new(&names, &BTreeMap::new(), std::slice::from_ref(&resume.stream)).expect("one stream");
        let reads = Reads { path: "t", names, routes, event_bytes_max: LIMIT, since: Timestamp::from_seconds(START) };
        let mut intake = Intake::new(reads, vec![resume], clock).expect("no cursor");
        let now = std::time::Instant::now();
        let take = async |intake: &mut Intake| {
            let frame = Frame { event: b"", id: None, retry: None, data: Data::Whole(br#"{"a":1}"#.into()) };
            assert_eq!(intake.take(&frame, now).await.expect("no error"), Step::Next);
        };
        let connect = async |intake: &mut Intake| assert_eq!(intake.connect(true).await.expect("no error"), None);
        connect(&mut intake).await;
        for _ in 0..3 {
            take(&mut intake).await;
        }
        connect(&mut intake).await;
        // It may only be slow to begin.
        intake.paused(now);
        take(&mut intake).await;
        intake.paused(now);
        take(&mut intake).await;
        let chunk = intake.hand_over(now).expect("events");
        assert_eq!((chunk.events.len(), chunk.duplicates), (4, 1));
    });
}

#[test]
fn what_is_refused_again_is_counted() {
    run(async {
        let given = given(serde_json::json!({}), vec!["data: {bad\n\n".repeat(3)], 2).await;
        assert_eq!((given.events, given.duplicates, given.rejects.len()), (0, 2, 1));
    });
}

#[test]
fn more_partitions_than_can_be_followed_are_told_once_and_all_events_kept() {
    run(async {
        let name = |n: u64| format!(r#"{{"topic":"t{n}","partition":0,"offset":1}}"#);
        let odd = |topics: u64| {
            let names: Vec<String> = (0..topics).map(name).collect();
            alike(&format!("[{}]", names.join(",")))
        };
        let placed = |n: u64| format!("data: {{\"meta\":{}}}\n\n", name(n));
        let kafka = Kafka { topics: topics(20), ..Kafka::default() };
        let mut good = String::new();
        (0..3).for_each(|place| kafka.frame(0, 0, place, &mut good));
        let long = "t".repeat(30_000);
        let long = alike(&format!(r#"[{{"topic":"{long}","partition":0,"offset":1}}]"#));
        let delete = alike("[{\"topic\":\"\x7f\",\"partition\":0,\"offset\":1}]");
        for (case, odd, count, followed) in [
            ("an id of many topics", odd(200), 1, vec!["codfw.t", "eqiad.t"]),
            ("a long topic", long, 1, vec!["codfw.t", "eqiad.t"]),
            ("a topic that no header can name", delete, 1, vec!["codfw.t", "eqiad.t"]),
            ("one by one", (0..200).map(placed).collect(), 200, Vec::new()),
        ] {
            let given = given(serde_json::json!({}), vec![format!("{odd}{good}")], count + 3).await;
            assert_eq!((given.events, given.duplicates, given.rejects.len()), (count + 3, 0, 1), "{case}");
            let reason = &given.rejects[0].reason;
            assert!(reason.contains("kept") && reason.contains("at most 128 upstream partitions"), "{case}: {reason}");
            let cursor = given.cursor.expect("a cursor").position;
            assert!(cursor.len() < 64 << 10, "{case}: {}", cursor.len());
            let partitions = SavedCursor::read(&cursor).expect("a cursor").partitions;
            assert!(partitions.len() <= PARTITIONS_MAX, "{case}: {}", partitions.len());
            let follows = |topic: &&str| partitions.iter().any(|partition| partition.topic == *topic);
            assert!(followed.iter().all(follows), "{case}: {cursor}");
        }
    });
}

#[test]
fn the_log_is_asked_until_every_partition_is_past_it() {
    run(async {
        // `q.u` was looking for its last event when the process was killed, and had taken five that come after it.
        let time = |n: i64| Timestamp::from_seconds(START + n);
        let id =
            |topic: &str, n: i64| format!("00000000-0000-4000-8000-{:012x}", n + if topic == "q.u" { 500 } else { 0 });
        let event = |topic: &str, n: i64, at: Timestamp| {
            format!(
                r#"{{"meta":{{"id":"{}","dt":"{at}","topic":"{topic}","partition":0,"offset":{n}}}}}"#,
                id(topic, n)
            )
        };
        let held = |topic: &str| serde_json::json!({ "offset": 0, "key": id(topic, 0), "event_time": time(0).0 });
        let entry = |topic: &str, unproven: bool| {
            serde_json::json!({
                "topic": topic, "partition": 0, "since": time(0).0, "event_time": time(0).0, "kafka_time": time(0).0,
                "through": 0, "held": held(topic), "unproven": unproven, "taken": if unproven { Some(5) } else { None },
            })
        };
        let position = serde_json::json!({ "version": 1, "streams": "t,u", "partitions": [entry("q.t", false), entry("q.u", true)] });
        let log = [event("q.t", 0, time(0))].into_iter().chain((0..=5).map(|n| event("q.u", n, time(n))));
        let log = VecTail::new(log.map(String::into_bytes));
        let cursor = Cursor { position: position.to_string().into(), progress: None };
        let resume = resume("both", Some(cursor), &log);
        let names = vec!["t".to_owned(), "u".to_owned()];
        let routes = Routes::new(&names, &BTreeMap::new(), std::slice::from_ref(&resume.stream)).expect("one stream");
        let reads = Reads { path: "t,u", names, routes, event_bytes_max: LIMIT, since: time(0) };
        let clock = Arc::new(ManualClock::new(time(3_600)));
        let mut intake = Intake::new(reads, vec![resume], clock).expect("a cursor");
        assert!(intake.connect(false).await.expect("a log").is_some());
        let now = std::time::Instant::now();
        // Both are found again; then `q.t` is far past the log's end, and `q.u` comes later.
        let piece = [("q.t", 0, 0), ("q.u", 0, 0), ("q.t", 1, 600)];
        let repeated = (1..=6).map(|n| ("q.u", n, n));
        for (topic, n, at) in piece.into_iter().chain(repeated) {
            let document = event(topic, n, time(at)).into_bytes();
            let frame = Frame { event: b"", id: None, data: Data::Whole(document.into()), retry: None };
            assert_eq!(intake.take(&frame, now).await.expect("no error"), Step::Next);
            intake.heard(now);
        }
        let chunk = intake.hand_over(now).expect("events");
        assert_eq!((chunk.events.len(), chunk.duplicates), (2, 5));
    });
}
