//! Eight bytes looked at as one number: where a string's plain text stops.
//!
//! Most strings in events are short, and for those this is faster than calling a vectorised search, which would have
//! to be set up each time. It needs no processor feature and no `unsafe`; long runs are left to `memchr`.

/// How many bytes are looked at.
pub(crate) const WORD: usize = 8;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Eight bytes, the first one in the lowest bits.
#[derive(Clone, Copy)]
pub(crate) struct Word(u64);

impl Word {
    /// The eight bytes of `document` from `at`; `None` when there are fewer.
    #[inline(always)]
    pub(crate) fn at(document: &[u8], at: usize) -> Option<Self> {
        Some(Self(u64::from_le_bytes(*document.get(at..)?.first_chunk()?)))
    }

    /// How many bytes come before the first quote, backslash or control character, if there is one: where a string's
    /// plain text stops.
    #[inline(always)]
    pub(crate) fn plain(self) -> Option<usize> {
        let below_blank = self.0.wrapping_sub(ONES * 0x20) & !self.0;
        first(self.maybe(b'"') | self.maybe(b'\\') | below_blank)
    }

    /// The highest bit of each byte that is `byte`. Bytes after the first such one may be marked wrongly, since the
    /// subtraction borrows from them; so only the first mark counts.
    #[inline(always)]
    fn maybe(self, byte: u8) -> u64 {
        let zero = self.0 ^ (ONES * u64::from(byte));
        zero.wrapping_sub(ONES) & !zero
    }
}

#[inline(always)]
fn first(marks: u64) -> Option<usize> {
    let marks = marks & HIGH_BITS;
    if marks == 0 { None } else { Some(marks.trailing_zeros() as usize / 8) }
}

#[cfg(test)]
mod tests {
    use super::{WORD, Word};

    #[test]
    fn every_byte_in_every_place_is_seen_as_by_a_plain_loop() {
        for byte in 0..=u8::MAX {
            for place in 0..WORD {
                for ground in [b'a', b'"', b'\\', 0, 0xff, b'{', b']', b'!', b'#', b'[', 0x1f, b' ', byte ^ 1] {
                    let mut bytes = [ground; WORD];
                    bytes[place] = byte;
                    check(bytes);
                }
            }
        }
    }

    #[track_caller]
    fn check(bytes: [u8; WORD]) {
        let word = Word::at(&bytes, 0).expect("eight bytes");
        let stop = |byte: &u8| matches!(byte, b'"' | b'\\');
        assert_eq!(word.plain(), bytes.iter().position(|b| stop(b) || *b < b' '), "{bytes:?}");
    }

    #[test]
    fn fewer_than_eight_bytes_are_not_looked_at() {
        assert!(Word::at(&[0; 8], 0).is_some());
        assert!(Word::at(&[0; 8], 1).is_none());
        assert!(Word::at(&[0; 8], usize::MAX).is_none());
    }
}
