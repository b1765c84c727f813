//! What a push token lets through: pushes to some streams, and nothing else.
//!
//! It is looked up in the pipeline that runs, so that a reload gives and takes; who pushes for hours is looked at again with
//! each write.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::http::{Method, StatusCode};
use lakehead_engine::pipeline::PushToken;
use lakehead_model::Name;

use crate::{answers::Refusal, app::App};

/// The push token of a request. The handlers of pushes find it in the request; without one a request may push to every stream.
#[derive(Clone, Debug)]
pub(crate) struct PushScope {
    name: Name,
    token: PushToken,
}

impl PushScope {
    /// The push token that is `offered`, if it is one of these.
    pub(super) fn of(tokens: &BTreeMap<Name, PushToken>, offered: &[u8]) -> Option<Self> {
        let offered = std::str::from_utf8(offered).ok()?;
        let (name, token) = tokens.iter().find(|(_, token)| token.token.matches(offered))?;
        Some(Self { name: name.clone(), token: token.clone() })
    }

    /// The streams that it may push to.
    pub(crate) fn streams(&self) -> Arc<BTreeSet<Name>> {
        Arc::clone(&self.token.streams)
    }

    /// Checks that it may push to `stream`, as the pipeline is now.
    ///
    /// # Errors
    /// 403 when it may not; 401 when it is no token any more.
    pub(crate) fn check(&self, app: &App, stream: &str) -> Result<(), Refusal> {
        let pipeline = app.engine.pipeline();
        let now = pipeline.push_tokens.get(&self.name).filter(|now| now.token == self.token.token);
        allowed(now, &self.name, stream)
    }
}

/// Whether the token of this name, as it is now, may push to `stream`.
fn allowed(now: Option<&PushToken>, name: &Name, stream: &str) -> Result<(), Refusal> {
    let Some(now) = now else {
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, format!("the push token {name} was taken back")));
    };
    if now.streams.contains(stream) {
        return Ok(());
    }
    let streams = now.streams.iter().map(Name::as_str).collect::<Vec<_>>().join(", ");
    let error = format!("the push token {name} may push to {streams}, and to no other stream");
    Err(Refusal::new(StatusCode::FORBIDDEN, error))
}

/// Whether a request is a push.
pub(super) fn is_push(method: &Method, path: &str) -> bool {
    let to_one = || path.strip_prefix("/v1/streams/")?.strip_suffix("/events");
    *method == Method::POST && (path == "/v1/events" || to_one().is_some_and(|name| !name.contains('/')))
}

#[cfg(test)]
mod tests {
    use lakehead_engine::pipeline::Token;

    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).expect("a name")
    }

    fn token(secret: &str, streams: &[&str]) -> PushToken {
        let token = Token::new(secret).expect("long enough");
        PushToken { token, streams: Arc::new(streams.iter().map(|text| name(text)).collect()) }
    }

    #[test]
    fn a_token_lets_through_to_its_streams_alone_and_not_at_all_once_it_is_gone() {
        let sensors = token("sensors-0123456789", &["heat", "wind"]);
        let tokens = BTreeMap::from([(name("sensors"), sensors.clone())]);
        assert!(PushScope::of(&tokens, b"sensors-0123456789").is_some_and(|scope| scope.streams().len() == 2));
        for other in [&b""[..], b"sensors-012345678", b"sensors-0123456789 ", b"\xff"] {
            assert!(PushScope::of(&tokens, other).is_none(), "{other:?}");
        }
        let checked = |now: Option<&PushToken>, stream: &str| {
            allowed(now, &name("sensors"), stream).map_err(|refusal| (refusal.status.as_u16(), refusal.error))
        };
        assert_eq!(checked(Some(&sensors), "wind"), Ok(()));
        let refused = checked(Some(&sensors), "orders").expect_err("not its stream");
        assert_eq!(refused, (403, "the push token sensors may push to heat, wind, and to no other stream".to_owned()));
        assert_eq!(checked(None, "wind").map_err(|(status, _)| status), Err(401));
    }

    #[test]
    fn only_pushes_are_pushes() {
        for path in ["/v1/events", "/v1/streams/a/events"] {
            assert!(is_push(&Method::POST, path) && !is_push(&Method::GET, path), "{path}");
        }
        for path in ["/v1/streams/a/import", "/v1/streams/a/b/events", "/v1/sql", "/v1/events/", "/", "/v2/events"] {
            assert!(!is_push(&Method::POST, path), "{path}");
        }
    }
}
