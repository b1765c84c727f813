//! The panels of the dashboard: which there are and what each shows, what it asks of the lake, and what of the answer goes to
//! the page.
//!
//! The page draws what it is told and knows no view by name.

mod automatic;
pub(crate) mod document;
mod list;
mod panel;
mod query;

pub(crate) use list::{LEDGERS, PANELS_MAX, Panels};
pub(crate) use panel::{Panel, Shows};
pub(crate) use query::{Ask, TABLE_ROWS_MAX};
