//! `POST /v1/reload`: reads the pipeline file again and applies it.
//!
//! Where the pipeline comes from, and in what language it is written, is the binary's affair: it brings a [`Reload`]. The answer
//! says what changed; a refusal has everything that is in the way, and the old pipeline goes on then.

use std::{pin::Pin, sync::Arc};

use axum::{Json, extract::State, http::StatusCode};
use lakehead_engine::{Error, Reloaded};
use lakehead_model::Kind;

use crate::{
    app::App,
    refusal::{Refusal, status_of},
};

/// What becomes of a reload.
pub type Reloading<'a> = Pin<Box<dyn Future<Output = Result<Reloaded, NotReloaded>> + Send + 'a>>;

/// Reads the pipeline again and makes it the one that runs.
pub trait Reload: Send + Sync {
    /// Does so. A future that is dropped leaves either pipeline, never half of one.
    fn reload(&self) -> Reloading<'_>;
}

/// Why a pipeline was not reloaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotReloaded {
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

/// `POST /v1/reload`
pub(crate) async fn post(State(app): State<Arc<App>>) -> Result<Json<Reloaded>, Refusal> {
    app.reload.reload().await.map(Json).map_err(|error| Refusal::new(status(&error), error.to_string()))
}

fn status(error: &NotReloaded) -> StatusCode {
    match error {
        NotReloaded::NoFile(_) => StatusCode::CONFLICT,
        NotReloaded::File(_) => StatusCode::UNPROCESSABLE_ENTITY,
        NotReloaded::Engine(error) if error.kind() == Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        NotReloaded::Engine(error) => status_of(error.kind()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_can_tell_who_must_act() {
        let refused = Error::TakesRestart(vec![]);
        assert_eq!(status(&NotReloaded::Engine(refused)), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(status(&NotReloaded::File("p.toml:1: x".to_owned())), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(status(&NotReloaded::NoFile("the demo")), StatusCode::CONFLICT);
        assert_eq!(status(&NotReloaded::Engine(Error::Stopping)), StatusCode::SERVICE_UNAVAILABLE);
        let partly = Error::PartlyReloaded(vec!["the views of s stand still".to_owned()]);
        assert_eq!(status(&NotReloaded::Engine(partly)), StatusCode::SERVICE_UNAVAILABLE);
    }
}
