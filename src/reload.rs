//! The pipeline file of a running process, read again: for SIGHUP, and for `POST /v1/reload` behind `lakehead reload`.
//!
//! It is read with what the command line said over it at the start, and with the environment of that start.

use std::{path::PathBuf, sync::Arc, time::Duration};

use lakehead_engine::{Engine, Error, Reloaded};
use lakehead_serve::{Reload, ReloadError, ReloadFuture};
use tokio::{runtime::Handle, sync::Mutex};

use crate::{
    config::{self, Overrides, environment},
    kinds::Kinds,
    pipeline_file::text,
    subprocess::rehearsal::rehearse,
};

/// How long a reload waits for its file.
const READ_TIME_MAX: Duration = Duration::from_secs(10);

/// Where a process has its pipeline from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// A file, and what the command line says over it.
    File(PathBuf, Overrides),
    /// It is built in; so it is called.
    BuiltIn(&'static str),
}

/// Reads the pipeline again and hands it to the engine.
pub(crate) struct Reloader {
    engine: Arc<Engine>,
    origin: Origin,
    /// One at a time from the reading on: of two that overlap the older text must not be applied last.
    turn: Arc<Mutex<()>>,
}

impl Reloader {
    pub(crate) fn new(engine: Arc<Engine>, origin: Origin) -> Self {
        Self { engine, origin, turn: Arc::default() }
    }

    /// For a signal, which nobody answers: what comes of it stands in the log and in the status.
    pub(crate) async fn on_signal(self: Arc<Self>) {
        let _ = self.reload().await;
    }

    async fn read_and_replace(&self) -> Result<Reloaded, ReloadError> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let (file, overrides) = match &self.origin {
            Origin::File(file, overrides) => (file, overrides.clone()),
            Origin::BuiltIn(name) => return Err(self.refused(ReloadError::NoFile(name))),
        };
        let (name, refused) = (file.display().to_string(), |what| self.refused(ReloadError::File(what)));
        let path = file.clone();
        // A file on a network that is away must hold up neither those who serve nor the end.
        let read = tokio::time::timeout(READ_TIME_MAX, tokio::task::spawn_blocking(move || text(&path)));
        let text = match read.await {
            Ok(Ok(text)) => text.map_err(|error| refused(format!("{error:#}")))?,
            Ok(Err(error)) => return Err(refused(format!("reading {name}: {error}"))),
            Err(_) => return Err(refused(format!("{name} could not be read within {} s", READ_TIME_MAX.as_secs()))),
        };
        rehearse(&name, &text).await.map_err(refused)?;
        // SQL is compiled without a pause, which may take seconds: not on a thread that serves. Nor does it end with whoever asked.
        let (runtime, engine) = (Handle::current(), Arc::clone(&self.engine));
        let replacing = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            runtime.block_on(replace(&engine, &name, &text, overrides))
        });
        match replacing.await {
            Ok(Err(NotReplaced::File(what))) => Err(self.refused(ReloadError::File(what))),
            Ok(Err(NotReplaced::Engine(why))) => Err(why),
            Ok(Ok(reloaded)) => Ok(reloaded),
            Err(error) => Err(self.refused(ReloadError::File(format!("the reload broke off: {error}")))),
        }
    }

    /// The engine tells what it refuses itself; this it has not seen.
    fn refused(&self, why: ReloadError) -> ReloadError {
        self.engine.reload_refused(why.to_string());
        why
    }
}

/// Why a file did not take the place of the one that runs: by itself, or by what the engine says, who then has told it.
enum NotReplaced {
    File(String),
    Engine(ReloadError),
}

async fn replace(engine: &Arc<Engine>, name: &str, text: &str, overrides: Overrides) -> Result<Reloaded, NotReplaced> {
    let pipeline = config::read(name, text, Kinds::BUILT, &environment, overrides).await;
    let pipeline = pipeline.map_err(|problems| NotReplaced::File(problems.to_string()))?;
    let reloaded = engine.reload(pipeline).await.map_err(|error| match error {
        Error::TakesRestart(fixed) => {
            let found = fixed.into_iter().map(|fixed| (fixed.key, fixed.what));
            ReloadError::File(config::in_the_way(name, text, &environment, found).to_string())
        }
        error => error.into(),
    });
    reloaded.map_err(NotReplaced::Engine)
}

impl Reload for Reloader {
    fn reload(&self) -> ReloadFuture<'_> {
        Box::pin(self.read_and_replace())
    }
}
