//! A JSON array as JSON lines: its elements, each on one line, in whatever way the array is laid out.
//!
//! ```text
//!   [ {"a":1,            {"a":1,"b":"x y"}
//!      "b":"x y"},   ─▶  [2,3]
//!     [2, 3] ]
//! ```
//!
//! White space outside of texts is left out; all else of an element stays as it is, and whether it is JSON is for the caller. Memory is bounded by what is read at once, whatever the array holds.

use std::io::{self, Read};

/// Read at once.
const READ_BYTES: usize = 64 << 10;

/// Where in the array it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before its opening bracket.
    Before,
    /// Behind the bracket: an element comes, or the end.
    First,
    /// Behind a comma: an element comes.
    Next,
    /// In an element, so many brackets deep.
    Element(u64),
    /// In a text of an element, so many brackets deep; whether the next byte is escaped.
    Text(u64, bool),
    /// Behind its closing bracket.
    Behind,
}

/// Reads an array as lines.
pub(crate) struct Elements<R> {
    input: R,
    place: Place,
    out: Vec<u8>,
    given: usize,
    ended: bool,
    /// Why nothing more comes; said when what is whole before it is given.
    failed: Option<io::Error>,
}

impl<R: Read> Elements<R> {
    /// `input` begins with white space, if any, and the array's bracket.
    pub(crate) fn new(input: R) -> Self {
        Self { input, place: Place::Before, out: Vec::new(), given: 0, ended: false, failed: None }
    }

    fn take(&mut self, byte: u8) -> io::Result<()> {
        let is_space = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        self.place = match (self.place, byte) {
            (Place::Text(depth, true), _) => self.put(byte, Place::Text(depth, false)),
            (Place::Text(depth, false), b'\\') => self.put(byte, Place::Text(depth, true)),
            (Place::Text(depth, false), b'"') => self.put(byte, Place::Element(depth)),
            // Not allowed within a text: it stays one line all the same, and is refused as such.
            (Place::Text(depth, false), b'\n' | b'\r') => self.put(b'\t', Place::Text(depth, false)),
            (place @ Place::Text(..), _) => self.put(byte, place),
            (place, _) if is_space => place,
            (Place::Before, b'[') => Place::First,
            (Place::First, b']') => Place::Behind,
            (Place::First | Place::Next, b'"') => self.put(byte, Place::Text(0, false)),
            (Place::First | Place::Next, b'{' | b'[') => self.put(byte, Place::Element(1)),
            (Place::First | Place::Next, b',' | b']' | b'}') => {
                return Err(broken("a comma without an element before it"));
            }
            (Place::First | Place::Next, _) => self.put(byte, Place::Element(0)),
            (Place::Element(0), b',') => self.put(b'\n', Place::Next),
            (Place::Element(0), b']') => self.put(b'\n', Place::Behind),
            (Place::Element(depth), b'"') => self.put(byte, Place::Text(depth, false)),
            (Place::Element(depth), b'{' | b'[') => self.put(byte, Place::Element(depth + 1)),
            (Place::Element(depth), b'}' | b']') => self.put(byte, Place::Element(depth.saturating_sub(1))),
            (place @ Place::Element(_), _) => self.put(byte, place),
            (Place::Before | Place::Behind, _) => return Err(broken("something else stands behind it")),
        };
        Ok(())
    }

    fn put(&mut self, byte: u8, place: Place) -> Place {
        self.out.push(byte);
        place
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the JSON array in it is not whole: {what}"))
}

impl<R: Read> Read for Elements<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.out.len() && !self.ended {
            if let Some(error) = self.failed.take() {
                self.ended = true;
                return Err(error);
            }
            self.out.clear();
            self.given = 0;
            let mut bytes = [0; READ_BYTES];
            let read = self.input.read(&mut bytes)?;
            for byte in &bytes[..read] {
                if let Err(error) = self.take(*byte) {
                    self.failed = Some(error);
                    break;
                }
            }
            if read == 0 {
                self.ended = true;
                if self.place != Place::Behind {
                    return Err(broken("it breaks off"));
                }
            }
        }
        let count = buffer.len().min(self.out.len() - self.given);
        buffer[..count].copy_from_slice(&self.out[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            let (now, rest) = self.0.split_at(count);
            buffer[..count].copy_from_slice(now);
            self.0 = rest;
            Ok(count)
        }
    }

    fn lines(text: &str, at_once: usize) -> (String, Option<String>) {
        let mut elements = Elements::new(Slow(text.as_bytes(), at_once));
        let mut out = Vec::new();
        let mut buffer = [0; 7];
        loop {
            match elements.read(&mut buffer) {
                Ok(0) => return (String::from_utf8(out).expect("text"), None),
                Ok(count) => out.extend_from_slice(&buffer[..count]),
                Err(error) => return (String::from_utf8(out).expect("text"), Some(error.to_string())),
            }
        }
    }

    #[test]
    fn each_element_is_a_line_however_the_array_is_laid_out() {
        for (array, expected) in [
            ("[]", ""),
            (" [ ] \n", ""),
            ("[1]", "1\n"),
            ("[{\"a\":1},{\"a\":2}]", "{\"a\":1}\n{\"a\":2}\n"),
            (
                "[\n  {\n    \"a b\": [1, {\"c\": \"x, ]} \\\" y\"}]\n  },\r\n  null,\n  \"t\"\n]\n",
                "{\"a b\":[1,{\"c\":\"x, ]} \\\" y\"}]}\nnull\n\"t\"\n",
            ),
        ] {
            for at_once in [1, 3, 100] {
                assert_eq!(lines(array, at_once), (expected.to_owned(), None), "{array}");
            }
        }
    }

    #[test]
    fn an_array_that_breaks_off_gives_what_is_whole_and_then_an_error() {
        for (array, whole, why) in [
            ("[{\"a\":1},{\"a\"", "{\"a\":1}\n{\"a\"", "breaks off"),
            ("[1,,2]", "1\n", "a comma without"),
            ("[1,2] x", "1\n2\n", "something else"),
            ("[1,2][3]", "1\n2\n", "something else"),
        ] {
            for at_once in [1, 100] {
                let (given, error) = lines(array, at_once);
                assert!(
                    given == whole && error.as_ref().is_some_and(|error| error.contains(why)),
                    "{array}: {given} {error:?}"
                );
            }
        }
    }
}
