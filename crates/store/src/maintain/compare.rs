//! The comparison of what is known of a stream with what lies in its folders; what lies there counts from then on.

use lakehead_model::Timestamp;

use crate::{
    disk::{files::Access, layout::SegmentPath},
    error::Error,
    maintain::maintenance::Maintenance,
    read::published::SegmentEntry,
    recover::{
        loss::{self, Loss},
        mending::set_segment_aside,
    },
    segment::{file::Segment, neighbours::first_block},
};

impl Maintenance {
    /// As [`Stream::check_inventory`](crate::Stream::check_inventory).
    pub(crate) fn check_inventory(&self) -> Result<Option<String>, Error> {
        let _turn = self.turn();
        self.compare()
    }

    /// The comparison itself, for whoever has the turn.
    pub(super) fn compare(&self) -> Result<Option<String>, Error> {
        let listed = self.log().list_segments("")?;
        let known = self.read.published().finished_segments().to_vec();
        let Some(last) = known.last().map(|entry| entry.at.clone()) else {
            self.record_if_allowed()?;
            return Ok(None);
        };
        let all: Vec<SegmentPath> = listed.into_iter().map(|(at, _)| at).collect();
        let (listed, _) = all.split_at(all.partition_point(|at| *at <= last));
        self.note_missing(&known, listed);
        let differs = listed.len() != known.len() || listed.iter().zip(&known).any(|(at, entry)| *at != entry.at);
        let finished = self.look_into_all(&known, listed, &all)?;
        let first_offset = finished.first().map(|entry| entry.at.first_offset);
        let same_start = finished.iter().map(|entry| &entry.at).take_while(|at| Some(at.first_offset) == first_offset);
        if !finished.is_empty() {
            let beginning = first_block(self.log(), same_start)?;
            self.read.published().replace_finished(finished, beginning);
        }
        self.record_if_allowed()?;
        Ok(differs.then(|| {
            format!(
                "the inventory named {} finished segments, and others lie in the folders; {}",
                known.len(),
                if self.may_write() { "it was made anew" } else { "it stays as it is, since nothing may be written" }
            )
        }))
    }

    /// Whoever reads only leaves the inventory to whoever writes.
    fn record_if_allowed(&self) -> Result<(), Error> {
        if self.may_write() { self.record() } else { Ok(()) }
    }

    /// Notes the events of `known` segments that are not `listed` as lost.
    fn note_missing(&self, known: &[SegmentEntry], listed: &[SegmentPath]) {
        let gone = known.iter().filter(|entry| listed.binary_search(&entry.at).is_err());
        let gone: Vec<Loss> = gone.filter_map(|entry| missing(entry, self.clock.now())).collect();
        gone.iter().for_each(|loss| loss.report(&self.log().name));
        loss::note(&mut self.losses(), gone);
    }

    /// The finished segments that are `listed`, each with its summary; `all` are those after them, too. One that holds nothing
    /// that counts is taken out of the log.
    fn look_into_all(
        &self,
        known: &[SegmentEntry],
        listed: &[SegmentPath],
        all: &[SegmentPath],
    ) -> Result<Vec<SegmentEntry>, Error> {
        let mut finished = Vec::with_capacity(listed.len());
        for (i, at) in listed.iter().enumerate() {
            let found = known.binary_search_by(|entry| entry.at.cmp(at)).ok().and_then(|at| known.get(at)).cloned();
            let entry = match found {
                Some(entry) if entry.summary.is_some() => entry,
                _ => self.look_into(at, all.get(i + 1..).unwrap_or(&[]))?,
            };
            if entry.end == 0 && self.may_write() {
                // A failure left it, and nothing in it ever counted.
                let segment = Segment::open(self.log(), at.clone(), Access::Read)?;
                set_segment_aside(self.log(), &segment, segment.len()?, &mut Vec::new())?;
                continue;
            }
            finished.push(entry);
        }
        Ok(finished)
    }
}

/// What is gone with a segment that is known and not there; nothing when it held no event.
fn missing(entry: &SegmentEntry, now: Timestamp) -> Option<Loss> {
    let (from, to) = (entry.at.first_offset, entry.summary?.ends(entry.at.first_offset).offset);
    let evidence = format!("the inventory names {}, and it is not there", entry.at.path.display());
    (from < to).then_some(Loss { from, to, evidence, noticed: now, acknowledged: false })
}
