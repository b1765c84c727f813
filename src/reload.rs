//! The pipeline file of a running process, read again: for SIGHUP, and for `POST /v1/reload` behind `lakehead reload`.
//!
//! It is read with what the command line said over it at the start, and with the environment of that start.

use std::{
    io::Read,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use lakehead_engine::{Engine, Error, Reloaded};
use lakehead_model::ByteSize;
use lakehead_serve::{NotReloaded, Reload, Reloading};
use rustix::fs::{Mode, OFlags};
use tokio::{runtime::Handle, sync::Mutex};

use crate::{
    config::{self, Overrides},
    rehearsal::rehearse,
};

/// The largest pipeline file: 1 MiB, some ten thousand lines.
const FILE_BYTES_MAX: u64 = 1 << 20;

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

    async fn read_and_replace(&self) -> Result<Reloaded, NotReloaded> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let (file, overrides) = match &self.origin {
            Origin::File(file, overrides) => (file, overrides.clone()),
            Origin::BuiltIn(name) => return Err(self.refused(NotReloaded::NoFile(name))),
        };
        let (name, refused) = (file.display().to_string(), |what| self.refused(NotReloaded::File(what)));
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
            Ok(Err(Refused::File(what))) => Err(self.refused(NotReloaded::File(what))),
            Ok(Err(Refused::Engine(why))) => Err(why),
            Ok(Ok(reloaded)) => Ok(reloaded),
            Err(error) => Err(self.refused(NotReloaded::File(format!("the reload broke off: {error}")))),
        }
    }

    /// The engine tells what it refuses itself; this it has not seen.
    fn refused(&self, why: NotReloaded) -> NotReloaded {
        self.engine.reload_refused(why.to_string());
        why
    }
}

/// Why a file did not take the place of the one that runs: by itself, or by what the engine says, who then has told it.
enum Refused {
    File(String),
    Engine(NotReloaded),
}

async fn replace(engine: &Arc<Engine>, name: &str, text: &str, overrides: Overrides) -> Result<Reloaded, Refused> {
    let sources = lakehead_connectors::SOURCES;
    let pipeline = config::read(name, text, sources, &environment, overrides).await;
    let pipeline = pipeline.map_err(|problems| Refused::File(problems.to_string()))?;
    let reloaded = engine.reload(pipeline).await.map_err(|error| match error {
        Error::TakesRestart(fixed) => {
            let found = fixed.into_iter().map(|fixed| (fixed.key, fixed.what));
            NotReloaded::File(config::in_the_way(name, text, &environment, found).to_string())
        }
        error => error.into(),
    });
    reloaded.map_err(Refused::Engine)
}

impl Reload for Reloader {
    fn reload(&self) -> Reloading<'_> {
        Box::pin(self.read_and_replace())
    }
}

/// The text of a pipeline file: a regular file of at most [`FILE_BYTES_MAX`]. What else has that name is not waited for: a
/// FIFO would never begin and a device never end.
pub(crate) fn text(file: &Path) -> anyhow::Result<String> {
    let name = file.display();
    let reading = || format!("reading {name}");
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(file, flags, Mode::empty()).map_err(std::io::Error::from).with_context(reading)?;
    let opened = std::fs::File::from(opened);
    let is = opened.metadata().with_context(reading)?;
    if !is.is_file() {
        let kind = is.file_type();
        let what = if kind.is_dir() {
            "a folder"
        } else if kind.is_fifo() {
            "a pipe"
        } else {
            "a device"
        };
        bail!("{name} is {what}; a pipeline is a regular file, since a reload reads it again");
    }
    let limit = ByteSize(FILE_BYTES_MAX);
    if is.len() > FILE_BYTES_MAX {
        bail!("{name} has {} bytes; a pipeline file has at most {limit}, so this is hardly one", is.len());
    }
    let mut bytes = Vec::new();
    opened.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).with_context(reading)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        bail!("{name} grows beyond {limit} while it is read, so this is hardly a pipeline file");
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let (before, byte) = (String::from_utf8_lossy(&error.as_bytes()[..at]).into_owned(), error.as_bytes()[at]);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        anyhow!("{name}:{line}:{column}: the byte {byte:#04x} is no UTF-8; save the file as UTF-8")
    })
}

/// The environment, as pipeline files see it.
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_regular_file_of_a_sensible_size_is_read_and_nothing_is_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("good.toml"), "[stream.s]\n").expect("written");
        assert_eq!(text(&path("good.toml")).expect("read"), "[stream.s]\n");
        rustix::fs::mknodat(rustix::fs::CWD, path("pipe"), rustix::fs::FileType::Fifo, Mode::RWXU, 0).expect("a FIFO");
        let large = std::fs::File::create(path("large.toml")).expect("created");
        large.set_len(10 << 30).expect("a sparse file");
        std::fs::write(path("latin.toml"), b"# a\n# \xe9\n").expect("written");
        for (file, wanted) in [
            (path("pipe"), "is a pipe"),
            (folder.path().to_owned(), "is a folder"),
            (PathBuf::from("/dev/zero"), "is a device"),
            (path("large.toml"), "at most 1 MiB"),
            (path("latin.toml"), "latin.toml:2:"),
            (path("none.toml"), "No such file"),
        ] {
            let error = format!("{:#}", text(&file).expect_err(wanted));
            assert!(error.contains(wanted), "{error}");
        }
    }
}
