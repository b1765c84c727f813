//! Steps over JSON text: white space, strings, whole values. On valid text each lands just past what it steps over; on
//! any other it still moves forward and never past the end.

use crate::word::{WORD, Word};

/// The first position at or after `at` that holds no white space.
#[inline(always)]
pub(crate) fn space(document: &[u8], at: usize) -> usize {
    match document.get(at) {
        Some(0..=b' ') => more_space(document, at),
        _ => at,
    }
}

fn more_space(document: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = document.get(at) {
        at += 1;
    }
    at
}

/// How many bytes of a string are looked at word by word before the rest is searched by `memchr`: almost all keys and
/// most values of events are shorter.
const SHORT: usize = 3 * WORD;

/// Just past the closing quote of the string whose text begins at `at` (after its opening quote), or the end; and
/// whether there are escapes in it.
#[inline(always)]
pub(crate) fn string_end(document: &[u8], at: usize) -> (usize, bool) {
    let mut near = at;
    while near < at + SHORT
        && let Some(word) = Word::at(document, near)
    {
        if let Some(plain) = word.plain() {
            let stop = near + plain;
            return if document.get(stop) == Some(&b'"') { (stop + 1, false) } else { escaped_end(document, stop) };
        }
        near += WORD;
    }
    long_string_end(document, near)
}

#[inline(never)]
fn long_string_end(document: &[u8], at: usize) -> (usize, bool) {
    let rest = document.get(at..).unwrap_or_default();
    match memchr::memchr2(b'"', b'\\', rest) {
        Some(n) if rest[n] == b'"' => (at + n + 1, false),
        Some(n) => escaped_end(document, at + n),
        None => (document.len(), false),
    }
}

/// The same, from a backslash on.
#[inline(never)]
fn escaped_end(document: &[u8], mut at: usize) -> (usize, bool) {
    while let Some(rest) = document.get(at..) {
        match memchr::memchr2(b'"', b'\\', rest) {
            None => break,
            Some(n) if rest[n] == b'"' => return (at + n + 1, true),
            Some(n) => at += n + 2,
        }
    }
    (document.len(), true)
}

/// Just past the value that begins at `at`, and whether it is a string with escapes.
#[inline(always)]
pub(crate) fn value_end(document: &[u8], at: usize) -> (usize, bool) {
    match document.get(at) {
        Some(b'"') => string_end(document, at + 1),
        Some(b'{' | b'[') => (container_end(document, at + 1, 1), false),
        Some(_) => (scalar_end(document, at), false),
        None => (document.len(), false),
    }
}

/// Just past a number, `true`, `false` or `null` that begins at `at`.
#[inline(always)]
fn scalar_end(document: &[u8], mut at: usize) -> usize {
    while let Some(byte) = document.get(at) {
        if matches!(byte, b',' | b'}' | b']' | 0..=b' ') {
            break;
        }
        at += 1;
    }
    at
}

/// How many bytes [`container_end`] looks at in one step: as many as a mask has bits.
const STEP: usize = 64;

/// Just past the bracket that closes the `depth` objects and arrays that are open at `at`, outside of any string.
///
/// Looks at 64 bytes in one step: brackets in strings do not count, and whether a byte is in a string is whether the
/// quotes before it are odd in number, escaped ones left out.
pub(crate) fn container_end(document: &[u8], mut at: usize, mut depth: usize) -> usize {
    // Whether the step begins in a string, as a mask of all or no bits; and whether its first byte is escaped.
    let mut in_string = 0_u64;
    let mut escape = 0_u64;
    while let Some(masks) = Masks::at(document, at) {
        let quotes = masks.quotes & !escaped(masks.backslashes, &mut escape);
        let text = odd_before(quotes) ^ in_string;
        in_string = 0_u64.wrapping_sub(text >> 63);
        let (opens, mut closes) = (masks.opens & !text, masks.closes & !text);
        if (closes.count_ones() as usize) < depth {
            depth = depth + opens.count_ones() as usize - closes.count_ones() as usize;
        } else {
            let mut closed = 0;
            while closes != 0 {
                let place = closes.trailing_zeros();
                closed += 1;
                let opened = (opens & ((1_u64 << place) - 1)).count_ones() as usize;
                if depth + opened <= closed {
                    return at + place as usize + 1;
                }
                closes &= closes - 1;
            }
            depth = depth + opens.count_ones() as usize - closed;
        }
        at += STEP;
    }
    if in_string != 0 {
        // An escaped first byte is stepped over with its backslash, which stands before it.
        at = if escape == 0 { string_end(document, at).0 } else { escaped_end(document, at - 1).0 };
    }
    tail_end(document, at, depth)
}

/// The same byte by byte, for the last bytes of a document.
fn tail_end(document: &[u8], mut at: usize, mut depth: usize) -> usize {
    while let Some(byte) = document.get(at) {
        at += 1;
        match byte {
            b'"' => at = string_end(document, at).0,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return at,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
    }
    document.len()
}

/// What stands where in 64 bytes; the n-th bit stands for the n-th byte.
struct Masks {
    quotes: u64,
    backslashes: u64,
    opens: u64,
    closes: u64,
}

impl Masks {
    #[inline(always)]
    fn at(document: &[u8], at: usize) -> Option<Self> {
        let step = document.get(at..)?.first_chunk::<STEP>()?;
        let mut masks = Self { quotes: 0, backslashes: 0, opens: 0, closes: 0 };
        for place in (0..STEP).step_by(WORD) {
            let word = Word::at(step, place)?;
            let (opens, closes) = word.brackets();
            masks.quotes |= word.equal(b'"') << place;
            masks.backslashes |= word.equal(b'\\') << place;
            masks.opens |= opens << place;
            masks.closes |= closes << place;
        }
        Some(masks)
    }
}

/// The bytes that a backslash before them escapes. `carry` is 1 when the byte before the step escapes its first, and
/// becomes the same for the next step.
#[inline(always)]
fn escaped(mut backslashes: u64, carry: &mut u64) -> u64 {
    let mut escaped = *carry;
    backslashes &= !*carry;
    *carry = 0;
    // Backslashes are rare and a run of them rarer: one turn for each that escapes.
    while backslashes != 0 {
        let place = backslashes.trailing_zeros();
        if place == 63 {
            *carry = 1;
            break;
        }
        escaped |= 2 << place;
        backslashes &= !(3 << place);
    }
    escaped
}

/// Sets each bit that has an odd number of ones at or below it: all that follows an opening quote, up to the closing.
#[inline(always)]
fn odd_before(mut ones: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        ones ^= ones << shift;
    }
    ones
}
