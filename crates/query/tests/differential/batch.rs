//! The log and its batch queries: every stream appended to a real store, burst by burst, and a lake over it.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use lakehead_model::{ByteSize, Clock, EventBatch, Name, Span, Timestamp};
use lakehead_query::{Lake, Limits};
use lakehead_store::{Append, Options, Store, Sync};
use lakehead_testkit::{ManualClock, oracle::event_time};

use crate::{
    case::Case,
    table::Table,
    value::{self, Row},
};

/// A stream in a store of its own.
pub(crate) struct Batch {
    pub(crate) lake: Lake,
    // Before the folder: it writes when it is closed.
    _store: Store,
    _folder: tempfile::TempDir,
}

/// No limit that an answer of the suite would reach.
pub(crate) fn limits() -> Limits {
    Limits { rows: usize::MAX, memory: ByteSize::mib(4_096), threads: 2, ..Limits::default() }
}

/// A folder in memory where there is one: every commit syncs, and here nobody cuts the power.
pub(crate) fn scratch() -> tempfile::TempDir {
    let in_memory = tempfile::Builder::new().prefix("lakehead-differential").tempdir_in("/dev/shm");
    in_memory.or_else(|_| tempfile::tempdir()).expect("a folder")
}

impl Batch {
    /// Appends all events, each burst at its received time.
    pub(crate) async fn of(table: &Table) -> Self {
        let folder = scratch();
        let clock = Arc::new(ManualClock::new(Timestamp(0)));
        // A burst is a block at once; what a power cut would take back nobody misses.
        let options = Options {
            block_age_max: Span::millis(0),
            block_age_hurried: Span::millis(0),
            sync: Sync::Off,
            ..Options::default()
        };
        let store =
            Store::open(folder.path(), options, Arc::<ManualClock>::clone(&clock) as Arc<dyn Clock>).expect("opens");
        let name = Name::new(table.name).expect("a name");
        let stream = store.stream(&name).expect("a stream");
        let appender = stream.appender();
        for burst in &table.bursts {
            clock.set(burst.received);
            let mut events = EventBatch::default();
            for event in &burst.events {
                events.push(event.as_bytes(), event_time(&table.schema, event).map(Timestamp));
            }
            let source = Name::new("suite").expect("a name");
            let append = Append { source, events, cursor: None, keys: Vec::new(), urgent: true };
            let kept = appender.append(append).await.expect("taken").await.expect("kept");
            assert_eq!(kept.received_time, burst.received, "the store takes the clock's time");
        }
        let lake = Lake::new(limits()).expect("a lake");
        lake.add_stream(table.schema.clone(), stream);
        Self { lake, _store: store, _folder: folder }
    }

    /// The rows of any query over the stream.
    pub(crate) async fn query(&self, sql: &str) -> Result<(SchemaRef, Vec<Row>), String> {
        let answer = self.lake.query(sql).await.map_err(|e| e.to_string())?;
        assert!(!answer.truncated, "there is no limit on rows");
        Ok((answer.schema.clone(), value::rows(&answer.batches)))
    }

    /// The answer to a case over the events before `end`, or over all of them.
    pub(crate) async fn answer(&self, case: &Case, end: Option<u64>) -> Result<(SchemaRef, Vec<Row>), String> {
        self.query(&case.batch_before(end)).await
    }
}
