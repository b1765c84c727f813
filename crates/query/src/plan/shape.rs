//! What the columns of a query's rows are: groups, the window, approximations.
//!
//! Read off the logical plan as the user wrote it. Sorting, comparing, explaining and publishing changes go by it.

use datafusion::{common::Column, logical_expr::LogicalPlan};

use super::{
    additive::adds_up,
    lineage::{find_aggregate, follow, groups, is_window, made_of, multiplies_rows, origin},
};
use crate::error::Error;

/// Aggregates whose answer depends on how the events were split up: their partial aggregates are merged in another order.
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

    /// For a query that makes each row of one row of another view, whose columns have these `names` and the shape `upstream`:
    /// what that view's columns are, they are here.
    pub(super) fn pass_on(&mut self, plan: &LogicalPlan, names: &[String], upstream: &Self) {
        for (column, (qualifier, field)) in plan.schema().iter().enumerate() {
            let Some(name) = origin(plan, &Column::new(qualifier.cloned(), field.name())) else { continue };
            let Some(above) = names.iter().position(|known| *known == name) else { continue };
            let key = upstream.keys.iter().position(|key| *key == above);
            if let Some(group) = key.and_then(|key| upstream.groups.get(key)) {
                self.keys.push(column);
                self.groups.push(*group);
            }
            if upstream.window == Some(above) {
                self.window = self.window.or(Some(column));
            }
            if upstream.approximate.contains(&above) {
                self.approximate.push(column);
            }
            if upstream.rough.contains(&above) {
                self.rough.push(column);
            }
            if upstream.adds_up.contains(&above) {
                self.adds_up.push(column);
            }
        }
        let has_all = upstream.groups.iter().all(|group| self.groups.contains(group));
        self.keys_are_whole = upstream.keys_are_whole && has_all && !multiplies_rows(plan);
        self.has_having = true;
    }

    /// The columns that name a row, in the order of the output: one for each group. `None` where a group is not shown as it
    /// stands, and for rows that are not made by groups.
    pub(crate) fn key(&self) -> Option<Vec<usize>> {
        let mut seen = Vec::new();
        let first_of_group = |(column, group): (&usize, &usize)| {
            let is_first = !seen.contains(group);
            seen.push(*group);
            is_first.then_some(*column)
        };
        self.keys_are_whole.then(|| self.keys.iter().zip(&self.groups).filter_map(first_of_group).collect())
    }
}
