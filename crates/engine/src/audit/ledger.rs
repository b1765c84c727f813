//! What is known of upstream offsets that are not in a stream's log: the gap ledger and the rejects, of one stream.
//!
//! An entry of the ledger says that after `from_offset` comes `to_offset`. Forward, what lies between is accounted for:
//! missing for good, or kept under another offset. Backward, the upstream's numbers changed: another cluster answered.

use std::collections::{BTreeMap, HashMap, VecDeque};

use lakehead_model::{Name, Offset};
use lakehead_store::Stream;
use serde::Deserialize;

use super::intervals::Intervals;
use crate::{Error, builtin};

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

/// Refused events in a row after which a change of numbers is not looked for any more.
const REFUSED_MAX: i64 = 10_000;

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

/// What accounts for offsets of one topic and partition.
#[derive(Debug, Default)]
pub(super) struct Entries {
    pub(super) accounted: Intervals,
    /// From an offset onward to one that is not greater, in the order of the ledger.
    onward: BTreeMap<i64, VecDeque<i64>>,
}

impl Entries {
    /// An entry of the gap ledger.
    pub(super) fn add(&mut self, from: i64, to: i64) {
        if to > from {
            self.accounted.insert(from, to);
        } else {
            self.onward.entry(from).or_default().push_back(to);
        }
    }

    /// Whether the numbers go on from `next`, or after refused ones that follow on it, exactly at `offset`.
    pub(super) fn leads(&self, next: i64, offset: i64) -> bool {
        let refused = (next..next.saturating_add(REFUSED_MAX)).take_while(|offset| self.accounted.contains(*offset));
        let mut places = std::iter::once(next).chain(refused.map(|offset| offset.saturating_add(1)));
        places.any(|from| self.onward.get(&from).is_some_and(|to| to.contains(&offset)))
    }

    /// Where the numbers go on from `next`, should they have changed there, or after refused ones that follow on it, when
    /// the next event has `offset`. Each change is used once. After a kill an entry may stand twice, or one that the
    /// log never came to follow; so the one that leads to `offset` goes before the first.
    pub(super) fn onward(&mut self, next: i64, offset: i64) -> Option<i64> {
        let refused = (next..next.saturating_add(REFUSED_MAX)).take_while(|offset| self.accounted.contains(*offset));
        let places = refused.map(|offset| offset.saturating_add(1));
        let from = std::iter::once(next).chain(places).find(|offset| self.onward.contains_key(offset))?;
        let changes = self.onward.get_mut(&from)?;
        let at = changes.iter().position(|to| *to == offset).unwrap_or(0);
        let to = changes.drain(..=at).next_back();
        if changes.is_empty() {
            self.onward.remove(&from);
        }
        to
    }
}

#[derive(Deserialize)]
struct Gap<'a> {
    stream: &'a str,
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
                    self.entries(&gap.partition).add(gap.from_offset, gap.to_offset);
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

    #[test]
    fn a_change_of_numbers_is_used_once_and_in_order() {
        let mut entries = Entries::default();
        entries.add(9, 4);
        entries.add(9, 9);
        assert_eq!([6, 6, 6].map(|offset| entries.onward(9, offset)), [Some(4), Some(9), None]);
    }

    #[test]
    fn of_several_changes_at_one_place_the_one_that_fits_is_used() {
        let mut entries = Entries::default();
        [3, 4, 4, 5].iter().for_each(|to| entries.add(9, *to));
        assert_eq!([4, 4, 5, 5].map(|offset| entries.onward(9, offset)), [Some(4), Some(4), Some(5), None]);
    }
}
