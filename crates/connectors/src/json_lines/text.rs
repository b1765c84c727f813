//! The text of a file or pipe before it is cut into lines: without a byte order mark, and whether it is one JSON array.

use std::io::{self, Read};

use lakehead_model::EVENT_BYTES_MAX;

use super::array::Elements;

/// The longest line that is taken: that of the largest event.
pub const LINE_BYTES_MAX: usize = EVENT_BYTES_MAX;

/// Read at once from the file, and from the decompressor.
pub(super) const READ_BYTES: usize = 256 << 10;

/// The byte order mark (U+FEFF in UTF-8), with which some programs begin a file.
pub(super) const MARK: &[u8] = b"\xef\xbb\xbf";

/// Finds out whether a text is one JSON array: it begins with a bracket, and its first line is not a whole array with more
/// behind it. Reads no more of it than one line can have, and gives that back with the rest.
pub(super) fn sniffed(mut text: Box<dyn Read + Send>) -> io::Result<(Box<dyn Read + Send>, bool)> {
    let mut head = Vec::new();
    let mut failed = None;
    let is_array = loop {
        let before = head.len();
        match Read::by_ref(&mut text).take(READ_BYTES as u64).read_to_end(&mut head) {
            Ok(_) => {}
            // It is met again, at its place.
            Err(error) => failed = Some(error),
        }
        let ended = head.len() == before || failed.is_some();
        let shown = head.strip_prefix(MARK).unwrap_or(&head);
        let begins = shown.iter().position(|byte| !byte.is_ascii_whitespace());
        match begins.map(|begins| &shown[begins..]) {
            None if ended => break false,
            None => {}
            Some(array) if array[0] != b'[' => break false,
            Some(array) => {
                let line = memchr::memchr(b'\n', array).map(|end| array.split_at(end));
                match line {
                    Some((line, rest)) if is_whole(line) => {
                        let has_more = rest.iter().any(|byte| !byte.is_ascii_whitespace());
                        if has_more || ended {
                            break !has_more;
                        }
                    }
                    Some(_) => break true,
                    None if ended || array.len() > LINE_BYTES_MAX => break true,
                    None => {}
                }
                if array.len() > 2 * LINE_BYTES_MAX {
                    // A line, and nothing but white space behind it.
                    break true;
                }
            }
        }
        if ended {
            break false;
        }
    };
    let head = io::Cursor::new(head);
    Ok(match failed {
        Some(error) => (Box::new(head.chain(Failing(Some(error)))), is_array),
        None => (Box::new(head.chain(text)), is_array),
    })
}

/// Whether a line is an array by itself: its brackets close at its end.
fn is_whole(line: &[u8]) -> bool {
    let mut elements = Elements::new(line);
    io::copy(&mut elements, &mut io::sink()).is_ok()
}

/// Without the byte order mark at its beginning, if there is one.
pub(super) fn without_mark(mut text: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let mut head = Vec::new();
    Read::by_ref(&mut text).take(MARK.len() as u64).read_to_end(&mut head)?;
    if head == MARK {
        head.clear();
    }
    Ok(Box::new(io::Cursor::new(head).chain(text)))
}

/// Fails once with what an earlier look has met, and is at its end then.
struct Failing(Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}
