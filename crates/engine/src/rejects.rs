//! What was refused, kept: the stream `rejects`.
//!
//! Rejects are committed before the cursor that passes them, so a crash between the two brings them again but never
//! loses one: a reject may stand twice, an event never.

use lakehead_model::{EventBatch, Name, Reject, StreamSchema};
use lakehead_store::{Append, Appender};

use crate::Error;

/// The stream's name.
pub(crate) const STREAM: &str = "rejects";

/// The same, as a name.
pub(crate) fn name() -> Name {
    Name::new(STREAM).expect("a constant that is a name")
}

/// Its columns.
pub(crate) fn schema() -> StreamSchema {
    StreamSchema::builtin(STREAM).expect("the model has a schema of this name")
}

/// The events that stand for `rejects`.
pub(crate) fn batch(rejects: &[Reject], stream: &Name, source: &Name) -> EventBatch {
    let mut events = EventBatch::default();
    for reject in rejects {
        events.push(&reject.to_json(stream.as_str(), source.as_str()), None);
    }
    events
}

/// Appends `events` and waits until they are on disk. Serves the gap ledger as well.
pub(crate) async fn commit(appender: &Appender, source: &Name, events: EventBatch) -> Result<(), Error> {
    let append = Append { source: source.clone(), events, cursor: None, keys: Vec::new(), urgent: true };
    appender.append(append).await?.await?;
    Ok(())
}
