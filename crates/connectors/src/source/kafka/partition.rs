//! Where one partition is read from, and what the offset of each record says. Pure: facts in, decisions out.
//!
//! **The same partition?** Offsets begin again where a topic is deleted and created again, and no offset says so. So reading begins
//! at the last record that was read, and goes on only if that has the checksum of the cursor. A record that is gone, by
//! retention or compaction, proves nothing; then the offsets alone count.
//!
//! **Holes.** The broker refuses an offset before its first one, and gives the next record for any other. So a hole between two
//! records is never a loss: the markers of transactions, aborted records and compacted ones have offsets too. What lies before
//! the broker's first offset is missing.

use std::time::Instant;

use lakehead_model::Timestamp;

use super::cursor::PartitionCursor;

/// Where a partition stands, and the stream it goes to.
#[derive(Clone, Debug)]
pub(super) struct FollowedPartition {
    /// The stream's place.
    pub(super) stream: usize,
    /// What the cursor says of it.
    pub(super) at: PartitionCursor,
    /// The last record has to come again first, to be compared.
    pub(super) is_proven: bool,
    /// When it last brought something.
    pub(super) heard: Option<Instant>,
    /// Whether it is read here, now; with a group it may be with another member.
    pub(super) is_owned: bool,
    /// Where it was taken over from the group.
    pub(super) from: i64,
    /// Up to where its records were handed over.
    pub(super) handed: i64,
}

/// What the offset of a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordPlace {
    /// It is the last one that was read, and the same.
    Known,
    /// It was read before.
    Repeated,
    /// It is new. The offsets from the first on, which are before it, held nothing.
    New { skipped_from: Option<i64> },
    /// It is not what was read at this offset.
    Another,
}

impl FollowedPartition {
    pub(super) fn new(stream: usize, at: PartitionCursor) -> Self {
        Self { stream, at, is_proven: false, heard: None, is_owned: false, from: at.next, handed: at.next }
    }

    /// Begins to read it at `next`; the last record is compared when it is `resumed`.
    pub(super) fn begin(&mut self, next: i64, resumed: bool) {
        if !resumed {
            self.at.last = None;
        }
        self.at.next = next;
        (self.is_proven, self.is_owned, self.from, self.handed) = (self.at.last.is_none(), true, next, next);
        self.heard = None;
    }

    /// The offset to fetch from.
    pub(super) fn fetched_from(&self) -> i64 {
        if self.is_proven { self.at.next } else { self.at.next - 1 }
    }

    /// Classifies the record at `offset`.
    pub(super) fn place(&mut self, offset: i64, checksum: u64) -> RecordPlace {
        let is_last = offset + 1 == self.at.next;
        if is_last && !self.is_proven {
            self.is_proven = self.at.last == Some(checksum);
            return if self.is_proven { RecordPlace::Known } else { RecordPlace::Another };
        }
        if offset < self.at.next {
            return RecordPlace::Repeated;
        }
        self.is_proven = true;
        RecordPlace::New { skipped_from: (offset > self.at.next).then_some(self.at.next) }
    }

    /// The record at `offset` was read.
    pub(super) fn read(&mut self, offset: i64, checksum: u64, event_time: Option<Timestamp>, now: Instant) {
        self.at.next = offset + 1;
        self.at.last = Some(checksum);
        self.at.event_time = self.at.event_time.max(event_time);
        self.heard = Some(now);
    }
}

/// What is known of a partition when reading begins.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PartitionFacts {
    /// What was read of it here, up to this offset, itself not included.
    pub(super) own: Option<i64>,
    /// What the group has committed.
    pub(super) group: Option<GroupOffset>,
    /// The first offset that the broker has, and the one after the last.
    pub(super) low: i64,
    pub(super) high: i64,
    /// The offset of the first record that is not too old.
    pub(super) young: Option<i64>,
}

/// An offset that a group has committed, and what Lakehead notes beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct GroupOffset {
    pub(super) next: i64,
    /// Who committed it, if it was a Lakehead.
    pub(super) note: Option<MemberNote>,
}

/// What a Lakehead notes beside an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MemberNote {
    /// Who it is.
    pub(super) member: u64,
    /// Where it took the partition over.
    pub(super) from: i64,
    /// It has given the partition up, and has nothing of it beyond the offset.
    pub(super) is_released: bool,
}

impl MemberNote {
    /// As it is committed: `lakehead 1 7012 1200 released`.
    pub(super) fn text(self) -> String {
        let Self { member, from, is_released } = self;
        format!("lakehead 1 {member} {from} {}", if is_released { "released" } else { "held" })
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split(' ').collect();
        let ["lakehead", "1", member, from, word @ ("released" | "held")] = words.as_slice() else { return None };
        Some(Self { member: member.parse().ok()?, from: from.parse().ok()?, is_released: *word == "released" })
    }
}

/// Where reading begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// Nothing is known: as the settings say.
    Fresh,
    /// At this offset, after these ranges that are to be noted.
    At { next: i64, resumed: bool, noted: Vec<Noted> },
    /// What was read is not there: the partition ends before it.
    Beyond { next: i64 },
}

/// A range of offsets that is to be noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noted {
    /// Retention has removed them.
    Gone(i64, i64),
    /// Another member of the group has read them.
    Elsewhere(i64, i64),
    /// Older than `age_max`.
    TooOld(i64, i64),
    /// Another member has read them as well.
    Doubled(i64, i64),
    /// From here on the member before may have read on, and have kept it.
    Unclear(i64),
}

/// Decides where reading begins. `me` is this source among the members of the group.
pub(super) fn beginning(facts: &PartitionFacts, me: u64) -> Beginning {
    let PartitionFacts { own, group, low, high, young } = *facts;
    let mut noted = Vec::new();
    let (mut next, mut resumed) = match (own, group) {
        (None, None) => return Beginning::Fresh,
        (Some(own), None) => (own, true),
        (Some(own), Some(group)) if group.next <= own => (own, true),
        (Some(own), Some(group)) => {
            noted.push(Noted::Elsewhere(own, group.next));
            (group.next, false)
        }
        (None, Some(group)) => (group.next, false),
    };
    if let Some((group, note)) =
        group.and_then(|group| Some((group, group.note?))).filter(|(_, note)| note.member != me)
    {
        // It took over behind what is kept here, since that was not committed before it moved.
        let both = own.map(|own| own.min(group.next)).filter(|both| *both > note.from);
        noted.extend(both.map(|both| Noted::Doubled(note.from, both)));
        if !note.is_released {
            noted.push(Noted::Unclear(next));
        }
    }
    if next > high {
        return Beginning::Beyond { next };
    }
    if next < low {
        noted.push(Noted::Gone(next, low));
        (next, resumed) = (low, false);
    }
    if let Some(young) = young.filter(|young| *young > next) {
        noted.push(Noted::TooOld(next, young));
        (next, resumed) = (young, false);
    }
    // The last record that was read is gone: nothing is left to compare.
    Beginning::At { next, resumed: resumed && next > low, noted }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(next: i64, last: Option<u64>) -> FollowedPartition {
        let mut partition = FollowedPartition::new(0, PartitionCursor { next, last, event_time: None });
        partition.begin(next, true);
        partition
    }

    #[test]
    fn the_last_record_is_met_again_before_anything_is_taken() {
        let mut resumed = partition(7, Some(60));
        assert_eq!(resumed.fetched_from(), 6);
        assert_eq!(resumed.place(6, 60), RecordPlace::Known);
        assert_eq!(resumed.place(7, 70), RecordPlace::New { skipped_from: None });
        let mut another = partition(7, Some(60));
        assert_eq!(another.place(6, 61), RecordPlace::Another);
        let mut fresh = partition(7, None);
        assert_eq!((fresh.fetched_from(), fresh.place(7, 1)), (7, RecordPlace::New { skipped_from: None }));
    }

    #[test]
    fn a_last_record_that_is_compacted_away_proves_nothing_and_stops_nothing() {
        let mut resumed = partition(7, Some(60));
        assert_eq!(resumed.place(9, 90), RecordPlace::New { skipped_from: Some(7) });
    }

    #[test]
    fn holes_are_told_and_repeats_are_known() {
        let mut partition = partition(0, None);
        for (offset, expected) in [
            (0, RecordPlace::New { skipped_from: None }),
            (1, RecordPlace::New { skipped_from: None }),
            (1, RecordPlace::Repeated),
            (0, RecordPlace::Repeated),
            (5, RecordPlace::New { skipped_from: Some(2) }),
        ] {
            assert_eq!(partition.place(offset, 9), expected, "{offset}");
            if matches!(expected, RecordPlace::New { .. }) {
                partition.read(offset, 9, None, Instant::now());
            }
        }
    }

    fn facts(own: Option<i64>, group: Option<i64>, low: i64, high: i64) -> PartitionFacts {
        PartitionFacts { own, group: group.map(|next| GroupOffset { next, note: None }), low, high, young: None }
    }

    #[test]
    fn reading_begins_where_the_own_log_ends_or_further_on_where_the_group_is() {
        use Noted::{Elsewhere, Gone};
        for (own, group, low, high, next, resumed, noted) in [
            (Some(50), None, 0, 90, 50, true, vec![]),
            (Some(50), Some(40), 0, 90, 50, true, vec![]),
            (Some(50), Some(60), 0, 90, 60, false, vec![Elsewhere(50, 60)]),
            (None, Some(60), 0, 90, 60, false, vec![]),
            (Some(50), None, 50, 90, 50, false, vec![]),
            (Some(50), None, 70, 90, 70, false, vec![Gone(50, 70)]),
            (Some(50), Some(60), 70, 90, 70, false, vec![Elsewhere(50, 60), Gone(60, 70)]),
            (Some(50), None, 50, 50, 50, false, vec![]),
        ] {
            let found = beginning(&facts(own, group, low, high), 1);
            assert_eq!(found, Beginning::At { next, resumed, noted }, "{own:?} {group:?} [{low}, {high})");
        }
        assert_eq!(beginning(&facts(None, None, 3, 9), 1), Beginning::Fresh);
        assert_eq!(beginning(&facts(Some(50), None, 0, 49), 1), Beginning::Beyond { next: 50 });
        let old = PartitionFacts { young: Some(80), ..facts(Some(50), None, 0, 90) };
        let noted = vec![Noted::TooOld(50, 80)];
        assert_eq!(beginning(&old, 1), Beginning::At { next: 80, resumed: false, noted });
    }

    #[test]
    fn what_another_member_read_as_well_is_told() {
        let at = |own, next, member, from, is_released| {
            let note = Some(MemberNote { member, from, is_released });
            let facts = PartitionFacts { group: Some(GroupOffset { next, note }), ..facts(own, None, 0, 90) };
            match beginning(&facts, 1) {
                Beginning::At { next, noted, .. } => (next, noted),
                other => panic!("{other:?}"),
            }
        };
        // Given up in order: nothing to tell.
        assert_eq!(at(None, 40, 2, 0, true), (40, vec![]));
        // Killed, or gone without waiting.
        assert_eq!(at(None, 40, 2, 0, false), (40, vec![Noted::Unclear(40)]));
        // This one itself, killed between its disk and its commit.
        assert_eq!(at(Some(50), 40, 1, 0, false), (50, vec![]));
        // Another began at 30 though this one held up to 50, and came to 45, or to 60.
        assert_eq!(at(Some(50), 45, 2, 30, true), (50, vec![Noted::Doubled(30, 45)]));
        let further = vec![Noted::Elsewhere(50, 60), Noted::Doubled(30, 50)];
        assert_eq!(at(Some(50), 60, 2, 30, true), (60, further));
        assert_eq!(at(Some(50), 60, 2, 50, true), (60, vec![Noted::Elsewhere(50, 60)]));
    }

    #[test]
    fn a_note_reads_back_and_other_text_is_none() {
        let note = MemberNote { member: u64::MAX, from: 7, is_released: true };
        assert_eq!(MemberNote::read(&note.text()), Some(note));
        for text in
            ["", "lakehead 2 7 7 held", "lakehead 1 7 7 lost", "lakehead 1 x 7 held", "lakehead 1 7 7 held more"]
        {
            assert_eq!(MemberNote::read(text), None, "{text:?}");
        }
    }
}
