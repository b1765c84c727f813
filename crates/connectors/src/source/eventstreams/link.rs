//! One connection to the upstream: the request, its answer, and the bytes that come.
//!
//! The cut after 15 minutes, and any other end of an answer that had begun, is [`Heard::End`] and no error; what to
//! make of it is decided above.

use std::time::Duration;

use bytes::Bytes;
use futures::future::poll_immediate;
use lakehead_connector_api::Error;
use lakehead_eventstreams_wire::{LAST_EVENT_ID, MEDIA_TYPE, Parser, is_event_stream, is_only_comments};
use reqwest::{
    Client, Response,
    header::{
        ACCEPT, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION,
        RETRY_AFTER, USER_AGENT,
    },
    redirect::{Action, Attempt, Policy},
};
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

use super::refusal::{Answer, BODY_BYTES_MAX, refusal};
use crate::http_error::reasons;

/// The longest wait for a TCP and TLS connection.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// The longest wait for the head of an answer. EventStreams first connects to Kafka and looks up offsets.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// The most redirects that are followed, one after another: of http to https, and of one path to another.
const REDIRECTS_MAX: usize = 5;

/// Room in a frame beside its data: the id names every partition, 80 bytes each.
const FRAME_OVERHEAD_BYTES: usize = 64 << 10;

/// A connection whose answer is a stream.
pub(super) struct Link {
    response: Response,
    pub(super) parser: Parser,
    /// What came last, and how much of it was parsed.
    pub(super) piece: Bytes,
    pub(super) opened: Instant,
    /// When something came last.
    pub(super) heard: Instant,
    /// When the last whole event or heartbeat came; at first, when the connection was made.
    pub(super) event_at: Instant,
    /// How many bytes came since then.
    pub(super) eventless_bytes: u64,
}

/// What a wait brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Bytes, in `piece`.
    Piece,
    /// The connection is at its end; how, for people.
    End(String),
    /// Nothing, up to the time given.
    Nothing,
}

/// A client for one source. It follows the environment's proxies and has no limit on the length of an answer.
pub(super) fn client(user_agent: &str) -> Result<Client, Error> {
    let invalid = |what: String| Error::Invalid(format!("no HTTP client: {what}"));
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_str(user_agent).map_err(|error| invalid(error.to_string()))?);
    headers.insert(ACCEPT, HeaderValue::from_static(MEDIA_TYPE));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Client::builder()
        .default_headers(headers)
        .connect_timeout(CONNECT_MAX)
        .redirect(Policy::custom(follow))
        .tcp_nodelay(true)
        // Each connection is read to its end; a pool would only keep dead ones.
        .pool_max_idle_per_host(0)
        .build()
        .map_err(|error| invalid(reasons(&error)))
}

impl Link {
    pub(super) async fn open(
        client: &Client,
        url: Url,
        last_event_id: Option<&str>,
        event_bytes_max: usize,
    ) -> Result<Self, Error> {
        let address = url.to_string();
        let mut request = client.get(url);
        if let Some(id) = last_event_id {
            let value = HeaderValue::from_bytes(id.as_bytes())
                .map_err(|_| Error::Corrupt(format!("the cursor names a topic that cannot be asked for: {id}")))?;
            request = request.header(HeaderName::from_static(LAST_EVENT_ID), value);
        }
        let response = match timeout(ANSWER_MAX, request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                return Err(Error::unavailable(format!("{address} cannot be reached: {}", reasons(&error))));
            }
            Err(_) => {
                let seconds = ANSWER_MAX.as_secs();
                return Err(Error::unavailable(format!("{address} did not answer within {seconds} s")));
            }
        };
        let header =
            |name| response.headers().get(name).and_then(|v: &HeaderValue| v.to_str().ok()).unwrap_or("").to_owned();
        let content_type = header(CONTENT_TYPE);
        let coding = header(CONTENT_ENCODING);
        if response.status() == 200 && !coding.is_empty() && !coding.trim().eq_ignore_ascii_case("identity") {
            return Err(Error::unavailable(format!(
                "{address} answered with Content-Encoding {coding:?}, which was not asked for: something between here and \
                 there compresses the stream; let it pass as it is"
            )));
        }
        if response.status() != 200 || !is_event_stream(&content_type) {
            let (status, retry_after) = (response.status().as_u16(), header(RETRY_AFTER));
            let location = header(LOCATION);
            let body = timeout(ANSWER_MAX, body(response)).await.unwrap_or_default();
            return Err(refusal(&Answer {
                address: &address,
                status,
                location: &location,
                content_type: &content_type,
                retry_after: Some(&retry_after).filter(|text| !text.is_empty()).map(String::as_str),
                body: &body,
            }));
        }
        let now = Instant::now();
        let parser = Parser::new(event_bytes_max.saturating_add(FRAME_OVERHEAD_BYTES));
        let piece = Bytes::new();
        Ok(Self { response, parser, piece, opened: now, heard: now, event_at: now, eventless_bytes: 0 })
    }

    /// What is there to be read at once.
    pub(super) async fn poll(&mut self) -> Heard {
        let chunk = poll_immediate(self.response.chunk()).await;
        chunk.map_or(Heard::Nothing, |chunk| self.heard(chunk))
    }

    /// Waits for more, up to `deadline`. Cancel-safe: what was not returned was not taken.
    pub(super) async fn wait(&mut self, deadline: Instant) -> Heard {
        let chunk = timeout_at(deadline, self.response.chunk()).await;
        chunk.map_or(Heard::Nothing, |chunk| self.heard(chunk))
    }

    fn heard(&mut self, chunk: reqwest::Result<Option<Bytes>>) -> Heard {
        match chunk {
            Ok(Some(piece)) => {
                self.heard = Instant::now();
                self.eventless_bytes += piece.len() as u64;
                if is_only_comments(&piece) {
                    (self.event_at, self.eventless_bytes) = (self.heard, 0);
                }
                self.piece = piece;
                Heard::Piece
            }
            Ok(None) => Heard::End("the answer ended".to_owned()),
            Err(error) => Heard::End(reasons(&error)),
        }
    }
}

/// Whether a redirect is followed: to the same machine, not from https to http, and a few times at most. Elsewhere may be
/// anything, such as the page that asks for a network's password.
fn follow(attempt: Attempt<'_>) -> Action {
    let Some(from) = attempt.previous().last() else { return attempt.stop() };
    let to = attempt.url();
    let is_safe = from.host_str() == to.host_str() && (from.scheme() == to.scheme() || to.scheme() == "https");
    if is_safe && attempt.previous().len() <= REDIRECTS_MAX { attempt.follow() } else { attempt.stop() }
}

/// The head of an error's body.
async fn body(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(piece)) = response.chunk().await {
        body.extend_from_slice(&piece[..piece.len().min(BODY_BYTES_MAX - body.len())]);
        if body.len() == BODY_BYTES_MAX {
            break;
        }
    }
    body
}
