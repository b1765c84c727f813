//! Entries of the stream `rejects`: what was refused, with its reason and its place.
//!
//! Rejects are committed before the cursor that passes them, so a crash between the two brings them again but never
//! loses one: a reject may stand twice, an event never.

use lakehead_model::{EventBatch, Name, Reject};

/// The events that stand for `rejects` of `stream`.
pub(crate) fn batch(rejects: &[Reject], stream: &Name, source: &Name) -> EventBatch {
    batch_of_several(rejects.iter().map(|reject| (stream.as_str(), reject)), source)
}

/// The events that stand for rejects of several streams, each with the name of its own, which need not be one of ours.
pub(crate) fn batch_of_several<'r>(
    rejects: impl IntoIterator<Item = (&'r str, &'r Reject)>,
    source: &Name,
) -> EventBatch {
    let mut events = EventBatch::default();
    for (stream, reject) in rejects {
        events.push(&reject.to_json(stream, source.as_str()), None);
    }
    events
}
