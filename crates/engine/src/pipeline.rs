//! A pipeline as plain data: what to keep, where it comes from, what to count.
//!
//! The binary reads it from TOML and checks it there, where lines can be named; everything here has been checked. It
//! holds settings only: the clock and the kinds of source are components and come in [`Parts`](crate::Parts).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use lakehead_json_schema::JsonSchema;
use lakehead_model::{ByteSize, EVENT_BYTES_MAX, Name, StreamSchema};
use lakehead_query::{Late, ViewSettings};
use lakehead_store::Retention;
use serde::{Deserialize, Serialize};

use crate::{audit::AuditSettings, dashboard::Dashboard};

/// What one running Lakehead does.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// The data directory: everything that is kept lies below it.
    pub data: PathBuf,
    /// Where the dashboard, SQL and the push gateway are served. Loopback, unless a token or an explicit word allows
    /// more; the binary sees to that.
    pub listen: SocketAddr,
    /// When set, requests from other machines must carry it.
    pub token: Option<Token>,
    /// Tokens that may push to some streams, and nothing else.
    pub push_tokens: BTreeMap<Name, PushToken>,
    /// The streams that are kept. `rejects` and `gaps` are always there beside them.
    pub streams: BTreeMap<Name, StreamConfig>,
    /// What brings events in. A stream without a source takes pushes only.
    pub sources: BTreeMap<Name, SourceConfig>,
    /// The standing queries.
    pub views: BTreeMap<Name, ViewConfig>,
    /// What is delivered to other systems.
    pub sinks: BTreeMap<Name, SinkConfig>,
    /// How the log is written.
    pub store: lakehead_store::Options,
    /// When the standing audit runs.
    pub verify: AuditSettings,
    /// What the dashboard shows.
    pub dashboard: Dashboard,
}

/// One stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamConfig {
    /// Its typed columns, and where the event time stands.
    pub schema: StreamSchema,
    /// When its oldest segments go. Default: never.
    pub retention: Retention,
    /// What its events have to conform to. Default: any JSON is taken.
    pub json_schema: Option<Arc<JsonSchema>>,
}

/// One source.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceConfig {
    /// The kind, one of those in [`Parts::sources`](crate::Parts).
    pub kind: String,
    /// The streams that its events enter: at least one, none twice. Most kinds feed one.
    pub streams: Vec<Name>,
    /// The kind's own settings; they passed its check.
    pub settings: serde_json::Value,
}

/// One view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewConfig {
    /// The query; it passed `check_view`.
    pub sql: String,
    /// How far the watermark stays behind the newest events. Default: 60 s.
    pub watermark_delay: Duration,
    /// How long after a window was emitted a late event may still correct it. Default: 24 h.
    pub lateness: Duration,
    /// What a late event does. Default: it corrects its window.
    pub late: Late,
    /// Most memory that its open windows may take. Default: 1 GiB.
    pub state_max: ByteSize,
    /// Most bytes of changes that are kept for followers who have not read them yet. Default: 1 GiB.
    pub changes_max: ByteSize,
    /// When a view whose SQL was changed takes the old one's place. Default: as soon as it is built.
    pub swap: Swap,
}

/// When a shadow replaces the active view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Swap {
    /// As soon as it is built.
    #[default]
    Auto,
    /// When `lakehead view swap` says so.
    Ask,
}

impl ViewConfig {
    /// A view of this SQL, all else by default.
    #[must_use]
    pub fn new(sql: impl Into<String>) -> Self {
        let ViewSettings { watermark_delay, lateness, late, state_bytes_max, changes_bytes_max, .. } =
            ViewSettings::default();
        let (state_max, changes_max) = (ByteSize(state_bytes_max as u64), ByteSize(changes_bytes_max));
        Self { sql: sql.into(), watermark_delay, lateness, late, state_max, changes_max, swap: Swap::Auto }
    }

    /// These settings, as the view takes them.
    #[must_use]
    pub fn settings(&self) -> ViewSettings {
        ViewSettings {
            watermark_delay: self.watermark_delay,
            lateness: self.lateness,
            late: self.late,
            state_bytes_max: usize::try_from(self.state_max.0).unwrap_or(usize::MAX),
            changes_bytes_max: self.changes_max.0,
            ..ViewSettings::default()
        }
    }
}

/// One sink.
#[derive(Clone, Debug, PartialEq)]
pub struct SinkConfig {
    /// The kind, one of those in [`Parts::sinks`](crate::Parts).
    pub kind: String,
    /// The stream or view that it delivers.
    pub from: Name,
    /// Where it begins when it has no position yet. Default: at the beginning.
    pub start: Start,
    /// How many writes may be under way at once, from 1 to [`LANES_MAX`](Self::LANES_MAX). Rows with the same key stay in one
    /// lane, and so in order; events of a stream have no key, and with more than one lane only their order at the target is
    /// not that of the stream. Default: 1.
    pub lanes: usize,
    /// How long retention waits for it. Default: seven days.
    pub keep: Keep,
    /// After how long at most its position is committed while rows arrive. Default: 1 s.
    pub commit_every: Duration,
    /// The most bytes of rows that are read and have no answer yet. Default: 32 MiB.
    pub memory: ByteSize,
    /// The kind's own settings; they passed its check.
    pub settings: serde_json::Value,
}

impl SinkConfig {
    /// The most lanes: each has a connection of its own, and targets allow some hundreds for all of their clients.
    pub const LANES_MAX: usize = 64;

    /// The least memory: one row of the largest size, and its neighbour.
    pub const MEMORY_MIN: ByteSize = ByteSize(2 * EVENT_BYTES_MAX as u64);

    /// The longest wait between two commits of its position: what came since then is written again after a crash.
    pub const COMMIT_EVERY_MAX: Duration = Duration::from_secs(10 * 60);

    /// A sink of this kind that delivers `from`, all else by default.
    #[must_use]
    pub fn new(kind: impl Into<String>, from: Name, settings: serde_json::Value) -> Self {
        Self {
            kind: kind.into(),
            from,
            start: Start::default(),
            lanes: 1,
            keep: Keep::default(),
            commit_every: Duration::from_secs(1),
            memory: ByteSize(32 << 20),
            settings,
        }
    }
}

/// Where a sink begins that has no position yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// With the oldest event that the stream keeps; of a view with all of its rows.
    #[default]
    Beginning,
    /// With what comes from now on.
    Now,
}

/// How long retention waits for a sink that has not delivered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// For as long as it takes, though the disk fills.
    Always,
    /// An event no longer than this after it was received: what retention then removes is lost to the sink, is counted, and
    /// shows in its status. With zero, retention does not wait at all.
    For(Duration),
}

impl Keep {
    /// For how long after an event was received; `None`: always.
    #[must_use]
    pub fn at_most(self) -> Option<Duration> {
        match self {
            Self::Always => None,
            Self::For(time) => Some(time),
        }
    }
}

impl Default for Keep {
    /// Seven days, a week with its weekend; also what a topic of Kafka keeps by default (`log.retention.hours`).
    fn default() -> Self {
        Self::For(Duration::from_secs(7 * 24 * 60 * 60))
    }
}

/// The secret that callers from other machines carry. It never shows in `Debug` or in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// The fewest characters a token may have: 16 of base64 are 96 bits, beyond guessing over a network.
    pub const CHARACTERS_MIN: usize = 16;

    /// Takes a token.
    ///
    /// # Errors
    /// When it is too short to be a secret, or holds what an HTTP header cannot.
    pub fn new(text: impl Into<String>) -> Result<Self, String> {
        let text = text.into();
        if text.len() < Self::CHARACTERS_MIN {
            return Err(format!("a token has at least {} characters", Self::CHARACTERS_MIN));
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("a token holds printable ASCII without spaces".into());
        }
        Ok(Self(text))
    }

    /// Whether `offered` is this token. Takes equally long wherever the two differ.
    #[must_use]
    pub fn matches(&self, offered: &str) -> bool {
        let differences = self.0.bytes().zip(offered.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
        self.0.len() == offered.len() && differences == 0
    }
}

/// A token that may push to some streams, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushToken {
    /// The secret.
    pub token: Token,
    /// The streams that it may push to.
    pub streams: Arc<BTreeSet<Name>>,
}

impl PushToken {
    /// The most of them: each is held against what a request offers.
    pub const COUNT_MAX: usize = 256;
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_matches_only_itself_and_never_shows() {
        let token = Token::new("0123456789abcdef").expect("long enough");
        assert!(token.matches("0123456789abcdef"));
        for other in ["", "0123456789abcdeX", "0123456789abcde", "0123456789abcdef0"] {
            assert!(!token.matches(other), "{other}");
        }
        assert!(!format!("{token:?}").contains("0123"));
        assert!(Token::new("short").is_err());
        assert!(Token::new("with spaces in it, long").is_err());
    }
}
