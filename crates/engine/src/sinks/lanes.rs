//! The lanes of a sink: each an instance of it with one write under way, so that rows of a lane reach the target in order.
//!
//! ```text
//!              ┌─ orders ─▶ lane 0: write, write, commit ─┐
//!   deliver ───┤                                          ├─ reports ─▶ deliver
//!              └─ orders ─▶ lane 1: write … later … ──────┘
//! ```
//! Rows that the target wants later are written again by their lane alone; the batches behind them wait, those of other lanes
//! do not. A lane looks for orders before each write, so a commit or a stop does not wait for rows that the target puts off.

use std::{collections::VecDeque, panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt;
use lakehead_connector_api::{Answer, Batch, Error as SinkError, Sink};
use lakehead_model::Position;
use lakehead_query::panic_words;
use tokio::{
    sync::mpsc::{self, error::TryRecvError},
    task::JoinHandle,
    time::Instant,
};

use super::watch::AnswerCounts;
use crate::{
    backoff::{Backoff, random},
    ledgers::dead_letters::DeadLetter,
};

/// A batch, or the part of one that belongs to a lane.
pub(crate) struct Work {
    /// The batch's number in the progress.
    pub(crate) number: u64,
    pub(crate) batch: Batch,
    /// The place of each row in the batch that was handed out; `None` where the lane has all of it.
    pub(crate) places: Option<Vec<usize>>,
}

/// What a lane is told to do.
pub(crate) enum Order {
    Write(Work),
    /// Make durable what is held.
    Commit(Position),
    /// Begin no write any more.
    Rest,
    /// Close the sink, and end.
    Close,
}

/// What a lane tells.
pub(crate) enum LaneReport {
    Answered(Answered),
    Committed,
    /// Nothing is under way. Whether some rows of a batch have an answer and others have not.
    Rests {
        is_partial: bool,
    },
    /// It has ended, since the target is away or will not take anything.
    Failed(SinkError),
    Closed,
}

/// Answers to some rows of a batch.
pub(crate) struct Answered {
    pub(crate) number: u64,
    /// The place of the first row of this part that has no answer.
    pub(crate) lowest: Option<usize>,
    /// Bytes of the rows that have one now.
    pub(crate) bytes: usize,
    pub(crate) counts: AnswerCounts,
    /// Some of them are held until the next commit.
    pub(crate) is_held: bool,
    pub(crate) refused: Vec<DeadLetter>,
}

/// All lanes of a sink.
pub(crate) struct Lanes {
    lanes: Vec<Lane>,
    reports: mpsc::UnboundedReceiver<(usize, LaneReport)>,
}

struct Lane {
    orders: mpsc::UnboundedSender<Order>,
    task: JoinHandle<()>,
    /// Bytes that it has to write.
    load: usize,
    /// It has told that it ends.
    has_ended: bool,
}

impl Lanes {
    /// One lane for each of these instances.
    pub(crate) fn start(sinks: Vec<Box<dyn Sink>>) -> Self {
        let (tell, reports) = mpsc::unbounded_channel();
        let lanes = sinks.into_iter().enumerate().map(|(index, sink)| {
            // What waits in it is bounded by the bytes that are under way in all lanes.
            let (orders, ordered) = mpsc::unbounded_channel();
            let tell = tell.clone();
            let task = tokio::spawn(async move {
                let running = LaneRun { index, sink, orders: ordered, reports: tell.clone(), waiting: VecDeque::new() };
                if let Err(panic) = AssertUnwindSafe(running.run()).catch_unwind().await {
                    let what = format!("it panicked: {}", panic_words(panic.as_ref()));
                    let _ = tell.send((index, LaneReport::Failed(SinkError::Internal(what))));
                }
            });
            Lane { orders, task, load: 0, has_ended: false }
        });
        Self { lanes: lanes.collect(), reports }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.lanes.len()
    }

    /// The lane that has the least to write.
    pub(crate) fn idlest(&self) -> usize {
        let loads = self.lanes.iter().enumerate().map(|(index, lane)| (lane.load, index));
        loads.min().map_or(0, |(_, index)| index)
    }

    /// Gives `work` to `lane`.
    pub(crate) fn write(&mut self, lane: usize, work: Work) {
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.load += work.batch.payload().len();
            // One that has ended has told why, which is taken next.
            let _ = lane.orders.send(Order::Write(work));
        }
    }

    /// Tells all of them. Answers how many will tell that it is done.
    pub(crate) fn tell(&self, order: impl Fn() -> Order) -> usize {
        self.lanes.iter().filter(|lane| !lane.has_ended && lane.orders.send(order()).is_ok()).count()
    }

    /// The next report.
    pub(crate) async fn report(&mut self) -> Option<(usize, LaneReport)> {
        let (lane, report) = self.reports.recv().await?;
        match (&report, self.lanes.get_mut(lane)) {
            (LaneReport::Answered(answered), Some(lane)) => lane.load = lane.load.saturating_sub(answered.bytes),
            (LaneReport::Failed(_) | LaneReport::Closed, Some(lane)) => lane.has_ended = true,
            _ => {}
        }
        Some((lane, report))
    }

    /// Ends those that have not ended by themselves.
    pub(crate) fn abort(self) {
        self.lanes.iter().for_each(|lane| lane.task.abort());
    }
}

struct LaneRun {
    index: usize,
    sink: Box<dyn Sink>,
    orders: mpsc::UnboundedReceiver<Order>,
    reports: mpsc::UnboundedSender<(usize, LaneReport)>,
    waiting: VecDeque<Work>,
}

/// The work whose rows are being written.
struct InHand {
    number: u64,
    /// The rows that have no answer.
    batch: Batch,
    /// Their places in the batch that was handed out.
    places: Option<Vec<usize>>,
    attempts: u32,
    backoff: Backoff,
    /// The target does not want them before.
    not_before: Option<Instant>,
    /// Some of its rows have an answer.
    is_partial: bool,
}

impl LaneRun {
    async fn run(mut self) {
        let mut in_hand: Option<InHand> = None;
        let mut rests = false;
        loop {
            in_hand = in_hand.or_else(|| self.waiting.pop_front().map(InHand::new));
            let has_work = in_hand.is_some() && !rests;
            let order = match in_hand.as_ref().and_then(|work| work.not_before) {
                // Orders first: a commit does not wait for rows that the target puts off.
                None if has_work => match self.orders.try_recv() {
                    Ok(order) => Some(order),
                    Err(TryRecvError::Empty) => None,
                    Err(TryRecvError::Disconnected) => return,
                },
                Some(until) if has_work => tokio::select! {
                    biased;
                    order = self.orders.recv() => match order {
                        Some(order) => Some(order),
                        None => return,
                    },
                    () = tokio::time::sleep_until(until) => None,
                },
                _ => match self.orders.recv().await {
                    Some(order) => Some(order),
                    None => return,
                },
            };
            match order {
                Some(Order::Write(work)) => self.waiting.push_back(work),
                Some(Order::Commit(through)) => match self.sink.commit(&through).await {
                    Ok(()) => self.tell(LaneReport::Committed),
                    Err(error) => return self.tell(LaneReport::Failed(error)),
                },
                Some(Order::Rest) => {
                    rests = true;
                    self.tell(LaneReport::Rests { is_partial: in_hand.as_ref().is_some_and(|work| work.is_partial) });
                }
                Some(Order::Close) => {
                    if let Err(error) = self.sink.close().await {
                        tracing::debug!(%error, "closing a sink");
                    }
                    let _ = self.reports.send((self.index, LaneReport::Closed));
                    return;
                }
                None => {
                    let Some(work) = &mut in_hand else { continue };
                    let answers = match self.sink.write(&work.batch).await {
                        Ok(answers) => answers,
                        Err(error) => return self.tell(LaneReport::Failed(error)),
                    };
                    if answers.len() != work.batch.len() {
                        let what = format!("{} answers for {} rows", answers.len(), work.batch.len());
                        return self.tell(LaneReport::Failed(SinkError::Internal(what)));
                    }
                    let (answered, is_done) = work.take(answers);
                    self.tell(LaneReport::Answered(answered));
                    if is_done {
                        in_hand = None;
                    }
                }
            }
        }
    }

    fn tell(&self, report: LaneReport) {
        // Nobody listens any more only when the lane is to end.
        let _ = self.reports.send((self.index, report));
    }
}

impl InHand {
    fn new(Work { number, batch, places }: Work) -> Self {
        let (backoff, not_before) = (Backoff::default(), None);
        Self { number, batch, places, attempts: 0, backoff, not_before, is_partial: false }
    }

    fn place(&self, row: usize) -> usize {
        self.places.as_ref().map_or(row, |places| places.get(row).copied().unwrap_or(row))
    }

    /// Takes the answers to a write, and keeps the rows that the target wants later. Whether there are none.
    fn take(&mut self, answers: Vec<Answer>) -> (Answered, bool) {
        self.attempts += 1;
        let bytes = self.batch.payload().len();
        let mut answered = Answered {
            number: self.number,
            lowest: None,
            bytes,
            counts: AnswerCounts::default(),
            is_held: false,
            refused: Vec::new(),
        };
        let (mut later, mut asked) = (Vec::new(), Duration::ZERO);
        for (row, answer) in answers.into_iter().enumerate() {
            match answer {
                Answer::Done => answered.counts.delivered += 1,
                Answer::Held => {
                    answered.counts.delivered += 1;
                    answered.is_held = true;
                }
                Answer::Refused(reason) => {
                    answered.counts.rejected += 1;
                    answered.refused.extend(self.dead_letter(row, reason));
                }
                Answer::Later(wait) => {
                    asked = asked.max(wait.unwrap_or_default());
                    later.push(row);
                }
            }
        }
        let Some(first) = later.first().copied() else { return (answered, true) };
        answered.counts.retried = later.len() as u64;
        answered.lowest = Some(self.place(first));
        if later.len() < self.batch.len() {
            (self.is_partial, self.backoff) = (true, Backoff::default());
            self.places = Some(later.iter().map(|row| self.place(*row)).collect());
            self.batch = self.batch.select(&later);
        }
        answered.bytes = bytes - self.batch.payload().len();
        self.not_before = Some(Instant::now() + self.backoff.next(Some(asked), random()));
        (answered, false)
    }

    fn dead_letter(&self, row: usize, reason: String) -> Option<DeadLetter> {
        let head = self.batch.row(row)?.head;
        let (at, key) = (*self.batch.start(), head.key.clone());
        Some(DeadLetter { at, number: head.number, key, reason, attempts: self.attempts })
    }
}
