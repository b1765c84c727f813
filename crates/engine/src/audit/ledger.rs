//! What is known of upstream offsets that are not in a stream's log: the gap ledger and the rejects, of one stream.
//!
//! An entry of the ledger says that after `from_offset` comes `to_offset`. What is missing for good or was skipped accounts for
//! every offset between; a renumbering only for its one jump, forward or back, since the offsets that it leaps over may yet come
//! from the cluster that has them. Entries of before there were kinds say less: forward they count as the former, back as the
//! latter.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use lakehead_model::{Name, Offset};
use lakehead_store::Stream;
use serde::Deserialize;

use super::intervals::Intervals;
use crate::{Error, builtin, ledgers::gaps};

/// The two built-in streams, where they are there.
pub(super) struct LedgerStreams {
    rejects: Option<Stream>,
    gaps: Option<Stream>,
}

impl LedgerStreams {
    pub(super) fn of(streams: &BTreeMap<Name, Stream>) -> Self {
        Self { rejects: streams.get(builtin::REJECTS).cloned(), gaps: streams.get(builtin::GAPS).cloned() }
    }
}

/// All that accounts for offsets of one stream.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    partitions: HashMap<String, Entries>,
    /// Rejects whose upstream offset nobody could read. Each accounts for one missing offset, of whatever partition.
    pub(super) unplaced: u64,
    /// Rejects in all.
    pub(super) rejects: u64,
    gaps_read: Offset,
    rejects_read: Offset,
}

/// Positions that are looked at, at most, for a way from one offset to the next: so many entries may follow on one another.
const STEPS_MAX: usize = 10_000;

/// What accounts for offsets of one topic and partition.
#[derive(Debug, Default)]
pub(super) struct Entries {
    pub(super) accounted: Intervals,
    /// Jumps from an offset, in the order of the ledger.
    jumps: BTreeMap<i64, VecDeque<Jump>>,
}

/// Where the numbers go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Jump {
    to: i64,
    /// There is an entry for each jump. Else there is one for all of an overlap, and what comes before `to` came while that was
    /// looked for.
    is_each: bool,
}

/// The way from one event's offset towards the next's.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Way {
    /// The jumps in it.
    pub(super) jumps: Vec<(i64, i64)>,
    /// Offsets between them that are accounted for.
    pub(super) accounted: u64,
    /// Where the last one leads, which is not after the next event: what lies between is accounted for or missing.
    pub(super) to: i64,
    /// All of that is accounted for.
    pub(super) is_whole: bool,
}

/// A place that a way may come to.
struct WayPlace {
    at: i64,
    /// The place before it in the list of all, and the offset from which a jump led here.
    before: Option<(usize, i64)>,
}

impl Entries {
    /// Nothing of `[from, to)` will come; or, in an entry without a kind that leads back, the numbers go on at `to`.
    pub(super) fn add(&mut self, from: i64, to: i64) {
        if to > from {
            self.accounted.insert(from, to);
        } else {
            self.jumps.entry(from).or_default().push_back(Jump { to, is_each: false });
        }
    }

    /// The numbers go on from `from` at `to`.
    pub(super) fn add_renumbering(&mut self, from: i64, to: i64) {
        self.jumps.entry(from).or_default().push_back(Jump { to, is_each: true });
    }

    /// The way from `next` that leaves the fewest offsets missing before `offset`: none, where all of it is accounted for. `None` where
    /// every way leads beyond it.
    pub(super) fn way(&self, next: i64, offset: i64) -> Option<Way> {
        let mut places = vec![WayPlace { at: next, before: None }];
        let mut seen = BTreeSet::from([next]);
        let mut number = 0;
        while let Some(from) = places.get(number).map(|place| place.at) {
            let end = self.accounted.end(from);
            if (from..=end).contains(&offset) {
                return Some(Way { is_whole: true, ..way(&places, number) });
            }
            for (jumps_from, jumps) in self.jumps.range(from..=end) {
                let new = jumps.iter().filter(|jump| seen.insert(jump.to));
                places.extend(new.map(|jump| WayPlace { at: jump.to, before: Some((number, *jumps_from)) }));
            }
            number += 1;
            if number == STEPS_MAX {
                break;
            }
        }
        let lacks = |from: i64| self.accounted.lacking(from, offset).iter().map(|(a, b)| a.abs_diff(*b)).sum::<u64>();
        let before = places.iter().enumerate().filter(|(_, place)| place.at <= offset);
        let nearest = before.min_by_key(|(_, place)| lacks(place.at));
        nearest.map(|(number, _)| way(&places, number))
    }

    /// The jumps of `way` are used up, each once, and those before them at the same places, which the log never came to follow: after
    /// a kill an entry may stand twice, or lead where nothing went.
    pub(super) fn follow(&mut self, way: &Way) {
        for (from, to) in &way.jumps {
            if let Some(at) = self.jumps.get(from).and_then(|jumps| jumps.iter().position(|jump| jump.to == *to)) {
                self.use_up(*from, at);
            }
        }
    }

    /// Whether entries lead from `next` to `offset`, and leave none out.
    pub(super) fn leads(&self, next: i64, offset: i64) -> bool {
        self.way(next, offset).is_some_and(|way| way.is_whole)
    }

    /// The place that was looked for from `next` on, where one entry stands for all of an overlap.
    pub(super) fn looked_for(&mut self, next: i64) -> Option<i64> {
        let (from, jumps) = self.jumps.range(next..=self.accounted.end(next)).next()?;
        let (from, at) = (*from, jumps.iter().position(|jump| !jump.is_each)?);
        self.use_up(from, at)
    }

    fn use_up(&mut self, from: i64, at: usize) -> Option<i64> {
        let jumps = self.jumps.get_mut(&from)?;
        let last = jumps.drain(..=at).next_back();
        if jumps.is_empty() {
            self.jumps.remove(&from);
        }
        last.map(|jump| jump.to)
    }
}

/// The way to the place `number` of `places`.
fn way(places: &[WayPlace], mut number: usize) -> Way {
    let mut way = Way { to: places[number].at, ..Way::default() };
    while let WayPlace { at, before: Some((earlier, from)) } = places[number] {
        way.jumps.push((from, at));
        way.accounted += places[earlier].at.abs_diff(from);
        number = earlier;
    }
    way.jumps.reverse();
    way
}

#[derive(Deserialize)]
struct Gap<'a> {
    stream: &'a str,
    kind: Option<&'a str>,
    #[serde(borrow)]
    partition: std::borrow::Cow<'a, str>,
    from_offset: i64,
    to_offset: i64,
}

#[derive(Deserialize)]
struct Reject<'a> {
    stream: &'a str,
    #[serde(borrow)]
    position: std::borrow::Cow<'a, str>,
    /// A view that has left the event out; the event itself is in the log.
    #[serde(default, borrow)]
    view: Option<std::borrow::Cow<'a, str>>,
    /// A sink whose target has refused it; the event itself is in the log.
    #[serde(default, borrow)]
    sink: Option<std::borrow::Cow<'a, str>>,
}

impl Ledger {
    /// Reads what concerns `stream` and has come since the last time.
    pub(super) fn advance(&mut self, stream: &Name, streams: &LedgerStreams) -> Result<(), Error> {
        if let Some(gaps) = &streams.gaps {
            self.gaps_read = each(gaps, self.gaps_read, |event| {
                if let Ok(gap) = serde_json::from_slice::<Gap<'_>>(event)
                    && gap.stream == stream.as_str()
                {
                    let entries = self.entries(&gap.partition);
                    match gap.kind {
                        Some(gaps::RENUMBERED) => entries.add_renumbering(gap.from_offset, gap.to_offset),
                        _ => entries.add(gap.from_offset, gap.to_offset),
                    }
                }
            })?;
        }
        if let Some(rejects) = &streams.rejects {
            self.rejects_read = each(rejects, self.rejects_read, |event| {
                if let Ok(reject) = serde_json::from_slice::<Reject<'_>>(event)
                    && reject.stream == stream.as_str()
                    && reject.view.is_none()
                    && reject.sink.is_none()
                {
                    self.refuse(&reject.position);
                }
            })?;
        }
        Ok(())
    }

    /// A reject whose position is `topic/partition/offset`, or something else where nobody could tell.
    fn refuse(&mut self, position: &str) {
        self.rejects += 1;
        let placed = position.rsplit_once('/').and_then(|(partition, offset)| Some((partition, offset.parse().ok()?)));
        match placed {
            Some((partition, offset)) => self.entries(partition).add(offset, offset + 1),
            None => self.unplaced += 1,
        }
    }

    /// What is known of one topic and partition.
    pub(super) fn entries(&mut self, partition: &str) -> &mut Entries {
        if !self.partitions.contains_key(partition) {
            self.partitions.insert(partition.to_owned(), Entries::default());
        }
        self.partitions.get_mut(partition).expect("it was put there if it was not")
    }
}

/// Calls `event` with every event from `from` on that is kept; where it ended.
fn each(stream: &Stream, from: Offset, mut event: impl FnMut(&[u8])) -> Result<Offset, Error> {
    let head = stream.head();
    let mut reader = stream.reader(from.max(head.start));
    while reader.position() < head.end {
        let Some(block) = reader.next()? else { break };
        block.events().for_each(&mut event);
    }
    Ok(reader.position())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reject_accounts_for_its_offset_or_for_any() {
        let mut ledger = Ledger::default();
        ledger.refuse("eqiad.t/0/7");
        ledger.refuse("[{\"topic\":\"eqiad.t\",\"partition\":0,\"timestamp\":1}]");
        ledger.refuse("no id");
        assert_eq!((ledger.rejects, ledger.unplaced), (3, 2));
        assert_eq!(ledger.entries("eqiad.t/0").accounted.lacking(6, 9), [(6, 7), (8, 9)]);
    }

    fn renumberings(all: &[(i64, i64)]) -> Entries {
        let mut entries = Entries::default();
        all.iter().for_each(|(from, to)| entries.add_renumbering(*from, *to));
        entries
    }

    #[test]
    fn a_jump_is_used_once_and_those_before_it_are_no_more() {
        let mut entries = renumberings(&[(9, 3), (9, 4), (9, 4), (9, 5)]);
        let found = [4, 4, 5, 5].map(|offset| {
            let way = entries.way(9, offset)?;
            entries.follow(&way);
            Some(way.to)
        });
        assert_eq!(found, [Some(4), Some(4), Some(5), None]);
    }

    #[test]
    fn a_way_leads_over_all_that_follows_on_one_another() {
        let mut entries = renumberings(&[(11, 3), (3, 70), (72, 80), (9, 500)]);
        entries.add(9, 11);
        entries.add(70, 75);
        let way = entries.way(9, 80).expect("a way");
        assert_eq!(way, Way { jumps: vec![(11, 3), (3, 70), (72, 80)], accounted: 4, to: 80, is_whole: true });
        assert_eq!(entries.way(9, 11), Some(Way { to: 9, is_whole: true, ..Way::default() }));
        assert_eq!(entries.way(12, 13), Some(Way { to: 12, ..Way::default() }));
        entries.follow(&way);
        assert_eq!(entries.way(9, 500).map(|way| way.jumps), Some(vec![(9, 500)]));
        assert_eq!(entries.way(9, 80), Some(Way { to: 9, ..Way::default() }), "it is used up");
    }

    #[test]
    fn a_ring_of_entries_and_a_long_row_of_them_end() {
        let mut entries = renumberings(&[]);
        (0..100_000).for_each(|n| entries.add_renumbering(n, n + 1));
        entries.add_renumbering(100_000, 0);
        assert_eq!(entries.way(0, 5_000).map(|way| way.to), Some(5_000));
        assert_eq!(entries.way(0, 99_999).map(|way| way.to), i64::try_from(STEPS_MAX).ok(), "as far as it looks");
        assert_eq!(entries.way(5, 0).map(|way| way.to), None);
    }

    #[test]
    fn where_none_accounts_for_all_the_way_that_leaves_the_fewest_offsets_goes() {
        let to = |all: &[(i64, i64)], offset: i64| renumberings(all).way(9, offset).map(|way| way.to);
        assert_eq!(to(&[(9, 1), (9, 6)], 8), Some(6));
        // Nothing accounts for 9 to 11: that is the hole, not what lies behind a jump that was never followed.
        assert_eq!(to(&[(9, 1)], 12), Some(9));
        assert_eq!(to(&[(9, 5)], 3), None);
    }

    #[test]
    fn an_entry_without_a_kind_may_stand_for_a_whole_overlap() {
        let mut entries = renumberings(&[(9, 7)]);
        assert_eq!(entries.looked_for(9), None);
        entries.add(9, 5);
        assert_eq!((entries.looked_for(9), entries.looked_for(9)), (Some(5), None));
    }
}
