//! Compiles a view's SQL into a plan: checked, cut into pieces, tried.

mod additive;
mod check;
mod compile;
mod condition;
mod context;
mod cut;
mod definition;
mod lineage;
mod piece;
mod shape;
mod trial;
mod view_plan;

pub use self::{
    compile::{Plans, check_view, check_views},
    view_plan::{TimeColumn, ViewPlan},
};
pub(crate) use self::{
    condition::Condition,
    lineage::{find_aggregate, groups, is_window},
    piece::Piece,
    shape::Shape,
    view_plan::{Derived, PlanKind, Projection, Windowed},
};

#[cfg(test)]
mod tests;
