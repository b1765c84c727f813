//! Over Apache Kafka, read whole: transactions, compaction, retention, beginnings, great records.

use std::time::Duration;

use rdkafka::producer::Producer;
use serde_json::json;

use super::world::{Broker, NOON, TestLog};

const WITHIN: Duration = Duration::from_secs(60);

#[tokio::test]
async fn aborted_transactions_are_not_read_and_their_offsets_are_skipped() {
    let Some(broker) = Broker::real("transactions") else { return };
    broker.create(1, &[]).await;
    let producing = broker.transactions();
    let transaction = |numbers, commits| {
        producing.producer.begin_transaction().expect("begun");
        producing.numbers(0, numbers);
        let producer = &producing.producer;
        let ended = if commits { producer.commit_transaction(WITHIN) } else { producer.abort_transaction(WITHIN) };
        ended.expect("ended");
    };
    // Offsets 0 to 2 and a marker, 4 to 6 and a marker, 8 and 9 and a marker.
    transaction(0..3, true);
    transaction(10..13, false);
    transaction(20..22, true);
    let mut log = TestLog::default();
    let mut opened = log.open("a", &broker.settings()).await;
    log.read(&mut opened, 5).await;
    assert_eq!(log.numbers(), [0, 1, 2, 20, 21]);
    assert_eq!(log.noted(), ["skipped 3..8"]);
    // After a restart the marker at the end is no gap either.
    drop(opened);
    transaction(30..31, true);
    let mut opened = log.open("a", &broker.settings()).await;
    log.read(&mut opened, 6).await;
    assert_eq!(
        (log.offsets(0), log.noted()),
        (vec![0, 1, 2, 8, 9, 11], vec!["skipped 3..8".into(), "skipped 10..11".into()])
    );
    let mut log = TestLog::default();
    let settings = broker.settings_and(json!({ "isolation": "read_uncommitted" }));
    let mut opened = log.open("b", &settings).await;
    log.read(&mut opened, 9).await;
    assert_eq!(log.numbers(), [0, 1, 2, 10, 11, 12, 20, 21, 30]);
}

#[tokio::test]
async fn compacted_records_are_holes_and_no_loss() {
    let Some(broker) = Broker::real("compaction") else { return };
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "100"),
        ("min.cleanable.dirty.ratio", "0.001"),
        ("min.compaction.lag.ms", "0"),
        ("delete.retention.ms", "0"),
    ];
    broker.create(1, &settings).await;
    let producing = broker.producer();
    // A segment is closed by the times of its records; the cleaner works about every 15 s, on closed ones.
    for n in 0..40 {
        let value = format!("{{\"n\":{n}}}");
        producing.send_at(NOON.plus(Duration::from_secs(n)), value.as_bytes());
        producing.flush();
    }
    let mut log = TestLog::default();
    for _ in 0..60 {
        log = TestLog::default();
        let mut opened = log.open("a", &broker.settings()).await;
        log.read_until(&mut opened, |log| log.offsets(0).last() == Some(&39)).await;
        if log.events.len() < 40 {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(log.events.len() < 40, "something was compacted");
    let skipped: i64 = log
        .discontinuities
        .iter()
        .map(|one| match one {
            lakehead_connector_api::Discontinuity::Skipped(skipped) => skipped.to - skipped.from,
            other => panic!("nothing is missing: {other:?}"),
        })
        .sum();
    assert_eq!(i64::try_from(log.events.len()).expect("few") + skipped, 40);
}

#[tokio::test]
async fn what_retention_removes_is_missing_at_an_opening_and_while_it_reads() {
    let Some(broker) = Broker::real("retention") else { return };
    broker.create(1, &[]).await;
    let producing = broker.producer();
    producing.numbers(0, 0..10);
    let mut log = TestLog::default();
    let mut opened = log.open("a", &broker.settings()).await;
    log.read(&mut opened, 10).await;
    drop(opened);
    producing.numbers(0, 10..30);
    broker.truncate(0, 25).await;
    let mut opened = log.open("a", &broker.settings()).await;
    log.read(&mut opened, 15).await;
    assert_eq!(log.noted(), ["missing 10..25"]);
    assert_eq!(log.offsets(0), (0..10).chain(25..30).collect::<Vec<_>>());
    // Nothing more is fetched once two chunks wait, so that the brokers can remove what is next.
    let large = [b"\"", vec![b'x'; 700_000].as_slice(), b"\""].concat();
    for _ in 0..60 {
        producing.send(0, None, Some(&large));
    }
    producing.flush();
    tokio::time::sleep(Duration::from_secs(2)).await;
    broker.truncate(0, 85).await;
    producing.numbers(0, 90..95);
    loop {
        match log.step(&mut opened).await {
            Ok(()) if log.offsets(0).last() == Some(&94) => break,
            Ok(()) => {}
            Err(error) => {
                assert!(error.to_string().contains("looked up again"), "{error}");
                opened = log.open("a", &broker.settings()).await;
            }
        }
    }
    let at = log.offsets(0).iter().position(|offset| *offset == 85).expect("from where they begin again");
    let before = log.offsets(0)[at - 1] + 1;
    assert!(before > 30 && before < 85, "{before}");
    assert_eq!(log.noted(), ["missing 10..25".to_owned(), format!("missing {before}..85")]);
}

#[tokio::test]
async fn it_begins_where_it_is_told() {
    let Some(broker) = Broker::real("start") else { return };
    broker.create(1, &[]).await;
    let producing = broker.producer();
    producing.numbers(0, 0..10);
    let place = format!("{}/0", broker.topic);
    let later = NOON.plus(Duration::from_secs(1)).to_string();
    for (more, first) in [
        (json!({}), 0),
        (json!({ "start": NOON.to_string() }), 0),
        (json!({ "start": "24h" }), 0),
        (json!({ "offsets": { (place): 4 } }), 4),
    ] {
        let mut log = TestLog::default();
        let mut opened = log.open("a", &broker.settings_and(more)).await;
        log.read(&mut opened, 1).await;
        assert_eq!(log.offsets(0)[0], first);
    }
    for start in ["latest".to_owned(), later] {
        let mut log = TestLog::default();
        let settings = broker.settings_and(json!({ "start": start }));
        let mut opened = log.open("a", &settings).await;
        // Where it begins is in the cursor at once: what comes while it is away is not before the beginning.
        log.read_until(&mut opened, |log| log.cursor.is_some()).await;
        drop(opened);
        let next = broker.lookup_end().await;
        producing.numbers(0, next..next + 2);
        let mut opened = log.open("a", &settings).await;
        log.read(&mut opened, 2).await;
        assert_eq!(log.offsets(0), [next, next + 1], "{start}");
    }
}

#[tokio::test]
async fn what_is_too_old_is_passed_over_and_noted() {
    let Some(broker) = Broker::real("age") else { return };
    broker.create(1, &[]).await;
    let producing = broker.producer();
    let at = |seconds: u64, n: i64| {
        let value = format!("{{\"n\":{n}}}");
        producing.send_at(NOON.minus(Duration::from_secs(seconds)), value.as_bytes());
    };
    (0..5).for_each(|n| at(7_200, n));
    producing.flush();
    let mut log = TestLog::default();
    let mut opened = log.open("a", &broker.settings()).await;
    log.read(&mut opened, 2).await;
    let held = log.offsets(0).len();
    drop(opened);
    // Two that are an hour old, and one of a minute ago.
    (5..7).for_each(|n| at(3_600, n));
    at(60, 7);
    producing.flush();
    let mut opened = log.open("a", &broker.settings_and(json!({ "age_max": "10m" }))).await;
    log.read(&mut opened, held + 1).await;
    assert_eq!(log.offsets(0).last(), Some(&7));
    assert_eq!(log.noted(), [format!("skipped {held}..7")]);
}

#[tokio::test]
async fn partitions_and_topics_that_come_later_are_read_from_their_first_record() {
    let Some(broker) = Broker::real("later") else { return };
    broker.create(1, &[]).await;
    let settings = broker.settings_and(json!({ "topics": [format!("{}*", broker.topic)], "start": "latest" }));
    let mut log = TestLog::default();
    let mut opened = log.open("a", &settings).await;
    log.read_until(&mut opened, |log| log.cursor.is_some()).await;
    let mut producing = broker.producer();
    producing.numbers(0, 0..3);
    log.read(&mut opened, 3).await;
    broker.add_partitions(2).await;
    producing = broker.producer();
    producing.numbers(1, 3..6);
    log.read(&mut opened, 6).await;
    let other = format!("{}-other", broker.topic);
    broker.create_named(&other, 1, &[]).await;
    producing.topic = other;
    producing.numbers(0, 6..9);
    log.read(&mut opened, 9).await;
    let mut numbers = log.numbers();
    numbers.sort_unstable();
    assert_eq!((numbers, log.noted()), ((0..9).collect(), vec![]));
    // And once more from the cursor.
    drop(opened);
    producing.numbers(0, 9..10);
    let mut opened = log.open("a", &settings).await;
    log.read(&mut opened, 10).await;
    assert_eq!((log.numbers().last(), log.duplicates), (Some(&9), 0));
}

#[tokio::test]
async fn a_record_greater_than_a_fetch_comes_and_one_that_is_no_event_is_refused() {
    let Some(broker) = Broker::real("large") else { return };
    broker.create(1, &[("max.message.bytes", "20000000")]).await;
    let producing = broker.producer();
    let value = |bytes: usize| [b"\"", vec![b'x'; bytes].as_slice(), b"\""].concat();
    for bytes in [10, 2_000_000, 4_100_000, 9_000_000, 20] {
        producing.send(0, None, Some(&value(bytes)));
    }
    producing.flush();
    let mut log = TestLog::default();
    let mut opened = log.open("a", &broker.settings_and(json!({ "memory": "1 MiB" }))).await;
    log.read(&mut opened, 5).await;
    let lengths: Vec<_> = log.events.iter().map(|event| event["value"].as_str().map(str::len)).collect();
    assert_eq!(lengths, [Some(10), Some(2_000_000), Some(4_100_000), Some(20)]);
    let reject = &log.rejects[0];
    assert_eq!(reject.position, format!("{}/0/3", broker.topic));
    assert!(reject.reason.contains("at most 4 MiB") && reject.payload.len() == 64 << 10, "{}", reject.reason);
    assert!(log.noted().is_empty());
}
