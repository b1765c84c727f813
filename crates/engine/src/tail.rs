//! A source's view of its stream's last events: the store, behind the promise of connector-api.

use async_trait::async_trait;
use lakehead_connector_api::{Error, TailEvents, TailReader};
use lakehead_model::Offset;
use lakehead_store::{Reader, Stream};

use crate::sync::blocking;

/// Reads the committed events of one stream.
pub(crate) struct Tail {
    stream: Stream,
    /// Where a read was left that is not at its end: retention waits for it until then.
    left: Option<Reader>,
}

impl Tail {
    pub(crate) fn of(stream: Stream) -> Self {
        Self { stream, left: None }
    }
}

#[async_trait]
impl TailReader for Tail {
    fn end(&self) -> Offset {
        self.stream.head().end
    }

    async fn read(&mut self, from: Offset, to: Offset) -> Result<TailEvents, Error> {
        let head = self.stream.head();
        let end = to.min(head.end);
        let left = self.left.take().filter(|reader| reader.position() == from);
        if from >= end {
            return Ok(TailEvents { events: Vec::new(), next: to.max(from) });
        }
        let mut reader = left.unwrap_or_else(|| self.stream.reader(from.max(head.start)));
        let read = blocking(move || (reader.next(), reader)).await;
        let (block, reader) = read.map_err(|error| Error::Internal(error.to_string()))?;
        let Some(block) = block.map_err(|error| Error::Corrupt(error.to_string()))? else {
            return Ok(TailEvents { events: Vec::new(), next: to });
        };
        let offsets = (0..).map(|index| block.first_offset.plus(index));
        let events = offsets.zip(block.events()).filter(|(offset, _)| (from..end).contains(offset));
        let events = events.map(|(offset, event)| (offset, block.payload.slice_ref(event))).collect();
        let next = block.end_offset();
        if next >= end {
            return Ok(TailEvents { events, next: to });
        }
        self.left = Some(reader);
        Ok(TailEvents { events, next })
    }
}
