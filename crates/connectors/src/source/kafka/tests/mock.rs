//! Over librdkafka's imitation of brokers.

use lakehead_connector_api::Error;
use lakehead_testkit::conformance;
use rdkafka::mocking::MockCluster;
use serde_json::json;

use super::{
    super::KafkaTopics,
    world::{Broker, NOON, TestLog},
};

/// A cluster with the topic, and what leads to it.
fn cluster(test: &str, partitions: i32) -> (MockCluster<'static, rdkafka::producer::DefaultProducerContext>, Broker) {
    let cluster = MockCluster::new(1).expect("a cluster");
    let broker = Broker::at(cluster.bootstrap_servers(), test);
    cluster.create_topic(&broker.topic, partitions, 1).expect("a topic");
    (cluster, broker)
}

/// The envelope of the number `n` at offset `n`.
fn envelope(topic: &str, n: i64) -> Vec<u8> {
    let head = format!(r#"{{"topic":"{topic}","partition":0,"offset":{n},"timestamp":"2026-11-30T12:00:00Z","#);
    format!(r#"{head}"key":"{n}","headers":{{}},"value":{{"n":{n}}}}}"#).into_bytes()
}

#[tokio::test]
async fn keeps_the_contract() {
    let (_cluster, broker) = cluster("contract", 1);
    broker.producer().numbers(0, 0..200);
    let expected: Vec<_> = (0..200).map(|n| envelope(&broker.topic, n)).collect();
    let settings = || async { broker.settings() };
    conformance::source::<KafkaTopics, _>(settings, NOON, &expected).await;
}

#[tokio::test]
async fn keeps_the_contract_with_a_group_that_only_looks_on_and_with_an_end() {
    let (_cluster, broker) = cluster("ends", 1);
    broker.producer().numbers(0, 0..40);
    let expected: Vec<_> = (0..40).map(|n| envelope(&broker.topic, n)).collect();
    let settings = || async { broker.settings_and(json!({ "group": "looks-on" })) };
    conformance::source::<KafkaTopics, _>(settings, NOON, &expected).await;
    // Of one opening; opened again, the next ones come.
    let settings = broker.settings_and(json!({ "events_max": 15 }));
    let mut log = TestLog::default();
    for so_far in [15, 30, 40] {
        let mut opened = log.open("a", &settings).await;
        log.read(&mut opened, so_far).await;
        if so_far < 40 {
            assert!(matches!(opened.reader.next().await, Ok(None)) && matches!(opened.reader.next().await, Ok(None)));
        }
    }
    assert_eq!(log.offsets(0), (0..40).collect::<Vec<_>>());
}

#[tokio::test]
async fn topics_go_to_the_streams_of_their_names() {
    let (cluster, broker) = cluster("streams", 1);
    let mut expected = Vec::new();
    for stream in ["red", "dark_blue"] {
        let topic = stream.replace('_', "-");
        cluster.create_topic(&topic, 1, 1).expect("a topic");
        let mut producing = broker.producer();
        producing.topic.clone_from(&topic);
        producing.numbers(0, 0..60);
        expected.push((stream, (0..60).map(|n| envelope(&topic, n)).collect::<Vec<_>>()));
    }
    let settings = || async { broker.settings_and(json!({ "topics": ["red", "*blue"] })) };
    conformance::source_of_streams::<KafkaTopics, _>(settings, NOON, &expected, false).await;
}

#[tokio::test]
async fn several_partitions_come_once_each_whatever_chunk_is_the_last_before_a_restart() {
    let (_cluster, broker) = cluster("partitions", 3);
    let producing = broker.producer();
    (0..3).for_each(|partition| producing.numbers(partition, 0..20));
    let mut log = TestLog::default();
    for chunk in 1.. {
        let mut opened = log.open("a", &broker.settings()).await;
        log.step(&mut opened).await.expect("a chunk");
        // One more is read and never committed.
        drop(opened.reader.next().await);
        (0..3).for_each(|partition| producing.numbers(partition, 20 * chunk..20 * (chunk + 1)));
        if chunk == 8 {
            break;
        }
    }
    let mut opened = log.open("a", &broker.settings()).await;
    log.read(&mut opened, 3 * 180).await;
    for partition in 0..3 {
        assert_eq!(log.offsets(partition), (0..180).collect::<Vec<_>>());
    }
    assert_eq!((log.duplicates, log.noted()), (0, vec![]));
}

#[tokio::test]
async fn a_poisoned_record_is_refused_with_its_place_and_what_follows_comes() {
    let (_cluster, broker) = cluster("poison", 1);
    let producing = broker.producer();
    producing.numbers(0, 0..1);
    for poison in [&b"{\"n\":"[..], b"", b"\xff\xfe", b"{} {}"] {
        producing.send(0, Some("k"), Some(poison));
    }
    producing.send(0, Some("gone"), None);
    producing.flush();
    producing.send_with_header("trace", "a1");
    let mut log = TestLog::default();
    let mut opened = log.open("a", &broker.settings()).await;
    log.read(&mut opened, 7).await;
    let places: Vec<_> = log.rejects.iter().map(|reject| reject.position.clone()).collect();
    let expected: Vec<_> = (1..5).map(|offset| format!("{}/0/{offset}", broker.topic)).collect();
    assert_eq!(places, expected);
    assert!(log.rejects.iter().all(|reject| reject.reason.starts_with("value: not JSON")));
    assert_eq!(log.offsets(0), [0, 5, 6]);
    let (tombstone, last) = (&log.events[1], &log.events[2]);
    assert_eq!((&tombstone["key"], &tombstone["tombstone"]), (&json!("gone"), &json!(true)));
    assert!(tombstone.get("value").is_none());
    assert_eq!((&last["headers"], &last["value"]), (&json!({ "trace": "a1" }), &json!(1)));
    assert!(log.noted().is_empty(), "rejects are no holes");
}

#[tokio::test]
async fn of_values_alone_tombstones_are_skipped_and_other_bytes_are_text() {
    let (_cluster, broker) = cluster("values", 1);
    let producing = broker.producer();
    for value in [Some(&b"a \"b\""[..]), None, None, Some(b"\xff"), Some(b"c")] {
        producing.send(0, Some("k"), value);
    }
    producing.flush();
    let mut log = TestLog::default();
    let settings = broker.settings_and(json!({ "format": "value", "value": "text" }));
    let mut opened = log.open("a", &settings).await;
    log.read(&mut opened, 3).await;
    assert_eq!(log.events, [json!("a \"b\""), json!("c")]);
    assert_eq!((log.noted(), log.rejects.len()), (vec!["skipped 1..3".to_owned()], 1));
}

#[tokio::test]
async fn a_broker_that_goes_and_comes_back_costs_nothing() {
    let (cluster, broker) = cluster("down", 1);
    let producing = broker.producer();
    producing.numbers(0, 0..10);
    let mut log = TestLog::default();
    let mut opened = log.open("a", &broker.settings()).await;
    log.read(&mut opened, 10).await;
    cluster.broker_down(1).expect("down");
    let error = log.error(&mut opened).await;
    assert!(matches!(&error, Error::Unavailable { what, .. } if what.contains(&broker.url)), "{error:?}");
    // Opened while it is away.
    let mut opened = log.open("a", &broker.settings()).await;
    assert!(matches!(log.error(&mut opened).await, Error::Unavailable { .. }));
    cluster.broker_up(1).expect("up");
    producing.numbers(0, 10..20);
    let mut opened = log.open("a", &broker.settings()).await;
    log.read(&mut opened, 20).await;
    assert_eq!(log.offsets(0), (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_cannot_be_read_is_said_and_never_by_a_secret() {
    let (_cluster, broker) = cluster("wrong", 1);
    for (more, wanted, is_invalid) in [
        (json!({ "topics": ["no-such-topic"] }), "no-such-topic", false),
        (json!({ "topics": ["no-such-*"] }), "no topic is there", false),
        (json!({ "offsets": { (format!("{}/0", broker.topic)): 7 } }), "expected at most 0", true),
        (
            json!({ "client": { "sasl.mechanism": "PLAIN", "session.timeout.ms": "geheim" } }),
            "session.timeout.ms",
            true,
        ),
    ] {
        let mut log = TestLog::default();
        let mut opened = log.open("a", &broker.settings_and(more)).await;
        let error = log.error(&mut opened).await;
        assert_eq!(matches!(error, Error::Invalid(_)), is_invalid, "{error:?}");
        assert!(error.to_string().contains(wanted) && !error.to_string().contains("geheim"), "{error}");
    }
}
