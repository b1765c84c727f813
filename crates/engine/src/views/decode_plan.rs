//! The decode plan: which columns are decoded, once for all views that read a log together.

use std::sync::Arc;

use lakehead_decode::Decoder;
use lakehead_model::StreamSchema;
use lakehead_query::ViewPlan;

use crate::Error;

/// A view's place among those of its stream: each stands after those that it reads.
pub(super) type ViewId = usize;

/// What a log reader does with each micro-batch: the columns that it decodes, and the views for which it aggregates them.
pub(super) struct DecodePlan {
    pub(super) decoder: Decoder,
    pub(super) plans: Vec<(ViewId, Arc<ViewPlan>)>,
}

impl DecodePlan {
    pub(super) fn new(schema: &StreamSchema, plans: Vec<(ViewId, Arc<ViewPlan>)>) -> Result<Self, Error> {
        let mut wanted: Vec<String> =
            plans.iter().flat_map(|(_, plan)| plan.required_columns().iter().cloned()).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let decoder = Decoder::new(schema, &wanted).map_err(|e| Error::Internal(format!("the views' columns: {e}")))?;
        Ok(Self { decoder, plans })
    }
}
