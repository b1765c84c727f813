//! What the columns of a query's rows are: groups, the window, approximations.
//!
//! Read off the logical plan as the user wrote it. Sorting, comparing, explaining and publishing changes go by it.

use datafusion::{
    common::{Column, tree_node::TreeNodeRecursion},
    logical_expr::{Aggregate, Expr, LogicalPlan},
};
use lakehead_planning::Walk;

use super::{ViewPlan, additive::adds_up, check::origin};
use crate::{Error, functions};

/// Aggregates whose answer depends on how the events were split up: their digests are merged in another order.
const APPROXIMATE: [&str; 3] = ["approx_percentile_cont", "approx_percentile_cont_with_weight", "approx_median"];

/// Beginnings of the names of aggregates that subtract great numbers from each other.
const ROUGH: [&str; 5] = ["stddev", "var", "covar", "corr", "regr_"];

/// What the columns of a view's rows are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Columns that are groups, as they stand in the output.
    pub(crate) keys: Vec<usize>,
    /// Which group each of `keys` is.
    pub(crate) groups: Vec<usize>,
    /// Whether every group is among them, so that they name one row.
    pub(crate) keys_are_whole: bool,
    /// The column with the window's start, if it is shown.
    pub(crate) window: Option<usize>,
    /// Whether rows can vanish by what is in them.
    pub(crate) has_having: bool,
    /// Columns that are made of an approximation, which depends on how the events were split up.
    pub(crate) approximate: Vec<usize>,
    /// Columns that are made of a moment of second order, in which rounding errors grow.
    pub(crate) rough: Vec<usize>,
    /// Columns whose values over several groups may be added up.
    pub(crate) adds_up: Vec<usize>,
}

impl Shape {
    /// Follows each column of the output down to the aggregation. Without one, no column is anything of this.
    pub(crate) fn of(plan: &LogicalPlan) -> Result<Self, Error> {
        let Some(aggregate) = find_aggregate(plan)? else { return Ok(Self::default()) };
        let all = groups(&aggregate);
        let mut shape = Self::default();
        for column in 0..plan.schema().fields().len() {
            let (group, has_having) = follow(plan, column);
            shape.has_having |= has_having;
            let Some(group) = group else {
                if adds_up(plan, column) {
                    shape.adds_up.push(column);
                }
                let made_of = made_of(plan, column);
                let any = |is: &dyn Fn(&str) -> bool| made_of.iter().any(|name| is(name));
                if any(&|name| APPROXIMATE.contains(&name)) {
                    shape.approximate.push(column);
                } else if any(&|name| ROUGH.iter().any(|rough| name.starts_with(rough))) {
                    shape.rough.push(column);
                }
                continue;
            };
            shape.keys.push(column);
            shape.groups.push(group);
            if all.get(group).is_some_and(is_window) {
                shape.window = shape.window.or(Some(column));
            }
        }
        shape.keys_are_whole = (0..all.len()).all(|group| shape.groups.contains(&group));
        Ok(shape)
    }
}

impl Shape {
    /// For a query that makes each row of one row of the view `upstream`: what that view's columns are, they are here.
    pub(super) fn pass_on(&mut self, plan: &LogicalPlan, upstream: &ViewPlan) {
        let names: Vec<&String> = upstream.output.fields().iter().map(|field| field.name()).collect();
        let mut found = Vec::new();
        for (column, (qualifier, field)) in plan.schema().iter().enumerate() {
            let Some(name) = origin(plan, &Column::new(qualifier.cloned(), field.name())) else { continue };
            let Some(above) = names.iter().position(|known| **known == name) else { continue };
            let key = upstream.shape.keys.iter().position(|key| *key == above);
            if let Some(group) = key.and_then(|key| upstream.shape.groups.get(key)) {
                self.keys.push(column);
                self.groups.push(*group);
                found.push(above);
            }
            if upstream.shape.window == Some(above) {
                self.window = self.window.or(Some(column));
            }
            if upstream.shape.approximate.contains(&above) {
                self.approximate.push(column);
            }
            if upstream.shape.rough.contains(&above) {
                self.rough.push(column);
            }
            if upstream.shape.adds_up.contains(&above) {
                self.adds_up.push(column);
            }
        }
        self.keys_are_whole =
            upstream.shape.keys_are_whole && upstream.shape.keys.iter().all(|key| found.contains(key));
        self.has_having = true;
    }
}

/// Whether a group is a call of a window function.
pub(crate) fn is_window(group: &Expr) -> bool {
    matches!(group.clone().unalias(), Expr::ScalarFunction(call) if [functions::TUMBLE, functions::HOP, functions::SESSION].contains(&call.func.name()))
}

/// The groups of an aggregation in the order of its columns: each once, however often it was written.
pub(crate) fn groups(aggregate: &Aggregate) -> Vec<Expr> {
    let mut groups: Vec<Expr> = Vec::new();
    for group in &aggregate.group_expr {
        let same = |other: &Expr| other.clone().unalias() == group.clone().unalias();
        if !groups.iter().any(same) {
            groups.push(group.clone());
        }
    }
    groups
}

/// The topmost aggregation.
pub(crate) fn find_aggregate(plan: &LogicalPlan) -> Result<Option<Aggregate>, Error> {
    let mut found = None;
    plan.each(&mut |node| {
        if let LogicalPlan::Aggregate(aggregate) = node {
            found = Some(aggregate.clone());
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

pub(super) fn group_count(aggregate: &Aggregate) -> usize {
    aggregate.schema.fields().len() - aggregate.aggr_expr.len()
}

/// Which group the column is, if it is one as it stands, and whether rows are filtered on the way.
fn follow(plan: &LogicalPlan, column: usize) -> (Option<usize>, bool) {
    match plan {
        LogicalPlan::Projection(projection) => match projection.expr.get(column).cloned().map(Expr::unalias) {
            Some(Expr::Column(below)) => match projection.input.schema().index_of_column(&below) {
                Ok(index) => follow(&projection.input, index),
                Err(_) => (None, is_filtered(&projection.input)),
            },
            _ => (None, is_filtered(&projection.input)),
        },
        LogicalPlan::Filter(filter) => (follow(&filter.input, column).0, true),
        LogicalPlan::SubqueryAlias(alias) => follow(&alias.input, column),
        LogicalPlan::Aggregate(aggregate) => ((column < group_count(aggregate)).then_some(column), false),
        _ => (None, false),
    }
}

/// The aggregates that a column is made of.
fn made_of(plan: &LogicalPlan, column: usize) -> Vec<String> {
    match plan {
        LogicalPlan::Projection(projection) => {
            let below = projection.expr.get(column).map(Expr::column_refs).unwrap_or_default();
            let below = below.into_iter().filter_map(|below| projection.input.schema().index_of_column(below).ok());
            below.flat_map(|index| made_of(&projection.input, index)).collect()
        }
        LogicalPlan::Filter(filter) => made_of(&filter.input, column),
        LogicalPlan::SubqueryAlias(alias) => made_of(&alias.input, column),
        LogicalPlan::Aggregate(aggregate) => {
            let call = column.checked_sub(group_count(aggregate)).and_then(|call| aggregate.aggr_expr.get(call));
            match call.cloned().map(Expr::unalias) {
                Some(Expr::AggregateFunction(call)) => vec![call.func.name().to_owned()],
                _ => Vec::new(),
            }
        }
        _ => Vec::new(),
    }
}

fn is_filtered(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Filter(_) => true,
        LogicalPlan::Projection(projection) => is_filtered(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => is_filtered(&alias.input),
        _ => false,
    }
}
