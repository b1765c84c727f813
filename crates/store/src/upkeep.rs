//! What keeps a stream in shape beside the live path: sealing, retention, and comparing the inventory with the files.
//!
//! Each is asked for from outside and runs on the thread that asks, one at a time for a stream. Neither stops the writer or
//! a reader.

use std::sync::{MutexGuard, PoisonError};

use lakehead_model::{Offset, Timestamp};

use crate::{
    Error, Loss, Need, Pace, Retention, RetentionPlan, SealedSegment, Stream, crash, evidence,
    files::Access,
    inventory::{self, Inventory, Line, Summary},
    layout::SegmentPath,
    published::Kept,
    recovery::{end_before, first_block, set_segment_aside},
    retention::{self, Candidate, Expired},
    seal,
    segment::{Beginning, Border, Segment},
    stream::Inner,
};

impl Stream {
    /// Seals the oldest finished segment that is not sealed, and answers which; `None` when there is none, or `pace` said
    /// stop. Blocks, and takes a while: about 90 MB of events a second at level 9.
    ///
    /// # Errors
    /// `Corrupt` when the segment is not as it was written: it stays as it is; `Unavailable` when the copy cannot be written,
    /// for want of room perhaps; `Invalid` when opened for reading only.
    pub fn seal_next(&self, pace: &mut Pace<'_>) -> Result<Option<SealedSegment>, Error> {
        let inner = &*self.inner;
        inner.queue()?;
        let _alone = inner.upkeep();
        loop {
            let next = inner.published().finished_segments().iter().find(|kept| !is_done(kept)).cloned();
            let Some(kept) = next else { return Ok(None) };
            let kept = inner.looked_into(kept)?;
            if is_done(&kept) {
                continue;
            }
            return inner.seal(&kept, pace);
        }
    }

    /// How many finished segments are not sealed yet.
    #[must_use]
    pub fn unsealed(&self) -> usize {
        self.inner.published().finished_segments().iter().filter(|kept| !is_done(kept)).count()
    }

    /// What `rule` would remove at `now`, given who needs what beside the open readers, which the stream knows itself.
    ///
    /// # Errors
    /// When a segment of which nothing is known cannot be read.
    pub fn plan_retention(&self, rule: &Retention, now: Timestamp, needs: &[Need]) -> Result<RetentionPlan, Error> {
        let inner = &*self.inner;
        if *rule == Retention::default() {
            return Ok(RetentionPlan::default());
        }
        let (finished, stored) = {
            let published = inner.published();
            (published.finished_segments().to_vec(), published.stats().stored_bytes)
        };
        let mut candidates = Vec::new();
        for kept in finished {
            let kept = inner.looked_into(kept)?;
            let Some(summary) = kept.summary else { break };
            let first_offset = kept.at.first_offset;
            candidates.push(Candidate { path: kept.at.path, first_offset, bytes: kept.end, summary });
        }
        let mut needs = needs.to_vec();
        needs.extend(inner.open_readers());
        Ok(retention::decide(rule, now, candidates, stored, &needs))
    }

    /// Removes what `plan` says. Answers what is gone; less than planned when a reader has been opened there meanwhile.
    ///
    /// # Errors
    /// `Unavailable` when a file cannot be removed; what was removed before it is gone.
    pub fn retain(&self, plan: &RetentionPlan) -> Result<Vec<Expired>, Error> {
        let inner = &*self.inner;
        inner.queue()?;
        let _alone = inner.upkeep();
        let Some(first) = plan.remove.first() else { return Ok(Vec::new()) };
        let readers = inner.open_readers();
        let free = |expired: &&Expired| readers.iter().all(|reader| reader.from >= expired.end_offset);
        let going: Vec<Expired> = plan.remove.iter().take_while(free).cloned().collect();
        let finished = inner.published().finished_segments().to_vec();
        // The plan may be an old one.
        let same = finished.iter().zip(&going).all(|(kept, expired)| kept.at.path == expired.path);
        if !same || finished.len() < going.len() || finished.first().is_none_or(|kept| kept.at.path != first.path) {
            return Err(inner.changed());
        }
        if going.is_empty() {
            return Ok(going);
        }
        let rest = inner.published().segment_files().into_iter().skip(going.len());
        let rest: Vec<SegmentPath> =
            rest.map(|file| SegmentPath { first_offset: file.first_offset, path: file.path }).collect();
        let beginning = first_block(&*inner.files, &inner.name, rest.iter())?;
        let lying = inner.layout.list_segments(&*inner.files, &inner.name, "")?;
        if lying.first().is_some_and(|(at, _)| at.path != first.path) {
            // An earlier removal has failed half-way. What it left goes first, or the log would have a hole.
            inner.compare()?;
            return Err(inner.changed());
        }
        retention::settle(&*inner.files, &inner.layout, &inner.name, &first.path)?;
        inner.published().forget(going.len(), beginning);
        inner.record()?;
        crash::point("retain.recorded");
        for expired in &going {
            let files = &*inner.files;
            files.remove(&expired.path).map_err(Error::io("remove", &expired.path))?;
            crash::point("retain.removed");
            // Folders that this empties go, too, up to the stream's own; the first that is in use ends that.
            let own = inner.layout.stream(&inner.name);
            for folder in expired.path.ancestors().skip(1).take_while(|folder| *folder != own) {
                if files.remove_folder(folder).is_err() {
                    files.sync_folder(folder).map_err(Error::io("sync", folder))?;
                    break;
                }
            }
        }
        Ok(going)
    }

    /// Lists all folders, compares them with what is known of the stream, looks into the segments of which nothing is known,
    /// and writes the inventory anew. Answers what the files say otherwise, in words; it counts from now on. For after the
    /// start, and on its own thread: with ten thousand segments it may take seconds.
    ///
    /// # Errors
    /// When the folders or a segment cannot be read.
    pub fn check_inventory(&self) -> Result<Option<String>, Error> {
        let _alone = self.inner.upkeep();
        self.inner.compare()
    }
}

/// What is gone with a segment that is known and not there; nothing when it held no event.
fn missing(kept: &Kept, now: Timestamp) -> Option<Loss> {
    let (from, to) = (kept.at.first_offset, kept.summary?.ends(kept.at.first_offset).offset);
    let evidence = format!("the inventory names {}, and it is not there", kept.at.path.display());
    (from < to).then_some(Loss { from, to, evidence, noticed: now, acknowledged: false })
}

/// Whether there is nothing to seal: it is sealed, or holds no event.
fn is_done(kept: &Kept) -> bool {
    kept.summary.is_some_and(|summary| summary.sealed || summary.events == 0)
}

impl Inner {
    fn compare(&self) -> Result<Option<String>, Error> {
        let inner = self;
        let listed = inner.layout.list_segments(&*inner.files, &inner.name, "")?;
        let known = inner.published().finished_segments().to_vec();
        let Some(last) = known.last().map(|kept| kept.at.clone()) else {
            inner.record()?;
            return Ok(None);
        };
        let all: Vec<SegmentPath> = listed.into_iter().map(|(at, _)| at).collect();
        let (listed, _) = all.split_at(all.partition_point(|at| *at <= last));
        let gone = known.iter().filter(|kept| listed.binary_search(&kept.at).is_err());
        let gone: Vec<Loss> = gone.filter_map(|kept| missing(kept, self.clock.now())).collect();
        for loss in &gone {
            tracing::error!(stream = %inner.name, from = %loss.from, to = %loss.to, evidence = %loss.evidence,
                "events that were committed are gone; `lakehead fsck` says what there is");
        }
        evidence::note(&mut inner.losses(), gone);
        let differs = listed.len() != known.len() || listed.iter().zip(&known).any(|(at, kept)| *at != kept.at);
        let mut finished = Vec::with_capacity(listed.len());
        for (i, at) in listed.iter().enumerate() {
            let found = known.binary_search_by(|kept| kept.at.cmp(at)).ok().and_then(|at| known.get(at)).cloned();
            let kept = match found {
                Some(kept) if kept.summary.is_some() => kept,
                _ => inner.look_into(at, all.get(i + 1..).unwrap_or(&[]))?,
            };
            if kept.end == 0 && inner.queue().is_ok() {
                // A failure left it, and nothing in it ever counted.
                let segment = Segment::open(&*inner.files, &inner.name, at.clone(), Access::Read)?;
                set_segment_aside(
                    &*inner.files,
                    &inner.layout,
                    &inner.name,
                    &segment,
                    segment.len()?,
                    &mut Vec::new(),
                )?;
                continue;
            }
            finished.push(kept);
        }
        let first = finished.iter().map(|kept| &kept.at);
        let same =
            first.take_while(|at| finished.first().is_some_and(|first| at.first_offset == first.at.first_offset));
        if !finished.is_empty() {
            let beginning = first_block(&*inner.files, &inner.name, same)?;
            inner.published().replace_finished(finished, beginning);
        }
        inner.record()?;
        Ok(differs.then(|| {
            format!(
                "the inventory named {} finished segments, and others lie in the folders; it was made anew",
                known.len()
            )
        }))
    }

    fn upkeep(&self) -> MutexGuard<'_, ()> {
        self.upkeep.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) -> Error {
        let reason = "the start of the log has changed since retention was planned; plan again".into();
        Error::CannotWrite { stream: self.name.clone(), reason }
    }

    /// The open readers, as needs.
    fn open_readers(&self) -> Vec<Need> {
        let held = self.held();
        held.iter()
            .filter_map(std::sync::Weak::upgrade)
            .map(|held| {
                let from = Offset(held.from.load(std::sync::atomic::Ordering::Acquire));
                Need { by: held.by.clone(), from }
            })
            .collect()
    }

    /// This finished segment with its summary, which is found in the file when nobody has asked before.
    fn looked_into(&self, kept: Kept) -> Result<Kept, Error> {
        if kept.summary.is_some() {
            return Ok(kept);
        }
        let next: Vec<SegmentPath> = {
            let published = self.published();
            let files = published.segment_files();
            let after = files
                .into_iter()
                .filter(|file| (file.first_offset, &file.path) > (kept.at.first_offset, &kept.at.path));
            after.map(|file| SegmentPath { first_offset: file.first_offset, path: file.path }).collect()
        };
        let found = self.look_into(&kept.at, &next)?;
        if let Some(summary) = found.summary {
            self.published().describe(&found.at, found.end, summary);
        }
        Ok(found)
    }

    fn look_into(&self, at: &SegmentPath, next: &[SegmentPath]) -> Result<Kept, Error> {
        let segment = Segment::open(&*self.files, &self.name, at.clone(), Access::Read)?;
        let (end, summary) = match segment.index()? {
            Some(index) => (segment.len()?, Some(Summary::of_index(&index))),
            None => {
                let same = next.first().map(|first| first.first_offset);
                let same = next.iter().take_while(|next| Some(next.first_offset) == same);
                let Beginning { border, .. } = first_block(&*self.files, &self.name, same)?;
                let end = end_before(&segment, border)?;
                let walked = segment.walk(end)?;
                (end, Summary::of_places(&walked.places, walked.raw_before))
            }
        };
        Ok(Kept { at: at.clone(), end, end_is_known: true, summary })
    }

    fn seal(&self, kept: &Kept, pace: &mut Pace<'_>) -> Result<Option<SealedSegment>, Error> {
        let free = self.files.free_bytes(self.layout.root()).unwrap_or(u64::MAX);
        if free < self.options.reserve_bytes.0.saturating_add(kept.end) {
            return Err(Error::CannotWrite {
                stream: self.name.clone(),
                reason: format!("sealing {} needs room for a copy; make room", kept.at.path.display()).into(),
            });
        }
        let segment = Segment::open(&*self.files, &self.name, kept.at.clone(), Access::Read)?;
        let (len, summary) = match segment.index()? {
            // It took its place before, and what came after that failed.
            Some(index) => {
                seal::sync_folder_of(&*self.files, &kept.at)?;
                (segment.len()?, Summary::of_index(&index))
            }
            None => {
                let options = &self.options.seal;
                let made = seal::make(&*self.files, &self.layout, &self.name, &kept.at, kept.end, options, pace)?;
                let Some(made) = made else { return Ok(None) };
                seal::swap(&*self.files, &kept.at, &made)?;
                (made.len, made.summary)
            }
        };
        self.published().describe(&kept.at, len, summary);
        if let Err(error) = self.record() {
            tracing::warn!(stream = %self.name, %error, "could not write the inventory; it is made anew at the next start");
        }
        crash::point("seal.recorded");
        Ok(Some(SealedSegment {
            path: kept.at.path.clone(),
            first_offset: kept.at.first_offset,
            events: summary.events,
            raw_bytes: summary.raw_bytes,
            stored_before: kept.end,
            stored_bytes: len,
        }))
    }

    /// Writes the inventory: the finished segments from the start on, up to the first of which nothing is known; where the log
    /// begins, and how far it reaches on the disk.
    pub(crate) fn record(&self) -> Result<(), Error> {
        let (known, start, end) = {
            let published = self.published();
            let end = Border { number: published.synced_blocks, offset: published.synced_to };
            (published.finished_segments().to_vec(), published.head().start, end)
        };
        let line = |kept: &Kept| {
            let (hour, summary) = (self.layout.hour_of(&self.name, &kept.at.path)?, kept.summary?);
            Some(Line { hour, first_offset: kept.at.first_offset, bytes: kept.end, summary })
        };
        let mut segments: Vec<Line> = Vec::with_capacity(known.len());
        for line in known.iter().map_while(line) {
            let begins = Border { number: line.summary.first_number, offset: line.first_offset };
            if segments.last().is_some_and(|last| last.summary.ends(last.first_offset) != begins) {
                // A segment is missing here: those after it are found in their folders.
                break;
            }
            segments.push(line);
        }
        let inventory = Inventory {
            segments,
            start: Some(start),
            end: Some(end),
            lost: self.losses().clone(),
            ..Inventory::default()
        };
        inventory::write(&*self.files, &self.layout, &self.name, inventory)
    }
}
