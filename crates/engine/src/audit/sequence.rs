//! One upstream partition as its events stand in the log: every offset once, and none missing that nobody knows of.
//!
//! Upstream offsets have no holes within a topic *of one cluster*. Wikimedia answers from two clusters that number the
//! same topic differently, and which one answers can change with every connection. So the log holds **runs**: within a
//! run offsets go up one by one, and between two runs they jump, forward or back. What tells a jump from a hole is the
//! ledger, in which the source notes where the numbers continue whenever it had to find its place by time:
//!
//! ```text
//!   log:     98 99 100 │ 5010 │ 5021 5022 …        5010 was not seen before and came while the place was looked for
//!   ledger:            from 101 to 5010, from 5011 to 5021        5011 to 5020 are 91 to 100 under other numbers
//! ```
//!
//! An older ledger has only the entry `from 101 to 5021`, written when the place was found: what comes before it is of the
//! place being looked for.
//!
//! - An offset that follows the last one, or to which entries of the ledger and rejects lead, is in order.
//! - One further on leaves a **hole**, which stays a difference unless the events of it come later.
//! - One further back is the sequence going on before a stray, a change of numbers that the ledger has, an offset that
//!   is kept **twice**, or a **restart** that nobody knows of: a difference.

use super::{
    intervals::Intervals,
    ledger::{Entries, Way},
};

/// Holes that are kept one by one, each of which may yet be filled; beyond that they are only counted.
const HOLES_MAX: usize = 10_000;

/// What became of one event's offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OffsetFinding {
    /// Nothing to say.
    Fine,
    /// This offset is in the log already.
    Twice,
    /// The numbering starts over where nothing says so. The offset that was expected.
    Restart(i64),
}

/// Offsets `[from, to)` that are nowhere. `tag` is the caller's: when it was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hole<T> {
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) tag: T,
}

/// The offsets of one partition so far.
#[derive(Clone, Debug)]
pub(super) struct Sequence<T> {
    next: Option<i64>,
    /// Offsets of this numbering.
    seen: Intervals,
    /// The numbers changed, and go on at this offset; what comes before it came while the place was looked for.
    until: Option<i64>,
    pub(super) holes: Vec<Hole<T>>,
    /// Offsets in holes that are no longer kept one by one.
    pub(super) more_missing: u64,
    /// Offsets that the ledger or a reject accounts for.
    pub(super) accounted: u64,
    /// How often the numbers changed, as the ledger says.
    pub(super) changes: u64,
    pub(super) first: Option<i64>,
}

impl<T> Default for Sequence<T> {
    fn default() -> Self {
        Self {
            next: None,
            seen: Intervals::default(),
            until: None,
            holes: Vec::new(),
            more_missing: 0,
            accounted: 0,
            changes: 0,
            first: None,
        }
    }
}

impl<T: Copy> Sequence<T> {
    /// The last offset in order.
    pub(super) fn last(&self) -> Option<i64> {
        self.next.map(|next| next - 1)
    }

    /// Whether `offset` is the one that comes next.
    pub(super) fn is_next(&self, offset: i64) -> bool {
        self.next.is_none_or(|next| next == offset)
    }

    /// Takes the offset of the log's next event of this partition. `is_new` says that this event is surely not in the
    /// log a second time.
    pub(super) fn see(&mut self, offset: i64, is_new: bool, ledger: &mut Entries, tag: T) -> OffsetFinding {
        let Some(mut next) = self.next else {
            self.first = Some(offset);
            self.advance_to(offset);
            return OffsetFinding::Fine;
        };
        if let Some(until) = self.until {
            if offset < until {
                return OffsetFinding::Fine;
            }
            self.until = None;
            next = until;
        } else if offset == next {
            self.advance_to(offset);
            return OffsetFinding::Fine;
        } else if let Some(way) = ledger.way(next, offset).filter(|way| self.takes(way, next, offset)) {
            ledger.follow(&way);
            self.follow(&way);
            next = way.to;
        } else if let Some(to) = ledger.looked_for(next) {
            self.changes += 1;
            self.seen = Intervals::default();
            (self.next, self.until) = (Some(to), Some(to));
            return OffsetFinding::Fine;
        }
        if offset >= next {
            self.jump(next, offset, ledger, tag);
            return OffsetFinding::Fine;
        }
        self.step_back(next, offset, is_new)
    }

    /// Takes the offset of an event that was perhaps fetched and perhaps imported: what comes next, or where the ledger leads,
    /// is in order; anything else was seen, so that it makes no hole, and says nothing.
    pub(super) fn see_among_others(&mut self, offset: i64, ledger: &mut Entries, tag: T) {
        match self.next {
            Some(next) if self.until.is_none() && (offset == next || ledger.leads(next, offset)) => {
                let _ = self.see(offset, false, ledger, tag);
            }
            _ => {
                self.seen.insert(offset, offset.saturating_add(1));
                self.fill(offset);
            }
        }
    }

    /// Takes `offset` out of the hole that it is in, if it is in one.
    fn fill(&mut self, offset: i64) {
        let Some(at) = self.holes.iter().position(|hole| hole.from <= offset && offset < hole.to) else { return };
        let Hole { from, to, tag } = self.holes[at];
        let parts = [(from, offset), (offset + 1, to)].into_iter().filter(|(from, to)| from < to);
        self.holes.splice(at..=at, parts.map(|(from, to)| Hole { from, to, tag }));
    }

    /// Whether a way is better than none: one that leaves offsets out does not explain an event that is there already.
    fn takes(&self, way: &Way, next: i64, offset: i64) -> bool {
        way.is_whole || offset > next || !self.seen.contains(offset)
    }

    /// Goes a way by the ledger's entries.
    fn follow(&mut self, way: &Way) {
        self.changes += way.jumps.len() as u64;
        self.accounted += way.accounted;
        if way.jumps.iter().any(|(from, to)| to <= from) {
            self.seen = Intervals::default();
        }
    }

    fn advance_to(&mut self, offset: i64) {
        self.seen.insert(offset, offset.saturating_add(1));
        self.next = Some(offset.saturating_add(1));
    }

    fn jump(&mut self, next: i64, offset: i64, ledger: &Entries, tag: T) {
        let mut missing = 0;
        for (from, to) in ledger.accounted.lacking(next, offset) {
            for (from, to) in self.seen.lacking(from, to) {
                missing += from.abs_diff(to);
                if self.holes.len() < HOLES_MAX {
                    self.holes.push(Hole { from, to, tag });
                } else {
                    self.more_missing += from.abs_diff(to);
                }
            }
        }
        if missing == 0 {
            self.accounted += next.abs_diff(offset);
            self.seen.insert(next, offset);
        }
        self.advance_to(offset);
    }

    fn step_back(&mut self, next: i64, offset: i64, is_new: bool) -> OffsetFinding {
        if let Some(stray) = self.holes.iter().position(|hole| hole.from == offset) {
            // The sequence goes on where it was left: what came in between were strays, not the end of a hole.
            self.holes.truncate(stray);
            self.advance_to(offset);
            return OffsetFinding::Fine;
        }
        if let Some(at) = self.holes.iter().position(|hole| hole.from < offset && offset < hole.to) {
            let Hole { from, to, tag } = self.holes[at];
            let parts = [(from, offset), (offset + 1, to)].into_iter().filter(|(from, to)| from < to);
            self.holes.splice(at..=at, parts.map(|(from, to)| Hole { from, to, tag }));
            self.seen.insert(offset, offset + 1);
            return OffsetFinding::Fine;
        }
        if self.seen.contains(offset) && !is_new {
            return OffsetFinding::Twice;
        }
        self.seen = Intervals::default();
        self.advance_to(offset);
        OffsetFinding::Restart(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Offsets as they stand in the log, with the ledger's entries; what is missing, and what is said of the offsets.
    fn check(log: &[i64], ledger: &[(i64, i64)], missing: &[(i64, i64)], said: &[(i64, OffsetFinding)]) {
        let mut entries = Entries::default();
        ledger.iter().for_each(|(from, to)| entries.add(*from, *to));
        check_with(log, entries, missing, said);
    }

    /// The same with entries that are each of one jump.
    fn check_renumbered(log: &[i64], ledger: &[(i64, i64)], missing: &[(i64, i64)], said: &[(i64, OffsetFinding)]) {
        let mut entries = Entries::default();
        ledger.iter().for_each(|(from, to)| entries.add_renumbering(*from, *to));
        check_with(log, entries, missing, said);
    }

    fn check_with(log: &[i64], mut entries: Entries, missing: &[(i64, i64)], said: &[(i64, OffsetFinding)]) {
        let ledger = format!("{entries:?}");
        let mut sequence = Sequence::default();
        let mut found = Vec::new();
        for offset in log {
            match sequence.see(*offset, false, &mut entries, ()) {
                OffsetFinding::Fine => {}
                place => found.push((*offset, place)),
            }
        }
        let holes: Vec<_> = sequence.holes.iter().map(|hole| (hole.from, hole.to)).collect();
        assert_eq!((holes.as_slice(), found.as_slice()), (missing, said), "{log:?} with {ledger}");
    }

    #[test]
    fn offsets_in_a_row_say_nothing() {
        check(&[7, 8, 9, 10], &[], &[], &[]);
    }

    #[test]
    fn a_hole_is_found_unless_the_ledger_has_it() {
        check(&[7, 8, 11, 12], &[], &[(9, 11)], &[]);
        check(&[7, 8, 11, 12], &[(9, 11)], &[], &[]);
        check(&[7, 8, 14], &[(10, 12)], &[(9, 10), (12, 14)], &[]);
        check(&[7, 8, 12], &[(9, 10), (10, 11), (11, 12)], &[], &[]);
    }

    #[test]
    fn an_offset_that_comes_again_is_found() {
        check(&[7, 8, 9, 8, 10], &[], &[], &[(8, OffsetFinding::Twice)]);
        check(&[7, 8, 8], &[], &[], &[(8, OffsetFinding::Twice)]);
    }

    #[test]
    fn numbers_that_begin_anew_are_a_restart_unless_the_ledger_has_it() {
        check(&[101, 102, 7, 8], &[], &[], &[(7, OffsetFinding::Restart(103))]);
        check(&[101, 102, 7, 8], &[(103, 7)], &[], &[]);
        check(&[101, 102, 7, 9], &[(103, 7)], &[(8, 9)], &[]);
        check(&[101, 102, 5021, 5022], &[(103, 5021)], &[], &[]);
    }

    #[test]
    fn numbers_may_change_right_after_refused_events() {
        // 9 was refused, by its place; then the other cluster goes on, and refuses the same event there.
        check(&[7, 8, 5, 6], &[(9, 10), (10, 4), (4, 5)], &[], &[]);
        check(&[7, 8, 5, 6], &[(9, 10), (11, 4), (4, 5)], &[], &[(5, OffsetFinding::Restart(9))]);
    }

    #[test]
    fn what_comes_while_the_place_is_looked_for_makes_no_hole() {
        // Unseen events of the other cluster before the held one is met: forward, backward, and back to the same.
        check(&[99, 100, 5010, 5021, 5022], &[(101, 5021)], &[], &[]);
        check(&[99, 100, 40, 45, 51, 52], &[(101, 51)], &[], &[]);
        check(&[99, 100, 5010, 101, 102], &[(101, 101)], &[], &[]);
        check(&[99, 100, 40, 45, 53], &[(101, 51)], &[(51, 53)], &[]);
    }

    #[test]
    fn each_jump_while_the_place_is_looked_for_has_its_entry() {
        check(&[99, 100, 5010, 5021, 5022], &[(101, 5010), (5011, 5021)], &[], &[]);
        check(&[99, 100, 40, 45, 51, 52], &[(101, 40), (41, 45), (46, 51)], &[], &[]);
        check(&[99, 100, 5010, 101, 102], &[(101, 5010), (5011, 101)], &[], &[]);
        // Without the last entry, which is still to come: all that is there is in order.
        check(&[99, 100, 40, 45, 46], &[(101, 40), (41, 45)], &[], &[]);
        // A kill in between: the other cluster answered next.
        check(&[99, 100, 40, 41], &[(101, 5040), (101, 38), (101, 40)], &[], &[]);
        check(&[99, 100, 40, 47], &[(101, 40), (41, 45)], &[(45, 47)], &[]);
    }

    #[test]
    fn an_entry_that_the_log_never_came_to_follow_hides_nothing_and_leads_nowhere() {
        // A kill in between, and the events before the log's first, which were on their way, come again in the other cluster.
        let log: Vec<i64> = (91..=100).chain(501..=510).chain(520..=522).collect();
        let (orphans, followed) = ([(101, 81), (91, 101)], [(101, 501), (511, 520)]);
        check_renumbered(&log, &[&orphans[..], &followed].concat(), &[], &[]);
        check(&log, &[&orphans[..], &followed].concat(), &[], &[]);
        // A hole where a change was noted.
        check(&[99, 100, 105, 106], &[(101, 40)], &[(101, 105)], &[]);
        check_renumbered(&[99, 100, 105, 106], &[(101, 40), (101, 300)], &[(101, 105)], &[]);
        check_renumbered(&[99, 100, 40], &[(101, 5040)], &[], &[(40, OffsetFinding::Restart(101))]);
        check_renumbered(&[99, 100, 99], &[(101, 40)], &[], &[(99, OffsetFinding::Twice)]);
    }

    #[test]
    fn offsets_that_a_renumbering_leaps_over_are_missed_when_the_numbers_come_back() {
        let ledger = [(101, 5001), (5004, 104)];
        check_renumbered(&[99, 100, 5001, 5002, 5003, 104, 105], &ledger, &[], &[]);
        check_renumbered(&[99, 100, 5001, 5002, 5003, 104, 107, 108], &ledger, &[(105, 107)], &[]);
        // Each is there once: the next visit needs an entry of its own.
        check_renumbered(&[99, 100, 5001, 104], &[(101, 5001)], &[], &[(104, OffsetFinding::Restart(5002))]);
    }

    #[test]
    fn a_hole_that_is_filled_later_is_none() {
        check(&[7, 8, 12, 10, 9, 11, 13], &[], &[], &[]);
    }

    #[test]
    fn among_imported_ones_what_was_fetched_goes_on_and_a_hole_in_it_is_found_behind_them() {
        let check = |among: &[i64], ledger: &[(i64, i64)], behind: &[i64], missing: &[(i64, i64)]| {
            let mut entries = Entries::default();
            ledger.iter().for_each(|(from, to)| entries.add(*from, *to));
            let mut sequence = Sequence::default();
            [100, 101].iter().for_each(|offset| {
                let _ = sequence.see(*offset, false, &mut entries, ());
            });
            among.iter().for_each(|offset| sequence.see_among_others(*offset, &mut entries, ()));
            for offset in behind {
                assert_eq!(sequence.see(*offset, false, &mut entries, ()), OffsetFinding::Fine, "{among:?} {behind:?}");
            }
            let holes: Vec<_> = sequence.holes.iter().map(|hole| (hole.from, hole.to)).collect();
            assert_eq!(holes, missing, "{among:?} {behind:?}");
        };
        check(&[5, 102, 6, 103, 7, 9_000], &[], &[104, 105], &[]);
        check(&[5, 6, 7], &[], &[102, 103], &[]);
        check(&[103, 5, 102], &[], &[104], &[]);
        check(&[5, 102, 104], &[], &[105], &[(103, 104)]);
        check(&[5, 102, 7_000, 7_001, 6], &[(103, 7_000)], &[7_002], &[]);
    }

    #[test]
    fn a_new_event_under_an_old_number_is_a_restart() {
        let (mut sequence, mut entries) = (Sequence::default(), Entries::default());
        for offset in [7, 8, 9] {
            sequence.see(offset, true, &mut entries, ());
        }
        assert_eq!(sequence.see(7, true, &mut entries, ()), OffsetFinding::Restart(10));
        assert_eq!(sequence.see(8, true, &mut entries, ()), OffsetFinding::Fine);
    }
}
