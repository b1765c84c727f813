//! One segment file, read: from footer to footer backwards, and single blocks.
//!
//! Nothing here changes a file. What is not as it was written comes back as "no footer there" where a torn tail may be,
//! and as [`Error::Corrupt`] where something committed must be.

use std::{collections::BTreeMap, fmt, sync::Arc};

use lakehead_model::{Cursor, Name, Offset, TimeRule, Timestamp};
use memchr::memmem;
use serde::{Deserialize, Serialize};

use crate::{
    Block, Error,
    checksum::{self, Running},
    data_frame::{self, Decompressor},
    files::{Access, File, Files},
    footer::{
        END_MAGIC, FOOTER_BYTES_MAX, Footer, IdempotencyKey, NotAFooter, RAW_BYTES_MAX, Seals, TRAILER_LEN,
        len_by_trailer,
    },
    index::{self, INDEX_BYTES_MAX, Index, NotAnIndex},
    layout::SegmentPath,
};

/// Read at once when looking for a footer that ends at a known byte: most fit.
const FOOTER_GUESS: u64 = 1 << 10;
/// Read at once when scanning or checking bytes: memory stays bounded whatever the block's size.
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

/// A border between two blocks: one ends here, the next begins. Where borders meet, nothing is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Border {
    /// The number of the block after it.
    pub(crate) number: u64,
    /// The offset of the event after it.
    pub(crate) offset: Offset,
}

impl fmt::Display for Border {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block {} with offset {}", self.number, self.offset)
    }
}

/// Where a block stands in its segment, and when it is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) number: u64,
    pub(crate) first_offset: Offset,
    pub(crate) count: u32,
    pub(crate) raw_len: u32,
    pub(crate) received_time: Timestamp,
    pub(crate) event_times: Option<(Timestamp, Timestamp)>,
    pub(crate) time_rule: Option<TimeRule>,
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

    pub(crate) fn begins(&self) -> Border {
        Border { number: self.number, offset: self.first_offset }
    }

    pub(crate) fn ends(&self) -> Border {
        Border { number: self.number + 1, offset: self.end_offset() }
    }
}

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
    pub(crate) places: Vec<Place>,
    /// Their idempotency keys, oldest first.
    pub(crate) keys: Vec<IdempotencyKey>,
    /// The cursors of all sources after the last of them.
    pub(crate) cursors: Arc<BTreeMap<Name, Cursor>>,
    /// Bytes of all the stream's events before the first of them.
    pub(crate) raw_before: u64,
}

/// What a segment begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Beginning {
    pub(crate) border: Border,
    /// Bytes of all the stream's events before it.
    pub(crate) raw_before: u64,
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
            received_time: footer.received_time,
            event_times: footer.event_times(),
            time_rule: footer.time_rule,
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
            return Ok(Some(Beginning { border: index.begins(), raw_before: index.raw_before }));
        }
        let first = self.first_footer()?;
        Ok(first.map(|(footer, place)| Beginning { border: place.begins(), raw_before: footer.raw_before }))
    }

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
            Some((footer, place)) => {
                Some((footer, place)).filter(|(_, place)| place.first_offset == self.at.first_offset)
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
        let Some(len) = len_by_trailer(&bytes).filter(|len| *len as u64 <= end) else { return Ok(None) };
        // docs/formats/segment.md: the first offset stands at byte 24 of a footer.
        let at = end - len as u64 + 24;
        let offset = self.read(at, at + 8)?.try_into().map(u64::from_le_bytes);
        Ok(offset.ok().map(Offset))
    }

    /// The segment's first footer; `None` when its first block is not whole.
    fn first_footer(&self) -> Result<Option<Found>, Error> {
        match self.first_footer_end()? {
            Some(end) => Ok(self.footer_ending_at(end)?.filter(|(_, place)| place.start == 0)),
            None => Ok(None),
        }
    }

    /// The byte after what stands in the place of the first footer; `None` when there is no such thing.
    fn first_footer_end(&self) -> Result<Option<u64>, Error> {
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

    /// All blocks that end at or before byte `end`, in order. A block must end exactly there and each one must begin where the
    /// one before it ends.
    ///
    /// # Errors
    /// `Corrupt`, naming the byte, when that is not so.
    pub(crate) fn walk(&self, end: u64) -> Result<Walked, Error> {
        let mut walked = Walked { places: Vec::new(), keys: Vec::new(), cursors: Arc::default(), raw_before: 0 };
        let mut at = end;
        let mut next: Option<Place> = None;
        while at > 0 {
            let Some((footer, place)) = self.footer_ending_at(at)? else {
                return Err(self.corrupt(at, "the footer that must end here is not there or fails its checksum"));
            };
            match &next {
                Some(next) if place.ends() != next.begins() => {
                    return Err(self.corrupt(at, follows_not(place.ends(), next.begins())));
                }
                Some(_) => {}
                None => walked.cursors = footer.cursors,
            }
            at = place.start;
            next = Some(place);
            walked.places.push(place);
            walked.keys.extend(footer.keys.into_iter().rev());
            walked.raw_before = footer.raw_before;
        }
        walked.places.reverse();
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
        place: &Place,
        chain_before: u64,
        decompressor: &mut Decompressor,
        buffer: &mut Vec<u8>,
        proof: Proof,
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
        let (data, raw_len) =
            (buffer.get_mut(..place.stored_len as usize).unwrap_or_default(), footer.raw_len as usize);
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

/// What is wrong when a block that ends at one border is followed by one that begins at another.
pub(crate) fn follows_not(end: Border, next: Border) -> String {
    format!("{end} was expected next, and {next} is there")
}
