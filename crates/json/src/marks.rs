//! The marks of a document: its brackets and colons outside of strings, found 64 bytes at a time.
//!
//! Reading a value's neighbours one by one costs more than finding all marks of 64 bytes at once, and between two marks
//! lies what nobody asked for. The masks are made with the widest vectors that the processor has (AVX-512, AVX2, SSE2,
//! NEON), or without any where there are none.
//!
//! ```text
//! document   { " a { " : [ 1 , " \ " " ] , " b " : 2 }
//! quotes       1     1         1     1     1   1          a quote after a backslash is none
//! text         1 1 1           1 1 1       1 1            from an opening quote up to the closing one
//! marks      1         1 1             1         1   1    { } [ ] : outside of text
//! ```

use fearless_simd::{Simd, prelude::*, u8x64};

use crate::scan;

/// How many bytes are looked at in one step: as many as a mask has bits.
const STEP: usize = 64;

/// Goes through the marks of a document from its start, forward only.
pub(crate) struct Marks<'d, S> {
    pub(crate) simd: S,
    document: &'d [u8],
    /// Where the step begins that the masks are of; the n-th bit of a mask stands for the n-th byte from here.
    base: usize,
    /// Where the next step begins.
    next: usize,
    /// The marks of this step that are still ahead.
    ahead: u64,
    opens: u64,
    closes: u64,
    quotes: u64,
    backslashes: u64,
    /// The quotes and backslashes of the step before this one.
    quotes_before: u64,
    backslashes_before: u64,
    /// All bits when the next step begins inside of a string, else none.
    in_string: u64,
    /// One when the last byte of this step escapes the first of the next.
    escape: u64,
}

impl<'d, S: Simd> Marks<'d, S> {
    #[inline(always)]
    pub(crate) fn new(simd: S, document: &'d [u8]) -> Self {
        Self {
            simd,
            document,
            base: 0,
            next: 0,
            ahead: 0,
            opens: 0,
            closes: 0,
            quotes: 0,
            backslashes: 0,
            quotes_before: 0,
            backslashes_before: 0,
            in_string: 0,
            escape: 0,
        }
    }

    /// The position of the next mark; `None` when there are no more.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Option<usize> {
        while self.ahead == 0 {
            self.step()?;
        }
        let at = self.base + self.ahead.trailing_zeros() as usize;
        self.ahead &= self.ahead - 1;
        Some(at)
    }

    /// Steps over what is left of `depth` containers; answers just past the bracket that closes the outermost.
    #[inline(always)]
    pub(crate) fn leave(&mut self, mut depth: u32) -> usize {
        loop {
            let (opens, mut closes) = (self.opens & self.ahead, self.closes & self.ahead);
            if closes.count_ones() < depth {
                depth = depth + opens.count_ones() - closes.count_ones();
            } else {
                let mut closed = 0;
                while closes != 0 {
                    let lowest = closes & closes.wrapping_neg();
                    closed += 1;
                    if depth + (opens & (lowest - 1)).count_ones() <= closed {
                        // All marks up to this one are behind now.
                        self.ahead &= !(lowest | (lowest - 1));
                        return self.base + lowest.trailing_zeros() as usize + 1;
                    }
                    closes &= closes - 1;
                }
                depth = depth + opens.count_ones() - closed;
            }
            if self.step().is_none() {
                return self.document.len();
            }
        }
    }

    /// Where the key begins and ends whose colon, the mark just passed, stands at `colon`; and whether it may hold
    /// escapes.
    #[inline(always)]
    pub(crate) fn key_before(&self, colon: usize) -> (usize, usize, bool) {
        let mut end = colon.saturating_sub(1);
        while end > 0 && matches!(self.document.get(end), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            end -= 1;
        }
        if end > self.base {
            let before = self.quotes & ((1 << (end - self.base)) - 1);
            if before != 0 {
                let start = self.base + STEP - before.leading_zeros() as usize;
                return (start, end, self.backslashes != 0);
            }
        }
        if let Some(base) = self.base.checked_sub(STEP)
            && end > base
        {
            // All of the step before, or what of it lies before a quote that is there.
            let before = self.quotes_before & (u64::MAX >> (self.base.saturating_sub(end)).min(STEP - 1));
            if before != 0 {
                let start = base + STEP - before.leading_zeros() as usize;
                return (start, end, (self.backslashes | self.backslashes_before) != 0);
            }
        }
        // The key began in an earlier step yet.
        (scan::string_start(self.document, end), end, true)
    }

    /// Just past the closing quote of the string that opens at `at`, after the mark just passed; and whether there are
    /// escapes in it. There is no mark in a string, so none is lost on the way.
    #[inline(always)]
    pub(crate) fn string_end(&mut self, at: usize) -> (usize, bool) {
        let mut from = at + 1;
        let mut escaped = false;
        loop {
            if from < self.base + STEP {
                let ahead = u64::MAX << (from.saturating_sub(self.base));
                let quotes = self.quotes & ahead;
                if quotes != 0 {
                    let text = ahead & (quotes & quotes.wrapping_neg()).wrapping_sub(1);
                    let end = self.base + quotes.trailing_zeros() as usize + 1;
                    return (end, escaped || self.backslashes & text != 0);
                }
                escaped |= self.backslashes & ahead != 0;
            }
            if self.step().is_none() {
                return (self.document.len(), escaped);
            }
            from = from.max(self.base);
        }
    }

    /// Goes to the next step.
    #[inline(always)]
    fn step(&mut self) -> Option<()> {
        self.ahead = 0;
        let rest = self.document.get(self.next..).filter(|rest| !rest.is_empty())?;
        let mut last = [b' '; STEP];
        let bytes = match rest.first_chunk::<STEP>() {
            Some(bytes) => bytes,
            None => {
                last[..rest.len()].copy_from_slice(rest);
                &last
            }
        };
        self.base = self.next;
        self.next += STEP;
        (self.quotes_before, self.backslashes_before) = (self.quotes, self.backslashes);

        let bytes = u8x64::from_slice(self.simd, bytes);
        let mask = |bytes: u8x64<S>, byte: u8| bytes.simd_eq(byte).to_bitmask();
        self.backslashes = mask(bytes, b'\\');
        self.quotes = mask(bytes, b'"') & !escaped(self.backslashes, &mut self.escape);
        let text = odd_up_to(self.quotes) ^ self.in_string;
        self.in_string = 0_u64.wrapping_sub(text >> 63);
        // Square brackets and curly ones differ in this bit only.
        let curly = bytes | 0x20;
        self.opens = mask(curly, b'{') & !text;
        self.closes = mask(curly, b'}') & !text;
        self.ahead = (mask(bytes, b':') & !text) | self.opens | self.closes;
        Some(())
    }
}

/// The bytes that a backslash before them escapes. `carry` is one when the byte before the step escapes its first, and
/// becomes the same for the next step.
#[inline(always)]
fn escaped(mut backslashes: u64, carry: &mut u64) -> u64 {
    let mut escaped = *carry;
    backslashes &= !*carry;
    *carry = 0;
    // Backslashes are rare: one turn for each that escapes.
    while backslashes != 0 {
        let lowest = backslashes & backslashes.wrapping_neg();
        *carry = lowest >> 63;
        escaped |= lowest << 1;
        backslashes &= !(lowest | lowest << 1);
    }
    escaped
}

/// Sets each bit that has an odd number of ones at or below it: the opening quote and the text up to the closing one.
#[inline(always)]
fn odd_up_to(mut ones: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        ones ^= ones << shift;
    }
    ones
}
