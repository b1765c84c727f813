//! Reads lines, a run of whole ones at a time, from the beginning or from any position behind a run.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::Path,
    sync::{Arc, atomic::AtomicU64},
};

use bytes::Bytes;
use lakehead_model::APPEND_EVENTS_MAX;
use serde::{Deserialize, Serialize};

use super::{
    array::Elements,
    checksum::{checksum_of, running_checksum},
    compression::{Compression, decompressed},
    counted::Counted,
    limited::Limited,
    text::{LINE_BYTES_MAX, MARK, READ_BYTES, sniffed, without_mark},
};

/// How much is kept of a line that is longer than [`LINE_BYTES_MAX`]: as much as a reject keeps.
const CUT_BYTES: usize = 64 << 10;

/// The most lines of a run: as many events as are appended at once.
const RUN_LINES_MAX: u64 = APPEND_EVENTS_MAX as u64;

/// How far a file, or standard input, has been read: up to the end of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinePosition {
    /// Bytes before it, decompressed.
    pub bytes: u64,
    /// Lines before it.
    pub lines: u64,
    /// The checksum of the last of them, with its newline; 0 when there is none.
    pub last: u64,
}

/// A run of whole lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The lines, each with its newline; the last of a file may have none.
    pub text: Bytes,
    /// The number of the first, from 1.
    pub first_line: u64,
    /// When given, `text` is only the beginning of one line, which has this many bytes: more than [`LINE_BYTES_MAX`].
    pub cut: Option<u64>,
    /// How far this run goes.
    pub end: LinePosition,
}

/// What a file is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinesForm {
    /// Each line by itself, whatever is in it.
    Lines,
    /// One JSON array; each element becomes a line, without the white space outside of its texts.
    Array,
}

/// Reads lines.
pub struct Lines {
    input: Box<dyn Read + Send>,
    run_bytes: usize,
    position: LinePosition,
    /// What was read and not given yet.
    pending: Vec<u8>,
    /// Of these the first so many bytes hold no newline, as far as has been looked.
    searched: usize,
    ended: bool,
    /// Why nothing more can be read; said when all whole lines before it are given.
    failed: Option<io::Error>,
}

impl Lines {
    /// Opens the file at `path` at `from`; what it holds says whether it is lines or an array. `read` counts the bytes read of
    /// the file itself, as they lie.
    ///
    /// # Errors
    /// When it cannot be read, or ends before `from`.
    pub fn open(path: &Path, from: LinePosition, run_bytes: usize, read: Arc<AtomicU64>) -> io::Result<Self> {
        let (text, is_array) = sniffed(decompressed(BufReader::with_capacity(READ_BYTES, File::open(path)?))?)?;
        drop(text);
        let form = if is_array { LinesForm::Array } else { LinesForm::Lines };
        Self::of(Counted::new(File::open(path)?, read), form, from, run_bytes)
    }

    /// As [`open`](Self::open), of a file whose lines are no JSON: it is not taken for an array, whatever it begins with.
    ///
    /// # Errors
    /// When it cannot be read, or ends before `from`.
    pub fn open_rows(path: &Path, from: LinePosition, run_bytes: usize, read: Arc<AtomicU64>) -> io::Result<Self> {
        Self::of(Counted::new(File::open(path)?, read), LinesForm::Lines, from, run_bytes)
    }

    /// Reads `file`, which holds what `form` says, from `from` on.
    ///
    /// A plain file is read from there; of one that is compressed, or an array, what comes before is read once more.
    ///
    /// # Errors
    /// When it cannot be read, or ends before `from`.
    pub fn of(
        mut file: impl Read + Seek + Send + 'static,
        form: LinesForm,
        from: LinePosition,
        run_bytes: usize,
    ) -> io::Result<Self> {
        let mut head = Vec::new();
        Read::by_ref(&mut file).take(4).read_to_end(&mut head)?;
        let compressed = Compression::of(&head) != Compression::Plain;
        let seeks = !compressed && form == LinesForm::Lines;
        file.seek(SeekFrom::Start(if seeks { from.bytes } else { 0 }))?;
        let file = BufReader::with_capacity(READ_BYTES, file);
        // A plain file is not sniffed again: what stands at a position in it may look like anything.
        let mut input: Box<dyn Read + Send> = if compressed { decompressed(file)? } else { Box::new(file) };
        if form == LinesForm::Array {
            input = Box::new(Elements::new(without_mark(input)?));
        }
        if !seeks {
            skip(&mut input, from.bytes)?;
        }
        Ok(Self { position: from, ..Self::over(input, run_bytes) })
    }

    /// Fails with [`TextTooLong`](super::TextTooLong) where there are more than `bytes_max` bytes of lines in all, those before
    /// the position included.
    #[must_use]
    pub fn limited(mut self, bytes_max: u64) -> Self {
        self.input = Box::new(Limited::new(self.input, bytes_max, self.position.bytes));
        self
    }

    /// Reads `input` from its beginning.
    ///
    /// # Errors
    /// When its first bytes cannot be read.
    pub fn read(input: impl Read + Send + 'static, run_bytes: usize) -> io::Result<Self> {
        let (text, is_array) = sniffed(decompressed(BufReader::with_capacity(READ_BYTES, input))?)?;
        Ok(Self::over(if is_array { Box::new(Elements::new(without_mark(text)?)) } else { text }, run_bytes))
    }

    fn over(input: Box<dyn Read + Send>, run_bytes: usize) -> Self {
        let position = LinePosition::default();
        Self { input, run_bytes, position, pending: Vec::new(), searched: 0, ended: false, failed: None }
    }

    /// How far it has read.
    #[must_use]
    pub fn position(&self) -> LinePosition {
        self.position
    }

    /// Reads past as many lines as `to` has behind it, and makes sure that the last of them is the same; for what cannot
    /// be read from a position, as standard input.
    ///
    /// # Errors
    /// `InvalidData` when the lines are not those that were read before.
    pub fn pass(&mut self, to: LinePosition) -> io::Result<()> {
        while self.position.lines < to.lines {
            let limit = RUN_LINES_MAX.min(to.lines - self.position.lines);
            if self.next_of(limit)?.is_none() {
                let (found, expected) = (self.position.lines, to.lines);
                return Err(not_the_same(format!("it ends after {found} lines, {expected} were read before")));
            }
        }
        if self.position != to {
            return Err(not_the_same(format!("line {} is another than the one that was read before", to.lines)));
        }
        Ok(())
    }

    /// The next lines; `None` at the end.
    ///
    /// # Errors
    /// When the input cannot be read, or is damaged. What was given before holds.
    #[expect(clippy::should_implement_trait, reason = "it can fail and then be asked no more")]
    pub fn next(&mut self) -> io::Result<Option<Run>> {
        self.next_of(RUN_LINES_MAX)
    }

    /// The next lines, at most `lines_max` of them.
    fn next_of(&mut self, lines_max: u64) -> io::Result<Option<Run>> {
        loop {
            if self.position.bytes == 0 && self.pending.starts_with(MARK) {
                self.pending.drain(..MARK.len());
                self.position.bytes = MARK.len() as u64;
            }
            if self.pending.len() >= self.run_bytes || self.ended {
                if let Some(last) = memchr::memrchr(b'\n', &self.pending[self.searched..]) {
                    let end = self.searched + last + 1;
                    return Ok(Some(self.give(end, lines_max)));
                }
                self.searched = self.pending.len();
            }
            if self.searched > LINE_BYTES_MAX {
                return self.cut().map(Some);
            }
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            if self.ended {
                let end = self.pending.len();
                return Ok((end > 0).then(|| self.give(end, lines_max)));
            }
            self.fill();
        }
    }

    /// Gives the lines in the first `end` bytes of what is pending, and no line that is too long together with others.
    fn give(&mut self, end: usize, lines_max: u64) -> Run {
        let (mut taken, mut lines, mut last, mut cut) = (0, 0, 0, None);
        while taken < end && lines < lines_max {
            let length = memchr::memchr(b'\n', &self.pending[taken..end]).map_or(end - taken, |newline| newline + 1);
            if length > LINE_BYTES_MAX + 1 {
                if lines == 0 {
                    cut = Some(length as u64);
                    (last, taken, lines) = (taken, length, 1);
                }
                break;
            }
            (last, taken, lines) = (taken, taken + length, lines + 1);
        }
        let first_line = self.position.lines + 1;
        self.position = LinePosition {
            bytes: self.position.bytes + taken as u64,
            lines: self.position.lines + lines,
            last: checksum_of(&self.pending[last..taken]),
        };
        let mut rest = Vec::with_capacity(self.run_bytes);
        rest.extend_from_slice(&self.pending[taken..]);
        let mut text = std::mem::replace(&mut self.pending, rest);
        text.truncate(taken);
        if cut.is_some() {
            text.truncate(CUT_BYTES);
        }
        self.searched = 0;
        Run { text: text.into(), first_line, cut, end: self.position }
    }

    /// Reads past the rest of a line that is too long and gives its beginning.
    fn cut(&mut self) -> io::Result<Run> {
        let mut checksum = running_checksum();
        let mut text = Vec::new();
        let mut length = 0;
        loop {
            let newline = memchr::memchr(b'\n', &self.pending);
            let end = newline.map_or(self.pending.len(), |newline| newline + 1);
            checksum.update(&self.pending[..end]);
            text.extend_from_slice(&self.pending[..end.min(CUT_BYTES.saturating_sub(text.len()))]);
            length += end as u64;
            self.pending.drain(..end);
            if newline.is_some() || (self.ended && self.failed.is_none()) {
                break;
            }
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            self.fill();
        }
        let first_line = self.position.lines + 1;
        self.position = LinePosition {
            bytes: self.position.bytes + length,
            lines: self.position.lines + 1,
            last: checksum.finalize(),
        };
        self.searched = 0;
        Ok(Run { text: text.into(), first_line, cut: Some(length), end: self.position })
    }

    fn fill(&mut self) {
        let before = self.pending.len();
        // A line that is longer than a run is read on by a run at a time.
        let room = Some(self.run_bytes.saturating_sub(before)).filter(|room| *room > 0).unwrap_or(self.run_bytes);
        match Read::by_ref(&mut self.input).take(room as u64).read_to_end(&mut self.pending) {
            Ok(read) => self.ended = read < room,
            Err(error) => (self.ended, self.failed) = (true, Some(error)),
        }
    }
}

/// Reads past `bytes`.
fn skip(input: &mut (dyn Read + Send), bytes: u64) -> io::Result<()> {
    let skipped = io::copy(&mut input.take(bytes), &mut io::sink())?;
    if skipped < bytes {
        return Err(not_the_same(format!("it ends after {skipped} bytes, {bytes} were read before")));
    }
    Ok(())
}

fn not_the_same(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests;
