//! Entries of the stream `rejects`: what was refused, with its reason and its place.
//!
//! Rejects are committed before the cursor that passes them, so a crash between the two brings them again but never
//! loses one: a reject may stand twice, an event never.

use lakehead_model::{EventBatch, Name, Reject};

/// The events that stand for `rejects`.
pub(crate) fn batch(rejects: &[Reject], stream: &Name, source: &Name) -> EventBatch {
    let mut events = EventBatch::default();
    for reject in rejects {
        events.push(&reject.to_json(stream.as_str(), source.as_str()), None);
    }
    events
}
