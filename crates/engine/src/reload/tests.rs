//! A pipeline that is replaced while events come.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use lakehead_model::{ByteSize, Column, ColumnType, EventTimeRule, Kind, Offset, TimeFormat};
use lakehead_store::Retention;
use tokio::{sync::watch, time::Instant};

use crate::{
    Engine, Error, Parts, Pipeline,
    pipeline::{StreamConfig, ViewConfig},
    status::{ReloadOutcome, SourceState, Status},
    tests::{SOON, SOURCES, Step, Ticking, name, pipeline, steps, until},
};

const COUNT: &str = "SELECT tumble(event_time, INTERVAL '1 minute') AS minute, count(*) AS events FROM s GROUP BY 1";

const SUMS: &str = "SELECT tumble(event_time, INTERVAL '1 minute') AS minute, sum(n) AS events FROM s GROUP BY 1";

/// Between two looks at what tells nobody that it has changed.
const LOOK_EVERY: Duration = Duration::from_millis(5);

async fn start(pipeline: Pipeline) -> Arc<Engine> {
    let clock = Arc::new(Ticking(AtomicI64::new(1_800_000_000_000_000)));
    let parts = Parts { clock, sources: SOURCES, sinks: &[], version: "test" };
    Arc::new(Engine::start(pipeline, parts).await.expect("it starts"))
}

/// Stream `s` alone.
fn bare(data: &Path) -> Pipeline {
    pipeline(data, &[])
}

fn with_view(mut pipeline: Pipeline, view: &str, sql: &str) -> Pipeline {
    pipeline.views.insert(name(view), ViewConfig::new(sql));
    pipeline
}

async fn push(engine: &Engine, stream: &str, events: u64) {
    let lines: String =
        (0..events).map(|n| format!("{{\"n\":{n},\"dt\":\"2026-01-01T00:00:{:02}Z\"}}\n", n % 60)).collect();
    let pushed = engine.push(stream, Bytes::from(lines), None, None).await.expect("it is kept");
    assert_eq!(pushed.accepted, events);
}

async fn push_text(engine: &Engine, event: &str) {
    engine.push("s", Bytes::copy_from_slice(event.as_bytes()), None, None).await.expect("it is kept");
}

async fn eventually(engine: &Engine, what: &str, done: impl Fn(&Status) -> bool) -> Status {
    let begun = Instant::now();
    loop {
        let status = engine.status();
        if done(&status) {
            return status;
        }
        assert!(begun.elapsed() < SOON, "waited in vain for {what}: {status:#?}");
        let _ = tokio::time::timeout(LOOK_EVERY, std::future::pending::<()>()).await;
    }
}

/// The one number that `sql` answers.
async fn number(engine: &Engine, sql: &str) -> u64 {
    let answer = engine.lake().query(sql).await.expect(sql);
    let mut text = Vec::new();
    lakehead_query::format::write(&answer, lakehead_query::format::Format::Csv, &mut text).expect("CSV");
    let text = String::from_utf8(text).expect("UTF-8");
    text.lines().nth(1).and_then(|line| line.parse().ok()).unwrap_or_else(|| panic!("{sql}: {text}"))
}

async fn counted(engine: &Engine, view: &str, events: u64) -> u64 {
    eventually(engine, "the view", |status| {
        status
            .views
            .get(view)
            .is_some_and(|view| view.offset == Offset(events) && view.next.is_none() && view.failed.is_none())
    })
    .await;
    number(engine, &format!("SELECT sum(events) FROM {view}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_is_added_while_events_come_counts_all_of_them() {
    let dir = tempfile::tempdir().expect("a folder");
    let engine = start(with_view(bare(dir.path()), "old", COUNT)).await;
    push(&engine, "s", 500).await;
    let (pushed, stop) = (Arc::new(AtomicU64::new(0)), watch::Sender::new(false));
    let pushing = tokio::spawn({
        let (engine, pushed, stopping) = (Arc::clone(&engine), Arc::clone(&pushed), stop.subscribe());
        async move {
            while !*stopping.borrow() {
                push(&engine, "s", 10).await;
                pushed.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let (mut pipeline, mut added, begun) = (with_view(bare(dir.path()), "old", COUNT), Vec::new(), Instant::now());
    // Of two pushes that end while it reloads, the second also began then. A reload that is done sooner proves nothing: then
    // another view is added.
    let mut overlapped = false;
    while !overlapped {
        assert!(begun.elapsed() < SOON, "no push came during one of {} reloads", added.len());
        let view = format!("new_{}", added.len());
        pipeline = with_view(pipeline, &view, COUNT);
        let before = pushed.load(Ordering::Relaxed);
        let reloaded = engine.reload(pipeline.clone()).await.expect("it fits");
        overlapped = pushed.load(Ordering::Relaxed) >= before + 2;
        assert_eq!(reloaded.in_words(), [format!("view {view} added")]);
        added.push(view);
    }
    stop.send_replace(true);
    pushing.await.expect("nothing was refused");
    let events = 500 + 10 * pushed.load(Ordering::Relaxed);
    for view in added.iter().map(String::as_str).chain(["old"]) {
        assert_eq!(counted(&engine, view, events).await, events, "{view}");
    }
    let again = engine.reload(pipeline).await.expect("the same");
    assert!(again.is_empty());
    engine.shutdown().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_view_is_counted_again_and_a_removed_one_is_no_table_until_it_comes_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let engine = start(with_view(with_view(bare(dir.path()), "a", COUNT), "b", COUNT)).await;
    push(&engine, "s", 60).await;
    assert_eq!(counted(&engine, "b", 60).await, 60);
    let twice = COUNT.replace("count(*)", "2 * count(*)");
    let reloaded = engine.reload(with_view(bare(dir.path()), "a", &twice)).await.expect("it fits");
    assert_eq!(reloaded.in_words(), ["view b removed", "view a changed"]);
    assert!(engine.lake().query("SELECT * FROM b").await.is_err());
    assert!(!engine.status().views.contains_key("b"));
    assert_eq!(counted(&engine, "a", 60).await, 120);
    push(&engine, "s", 60).await;
    engine.reload(with_view(bare(dir.path()), "b", COUNT)).await.expect("it fits");
    assert_eq!(counted(&engine, "b", 120).await, 120, "it goes on where it stood");
    engine.reload(bare(dir.path())).await.expect("it fits");
    assert!(engine.status().views.is_empty());
    push(&engine, "s", 1).await;
    engine.shutdown().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_source_goes_on_from_its_cursor_and_another_is_not_touched() {
    use Step::{Event, Wait};
    let dir = tempfile::tempdir().expect("a folder");
    let sources = |a| pipeline(dir.path(), &[("a", a), ("still", &[Wait])]);
    let engine = start(sources(&[Event, Event, Wait])).await;
    assert_eq!(steps(&engine, 2).await, [0, 1]);
    let mut longer = sources(&[Event, Event, Event, Event, Wait]);
    let reloaded = engine.reload(longer.clone()).await.expect("it fits");
    assert_eq!(reloaded.in_words(), ["source a changed"]);
    assert_eq!(steps(&engine, 4).await, [0, 1, 2, 3]);
    let status = eventually(&engine, "its counts", |status| status.sources["a"].events == 4).await;
    assert_eq!((status.sources["a"].opened, status.sources["still"].opened), (2, 1), "counts go on");

    longer.sources.remove("a");
    engine.reload(longer).await.expect("it fits");
    assert_eq!(engine.status().sources.keys().map(|name| name.as_str()).collect::<Vec<_>>(), ["still"]);
    engine.reload(sources(&[Event; 6])).await.expect("it fits");
    assert_eq!(steps(&engine, 6).await, [0, 1, 2, 3, 4, 5], "it comes back to where it stood");
    until(&engine, "a", |state| *state == SourceState::Ended).await;
    engine.shutdown().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_changes_nothing_and_says_all_that_is_in_the_way() {
    use Step::{Event, Wait};
    let dir = tempfile::tempdir().expect("a folder");
    let good = || with_view(pipeline(dir.path(), &[("a", &[Event, Wait])]), "v", COUNT);
    let engine = start(good()).await;
    assert_eq!(steps(&engine, 1).await, [0]);

    let mut bad = with_view(with_view(good(), "v", "SELECT nothing FROM s"), "w", "SELEC 1");
    bad.sources.get_mut("a").expect("it is there").kind = "other".into();
    bad.streams.insert(name("t"), StreamConfig::default());
    let error = engine.reload(bad).await.expect_err("it does not fit together");
    assert_eq!(error.kind(), Kind::Invalid);
    let said = error.to_string();
    assert!(["view v: ", "view w: ", "source a: no kind \"other\""].iter().all(|what| said.contains(what)), "{said}");

    let mut elsewhere = good();
    elsewhere.listen.set_port(9);
    elsewhere.store.level = 3;
    elsewhere.views.clear();
    let error = engine.reload(elsewhere).await.expect_err("it takes a restart");
    let Error::TakesRestart(fixed) = error else { panic!("{error}") };
    assert_eq!(fixed.iter().map(|fixed| fixed.key.as_str()).collect::<Vec<_>>(), ["listen", "store.level"]);

    let status = engine.status();
    assert_eq!((status.reloads.done, status.reloads.refused), (0, 2));
    assert!(
        matches!(status.reloads.last.expect("two").outcome, ReloadOutcome::Refused { why } if why.contains("listen"))
    );
    assert!(!status.streams.contains_key("t") && status.views.contains_key("v"));
    assert_eq!(status.sources["a"].opened, 1, "nothing was stopped");
    push(&engine, "s", 3).await;
    assert_eq!(counted(&engine, "v", 4).await, 4);
    let mut same = good();
    same.data = dir.path().join(".");
    assert!(engine.reload(same).await.expect("the same directory").is_empty());
    engine.shutdown().await.expect("a clean end");
    assert!(matches!(engine.reload(good()).await, Err(Error::Stopping)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_added_takes_events_at_once_and_one_that_is_removed_keeps_them() {
    let dir = tempfile::tempdir().expect("a folder");
    let engine = start(bare(dir.path())).await;
    let on_t = COUNT.replace("FROM s", "FROM t");
    let mut two = with_view(bare(dir.path()), "v", &on_t);
    two.streams.insert(name("t"), two.streams["s"].clone());
    engine.reload(two.clone()).await.expect("it fits");
    push(&engine, "t", 5).await;
    assert_eq!(counted(&engine, "v", 5).await, 5);

    engine.reload(bare(dir.path())).await.expect("it fits");
    let refused = engine.push("t", Bytes::from_static(b"{}"), None, None).await.expect_err("it is gone");
    assert_eq!(refused.to_string(), "there is no stream \"t\" to push to; this pipeline has: s");
    assert!(engine.lake().query("SELECT * FROM t").await.is_err());
    assert!(engine.stream("t").is_none() && !engine.status().streams.contains_key("t"));

    engine.reload(two).await.expect("it fits");
    push(&engine, "t", 5).await;
    assert_eq!(counted(&engine, "v", 10).await, 10);
    assert_eq!(number(&engine, "SELECT count(*) FROM t").await, 10);
    engine.shutdown().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_columns_and_event_times_hold_for_what_comes() {
    let dir = tempfile::tempdir().expect("a folder");
    let engine = start(with_view(bare(dir.path()), "v", COUNT)).await;
    push(&engine, "s", 4).await;
    assert!(engine.lake().query("SELECT sum(n) FROM s").await.is_err());
    let mut typed = with_view(bare(dir.path()), "v", COUNT);
    let column = Column { name: "n".into(), path: vec!["n".into()], column_type: ColumnType::Int64, equals: None };
    typed.streams.get_mut("s").expect("it is there").schema.columns.push(column);
    let typed = with_view(typed, "sums", SUMS);
    let reloaded = engine.reload(typed).await.expect("it fits");
    assert_eq!(reloaded.in_words(), ["stream s changed", "view sums added"]);
    assert_eq!(number(&engine, "SELECT sum(n) FROM s").await, 6);
    assert_eq!(counted(&engine, "sums", 4).await, 6);
    assert_eq!(counted(&engine, "v", 4).await, 4);

    let mut renamed = with_view(bare(dir.path()), "v", COUNT);
    renamed = with_view(renamed, "sums", SUMS);
    let column = Column { name: "n".into(), path: vec!["m".into()], column_type: ColumnType::Int64, equals: None };
    renamed.streams.get_mut("s").expect("it is there").schema.columns.push(column);
    engine.reload(renamed).await.expect("it fits");
    push_text(&engine, "{\"m\":5,\"dt\":\"2026-01-01T00:00:00Z\"}").await;
    assert_eq!(counted(&engine, "sums", 5).await, 5, "what was counted by the old path is counted again");
    assert_eq!(counted(&engine, "v", 5).await, 5);

    let mut retimed = bare(dir.path());
    let rule = EventTimeRule { path: vec!["at".into()], format: TimeFormat::Rfc3339, zone: None };
    retimed.streams.get_mut("s").expect("it is there").schema.event_time = vec![rule];
    engine.reload(retimed).await.expect("it fits");
    push_text(&engine, "{\"n\":1,\"dt\":\"2026-01-01T00:00:00Z\",\"at\":\"2027-01-01T00:00:00Z\"}").await;
    let late = "SELECT count(*) FROM s WHERE event_time >= TIMESTAMP '2026-12-31T00:00:00Z'";
    assert_eq!(number(&engine, late).await, 1, "its block says when its events happened");

    let key = Some("key-1");
    let event = || Bytes::from_static(b"{\"n\":1}");
    assert!(!engine.push("s", event(), None, key).await.expect("kept").repeated);
    engine.reload(bare(dir.path())).await.expect("it fits");
    assert!(engine.push("s", event(), None, key).await.expect("known").repeated, "keys stay over a reload");
    assert_eq!(engine.status().streams["s"].pushed, 7, "counts, too");
    engine.shutdown().await.expect("a clean end");
}

/// With segments of one block, and none sealed.
fn in_small_segments(mut pipeline: Pipeline) -> Pipeline {
    (pipeline.store.block_bytes, pipeline.store.segment_bytes) = (ByteSize(1), ByteSize(1));
    pipeline.store.seal.enabled = false;
    pipeline
}

fn kept_shortly(mut pipeline: Pipeline) -> Pipeline {
    let rule = Retention { age: None, size: Some(ByteSize(1)) };
    pipeline.streams.get_mut("s").expect("it is there").retention = rule;
    pipeline
}

#[tokio::test(flavor = "multi_thread")]
async fn while_views_are_replaced_nothing_leaves_the_log() {
    let dir = tempfile::tempdir().expect("a folder");
    let engine = start(in_small_segments(bare(dir.path()))).await;
    for _ in 0..5 {
        push(&engine, "s", 10).await;
    }
    engine.stop_group(&name("s")).await;
    engine.reload(kept_shortly(in_small_segments(bare(dir.path())))).await.expect("it fits");
    let status = eventually(&engine, "retention", |status| status.streams["s"].upkeep.held.is_some()).await;
    assert_eq!((status.streams["s"].upkeep.removed, status.streams["s"].start), (0, Offset(0)));
    engine.start_group(&name("s"), &engine.shared.current()).await.expect("there are none");
    assert!(engine.retention().expect("plans")["s"].held.is_empty());
    engine.shutdown().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_retention_takes_effect_at_once_and_removes_nothing_that_a_view_needs() {
    let dir = tempfile::tempdir().expect("a folder");
    let small = || in_small_segments(with_view(bare(dir.path()), "v", COUNT));
    let engine = start(small()).await;
    for _ in 0..10 {
        push(&engine, "s", 10).await;
    }
    assert_eq!(counted(&engine, "v", 100).await, 100);
    // With it a view that starts, for which nothing may be removed before it has begun.
    let short = with_view(kept_shortly(small()), "w", COUNT);
    engine.reload(short).await.expect("it fits");
    let status = eventually(&engine, "retention", |status| {
        status.streams["s"].upkeep.held.is_some() || status.streams["s"].upkeep.removed > 0
    })
    .await;
    assert!(status.streams["s"].segments > 0);
    assert_eq!(counted(&engine, "v", 100).await, 100);
    assert_eq!(counted(&engine, "w", 100).await, 100, "it was built before its events could go");
    let audit = engine.retention().expect("plans");
    assert!(audit.contains_key("s"), "it has a rule now");
    engine.shutdown().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_cannot_be_started_stands_still_until_the_next_reload() {
    let dir = tempfile::tempdir().expect("a folder");
    let engine = start(bare(dir.path())).await;
    push(&engine, "s", 3).await;
    // Where the view's folder should be lies a file.
    std::fs::create_dir_all(dir.path().join("views")).expect("a folder");
    std::fs::write(dir.path().join("views/v"), "in the way").expect("a file");
    let error = engine.reload(with_view(bare(dir.path()), "v", COUNT)).await.expect_err("it cannot be opened");
    assert!(error.to_string().contains("reload again"), "{error}");
    assert_eq!(error.kind(), Kind::Unavailable);
    let status = engine.status();
    assert!(status.views["v"].failed.as_ref().is_some_and(|why| why.contains("views of stream s")), "{status:#?}");
    assert_eq!(status.reloads.failed, 1);
    push(&engine, "s", 3).await;
    std::fs::remove_file(dir.path().join("views/v")).expect("it can be removed");
    engine.reload(with_view(bare(dir.path()), "v", COUNT)).await.expect("the way is free");
    assert_eq!(counted(&engine, "v", 6).await, 6);
    engine.shutdown().await.expect("a clean end");
}
