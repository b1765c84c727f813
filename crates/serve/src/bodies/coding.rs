//! `Content-Encoding` of a request's body: undone piece by piece, and never further than there is room for.

use std::io::{self, Write};

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use flate2::{Decompress, FlushDecompress, Status, write::MultiGzDecoder};
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use crate::answers::Refusal;

/// What is undone, as it is told to who sends something else.
pub(crate) const ACCEPTED: &str = "gzip, deflate, zstd";

/// The largest window of zstd, as a power of two: 8 MiB, what its level 19 takes. A frame asks for that much memory.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Grown by so much at once.
const STEP_BYTES: usize = 64 << 10;

/// Undoes one coding.
pub(crate) enum Coding {
    Plain,
    Gzip(Box<MultiGzDecoder<Room>>),
    /// zlib or raw deflate, which the first bytes tell; both are sent under this name.
    Deflate {
        inflate: Option<Decompress>,
        head: Vec<u8>,
        done: bool,
    },
    Zstd {
        frames: Decoder<'static>,
        done: bool,
    },
}

/// Why it could not be undone.
#[derive(Debug)]
pub(crate) enum Undone {
    /// It becomes more than there is room for.
    TooLarge,
    /// It is damaged, or cut.
    Damaged(String),
}

impl Coding {
    /// The coding that the headers name.
    ///
    /// # Errors
    /// 415 with what is accepted, when it is another, or several on top of each other.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let lines = headers.get_all(header::CONTENT_ENCODING).iter();
        let named: Vec<String> = lines
            .flat_map(|line| line.to_str().unwrap_or("?").split(','))
            .map(|coding| coding.trim().to_ascii_lowercase())
            .filter(|coding| !coding.is_empty() && coding != "identity")
            .collect();
        let refused = |what: String| {
            Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, what)
                .with_header(header::ACCEPT_ENCODING, HeaderValue::from_static(ACCEPTED))
        };
        let [coding] = named.as_slice() else {
            return match named.len() {
                0 => Ok(Self::Plain),
                _ => Err(refused(format!("one Content-Encoding is undone, not several: {ACCEPTED}, or none"))),
            };
        };
        match coding.as_str() {
            "gzip" | "x-gzip" => Ok(Self::Gzip(Box::new(MultiGzDecoder::new(Room::default())))),
            "deflate" => Ok(Self::Deflate { inflate: None, head: Vec::new(), done: false }),
            "zstd" => {
                let frames = Decoder::new().and_then(|mut frames| {
                    frames.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))?;
                    Ok(frames)
                });
                let frames = frames.map_err(|error| {
                    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, format!("no decompressor: {error}"))
                })?;
                Ok(Self::Zstd { frames, done: true })
            }
            other => {
                let other: String = other.chars().take(40).collect();
                Err(refused(format!("Content-Encoding {other:?} is not undone here: send {ACCEPTED}, or none")))
            }
        }
    }

    /// Whether there is nothing to undo.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain)
    }

    /// What `piece` becomes: at most `room` bytes.
    pub(crate) fn undo(&mut self, piece: &[u8], room: usize) -> Result<Vec<u8>, Undone> {
        match self {
            Self::Plain => Ok(piece.to_vec()),
            Self::Gzip(gzip) => {
                gzip.get_mut().room = room;
                let written = gzip.write_all(piece).and_then(|()| gzip.flush());
                let out = gzip.get_mut();
                match written {
                    Ok(()) => Ok(std::mem::take(&mut out.bytes)),
                    Err(_) if out.is_over => Err(Undone::TooLarge),
                    Err(error) => Err(Undone::Damaged(format!("the gzip body is damaged: {error}"))),
                }
            }
            Self::Deflate { inflate, head, done } => {
                let mut input = piece;
                if inflate.is_none() {
                    head.extend_from_slice(piece);
                    let [first, second, ..] = head.as_slice() else { return Ok(Vec::new()) };
                    // RFC 1950, section 2.2: compression method 8, and a checksum over the two bytes.
                    let is_zlib = first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)) % 31 == 0;
                    *inflate = Some(Decompress::new(is_zlib));
                    input = head;
                }
                let Some(inflate) = inflate else { return Ok(Vec::new()) };
                inflated(inflate, input, room, done)
            }
            Self::Zstd { frames, done } => unframed(frames, piece, room, done),
        }
    }

    /// The body is at its end: what is left, if it is a whole one.
    pub(crate) fn finish(&mut self, room: usize) -> Result<Vec<u8>, Undone> {
        match self {
            Self::Plain => Ok(Vec::new()),
            Self::Gzip(gzip) => {
                gzip.get_mut().room = room;
                let finished = gzip.try_finish();
                let out = gzip.get_mut();
                match finished {
                    Ok(()) => Ok(std::mem::take(&mut out.bytes)),
                    Err(_) if out.is_over => Err(Undone::TooLarge),
                    Err(error) => Err(Undone::Damaged(format!("the gzip body is cut or damaged: {error}"))),
                }
            }
            Self::Deflate { done: true, .. } | Self::Zstd { done: true, .. } => Ok(Vec::new()),
            Self::Deflate { .. } => Err(Undone::Damaged("the deflate body is cut".to_owned())),
            Self::Zstd { .. } => Err(Undone::Damaged("the zstd body is cut".to_owned())),
        }
    }
}

fn inflated(inflate: &mut Decompress, mut input: &[u8], room: usize, done: &mut bool) -> Result<Vec<u8>, Undone> {
    let mut out = Vec::new();
    while !*done {
        out.reserve(STEP_BYTES);
        let (read, written) = (inflate.total_in(), inflate.total_out());
        let status = inflate.decompress_vec(input, &mut out, FlushDecompress::None);
        let status = status.map_err(|error| Undone::Damaged(format!("the deflate body is damaged: {error}")))?;
        input = &input[usize::try_from(inflate.total_in() - read).unwrap_or(input.len()).min(input.len())..];
        if out.len() > room {
            return Err(Undone::TooLarge);
        }
        *done = status == Status::StreamEnd;
        if input.is_empty() && out.len() < out.capacity()
            || inflate.total_in() == read && inflate.total_out() == written
        {
            break;
        }
    }
    if *done && !input.is_empty() {
        return Err(Undone::Damaged(format!("{} bytes stand behind the end of the deflate body", input.len())));
    }
    Ok(out)
}

fn unframed(frames: &mut Decoder<'static>, piece: &[u8], room: usize, done: &mut bool) -> Result<Vec<u8>, Undone> {
    let mut out = Vec::new();
    let mut input = InBuffer::around(piece);
    let mut step = vec![0; STEP_BYTES];
    loop {
        let mut output = OutBuffer::around(step.as_mut_slice());
        let remaining = frames.run(&mut input, &mut output);
        let remaining = remaining.map_err(|error| Undone::Damaged(format!("the zstd body is damaged: {error}")))?;
        let written = output.pos();
        out.extend_from_slice(&step[..written]);
        if out.len() > room {
            return Err(Undone::TooLarge);
        }
        *done = remaining == 0;
        if input.pos() == piece.len() && written < STEP_BYTES {
            return Ok(out);
        }
    }
}

/// Where gzip writes to, within bounds.
#[derive(Debug, Default)]
pub(crate) struct Room {
    bytes: Vec<u8>,
    room: usize,
    is_over: bool,
}

impl Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.room {
            self.is_over = true;
            return Err(io::Error::other("it becomes too large"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };

    use super::*;

    const TEXT: &[u8] = b"{\"a\":1}\n{\"a\":2}\n";

    fn coding(name: &'static str) -> Result<Coding, Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
        Coding::of(&headers)
    }

    fn encoded(name: &str, text: &[u8]) -> Vec<u8> {
        fn all<W: Write>(mut to: W, text: &[u8], finish: impl FnOnce(W) -> io::Result<Vec<u8>>) -> Vec<u8> {
            to.write_all(text).expect("into memory");
            finish(to).expect("into memory")
        }
        match name {
            "gzip" => all(GzEncoder::new(Vec::new(), Compression::default()), text, GzEncoder::finish),
            "deflate" => all(ZlibEncoder::new(Vec::new(), Compression::default()), text, ZlibEncoder::finish),
            "raw" => all(DeflateEncoder::new(Vec::new(), Compression::default()), text, DeflateEncoder::finish),
            _ => zstd::encode_all(text, 3).expect("into memory"),
        }
    }

    const CODINGS: [(&str, &str); 4] = [("gzip", "gzip"), ("deflate", "deflate"), ("raw", "deflate"), ("zstd", "zstd")];

    #[test]
    fn each_coding_is_undone_however_it_is_split() {
        for (how, name) in CODINGS {
            let coded = encoded(how, TEXT);
            for size in [1, 3, coded.len()] {
                let mut coding = coding(name).expect("known");
                let mut out = Vec::new();
                for piece in coded.chunks(size) {
                    out.extend(coding.undo(piece, 1 << 20).expect("whole"));
                }
                out.extend(coding.finish(1 << 20).expect("whole"));
                assert_eq!(out, TEXT, "{how} in pieces of {size}");
            }
        }
    }

    #[test]
    fn a_body_that_is_cut_is_told_from_a_whole_one() {
        for (how, name) in CODINGS {
            let coded = encoded(how, TEXT);
            let mut coding = coding(name).expect("known");
            let undone = coding.undo(&coded[..coded.len() - 2], 1 << 20).and_then(|_| coding.finish(1 << 20));
            assert!(matches!(undone, Err(Undone::Damaged(_))), "{how}: {undone:?}");
        }
    }

    #[test]
    fn a_bomb_is_not_undone_further_than_there_is_room() {
        let bomb = vec![b' '; 32 << 20];
        for (how, name) in CODINGS {
            let coded = encoded(how, &bomb);
            let mut coding = coding(name).expect("known");
            assert!(matches!(coding.undo(&coded, 1 << 20), Err(Undone::TooLarge)), "{how}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused_with_what_is() {
        for name in ["br", "gzip, zstd", "compress"] {
            let refusal = coding(name).err().expect("not known");
            assert_eq!(refusal.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
            assert!(refusal.error.contains(ACCEPTED), "{}", refusal.error);
        }
        assert!(coding("identity").expect("as it is").is_plain());
        assert!(coding("GZIP").is_ok_and(|coding| !coding.is_plain()));
    }
}
