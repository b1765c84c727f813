//! What proves that a stream once held more than its files show: the inventory's record of where the log begins and how
//! far it reached, and those outside who have seen its events.
//!
//! Decided here, in pure functions over plain facts. What is gone is a [`Loss`]; it is noted in the inventory by the first
//! opening that sees it, since what the log goes on with would hide it, and stays there until a repair takes note of it.

use lakehead_model::{Offset, Timestamp};

use crate::{
    format::boundary::Boundary,
    recover::{inventory::Inventory, loss::Loss},
};

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
    pub(crate) end: Boundary,
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
        None => Boundary { number: 0, offset: begins.unwrap_or(Offset(0)) },
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

#[cfg(test)]
mod tests {
    use super::*;

    fn inventory(start: Option<u64>, end: Option<(u64, u64)>) -> Inventory {
        let end = end.map(|(number, offset)| Boundary { number, offset: Offset(offset) });
        Inventory { start: start.map(Offset), end, ..Inventory::default() }
    }

    #[track_caller]
    fn check(inventory: &Inventory, start: Option<u64>, end: (u64, u64), expected: &[(u64, u64)]) {
        let end = Boundary { number: end.0, offset: Offset(end.1) };
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
}
