//! Is told what is on disk, and puts the files out of the way that this covers.

use std::sync::Arc;

use async_trait::async_trait;
use lakehead_connector_api::{Acknowledge, Error, StreamIndex};
use lakehead_model::Cursor;

use super::{
    cursor::{SpoolCursor, TakenFile},
    ledger::Ledger,
    put_away::PutAway,
    reader::unless_it_panics,
};

/// Puts files out of the way once they are on disk.
pub(super) struct SpoolAcks {
    pub(super) ledger: Arc<Ledger>,
    pub(super) put_away: PutAway,
}

#[async_trait]
impl Acknowledge for SpoolAcks {
    async fn acknowledge(&mut self, _: StreamIndex, cursor: &Cursor) -> Result<(), Error> {
        let SpoolCursor { taken, .. } = SpoolCursor::read(&cursor.position)?;
        let (ledger, put_away) = (Arc::clone(&self.ledger), self.put_away.clone());
        unless_it_panics(tokio::task::spawn_blocking(move || settle(&ledger, &put_away, taken)).await)
    }
}

/// Puts those of `files`, which a committed cursor has, out of the way that are not yet.
///
/// # Errors
/// As [`PutAway::settle`].
pub(super) fn settle(ledger: &Ledger, put_away: &PutAway, files: Vec<TakenFile>) -> Result<(), Error> {
    let due = ledger.due(files);
    if !due.is_empty() {
        ledger.settled(put_away.settle(due)?);
    }
    Ok(())
}
