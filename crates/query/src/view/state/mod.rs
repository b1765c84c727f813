//! The state of a view with windows: partial rows by slice, in tiers.

mod merge;
mod slices;
mod tiers;

pub(crate) use self::{
    merge::reduce,
    slices::{PickedRows, Slice, Slices, by_window, filter, windows_over},
    tiers::{Run, State},
};
