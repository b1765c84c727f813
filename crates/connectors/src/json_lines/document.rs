//! A file that is one JSON document, whatever its layout: read whole, since it is an event or none.

use std::io::{self, BufReader, Read};

use super::{
    compression::decompressed,
    text::{LINE_BYTES_MAX, READ_BYTES, without_mark},
};

/// The text of a file that is one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentText {
    /// The text without a byte order mark and without white space around it.
    pub text: Vec<u8>,
    /// Whether it is only the beginning: the file holds more than [`LINE_BYTES_MAX`].
    pub is_cut: bool,
}

impl DocumentText {
    /// Reads `file` from its beginning, decompressed, and no more of it than a document may have.
    ///
    /// # Errors
    /// When it cannot be read, or is damaged.
    pub fn read(file: impl Read + Send + 'static) -> io::Result<Self> {
        let mut text = Vec::new();
        opened(file)?.take(LINE_BYTES_MAX as u64 + 1).read_to_end(&mut text)?;
        let is_cut = text.len() > LINE_BYTES_MAX;
        if !is_cut {
            let end = text.trim_ascii_end().len();
            text.truncate(end);
            text.drain(..end - text.trim_ascii_start().len());
        }
        Ok(Self { text, is_cut })
    }
}

/// Whether `file`, decompressed, begins with the bracket of a JSON array. White space of more than [`LINE_BYTES_MAX`] before it is
/// not looked through.
///
/// # Errors
/// When it cannot be read, or is damaged.
pub fn begins_an_array(file: impl Read + Send + 'static) -> io::Result<bool> {
    let mut text = opened(file)?.take(LINE_BYTES_MAX as u64);
    let mut bytes = [0; 4 << 10];
    loop {
        let read = text.read(&mut bytes)?;
        if read == 0 {
            return Ok(false);
        }
        if let Some(first) = bytes[..read].iter().find(|byte| !byte.is_ascii_whitespace()) {
            return Ok(*first == b'[');
        }
    }
}

fn opened(file: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    without_mark(decompressed(BufReader::with_capacity(READ_BYTES, file))?)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn read(bytes: &[u8]) -> DocumentText {
        DocumentText::read(Cursor::new(bytes.to_vec())).expect("readable")
    }

    #[test]
    fn a_document_comes_without_what_stands_around_it() {
        for (file, text) in [
            (&b" {\n \"a\": 1\n}\n"[..], &b"{\n \"a\": 1\n}"[..]),
            (b"\xef\xbb\xbf[1]", b"[1]"),
            (b" \r\n\t", b""),
            (b"", b""),
            (&zstd::encode_all(&b"{}\n"[..], 1).expect("in memory"), b"{}"),
        ] {
            assert_eq!(read(file), DocumentText { text: text.to_vec(), is_cut: false });
        }
        let largest = vec![b'x'; LINE_BYTES_MAX];
        assert!(!read(&largest).is_cut);
        let bomb = zstd::encode_all(Cursor::new(vec![b' '; 64 << 20]), 1).expect("in memory");
        let cut = read(&bomb);
        assert!(bomb.len() < 64 << 10 && cut.is_cut && cut.text.len() == LINE_BYTES_MAX + 1, "no more of it is read");
    }

    #[test]
    fn an_array_is_known_by_its_first_byte() {
        for (file, is_array) in
            [("[1]", true), (" \n\t [", true), ("\u{feff}[", true), ("{}", false), (" ", false), ("", false)]
        {
            assert_eq!(begins_an_array(Cursor::new(file.as_bytes().to_vec())).expect("readable"), is_array, "{file:?}");
        }
    }
}
