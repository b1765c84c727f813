//! The checksum that identifies files and lines: CRC-64/NVME.

use crc_fast::{CrcAlgorithm, Digest, checksum};

const ALGORITHM: CrcAlgorithm = CrcAlgorithm::Crc64Nvme;

pub(super) fn checksum_of(bytes: &[u8]) -> u64 {
    checksum(ALGORITHM, bytes)
}

/// A checksum of bytes that come in pieces.
pub(super) fn running_checksum() -> Digest {
    Digest::new(ALGORITHM)
}
