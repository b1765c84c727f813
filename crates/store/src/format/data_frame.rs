//! A block's data frame: events to one zstd frame and back, with reused contexts.

use std::{fmt, io, ops::RangeInclusive};

use bytes::Bytes;
use zstd::{bulk, zstd_safe::CParameter};

/// The levels at which zstd looks matches up in rows of a hash table, and the binary logarithm of its entries here. A
/// context with 2^22 of them takes 21 MB. With 2^19 in place of zstd's own choice recorded events in frames of 4 MiB grow by 0.1 %
/// and are compressed 1.3 times as fast (the zstd command at level 9: 1,561,427 bytes in place of 1,559,617, 48.8 MB/s in place of
/// 36.9, AMD EPYC, one thread, compilers beside it).
const ROW_LEVELS: RangeInclusive<i32> = 5..=12;
const ROW_HASH_LOG: u32 = 19;

/// Compresses payloads, each into one zstd frame with its size and a content checksum.
pub(crate) struct Compressor(bulk::Compressor<'static>);

impl Compressor {
    /// For this zstd level.
    pub(crate) fn new(level: i32) -> io::Result<Self> {
        let mut compressor = bulk::Compressor::new(level)?;
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        compressor.set_parameter(CParameter::ContentSizeFlag(true))?;
        if ROW_LEVELS.contains(&level) {
            compressor.set_parameter(CParameter::HashLog(ROW_HASH_LOG))?;
        }
        Ok(Self(compressor))
    }

    /// Leaves in `out` exactly the frame of `payload`.
    pub(crate) fn compress(&mut self, payload: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        out.clear();
        out.reserve(zstd::zstd_safe::compress_bound(payload.len()));
        self.0.compress_to_buffer(payload, out).map(|_| ())
    }
}

/// Where a frame's descriptor stands, the bit of it that says that a checksum of the content ends the frame, and that
/// checksum's length (RFC 8878, 3.1.1).
const DESCRIPTOR_AT: usize = 4;
const CHECKSUM_FLAG: u8 = 1 << 2;
const CHECKSUM_LEN: usize = 4;

/// Decompresses data frames.
pub(crate) struct Decompressor(bulk::Decompressor<'static>);

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decompressor")
    }
}

impl Decompressor {
    pub(crate) fn new() -> io::Result<Self> {
        bulk::Decompressor::new().map(Self)
    }

    /// The payload of `frame`, which must be exactly `raw_len` bytes; `None` when it is not, or the frame is damaged.
    pub(crate) fn decompress(&mut self, frame: &[u8], raw_len: usize) -> Option<Bytes> {
        self.decompress_into(Vec::new(), frame, raw_len)
    }

    /// As [`decompress_into`](Self::decompress_into), for a frame whose bytes have just passed a checksum of ours: zstd's own,
    /// over the content, would be a tenth of the work (our measurement), and is left to fsck and to sealing. Changes `frame`.
    pub(crate) fn decompress_proven(&mut self, payload: Vec<u8>, frame: &mut [u8], raw_len: usize) -> Option<Bytes> {
        let len = frame.len();
        let descriptor = frame.get_mut(DESCRIPTOR_AT)?;
        let end = if *descriptor & CHECKSUM_FLAG == 0 { len } else { len.checked_sub(CHECKSUM_LEN)? };
        *descriptor &= !CHECKSUM_FLAG;
        self.decompress_into(payload, frame.get(..end)?, raw_len)
    }

    /// As [`decompress`](Self::decompress), into the memory of `payload`.
    pub(crate) fn decompress_into(&mut self, mut payload: Vec<u8>, frame: &[u8], raw_len: usize) -> Option<Bytes> {
        payload.clear();
        payload.reserve_exact(raw_len);
        let len = self.0.decompress_to_buffer(frame, &mut payload).ok()?;
        (len == raw_len).then(|| payload.into())
    }
}

/// Where each of `count` lines ends, just after its newline; `None` when there are not just as many.
pub(crate) fn line_ends(payload: &[u8], count: usize) -> Option<Vec<u32>> {
    let mut ends = Vec::with_capacity(count);
    // A payload is at most 1 GiB, so its positions fit.
    ends.extend(memchr::memchr_iter(b'\n', payload).map(|at| at as u32 + 1));
    let last = ends.last().map_or(0, |end| *end as usize);
    (ends.len() == count && last == payload.len()).then_some(ends)
}

/// The length of the zstd frame at the start of `bytes`; `None` while more bytes are needed, or when there is none.
pub(crate) fn frame_len(bytes: &[u8]) -> Option<usize> {
    zstd::zstd_safe::find_frame_compressed_size(bytes).ok()
}

/// The size of the content of the data frame at the start of `bytes`; `None` when it is no data frame, or does not tell.
pub(crate) fn content_len(bytes: &[u8]) -> Option<usize> {
    let len = zstd::zstd_safe::get_frame_content_size(bytes).ok().flatten()?;
    let is_data = bytes.starts_with(&0xFD2F_B528_u32.to_le_bytes());
    usize::try_from(len).ok().filter(|_| is_data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_come_back_also_the_empty_one() {
        let (mut compressor, mut decompressor) =
            (Compressor::new(1).expect("zstd"), Decompressor::new().expect("zstd"));
        let mut frame = Vec::new();
        for payload in [&b""[..], b"{}\n", &b"{\"a\":1}\n".repeat(10_000)] {
            compressor.compress(payload, &mut frame).expect("compresses");
            assert_eq!(frame_len(&frame), Some(frame.len()));
            assert_eq!(decompressor.decompress(&frame, payload.len()).expect("whole"), payload);
            assert!(decompressor.decompress(&frame, payload.len() + 1).is_none());
            let head = frame.get(..frame.len() - 1).expect("not empty");
            assert!(decompressor.decompress(head, payload.len()).is_none());
            let mut proven = frame.clone();
            *proven.last_mut().expect("not empty") ^= 1;
            assert!(decompressor.decompress(&proven, payload.len()).is_none(), "its checksum is looked at");
            for _ in 0..2 {
                let mut whole = proven.clone();
                assert_eq!(decompressor.decompress_proven(vec![7], &mut whole, payload.len()).expect("whole"), payload);
                assert!(decompressor.decompress_proven(Vec::new(), &mut proven.clone(), payload.len() + 1).is_none());
                let mut compressor = bulk::Compressor::new(1).expect("zstd");
                proven = compressor.compress(payload).expect("compresses");
            }
            for len in 0..proven.len().min(9) {
                let mut short = proven.get(..len).expect("shorter").to_vec();
                assert!(decompressor.decompress_proven(Vec::new(), &mut short, payload.len()).is_none());
            }
        }
    }

    #[test]
    fn a_sealing_compressor_takes_little_memory() {
        let mut compressor = Compressor::new(crate::SealOptions::default().level).expect("zstd");
        let payload: Vec<u8> =
            (0..150_000).flat_map(|n| format!("{{\"number\":{}}}\n", n * 7_919).into_bytes()).collect();
        assert!(payload.len() > 2 << 20, "large enough for zstd's own table");
        compressor.compress(&payload, &mut Vec::new()).expect("compresses");
        let bytes = compressor.0.context_mut().sizeof();
        assert!(bytes < 6 << 20, "{bytes} bytes");
    }

    #[test]
    fn lines_end_after_their_newlines() {
        assert_eq!(line_ends(b"{}\n[1]\n", 2), Some(vec![3, 7]));
        assert_eq!(line_ends(b"{}\n[1]\n", 3), None);
        assert_eq!(line_ends(b"{}\n[1]", 1), None, "the last line has no end");
    }
}
