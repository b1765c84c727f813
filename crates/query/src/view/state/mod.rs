//! The state of a view with windows: partial rows by cell, in tiers.

mod cells;
mod merge;
mod tiers;

pub(crate) use self::{
    cells::{Cell, Cells, PickedRows, by_window, filter, windows_over},
    merge::reduce,
    tiers::{Run, State},
};
