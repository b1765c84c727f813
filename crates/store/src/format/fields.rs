//! Numbers and texts as bytes: what footers and indexes are made of, written and read with bounds.
//!
//! Reading takes anything: too few bytes, or text that is none, is [`Damaged`], never a panic and never an allocation
//! beyond what is there.

use std::{collections::BTreeMap, sync::Arc};

use lakehead_model::{Cursor, Name, Offset, Timestamp};

use crate::format::key::IdempotencyKey;

/// Bytes are not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damaged;

/// Appends the bytes of one number.
pub(crate) fn put<const N: usize>(out: &mut Vec<u8>, bytes: [u8; N]) {
    out.extend_from_slice(&bytes);
}

/// Appends a number in as many bytes as it needs: seven bits each, the lowest first (LEB128).
pub(crate) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a signed number so that those near zero are short (zigzag).
pub(crate) fn put_signed(out: &mut Vec<u8>, number: i64) {
    put_varint(out, ((number << 1) ^ (number >> 63)) as u64);
}

/// Appends the cursors of all sources; `None` when a length does not fit its field.
pub(crate) fn put_cursors(out: &mut Vec<u8>, cursors: &BTreeMap<Name, Cursor>) -> Option<()> {
    for (name, cursor) in cursors {
        out.push(u8::try_from(name.as_str().len()).ok()?);
        out.extend_from_slice(name.as_str().as_bytes());
        out.push(u8::from(cursor.progress.is_some()));
        put(out, cursor.progress.map_or(0, |t| t.0).to_le_bytes());
        put(out, u32::try_from(cursor.position.len()).ok()?.to_le_bytes());
        out.extend_from_slice(cursor.position.as_bytes());
    }
    Some(())
}

/// Appends idempotency keys; `None` when a length does not fit its field.
pub(crate) fn put_keys<'a>(out: &mut Vec<u8>, keys: impl Iterator<Item = &'a IdempotencyKey>) -> Option<()> {
    for key in keys {
        put(out, key.first_offset.0.to_le_bytes());
        put(out, key.count.to_le_bytes());
        put(out, u16::try_from(key.key.len()).ok()?.to_le_bytes());
        out.extend_from_slice(key.key.as_bytes());
    }
    Some(())
}

/// Takes numbers and runs of bytes off the front.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Damaged> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        self.take(N)?.try_into().map_err(|_| Damaged)
    }

    pub(crate) fn text(&mut self, len: usize) -> Result<&'a str, Damaged> {
        std::str::from_utf8(self.take(len)?).map_err(|_| Damaged)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Damaged> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Damaged> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Damaged> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Damaged> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Damaged> {
        self.array().map(i64::from_le_bytes)
    }

    pub(crate) fn varint(&mut self) -> Result<u64, Damaged> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits {
                return Err(Damaged);
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Damaged)
    }

    pub(crate) fn signed(&mut self) -> Result<i64, Damaged> {
        let number = self.varint()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    pub(crate) fn cursors(&mut self, count: u32) -> Result<Arc<BTreeMap<Name, Cursor>>, Damaged> {
        let mut cursors = BTreeMap::new();
        for _ in 0..count {
            let len = usize::from(self.u8()?);
            let name = Name::new(self.text(len)?).map_err(|_| Damaged)?;
            let has_progress = self.u8()?;
            let progress = self.i64()?;
            let len = self.u32()? as usize;
            let position = self.text(len)?.into();
            let progress = (has_progress == 1).then_some(Timestamp(progress));
            cursors.insert(name, Cursor { position, progress });
        }
        Ok(Arc::new(cursors))
    }

    pub(crate) fn keys(&mut self, count: u32) -> Result<Vec<IdempotencyKey>, Damaged> {
        let mut keys = Vec::new();
        for _ in 0..count {
            let first_offset = Offset(self.u64()?);
            let count = self.u32()?;
            let len = usize::from(self.u16()?);
            keys.push(IdempotencyKey { key: self.text(len)?.into(), first_offset, count });
        }
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_size_read_back() {
        let mut out = Vec::new();
        let unsigned = [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX];
        let signed = [0, -1, 1, 63, -64, 64, i64::MAX, i64::MIN];
        unsigned.iter().for_each(|n| put_varint(&mut out, *n));
        signed.iter().for_each(|n| put_signed(&mut out, *n));
        let mut fields = Fields(&out);
        assert_eq!(unsigned.map(|_| fields.varint()), unsigned.map(Ok));
        assert_eq!(signed.map(|_| fields.signed()), signed.map(Ok));
        assert!(fields.0.is_empty());
    }

    #[test]
    fn a_number_that_never_ends_or_is_too_large_is_damage() {
        for bytes in
            [&[0x80_u8; 3][..], &[0xff; 11], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], &[]]
        {
            assert_eq!(Fields(bytes).varint(), Err(Damaged), "{bytes:?}");
        }
    }
}
