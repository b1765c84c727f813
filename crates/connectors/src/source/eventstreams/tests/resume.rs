//! Every event comes once, whatever happens to the connection, the upstream's clusters and the process.

use std::{collections::BTreeSet, sync::Mutex};

use lakehead_connector_api::{Activity, Error, Reader};
use lakehead_model::{Cursor, Timestamp};
use lakehead_testkit::{Act, Upstream, VecTail};
use proptest::prelude::*;

use super::{
    super::EventStreams,
    kafka::{Kafka, START, Topic, topics},
    world::{World, feed, run},
};

#[test]
fn keeps_the_source_contract() {
    run(async {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let kafka = Kafka { topics: vec![topics(40).remove(0)], ..Kafka::default() };
        let expected: Vec<Vec<u8>> = (0..40).map(|place| kafka.document(0, 0, place).into_bytes()).collect();
        let kafka = Mutex::new(kafka);
        let upstream = Upstream::start(move |n, head| {
            let sent = kafka.lock().expect("no panic under the lock").answer(n, head);
            vec![Act::stream(), Act::Send(sent), Act::Hang]
        });
        let url = upstream.await;
        let settings = || async { serde_json::json!({ "url": url.url("/v2/stream/t"), "since": "24h" }) };
        lakehead_testkit::conformance::source::<EventStreams, _>(settings, Timestamp::from_seconds(START), &expected)
            .await;
    });
}

#[test]
fn a_kill_loses_nothing_and_doubles_nothing() {
    run(async {
        let mut world = World::new(Kafka { topics: topics(60), ..Kafka::default() }).await;
        let wanted: BTreeSet<u64> = world.kafka.lock().expect("free").numbers().collect();
        world.kafka.lock().expect("free").connections = (1..30).map(|n| (0, n * 700)).collect();
        world.run(&wanted, &[0, 1, 0, 2, 0, 0, 1, 3, 0]).await;
        world.check(&wanted);
        assert!(world.gaps.is_empty() && world.rejects.is_empty());
        world.more(wanted).await;
    });
}

#[test]
fn another_cluster_with_other_offsets_gives_the_same_log() {
    run(async {
        for cut in (500..9_000).step_by(611) {
            let connections = vec![(0, cut), (1, cut * 2), (0, cut * 3), (1, cut), (1, usize::MAX)];
            let mut world = World::new(Kafka { topics: topics(60), connections, ..Kafka::default() }).await;
            let wanted: BTreeSet<u64> = world.kafka.lock().expect("free").numbers().collect();
            world.run(&wanted, &[0, 2]).await;
            world.check(&wanted);
            assert!(world.gaps.is_empty(), "{:?}", world.gaps);
            world.more(wanted).await;
        }
    });
}

#[test]
fn a_lasting_hole_becomes_a_gap_and_a_passing_one_is_filled() {
    run(async {
        let lost = BTreeSet::from([1_000_010, 1_000_011, 1_000_030]);
        let late = BTreeSet::from([1_000_020, 1_000_021]);
        let mut world = World::new(Kafka { topics: topics(60), lost, late, ..Kafka::default() }).await;
        let mut wanted: BTreeSet<u64> = world.kafka.lock().expect("free").numbers().collect();
        wanted.retain(|number| !world.kafka.lock().expect("free").lost.contains(number));
        world.run(&wanted, &[]).await;
        world.check(&wanted);
        let gaps: Vec<_> = world.gaps.iter().map(|gap| (gap.partition.as_str(), gap.from, gap.to)).collect();
        assert_eq!(gaps, [("codfw.t/0", 1_010, 1_012), ("codfw.t/0", 1_030, 1_031)]);
        assert_eq!(world.gaps[0].after, Some(Timestamp::from_millis(Kafka::millis(1_000_009))));
        assert_eq!(world.gaps[0].before, Some(Timestamp::from_millis(Kafka::millis(1_000_012))));
    });
}

#[test]
fn garbage_behind_a_hole_is_refused_without_a_place_and_accounts_for_one_offset() {
    run(async {
        let (late, garbage) = (BTreeSet::from([1_000_006]), BTreeSet::from([1_000_007]));
        let mut world = World::new(Kafka { topics: topics(60), late, garbage, ..Kafka::default() }).await;
        let mut wanted: BTreeSet<u64> = world.kafka.lock().expect("free").numbers().collect();
        wanted.remove(&1_000_007);
        world.run(&wanted, &[]).await;
        world.check(&wanted);
        assert_eq!(world.rejects.len(), 1);
    });
}

#[test]
fn garbage_and_oversized_events_are_refused_once_with_reason_and_place() {
    run(async {
        let garbage = BTreeSet::from([1_000_010, 1_000_011, 2_000_002]);
        let large = BTreeSet::from([1_000_020]);
        let connections = (1..40).map(|n| (0, n * 9_973)).collect();
        let kafka = Kafka { topics: topics(60), garbage, large, connections, ..Kafka::default() };
        let mut world = World::new(kafka).await;
        let mut wanted: BTreeSet<u64> = world.kafka.lock().expect("free").numbers().collect();
        wanted.retain(|n| ![1_000_010, 1_000_011, 2_000_002, 1_000_020].contains(n));
        world.run(&wanted, &[]).await;
        world.check(&wanted);
        assert!(world.gaps.is_empty(), "{:?}", world.gaps);
        let mut refused: Vec<_> = world.rejects.iter().map(|r| (r.position.clone(), r.reason.clone())).collect();
        refused.sort();
        let places: Vec<&str> = refused.iter().map(|(place, _)| place.as_str()).collect();
        assert_eq!(places, ["codfw.t/0/1010", "codfw.t/0/1011", "codfw.t/0/1020", "eqiad.t/0/1007"]);
        assert!(refused[0].1.contains("not JSON: expected"), "{refused:?}");
        assert!(refused[2].1.contains("at most 100000 bytes (event_bytes_max)"), "{refused:?}");
    });
}

#[test]
fn an_upstream_that_lost_the_held_event_gives_a_gap_and_goes_on() {
    run(async {
        let mut world = World::new(Kafka { topics: topics(40), ..Kafka::default() }).await;
        let wanted: BTreeSet<u64> = world.kafka.lock().expect("free").numbers().collect();
        world.run(&wanted, &[]).await;
        // Another cluster, whose log begins after the held event.
        let all = {
            let mut kafka = world.kafka.lock().expect("free");
            kafka.topics[0].count = 100;
            kafka.lost = (1_000_000..1_000_060).collect();
            kafka.connections = (0..40).map(|_| (2, usize::MAX)).collect();
            kafka.numbers().collect::<BTreeSet<u64>>()
        };
        let wanted = all.into_iter().filter(|n| *n < 1_000_040 || *n >= 1_000_060).collect();
        world.run(&wanted, &[]).await;
        let gaps: Vec<_> = world.gaps.iter().map(|gap| (gap.from, gap.to)).collect();
        assert_eq!(gaps, [(1_040, i64::try_from(Kafka::base(2, 0)).expect("small") + 60)]);
        assert!(world.gaps[0].reason.contains("not found again"));
        let mut numbers = world.numbers();
        numbers.sort_unstable();
        assert_eq!(numbers, wanted.into_iter().collect::<Vec<_>>());
    });
}

#[test]
fn a_stream_added_to_the_address_is_read_from_now_on_and_the_others_go_on_exactly() {
    run(async {
        let mut world = World::new(Kafka { topics: vec![topics(40).remove(0)], ..Kafka::default() }).await;
        let wanted: BTreeSet<u64> = world.kafka.lock().expect("free").numbers().collect();
        world.run(&wanted, &[]).await;
        world.path = "t,other".to_owned();
        world.kafka.lock().expect("free").topics.push(Topic { name: "eqiad.other", first: 3_000_000, count: 9 });
        let wanted: BTreeSet<u64> = world.kafka.lock().expect("free").numbers().collect();
        world.run(&wanted, &[]).await;
        world.check(&wanted);
    });
}

#[test]
fn it_is_live_at_the_head_and_catching_up_before() {
    run(async {
        let mut world = World::new(Kafka { topics: topics(40), ..Kafka::default() }).await;
        let mut source = world.open();
        let first = source.next().await.expect("no error").expect("no end");
        assert_eq!(first.activity, Some(Activity::CatchingUp));
        world.commit(first);
        // A second without anything: that is the head. Only the activity and the cursor come.
        let second = source.next().await.expect("no error").expect("no end");
        assert_eq!((second.activity, second.events.len()), (Some(Activity::Live), 0));
        assert!(second.cursor.is_some_and(|cursor| cursor.progress.is_some()));
    });
}

#[test]
fn a_cursor_that_cannot_be_read_is_corrupt_not_forgotten() {
    let cursor = Cursor { position: "{}".into(), progress: None };
    let error = feed("http://127.0.0.1:1/t", Some(cursor), &VecTail::default()).err().expect("an error");
    assert!(matches!(error, Error::Corrupt(_)), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 64, ..ProptestConfig::default() })]

    /// Random cuts at any byte × two clusters × holes, late ones, garbage, repeats × kills.
    #[test]
    fn whatever_happens_every_event_comes_once(
        connections in proptest::collection::vec((0_u64..2, 0_usize..20_000), 0..12),
        kills in proptest::collection::vec(0_usize..4, 0..8),
        lost in proptest::collection::btree_set(1_000_001_u64..1_000_058, 0..4),
        late in proptest::collection::btree_set(1_000_001_u64..1_000_058, 0..4),
        garbage in proptest::collection::btree_set(1_000_001_u64..1_000_058, 0..3),
        repeated in proptest::collection::btree_set(1_000_001_u64..1_000_058, 0..6),
    ) {
        run(async {
            let kafka = Kafka {
                topics: topics(60),
                lost: lost.clone(),
                late,
                garbage: garbage.clone(),
                large: BTreeSet::new(),
                repeated,
                connections,
            };
            let mut world = World::new(kafka).await;
            let mut wanted: BTreeSet<u64> = world.kafka.lock().expect("free").numbers().collect();
            wanted.retain(|number| !lost.contains(number) && !garbage.contains(number));
            world.run(&wanted, &kills).await;
            world.check(&wanted);
            world.more(wanted).await;
            // What is missing is in the ledger, by whichever cluster's offsets.
            let within = |number: &u64| world.gaps.iter().any(|gap| (0..2).any(|cluster| {
                let offset = i64::try_from(Kafka::base(cluster, 0) + number - 1_000_000).expect("small");
                gap.from <= offset && offset < gap.to
            }));
            assert!(lost.difference(&garbage).all(within), "{lost:?} {:?}", world.gaps);
            let refused: BTreeSet<&[u8]> = world.rejects.iter().map(|reject| &reject.payload[..]).collect();
            assert!(refused.len() >= garbage.difference(&lost).count(), "{garbage:?} {:?}", world.rejects);
        });
    }
}
