//! Sinks of a running engine, whose targets are in memory and do what a test says.

mod crashes;
mod rows;
mod running;
mod target;
mod views;
