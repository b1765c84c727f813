//! What retention would remove now, as `/v1/retention` and `lakehead retention --json` say it.

use std::collections::BTreeMap;

use lakehead_model::Name;
use lakehead_store::RetentionPlan;
use serde_json::{Value, json};

/// The plans by stream: what goes, and what is held back by whom.
#[must_use]
pub fn retention_document(plans: &BTreeMap<Name, RetentionPlan>) -> Value {
    let shown = plans.iter().map(|(name, plan)| {
        let held: u64 = plan.held.iter().map(|expired| expired.bytes).sum();
        let by: Vec<String> = plan.claims.iter().map(|claim| format!("{} from {}", claim.by, claim.from)).collect();
        let document = json!({
            "segments": plan.remove.len(),
            "bytes": plan.bytes(),
            "until": plan.remove.last().map(|last| last.end_offset),
            "held_bytes": held,
            "held_by": by,
        });
        (name.to_string(), document)
    });
    Value::Object(shown.collect())
}
