//! Small records beside the log, each one JSON object that carries its own checksum: the format file of a data
//! directory, the lock's text, the catalogue, what imports have done, what the last audit found.
//!
//! The last member is `"crc64"`: CRC-64/NVME over all that stands before it. So a record is still JSON for everyone, and a
//! version of Lakehead that knows no checksum passes over it; a record of before 2026-11-28, which has none, is read as
//! it is.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use crate::format::checksum::Running;

/// What the checksum begins with, so that no other bytes have it.
const SEED: u64 = u64::from_le_bytes(*b"lakehead");
const MEMBER: &str = ",\"crc64\":\"";
const END: &str = "\"}";

/// What is wrong with a record that is not as it was written.
pub const DAMAGED: &str = "it is not as it was written: it fails its checksum";

/// `json`, which is one object with a member, with its checksum, and a newline.
#[must_use]
pub fn seal(json: &str) -> String {
    let open = json.trim_end().strip_suffix('}').unwrap_or(json).trim_end();
    format!("{open}{MEMBER}{:016x}{END}\n", checksum(open))
}

/// The record in `text`, which may have white space behind it.
///
/// # Errors
/// What is wrong, when it fails its checksum.
pub fn open(text: &str) -> Result<&str, &'static str> {
    let text = text.trim_end_matches(['\n', ' ']);
    let Some(at) = text.rfind("\"crc64\"").map(|at| at.saturating_sub(1)) else { return Ok(text) };
    let (open, member) = text.split_at_checked(at).ok_or(DAMAGED)?;
    let said = member.strip_prefix(MEMBER).and_then(|rest| rest.strip_suffix(END)).ok_or(DAMAGED)?;
    if said == format!("{:016x}", checksum(open)) { Ok(text) } else { Err(DAMAGED) }
}

/// Reads the record at `path`.
///
/// # Errors
/// As reading a file; `InvalidData` when it is not as it was written.
pub fn read(path: &Path) -> io::Result<String> {
    let text = String::from_utf8(fs::read(path)?).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, DAMAGED))?;
    open(&text).map(str::to_owned).map_err(|what| io::Error::new(io::ErrorKind::InvalidData, what))
}

/// Replaces the record at `path` in one step, durably: a reader finds the old one or the new one.
///
/// # Errors
/// When the disk says no.
pub fn write(path: &Path, json: &str) -> io::Result<()> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let mut file = File::create(&fresh)?;
    file.write_all(seal(json).as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

fn checksum(text: &str) -> u64 {
    Running::after(SEED).over(text.as_bytes()).value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_found_but_in_the_name_of_the_checksum_itself() {
        for json in ["{\"n\":1,\"text\":\"a\"}", "{\n  \"n\": 1,\n  \"text\": \"a\"\n}"] {
            let sealed = seal(json);
            let value: serde_json::Value = serde_json::from_str(open(&sealed).expect("as written")).expect("JSON");
            assert_eq!((&value["n"], &value["text"]), (&1.into(), &"a".into()));
            let name = sealed.find("crc64").expect("it has a checksum");
            for at in 0..sealed.len() - 1 {
                for bit in 0..7 {
                    let mut bytes = sealed.clone().into_bytes();
                    bytes[at] ^= 1 << bit;
                    let damaged = String::from_utf8(bytes).expect("ASCII");
                    let is_believed =
                        open(&damaged).is_ok_and(|text| serde_json::from_str::<serde_json::Value>(text).is_ok());
                    assert!(!is_believed || (name - 1..name + 6).contains(&at), "bit {bit} of byte {at}: {damaged}");
                }
            }
        }
    }

    #[test]
    fn a_record_of_before_there_were_checksums_is_read() {
        assert_eq!(open("{\"layout\":1}\n"), Ok("{\"layout\":1}"));
        assert_eq!(open(&format!("{}     ", seal("{\"layout\":1}"))).map(str::len), Ok(39));
    }
}
