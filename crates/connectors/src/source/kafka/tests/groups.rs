//! Over Apache Kafka: partitions that move between Lakeheads of one group.

use std::{collections::BTreeSet, time::Duration};

use lakehead_connector_api::Opened;
use serde_json::{Value, json};

use super::world::{Broker, TestLog};

fn settings(broker: &Broker) -> Value {
    let client = json!({ "session.timeout.ms": "6000", "heartbeat.interval.ms": "500" });
    broker.settings_and(json!({ "group": broker.topic, "shared": true, "handover": "5s", "client": client }))
}

/// A Lakehead of the group.
struct Member {
    name: &'static str,
    log: TestLog,
    opened: Option<Opened>,
}

impl Member {
    async fn start(name: &'static str, broker: &Broker) -> Self {
        let log = TestLog::default();
        let opened = Some(log.open(name, &settings(broker)).await);
        Self { name, log, opened }
    }

    async fn restart(&mut self, broker: &Broker) {
        self.opened = Some(self.log.open(self.name, &settings(broker)).await);
    }

    /// Commits what comes, until nothing has come for a while.
    async fn read_on(&mut self) {
        let Some(opened) = &mut self.opened else { return };
        while let Ok(step) = tokio::time::timeout(Duration::from_millis(50), self.log.step(opened)).await {
            step.expect("it continues");
        }
    }

    fn places(&self) -> Vec<(i64, i64)> {
        let number = |event: &Value, key: &str| event[key].as_i64().expect("a number");
        self.log.events.iter().map(|event| (number(event, "partition"), number(event, "offset"))).collect()
    }
}

/// How many events all hold together, and how many different ones.
fn held(members: &[&Member]) -> (usize, usize) {
    let all: Vec<_> = members.iter().flat_map(|member| member.places()).collect();
    (all.len(), all.iter().collect::<BTreeSet<_>>().len())
}

const PARTITIONS: i32 = 4;

#[tokio::test]
async fn a_partition_that_moves_in_the_middle_of_work_is_neither_lost_nor_doubled() {
    let Some(broker) = Broker::real("moves") else { return };
    broker.create(PARTITIONS, &[]).await;
    let producing = broker.producer();
    let mut one = Member::start("one", &broker).await;
    let mut two = None;
    let mut sent = 0;
    for round in 0..400 {
        (0..PARTITIONS).for_each(|partition| producing.numbers(partition, sent..sent + 25));
        sent += 25;
        one.read_on().await;
        if round == 5 {
            two = Some(Member::start("two", &broker).await);
        }
        if let Some(two) = &mut two {
            two.read_on().await;
            if round > 60 && !two.log.events.is_empty() {
                break;
            }
        }
    }
    let mut two = two.expect("it was started");
    let all = usize::try_from(sent).expect("few") * 4;
    for _ in 0..600 {
        if held(&[&one, &two]).0 >= all {
            break;
        }
        one.read_on().await;
        two.read_on().await;
    }
    assert_eq!(held(&[&one, &two]), (all, all), "each event once, in one of the two logs");
    assert!(!two.log.events.is_empty() && !one.log.events.is_empty(), "both took part");
    let noted = [one.log.noted(), two.log.noted()].concat();
    assert!(noted.is_empty(), "{noted:?}");
}

#[tokio::test]
async fn a_member_that_comes_back_soon_continues_by_its_own_log() {
    let Some(broker) = Broker::real("back") else { return };
    broker.create(1, &[]).await;
    let producing = broker.producer();
    producing.numbers(0, 0..10);
    let mut one = Member::start("one", &broker).await;
    one.log.read(one.opened.as_mut().expect("open"), 10).await;
    // Killed: what was read next is not committed, and nobody is told anything.
    producing.numbers(0, 10..20);
    for _ in 0..3 {
        one.opened = None;
        one.restart(&broker).await;
    }
    one.log.read(one.opened.as_mut().expect("open"), 20).await;
    assert_eq!(one.log.offsets(0), (0..20).collect::<Vec<_>>());
    assert_eq!((one.log.noted(), one.log.duplicates), (vec![], 0));
}

#[tokio::test]
async fn what_an_orderly_stop_has_committed_is_where_another_begins() {
    let Some(broker) = Broker::real("orderly") else { return };
    broker.create(1, &[]).await;
    let producing = broker.producer();
    producing.numbers(0, 0..10);
    let mut one = Member::start("one", &broker).await;
    one.log.read(one.opened.as_mut().expect("open"), 10).await;
    one.opened = None;
    producing.numbers(0, 10..20);
    let mut two = Member::start("two", &broker).await;
    two.log.read(two.opened.as_mut().expect("open"), 10).await;
    assert_eq!((two.log.offsets(0), two.log.noted()), ((10..20).collect(), vec![]));
    // Back with the first: what the other one has read is skipped, and nothing is missing.
    two.opened = None;
    producing.numbers(0, 20..21);
    one.restart(&broker).await;
    one.log.read(one.opened.as_mut().expect("open"), 11).await;
    assert_eq!(one.log.offsets(0).last(), Some(&20));
    assert_eq!(one.log.noted(), ["skipped 10..20"]);
}

#[tokio::test]
async fn what_a_killed_member_had_not_committed_comes_twice_and_both_say_so() {
    let Some(broker) = Broker::real("killed") else { return };
    broker.create(1, &[]).await;
    let producing = broker.producer();
    producing.numbers(0, 0..10);
    let mut one = Member::start("one", &broker).await;
    one.log.read(one.opened.as_mut().expect("open"), 10).await;
    // Let the ten be committed. Then ten more reach the disk, and the kill comes before anybody hears of it.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let opened = one.opened.as_mut().expect("open");
    let acks = opened.acks.take();
    producing.numbers(0, 10..20);
    one.log.read(opened, 20).await;
    one.opened = None;
    std::mem::forget(acks);
    producing.numbers(0, 20..30);
    let mut two = Member::start("two", &broker).await;
    two.log.read(two.opened.as_mut().expect("open"), 20).await;
    assert_eq!(two.log.offsets(0), (10..30).collect::<Vec<_>>(), "from what was committed on; nothing is lost");
    assert_eq!(two.log.noted(), ["renumbered 10..10"], "taken over from one that had not handed over");
    two.opened = None;
    producing.numbers(0, 30..31);
    one.restart(&broker).await;
    one.log.read(one.opened.as_mut().expect("open"), 21).await;
    assert_eq!(one.log.offsets(0), (0..20).chain(30..31).collect::<Vec<_>>());
    assert_eq!(one.log.noted(), ["skipped 20..30", "renumbered 10..20"], "which ones are in both logs");
}

#[tokio::test]
async fn a_wait_for_the_disk_that_runs_out_is_noted_and_loses_nothing() {
    let Some(broker) = Broker::real("overrun") else { return };
    broker.create(2, &[]).await;
    let producing = broker.producer();
    (0..2).for_each(|partition| producing.numbers(partition, 0..10));
    let mut settings = settings(&broker);
    settings["handover"] = json!("300ms");
    let mut one = Member { name: "one", log: TestLog::default(), opened: None };
    one.opened = Some(one.log.open("one", &settings).await);
    // A disk that never answers.
    let opened = one.opened.as_mut().expect("open");
    let acks = opened.acks.take();
    one.log.read(opened, 20).await;
    let mut two = Member::start("two", &broker).await;
    two.log.read(two.opened.as_mut().expect("open"), 10).await;
    one.log.read_until(one.opened.as_mut().expect("open"), |log| !log.discontinuities.is_empty()).await;
    assert_eq!(one.log.noted(), ["renumbered 0..10"], "kept here, and read again there");
    assert_eq!(two.log.noted(), ["renumbered 0..0"]);
    assert_eq!(held(&[&one, &two]), (30, 20));
    drop(acks);
}
