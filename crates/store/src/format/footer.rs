//! A block's footer: the skippable zstd frame that makes a run of events a part of a log.
//!
//! Encoding and decoding only; docs/formats/segment.md gives the bytes. Decoding takes anything and answers with a
//! footer, with "damaged", or with the version of a newer footer whose checksum holds.

use std::{collections::BTreeMap, sync::Arc};

use lakehead_model::{Cursor, Name, Offset, TimeRule, Timestamp};

use crate::format::{
    checksum::Running,
    envelope::{Envelope, Opened, TRAILER_LEN},
    fields::{Damaged, Fields, put, put_cursors, put_keys},
    key::IdempotencyKey,
};

/// The skippable frame's magic. Not `…5E`, which zstd's seekable format uses, and not `…50`, which pzstd uses.
pub(crate) const FRAME_MAGIC: u32 = 0x184D_2A5B;
const HEAD_MAGIC: &[u8; 7] = b"LHBLOCK";
/// The last eight bytes of every footer.
pub(crate) const END_MAGIC: &[u8; 8] = b"LHBLKEND";
/// The version that is written. Version 1, which says nothing of the rule of event times, is read as well.
const VERSION: u8 = 2;
/// Bytes of a footer of version 1 that names no cursor and no key.
const FIXED_LEN_1: usize = 112 + TRAILER_LEN;
/// The same of version 2: eight more, for the rule.
const FIXED_LEN: usize = FIXED_LEN_1 + 8;

/// Greatest length of a footer: 128 cursors of 64 KiB, and the keys of one block, twice over.
pub(crate) const FOOTER_BYTES_MAX: usize = 16 << 20;
const ENVELOPE: Envelope = Envelope {
    frame_magic: FRAME_MAGIC,
    head_magic: HEAD_MAGIC,
    end_magic: END_MAGIC,
    len: (FIXED_LEN_1, FOOTER_BYTES_MAX),
};
/// Greatest number, offset, count of bytes and epoch: no log gets there, and what comes after it still fits.
pub(crate) const NUMBER_MAX: u64 = 1 << 62;
/// Greatest raw size of a block: a bound for what a reader allocates.
pub(crate) const RAW_BYTES_MAX: usize = 1 << 30;

/// What a footer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) number: u64,
    pub(crate) first_offset: Offset,
    pub(crate) count: u32,
    pub(crate) raw_len: u32,
    pub(crate) stored_len: u32,
    pub(crate) raw_before: u64,
    pub(crate) received_time: Timestamp,
    pub(crate) event_time_least: Option<Timestamp>,
    pub(crate) event_time_greatest: Option<Timestamp>,
    /// By which rule the event times, and the progress of the cursors, were read; `None` where that is not known.
    pub(crate) time_rule: Option<TimeRule>,
    pub(crate) synced_to: Offset,
    pub(crate) synced_blocks: u64,
    pub(crate) epoch: u64,
    pub(crate) cursors: Arc<BTreeMap<Name, Cursor>>,
    pub(crate) keys: Vec<IdempotencyKey>,
}

/// Why bytes are not a footer of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotAFooter {
    /// They are not what was written, or never were a footer.
    Damaged,
    /// A whole footer of another version.
    Version(u8),
}

impl From<Damaged> for NotAFooter {
    fn from(_: Damaged) -> Self {
        Self::Damaged
    }
}

/// The checksums of a whole footer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seals {
    /// How many of the footer's bytes, from its start, the chain covers.
    pub(crate) chained_len: usize,
    /// The chain checksum as written.
    pub(crate) chain: u64,
}

impl Footer {
    /// The least and the greatest event time.
    pub(crate) fn event_times(&self) -> Option<(Timestamp, Timestamp)> {
        self.event_time_least.zip(self.event_time_greatest)
    }

    /// The event time up to which all its sources have brought everything, as far as they know.
    pub(crate) fn progress(&self) -> Option<Timestamp> {
        progress(&self.cursors)
    }

    /// Appends the footer to `out`, which holds exactly the data frame, and returns the new chain checksum; `None`
    /// when the cursors and keys are too much for a footer.
    pub(crate) fn seal(&self, out: &mut Vec<u8>, seed: u64, chain_before: u64) -> Option<u64> {
        let start = out.len();
        let len = FIXED_LEN
            + self.cursors.iter().map(|(name, cursor)| 14 + name.as_str().len() + cursor.position.len()).sum::<usize>()
            + self.keys.iter().map(|key| 14 + key.key.len()).sum::<usize>();
        if len > FOOTER_BYTES_MAX {
            return None;
        }
        let len_field = u32::try_from(len).ok()?;
        out.reserve(len);
        put(out, FRAME_MAGIC.to_le_bytes());
        put(out, (len_field - 8).to_le_bytes());
        out.extend_from_slice(HEAD_MAGIC);
        out.push(VERSION);
        put(out, self.number.to_le_bytes());
        put(out, self.first_offset.0.to_le_bytes());
        put(out, self.count.to_le_bytes());
        put(out, self.raw_len.to_le_bytes());
        put(out, self.stored_len.to_le_bytes());
        put(out, [0; 4]);
        put(out, self.raw_before.to_le_bytes());
        put(out, self.received_time.0.to_le_bytes());
        put(out, self.event_time_least.map_or(i64::MAX, |t| t.0).to_le_bytes());
        put(out, self.event_time_greatest.map_or(i64::MIN, |t| t.0).to_le_bytes());
        put(out, self.synced_to.0.to_le_bytes());
        put(out, self.synced_blocks.to_le_bytes());
        put(out, self.epoch.to_le_bytes());
        put(out, u32::try_from(self.cursors.len()).ok()?.to_le_bytes());
        put(out, u32::try_from(self.keys.len()).ok()?.to_le_bytes());
        put(out, self.time_rule.map_or(0, TimeRule::number).to_le_bytes());
        put_cursors(out, &self.cursors)?;
        put_keys(out, self.keys.iter())?;
        let chain = Running::after(chain_before).over(out).value();
        put(out, chain.to_le_bytes());
        let checksum = Running::after(seed).over(out.get(start..)?).value();
        put(out, checksum.to_le_bytes());
        put(out, len_field.to_le_bytes());
        put(out, [0; 4]);
        out.extend_from_slice(END_MAGIC);
        debug_assert_eq!(out.len() - start, len, "the length was counted right");
        Some(chain)
    }

    /// Reads a whole footer and checks its own checksum. The chain is the caller's to check: it needs the data frame.
    pub(crate) fn open(bytes: &[u8], seed: u64) -> Result<(Self, Seals), NotAFooter> {
        let Opened { version, mut fields, chain, chained_len } = ENVELOPE.open(bytes, seed)?;
        if !(1..=VERSION).contains(&version) {
            return Err(NotAFooter::Version(version));
        }
        let footer = Self::fields(&mut fields, version)?;
        Ok((footer, Seals { chained_len, chain }))
    }

    fn fields(fields: &mut Fields<'_>, version: u8) -> Result<Self, NotAFooter> {
        let number = fields.u64()?;
        let first_offset = Offset(fields.u64()?);
        let count = fields.u32()?;
        let raw_len = fields.u32()?;
        let stored_len = fields.u32()?;
        if fields.u32()? != 0 || raw_len as usize > RAW_BYTES_MAX || count > raw_len {
            return Err(NotAFooter::Damaged);
        }
        let raw_before = fields.u64()?;
        // What comes after it has a number, an offset and a place, too. Only a forged footer says otherwise.
        if number.max(first_offset.0).max(raw_before) > NUMBER_MAX {
            return Err(NotAFooter::Damaged);
        }
        let received_time = Timestamp(fields.i64()?);
        let (least, greatest) = (fields.i64()?, fields.i64()?);
        let times = (least <= greatest).then_some((Timestamp(least), Timestamp(greatest)));
        let synced_to = Offset(fields.u64()?);
        let synced_blocks = fields.u64()?;
        let epoch = fields.u64()?;
        if epoch > NUMBER_MAX {
            return Err(NotAFooter::Damaged);
        }
        let (cursor_count, key_count) = (fields.u32()?, fields.u32()?);
        let time_rule = if version == 1 { None } else { TimeRule::kept(fields.u64()?) };
        let cursors = fields.cursors(cursor_count)?;
        let keys = fields.keys(key_count)?;
        if !fields.0.is_empty() {
            return Err(NotAFooter::Damaged);
        }
        Ok(Self {
            number,
            first_offset,
            count,
            raw_len,
            stored_len,
            raw_before,
            received_time,
            event_time_least: times.map(|t| t.0),
            event_time_greatest: times.map(|t| t.1),
            time_rule,
            synced_to,
            synced_blocks,
            epoch,
            cursors,
            keys,
        })
    }
}

/// The least progress of these cursors; of those that tell one.
pub(crate) fn progress(cursors: &BTreeMap<Name, Cursor>) -> Option<Timestamp> {
    cursors.values().filter_map(|cursor| cursor.progress).min()
}

/// The length of the footer whose last bytes these are, by its trailer; `None` when they do not end a footer.
pub(crate) fn len_by_trailer(end_of_footer: &[u8]) -> Option<usize> {
    ENVELOPE.len_by_trailer(end_of_footer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn footer() -> Footer {
        let cursor = Cursor { position: r#"{"a":1}"#.into(), progress: Some(Timestamp(-5)) };
        let other = Cursor { position: "[]".into(), progress: None };
        let name = |n| Name::new(n).expect("a name");
        Footer {
            number: 3,
            first_offset: Offset(10),
            count: 2,
            raw_len: 20,
            stored_len: 4,
            raw_before: 100,
            received_time: Timestamp(1_700_000_000_000_000),
            event_time_least: Some(Timestamp(-1)),
            event_time_greatest: Some(Timestamp(1)),
            time_rule: TimeRule::kept(77),
            synced_to: Offset(9),
            synced_blocks: 2,
            epoch: 1,
            cursors: Arc::new([(name("wiki"), cursor), (name("push"), other)].into()),
            keys: vec![IdempotencyKey { key: "k".into(), first_offset: Offset(10), count: 2 }],
        }
    }

    fn sealed() -> Vec<u8> {
        let mut out = b"data".to_vec();
        footer().seal(&mut out, 7, 8).expect("a small footer");
        out.split_off(4)
    }

    #[test]
    fn a_footer_reads_back_as_written() {
        let bytes = sealed();
        let (read, seals) = Footer::open(&bytes, 7).expect("whole");
        assert_eq!(read, footer());
        let chained = bytes.get(..seals.chained_len).expect("within");
        assert_eq!(Running::after(8).over(b"data").over(chained).value(), seals.chain);
        assert_eq!(len_by_trailer(&bytes), Some(bytes.len()));
    }

    #[test]
    fn absent_event_times_stay_absent() {
        let without = Footer { event_time_least: None, event_time_greatest: None, ..footer() };
        let mut out = Vec::new();
        without.seal(&mut out, 1, 1).expect("small");
        assert_eq!(Footer::open(&out, 1).expect("whole").0, without);
    }

    #[test]
    fn any_changed_bit_is_damage() {
        let bytes = sealed();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                *changed.get_mut(at).expect("within") ^= 1 << bit;
                assert_eq!(Footer::open(&changed, 7), Err(NotAFooter::Damaged), "byte {at} bit {bit}");
            }
        }
        assert_eq!(Footer::open(&bytes, 6), Err(NotAFooter::Damaged), "another segment's seed");
    }

    #[test]
    fn every_shorter_run_is_damage() {
        let bytes = sealed();
        for len in 0..bytes.len() {
            assert_eq!(Footer::open(bytes.get(..len).expect("within"), 7), Err(NotAFooter::Damaged), "{len} bytes");
        }
        assert_eq!(Footer::open(&[0; 200], 7), Err(NotAFooter::Damaged));
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        let mut bytes = sealed();
        *bytes.get_mut(15).expect("within") = 3;
        assert_eq!(Footer::open(&bytes, 7), Err(NotAFooter::Damaged), "without its checksum");
        resealed(&mut bytes);
        assert_eq!(Footer::open(&bytes, 7), Err(NotAFooter::Version(3)));
    }

    /// Puts right the footer's own checksum.
    fn resealed(bytes: &mut Vec<u8>) {
        let at = bytes.len() - TRAILER_LEN + 8;
        let checksum = Running::after(7).over(bytes.get(..at).expect("within")).value().to_le_bytes();
        bytes.splice(at..at + 8, checksum);
    }

    #[test]
    fn a_footer_of_version_1_is_read_and_knows_no_rule() {
        let mut bytes = sealed();
        let len = bytes.len() - 8;
        *bytes.get_mut(15).expect("within") = 1;
        bytes.drain(112..120);
        bytes.splice(4..8, (len as u32 - 8).to_le_bytes());
        bytes.splice(len - 16..len - 12, (len as u32).to_le_bytes());
        resealed(&mut bytes);
        assert_eq!(len_by_trailer(&bytes), Some(len));
        let (read, _) = Footer::open(&bytes, 7).expect("whole");
        assert_eq!(read, Footer { time_rule: None, ..footer() });
    }
}
