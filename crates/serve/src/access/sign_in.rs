//! How a browser on another machine carries the token: a form, and a cookie that scripts cannot read.
//!
//! Programs send `Authorization: Bearer TOKEN` and never see this.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Query, State},
    http::{HeaderValue, StatusCode, Uri, header},
    response::{Html, IntoResponse, Response},
};
use serde::Deserialize;

use super::token::cookie_with;
use crate::{
    answers::Refusal,
    app::App,
    bodies::{BODY_TIME_MAX, read_small},
};

/// Where the form is sent.
pub(crate) const PATH: &str = "/sign-in";
const FORM_BYTES_MAX: usize = 4 << 10;

const PAGE: &str = include_str!("../../assets/sign_in.html");

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
    let body = match read_small(body, FORM_BYTES_MAX, BODY_TIME_MAX).await {
        Ok(body) => body,
        // A browser that sent a form shows a page.
        Err(refusal) => return Ok(again(refusal.status, &format!("The token was not looked at: {}.", refusal.error))),
    };
    let Some(token) = read_form(&body).filter(|offered| app.token.as_ref().is_some_and(|token| token.matches(offered)))
    else {
        return Ok(again(StatusCode::UNAUTHORIZED, "This is not the token of this pipeline."));
    };
    let cookie = HeaderValue::from_str(&cookie_with(&token))
        .map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "this token cannot stand in a cookie"))?;
    let headers = [(header::SET_COOKIE, cookie), (header::LOCATION, HeaderValue::from_static("/"))];
    Ok((StatusCode::SEE_OTHER, headers).into_response())
}

/// A form is written like the query of an address, so it is read as one.
fn read_form(body: &[u8]) -> Option<String> {
    let address: Uri = format!("/?{}", std::str::from_utf8(body).ok()?).parse().ok()?;
    Query::<Form>::try_from_uri(&address).ok().map(|Query(form)| form.token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_any_printable_characters_is_read_from_the_form() {
        let form = b"token=a%3Bb%2Cc%22d%3De%2520%26f%2B0123";
        assert_eq!(read_form(form).as_deref(), Some("a;b,c\"d=e%20&f+0123"));
    }
}
