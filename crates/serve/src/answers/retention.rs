//! What retention would remove now, as `/v1/retention` and `lakehead retention --json` say it.

use std::collections::BTreeMap;

use lakehead_model::{Name, Offset};
use lakehead_store::RetentionPlan;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// What retention would remove of one stream.
#[derive(Serialize, JsonSchema)]
pub(crate) struct RetentionAnswer {
    /// Segments that would go.
    segments: usize,
    /// Their bytes on disk.
    bytes: u64,
    /// The offset after the last event that would go; null when none would.
    until: Option<Offset>,
    /// Bytes that would go, too, if nobody needed them.
    held_bytes: u64,
    /// Who needs them, and from which offset on.
    held_by: Vec<String>,
}

/// The plans by stream: what goes, and what is held back by whom.
#[must_use]
pub fn retention_document(plans: &BTreeMap<Name, RetentionPlan>) -> Value {
    let shown = plans.iter().map(|(name, plan)| (name.clone(), RetentionAnswer::of(plan)));
    let shown: BTreeMap<Name, RetentionAnswer> = shown.collect();
    serde_json::to_value(shown).unwrap_or_default()
}

impl RetentionAnswer {
    fn of(plan: &RetentionPlan) -> Self {
        Self {
            segments: plan.remove.len(),
            bytes: plan.bytes(),
            until: plan.remove.last().map(|last| last.end_offset),
            held_bytes: plan.held.iter().map(|expired| expired.bytes).sum(),
            held_by: plan.claims.iter().map(|claim| format!("{} from {}", claim.by, claim.from)).collect(),
        }
    }
}
