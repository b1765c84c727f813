//! Connections: they are accepted, watched while they carry requests, and closed when their place is needed.

mod connection;
mod eviction;
mod listener;
mod places;
mod watched;

pub(crate) use eviction::HEAD_TIME_MAX;
pub(crate) use listener::{HEAD_BYTES_MAX, serve};
pub(crate) use places::{CONNECTIONS_MAX, Places};
