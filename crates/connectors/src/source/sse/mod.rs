#![doc = include_str!("manual.md")]
//!
//! ---
//!
//! In this folder: `config` (what a user may set), `intake` (what becomes of each frame), `identity` (which event it is),
//! `last_id` (the position as it is written), `reconnect` (when to connect again). One connection is the crate's `sse_link`. Here
//! is only the loop that joins them: it connects, reads, hands over, and connects again.

mod config;
mod identity;
mod intake;
mod last_id;
mod reconnect;
#[cfg(test)]
mod tests;

use std::{pin::Pin, time::Duration};

use async_trait::async_trait;
use lakehead_connector_api::{Chunk, ConnectorKind, Error, Opened, Reader, Resume, SourceKind, StreamResume};
use lakehead_eventstreams_wire::Parser;
use tokio::time::Instant;

use self::{
    config::Config,
    intake::FeedIntake,
    reconnect::{Reconnect, SHORT_LIFE},
};
use crate::sse_link::{Dialed, Heard, Link, client};

/// Room in a frame beside its data: the names of its fields, its id, and the `data: ` of each line.
const FRAME_OVERHEAD_BYTES: usize = 64 << 10;

/// Nothing came for so long: there was nothing to send.
const PAUSE: Duration = Duration::from_secs(1);

/// The status that ends a feed for good: HTML Living Standard, section 9.2.3.
const NO_CONTENT: u16 = 204;

/// What to do where the feed refuses us.
const UNKNOWN_CLIENT: &str = "set headers to what it knows Lakehead by, as in headers = { Authorization = \"Bearer ${FEED_TOKEN}\" }; \
                              where it leads from http to https, set url to the latter, since headers do not follow";

/// The source kind `sse`.
pub(crate) struct Sse;

impl ConnectorKind for Sse {
    const NAME: &'static str = "sse";
    const MANUAL: &'static str = include_str!("manual.md");
    const EXAMPLE: &'static str = r#"[source.orders]
kind = "sse"
url = "https://shop.example.org/orders/feed"
stream = "orders"
headers = { Authorization = "Bearer ${FEED_TOKEN}" }
events = ["order", "refund"]
identity = "event_id"
"#;
    type Config = Config;

    fn check(config: &Config) -> Result<(), String> {
        config.check()
    }
}

impl SourceKind for Sse {
    async fn open(config: Config, mut resume: Resume) -> Result<Opened, Error> {
        let stream = resume.only_stream()?;
        let client = client(config.header_map().map_err(Error::Invalid)?)?;
        Ok(Opened::reader(SseFeed::open(config, client, stream).await?))
    }
}

type Connecting = Pin<Box<dyn Future<Output = Result<Dialed, Error>> + Send>>;

/// A running source.
struct SseFeed {
    config: Config,
    /// The address as it is shown.
    address: String,
    client: reqwest::Client,
    intake: FeedIntake,
    reconnect: Reconnect,
    link: Option<Box<Link>>,
    /// The connection under way. It is kept here so that a call that is dropped does not begin it again.
    connecting: Option<Connecting>,
    /// Not connected again before this.
    not_before: Option<Instant>,
    /// The connection's own task was given its turn since something came.
    yielded: bool,
    /// What is to be returned once everything that came before it has been handed over.
    failed: Option<Error>,
    /// The feed has ended for good.
    ended: bool,
}

impl SseFeed {
    async fn open(config: Config, client: reqwest::Client, stream: StreamResume) -> Result<Self, Error> {
        let intake = FeedIntake::open(&config, stream, Instant::now()).await?;
        Ok(Self {
            address: config.address(),
            config,
            client,
            intake,
            reconnect: Reconnect::default(),
            link: None,
            connecting: None,
            not_before: None,
            yielded: false,
            failed: None,
            ended: false,
        })
    }

    /// Connects. Cancel-safe: the next call continues where this one was dropped.
    async fn connect(&mut self) -> Result<(), Error> {
        if let Some(at) = self.not_before {
            tokio::time::sleep_until(at).await;
            self.not_before = None;
        }
        let connecting = self.connecting.get_or_insert_with(|| {
            let last_event_id = self.intake.at().header();
            let parser = Parser::new(self.config.event_bytes_max() + FRAME_OVERHEAD_BYTES).with_dataless();
            let (client, url, address) = (self.client.clone(), self.config.url.clone(), self.address.clone());
            Box::pin(async move { Link::open(&client, url, address, last_event_id, parser).await })
        });
        let answer = connecting.await;
        self.connecting = None;
        match answer.map_err(|error| self.left_alone(error))? {
            Dialed::Stream(link) => {
                self.intake.connected();
                self.link = Some(link);
            }
            Dialed::Other(answer) if answer.status == NO_CONTENT => self.ended = true,
            Dialed::Other(answer) => return Err(self.left_alone(answer.error(UNKNOWN_CLIENT))),
        }
        Ok(())
    }

    /// Takes the frames of the last piece, until the chunk is full. True when all were taken.
    fn take_frames(&mut self) -> bool {
        let Some(link) = &mut self.link else { return true };
        let now = Instant::now();
        let piece = std::mem::take(&mut link.piece);
        let mut input: &[u8] = &piece;
        while !input.is_empty() {
            if self.intake.is_full() {
                link.piece = piece.slice(piece.len() - input.len()..);
                return false;
            }
            let Some(frame) = link.parser.next(&mut input) else { break };
            if let Some(millis) = frame.retry {
                self.reconnect.set_retry(millis);
            }
            // One that says nothing, or only an id, too: so do some feeds keep a quiet connection.
            link.life.note(now);
            self.intake.take(&frame);
        }
        true
    }

    /// The connection came to its end by itself. That is normal when it brought something or lived a while.
    fn hung_up(&mut self, how: &str) -> Result<(), Error> {
        let Some(link) = self.link.take() else { return Ok(()) };
        let lived = link.opened.elapsed();
        if lived < SHORT_LIFE && !self.intake.fruitful {
            return Err(self.lost(format!("{} hung up without anything new: {how}", self.address)));
        }
        tracing::debug!(how, "the connection ended; connecting again");
        self.not_before = Some(Instant::now() + self.reconnect.ended(lived, self.intake.new_bytes));
        Ok(())
    }

    /// The connection is of no use any more; the engine connects again.
    fn lost(&mut self, what: String) -> Error {
        self.link = None;
        self.left_alone(Error::unavailable(what))
    }

    /// The same error; nobody connects again before the feed's `retry:`, where the answer itself does not say when.
    fn left_alone(&self, error: Error) -> Error {
        match error {
            Error::Unavailable { what, retry_after: None } => {
                Error::Unavailable { what, retry_after: self.reconnect.retry() }
            }
            other => other,
        }
    }

    /// Gives up a connection that brought no event for too long.
    fn check_silence(&mut self, called: Instant) -> Result<(), Error> {
        let silence = self.link.as_ref().and_then(|link| link.silence(called, self.config.silence_max, &self.address));
        silence.map_or(Ok(()), |what| Err(self.lost(what)))
    }

    /// What a connection brought.
    fn heard(&mut self, heard: Heard) -> Result<(), Error> {
        match heard {
            Heard::Piece | Heard::Nothing => Ok(()),
            Heard::End(how) => self.hung_up(&how),
            Heard::Damaged(how) => Err(self.lost(format!("{}: {how}", self.address))),
        }
    }

    /// Waits for more.
    async fn listen(&mut self, called: Instant) -> Result<(), Error> {
        let Some(link) = &mut self.link else { return Ok(()) };
        let silent_at = link.silent_at(called, self.config.silence_max);
        let paused_at = link.heard + PAUSE;
        let deadline = if Instant::now() < paused_at { silent_at.min(paused_at) } else { silent_at };
        let heard = link.wait(deadline).await;
        if heard == Heard::Nothing {
            if Instant::now() >= paused_at {
                self.intake.paused();
            }
            return self.check_silence(called);
        }
        self.heard(heard)
    }

    /// The next chunk. What was taken before an error stays in the intake.
    async fn chunk(&mut self) -> Result<Option<Chunk>, Error> {
        let called = Instant::now();
        loop {
            if self.ended {
                return Ok(self.intake.finish(Instant::now()));
            }
            if self.link.is_none() {
                self.connect().await?;
                continue;
            }
            if self.take_frames() {
                self.check_silence(called)?;
                let Some(link) = &mut self.link else { continue };
                match link.poll().await {
                    Heard::Piece => {
                        self.yielded = false;
                        continue;
                    }
                    // The connection's own task may only be waiting for its turn.
                    Heard::Nothing if !self.yielded => {
                        self.yielded = true;
                        tokio::task::yield_now().await;
                        continue;
                    }
                    heard => self.heard(heard)?,
                }
            }
            self.yielded = false;
            if let Some(chunk) = self.intake.hand_over(Instant::now()) {
                return Ok(Some(chunk));
            }
            self.listen(called).await?;
        }
    }
}

#[async_trait]
impl Reader for SseFeed {
    async fn next(&mut self) -> Result<Option<Chunk>, Error> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        match self.chunk().await {
            Ok(chunk) => Ok(chunk),
            // Events that came in one read with an error were taken all the same; without them there would be no progress.
            Err(error) => match self.intake.finish(Instant::now()) {
                Some(chunk) => {
                    self.failed = Some(error);
                    Ok(Some(chunk))
                }
                None => Err(error),
            },
        }
    }
}
