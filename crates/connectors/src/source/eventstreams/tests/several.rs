//! Several upstream streams into one stream or several: every event comes once, into the right one, whatever happens to the
//! connection, the upstream's clusters and the process; and whatever the routes were before.

use std::{collections::BTreeSet, sync::Mutex};

use lakehead_connector_api::{Error, Reader};
use lakehead_model::Timestamp;
use lakehead_testkit::{Act, Upstream, VecTail};
use proptest::prelude::*;
use serde_json::json;

use super::{
    super::{EventStreams, cursor::SavedCursor},
    kafka::{Kafka, START, Topic},
    world::{Kill, World, feed_of, resume, run},
};

/// Two upstream streams in two datacentres. `t` has one that is idle; `u` is switched over from one to the other halfway.
fn topics() -> Vec<Topic> {
    vec![
        Topic { name: "codfw.t", first: 1_000_000, count: 60 },
        Topic { name: "eqiad.t", first: 2_000_000, count: 6 },
        Topic { name: "codfw.u", first: 3_000_000, count: 25 },
        Topic { name: "eqiad.u", first: 4_000_020, count: 40 },
    ]
}

fn kafka() -> Kafka {
    Kafka { topics: topics(), ..Kafka::default() }
}

fn numbers(world: &World) -> BTreeSet<u64> {
    world.kafka.lock().expect("free").numbers().collect()
}

fn of(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Each stream has the events of its own upstream stream and no others.
fn check_places(world: &World) {
    for (stream, topics) in [("t", ["codfw.t", "eqiad.t"]), ("u", ["codfw.u", "eqiad.u"])] {
        assert_eq!(world.topics_in(stream), of(&topics), "{stream}");
        let position = &world.logs[stream].cursor.as_ref().expect("a cursor").position;
        let covered = SavedCursor::read(position).expect("a cursor").partitions;
        let covered: BTreeSet<String> = covered.into_iter().map(|entry| entry.topic).collect();
        assert_eq!(covered, of(&topics), "the cursor of {stream} covers its partitions alone");
    }
}

#[test]
fn keeps_the_source_contract_with_several_streams() {
    run(async {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let kafka = Kafka { topics: vec![topics().remove(0), topics().remove(2)], ..Kafka::default() };
        let events = |t: usize, count: u64| (0..count).map(|place| kafka.document(0, t, place).into_bytes()).collect();
        let expected = [("t", events(0, 60)), ("u", events(1, 25))];
        let kafka = Mutex::new(kafka);
        let upstream = Upstream::start(move |n, head| {
            let sent = kafka.lock().expect("no panic under the lock").answer(n, head);
            vec![Act::stream(), Act::Send(sent), Act::Hang]
        })
        .await;
        let settings = || async { json!({ "url": upstream.url("/v2/stream/t,u"), "since": "24h" }) };
        let now = Timestamp::from_seconds(START);
        lakehead_testkit::conformance::source_of_streams::<EventStreams, _>(settings, now, &expected, false).await;
    });
}

#[test]
fn a_kill_at_any_chunk_whichever_stream_was_faster_loses_and_doubles_nothing() {
    run(async {
        for after in [0, 1, 2, 4] {
            for kept in [[0, 0], [9, 0], [0, 9], [2, 1]] {
                let mut world = World::of(kafka(), "t,u", &["t", "u"]).await;
                world.kafka.lock().expect("free").connections = (1..12).map(|n| (0, n * 2_300)).collect();
                let wanted = numbers(&world);
                for _ in 0..3 {
                    world.live(&wanted, Some(&Kill { after, kept })).await;
                }
                world.run(&wanted, &[]).await;
                world.check(&wanted);
                check_places(&world);
                assert!(world.gaps.is_empty() && world.rejects.is_empty(), "{after} {kept:?}");
                world.more(wanted).await;
            }
        }
    });
}

#[test]
fn another_cluster_is_found_out_for_every_stream() {
    run(async {
        for cut in (500..14_000).step_by(1_511) {
            let mut world = World::of(kafka(), "t,u", &["t", "u"]).await;
            world.kafka.lock().expect("free").connections =
                vec![(0, cut), (1, cut * 2), (0, cut * 3), (1, cut), (1, usize::MAX)];
            let wanted = numbers(&world);
            world.live(&wanted, Some(&Kill { after: 2, kept: [1, 0] })).await;
            world.live(&wanted, Some(&Kill { after: 3, kept: [0, 2] })).await;
            world.run(&wanted, &[]).await;
            world.check(&wanted);
            check_places(&world);
            assert!(world.gaps.is_empty(), "{:?}", world.gaps);
            world.more(wanted).await;
        }
    });
}

#[test]
fn several_upstream_streams_go_into_one() {
    run(async {
        let mut world = World::of(kafka(), "u,t", &["everything"]).await;
        world.kafka.lock().expect("free").connections = (1..12).map(|n| (n % 2, n as usize * 2_300)).collect();
        let wanted = numbers(&world);
        world.run(&wanted, &[1, 0, 2]).await;
        world.check(&wanted);
        world.more(wanted).await;
    });
}

#[test]
fn a_topic_moves_to_another_stream_and_back_at_its_place() {
    run(async {
        let mut world = World::of(kafka(), "t,u", &["t"]).await;
        let wanted = numbers(&world);
        world.run(&wanted, &[]).await;
        let routes = [
            (vec!["t", "u"], json!({})),
            (vec!["t", "u"], json!({ "u": "t" })),
            (vec!["u", "t"], json!({ "t": "u" })),
            (vec!["t", "u", "v"], json!({ "t": "v", "codfw.u": "t", "eqiad.u": "u" })),
            (vec!["t", "u", "v"], json!({})),
        ];
        for (round, (feeds, routes)) in routes.into_iter().enumerate() {
            let before = world.topics_in("t");
            world.reroute(&feeds, &routes);
            // Each topic has three more, of which the last come after a kill.
            let wanted = more(&world, 3);
            world.live(&wanted, Some(&Kill { after: 1, kept: [1, 0] })).await;
            world.run(&wanted, &[1]).await;
            world.check(&wanted);
            assert!(world.gaps.is_empty(), "{round}: {:?}", world.gaps);
            assert!(before.is_subset(&world.topics_in("t")));
        }
        assert_eq!(world.topics_in("v"), of(&["codfw.t", "eqiad.t"]));
    });
}

/// More events come in every topic: all numbers there are then.
fn more(world: &World, count: u64) -> BTreeSet<u64> {
    world.kafka.lock().expect("free").topics.iter_mut().for_each(|topic| topic.count += count);
    numbers(world)
}

#[test]
fn after_a_move_another_cluster_is_compared_with_the_log_that_has_the_events() {
    run(async {
        let mut world = World::of(kafka(), "t,u", &["t"]).await;
        let wanted = numbers(&world);
        world.run(&wanted, &[]).await;
        world.reroute(&["t", "u"], &json!({}));
        world.kafka.lock().expect("free").connections = (0..60).map(|n| (u64::from(n > 1), usize::MAX)).collect();
        let wanted = more(&world, 2);
        world.run(&wanted, &[]).await;
        world.check(&wanted);
        // The next cluster answers a process that knows of the move by its cursors alone.
        world.kafka.lock().expect("free").connections = (0..60).map(|_| (2, usize::MAX)).collect();
        let wanted = more(&world, 2);
        world.run(&wanted, &[]).await;
        world.check(&wanted);
    });
}

#[test]
fn an_upstream_stream_that_is_added_begins_with_since_and_one_that_is_taken_away_is_let_go() {
    run(async {
        let mut world = World::of(kafka(), "t", &["t"]).await;
        let wanted: BTreeSet<u64> = numbers(&world).into_iter().filter(|n| *n < 3_000_000).collect();
        world.run(&wanted, &[1]).await;
        world.check(&wanted);
        world.path = "t,u".to_owned();
        world.reroute(&["t", "u"], &json!({}));
        let wanted = more(&world, 2);
        world.live(&wanted, Some(&Kill { after: 1, kept: [1, 0] })).await;
        world.run(&wanted, &[0, 1]).await;
        world.check(&wanted);
        check_places(&world);
        world.path = "u".to_owned();
        world.reroute(&["u"], &json!({}));
        let mut wanted = numbers(&world);
        wanted.extend(more(&world, 2).into_iter().filter(|n| *n >= 3_000_000));
        world.run(&wanted, &[0, 1]).await;
        world.check(&wanted);
        assert_eq!(world.topics_in("u"), of(&["codfw.u", "eqiad.u"]));
    });
}

#[test]
fn a_stream_is_given_up_without_loss_once_its_topics_have_gone_over() {
    run(async {
        let mut world = World::of(kafka(), "t,u", &["t", "u"]).await;
        let wanted = numbers(&world);
        world.run(&wanted, &[]).await;
        world.reroute(&["t", "u"], &json!({ "t": "u" }));
        let wanted = more(&world, 2);
        world.run(&wanted, &[]).await;
        world.reroute(&["u"], &json!({ "t": "u" }));
        let wanted = more(&world, 2);
        world.run(&wanted, &[1]).await;
        world.check(&wanted);
        assert_eq!(world.topics_in("u").len(), 4);
    });
}

#[test]
fn the_topics_of_a_stream_that_is_taken_away_at_once_begin_anew_and_are_not_forgotten() {
    run(async {
        let mut world = World::of(kafka(), "t,u", &["t", "u"]).await;
        let wanted = numbers(&world);
        world.run(&wanted, &[]).await;
        let gone = world.logs.remove("t").expect("its log");
        world.reroute(&["u"], &json!({ "t": "u" }));
        let wanted = more(&world, 2);
        world.run(&wanted, &[1]).await;
        // With `since` all of them come: once more for those that are in the log of the stream that is gone.
        world.check(&wanted);
        assert!(gone.log.len() == 66 && world.topics_in("u").len() == 4);
    });
}

#[test]
fn topics_whose_stream_had_nothing_on_disk_are_not_forgotten_when_they_go_elsewhere() {
    run(async {
        let mut world = World::of(kafka(), "t,u", &["t", "u"]).await;
        world.kafka.lock().expect("free").connections = vec![(0, 15_000)];
        let wanted = numbers(&world);
        world.live(&wanted, Some(&Kill { after: 2, kept: [1, 0] })).await;
        assert!(world.logs["t"].cursor.is_some() && world.logs["u"].cursor.is_none(), "the kill was between the two");
        world.reroute(&["t", "u"], &json!({ "u": "t" }));
        world.run(&wanted, &[]).await;
        world.check(&wanted);
    });
}

#[test]
fn an_upstream_that_repeats_the_last_event_of_two_streams_is_not_asked_for_ever() {
    run(async {
        let repeated = BTreeSet::from([3_000_005, 3_000_012, 3_000_021]);
        let connections = vec![(0, 21_740), (1, 12_634), (1, 15_935), (1, 20_055), (1, 19_757), (0, 24_683)];
        let mut world = World::of(Kafka { repeated, connections, ..kafka() }, "t,u", &["t", "u"]).await;
        let wanted = numbers(&world);
        world.live(&wanted, Some(&Kill { after: 3, kept: [1, 2] })).await;
        world.run(&wanted, &[]).await;
        world.check(&wanted);
        assert!(world.upstream.requests().len() < 20);
    });
}

#[test]
fn topics_that_are_in_no_cursor_after_two_kills_and_two_routes_are_not_forgotten() {
    run(async {
        let mut world = World::of(kafka(), "t,u", &["t", "u"]).await;
        let wanted = numbers(&world);
        // Both go to the one, and only the other has anything on disk; then the other way round.
        for (to, kept) in [("u", [1, 0]), ("t", [0, 1])] {
            world.reroute(&["t", "u"], &json!({ "t": to, "u": to }));
            world.live(&wanted, Some(&Kill { after: 3, kept })).await;
        }
        assert!(world.logs.values().all(|kept| kept.log.is_empty() && kept.cursor.is_some()), "nothing but cursors");
        for routes in [json!({}), json!({ "t": "u", "u": "t" })] {
            world.reroute(&["t", "u"], &routes);
            world.run(&wanted, &[1]).await;
            world.check(&wanted);
        }
    });
}

#[test]
fn a_stream_that_has_no_cursor_yet_begins_where_the_source_began_and_not_now() {
    run(async {
        // Without `since`: from now on. What comes after the first connection has to come into both.
        let mut world = World::of(kafka(), "t,u", &["t", "u"]).await;
        world.settings["since"] = serde_json::Value::Null;
        let before = numbers(&world);
        let mut source = world.open();
        let pending = {
            let next = source.next();
            futures::pin_mut!(next);
            // It is connected at the end of all topics, and nothing comes.
            tokio::time::timeout(std::time::Duration::from_millis(200), next).await
        };
        assert!(pending.is_err(), "nothing comes");
        drop(source);
        let first = Kill { after: 1, kept: [1, 0] };
        world.kafka.lock().expect("free").connections = Vec::new();
        let all = more(&world, 3);
        let new: BTreeSet<u64> = all.difference(&before).copied().collect();
        // The first life begins with what there is by `since`; the stream `u` has nothing on disk when it ends.
        world.settings["since"] = "2001-01-01T00:00:00Z".into();
        world.live(&new, Some(&first)).await;
        assert!(world.logs["t"].cursor.is_some() && world.logs["u"].cursor.is_none(), "the kill was between the two");
        world.settings["since"] = serde_json::Value::Null;
        world.now = world.now.plus(std::time::Duration::from_secs(5 * 3600));
        world.run(&all, &[]).await;
        world.check(&all);
        check_places(&world);
    });
}

#[test]
fn what_is_refused_goes_to_the_stream_of_its_topic_and_else_to_the_first() {
    run(async {
        let garbage = BTreeSet::from([1_000_010, 3_000_005, 4_000_030]);
        let (large, lost) = (BTreeSet::from([3_000_007]), BTreeSet::from([3_000_012]));
        let mut world = World::of(Kafka { garbage, large, lost, ..kafka() }, "t,u", &["t", "u"]).await;
        let mut source = world.open();
        let mut wanted = numbers(&world);
        wanted.retain(|n| ![1_000_010, 3_000_005, 3_000_007, 3_000_012, 4_000_030].contains(n));
        let mut refused = Vec::new();
        // What is missing is in the ledger of its own stream: the world looks there.
        while !wanted.is_subset(&world.numbers().into_iter().collect()) {
            let chunk = source.next().await.expect("no error").expect("no end");
            refused.extend(chunk.rejects.iter().map(|reject| (chunk.to.0, reject.position.clone())));
            world.commit(chunk);
        }
        world.check(&wanted);
        refused.sort();
        let shown: Vec<(usize, &str)> = refused.iter().map(|(to, position)| (*to, position.as_str())).collect();
        assert_eq!(shown, [(0, "codfw.t/0/1010"), (1, "codfw.u/0/1015"), (1, "codfw.u/0/1017"), (1, "eqiad.u/0/1025")]);
        assert_eq!(world.gaps.len(), 1, "{:?}", world.gaps);
    });
}

#[test]
fn what_was_refused_without_a_place_is_handed_over_before_any_stream_goes_on() {
    run(async {
        let kafka = kafka();
        let mut text = String::new();
        kafka.frame(0, 0, 0, &mut text);
        kafka.frame(0, 2, 0, &mut text);
        text.push_str("data: {no meta\n\ndata: {\"meta\":{\"topic\":\"codfw.u\"}, no more\n\n");
        // Each hole is as wide as the frames that were refused.
        kafka.frame(0, 0, 1, &mut text);
        kafka.frame(0, 2, 1, &mut text);
        let upstream = Upstream::start(move |_, _| vec![Act::stream(), Act::send(text.clone()), Act::Hang]).await;
        let streams = vec![resume("t", None, &VecTail::default()), resume("u", None, &VecTail::default())];
        let mut feed = feed_of(json!({ "url": upstream.url("/t,u") }), streams).expect("it opens");
        let mut handed = Vec::new();
        for _ in 0..4 {
            let chunk = feed.next().await.expect("no error").expect("no end");
            handed.push((chunk.to.0, chunk.rejects.len(), chunk.events.len(), chunk.cursor.is_some()));
        }
        assert_eq!(handed, [(0, 1, 0, false), (1, 1, 0, false), (0, 0, 2, true), (1, 0, 2, true)]);
    });
}

#[test]
fn a_topic_that_no_route_names_goes_to_the_first_stream_and_is_told_once() {
    run(async {
        let frame = |topic: &str, n: u64| {
            format!(
                "data: {{\"meta\":{{\"topic\":\"{topic}\",\"partition\":0,\"offset\":{n},\"id\":\"{topic}{n}\"}}}}\n\n"
            )
        };
        let by_stream = "data: {\"meta\":{\"stream\":\"mediawiki.u\",\"id\":\"a\"}}\n\n\
                         data: {\"meta\":{\"stream\":\"other\",\"id\":\"b\"}}\n\ndata: {\"a\":1}\n\n";
        let text: String = (0..5).map(|n| frame("odd.odd.u", n) + &frame("x.u", n)).collect();
        let text = text + by_stream;
        let upstream = Upstream::start(move |_, _| vec![Act::stream(), Act::send(text.clone()), Act::Hang]).await;
        let streams = vec![resume("t", None, &VecTail::default()), resume("u", None, &VecTail::default())];
        let mut feed = feed_of(json!({ "url": upstream.url("/t,u") }), streams).expect("it opens");
        let (mut events, mut rejects) = ([0, 0], Vec::new());
        while events.iter().sum::<usize>() < 13 {
            let chunk = feed.next().await.expect("no error").expect("no end");
            events[chunk.to.0] += chunk.events.len();
            rejects.extend(chunk.rejects.into_iter().map(|reject| (chunk.to.0, reject)));
        }
        assert_eq!(events, [5 + 2, 5 + 1]);
        assert_eq!(rejects.len(), 1, "{rejects:?}");
        let (to, reject) = &rejects[0];
        assert_eq!((*to, reject.position.as_str()), (0, "odd.odd.u/0"));
        assert!(reject.reason.contains("routes"), "{}", reject.reason);
    });
}

#[test]
fn events_of_two_upstream_streams_with_one_id_are_two() {
    run(async {
        let frame = |topic: &str, n: u64| {
            format!("data: {{\"meta\":{{\"topic\":\"q.{topic}\",\"partition\":0,\"offset\":{n},\"id\":\"e{n}\"}}}}\n\n")
        };
        for feeds in [vec!["both"], vec!["t", "u"]] {
            let text: String = (0..9).map(|n| frame("t", n) + &frame("u", n)).collect();
            let upstream = Upstream::start(move |_, _| vec![Act::stream(), Act::send(text.clone()), Act::Hang]).await;
            let streams = feeds.iter().map(|name| resume(name, None, &VecTail::default())).collect();
            let mut feed = feed_of(json!({ "url": upstream.url("/t,u") }), streams).expect("it opens");
            let mut events = 0;
            while events < 18 {
                let chunk = feed.next().await.expect("no error").expect("no end");
                events += chunk.events.len();
                assert_eq!(chunk.duplicates, 0, "{feeds:?}");
            }
        }
    });
}

#[test]
fn an_address_that_asks_for_what_goes_nowhere_is_refused_by_name() {
    let streams = || vec![resume("t", None, &VecTail::default()), resume("u", None, &VecTail::default())];
    for (settings, wanted) in [
        (json!({ "url": "http://127.0.0.1:1/t,page-create" }), "asks for page-create"),
        (json!({ "url": "http://127.0.0.1:1/t,u", "routes": { "u": "w" } }), "feeds no stream \"w\", only t, u"),
    ] {
        let error = feed_of(settings, streams()).err().expect("it cannot work");
        assert!(matches!(&error, Error::Invalid(what) if what.contains(wanted)), "{error}");
    }
}

/// Where the upstream streams `t` and `u` go.
fn routes((t, u): (bool, bool)) -> serde_json::Value {
    let name = |second: bool| if second { "u" } else { "t" };
    json!({ "t": name(t), "u": name(u) })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 96, ..ProptestConfig::default() })]

    /// Random cuts at any byte × clusters × holes, late ones, garbage, repeats × kills with either stream ahead × other routes
    /// in each life.
    #[test]
    fn whatever_happens_every_event_comes_once_into_some_stream(
        connections in proptest::collection::vec((0_u64..2, 0_usize..30_000), 0..12),
        lives in proptest::collection::vec(((any::<bool>(), any::<bool>()), 0_usize..8, [0_usize..4, 0..4]), 0..8),
        lost in proptest::collection::btree_set(3_000_001_u64..3_000_024, 0..3),
        late in proptest::collection::btree_set(1_000_001_u64..1_000_058, 0..3),
        garbage in proptest::collection::btree_set(4_000_021_u64..4_000_058, 0..3),
        repeated in proptest::collection::btree_set(3_000_001_u64..3_000_024, 0..4),
    ) {
        run(async {
            let kafka = Kafka { lost: lost.clone(), late, garbage: garbage.clone(), repeated, connections, ..kafka() };
            let mut world = World::of(kafka, "t,u", &["t", "u"]).await;
            let mut wanted = numbers(&world);
            wanted.retain(|number| !lost.contains(number) && !garbage.contains(number));
            for (to, after, kept) in lives {
                world.reroute(&["t", "u"], &routes(to));
                world.live(&wanted, Some(&Kill { after, kept })).await;
            }
            world.run(&wanted, &[]).await;
            world.check(&wanted);
            world.more(wanted).await;
            let within = |number: &u64| world.gaps.iter().any(|gap| (0..2).any(|cluster| {
                let offset = i64::try_from(Kafka::base(cluster, 2) + number - 3_000_000).expect("small");
                gap.from <= offset && offset < gap.to
            }));
            assert!(lost.iter().all(within), "{lost:?} {:?}", world.gaps);
            let refused: BTreeSet<&[u8]> = world.rejects.iter().map(|reject| &reject.payload[..]).collect();
            assert!(refused.len() >= garbage.len(), "{garbage:?} {:?}", world.rejects);
        });
    }
}
