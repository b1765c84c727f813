//! What goes over the wire between a process and its worker: a kind, a length, that many bytes.
//!
//! ```text
//!   kind u8 │ length u32, little-endian │ bytes
//! ```
//!
//! No checksum: the wire is a pair of sockets within one machine. The length is bounded, so neither end can make the
//! other take more memory than [`FRAME_BYTES_MAX`].

use std::io::{self, Read, Write};

/// The longest frame: the open rows of one view, which are the largest thing that is handed over at once.
pub const FRAME_BYTES_MAX: usize = 128 << 20;
/// Bytes before the content.
const HEAD_LEN: usize = 5;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// To the worker: [`Query`](super::Query), as JSON.
    Query,
    /// To the worker: the tables that it asked for, as JSON.
    Tables,
    /// To the worker: rows of one table, as an Arrow IPC stream.
    Rows,
    /// From the worker: [`TableRequest`](super::TableRequest), as JSON.
    Ask,
    /// From the worker: [`AnswerHead`](super::AnswerHead), as JSON.
    Head,
    /// From the worker: some bytes of the answer.
    Data,
    /// From the worker: there is no more.
    Done,
    /// Either way: [`Failure`](super::Failure), as JSON.
    Failed,
}

const KINDS: [(u8, FrameKind); 8] = [
    (1, FrameKind::Query),
    (2, FrameKind::Tables),
    (3, FrameKind::Rows),
    (11, FrameKind::Ask),
    (12, FrameKind::Head),
    (13, FrameKind::Data),
    (14, FrameKind::Done),
    (15, FrameKind::Failed),
];

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: FrameKind,
    /// What is in it.
    pub content: Vec<u8>,
}

/// The worker's end of the wire. Its calls block.
pub trait Channel: Send {
    /// The next frame; `None` when the other end has gone.
    ///
    /// # Errors
    /// When what comes is no frame.
    fn receive(&mut self) -> io::Result<Option<Frame>>;
    /// Sends a frame; waits until the other end takes it.
    ///
    /// # Errors
    /// When the other end has gone.
    fn send(&mut self, kind: FrameKind, content: &[u8]) -> io::Result<()>;
}

impl Frame {
    /// A message in JSON.
    ///
    /// # Errors
    /// When it cannot be written as JSON, as a path that is no text.
    pub fn json(kind: FrameKind, message: &impl serde::Serialize) -> Result<Self, crate::error::Error> {
        let content = serde_json::to_vec(message).map_err(|error| crate::error::Error::Engine(error.to_string()))?;
        Ok(Self { kind, content })
    }

    /// What comes before the content on the wire; an error when it is too long to be sent.
    ///
    /// # Errors
    /// `InvalidInput` above [`FRAME_BYTES_MAX`].
    pub fn head(kind: FrameKind, content_len: usize) -> io::Result<[u8; HEAD_LEN]> {
        let number = KINDS.iter().find(|(_, known)| *known == kind).map_or(0, |(number, _)| *number);
        let len = u32::try_from(content_len).ok().filter(|_| content_len <= FRAME_BYTES_MAX);
        let len = len.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the message is too long"))?;
        let [a, b, c, d] = len.to_le_bytes();
        Ok([number, a, b, c, d])
    }

    /// The kind and the length of the content that this head announces.
    ///
    /// # Errors
    /// `InvalidData` when it is no head, or announces too much.
    pub fn announced(head: [u8; HEAD_LEN]) -> io::Result<(FrameKind, usize)> {
        let [number, a, b, c, d] = head;
        let kind = KINDS.iter().find(|(known, _)| *known == number).map(|(_, kind)| *kind);
        let len = u32::from_le_bytes([a, b, c, d]) as usize;
        let known = kind.filter(|_| len <= FRAME_BYTES_MAX);
        known.map(|kind| (kind, len)).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "this is no message"))
    }

    /// Reads one frame; `None` where the other end has gone between two.
    ///
    /// # Errors
    /// As reading, and when what comes is no frame.
    pub fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut head = [0; HEAD_LEN];
        if from.read(&mut head[..1])? == 0 {
            return Ok(None);
        }
        from.read_exact(&mut head[1..])?;
        let (kind, len) = Self::announced(head)?;
        let mut content = vec![0; len];
        from.read_exact(&mut content)?;
        Ok(Some(Self { kind, content }))
    }

    /// Writes one frame.
    ///
    /// # Errors
    /// As writing, and above [`FRAME_BYTES_MAX`].
    pub fn write(to: &mut impl Write, kind: FrameKind, content: &[u8]) -> io::Result<()> {
        to.write_all(&Self::head(kind, content.len())?)?;
        to.write_all(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_frame_reads_back() {
        let mut wire = Vec::new();
        for (_, kind) in KINDS {
            Frame::write(&mut wire, kind, b"content").expect("it fits");
        }
        let mut from = wire.as_slice();
        for (_, kind) in KINDS {
            let frame = Frame::read(&mut from).expect("a frame");
            assert_eq!(frame, Some(Frame { kind, content: b"content".to_vec() }));
        }
        assert_eq!(Frame::read(&mut from).expect("the end"), None);
    }

    #[test]
    fn what_is_no_frame_takes_no_memory() {
        for wire in [&[1, 255, 255, 255, 255][..], &[99, 0, 0, 0, 0], &[1, 4, 0, 0, 0, 1]] {
            assert!(Frame::read(&mut &*wire).is_err(), "{wire:?}");
        }
        assert!(Frame::head(FrameKind::Data, FRAME_BYTES_MAX + 1).is_err());
    }
}
