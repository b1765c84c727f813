//! The store's settings, each with its unit, default and reason.

use lakehead_model::{ByteSize, Span};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// When a block counts as kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Sync {
    /// Every block is synced before it is shown or answered; one sync covers all blocks written meanwhile. Survives the
    /// end of the process, a crash of the system and a power cut. `"always"`, the default.
    #[default]
    Always,
    /// As `Always`, but syncs are at least this far apart, so answers and readers wait up to that long. Survives the
    /// same. `"1s"`.
    Every(Span),
    /// A block is shown and answered once the system has taken it. Survives the end of the process; a crash of the
    /// system or a power cut takes back what was not yet written out (on Linux up to about 30 s), after which the
    /// stream's epoch may have to rise. Finished segments are synced all the same. `"off"`.
    Off,
}

impl TryFrom<String> for Sync {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "always" => Ok(Self::Always),
            "off" => Ok(Self::Off),
            span => span.parse().map(Self::Every).map_err(|_| {
                format!("{text:?} is not a way to sync: write \"always\", \"off\" or a span of time, as in \"1s\"")
            }),
        }
    }
}

impl From<Sync> for String {
    fn from(sync: Sync) -> Self {
        match sync {
            Sync::Always => "always".to_owned(),
            Sync::Every(span) => span.to_string(),
            Sync::Off => "off".to_owned(),
        }
    }
}

impl schemars::JsonSchema for Sync {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Sync".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^(always|off|[0-9]+ ?(ms|s|m|h|d))$" })
    }
}

/// How a store writes. Every field has a default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// A block closes at this many bytes of events. Default 1 MiB: zstd level 1 then compresses recorded events 7 to 8
    /// times, and 3.9 times in blocks of 8 KiB (our measurement).
    pub block_bytes: ByteSize,
    /// A block closes at this age whatever is in it. Default 250 ms: at Wikimedia's 36 events/s that is 9 events a
    /// block and 4 syncs a second, and still live to a person.
    pub block_age_max: Span,
    /// A block closes at this age when it holds 64 events or an urgent append. Default 20 ms: long enough to gather pushes,
    /// short against the 50 ms that an event may take from source to client.
    pub block_age_hurried: Span,
    /// A segment ends at this many stored bytes, or with its hour; no less than `block_bytes`. Default 256 MiB: a few hundred
    /// files for a terabyte of raw events, each opened and walked in well under a second.
    pub segment_bytes: ByteSize,
    /// How much of the stream's end is kept in memory for its readers. Default 32 MiB: ten seconds of 3,000 events/s; and
    /// never more than what came in the last 30 s. Who falls further behind reads the file.
    pub tail_bytes: ByteSize,
    /// How many bytes may have been handed over and not be committed yet; then appends wait. At least twice `block_bytes`.
    /// Default 32 MiB: at 500 MB/s a sync of 60 ms still never stalls the source.
    pub queue_bytes: ByteSize,
    /// When a block counts as kept. Default `always`.
    pub sync: Sync,
    /// The zstd level of the live path. Default 1: 515 MB/s on one core against 65 MB/s at level 9 (our measurement);
    /// sealing recompresses.
    pub level: i32,
    /// With less than this left on the disk nothing more is taken, as if it were full, so that views, checkpoints and whoever
    /// else writes there can go on. Default 64 MiB: a few commits of large views. `"0 B"` for none.
    pub reserve_bytes: ByteSize,
    /// How finished segments are sealed.
    pub seal: SealOptions,
}

/// How finished segments are recompressed into large frames. Every field has a default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SealOptions {
    /// Whether it is done at all. Default: yes.
    pub enabled: bool,
    /// Bytes of events in one large frame. Default 4 MiB: recorded events compress 9 to 10 times from 1 to 8 MiB on (our
    /// measurement), and a reader holds one such frame in memory.
    pub block_bytes: ByteSize,
    /// The zstd level. Default 9: 65 MB/s on one core, and under an eighth of recorded events' size (our measurement).
    pub level: i32,
    /// How much of one processor sealing may use, in percent. Default 50. It runs at the lowest priority beside that, and
    /// waits while more than half of what may be on its way into the stream is.
    pub cpu_percent: u32,
}

impl Default for SealOptions {
    fn default() -> Self {
        Self { enabled: true, block_bytes: ByteSize::mib(4), level: 9, cpu_percent: 50 }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            block_bytes: ByteSize::mib(1),
            block_age_max: Span::millis(250),
            block_age_hurried: Span::millis(20),
            segment_bytes: ByteSize::mib(256),
            tail_bytes: ByteSize::mib(32),
            queue_bytes: ByteSize::mib(32),
            sync: Sync::Always,
            level: 1,
            reserve_bytes: ByteSize::mib(64),
            seal: SealOptions::default(),
        }
    }
}

impl Options {
    /// From this many events on a block is hurried: they compress well enough together not to wait for more. The words of
    /// `block_age_hurried` are for people and say the number.
    pub const HURRIED_EVENTS: usize = 64;
    /// Greatest `block_bytes`: a block is handled in memory.
    const BLOCK_BYTES_MAX: ByteSize = ByteSize::mib(256);
    /// Greatest `queue_bytes` and `tail_bytes`: both are memory.
    const MEMORY_BYTES_MAX: ByteSize = ByteSize::mib(4096 - 1);

    /// Checks that the settings fit each other.
    ///
    /// # Errors
    /// `Invalid`, naming the setting and what would be valid.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |text: String| Err(Error::Invalid(text));
        if self.block_bytes.0 == 0 || self.block_bytes > Self::BLOCK_BYTES_MAX {
            return wrong(format!("block_bytes is {}: choose 1 B to {}", self.block_bytes, Self::BLOCK_BYTES_MAX));
        }
        if self.segment_bytes < self.block_bytes {
            return wrong(format!(
                "segment_bytes ({}) is less than block_bytes ({}): a segment holds at least a block",
                self.segment_bytes, self.block_bytes
            ));
        }
        if self.queue_bytes.0 < 2 * self.block_bytes.0 || self.queue_bytes > Self::MEMORY_BYTES_MAX {
            return wrong(format!(
                "queue_bytes is {}: choose at least twice block_bytes ({}) and at most {}",
                self.queue_bytes,
                self.block_bytes,
                Self::MEMORY_BYTES_MAX
            ));
        }
        if self.tail_bytes > Self::MEMORY_BYTES_MAX {
            return wrong(format!("tail_bytes is {}: choose at most {}", self.tail_bytes, Self::MEMORY_BYTES_MAX));
        }
        for (key, level) in [("level", self.level), ("seal.level", self.seal.level)] {
            if !(1..=19).contains(&level) {
                return wrong(format!("{key} is {level}: choose a zstd level from 1 to 19"));
            }
        }
        let seal = &self.seal;
        if seal.block_bytes.0 == 0 || seal.block_bytes > Self::BLOCK_BYTES_MAX {
            return wrong(format!("seal.block_bytes is {}: choose 1 B to {}", seal.block_bytes, Self::BLOCK_BYTES_MAX));
        }
        if !(1..=100).contains(&seal.cpu_percent) {
            return wrong(format!(
                "seal.cpu_percent is {}: choose 1 to 100 percent of one processor",
                seal.cpu_percent
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_to_sync_read_back_as_written() {
        for text in ["\"always\"", "\"off\"", "\"1s\""] {
            let sync: Sync = serde_json::from_str(text).expect(text);
            assert_eq!(serde_json::to_string(&sync).expect("text"), text);
        }
        assert!(serde_json::from_str::<Sync>("\"sometimes\"").is_err());
    }

    #[test]
    fn defaults_fit_each_other_and_misfits_are_named() {
        assert!(Options::default().check().is_ok());
        let small = Options { queue_bytes: ByteSize(1), ..Options::default() };
        assert!(small.check().expect_err("too small").to_string().contains("queue_bytes"));
        let short = Options { segment_bytes: ByteSize(1), ..Options::default() };
        assert!(short.check().expect_err("too small").to_string().contains("segment_bytes"));
    }
}
