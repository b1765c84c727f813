//! What proves or claims which segment a file is, whatever the file is called: for repairs that put files back.

use lakehead_model::Offset;

use crate::{
    error::Error,
    format::{footer, index},
    segment::file::{FOOTER_GUESS, Segment},
};

impl Segment {
    /// The hour of its blocks, as its folder should be, when its index, its first footer or its last one proves that it is the
    /// segment that `at` says; `None` when none of them does.
    ///
    /// # Errors
    /// When reading fails, or when a newer version wrote it.
    pub(crate) fn proven_hour(&self) -> Result<Option<String>, Error> {
        match self.index() {
            Ok(Some(index)) => return Ok(index.blocks.first().map(|block| block.received_time.hour_folder())),
            Ok(None) | Err(Error::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
        let found = match self.first_footer()? {
            Some((footer, block_ref)) => {
                Some((footer, block_ref)).filter(|(_, block_ref)| block_ref.first_offset == self.at.first_offset)
            }
            None => self.footer_ending_at(self.len()?)?,
        };
        Ok(found.map(|(footer, _)| footer.received_time.hour_folder()))
    }

    /// The first offset that its index or its first footer names, whatever their checksums say.
    pub(crate) fn claimed_offset(&self) -> Result<Option<Offset>, Error> {
        let len = self.len()?;
        let tail = self.read(len.saturating_sub(16), len)?;
        if tail.ends_with(index::END_MAGIC)
            && let Some(index_len) = index::len_by_trailer(&tail).map(|len| len as u64).filter(|index| *index <= len)
        {
            return Ok(index::claimed_offset(&self.read(len - index_len, len)?));
        }
        let Some(end) = self.first_footer_end()? else { return Ok(None) };
        let bytes = self.read(end.saturating_sub(FOOTER_GUESS), end)?;
        let Some(len) = footer::len_by_trailer(&bytes).filter(|len| *len as u64 <= end) else { return Ok(None) };
        // docs/formats/segment.md: the first offset stands at byte 24 of a footer.
        let at = end - len as u64 + 24;
        let offset = self.read(at, at + 8)?.try_into().map(u64::from_le_bytes);
        Ok(offset.ok().map(Offset))
    }
}
