//! Changes of views on their way: snapshots, updates, deletes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::target::{Target, push, sink, start, target, until, with_sink};
use crate::{
    Engine, Pipeline,
    pipeline::{SinkConfig, Start, ViewConfig},
    status::SinkState,
    tests::name,
};

/// Rows change with late events, and vanish when they have three.
const FEW: &str = "SELECT tumble(event_time, INTERVAL '1 minute') AS minute, json_get_str(data, 'k') AS k, count(*) AS n \
                   FROM s GROUP BY 1, 2 HAVING count(*) < 3";

fn with_view(mut pipeline: Pipeline) -> Pipeline {
    pipeline.views.insert(name("few"), ViewConfig::new(FEW));
    pipeline
}

fn event(minute: u64, key: &str) -> String {
    format!("{{\"dt\":\"{}\",\"k\":\"{key}\"}}", time(minute))
}

fn time(minute: u64) -> String {
    format!("2026-01-01T{:02}:{:02}:00Z", minute / 60, minute % 60)
}

/// The rows of the view whose windows begin before `minute`, by their key.
async fn rows_before(engine: &Engine, minute: u64) -> BTreeMap<String, String> {
    let before = time(minute);
    let sql = format!("SELECT minute, k, n FROM few WHERE minute < TIMESTAMP '{before}'");
    let answer = engine.lake().query(&sql).await.expect("rows");
    let mut text = Vec::new();
    lakehead_query::format::write(&answer, lakehead_query::format::Format::Ndjson, &mut text).expect("JSON");
    let rows = String::from_utf8(text).expect("text");
    rows.lines()
        .map(|line| {
            let row: serde_json::Value = serde_json::from_str(line).expect("JSON");
            (serde_json::json!([row["minute"], row["k"]]).to_string(), line.to_owned())
        })
        .collect()
}

/// Waits until the target has the rows of the view whose windows begin before `minute`.
async fn same(engine: &Engine, out: &Target, minute: u64) {
    let status = tokio::time::timeout(crate::tests::SOON, async {
        loop {
            let expected = rows_before(engine, minute).await;
            // A key is a JSON array that begins with the window. Those that close the windows close later ones as well.
            let mut held = out.by_key();
            held.retain(|key, _| key[2..] < *time(minute));
            if !expected.is_empty() && held == expected {
                break;
            }
            let _ = tokio::time::timeout(std::time::Duration::from_millis(20), std::future::pending::<()>()).await;
        }
    })
    .await;
    assert!(status.is_ok(), "{:?}\n{:?}\n{:?}", out.by_key(), rows_before(engine, minute).await, engine.status().sinks);
}

/// Stops the engine, which commits its views after the sinks have stopped, and starts it: what was committed is delivered.
async fn again(engine: Arc<Engine>, pipeline: Pipeline) -> Arc<Engine> {
    engine.shutdown().await.expect("a clean end");
    drop(engine);
    start(pipeline).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_changes_of_a_view_make_the_view_s_rows_at_the_target() {
    for (lanes, called) in [(1, "view-1"), (4, "view-4")] {
        let (dir, out) = (tempfile::tempdir().expect("a folder"), target(called));
        let pipeline = || with_view(with_sink(dir.path(), SinkConfig { lanes, ..sink("keyed", "few", called) }));
        let engine = start(pipeline()).await;
        for minute in 0..10 {
            let keys = ["a", "b", "c", "d", "e"];
            push(&engine, &keys.map(|key| event(minute, key))).await;
        }
        push(&engine, &[event(30, "z")]).await;
        // A running view commits by itself, and wakes its followers.
        same(&engine, &out, 20).await;
        assert_eq!(out.by_key().len(), 50);
        // Late: the first become two, then three, which the view does not show.
        push(&engine, &[event(3, "a"), event(3, "b"), event(4, "new"), event(40, "z")]).await;
        let engine = again(engine, pipeline()).await;
        same(&engine, &out, 20).await;
        push(&engine, &[event(3, "a"), event(5, "c"), event(50, "z")]).await;
        let engine = again(engine, pipeline()).await;
        same(&engine, &out, 20).await;
        let operations: BTreeSet<&str> = out.taken().iter().map(|taken| taken.operation.name()).collect();
        assert_eq!(operations, BTreeSet::from(["delete", "insert", "update"]));
        assert!(out.taken().len() < 70, "it goes on after a start, and does not begin anew: {}", out.taken().len());
        let status = until(&engine, |status| status.state == SinkState::CaughtUp).await;
        assert!(status.position.is_some_and(|position| position.starts_with("view.")));
        engine.shutdown().await.expect("a clean end");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_comes_first_and_ends_once_and_an_appending_sink_sees_the_operations() {
    let (dir, out, log) = (tempfile::tempdir().expect("a folder"), target("snapshot"), target("snapshot-log"));
    let bare = with_view(crate::tests::pipeline(dir.path(), &[]));
    let engine = start(bare.clone()).await;
    push(&engine, &[event(1, "a"), event(2, "b"), event(30, "z")]).await;
    engine.shutdown().await.expect("a clean end");
    drop(engine);
    let mut both = bare;
    both.sinks.insert(name("out"), SinkConfig { lanes: 3, ..sink("keyed", "few", "snapshot") });
    both.sinks.insert(name("log"), SinkConfig { start: Start::Now, ..sink("appending", "few", "snapshot-log") });
    let engine = start(both.clone()).await;
    same(&engine, &out, 20).await;
    until(&engine, |status| status.position.is_some()).await;
    assert!(out.taken().iter().all(|taken| taken.is_snapshot));
    assert_eq!(out.ends_of_snapshots(), 1, "over all lanes");
    push(&engine, &[event(1, "a"), event(40, "z")]).await;
    let engine = again(engine, both).await;
    same(&engine, &out, 20).await;
    let taken = log.until(1).await;
    assert!(taken[0].json.starts_with("{\"_op\":\"update\",\"minute\":"), "{}", taken[0].json);
    assert!(taken.iter().all(|taken| !taken.is_snapshot), "from now on only");
    engine.shutdown().await.expect("a clean end");
}
