//! Bytes of a file as its compression has them: each call makes a frame or member of its own, so that a file can be cut after
//! any of them and is whole.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
};

use flate2::{read::MultiGzDecoder, write::GzEncoder};

use super::config::FileCompression;

/// zstd's own default.
const ZSTD_LEVEL: i32 = 3;

impl FileCompression {
    /// What it adds to a file's name.
    pub(super) fn ending(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }

    /// The name of a file of lines ends so.
    pub(super) fn lines_ending(self) -> &'static str {
        match self {
            Self::None => ".jsonl",
            Self::Gzip => ".jsonl.gz",
            Self::Zstd => ".jsonl.zst",
        }
    }

    /// `raw`, compressed.
    pub(super) fn encode(self, raw: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(raw),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(&raw)?;
                encoder.finish()
            }
            Self::Zstd => zstd::bulk::compress(&raw, ZSTD_LEVEL),
        }
    }
}

/// A file without its compression, which its name tells.
pub(super) fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let file = BufReader::new(File::open(path)?);
    Ok(match path.extension().and_then(|ending| ending.to_str()) {
        Some("gz") => Box::new(BufReader::new(MultiGzDecoder::new(file))),
        Some("zst") => Box::new(BufReader::new(zstd::Decoder::with_buffer(file)?)),
        _ => Box::new(file),
    })
}

/// The line of this index, without its newline; `None` behind the last one. Of a line longer than `line_bytes_max` its head.
pub(super) fn line(path: &Path, index: u64, line_bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
    let (mut input, mut line) = (open(path)?, Vec::new());
    for _ in 0..=index {
        line.clear();
        if input.by_ref().take(line_bytes_max as u64).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok(Some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_one_after_another_are_one_file() {
        let folder = tempfile::tempdir().expect("a folder");
        for compression in [FileCompression::None, FileCompression::Gzip, FileCompression::Zstd] {
            let mut bytes = compression.encode(b"a\nb\n".to_vec()).expect("compressed");
            bytes.extend(compression.encode(b"c\n".to_vec()).expect("compressed"));
            let path = folder.path().join(format!("f{}", compression.lines_ending()));
            std::fs::write(&path, bytes).expect("a file");
            let line = |index| line(&path, index, 9).expect("it is read");
            assert_eq!(
                (line(0), line(2), line(3)),
                (Some(b"a".to_vec()), Some(b"c".to_vec()), None),
                "{compression:?}"
            );
        }
    }
}
