//! The delivery loop of one sink: hands rows to the lanes, takes their answers, and moves the position behind them.
//!
//! ```text
//!   follower ─ batches ─▶ hand out ─▶ lanes ─ answers ─▶ progress
//!                                                           │ each second, or when much has an answer
//!                       dead letters on disk ─▶ lanes commit ─▶ position on disk ─▶ claim moves
//! ```
//! The order of the last line is what makes a crash harmless: what stands before the position is at the target, or in the stream
//! `rejects`. What was delivered after the last commit is delivered again.
//!
//! A transactional sink has one lane, and is committed only when nothing is under way: its transaction holds exactly what is
//! before the position. Others are committed while their lanes go on.

use std::time::Duration;

use lakehead_connector_api::{Batch, BatchKind, Delivery, RowHead, Sink};
use lakehead_model::Position;
use tokio::{sync::watch, time::Instant};

use super::{
    course::Course,
    lanes::{Answered, LaneReport, Lanes, Order, Work},
    position_file::PositionRecord,
    progress::DeliveryProgress,
    route::{Route, route},
};
use crate::{
    Error,
    follow::{
        follower::Follower,
        step::{Finding, Step},
        view::beginning,
    },
    ingest::Failure,
    inlet,
    ledgers::dead_letters::{self, DeadLetter},
    roster::STOP_WITHIN,
    sync::{blocking, stopped},
};

/// A commit comes at once when so many rows have an answer: what is held, and what is written again after a crash, is bounded.
const COMMIT_ROWS: u64 = 100_000;

/// The same in bytes.
const COMMIT_BYTES: u64 = 64 << 20;

/// Most dead letters that are kept in memory: about a megabyte of reasons.
const LETTERS_MAX: usize = 1_000;

/// At a stop: how long writes under way, the last commit and closing may take, each. Together less than a stop waits for.
const STOP_STEP: Duration = Duration::from_secs(6);
const _: () = assert!(3 * STOP_STEP.as_secs() < STOP_WITHIN.as_secs(), "a sink gives up before a stop does");

/// One run of a sink, from its opening to an error or a stop.
pub(crate) struct DeliveryRun<'c> {
    course: &'c Course,
    record: &'c mut PositionRecord,
    follower: Follower,
    lanes: Lanes,
    progress: DeliveryProgress,
    /// What was refused and is not in the stream `rejects` yet.
    letters: Vec<DeadLetter>,
    /// Since when there is something to commit.
    uncommitted: Option<Instant>,
    /// Rows that are answered are held until the next commit.
    is_held: bool,
    committing: Option<Committing>,
    /// The end of a snapshot: it waits until all before it has an answer, and all after it waits for its own.
    snapshot_end: SnapshotEnd,
    /// Where to go on from what was read last, where its incarnation has no position yet.
    origin: Option<Position>,
    /// Rows delivered in this run.
    delivered: u64,
    /// The target has answered in this run.
    has_answered: bool,
}

/// A commit that the lanes are at.
struct Committing {
    through: Option<Position>,
    /// So many have not told yet.
    left: usize,
    /// Whether rows were held when it began.
    holds: bool,
}

/// Where the end of a snapshot is.
enum SnapshotEnd {
    None,
    /// Read, and not handed out: rows before it have no answer.
    Waits(Batch, Option<Position>),
    /// Handed out.
    UnderWay,
}

impl<'c> DeliveryRun<'c> {
    /// Begins with these instances of the sink at the position of `record`.
    pub(crate) fn new(course: &'c Course, record: &'c mut PositionRecord, sinks: Vec<Box<dyn Sink>>) -> Self {
        let position = record.position;
        course.watch.begins(position);
        Self {
            course,
            record,
            follower: course.follow(position),
            lanes: Lanes::start(sinks),
            progress: DeliveryProgress::new(position),
            letters: Vec::new(),
            uncommitted: None,
            is_held: false,
            committing: None,
            snapshot_end: SnapshotEnd::None,
            origin: None,
            delivered: 0,
            has_answered: false,
        }
    }

    /// Delivers until `stop` turns true or something fails; then ends what is under way and notes how far it has got.
    pub(crate) async fn run(mut self, stop: &mut watch::Receiver<bool>) -> (u64, Result<(), Failure>) {
        let outcome = self.deliver(stop).await;
        let ended = self.wind_down(&outcome).await;
        self.lanes.abort();
        (self.delivered, outcome.and(ended))
    }

    async fn deliver(&mut self, stop: &mut watch::Receiver<bool>) -> Result<(), Failure> {
        loop {
            self.hand_out_snapshot_end();
            let is_idle = self.progress.is_idle();
            let is_caught_up = is_idle && self.follower.is_at_end();
            // That it could be opened proves little: many targets are not asked before the first write.
            if is_caught_up || self.has_answered {
                self.course.watch.connected(is_caught_up);
            }
            let due = self.commit_due();
            // A transaction ends where all that was handed out has an answer.
            let is_due = due.is_some_and(|due| due <= Instant::now());
            let may_commit = due.is_some() && (is_idle || !self.is_transactional());
            let may_read = self.has_room() && !(self.is_transactional() && is_due);
            tokio::select! {
                biased;
                () = stopped(stop) => return Ok(()),
                Some(report) = self.lanes.report() => self.take(report).await?,
                () = until(due), if may_commit => self.commit().await.map_err(Failure::Store)?,
                step = self.follower.next(), if may_read => {
                    self.hand_out(step.map_err(Failure::Store)?);
                }
            }
        }
    }

    fn is_transactional(&self) -> bool {
        self.course.spec.delivery == Delivery::Transactional
    }

    /// Whether another batch may be read: there is room for it, and it need not wait for the end of a snapshot.
    fn has_room(&self) -> bool {
        let memory = usize::try_from(self.course.config.memory.0).unwrap_or(usize::MAX);
        matches!(self.snapshot_end, SnapshotEnd::None) && self.progress.bytes() < memory
    }

    fn hand_out(&mut self, step: Step) {
        match step {
            Step::Told(finding, to) => {
                self.found(&finding);
                if to.is_some() {
                    let through = self.progress.through();
                    let start = through.or(to).unwrap_or(Position::View { incarnation: 0, commit: 0 });
                    self.progress.hand_out((start, to), 0, []);
                    self.has_moved();
                }
            }
            Step::Rows { batch, to } => {
                self.origin = Some(beginning(*batch.start()));
                match batch.kind() {
                    BatchKind::Snapshot { is_last: true } => self.snapshot_end = SnapshotEnd::Waits(batch, to),
                    _ => self.hand_out_rows(batch, to),
                }
            }
        }
    }

    fn hand_out_rows(&mut self, batch: Batch, to: Option<Position>) {
        let (positions, bytes) = ((*batch.start(), to), weight(&batch));
        if batch.is_empty() {
            self.progress.hand_out(positions, 0, []);
            return self.has_moved();
        }
        match route(&batch, self.lanes.len()) {
            Route::Whole => {
                let lane = self.lanes.idlest();
                let number = self.progress.hand_out(positions, bytes, [(lane, 0)]);
                self.lanes.write(lane, Work { number, batch, places: None });
            }
            Route::ByKey(parts) => {
                let first = |(lane, places): (&usize, &Vec<usize>)| (*lane, places.first().copied().unwrap_or(0));
                let number = self.progress.hand_out(positions, bytes, parts.iter().map(first));
                for (lane, places) in parts {
                    self.lanes.write(lane, Work { number, batch: batch.select(&places), places: Some(places) });
                }
            }
        }
    }

    /// Hands out the end of a snapshot, to one lane, once all before it has an answer.
    fn hand_out_snapshot_end(&mut self) {
        if !self.progress.is_idle() {
            return;
        }
        match std::mem::replace(&mut self.snapshot_end, SnapshotEnd::None) {
            SnapshotEnd::Waits(batch, to) => {
                let number = self.progress.hand_out((*batch.start(), to), weight(&batch), [(0, 0)]);
                self.lanes.write(0, Work { number, batch, places: None });
                self.snapshot_end = SnapshotEnd::UnderWay;
            }
            SnapshotEnd::UnderWay | SnapshotEnd::None => {}
        }
    }

    fn found(&mut self, finding: &Finding) {
        self.record.lost_rows += finding.lost_rows;
        self.course.watch.found(finding, self.record.lost_rows);
    }

    async fn take(&mut self, report: (usize, LaneReport)) -> Result<(), Failure> {
        match report {
            (lane, LaneReport::Answered(answered)) => {
                self.answered(lane, answered);
                Ok(())
            }
            (_, LaneReport::Committed) => self.lane_committed().await.map_err(Failure::Store),
            (_, LaneReport::Failed(error)) => Err(Failure::Source(error)),
            (_, LaneReport::Rests { .. } | LaneReport::Closed) => Ok(()),
        }
    }

    fn answered(&mut self, lane: usize, answered: Answered) {
        let Answered { number, lowest, bytes, counts, is_held, refused } = answered;
        let rows = counts.delivered + counts.rejected;
        self.progress.answered(number, lane, lowest, (rows, bytes as u64));
        (self.has_answered, self.is_held) = (true, self.is_held | is_held);
        self.delivered += counts.delivered;
        for letter in &refused {
            tracing::debug!(sink = %self.course.name, number = letter.number, "refused: {}", letter.reason);
        }
        if self.course.rejects.is_some() {
            self.letters.extend(refused);
        }
        self.course.watch.answered(self.progress.through(), self.progress.bytes(), counts);
        if rows > 0 || self.progress.through() != self.record.position {
            self.has_moved();
        }
    }

    fn has_moved(&mut self) {
        self.uncommitted.get_or_insert_with(Instant::now);
        let nothing = super::watch::AnswerCounts::default();
        self.course.watch.answered(self.progress.through(), self.progress.bytes(), nothing);
    }

    /// When the next commit is due; `None` while there is nothing to commit or one is under way.
    fn commit_due(&self) -> Option<Instant> {
        let since = self.uncommitted.filter(|_| self.committing.is_none())?;
        let is_much = self.progress.answered_rows >= COMMIT_ROWS
            || self.progress.answered_bytes >= COMMIT_BYTES
            || self.letters.len() >= LETTERS_MAX;
        Some(if is_much { since } else { since + self.course.config.commit_every })
    }

    /// Begins a commit: dead letters first, then the lanes; the position follows when all of them have told.
    async fn commit(&mut self) -> Result<(), Error> {
        self.keep_letters().await?;
        self.uncommitted = None;
        let holds = std::mem::take(&mut self.is_held);
        self.progress.committed();
        let through = self.progress.through();
        let told = through.or(self.origin);
        let left = told.map_or(0, |through| self.lanes.tell(|| Order::Commit(through)));
        self.committing = Some(Committing { through, left, holds });
        if left == 0 { self.note_position().await } else { Ok(()) }
    }

    async fn lane_committed(&mut self) -> Result<(), Error> {
        let Some(committing) = &mut self.committing else { return Ok(()) };
        committing.left = committing.left.saturating_sub(1);
        if committing.left == 0 { self.note_position().await } else { Ok(()) }
    }

    /// Commits the dead letters to the stream `rejects`.
    async fn keep_letters(&mut self) -> Result<(), Error> {
        if let Some(rejects) = self.course.rejects.as_ref().filter(|_| !self.letters.is_empty()) {
            let entries = dead_letters::batch(&self.letters, &self.course.refuser);
            inlet::commit(rejects, &self.course.name, entries).await?;
        }
        self.letters.clear();
        Ok(())
    }

    /// Notes how far the sink has got.
    async fn note_position(&mut self) -> Result<(), Error> {
        let Some(Committing { through, .. }) = self.committing.take() else { return Ok(()) };
        self.move_to(through).await
    }

    async fn move_to(&mut self, through: Option<Position>) -> Result<(), Error> {
        if through != self.record.position {
            let (commits, began_anew) = (self.record.commits + 1, false);
            let record = PositionRecord { position: through, commits, began_anew, ..self.record.clone() };
            let (file, saved) = (self.course.file.clone(), record.clone());
            blocking(move || file.save(&saved)).await??;
            *self.record = record;
        }
        self.course.watch.committed(through);
        Ok(())
    }

    /// Lets the writes under way end, and commits. Where the target has failed nothing is committed to it, and the position moves
    /// only where it holds nothing; where nothing can be noted, nothing is.
    async fn wind_down(&mut self, outcome: &Result<(), Failure>) -> Result<(), Failure> {
        let mut rests = Rests { left: 0, has_failed: outcome.is_err(), is_partial: false };
        if rests.has_failed {
            self.break_off_commit();
        }
        rests.left = self.lanes.tell(|| Order::Rest);
        self.reports(&mut rests).await?;
        if matches!(outcome, Err(Failure::Store(_))) {
            return Ok(());
        }
        let all_rest = rests.left == 0;
        self.break_off_commit();
        let is_exact = !self.is_transactional() || !rests.is_partial;
        if !rests.has_failed && all_rest && is_exact {
            self.commit().await.map_err(Failure::Store)?;
            self.reports(&mut rests).await?;
            if self.committing.is_none() {
                rests.left = self.lanes.tell(|| Order::Close);
                self.reports(&mut rests).await?;
            }
        } else if !self.is_held && !self.is_transactional() {
            self.keep_letters().await.map_err(Failure::Store)?;
            self.move_to(self.progress.through()).await.map_err(Failure::Store)?;
        }
        Ok(())
    }

    /// Gives up the commit under way. Nobody knows which lanes have committed.
    fn break_off_commit(&mut self) {
        if let Some(committing) = self.committing.take() {
            self.is_held |= committing.holds;
        }
    }

    /// Takes reports until all that are to come have come, or for [`STOP_STEP`].
    async fn reports(&mut self, rests: &mut Rests) -> Result<(), Failure> {
        let deadline = Instant::now() + STOP_STEP;
        while rests.left > 0 || self.committing.is_some() {
            let Ok(Some(report)) = tokio::time::timeout_at(deadline, self.lanes.report()).await else { return Ok(()) };
            match report {
                (_, LaneReport::Rests { is_partial }) => {
                    rests.left = rests.left.saturating_sub(1);
                    rests.is_partial |= is_partial;
                }
                (_, LaneReport::Closed) => rests.left = rests.left.saturating_sub(1),
                (_, LaneReport::Failed(error)) => {
                    tracing::debug!(sink = %self.course.name, %error, "while it stopped");
                    rests.has_failed = true;
                    rests.left = rests.left.saturating_sub(1);
                    self.break_off_commit();
                }
                other => self.take(other).await?,
            }
        }
        Ok(())
    }
}

/// What is known of the lanes while they come to rest.
struct Rests {
    left: usize,
    has_failed: bool,
    is_partial: bool,
}

/// About how much memory a batch takes.
fn weight(batch: &Batch) -> usize {
    let keys: usize = batch.rows().map(|row| row.head.key.as_ref().map_or(0, bytes::Bytes::len)).sum();
    batch.payload().len() + keys + batch.len() * (size_of::<RowHead>() + size_of::<u32>())
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
