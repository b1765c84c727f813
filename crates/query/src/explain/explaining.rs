//! From a view's row to the events behind it.
//!
//! The row's groups say which events went into it: the view's own SQL is planned as a batch query over the log as of the
//! view's offset, and of what goes into its aggregation those events are taken whose groups are the row's. Counted again
//! they must give the row; whether they do is said. A view over another view is followed through that view's rows.

use std::sync::Arc;

use datafusion::{
    arrow::{array::RecordBatch, datatypes::Schema},
    common::{
        Column, ScalarValue,
        tree_node::{Transformed, TreeNodeRecursion},
    },
    logical_expr::{Aggregate, Expr, LogicalPlan, LogicalPlanBuilder, lit},
    prelude::SessionContext,
};
use futures::{StreamExt, future::BoxFuture};
use lakehead_model::{Name, Timestamp};
use lakehead_planning::{Walk, WalkPlan};

use super::{
    narrowing::{Keys, alike, carrying, carrying_as, matching, same, span, window_of},
    question::{ExplainedEvent, ExplainedRow, Explanation},
    row::{events, json, single_rows},
    selection::Selection,
};
use crate::{
    answer::Answer,
    checked,
    error::Error,
    keyed_rows::{Comparison, Side},
    lake::Lake,
    plan::{PlanKind, ViewPlan, find_aggregate, groups},
    rewrite,
    view::{Snapshot, table::ViewTable},
};

/// Rows of another view that one row is followed through.
const UPSTREAM_ROWS_MAX: usize = 1_000;

pub(super) struct Explaining {
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

impl Explaining {
    pub(super) fn new(lake: &Lake, selection: &Selection) -> Result<Self, Error> {
        let (name, snapshot) = (selection.name.clone(), Arc::clone(&selection.snapshot));
        // One thread: events then come in their order.
        let context = lake.context_with(1)?;
        context.deregister_table(name.as_str())?;
        context.register_table(name.as_str(), Arc::new(ViewTable::pinned(Arc::clone(&snapshot))))?;
        Ok(Self { name, snapshot, context })
    }

    pub(super) async fn answer(&self, selection: &Selection, selected: Answer) -> Result<Explanation, Error> {
        let plan = Arc::clone(self.snapshot.plan());
        let (rows_max, events_max) = (selection.rows_max - 1, selection.events_max);
        let types = |schema: &Schema| schema.fields().iter().map(|field| field.data_type().clone()).collect::<Vec<_>>();
        if types(&selected.schema) != types(&plan.schema()) {
            return Err(Error::Sql(
                "the condition changes what is selected; write only what stands after WHERE".to_owned(),
            ));
        }
        let mut found = if matches!(plan.kind(), PlanKind::Projection(_)) {
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
                (PlanKind::Derived(_), Some((_, upstream))) => {
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
