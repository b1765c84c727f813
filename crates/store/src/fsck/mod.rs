//! `fsck`: reads every byte of a stream and says exactly what is not as it was written, where, and what a repair would do.
//!
//! ```text
//!   list ─▶ where each file belongs ─▶ each segment: footers or index, checksums, frames, lines
//!        ─▶ each border: numbers, offsets, times ─▶ the inventory and those who have seen the stream against what was found
//!        ─▶ what opening says                    ─▶ findings
//! ```
//!
//! Two records that disagree are damage. Whatever opening refuses is a finding, and after a repair it opens.
//!
//! Checking changes nothing and needs no lock, so it may run beside a process that writes: what is not known to be synced at the
//! end of the last segment is left to that process. [`repair`] is apart, and needs the store for itself.

mod arrange;
mod repair;
mod segment;

use std::{fmt, path::PathBuf};

use lakehead_model::{Name, Offset, Timestamp};

pub(crate) use self::repair::{Repaired, repair};
use self::segment::Examined;
use crate::{
    Error, Loss, Witness,
    evidence::{self, Standing},
    files::{Access, Files},
    inventory::{self, Inventory, Summary},
    layout::{Layout, SegmentPath},
    recovery, seal,
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

/// Puts the files of all streams where they belong.
pub(crate) fn put_all_back(files: &dyn Files, layout: &Layout) -> Result<Vec<String>, Error> {
    let streams = layout.list_streams(files)?;
    let mut done = Vec::new();
    for stream in &streams {
        let recorded = inventory::read(files, layout, stream).whole();
        let arranged = arrange::arrange(files, layout, stream, &streams, recorded.as_ref())?;
        done.extend(arrange::put_back(files, layout, stream, &arranged.puts)?);
    }
    Ok(done)
}

/// Where a segment ends: what the next one must go on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tail {
    border: Border,
    raw_end: u64,
    received_last: Timestamp,
}

/// Checks `stream`. `witnesses` have seen it; they were asked before. `progress` is told how many of how many bytes have been
/// read.
///
/// # Errors
/// When the folders cannot be listed, or a newer version wrote a segment.
pub(crate) fn check(
    files: &dyn Files,
    layout: &Layout,
    stream: &Name,
    witnesses: &[Witness],
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Checked, Error> {
    // Before the folders: where a process writes meanwhile, the log only gets longer at its end, and what retention removes
    // the inventory forgets first.
    let recorded = inventory::read(files, layout, stream);
    let is_damaged = recorded == inventory::Found::Damaged;
    let is_recorded = recorded != inventory::Found::Nothing;
    let recorded = recorded.whole().unwrap_or_default();
    let streams = layout.list_streams(files)?;
    let arranged = arrange::arrange(files, layout, stream, &streams, Some(&recorded))?;
    let listed: Vec<&arrange::Placed> =
        arranged.segments.iter().filter(|placed| !arranged.unreadable.contains(&placed.at.path)).collect();
    let in_all: u64 = listed.iter().map(|placed| placed.len).sum();
    let mut checked = Checked { findings: arranged.findings, ..Checked::default() };
    let (mut before, mut last): (Option<Tail>, Option<Tail>) = (None, None);
    let mut begins = None;
    let mut found: Vec<(SegmentPath, Summary)> = Vec::new();
    for (i, placed) in listed.iter().enumerate() {
        let next: Vec<&SegmentPath> = listed.iter().skip(i + 1).map(|placed| &placed.at).collect();
        let examined = segment::examine(files, stream, &placed.at, &next)?;
        checked.bytes += placed.len;
        progress(checked.bytes, in_all);
        checked.segments += 1;
        let Some(examined) = examined else { continue };
        join(layout, stream, before.as_ref(), &examined, placed, &mut checked.findings);
        checked.sealed += u64::from(examined.summary.is_some_and(|summary| summary.sealed));
        checked.blocks += examined.good_blocks;
        checked.events += examined.good_events;
        checked.findings.extend(examined.findings);
        before = None;
        begins = begins.or(examined.begins.map(|border| border.offset).or(Some(placed.at.first_offset)));
        let Some(tail) = examined.tail else { continue };
        if checked.offsets == (Offset(0), Offset(0)) {
            checked.offsets.0 = examined.begins.map_or(placed.at.first_offset, |begins| begins.offset);
        }
        checked.offsets.1 = tail.border.offset;
        before = Some(tail);
        last = Some(tail);
        if let Some(summary) = examined.summary {
            let at = SegmentPath { first_offset: placed.at.first_offset, path: placed.place.clone() };
            found.push((at, summary));
        }
    }
    let end = last.map_or(Border { number: 0, offset: begins.unwrap_or(Offset(0)) }, |tail| tail.border);
    let standing = Standing { start: begins, end };
    let lost = lost(files, layout, stream, &recorded, &standing, witnesses);
    compare_inventory(layout, stream, (&recorded, is_damaged), &found, &lost, &mut checked.findings);
    let path = inventory::path(layout, stream);
    for loss in &lost {
        checked.findings.push(about(&path, loss));
    }
    if !is_recorded && standing.start.is_some_and(|start| start > Offset(0)) {
        let what = format!(
            "the log begins with offset {}, and there is no inventory that says why: retention, or a loss",
            standing.start.unwrap_or_default()
        );
        checked.findings.push(notice(path, what, "the next start makes one"));
    }
    if !checked.is_damaged()
        && let Err(error) = recovery::open(files, layout, stream, Access::Read)
    {
        let (path, at) = match &error {
            Error::Corrupt { path, at, .. } => (path.clone(), *at),
            Error::Io { path, .. } => (path.clone(), 0),
            _ => (layout.stream(stream), 0),
        };
        let repair =
            "what does not join is moved to the quarantine, and what is lost by that put in as null".to_owned();
        let (what, lost) = (format!("it does not open: {error}"), (Offset(0), Offset(0)));
        checked.findings.push(Finding { severity: Severity::Damage, path, at, what, lost, repair });
    }
    for path in seal::leftovers(files, layout, stream)? {
        let what = "a copy that sealing did not finish".to_owned();
        checked.findings.push(notice(path, what, "the next opening removes it"));
    }
    Ok(checked)
}

fn notice(path: PathBuf, what: String, repair: &str) -> Finding {
    let (repair, lost) = (repair.to_owned(), (Offset(0), Offset(0)));
    Finding { severity: Severity::Notice, path, at: 0, what, lost, repair }
}

/// What is gone, by the inventory and by those who have seen it: noted before, or found now.
fn lost(
    files: &dyn Files,
    layout: &Layout,
    stream: &Name,
    recorded: &Inventory,
    standing: &Standing,
    witnesses: &[Witness],
) -> Vec<Loss> {
    let mut lost = recorded.lost.clone();
    for loss in evidence::lost(recorded, standing, Timestamp(0)) {
        let is_at_the_start = standing.start == Some(loss.to);
        let is_retained = || {
            let now = inventory::read(files, layout, stream).whole();
            now.and_then(|now| now.begins()) >= Some(loss.to)
        };
        if !(is_at_the_start && is_retained()) {
            evidence::note(&mut lost, [loss]);
        }
    }
    for witness in witnesses.iter().filter(|witness| witness.seen > standing.end.offset) {
        let evidence = format!(
            "{} has seen the events before offset {}, and the log ends at {}",
            witness.by, witness.seen, standing.end.offset
        );
        let (from, to) = (standing.end.offset, witness.seen);
        evidence::note(&mut lost, [Loss { from, to, evidence, noticed: Timestamp(0), acknowledged: false }]);
    }
    lost
}

/// A loss as a finding.
fn about(path: &std::path::Path, loss: &Loss) -> Finding {
    let noticed = match loss.noticed {
        Timestamp(0) => String::new(),
        at => format!(", noticed at {at}"),
    };
    let known = if loss.acknowledged { ", and a repair has taken note of it" } else { "" };
    Finding {
        severity: if loss.acknowledged { Severity::Notice } else { Severity::Damage },
        path: path.to_owned(),
        at: 0,
        what: format!("events that were committed are gone: {}{noticed}{known}", loss.evidence),
        lost: (loss.from, loss.to),
        repair: match loss.acknowledged {
            true => "none is needed".to_owned(),
            false => "nothing brings them back but a copy of the files; the loss is taken note of, and the epoch rises"
                .to_owned(),
        },
    }
}

/// What is wrong at the border between what came before and this segment.
fn join(
    layout: &Layout,
    stream: &Name,
    before: Option<&Tail>,
    examined: &Examined,
    placed: &arrange::Placed,
    findings: &mut Vec<Finding>,
) {
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
                "the segment that does not go on from the one before it is moved to the quarantine",
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
    let hour = layout.hour_of(stream, &placed.place);
    if let Some(first) = examined.received_first.filter(|first| hour.as_ref() != Some(&first.hour_folder())) {
        damage(
            format!("its events were received in the hour {}, and it lies in another", first.hour_folder()),
            (begins.offset, begins.offset),
            "none; move it to that folder",
        );
    }
}

/// Whether two say the same of a segment. Of event times each kind of file, and each version, says what it can.
fn is_alike(recorded: &Summary, found: &Summary) -> bool {
    let Summary { event_times, time_rule, sealed, .. } = *found;
    Summary { event_times, time_rule, sealed, ..*recorded } == *found
}

/// Where inventory and files disagree about what is there.
fn compare_inventory(
    layout: &Layout,
    stream: &Name,
    (recorded, is_damaged): (&Inventory, bool),
    found: &[(SegmentPath, Summary)],
    lost: &[Loss],
    findings: &mut Vec<Finding>,
) {
    let path = inventory::path(layout, stream);
    let mut disagrees = |what: String, lost: (Offset, Offset)| {
        let repair = "it is made anew from the files".to_owned();
        findings.push(Finding { severity: Severity::Damage, path: path.clone(), at: 0, what, lost, repair });
    };
    if is_damaged {
        let what =
            "the inventory is not as it was written: what it said of the log's beginning and end is not known any more";
        disagrees(what.to_owned(), (Offset(0), Offset(0)));
    }
    let mut unsaid = Vec::new();
    for line in &recorded.segments {
        let at = layout.segment_in(stream, &line.hour, line.first_offset);
        match found.iter().find(|(other, _)| *other == at) {
            None => unsaid.push((at, line.summary.ends(line.first_offset).offset)),
            // Of event times each kind of file says what it can.
            Some((_, summary)) if !is_alike(&line.summary, summary) => {
                disagrees(
                    format!("what it says of {} is not what is in there", at.path.display()),
                    (Offset(0), Offset(0)),
                );
            }
            Some(_) => {}
        }
    }
    for (at, end) in unsaid {
        let covers = |(from, to): (Offset, Offset)| from <= at.first_offset && end <= to;
        let is_said = lost.iter().any(|loss| covers((loss.from, loss.to)))
            || findings.iter().any(|finding| {
                finding.severity == Severity::Damage && (finding.path == at.path || covers(finding.lost))
            });
        if !is_said && end > at.first_offset {
            let what = format!("it names {}, which is not there or not whole", at.path.display());
            let (path, repair) = (path.clone(), "it is made anew from the files".to_owned());
            let lost = (at.first_offset, end);
            findings.push(Finding { severity: Severity::Damage, path, at: 0, what, lost, repair });
        }
    }
}
