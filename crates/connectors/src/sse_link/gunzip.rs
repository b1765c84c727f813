//! A stream that comes compressed with gzip, decompressed piece by piece, with a bound on what it may become.
//!
//! A few bytes may stand for a thousand times as many (RFC 1951: a match of 258 bytes takes two bits at best), so nothing is
//! decompressed ahead of what is taken: [`Gunzip::next`] gives some 16 KiB, of which a frame that is too large is dropped as it
//! comes. What stays out of proportion for long is given up.

use std::io::{self, Write as _};

use bytes::{Buf as _, Bytes};
use flate2::write::MultiGzDecoder;

/// Compressed bytes that are decompressed at once: they become 258 KiB at most.
const STEP_BYTES: usize = 256;

/// Decompressed bytes that are given at once, or a little more.
const PIECE_BYTES: usize = 16 << 10;

/// How many times as much as came it may become, over a connection. JSON becomes 5 to 40 times as much; a thousand equal events
/// in one go become 300 times.
const GROWTH_MAX: u64 = 500;

/// From so many bytes on it counts: a short run of equal events may pass it.
const GROWTH_FROM_BYTES: u64 = 16 << 20;

/// A stream that is being decompressed.
pub(super) struct Gunzip {
    decoder: MultiGzDecoder<Vec<u8>>,
    /// What came and is compressed still.
    compressed: Bytes,
    came: u64,
    became: u64,
}

impl Gunzip {
    pub(super) fn new() -> Self {
        Self { decoder: MultiGzDecoder::new(Vec::new()), compressed: Bytes::new(), came: 0, became: 0 }
    }

    /// More came. All of what came before was taken.
    pub(super) fn feed(&mut self, compressed: Bytes) {
        self.compressed = compressed;
    }

    /// The next piece; `None` when more has to come first.
    ///
    /// # Errors
    /// Where it is no gzip, or becomes too much.
    pub(super) fn next(&mut self) -> io::Result<Option<Bytes>> {
        while self.decoder.get_ref().len() < PIECE_BYTES && !self.compressed.is_empty() {
            let step = &self.compressed[..STEP_BYTES.min(self.compressed.len())];
            let used = self.decoder.write(step)?;
            self.decoder.flush()?;
            self.came += used as u64;
            self.compressed.advance(used);
            if used == 0 {
                return Err(io::Error::other("nothing of it can be decompressed"));
            }
        }
        let piece = std::mem::take(self.decoder.get_mut());
        self.became += piece.len() as u64;
        if self.became > GROWTH_FROM_BYTES && self.became / GROWTH_MAX > self.came {
            return Err(io::Error::other(format!(
                "{} bytes became {}, more than {GROWTH_MAX} times as many",
                self.came, self.became
            )));
        }
        Ok((!piece.is_empty()).then(|| piece.into()))
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compression, write::GzEncoder};

    use super::*;

    /// All that comes of `pieces`, and the most that came of one call.
    fn all(pieces: &[&[u8]]) -> io::Result<(Vec<u8>, usize)> {
        let (mut gunzip, mut all, mut most) = (Gunzip::new(), Vec::new(), 0);
        for piece in pieces {
            gunzip.feed(Bytes::copy_from_slice(piece));
            while let Some(piece) = gunzip.next()? {
                most = most.max(piece.len());
                all.extend_from_slice(&piece);
            }
        }
        Ok((all, most))
    }

    /// Two members, flushed after each event, as a server does it.
    fn compressed() -> (Vec<u8>, Vec<u8>) {
        let (mut bytes, mut plain) = (Vec::new(), Vec::new());
        for member in 0..2 {
            let mut encoder = GzEncoder::new(&mut bytes, Compression::default());
            for n in 0..20 {
                let event = format!("id: {n}\ndata: {{\"member\":{member},\"text\":\"ü{n}\"}}\n\n");
                encoder.write_all(event.as_bytes()).expect("memory");
                encoder.flush().expect("memory");
                plain.extend_from_slice(event.as_bytes());
            }
            encoder.finish().expect("memory");
        }
        (bytes, plain)
    }

    #[test]
    fn it_becomes_the_same_wherever_it_is_split() {
        let (bytes, plain) = compressed();
        for cut in 0..=bytes.len() {
            let (came, _) = all(&[&bytes[..cut], &bytes[cut..]]).expect("it is gzip");
            assert!(came == plain, "cut at {cut}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert!(all(&single).expect("it is gzip").0 == plain);
    }

    #[test]
    fn what_was_flushed_comes_before_more_is_needed() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(b"data: 1\n\n").expect("memory");
        encoder.flush().expect("memory");
        let (came, _) = all(&[encoder.get_ref()]).expect("it is gzip");
        assert_eq!(came, b"data: 1\n\n");
    }

    #[test]
    fn a_bomb_is_given_in_small_pieces_and_given_up() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        for _ in 0..64 {
            encoder.write_all(&[b'x'; 1 << 20]).expect("memory");
        }
        let bomb = encoder.finish().expect("memory");
        let (mut gunzip, mut became) = (Gunzip::new(), 0);
        gunzip.feed(bomb.into());
        let error = loop {
            match gunzip.next() {
                Ok(piece) => {
                    let piece = piece.expect("more comes of it");
                    assert!(piece.len() <= PIECE_BYTES + (258 << 10) + (64 << 10), "{}", piece.len());
                    became += piece.len() as u64;
                }
                Err(error) => break error.to_string(),
            }
        };
        assert!(error.contains("more than 500 times as many"), "{error}");
        assert!(became <= GROWTH_FROM_BYTES + (1 << 20), "{became}");
    }

    #[test]
    fn what_is_no_gzip_is_an_error() {
        let (bytes, _) = compressed();
        for at in [0, 15, 40, bytes.len() / 2 - 4, bytes.len() - 1] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xff;
            // The very end is checked only when something follows.
            damaged.push(0);
            let single: Vec<&[u8]> = damaged.chunks(7).collect();
            let outcome = all(&single);
            assert!(outcome.as_ref().is_err() || outcome.is_ok_and(|(came, _)| came != compressed().1), "byte {at}");
        }
        // The ten bytes of its head have to be there.
        assert!(all(&[b"data: \"no gzip\"\n\n"]).is_err());
    }
}
