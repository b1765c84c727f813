//! The thread that writes: gathers appends into blocks, compresses each and writes it at the segment's end.
//!
//! It hands what is written to the [`CommitQueue`](crate::write::commit::CommitQueue), where another thread syncs, so compressing
//! and syncing overlap. Under load a second thread compresses every other block ([`BackgroundCompressor`]).
//! After a failure it goes back to what is committed, cuts the file there and goes on in a new one ([`WriterSegments`]).

use std::{collections::BTreeMap, io, mem, path::Path, sync::Arc, time::Instant};

use bytes::BytesMut;
use lakehead_model::{ByteSize, Name, Offset, Timestamp};
use tokio::sync::oneshot;

use crate::{
    crash,
    disk::files::File,
    error::{Error, advice},
    format::{data_frame::Compressor, footer::Footer, key::IdempotencyKey},
    options::Sync,
    read::published::NewBlock,
    recover::{log_end::LogEnd, recovery::LastSegment},
    segment::{block::Block, block_ref::BlockRef},
    write::{
        append::Appended,
        block_builder::{BlockBuilder, Part, SOURCES_MAX},
        command::{Command, QueuedAppend},
        commit::{Failed, WrittenBlock},
        compressor::{BackgroundCompressor, Compressed},
        health::WriteHealth,
        queue::Taken,
        segments::WriterSegments,
        ticket::Waiting,
        write_side::WriteSide,
    },
};

/// The writer's own state.
pub(crate) struct Writer {
    side: Arc<WriteSide>,
    compressor: Compressor,
    /// A second one, when appends come faster than one compresses. What it has comes before what is gathered.
    background: Option<BackgroundCompressor>,
    /// Memory for blocks' frames and footers, used again for each.
    spare: Vec<Vec<u8>>,
    /// Where the stream stands after all that is written.
    log_end: LogEnd,
    segments: WriterSegments,
    builder: BlockBuilder,
    /// Whether there is something that no footer says was synced.
    unmarked: bool,
    /// Whether the first thing to be written is a block without events: opening has cut something from the end, or the epoch
    /// has risen.
    needs_proof: bool,
}

impl Writer {
    /// A writer that goes on where recovery has found the end.
    /// `epoch_rises`: the log's end has an epoch that no footer says yet.
    pub(crate) fn new(
        side: Arc<WriteSide>,
        log_end: LogEnd,
        last: Option<LastSegment>,
        epoch_rises: bool,
    ) -> Result<Self, Error> {
        let level = side.options.level;
        let compressor = Compressor::new(level)
            .map_err(|error| Error::Invalid(format!("zstd refuses compression level {level}: {error}")))?;
        let unmarked = last.as_ref().is_some_and(|last| last.unmarked);
        let needs_proof = epoch_rises || last.as_ref().is_some_and(|last| last.was_cut);
        Ok(Self {
            segments: WriterSegments::new(Arc::clone(&side.read), last, log_end.received_time),
            side,
            compressor,
            background: None,
            spare: Vec::new(),
            log_end,
            builder: BlockBuilder::default(),
            unmarked,
            needs_proof,
        })
    }

    /// Runs until the queue is closed; then everything is committed or refused.
    pub(crate) fn run(mut self) {
        let side = Arc::clone(&self.side);
        if self.needs_proof && self.write_empty_block().is_err() {
            tracing::debug!(stream = %side.name(), "the block after a cut could not be written; the next one says the same");
        }
        loop {
            if !side.queue.has_waiting() {
                // Nothing to gather meanwhile: what is compressed elsewhere is written before anything is waited for.
                self.write_compressed();
            }
            match side.queue.take(self.builder.deadline(&side.options)) {
                Taken::Next(Command::Append(queued)) => self.take(*queued),
                Taken::Next(Command::RaiseEpoch(answer)) => self.raise_epoch(answer),
                Taken::Next(Command::DropCursors(sources, answer)) => self.drop_cursors(&sources, answer),
                Taken::Nothing => self.close_block(),
                Taken::Closed => break,
            }
        }
        self.close_block();
        self.write_compressed();
        self.mark_clean();
        self.segments.cut_again();
    }

    fn take(&mut self, queued: QueuedAppend) {
        let QueuedAppend { append, waiting, failures } = queued;
        if failures != self.side.health.failures() {
            return waiting.answer(Err(self.side.health.cannot_write()));
        }
        if append.cursor.is_some() && !self.log_end.cursors.contains_key(&append.source) {
            // A source that is new: the block that is compressed elsewhere may bring others.
            self.write_compressed();
            if self.log_end.cursors.len() >= SOURCES_MAX && !self.log_end.cursors.contains_key(&append.source) {
                return waiting.answer(Err(self.too_many_sources(&append.source)));
            }
        }
        let of_an_earlier_time = !self.builder.is_empty() && self.builder.failures != failures;
        if of_an_earlier_time || !self.builder.has_room_for(&append, &self.side.options) {
            self.close_block();
        }
        self.builder.add(append, waiting, Instant::now(), &self.side.options);
        self.builder.failures = failures;
        if self.builder.is_full(&self.side.options) {
            self.close_block();
        }
    }

    fn too_many_sources(&self, source: &Name) -> Error {
        Error::Invalid(format!(
            "source {source} would be number {} of stream {} at one time: at most {SOURCES_MAX}; one that is done gives \
             its place back",
            SOURCES_MAX + 1,
            self.side.name()
        ))
    }

    /// Writes what is gathered as a block, or refuses it.
    fn close_block(&mut self) {
        if self.builder.is_empty() {
            return;
        }
        let next = BlockBuilder::into_buffer(self.side.published().spare());
        let builder = mem::replace(&mut self.builder, next);
        let Some(compressed) = self.compress(builder) else { return };
        self.write_compressed();
        self.put(compressed);
    }

    /// Compresses a block, or has it compressed elsewhere when there is more to gather meanwhile: then `None`.
    fn compress(&mut self, builder: BlockBuilder) -> Option<Compressed> {
        let frame = self.spare.pop().unwrap_or_default();
        let is_waited_for = self.side.queue.has_waiting() && builder.is_full(&self.side.options);
        if !is_waited_for {
            return Some(Compressed::new(builder, frame, &mut self.compressor));
        }
        if self.background.is_none() {
            let name = format!("compress {}", self.side.name());
            // Where no thread can be had, this one does it all.
            self.background = BackgroundCompressor::start(name, self.side.options.level).ok();
        }
        let given = match &mut self.background {
            Some(background) => background.give(builder, frame),
            None => Err(Box::new((builder, frame))),
        };
        let (builder, frame) = *given.err()?;
        Some(Compressed::new(builder, frame, &mut self.compressor))
    }

    /// Writes the block that was compressed elsewhere, if there is one.
    fn write_compressed(&mut self) {
        if let Some(compressed) = self.background.as_mut().and_then(BackgroundCompressor::take_back) {
            self.put(compressed);
        }
    }

    /// Writes a compressed block, or refuses it.
    fn put(&mut self, compressed: Compressed) {
        let Compressed { builder, frame, outcome } = compressed;
        self.mend();
        // A failure since these appends came in: events before them are lost, so they must not be kept either.
        if builder.failures != self.side.health.failures() {
            return refuse(builder, &self.side.health);
        }
        if let Err(full) = self.room() {
            let root = self.side.log().layout.root().to_owned();
            self.fail("write to", &root, &full);
            return refuse(builder, &self.side.health);
        }
        let received_time = self.side.clock.now().max(Timestamp(0)).max(self.log_end.received_time.unwrap_or_default());
        if self.prepare_segment(received_time).is_err() {
            return refuse(builder, &self.side.health);
        }
        if let Err(error) = outcome {
            let root = self.side.log().layout.root().to_owned();
            self.fail("compress a block for", &root, &error);
            return refuse(builder, &self.side.health);
        }
        self.write(builder, frame, received_time);
    }

    /// Whether there is room above the reserve; a system that does not say has room.
    fn room(&self) -> io::Result<()> {
        let reserve = self.side.options.reserve_bytes;
        if reserve.0 == 0 {
            return Ok(());
        }
        let log = self.side.log();
        match log.files.free_bytes(log.layout.root()) {
            Ok(free) if free < reserve.0 => {
                let what = format!("only {} of space are left, and reserve_bytes is {reserve}", ByteSize(free));
                Err(io::Error::new(io::ErrorKind::StorageFull, what))
            }
            _ => Ok(()),
        }
    }

    /// After a failure, goes back to what is committed.
    fn mend(&mut self) {
        if self.side.commits.notice_failure() {
            self.log_end = self.side.published().log_end.clone();
            self.segments.give_up_active();
        }
    }

    /// Makes sure that there is a segment for a block of `received_time`.
    fn prepare_segment(&mut self, received_time: Timestamp) -> Result<(), Failed> {
        let hour = received_time.hour();
        let segment_bytes = self.side.options.segment_bytes.0;
        if self.segments.active().is_some_and(|active| active.is_over(hour, segment_bytes)) {
            self.finish_segment()?;
        }
        if self.segments.active().is_some() {
            return Ok(());
        }
        let log = self.side.log();
        let at = log.layout.segment(&log.name, received_time, self.log_end.next_offset);
        if let Err(error) = self.segments.begin(&at, hour) {
            self.fail("begin", &at.path, &error);
            self.segments.clear_failed_beginning(&at, &error);
            return Err(Failed);
        }
        Ok(())
    }

    /// Waits until the segment is wholly synced; only then may another begin.
    fn finish_segment(&mut self) -> Result<(), Failed> {
        if self.side.commits.drain().is_err() {
            self.mend();
            return Err(Failed);
        }
        let Some(active) = self.segments.finish_active() else { return Ok(()) };
        if self.side.options.sync == Sync::Off {
            // Nothing was promised; a failure here takes nothing back that was, but is worth saying.
            match active.file.sync() {
                Ok(()) => self.side.published().all_is_synced(),
                Err(error) => tracing::warn!(stream = %self.side.name(), segment = %active.at.path.display(), %error,
                    "could not sync a finished segment; sync is off, a crash of the system may take its end"),
            }
        }
        Ok(())
    }

    /// Writes one block, whose data frame is `out`, and hands it on to be committed.
    fn write(&mut self, mut builder: BlockBuilder, mut out: Vec<u8>, received_time: Timestamp) {
        let parts = mem::take(&mut builder.parts);
        let (answers, keys) = numbered(parts, self.log_end.next_offset, received_time);
        let footer = self.footer(&builder, out.len(), keys, received_time);
        let Some(active) = self.segments.active_mut() else { return refuse_all(answers, &self.side.health) };
        let sealed = footer.seal(&mut out, active.seed, active.chain);
        let chain = sealed.expect("128 cursors of 64 KiB and the keys of one block fit a footer");
        if let Err(error) = write_bytes(&*active.file, &out, active.position) {
            let path = active.at.path.clone();
            self.fail("write", &path, &error);
            return refuse_all(answers, &self.side.health);
        }
        let footer_len = (out.len() - footer.stored_len as usize) as u32;
        let block_ref = BlockRef::new(&footer, active.position, footer_len, chain);
        active.wrote(&block_ref);
        let (at, file) = (active.at.clone(), Arc::clone(&active.file));
        self.spare.push(out);
        self.log_end = LogEnd::after(&footer);
        self.unmarked = true;
        let block = Arc::new(self.block(&footer, builder));
        let new_block = NewBlock { block, block_ref, at, log_end: self.log_end.clone(), keys: footer.keys };
        if let Err(written) = self.side.commits.push(WrittenBlock { new_block, file, answers }) {
            written.refuse(&self.side.health.cannot_write());
        }
    }

    /// The footer of the next block, whose data frame has `stored_len` bytes.
    fn footer(
        &self,
        builder: &BlockBuilder,
        stored_len: usize,
        keys: Vec<IdempotencyKey>,
        received_time: Timestamp,
    ) -> Footer {
        let (synced_blocks, synced_to) = {
            let published = self.side.published();
            (published.synced_blocks, published.synced_to)
        };
        let time_rule = builder.time_rule_after(self.log_end.time_rule);
        // All lengths are far below 4 GiB: an append is at most 256 MiB, and so is a block of several.
        Footer {
            number: self.log_end.next_number,
            first_offset: self.log_end.next_offset,
            count: builder.ends.len() as u32,
            raw_len: builder.payload().len() as u32,
            stored_len: stored_len as u32,
            raw_before: self.log_end.raw_bytes,
            received_time,
            event_time_least: builder.event_time_least,
            event_time_greatest: builder.event_time_greatest,
            time_rule,
            synced_to,
            synced_blocks,
            epoch: self.log_end.epoch,
            cursors: builder.cursors_after(&self.log_end.cursors, time_rule == self.log_end.time_rule),
            keys,
        }
    }

    /// The block as readers get it. Its buffer is gathered into again, where it is free.
    fn block(&mut self, footer: &Footer, mut builder: BlockBuilder) -> Block {
        let (payload, free) = builder.take_payload();
        if let Some(buffer) = free.filter(|_| self.builder.is_empty()) {
            self.builder = BlockBuilder::into_buffer(cleared(buffer));
        }
        Block {
            number: footer.number,
            first_offset: footer.first_offset,
            received_time: footer.received_time,
            event_time_least: footer.event_time_least,
            event_time_greatest: footer.event_time_greatest,
            time_rule: footer.time_rule,
            progress: footer.progress(),
            epoch: footer.epoch,
            payload,
            ends: builder.ends,
        }
    }

    /// Everything that is not committed gets this error; then the file is cut.
    fn fail(&mut self, what: &str, path: &Path, error: &io::Error) {
        let what = format!("cannot {what} {}: {error}{}", path.display(), advice(error));
        self.side.commits.fail(&self.side.health, &what);
        self.mend();
    }

    fn raise_epoch(&mut self, answer: oneshot::Sender<Result<u64, Error>>) {
        self.close_block();
        self.write_compressed();
        self.mend();
        let epoch = self.log_end.epoch + 1;
        self.log_end.epoch = epoch;
        let done = self.write_empty_block().map(|()| epoch).map_err(|Failed| self.side.health.cannot_write());
        let _ = answer.send(done);
    }

    fn drop_cursors(&mut self, sources: &[Name], answer: oneshot::Sender<Result<(), Error>>) {
        self.close_block();
        self.write_compressed();
        self.mend();
        let mut left = BTreeMap::clone(&self.log_end.cursors);
        left.retain(|source, _| !sources.contains(source));
        let done = if left.len() == self.log_end.cursors.len() {
            Ok(())
        } else {
            self.log_end.cursors = Arc::new(left);
            self.write_empty_block().map_err(|Failed| self.side.health.cannot_write())
        };
        let _ = answer.send(done);
    }

    /// Writes a block without events and waits until it is committed.
    fn write_empty_block(&mut self) -> Result<(), Failed> {
        let received_time = match self.segments.active() {
            Some(_) => self.log_end.received_time.unwrap_or_default(),
            None => self.side.clock.now().max(self.log_end.received_time.unwrap_or_default()),
        };
        let failures = self.side.health.failures();
        self.prepare_segment(received_time)?;
        let frame = self.spare.pop().unwrap_or_default();
        let empty = Compressed::new(BlockBuilder::default(), frame, &mut self.compressor);
        self.write(empty.builder, empty.frame, received_time);
        if failures != self.side.health.failures() {
            self.mend();
            return Err(Failed);
        }
        self.side.commits.drain().inspect_err(|Failed| self.mend())
    }

    /// At the end, a last block that says that all the others are synced: damage at rest is then never taken for a tail
    /// that was torn by a crash.
    fn mark_clean(&mut self) {
        self.mend();
        if !self.unmarked || self.segments.active().is_none() || self.side.commits.drain().is_err() {
            return self.mend();
        }
        if self.side.options.sync == Sync::Off {
            match self.segments.active().map(|active| active.file.sync()) {
                Some(Ok(())) => self.side.published().all_is_synced(),
                Some(Err(error)) => {
                    tracing::warn!(stream = %self.side.name(), %error, "could not sync the last segment");
                    return;
                }
                None => return,
            }
        }
        if self.write_empty_block().is_ok()
            && self.side.options.sync == Sync::Off
            && let Some(Err(error)) = self.segments.active().map(|active| active.file.sync())
        {
            tracing::warn!(stream = %self.side.name(), %error, "could not sync the last segment");
        }
    }
}

/// Who waits for what answer, when a block with these parts begins with `first_offset`; and the keys that it carries.
fn numbered(
    parts: Vec<Part>,
    first_offset: Offset,
    received_time: Timestamp,
) -> (Vec<(Waiting, Appended)>, Vec<IdempotencyKey>) {
    let mut answers = Vec::with_capacity(parts.len());
    let mut keys = Vec::new();
    let mut next_offset = first_offset;
    for Part { waiting, count, keys: of_part } in parts {
        let first_offset = next_offset;
        keys.extend(of_part.into_iter().map(|key| IdempotencyKey { key: key.into(), first_offset, count }));
        next_offset = next_offset.plus(u64::from(count));
        answers.push((waiting, Appended { first_offset, count, received_time }));
    }
    (answers, keys)
}

/// Writes a whole block at byte `at`.
fn write_bytes(file: &dyn File, bytes: &[u8], at: u64) -> io::Result<()> {
    crash::point("write.before");
    if crash::due("write.torn") {
        let _ = file.write_all_at(bytes.get(..bytes.len() / 2).unwrap_or(&[]), at);
        crash::die();
    }
    file.write_all_at(bytes, at)?;
    crash::point("write.after");
    Ok(())
}

fn refuse(builder: BlockBuilder, health: &WriteHealth) {
    for part in builder.parts {
        part.waiting.answer(Err(health.cannot_write()));
    }
}

fn refuse_all(answers: Vec<(Waiting, Appended)>, health: &WriteHealth) {
    for (waiting, _) in answers {
        waiting.answer(Err(health.cannot_write()));
    }
}

fn cleared(mut buffer: BytesMut) -> BytesMut {
    buffer.clear();
    buffer
}
