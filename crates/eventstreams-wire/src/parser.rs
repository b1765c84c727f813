//! Reads frames from bytes, however they are split: HTML Living Standard, section 9.2.5 and 9.2.6.
//!
//! A [`Parser`] is fed what a socket brings and gives frames that borrow from it: a frame that lies whole in one piece
//! is never copied, only one that crosses pieces is put together first. Lines may end with LF, CRLF or CR, a byte order
//! mark at the very start is skipped, comments and unknown fields are passed over.
//!
//! Memory is bounded: of a frame greater than the limit only the head is kept, its size is counted, and it is given as
//! [`Data::TooLarge`]. A frame that is cut off, as a connection ends, was never there; its id is not to be remembered,
//! which is why this parser does not remember ids at all: the id belongs to the frame.

use std::borrow::Cow;

use memchr::memchr2;

use crate::frame::{Data, Frame, HEAD_BYTES};

/// Finds frames in a byte stream.
#[derive(Debug)]
pub struct Parser {
    frame_bytes_max: usize,
    /// What has come of a frame that is not whole yet; at most `frame_bytes_max`, or `HEAD_BYTES` once it passed that.
    open: Vec<u8>,
    /// How many bytes of the open frame were dropped.
    dropped: u64,
    /// `open` was given out as a frame and is empty from now on.
    spent: bool,
    /// Nothing but line ends since the last line end: the next one ends the frame.
    line_empty: bool,
    /// The last byte was a CR; an LF after it belongs to it.
    after_cr: bool,
    /// Nothing was given out yet, so there may be a byte order mark.
    at_start: bool,
    /// Whether the open frame has data, once some of it was dropped.
    fields: Fields,
    /// Whether frames without data are given, too.
    gives_dataless: bool,
}

/// Looks for data in a frame of which not everything is kept, so that one whose id alone passes the limit is not taken for one
/// that has none.
#[derive(Debug, Default)]
struct Fields {
    /// The beginning of the line, as far as a name that is looked for goes, and one byte more.
    line: [u8; 5],
    length: usize,
    has_data: bool,
}

impl Fields {
    fn read(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while !rest.is_empty() && !self.has_data {
            let end = memchr2(b'\n', b'\r', rest);
            let line = &rest[..end.unwrap_or(rest.len())];
            let more = line.len().min(self.line.len() - self.length);
            self.line[self.length..self.length + more].copy_from_slice(&line[..more]);
            self.length += more;
            self.has_data = &self.line[..self.length] == b"data:";
            let Some(end) = end else { return };
            self.has_data |= &self.line[..self.length] == b"data";
            self.length = 0;
            rest = &rest[end + 1..];
        }
    }
}

impl Parser {
    /// A parser for a new connection that keeps frames of up to `frame_bytes_max` bytes.
    #[must_use]
    pub fn new(frame_bytes_max: usize) -> Self {
        Self {
            frame_bytes_max,
            open: Vec::new(),
            dropped: 0,
            spent: false,
            line_empty: true,
            after_cr: false,
            at_start: true,
            fields: Fields::default(),
            gives_dataless: false,
        }
    }

    /// Also gives frames that have an id or a time to retry after, and no data: they move a client's position, and are given with
    /// empty data.
    #[must_use]
    pub fn with_dataless(self) -> Self {
        Self { gives_dataless: true, ..self }
    }

    /// The next frame that has data, or `None` when all of `input` was read. Takes from `input` what it used.
    pub fn next<'f, 'i: 'f>(&'f mut self, input: &mut &'i [u8]) -> Option<Frame<'f>> {
        loop {
            if self.spent {
                self.open.clear();
                self.dropped = 0;
                self.fields = Fields::default();
                self.spent = false;
            }
            // The LF of a CRLF whose CR ended the last frame.
            if self.after_cr && self.open.is_empty() && self.line_empty && input.first() == Some(&b'\n') {
                *input = &input[1..];
                self.after_cr = false;
            }
            let Some(end) = self.find_end(input) else {
                self.keep(input);
                *input = &[];
                return None;
            };
            let (frame, rest) = input.split_at(end);
            *input = rest;
            let start = std::mem::take(&mut self.at_start);
            if !self.open.is_empty() {
                self.keep(frame);
                self.spent = true;
            } else if frame.len() > self.frame_bytes_max {
                // Whole in one piece, yet too large.
                let dropped = (frame.len() - HEAD_BYTES.min(frame.len())) as u64;
                if !has_data(strip(frame, start)) {
                    continue;
                }
                return Some(parse_head(strip(&frame[..HEAD_BYTES.min(frame.len())], start), dropped));
            } else {
                match parse(strip(frame, start), self.gives_dataless) {
                    Some(frame) => return Some(frame),
                    None => continue,
                }
            }
            // The open frame is whole now. The borrow checker wants to see first that it has data.
            if self.dropped > 0 {
                if self.fields.has_data {
                    return Some(parse_head(strip(&self.open, start), self.dropped));
                }
            } else if is_given(strip(&self.open, start), self.gives_dataless) {
                return parse(strip(&self.open, start), self.gives_dataless);
            }
        }
    }

    /// Where the open frame ends in `input`: just after its blank line.
    fn find_end(&mut self, input: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(found) = memchr2(b'\n', b'\r', &input[at..]) {
            let byte = input[at + found];
            let blank = self.line_empty && found == 0;
            at += found + 1;
            if byte == b'\n' && found == 0 && std::mem::take(&mut self.after_cr) {
                continue;
            }
            self.after_cr = byte == b'\r';
            self.line_empty = true;
            if blank {
                return Some(at);
            }
        }
        if at < input.len() {
            self.line_empty = false;
            self.after_cr = false;
        }
        None
    }

    /// Adds to the open frame, within the bound.
    fn keep(&mut self, piece: &[u8]) {
        let room = if self.dropped > 0 { 0 } else { self.frame_bytes_max.saturating_sub(self.open.len()) };
        if piece.len() <= room {
            self.open.extend_from_slice(piece);
            return;
        }
        if self.dropped == 0 {
            self.fields.read(strip(&self.open, self.at_start));
        }
        self.fields.read(if self.open.is_empty() { strip(piece, self.at_start) } else { piece });
        let before = self.open.len() as u64 + self.dropped + piece.len() as u64;
        let head = HEAD_BYTES.min(self.frame_bytes_max);
        let missing = head.saturating_sub(self.open.len()).min(piece.len());
        self.open.extend_from_slice(&piece[..missing]);
        self.open.truncate(head);
        self.open.shrink_to(head);
        self.dropped = before - self.open.len() as u64;
    }
}

/// Whether `piece` is nothing but whole comments: what servers of Server-Sent Events send so that a quiet connection is not
/// cut.
#[must_use]
pub fn is_only_comments(piece: &[u8]) -> bool {
    piece.starts_with(b":")
        && matches!(piece.last(), Some(b'\n' | b'\r'))
        && Lines(piece).all(|line| matches!(line, [] | [b':', ..]))
}

/// The frame without a byte order mark, if this is the first one.
fn strip(frame: &[u8], at_start: bool) -> &[u8] {
    if at_start { frame.strip_prefix(b"\xef\xbb\xbf").unwrap_or(frame) } else { frame }
}

fn has_data(frame: &[u8]) -> bool {
    Lines(frame).any(|line| matches!(field(line), (b"data", _)))
}

/// Whether [`parse`] finds a frame in these lines.
fn is_given(frame: &[u8], dataless: bool) -> bool {
    has_data(frame)
        || dataless
            && Lines(frame).any(|line| match field(line) {
                (b"id", value) => !value.contains(&0),
                (b"retry", value) => millis(value).is_some(),
                _ => false,
            })
}

/// Reads the lines of one whole frame. `None` when there is no data in it: a comment, or nothing to dispatch. With `dataless` an
/// id or a time to retry after is enough.
fn parse(frame: &[u8], dataless: bool) -> Option<Frame<'_>> {
    let mut event: &[u8] = b"";
    let (mut id, mut retry) = (None, None);
    let mut data: Option<Cow<'_, [u8]>> = None;
    for line in Lines(frame) {
        match field(line) {
            (b"data", value) => match &mut data {
                None => data = Some(Cow::Borrowed(value)),
                Some(all) => {
                    let all = all.to_mut();
                    all.push(b'\n');
                    all.extend_from_slice(value);
                }
            },
            (b"event", value) => event = value,
            (b"id", value) if !value.contains(&0) => id = Some(value),
            (b"retry", value) => retry = millis(value).or(retry),
            _ => {}
        }
    }
    if data.is_none() && dataless && (id.is_some() || retry.is_some()) {
        data = Some(Cow::Borrowed(b""));
    }
    Some(Frame { event, id, retry, data: Data::Whole(data?) })
}

/// The value of `retry:`: digits alone. What passes 64 bits is the greatest that they hold.
fn millis(value: &[u8]) -> Option<u64> {
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    is_number
        .then(|| value.iter().fold(0, |all: u64, digit| all.saturating_mul(10).saturating_add(u64::from(digit - b'0'))))
}

/// Reads the head of a frame that has data and of which `dropped` bytes were not kept: as much as says what it was. A field
/// that the head does not hold whole is none.
fn parse_head(head: &[u8], dropped: u64) -> Frame<'_> {
    let whole = memchr::memrchr2(b'\n', b'\r', head).map_or(0, |end| end + 1);
    let (mut event, mut id, mut retry, mut data): (&[u8], _, _, _) = (b"", None, None, None);
    for line in Lines(&head[..whole]) {
        match field(line) {
            (b"data", value) => data = data.or(Some(value)),
            (b"event", value) => event = value,
            (b"id", value) if !value.contains(&0) => id = Some(value),
            (b"retry", value) => retry = millis(value).or(retry),
            _ => {}
        }
    }
    let cut = match field(&head[whole..]) {
        (b"data", value) => Some(value),
        _ => None,
    };
    // The first data line is enough to say what it was; without one, the frame itself.
    let head_of_data = data.or(cut).unwrap_or(head);
    Frame { event, id, retry, data: Data::TooLarge { head: head_of_data, frame_bytes: head.len() as u64 + dropped } }
}

/// A line's name and value: one blank after the colon is not part of the value.
fn field(line: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b':', line) {
        None => (line, b""),
        Some(colon) => {
            let value = &line[colon + 1..];
            (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
        }
    }
}

/// The lines of a frame, without their ends.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let end = memchr2(b'\n', b'\r', self.0).unwrap_or(self.0.len());
        let (line, rest) = self.0.split_at(end);
        self.0 = rest.strip_prefix(b"\r\n").unwrap_or(rest.get(1..).unwrap_or_default());
        Some(line)
    }
}

#[cfg(test)]
mod tests;
