//! `fsck`: reads every byte of a stream and says exactly what is not as it was written, where, and what a repair would do.
//!
//! ```text
//!   list ─▶ each segment: footers or index, checksums, frames, lines ─▶ each border: numbers, offsets, times
//!        ─▶ the inventory against what was found                     ─▶ findings
//! ```
//!
//! Checking changes nothing and needs no lock, so it may run beside a process that writes: what is not known to be synced at the
//! end of the last segment is left to that process. [`repair`] is apart, and needs the store for itself.

mod repair;
mod segment;

use std::{fmt, path::PathBuf};

use lakehead_model::{Name, Offset, Timestamp};

pub(crate) use self::repair::{Repaired, repair};
use self::segment::Examined;
use crate::{
    Error,
    files::Files,
    inventory::{self, Summary},
    layout::{Layout, SegmentPath},
    seal,
    segment::Border,
};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is lost and nothing has to be done: a torn tail that the next opening cuts, a leftover.
    Notice,
    /// Something that was committed is not as it was written.
    Damage,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Notice => "notice",
            Self::Damage => "damage",
        })
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// The file or folder.
    pub path: PathBuf,
    /// The byte in the file at which it begins.
    pub at: u64,
    /// What was expected and what was found.
    pub what: String,
    /// Events that cannot be read because of it: `[from, to)`; none when both are the same.
    pub lost: (Offset, Offset),
    /// What a repair would do about it.
    pub repair: String,
}

/// What was found in one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Segment files.
    pub segments: u64,
    /// Of these, sealed ones.
    pub sealed: u64,
    /// Blocks that are as they were written.
    pub blocks: u64,
    /// Events in them.
    pub events: u64,
    /// Bytes read.
    pub bytes: u64,
    /// The first offset kept, and the one after the last.
    pub offsets: (Offset, Offset),
    /// What is wrong, in the order of the log.
    pub findings: Vec<Finding>,
}

impl Checked {
    /// Whether something that was committed is damaged.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Damage)
    }
}

/// Where a segment ends: what the next one must go on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tail {
    border: Border,
    raw_end: u64,
    received_last: Timestamp,
}

/// Checks `stream`. `progress` is told how many of how many bytes have been read.
///
/// # Errors
/// When the folders cannot be listed or a file cannot be opened or read at all.
pub(crate) fn check(
    files: &dyn Files,
    layout: &Layout,
    stream: &Name,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Checked, Error> {
    let listed = layout.list_segments(files, stream, "")?;
    let in_all: u64 = listed.iter().map(|(_, len)| *len).sum();
    let mut checked = Checked::default();
    let mut before: Option<Tail> = None;
    let mut found: Vec<(SegmentPath, Summary)> = Vec::new();
    for (i, (at, len)) in listed.iter().enumerate() {
        let next: Vec<&SegmentPath> = listed.iter().skip(i + 1).map(|(at, _)| at).collect();
        let examined = segment::examine(files, stream, at, &next)?;
        checked.bytes += len;
        progress(checked.bytes, in_all);
        checked.segments += 1;
        let Some(examined) = examined else { continue };
        join(layout, stream, before.as_ref(), &examined, &mut checked.findings);
        checked.sealed += u64::from(examined.summary.is_some_and(|summary| summary.sealed));
        checked.blocks += examined.good_blocks;
        checked.events += examined.good_events;
        checked.findings.extend(examined.findings);
        before = None;
        let Some(tail) = examined.tail else { continue };
        if checked.offsets == (Offset(0), Offset(0)) {
            checked.offsets.0 = examined.begins.map_or(at.first_offset, |begins| begins.offset);
        }
        checked.offsets.1 = tail.border.offset;
        before = Some(tail);
        if let Some(summary) = examined.summary {
            found.push((at.clone(), summary));
        }
    }
    compare_inventory(files, layout, stream, &found, &mut checked.findings);
    for path in seal::leftovers(files, layout, stream)? {
        checked.findings.push(Finding {
            severity: Severity::Notice,
            path,
            at: 0,
            what: "a copy that sealing did not finish".to_owned(),
            lost: (Offset(0), Offset(0)),
            repair: "the next opening removes it".to_owned(),
        });
    }
    Ok(checked)
}

/// What is wrong at the border between what came before and this segment.
fn join(layout: &Layout, stream: &Name, before: Option<&Tail>, examined: &Examined, findings: &mut Vec<Finding>) {
    let Some(begins) = examined.begins else { return };
    let mut damage = |what: String, lost: (Offset, Offset), repair: &str| {
        let (path, repair) = (examined.at.path.clone(), repair.to_owned());
        findings.push(Finding { severity: Severity::Damage, path, at: 0, what, lost, repair });
    };
    if let Some(before) = before {
        if begins.number > before.border.number && begins.offset >= before.border.offset {
            damage(
                format!(
                    "{} was expected next, and this segment begins with {begins}: what lay between is missing",
                    before.border
                ),
                (before.border.offset, begins.offset),
                "the missing events are put in as null, so that every other keeps its offset",
            );
        } else if begins != before.border {
            damage(
                format!("{} was expected next, and this segment begins with {begins}", before.border),
                (begins.offset, begins.offset),
                "none is known: two segments claim the same events; keep a copy and set one of them aside",
            );
        } else if examined.raw_before.is_some_and(|raw_before| raw_before != before.raw_end) {
            damage(
                "the count of bytes before it does not go on from the segment before it".to_owned(),
                (begins.offset, begins.offset),
                "none; only the count of bytes is off",
            );
        }
        if examined.received_first.is_some_and(|first| first < before.received_last) {
            damage(
                format!(
                    "its first event was received before {}, when the last one before it was",
                    before.received_last
                ),
                (begins.offset, begins.offset),
                "none; received times run backwards here",
            );
        }
    }
    let hour = layout.hour_of(stream, &examined.at.path);
    if let Some(first) = examined.received_first.filter(|first| hour.as_ref() != Some(&first.hour_folder())) {
        damage(
            format!("its events were received in the hour {}, and it lies in another", first.hour_folder()),
            (begins.offset, begins.offset),
            "none; move it to that folder",
        );
    }
}

/// The inventory is made anew from the files whenever it is at odds with them; so this is never damage.
fn compare_inventory(
    files: &dyn Files,
    layout: &Layout,
    stream: &Name,
    found: &[(SegmentPath, Summary)],
    findings: &mut Vec<Finding>,
) {
    let path = inventory::path(layout, stream);
    let mut notice = |what: String| {
        let (path, lost) = (path.clone(), (Offset(0), Offset(0)));
        let repair = "the next start makes it anew from the files".to_owned();
        findings.push(Finding { severity: Severity::Notice, path, at: 0, what, lost, repair });
    };
    let lines = match inventory::read(files, layout, stream) {
        Some(lines) => lines,
        None if files.open(&path, crate::files::Access::Read).is_ok() => {
            return notice("the inventory fails its checksum or does not join".to_owned());
        }
        None => return,
    };
    for line in &lines {
        let at = layout.segment_in(stream, &line.hour, line.first_offset);
        match found.iter().find(|(other, _)| *other == at) {
            None => notice(format!("it names {}, which is not there or is damaged", at.path.display())),
            Some((_, summary)) if Summary { sealed: line.summary.sealed, ..*summary } != line.summary => {
                notice(format!("what it says of {} is not what is in there", at.path.display()));
            }
            Some(_) => {}
        }
    }
}
