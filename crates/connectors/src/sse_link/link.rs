//! One connection to the upstream: the request, its answer, and the bytes that come.
//!
//! A cut, and any other end of an answer that had begun, is [`Heard::End`] and no error; what to make of it is decided above.

use std::time::Duration;

use bytes::Bytes;
use futures::future::poll_immediate;
use lakehead_connector_api::Error;
use lakehead_eventstreams_wire::{LAST_EVENT_ID, MEDIA_TYPE, Parser, is_event_stream, is_only_comments};
use lakehead_model::Span;
use reqwest::{
    Client, Response,
    header::{
        ACCEPT, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, LOCATION,
        RETRY_AFTER,
    },
    redirect::{Action, Attempt, Policy},
};
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

use super::{
    gunzip::Gunzip,
    no_stream::{BODY_BYTES_MAX, NoStream},
};
use crate::http_error::reasons;

/// The longest wait for a TCP and TLS connection.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// The longest wait for the head of an answer. EventStreams first connects to Kafka and looks up offsets.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// The most redirects that are followed, one after another: of http to https, and of one path to another.
const REDIRECTS_MAX: usize = 5;

/// A connection whose answer is a stream.
pub(crate) struct Link {
    response: Response,
    /// Where the stream comes compressed.
    gunzip: Option<Gunzip>,
    pub(crate) parser: Parser,
    /// What came last, and how much of it was parsed.
    pub(crate) piece: Bytes,
    pub(crate) opened: Instant,
    /// When something came last.
    pub(crate) heard: Instant,
    pub(crate) life: Life,
}

/// Whether a connection is alive.
#[derive(Debug)]
pub(crate) struct Life {
    /// When the last whole event or heartbeat came; at first, when the connection was made.
    event_at: Instant,
    /// How many bytes came since then.
    eventless_bytes: u64,
}

impl Life {
    /// A whole event came, or comments did.
    pub(crate) fn note(&mut self, now: Instant) {
        (self.event_at, self.eventless_bytes) = (now, 0);
    }
}

/// What a request brought.
pub(crate) enum Dialed {
    /// A stream.
    Stream(Box<Link>),
    /// An answer that is none.
    Other(NoStream),
}

/// What a wait brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Bytes, in `piece`.
    Piece,
    /// The connection is at its end; how, for people.
    End(String),
    /// What came cannot be decompressed; why, for people.
    Damaged(String),
    /// Nothing, up to the time given.
    Nothing,
}

/// A client for one source, whose requests have these headers. It follows the environment's proxies and has no limit on the
/// length of an answer.
pub(crate) fn client(mut headers: HeaderMap) -> Result<Client, Error> {
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
        .map_err(|error| Error::Invalid(format!("no HTTP client: {}", reasons(&error))))
}

impl Link {
    /// Asks for the stream at `url`, which is shown as `address`, from behind `last_event_id` on.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where there is no answer, or one in a coding that we do not read.
    pub(crate) async fn open(
        client: &Client,
        url: Url,
        address: String,
        last_event_id: Option<HeaderValue>,
        parser: Parser,
    ) -> Result<Dialed, Error> {
        let mut request = client.get(url);
        if let Some(id) = last_event_id {
            request = request.header(HeaderName::from_static(LAST_EVENT_ID), id);
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
        if response.status() != 200 || !is_event_stream(&content_type) {
            let (status, retry_after, date) = (response.status().as_u16(), header(RETRY_AFTER), header(DATE));
            let location = header(LOCATION);
            let body = timeout(ANSWER_MAX, body(response)).await.unwrap_or_default();
            return Ok(Dialed::Other(NoStream { address, status, content_type, location, retry_after, date, body }));
        }
        let gunzip = match header(CONTENT_ENCODING).trim().to_ascii_lowercase().as_str() {
            "" | "identity" => None,
            "gzip" | "x-gzip" => Some(Gunzip::new()),
            coding => {
                return Err(Error::unavailable(format!(
                    "{address} answered with Content-Encoding {coding:?}, which was not asked for: something between here \
                     and there compresses the stream; let it pass as it is"
                )));
            }
        };
        let now = Instant::now();
        let (piece, life) = (Bytes::new(), Life { event_at: now, eventless_bytes: 0 });
        let link = Self { response, gunzip, parser, piece, opened: now, heard: now, life };
        Ok(Dialed::Stream(Box::new(link)))
    }

    /// What is there to be read at once.
    pub(crate) async fn poll(&mut self) -> Heard {
        self.next(None).await
    }

    /// Waits for more, up to `deadline`. Cancel-safe: what was not returned was not taken.
    pub(crate) async fn wait(&mut self, deadline: Instant) -> Heard {
        self.next(Some(deadline)).await
    }

    async fn next(&mut self, deadline: Option<Instant>) -> Heard {
        loop {
            // What came compressed is more than one piece, or none.
            if let Some(gunzip) = &mut self.gunzip {
                match gunzip.next() {
                    Ok(None) => {}
                    Ok(Some(piece)) => return self.heard(piece),
                    Err(error) => return Heard::Damaged(format!("what came compressed cannot be read: {error}")),
                }
            }
            let chunk = match deadline {
                Some(deadline) => timeout_at(deadline, self.response.chunk()).await.ok(),
                None => poll_immediate(self.response.chunk()).await,
            };
            match chunk {
                None => return Heard::Nothing,
                Some(Ok(Some(piece))) => match &mut self.gunzip {
                    None => return self.heard(piece),
                    Some(gunzip) => gunzip.feed(piece),
                },
                Some(Ok(None)) => return Heard::End("the answer ended".to_owned()),
                Some(Err(error)) => return Heard::End(reasons(&error)),
            }
        }
    }

    fn heard(&mut self, piece: Bytes) -> Heard {
        self.heard = Instant::now();
        self.life.eventless_bytes += piece.len() as u64;
        if is_only_comments(&piece) {
            self.life.note(self.heard);
        }
        self.piece = piece;
        Heard::Piece
    }

    /// When the connection counts as lost, if no whole event comes. Only the time since `called` counts: that the engine took
    /// nothing for a while is not the upstream's doing.
    pub(crate) fn silent_at(&self, called: Instant, silence_max: Span) -> Instant {
        self.life.event_at.max(called) + silence_max.0
    }

    /// Why the connection is to be given up, if it brought no event for too long. Beside whole comments, nothing else that came
    /// is a sign of life: an upstream that never ends an event would count as well for ever.
    pub(crate) fn silence(&self, called: Instant, silence_max: Span, address: &str) -> Option<String> {
        (Instant::now() >= self.silent_at(called, silence_max)).then(|| match self.life.eventless_bytes {
            0 => format!("{address} sent nothing for {silence_max} (silence_max)"),
            bytes => {
                format!("{address} sent no whole event for {silence_max} (silence_max), though {bytes} bytes came")
            }
        })
    }
}

/// Whether a redirect is followed: to the same host and port, or from http to https where both have their usual ports, and a few
/// times at most. Elsewhere may be anything, such as the page that asks for a network's password; and headers may be secret.
fn follow(attempt: Attempt<'_>) -> Action {
    let Some(from) = attempt.previous().last() else { return attempt.stop() };
    let is_safe = is_followed(from, attempt.url());
    if is_safe && attempt.previous().len() <= REDIRECTS_MAX { attempt.follow() } else { attempt.stop() }
}

fn is_followed(from: &Url, to: &Url) -> bool {
    let is_upgrade = (from.scheme(), from.port(), to.scheme(), to.port()) == ("http", None, "https", None);
    from.host_str() == to.host_str()
        && (is_upgrade || (from.scheme(), from.port_or_known_default()) == (to.scheme(), to.port_or_known_default()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_is_followed_on_the_same_machine_alone() {
        let url = |text: &str| text.parse::<Url>().expect("an address");
        for (from, to, followed) in [
            ("https://h/a", "https://h/b", true),
            ("http://h/a", "http://h:80/b", true),
            ("http://h/a", "https://h/a", true),
            ("https://h/a", "http://h/a", false),
            ("https://h/a", "https://h:444/a", false),
            ("http://h:8080/a", "https://h/a", false),
            ("http://h:8080/a", "http://h:8081/a", false),
            ("https://h/a", "https://i/a", false),
        ] {
            assert_eq!(is_followed(&url(from), &url(to)), followed, "{from} to {to}");
        }
    }
}
