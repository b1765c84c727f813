//! Sinks while they run: away, failed, hanging, replaced, held by retention.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use lakehead_connector_api::Answer;
use lakehead_model::ByteSize;
use lakehead_store::Retention;
use tokio::time::Instant;

use super::target::{Act, numbers, push, refused, sink, start, target, until, with_sink};
use crate::{
    pipeline::{Keep, SinkConfig, Start, ViewConfig},
    roster::STOP_WITHIN,
    status::SinkState,
    tests::{SOON, name},
};

const COUNT: &str = "SELECT tumble(event_time, INTERVAL '1 minute') AS minute, count(*) AS n FROM s GROUP BY 1";

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_away_is_tried_again_and_nothing_is_lost() {
    let (dir, out, other) = (tempfile::tempdir().expect("a folder"), target("away"), target("away-other"));
    out.answers(|_| Act::Away);
    let mut pipeline = with_sink(dir.path(), sink("appending", "s", "away"));
    pipeline.sinks.insert(name("other"), sink("appending", "s", "away-other"));
    let engine = start(pipeline).await;
    push(&engine, &numbers(0..10)).await;
    let status = until(&engine, |status| status.opened >= 2).await;
    assert!(matches!(&status.state, SinkState::Away { error, .. } if error == "cut off"), "{status:?}");
    assert_eq!(other.until(10).await.len(), 10, "another sink is not touched");
    out.takes_all();
    out.until(10).await;
    let status = until(&engine, |status| status.state == SinkState::CaughtUp).await;
    assert_eq!(status.last_error.as_deref(), Some("cut off"), "it is over, and still shown");
    assert_eq!(out.rows(), numbers(0..10));
    engine.shutdown().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_a_failure_of_its_sink_alone() {
    let (dir, out, other) = (tempfile::tempdir().expect("a folder"), target("panic"), target("panic-other"));
    out.answers(|_| Act::Panic);
    let mut pipeline = with_sink(dir.path(), sink("appending", "s", "panic"));
    pipeline.sinks.insert(name("other"), sink("holding", "s", "panic-other"));
    let engine = start(pipeline).await;
    push(&engine, &numbers(0..3)).await;
    let failed =
        |state: &SinkState| matches!(state, SinkState::Failed { error, .. } if error.contains("the script says so"));
    until(&engine, |status| failed(&status.state)).await;
    assert_eq!(other.until(3).await.len(), 3);
    engine.shutdown().await.expect("a clean end");
    assert!(failed(&engine.status().sinks["out"].state), "it still shows");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_hangs_is_given_up_within_the_time_of_a_stop() {
    let (dir, out) = (tempfile::tempdir().expect("a folder"), target("hanging"));
    let pipeline = || with_sink(dir.path(), sink("appending", "s", "hanging"));
    let engine = start(pipeline()).await;
    push(&engine, &numbers(0..1)).await;
    until(&engine, |status| status.position.as_deref() == Some("log.0.1")).await;
    out.answers(|_| Act::Hang);
    let writes = out.writes();
    push(&engine, &numbers(1..2)).await;
    while out.writes() == writes {
        tokio::task::yield_now().await;
    }
    let begun = Instant::now();
    engine.shutdown().await.expect("a clean end");
    assert!(begun.elapsed() < STOP_WITHIN, "{:?}", begun.elapsed());
    out.takes_all();
    let engine = start(pipeline()).await;
    out.until(2).await;
    assert_eq!(out.rows(), numbers(0..2));
    engine.shutdown().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_is_changed_and_changed_back_while_events_flow() {
    let (dir, out) = (tempfile::tempdir().expect("a folder"), target("reloaded"));
    let with_note = |note: &str| {
        let mut sink = sink("appending", "s", "reloaded");
        sink.settings["note"] = note.into();
        with_sink(dir.path(), sink)
    };
    let engine = start(with_note("a")).await;
    let flowing = {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move {
            for n in 0..200 {
                push(&engine, &numbers(n..n + 1)).await;
            }
        })
    };
    for note in ["b", "a", "b", "a"] {
        let reloaded = engine.reload(with_note(note)).await.expect("reloaded");
        assert_eq!(reloaded.in_words(), ["sink out changed"]);
    }
    let mut gone = with_note("a");
    gone.sinks.clear();
    engine.reload(gone).await.expect("reloaded");
    assert!(engine.status().sinks.is_empty());
    flowing.await.expect("all pushed");
    engine.reload(with_note("a")).await.expect("reloaded");
    out.until(200).await;
    until(&engine, |status| status.position.as_deref() == Some("log.0.200")).await;
    assert_eq!(out.rows(), numbers(0..200), "in order, none lost, none twice");
    engine.shutdown().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_is_to_deliver_something_else_begins_anew_and_says_so() {
    let (dir, out) = (tempfile::tempdir().expect("a folder"), target("elsewhere"));
    let engine = start(with_sink(dir.path(), sink("appending", "s", "elsewhere"))).await;
    push(&engine, &numbers(0..5)).await;
    until(&engine, |status| status.position.as_deref() == Some("log.0.5")).await;
    engine.reload(with_sink(dir.path(), sink("appending", "gaps", "elsewhere"))).await.expect("reloaded");
    let status = until(&engine, |status| status.finding.is_some()).await;
    assert!(status.finding.expect("found").contains("it delivered s before"), "it says so");
    let now = SinkConfig { start: Start::Now, ..sink("appending", "s", "elsewhere") };
    engine.reload(with_sink(dir.path(), now)).await.expect("reloaded");
    push(&engine, &numbers(5..7)).await;
    out.until(7).await;
    assert_eq!(out.rows(), numbers(0..7), "from now on only");
    engine.shutdown().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_waits_for_a_sink_as_long_as_its_setting_says_and_what_it_lost_is_told() {
    let (dir, out) = (tempfile::tempdir().expect("a folder"), target("kept"));
    out.answers(|_| Act::Away);
    let with = |keep: Keep, size: u64| {
        let mut pipeline = with_sink(dir.path(), SinkConfig { keep, ..sink("appending", "s", "kept") });
        pipeline.store.block_bytes = ByteSize(100);
        pipeline.store.segment_bytes = ByteSize(200);
        let stream = pipeline.streams.get_mut("s").expect("a stream");
        stream.retention = Retention { age: None, size: (size > 0).then_some(ByteSize(size)) };
        pipeline
    };
    let engine = start(with(Keep::Always, 0)).await;
    for n in 0..100 {
        push(&engine, &numbers(n..n + 1)).await;
    }
    engine.reload(with(Keep::Always, 1)).await.expect("reloaded");
    let plans = engine.retention().expect("planned");
    let plan = &plans["s"];
    assert!(plan.remove.is_empty() && plan.held.len() > 2, "{plan:?}");
    assert_eq!(plan.claims[0].by, "sink out");
    engine.reload(with(Keep::For(Duration::ZERO), 1)).await.expect("reloaded");
    let begun = Instant::now();
    while engine.stream("s").expect("a stream").head().start.0 == 0 {
        assert!(begun.elapsed() < SOON, "{:?}", engine.retention());
        tokio::task::yield_now().await;
    }
    out.takes_all();
    let start_of_log = engine.stream("s").expect("a stream").head().start.0;
    let status = until(&engine, |status| status.position.as_deref() == Some("log.0.100")).await;
    let lost = status.lost.expect("it says so");
    assert!(lost.rows >= start_of_log && lost.why.contains("retention removed"), "{lost:?}");
    assert_eq!(out.rows().len() as u64 + lost.rows, 100);
    engine.shutdown().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_cannot_be_is_refused_with_the_cure() {
    let dir = tempfile::tempdir().expect("a folder");
    let refusal = async |sink: SinkConfig| {
        let mut pipeline = with_sink(dir.path(), sink);
        pipeline.views.insert(name("counts"), ViewConfig::new(COUNT));
        let bare = "SELECT count(*) AS n FROM s GROUP BY tumble(event_time, INTERVAL '1 minute')";
        pipeline.views.insert(name("bare"), ViewConfig::new(bare));
        refused(pipeline).await
    };
    let found = refusal(sink("kafak", "s", "none")).await;
    assert!(found.contains("sink out: no kind \"kafak\"") && found.contains("appending"), "{found}");
    let found = refusal(sink("appending", "t", "none")).await;
    assert!(found.contains("no such stream or view") && found.contains("counts"), "{found}");
    let found = refusal(sink("keyed", "s", "none")).await;
    assert!(found.contains("events of the stream s have none"), "{found}");
    let found = refusal(sink("keyed", "bare", "none")).await;
    assert!(found.contains("does not show all columns that it groups by"), "{found}");
    let found = refusal(SinkConfig { lanes: 2, ..sink("exact", "s", "none") }).await;
    assert!(found.contains("`lanes`") && found.contains("one transaction"), "{found}");
    let wrong = SinkConfig { settings: serde_json::json!({ "taget": "x" }), ..sink("appending", "s", "none") };
    assert!(refusal(wrong).await.contains("taget"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_position_file_is_told_and_a_position_beyond_the_end_is_not_used() {
    let (dir, out) = (tempfile::tempdir().expect("a folder"), target("positions"));
    let pipeline = || with_sink(dir.path(), sink("appending", "s", "positions"));
    let engine = start(pipeline()).await;
    push(&engine, &numbers(0..5)).await;
    until(&engine, |status| status.position.as_deref() == Some("log.0.5")).await;
    engine.shutdown().await.expect("a clean end");
    drop(engine);
    let file = dir.path().join("sinks").join("out.json");
    let written = std::fs::read_to_string(&file).expect("a record");
    std::fs::write(&file, written.replace("log.0.5", "log.0.6")).expect("written");
    let engine = start(pipeline()).await;
    let status = until(&engine, |status| matches!(status.state, SinkState::Failed { .. })).await;
    assert!(status.last_error.expect("an error").contains("move it away"));
    engine.shutdown().await.expect("a clean end");
    drop(engine);
    let beyond = lakehead_store::record::open(&written).expect("as written").replace("log.0.5", "log.0.9");
    let beyond = beyond.split(",\"crc64\"").next().expect("a record").to_owned() + "}";
    lakehead_store::record::write(&file, &beyond).expect("written");
    let engine = start(pipeline()).await;
    let status = until(&engine, |status| status.finding.is_some()).await;
    assert!(status.finding.expect("found").contains("4 of them, from offset 5 to 9"), "it says so");
    push(&engine, &numbers(5..7)).await;
    let taken = out.until(7).await;
    assert_eq!(taken[5].id, "s-1-5", "of another epoch, since the offset was given twice");
    engine.shutdown().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_done_are_not_written_again_when_a_later_one_fails() {
    let (dir, out) = (tempfile::tempdir().expect("a folder"), target("flapping"));
    let mut calls = 0;
    out.answers(move |row| {
        calls += u32::from(row.json == "{\"n\":5}");
        if row.json == "{\"n\":5}" && calls < 3 { Act::Away } else { Act::Answer(Answer::Done) }
    });
    let engine =
        start(with_sink(dir.path(), SinkConfig { commit_every: SOON, ..sink("appending", "s", "flapping") })).await;
    for n in 0..10 {
        push(&engine, &numbers(n..n + 1)).await;
        let rows = usize::try_from(n.min(4)).expect("small") + 1;
        if n < 5 {
            out.until(rows).await;
        }
    }
    out.until(10).await;
    let ids: BTreeSet<String> = out.taken().into_iter().map(|taken| taken.id).collect();
    assert_eq!((ids.len(), out.rows().len()), (10, 10));
    engine.shutdown().await.expect("a clean end");
}
