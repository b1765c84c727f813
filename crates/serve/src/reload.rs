//! What the server asks of whoever started it: to read the pipeline again and make it the one that runs.
//!
//! Where the pipeline comes from, and in what language it is written, is the binary's affair: it brings a [`Reload`].

use std::pin::Pin;

use lakehead_engine::{Error, Reloaded};

/// A reload under way.
pub type ReloadFuture<'a> = Pin<Box<dyn Future<Output = Result<Reloaded, ReloadError>> + Send + 'a>>;

/// Reads the pipeline again and makes it the one that runs.
pub trait Reload: Send + Sync {
    /// Does so. A future that is dropped leaves either pipeline, never half of one.
    fn reload(&self) -> ReloadFuture<'_>;
}

/// Why a pipeline was not reloaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// The pipeline was not read from a file, so there is nothing to read again.
    #[error("there is no file to read again: this process runs {0}")]
    NoFile(&'static str),
    /// The file cannot be read or is not good: everything that is wrong with it, a line each.
    #[error("{0}")]
    File(String),
    /// The engine says no.
    #[error(transparent)]
    Engine(#[from] Error),
}
