//! `POST /v1/reload`: reads the pipeline file again and applies it.
//!
//! The answer says what changed; a refusal has everything that is in the way, and the old pipeline goes on then.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use lakehead_engine::Reloaded;
use lakehead_model::Kind;

use crate::{
    answers::{Refusal, status_of},
    app::App,
    reload::ReloadError,
};

/// `POST /v1/reload`
pub(crate) async fn post(State(app): State<Arc<App>>) -> Result<Json<Reloaded>, Refusal> {
    app.reload.reload().await.map(Json).map_err(|error| Refusal::new(status(&error), error.to_string()))
}

fn status(error: &ReloadError) -> StatusCode {
    match error {
        ReloadError::NoFile(_) => StatusCode::CONFLICT,
        ReloadError::File(_) => StatusCode::UNPROCESSABLE_ENTITY,
        ReloadError::Engine(error) if error.kind() == Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        ReloadError::Engine(error) => status_of(error.kind()),
    }
}

#[cfg(test)]
mod tests {
    use lakehead_engine::Error;

    use super::*;

    #[test]
    fn a_caller_can_tell_who_must_act() {
        let refused = Error::TakesRestart(vec![]);
        assert_eq!(status(&ReloadError::Engine(refused)), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(status(&ReloadError::File("p.toml:1: x".to_owned())), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(status(&ReloadError::NoFile("the demo")), StatusCode::CONFLICT);
        assert_eq!(status(&ReloadError::Engine(Error::Stopping)), StatusCode::SERVICE_UNAVAILABLE);
        let partly = Error::PartlyReloaded(vec!["the views of s stand still".to_owned()]);
        assert_eq!(status(&ReloadError::Engine(partly)), StatusCode::SERVICE_UNAVAILABLE);
    }
}
