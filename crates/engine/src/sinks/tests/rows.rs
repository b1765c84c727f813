//! Rows of a stream on their way: answers, order, dead letters, sizes.

use std::{collections::BTreeSet, time::Duration};

use lakehead_connector_api::Answer;
use lakehead_model::ByteSize;

use super::target::{Act, numbers, push, rejects, sink, start, target, until, with_sink};
use crate::{pipeline::SinkConfig, status::SinkState};

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_in_order_and_the_next_start_goes_on_behind_them() {
    for kind in ["appending", "holding", "exact"] {
        let (dir, out) = (tempfile::tempdir().expect("a folder"), target(&format!("order-{kind}")));
        let pipeline = || with_sink(dir.path(), sink(kind, "s", &format!("order-{kind}")));
        let engine = start(pipeline()).await;
        for part in 0..10 {
            push(&engine, &numbers(part * 10..part * 10 + 10)).await;
        }
        out.until(100).await;
        let status = until(&engine, |status| status.position.as_deref() == Some("log.0.100")).await;
        assert_eq!((status.delivered, status.lag_rows), (100, Some(0)));
        push(&engine, &numbers(100..150)).await;
        engine.shutdown().await.expect("a clean end");
        assert_eq!(engine.status().sinks["out"].state, SinkState::Stopped);
        let engine = start(pipeline()).await;
        push(&engine, &numbers(150..160)).await;
        let taken = out.until(160).await;
        assert_eq!(taken.iter().map(|taken| taken.json.clone()).collect::<Vec<_>>(), numbers(0..160), "{kind}");
        assert_eq!(taken[7].id, "s-0-7");
        engine.shutdown().await.expect("a clean end");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_the_target_wants_later_holds_up_its_lane_alone_and_the_position() {
    let (dir, out) = (tempfile::tempdir().expect("a folder"), target("later"));
    out.answers(|row| match row.json.as_str() {
        "{\"n\":1}" => Act::Answer(Answer::Later(None)),
        _ => Act::Answer(Answer::Done),
    });
    let engine = start(with_sink(dir.path(), SinkConfig { lanes: 2, ..sink("appending", "s", "later") })).await;
    push(&engine, &numbers(0..3)).await;
    out.until(2).await;
    push(&engine, &numbers(3..6)).await;
    push(&engine, &numbers(6..9)).await;
    let taken = out.until(8).await;
    let first = taken[0].instance;
    assert!(taken.iter().skip(2).all(|taken| taken.instance != first), "by the other lane: {taken:?}");
    let status = until(&engine, |status| status.position.as_deref() == Some("log.0.1") && status.retried > 0).await;
    assert_eq!((status.state, status.delivered), (SinkState::Delivering, 8));
    out.takes_all();
    out.until(9).await;
    until(&engine, |status| status.position.as_deref() == Some("log.0.9")).await;
    let ids: BTreeSet<String> = out.taken().into_iter().map(|taken| taken.id).collect();
    assert_eq!(ids.len(), 9, "none twice");
    engine.shutdown().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_becomes_a_reference_among_the_rejects_and_the_position_moves_behind_it() {
    for kind in ["appending", "holding", "exact"] {
        let (dir, out) = (tempfile::tempdir().expect("a folder"), target(&format!("refusing-{kind}")));
        let mut put_off = true;
        out.answers(move |row| match row.json.as_str() {
            "{\"n\":3}" if std::mem::take(&mut put_off) => Act::Answer(Answer::Later(None)),
            "{\"n\":3}" => Act::Answer(Answer::Refused("no such column".into())),
            _ => Act::Answer(Answer::Done),
        });
        let engine = start(with_sink(dir.path(), sink(kind, "s", &format!("refusing-{kind}")))).await;
        push(&engine, &numbers(0..10)).await;
        let status = until(&engine, |status| status.position.as_deref() == Some("log.0.10")).await;
        assert_eq!((status.delivered, status.rejected, status.retried), (9, 1, 1), "{kind}");
        let rejects = rejects(&engine);
        assert_eq!(rejects.len(), 1, "{rejects:?}");
        let reject = &rejects[0];
        assert_eq!((&reject["sink"], &reject["stream"]), (&"out".into(), &"s".into()));
        assert_eq!((&reject["position"], &reject["refused_offset"]), (&"log.0.3".into(), &3.into()));
        assert_eq!((&reject["reason"], &reject["attempts"]), (&"no such column".into(), &2.into()));
        assert_eq!(out.rows().len(), 9);
        engine.shutdown().await.expect("a clean end");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_over_rejects_does_not_feed_itself() {
    let (dir, out) = (tempfile::tempdir().expect("a folder"), target("of-rejects"));
    out.answers(|_| Act::Answer(Answer::Refused("no".into())));
    let engine = start(with_sink(dir.path(), sink("appending", "rejects", "of-rejects"))).await;
    let pushed = engine.push("s", bytes::Bytes::from_static(b"{}\n{"), None, None).await.expect("kept");
    assert_eq!(pushed.invalid.len(), 1);
    let status = until(&engine, |status| status.position.as_deref() == Some("log.0.1")).await;
    assert_eq!((status.rejected, rejects(&engine).len()), (1, 1));
    engine.shutdown().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_events_and_many_small_ones_pass_within_the_memory() {
    let (dir, out) = (tempfile::tempdir().expect("a folder"), target("sizes"));
    out.answers(|_| Act::Answer(Answer::Later(Some(Duration::from_millis(1)))));
    let memory = SinkConfig::MEMORY_MIN;
    let engine = start(with_sink(dir.path(), SinkConfig { memory, ..sink("appending", "s", "sizes") })).await;
    let large = format!("{{\"text\":\"{}\"}}", "x".repeat((4 << 20) - 100));
    for _ in 0..6 {
        push(&engine, std::slice::from_ref(&large)).await;
    }
    let most = ByteSize(memory.0 + (5 << 20));
    let status = until(&engine, |status| status.under_way_bytes >= memory.0).await;
    assert!(status.under_way_bytes <= most.0, "{status:?}");
    for part in 0..1_000 {
        push(&engine, &numbers(part * 10..part * 10 + 10)).await;
    }
    assert!(engine.status().sinks["out"].under_way_bytes <= most.0);
    out.takes_all();
    let taken = out.until(10_006).await;
    assert!(taken.iter().take(6).all(|taken| taken.json == large));
    assert!(taken.iter().skip(6).map(|taken| taken.json.clone()).eq(numbers(0..10_000)));
    assert!(out.writes() < 5_000, "{} writes: small neighbours are joined", out.writes());
    engine.shutdown().await.expect("a clean end");
}
