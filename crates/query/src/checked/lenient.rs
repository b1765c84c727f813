//! The last look at an optimized plan: guards where something may fail.
//!
//! ```text
//!   SELECT 100 / sum(n) …       above the topmost aggregation: a value that fails is NULL
//!     GROUP BY …                the sums are wide up to here
//!       sum(100 / n)            below it, and where there is none: a row that fails is left out, before it
//!       WHERE n <> 0 AND …      a condition that fails is excused by another that is false
//! ```
//!
//! After the optimizer, since it moves conditions about, and makes AND and OR of CASE. In a query only the guards of conditions
//! are there, and what they do not excuse fails it.

use std::sync::Arc;

use datafusion::{
    common::{
        Column, DFSchema, JoinType, NullEquality, Result,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    logical_expr::{
        BinaryExpr, Expr, Filter, Join, LogicalPlan, Operator, Projection,
        expr_rewriter::NamePreserver,
        utils::{conjunction, merge_schema, split_conjunction_owned},
    },
};
use lakehead_planning::{Walk, WalkPlan};

use super::{
    common::uncommon,
    conditions::{booleans, in_parts, is_boolean, leaves},
    demanded::{demanding, evaluates_what},
    fallible::{always, evaluates, is_fallible},
    guard::{OnFailure, Wanted, guard},
    mode::Mode,
    notes::Notes,
    offset::{offset, with_offset},
    wide::wide,
};

/// The optimized plan `plan` with its guards.
pub(super) fn guarded(plan: LogicalPlan, mode: &Mode) -> Result<LogicalPlan> {
    let guards = match mode {
        Mode::Strict => {
            let strict = Guards { leaves_out: false, nulls: false, notes: None };
            let plan = plan.down_with_subqueries(&mut |node| uncommon(node).map(Transformed::yes))?.data;
            return Ok(plan.up_with_subqueries(&mut |node| strict.node(node, false).map(Transformed::yes))?.data);
        }
        Mode::View => Guards { leaves_out: false, nulls: true, notes: None },
        Mode::Careful => Guards { leaves_out: true, nulls: true, notes: None },
        Mode::Lenient(notes) => Guards { leaves_out: true, nulls: true, notes: Some(Arc::clone(notes)) },
    };
    let plan = if matches!(mode, Mode::Careful) { with_offset(plan)? } else { plan };
    let aggregates = plan.any(&mut |node| Ok(matches!(node, LogicalPlan::Aggregate(_))))?;
    guards.chain(plan, aggregates)
}

/// Whether `plan`, optimized, has anything that may fail on a row below its topmost aggregation.
pub(crate) fn may_leave_out(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    let is_below_nothing = !plan.any(&mut |node| Ok(matches!(node, LogicalPlan::Aggregate(_))))?;
    let mut is_below = is_below_nothing;
    plan.each(&mut |node| {
        is_below |= matches!(node, LogicalPlan::Aggregate(_));
        let schema = merge_schema(&node.inputs());
        if is_below && !matches!(node, LogicalPlan::TableScan(_)) {
            node.each_expression(&mut |expression| {
                found |= is_fallible(expression, &schema);
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

struct Guards {
    /// Rows that fail below the topmost aggregation are left out.
    leaves_out: bool,
    /// Values that fail above it are NULL.
    nulls: bool,
    notes: Option<Arc<Notes>>,
}

impl Guards {
    /// `plan` and all beneath it; `above` says whether the topmost aggregation is still to come.
    fn chain(&self, plan: LogicalPlan, above: bool) -> Result<LogicalPlan> {
        let plan = uncommon(plan)?;
        let is_aggregation = matches!(plan, LogicalPlan::Aggregate(_));
        let plan = if self.leaves_out && (!above || is_aggregation) { demanding(plan)? } else { plan };
        let plan = plan.map_children(|child| self.chain(child, above && !is_aggregation).map(Transformed::yes))?.data;
        let plan = plan.recompute_schema()?;
        match plan {
            LogicalPlan::Aggregate(aggregate) if above && self.nulls => {
                let wide = wide(aggregate)?;
                let aggregate = self.node(LogicalPlan::Aggregate(wide.aggregate), false)?;
                match wide.above {
                    None => Ok(aggregate),
                    Some(columns) => {
                        let projection = LogicalPlan::Projection(Projection::try_new(columns, Arc::new(aggregate))?);
                        self.node(projection, true)
                    }
                }
            }
            plan => self.node(plan, above),
        }
    }

    /// One node whose inputs are guarded.
    fn node(&self, node: LogicalPlan, above: bool) -> Result<LogicalPlan> {
        let schema = merge_schema(&node.inputs());
        match node {
            LogicalPlan::TableScan(_) => Ok(node),
            LogicalPlan::Filter(filter) => self.filter(filter, above),
            LogicalPlan::Projection(projection) if above && self.nulls => self.finished(projection),
            LogicalPlan::Join(join) => self.inner(LogicalPlan::Join(unkeyed(join)?), &schema),
            node => self.inner(node, &schema),
        }
    }

    /// The node with its AND and OR guarded, and what may be too much at once.
    fn inner(&self, node: LogicalPlan, schema: &DFSchema) -> Result<LogicalPlan> {
        let names = NamePreserver::new(&node);
        let changed = node.change_expressions(&mut |expression| {
            let name = names.save(&expression);
            let guarded = booleans(expression, schema)?;
            let parted = in_parts(guarded.data, schema)?;
            Ok(Transformed::new_transformed(name.restore(parted.data), guarded.transformed || parted.transformed))
        })?;
        if changed.transformed { changed.data.recompute_schema() } else { Ok(changed.data) }
    }

    fn filter(&self, filter: Filter, above: bool) -> Result<LogicalPlan> {
        let Filter { predicate, input, .. } = filter;
        let schema = Arc::clone(input.schema());
        let (mut fallible, mut sure) = (Vec::new(), Vec::new());
        for condition in split_conjunction_owned(predicate) {
            match evaluates_what(&condition) {
                Some(args) => {
                    let fails = |argument: &&Expr| is_fallible(argument, schema.as_ref());
                    let args: Vec<Expr> = args.iter().filter(fails).cloned().collect();
                    if !args.is_empty() {
                        fallible.push(evaluates(args));
                    }
                }
                None if is_fallible(&condition, schema.as_ref()) => fallible.push(condition),
                None => sure.push(condition),
            }
        }
        let mut conditions = sure.clone();
        let leaf = |condition: Expr| leaves(condition, schema.as_ref());
        if (above && self.nulls) || (!above && self.leaves_out) {
            let fallible = fallible.into_iter().map(leaf).collect::<Result<Vec<_>>>()?;
            if let Some(expression) = conjunction(fallible) {
                let (on_failure, row, offset) = match above {
                    true => (OnFailure::Null, keys(&input)?, None),
                    false => (OnFailure::LeaveOut, Vec::new(), offset(&schema)),
                };
                let (notes, schema) = (self.notes.clone(), schema.as_ref());
                conditions.push(guard(Wanted { expression, excuses: sure, on_failure, row, offset, notes, schema })?);
            }
        } else {
            for (place, condition) in fallible.iter().enumerate() {
                let others =
                    fallible.iter().enumerate().filter(|(other, _)| *other != place).map(|(_, one)| one.clone());
                let excuses: Vec<Expr> = sure.iter().cloned().chain(others).collect();
                let is_boolean = is_boolean(condition);
                let expression = leaf(condition.clone())?;
                conditions.push(match excuses.is_empty() && !is_boolean {
                    true => in_parts(expression, &schema)?.data,
                    false => self.strictly(expression, excuses, &schema)?,
                });
            }
        }
        match conjunction(conditions) {
            Some(predicate) => Ok(LogicalPlan::Filter(Filter::try_new(predicate, input)?)),
            None => Ok(LogicalPlan::Filter(Filter::try_new(always(), input)?)),
        }
    }

    fn strictly(&self, expression: Expr, excuses: Vec<Expr>, schema: &DFSchema) -> Result<Expr> {
        let on_failure = OnFailure::Fail;
        guard(Wanted { expression, excuses, on_failure, row: Vec::new(), offset: None, notes: None, schema })
    }

    /// A projection of finished rows: what fails is NULL.
    fn finished(&self, projection: Projection) -> Result<LogicalPlan> {
        let schema = Arc::clone(projection.input.schema());
        let row = keys(&projection.input)?;
        let names = NamePreserver::new_for_projection();
        let columns = projection.expr.into_iter().map(|expression| {
            if !is_fallible(&expression, schema.as_ref()) {
                return Ok(expression);
            }
            let name = names.save(&expression);
            let expression = leaves(expression.unalias_nested().data, schema.as_ref())?;
            let guarded = guard(Wanted {
                expression,
                excuses: Vec::new(),
                on_failure: OnFailure::Null,
                row: row.clone(),
                offset: None,
                notes: self.notes.clone(),
                schema: schema.as_ref(),
            })?;
            Ok(name.restore(guarded))
        });
        Ok(LogicalPlan::Projection(Projection::try_new(columns.collect::<Result<_>>()?, projection.input)?))
    }
}

/// The groups of the aggregation below `plan`, as far as they can be seen from it.
fn keys(plan: &LogicalPlan) -> Result<Vec<Column>> {
    let mut found = Vec::new();
    plan.each(&mut |node| {
        let LogicalPlan::Aggregate(aggregate) = node else { return Ok(TreeNodeRecursion::Continue) };
        let groups = aggregate.schema.fields().len() - aggregate.aggr_expr.len();
        found = aggregate.schema.iter().take(groups).map(Column::from).collect();
        Ok(TreeNodeRecursion::Stop)
    })?;
    found.retain(|column| plan.schema().has_column(column));
    Ok(found)
}

/// An outer join whose keys may fail and which has other conditions: these decide first, so that the keys become conditions. Of
/// an inner join the optimizer has put them below it, where they leave rows out before a key is made of them.
fn unkeyed(mut join: Join) -> Result<Join> {
    if join.filter.is_none() || join.join_type == JoinType::Inner {
        return Ok(join);
    }
    let (left, right) = (Arc::clone(join.left.schema()), Arc::clone(join.right.schema()));
    let fails = |(one, other): &(Expr, Expr)| is_fallible(one, left.as_ref()) || is_fallible(other, right.as_ref());
    let (keys, on): (Vec<_>, Vec<_>) = std::mem::take(&mut join.on).into_iter().partition(fails);
    join.on = on;
    for (one, other) in keys {
        let op = match join.null_equality {
            NullEquality::NullEqualsNothing => Operator::Eq,
            NullEquality::NullEqualsNull => Operator::IsNotDistinctFrom,
        };
        let same = Expr::BinaryExpr(BinaryExpr { left: Box::new(one), op, right: Box::new(other) });
        join.filter = conjunction(join.filter.take().into_iter().chain([same]));
    }
    Ok(join)
}
