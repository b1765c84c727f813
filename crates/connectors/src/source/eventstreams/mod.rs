#![doc = include_str!("manual.md")]
//!
//! ---
//!
//! In this folder: `config` (what a user may set), `intake` (what becomes of each frame), `routes` (which stream a topic goes
//! to), `outlet` (what gathers for a stream), `partitions` (those that are followed), `partition` (the decisions of exact
//! resume), `renumbering` (offsets that do not follow one another), `event` (what is read of an event), `memory` and `seen`
//! (what was taken before), `cursor` (the position as it is written), `standing` (what the cursors say together). One
//! connection is the crate's `sse_link`, how far the time has come its `progress`. Here is only the loop that joins them: it
//! connects, reads, hands over, and connects again.

mod config;
mod cursor;
mod event;
mod intake;
mod memory;
mod outlet;
mod partition;
mod partitions;
mod renumbering;
mod routes;
mod seen;
mod standing;
#[cfg(test)]
mod tests;

use std::{pin::Pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use lakehead_connector_api::{Chunk, ConnectorKind, Error, Identity, Opened, Reader, Resume, SourceKind, StreamResume};
use lakehead_eventstreams_wire::{Parser, SINCE, write_since};
use lakehead_model::{Clock, Name, Timestamp};
use reqwest::header::{HeaderMap, HeaderValue, USER_AGENT};
use tokio::time::Instant;

use self::{
    config::Config,
    intake::{Intake, Reads, Step},
    routes::Routes,
};
use crate::{
    progress,
    sse_link::{Dialed, Heard, Link, client},
};

/// The source kind `eventstreams`.
pub(crate) struct EventStreams;

impl ConnectorKind for EventStreams {
    const NAME: &'static str = "eventstreams";
    const MANUAL: &'static str = include_str!("manual.md");
    const EXAMPLE: &'static str = r#"[source.wikimedia]
kind = "eventstreams"
url = "https://stream.wikimedia.org/v2/stream/recentchange"
stream = "recentchange"
contact = "mailto:me@example.org"
since = "1h"
"#;
    type Config = Config;

    fn check(config: &Config) -> Result<(), String> {
        config.check()
    }
}

impl SourceKind for EventStreams {
    const IDENTITY: Option<Identity> = Some(Identity {
        topic: &["meta", "topic"],
        partition: &["meta", "partition"],
        offset: &["meta", "offset"],
        id: &["meta", "id"],
    });

    async fn open(config: Config, resume: Resume) -> Result<Opened, Error> {
        Ok(Opened::reader(Feed::new(config, resume.streams, resume.clock, Pace::default())?))
    }
}

/// How long the source waits for what should come soon. Constants but for tests, which cannot wait so long.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// How long a partition may take to bring the anchor event. DESIGN: 10 s.
    proof: Duration,
    /// A connection that lived shorter than this and brought nothing is a failure, not the normal cut.
    short_life: Duration,
    /// The first pause before a connection that follows on short ones. It doubles with each.
    pause: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { proof: Duration::from_secs(10), short_life: Duration::from_secs(10), pause: Duration::from_millis(100) }
    }
}

/// Most connections in a row that were given up without a single new event, before the engine's backoff is asked for.
/// Widening an overlap from two minutes to seven days takes 13.
const FRUITLESS_MAX: u32 = 32;

/// A connection that brought so many bytes of new events was worth itself, however short it lived: 64 KiB, some forty events.
const WORTH_BYTES: u64 = 64 << 10;

/// So many short connections in a row are followed by the next at once: a cut or two is normal, and an upstream that is asked
/// otherwise (another offset, a time further back) is asked 13 times at most.
const SHORT_ENDED_MAX: u32 = 1;
const SHORT_ASKED_MAX: u32 = 16;

/// Room in a frame beside its data: the id names every partition, 80 bytes each.
const FRAME_OVERHEAD_BYTES: usize = 64 << 10;

/// What to do where the upstream refuses us.
const UNKNOWN_CLIENT: &str = "Wikimedia refuses clients that do not say whom to turn to; set contact to the address of a page or a \
                              mailbox (https://foundation.wikimedia.org/wiki/Policy:User-Agent_policy)";

/// The longest pause between short connections that bring something.
const PAUSE_MAX: Duration = Duration::from_secs(10);

type Dialing = Pin<Box<dyn Future<Output = Result<Dialed, Error>> + Send>>;

/// A running source.
struct Feed {
    config: Config,
    client: reqwest::Client,
    pace: Pace,
    intake: Intake,
    link: Option<Box<Link>>,
    /// The connection under way. It is kept here so that a call that is dropped does not begin it again.
    dialing: Option<Dialing>,
    /// When to check whether the anchor events have come.
    proof_at: Option<Instant>,
    /// The connection's own task was given its turn since something came. Kept here so that calls that are dropped get
    /// on all the same.
    yielded: bool,
    /// Connections in a row that brought nothing new.
    fruitless: u32,
    /// Connections in a row that were short and not worth it: given up by the other side, and by us to ask otherwise.
    short_ended: u32,
    short_asked: u32,
    /// Not connected again before this.
    not_before: Option<Instant>,
    /// What is to be returned once everything that came before it has been handed over.
    failed: Option<Error>,
    /// Where to begin when there is no cursor.
    since: Option<Timestamp>,
}

impl Feed {
    fn new(config: Config, streams: Vec<StreamResume>, clock: Arc<dyn Clock>, pace: Pace) -> Result<Self, Error> {
        let now = clock.now();
        let since = config.since.map(|since| since.time(now));
        let names = config.names();
        let fed: Vec<Name> = streams.iter().map(|stream| stream.stream.clone()).collect();
        let reads = Reads {
            path: config.streams(),
            routes: Routes::new(&names, &config.routes, &fed).map_err(Error::Invalid)?,
            names,
            event_bytes_max: usize::try_from(config.event_bytes_max.0).unwrap_or(usize::MAX),
            since: since.unwrap_or(now),
        };
        let intake = Intake::new(reads, streams, clock)?;
        let mut headers = HeaderMap::new();
        let user_agent = config.user_agent().try_into();
        headers.insert(USER_AGENT, user_agent.map_err(|_| Error::Invalid("contact: expected ASCII".to_owned()))?);
        let client = client(headers)?;
        Ok(Self {
            config,
            client,
            pace,
            intake,
            link: None,
            dialing: None,
            proof_at: None,
            yielded: false,
            fruitless: 0,
            short_ended: 0,
            short_asked: 0,
            not_before: None,
            failed: None,
            since,
        })
    }

    /// Connects. Cancel-safe: the next call continues where this one was dropped.
    async fn connect(&mut self) -> Result<(), Error> {
        if let Some(at) = self.not_before {
            tokio::time::sleep_until(at).await;
            self.not_before = None;
        }
        if self.dialing.is_none() {
            self.dialing = Some(self.dial().await?);
        }
        let Some(dialing) = &mut self.dialing else { return Ok(()) };
        let answer = dialing.await;
        self.dialing = None;
        let link = match answer? {
            Dialed::Stream(link) => link,
            Dialed::Other(answer) => return Err(answer.error(UNKNOWN_CLIENT)),
        };
        self.proof_at = self.intake.is_unproven().then(|| link.opened + self.pace.proof);
        (self.intake.fruitful, self.intake.new_bytes) = (false, 0);
        self.link = Some(link);
        Ok(())
    }

    async fn dial(&mut self) -> Result<Dialing, Error> {
        let last_event_id = self.intake.connect(self.since.is_some()).await?;
        let mut url = self.config.url.clone();
        if last_event_id.is_none()
            && let Some(since) = [self.since, self.intake.learns_since()].into_iter().flatten().min()
        {
            url.query_pairs_mut().append_pair(SINCE, &write_since(since.millis()));
        }
        let last_event_id = last_event_id.map(|id| {
            let named = || Error::Corrupt(format!("the cursor names a topic that cannot be asked for: {id}"));
            HeaderValue::from_bytes(id.as_bytes()).map_err(|_| named())
        });
        let (last_event_id, address) = (last_event_id.transpose()?, url.to_string());
        let event_bytes_max = usize::try_from(self.config.event_bytes_max.0).unwrap_or(usize::MAX);
        let parser = Parser::new(event_bytes_max.saturating_add(FRAME_OVERHEAD_BYTES));
        let client = self.client.clone();
        Ok(Box::pin(async move { Link::open(&client, url, address, last_event_id, parser).await }))
    }

    /// Takes the frames of the last piece, until the chunk is full or the connection is to be closed. The connection is out of
    /// its place meanwhile: a call that is dropped here drops it, too, since a frame may be taken by half then.
    async fn take_frames(&mut self) -> Result<Taken, Error> {
        let Some(mut link) = self.link.take() else { return Ok(Taken::All) };
        let taken = self.take_from(&mut link).await;
        self.link = Some(link);
        taken
    }

    async fn take_from(&mut self, link: &mut Link) -> Result<Taken, Error> {
        if link.piece.is_empty() {
            return Ok(Taken::All);
        }
        let now = Instant::now();
        let piece = std::mem::take(&mut link.piece);
        let mut input: &[u8] = &piece;
        loop {
            if self.intake.is_full() {
                link.piece = piece.slice(piece.len() - input.len()..);
                return Ok(Taken::Full);
            }
            let Some(frame) = link.parser.next(&mut input) else { break };
            if !frame.is_empty() {
                link.life.note(now);
            }
            match self.intake.take(&frame, now.into_std()).await? {
                Step::Next => {}
                Step::AskAgain(why) => {
                    tracing::debug!(?why, "asking again");
                    return Ok(Taken::AskAgain);
                }
                Step::Learned => return Ok(Taken::AskAgain),
            }
        }
        self.intake.heard(now.into_std());
        Ok(Taken::All)
    }

    /// Closes the connection and decides when the next one may begin. Only one that lasted, or brought enough, resets the
    /// pauses; else an upstream that hangs up after each event would be asked hundreds of times a second.
    fn close(&mut self, asked: bool) {
        let Some(link) = self.link.take() else { return };
        if link.opened.elapsed() >= self.pace.short_life || self.intake.new_bytes >= WORTH_BYTES {
            (self.short_ended, self.short_asked) = (0, 0);
            return;
        }
        let (count, max) =
            if asked { (&mut self.short_asked, SHORT_ASKED_MAX) } else { (&mut self.short_ended, SHORT_ENDED_MAX) };
        *count = count.saturating_add(1);
        if let Some(doublings) = count.checked_sub(max + 1) {
            let pause = self.pace.pause.saturating_mul(1 << doublings.min(16)).min(PAUSE_MAX);
            tracing::debug!(?pause, "short connections in a row; pausing");
            self.not_before = Some(Instant::now() + pause);
        }
    }

    /// Gives up the connection, to be followed by another soon; unless that leads nowhere.
    fn disconnect(&mut self, how: &str, asked: bool) -> Result<(), Error> {
        self.close(asked);
        self.fruitless = if self.intake.fruitful { 0 } else { self.fruitless + 1 };
        if self.fruitless > FRUITLESS_MAX {
            return Err(Error::unavailable(format!(
                "{} connections to {} in a row brought nothing new; the last: {how}",
                self.fruitless, self.config.url
            )));
        }
        Ok(())
    }

    /// The connection came to its end by itself. That is normal when it brought something or lived a while.
    fn ended(&mut self, how: &str) -> Result<(), Error> {
        let short = self.link.as_ref().is_some_and(|link| link.opened.elapsed() < self.pace.short_life);
        if short && !self.intake.fruitful {
            self.close(false);
            return Err(Error::unavailable(format!("{} hung up without an event: {how}", self.config.url)));
        }
        tracing::debug!(how, "the connection ended; connecting again");
        if !short {
            // A quiet stream, cut by the edge every few minutes, is no trouble.
            self.fruitless = 0;
            self.close(false);
            return Ok(());
        }
        self.disconnect(how, false)
    }

    /// Checks whether the anchor events are overdue. True when the connection is to be closed.
    fn overdue(&mut self) -> bool {
        if self.proof_at.is_none_or(|at| Instant::now() < at) {
            return false;
        }
        if !self.intake.is_unproven() {
            self.proof_at = None;
            return false;
        }
        let now = Instant::now();
        self.proof_at = Some(now + self.pace.proof);
        self.intake.not_found((now - self.pace.proof).into_std()).is_some()
    }

    /// Gives up a connection that brought no event for too long.
    fn check_silence(&mut self, called: Instant) -> Result<(), Error> {
        let Config { url, silence_max, .. } = &self.config;
        match self.link.as_ref().and_then(|link| link.silence(called, *silence_max, url.as_str())) {
            None => Ok(()),
            Some(what) => self.give_up(what),
        }
    }

    /// Gives up a connection that is of no use any more.
    fn give_up(&mut self, what: String) -> Result<(), Error> {
        self.link = None;
        Err(Error::unavailable(what))
    }

    /// Waits for more. Gives the chunk back where waiting was no use.
    async fn listen(&mut self, called: Instant) -> Result<(), Error> {
        let Some(link) = &mut self.link else { return Ok(()) };
        let silent_at = link.silent_at(called, self.config.silence_max);
        let paused_at = link.heard + progress::PAUSE;
        let now = Instant::now();
        let mut deadline = silent_at;
        if now < paused_at {
            deadline = deadline.min(paused_at);
        }
        if let Some(at) = self.proof_at {
            deadline = deadline.min(at.max(now));
        }
        match link.wait(deadline).await {
            Heard::Piece => Ok(()),
            Heard::End(how) => self.ended(&how),
            Heard::Damaged(how) => self.give_up(format!("{}: {how}", self.config.url)),
            Heard::Nothing => {
                let now = Instant::now();
                if now >= paused_at {
                    self.intake.paused(now.into_std());
                }
                self.check_silence(called)
            }
        }
    }
}

/// What became of a piece.
enum Taken {
    /// All of it was taken.
    All,
    /// The chunk is full; there is more.
    Full,
    /// The connection is to be closed, and the upstream asked again.
    AskAgain,
}

impl Feed {
    /// The next chunk. What was taken before an error stays in the intake.
    async fn chunk(&mut self) -> Result<Chunk, Error> {
        let called = Instant::now();
        loop {
            if self.link.is_none() {
                self.connect().await?;
            }
            match self.take_frames().await? {
                Taken::Full => {}
                Taken::AskAgain => self.disconnect("it had to be asked again", true)?,
                Taken::All => {
                    self.check_silence(called)?;
                    if self.overdue() {
                        self.disconnect("the last event held did not come", true)?;
                    } else if let Some(link) = &mut self.link {
                        match link.poll().await {
                            Heard::Piece => {
                                self.yielded = false;
                                continue;
                            }
                            Heard::End(how) => self.ended(&how)?,
                            Heard::Damaged(how) => self.give_up(format!("{}: {how}", self.config.url))?,
                            // The connection's own task may only be waiting for its turn.
                            Heard::Nothing if !self.yielded => {
                                self.yielded = true;
                                tokio::task::yield_now().await;
                                continue;
                            }
                            Heard::Nothing => {}
                        }
                    }
                }
            }
            self.yielded = false;
            if let Some(chunk) = self.intake.hand_over(std::time::Instant::now()) {
                return Ok(chunk);
            }
            self.listen(called).await?;
        }
    }
}

#[async_trait]
impl Reader for Feed {
    async fn next(&mut self) -> Result<Option<Chunk>, Error> {
        if let Some(ready) = self.intake.ready() {
            return Ok(Some(ready));
        }
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        match self.chunk().await {
            Ok(chunk) => Ok(Some(chunk)),
            // Events that came in one read with an error were taken all the same; without them there would be no progress.
            Err(error) => match self.intake.hand_over(std::time::Instant::now()) {
                Some(chunk) => {
                    self.failed = Some(error);
                    Ok(Some(chunk))
                }
                None => Err(error),
            },
        }
    }
}
