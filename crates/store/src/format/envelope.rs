//! What footers and indexes have in common: the skippable frame around them, their own checksum, and the bytes that keep
//! their place and meaning in every version.

use crate::format::{
    checksum::Running,
    fields::{Damaged, Fields},
};

/// Bytes from the chain checksum to the end, in every version of either.
pub(crate) const TRAILER_LEN: usize = 32;

/// How one of the two is told from everything else.
pub(crate) struct Envelope {
    /// The skippable frame's magic.
    pub(crate) frame_magic: u32,
    pub(crate) head_magic: &'static [u8; 7],
    /// Its last eight bytes.
    pub(crate) end_magic: &'static [u8; 8],
    /// The least and the greatest length of the whole.
    pub(crate) len: (usize, usize),
}

/// A whole one: what it holds is for its own kind to read.
pub(crate) struct Opened<'a> {
    pub(crate) version: u8,
    /// What stands between the version and the chain checksum.
    pub(crate) fields: Fields<'a>,
    pub(crate) chain: u64,
    /// How many bytes from its start the chain covers.
    pub(crate) chained_len: usize,
}

impl Envelope {
    /// Checks what surrounds the fields, and the checksum over all of it.
    pub(crate) fn open<'a>(&self, bytes: &'a [u8], seed: u64) -> Result<Opened<'a>, Damaged> {
        let chained_len = bytes.len().checked_sub(TRAILER_LEN).ok_or(Damaged)?;
        let (body, trailer) = bytes.split_at(chained_len);
        let mut trailer = Fields(trailer);
        let (chain, checksum) = (trailer.u64()?, trailer.u64()?);
        let (frame_len, reserved) = (trailer.u32()?, trailer.u32()?);
        let mut fields = Fields(body);
        let whole = trailer.0 == self.end_magic
            && frame_len as usize == bytes.len()
            && reserved == 0
            && fields.u32()? == self.frame_magic
            && fields.u32()? as usize + 8 == bytes.len()
            && fields.take(self.head_magic.len())? == self.head_magic
            && Running::after(seed).over(body).over(&chain.to_le_bytes()).value() == checksum;
        if !whole {
            return Err(Damaged);
        }
        Ok(Opened { version: fields.u8()?, fields, chain, chained_len })
    }

    /// The length of the one whose last bytes these are, by its trailer; `None` when they do not end one.
    pub(crate) fn len_by_trailer(&self, end: &[u8]) -> Option<usize> {
        let at = end.len().checked_sub(16)?;
        let mut fields = Fields(end.get(at..)?);
        let len = fields.u32().ok()? as usize;
        let plausible = fields.u32() == Ok(0) && fields.0 == self.end_magic && (self.len.0..=self.len.1).contains(&len);
        plausible.then_some(len)
    }
}
