//! A source's view of its stream's last events: the store, behind the promise of connector-api.

use lakehead_connector_api::{Error, TailReader};
use lakehead_model::Offset;
use lakehead_store::Stream;

/// Reads the committed events of one stream.
pub(crate) struct Tail(pub(crate) Stream);

impl TailReader for Tail {
    fn end(&self) -> Offset {
        self.0.head().end
    }

    fn read(&mut self, from: Offset, to: Offset, each: &mut dyn FnMut(Offset, &[u8])) -> Result<(), Error> {
        let end = to.min(self.end());
        let mut reader = self.0.reader(from.max(self.0.head().start));
        while let Some(block) = reader.next().map_err(|error| Error::Corrupt(error.to_string()))? {
            for (index, event) in block.events().enumerate() {
                let offset = block.first_offset.plus(index as u64);
                if offset >= end {
                    return Ok(());
                }
                if offset >= from {
                    each(offset, event);
                }
            }
        }
        Ok(())
    }
}
