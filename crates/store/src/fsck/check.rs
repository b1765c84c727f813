//! The check of one stream: each file examined, each boundary, the inventory and those who have seen the stream against what
//! was found.

use lakehead_model::Offset;

use crate::{
    disk::{files::Access, layout::SegmentPath, log_files::LogFiles},
    error::Error,
    format::boundary::Boundary,
    fsck::{
        arrange::{Arrangement, Placed, arrange},
        examine::{Examined, Tail, examine},
        finding::{CheckReport, Finding, Severity},
        losses,
    },
    recover::{
        evidence::{Standing, Witness},
        inventory::{self, Inventory, InventoryFile},
        leftovers,
        loss::Loss,
        recovery,
    },
    segment::summary::Summary,
};

/// Checks a stream. `witnesses` have seen it; they were asked before. `progress` is told how many of how many bytes have been
/// read.
///
/// # Errors
/// When the folders cannot be listed, or a newer version wrote a segment.
pub(crate) fn check(
    log: &LogFiles,
    witnesses: &[Witness],
    progress: &mut dyn FnMut(u64, u64),
) -> Result<CheckReport, Error> {
    // Before the folders: where a process writes meanwhile, the log only gets longer at its end, and what retention removes
    // the inventory forgets first.
    let inventory = inventory::read(log)?;
    let is_damaged = inventory == InventoryFile::Damaged;
    let is_recorded = inventory != InventoryFile::Missing;
    let recorded = inventory.whole().unwrap_or_default();
    let streams = log.layout.list_streams(&*log.files)?;
    let arranged = arrange(log, &streams, Some(&recorded))?;
    let ExaminedLog { mut checked, standing, found } = examine_all(log, arranged, progress)?;
    let lost = losses::lost(log, &recorded, &standing, witnesses)?;
    compare_inventory(log, (&recorded, is_damaged), &found, &lost, &mut checked.findings);
    let path = inventory::path(log);
    checked.findings.extend(lost.iter().map(|loss| losses::finding(&path, loss)));
    if let Some(start) = standing.start.filter(|start| !is_recorded && *start > Offset(0)) {
        let what = format!(
            "the log begins with offset {start}, and there is no inventory that says why: retention, or a loss"
        );
        checked.findings.push(Finding::notice(&path, 0, what, "the next start makes one"));
    }
    if !checked.is_damaged()
        && let Err(error) = recovery::open(log, Access::Read)
    {
        checked.findings.push(does_not_open(log, &error));
    }
    for path in leftovers::list(log)? {
        let what = "a copy that sealing did not finish".to_owned();
        checked.findings.push(Finding::notice(&path, 0, what, "the next opening removes it"));
    }
    Ok(checked)
}

/// What the files of a stream show.
struct ExaminedLog {
    checked: CheckReport,
    standing: Standing,
    /// The segments without damage, each where it belongs.
    found: Vec<(SegmentPath, Summary)>,
}

/// Examines every segment, and each boundary between two.
fn examine_all(
    log: &LogFiles,
    arranged: Arrangement,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<ExaminedLog, Error> {
    let listed: Vec<&Placed> =
        arranged.segments.iter().filter(|placed| !arranged.unreadable.contains(&placed.at.path)).collect();
    let in_all: u64 = listed.iter().map(|placed| placed.len).sum();
    let mut checked = CheckReport { findings: arranged.findings, ..CheckReport::default() };
    let (mut before, mut last): (Option<Tail>, Option<Tail>) = (None, None);
    let mut begins = None;
    let mut found = Vec::new();
    for (i, placed) in listed.iter().enumerate() {
        let next: Vec<&SegmentPath> = listed.iter().skip(i + 1).map(|placed| &placed.at).collect();
        let examined = examine(log, &placed.at, &next)?;
        checked.bytes += placed.len;
        progress(checked.bytes, in_all);
        checked.segments += 1;
        let Some(examined) = examined else { continue };
        join(log, before.as_ref(), &examined, placed, &mut checked.findings);
        checked.sealed += u64::from(examined.summary.is_some_and(|summary| summary.sealed));
        checked.blocks += examined.good_blocks;
        checked.events += examined.good_events;
        checked.findings.extend(examined.findings);
        before = None;
        begins = begins.or(examined.begins.map(|boundary| boundary.offset).or(Some(placed.at.first_offset)));
        let Some(tail) = examined.tail else { continue };
        if checked.offsets == (Offset(0), Offset(0)) {
            checked.offsets.0 = examined.begins.map_or(placed.at.first_offset, |begins| begins.offset);
        }
        checked.offsets.1 = tail.boundary.offset;
        before = Some(tail);
        last = Some(tail);
        if let Some(summary) = examined.summary {
            let at = SegmentPath { first_offset: placed.at.first_offset, path: placed.place.clone() };
            found.push((at, summary));
        }
    }
    let end = last.map_or(Boundary { number: 0, offset: begins.unwrap_or(Offset(0)) }, |tail| tail.boundary);
    Ok(ExaminedLog { checked, standing: Standing { start: begins, end }, found })
}

/// What opening refuses, where nothing else was found.
fn does_not_open(log: &LogFiles, error: &Error) -> Finding {
    let (path, at) = match error {
        Error::Corrupt { path, at, .. } => (path.clone(), *at),
        Error::Io { path, .. } => (path.clone(), 0),
        _ => (log.folder(), 0),
    };
    let repair = "what does not join is moved to the quarantine, and what is lost by that put in as null";
    Finding::damage(&path, at, format!("it does not open: {error}"), (Offset(0), Offset(0)), repair)
}

/// What is wrong at the boundary between what came before and this segment.
fn join(log: &LogFiles, before: Option<&Tail>, examined: &Examined, placed: &Placed, findings: &mut Vec<Finding>) {
    let Some(begins) = examined.begins else { return };
    let mut damage = |what: String, lost: (Offset, Offset), repair: &str| {
        findings.push(Finding::damage(&examined.at.path, 0, what, lost, repair));
    };
    if let Some(before) = before {
        if begins.number > before.boundary.number && begins.offset >= before.boundary.offset {
            damage(
                format!(
                    "{} was expected next, and this segment begins with {begins}: what lay between is missing",
                    before.boundary
                ),
                (before.boundary.offset, begins.offset),
                "the missing events are put in as null, so that every other keeps its offset",
            );
        } else if begins != before.boundary {
            damage(
                format!("{} was expected next, and this segment begins with {begins}", before.boundary),
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
    let hour = log.hour_of(&placed.place);
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
    log: &LogFiles,
    (recorded, is_damaged): (&Inventory, bool),
    found: &[(SegmentPath, Summary)],
    lost: &[Loss],
    findings: &mut Vec<Finding>,
) {
    let path = inventory::path(log);
    let nothing = (Offset(0), Offset(0));
    let disagrees =
        |what: String, lost: (Offset, Offset)| Finding::damage(&path, 0, what, lost, "it is made anew from the files");
    if is_damaged {
        let what =
            "the inventory is not as it was written: what it said of the log's beginning and end is not known any more";
        findings.push(disagrees(what.to_owned(), nothing));
    }
    let mut unsaid = Vec::new();
    for line in &recorded.segments {
        let at = log.segment_in(&line.hour, line.first_offset);
        match found.iter().find(|(other, _)| *other == at) {
            None => unsaid.push((at, line.summary.ends(line.first_offset).offset)),
            // Of event times each kind of file says what it can.
            Some((_, summary)) if !is_alike(&line.summary, summary) => {
                let what = format!("what it says of {} is not what is in there", at.path.display());
                findings.push(disagrees(what, nothing));
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
            findings.push(disagrees(what, (at.first_offset, end)));
        }
    }
}
