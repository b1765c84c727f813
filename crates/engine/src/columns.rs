//! How well a stream's events fit its columns: which values are there and of another type, so that the column is NULL.
//!
//! Views decode only the columns that they need, so the events are decoded once more for this, after the views: a bounded number
//! of events each second. A stream that is slower than that has every event looked at; of a faster one those that came last, and what was
//! passed over is counted.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use lakehead_decode::{Decoder, Events};
use lakehead_json::EventTimes;
use lakehead_model::{Offset, StreamSchema};
use lakehead_store::{Block, Stream};

use crate::{Error, status::ColumnsStatus, sync::lock};

/// How often new events are looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Events of one stream that are looked at each time: some ten milliseconds of one core, with the 27 columns of a
/// recentchange event; the default pipeline at Wikimedia's rate has 36.
const EVENTS_EACH_TIME: u64 = 4_096;

/// Bytes of them, since events may be long.
const BYTES_EACH_TIME: u64 = 4 << 20;

/// With more events than this to look at, all but the last are passed over: they would have to be read from the disk again.
const BEHIND_MAX: u64 = 65_536;

/// Looks at the events of one stream as they come.
#[derive(Debug)]
pub(crate) struct ColumnWatch(Mutex<Watching>);

#[derive(Debug)]
struct Watching {
    /// The first event that was not looked at.
    at: Offset,
    schema: StreamSchema,
    status: ColumnsStatus,
}

impl ColumnWatch {
    /// Begins with the event at `at`.
    pub(crate) fn from(at: Offset) -> Self {
        let (schema, status) = Default::default();
        Self(Mutex::new(Watching { at, schema, status }))
    }

    /// What is known now.
    pub(crate) fn status(&self) -> ColumnsStatus {
        lock(&self.0).status.clone()
    }

    /// Looks at what came since the last time. May read files; blocks.
    ///
    /// # Errors
    /// When the log cannot be read there, or does not hold what was stored.
    pub(crate) fn look(&self, stream: &Stream, schema: &StreamSchema) -> Result<(), Error> {
        let head = stream.head();
        let mut watching = lock(&self.0);
        if watching.schema.columns != schema.columns {
            // Counts of other columns are no counts of these.
            *watching = Watching { at: watching.at, schema: schema.clone(), status: ColumnsStatus::default() };
        }
        let mut at = watching.at.max(head.start);
        if at >= head.end || schema.columns.is_empty() {
            watching.at = head.end;
            return Ok(());
        }
        if head.end.since(at) > BEHIND_MAX {
            let last = Offset(head.end.0 - EVENTS_EACH_TIME);
            watching.status.passed_over += last.since(at);
            at = last;
        }
        let fit = Fit::new(schema)?;
        let mut reader = stream.reader_as("counting mistyped values", at);
        let (mut events, mut bytes) = (0, 0);
        while events < EVENTS_EACH_TIME && bytes < BYTES_EACH_TIME {
            let Some(block) = reader.next()? else { break };
            events += block.len() as u64;
            bytes += block.payload.len() as u64;
            fit.count(&block, &mut watching.status.mistyped)?;
        }
        watching.status.looked_at += events;
        watching.at = reader.position();
        Ok(())
    }
}

/// Counts values that do not fit.
struct Fit {
    names: Vec<String>,
    decoder: Decoder,
}

impl Fit {
    fn new(schema: &StreamSchema) -> Result<Self, Error> {
        let names: Vec<String> = schema.columns.iter().map(|column| column.name.clone()).collect();
        let decoder = Decoder::new(schema, &names).map_err(|error| Error::Internal(error.to_string()))?;
        Ok(Self { names, decoder })
    }

    fn count(&self, block: &Block, mistyped: &mut BTreeMap<String, u64>) -> Result<(), Error> {
        let mut counts = vec![0; self.names.len()];
        let events = Events {
            payload: &block.payload,
            ends: &block.ends,
            first_offset: block.first_offset,
            received_time: block.received_time,
        };
        let counted = self.decoder.decode_counting(std::slice::from_ref(&events), &mut counts);
        counted.map_err(|error| Error::Internal(error.to_string()))?;
        for (name, count) in self.names.iter().zip(counts).filter(|(_, count)| *count > 0) {
            *mistyped.entry(name.clone()).or_default() += count;
        }
        Ok(())
    }
}

/// How the tail of a stream, its last events, fits a schema.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TailFit {
    /// Events looked at.
    pub events: u64,
    /// Of these, those without an event time, where the schema says that they have one.
    pub without_event_time: u64,
    /// Why the first of them has none, and what to do.
    pub why: Option<String>,
    /// Values that are there and of another type, by column.
    pub mistyped: BTreeMap<String, u64>,
}

/// Looks at about the last `events_max` events of `stream`, as `schema` reads them. Reads files; blocks.
///
/// # Errors
/// When the log cannot be read there.
pub fn look_back(stream: &Stream, schema: &StreamSchema, events_max: u64) -> Result<TailFit, Error> {
    let head = stream.head();
    let from = Offset(head.end.0.saturating_sub(events_max)).max(head.start);
    let (fit, times) = (Fit::new(schema)?, EventTimes::new(schema));
    let mut looked = TailFit::default();
    let mut reader = stream.reader_as("looking at the last events", from);
    while let Some(block) = reader.next()? {
        looked.events += block.len() as u64;
        fit.count(&block, &mut looked.mistyped)?;
        for event in block.events().filter(|event| !times.none_wanted() && times.of(event).is_none()) {
            looked.without_event_time += 1;
            looked.why.get_or_insert_with(|| times.why_none(event).to_string());
        }
        if block.end_offset() >= head.end {
            break;
        }
    }
    Ok(looked)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lakehead_model::{Clock, Column, ColumnType, EventBatch, Name, Timestamp};
    use lakehead_store::{Append, Options, Store};

    use super::*;

    #[derive(Debug)]
    struct Noon;

    impl Clock for Noon {
        fn now(&self) -> Timestamp {
            Timestamp::from_seconds(1_790_000_000)
        }
    }

    fn column(name: &str, column_type: ColumnType) -> Column {
        Column { name: name.into(), path: vec![name.into()], column_type, equals: None }
    }

    fn schema() -> StreamSchema {
        let columns =
            vec![column("n", ColumnType::Int64), column("t", ColumnType::Text), column("b", ColumnType::Bool)];
        StreamSchema { columns, ..StreamSchema::builtin("json").expect("built in") }
    }

    #[tokio::test]
    async fn values_of_another_type_are_counted_by_column_as_they_come() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), Options::default(), Arc::new(Noon)).expect("a store");
        let stream = store.stream(&Name::new("s").expect("a name")).expect("a stream");
        let take = async |events: &[&str]| {
            let mut batch = EventBatch::default();
            events.iter().for_each(|event| batch.push(event.as_bytes(), None));
            let source = Name::new("a").expect("a name");
            let append = Append { source, events: batch, cursor: None, keys: Vec::new(), urgent: true };
            stream.appender().append(append).await.expect("taken").await.expect("kept");
        };
        take(&[r#"{"n":"before"}"#]).await;
        let watch = ColumnWatch::from(stream.head().end);
        watch.look(&stream, &schema()).expect("read");
        assert_eq!(watch.status(), ColumnsStatus::default(), "it begins with what comes");
        take(&[
            r#"{"n":7.0,"t":"a","b":true,"dt":"2026-11-28T11:30:00Z"}"#,
            r#"{"n":7.5,"t":null}"#,
            r#"{"n":"7","b":1}"#,
            r#"{"n":70e-1}"#,
            "[]",
        ])
        .await;
        watch.look(&stream, &schema()).expect("read");
        let mistyped = BTreeMap::from([("n".to_owned(), 2), ("b".to_owned(), 1)]);
        assert_eq!(watch.status(), ColumnsStatus { looked_at: 5, passed_over: 0, mistyped });
        let looked = look_back(&stream, &schema(), 4).expect("read");
        assert_eq!((looked.events, looked.without_event_time), (4, 4));
        assert_eq!(looked.mistyped.get("n"), Some(&2));
        let looked = look_back(&stream, &schema(), 100).expect("read");
        assert_eq!((looked.events, looked.without_event_time), (6, 5));
        assert_eq!(looked.mistyped.get("n"), Some(&3));

        let other = StreamSchema { columns: vec![column("t", ColumnType::Int64)], ..schema() };
        watch.look(&stream, &other).expect("read");
        assert_eq!(watch.status(), ColumnsStatus::default(), "other columns are counted anew");
        take(&[r#"{"t":"a"}"#]).await;
        watch.look(&stream, &other).expect("read");
        assert_eq!(watch.status().mistyped, BTreeMap::from([("t".to_owned(), 1)]));
    }
}
