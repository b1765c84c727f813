//! From a view's row to the events behind it.
//!
//! The row's groups say which events went into it: the view's own SQL is planned as a batch query over the log as of the
//! view's offset, and of what goes into its aggregation those events are taken whose groups are the row's. Counted again
//! they must give the row; whether they do is said. A view over another view is followed through that view's rows.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, AsArray, RecordBatch},
        datatypes::{Int64Type, Schema},
        json::{LineDelimitedWriter, WriterBuilder, writer::LineDelimited},
    },
    common::{
        Column, DFSchema, ScalarValue,
        tree_node::{Transformed, TreeNodeRecursion},
    },
    logical_expr::{Aggregate, Expr, LogicalPlan, LogicalPlanBuilder, Operator, Projection, binary_expr, lit},
    prelude::SessionContext,
};
use futures::{StreamExt, future::BoxFuture};
use lakehead_model::{Name, Offset, TimeRange, Timestamp};
use lakehead_planning::{Walk, WalkPlan};
use lakehead_window::Windows;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    Answer, Error, Lake, Snapshot, ViewPlan,
    audit::{Comparison, Side},
    checked,
    plan::{Kind, find_aggregate, groups},
    rewrite,
    view_table::ViewTable,
    worker::Part,
};

/// Rows explained at once, when nobody says otherwise.
const ROWS_MAX: usize = 10;
/// Events shown for one row, when nobody says otherwise.
const EVENTS_MAX: usize = 100;
/// Rows explained at once at most, and events shown for one at most: the answer is a document that is read whole.
const ROWS_AT_ONCE_MAX: usize = 1_000;
const EVENTS_AT_ONCE_MAX: usize = 10_000;
/// Rows of another view that one row is followed through.
const UPSTREAM_ROWS_MAX: usize = 1_000;

/// What is to be explained.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Which rows of the view, as in a WHERE; all when empty.
    #[serde(default, rename = "where")]
    pub filter: String,
    /// Most rows. Default: 10.
    #[serde(default)]
    pub rows: Option<usize>,
    /// Most events shown for one row. Default: 100.
    #[serde(default)]
    pub events: Option<usize>,
}

/// Rows of a view and the events behind them.
#[derive(Debug, Serialize, Deserialize)]
pub struct Explanation {
    /// The view.
    pub view: String,
    /// The stream whose events these are.
    pub stream: String,
    /// View and log as of this offset.
    pub offset: Offset,
    /// The rows.
    pub rows: Vec<ExplainedRow>,
    /// Whether there are more rows than were asked for.
    pub more: bool,
}

/// One row and the events behind it.
#[derive(Debug, Serialize, Deserialize)]
pub struct ExplainedRow {
    /// The row, by column.
    pub row: Box<RawValue>,
    /// How many events went into it.
    pub events: u64,
    /// The first of them.
    pub shown: Vec<ExplainedEvent>,
    /// How many rows of the view that this one reads they went through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_way_of: Option<u64>,
    /// What the query makes of these events now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recount: Option<Box<RawValue>>,
    /// Whether that is the row.
    pub agrees: bool,
    /// What else there is to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// One event.
#[derive(Debug, Serialize, Deserialize)]
pub struct ExplainedEvent {
    /// Its offset in the stream.
    pub offset: u64,
    /// The event as it was received.
    pub event: Box<RawValue>,
}

impl Lake {
    /// Explains rows of the view `name`.
    ///
    /// # Errors
    /// [`Error::Sql`] for an unknown view or a wrong filter; [`Error::Limit`] when it takes too much.
    pub fn explain_view<'a>(
        &'a self,
        name: &'a Name,
        question: &'a Question,
    ) -> BoxFuture<'a, Result<Explanation, Error>> {
        Box::pin(async move {
            let selection = self.selection(name, question)?;
            let rows = async { self.rows(&selection.sql).await?.first(selection.rows_max).await };
            let Part { text, start } = &selection.condition;
            let rows = rows.await.map_err(|error: Error| error.of_part(text, *start))?;
            self.explain_rows(&selection, rows).await
        })
    }

    /// What has to be asked to learn which rows of the view `name` are meant. The condition is text from outside: whoever
    /// does not trust it has the query answered elsewhere, with the view pinned as it is here.
    ///
    /// # Errors
    /// [`Error::Sql`] for an unknown view, [`Error::Limit`] for too much at once.
    pub fn selection(&self, name: &Name, question: &Question) -> Result<Selection, Error> {
        let Some(view) = self.view(name) else {
            let known = self.views().iter().map(|view| view.name().to_string()).collect::<Vec<_>>().join(", ");
            return Err(Error::Sql(format!("there is no view {name}; there are: {known}")));
        };
        let (rows, events) = (question.rows.unwrap_or(ROWS_MAX), question.events.unwrap_or(EVENTS_MAX));
        if rows > ROWS_AT_ONCE_MAX || events > EVENTS_AT_ONCE_MAX {
            return Err(Error::Limit(format!(
                "at most {ROWS_AT_ONCE_MAX} rows can be explained at once, with at most {EVENTS_AT_ONCE_MAX} events each"
            )));
        }
        let filter = if question.filter.trim().is_empty() { "true" } else { question.filter.trim() };
        // Its line ends with it, so that a comment in it does, too.
        let before = format!("SELECT * FROM \"{name}\" WHERE (");
        let condition = Part { text: filter.to_owned(), start: before.chars().count() };
        let sql = format!("{before}{filter}\n) LIMIT {}", rows + 1);
        let snapshot = view.snapshot();
        Ok(Selection { name: name.clone(), snapshot, sql, condition, rows_max: rows + 1, events_max: events })
    }

    /// Explains the rows that `selection` has selected. Nothing from outside is planned here.
    ///
    /// # Errors
    /// As [`explain_view`](Self::explain_view).
    pub fn explain_rows<'a>(
        &'a self,
        selection: &'a Selection,
        rows: Answer,
    ) -> BoxFuture<'a, Result<Explanation, Error>> {
        Box::pin(async move {
            let limit = self.limits().time;
            let explained =
                tokio::time::timeout(limit, Explaining::new(self, selection)?.answer(selection, rows)).await;
            explained.unwrap_or_else(|_| {
                Err(Error::Limit(format!(
                    "explaining took longer than {} s and was stopped; name fewer rows in --where",
                    limit.as_secs()
                )))
            })
        })
    }
}

/// Which rows of a view are to be explained.
pub struct Selection {
    /// The view.
    pub name: Name,
    /// The view at the moment at which it is explained.
    pub snapshot: Arc<Snapshot>,
    /// What gives the rows.
    pub sql: String,
    /// What of it is from outside.
    pub condition: Part,
    /// How many of them are wanted: one more than are explained.
    pub rows_max: usize,
    events_max: usize,
}

struct Explaining {
    name: Name,
    snapshot: Arc<Snapshot>,
    context: SessionContext,
}

/// The events behind a row.
#[derive(Default)]
struct Behind {
    events: u64,
    shown: Vec<ExplainedEvent>,
    by_way_of: Option<u64>,
    is_cut: bool,
}

/// A group of an aggregation, by its place, and its value in a row.
type Keys = Vec<(usize, ScalarValue)>;

impl Explaining {
    fn new(lake: &Lake, selection: &Selection) -> Result<Self, Error> {
        let (name, snapshot) = (selection.name.clone(), Arc::clone(&selection.snapshot));
        // One thread: events then come in their order.
        let context = lake.context_with(1)?;
        context.deregister_table(name.as_str())?;
        context.register_table(name.as_str(), Arc::new(ViewTable::pinned(Arc::clone(&snapshot))))?;
        Ok(Self { name, snapshot, context })
    }

    async fn answer(&self, selection: &Selection, selected: Answer) -> Result<Explanation, Error> {
        let plan = Arc::clone(self.snapshot.plan());
        let (rows_max, events_max) = (selection.rows_max - 1, selection.events_max);
        let types = |schema: &Schema| schema.fields().iter().map(|field| field.data_type().clone()).collect::<Vec<_>>();
        if types(&selected.schema) != types(&plan.schema()) {
            return Err(Error::Sql(
                "the condition changes what is selected; write only what stands after WHERE".to_owned(),
            ));
        }
        let mut found = if matches!(plan.kind(), Kind::Rows(_)) {
            self.rows_with_events(&plan, &selected.batches, rows_max + 1).await?
        } else {
            let mut rows = Vec::new();
            for row in single_rows(&selected.batches).into_iter().take(rows_max + 1) {
                // The last is only there to show that there are more.
                rows.push(if rows.len() == rows_max {
                    None
                } else {
                    Some(self.explain_row(&plan, &row, events_max).await?)
                });
            }
            rows
        };
        let more = found.len() > rows_max;
        found.truncate(rows_max);
        let rows = found.into_iter().flatten().collect();
        let (view, stream, offset) = (self.name.to_string(), plan.stream().to_string(), self.snapshot.next_offset);
        Ok(Explanation { view, stream, offset, rows, more })
    }

    async fn collect(&self, plan: LogicalPlan) -> Result<Vec<RecordBatch>, Error> {
        Ok(lakehead_planning::collect(&self.context, plan).await?)
    }

    async fn explain_row(
        &self,
        plan: &Arc<ViewPlan>,
        row: &RecordBatch,
        events_max: usize,
    ) -> Result<ExplainedRow, Error> {
        let shape = plan.shape();
        let keys = shape.groups.iter().zip(&shape.keys);
        let keys = keys.map(|(group, column)| Ok((*group, ScalarValue::try_from_array(row.column(*column), 0)?)));
        let keys = keys.collect::<Result<Keys, Error>>()?;
        let mut behind = Behind::default();
        self.follow(&self.snapshot, &keys, events_max, &mut behind).await?;
        let logical = self.narrowed(&self.snapshot, &keys).await?;
        let again = self.collect(logical).await?;
        let again: Vec<RecordBatch> = again.into_iter().filter(|batch| batch.num_rows() > 0).collect();
        let comparison = Comparison::new(plan, shape);
        let (own, counted) = (Side::new(&comparison, vec![row.clone()])?, Side::new(&comparison, again.clone())?);
        // Where it does not show all of its groups, the events of several rows were counted: it must be one of these.
        let agrees = match shape.keys_are_whole {
            true => comparison.compare(&own, &counted)?.is_empty(),
            false => comparison.is_among(&own, &counted),
        };
        let counts = self.snapshot.counts;
        let left_out = counts.late_dropped + counts.too_late + counts.partly;
        let note = if !shape.keys_are_whole {
            Some("the view does not show all of its groups: events of other rows are among these".to_owned())
        } else if behind.is_cut {
            Some(format!("it is made of more than {UPSTREAM_ROWS_MAX} rows; the events of the first are counted"))
        } else if !agrees && left_out > 0 {
            Some(format!("the view has left out {left_out} late events, which are in the log"))
        } else {
            None
        };
        Ok(ExplainedRow {
            row: json(row)?,
            events: behind.events,
            shown: behind.shown,
            by_way_of: behind.by_way_of,
            recount: if agrees && !again.is_empty() {
                Some(json(row)?)
            } else {
                again.first().map(|batch| json(&batch.slice(0, 1))).transpose()?
            },
            agrees,
            note,
        })
    }

    /// Collects the events whose groups in the view of `snapshot` are `keys`.
    fn follow<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        keys: &'a Keys,
        events_max: usize,
        behind: &'a mut Behind,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let plan = snapshot.plan();
            match (plan.kind(), &snapshot.upstream) {
                (Kind::Derived(_), Some((_, upstream))) => {
                    let shape = upstream.plan().shape();
                    let fields = upstream.plan().schema();
                    let columns: Vec<&str> =
                        shape.keys.iter().map(|column| fields.field(*column).name().as_str()).collect();
                    let rows = self.input(snapshot, keys, &columns, UPSTREAM_ROWS_MAX + 1).await?;
                    let mut count = behind.by_way_of.unwrap_or(0);
                    for row in rows.iter().flat_map(|batch| single_rows(std::slice::from_ref(batch))) {
                        if count >= UPSTREAM_ROWS_MAX as u64 {
                            behind.is_cut = true;
                            break;
                        }
                        count += 1;
                        let of = shape.groups.iter().zip(row.columns());
                        let of = of.map(|(group, column)| Ok((*group, ScalarValue::try_from_array(column, 0)?)));
                        let of = of.collect::<Result<Keys, Error>>()?;
                        self.follow(upstream, &of, events_max, behind).await?;
                    }
                    behind.by_way_of = Some(count);
                }
                _ => {
                    let columns = [lakehead_decode::EVENT_OFFSET, lakehead_decode::DATA];
                    for batch in self.input(snapshot, keys, &columns, usize::MAX).await? {
                        behind.events += batch.num_rows() as u64;
                        let room = events_max.saturating_sub(behind.shown.len());
                        behind.shown.extend(events(&batch, 0, 1, room)?);
                    }
                }
            }
            Ok(())
        })
    }

    /// The named columns of what goes into the aggregation of a view, of those rows whose groups are `keys`.
    async fn input(
        &self,
        snapshot: &Snapshot,
        keys: &Keys,
        columns: &[&str],
        rows_max: usize,
    ) -> Result<Vec<RecordBatch>, Error> {
        let logical = self.planned(snapshot, keys).await?;
        let input = match find_aggregate(&logical)? {
            Some(aggregate) => {
                let groups = groups(&aggregate);
                let input = carrying(checked::without_failing(&aggregate)?, columns)?;
                let filter = matching(&groups, keys);
                LogicalPlanBuilder::from(input).filter(filter)?.build()?
            }
            None => {
                let upstream: Keys = keys.clone();
                let plan = carrying(logical, columns)?;
                let shape = snapshot.plan().shape();
                let names = shape.groups.iter().zip(&shape.keys).filter_map(|(group, column)| {
                    let value = upstream.iter().find(|(of, _)| of == group).map(|(_, value)| value.clone())?;
                    let (qualifier, field) = plan.schema().qualified_field(*column);
                    Some(same(Expr::Column(Column::new(qualifier.cloned(), field.name())), value))
                });
                let filter = names.reduce(Expr::and).unwrap_or_else(|| lit(true));
                LogicalPlanBuilder::from(plan).filter(filter)?.build()?
            }
        };
        let wanted = columns.iter().map(|name| {
            let found = input.schema().iter().find(|(_, field)| field.name() == name);
            let column = found.map(Column::from);
            column.map(Expr::Column).ok_or_else(|| {
                Error::Sql(format!("the events behind this view cannot be told: its query hides {name}"))
            })
        });
        let wanted = wanted.collect::<Result<Vec<_>, Error>>()?;
        let plan = LogicalPlanBuilder::from(input).project(wanted)?.build()?;
        let mut stream = lakehead_planning::stream(&self.context, plan).await?;
        let (mut batches, mut rows) = (Vec::new(), 0);
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            rows += batch.num_rows();
            batches.push(batch);
            if rows >= rows_max {
                break;
            }
        }
        Ok(batches)
    }

    /// The view's query over those events only whose groups are `keys`.
    async fn narrowed(&self, snapshot: &Snapshot, keys: &Keys) -> Result<LogicalPlan, Error> {
        let logical = self.planned(snapshot, keys).await?;
        let mut is_done = false;
        let narrowed = logical.down(&mut |node| {
            let LogicalPlan::Aggregate(aggregate) = node else { return Ok(Transformed::no(node)) };
            is_done = true;
            let filter = matching(&groups(&aggregate), keys);
            let input = LogicalPlanBuilder::from(aggregate.input.as_ref().clone()).filter(filter)?.build()?;
            let aggregate = Aggregate::try_new(Arc::new(input), aggregate.group_expr, aggregate.aggr_expr)?;
            Ok(Transformed::new(LogicalPlan::Aggregate(aggregate), true, TreeNodeRecursion::Stop))
        })?;
        if is_done {
            return Ok(narrowed.data);
        }
        // Rows of another view's rows: those of the same groups.
        let plan = narrowed.data;
        let shape = snapshot.plan().shape();
        let same_keys = keys.iter().filter_map(|(group, value)| {
            let place = shape.groups.iter().position(|of| of == group)?;
            let (qualifier, field) = plan.schema().qualified_field(*shape.keys.get(place)?);
            Some(same(Expr::Column(Column::new(qualifier.cloned(), field.name())), value.clone()))
        });
        let filter = same_keys.reduce(Expr::and).unwrap_or_else(|| lit(true));
        Ok(LogicalPlanBuilder::from(plan).filter(filter)?.build()?)
    }

    /// The view's query, executable, over the log before its offset and, where the row's window is known, over no more
    /// time than that.
    async fn planned(&self, snapshot: &Snapshot, keys: &Keys) -> Result<LogicalPlan, Error> {
        let plan = snapshot.plan();
        if let Some((name, upstream)) = &snapshot.upstream {
            self.context.deregister_table(name.as_str())?;
            self.context.register_table(name.as_str(), Arc::new(ViewTable::pinned(Arc::clone(upstream))))?;
        }
        plan.register_inlined(&self.context).await?;
        let logical = lakehead_planning::of_text(&self.context.state(), plan.sql()).await?;
        let bounds = window_of(plan, keys).and_then(|start| span(plan, start));
        let (stream, offset) = (plan.stream().as_str(), snapshot.next_offset);
        let bounded = logical.up_with_subqueries(&mut |node| {
            let LogicalPlan::TableScan(scan) = &node else { return Ok(Transformed::no(node)) };
            if scan.table_name.table() != stream || snapshot.upstream.is_some() {
                return Ok(Transformed::no(node));
            }
            let column = |name: &str| Expr::Column(Column::new(Some(scan.table_name.clone()), name));
            let end = i64::try_from(offset.0).unwrap_or(i64::MAX);
            let mut filter = column(lakehead_decode::EVENT_OFFSET).lt(lit(end));
            if let Some(range) = bounds {
                let time = |time: Timestamp| lit(ScalarValue::TimestampMicrosecond(Some(time.0), Some("UTC".into())));
                let over = column(plan.time().name());
                filter = filter.and(over.clone().gt_eq(time(range.start))).and(over.lt(time(range.end)));
            }
            Ok(Transformed::yes(LogicalPlanBuilder::from(node).filter(filter)?.build()?))
        })?;
        rewrite::executable(bounded.data)
    }

    /// The rows of a projection that are like one of `selected`, each with the event that it was made of.
    async fn rows_with_events(
        &self,
        plan: &Arc<ViewPlan>,
        selected: &[RecordBatch],
        rows_max: usize,
    ) -> Result<Vec<Option<ExplainedRow>>, Error> {
        let logical = self.planned(&self.snapshot, &Vec::new()).await?;
        let shown = plan.schema().fields().len();
        let renamed =
            [("__explained_offset", lakehead_decode::EVENT_OFFSET), ("__explained_data", lakehead_decode::DATA)];
        let carried = carrying_as(logical, &renamed)?;
        let like = alike(carried.schema(), selected, shown)?;
        let found = LogicalPlanBuilder::from(carried).filter(like)?.limit(0, Some(rows_max))?.build()?;
        let found = lakehead_planning::collect(&self.context, found).await?;
        let mut rows = Vec::new();
        for row in single_rows(&found) {
            let own: Vec<usize> = (0..shown).collect();
            rows.push(Some(ExplainedRow {
                row: json(&row.project(&own)?)?,
                events: 1,
                shown: events(&row, shown, shown + 1, 1)?,
                by_way_of: None,
                recount: None,
                agrees: true,
                note: None,
            }));
        }
        Ok(rows)
    }
}

/// That the first `shown` columns of a plan are those of one of these rows.
fn alike(schema: &DFSchema, rows: &[RecordBatch], shown: usize) -> Result<Expr, Error> {
    let mut any: Vec<Expr> = Vec::new();
    for row in single_rows(rows) {
        let mut all = lit(true);
        for (index, column) in row.columns().iter().enumerate().take(shown) {
            let (qualifier, field) = schema.qualified_field(index);
            let value = ScalarValue::try_from_array(column, 0)?;
            all = all.and(same(Expr::Column(Column::new(qualifier.cloned(), field.name())), value));
        }
        any.push(all);
    }
    // Halves of halves: a chain of a thousand would be a deep recursion.
    while any.len() > 1 {
        let mut pairs = any.into_iter();
        let mut halves = Vec::new();
        while let Some(one) = pairs.next() {
            halves.push(match pairs.next() {
                Some(other) => one.or(other),
                None => one,
            });
        }
        any = halves;
    }
    Ok(any.pop().unwrap_or_else(|| lit(false)))
}

/// The start of the row's window, if it is shown.
fn window_of(plan: &ViewPlan, keys: &Keys) -> Option<Timestamp> {
    let shape = plan.shape();
    let window = shape.window?;
    let place = shape.keys.iter().position(|column| *column == window)?;
    let group = shape.groups.get(place)?;
    keys.iter().find_map(|(of, value)| match value {
        ScalarValue::TimestampMicrosecond(Some(start), _) if of == group => Some(Timestamp(*start)),
        _ => None,
    })
}

/// The time in which the events of the window that starts at `start` lie.
fn span(plan: &ViewPlan, start: Timestamp) -> Option<TimeRange> {
    Some(match &plan.windowed()?.windows {
        Windows::Tumble(tumble) => tumble.window(start),
        Windows::Calendar(calendar) => calendar.window(start),
        Windows::Hop(hop) => hop.window(start),
        // A session before it decides whether this is its first event.
        Windows::Session(session) => session.cell(start),
    })
}

fn same(expression: Expr, value: ScalarValue) -> Expr {
    binary_expr(expression, Operator::IsNotDistinctFrom, lit(value))
}

fn matching(groups: &[Expr], keys: &Keys) -> Expr {
    let same = keys.iter().filter_map(|(group, value)| {
        let group = groups.get(*group)?.clone().unalias();
        Some(same(group, value.clone()))
    });
    same.reduce(Expr::and).unwrap_or_else(|| lit(true))
}

/// `plan` with `columns` of its table passed through every projection that hides them.
fn carrying(plan: LogicalPlan, columns: &[&str]) -> Result<LogicalPlan, Error> {
    let named: Vec<(&str, &str)> = columns.iter().map(|column| (*column, *column)).collect();
    carrying_as(plan, &named)
}

/// The same under other names, in the order (new name, column).
fn carrying_as(plan: LogicalPlan, columns: &[(&str, &str)]) -> Result<LogicalPlan, Error> {
    let carried = plan.up(&mut |node| {
        let node = node.recompute_schema()?;
        let LogicalPlan::Projection(projection) = &node else { return Ok(Transformed::yes(node)) };
        let mut expressions = projection.expr.clone();
        for (name, column) in columns {
            if projection.schema.iter().any(|(_, field)| field.name() == name) {
                continue;
            }
            let below =
                projection.input.schema().iter().find(|(_, field)| field.name() == name || field.name() == column);
            if let Some((qualifier, field)) = below {
                let carried = Expr::Column(Column::new(qualifier.cloned(), field.name()));
                expressions.push(if field.name() == name { carried } else { carried.alias(*name) });
            }
        }
        let projection = Projection::try_new(expressions, Arc::clone(&projection.input))?;
        Ok(Transformed::yes(LogicalPlan::Projection(projection)))
    })?;
    Ok(carried.data)
}

fn single_rows(batches: &[RecordBatch]) -> Vec<RecordBatch> {
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|row| batch.slice(row, 1))).collect()
}

/// At most `room` events of a batch, from its columns of offsets and of texts.
fn events(batch: &RecordBatch, offsets: usize, texts: usize, room: usize) -> Result<Vec<ExplainedEvent>, Error> {
    let offsets = batch.column(offsets).as_primitive_opt::<Int64Type>();
    let texts = batch.column(texts).as_string_view_opt();
    let (Some(offsets), Some(texts)) = (offsets, texts) else {
        return Err(Error::Engine("events without offset or text".into()));
    };
    let rows = 0..batch.num_rows().min(room);
    let event = |row: usize| {
        let event = if texts.is_valid(row) { texts.value(row) } else { "null" };
        let event = RawValue::from_string(event.to_owned());
        let event = event.map_err(|error| Error::Engine(format!("an event of the log is not JSON: {error}")))?;
        Ok(ExplainedEvent { offset: u64::try_from(offsets.value(row)).unwrap_or(0), event })
    };
    rows.map(event).collect()
}

/// A row by column, as JSON.
fn json(row: &RecordBatch) -> Result<Box<RawValue>, Error> {
    let mut bytes = Vec::new();
    let mut writer: LineDelimitedWriter<_> =
        WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut bytes);
    writer.write(row)?;
    writer.finish()?;
    let text = String::from_utf8_lossy(bytes.trim_ascii()).into_owned();
    let text = if text.is_empty() { "{}".to_owned() } else { text };
    RawValue::from_string(text).map_err(|error| Error::Engine(format!("a row cannot be written: {error}")))
}
