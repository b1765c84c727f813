//! Runs a compiled view once over made-up events, from their columns to a result file.
//!
//! What fails by the plan, whatever comes, is found before anything starts: an aggregate that cannot take a type, a type that
//! no file can hold. What fails by the data, as a division by zero does, is no fault of the plan: such events are left out when
//! they come. The events have what is rare in all columns: nothing, zero, the ends of their range, text of many kinds.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
            TimestampMicrosecondArray, UInt64Array, new_null_array,
        },
        compute::{cast, take},
        datatypes::{DataType, Field, Schema, SchemaRef},
    },
    catalog::MemTable,
    execution::{SessionState, SessionStateBuilder, TaskContext},
    logical_expr::{Aggregate, LogicalPlan},
    parquet::file::properties::WriterProperties,
    prelude::SessionContext,
};
use lakehead_model::{Offset, StreamSchema, Timestamp};

use super::{
    cut,
    lineage::find_aggregate,
    piece::Piece,
    view_plan::{PlanKind, ViewPlan},
};
use crate::{
    checked,
    error::Error,
    functions,
    micro_batch::MicroBatch,
    panics,
    partial::{PartialOutput, SharedFilter},
    plain_types, rewrite,
    view::{
        diff,
        finish::finish,
        state::{by_window, reduce},
    },
};

/// Made-up events.
const EVENTS: usize = 24;

/// How an error begins that was a panic.
const GAVE_UP: &str = "the query engine gave up";

/// A moment in the middle of an hour, 2026-11-28T12:30:00Z, in microseconds.
const MOMENT: i64 = 1_795_869_000_000_000;

const WHOLE: [Option<i64>; 11] = [
    Some(3),
    None,
    Some(0),
    Some(1),
    Some(-1),
    Some(i64::MAX),
    Some(i64::MIN),
    Some(1_000_000),
    Some(-7),
    Some(2),
    Some(1 << 53),
];
const FLOAT: [Option<f64>; 9] = [
    Some(1.5),
    None,
    Some(0.0),
    Some(f64::MAX),
    Some(f64::MIN),
    Some(f64::MIN_POSITIVE),
    Some(-2.25),
    Some(1e15),
    Some(0.1),
];
const TEXT: [Option<&str>; 13] = [
    Some("42"),
    None,
    Some(""),
    Some("a text"),
    Some("0"),
    Some("2026-11-28T12:30:00Z"),
    Some("{\"a\": [1, 2.5, null], \"b\": {\"c\": \"d\"}}"),
    Some("e\u{301}\u{1f9d1}\u{200d}\u{1f680}\u{202e}"),
    Some("\u{0}\n\t"),
    Some("-1.5"),
    Some("true"),
    Some("[1]"),
    Some("https://example.org/a?b=c#d"),
];
const YES_NO: [Option<bool>; 3] = [Some(true), None, Some(false)];
const TIME: [Option<i64>; 5] = [Some(MOMENT), None, Some(MOMENT - 60_000_000), Some(0), Some(4_102_444_800_000_000)];

/// What one column holds; `column` makes the columns differ in where they hold what.
fn values(kind: &DataType, column: usize) -> ArrayRef {
    // The first event is an ordinary one and the second has nothing at all.
    let place = |row: usize, of: usize| if row < 2 { row } else { (row + column * (row / of + 1)) % of };
    let pick = |row: usize, of: usize| place(row, of);
    let rows = 0..EVENTS;
    let made: ArrayRef = match kind {
        kind if kind.is_integer() => Arc::new(rows.map(|row| WHOLE[pick(row, WHOLE.len())]).collect::<Int64Array>()),
        kind if kind.is_floating() => Arc::new(rows.map(|row| FLOAT[pick(row, FLOAT.len())]).collect::<Float64Array>()),
        DataType::Boolean => Arc::new(rows.map(|row| YES_NO[pick(row, YES_NO.len())]).collect::<BooleanArray>()),
        DataType::Timestamp(..) => Arc::new(
            rows.map(|row| TIME[pick(row, TIME.len())]).collect::<TimestampMicrosecondArray>().with_timezone("UTC"),
        ),
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => {
            Arc::new(rows.map(|row| TEXT[pick(row, TEXT.len())]).collect::<StringArray>())
        }
        other => return new_null_array(other, EVENTS),
    };
    cast(&made, kind).unwrap_or_else(|_| new_null_array(kind, EVENTS))
}

fn events(columns: &SchemaRef) -> Result<RecordBatch, Error> {
    let made = columns.fields().iter().enumerate().map(|(place, field)| match field.name().as_str() {
        lakehead_decode::EVENT_OFFSET => Arc::new((0..EVENTS as i64).collect::<Int64Array>()) as ArrayRef,
        lakehead_decode::RECEIVED_TIME => {
            Arc::new(TimestampMicrosecondArray::from(vec![MOMENT; EVENTS]).with_timezone("UTC"))
        }
        lakehead_decode::EVENT_TIME => {
            let times = (0..EVENTS as i64).map(|row| (row != 1).then_some(MOMENT + row * 10_000_000));
            Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
        }
        _ => values(field.data_type(), place),
    });
    let made = made.zip(columns.fields()).map(|(column, field)| {
        let column = cast(&column, field.data_type())?;
        let column = if field.is_nullable() { column } else { without_nulls(&column)? };
        // Where nothing of a type can be made up, NULL stands in a column that never has it.
        let nullable = field.is_nullable() || column.null_count() > 0;
        Ok((field.as_ref().clone().with_nullable(nullable), column))
    });
    let (fields, made): (Vec<Field>, Vec<ArrayRef>) = made.collect::<Result<Vec<_>, Error>>()?.into_iter().unzip();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), made)?)
}

/// The column with its first value in place of each NULL.
fn without_nulls(column: &ArrayRef) -> Result<ArrayRef, Error> {
    let Some(first) = (0..column.len()).find(|row| column.is_valid(*row)) else { return Ok(Arc::clone(column)) };
    let rows = (0..column.len()).map(|row| if column.is_valid(row) { row as u64 } else { first as u64 });
    Ok(take(column, &rows.collect::<UInt64Array>(), None)?)
}

/// Tries `plan`; what it says names no expression yet. `read` is what it reads: the columns of the stream, or of the other view.
pub(super) async fn try_out(plan: &ViewPlan, read: &SchemaRef) -> Result<(), Error> {
    let outcome = match plan.kind() {
        PlanKind::Derived(_) => unharmed(derived(plan, read)).await,
        _ => unharmed(streamed(plan, read)).await,
    };
    let rows = outcome.map_err(told)?;
    let rows = rows.into_iter().map(|batch| batch.with_schema(plan.schema())).collect::<Result<Vec<_>, _>>()?;
    results(plan, rows).map_err(told)
}

/// What becomes of `work`; a panic of the engine in it is an error of this view.
async fn unharmed<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let gave_up = |words| Error::Sql(format!("{GAVE_UP} on values at the ends of their types ({words})"));
    panics::unharmed(work, gave_up).await
}

/// The first aggregate of the query `logical` that cannot be computed by itself, as it was written.
pub(super) async fn culprit(logical: &LogicalPlan, state: &SessionState, task: &Arc<TaskContext>) -> Option<String> {
    let aggregate = find_aggregate(logical).ok()??;
    for call in &aggregate.aggr_expr {
        let one = Aggregate::try_new(Arc::clone(&aggregate.input), Vec::new(), vec![call.clone()]).ok()?;
        let optimized = state.optimize(&LogicalPlan::Aggregate(one)).ok()?;
        let physical = checked::physical(&optimized, state, &checked::Mode::Careful).await;
        let outcome = match physical {
            Ok(physical) => {
                let leaf = cut::bottom(&physical).schema();
                let batch = events(&leaf).ok()?.with_schema(Arc::clone(&leaf));
                match batch {
                    Ok(batch) => {
                        let piece = Piece::new(physical, leaf, Arc::clone(task));
                        unharmed(piece.run(vec![batch])).await.map(|_| ())
                    }
                    Err(_) => Ok(()),
                }
            }
            Err(error) => Err(error.into()),
        };
        if outcome.is_err() {
            return Some(checked::text(&call.clone().unalias()));
        }
    }
    None
}

/// What a stream of this schema holds.
pub(super) fn columns_of(schema: &StreamSchema) -> SchemaRef {
    lakehead_decode::table_schema(schema)
}

async fn streamed(plan: &ViewPlan, read: &SchemaRef) -> Result<Vec<RecordBatch>, Error> {
    let wanted = plan.required_columns().iter().map(|name| read.index_of(name)).collect::<Result<Vec<_>, _>>()?;
    let batch = events(&Arc::new(read.project(&wanted)?))?;
    let received = Timestamp(MOMENT);
    let micro_batch = MicroBatch {
        batches: vec![batch],
        events: EVENTS as u64,
        end: Offset(EVENTS as u64),
        times: vec![(None, None, received)],
    };
    let aggregate = plan.partial_aggregate(&mut SharedFilter::new(&micro_batch)).await?;
    if aggregate.failed().len() >= EVENTS {
        let why = aggregate.failed().first().map_or("", |failed| failed.reason.as_str());
        return Err(Error::Sql(why.to_owned()));
    }
    match (aggregate.rows, plan.windowed()) {
        (PartialOutput::Partial(rows), Some(windowed)) => {
            let rows = reduce(windowed, rows).await?;
            let rows = rows.iter().map(|batch| by_window(windowed, batch, |_| true));
            Ok(finish(plan, windowed, rows.collect::<Result<_, _>>()?).await?.rows)
        }
        (PartialOutput::Rows(rows), _) => Ok(rows.into_iter().map(|(_, batch)| batch).collect()),
        _ => Ok(Vec::new()),
    }
}

async fn derived(plan: &ViewPlan, read: &SchemaRef) -> Result<Vec<RecordBatch>, Error> {
    let state = SessionStateBuilder::new().with_config(functions::config().with_target_partitions(1));
    let state = checked::session(state.with_default_features(), checked::Mode::Lenient(Arc::default())).build();
    let context = SessionContext::new_with_state(state);
    functions::register(&context)?;
    let Some(name) = plan.upstream() else { return Ok(Vec::new()) };
    let batch = events(read)?;
    context.register_table(name.as_str(), Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?))?;
    let logical = rewrite::executable(lakehead_planning::of_text(&context.state(), plan.sql()).await?)?;
    Ok(lakehead_planning::collect(&context, logical).await?)
}

/// Files them, and compares them as a correction does.
fn results(plan: &ViewPlan, rows: Vec<RecordBatch>) -> Result<(), Error> {
    let mut writer = plain_types::writer(Vec::new(), &plan.schema(), WriterProperties::default())?;
    diff::merged(plan, std::iter::empty(), rows.clone(), |sorted| Ok(writer.write(sorted)?))?;
    writer.close()?;
    diff::between(plan, rows.clone(), rows)?;
    Ok(())
}

/// In words for the person who wrote the SQL.
fn told(error: Error) -> Error {
    let why = error.to_string();
    let why = why.trim_start_matches("the query engine failed: ");
    let cure = [
        (
            "approx_distinct",
            "it counts whole numbers, texts and times; write approx_distinct(CAST(… AS TEXT)) or count(DISTINCT …)",
        ),
        (
            "aggregate with distinct",
            "write the same expression twice, as in string_agg(DISTINCT CAST(n AS TEXT), ',' ORDER BY \
          CAST(n AS TEXT))",
        ),
        (GAVE_UP, "leave such values out with WHERE, and report it with the SQL"),
        ("string_agg", "write string_agg(DISTINCT CAST(… AS TEXT), ',' ORDER BY CAST(… AS TEXT))"),
    ];
    let lower = why.to_lowercase();
    let why = why.trim_start_matches("Execution error: ");
    let cure = cure.iter().find(|(about, _)| lower.contains(about) || lower.contains(&about.replace('_', "")));
    let cure = cure.map_or(
        "it fails on every event; try it in a query over the stream, and CAST what it is given",
        |(_, cure)| cure,
    );
    Error::Sql(format!("its SQL cannot run: {why}; {cure}"))
}
