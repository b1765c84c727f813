//! The algebra of event time, pure: which window a time falls in, how far a stream is complete, which events are late.
//!
//! [`Windows`] assigns, and is one of [`Tumble`], [`Calendar`], [`Hop`] and [`Session`]. [`Watermark`] says how far a
//! stream is taken as complete, [`classify`] judges an event's window against both, [`ResultPeriod`] says which result
//! file a window goes to. All of these are functions of plain facts: nothing here does I/O or reads a clock, and time
//! zones are compiled in, so a rebuild from the log decides as the live run did.
//!
//! Every interval is half-open, `[start, end)`. All sums saturate at the ends of time (292,000 years from 1970).

mod calendar;
mod error;
mod hop;
mod result_period;
mod session;
mod timeliness;
mod tumble;
mod watermark;
mod windows;
mod zone;

#[cfg(test)]
mod proptests;

pub use calendar::{Calendar, Step};
pub use error::Error;
pub use hop::Hop;
pub use result_period::ResultPeriod;
pub use session::{SESSION_LENGTH_MAX, Session};
pub use timeliness::{Timeliness, classify};
pub use tumble::Tumble;
pub use watermark::Watermark;
pub use windows::Windows;
