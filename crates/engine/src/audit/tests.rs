//! Audits of real logs, made through the store's own door.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use lakehead_connector_api::{Discontinuity, Gap, Renumbering, SkippedOffsets};
use lakehead_model::{Clock, Cursor, EventBatch, Name, Reject, Timestamp};
use lakehead_query::{Lake, Limits};
use lakehead_store::{Append, Options, Store, Stream};

use super::{Auditor, Effort, Scope, StreamAudit, Throttle};
use crate::{
    builtin::{GAPS, REJECTS},
    identity::{EventIdentity, Identities},
    imports::Imports,
    ledgers::{gaps, rejects},
};

/// A clock that goes on a second whenever it is asked.
#[derive(Debug)]
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.fetch_add(1_000_000, Ordering::Relaxed))
    }
}

const TOPIC: &str = "eqiad.t";

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

/// A store with a stream, its ledger and its rejects.
struct World {
    store: Store,
    auditor: Auditor,
}

impl World {
    fn new(dir: &Path) -> Self {
        let clock = Arc::new(Ticking(AtomicI64::new(1_800_000_000_000_000)));
        let store = Store::open(dir, Options::default(), clock).expect("a store");
        let streams = ["s", GAPS, REJECTS].map(|text| (name(text), store.stream(&name(text)).expect("one")));
        let lake = Lake::new(Limits::default()).expect("a lake");
        let mut identities = Identities::default();
        identities.add(&name("s"), EventIdentity::as_ever());
        let auditor = Auditor::new(lake, streams.into(), Effort::Background).with_identities(identities);
        Self { store, auditor }
    }

    fn stream(&self, text: &str) -> Stream {
        self.store.stream(&name(text)).expect("it is open")
    }

    async fn append(&self, stream: &str, events: EventBatch) {
        self.append_from("w", stream, events).await;
    }

    async fn append_from(&self, source: &str, stream: &str, events: EventBatch) {
        let cursor = Some(Cursor { position: "{}".into(), progress: None });
        let append = Append { source: name(source), events, cursor, keys: Vec::new(), urgent: true };
        self.stream(stream).appender().append(append).await.expect("taken").await.expect("committed");
    }

    /// Events with these upstream offsets; the id of each is its offset, unless it is given.
    async fn events(&self, offsets: &[(i64, Option<&str>)]) {
        let mut batch = EventBatch::default();
        for (offset, id) in offsets {
            let id = id.map_or_else(|| format!("id-{offset}"), str::to_owned);
            let event = format!(
                r#"{{"meta":{{"topic":"{TOPIC}","partition":0,"offset":{offset},"id":"{id}"}},"timestamp":1800000000}}"#
            );
            batch.push(event.as_bytes(), None);
        }
        self.append("s", batch).await;
    }

    async fn range(&self, offsets: std::ops::Range<i64>) {
        self.events(&offsets.map(|offset| (offset, None)).collect::<Vec<_>>()).await;
    }

    async fn audit(&mut self) -> StreamAudit {
        let scope = Scope { stream: Some(name("s")), ..Scope::default() };
        let throttle = Arc::new(Throttle::unlimited(None));
        let report = self.auditor.audit(&scope, &throttle).await.expect("it can be read");
        report.streams["s"].clone()
    }
}

fn said(audit: &StreamAudit) -> Vec<&str> {
    audit.told.iter().map(|said| said.what.as_str()).collect()
}

#[tokio::test]
async fn all_is_well_and_a_second_look_reads_only_what_is_new() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut world = World::new(dir.path());
    world.range(7..300).await;
    let first = world.audit().await;
    assert_eq!((first.events, first.differences, first.missing), (293, 0, 0));
    world.range(300..400).await;
    let second = world.audit().await;
    assert_eq!((second.events, second.differences), (393, 0));
    assert_eq!(second.minutes.iter().map(|minute| minute.events).sum::<u64>(), 393);
    assert_eq!(second.partitions["eqiad.t/0"].last, 399);
}

#[tokio::test]
async fn a_hole_is_a_difference_until_the_ledger_or_a_reject_has_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut world = World::new(dir.path());
    world.range(0..10).await;
    world.range(13..200).await;
    let audit = world.audit().await;
    assert_eq!((audit.differences, audit.missing), (1, 3));
    assert!(said(&audit)[0].contains("offsets 10 to 12 of eqiad.t/0 (3)"), "{:?}", audit.told);
    assert_eq!(audit.minutes.iter().map(|minute| minute.missing).sum::<u64>(), 3);

    let gap = Gap { partition: "eqiad.t/0".into(), from: 10, to: 12, after: None, before: None, reason: "r".into() };
    world.append(GAPS, gaps::batch(&[Discontinuity::Missing(gap)], &name("s"), &name("w"))).await;
    assert_eq!(world.audit().await.missing, 1, "one is still nowhere");
    let reject = Reject { reason: "r".into(), position: "eqiad.t/0/12".into(), payload: "x".into() };
    world.append(REJECTS, rejects::batch(&[reject], &name("s"), &name("w"))).await;
    let audit = world.audit().await;
    assert_eq!((audit.differences, audit.missing, audit.accounted, audit.rejects), (0, 0, 3, 1));
}

#[tokio::test]
async fn a_reject_of_unknown_place_accounts_for_one_offset_and_another_streams_for_none() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut world = World::new(dir.path());
    world.range(0..10).await;
    world.range(11..200).await;
    let reject = || Reject { reason: "r".into(), position: "no id".into(), payload: "x".into() };
    world.append(REJECTS, rejects::batch(&[reject()], &name("other"), &name("w"))).await;
    assert_eq!(world.audit().await.missing, 1);
    world.append(REJECTS, rejects::batch(&[reject()], &name("s"), &name("w"))).await;
    assert_eq!(world.audit().await.differences, 0);
}

#[tokio::test]
async fn an_event_kept_twice_is_found_by_its_id_whatever_its_offset() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut world = World::new(dir.path());
    world.range(0..150).await;
    world.events(&[(20, None), (150, Some("id-30")), (151, None)]).await;
    world.range(152..300).await;
    let audit = world.audit().await;
    assert_eq!((audit.doubled, audit.differences, audit.missing), (2, 2, 0), "{:?}", audit.told);
    assert!(said(&audit)[0].contains("event 150 is in the log twice"), "{:?}", audit.told);
}

#[tokio::test]
async fn another_cluster_is_a_restart_unless_the_ledger_has_the_move() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut world = World::new(dir.path());
    world.range(5_000..5_100).await;
    let other = |offsets: std::ops::Range<i64>| offsets.map(|offset| (offset, None)).collect::<Vec<_>>();
    // One was not seen before, and came while the place was looked for.
    world.events(&[(77, None)]).await;
    world.events(&other(90..92)).await;
    let audit = world.audit().await;
    assert_eq!((audit.differences, audit.unsettled > 0), (0, true), "the end of the log may still be explained");
    world.events(&other(92..300)).await;
    let audit = world.audit().await;
    assert!(audit.differences > 0, "{audit:?}");
    assert!(said(&audit).iter().any(|what| what.contains("begin anew at 77")), "{:?}", audit.told);
    let found =
        |from, to| Discontinuity::Renumbered(Renumbering { partition: "eqiad.t/0".into(), from, to, reason: "" });
    world.append(GAPS, gaps::batch(&[found(5_100, 77), found(78, 90)], &name("s"), &name("w"))).await;
    let audit = world.audit().await;
    assert_eq!((audit.differences, audit.unsettled, audit.missing), (0, 0, 0), "{:?}", audit.told);
    assert_eq!(audit.partitions["eqiad.t/0"].changes, 2);
}

#[tokio::test]
async fn an_entry_without_a_kind_stands_for_a_whole_overlap() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut world = World::new(dir.path());
    let mut entry = EventBatch::default();
    let before_kinds =
        br#"{"stream":"s","source":"w","partition":"eqiad.t/0","from_offset":5100,"to_offset":90,"missing":0,"reason":"moved"}"#;
    entry.push(before_kinds, None);
    world.append(GAPS, entry).await;
    world.range(5_000..5_100).await;
    world.events(&[(77, None)]).await;
    world.range(90..300).await;
    let audit = world.audit().await;
    assert_eq!((audit.differences, audit.unsettled, audit.missing), (0, 0, 0), "{:?}", audit.told);
    assert_eq!(audit.partitions["eqiad.t/0"].changes, 1);
}

#[tokio::test]
async fn where_something_was_imported_upstream_offsets_are_in_any_order() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut world = World::new(dir.path());
    world.range(0..200).await;
    assert_eq!(world.audit().await.partitions.len(), 1);
    world.append_from("import_archive", "s", EventBatch::default()).await;
    world.range(5_000..5_200).await;
    world.range(700..900).await;
    let audit = world.audit().await;
    assert_eq!((audit.events, audit.differences, audit.missing), (600, 0, 0), "{:?}", audit.told);
}

#[tokio::test]
async fn events_without_upstream_offsets_are_only_counted() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut world = World::new(dir.path());
    let mut batch = EventBatch::default();
    for event in
        [r#"{"a":1}"#, r#"{"a":1}"#, "[]", r#"{"meta":{"topic":"t"}}"#, r#"{"meta":{"topic":"t","offset":"7"}}"#]
    {
        batch.push(event.as_bytes(), None);
    }
    world.append("s", batch).await;
    let audit = world.audit().await;
    assert_eq!((audit.events, audit.differences, audit.partitions.len()), (5, 0, 0));
}

#[tokio::test]
async fn an_import_turns_nothing_off_but_the_order_while_it_ran() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut world = World::new(dir.path());
    let (stream, source) = (world.stream("s"), name("import_archive"));
    let imports = Imports::load(dir.path()).expect("reads");
    world.auditor = world.auditor.with_imports(imports.clone());
    world.range(5_000..5_200).await;
    imports.begin(&stream, &source).await.expect("noted");
    for (from, offset) in [(0..40, 5_200), (40..80, 5_201)] {
        let mut batch = EventBatch::default();
        for offset in from {
            let event =
                format!(r#"{{"meta":{{"topic":"{TOPIC}","partition":0,"offset":{offset},"id":"id-{offset}"}}}}"#);
            batch.push(event.as_bytes(), None);
        }
        world.append_from("import_archive", "s", batch).await;
        world.events(&[(offset, None)]).await;
    }
    imports.rest(&stream, &source).await.expect("noted");
    assert!(!stream.head().cursors.contains_key(&source), "its cursor is given back");
    world.range(5_202..5_400).await;
    let audit = world.audit().await;
    assert_eq!((audit.events, audit.differences, audit.missing), (480, 0, 0), "{:?}", audit.told);
    assert!(audit.not_checked.iter().any(|what| what.contains("from event 200 to 282")), "{:?}", audit.not_checked);
    world.range(5_403..5_600).await;
    let audit = world.audit().await;
    assert_eq!((audit.differences, audit.missing), (1, 3), "{:?}", audit.told);
}

#[tokio::test]
async fn in_a_stream_without_a_source_the_same_event_twice_is_found_by_its_id_and_bytes() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut world = World::new(dir.path());
    for texts in [[r#"{"meta":{"id":"a"},"n":1}"#, r#"{"meta":{"id":"a"},"n":2}"#, r#"{"n":3}"#]; 2] {
        let mut batch = EventBatch::default();
        texts.iter().for_each(|text| batch.push(text.as_bytes(), None));
        let append = Append { source: name("push"), events: batch, cursor: None, keys: Vec::new(), urgent: true };
        world.stream("s").appender().append(append).await.expect("taken").await.expect("committed");
    }
    let audit = world.audit().await;
    assert_eq!((audit.events, audit.doubled, audit.differences), (6, 2, 2), "{:?}", audit.told);
    let said = audit.not_checked.join("; ");
    assert!(said.contains("upstream offsets, because") && said.contains("one of 2 events"), "{said}");
}

#[tokio::test]
async fn offsets_that_the_upstream_skipped_are_not_missing() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut world = World::new(dir.path());
    world.range(7..10).await;
    world.range(12..200).await;
    assert_eq!(world.audit().await.missing, 2);
    let partition = "eqiad.t/0".to_owned();
    let skipped = SkippedOffsets { partition, from: 10, to: 12, reason: "a transaction's marker" };
    world.append(GAPS, gaps::batch(&[Discontinuity::Skipped(skipped)], &name("s"), &name("w"))).await;
    let audit = world.audit().await;
    assert_eq!((audit.differences, audit.missing), (0, 0), "{:?}", audit.told);
}

#[tokio::test]
async fn offsets_are_looked_for_where_the_source_s_kind_says() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |key: &str| vec![key.to_owned()];
    let identity = EventIdentity { topic: path("t"), partition: path("p"), offset: path("o"), id: path("k") };
    let mut identities = Identities::default();
    identities.add(&name("s"), identity);
    let mut world = World::new(dir.path());
    world.auditor = world.auditor.with_identities(identities);
    let mut batch = EventBatch::default();
    for offset in (0..50).chain(51..300) {
        let place = format!(r#""meta":{{"topic":"x","partition":0,"offset":7}},"t":"{TOPIC}","p":0,"o":{offset}"#);
        batch.push(format!(r#"{{{place},"k":"k-{offset}"}}"#).as_bytes(), None);
    }
    world.append("s", batch).await;
    let audit = world.audit().await;
    assert_eq!((audit.missing, audit.differences, audit.partitions.len()), (1, 1, 1), "{:?}", audit.told);
    assert!(said(&audit)[0].contains("offset 50 of eqiad.t/0"), "{:?}", audit.told);
}

#[tokio::test]
async fn a_stream_whose_source_says_no_offsets_is_said_not_to_be_compared() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut world = World::new(dir.path());
    world.auditor = world.auditor.with_identities(Identities::default());
    world.range(7..10).await;
    world.range(20..300).await;
    let audit = world.audit().await;
    assert_eq!((audit.missing, audit.differences), (0, 0), "{:?}", audit.told);
    assert_eq!(audit.not_checked, ["upstream offsets: not compared (no source says where they stand)"]);
}
