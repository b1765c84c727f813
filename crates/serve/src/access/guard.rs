//! Who may ask: the token, and what keeps a stranger's web page from using a browser on this machine.
//!
//! Three attacks are in mind. Another machine asks: it must carry the token when the pipeline has one. This machine need not,
//! so that commands and a browser on it work without; who comes over a proxy on it is told by what that adds ([`FORWARDED`]),
//! and a proxy that adds nothing lets everyone pass. A wrong token is refused from anywhere, so that it shows. A web page makes
//! the reader's browser ask for `http://127.0.0.1:8080` under its own name (DNS rebinding): without the token only hosts
//! written as an address, or `localhost`, are answered on loopback, and a page cannot rebind those. A web page posts
//! here blindly: what changes or costs something must come from this origin, when it comes from a browser at all. A push token
//! ([`PushScope`]) opens nothing but pushes.
//!
//! The decision is a pure function over facts; [`check`] collects them and acts.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    scope::{PushScope, is_push},
    sign_in,
    token::{Carried, bearer, carried},
};
use crate::{answers::Refusal, app::App};

/// What a proxy adds: a request that has one did not start on this machine, wherever the connection comes from.
const FORWARDED: [HeaderName; 2] = [HeaderName::from_static("forwarded"), HeaderName::from_static("x-forwarded-for")];
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What the decision rests on.
#[derive(Clone, Copy, Debug)]
struct RequestFacts<'a> {
    /// From this machine, straight.
    local: bool,
    /// Whether the pipeline has a token, and whether this request carries it.
    token: Carried,
    /// The `Host` header.
    host: Option<&'a str>,
    /// The `Origin` header.
    origin: Option<&'a str>,
    /// The `Sec-Fetch-Site` header.
    site: Option<&'a str>,
    /// Whether the method can change or cost anything.
    safe: bool,
    /// Whether it is a push.
    push: bool,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    /// The request is answered.
    Pass,
    /// The pipeline has a token, and the request must bring it.
    NeedsToken,
    /// Its token may only push.
    OnlyPushes,
    /// A name that may have been rebound to this machine.
    ForeignHost,
    /// A page of another origin has made the browser ask.
    ForeignPage,
}

/// Decides whether a request is answered.
fn classify(facts: RequestFacts<'_>) -> Decision {
    if facts.token == Carried::Wrong || !facts.local && facts.token == Carried::No {
        return Decision::NeedsToken;
    }
    if facts.token == Carried::Push && !facts.push {
        return Decision::OnlyPushes;
    }
    if facts.local
        && !matches!(facts.token, Carried::Yes | Carried::Push)
        && !facts.host.is_none_or(is_address_or_localhost)
    {
        return Decision::ForeignHost;
    }
    let same_site = facts.site.is_none_or(|site| matches!(site, "same-origin" | "none"));
    let same_origin = facts.origin.is_none_or(|origin| Some(strip_scheme(origin)) == facts.host);
    if facts.safe || (same_site && same_origin) { Decision::Pass } else { Decision::ForeignPage }
}

fn strip_scheme(origin: &str) -> &str {
    origin.split_once("://").map_or(origin, |(_, host)| host)
}

fn is_address_or_localhost(host: &str) -> bool {
    if host.parse::<SocketAddr>().is_ok() || host.parse::<IpAddr>().is_ok() {
        return true;
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let bare = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(name);
    bare.parse::<IpAddr>().is_ok() || name.eq_ignore_ascii_case("localhost")
}

/// The layer around every route: collects the facts and acts on the decision.
pub(crate) async fn check(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    if let Some(refusal) = malformed(&request) {
        return refusal.into_response();
    }
    let (token, scope) = token_of(&app, headers);
    let facts = RequestFacts {
        local: peer.ip().to_canonical().is_loopback() && !FORWARDED.iter().any(|name| headers.contains_key(name)),
        token,
        host: text(headers, &header::HOST),
        origin: text(headers, &header::ORIGIN),
        site: text(headers, &FETCH_SITE),
        safe: matches!(*request.method(), Method::GET | Method::HEAD),
        push: is_push(request.method(), request.uri().path()),
    };
    let safe = facts.safe;
    match classify(facts) {
        Decision::Pass => {
            if let Some(scope) = scope {
                request.extensions_mut().insert(scope);
            }
            next.run(request).await
        }
        Decision::OnlyPushes => {
            let error = "this token may only push: POST /v1/events, or /v1/streams/{name}/events of its streams";
            Refusal::new(StatusCode::FORBIDDEN, error).into_response()
        }
        Decision::NeedsToken if request.uri().path() == sign_in::PATH => next.run(request).await,
        Decision::NeedsToken if request.uri().path() == "/" && safe => sign_in::page(),
        Decision::NeedsToken => {
            let error = match token {
                Carried::Wrong => "the bearer token of this request is not the token of this pipeline: send that one",
                _ => "this address asks for its token: send Authorization: Bearer TOKEN",
            };
            Refusal::new(StatusCode::UNAUTHORIZED, error)
                .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
                .into_response()
        }
        Decision::ForeignHost => Refusal::new(
            StatusCode::MISDIRECTED_REQUEST,
            "this name is not served here without the token; use http://127.0.0.1 or http://localhost with the port",
        )
        .into_response(),
        Decision::ForeignPage => {
            Refusal::new(StatusCode::FORBIDDEN, "a page of another origin may not ask this").into_response()
        }
    }
}

/// The token of a request, and what it may push to if it is one that may only push.
fn token_of(app: &App, headers: &HeaderMap) -> (Carried, Option<PushScope>) {
    let others = &app.engine.pipeline().push_tokens;
    match carried(app.token.as_ref(), !others.is_empty(), headers) {
        Carried::Wrong => match bearer(headers).and_then(|offered| PushScope::of(others, offered)) {
            Some(scope) => (Carried::Push, Some(scope)),
            None => (Carried::Wrong, None),
        },
        other => (other, None),
    }
}

/// What no request may be. RFC 9112, section 3.2: one of HTTP/1.1 has one `Host`; two would be read one way here and another
/// way by a proxy. And a body that is coded is undone only where events are taken: elsewhere it would be read as it is.
fn malformed(request: &Request) -> Option<Refusal> {
    let headers = request.headers();
    let hosts = headers.get_all(header::HOST).iter().count();
    if hosts > 1 || hosts == 0 && request.version() == Version::HTTP_11 {
        return Some(Refusal::new(StatusCode::BAD_REQUEST, format!("a request has one Host header, not {hosts}")));
    }
    let coded = |value: &HeaderValue| !value.as_bytes().eq_ignore_ascii_case(b"identity");
    let path = request.uri().path();
    if headers.get_all(header::CONTENT_ENCODING).iter().any(coded)
        && !(path.ends_with("/events") || path.ends_with("/import"))
    {
        let error = "only the body of a push or an import may have a Content-Encoding; send this one as it is";
        return Some(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error));
    }
    None
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: RequestFacts<'_> = RequestFacts {
        local: true,
        token: Carried::NotAsked,
        host: Some("127.0.0.1:8080"),
        origin: None,
        site: None,
        safe: true,
        push: false,
    };

    #[test]
    fn a_rebound_name_is_refused_on_loopback_and_addresses_are_not() {
        for host in ["127.0.0.1:8080", "127.0.0.1", "localhost:1", "LOCALHOST", "[::1]:8080", "::1", "192.168.1.5:80"] {
            assert_eq!(classify(RequestFacts { host: Some(host), ..LOCAL }), Decision::Pass, "{host}");
        }
        for host in ["evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "?", ""] {
            assert_eq!(classify(RequestFacts { host: Some(host), ..LOCAL }), Decision::ForeignHost, "{host}");
        }
        let by_name = RequestFacts { host: Some("lake.example"), token: Carried::Yes, ..LOCAL };
        assert_eq!(classify(by_name), Decision::Pass, "who carries the token may use any name");
    }

    #[test]
    fn another_machine_needs_the_token_when_there_is_one() {
        let remote = RequestFacts { local: false, host: Some("lake.example"), ..LOCAL };
        assert_eq!(classify(RequestFacts { token: Carried::No, ..remote }), Decision::NeedsToken);
        assert_eq!(classify(RequestFacts { token: Carried::Yes, ..remote }), Decision::Pass);
        assert_eq!(classify(RequestFacts { token: Carried::NotAsked, ..remote }), Decision::Pass);
        assert_eq!(classify(RequestFacts { token: Carried::No, ..LOCAL }), Decision::Pass, "this machine does not");
        for facts in [remote, LOCAL] {
            assert_eq!(
                classify(RequestFacts { token: Carried::Wrong, ..facts }),
                Decision::NeedsToken,
                "a wrong one is told"
            );
        }
    }

    #[test]
    fn a_push_token_opens_pushes_and_nothing_else() {
        for local in [true, false] {
            let push = RequestFacts { local, token: Carried::Push, push: true, safe: false, ..LOCAL };
            assert_eq!(classify(push), Decision::Pass);
            assert_eq!(classify(RequestFacts { host: Some("lake.example"), ..push }), Decision::Pass);
            assert_eq!(classify(RequestFacts { push: false, ..push }), Decision::OnlyPushes);
            assert_eq!(classify(RequestFacts { push: false, safe: true, ..push }), Decision::OnlyPushes);
            assert_eq!(classify(RequestFacts { origin: Some("http://evil.example"), ..push }), Decision::ForeignPage);
        }
    }

    #[test]
    fn a_foreign_page_may_not_post_and_this_page_may() {
        let post = RequestFacts { safe: false, ..LOCAL };
        assert_eq!(classify(post), Decision::Pass, "a program sends neither header");
        let own = RequestFacts { origin: Some("http://127.0.0.1:8080"), site: Some("same-origin"), ..post };
        assert_eq!(classify(own), Decision::Pass);
        for origin in ["http://evil.example", "null", "http://127.0.0.1:9999", "?"] {
            assert_eq!(classify(RequestFacts { origin: Some(origin), ..post }), Decision::ForeignPage, "{origin}");
        }
        assert_eq!(classify(RequestFacts { site: Some("cross-site"), ..post }), Decision::ForeignPage);
        assert_eq!(classify(RequestFacts { site: Some("same-site"), ..post }), Decision::ForeignPage);
    }
}
