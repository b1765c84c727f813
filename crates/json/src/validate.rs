//! The door: is this one JSON document, by RFC 8259, in UTF-8?
//!
//! One forward pass without recursion and without memory of its own: which of the open containers are objects stands
//! in the bits of one integer, which is also why nesting is bounded.
//!
//! Why not a library's: on recorded events this checks 1.7 to 2.4 GB/s on one core, sonic-rs 0.5.10 1.2 and serde_json
//! 1.4 to 2.1 without looking at UTF-8 (`examples/json_bench.rs`, November 2026), and neither says what it expected.

use crate::{
    Error,
    scan::space,
    word::{WORD, Word},
};

/// Deepest nesting of objects and arrays that is accepted: 127. RFC 8259, section 9, lets a parser set a limit; this is
/// the greatest that serde_json reads with its default settings, so whatever is accepted here, every reader can parse.
pub const NESTING_MAX: u32 = 127;

/// Checks that `document` is one JSON value as RFC 8259 has it, in UTF-8, nested at most [`NESTING_MAX`] deep, with
/// nothing but white space around it. A lone surrogate written as an escape is grammatical and accepted; a byte order
/// mark is not.
///
/// # Errors
/// The first byte that cannot be, and what could.
pub fn validate(document: &[u8]) -> Result<(), Error> {
    if let Err(wrong) = std::str::from_utf8(document) {
        return Err(Error::at(document, wrong.valid_up_to(), "UTF-8 text"));
    }
    let mut open = Open::default();
    let mut at = space(document, 0);
    'value: loop {
        match document.get(at) {
            Some(b'{') => {
                open.push(Container::Object).ok_or_else(|| too_deep(document, at))?;
                at = space(document, at + 1);
                if document.get(at) != Some(&b'}') {
                    at = member(document, at, "'\"' or '}'")?;
                    continue 'value;
                }
                open.pop();
                at += 1;
            }
            Some(b'[') => {
                open.push(Container::Array).ok_or_else(|| too_deep(document, at))?;
                at = space(document, at + 1);
                if document.get(at) != Some(&b']') {
                    continue 'value;
                }
                open.pop();
                at += 1;
            }
            Some(b'"') => at = string(document, at + 1)?,
            Some(b'-' | b'0'..=b'9') => at = number(document, at)?,
            Some(b't') => at = literal(document, at, b"true", "true")?,
            Some(b'f') => at = literal(document, at, b"false", "false")?,
            Some(b'n') => at = literal(document, at, b"null", "null")?,
            _ => return Err(Error::no_value(document, at)),
        }
        loop {
            at = space(document, at);
            let byte = document.get(at);
            match open.innermost() {
                None if byte.is_none() => return Ok(()),
                None => return Err(Error::at(document, at, "the end of the document")),
                Some(Container::Object) => match byte {
                    Some(b',') => {
                        at = member(document, space(document, at + 1), "'\"'")?;
                        continue 'value;
                    }
                    Some(b'}') => open.pop(),
                    _ => return Err(Error::at(document, at, "',' or '}'")),
                },
                Some(Container::Array) => match byte {
                    Some(b',') => {
                        at = space(document, at + 1);
                        continue 'value;
                    }
                    Some(b']') => open.pop(),
                    _ => return Err(Error::at(document, at, "',' or ']'")),
                },
            }
            at += 1;
        }
    }
}

fn too_deep(document: &[u8], at: usize) -> Error {
    Error::at(document, at, "at most 127 levels of nesting")
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Container {
    Array,
    Object,
}

/// The containers that are open, innermost in the lowest bit: 1 for an object, 0 for an array, and above the outermost
/// one a 1 that marks the end. So 127 of them fit.
struct Open(u128);

impl Default for Open {
    fn default() -> Self {
        Self(1)
    }
}

impl Open {
    #[inline]
    fn push(&mut self, container: Container) -> Option<()> {
        if self.0.leading_zeros() == 0 {
            return None;
        }
        self.0 = self.0 << 1 | u128::from(container == Container::Object);
        Some(())
    }

    #[inline]
    fn pop(&mut self) {
        self.0 >>= 1;
    }

    #[inline]
    fn innermost(&self) -> Option<Container> {
        match (self.0, self.0 & 1) {
            (1, _) => None,
            (_, 1) => Some(Container::Object),
            _ => Some(Container::Array),
        }
    }
}

/// Steps over a key and its colon to where the value begins.
#[inline]
fn member(document: &[u8], at: usize, expected: &'static str) -> Result<usize, Error> {
    if document.get(at) != Some(&b'"') {
        return Err(Error::at(document, at, expected));
    }
    let at = space(document, string(document, at + 1)?);
    if document.get(at) != Some(&b':') {
        return Err(Error::at(document, at, "':'"));
    }
    Ok(space(document, at + 1))
}

/// Steps over a string's text, from after its opening quote to after its closing one.
#[inline(always)]
fn string(document: &[u8], mut at: usize) -> Result<usize, Error> {
    while let Some(word) = Word::at(document, at) {
        match word.plain() {
            None => at += WORD,
            Some(plain) => {
                at += plain;
                match document.get(at) {
                    Some(b'"') => return Ok(at + 1),
                    Some(b'\\') => at = escape(document, at + 1)?,
                    _ => break,
                }
            }
        }
    }
    string_tail(document, at)
}

/// The same byte by byte, for the last bytes of a document.
fn string_tail(document: &[u8], mut at: usize) -> Result<usize, Error> {
    loop {
        match document.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => at = escape(document, at + 1)?,
            Some(0..=0x1f) => return Err(Error::at(document, at, "an escape for a control character")),
            Some(_) => at += 1,
            None => return Err(Error::at(document, at, "'\"'")),
        }
    }
}

/// Steps over an escape, from after its backslash.
fn escape(document: &[u8], at: usize) -> Result<usize, Error> {
    match document.get(at) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 1),
        Some(b'u') => match (at + 1..at + 5).find(|at| !document.get(*at).is_some_and(u8::is_ascii_hexdigit)) {
            None => Ok(at + 5),
            Some(at) => Err(Error::at(document, at, "a hexadecimal digit")),
        },
        _ => Err(Error::at(document, at, "one of \"\\/bfnrtu after a backslash")),
    }
}

#[inline]
fn number(document: &[u8], mut at: usize) -> Result<usize, Error> {
    if document.get(at) == Some(&b'-') {
        at += 1;
    }
    at = match document.get(at) {
        Some(b'0') => at + 1,
        _ => digits(document, at)?,
    };
    if document.get(at) == Some(&b'.') {
        at = digits(document, at + 1)?;
    }
    if let Some(b'e' | b'E') = document.get(at) {
        at += 1;
        if let Some(b'+' | b'-') = document.get(at) {
            at += 1;
        }
        at = digits(document, at)?;
    }
    Ok(at)
}

/// Steps over one digit or more.
#[inline]
fn digits(document: &[u8], from: usize) -> Result<usize, Error> {
    let mut at = from;
    while document.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    if at == from { Err(Error::at(document, at, "a digit")) } else { Ok(at) }
}

#[inline]
fn literal(document: &[u8], at: usize, word: &[u8], expected: &'static str) -> Result<usize, Error> {
    let end = at + word.len();
    if document.get(at..end) == Some(word) {
        return Ok(end);
    }
    match document.get(at..) {
        Some(cut) if word.starts_with(cut) => Err(Error::at(document, document.len(), expected)),
        _ => Err(Error::no_value(document, at)),
    }
}
