//! The three checksums of docs/formats/segment.md: seed, footer, chain. CRC-64/NVME throughout.

use crc_fast::{CrcAlgorithm, Digest};
use lakehead_model::{Name, Offset};

/// A checksum over several runs of bytes as if they were one.
pub(crate) struct Running(Digest);

impl Running {
    /// Begins with `before`, which ties what follows to it.
    pub(crate) fn after(before: u64) -> Self {
        let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
        digest.update(&before.to_le_bytes());
        Self(digest)
    }

    /// Goes on over `bytes`.
    pub(crate) fn over(mut self, bytes: &[u8]) -> Self {
        self.0.update(bytes);
        self
    }

    /// The checksum of all that was given.
    pub(crate) fn value(&self) -> u64 {
        self.0.finalize()
    }
}

/// What a segment's chain starts from: no segment's blocks are valid in another.
pub(crate) fn seed(stream: &Name, first_offset: Offset) -> u64 {
    let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
    digest.update(b"lakehead segment 1\0");
    digest.update(stream.as_str().as_bytes());
    digest.update(b"\0");
    digest.update(&first_offset.0.to_le_bytes());
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_algorithm_is_crc_64_nvme() {
        // The check value for "123456789" in the catalogue of CRC algorithms (Greg Cook, reveng).
        assert_eq!(crc_fast::checksum(CrcAlgorithm::Crc64Nvme, b"123456789"), 0xae8b_1486_0a79_9888);
    }

    #[test]
    fn a_seed_belongs_to_one_stream_and_offset() {
        let (a, b) = (Name::new("a").expect("a name"), Name::new("b").expect("a name"));
        assert_ne!(seed(&a, Offset(0)), seed(&b, Offset(0)));
        assert_ne!(seed(&a, Offset(0)), seed(&a, Offset(1)));
    }

    #[test]
    fn pieces_count_as_one_run() {
        assert_eq!(Running::after(7).over(b"ab").over(b"c").value(), Running::after(7).over(b"abc").value());
    }
}
