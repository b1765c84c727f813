//! The pipeline file of a running process, read again: for SIGHUP, and for `POST /v1/reload` behind `lakehead reload`.
//!
//! It is read with what the command line said over it at the start, and with the environment of that start.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, anyhow};
use lakehead_engine::{Engine, Error, Reloaded};
use lakehead_serve::{NotReloaded, Reload, Reloading};
use tokio::sync::Mutex;

use crate::config::{self, Overrides};

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
    turn: Mutex<()>,
}

impl Reloader {
    pub(crate) fn new(engine: Arc<Engine>, origin: Origin) -> Self {
        Self { engine, origin, turn: Mutex::default() }
    }

    /// For a signal, which nobody answers: what comes of it stands in the log and in the status.
    pub(crate) async fn on_signal(self: Arc<Self>) {
        let _ = self.reload().await;
    }

    async fn read_and_replace(&self) -> Result<Reloaded, NotReloaded> {
        let _turn = self.turn.lock().await;
        let (file, overrides) = match &self.origin {
            Origin::File(file, overrides) => (file, overrides.clone()),
            Origin::BuiltIn(name) => return Err(self.refused(NotReloaded::NoFile(name))),
        };
        let (name, refused) = (file.display().to_string(), |what| self.refused(NotReloaded::File(what)));
        let text = text(file).map_err(|error| refused(format!("{error:#}")))?;
        let sources = lakehead_connectors::SOURCES;
        let pipeline = config::read(&name, &text, sources, &environment, overrides).await;
        let pipeline = pipeline.map_err(|problems| refused(problems.to_string()))?;
        self.engine.reload(pipeline).await.map_err(|error| match error {
            Error::TakesRestart(fixed) => {
                let found = fixed.into_iter().map(|fixed| (fixed.key, fixed.what));
                NotReloaded::File(config::in_the_way(&name, &text, &environment, found).to_string())
            }
            error => error.into(),
        })
    }

    /// The engine tells what it refuses itself; this it has not seen.
    fn refused(&self, why: NotReloaded) -> NotReloaded {
        self.engine.reload_refused(why.to_string());
        why
    }
}

impl Reload for Reloader {
    fn reload(&self) -> Reloading<'_> {
        Box::pin(self.read_and_replace())
    }
}

/// The text of a pipeline file.
pub(crate) fn text(file: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let (before, byte) = (String::from_utf8_lossy(&error.as_bytes()[..at]).into_owned(), error.as_bytes()[at]);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        anyhow!("{}:{line}:{column}: the byte {byte:#04x} is no UTF-8; save the file as UTF-8", file.display())
    })
}

/// The environment, as pipeline files see it.
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
