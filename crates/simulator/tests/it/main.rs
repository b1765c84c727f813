//! The simulator as its clients see it: one module per subject, over real sockets on free ports.

mod common;
mod contract;
mod faults;
mod generator;
mod recordings;
