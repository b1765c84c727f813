//! Where events come from: two synthetic streams made from a seed, and the recordings beside the checkout.
//!
//! Disorder is as recorded: most events within seconds, some a minute late, a few hours, some from the future, some
//! without a time.

mod arrival;
mod changes;
mod json_text;
mod readings;
mod recorded;

pub(crate) use changes::changes;
pub(crate) use readings::readings;
pub(crate) use recorded::{recorded, where_recordings_are};
