//! The binary as users run it: real processes, real sockets, real files, one scenario a module.
//!
//! One test binary, since linking is slow. Every process listens on a port that the system picks and says which; every
//! wait is bounded and looks at what the process itself reports. What this machine cannot do (no Python, no Chromium)
//! is skipped with a line that says so, which `cargo xtask test` counts.

mod alarms;
mod backup;
mod bad_input;
mod browser;
mod changes;
mod contract;
mod dashboard;
mod demo;
mod disk;
mod event_time;
mod evidence;
mod examples;
mod export;
mod files;
mod full_disk;
mod gaps;
mod gateway;
mod hostile_http;
mod hostile_sql;
mod http;
mod import;
mod kills;
mod lakehead;
mod old_directory;
mod panels;
mod papers;
mod plan;
mod poison;
mod push;
mod readers;
mod recording;
mod reload;
mod segments;
mod sinks;
mod spool;
mod sse;
mod stopped;
mod upkeep;
mod verify;
mod views;
mod whom;
