//! One sink's target, asked whether it is there and would take rows; nothing is written.

use std::sync::Arc;

use lakehead_connector_api::{Probed, SinkContext};
use lakehead_model::{Name, Span};
use tokio::time::timeout;

use super::{
    limits::PreviewLimits,
    report::SinkPreview,
    words::{panicked, said},
};
use crate::{Parts, plan::Plan};

/// Asks the target of the sink `name`.
pub(super) async fn probe(plan: &Plan, name: &Name, parts: &Parts, limits: PreviewLimits) -> (Name, SinkPreview) {
    let (config, planned) = (&plan.pipeline.sinks[name], &plan.sinks[name]);
    let mut told = SinkPreview { kind: config.kind.clone(), from: config.from.to_string(), ..SinkPreview::default() };
    let context = SinkContext { name: name.to_string(), from: planned.feed.clone(), clock: Arc::clone(&parts.clock) };
    let asked = tokio::spawn(timeout(limits.wait, (planned.spec.probe)(config.settings.clone(), context))).await;
    match asked {
        Ok(Ok(Ok(Probed { found, unknown }))) => {
            if found.is_empty() && unknown.is_empty() {
                told.unknown.push("its kind cannot be asked without writing, so nothing was asked".to_owned());
            }
            told.found.extend(found);
            told.unknown.extend(unknown);
        }
        Ok(Ok(Err(error))) => told.fails = Some(said(&error)),
        Ok(Err(_)) => {
            let wait = Span(limits.wait);
            told.fails = Some(format!("its target did not answer within {wait}; --wait allows more"));
        }
        Err(error) => told.fails = Some(panicked(error)),
    }
    (name.clone(), told)
}
