//! The thread that writes: gathers appends into blocks, compresses each and writes it at the segment's end.
//!
//! It hands what is written to [`commit`](crate::commit), where another thread syncs, so compressing and syncing overlap.
//! Under load a second thread compresses every other block ([`aside`](crate::aside)).
//! After a failure it goes back to what is committed, cuts the file there and goes on in a new one.

use std::{collections::BTreeMap, io, mem, path::Path, sync::Arc, time::Instant};

use bytes::BytesMut;
use lakehead_model::{ByteSize, Name, Offset, Timestamp};
use tokio::sync::oneshot;

use crate::{
    Appended, Block, Error, Sync,
    append::Queued,
    aside::{Aside, Compressed},
    checksum,
    commit::{Failed, Written, gone},
    crash,
    data_frame::Compressor,
    error::advice,
    files::{Access, File},
    footer::{Footer, IdempotencyKey},
    gathering::{Gathering, SOURCES_MAX},
    layout::SegmentPath,
    mark::Mark,
    published::Fresh,
    queue::{Queue, Taken},
    recovery::LastSegment,
    segment::{Place, Segment},
    stream::Inner,
};

/// What the writer is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// Keep these events.
    Append(Box<Queued>),
    /// Begin the next epoch, durably.
    RaiseEpoch(oneshot::Sender<Result<u64, Error>>),
    /// Give back the cursors of these sources, durably.
    DropCursors(Vec<Name>, oneshot::Sender<Result<(), Error>>),
}

/// The segment that blocks are added to.
#[derive(Debug)]
struct Growing {
    at: SegmentPath,
    file: Arc<dyn File>,
    seed: u64,
    /// The byte after the last block written.
    position: u64,
    /// The chain after it.
    chain: u64,
    hour: Timestamp,
    /// The offset after its last event.
    end_offset: Offset,
}

/// The writer's own state.
pub(crate) struct Writer {
    stream: Arc<Inner>,
    compressor: Compressor,
    /// A second one, when appends come faster than one compresses. What it has comes before what is gathered.
    aside: Option<Aside>,
    /// Memory for blocks' frames and footers, used again for each.
    spare: Vec<Vec<u8>>,
    /// Where the stream stands after all that is written.
    mark: Mark,
    growing: Option<Growing>,
    gathering: Gathering,
    /// The segments that failed since the last commit, the last at the end: until a block after them is committed, what
    /// they hold beyond their committed end may come back.
    retired: Vec<Retired>,
    /// Whether there is something that no footer says was synced.
    unmarked: bool,
    /// Whether opening cut something from the end.
    was_cut: bool,
}

/// A segment that is not written any more, since a write or sync of it failed.
#[derive(Debug)]
struct Retired {
    at: SegmentPath,
    /// Bytes of it that are committed.
    committed: u64,
    /// The chain after them.
    chain: u64,
}

impl Writer {
    /// A writer that goes on where recovery has found the end.
    /// `epoch_rises`: the mark has an epoch that no footer says yet.
    pub(crate) fn new(
        stream: Arc<Inner>,
        mark: Mark,
        last: Option<LastSegment>,
        epoch_rises: bool,
    ) -> Result<Self, Error> {
        let level = stream.options.level;
        let compressor = Compressor::new(level)
            .map_err(|error| Error::Invalid(format!("zstd refuses compression level {level}: {error}")))?;
        let unmarked = last.as_ref().is_some_and(|last| last.unmarked);
        let was_cut = epoch_rises || last.as_ref().is_some_and(|last| last.was_cut);
        let (mut growing, mut retired) = (None, Vec::new());
        let end = last.as_ref().and_then(|last| last.places.last()).copied();
        if let (Some(last), Some(end), Some(received_time)) = (last, end, mark.received_time) {
            let Segment { at, file, seed } = last.segment;
            let (position, chain) = (end.end(), end.chain);
            if last.can_grow {
                let (hour, end_offset) = (received_time.hour(), end.end_offset());
                growing = Some(Growing { at, file, seed, position, chain, hour, end_offset });
            } else {
                retired.push(Retired { at, committed: position, chain });
            }
        }
        Ok(Self {
            stream,
            compressor,
            aside: None,
            spare: Vec::new(),
            mark,
            growing,
            gathering: Gathering::default(),
            retired,
            unmarked,
            was_cut,
        })
    }

    /// Runs until the queue is closed; then everything is committed or refused.
    pub(crate) fn run(mut self) {
        let stream = Arc::clone(&self.stream);
        let Ok(queue) = stream.queue() else { return };
        if self.was_cut && self.write_empty_block().is_err() {
            tracing::debug!(stream = %stream.name, "the mark after a cut could not be written; the next block has it");
        }
        loop {
            if !queue.has_waiting() {
                // Nothing to gather meanwhile: what was given aside is written before anything is waited for.
                self.write_aside();
            }
            match queue.take(self.gathering.deadline(&self.stream.options)) {
                Taken::Next(Command::Append(queued)) => self.take(*queued),
                Taken::Next(Command::RaiseEpoch(answer)) => self.raise_epoch(answer),
                Taken::Next(Command::DropCursors(sources, answer)) => self.drop_cursors(&sources, answer),
                Taken::Nothing => self.close_block(),
                Taken::Closed => break,
            }
        }
        self.close_block();
        self.write_aside();
        self.mark_clean();
        self.cut_again();
    }

    fn take(&mut self, queued: Queued) {
        let Queued { append, waiting, failures } = queued;
        if failures != self.stream.failures() {
            return waiting.answer(Err(self.stream.cannot_write()));
        }
        if append.cursor.is_some() && !self.mark.cursors.contains_key(&append.source) {
            // A source that is new: the block given aside may bring others.
            self.write_aside();
        }
        if append.cursor.is_some()
            && self.mark.cursors.len() >= SOURCES_MAX
            && !self.mark.cursors.contains_key(&append.source)
        {
            let source = append.source;
            return waiting.answer(Err(Error::Invalid(format!(
                "source {source} would be number {} of stream {} at one time: at most {SOURCES_MAX}; one that is done gives \
                 its place back",
                SOURCES_MAX + 1,
                self.stream.name
            ))));
        }
        let of_an_earlier_time = !self.gathering.is_empty() && self.gathering.failures != failures;
        if of_an_earlier_time || !self.gathering.has_room_for(&append, &self.stream.options) {
            self.close_block();
        }
        self.gathering.add(append, waiting, Instant::now(), &self.stream.options);
        self.gathering.failures = failures;
        if self.gathering.is_full(&self.stream.options) {
            self.close_block();
        }
    }

    /// Writes what is gathered as a block, or refuses it.
    fn close_block(&mut self) {
        if self.gathering.is_empty() {
            return;
        }
        let next = Gathering::into_buffer(self.stream.published().spare());
        let gathering = mem::replace(&mut self.gathering, next);
        let Some(compressed) = self.compress(gathering) else { return };
        self.write_aside();
        self.put(compressed);
    }

    /// Compresses a block, or gives it aside when there is more to gather meanwhile: then `None`.
    fn compress(&mut self, gathering: Gathering) -> Option<Compressed> {
        let frame = self.spare.pop().unwrap_or_default();
        let is_waited_for =
            self.stream.queue().is_ok_and(Queue::has_waiting) && gathering.is_full(&self.stream.options);
        if !is_waited_for {
            return Some(Compressed::new(gathering, frame, &mut self.compressor));
        }
        if self.aside.is_none() {
            let name = format!("compress {}", self.stream.name);
            // Where no thread can be had, this one does it all.
            self.aside = Aside::start(name, self.stream.options.level).ok();
        }
        let given = match &mut self.aside {
            Some(aside) => aside.give(gathering, frame),
            None => Err(Box::new((gathering, frame))),
        };
        let (gathering, frame) = *given.err()?;
        Some(Compressed::new(gathering, frame, &mut self.compressor))
    }

    /// Writes the block that was given aside, if there is one.
    fn write_aside(&mut self) {
        if let Some(compressed) = self.aside.as_mut().and_then(Aside::take_back) {
            self.put(compressed);
        }
    }

    /// Writes a compressed block, or refuses it.
    fn put(&mut self, compressed: Compressed) {
        let Compressed { gathering, frame, outcome } = compressed;
        self.mend();
        // A failure since these appends came in: events before them are lost, so they must not be kept either.
        if gathering.failures != self.stream.failures() {
            return refuse(gathering, &self.stream);
        }
        if let Err(full) = self.room() {
            let root = self.stream.layout.root().to_owned();
            self.fail("write to", &root, &full);
            return refuse(gathering, &self.stream);
        }
        let received_time = self.stream.clock.now().max(Timestamp(0)).max(self.mark.received_time.unwrap_or_default());
        if self.prepare_segment(received_time).is_err() {
            return refuse(gathering, &self.stream);
        }
        if let Err(error) = outcome {
            let root = self.stream.layout.root().to_owned();
            self.fail("compress a block for", &root, &error);
            return refuse(gathering, &self.stream);
        }
        self.write(gathering, frame, received_time);
    }

    /// After a failure, goes back to what is committed.
    fn mend(&mut self) {
        if !self.stream.commit.notice_failure() {
            return;
        }
        let failed = self.growing.take();
        let (mark, last) = {
            let published = self.stream.published();
            (published.mark.clone(), failed.as_ref().and_then(|failed| published.last_in(&failed.at)).copied())
        };
        self.mark = mark;
        let Some(failed) = failed else { return };
        let (committed, chain) = last.map_or((0, failed.seed), |place| (place.end(), place.chain));
        self.retire(Retired { at: failed.at.clone(), committed, chain });
        // Nothing here can be proven to have reached the disk. It need not: what a file holds beyond its committed end does not
        // count once the next segment is there.
        let cut =
            if committed > 0 { failed.file.truncate(committed) } else { self.stream.files.remove(&failed.at.path) };
        if let Err(error) = cut {
            tracing::warn!(stream = %self.stream.name, segment = %failed.at.path.display(), %error,
                "could not cut what was not committed; the log goes on in a new segment");
        }
    }

    /// At the end, one more try to cut what a failure left and could not be cut then: so a clean stop leaves nothing that
    /// was refused. What cannot be cut even now may come back when the stream is opened.
    fn cut_again(&self) {
        let committed_after = self.stream.published().segment_files().pop();
        let files = &*self.stream.files;
        for Retired { at, committed, .. } in &self.retired {
            // Where a later segment holds something committed, that is where this one ends; it may even be sealed.
            let is_over = committed_after
                .as_ref()
                .is_some_and(|last| (last.first_offset, &last.path) > (at.first_offset, &at.path));
            if is_over {
                continue;
            }
            let cut = match committed {
                0 => files.remove(&at.path),
                committed => files.open(&at.path, Access::Write).and_then(|file| file.truncate(*committed)),
            };
            match cut {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(stream = %self.stream.name, segment = %at.path.display(), %error,
                        "could not cut what was not committed; it may come back when the stream is opened");
                }
                _ => {}
            }
        }
    }

    /// Notes a segment that failed; those of which a later one is committed need no further thought.
    fn retire(&mut self, failed: Retired) {
        let committed = self.stream.published().segment_files().pop();
        if let Some(last) = committed {
            self.retired.retain(|old| (old.at.first_offset, &old.at.path) >= (last.first_offset, &last.path));
        }
        self.retired.retain(|old| old.at != failed.at);
        self.retired.push(failed);
    }

    /// Whether there is room above the reserve; a system that does not say has room.
    fn room(&self) -> io::Result<()> {
        let reserve = self.stream.options.reserve_bytes;
        if reserve.0 == 0 {
            return Ok(());
        }
        match self.stream.files.free_bytes(self.stream.layout.root()) {
            Ok(free) if free < reserve.0 => {
                let what = format!("only {} of space are left, and reserve_bytes is {reserve}", ByteSize(free));
                Err(io::Error::new(io::ErrorKind::StorageFull, what))
            }
            _ => Ok(()),
        }
    }

    /// Makes sure that there is a segment for a block of `received_time`.
    fn prepare_segment(&mut self, received_time: Timestamp) -> Result<(), Failed> {
        let hour = received_time.hour();
        let segment_bytes = self.stream.options.segment_bytes.0;
        // A segment without an event is not ended by its size: the next one would need the same name.
        let ends = self.growing.as_ref().is_some_and(|growing| {
            growing.hour != hour || (growing.position >= segment_bytes && growing.end_offset > growing.at.first_offset)
        });
        if ends {
            self.finish_segment()?;
        }
        if self.growing.is_some() {
            return Ok(());
        }
        let at = self.stream.layout.segment(&self.stream.name, received_time, self.mark.next_offset);
        match self.begin_segment(&at) {
            Ok((file, position, chain, seed)) => {
                // Whatever has this name from here on is no failure any more, and must never be removed as one.
                self.retired.retain(|retired| retired.at != at);
                let end_offset = at.first_offset;
                self.growing = Some(Growing { at, file, seed, position, chain, hour, end_offset });
                Ok(())
            }
            Err(error) => {
                self.fail("begin", &at.path, &error);
                // The file may be there by now, and in the way of the next try. One that we did not make is not ours to remove.
                let is_known = self.retired.iter().any(|retired| retired.at == at);
                if !is_known && error.kind() != io::ErrorKind::AlreadyExists {
                    let chain = checksum::seed(&self.stream.name, at.first_offset);
                    // Best now; if not, the next segment that begins tries again.
                    let _ = self.stream.files.remove(&at.path);
                    self.retire(Retired { at, committed: 0, chain });
                }
                Err(Failed)
            }
        }
    }

    /// Waits until the segment is wholly synced; only then may another begin.
    fn finish_segment(&mut self) -> Result<(), Failed> {
        let drained = self.stream.commit.drain();
        if drained.is_err() {
            self.mend();
            return Err(Failed);
        }
        let Some(growing) = self.growing.take() else { return Ok(()) };
        if self.stream.options.sync == Sync::Off {
            // Nothing was promised; a failure here takes nothing back that was, but is worth saying.
            match growing.file.sync() {
                Ok(()) => self.stream.published().all_is_synced(),
                Err(error) => tracing::warn!(stream = %self.stream.name, segment = %growing.at.path.display(), %error,
                    "could not sync a finished segment; sync is off, a crash of the system may take its end"),
            }
        }
        Ok(())
    }

    /// Creates the segment's file, durably named: the file, the byte and the chain to go on from, and its seed.
    fn begin_segment(&self, at: &SegmentPath) -> io::Result<(Arc<dyn File>, u64, u64, u64)> {
        let files = &*self.stream.files;
        let seed = checksum::seed(&self.stream.name, at.first_offset);
        // Where the segment before it is not there any more, the log would have a hole.
        if let Some(last) = self.stream.published().segment_files().pop()
            && let Err(error) = files.open(&last.path, Access::Read)
            && error.kind() == io::ErrorKind::NotFound
        {
            return Err(gone());
        }
        if let Some(folder) = at.path.parent() {
            files.create_folders(folder)?;
        }
        for other in self.retired.iter().filter(|retired| retired.committed == 0 && retired.at != *at) {
            // It does not count, but there is no need to leave it to other programs.
            let _ = files.remove(&other.at.path);
        }
        // A segment of this name that failed, nothing of which is committed, may not have been removable at the time.
        let retired = self.retired.iter().find(|retired| retired.at == *at);
        let (file, position, chain) = match (retired, files.create(&at.path)) {
            (Some(retired), Err(error)) if error.kind() == io::ErrorKind::AlreadyExists => {
                if retired.committed > 0 {
                    (self.renew(at, retired.committed)?, retired.committed, retired.chain)
                } else {
                    files.remove(&at.path)?;
                    (files.create(&at.path)?, 0, seed)
                }
            }
            (_, created) => (created?, 0, seed),
        };
        crash::point("segment.created");
        for folder in self.stream.layout.folders_to(&at.path) {
            files.sync_folder(folder)?;
        }
        Ok((file, position, chain, seed))
    }

    /// Copies the committed bytes of a failed segment that holds only empty blocks, whose name the next segment needs, to a
    /// new file, and puts that in its place.
    fn renew(&self, at: &SegmentPath, committed: u64) -> io::Result<Arc<dyn File>> {
        let files = &*self.stream.files;
        let folder = self.stream.layout.temporary();
        files.create_folders(&folder)?;
        let temporary = folder.join(format!("{}-renewed", self.stream.name));
        let _ = files.remove(&temporary);
        let old = files.open(&at.path, Access::Read)?;
        let mut bytes = vec![0; usize::try_from(committed).map_err(io::Error::other)?];
        old.read_exact_at(&mut bytes, 0)?;
        let new = files.create(&temporary)?;
        new.write_all_at(&bytes, 0)?;
        new.sync()?;
        files.rename(&temporary, &at.path)?;
        Ok(new)
    }

    /// Writes one block, whose data frame is `out`, and hands it on to be committed.
    fn write(&mut self, mut gathering: Gathering, mut out: Vec<u8>, received_time: Timestamp) {
        let Some(growing) = &mut self.growing else { return refuse(gathering, &self.stream) };
        let (synced_blocks, synced_to) = {
            let published = self.stream.published();
            (published.synced_blocks, published.synced_to)
        };
        let mut answers = Vec::with_capacity(gathering.parts.len());
        let mut keys = Vec::new();
        let mut next_offset = self.mark.next_offset;
        for part in mem::take(&mut gathering.parts) {
            let appended = Appended { first_offset: next_offset, count: part.count, received_time };
            keys.extend(part.keys.into_iter().map(|key| IdempotencyKey {
                key: key.into(),
                first_offset: next_offset,
                count: part.count,
            }));
            next_offset = next_offset.plus(u64::from(part.count));
            answers.push((part.waiting, appended));
        }
        let time_rule = gathering.time_rule_after(self.mark.time_rule);
        // All lengths are far below 4 GiB: an append is at most 256 MiB, and so is a block of several.
        let footer = Footer {
            number: self.mark.next_number,
            first_offset: self.mark.next_offset,
            count: gathering.ends.len() as u32,
            raw_len: gathering.payload().len() as u32,
            stored_len: out.len() as u32,
            raw_before: self.mark.raw_bytes,
            received_time,
            event_time_least: gathering.event_time_least,
            event_time_greatest: gathering.event_time_greatest,
            time_rule,
            synced_to,
            synced_blocks,
            epoch: self.mark.epoch,
            cursors: gathering.cursors_after(&self.mark.cursors, time_rule == self.mark.time_rule),
            keys,
        };
        let sealed = footer.seal(&mut out, growing.seed, growing.chain);
        let chain = sealed.expect("128 cursors of 64 KiB and the keys of one block fit a footer");
        crash::point("write.before");
        if crash::due("write.torn") {
            let _ = growing.file.write_all_at(out.get(..out.len() / 2).unwrap_or(&[]), growing.position);
            crash::die();
        }
        if let Err(error) = growing.file.write_all_at(&out, growing.position) {
            let path = growing.at.path.clone();
            self.fail("write", &path, &error);
            return refuse_all(answers, &self.stream);
        }
        crash::point("write.after");
        let place = Place {
            number: footer.number,
            first_offset: footer.first_offset,
            count: footer.count,
            raw_len: footer.raw_len,
            start: growing.position,
            stored_len: footer.stored_len,
            received_time,
            event_times: footer.event_times(),
            time_rule,
            footer_len: (out.len() - footer.stored_len as usize) as u32,
            chain,
        };
        self.spare.push(out);
        growing.position = place.end();
        growing.chain = chain;
        growing.end_offset = place.end_offset();
        self.mark = Mark::after(&footer);
        self.unmarked = true;
        let (payload, free) = gathering.take_payload();
        if let Some(buffer) = free.filter(|_| self.gathering.is_empty()) {
            self.gathering = Gathering::into_buffer(cleared(buffer));
        }
        let block = Arc::new(Block {
            number: footer.number,
            first_offset: footer.first_offset,
            received_time,
            event_time_least: footer.event_time_least,
            event_time_greatest: footer.event_time_greatest,
            time_rule,
            progress: footer.progress(),
            epoch: footer.epoch,
            payload,
            ends: gathering.ends,
        });
        let fresh = Fresh { block, place, at: growing.at.clone(), mark: self.mark.clone(), keys: footer.keys };
        let written = Written { fresh, file: Arc::clone(&growing.file), answers };
        if let Err(written) = self.stream.commit.push(written) {
            written.refuse(&self.stream.cannot_write());
        }
    }

    /// Everything that is not committed gets this error; then the file is cut.
    fn fail(&mut self, what: &str, path: &Path, error: &io::Error) {
        self.stream.commit.fail(&self.stream, &format!("cannot {what} {}: {error}{}", path.display(), advice(error)));
        self.mend();
    }

    fn raise_epoch(&mut self, answer: oneshot::Sender<Result<u64, Error>>) {
        self.close_block();
        self.write_aside();
        self.mend();
        let epoch = self.mark.epoch + 1;
        self.mark.epoch = epoch;
        let done = self.write_empty_block().map(|()| epoch).map_err(|Failed| self.stream.cannot_write());
        let _ = answer.send(done);
    }

    fn drop_cursors(&mut self, sources: &[Name], answer: oneshot::Sender<Result<(), Error>>) {
        self.close_block();
        self.write_aside();
        self.mend();
        let mut left = BTreeMap::clone(&self.mark.cursors);
        left.retain(|source, _| !sources.contains(source));
        let done = if left.len() == self.mark.cursors.len() {
            Ok(())
        } else {
            self.mark.cursors = Arc::new(left);
            self.write_empty_block().map_err(|Failed| self.stream.cannot_write())
        };
        let _ = answer.send(done);
    }

    /// Writes a block without events and waits until it is committed.
    fn write_empty_block(&mut self) -> Result<(), Failed> {
        let received_time = match &self.growing {
            Some(_) => self.mark.received_time.unwrap_or_default(),
            None => self.stream.clock.now().max(self.mark.received_time.unwrap_or_default()),
        };
        let failures = self.stream.failures();
        self.prepare_segment(received_time)?;
        let empty = Compressed::new(Gathering::default(), self.spare.pop().unwrap_or_default(), &mut self.compressor);
        self.write(empty.gathering, empty.frame, received_time);
        if failures != self.stream.failures() {
            self.mend();
            return Err(Failed);
        }
        self.stream.commit.drain().inspect_err(|Failed| self.mend())
    }

    /// At the end, a last block that says that all the others are synced: damage at rest is then never taken for a tail
    /// that was torn by a crash.
    fn mark_clean(&mut self) {
        self.mend();
        if !self.unmarked || self.growing.is_none() || self.stream.commit.drain().is_err() {
            return self.mend();
        }
        if self.stream.options.sync == Sync::Off {
            match self.growing.as_ref().map(|growing| growing.file.sync()) {
                Some(Ok(())) => self.stream.published().all_is_synced(),
                Some(Err(error)) => {
                    tracing::warn!(stream = %self.stream.name, %error, "could not sync the last segment");
                    return;
                }
                None => return,
            }
        }
        if self.write_empty_block().is_ok()
            && self.stream.options.sync == Sync::Off
            && let Some(Err(error)) = self.growing.as_ref().map(|growing| growing.file.sync())
        {
            tracing::warn!(stream = %self.stream.name, %error, "could not sync the last segment");
        }
    }
}

fn refuse(gathering: Gathering, stream: &Inner) {
    for part in gathering.parts {
        part.waiting.answer(Err(stream.cannot_write()));
    }
}

fn refuse_all(answers: Vec<(crate::append::Waiting, Appended)>, stream: &Inner) {
    for (waiting, _) in answers {
        waiting.answer(Err(stream.cannot_write()));
    }
}

fn cleared(mut buffer: BytesMut) -> BytesMut {
    buffer.clear();
    buffer
}
