//! One view under the engine's care: it takes in what comes for it, catches up when it is behind, commits, and may fail
//! without touching the others.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use lakehead_decode::Decoder;
use lakehead_model::{Name, Offset, StreamSchema, Timestamp};
use lakehead_query::{
    Digest, FailedEvent, Round, Sieve, View, ViewHandle, ViewPlan, ViewSettings, defect, panic_words,
};
use lakehead_store::{Reader, Stream};

use super::{
    Id,
    feed::Digested,
    gathering::Gathering,
    left_out::{LeftOut, since_now, unharmed},
    progress::Build,
};
use crate::{Error, pipeline::Swap};

/// What a view's snapshot does not tell. Its thread writes it, a status reads it.
#[derive(Default)]
pub(crate) struct Note {
    /// The offset of its last commit.
    pub(super) checkpoint: Option<Offset>,
    /// What is wrong.
    pub(super) failed: Option<String>,
    /// It goes no further.
    pub(super) stands_still: bool,
    /// How its build goes, while it is built.
    pub(super) build: Option<Build>,
    /// It is built, and waits to be told to take the old one's place.
    pub(super) waits: bool,
    /// What was set aside of it.
    pub(super) set_aside: Vec<String>,
    /// Since when it stands still.
    pub(super) since: Option<Timestamp>,
    /// Why the last event that it has left out was.
    pub(super) left_out: Option<String>,
}

/// A note that is shared.
pub(super) type Noted = Arc<Mutex<Note>>;

pub(super) fn lock(note: &Noted) -> MutexGuard<'_, Note> {
    note.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The log that views read.
#[derive(Clone)]
pub(super) struct Log {
    pub(super) stream: Stream,
    pub(super) schema: Arc<StreamSchema>,
    /// Where it is told what views leave out.
    pub(super) rejects: Option<Stream>,
}

/// A view and what is known of it beside its own state.
pub(super) struct Kept {
    /// Its place among the views of its stream: each stands after those that it reads, and is committed after them. No two
    /// views ever have the same, so that nothing that was made for one is handed to another.
    pub(super) id: Id,
    pub(super) view: View,
    pub(super) note: Noted,
    /// It is built to take the place of another of its name.
    pub(super) next: Option<Next>,
    left_out: LeftOut,
    _witness: Witness,
}

/// What happens when a view takes the place of another.
pub(super) struct Next {
    pub(super) swap: Swap,
    /// Views over it that read what it has and the old one has not: they are opened anew, in this order.
    pub(super) renew: Vec<Renewal>,
}

/// A view over another view, as it is to be from a swap on.
pub(super) struct Renewal {
    pub(super) id: Id,
    pub(super) name: Name,
    pub(super) plan: Arc<ViewPlan>,
    pub(super) settings: ViewSettings,
}

impl Kept {
    pub(super) fn new(id: Id, view: View, note: Noted, next: Option<Next>) -> Self {
        let witness = Witness(Arc::clone(&note), view.handle());
        Self { id, view, note, next, left_out: LeftOut::default(), _witness: witness }
    }

    /// Its parts: it is no longer cared for here.
    pub(super) fn apart(self) -> (Id, View, Noted) {
        (self.id, self.view, self.note)
    }

    /// Whether it still goes on.
    pub(super) fn goes_on(&self) -> bool {
        !lock(&self.note).stands_still
    }

    /// Takes in what `round` holds for it. Where the round does not begin with the view's offset, or was not digested for it
    /// yet, the view reads for itself up to the round's end; what it has already is passed over.
    pub(super) async fn take(&mut self, round: &mut Digested, log: &Log, round_bytes: u64) {
        // A view over another view has seen what that one has.
        if !self.goes_on() || self.view.next_offset() > round.end || self.view.plan().reads().is_some() {
            return;
        }
        let own = |digest: &Result<Digest, _>| digest.as_ref().map_or(true, |digest| digest.is_of(self.view.plan()));
        let digest = round.digests.remove(&self.id).filter(own);
        if self.view.next_offset() == round.from
            && let Some(digest) = digest
        {
            self.absorb(digest).await;
        } else {
            self.bring(round.end, log, round_bytes).await;
        }
    }

    async fn absorb(&mut self, digest: Result<Digest, lakehead_query::Error>) {
        let absorbed = match digest {
            Ok(digest) => {
                self.left_out.add(digest.failed(), &self.note);
                unharmed(self.view.absorb(digest)).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = absorbed {
            self.fail(&format!("cannot take events in: {error}"));
        }
    }

    /// Reads the log for this view alone, up to `to`, which is a border between two blocks.
    pub(super) async fn bring(&mut self, to: Offset, log: &Log, round_bytes: u64) {
        if !self.goes_on() || self.view.next_offset() >= to || self.view.plan().reads().is_some() {
            return;
        }
        let (left_out, note) = (&mut self.left_out, &self.note);
        let failed = &mut |failed: &[FailedEvent]| left_out.add(failed, note);
        let progress = &mut |_| {};
        let work = brought(&mut self.view, &log.stream, &log.schema, to, round_bytes, progress, failed);
        if let Err(error) = lakehead_query::unharmed(work, |words| Error::Query(defect(words))).await {
            self.fail(&match error {
                Error::Query(error) => format!("cannot take events in: {error}"),
                other => format!("cannot read the log: {other}"),
            });
        }
    }

    /// Commits what it has taken in since the last commit, and what that one has left. Answers whether some is left again.
    pub(super) async fn commit(&mut self, log: &Log) -> bool {
        let offset = self.view.next_offset();
        if !self.goes_on() || (lock(&self.note).checkpoint == Some(offset) && !self.view.wants_commit()) {
            return false;
        }
        // Before the checkpoint that passes them: after a kill they stand twice rather than nowhere.
        let told = self.left_out.tell(log, self.view.handle().name()).await;
        let outcome = match told {
            Ok(()) => match std::panic::AssertUnwindSafe(self.view.commit()).catch_unwind().await {
                Ok(outcome) => outcome.map_err(|error| error.to_string()),
                Err(panic) => {
                    self.fail(&format!("cannot commit: {}", defect(panic_words(panic.as_ref()))));
                    return false;
                }
            },
            Err(error) => Err(error.to_string()),
        };
        let mut note = lock(&self.note);
        match outcome {
            Ok(()) => {
                note.checkpoint = Some(offset);
                note.failed = None;
                self.view.wants_commit()
            }
            // The last commit stands and queries go on; the next one is tried in a while.
            Err(error) => {
                if note.failed.is_none() {
                    tracing::warn!(view = %self.view.handle().name(), "cannot commit, trying again: {error}");
                }
                note.failed = Some(format!("cannot commit, trying again: {error}"));
                false
            }
        }
    }

    /// It goes no further; its last results can still be read.
    pub(super) fn fail(&self, why: &str) {
        let mut note = lock(&self.note);
        if note.stands_still {
            return;
        }
        let view = self.view.handle();
        tracing::error!(view = %view.name(), "the view stands still: {why}");
        let since = since_now();
        view.stands_still(since, why);
        note.since = Some(since);
        note.stands_still = true;
        note.failed = Some(why.to_owned());
        note.build = None;
    }
}

/// Says that a view stands still, when its thread is stopped by a defect: nobody would go on with it, and nobody would say
/// so.
struct Witness(Noted, ViewHandle);

impl Drop for Witness {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut note = lock(&self.0);
            if !note.stands_still {
                note.stands_still = true;
                let why = "its thread was stopped by a defect; see the log";
                note.failed = Some(why.to_owned());
                self.1.stands_still(since_now(), why);
                note.build = None;
            }
        }
    }
}

/// Brings `view` up to `to`, or to where the log ends before that, on this thread. `progress` is told where it stands.
///
/// # Errors
/// `Corrupt` when the log is damaged; else what the view says.
pub(crate) async fn catch_up(
    view: &mut View,
    stream: &Stream,
    schema: &StreamSchema,
    to: Offset,
    round_bytes: u64,
    progress: &mut (dyn FnMut(Offset) + Send),
) -> Result<(), Error> {
    brought(view, stream, schema, to, round_bytes, progress, &mut |_| {}).await
}

async fn brought(
    view: &mut View,
    stream: &Stream,
    schema: &StreamSchema,
    to: Offset,
    round_bytes: u64,
    progress: &mut (dyn FnMut(Offset) + Send),
    failed: &mut (dyn FnMut(&[FailedEvent]) + Send),
) -> Result<(), Error> {
    let decoder = Decoder::new(schema, view.plan().wanted()).map_err(|error| Error::Internal(error.to_string()))?;
    let mut reader = stream.reader_for(&format!("the view {}", view.handle().name()), view.next_offset());
    while view.next_offset() < to {
        let Some(round) = round(&mut reader, &decoder, to, round_bytes)? else { break };
        let digest = view.plan().digest(&mut Sieve::new(&round)).await?;
        failed(digest.failed());
        view.absorb(digest).await?;
        progress(view.next_offset());
    }
    Ok(())
}

fn round(reader: &mut Reader, decoder: &Decoder, to: Offset, round_bytes: u64) -> Result<Option<Round>, Error> {
    let damaged = |error: lakehead_decode::Error| Error::Internal(error.to_string());
    let mut gathering = Gathering::new(decoder);
    let mut bytes = 0;
    while bytes < round_bytes && reader.position() < to {
        let Some(block) = reader.next()? else { break };
        bytes += block.payload.len() as u64;
        gathering.add(block).map_err(damaged)?;
    }
    gathering.finish(reader.position()).map_err(damaged)
}
