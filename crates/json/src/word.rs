//! Eight bytes looked at as one number: which of them are quotes, backslashes, brackets.
//!
//! Most strings in events are short, and for those this is faster than calling a vectorised search, which would have
//! to be set up each time. It needs no processor feature and no `unsafe`; long runs are left to `memchr`.

/// How many bytes are looked at.
pub(crate) const WORD: usize = 8;

const ONES: u64 = 0x0101_0101_0101_0101;
const LOW_BITS: u64 = 0x7f7f_7f7f_7f7f_7f7f;
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

    /// How many bytes come before the first quote or backslash, if there is one: where a string's plain text stops.
    #[inline(always)]
    pub(crate) fn plain(self) -> Option<usize> {
        first(self.maybe(b'"') | self.maybe(b'\\'))
    }

    /// The same, and a control character stops it too.
    #[inline(always)]
    pub(crate) fn plain_without_controls(self) -> Option<usize> {
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

    /// Exactly the bytes that are `byte`: the n-th of eight bits for the n-th byte.
    #[inline(always)]
    pub(crate) fn equal(self, byte: u8) -> u64 {
        let zero = self.0 ^ (ONES * u64::from(byte));
        gather(!((zero & LOW_BITS) + LOW_BITS | zero) & HIGH_BITS)
    }

    /// Opening and closing brackets, square and curly, as [`equal`](Self::equal) has them. The kinds differ in one bit.
    #[inline(always)]
    pub(crate) fn brackets(self) -> (u64, u64) {
        let curly = Self(self.0 | ONES * 0x20);
        (curly.equal(b'{'), curly.equal(b'}'))
    }
}

#[inline(always)]
fn first(marks: u64) -> Option<usize> {
    let marks = marks & HIGH_BITS;
    if marks == 0 { None } else { Some(marks.trailing_zeros() as usize / 8) }
}

/// Brings the highest bits of the bytes together: the multiplication adds each of them, shifted to its place, into the
/// highest byte, and no two into the same bit.
#[inline(always)]
fn gather(high_bits: u64) -> u64 {
    (high_bits >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
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
        assert_eq!(word.plain(), bytes.iter().position(stop), "{bytes:?}");
        assert_eq!(word.plain_without_controls(), bytes.iter().position(|b| stop(b) || *b < b' '), "{bytes:?}");
        let mask = |wanted: &[u8]| (0..WORD).fold(0, |mask, n| mask | u64::from(wanted.contains(&bytes[n])) << n);
        assert_eq!(word.equal(b'"'), mask(b"\""), "{bytes:?}");
        assert_eq!(word.equal(b'\\'), mask(b"\\"), "{bytes:?}");
        assert_eq!(word.brackets(), (mask(b"{["), mask(b"}]")), "{bytes:?}");
    }

    #[test]
    fn fewer_than_eight_bytes_are_not_looked_at() {
        assert!(Word::at(&[0; 8], 0).is_some());
        assert!(Word::at(&[0; 8], 1).is_none());
        assert!(Word::at(&[0; 8], usize::MAX).is_none());
    }
}
