//! A text column under construction: views into the payloads, and into a side buffer for what had to be unescaped.

use arrow::{
    array::{ByteView, NullBufferBuilder, StringViewArray},
    buffer::Buffer,
    error::ArrowError,
};

/// Longest text that stands in the view itself (Arrow, "Variable-size Binary View Layout").
const INLINE_MAX: usize = 12;

/// Where the number of the buffer stands in the view of a longer one: after length and prefix.
const BUFFER_SHIFT: u32 = 64;

pub(crate) struct TextBuilder<'a> {
    payload: &'a [u8],
    /// Which of the column's buffers the payload is.
    buffer: u32,
    views: Vec<u128>,
    valid: NullBufferBuilder,
    side: Vec<u8>,
    /// The rows whose text is in the side buffer, which comes after all payloads.
    in_side: Vec<usize>,
}

impl<'a> TextBuilder<'a> {
    pub(crate) fn new(rows: usize) -> Self {
        let (views, valid) = (Vec::with_capacity(rows), NullBufferBuilder::new(rows));
        Self { payload: &[], buffer: 0, views, valid, side: Vec::new(), in_side: Vec::new() }
    }

    /// From here on texts are parts of `payload`, the column's buffer of this number.
    pub(crate) fn begin(&mut self, payload: &'a [u8], buffer: u32) {
        (self.payload, self.buffer) = (payload, buffer);
    }

    /// Adds `text`, which is a part of the payload.
    #[inline]
    pub(crate) fn push(&mut self, text: &'a [u8]) {
        let at = text.as_ptr().addr().wrapping_sub(self.payload.as_ptr().addr());
        // More of the payload follows most texts: then sixteen bytes are taken at once, and those that are too many cut.
        let view = match self.payload.get(at..).and_then(<[u8]>::first_chunk::<16>) {
            Some(bytes) if text.len() <= INLINE_MAX => inline(*bytes, text.len()),
            _ => view(text, self.buffer, at),
        };
        self.views.push(view);
        self.valid.append_non_null();
    }

    /// Adds `text`, which is no part of the payload.
    pub(crate) fn push_copy(&mut self, text: &str) {
        if text.len() > INLINE_MAX {
            self.in_side.push(self.views.len());
        }
        self.views.push(view(text.as_bytes(), 0, self.side.len()));
        if text.len() > INLINE_MAX {
            self.side.extend_from_slice(text.as_bytes());
        }
        self.valid.append_non_null();
    }

    pub(crate) fn push_null(&mut self) {
        self.views.push(0);
        self.valid.append_null();
    }

    /// The column. `payloads` are the buffers that were named. Arrow checks every view here: its bounds, its prefix, and
    /// that it is UTF-8.
    pub(crate) fn finish(mut self, payloads: &[Buffer]) -> Result<StringViewArray, ArrowError> {
        let mut buffers = payloads.to_vec();
        if !self.side.is_empty() {
            let side = u128::try_from(buffers.len()).unwrap_or(0) << BUFFER_SHIFT;
            for row in self.in_side {
                self.views[row] |= side;
            }
            buffers.push(self.side.into());
        }
        StringViewArray::try_new(self.views.into(), buffers, self.valid.finish())
    }
}

fn view(text: &[u8], buffer_index: u32, at: usize) -> u128 {
    // A payload is under 4 GiB. So is the side buffer, which is smaller than all payloads together: unescaping never makes longer.
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    match text.first_chunk::<4>() {
        Some(prefix) if text.len() > INLINE_MAX => {
            let offset = u32::try_from(at).unwrap_or(u32::MAX);
            ByteView { length, prefix: u32::from_le_bytes(*prefix), buffer_index, offset }.as_u128()
        }
        _ => {
            let mut bytes = [0; 16];
            bytes[..text.len()].copy_from_slice(text);
            inline(bytes, text.len())
        }
    }
}

/// The view that holds the first `length` of `bytes`, at most twelve: the length in the lowest 32 bits, then the text.
#[inline]
fn inline(bytes: [u8; 16], length: usize) -> u128 {
    let text = u128::from_le_bytes(bytes) & ((1 << (8 * length)) - 1);
    text << 32 | length as u128
}
