//! The promises, a function each. The names are the promises.

use std::time::Duration;

use lakehead_connector_api::{Answer, BatchKind, Delivery, Error, Operation};

use super::{
    rows::{batch, of, row, strange},
    target::{Behaviour, POISON, Target},
    world::{SinkWorld, in_time, write},
};

/// The longest that the end of a sink may take while its target never answers. An orderly end of the whole program has 30 s.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// How long a write to a target that never answers is waited for before it is dropped, as the engine does at a stop.
const GIVEN_UP_AFTER: Duration = Duration::from_millis(300);

fn rows(numbers: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    numbers.map(row).collect()
}

pub(super) async fn rows_arrive_as_they_are_and_in_order(mut world: SinkWorld<impl Target>) {
    let keyed = world.is_keyed();
    let mut strange = strange();
    if keyed {
        // Text of SQL's own: a row of a view has its columns and nothing else.
        strange.retain(|row| !row.windows(5).any(|text| text == b"1e400" || text == b"\"_op\""));
    }
    let some = (0..).zip(&strange).map(|(n, row)| (Operation::Insert, n, row.clone())).collect();
    let next = strange.len() as u64;
    world.deliver(&[of(keyed, 1, 0, some, BatchKind::Changes), batch(keyed, next..next + 40, &[])]).await;
    let expected: Vec<Vec<u8>> = strange.into_iter().chain(rows(next..next + 40)).collect();
    world.holds(&expected, "rows that are hard to carry").await;
}

pub(super) async fn a_batch_without_rows_is_nothing(mut world: SinkWorld<impl Target>) {
    let keyed = world.is_keyed();
    world.deliver(&[batch(keyed, 0..0, &[]), batch(keyed, 0..2, &[]), batch(keyed, 2..2, &[])]).await;
    world.holds(&rows(0..2), "batches without rows").await;
}

/// A row that is answered with `Done` is there at once; one that is `Held` is after the commit, whether or not the sink is
/// closed.
pub(super) async fn what_is_committed_outlives_the_sink(mut world: SinkWorld<impl Target>) {
    let mut sink = world.open().await;
    let first = batch(world.is_keyed(), 0..5, &[]);
    let answers = write(sink.as_mut(), &first).await.expect("a write to a target that is well");
    let there = world.target.rows().await.len();
    let done = answers.iter().filter(|answer| **answer == Answer::Done).count();
    assert!(there >= done, "{done} rows are answered with Done, and the target holds {there}");
    world.commit(sink.as_mut(), &first).await;
    drop(sink);
    world.holds(&rows(0..5), "a sink that was dropped after a commit").await;
}

pub(super) async fn the_same_batch_twice(mut world: SinkWorld<impl Target>) {
    let keyed = world.is_keyed();
    let all = [batch(keyed, 0..7, &[]), batch(keyed, 7..9, &[])];
    let mut sink = world.open().await;
    for batch in &all {
        world.write(sink.as_mut(), batch).await;
    }
    world.commit(sink.as_mut(), &all[1]).await;
    if world.spec.delivery != Delivery::Transactional {
        // The position was not kept, and all comes again: to the same sink, and to one that is opened again.
        for batch in &all {
            world.write(sink.as_mut(), batch).await;
        }
        world.commit(sink.as_mut(), &all[1]).await;
    }
    drop(sink);
    let mut sink = world.open().await;
    let stored = in_time("resume", sink.resume()).await.expect("the target is asked");
    if world.spec.delivery == Delivery::Transactional {
        assert_eq!(stored.as_ref(), Some(all[1].end()), "the target stores the position of the last commit");
    } else {
        for batch in &all {
            world.write(sink.as_mut(), batch).await;
        }
        world.commit(sink.as_mut(), &all[1]).await;
    }
    in_time("close", sink.close()).await.expect("a close of a target that is well");
    world.holds_each(&rows(0..9), "the same batch twice").await;
}

/// After a crash the rows since the last commit come again, cut in another way, and with what has come since.
pub(super) async fn the_same_rows_in_other_batches(mut world: SinkWorld<impl Target>) {
    let keyed = world.is_keyed();
    let mut sink = world.open().await;
    world.write(sink.as_mut(), &batch(keyed, 0..4, &[])).await;
    world.commit(sink.as_mut(), &batch(keyed, 0..4, &[])).await;
    world.write(sink.as_mut(), &batch(keyed, 4..6, &[])).await;
    world.write(sink.as_mut(), &batch(keyed, 6..11, &[])).await;
    drop(sink);
    let again = [batch(keyed, 4..9, &[]), batch(keyed, 9..14, &[])];
    world.deliver(&again).await;
    world.holds_each(&rows(0..14), "rows since the last commit, in other batches").await;
}

/// What is appended says in each row of a view what it does, in its first field, `_op`; the engine puts it there.
pub(super) async fn a_snapshot_and_then_changes(mut world: SinkWorld<impl Target>) {
    let keyed = world.is_keyed();
    let text = |operation: Operation, id: u64, text: &str| {
        let operation = if keyed { String::new() } else { format!(r#""_op":"{}","#, operation.name()) };
        format!(r#"{{{operation}"id":{id},"text":"{text}"}}"#).into_bytes()
    };
    let row = |operation, id, value| (operation, id, text(operation, id, value));
    let snapshot = |first, rows, is_last| of(true, 5, first, rows, BatchKind::Snapshot { is_last });
    let old = |ids: std::ops::Range<u64>| ids.map(|id| row(Operation::Insert, id, "old")).collect();
    let changes =
        vec![row(Operation::Delete, 0, "old"), row(Operation::Update, 1, "new"), row(Operation::Insert, 4, "new")];
    let mut sink = world.open_for(true).await;
    let batches = [
        snapshot(0, old(0..2), false),
        snapshot(2, old(2..4), false),
        snapshot(4, Vec::new(), true),
        of(true, 6, 0, changes, BatchKind::Changes),
    ];
    for batch in &batches {
        world.write(sink.as_mut(), batch).await;
        // No position stands within a snapshot.
        if batch.kind() != (BatchKind::Snapshot { is_last: false }) {
            world.commit(sink.as_mut(), batch).await;
        }
    }
    in_time("close", sink.close()).await.expect("a close of a target that is well");
    let rows: Vec<Vec<u8>> = match keyed {
        true => [(1, "new"), (2, "old"), (3, "old"), (4, "new")].map(|(id, v)| text(Operation::Insert, id, v)).into(),
        false => batches.iter().flat_map(|batch| batch.rows().map(|row| row.json.to_vec())).collect(),
    };
    world.holds(&rows, "a snapshot and then changes").await;
}

pub(super) async fn a_sink_that_is_closed_has_ended(mut world: SinkWorld<impl Target>) {
    let keyed = world.is_keyed();
    let mut sink = world.open().await;
    world.write(sink.as_mut(), &batch(keyed, 0..3, &[])).await;
    // Uncommitted: given up or kept, as the sink likes, and written again later.
    let _ = in_time("close", sink.close()).await;
    world.deliver(&[batch(keyed, 0..3, &[])]).await;
    world.holds_each(&rows(0..3), "rows that were not committed before the end").await;
}

pub(super) async fn a_target_that_was_away_has_everything_in_the_end(mut world: SinkWorld<impl Target>) -> bool {
    let keyed = world.is_keyed();
    let mut sink = world.open().await;
    world.write(sink.as_mut(), &batch(keyed, 0..3, &[])).await;
    world.commit(sink.as_mut(), &batch(keyed, 0..3, &[])).await;
    world.write(sink.as_mut(), &batch(keyed, 3..5, &[])).await;
    if !world.target.behave(Behaviour::Away).await {
        return false;
    }
    let lost = batch(keyed, 5..8, &[]);
    let outcome = match write(sink.as_mut(), &lost).await {
        Ok(answers) if answers.iter().all(|answer| *answer == Answer::Held) => {
            in_time("commit", sink.commit(lost.end())).await.map(|()| answers)
        }
        outcome => outcome,
    };
    match outcome {
        Err(Error::Unavailable { what, .. }) => assert!(what.len() > 10, "the error says who is away: {what}"),
        Err(error) => panic!("a target that is away is Unavailable, not {:?}: {error}", error.kind()),
        Ok(answers) => {
            assert!(answers.iter().all(|a| matches!(a, Answer::Later(_))), "the target is away: {answers:?}");
        }
    }
    drop(sink);
    world.target.behave(Behaviour::Well).await;
    world.deliver(&[batch(keyed, 3..8, &[])]).await;
    world.holds_each(&rows(0..8), "a target that was away").await;
    true
}

pub(super) async fn a_refused_row_is_named_and_the_others_arrive(mut world: SinkWorld<impl Target>) -> bool {
    if !world.target.behave(Behaviour::RefusingPoison).await {
        return false;
    }
    let poisoned = [2, 3, 9];
    let some = batch(world.is_keyed(), 0..10, &poisoned);
    let mut sink = world.open().await;
    let answers = write(sink.as_mut(), &some).await.expect("a refused row is no error of the batch");
    for (n, answer) in (0..).zip(&answers) {
        match answer {
            Answer::Refused(why) => {
                assert!(poisoned.contains(&n), "row {n} has no {POISON} and is refused: {why}");
                assert!(why.len() > 5, "a refusal says why: {why:?}");
            }
            answer => assert!(!poisoned.contains(&n), "row {n} has {POISON} and is answered {answer:?}"),
        }
    }
    world.commit(sink.as_mut(), &some).await;
    in_time("close", sink.close()).await.expect("a close of a target that is well");
    let expected: Vec<Vec<u8>> = (0..10).filter(|n| !poisoned.contains(n)).map(row).collect();
    world.holds_each(&expected, "rows beside those that were refused").await;
    true
}

pub(super) async fn a_target_that_never_answers_does_not_hold_up_the_end(mut world: SinkWorld<impl Target>) -> bool {
    let mut sink = world.open().await;
    if !world.target.behave(Behaviour::Silent).await {
        return false;
    }
    let some = batch(world.is_keyed(), 0..3, &[]);
    let given_up = tokio::time::timeout(GIVEN_UP_AFTER, async {
        let answers = sink.write(&some).await?;
        sink.commit(some.end()).await.map(|()| answers)
    });
    if let Ok(Ok(answers)) = given_up.await {
        assert!(answers.iter().all(|a| matches!(a, Answer::Later(_))), "nobody answered: {answers:?}");
    }
    let closed = tokio::time::timeout(CLOSE_MAX, sink.close()).await;
    assert!(closed.is_ok(), "the end takes longer than {} s while the target never answers", CLOSE_MAX.as_secs());
    true
}
