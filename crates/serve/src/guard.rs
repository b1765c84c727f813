//! Who may ask: the token, and what keeps a stranger's web page from using a browser on this machine.
//!
//! Three attacks are in mind. Another machine asks: it must carry the token when the pipeline has one. This machine need not,
//! so that commands and a browser on it work without; who comes over a proxy on it is told by what that adds ([`FORWARDED`]),
//! and a proxy that adds nothing lets everyone pass. A wrong token is refused from anywhere, so that it shows. A web page makes
//! the reader's browser ask for `http://127.0.0.1:8080` under its own name (DNS rebinding): without the token only hosts
//! written as an address, or `localhost`, are answered on loopback, and a page cannot rebind those. A web page posts
//! here blindly: what changes or costs something must come from this origin, when it comes from a browser at all.
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
use lakehead_engine::pipeline::Token;

use crate::{app::App, refusal::Refusal, sign_in};

/// What a proxy adds: a request that has one did not start on this machine, wherever the connection comes from.
const FORWARDED: [HeaderName; 2] = [HeaderName::from_static("forwarded"), HeaderName::from_static("x-forwarded-for")];
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What the decision rests on.
#[derive(Clone, Copy, Debug)]
struct Facts<'a> {
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carried {
    /// The pipeline has no token.
    NotAsked,
    /// It has one, which is not here; a cookie of another may be, which a browser sends by itself.
    No,
    /// It has one, and another is offered as a bearer token.
    Wrong,
    /// It is here.
    Yes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Pass,
    NeedsToken,
    ForeignHost,
    ForeignPage,
}

fn judge(facts: Facts<'_>) -> Verdict {
    if facts.token == Carried::Wrong || !facts.local && facts.token == Carried::No {
        return Verdict::NeedsToken;
    }
    if facts.local && facts.token != Carried::Yes && !facts.host.is_none_or(is_address_or_localhost) {
        return Verdict::ForeignHost;
    }
    let same_site = facts.site.is_none_or(|site| matches!(site, "same-origin" | "none"));
    let same_origin = facts.origin.is_none_or(|origin| Some(strip_scheme(origin)) == facts.host);
    if facts.safe || (same_site && same_origin) { Verdict::Pass } else { Verdict::ForeignPage }
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

/// The layer around every route.
pub(crate) async fn check(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    if let Some(refusal) = malformed(&request) {
        return refusal.into_response();
    }
    let facts = Facts {
        local: peer.ip().to_canonical().is_loopback() && !FORWARDED.iter().any(|name| headers.contains_key(name)),
        token: carried(app.token.as_ref(), headers),
        host: text(headers, &header::HOST),
        origin: text(headers, &header::ORIGIN),
        site: text(headers, &FETCH_SITE),
        safe: matches!(*request.method(), Method::GET | Method::HEAD),
    };
    match judge(facts) {
        Verdict::Pass => next.run(request).await,
        Verdict::NeedsToken if request.uri().path() == sign_in::PATH => next.run(request).await,
        Verdict::NeedsToken if request.uri().path() == "/" && facts.safe => sign_in::page(),
        Verdict::NeedsToken => {
            let error = match facts.token {
                Carried::Wrong => "the bearer token of this request is not the token of this pipeline: send that one",
                _ => "this address asks for its token: send Authorization: Bearer TOKEN",
            };
            Refusal::new(StatusCode::UNAUTHORIZED, error)
                .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
                .into_response()
        }
        Verdict::ForeignHost => Refusal::new(
            StatusCode::MISDIRECTED_REQUEST,
            "this name is not served here without the token; use http://127.0.0.1 or http://localhost with the port",
        )
        .into_response(),
        Verdict::ForeignPage => {
            Refusal::new(StatusCode::FORBIDDEN, "a page of another origin may not ask this").into_response()
        }
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

/// Whether a request carries the token of a pipeline that has one.
pub(crate) fn carries_token(token: Option<&Token>, headers: &HeaderMap) -> bool {
    carried(token, headers) == Carried::Yes
}

fn carried(token: Option<&Token>, headers: &HeaderMap) -> Carried {
    let Some(token) = token else { return Carried::NotAsked };
    let bearer = bearer(headers);
    let is_it = |offered: &[u8]| std::str::from_utf8(offered).is_ok_and(|offered| token.matches(offered));
    if bearer.is_some_and(is_it) || sign_in::cookie(headers).is_some_and(|offered| token.matches(&offered)) {
        return Carried::Yes;
    }
    if bearer.is_some() { Carried::Wrong } else { Carried::No }
}

/// What is offered as a bearer token, be it empty. RFC 9110, section 11.1: the case of the scheme does not matter.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, offered) = headers.get(header::AUTHORIZATION)?.as_bytes().split_at_checked(b"Bearer".len())?;
    let is_bearer = scheme.eq_ignore_ascii_case(b"Bearer") && offered.first().is_none_or(|byte| *byte == b' ');
    is_bearer.then(|| offered.trim_ascii())
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: Facts<'_> = Facts {
        local: true,
        token: Carried::NotAsked,
        host: Some("127.0.0.1:8080"),
        origin: None,
        site: None,
        safe: true,
    };

    #[test]
    fn a_rebound_name_is_refused_on_loopback_and_addresses_are_not() {
        for host in ["127.0.0.1:8080", "127.0.0.1", "localhost:1", "LOCALHOST", "[::1]:8080", "::1", "192.168.1.5:80"] {
            assert_eq!(judge(Facts { host: Some(host), ..LOCAL }), Verdict::Pass, "{host}");
        }
        for host in ["evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "?", ""] {
            assert_eq!(judge(Facts { host: Some(host), ..LOCAL }), Verdict::ForeignHost, "{host}");
        }
        let by_name = Facts { host: Some("lake.example"), token: Carried::Yes, ..LOCAL };
        assert_eq!(judge(by_name), Verdict::Pass, "who carries the token may use any name");
    }

    #[test]
    fn another_machine_needs_the_token_when_there_is_one() {
        let remote = Facts { local: false, host: Some("lake.example"), ..LOCAL };
        assert_eq!(judge(Facts { token: Carried::No, ..remote }), Verdict::NeedsToken);
        assert_eq!(judge(Facts { token: Carried::Yes, ..remote }), Verdict::Pass);
        assert_eq!(judge(Facts { token: Carried::NotAsked, ..remote }), Verdict::Pass);
        assert_eq!(judge(Facts { token: Carried::No, ..LOCAL }), Verdict::Pass, "this machine does not");
        for facts in [remote, LOCAL] {
            assert_eq!(judge(Facts { token: Carried::Wrong, ..facts }), Verdict::NeedsToken, "a wrong one is told");
        }
    }

    #[test]
    fn a_bearer_token_is_right_or_wrong_and_anything_else_is_none() {
        let token = Token::new("correct;horse,battery").expect("long enough");
        let told = |name: HeaderName, value: &[u8]| {
            let value = HeaderValue::from_bytes(value).expect("a header");
            carried(Some(&token), &HeaderMap::from_iter([(name, value)]))
        };
        for right in [&b"Bearer correct;horse,battery"[..], b"bearer  correct;horse,battery"] {
            assert_eq!(told(header::AUTHORIZATION, right), Carried::Yes);
        }
        for wrong in [&b"Bearer wrong"[..], b"Bearer", b"Bearer \xff"] {
            assert_eq!(told(header::AUTHORIZATION, wrong), Carried::Wrong);
        }
        for other in [&b"Basic dXNlcjpwYXNz"[..], b"Bearers x", b""] {
            assert_eq!(told(header::AUTHORIZATION, other), Carried::No);
        }
        assert_eq!(told(header::COOKIE, b"lakehead_token=00"), Carried::No, "a browser sends an old one by itself");
    }

    #[test]
    fn a_foreign_page_may_not_post_and_this_page_may() {
        let post = Facts { safe: false, ..LOCAL };
        assert_eq!(judge(post), Verdict::Pass, "a program sends neither header");
        let own = Facts { origin: Some("http://127.0.0.1:8080"), site: Some("same-origin"), ..post };
        assert_eq!(judge(own), Verdict::Pass);
        for origin in ["http://evil.example", "null", "http://127.0.0.1:9999", "?"] {
            assert_eq!(judge(Facts { origin: Some(origin), ..post }), Verdict::ForeignPage, "{origin}");
        }
        assert_eq!(judge(Facts { site: Some("cross-site"), ..post }), Verdict::ForeignPage);
        assert_eq!(judge(Facts { site: Some("same-site"), ..post }), Verdict::ForeignPage);
    }
}
