//! Ids that are odd, repeat, begin again, are too long, or stand alone.

use lakehead_connector_api::{Chunk, Reader as _, StreamResume};
use lakehead_eventstreams_wire::{Data, Frame};
use lakehead_model::Name;
use lakehead_testkit::{Act, Upstream, VecTail};
use serde_json::json;
use tokio::time::{Duration, Instant};

use super::super::{config::Config, intake::FeedIntake};
use super::world::{World, feed_of, last_event_id, none, run, taken};

/// What the second connection asks for, once the first has brought `count` events in `text` and was cut.
async fn asked_after(text: &str, count: usize) -> (World, Option<String>) {
    let upstream = feed_of(vec![text.to_owned(), "id: last\ndata: \"last\"\n\n".to_owned()]).await;
    let mut world = World::new(&upstream.url("/feed"), &none());
    world.run(count + 1, false).await;
    let asked = last_event_id(&upstream.requests()[1]).map(str::to_owned);
    (world, asked)
}

#[test]
fn the_feed_is_asked_by_the_last_whole_id_that_can_be_sent() {
    let long = "x".repeat(5_000);
    let most = "y".repeat(4_096);
    for (text, asked) in [
        ("id: 1\ndata: 1\n\nid: 2\ndata: 2\n", Some("1")),
        ("id: 1\ndata: 1\n\nid: 2", Some("1")),
        ("id: 1\ndata: 1\n\nid: a\u{1}b\ndata: 2\n\n", Some("1")),
        ("id: 1\ndata: 1\n\nid: a\u{7f}b\ndata: 2\n\n", Some("1")),
        ("id: 1\ndata: 1\n\nid: a\0b\ndata: 2\n\n", Some("1")),
        (&format!("id: 1\ndata: 1\n\nid: {long}\ndata: 2\n\n"), Some("1")),
        (&format!("id: 1\ndata: 1\n\nid: {most}\ndata: 2\n\n"), Some(most.as_str())),
        ("id: 1\ndata: 1\n\nid: ü \"7\\\" %0d%0aX: y\ndata: 2\n\n", Some("ü \"7\\\" %0d%0aX: y")),
        ("id: 1\ndata: 1\n\ndata: 2\n\n", Some("1")),
        ("id: 1\ndata: 1\n\nid: 9\n\n", Some("9")),
        ("id: 1\ndata: 1\n\nid: 9\nevent: ping\ndata\n\n", Some("9")),
        ("id: 1\ndata: 1\n\nid\ndata: 2\n\n", None),
        ("id: 1\ndata: 1\n\nid: 2\nid: 3\ndata: 2\n\n", Some("3")),
        ("data: 1\n\n", None),
    ] {
        run(async {
            let events = ["data: 1\n\n", "data: 2\n\n"].iter().filter(|end| text.contains(**end)).count();
            let (world, found) = asked_after(text, events).await;
            assert_eq!(found.as_deref(), asked, "{:.80}", text);
            assert!(world.rejects.is_empty(), "{:?}", world.rejects);
        });
    }
}

#[test]
fn an_id_that_is_not_utf8_is_taken_and_never_asked_by() {
    run(async {
        let mut world = taken(b"id: 1\ndata: 1\n\nid: \xff\xfe\ndata: 2\n\n".as_slice(), &none(), 2).await;
        assert_eq!(world.cursor.take().map(|cursor| cursor.position.contains("\"id\":\"1\"")), Some(true));
    });
}

#[test]
fn an_id_that_all_events_share_loses_none_of_them() {
    run(async {
        let text = "id: 0\ndata: 1\n\nid: 0\ndata: 2\n\nid: 0\ndata: 3\n\nid: 0\ndata: 2\n\n";
        let upstream = feed_of(vec![text.to_owned(), "id: 0\ndata: 3\n\nid: 0\ndata: 4\n\n".to_owned()]).await;
        let mut world = World::new(&upstream.url("/feed"), &none());
        world.run(4, false).await;
        // The same id with the same data is the same event.
        assert_eq!((world.events().join(","), world.duplicates), ("1,2,3,4".to_owned(), 2));
    });
}

#[test]
fn what_comes_again_does_not_take_the_position_back() {
    run(async {
        let frames =
            |numbers: std::ops::Range<u32>| numbers.map(|n| format!("id: {n}\ndata: {n}\n\n")).collect::<String>();
        let upstream = feed_of(vec![frames(1..4), frames(1..3), frames(4..5)]).await;
        let mut world = World::new(&upstream.url("/feed"), &none());
        world.run(4, false).await;
        assert_eq!((world.log.len(), world.duplicates), (4, 2));
        assert_eq!(last_event_id(&upstream.requests()[2]), Some("3"));
    });
}

#[test]
fn a_server_that_counts_from_1_again_loses_nothing() {
    run(async {
        let first = (1..=5).map(|n| format!("id: {n}\ndata: {{\"a\":{n}}}\n\n")).collect();
        let second = (1..=5).map(|n| format!("id: {n}\ndata: {{\"b\":{n}}}\n\n")).collect();
        let upstream = feed_of(vec![first, second]).await;
        let mut world = World::new(&upstream.url("/feed"), &none());
        world.run(10, false).await;
        assert_eq!((world.log.len(), world.duplicates), (10, 0));
        assert_eq!(world.cursor.map(|cursor| cursor.position.contains("\"id\":\"5\"")), Some(true));
    });
}

#[test]
fn a_position_that_moves_without_events_is_handed_over_with_what_comes_next_or_at_the_end() {
    run(async {
        // Each by itself, so that they come in many reads.
        let pings: Vec<Act> = (0..500).map(|n| Act::send(format!("event: ping\nid: {n}\ndata: {n}\n\n"))).collect();
        let upstream = Upstream::start(move |n, _| match n {
            0 => [vec![Act::stream()], pings.clone()].concat(),
            _ => vec![Act::send("HTTP/1.1 204 No Content\r\n\r\n")],
        })
        .await;
        let mut world = World::new(&upstream.url("/feed"), &json!({ "events": ["order"] }));
        let mut source = world.open().await.expect("it opens");
        let mut chunks = 0;
        while let Some(chunk) = source.next().await.expect("no error") {
            chunks += usize::from(chunk.cursor.is_some());
            world.commit(chunk);
        }
        // The first says that it is connected, and where it stands by then.
        assert!(world.log.is_empty() && chunks <= 2, "500 pings are {chunks} writes");
        assert_eq!(world.cursor.map(|cursor| cursor.position.contains("\"id\":\"499\"")), Some(true));
        assert!(source.next().await.expect("no error").is_none(), "it stays ended");
        assert_eq!(upstream.requests().len(), 2, "and asks nobody");
    });
}

#[test]
fn a_position_alone_is_handed_over_each_ten_seconds_and_at_the_end() {
    run(async {
        let settings = json!({ "url": "http://u/t", "events": ["order"] });
        let config: Config = serde_json::from_value(settings).expect("valid settings");
        let (stream, tail) = (Name::new("t").expect("a name"), Box::new(VecTail::default()));
        let resume = StreamResume { stream, cursor: None, event_time: Vec::new(), tail };
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        let mut intake = FeedIntake::open(&config, resume, begun).await.expect("it opens");
        let ping = |intake: &mut FeedIntake, id: &[u8]| {
            intake.take(&Frame { event: b"ping", id: Some(id), retry: None, data: Data::Whole(b"1".into()) });
        };
        let id = |chunk: Option<Chunk>| chunk.and_then(|chunk| chunk.cursor).map(|cursor| cursor.position.to_string());
        ping(&mut intake, b"7");
        assert_eq!(id(intake.hand_over(after(9))), None);
        assert_eq!(id(intake.hand_over(after(10))), Some(r#"{"version":1,"id":"7"}"#.to_owned()));
        ping(&mut intake, b"8");
        assert_eq!(id(intake.hand_over(after(19))), None);
        assert_eq!(id(intake.finish(after(19))), Some(r#"{"version":1,"id":"8"}"#.to_owned()));
        assert!(intake.finish(after(60)).is_none());
    });
}

#[test]
fn a_feed_that_gives_the_same_events_under_other_ids_is_known_by_the_identity() {
    run(async {
        let events = |from: usize, more: usize| -> String {
            (0..5 + more).map(|n| format!("id: {}\ndata: {{\"k\":{n}}}\n\n", from + n)).collect()
        };
        let upstream = feed_of(vec![events(0, 0), events(700, 1)]).await;
        let mut world = World::new(&upstream.url("/feed"), &json!({ "identity": "k" }));
        world.run(6, false).await;
        assert_eq!((world.log.len(), world.duplicates), (6, 5));
        assert_eq!(world.cursor.map(|cursor| cursor.position.contains("\"id\":\"705\"")), Some(true));
    });
}
