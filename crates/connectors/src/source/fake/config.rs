//! What a user may set, and its limits.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    check::{check, check_name},
    generator::Generator,
    parameters::read_time,
    template::BuiltinTemplate,
    values::Fields,
};

/// Most events a second: some 20 MB, and more than one core writes into the log beside them. A test of throughput is the
/// benchmarks' work.
const RATE_MAX: f64 = 100_000.0;

/// The greatest event that is made: four chunks of the size that the contract of a source asks for. The greatest event that a
/// stream takes has 4 MiB.
const EVENT_BYTES_MAX: u64 = 1 << 20;

/// The key of the time where nothing else is said.
const EVENT_TIME: &str = "dt";

/// Settings of a `fake` source.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Events a second, over all streams: more than 0, at most 100,000. Default: 10.
    #[serde(default = "rate_default")]
    pub(super) rate: f64,
    /// How many events there are in all; the source ends after them. Default: there is no end.
    #[serde(default)]
    pub(super) count: Option<u64>,
    /// What the values are made from: another seed gives other values. Default: 0.
    #[serde(default)]
    seed: u64,
    /// The time of the first event, as in `"2026-01-01T00:00:00Z"`; those of the others follow by `rate`, and every event is
    /// known in advance. Default: each event has the time at which it is made.
    #[serde(default)]
    start: Option<String>,
    /// The key under which the time of an event stands in it, as in `"2026-11-01T12:00:00.5Z"`. With `""` there is none.
    /// Default: `dt`, and none with `template`.
    #[serde(default)]
    event_time: Option<String>,
    /// A built-in template: `people`, `weather` or `recentchange`. Default: there is none, and `fields` says everything.
    #[serde(default)]
    template: Option<BuiltinTemplate>,
    /// The fields of an event: for each key what its values are, as in `{ face = { int = [1, 6] }, who = "name" }`. With
    /// `template` these come to its own, or in their place. Default: there are none.
    #[serde(default)]
    fields: Fields,
}

fn rate_default() -> f64 {
    10.0
}

impl Config {
    /// What makes the events. Of settings that were not checked it makes some, too.
    pub(super) fn generator(&self) -> Generator {
        let start = self.start.as_deref().and_then(|start| read_time(start).ok()).map(|start| (start, self.rate));
        Generator::new(self.seed, self.event_time(), &self.all_fields(), start)
    }

    /// The key of an event's time; empty where there is none.
    fn event_time(&self) -> &str {
        let usual = if self.template.is_some() { "" } else { EVENT_TIME };
        self.event_time.as_deref().unwrap_or(usual)
    }

    /// Those of the template and the user's own.
    fn all_fields(&self) -> Fields {
        self.template.map(BuiltinTemplate::fields).unwrap_or_default().with(&self.fields)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if !(self.rate > 0.0 && self.rate <= RATE_MAX) {
            return Err(format!(
                "rate: expected more than 0 and at most {RATE_MAX} events a second, found {}",
                self.rate
            ));
        }
        self.start.as_deref().map(read_time).transpose().map_err(|what| format!("start: {what}"))?;
        let (event_time, fields) = (self.event_time(), self.all_fields());
        if fields.0.is_empty() {
            return Err(
                "fields: expected what an event has, as in { face = { int = [1, 6] } }, or `template`, found neither"
                    .to_owned(),
            );
        }
        if !event_time.is_empty() && fields.has(event_time) {
            return Err(format!(
                "`fields.{event_time}`: this key has the time of the event; choose another, or set event_time"
            ));
        }
        check_name(event_time)?;
        check(&fields)?;
        let bytes = self.generator().bytes_max();
        if bytes > EVENT_BYTES_MAX {
            return Err(format!(
                "fields: expected events of at most {EVENT_BYTES_MAX} bytes, found that one may have {bytes}; \
                 shorten arrays and texts"
            ));
        }
        Ok(())
    }
}
