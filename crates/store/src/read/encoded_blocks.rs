//! Encoded blocks: those that a reader has found and not read yet. Whoever decodes them reads, checks and decompresses
//! them, on any thread: that is nearly all the work of reading, and so many can share it while one reader goes ahead in
//! order.

use std::{ops::Range, sync::Arc};

use lakehead_model::Offset;

use crate::{
    error::Error,
    format::{boundary::Boundary, data_frame::Decompressor},
    segment::{
        block::Block,
        block_ref::BlockRef,
        blocks::Proof,
        file::Segment,
        sealed::{OpenFrame, Sealed},
    },
};

/// One block, or those of one large frame of a sealed segment, as [`Reader::next_encoded`](crate::Reader::next_encoded)
/// finds them. They can be decoded also when retention has removed their file since.
#[derive(Debug)]
pub struct EncodedBlocks {
    pub(crate) content: Content,
    /// Events before this were not asked for.
    pub(crate) from: Offset,
}

/// Where the blocks are.
#[derive(Debug)]
pub(crate) enum Content {
    /// In memory already.
    Memory(Arc<Block>),
    /// A data frame with a footer, after a block with this chain.
    Open { segment: Segment, block_ref: BlockRef, chain_before: u64 },
    /// Those at these places of the index, all in one large frame.
    Sealed { sealed: Sealed, blocks: Range<usize> },
}

impl EncodedBlocks {
    /// The bytes of its events, as far as that is known without reading: those before the offset that was asked for
    /// count, too.
    #[must_use]
    pub fn raw_bytes(&self) -> u64 {
        match &self.content {
            Content::Memory(block) => block.payload.len() as u64,
            Content::Open { block_ref, .. } => u64::from(block_ref.raw_len),
            Content::Sealed { sealed, blocks } => {
                let blocks = sealed.index.blocks.get(blocks.clone()).unwrap_or(&[]);
                blocks.iter().map(|block| u64::from(block.raw_len)).sum()
            }
        }
    }

    /// The offset after its last event.
    #[must_use]
    pub fn end_offset(&self) -> Offset {
        self.ends().offset
    }

    /// What it begins with.
    pub(crate) fn begins(&self) -> Boundary {
        match &self.content {
            Content::Memory(block) => Boundary { number: block.number, offset: block.first_offset },
            Content::Open { block_ref, .. } => block_ref.begins(),
            Content::Sealed { sealed, blocks } => sealed.boundary(blocks.start),
        }
    }

    /// What comes after it.
    pub(crate) fn ends(&self) -> Boundary {
        match &self.content {
            Content::Memory(block) => Boundary { number: block.number + 1, offset: block.end_offset() },
            Content::Open { block_ref, .. } => block_ref.ends(),
            Content::Sealed { sealed, blocks } => sealed.boundary(blocks.end),
        }
    }
}

/// Decodes blocks, on one thread. Keeps the memory it works in.
#[derive(Debug, Default)]
pub struct BlockDecoder {
    decompressor: Option<Decompressor>,
    buffer: Vec<u8>,
    open: Option<OpenFrame>,
}

impl BlockDecoder {
    /// The blocks, in order, the first cut to begin with the offset that was asked for. May read a file; blocks.
    ///
    /// # Errors
    /// `Corrupt` when a block is not as it was written, `Unavailable` when the file cannot be read.
    pub fn decode(&mut self, encoded: &EncodedBlocks, mut each: impl FnMut(Arc<Block>)) -> Result<(), Error> {
        let from = encoded.from;
        let mut give = |block: Arc<Block>| {
            each(if block.first_offset < from { Arc::new(block.slice_from(from)) } else { block });
        };
        match &encoded.content {
            Content::Memory(block) => give(Arc::clone(block)),
            Content::Open { segment, block_ref, chain_before } => {
                let decompressor = decompressor(&mut self.decompressor, segment)?;
                give(Arc::new(segment.block(block_ref, *chain_before, decompressor, &mut self.buffer, Proof::Ours)?));
            }
            Content::Sealed { sealed, blocks } => {
                let decompressor = decompressor(&mut self.decompressor, &sealed.segment)?;
                for at in blocks.clone() {
                    if let Some(block) = sealed.block(at, &mut self.open, decompressor, &mut self.buffer)? {
                        give(Arc::new(block));
                    }
                }
            }
        }
        Ok(())
    }
}

fn decompressor<'a>(spare: &'a mut Option<Decompressor>, segment: &Segment) -> Result<&'a mut Decompressor, Error> {
    match spare {
        Some(decompressor) => Ok(decompressor),
        none => Ok(none.insert(Decompressor::new().map_err(Error::io("decompress", &segment.at.path))?)),
    }
}
