//! What proves that a stream once held more than its files show: the inventory's record of where the log begins and how
//! far it reached, and those outside who have seen its events.
//!
//! Decided here, in pure functions over plain facts. What is gone is a [`Loss`]; it is noted in the inventory by the first
//! opening that sees it, since what the log goes on with would hide it, and stays there until a repair takes note of it.

use std::fmt;

use lakehead_model::{Offset, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{inventory::Inventory, segment::Border};

/// Losses that are noted one by one; each takes an accident of its own, so there are never many.
const LOSSES_MAX: usize = 1_000;

/// Events that were committed once and that no file holds any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// The first of them.
    pub from: Offset,
    /// The offset after the last. The same as `from` when only blocks without events are gone, and with them where a source
    /// stood.
    pub to: Offset,
    /// What names them, for people.
    pub evidence: String,
    /// When it was noticed; zero by one who only reads, and has no clock.
    pub noticed: Timestamp,
    /// Whether a repair has taken note of it: then it is known, and no finding any more.
    #[serde(default)]
    pub acknowledged: bool,
}

/// What is gone, and what says so.
impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, evidence, .. } = self;
        match from == to {
            true => write!(f, "blocks at offset {from} are gone: {evidence}"),
            false => write!(f, "the events from offset {from} up to, and not with, {to} are gone: {evidence}"),
        }
    }
}

/// Somebody outside who has seen a stream's events: a view by its checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Who, for people: `the checkpoint of view edits_per_minute`.
    pub by: String,
    /// The offset after the last event that it has seen.
    pub seen: Offset,
}

/// Where a log stands, as its files show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The first offset of the first segment; `None` when there is no segment.
    pub(crate) start: Option<Offset>,
    /// What comes after the last block.
    pub(crate) end: Border,
}

/// What `inventory` names and the files do not have. What is noted in it was so before, and where the log stood when that was
/// noted is what it names since.
pub(crate) fn lost(inventory: &Inventory, standing: &Standing, now: Timestamp) -> Vec<Loss> {
    let loss = |from, to, evidence: String| Loss { from, to, evidence, noticed: now, acknowledged: false };
    let mut found = Vec::new();
    let (begins, ends) = (inventory.begins(), inventory.ends());
    if let (Some(begins), Some(start)) = (begins, standing.start)
        && start > begins
    {
        let evidence =
            format!("the inventory says that the log begins with offset {begins}, and it begins with {start}");
        found.push(loss(begins, start, evidence));
    }
    let Some(ends) = ends else { return found };
    let there = match standing.start {
        Some(_) => standing.end,
        None => Border { number: 0, offset: begins.unwrap_or(Offset(0)) },
    };
    if ends.offset > there.offset {
        let evidence = match standing.start {
            Some(_) => format!(
                "the inventory says that the log reached offset {}, and it ends at {}",
                ends.offset, there.offset
            ),
            None => format!("the inventory says that the log reached offset {}, and it has no segment", ends.offset),
        };
        found.push(loss(there.offset, ends.offset, evidence));
    } else if ends.number > there.number && standing.start.is_some() {
        let evidence = format!(
            "the inventory says that the log reached block {}, and it ends before block {}: those between had no event, \
             but said where the sources stood",
            ends.number, there.number
        );
        found.push(loss(ends.offset, ends.offset, evidence));
    }
    found
}

/// Whether all of `loss` is among `noted`.
pub(crate) fn is_noted(noted: &[Loss], loss: &Loss) -> bool {
    let mut at = loss.from;
    loop {
        let covering = noted.iter().filter(|noted| noted.from <= at && noted.to >= at).map(|noted| noted.to).max();
        match covering {
            Some(to) if to >= loss.to => return true,
            Some(to) if to > at => at = to,
            _ => return false,
        }
    }
}

/// Adds `more` to what is noted; nothing twice.
pub(crate) fn note(noted: &mut Vec<Loss>, more: impl IntoIterator<Item = Loss>) {
    for loss in more {
        if !is_noted(noted, &loss) && noted.len() < LOSSES_MAX {
            noted.push(loss);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inventory(start: Option<u64>, end: Option<(u64, u64)>) -> Inventory {
        let end = end.map(|(number, offset)| Border { number, offset: Offset(offset) });
        Inventory { start: start.map(Offset), end, ..Inventory::default() }
    }

    #[track_caller]
    fn check(inventory: &Inventory, start: Option<u64>, end: (u64, u64), expected: &[(u64, u64)]) {
        let end = Border { number: end.0, offset: Offset(end.1) };
        let found = lost(inventory, &Standing { start: start.map(Offset), end }, Timestamp(0));
        let found: Vec<_> = found.iter().map(|loss| (loss.from.0, loss.to.0)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_the_inventory_names_and_the_files_lack_is_lost() {
        let whole = inventory(Some(10), Some((9, 100)));
        check(&whole, Some(10), (9, 100), &[]);
        check(&whole, Some(10), (12, 130), &[]);
        check(&whole, Some(0), (9, 100), &[]);
        check(&whole, Some(40), (9, 100), &[(10, 40)]);
        check(&whole, Some(10), (5, 60), &[(60, 100)]);
        check(&whole, Some(40), (5, 60), &[(10, 40), (60, 100)]);
        check(&whole, None, (0, 0), &[(10, 100)]);
        check(&whole, Some(10), (8, 100), &[(100, 100)]);
        check(&Inventory::default(), Some(40), (5, 60), &[]);
    }

    #[test]
    fn what_is_noted_in_parts_is_noted_as_a_whole() {
        let loss = |from, to| Loss {
            from: Offset(from),
            to: Offset(to),
            evidence: String::new(),
            noticed: Timestamp(0),
            acknowledged: true,
        };
        let mut noted = Vec::new();
        note(&mut noted, [loss(60, 80), loss(60, 80), loss(80, 100)]);
        assert_eq!(noted.len(), 2);
        assert!(is_noted(&noted, &loss(70, 100)) && is_noted(&noted, &loss(60, 60)));
        assert!(!is_noted(&noted, &loss(50, 100)) && !is_noted(&noted, &loss(70, 101)));
    }
}
