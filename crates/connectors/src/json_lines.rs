//! JSON lines in files: plain, gzip, zstd or bzip2, told by their content, read in runs of whole lines. A byte order mark is
//! skipped, zeros behind compressed data end a file, and a file that is one JSON array is its elements
//! (`json_array.rs`).
//!
//! Bytes in, runs of lines out, each with the [`Position`] after it, from which reading goes on exactly. What a line
//! means, and whether it is JSON at all, is for whoever takes the lines. Memory is bounded by the size of a run and by
//! [`LINE_BYTES_MAX`], whatever the file holds: of a longer line only the beginning is kept, so a file that swells when
//! it is decompressed costs time and nothing else.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest, checksum};
use serde::{Deserialize, Serialize};

use crate::{
    json_array::Elements,
    members::{Gzip, Zstd},
};

/// The longest line that is taken: 4 MiB, as for every other way in.
pub const LINE_BYTES_MAX: usize = 4 << 20;

/// How much is kept of a longer one: as much as a reject keeps.
const CUT_BYTES: usize = 64 << 10;

/// How much of a file's head tells it from another: enough to hold a few events.
const HEAD_BYTES: usize = 64 << 10;

/// Read at once from the file, and from the decompressor.
const READ_BYTES: usize = 256 << 10;

/// The byte order mark (U+FEFF in UTF-8), with which some programs begin a file.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Endings of the files that are taken from a folder; each may be followed by one of [`COMPRESSED`].
const ENDINGS: [&str; 3] = ["json", "jsonl", "ndjson"];
const COMPRESSED: [&str; 3] = ["gz", "zst", "bz2"];

/// How bytes are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    Plain,
    /// gzip (RFC 1952), one member or several.
    Gzip,
    /// Zstandard (RFC 8878), one frame or several; skippable frames are skipped, so a segment can be read, too.
    Zstd,
    /// bzip2, one stream or several.
    Bzip2,
}

impl Compression {
    /// Tells it by the first bytes.
    #[must_use]
    pub fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Self::Bzip2,
            _ => Self::Plain,
        }
    }
}

/// A file as it was found: enough to tell whether it is the same one later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileId {
    /// Where it is, absolute.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// The checksum (CRC-64/NVME) of its first 64 KiB.
    pub head: u64,
}

impl FileId {
    /// Looks at the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(path: &Path) -> io::Result<Self> {
        let path = fs::canonicalize(path)?;
        let file = File::open(&path)?;
        let size = file.metadata()?.len();
        let mut head = Vec::new();
        file.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
        Ok(Self { path, size, head: checksum_of(&head) })
    }

    /// The checksum (CRC-64/NVME) of all that is in the file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn content(&self) -> io::Result<u64> {
        let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
        let mut file = File::open(&self.path)?;
        let mut buffer = vec![0; READ_BYTES];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(digest.finalize()),
                read => digest.update(&buffer[..read]),
            }
        }
    }

    /// The checksum of all of it, chained to that of the files `before`.
    #[must_use]
    pub fn chained(&self, before: u64) -> u64 {
        let text = format!("{before} {} {} {}", self.size, self.head, self.path.display());
        checksum_of(text.as_bytes())
    }
}

/// How far a file, or standard input, has been read: up to the end of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
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
    pub end: Position,
}

/// Reads lines.
pub struct Lines {
    input: Box<dyn Read + Send>,
    run_bytes: usize,
    position: Position,
    /// What was read and not given yet.
    pending: Vec<u8>,
    /// Of these the first so many bytes hold no newline, as far as has been looked.
    searched: usize,
    ended: bool,
    /// Why nothing more can be read; said when all whole lines before it are given.
    failed: Option<io::Error>,
}

impl Lines {
    /// Opens the file at `path` at `from`. `read` counts the bytes read of the file itself, as they lie.
    ///
    /// A plain file is read from there; of a compressed one what comes before is decompressed once more.
    ///
    /// # Errors
    /// When it cannot be read, or ends before `from`.
    pub fn open(path: &Path, from: Position, run_bytes: usize, read: Arc<AtomicU64>) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let mut head = Vec::new();
        Read::by_ref(&mut file).take(4).read_to_end(&mut head)?;
        let compressed = Compression::of(&head) != Compression::Plain;
        file.seek(SeekFrom::Start(0))?;
        let (text, is_array) = sniffed(decompressed(BufReader::with_capacity(READ_BYTES, file))?)?;
        drop(text);
        let seeks = !compressed && !is_array;
        let mut file = File::open(path)?;
        let skipped = if seeks { from.bytes } else { 0 };
        file.seek(SeekFrom::Start(skipped))?;
        read.fetch_add(skipped, Ordering::Relaxed);
        let counted = BufReader::with_capacity(READ_BYTES, Counted::new(file, read));
        // A plain file is not sniffed again: what stands at a position in it may look like anything.
        let mut input: Box<dyn Read + Send> = if compressed { decompressed(counted)? } else { Box::new(counted) };
        if is_array {
            input = Box::new(Elements::new(without_mark(input)?));
        }
        if !seeks {
            skip(&mut input, from.bytes)?;
        }
        Ok(Self { position: from, ..Self::over(input, run_bytes) })
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
        let position = Position::default();
        Self { input, run_bytes, position, pending: Vec::new(), searched: 0, ended: false, failed: None }
    }

    /// How far it has read.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Reads past as many lines as `to` has behind it, and makes sure that the last of them is the same; for what cannot
    /// be read from a position, as standard input.
    ///
    /// # Errors
    /// `InvalidData` when the lines are not those that were read before.
    pub fn pass(&mut self, to: Position) -> io::Result<()> {
        while self.position.lines < to.lines {
            let limit = to.lines - self.position.lines;
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
        self.next_of(u64::MAX)
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
        self.position = Position {
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
        let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
        let mut text = Vec::new();
        let mut length = 0;
        loop {
            let newline = memchr::memchr(b'\n', &self.pending);
            let end = newline.map_or(self.pending.len(), |newline| newline + 1);
            digest.update(&self.pending[..end]);
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
        self.position =
            Position { bytes: self.position.bytes + length, lines: self.position.lines + 1, last: digest.finalize() };
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

/// The files that `path` stands for: itself, or, of a folder, those in it and below it that end as JSON lines do, sorted
/// by path; and what else is in it. Folders of which `is_other` says so are among the latter and not looked into; links to
/// folders are not followed.
///
/// # Errors
/// When it cannot be listed.
pub fn files(path: &Path, is_other: &dyn Fn(&fs::Metadata) -> bool) -> io::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    if !fs::metadata(path)?.is_dir() {
        return Ok((vec![path.to_owned()], Vec::new()));
    }
    let (mut taken, mut left_out, mut folders) = (Vec::new(), Vec::new(), vec![path.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let path = entry.path();
            let kind = entry.file_type()?;
            if kind.is_dir() {
                if is_other(&entry.metadata()?) {
                    left_out.push(path);
                } else {
                    folders.push(path);
                }
            } else if holds_lines(&path) && (kind.is_file() || path.is_file()) {
                taken.push(path);
            } else {
                left_out.push(path);
            }
        }
    }
    taken.sort();
    left_out.sort();
    Ok((taken, left_out))
}

/// Whether the name of `path` says that it holds JSON lines.
fn holds_lines(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let plain = match name.rsplit_once('.') {
        Some((plain, ending)) if COMPRESSED.contains(&ending) => plain,
        _ => &name,
    };
    plain.rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.contains(&ending))
}

fn decompressed(mut input: impl BufRead + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    Ok(match Compression::of(input.fill_buf()?) {
        Compression::Plain => Box::new(input),
        Compression::Gzip => Box::new(Gzip::new(input)),
        Compression::Zstd => Box::new(Zstd::new(input)?),
        Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(input)),
    })
}

/// Finds out whether a text is one JSON array: it begins with a bracket, and its first line is not a whole array with more
/// behind it. Reads no more of it than one line can have, and gives that back with the rest.
fn sniffed(mut text: Box<dyn Read + Send>) -> io::Result<(Box<dyn Read + Send>, bool)> {
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
fn without_mark(mut text: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
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

fn checksum_of(bytes: &[u8]) -> u64 {
    checksum(CrcAlgorithm::Crc64Nvme, bytes)
}

/// Counts what is read.
pub struct Counted<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R> Counted<R> {
    /// Adds the bytes that are read of `inner` to `read`.
    pub fn new(inner: R, read: Arc<AtomicU64>) -> Self {
        Self { inner, read }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("into memory");
        encoder.finish().expect("into memory")
    }

    fn bzip2(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(bytes).expect("into memory");
        encoder.finish().expect("into memory")
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        let mut frame = zstd::encode_all(bytes, 1).expect("into memory");
        // As in a segment: a skippable frame of three bytes after each data frame.
        frame.extend_from_slice(&[0x5b, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, b'{', b'}', b'\n']);
        frame
    }

    fn numbers(from: u64, to: u64) -> Vec<u8> {
        (from..to).flat_map(|n| format!("{{\"n\":{n}}}\n").into_bytes()).collect()
    }

    fn all(mut lines: Lines) -> Vec<Run> {
        let mut runs = Vec::new();
        while let Some(run) = lines.next().expect("readable") {
            runs.push(run);
        }
        runs
    }

    fn joined(runs: &[Run]) -> Vec<u8> {
        runs.iter().flat_map(|run| run.text.to_vec()).collect()
    }

    #[test]
    fn several_members_of_every_form_read_as_one_text() {
        let whole = [numbers(0, 5_000), numbers(5_000, 9_000)];
        let form = |compress: fn(&[u8]) -> Vec<u8>| whole.iter().flat_map(|part| compress(part)).collect::<Vec<_>>();
        for (name, bytes) in
            [("plain", form(<[u8]>::to_vec)), ("gzip", form(gzip)), ("zstd", form(zstd)), ("bzip2", form(bzip2))]
        {
            let runs = all(Lines::read(io::Cursor::new(bytes), 1 << 10).expect("readable"));
            assert_eq!(joined(&runs), whole.concat(), "{name}");
            assert!(runs.len() > 1 && runs.iter().all(|run| run.text.ends_with(b"\n")), "{name}");
            assert_eq!(runs.last().map(|run| run.end.lines), Some(9_000), "{name}");
        }
    }

    #[test]
    fn zeros_behind_compressed_data_end_a_file_and_within_it_are_damage() {
        let text = numbers(0, 5_000);
        for (name, whole) in [("gzip", gzip(&text)), ("zstd", zstd(&text))] {
            for zeros in [1, 3, 511, 70_000] {
                let padded = [whole.clone(), whole.clone(), vec![0; zeros]].concat();
                let runs = all(Lines::read(io::Cursor::new(padded.clone()), 1 << 10).expect("readable"));
                assert_eq!(joined(&runs), [text.clone(), text.clone()].concat(), "{name} {zeros}");
                let behind = [padded, whole.clone()].concat();
                assert!(read_all(&behind).is_err(), "{name} {zeros}: something behind the zeros");
                let torn = [&whole[..whole.len() / 2], &vec![0; zeros][..]].concat();
                assert!(read_all(&torn).is_err(), "{name} {zeros}: zeros within");
            }
            assert!(read_all(&whole[..whole.len() / 2]).is_err(), "{name}: half of it");
        }
    }

    fn read_all(bytes: &[u8]) -> io::Result<u64> {
        let mut lines = Lines::read(io::Cursor::new(bytes.to_vec()), 1 << 10)?;
        while lines.next()?.is_some() {}
        Ok(lines.position().lines)
    }

    #[test]
    fn a_byte_order_mark_is_skipped_and_an_array_is_its_elements_from_every_position() {
        let folder = tempfile::tempdir().expect("a folder");
        let elements: Vec<String> = (0..2_000).map(|n| format!("{{\"n\": {n}, \"t\": [\"a, b\", {{}}]}}")).collect();
        let compact: Vec<u8> =
            (0..2_000).flat_map(|n| format!("{{\"n\":{n},\"t\":[\"a, b\",{{}}]}}\n").into_bytes()).collect();
        let mark = |text: &[u8]| [MARK, text].concat();
        let on_one_line = format!("[{}]\n", elements.join(","));
        let pretty = format!("[\n  {}\n]", elements.join(",\n  ").replace("{\"n\"", "{\n    \"n\""));
        let lines = numbers(0, 3_000);
        for (name, bytes, expected) in [
            ("lines with a mark", mark(&lines), lines.clone()),
            ("lines with a mark, gzip", gzip(&mark(&lines)), lines.clone()),
            ("array on one line", on_one_line.clone().into_bytes(), compact.clone()),
            ("array on many lines", pretty.clone().into_bytes(), compact.clone()),
            ("array with a mark, zstd", zstd(&mark(pretty.as_bytes())), compact.clone()),
            ("lines that are arrays", b"[1,2]\n[3]\n".to_vec(), b"[1,2]\n[3]\n".to_vec()),
            ("an array of nothing", b"[]".to_vec(), Vec::new()),
            ("one array on one line", b" [1,\"x\"] \n\n".to_vec(), b"1\n\"x\"\n".to_vec()),
        ] {
            let path = folder.path().join("file");
            fs::write(&path, &bytes).expect("a file");
            let open = |from| Lines::open(&path, from, 2 << 10, Arc::default()).expect("readable");
            let runs = all(open(Position::default()));
            assert_eq!(String::from_utf8_lossy(&joined(&runs)), String::from_utf8_lossy(&expected), "{name}");
            for (index, run) in runs.iter().enumerate() {
                assert_eq!(joined(&all(open(run.end))), joined(&runs[index + 1..]), "{name} after {:?}", run.end);
            }
            let piped = all(Lines::read(io::Cursor::new(bytes), 2 << 10).expect("readable"));
            assert_eq!(joined(&piped), expected, "{name}, piped");
        }
    }

    #[test]
    fn reading_goes_on_after_every_run_of_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = numbers(0, 3_000);
        for (name, bytes) in
            [("plain", text.clone()), ("gzip", gzip(&text)), ("bzip2", bzip2(&text)), ("zstd", zstd(&text))]
        {
            let path = folder.path().join(name);
            fs::write(&path, &bytes).expect("a file");
            let open = |from| Lines::open(&path, from, 4 << 10, Arc::default()).expect("readable");
            let runs = all(open(Position::default()));
            assert!(runs.len() > 5, "{name}");
            for (index, run) in runs.iter().enumerate() {
                let rest = all(open(run.end));
                assert_eq!(joined(&rest), joined(&runs[index + 1..]), "{name} after {:?}", run.end);
            }
        }
    }

    #[test]
    fn what_cannot_be_sought_is_passed_line_by_line_and_checked() {
        let text = numbers(0, 1_000);
        let runs = all(Lines::read(io::Cursor::new(text.clone()), 1 << 10).expect("readable"));
        let middle = runs[runs.len() / 2].end;
        let mut again = Lines::read(io::Cursor::new(text), 64 << 10).expect("readable");
        again.pass(middle).expect("the same lines");
        assert_eq!(joined(&all(again)), joined(&runs[runs.len() / 2 + 1..]));
        let mut other = Lines::read(io::Cursor::new(numbers(1, 1_000)), 1 << 10).expect("readable");
        assert!(other.pass(middle).expect_err("other lines").to_string().contains("another"));
        let mut short = Lines::read(io::Cursor::new(numbers(0, 3)), 1 << 10).expect("readable");
        assert!(short.pass(middle).expect_err("too short").to_string().contains("ends after 3 lines"));
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_its_neighbours_are_not() {
        let giant = vec![b'x'; LINE_BYTES_MAX + 2];
        let text = [b"{\"a\":1}\n", &giant[..], b"\n{\"a\":2}\nlast without newline"].concat();
        for run_bytes in [1 << 10, 16 << 20] {
            let runs = all(Lines::read(io::Cursor::new(text.clone()), run_bytes).expect("readable"));
            let cut: Vec<_> = runs.iter().filter(|run| run.cut.is_some()).collect();
            assert_eq!(cut.len(), 1);
            assert_eq!(
                (cut[0].cut, cut[0].first_line, cut[0].text.len()),
                (Some(giant.len() as u64 + 1), 2, CUT_BYTES)
            );
            let others: Vec<_> = runs.iter().filter(|run| run.cut.is_none()).cloned().collect();
            assert_eq!(joined(&others), b"{\"a\":1}\n{\"a\":2}\nlast without newline");
            let end = runs.last().expect("runs").end;
            assert_eq!((end.bytes, end.lines), (text.len() as u64, 4));
        }
    }

    #[test]
    fn a_file_that_breaks_off_gives_its_lines_and_then_an_error() {
        let whole = gzip(&numbers(0, 20_000));
        let mut lines = Lines::read(io::Cursor::new(whole[..whole.len() / 2].to_vec()), 1 << 10).expect("a head");
        let mut given = 0;
        let error = loop {
            match lines.next() {
                Ok(Some(run)) => given = run.end.lines,
                Ok(None) => panic!("half a file has no end"),
                Err(error) => break error,
            }
        };
        assert!(given > 0, "{error}");
    }

    #[test]
    fn a_folder_gives_what_ends_as_json_lines_do() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("b")).expect("a folder");
        for name in ["b/1.jsonl.zst", "a.ndjson", "c.json.GZ", "b/2.txt", "notes", "x.gz"] {
            fs::write(folder.path().join(name), "").expect("a file");
        }
        let names = |paths: Vec<PathBuf>| -> Vec<String> {
            let name = |path: PathBuf| path.strip_prefix(folder.path()).expect("below it").display().to_string();
            paths.into_iter().map(name).collect()
        };
        let (taken, left_out) = files(folder.path(), &|_| false).expect("listed");
        assert_eq!(names(taken), ["a.ndjson", "b/1.jsonl.zst", "c.json.GZ"]);
        assert_eq!(names(left_out), ["b/2.txt", "notes", "x.gz"]);
    }
}
