//! A stream as a table: the log, decoded on the way, only as far as a query asks.
//!
//! The end is pinned when the table is made, so one query sees one moment. Bounds on `event_offset`, `received_time`
//! and `event_time` skip segments and blocks, most of them unread; everything else is filtered above. The range of offsets is
//! cut into as many parts as the query has threads.

use std::{fmt, ops::Range, sync::Arc};

use async_trait::async_trait;
use datafusion::{
    arrow::{array::RecordBatch, datatypes::SchemaRef},
    catalog::{Session, TableProvider},
    common::Result,
    execution::{SendableRecordBatchStream, TaskContext},
    logical_expr::{Expr, TableProviderFilterPushDown, TableType},
    physical_plan::{
        ExecutionPlan,
        stream::RecordBatchReceiverStreamBuilder,
        streaming::{PartitionStream, StreamingTableExec},
    },
};
use lakehead_decode::{Decoder, Events};
use lakehead_model::{Offset, StreamSchema, TimeRange, TimeRule, Timestamp};
use lakehead_store::{Block, BlockFilter, Stream};

use crate::{
    bounds::TimeBounds,
    error::Error,
    pace::{Pace, STOPPED},
};

/// Batches under way between the thread that reads and the query: enough to overlap, few enough to bound memory. What is
/// read at a pace is in no hurry.
const BATCHES_UNDER_WAY: usize = 2;
const BATCHES_PACED: usize = 1;

/// A stream at one moment.
pub(crate) struct StreamTable {
    stream: Stream,
    stream_schema: StreamSchema,
    schema: SchemaRef,
    start: Offset,
    end: Offset,
    pace: Option<Arc<dyn Pace>>,
}

impl StreamTable {
    pub(crate) fn new(stream: Stream, stream_schema: StreamSchema) -> Self {
        let head = stream.head();
        let schema = lakehead_decode::table_schema(&stream_schema);
        Self { stream, stream_schema, schema, start: head.start, end: head.end, pace: None }
    }

    /// The events before `end` only.
    pub(crate) fn until(stream: Stream, stream_schema: StreamSchema, end: Offset) -> Self {
        let whole = Self::new(stream, stream_schema);
        Self { end: whole.end.min(end).max(whole.start), ..whole }
    }

    /// The events of `[start, end)` only, read at a pace.
    pub(crate) fn paced(
        stream: Stream,
        stream_schema: StreamSchema,
        range: Range<Offset>,
        pace: Arc<dyn Pace>,
    ) -> Self {
        let Range { start, end } = range;
        Self { start, end, pace: Some(pace), ..Self::new(stream, stream_schema) }
    }
}

impl fmt::Debug for StreamTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stream {} [{}, {})", self.stream.name(), self.start, self.end)
    }
}

#[async_trait]
impl TableProvider for StreamTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let bounded = |filter: &&Expr| {
            let mut bounds = Bounds::default();
            bounds.narrow(filter);
            if bounds == Bounds::default() {
                TableProviderFilterPushDown::Unsupported
            } else {
                TableProviderFilterPushDown::Inexact
            }
        };
        Ok(filters.iter().map(bounded).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => Arc::clone(&self.schema),
        };
        let wanted: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let decoder = Decoder::new(&self.stream_schema, &wanted).map_err(Error::through)?;
        let decoder = Arc::new(decoder);
        let mut bounds = Bounds::default();
        filters.iter().for_each(|filter| bounds.narrow(filter));
        let offset = |bound: i64| u64::try_from(bound).unwrap_or(0);
        let block_filter = bounds.block_filter(self.stream_schema.time_rule());
        let (wanted_from, wanted_to) = self.stream.bounds_for(&block_filter);
        let start = self.start.0.max(offset(bounds.offset.least.0)).max(wanted_from.0);
        let end = self.end.0.min(offset(bounds.offset.greatest.0).saturating_add(1)).min(wanted_to.0).max(start);
        let parts = state.config().target_partitions().max(1) as u64;
        let step = (end - start).div_ceil(parts).max(1);
        let parts = (start..end.max(start + 1)).step_by(usize::try_from(step).unwrap_or(usize::MAX)).map(|from| {
            Arc::new(Partition {
                stream: self.stream.clone(),
                decoder: Arc::clone(&decoder),
                schema: Arc::clone(&schema),
                block_filter,
                from: Offset(from),
                to: Offset(end.min(from.saturating_add(step))),
                pace: self.pace.clone(),
            }) as Arc<dyn PartitionStream>
        });
        let plan = StreamingTableExec::try_new(Arc::clone(&schema), parts.collect(), None, [], false, limit)?;
        Ok(Arc::new(plan))
    }
}

/// One thread's share of a scan: `[from, to)`.
struct Partition {
    stream: Stream,
    decoder: Arc<Decoder>,
    schema: SchemaRef,
    block_filter: BlockFilter,
    from: Offset,
    to: Offset,
    pace: Option<Arc<dyn Pace>>,
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}, {})", self.stream.name(), self.from, self.to)
    }
}

impl PartitionStream for Partition {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let under_way = if self.pace.is_some() { BATCHES_PACED } else { BATCHES_UNDER_WAY };
        let mut builder = RecordBatchReceiverStreamBuilder::new(Arc::clone(&self.schema), under_way);
        let sender = builder.tx();
        let (decoder, to) = (Arc::clone(&self.decoder), self.to);
        let mut reader = self.stream.reader_as("a query", self.from).filtered(self.block_filter);
        let (from, pace) = (self.from, self.pace.clone());
        builder.spawn_blocking(move || {
            while reader.position() < to {
                let Some(block) = reader.next().map_err(Error::through)? else { break };
                if pace.as_ref().is_some_and(|pace| !pace.read(block.payload.len() as u64)) {
                    return Err(Error::through(Error::Limit(STOPPED.to_owned())));
                }
                if block.first_offset >= to {
                    break;
                }
                let batch = decode(&decoder, &block).map_err(Error::through)?;
                let skip = from.since(block.first_offset);
                let take = to.since(block.first_offset).min(block.len() as u64).saturating_sub(skip);
                let batch = batch.slice(usize::try_from(skip).unwrap_or(0), usize::try_from(take).unwrap_or(0));
                if batch.num_rows() > 0 && sender.blocking_send(Ok(batch)).is_err() {
                    break; // The query has what it wants.
                }
            }
            Ok(())
        });
        builder.build()
    }
}

/// A block's events as columns.
pub(crate) fn decode(decoder: &Decoder, block: &Block) -> Result<RecordBatch, lakehead_decode::Error> {
    decoder.decode(&Events {
        payload: &block.payload,
        ends: &block.ends,
        first_offset: block.first_offset,
        received_time: block.received_time,
    })
}

/// What a query's filters say of offset and time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bounds {
    offset: TimeBounds,
    event_time: TimeBounds,
    received_time: TimeBounds,
}

impl Bounds {
    /// Takes note of `filter` where it bounds one of the three columns; anything else says nothing here.
    fn narrow(&mut self, filter: &Expr) {
        self.offset.narrow(lakehead_decode::EVENT_OFFSET, filter);
        self.event_time.narrow(lakehead_decode::EVENT_TIME, filter);
        self.received_time.narrow(lakehead_decode::RECEIVED_TIME, filter);
    }

    /// The bounds on time, for the log, where event times are read by `rule` here. Events without event time are outside
    /// every bound on it.
    fn block_filter(&self, rule: TimeRule) -> BlockFilter {
        // Closed here, half-open there; the greatest time there is has none after it and bounds nothing.
        let range =
            |bounds: TimeBounds| TimeRange { start: bounds.least, end: Timestamp(bounds.greatest.0.saturating_add(1)) };
        let bounded = |bounds: TimeBounds| (!bounds.everything()).then(|| range(bounds));
        BlockFilter {
            received_time: bounded(self.received_time),
            event_time: bounded(self.event_time).map(|range| (rule, range)),
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::{
        common::ScalarValue,
        prelude::{col, lit},
    };

    use super::*;

    fn narrowed(filter: &Expr) -> Bounds {
        let mut bounds = Bounds::default();
        bounds.narrow(filter);
        bounds
    }

    fn closed(bounds: TimeBounds) -> (i64, i64) {
        (bounds.least.0, bounds.greatest.0)
    }

    #[test]
    fn bounds_are_taken_from_either_side_and_from_both_ends() {
        let filter = col("event_offset").gt_eq(lit(10_i64)).and(lit(20_i64).gt(col("event_offset")));
        assert_eq!(closed(narrowed(&filter).offset), (10, 19));
        assert_eq!(closed(narrowed(&col("event_offset").between(lit(3_i64), lit(4_i64))).offset), (3, 4));
    }

    #[test]
    fn bounds_on_time_go_to_the_log_half_open() {
        let time = |micros| lit(ScalarValue::TimestampMicrosecond(Some(micros), None));
        let rule = TimeRule::kept(7).expect("above zero");
        let block_filter = narrowed(&col("received_time").between(time(3), time(4))).block_filter(rule);
        let range = TimeRange { start: Timestamp(3), end: Timestamp(5) };
        assert_eq!(block_filter, BlockFilter { received_time: Some(range), event_time: None });
        let block_filter = narrowed(&col("event_time").gt(time(3))).block_filter(rule);
        let range = TimeRange { start: Timestamp(4), end: Timestamp(i64::MAX) };
        assert_eq!(block_filter, BlockFilter { received_time: None, event_time: Some((rule, range)) });
        assert!(narrowed(&col("event_offset").gt(lit(3_i64))).block_filter(rule).everything());
    }

    #[test]
    fn what_bounds_nothing_is_left_to_the_filter_above() {
        for filter in [
            col("event_offset").eq(lit(1_i64)).or(col("event_offset").eq(lit(9_i64))),
            col("wiki").eq(lit("enwiki")),
            col("event_offset").not_eq(lit(1_i64)),
            col("event_offset").not_between(lit(1_i64), lit(2_i64)),
        ] {
            assert_eq!(narrowed(&filter), Bounds::default(), "{filter}");
        }
    }
}
