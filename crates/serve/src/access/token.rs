//! The token of a pipeline in a request: as a bearer token, or in the cookie that signing in sets.

use axum::http::{HeaderMap, header};
use lakehead_engine::pipeline::Token;

/// The name of the cookie.
const COOKIE: &str = "lakehead_token";

/// How a request stands to the token of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carried {
    /// The pipeline has no token.
    NotAsked,
    /// It has one, which is not here; a cookie of another may be, which a browser sends by itself.
    No,
    /// It has one, and another is offered as a bearer token.
    Wrong,
    /// It is here.
    Yes,
    /// A token is here that may push to some streams and do nothing else.
    Push,
}

/// Whether a request carries the token of a pipeline that has one.
pub(crate) fn carries_token(token: Option<&Token>, headers: &HeaderMap) -> bool {
    carried(token, false, headers) == Carried::Yes
}

/// How a request stands to the token of a pipeline, which may have others that may only push: then a bearer token is looked at in
/// any case, and is none of those.
pub(super) fn carried(token: Option<&Token>, has_others: bool, headers: &HeaderMap) -> Carried {
    let bearer = bearer(headers);
    let Some(token) = token else {
        return if has_others && bearer.is_some() { Carried::Wrong } else { Carried::NotAsked };
    };
    let is_it = |offered: &[u8]| std::str::from_utf8(offered).is_ok_and(|offered| token.matches(offered));
    if bearer.is_some_and(is_it) || cookie(headers).is_some_and(|offered| token.matches(&offered)) {
        return Carried::Yes;
    }
    if bearer.is_some() { Carried::Wrong } else { Carried::No }
}

/// What is offered as a bearer token, be it empty. RFC 9110, section 11.1: the case of the scheme does not matter.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, offered) = headers.get(header::AUTHORIZATION)?.as_bytes().split_at_checked(b"Bearer".len())?;
    let is_bearer = scheme.eq_ignore_ascii_case(b"Bearer") && offered.first().is_none_or(|byte| *byte == b' ');
    is_bearer.then(|| offered.trim_ascii())
}

/// The token in the request's cookie.
fn cookie(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let value = cookies.flat_map(|line| line.split(';')).find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == COOKIE).then_some(value)
    })?;
    decode(value)
}

/// The cookie that carries `token`, for scripts out of reach.
pub(super) fn cookie_with(token: &str) -> String {
    format!("{COOKIE}={}; Path=/; HttpOnly; SameSite=Strict", encode(token))
}

/// Printable ASCII as hexadecimal: a token may hold what a cookie may not (`;`, `,`, `"`).
fn encode(token: &str) -> String {
    token.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn decode(value: &str) -> Option<String> {
    let digits = value.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> =
        digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
    String::from_utf8(bytes?).ok()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn a_bearer_token_is_right_or_wrong_and_anything_else_is_none() {
        let token = Token::new("correct;horse,battery").expect("long enough");
        let told = |name: HeaderName, value: &[u8]| {
            let value = HeaderValue::from_bytes(value).expect("a header");
            carried(Some(&token), false, &HeaderMap::from_iter([(name, value)]))
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
        let bearer = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static("Bearer x"))]);
        assert_eq!(carried(None, false, &bearer), Carried::NotAsked);
        assert_eq!(
            carried(None, true, &bearer),
            Carried::Wrong,
            "where there are push tokens it would be one of these"
        );
        assert_eq!(carried(None, true, &HeaderMap::new()), Carried::NotAsked);
        assert_eq!(told(header::COOKIE, b"lakehead_token=00"), Carried::No, "a browser sends an old one by itself");
    }

    #[test]
    fn a_token_of_any_printable_characters_comes_back_from_the_cookie() {
        let token = "a;b,c\"d=e%20&f+0123";
        let mut headers = HeaderMap::new();
        let line = format!("other=1; {COOKIE}={}", encode(token));
        headers.insert(header::COOKIE, HeaderValue::from_str(&line).expect("hexadecimal"));
        assert_eq!(cookie(&headers).as_deref(), Some(token));
        for bad in ["zz", "é", "f"] {
            assert_eq!(decode(bad).filter(|d| d == token), None, "{bad}");
        }
    }
}
