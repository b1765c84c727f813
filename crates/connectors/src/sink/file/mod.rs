#![doc = include_str!("manual.md")]
//!
//! ---
//!
//! In this folder: `config` (what a user may set), `template` (the name of a row's own file), `place` (the name of a file of
//! lines), `covered` (which rows files have already), `folder` (the lock, folders by time), `compressed`, and the two layouts:
//! `lines` and `each`, and `probe` (whether it could be written). Here is only what joins them to the contract: calls of the disk run on threads that may wait, and a file
//! of lines is finished by its age also while no rows come.

mod compressed;
mod config;
mod covered;
mod each;
mod folder;
mod lines;
mod place;
mod probe;
mod template;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use async_trait::async_trait;
use lakehead_connector_api::{
    Answer, Batch, ConnectorKind, Delivery, Error, Probed, Sink, SinkContext, SinkKind, Takes,
};
use lakehead_model::{Clock, Position, Timestamp};
use tokio::task::JoinHandle;

use self::{
    config::{Config, Layout},
    each::EventFiles,
    folder::Folder,
    lines::LineFiles,
};

/// How often it is looked whether a file is old enough: an eighth of its greatest age, within these.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_millis(125), Duration::from_secs(30));

/// The sink kind `file`.
pub(crate) struct Files;

impl ConnectorKind for Files {
    const NAME: &'static str = "file";
    const MANUAL: &'static str = include_str!("manual.md");
    const EXAMPLE: &'static str = r#"[sink.files]
kind = "file"
from = "recentchange"
path = "./out"
compression = "gzip"
rows_max = 50000
age_max = "5m"
"#;
    type Config = Config;

    fn check(config: &Config) -> Result<(), String> {
        config.check()
    }
}

impl SinkKind for Files {
    const DELIVERY: Delivery = Delivery::Idempotent;
    const TAKES: Takes = Takes::Appends;

    async fn open(config: Config, context: SinkContext) -> Result<Box<dyn Sink>, Error> {
        let look_every = (config.rotation().age_max / 8).clamp(LOOK_EVERY.0, LOOK_EVERY.1);
        let (from, clock) = (context.from, context.clock);
        let files = blocking(move || {
            let folder = Folder::open(&config.path, from.name().as_str(), config.folders)?;
            Ok(match config.layout {
                Layout::Lines => Laid::Lines(LineFiles::open(folder, config.compression, config.rotation())?),
                Layout::OneFileAnEvent => {
                    let name = config.name.unwrap_or_default();
                    Laid::Each(EventFiles::open(folder, config.compression, &name)?)
                }
            })
        });
        let shared = Arc::new(Mutex::new(Shared { files: files.await?, failed: None }));
        let aging = tokio::spawn(age(Arc::downgrade(&shared), Arc::clone(&clock), look_every));
        Ok(Box::new(FileSink { shared, clock, aging }))
    }

    async fn probe(config: Config, context: SinkContext) -> Result<Probed, Error> {
        blocking(move || probe::probe(&config.path, context.from.name().as_str())).await
    }
}

/// Files, in one layout or the other.
enum Laid {
    Lines(LineFiles),
    Each(EventFiles),
}

struct Shared {
    files: Laid,
    /// What went wrong while no call was there to be told.
    failed: Option<Error>,
}

struct FileSink {
    shared: Arc<Mutex<Shared>>,
    clock: Arc<dyn Clock>,
    aging: JoinHandle<()>,
}

impl FileSink {
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Laid, Timestamp) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (shared, now) = (Arc::clone(&self.shared), self.clock.now());
        blocking(move || {
            let mut shared = shared.lock().map_err(|_| Error::Internal("a write to a file panicked".to_owned()))?;
            if let Some(error) = shared.failed.take() {
                return Err(error);
            }
            work(&mut shared.files, now)
        })
        .await
    }
}

#[async_trait]
impl Sink for FileSink {
    async fn write(&mut self, batch: &Batch) -> Result<Vec<Answer>, Error> {
        let batch = batch.clone();
        let write = move |files: &mut Laid, now| match files {
            Laid::Lines(files) => files.write(&batch, now),
            Laid::Each(files) => files.write(&batch),
        };
        self.with(write).await
    }

    async fn commit(&mut self, _through: &Position) -> Result<(), Error> {
        let commit = |files: &mut Laid, now| match files {
            Laid::Lines(files) => files.commit(now),
            Laid::Each(files) => files.commit(),
        };
        self.with(commit).await
    }

    /// Whoever reads the files sees all of them afterwards: rows that were not committed too, which are known when they come
    /// again.
    async fn close(self: Box<Self>) -> Result<(), Error> {
        let close = |files: &mut Laid, _| match files {
            Laid::Lines(files) => files.finish(),
            Laid::Each(files) => files.commit(),
        };
        self.with(close).await
    }
}

impl Drop for FileSink {
    fn drop(&mut self) {
        self.aging.abort();
    }
}

/// Finishes files by their age. The folder is not held meanwhile, so that it is free as soon as the sink is dropped.
async fn age(shared: Weak<Mutex<Shared>>, clock: Arc<dyn Clock>, look_every: Duration) {
    loop {
        tokio::time::sleep(look_every).await;
        let Some(shared) = shared.upgrade() else { return };
        let now = clock.now();
        let looked = blocking(move || {
            let Ok(mut shared) = shared.lock() else { return Ok(()) };
            if let Laid::Lines(files) = &mut shared.files
                && let Err(error) = files.finish_if_old(now)
            {
                shared.failed.get_or_insert(error);
            }
            Ok(())
        });
        let _ = looked.await;
    }
}

/// Runs what waits for a disk where it may.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::Internal(format!("a write to a file did not end: {error}")))?
}
