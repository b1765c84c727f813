#![doc = include_str!("manual.md")]
//!
//! ---
//!
//! In this folder: `config` (what a user may set), `link` (one connection), `intake` (what becomes of each frame),
//! `partition` (the decisions of exact resume), `event` (what is read of an event), `seen` (what was taken before),
//! `cursor` (the position as it is written), `progress` (event time, head, idle), `refusal` (answers that are no
//! stream). Here is only the loop that joins them: it connects, reads, hands over, and connects again.

mod config;
mod cursor;
mod event;
mod intake;
mod link;
mod partition;
mod progress;
mod refusal;
mod seen;
#[cfg(test)]
mod tests;

use std::{pin::Pin, time::Duration};

use async_trait::async_trait;
use lakehead_connector_api::{Chunk, Error, Resume, Source, SourceKind};
use lakehead_model::Timestamp;
use tokio::time::Instant;

use self::{
    config::Config,
    intake::{Intake, Step},
    link::{Heard, Link},
};

/// The source kind `eventstreams`.
pub(crate) struct EventStreams;

impl SourceKind for EventStreams {
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

    async fn open(config: Config, resume: Resume) -> Result<Box<dyn Source>, Error> {
        Ok(Box::new(Feed::new(config, resume, Pace::default())?))
    }
}

/// How long the source waits for what should come soon. Constants but for tests, which cannot wait so long.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// How long a partition may take to bring the held event. DESIGN: 10 s.
    proof: Duration,
    /// A connection that lived shorter than this and brought nothing is a failure, not the normal cut.
    short_life: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { proof: Duration::from_secs(10), short_life: Duration::from_secs(10) }
    }
}

/// Most connections in a row that were given up without a single new event, before the engine's backoff is asked for.
/// Widening an overlap from two minutes to seven days takes 13.
const FRUITLESS_MAX: u32 = 32;

type Dialing = Pin<Box<dyn Future<Output = Result<Link, Error>> + Send>>;

/// A running source.
struct Feed {
    config: Config,
    client: reqwest::Client,
    pace: Pace,
    intake: Intake,
    link: Option<Link>,
    /// The connection under way. It is kept here so that a call that is dropped does not begin it anew.
    dialing: Option<Dialing>,
    /// When to look whether the held events have come.
    proof_at: Option<Instant>,
    /// The connection's own task was given its turn since something came. Kept here so that calls that are dropped get
    /// on all the same.
    yielded: bool,
    /// Connections in a row that brought nothing new.
    fruitless: u32,
    /// Where to begin when there is no cursor.
    since: Option<Timestamp>,
}

impl Feed {
    fn new(config: Config, resume: Resume, pace: Pace) -> Result<Self, Error> {
        let Resume { cursor, event_time, tail, clock, .. } = resume;
        let now = clock.now();
        let since = config.since.map(|since| since.time(now));
        let event_bytes_max = usize::try_from(config.event_bytes_max.0).unwrap_or(usize::MAX);
        let intake = Intake::new(
            config.streams(),
            event_bytes_max,
            since.unwrap_or(now),
            cursor.as_ref(),
            &event_time,
            clock,
            tail,
        )?;
        let client = link::client(&config.user_agent())?;
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
            since,
        })
    }

    /// Connects. Cancel-safe: the next call goes on where this one was dropped.
    async fn connect(&mut self) -> Result<(), Error> {
        if self.dialing.is_none() {
            self.dialing = Some(self.dial()?);
        }
        let Some(dialing) = &mut self.dialing else { return Ok(()) };
        let answer = dialing.await;
        self.dialing = None;
        let link = answer?;
        self.proof_at = self.intake.is_unproven().then(|| link.opened + self.pace.proof);
        self.intake.fruitful = false;
        self.link = Some(link);
        Ok(())
    }

    fn dial(&mut self) -> Result<Dialing, Error> {
        let last_event_id = self.intake.connect()?;
        let mut url = self.config.url.clone();
        if last_event_id.is_none()
            && let Some(since) = self.since
        {
            url.query_pairs_mut().append_pair("since", &since.millis().to_string());
        }
        let event_bytes_max = usize::try_from(self.config.event_bytes_max.0).unwrap_or(usize::MAX);
        let client = self.client.clone();
        Ok(Box::pin(async move { Link::open(&client, url, last_event_id.as_deref(), event_bytes_max).await }))
    }

    /// Takes the frames of the last piece, until the chunk is full or the connection is to be given up.
    fn digest(&mut self) -> Result<Digest, Error> {
        let Some(link) = &mut self.link else { return Ok(Digest::Hungry) };
        if link.piece.is_empty() {
            return Ok(Digest::Hungry);
        }
        let now = std::time::Instant::now();
        let piece = std::mem::take(&mut link.piece);
        let mut input: &[u8] = &piece;
        loop {
            if self.intake.is_full() {
                link.piece = piece.slice(piece.len() - input.len()..);
                return Ok(Digest::Full);
            }
            let Some(frame) = link.parser.next(&mut input) else { break };
            match self.intake.take(&frame, now)? {
                Step::Next => {}
                Step::AskAgain(why) => {
                    tracing::debug!(?why, "asking again");
                    return Ok(Digest::AskAgain);
                }
                Step::Learned => return Ok(Digest::AskAgain),
            }
        }
        self.intake.heard(now);
        Ok(Digest::Hungry)
    }

    /// Gives up the connection, to be followed by another at once; unless that leads nowhere.
    fn disconnect(&mut self, how: &str) -> Result<(), Error> {
        self.link = None;
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
            self.link = None;
            return Err(Error::unavailable(format!("{} hung up without an event: {how}", self.config.url)));
        }
        tracing::debug!(how, "the connection ended; connecting again");
        if !short {
            // A quiet stream, cut by the edge every few minutes, is no trouble.
            self.fruitless = 0;
            self.link = None;
            return Ok(());
        }
        self.disconnect(how)
    }

    /// Looks whether the held events are overdue. True when the connection is to be given up.
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

    /// Waits for more. Gives the chunk back where waiting was no use.
    async fn listen(&mut self) -> Result<(), Error> {
        let Some(link) = &mut self.link else { return Ok(()) };
        let silent_at = link.heard + self.config.silence_max.0;
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
            Heard::Nothing => {
                let now = Instant::now();
                if now >= silent_at {
                    self.link = None;
                    return Err(Error::unavailable(format!(
                        "{} sent nothing for {} (silence_max)",
                        self.config.url, self.config.silence_max
                    )));
                }
                if now >= paused_at {
                    self.intake.paused(now.into_std());
                }
                Ok(())
            }
        }
    }
}

/// What became of a piece.
enum Digest {
    /// All of it was taken.
    Hungry,
    /// The chunk is full; there is more.
    Full,
    /// The connection is to be given up.
    AskAgain,
}

#[async_trait]
impl Source for Feed {
    async fn next(&mut self) -> Result<Option<Chunk>, Error> {
        loop {
            if self.link.is_none() {
                self.connect().await?;
            }
            match self.digest()? {
                Digest::Full => {}
                Digest::AskAgain => self.disconnect("it had to be asked again")?,
                Digest::Hungry => {
                    if self.overdue() {
                        self.disconnect("the last event held did not come")?;
                    } else if let Some(link) = &mut self.link {
                        match link.poll().await {
                            Heard::Piece => {
                                self.yielded = false;
                                continue;
                            }
                            Heard::End(how) => self.ended(&how)?,
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
                return Ok(Some(chunk));
            }
            self.listen().await?;
        }
    }
}
