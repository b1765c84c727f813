//! The files of the dashboard, compiled into the binary.

mod assets;
mod chart_library;

pub(crate) use assets::Assets;
