//! Retention at work: plans by the rule and by who needs what, and removes what a plan says.

use std::path::Path;

use lakehead_model::Timestamp;

use crate::{
    crash,
    disk::layout::SegmentPath,
    error::Error,
    maintain::{
        maintenance::Maintenance,
        retention::{self, Candidate, ExpiredSegment, Retention, RetentionPlan},
    },
    read::claims::Claim,
    segment::neighbours::first_block,
};

impl Maintenance {
    /// As [`Stream::plan_retention`](crate::Stream::plan_retention).
    pub(crate) fn plan_retention(
        &self,
        rule: &Retention,
        now: Timestamp,
        claims: &[Claim],
    ) -> Result<RetentionPlan, Error> {
        if *rule == Retention::default() {
            return Ok(RetentionPlan::default());
        }
        let (finished, stored) = {
            let published = self.read.published();
            (published.finished_segments().to_vec(), published.stats().stored_bytes)
        };
        let mut candidates = Vec::new();
        for entry in finished {
            let entry = self.looked_into(entry)?;
            let Some(summary) = entry.summary else { break };
            let first_offset = entry.at.first_offset;
            candidates.push(Candidate { path: entry.at.path, first_offset, bytes: entry.end, summary });
        }
        let mut claims = claims.to_vec();
        claims.extend(self.read.claims.list());
        Ok(retention::decide(rule, now, candidates, stored, &claims))
    }

    /// As [`Stream::retain`](crate::Stream::retain).
    pub(crate) fn retain(&self, plan: &RetentionPlan) -> Result<Vec<ExpiredSegment>, Error> {
        self.check_may_write()?;
        let _turn = self.turn();
        let Some(first) = plan.remove.first() else { return Ok(Vec::new()) };
        let claims = self.read.claims.list();
        let now = self.clock.now();
        let is_free = |expired: &&ExpiredSegment| {
            !claims.iter().any(|claim| claim.holds(expired.end_offset, expired.received_last, now))
        };
        let going: Vec<ExpiredSegment> = plan.remove.iter().take_while(is_free).cloned().collect();
        let finished = self.read.published().finished_segments().to_vec();
        // The plan may be an old one.
        let same = finished.iter().zip(&going).all(|(entry, expired)| entry.at.path == expired.path);
        if !same || finished.len() < going.len() || finished.first().is_none_or(|entry| entry.at.path != first.path) {
            return Err(self.changed());
        }
        if going.is_empty() {
            return Ok(going);
        }
        let rest: Vec<SegmentPath> =
            self.read.published().segments().iter().skip(going.len()).map(|entry| entry.at.clone()).collect();
        let beginning = first_block(self.log(), rest.iter())?;
        let lying = self.log().list_segments("")?;
        if lying.first().is_some_and(|(at, _)| at.path != first.path) {
            // An earlier removal has failed half-way. What it left goes first, or the log would have a hole.
            self.compare()?;
            return Err(self.changed());
        }
        retention::settle(self.log(), &first.path)?;
        self.read.published().forget(going.len(), beginning);
        self.record()?;
        crash::point("retain.recorded");
        for expired in &going {
            self.remove(&expired.path)?;
        }
        Ok(going)
    }

    /// Removes a segment's file, durably, and the folders that this empties, up to the stream's own; the first that is in use
    /// ends that.
    fn remove(&self, path: &Path) -> Result<(), Error> {
        let files = &*self.log().files;
        files.remove(path).map_err(Error::io("remove", path))?;
        crash::point("retain.removed");
        let own = self.log().folder();
        for folder in path.ancestors().skip(1).take_while(|folder| *folder != own) {
            if files.remove_folder(folder).is_err() {
                return files.sync_folder(folder).map_err(Error::io("sync", folder));
            }
        }
        Ok(())
    }

    fn changed(&self) -> Error {
        let reason = "the start of the log has changed since retention was planned; plan again".into();
        Error::CannotWrite { stream: self.log().name.clone(), reason }
    }
}
