//! What an answer was: a checksum and a length, of all of it or of the values at some paths.
//!
//! It tells whether an answer is the same as the one before. It is no proof against who makes two answers alike on purpose: that is the
//! API itself, which may as well leave one out.

use std::{fmt, str::FromStr};

use crc_fast::{CrcAlgorithm, Digest, checksum};
use lakehead_json::{Paths, Raw};
use serde::{Deserialize, Serialize};

const ALGORITHM: CrcAlgorithm = CrcAlgorithm::Crc64Nvme;

/// CRC-64/NVME and the number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Fingerprint {
    sum: u64,
    bytes: u64,
}

impl Fingerprint {
    /// Of bytes.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { sum: checksum(ALGORITHM, bytes), bytes: bytes.len() as u64 }
    }

    /// Of what a valid `document` has at `count` paths; of all of it where it has nothing at any of them, since then it is of another
    /// shape than the paths are for.
    pub(super) fn at(paths: &Paths, count: usize, document: &[u8]) -> Self {
        let mut values: Vec<Option<Raw<'_>>> = vec![None; count];
        paths.extract(document, &mut values);
        if values.iter().all(Option::is_none) {
            return Self::of(document);
        }
        let mut digest = Digest::new(ALGORITHM);
        let mut bytes = 0;
        for value in &values {
            // A value's JSON holds no raw newline but between tokens; a comma before each keeps what is missing apart from what is empty.
            let value = value.map_or(&b""[..], Raw::bytes);
            digest.update(b",\n");
            digest.update(value);
            bytes += value.len() as u64;
        }
        Self { sum: digest.finalize(), bytes }
    }

    /// First digits of the checksum of `text`, to tell one request of a source from another.
    pub(super) fn short(text: &str) -> String {
        format!("{:016x}", checksum(ALGORITHM, text.as_bytes()))[..12].to_owned()
    }

    #[cfg(test)]
    pub(super) fn greatest() -> Self {
        Self { sum: u64::MAX, bytes: 64 << 20 }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}", self.sum, self.bytes)
    }
}

impl From<Fingerprint> for String {
    fn from(print: Fingerprint) -> Self {
        print.to_string()
    }
}

impl FromStr for Fingerprint {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let (sum, bytes) = text.split_once('-')?;
            Some(Self { sum: u64::from_str_radix(sum, 16).ok()?, bytes: bytes.parse().ok()? })
        };
        read().ok_or_else(|| format!("{text:?} is no checksum with a length"))
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(paths: &[&[&str]], document: &str) -> Fingerprint {
        let keys: Vec<Vec<String>> =
            paths.iter().map(|path| path.iter().map(|key| (*key).to_owned()).collect()).collect();
        Fingerprint::at(&Paths::new(&keys), keys.len(), document.as_bytes())
    }

    #[test]
    fn only_what_stands_at_the_paths_counts() {
        let paths: &[&[&str]] = &[&["main", "temp"], &["dt"]];
        let one = at(paths, r#"{"main":{"temp":7},"dt":1,"x":1}"#);
        assert_eq!(one, at(paths, r#"{"x":2,"dt":1,"main":{"temp":7,"y":0}}"#));
        assert_ne!(one, at(paths, r#"{"main":{"temp":8},"dt":1}"#));
        assert_ne!(one, at(paths, r#"{"main":{"temp":7},"dt":null}"#));
        assert_ne!(one, at(paths, r#"{"main":{"temp":7}}"#), "a value that is gone is a change");
        let (moved, back) = (at(&[&["a"], &["b"]], r#"{"a":1}"#), at(&[&["a"], &["b"]], r#"{"b":1}"#));
        assert_ne!(moved, back);
    }

    #[test]
    fn an_answer_of_another_shape_counts_as_a_whole() {
        let paths: &[&[&str]] = &[&["dt"]];
        assert_ne!(at(paths, r#"{"message":"a"}"#), at(paths, r#"{"message":"b"}"#));
        assert_eq!(at(paths, "[1]"), Fingerprint::of(b"[1]"));
    }

    #[test]
    fn it_reads_back_as_written() {
        let print = Fingerprint::of(b"answer");
        assert_eq!(print.to_string().parse(), Ok(print));
        assert!(["", "1", "x-1", "1-x"].iter().all(|text| text.parse::<Fingerprint>().is_err()));
    }
}
