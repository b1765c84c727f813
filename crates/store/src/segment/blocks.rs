//! The blocks of a segment that is not sealed: all of them found by their footers, and single ones read and proven.

use std::{collections::BTreeMap, sync::Arc};

use lakehead_model::{Cursor, Name};

use crate::{
    error::Error,
    format::{
        checksum::Running,
        data_frame::{self, Decompressor},
        envelope::TRAILER_LEN,
        footer::Footer,
        key::IdempotencyKey,
    },
    segment::{block::Block, block_ref::BlockRef, file::Segment},
};

/// What has to hold for what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Our checksum over the stored bytes: for those who read events.
    Ours,
    /// Zstd's over the content, too: for those who look for damage, and before the stored bytes are replaced.
    Both,
}

/// All blocks of a segment that is not sealed.
#[derive(Debug)]
pub(crate) struct Walked {
    /// In order.
    pub(crate) block_refs: Vec<BlockRef>,
    /// Their idempotency keys, oldest first.
    pub(crate) keys: Vec<IdempotencyKey>,
    /// The cursors of all sources after the last of them.
    pub(crate) cursors: Arc<BTreeMap<Name, Cursor>>,
    /// Bytes of all the stream's events before the first of them.
    pub(crate) raw_before: u64,
}

/// Checked at once: memory stays bounded whatever the block's size.
const WINDOW: u64 = 1 << 20;

impl Segment {
    /// Whether the block's bytes are what was written after a block whose chain was `chain_before`.
    pub(crate) fn verify(&self, block_ref: &BlockRef, chain_before: u64) -> Result<bool, Error> {
        let mut running = Running::after(chain_before);
        // The chain covers neither itself nor what comes after it, which is fixed by the rest.
        let chained_end = block_ref.end() - TRAILER_LEN as u64;
        let mut at = block_ref.start;
        while at < chained_end {
            let until = (at + WINDOW).min(chained_end);
            running = running.over(&self.read(at, until)?);
            at = until;
        }
        Ok(running.value() == block_ref.chain)
    }

    /// All blocks that end at or before byte `end`, in order. A block must end exactly there and each one must begin where the
    /// one before it ends.
    ///
    /// # Errors
    /// `Corrupt`, naming the byte, when that is not so.
    pub(crate) fn walk(&self, end: u64) -> Result<Walked, Error> {
        let mut walked = Walked { block_refs: Vec::new(), keys: Vec::new(), cursors: Arc::default(), raw_before: 0 };
        let mut at = end;
        let mut next: Option<BlockRef> = None;
        while at > 0 {
            let Some((footer, block_ref)) = self.footer_ending_at(at)? else {
                return Err(self.corrupt(at, "the footer that must end here is not there or fails its checksum"));
            };
            match &next {
                Some(next) if block_ref.ends() != next.begins() => {
                    return Err(self.corrupt(at, block_ref.ends().is_not_followed_by(next.begins())));
                }
                Some(_) => {}
                None => walked.cursors = footer.cursors,
            }
            at = block_ref.start;
            next = Some(block_ref);
            walked.block_refs.push(block_ref);
            walked.keys.extend(footer.keys.into_iter().rev());
            walked.raw_before = footer.raw_before;
        }
        walked.block_refs.reverse();
        walked.keys.reverse();
        match next {
            Some(first) if first.first_offset != self.at.first_offset => Err(self.corrupt(
                0,
                format!(
                    "the first block begins with offset {}, not with the one in the file's name",
                    first.first_offset
                ),
            )),
            _ => Ok(walked),
        }
    }

    /// Reads one committed block, checking the chain, the frame and the number of lines. `buffer` is used again.
    pub(crate) fn block(
        &self,
        block_ref: &BlockRef,
        chain_before: u64,
        decompressor: &mut Decompressor,
        buffer: &mut Vec<u8>,
        proof: Proof,
    ) -> Result<Block, Error> {
        buffer.resize(block_ref.stored_len as usize + block_ref.footer_len as usize, 0);
        self.file.read_exact_at(buffer, block_ref.start).map_err(Error::io("read", &self.at.path))?;
        let (data, footer) = buffer.split_at(block_ref.stored_len as usize);
        let damaged = |what: &str| self.corrupt(block_ref.start, format!("block {}: {what}", block_ref.number));
        let (footer, seals) = Footer::open(footer, self.seed).map_err(|_| damaged("its footer fails its checksum"))?;
        let chained = buffer.get(..data.len() + seals.chained_len).unwrap_or(&[]);
        if seals.chain != block_ref.chain || Running::after(chain_before).over(chained).value() != seals.chain {
            return Err(damaged("its bytes fail the chain checksum"));
        }
        let (data, raw_len) =
            (buffer.get_mut(..block_ref.stored_len as usize).unwrap_or_default(), footer.raw_len as usize);
        let payload = match proof {
            Proof::Ours => decompressor.decompress_proven(Vec::new(), data, raw_len),
            Proof::Both => decompressor.decompress(data, raw_len),
        };
        let payload = payload.ok_or_else(|| damaged("its data frame does not decompress to the size in the footer"))?;
        let ends = data_frame::line_ends(&payload, footer.count as usize)
            .ok_or_else(|| damaged("it does not hold as many lines as the footer says"))?;
        Ok(Block {
            number: footer.number,
            first_offset: footer.first_offset,
            received_time: footer.received_time,
            event_time_least: footer.event_time_least,
            event_time_greatest: footer.event_time_greatest,
            time_rule: footer.time_rule,
            progress: footer.progress(),
            epoch: footer.epoch,
            payload,
            ends,
        })
    }
}
