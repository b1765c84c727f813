//! Keeps the views of one stream up to date: reads the log, decodes once for all of them, commits now and then.
//!
//! ```text
//!   log ──▶ reader thread: blocks → rounds of columns ──▶ views thread: absorb, publish, commit
//! ```
//!
//! Every view has its own offset. The reader starts at the least of them and never lets a round pass another view's
//! offset, so a view that is behind catches up alone and the others join it where they stand. Parsing is shared: the
//! columns that any of the views asks for are decoded once.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use lakehead_decode::{Decoder, Events};
use lakehead_model::{Name, Offset, StreamSchema};
use lakehead_query::{Lake, Round, Slot, View, ViewHandle, ViewSettings, check_view};
use lakehead_store::{Need, Stream};
use tokio::sync::{mpsc, watch};

use crate::{Error, pipeline::ViewConfig, status::ViewStatus};

/// Raw events in one round when the views are behind: the size at which one partial aggregation was measured best.
const ROUND_BYTES: usize = 4 << 20;

/// Rounds under way between the two threads: one being absorbed, one ready.
const ROUNDS_UNDER_WAY: usize = 1;

/// The longest that a crash makes the views count again, in time and in events.
const COMMIT_EVERY: Duration = Duration::from_secs(10);
const COMMIT_EVENTS: u64 = 4_000_000;

/// The views of one stream, running.
pub(crate) struct Running {
    stream: Stream,
    views: Vec<(ViewHandle, Arc<Mutex<Note>>)>,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

/// What the views need of the logs: from the offset of their last checkpoint on.
#[derive(Clone, Default)]
pub(crate) struct Needs(BTreeMap<Name, Vec<Noted>>);

/// A view by name, with what its thread notes of it.
type Noted = (Name, Arc<Mutex<Note>>);

impl Needs {
    /// Of all these.
    pub(crate) fn new(running: &[Running]) -> Self {
        let of = |running: &Running| {
            let views = running.views.iter().map(|(handle, note)| (handle.name().clone(), Arc::clone(note)));
            (running.stream.name().clone(), views.collect())
        };
        Self(running.iter().map(of).collect())
    }

    /// Of `stream`.
    pub(crate) fn of(&self, stream: &Name) -> Vec<Need> {
        let need = |(view, note): &Noted| {
            let note = note.lock().unwrap_or_else(PoisonError::into_inner);
            Need { by: format!("view {view}"), from: note.checkpoint.unwrap_or_default() }
        };
        self.0.get(stream).into_iter().flatten().map(need).collect()
    }
}

/// What a view's snapshot does not tell.
#[derive(Default)]
pub(crate) struct Note {
    checkpoint: Option<Offset>,
    failed: Option<String>,
}

struct Kept {
    view: View,
    note: Arc<Mutex<Note>>,
    failed: bool,
}

/// Opens the views of `stream`, makes them tables of `lake`, and starts to keep them up to date.
///
/// # Errors
/// When a view's SQL does not fit, or its folder cannot be opened.
pub(crate) async fn start(
    lake: &Lake,
    stream: Stream,
    schemas: &BTreeMap<Name, StreamSchema>,
    configs: Vec<(Name, ViewConfig)>,
    data: &Path,
) -> Result<Running, Error> {
    let mut kept = Vec::with_capacity(configs.len());
    let mut lost = false;
    for (name, config) in configs {
        let failed = |source| Error::View { view: name.clone(), source };
        let plan = Arc::new(check_view(&config.sql, schemas).await.map_err(failed)?);
        let settings = ViewSettings {
            watermark_delay: config.watermark_delay,
            lateness: config.lateness,
            late: config.late,
            whole_log: stream.head().start == Offset(0),
            ..ViewSettings::default()
        };
        let (mut view, rebuild) =
            View::open(data, name.clone(), plan, settings, Slot::Current, None).await.map_err(failed)?;
        let end = stream.head().end;
        let beyond = view.next_offset() > end;
        lost |= beyond;
        let rebuild = rebuild.or_else(|| beyond.then(|| "it has seen events beyond the log".into()));
        if let Some(why) = rebuild {
            tracing::warn!(view = %name, "rebuilding from the log: {why}");
            view.restart().map_err(failed)?;
        }
        let start = stream.head().start;
        if view.next_offset() < start {
            if view.next_offset() > Offset(0) {
                let missed = start.since(view.next_offset());
                tracing::warn!(view = %name, missed, "the log begins after what the view has seen; it goes on there");
            }
            view.begin_at(start);
        }
        let note = Note { checkpoint: Some(view.next_offset()), failed: None };
        lake.add_view(view.handle());
        kept.push(Kept { view, note: Arc::new(Mutex::new(note)), failed: false });
    }

    if lost {
        match stream.raise_epoch().await {
            Ok(epoch) => {
                tracing::warn!(stream = %stream.name(), epoch, "views have seen events that the log does not hold: its epoch rises");
            }
            // The views are right without it; clients are told when it can be written.
            Err(error) => {
                tracing::warn!(stream = %stream.name(), "its epoch should rise, and cannot be written: {error}")
            }
        }
    }

    let wanted: BTreeSet<String> = kept.iter().flat_map(|kept| kept.view.plan().wanted().iter().cloned()).collect();
    let schema = schemas.get(stream.name()).cloned().unwrap_or_default();
    let decoder = Decoder::new(&schema, &wanted.into_iter().collect::<Vec<_>>())
        .map_err(|e| Error::Internal(format!("the views' columns: {e}")))?;
    let stops: BTreeSet<Offset> = kept.iter().map(|kept| kept.view.next_offset()).collect();
    let views = kept.iter().map(|kept| (kept.view.handle(), Arc::clone(&kept.note))).collect();
    let (stop, stopped) = watch::channel(false);
    let (sender, rounds) = mpsc::channel(ROUNDS_UNDER_WAY);

    let follow =
        Follow { stream: stream.clone(), decoder, stops, sender, stopped, runtime: tokio::runtime::Handle::current() };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|source| Error::Io { what: "starting the views' thread".into(), source })?;
    let spawn = |name: String, work: Box<dyn FnOnce() + Send>| {
        let name_in_error = name.clone();
        std::thread::Builder::new()
            .name(name)
            .spawn(work)
            .map_err(|source| Error::Io { what: format!("starting the thread {name_in_error}"), source })
    };
    let threads = vec![
        spawn(format!("read-{}", stream.name()), Box::new(move || follow.run()))?,
        spawn(format!("views-{}", stream.name()), Box::new(move || runtime.block_on(keep(kept, rounds))))?,
    ];
    Ok(Running { stream, views, stop, threads })
}

impl Running {
    /// Each view's status.
    pub(crate) fn status(&self) -> Vec<(Name, ViewStatus)> {
        let end = self.stream.head().end;
        let gone = self.threads.iter().any(JoinHandle::is_finished);
        let one = |(handle, note): &(ViewHandle, Arc<Mutex<Note>>)| {
            let snapshot = handle.snapshot();
            let note = note.lock().unwrap_or_else(PoisonError::into_inner);
            let stopped = gone.then(|| "its thread has ended; see the log".to_owned());
            let status = ViewStatus {
                stream: handle.plan().stream().to_string(),
                offset: snapshot.next_offset,
                behind: end.since(snapshot.next_offset),
                watermark: snapshot.watermark,
                rows: snapshot.result_rows() + snapshot.open_rows as u64,
                late_corrected: snapshot.counts.late,
                late_dropped: snapshot.counts.late_dropped + snapshot.counts.too_late,
                without_time: snapshot.counts.without_time,
                checkpoint: note.checkpoint,
                failed: note.failed.clone().or(stopped),
            };
            (handle.name().clone(), status)
        };
        self.views.iter().map(one).collect()
    }

    /// Lets the views absorb what is under way, commits them, and waits for the threads to end.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(true);
        for thread in self.threads {
            let name = thread.thread().name().unwrap_or("views").to_owned();
            match tokio::task::spawn_blocking(move || thread.join()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => tracing::error!("the thread {name} ended by a defect"),
            }
        }
    }
}

/// The reader thread.
struct Follow {
    stream: Stream,
    decoder: Decoder,
    stops: BTreeSet<Offset>,
    sender: mpsc::Sender<(Offset, Result<Round, String>)>,
    stopped: watch::Receiver<bool>,
    runtime: tokio::runtime::Handle,
}

impl Follow {
    fn run(mut self) {
        let Some(start) = self.stops.pop_first() else { return };
        let mut reader = self.stream.reader_for(&format!("the views of {}", self.stream.name()), start);
        let mut committed = self.stream.committed();
        while !*self.stopped.borrow() {
            // Seen before the read, so that a commit after the read wakes the wait below.
            committed.borrow_and_update();
            let from = reader.position();
            let round = match self.round(&mut reader) {
                Ok(None) => {
                    let mut stopped = self.stopped.clone();
                    let alive = self.runtime.block_on(async {
                        tokio::select! {
                            changed = committed.changed() => changed.is_ok(),
                            changed = stopped.changed() => changed.is_ok(),
                        }
                    });
                    if alive {
                        continue;
                    }
                    return;
                }
                Ok(Some(round)) => Ok(round),
                Err(why) => Err(why),
            };
            let failed = round.is_err();
            if self.sender.blocking_send((from, round)).is_err() || failed {
                return;
            }
        }
    }

    /// The blocks that are at hand, up to a round's size and not past the next view's offset.
    fn round(&self, reader: &mut lakehead_store::Reader) -> Result<Option<Round>, String> {
        let stop = self.stops.range(reader.position().plus(1)..).next().copied();
        let (mut bytes, mut events) = (0, 0);
        let (mut batches, mut times) = (Vec::new(), Vec::new());
        while bytes < ROUND_BYTES && stop.is_none_or(|stop| reader.position() < stop) {
            let Some(block) = reader.next().map_err(|e| e.to_string())? else { break };
            times.push((block.progress, block.event_time_greatest, block.received_time));
            if !block.is_empty() {
                let columns = self.decoder.decode(&Events {
                    payload: &block.payload,
                    ends: &block.ends,
                    first_offset: block.first_offset,
                    received_time: block.received_time,
                });
                batches.push(columns.map_err(|e| e.to_string())?);
            }
            bytes += block.payload.len();
            events += block.len() as u64;
        }
        Ok((!times.is_empty()).then(|| Round { batches, events, end: reader.position(), times }))
    }
}

/// The views thread.
async fn keep(mut views: Vec<Kept>, mut rounds: mpsc::Receiver<(Offset, Result<Round, String>)>) {
    let mut pending = 0;
    let mut due = tokio::time::Instant::now() + COMMIT_EVERY;
    loop {
        let next = tokio::select! {
            next = rounds.recv() => next,
            () = tokio::time::sleep_until(due) => {
                commit(&mut views).await;
                pending = 0;
                due = tokio::time::Instant::now() + COMMIT_EVERY;
                continue;
            }
        };
        let Some((from, round)) = next else { break };
        match round {
            Ok(round) => {
                for kept in views.iter_mut().filter(|kept| !kept.failed && kept.view.next_offset() == from) {
                    let absorbed = match kept.view.plan().digest(&round).await {
                        Ok(digest) => kept.view.absorb(digest).await,
                        Err(error) => Err(error),
                    };
                    if let Err(error) = absorbed {
                        kept.fail(&format!("cannot take events in: {error}"));
                    }
                }
                pending += round.events;
            }
            Err(why) => views.iter_mut().for_each(|kept| kept.fail(&format!("cannot read the log: {why}"))),
        }
        if pending >= COMMIT_EVENTS {
            due = tokio::time::Instant::now();
        }
    }
    commit(&mut views).await;
}

async fn commit(views: &mut [Kept]) {
    for kept in views.iter_mut().filter(|kept| !kept.failed) {
        let offset = kept.view.next_offset();
        if kept.note.lock().unwrap_or_else(PoisonError::into_inner).checkpoint == Some(offset) {
            continue;
        }
        let outcome = kept.view.commit().await;
        let mut note = kept.note.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(()) => {
                note.checkpoint = Some(offset);
                note.failed = None;
            }
            // The last commit stands and queries go on; the next one is tried in a while.
            Err(error) => {
                if note.failed.is_none() {
                    tracing::warn!(view = %kept.view.handle().name(), "cannot commit, trying again: {error}");
                }
                note.failed = Some(format!("cannot commit, trying again: {error}"));
            }
        }
    }
}

impl Kept {
    fn fail(&mut self, why: &str) {
        self.failed = true;
        tracing::error!(view = %self.view.handle().name(), "the view stands still: {why}");
        self.note.lock().unwrap_or_else(PoisonError::into_inner).failed = Some(why.to_owned());
    }
}
