//! Retention: whole segments leave the log at its start, oldest first, when they are too old or the stream too large; never
//! what somebody still needs.
//!
//! [`decide`] is pure: what the rule would remove, and who needs what. Removing tells the inventory first and then deletes
//! file after file, each durably before the next, so that a crash on the way leaves a log that begins a little earlier than
//! planned and never one with a hole.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use lakehead_model::{ByteSize, Offset, Timestamp};

use crate::{disk::log_files::LogFiles, error::Error, read::claims::Claim, segment::summary::Summary};

/// When a stream's oldest segments go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// A segment goes when all its events were received longer ago than this. `None`: never by age.
    pub age: Option<Duration>,
    /// The oldest segments go while the stream takes more than this on disk. `None`: never by size.
    pub size: Option<ByteSize>,
}

/// A segment that has expired: retention removes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiredSegment {
    /// The file.
    pub path: PathBuf,
    /// The offset of its first event.
    pub first_offset: Offset,
    /// The offset after its last.
    pub end_offset: Offset,
    /// Bytes on disk.
    pub bytes: u64,
    /// When its last events were received.
    pub received_last: Timestamp,
}

/// What retention would do now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetentionPlan {
    /// What goes, oldest first.
    pub remove: Vec<ExpiredSegment>,
    /// What the rule would remove, and is held.
    pub held: Vec<ExpiredSegment>,
    /// The claims on the first of these.
    pub claims: Vec<Claim>,
}

impl RetentionPlan {
    /// Bytes on disk that would be free.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.remove.iter().map(|expired| expired.bytes).sum()
    }
}

/// A finished segment, as far as the rule asks.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) path: PathBuf,
    pub(crate) first_offset: Offset,
    pub(crate) bytes: u64,
    pub(crate) summary: Summary,
}

/// What `rule` says at `now` of these finished segments, oldest first, of a stream with `stored` bytes in all.
pub(crate) fn decide(
    rule: &Retention,
    now: Timestamp,
    finished: Vec<Candidate>,
    stored: u64,
    claims: &[Claim],
) -> RetentionPlan {
    let mut plan = RetentionPlan::default();
    let mut left = stored;
    for candidate in finished {
        let Candidate { path, first_offset, bytes, summary } = candidate;
        let too_old = rule.age.is_some_and(|age| now.since(summary.received_last) > age);
        let too_much = rule.size.is_some_and(|size| left > size.0);
        if !too_old && !too_much {
            break;
        }
        left = left.saturating_sub(bytes);
        let end_offset = summary.ends(first_offset).offset;
        let expired = ExpiredSegment { path, first_offset, end_offset, bytes, received_last: summary.received_last };
        let holds = |claim: &&Claim| claim.holds(end_offset, summary.received_last, now);
        let in_the_way: Vec<Claim> = claims.iter().filter(holds).cloned().collect();
        if plan.held.is_empty() && in_the_way.is_empty() {
            plan.remove.push(expired);
        } else {
            if plan.held.is_empty() {
                plan.claims = in_the_way;
            }
            plan.held.push(expired);
        }
    }
    plan
}

/// Makes durable what earlier removals have done, before the segment at `first` goes: were theirs forgotten by a power cut
/// and its own not, the log would have a hole. Folders before its own that a crash has left empty go, too.
pub(crate) fn settle(log: &LogFiles, first: &Path) -> Result<(), Error> {
    let own = log.folder();
    let mut below = first.parent();
    while let Some(folder) = below.filter(|folder| folder.starts_with(&own) && **folder != own) {
        let Some(above) = folder.parent() else { break };
        for entry in log.files.list(above).map_err(Error::io("list", above))? {
            let numbered = entry.is_folder && entry.name.bytes().all(|b| b.is_ascii_digit());
            let path = above.join(&entry.name);
            if numbered && path.as_path() < folder {
                clear(log, &path)?;
            }
        }
        below = Some(above);
    }
    for folder in first.ancestors().skip(1).take_while(|folder| folder.starts_with(&own)) {
        log.files.sync_folder(folder).map_err(Error::io("sync", folder))?;
    }
    Ok(())
}

/// Syncs a folder and those below it, and removes those that are empty.
fn clear(log: &LogFiles, folder: &Path) -> Result<(), Error> {
    for entry in log.files.list(folder).map_err(Error::io("list", folder))?.into_iter().filter(|entry| entry.is_folder)
    {
        clear(log, &folder.join(entry.name))?;
    }
    log.files.sync_folder(folder).map_err(Error::io("sync", folder))?;
    // What holds something of somebody else stays.
    let _ = log.files.remove_folder(folder);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    /// Three segments of ten events and 100 bytes each, received in hours 0, 1 and 2.
    fn segments() -> Vec<Candidate> {
        let one = |i: i64| Candidate {
            path: PathBuf::from(i.to_string()),
            first_offset: Offset(i as u64 * 10),
            bytes: 100,
            summary: Summary {
                first_number: i as u64,
                blocks: 1,
                events: 10,
                raw_before: 0,
                raw_bytes: 0,
                received_first: Timestamp(i * HOUR),
                received_last: Timestamp(i * HOUR + HOUR / 2),
                event_times: None,
                time_rule: None,
                sealed: true,
            },
        };
        (0..3).map(one).collect()
    }

    fn removed(rule: Retention, now: i64, claims: &[Claim]) -> (Vec<u64>, Vec<u64>) {
        let plan = decide(&rule, Timestamp(now), segments(), 400, claims);
        let offsets = |expired: &[ExpiredSegment]| expired.iter().map(|expired| expired.first_offset.0).collect();
        (offsets(&plan.remove), offsets(&plan.held))
    }

    #[test]
    fn a_segment_goes_when_its_last_event_is_too_old() {
        let rule = Retention { age: Some(Duration::from_secs(3600)), size: None };
        assert_eq!(removed(rule, HOUR, &[]), (vec![], vec![]));
        assert_eq!(removed(rule, HOUR + HOUR / 2, &[]), (vec![], vec![]), "just as old as it may be");
        assert_eq!(removed(rule, HOUR + HOUR / 2 + 1, &[]), (vec![0], vec![]));
        assert_eq!(removed(rule, 9 * HOUR, &[]), (vec![0, 10, 20], vec![]));
    }

    #[test]
    fn the_oldest_go_while_the_stream_is_too_large() {
        let size = |bytes| Retention { age: None, size: Some(ByteSize(bytes)) };
        assert_eq!(removed(size(400), 0, &[]), (vec![], vec![]));
        assert_eq!(removed(size(399), 0, &[]), (vec![0], vec![]));
        assert_eq!(removed(size(200), 0, &[]), (vec![0, 10], vec![]));
        assert_eq!(removed(size(0), 0, &[]), (vec![0, 10, 20], vec![]), "the last segment is never a candidate");
    }

    #[test]
    fn what_somebody_needs_stays_and_so_does_all_after_it() {
        let rule = Retention { age: Some(Duration::ZERO), size: None };
        let claim = |by: &str, from| Claim::new(by, Offset(from));
        let claims = [claim("view a", 15), claim("view b", 20), claim("view c", 19)];
        assert_eq!(removed(rule, 9 * HOUR, &claims), (vec![0], vec![10, 20]));
        let plan = decide(&rule, Timestamp(9 * HOUR), segments(), 400, &claims);
        assert_eq!(plan.claims, [claim("view a", 15), claim("view c", 19)], "view b needs nothing of it");
        assert_eq!(plan.bytes(), 100);
    }

    #[test]
    fn a_claim_that_waits_so_long_holds_only_what_is_younger() {
        let rule = Retention { age: Some(Duration::ZERO), size: None };
        let hours = |hours: u64| Some(Duration::from_secs(hours * 3_600));
        let claim = |waits| [Claim { waits, ..Claim::new("sink a", Offset(0)) }];
        assert_eq!(removed(rule, 9 * HOUR, &claim(None)), (vec![], vec![0, 10, 20]));
        let ages: Vec<i64> = segments().iter().map(|one| 9 - one.summary.received_last.0 / HOUR).collect();
        assert!(ages[0] > ages[1] && ages[1] > ages[2], "{ages:?}");
        assert_eq!(removed(rule, 9 * HOUR, &claim(hours(ages[1] as u64))), (vec![0], vec![10, 20]));
        assert_eq!(removed(rule, 9 * HOUR, &claim(hours(0))), (vec![0, 10, 20], vec![]));
    }

    #[test]
    fn without_a_rule_everything_stays() {
        assert_eq!(removed(Retention::default(), i64::MAX, &[]), (vec![], vec![]));
    }
}
