//! The handlers: one file for each thing that can be asked, from the request to its answer.

pub(crate) mod assets;
pub(crate) mod events;
pub(crate) mod health;
pub(crate) mod import;
pub(crate) mod live;
pub(crate) mod metrics;
pub(crate) mod openapi;
pub(crate) mod push;
pub(crate) mod reload;
mod sink_metrics;
pub(crate) mod sql;
pub(crate) mod upkeep;
pub(crate) mod verify;
pub(crate) mod views;
