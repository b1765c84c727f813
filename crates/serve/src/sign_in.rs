//! How a browser on another machine carries the token: a form, and a cookie that scripts cannot read.
//!
//! Programs send `Authorization: Bearer TOKEN` and never see this.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{Html, IntoResponse, Response},
};
use serde::Deserialize;

use crate::{
    app::App,
    body::{self, BODY_TIME_MAX},
    refusal::Refusal,
};

/// Where the form is sent.
pub(crate) const PATH: &str = "/sign-in";
const COOKIE: &str = "lakehead_token";
const FORM_BYTES_MAX: usize = 4 << 10;

const PAGE: &str = include_str!("../assets/sign_in.html");

#[derive(Deserialize)]
struct Form {
    token: String,
}

/// Where the page says why one sees it again.
const PLACE: &str = "{why}";

/// The form, for who has not sent a token yet.
pub(crate) fn page() -> Response {
    (StatusCode::UNAUTHORIZED, Html(PAGE.replace(PLACE, ""))).into_response()
}

/// The form again, with the status and the sentence that say why. The sentence is ours, without markup.
fn again(status: StatusCode, why: &str) -> Response {
    let why = format!("<p id=\"why\" role=\"alert\">{}</p>", why.replace('&', "&amp;").replace('<', "&lt;"));
    (status, Html(PAGE.replace(PLACE, &why))).into_response()
}

/// `POST /sign-in`: sets the cookie and leads to the dashboard when the token is right.
pub(crate) async fn post(State(app): State<Arc<App>>, body: Body) -> Result<Response, Refusal> {
    let body = match body::read(body, FORM_BYTES_MAX, BODY_TIME_MAX).await {
        Ok(body) => body,
        // A browser that sent a form shows a page.
        Err(refusal) => return Ok(again(refusal.status, &format!("The token was not looked at: {}.", refusal.error))),
    };
    let Some(token) = read_form(&body).filter(|offered| app.token.as_ref().is_some_and(|token| token.matches(offered)))
    else {
        return Ok(again(StatusCode::UNAUTHORIZED, "This is not the token of this pipeline."));
    };
    let cookie = format!("{COOKIE}={}; Path=/; HttpOnly; SameSite=Strict", encode(&token));
    let cookie = HeaderValue::from_str(&cookie)
        .map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "this token cannot stand in a cookie"))?;
    let headers = [(header::SET_COOKIE, cookie), (header::LOCATION, HeaderValue::from_static("/"))];
    Ok((StatusCode::SEE_OTHER, headers).into_response())
}

/// The token in the request's cookie.
pub(crate) fn cookie(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let value = cookies.flat_map(|line| line.split(';')).find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == COOKIE).then_some(value)
    })?;
    decode(value)
}

/// A form is written like the query of an address, so it is read as one.
fn read_form(body: &[u8]) -> Option<String> {
    let address: Uri = format!("/?{}", std::str::from_utf8(body).ok()?).parse().ok()?;
    Query::<Form>::try_from_uri(&address).ok().map(|Query(form)| form.token)
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
    use super::*;

    #[test]
    fn a_token_of_any_printable_characters_comes_back_from_the_cookie() {
        let token = "a;b,c\"d=e%20&f+0123";
        let mut headers = HeaderMap::new();
        let line = format!("other=1; {COOKIE}={}", encode(token));
        headers.insert(header::COOKIE, HeaderValue::from_str(&line).expect("hexadecimal"));
        assert_eq!(cookie(&headers).as_deref(), Some(token));
        assert_eq!(read_form(b"token=a%3Bb%2Cc%22d%3De%2520%26f%2B0123").as_deref(), Some(token));
        for bad in ["zz", "é", "f"] {
            assert_eq!(decode(bad).filter(|d| d == token), None, "{bad}");
        }
    }
}
