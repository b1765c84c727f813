//! One request and its answer, within limits of time, of bytes as they come, and of bytes unpacked.
//!
//! What an answer means is decided elsewhere; here is only what came.

use std::{io::Read, time::Duration};

use bytes::Bytes;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use lakehead_model::{ByteSize, Reject, Span};
use reqwest::{
    Client, Response,
    header::{
        ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, ETAG, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED, LOCATION,
        RETRY_AFTER, USER_AGENT,
    },
    redirect::{Action, Attempt, Policy},
};
use tokio::time::timeout;
use url::Url;

use super::{
    config::Config,
    cursor::Validator,
    meaning::{Reach, RequestFailure},
};
use crate::http_error::reasons;

/// The longest wait for a TCP and TLS connection.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// The most redirects that are followed, one after another.
const REDIRECTS_MAX: usize = 5;

/// How much is read of an answer that is no event: as much as a reject keeps.
const REFUSED_BYTES_MAX: usize = Reject::PAYLOAD_BYTES_MAX;

/// Makes the requests of one source.
pub(super) struct Fetcher {
    client: Client,
    headers: HeaderMap,
    limits: FetchLimits,
}

#[derive(Clone, Copy)]
struct FetchLimits {
    timeout: Duration,
    body_bytes: usize,
}

/// What came.
pub(super) struct Fetched {
    pub(super) status: u16,
    pub(super) retry_after: Option<String>,
    pub(super) leads_to: Option<String>,
    pub(super) validator: Option<Validator>,
    pub(super) was_conditional: bool,
    pub(super) body: FetchedBody,
}

/// The bytes of an answer, unpacked.
pub(super) enum FetchedBody {
    /// All of them.
    Whole(Bytes),
    /// The first of too many, and what is too much.
    TooLarge(Bytes, String),
}

impl FetchedBody {
    /// What there is of it.
    pub(super) fn bytes(&self) -> &Bytes {
        match self {
            Self::Whole(bytes) | Self::TooLarge(bytes, _) => bytes,
        }
    }
}

impl Fetcher {
    pub(super) fn new(config: &Config) -> Result<Self, String> {
        let client = Client::builder()
            .connect_timeout(CONNECT_MAX)
            .redirect(Policy::custom(follow))
            // It would have the address with its keys.
            .referer(false)
            .tcp_nodelay(true)
            .build()
            .map_err(|error| format!("no HTTP client: {}", reasons(&error)))?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("Lakehead/", env!("CARGO_PKG_VERSION"))));
        headers.extend(config.header_map()?);
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        let body_bytes = usize::try_from(config.body_bytes_max.0).unwrap_or(usize::MAX);
        Ok(Self { client, headers, limits: FetchLimits { timeout: config.timeout.0, body_bytes } })
    }

    /// Asks for `url`, if it is another answer than the one that `validator` names.
    pub(super) fn fetch(
        &self,
        url: Url,
        validator: Option<&Validator>,
    ) -> impl Future<Output = Result<Fetched, RequestFailure>> + Send + 'static {
        let mut headers = self.headers.clone();
        let conditional = validator.and_then(|validator| {
            let (name, value) = validator.header();
            Some((HeaderName::from_static(name), HeaderValue::from_str(value).ok()?))
        });
        let was_conditional = conditional.is_some();
        headers.extend(conditional);
        let request = self.client.get(url.clone()).headers(headers);
        let limits = self.limits;
        async move {
            let answered = async {
                let response = request.send().await.map_err(|error| unreachable_server(error, &url))?;
                read(response, was_conditional, limits.body_bytes).await
            };
            let within = Span(limits.timeout);
            let late = || RequestFailure::new(format!("did not answer wholly within {within} (timeout)"));
            timeout(limits.timeout, answered).await.unwrap_or_else(|_| Err(late()))
        }
    }
}

/// A request that got no answer. A server that cannot be reached at its own address is away for every request.
fn unreachable_server(error: reqwest::Error, asked: &Url) -> RequestFailure {
    let is_away = error.is_connect() && error.url().is_none_or(|url| url == asked);
    let what = format!("cannot be reached: {}", reasons(&error.without_url()));
    let reach = if is_away { Reach::Server } else { Reach::Request };
    RequestFailure { what, retry_after: None, reach }
}

/// Whether a redirect is followed: to the same server, or from its http to its https. Elsewhere may be anything, such as the page
/// that asks for a network's password, and the keys of a request are not for it.
fn follow(attempt: Attempt<'_>) -> Action {
    let Some(from) = attempt.previous().last() else { return attempt.stop() };
    let to = attempt.url();
    let is_same = from.scheme() == to.scheme() && from.port_or_known_default() == to.port_or_known_default();
    let is_upgrade = from.scheme() == "http" && to.scheme() == "https";
    let is_safe = from.host_str() == to.host_str() && (is_same || is_upgrade);
    if is_safe && attempt.previous().len() <= REDIRECTS_MAX { attempt.follow() } else { attempt.stop() }
}

async fn read(response: Response, was_conditional: bool, bytes_max: usize) -> Result<Fetched, RequestFailure> {
    let status = response.status().as_u16();
    let header = |name: HeaderName| {
        let value = response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        value.map(str::to_owned)
    };
    let (retry_after, coding) = (header(RETRY_AFTER), header(CONTENT_ENCODING).unwrap_or_default());
    let validator = Validator::of(header(ETAG).as_deref(), header(LAST_MODIFIED).as_deref());
    let leads_to = header(LOCATION).and_then(|to| {
        let to = response.url().join(&to).ok()?;
        Some(to.origin().ascii_serialization())
    });
    let is_success = (200..300).contains(&status);
    let bytes_max = if is_success { bytes_max } else { REFUSED_BYTES_MAX };
    let body = match raw(response, bytes_max).await {
        Ok(body) => unpacked(body, &coding, bytes_max),
        Err(failure) => Err(failure),
    };
    // What goes with a status that is no success is for people; the status alone says what to do.
    let body = if is_success { body? } else { body.unwrap_or_else(|_| FetchedBody::Whole(Bytes::new())) };
    Ok(Fetched { status, retry_after, leads_to, validator, was_conditional, body })
}

/// The body as it comes.
async fn raw(mut response: Response, bytes_max: usize) -> Result<FetchedBody, RequestFailure> {
    let mut body = Vec::new();
    loop {
        let piece = response.chunk().await.map_err(|error| {
            let why = reasons(&error.without_url());
            RequestFailure::new(format!("broke off its answer after {} bytes: {why}", body.len()))
        })?;
        let Some(piece) = piece else { return Ok(FetchedBody::Whole(body.into())) };
        body.extend_from_slice(&piece);
        if body.len() > bytes_max {
            return Ok(too_large(body, bytes_max, ""));
        }
    }
}

fn too_large(mut body: Vec<u8>, bytes_max: usize, how: &str) -> FetchedBody {
    body.truncate(REFUSED_BYTES_MAX);
    let limit = ByteSize(bytes_max as u64);
    FetchedBody::TooLarge(body.into(), format!("answered with more than {limit}{how}; raise body_bytes_max to take it"))
}

/// The body without its coding.
fn unpacked(body: FetchedBody, coding: &str, bytes_max: usize) -> Result<FetchedBody, RequestFailure> {
    let FetchedBody::Whole(packed) = &body else { return Ok(body) };
    let mut plain = Vec::new();
    let room = bytes_max as u64 + 1;
    let read = match coding.trim().to_ascii_lowercase().as_str() {
        "" | "identity" => return Ok(body),
        // Some servers say so of an answer without a body.
        _ if packed.is_empty() => return Ok(body),
        "gzip" | "x-gzip" => MultiGzDecoder::new(&packed[..]).take(room).read_to_end(&mut plain),
        "deflate" => ZlibDecoder::new(&packed[..]).take(room).read_to_end(&mut plain),
        _ => {
            let coding: String = coding.chars().take(40).collect();
            return Err(RequestFailure::new(format!(
                "answered with Content-Encoding {coding:?}, which was not asked for"
            )));
        }
    };
    if plain.len() > bytes_max {
        return Ok(too_large(plain, bytes_max, " once it was unpacked"));
    }
    read.map_err(|error| RequestFailure::new(format!("answered with {coding} that cannot be unpacked: {error}")))?;
    Ok(FetchedBody::Whole(plain.into()))
}
