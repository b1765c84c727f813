//! Files that settings are read from: regular ones, within a size, and nothing is waited for.

use std::{io::Read, os::unix::fs::FileTypeExt, path::Path};

use anyhow::{Context, bail};
use lakehead_model::ByteSize;
use rustix::fs::{Mode, OFlags};

/// The bytes of `file`, which is `what` and has at most `limit` bytes. What else has that name is not waited for: a FIFO would
/// never begin and a device never end.
pub(crate) fn bytes(file: &Path, what: &str, limit: u64) -> anyhow::Result<Vec<u8>> {
    let name = file.display();
    let reading = || format!("reading {name}");
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(file, flags, Mode::empty()).map_err(std::io::Error::from).with_context(reading)?;
    let opened = std::fs::File::from(opened);
    let is = opened.metadata().with_context(reading)?;
    if !is.is_file() {
        let kind = is.file_type();
        let kind = if kind.is_dir() {
            "a folder"
        } else if kind.is_fifo() {
            "a pipe"
        } else {
            "a device"
        };
        bail!("{name} is {kind}; {what} is a regular file, since a reload reads it again");
    }
    let shown = ByteSize(limit);
    if is.len() > limit {
        bail!("{name} has {} bytes; {what} has at most {shown}, so this is hardly one", is.len());
    }
    let mut bytes = Vec::new();
    opened.take(limit + 1).read_to_end(&mut bytes).with_context(reading)?;
    if bytes.len() as u64 > limit {
        bail!("{name} grows beyond {shown} while it is read, so this is hardly {what}");
    }
    Ok(bytes)
}
