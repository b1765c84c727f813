//! One segment file, read: from footer to footer backwards, and single blocks.
//!
//! Nothing here changes a file. What is not as it was written comes back as "no footer there" where a torn tail may be,
//! and as [`Error::Corrupt`] where something committed must be.

use std::sync::Arc;

use lakehead_model::{Name, Offset};
use memchr::memmem;

use crate::{
    Block, Error,
    checksum::{self, Running},
    data_frame::{self, Decompressor},
    files::{Access, File, Files},
    footer::{
        END_MAGIC, FOOTER_BYTES_MAX, Footer, INDEX_END_MAGIC, NotAFooter, RAW_BYTES_MAX, Seals, TRAILER_LEN,
        len_by_trailer,
    },
    layout::SegmentPath,
};

/// Read at once when looking for a footer that ends at a known byte: most fit.
const FOOTER_GUESS: u64 = 1 << 10;
/// Read at once when scanning or checking bytes: memory stays bounded whatever the block's size.
const WINDOW: u64 = 1 << 20;

/// An open segment.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) at: SegmentPath,
    pub(crate) file: Arc<dyn File>,
    /// What its chain starts from.
    pub(crate) seed: u64,
}

/// Where a block stands in its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) number: u64,
    pub(crate) first_offset: Offset,
    pub(crate) count: u32,
    pub(crate) raw_len: u32,
    /// The data frame's first byte in the file.
    pub(crate) start: u64,
    pub(crate) stored_len: u32,
    pub(crate) footer_len: u32,
    /// The chain checksum after this block.
    pub(crate) chain: u64,
}

impl Place {
    pub(crate) fn footer_start(&self) -> u64 {
        self.start + u64::from(self.stored_len)
    }

    /// The byte after the block.
    pub(crate) fn end(&self) -> u64 {
        self.footer_start() + u64::from(self.footer_len)
    }

    pub(crate) fn end_offset(&self) -> Offset {
        self.first_offset.plus(u64::from(self.count))
    }
}

/// A footer and where its block stands.
pub(crate) type Found = (Footer, Place);

impl Segment {
    pub(crate) fn open(files: &dyn Files, stream: &Name, at: SegmentPath, access: Access) -> Result<Self, Error> {
        let file = files.open(&at.path, access).map_err(Error::io("open", &at.path))?;
        Ok(Self { seed: checksum::seed(stream, at.first_offset), at, file })
    }

    pub(crate) fn len(&self) -> Result<u64, Error> {
        self.file.len().map_err(Error::io("read", &self.at.path))
    }

    pub(crate) fn corrupt(&self, at: u64, what: impl Into<String>) -> Error {
        Error::corrupt(&self.at.path, at, what)
    }

    fn newer(&self, what: String) -> Error {
        Error::NewerSegment { path: self.at.path.clone(), what }
    }

    fn read(&self, start: u64, end: u64) -> Result<Vec<u8>, Error> {
        let len = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, start).map_err(Error::io("read", &self.at.path))?;
        Ok(bytes)
    }

    /// The footer that ends just before byte `end`; `None` when none does.
    ///
    /// # Errors
    /// When reading fails, or when a whole footer of another version ends there.
    pub(crate) fn footer_ending_at(&self, end: u64) -> Result<Option<Found>, Error> {
        let mut bytes = self.read(end.saturating_sub(FOOTER_GUESS), end)?;
        let Some(len) = len_by_trailer(&bytes).filter(|len| *len as u64 <= end) else { return Ok(None) };
        if len > bytes.len() {
            bytes = self.read(end - len as u64, end)?;
        }
        let footer = bytes.get(bytes.len() - len..).unwrap_or(&[]);
        match Footer::open(footer, self.seed) {
            Ok((footer, seals)) => Ok(self.place(footer, seals, end, len)),
            Err(NotAFooter::Damaged) => Ok(None),
            Err(NotAFooter::Version(version)) => Err(self.newer(format!("block footers of version {version}"))),
        }
    }

    fn place(&self, footer: Footer, seals: Seals, end: u64, len: usize) -> Option<Found> {
        let start = (end - len as u64).checked_sub(u64::from(footer.stored_len))?;
        let place = Place {
            number: footer.number,
            first_offset: footer.first_offset,
            count: footer.count,
            raw_len: footer.raw_len,
            start,
            stored_len: footer.stored_len,
            footer_len: u32::try_from(len).ok()?,
            chain: seals.chain,
        };
        Some((footer, place))
    }

    /// The last whole footer that ends at or before byte `end`, wherever it is. The bytes after it may be anything.
    pub(crate) fn last_footer_before(&self, end: u64) -> Result<Option<Found>, Error> {
        if let Some(found) = self.footer_ending_at(end)? {
            return Ok(Some(found));
        }
        // Windows overlap by what a magic less one byte takes, so that none is missed at a border.
        let overlap = END_MAGIC.len() as u64 - 1;
        let mut window_end = end;
        let mut buffer = Vec::new();
        loop {
            let window_start = window_end.saturating_sub(WINDOW);
            buffer.resize(usize::try_from(window_end - window_start).unwrap_or(0), 0);
            self.file.read_exact_at(&mut buffer, window_start).map_err(Error::io("read", &self.at.path))?;
            for at in memmem::FinderRev::new(END_MAGIC).rfind_iter(&buffer) {
                let footer_end = window_start + (at + END_MAGIC.len()) as u64;
                if let Some(found) = self.footer_ending_at(footer_end)? {
                    return Ok(Some(found));
                }
            }
            if window_start == 0 {
                return Ok(None);
            }
            window_end = window_start + overlap;
        }
    }

    /// Refuses a segment that ends with the index of a sealed one.
    pub(crate) fn refuse_sealed(&self) -> Result<(), Error> {
        let len = self.len()?;
        let tail = self.read(len.saturating_sub(INDEX_END_MAGIC.len() as u64), len)?;
        if tail == INDEX_END_MAGIC { Err(self.newer("sealed blocks with an index".to_owned())) } else { Ok(()) }
    }

    /// The segment's first footer; `None` when its first block is not whole.
    pub(crate) fn first_footer(&self) -> Result<Option<Found>, Error> {
        let file_len = self.len()?;
        let mut want = WINDOW.min(file_len);
        loop {
            let head = self.read(0, want)?;
            let whole = data_frame::frame_len(&head).and_then(|data| {
                let len_field = head.get(data + 4..data + 8)?;
                let content = u32::from_le_bytes(len_field.try_into().ok()?) as usize;
                (content < FOOTER_BYTES_MAX).then_some((data + 8 + content) as u64)
            });
            match whole {
                Some(end) if end <= file_len => {
                    return Ok(self.footer_ending_at(end)?.filter(|(_, place)| place.start == 0));
                }
                Some(_) => return Ok(None),
                None if want == file_len || want > (RAW_BYTES_MAX + FOOTER_BYTES_MAX) as u64 => return Ok(None),
                None => want = (want * 4).min(file_len),
            }
        }
    }

    /// Whether the block's bytes are what was written after a block whose chain was `chain_before`.
    pub(crate) fn verify(&self, place: &Place, chain_before: u64) -> Result<bool, Error> {
        let mut running = Running::after(chain_before);
        // The chain covers neither itself nor what comes after it, which is fixed by the rest.
        let chained_end = place.end() - TRAILER_LEN as u64;
        let mut at = place.start;
        while at < chained_end {
            let until = (at + WINDOW).min(chained_end);
            running = running.over(&self.read(at, until)?);
            at = until;
        }
        Ok(running.value() == place.chain)
    }

    /// The places of all blocks that end at or before byte `end`, in order. A block must end exactly there and each
    /// one must begin where the one before it ends.
    ///
    /// # Errors
    /// `Corrupt`, naming the byte, when that is not so.
    pub(crate) fn places(&self, end: u64) -> Result<Vec<Found>, Error> {
        let mut found = Vec::new();
        let mut at = end;
        let mut next: Option<Place> = None;
        while at > 0 {
            let Some((footer, place)) = self.footer_ending_at(at)? else {
                return Err(self.corrupt(at, "the footer that must end here is not there or fails its checksum"));
            };
            if let Some(next) = next.filter(|next| !follows(&place, next)) {
                return Err(self.corrupt(at, follows_not(&place, &next)));
            }
            at = place.start;
            next = Some(place);
            found.push((footer, place));
        }
        found.reverse();
        match next {
            Some(first) if first.first_offset != self.at.first_offset => Err(self.corrupt(
                0,
                format!(
                    "the first block begins with offset {}, not with the one in the file's name",
                    first.first_offset
                ),
            )),
            _ => Ok(found),
        }
    }

    /// Reads one committed block, checking everything: the chain, the frame, the number of lines. `buffer` is used again.
    pub(crate) fn block(
        &self,
        place: &Place,
        chain_before: u64,
        decompressor: &mut Decompressor,
        buffer: &mut Vec<u8>,
    ) -> Result<Block, Error> {
        buffer.resize(place.stored_len as usize + place.footer_len as usize, 0);
        self.file.read_exact_at(buffer, place.start).map_err(Error::io("read", &self.at.path))?;
        let (data, footer) = buffer.split_at(place.stored_len as usize);
        let damaged = |what: &str| self.corrupt(place.start, format!("block {}: {what}", place.number));
        let (footer, seals) = Footer::open(footer, self.seed).map_err(|_| damaged("its footer fails its checksum"))?;
        let chained = buffer.get(..data.len() + seals.chained_len).unwrap_or(&[]);
        if seals.chain != place.chain || Running::after(chain_before).over(chained).value() != seals.chain {
            return Err(damaged("its bytes fail the chain checksum"));
        }
        let payload = decompressor
            .decompress(data, footer.raw_len as usize)
            .ok_or_else(|| damaged("its data frame does not decompress to the size in the footer"))?;
        let ends = data_frame::line_ends(&payload, footer.count as usize);
        if ends.len() != footer.count as usize || ends.last().is_some_and(|end| *end as usize != payload.len()) {
            return Err(damaged("it does not hold as many lines as the footer says"));
        }
        Ok(Block {
            number: footer.number,
            first_offset: footer.first_offset,
            received_time: footer.received_time,
            event_time_least: footer.event_time_least,
            event_time_greatest: footer.event_time_greatest,
            cursors: footer.cursors,
            epoch: footer.epoch,
            payload,
            ends,
        })
    }
}

/// Whether `next` can be the block after `place`.
pub(crate) fn follows(place: &Place, next: &Place) -> bool {
    next.number == place.number + 1 && next.first_offset == place.end_offset()
}

pub(crate) fn follows_not(place: &Place, next: &Place) -> String {
    format!(
        "block {} up to offset {} is followed by block {} from offset {}",
        place.number,
        place.end_offset(),
        next.number,
        next.first_offset
    )
}
