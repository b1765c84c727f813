//! One segment file, read: its footers from the end backwards, its first footer, its index.
//!
//! Nothing here changes a file. What is not as it was written comes back as "no footer there" where a torn tail may be,
//! and as [`Error::Corrupt`] where something committed must be.

use std::sync::Arc;

use memchr::memmem;

use crate::{
    disk::{
        files::{Access, File},
        layout::SegmentPath,
        log_files::LogFiles,
    },
    error::Error,
    format::{
        boundary::Boundary,
        checksum, data_frame,
        footer::{self, FOOTER_BYTES_MAX, Footer, NotAFooter, RAW_BYTES_MAX, Seals},
        index::{self, INDEX_BYTES_MAX, Index, NotAnIndex},
    },
    segment::block_ref::BlockRef,
};

/// Read at once when looking for a footer that ends at a known byte: most fit.
pub(crate) const FOOTER_GUESS: u64 = 1 << 10;
/// Read at once when scanning: memory stays bounded whatever the block's size.
const WINDOW: u64 = 1 << 20;
/// How a zstd frame begins (RFC 8878, 3.1.1).
const DATA_MAGIC: u32 = 0xFD2F_B528;

/// An open segment.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) at: SegmentPath,
    pub(crate) file: Arc<dyn File>,
    /// What its chain starts from.
    pub(crate) seed: u64,
}

/// What a segment begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Beginning {
    pub(crate) boundary: Boundary,
    /// Bytes of all the stream's events before it.
    pub(crate) raw_before: u64,
}

/// A footer and where its block stands.
pub(crate) type FoundFooter = (Footer, BlockRef);

impl Segment {
    pub(crate) fn open(log: &LogFiles, at: SegmentPath, access: Access) -> Result<Self, Error> {
        let file = log.files.open(&at.path, access).map_err(Error::io("open", &at.path))?;
        Ok(Self { seed: checksum::seed(&log.name, at.first_offset), at, file })
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

    pub(crate) fn read(&self, start: u64, end: u64) -> Result<Vec<u8>, Error> {
        let len = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, start).map_err(Error::io("read", &self.at.path))?;
        Ok(bytes)
    }

    /// The footer that ends just before byte `end`; `None` when none does.
    ///
    /// # Errors
    /// When reading fails, or when a whole footer of another version ends there.
    pub(crate) fn footer_ending_at(&self, end: u64) -> Result<Option<FoundFooter>, Error> {
        let mut bytes = self.read(end.saturating_sub(FOOTER_GUESS), end)?;
        let Some(len) = footer::len_by_trailer(&bytes).filter(|len| *len as u64 <= end) else { return Ok(None) };
        if len > bytes.len() {
            bytes = self.read(end - len as u64, end)?;
        }
        let footer = bytes.get(bytes.len() - len..).unwrap_or(&[]);
        match Footer::open(footer, self.seed) {
            Ok((footer, seals)) => Ok(located(footer, seals, end, len)),
            Err(NotAFooter::Damaged) => Ok(None),
            Err(NotAFooter::Version(version)) => Err(self.newer(format!("block footers of version {version}"))),
        }
    }

    /// The last whole footer that ends at or before byte `end`, wherever it is. The bytes after it may be anything.
    pub(crate) fn last_footer_before(&self, end: u64) -> Result<Option<FoundFooter>, Error> {
        if let Some(found) = self.footer_ending_at(end)? {
            return Ok(Some(found));
        }
        // Windows overlap by what a magic less one byte takes, so that none is missed at the edge of one.
        let overlap = footer::END_MAGIC.len() as u64 - 1;
        let mut window_end = end;
        let mut buffer = Vec::new();
        loop {
            let window_start = window_end.saturating_sub(WINDOW);
            buffer.resize(usize::try_from(window_end - window_start).unwrap_or(0), 0);
            self.file.read_exact_at(&mut buffer, window_start).map_err(Error::io("read", &self.at.path))?;
            for at in memmem::FinderRev::new(footer::END_MAGIC).rfind_iter(&buffer) {
                let footer_end = window_start + (at + footer::END_MAGIC.len()) as u64;
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

    /// The index of a sealed segment; `None` when this one is not sealed.
    ///
    /// # Errors
    /// `Corrupt` when an index ends here and is damaged, `Invalid` when it is of a newer version.
    pub(crate) fn index(&self) -> Result<Option<Index>, Error> {
        let len = self.len()?;
        let tail = self.read(len.saturating_sub(16), len)?;
        if !tail.ends_with(index::END_MAGIC) {
            return Ok(None);
        }
        let index_len = index::len_by_trailer(&tail).map(|len| len as u64).filter(|index_len| *index_len <= len);
        let start = len - index_len.unwrap_or(len);
        let damaged = |what: &str| match self.was_sealed()? {
            true => Err(self.corrupt(start, what)),
            // A torn tail that happens to end so.
            false => Ok(None),
        };
        match Index::open(&self.read(start, len.min(start + INDEX_BYTES_MAX as u64))?, self.seed) {
            Ok(index) if index.frames_end() == start && index.begins().offset == self.at.first_offset => {
                Ok(Some(index))
            }
            Ok(_) => damaged("the index does not describe the frames before it"),
            Err(NotAnIndex::Damaged) => damaged("the index fails its checksum"),
            Err(NotAnIndex::Version(version)) => {
                Err(self.newer(format!("a sealed segment's index of version {version}")))
            }
        }
    }

    /// Whether this was sealed, whatever has become of its index: its first data frame is followed by another or by an
    /// index, not by a footer.
    pub(crate) fn was_sealed(&self) -> Result<bool, Error> {
        let len = self.len()?;
        let mut want = WINDOW.min(len);
        loop {
            let head = self.read(0, want)?;
            if let Some(frame_len) = data_frame::frame_len(&head) {
                let after = self.read(frame_len as u64, (frame_len as u64 + 4).min(len))?;
                return Ok(after == DATA_MAGIC.to_le_bytes() || after == index::FRAME_MAGIC.to_le_bytes());
            }
            if want == len || want > RAW_BYTES_MAX as u64 {
                return Ok(false);
            }
            want = (want * 4).min(len);
        }
    }

    /// What it begins with, sealed or not; `None` when its first block is not whole.
    pub(crate) fn beginning(&self) -> Result<Option<Beginning>, Error> {
        if let Some(index) = self.index()? {
            return Ok(Some(Beginning { boundary: index.begins(), raw_before: index.raw_before }));
        }
        let first = self.first_footer()?;
        Ok(first.map(|(footer, block_ref)| Beginning { boundary: block_ref.begins(), raw_before: footer.raw_before }))
    }

    /// The segment's first footer; `None` when its first block is not whole.
    pub(crate) fn first_footer(&self) -> Result<Option<FoundFooter>, Error> {
        match self.first_footer_end()? {
            Some(end) => Ok(self.footer_ending_at(end)?.filter(|(_, block_ref)| block_ref.start == 0)),
            None => Ok(None),
        }
    }

    /// The byte after what stands in the place of the first footer; `None` when there is no such thing.
    pub(crate) fn first_footer_end(&self) -> Result<Option<u64>, Error> {
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
                Some(end) if end <= file_len => return Ok(Some(end)),
                Some(_) => return Ok(None),
                None if want == file_len || want > (RAW_BYTES_MAX + FOOTER_BYTES_MAX) as u64 => return Ok(None),
                None => want = (want * 4).min(file_len),
            }
        }
    }
}

/// The footer with where its block stands, given where the footer ends; `None` when the block would begin before the file.
fn located(footer: Footer, seals: Seals, end: u64, len: usize) -> Option<FoundFooter> {
    let start = (end - len as u64).checked_sub(u64::from(footer.stored_len))?;
    let block_ref = BlockRef::new(&footer, start, u32::try_from(len).ok()?, seals.chain);
    Some((footer, block_ref))
}
