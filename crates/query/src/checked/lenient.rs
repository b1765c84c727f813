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

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use datafusion::{
    common::{
        Column, DFSchema, JoinType, NullEquality, Result,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    logical_expr::{
        Aggregate, BinaryExpr, Expr, ExprSchemable, Filter, Join, LogicalPlan, LogicalPlanBuilder, Operator,
        Projection,
        expr_rewriter::NamePreserver,
        logical_plan::{SubqueryAlias, TableScanBuilder},
        utils::{conjunction, merge_schema, split_conjunction_owned},
    },
};
use lakehead_planning::{Walk, WalkPlan};

use super::{
    fallible::{self, EVALUATES, always, evaluates, is_fallible, within},
    guard::{OnFailure, Wanted, guard},
    measured,
    mode::Mode,
    notes::Notes,
    sum,
    text::text,
};

/// The event's offset, passed through to where something may fail.
const OFFSET: &str = "__offset";

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

/// The node over those rows only on which nothing of it fails.
fn demanding(node: LogicalPlan) -> Result<LogicalPlan> {
    if matches!(node, LogicalPlan::Filter(_)) {
        return Ok(node);
    }
    let inputs = node.inputs();
    let [input] = inputs.as_slice() else { return Ok(node) };
    let schema = Arc::clone(input.schema());
    let mut wanted: Vec<Expr> = Vec::new();
    node.each_expression(&mut |expression| {
        parts(expression, &mut |part| {
            if is_fallible(&part, schema.as_ref()) && !wanted.contains(&part) {
                wanted.push(part);
            }
        });
        Ok(TreeNodeRecursion::Continue)
    })?;
    if wanted.is_empty() {
        return Ok(node);
    }
    let input = demanded((*input).clone(), wanted)?;
    node.with_new_exprs(node.expressions(), vec![input])
}

/// `plan` without the rows on which `wanted` fails. Where it has a condition, this becomes a part of it: then the rest of the
/// condition excuses what fails, and no row is looked at twice.
fn demanded(plan: LogicalPlan, wanted: Vec<Expr>) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Filter(Filter { predicate, input, .. }) => {
            let predicate = predicate.and(evaluates(wanted));
            Ok(LogicalPlan::Filter(Filter::try_new(predicate, input)?))
        }
        LogicalPlan::Projection(Projection { expr, input, schema, .. }) => {
            let below: HashMap<Column, Expr> = schema
                .iter()
                .zip(&expr)
                .map(|((table, field), expression)| {
                    (Column::new(table.cloned(), field.name()), expression.clone().unalias_nested().data)
                })
                .collect();
            let wanted = wanted.into_iter().map(|part| replaced(part, &below)).collect::<Result<_>>()?;
            let input = demanded(Arc::unwrap_or_clone(input), wanted)?;
            Ok(LogicalPlan::Projection(Projection::try_new(expr, Arc::new(input))?))
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let below: HashMap<Column, Expr> = alias
                .schema
                .iter()
                .zip(alias.input.schema().iter())
                .map(|((table, field), (own, inner))| {
                    let inner = Expr::Column(Column::new(own.cloned(), inner.name()));
                    (Column::new(table.cloned(), field.name()), inner)
                })
                .collect();
            let wanted = wanted.into_iter().map(|part| replaced(part, &below)).collect::<Result<_>>()?;
            let input = demanded(Arc::unwrap_or_clone(alias.input), wanted)?;
            Ok(LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(Arc::new(input), alias.alias)?))
        }
        other => Ok(LogicalPlan::Filter(Filter::try_new(evaluates(wanted), Arc::new(other))?)),
    }
}

/// `expression` with columns as what they are further below.
fn replaced(expression: Expr, below: &HashMap<Column, Expr>) -> Result<Expr> {
    let replaced = expression.up(&mut |part| match &part {
        Expr::Column(column) => Ok(match below.get(column) {
            Some(expression) => Transformed::yes(expression.clone()),
            None => Transformed::no(part),
        }),
        _ => Ok(Transformed::no(part)),
    })?;
    Ok(replaced.data)
}

fn evaluates_what(condition: &Expr) -> Option<&[Expr]> {
    match condition {
        Expr::ScalarFunction(call) if call.func.name() == EVALUATES => Some(&call.args),
        _ => None,
    }
}

fn is_boolean(expression: &Expr) -> bool {
    matches!(expression, Expr::BinaryExpr(BinaryExpr { op: Operator::And | Operator::Or, .. }))
}

/// The parts of an expression that are computed of each row: the arguments of an aggregate, the expression itself otherwise.
fn parts(expression: &Expr, each: &mut impl FnMut(Expr)) {
    let whole = expression.clone().unalias_nested().data;
    match whole {
        Expr::AggregateFunction(call) => {
            let filter = call.params.filter.as_deref().cloned();
            let ordered = call.params.order_by.into_iter().map(|sort| sort.expr);
            for argument in call.params.args.into_iter().chain(ordered) {
                each(within(filter.as_ref(), argument));
            }
            filter.into_iter().for_each(each);
        }
        Expr::WindowFunction(call) => {
            let params = call.params;
            let ordered = params.order_by.into_iter().map(|sort| sort.expr);
            params.args.into_iter().chain(params.partition_by).chain(ordered).for_each(each);
        }
        whole => each(whole),
    }
}

/// The expression with its AND and OR guarded, wherever they stand.
fn booleans(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    expression.down(&mut |part| {
        if !is_boolean(&part) || !is_fallible(&part, schema) {
            return Ok(Transformed::no(part));
        }
        let expression = leaves(part, schema)?;
        let guarded = guard(Wanted {
            expression,
            excuses: Vec::new(),
            on_failure: OnFailure::Fail,
            row: Vec::new(),
            offset: None,
            notes: None,
            schema,
        })?;
        Ok(Transformed::new(guarded, true, TreeNodeRecursion::Jump))
    })
}

/// The expression with what may be too much of a batch at once computed in parts of it, and all that is made of it too: that
/// is smaller, as `length(repeat(t, n))` is.
fn in_parts(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    expression.down(&mut |part| {
        // Grouping sets have to stand where they are, and as they are.
        if !measured::is_in(&part) || matches!(part, Expr::GroupingSet(_)) {
            return Ok(Transformed::new(part, false, TreeNodeRecursion::Jump));
        }
        // The name of a value, and what is no value by itself.
        if matches!(part, Expr::Alias(_) | Expr::Lambda(_)) {
            return Ok(Transformed::no(part));
        }
        let guarded = guard(Wanted {
            expression: part.clone(),
            excuses: Vec::new(),
            on_failure: OnFailure::FailInParts,
            row: Vec::new(),
            offset: None,
            notes: None,
            schema,
        });
        match guarded {
            Ok(guarded) if guarded != part => Ok(Transformed::new(guarded, true, TreeNodeRecursion::Jump)),
            // It has no columns, or stands around what is no value: then its parts may be guarded.
            _ => Ok(Transformed::no(part)),
        }
    })
}

/// An expression that will be guarded as a whole: only what stands below its own AND, OR and NOT is guarded here.
fn leaves(expression: Expr, schema: &DFSchema) -> Result<Expr> {
    match expression {
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
            let (left, right) = (leaves(*left, schema)?, leaves(*right, schema)?);
            Ok(Expr::BinaryExpr(BinaryExpr { left: Box::new(left), op, right: Box::new(right) }))
        }
        Expr::Not(one) => Ok(Expr::Not(Box::new(leaves(*one, schema)?))),
        other => Ok(booleans(other, schema)?.data),
    }
}

/// What the optimizer's name for an expression that stands in a node twice begins with. It is computed once, in a projection
/// below.
const COMMON: &str = "__common_expr_";

/// The node with such expressions back in it that may fail, and that another condition may excuse.
fn uncommon(node: LogicalPlan) -> Result<LogicalPlan> {
    let inputs = node.inputs();
    let [LogicalPlan::Projection(below)] = inputs.as_slice() else { return Ok(node) };
    let schema = below.input.schema().as_ref();
    let mut common: HashMap<String, Expr> = HashMap::new();
    for expression in &below.expr {
        if let Expr::Alias(alias) = expression
            && alias.name.starts_with(COMMON)
            && is_fallible(&alias.expr, schema)
        {
            common.insert(alias.name.clone(), alias.expr.as_ref().clone());
        }
    }
    if common.is_empty() {
        return Ok(node);
    }
    if !matches!(node, LogicalPlan::Filter(_)) {
        let mut in_conditions: HashSet<String> = HashSet::new();
        node.each_expression(&mut |expression| {
            expression.each(&mut |part| {
                if is_boolean(part) {
                    in_conditions.extend(part.column_refs().into_iter().map(|column| column.name.clone()));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        // What enlarges is computed twice rather than kept whole for a batch.
        common.retain(|name, expression| in_conditions.contains(name) || measured::is_in(expression));
    }
    let mut columns: Vec<Expr> = Vec::new();
    for expression in &below.expr {
        if !matches!(expression, Expr::Alias(alias) if common.contains_key(&alias.name)) {
            columns.push(expression.clone());
        }
    }
    for needed in common.values().flat_map(Expr::column_refs) {
        let has_it = |column: &Expr| matches!(column, Expr::Column(column) if column == needed);
        if !columns.iter().any(has_it) {
            columns.push(Expr::Column(needed.clone()));
        }
    }
    let below = LogicalPlan::Projection(Projection::try_new(columns, Arc::clone(&below.input))?);
    let names = NamePreserver::new(&node);
    let expressions = node.expressions().into_iter().map(|expression| {
        let name = names.save(&expression);
        let back = expression.up(&mut |part| match &part {
            Expr::Column(column) => Ok(match common.get(&column.name) {
                Some(expression) => Transformed::yes(expression.clone()),
                None => Transformed::no(part),
            }),
            _ => Ok(Transformed::no(part)),
        })?;
        Ok(name.restore(back.data))
    });
    node.with_new_exprs(expressions.collect::<Result<_>>()?, vec![below])
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

fn offset(schema: &DFSchema) -> Option<Column> {
    let named = |name: &str| schema.iter().find(|(_, field)| field.name() == name).map(Column::from);
    named(OFFSET).or_else(|| named(lakehead_decode::EVENT_OFFSET))
}

/// An aggregation whose sums are wide.
struct WideAggregate {
    aggregate: Aggregate,
    /// What makes ordinary ones of them.
    above: Option<Vec<Expr>>,
}

fn wide(aggregate: Aggregate) -> Result<WideAggregate> {
    let schema = Arc::clone(&aggregate.schema);
    let groups = schema.fields().len() - aggregate.aggr_expr.len();
    let mut above: Vec<Expr> =
        schema.iter().map(|(table, field)| Expr::Column(Column::new(table.cloned(), field.name()))).collect();
    let mut calls = aggregate.aggr_expr.clone();
    let mut has_wide = false;
    for (place, expression) in calls.iter_mut().enumerate() {
        let Expr::AggregateFunction(call) = expression.clone().unalias() else { continue };
        let Some(argument) = call.params.args.first() else { continue };
        let Some(wide) = sum::wide(&call, &argument.get_type(aggregate.input.schema().as_ref())?) else { continue };
        let (table, field) = schema.qualified_field(groups + place);
        let shown = Expr::AggregateFunction(call);
        *expression = wide.alias_qualified(table.cloned(), field.name());
        if let Some(column) = above.get_mut(groups + place) {
            let narrow = sum::narrow(column.clone(), field.data_type().clone(), text(&shown));
            *column = narrow.alias_qualified(table.cloned(), field.name());
            has_wide = true;
        }
    }
    let aggregate = Aggregate::try_new(aggregate.input, aggregate.group_expr, calls)?;
    Ok(WideAggregate { aggregate, above: has_wide.then_some(above) })
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

/// `plan` with the events' offsets as its last column, as far as it can be passed through.
fn with_offset(plan: LogicalPlan) -> Result<LogicalPlan> {
    let passed = plan.up(&mut |node| {
        let node = match node {
            LogicalPlan::TableScan(scan) => {
                let place = scan.source.schema().index_of(lakehead_decode::EVENT_OFFSET).ok();
                let (Some(place), Some(mut projection)) = (place, scan.projection.clone()) else {
                    return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
                };
                if !projection.contains(&place) {
                    projection.push(place);
                }
                let scan = TableScanBuilder::new(scan.table_name, scan.source)
                    .with_projection(Some(projection))
                    .with_filters(scan.filters)
                    .with_fetch(scan.fetch);
                LogicalPlan::TableScan(scan.build()?)
            }
            LogicalPlan::Projection(mut projection) => {
                if let Some(offset) = offset(projection.input.schema()) {
                    projection.expr.push(Expr::Column(offset).alias(OFFSET));
                }
                LogicalPlan::Projection(Projection::try_new(projection.expr, projection.input)?)
            }
            other => other.recompute_schema()?,
        };
        Ok(Transformed::yes(node))
    })?;
    Ok(passed.data)
}

/// For a plan that is built by hand: `input` without the rows on which the aggregation over it fails.
pub(crate) fn without_failing(aggregate: &Aggregate) -> Result<LogicalPlan> {
    let input = LogicalPlanBuilder::from(Arc::unwrap_or_clone(Arc::clone(&aggregate.input)));
    match fallible::evaluated(aggregate) {
        Some(condition) => input.filter(condition)?.build(),
        None => input.build(),
    }
}
