//! The sinks, one line each, in alphabetical order. Nothing else in the tree lists them.

mod file;
mod http;
mod stdout;

use lakehead_connector_api::SinkSpec;

/// Every kind of sink that a pipeline may name.
pub const SINKS: &[SinkSpec] =
    &[SinkSpec::of::<file::Files>(), SinkSpec::of::<http::Webhook>(), SinkSpec::of::<stdout::Stdout>()];
