//! A source's view of its stream's last events: the store, behind the promise of connector-api.

use async_trait::async_trait;
use bytes::Bytes;
use lakehead_connector_api::{Error, TailEvents, TailReader};
use lakehead_model::Offset;
use lakehead_store::Stream;

/// Reads the committed events of one stream.
pub(crate) struct Tail(pub(crate) Stream);

#[async_trait]
impl TailReader for Tail {
    fn end(&self) -> Offset {
        self.0.head().end
    }

    async fn read(&mut self, from: Offset, to: Offset) -> Result<TailEvents, Error> {
        let end = to.min(self.end());
        let mut events = Vec::new();
        let mut reader = self.0.reader(from.max(self.0.head().start));
        while let Some(block) = reader.next().map_err(|error| Error::Corrupt(error.to_string()))? {
            for (index, event) in block.events().enumerate() {
                let offset = block.first_offset.plus(index as u64);
                if offset >= from && offset < end {
                    events.push((offset, Bytes::copy_from_slice(event)));
                }
            }
        }
        Ok(TailEvents { events, next: to })
    }
}
