//! Over Apache Kafka: topics of a name that have another life.

use std::time::Duration;

use lakehead_connector_api::Error;
use serde_json::json;

use super::world::{Broker, TestLog};

/// A topic of which ten records were read, and that was deleted and created with so many others.
async fn another(test: &str, records: i64) -> Option<(Broker, TestLog)> {
    let broker = Broker::real(test)?;
    broker.create(1, &[]).await;
    broker.producer().numbers(0, 0..10);
    let mut log = TestLog::default();
    let mut opened = log.open("a", &broker.settings()).await;
    log.read(&mut opened, 10).await;
    drop(opened);
    broker.delete().await;
    broker.create(1, &[]).await;
    broker.producer().numbers(0, 100..100 + records);
    Some((broker, log))
}

async fn stops_and_begins_again(test: &str, records: i64, says: &str) {
    let Some((broker, mut log)) = another(test, records).await else { return };
    let mut opened = log.open("a", &broker.settings()).await;
    let error = log.error(&mut opened).await;
    assert!(matches!(&error, Error::Invalid(what) if what.contains(says) && what.contains("begin_again")), "{error:?}");
    assert_eq!(log.events.len(), 10, "nothing of it is taken before a person has decided");
    let settings = broker.settings_and(json!({ "recreated": "begin_again" }));
    let mut opened = log.open("a", &settings).await;
    let count = 10 + usize::try_from(records).expect("few");
    log.read(&mut opened, count).await;
    assert_eq!(log.numbers(), (0..10).chain(100..100 + records).collect::<Vec<_>>());
    assert_eq!((log.noted(), log.duplicates), (vec!["renumbered 10..0".to_owned()], 0));
    // It is the partition from then on.
    drop(opened);
    broker.producer().numbers(0, 500..501);
    let mut opened = log.open("a", &broker.settings()).await;
    log.read(&mut opened, count + 1).await;
    assert_eq!(log.numbers().last(), Some(&500));
}

#[tokio::test]
async fn one_that_is_shorter_ends_before_what_was_read() {
    stops_and_begins_again("shorter", 3, "it ends at 3, before 10").await;
}

#[tokio::test]
async fn one_that_is_longer_has_another_record_where_the_last_one_was() {
    stops_and_begins_again("longer", 50, "the record at offset 9 is another one").await;
}

#[tokio::test]
async fn one_that_is_created_again_while_it_is_read_is_noticed() {
    let Some(broker) = Broker::real("meanwhile") else { return };
    broker.create(1, &[]).await;
    broker.producer().numbers(0, 0..10);
    let mut log = TestLog::default();
    let mut opened = log.open("a", &broker.settings()).await;
    log.read(&mut opened, 10).await;
    broker.delete().await;
    broker.create(1, &[]).await;
    broker.producer().numbers(0, 100..103);
    let begun = std::time::Instant::now();
    loop {
        match log.error(&mut opened).await {
            Error::Invalid(what) if what.contains("is not the partition that was read before") => break,
            Error::Unavailable { .. } if begun.elapsed() < Duration::from_secs(60) => {
                opened = log.open("a", &broker.settings()).await;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(log.numbers(), (0..10).collect::<Vec<_>>());
}
