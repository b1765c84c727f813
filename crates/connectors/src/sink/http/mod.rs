#![doc = include_str!("manual.md")]
//!
//! ---
//!
//! In this folder: `config` (what a user may set), `reply` (what an answer means), `probe` (what one to OPTIONS means), and here
//! the request itself. Cutting into
//! requests and pacing are wrappers of connector-api.

mod config;
mod probe;
mod reply;
#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use crc_fast::CrcAlgorithm;
use lakehead_connector_api::{
    Answer, Batch, BatchKind, ConnectorKind, Delivery, Error, Probed, Sink, SinkContext, SinkKind, Takes,
    wrappers::{Batched, Limited, held_up, progress_or},
};
use reqwest::{
    Client, RequestBuilder, Response,
    header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER, USER_AGENT},
    redirect::Policy,
};
use tokio::time::timeout;
use url::Url;

use self::{
    config::{BodyFormat, Config, Method},
    reply::{Reply, RequestOutcome, decide},
};
use crate::http_error::reasons;

/// The longest wait for a TCP and TLS connection.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// How much of an answer is read: this, and for each row of the request as much again as `ANSWER_BYTES_ROW`.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Room for the answer of a row.
const ANSWER_BYTES_ROW: usize = 1 << 10;

/// The sink kind `http`.
pub(crate) struct Webhook;

impl ConnectorKind for Webhook {
    const NAME: &'static str = "http";
    const MANUAL: &'static str = include_str!("manual.md");
    const EXAMPLE: &'static str = r#"[sink.hook]
kind = "http"
from = "recentchange"
url = "https://example.org/hooks/changes"
body = "array"
batch_rows = 500
headers = { Authorization = "Bearer ${WEBHOOK_TOKEN}" }
"#;
    type Config = Config;

    fn check(config: &Config) -> Result<(), String> {
        config.check()
    }
}

impl SinkKind for Webhook {
    const DELIVERY: Delivery = Delivery::AtLeastOnce;
    const TAKES: Takes = Takes::Appends;

    async fn open(config: Config, context: SinkContext) -> Result<Box<dyn Sink>, Error> {
        let sender = Sender::new(&config)?;
        let sink: Box<dyn Sink> = match config.rows_per_second {
            Some(rows) => Box::new(Limited::new(Box::new(sender), rows, context.clock)),
            None => Box::new(sender),
        };
        Ok(Box::new(Batched::new(sink, config.cut())))
    }

    async fn probe(config: Config, _: SinkContext) -> Result<Probed, Error> {
        let sender = Sender::new(&config)?;
        let mut headers = sender.headers.clone();
        headers.remove(CONTENT_TYPE);
        let asked = sender.client.request(reqwest::Method::OPTIONS, sender.url.clone()).headers(headers);
        let (status, headers, (body, is_whole)) = sender.answer(asked, ANSWER_BYTES_MAX).await?;
        let (address, header) = (&sender.address, |name| text_of(&headers, name));
        let (retry_after, location) = (header(RETRY_AFTER), header(LOCATION));
        let reply = Reply { address, status, retry_after, location, body: &body, is_whole };
        probe::judge(&reply, header(ALLOW), sender.method.as_str())
    }
}

/// An answer: status, headers, and the body up to some bytes with whether that is all.
type Received = (u16, HeaderMap, (Vec<u8>, bool));

/// The value of a header, if it is text.
fn text_of(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok())
}

/// Sends each batch as one request, and in parts where the target refuses it as a whole.
struct Sender {
    client: Client,
    method: reqwest::Method,
    url: Url,
    /// The address as it is shown.
    address: String,
    headers: HeaderMap,
    key_name: HeaderName,
    timeout: Duration,
    body: BodyFormat,
    /// Most rows of a request: half of what the target has refused as a whole, twice as many after each that it answers. It is kept
    /// from write to write, so that the search for a row that is refused gets on with a target that is away now and then.
    rows_at_once: usize,
}

impl Sender {
    fn new(config: &Config) -> Result<Self, Error> {
        let client = Client::builder()
            .connect_timeout(CONNECT_MAX)
            // A redirect would make a POST a GET, and take secrets elsewhere.
            .redirect(Policy::none())
            .tcp_nodelay(true)
            .build()
            .map_err(|error| Error::Invalid(format!("no HTTP client: {}", reasons(&error))))?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(config.body.content_type()));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("Lakehead/", env!("CARGO_PKG_VERSION"))));
        headers.extend(config.header_map().map_err(Error::Invalid)?);
        let method = match config.method {
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
        };
        Ok(Self {
            client,
            method,
            url: config.url.clone(),
            address: config.address(),
            headers,
            key_name: config.key_name().map_err(Error::Invalid)?,
            timeout: config.timeout.0,
            body: config.body,
            rows_at_once: usize::MAX,
        })
    }

    async fn send(&self, batch: &Batch) -> Result<RequestOutcome, Error> {
        let key = HeaderValue::try_from(key(batch)).map_err(|error| Error::Internal(error.to_string()))?;
        let request = self
            .client
            .request(self.method.clone(), self.url.clone())
            .headers(self.headers.clone())
            .header(&self.key_name, key)
            .body(self.text(batch));
        let bytes_max = ANSWER_BYTES_MAX + batch.len() * ANSWER_BYTES_ROW;
        let (status, headers, (body, is_whole)) = self.answer(request, bytes_max).await?;
        let (address, header) = (&self.address, |name| text_of(&headers, name));
        let (retry_after, location) = (header(RETRY_AFTER), header(LOCATION));
        decide(&Reply { address, status, retry_after, location, body: &body, is_whole }, batch.len())
    }

    /// What is answered to `request`, its body up to `bytes_max`.
    async fn answer(&self, request: RequestBuilder, bytes_max: usize) -> Result<Received, Error> {
        let answered = async { read(request.send().await?, bytes_max).await };
        match timeout(self.timeout, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                let why = reasons(&error.without_url());
                Err(Error::unavailable(format!("{} cannot be reached: {why}", self.address)))
            }
            Err(_) => {
                let wait = lakehead_model::Span(self.timeout);
                Err(Error::unavailable(format!("{} did not answer within {wait}", self.address)))
            }
        }
    }

    /// What a request has in it.
    fn text(&self, batch: &Batch) -> Bytes {
        match self.body {
            BodyFormat::Lines => batch.payload().clone(),
            BodyFormat::Row => batch.payload().slice(..batch.payload().len().saturating_sub(1)),
            BodyFormat::Array => {
                let mut text = Vec::with_capacity(batch.payload().len() + 1);
                for (place, row) in batch.rows().enumerate() {
                    text.push(if place == 0 { b'[' } else { b',' });
                    text.extend_from_slice(row.json);
                }
                text.push(b']');
                text.into()
            }
        }
    }
}

#[async_trait]
impl Sink for Sender {
    async fn write(&mut self, batch: &Batch) -> Result<Vec<Answer>, Error> {
        let mut answers = Vec::with_capacity(batch.len());
        let mut was_refused = false;
        while answers.len() < batch.len() {
            let rows = self.rows_at_once.min(batch.len() - answers.len());
            let sent = if rows == batch.len() {
                self.send(batch).await
            } else {
                let places: Vec<usize> = (answers.len()..).take(rows).collect();
                self.send(&batch.select(&places)).await
            };
            match sent {
                Ok(RequestOutcome::Answers(some)) => {
                    answers.extend(some);
                    self.rows_at_once = self.rows_at_once.saturating_mul(2);
                }
                Ok(RequestOutcome::Split) => {
                    was_refused = true;
                    self.rows_at_once = (rows / 2).max(1);
                }
                // The target is there, and the search for what it refuses goes on from here with the next write.
                Err(Error::Unavailable { retry_after, .. }) if was_refused => {
                    answers.resize(batch.len(), Answer::Later(retry_after));
                }
                Err(error) => return progress_or(error, answers, batch.len()),
            }
            // What follows would be at the target before it.
            if let Some(wait) = held_up(&answers) {
                answers.resize(batch.len(), Answer::Later(wait));
            }
        }
        Ok(answers)
    }
}

/// What names the rows of a request, the same whenever these very rows are sent: the id of the first, the number of the last and
/// a checksum of all, since rows between may be left out when some are sent again. One row is named by its id.
fn key(batch: &Batch) -> String {
    let ids: Vec<String> = batch.rows().map(|row| batch.id(row)).collect();
    let kind = if batch.kind() == BatchKind::Changes { "" } else { "-snapshot" };
    match (ids.as_slice(), batch.len().checked_sub(1).and_then(|last| batch.row(last))) {
        ([only], _) => format!("{only}{kind}"),
        ([first, ..], Some(last)) => {
            let sum = crc_fast::checksum(CrcAlgorithm::Crc64Nvme, ids.join("\n").as_bytes());
            format!("{first}-{}-{sum:016x}{kind}", last.head.number)
        }
        _ => batch.start().to_string(),
    }
}

/// Status, headers, and the body up to `bytes_max` with whether that is all.
async fn read(mut response: Response, bytes_max: usize) -> Result<Received, reqwest::Error> {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await? {
        let room = bytes_max - body.len();
        if piece.len() > room {
            body.extend_from_slice(&piece[..room]);
            return Ok((status, headers, (body, false)));
        }
        body.extend_from_slice(&piece);
    }
    Ok((status, headers, (body, true)))
}
