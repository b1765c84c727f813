//! The rows that the suite delivers, as the engine would number them.

use std::ops::Range;

use bytes::Bytes;
use lakehead_connector_api::{Batch, BatchKind, Operation, RowHead};
use lakehead_model::{Name, Offset, Position, Timestamp};

use super::target::POISON;

/// The epoch of the stream and the incarnation of the view.
const LIFE: u64 = 3;

/// The row of number `n`: a key and a value.
pub(super) fn row(n: u64) -> Vec<u8> {
    format!(r#"{{"id":{n},"text":"row {n}"}}"#).into_bytes()
}

/// The rows of these numbers, as a run of a stream's events or of a view's inserts; `poisoned` says what has poison in it.
pub(super) fn batch(is_view: bool, numbers: Range<u64>, poisoned: &[u64]) -> Batch {
    let start = numbers.start;
    let rows = numbers.map(|n| {
        let poison = format!(r#"{{"id":{n},"text":"{}"}}"#, POISON).into_bytes();
        (Operation::Insert, n, if poisoned.contains(&n) { poison } else { row(n) })
    });
    of(is_view, 1, start, rows.collect(), BatchKind::Changes)
}

/// A batch of these rows, numbered from `first` on.
pub(super) fn of(
    is_view: bool,
    commit: u64,
    first: u64,
    rows: Vec<(Operation, u64, Vec<u8>)>,
    kind: BatchKind,
) -> Batch {
    let next = first + rows.len() as u64;
    let position = |next| match is_view {
        false => Position::Log { epoch: LIFE, next: Offset(next) },
        true => Position::View { incarnation: LIFE, commit },
    };
    let (mut payload, mut ends, mut heads) = (Vec::new(), Vec::new(), Vec::new());
    for (number, (operation, id, json)) in (first..).zip(rows) {
        payload.extend_from_slice(&json);
        payload.push(b'\n');
        ends.push(u32::try_from(payload.len()).expect("a batch is far below 4 GiB"));
        let key = is_view.then(|| Bytes::from(format!("[{id}]")));
        let event_time = Some(Timestamp::from_seconds(1_790_000_000 + i64::try_from(number).unwrap_or(0)));
        heads.push(RowHead { operation, key, number, event_time });
    }
    Batch::new(name(), (position(first), position(next)), (payload.into(), ends), heads, kind)
}

/// The stream or view that is delivered.
pub(super) fn name() -> Name {
    Name::new("delivered").expect("a name")
}

/// Rows that are hard to carry: each is one line of JSON.
pub(super) fn strange() -> Vec<Vec<u8>> {
    let mut rows: Vec<Vec<u8>> = [
        r#"{"id":0,"text":"\"quoted\", 'so', `and` so\\"}"#,
        r#"{"id":1,"text":"line\nline\r\nline\u2028line\u0000\u0085"}"#,
        r#"{"id":2,"text":"Ünïcode 数 🦀 \ud83e\udd80"}"#,
        r#"{ "id" : 3 , "text" : 1e400 , "more" : [ ] }"#,
        r#"{"id":4,"text":"%0a{}${HOME}\\N\t\\t</script>;--"}"#,
        r#"{"id":5,"":{"":{"":[[[[]]]]}},"_op":"x"}"#,
    ]
    .map(|row| row.as_bytes().to_vec())
    .into();
    // The largest event that a stream takes.
    let largest = lakehead_model::EVENT_BYTES_MAX - r#"{"id":6,"text":""}"#.len();
    rows.push(format!(r#"{{"id":6,"text":"{}"}}"#, "x".repeat(largest)).into_bytes());
    rows
}
