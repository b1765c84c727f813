//! What a user may set.

use std::{collections::BTreeMap, str::FromStr};

use lakehead_eventstreams_wire::SINCE;
use lakehead_model::{ByteSize, EVENT_BYTES_MAX, Span, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::routes::{is_of, is_same};

/// Most names of upstream streams in the path, and bytes of them: each stands in every cursor, twice where the source feeds
/// several streams. Wikimedia has 25, of 700 bytes in all.
const NAMES_MAX: usize = 64;
const NAMES_BYTES_MAX: usize = 2_000;

/// Settings of an `eventstreams` source.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Address of the stream, or of several, comma-separated, in the path:
    /// `https://stream.wikimedia.org/v2/stream/recentchange,page-create`.
    #[schemars(with = "String")]
    pub(super) url: Url,
    /// Where the source feeds several streams: into which of them the events of an upstream stream go, as in
    /// `{ page-create = "created", recentchange = "recentchange" }`. The name of a topic (`"eqiad.mediawiki.page-create"`)
    /// goes before that of its stream. Default: into the stream of equal name, with `_` for all that a name cannot have:
    /// `page-create` into `page_create`.
    #[serde(default)]
    pub(super) routes: BTreeMap<String, String>,
    /// Where to begin when nothing is held yet: a time (`"2026-11-01T00:00:00Z"`) or a span back from now (`"24h"`).
    /// Wikimedia keeps 7 to 31 days; what lies further back begins with the earliest that is kept. Once something is
    /// held, the source goes on from there and this is not looked at. Default: from now on.
    #[serde(default)]
    pub(super) since: Option<Since>,
    /// How the operators of the upstream can reach you: an address of a page or a mailbox. It goes into the User-Agent,
    /// as Wikimedia's User-Agent policy asks; requests without it may be refused. Default: none.
    #[serde(default)]
    pub(super) contact: Option<String>,
    /// The longest time without a whole event or comment before the connection counts as lost, whatever else comes.
    /// EventStreams sends no comments as heartbeats, so this must be longer than the stream is ever quiet. Default:
    /// 60 s; recentchange brings some 36 events a second and was never quiet for two, while a shorter wait would only
    /// hurry a reconnect that costs the other side a Kafka consumer. For a quiet stream set 5m: Wikimedia's edge cuts
    /// an idle connection after 2 to 3 minutes by itself.
    #[serde(default = "silence_max_default")]
    pub(super) silence_max: Span,
    /// The greatest event that is taken; a greater one becomes a reject. Default: 4 MiB, which Kafka's own limit of 10
    /// MiB at Wikimedia would let pass but no recorded event (at most 3.3 KB in recentchange) comes near.
    #[serde(default = "event_bytes_max_default")]
    pub(super) event_bytes_max: ByteSize,
}

fn silence_max_default() -> Span {
    Span::seconds(60)
}

fn event_bytes_max_default() -> ByteSize {
    ByteSize(EVENT_BYTES_MAX as u64)
}

/// A time, or a span back from now.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(super) enum Since {
    At(Timestamp),
    Back(Span),
}

impl Since {
    pub(super) fn time(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Back(span) => now.minus(span.0),
        }
    }
}

impl FromStr for Since {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(span) = text.parse() {
            return Ok(Self::Back(span));
        }
        text.parse().map(Self::At).map_err(|_| {
            format!("{text:?} is neither a time, as in \"2026-11-01T00:00:00Z\", nor a span back, as in \"24h\"")
        })
    }
}

impl TryFrom<String> for Since {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl JsonSchema for Since {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Since".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

impl Config {
    pub(super) fn check(&self) -> Result<(), String> {
        if !matches!(self.url.scheme(), "http" | "https") {
            return Err(format!("url: expected an address with http or https, found {:?}", self.url.scheme()));
        }
        if self.streams().is_empty() {
            return Err("url: expected the name of a stream at the end of the path, as in \
                        https://stream.wikimedia.org/v2/stream/recentchange"
                .to_owned());
        }
        let names = self.names();
        let bytes = self.streams().len();
        if names.len() > NAMES_MAX || bytes > NAMES_BYTES_MAX {
            return Err(format!(
                "url: expected at most {NAMES_MAX} streams, whose names have {NAMES_BYTES_MAX} bytes in all, found {} of {bytes}",
                names.len()
            ));
        }
        if let Some(name) = names.iter().find(|name| name.is_empty()) {
            return Err(format!(
                "url: expected names of streams, separated by one comma each, found {name:?} among them"
            ));
        }
        for key in self.routes.keys() {
            if !names.iter().any(|name| is_same(key, name) || is_of(key, name)) {
                return Err(format!("`routes.{key}`: url does not ask for it, only for {}", names.join(", ")));
            }
            if let Some(twice) = self.routes.keys().find(|other| *other != key && is_same(other, key)) {
                return Err(format!("`routes.{key}`: {twice} is the same upstream stream"));
            }
        }
        if self.url.query_pairs().any(|(key, _)| key == SINCE) {
            return Err("url: where to begin is not part of the address: set the key since instead".to_owned());
        }
        if let Some(contact) = &self.contact
            && (contact.trim().is_empty()
                || !contact.bytes().all(|b| (b' '..=b'~').contains(&b) && !b"()\\".contains(&b)))
        {
            return Err("contact: expected an address of a page or a mailbox in ASCII without brackets, as in \
                        \"mailto:me@example.org\""
                .to_owned());
        }
        if self.silence_max.0 < std::time::Duration::from_secs(1) {
            return Err(format!("silence_max: expected at least 1s, found {}", self.silence_max));
        }
        if !(1 << 10..=1 << 30).contains(&self.event_bytes_max.0) {
            return Err(format!("event_bytes_max: expected 1 KiB to 1 GiB, found {}", self.event_bytes_max));
        }
        Ok(())
    }

    /// The streams as the path names them.
    pub(super) fn streams(&self) -> &str {
        self.url.path_segments().and_then(|mut segments| segments.next_back()).unwrap_or_default()
    }

    /// Their names, one by one.
    pub(super) fn names(&self) -> Vec<String> {
        // A comma in a path need not be escaped, and may be.
        let streams = self.streams().replace("%2C", ",").replace("%2c", ",");
        streams.split(',').map(str::to_owned).collect()
    }

    /// Project and version, and whom to turn to: <https://foundation.wikimedia.org/wiki/Policy:User-Agent_policy>.
    pub(super) fn user_agent(&self) -> String {
        let contact = self.contact.as_deref().unwrap_or("no contact set");
        format!("Lakehead/{} ({contact})", env!("CARGO_PKG_VERSION"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(settings: serde_json::Value) -> Result<(), String> {
        serde_json::from_value::<Config>(settings).map_err(|error| error.to_string())?.check()
    }

    #[test]
    fn settings_that_cannot_work_are_refused_by_their_key() {
        let url = "https://example.org/v2/stream/recentchange";
        assert_eq!(check(serde_json::json!({ "url": url })), Ok(()));
        for (settings, wanted) in [
            (serde_json::json!({}), "missing field `url`"),
            (serde_json::json!({ "url": url, "sinse": "1h" }), "unknown field `sinse`"),
            (serde_json::json!({ "url": "ftp://example.org/a" }), "http or https"),
            (serde_json::json!({ "url": "https://example.org/" }), "name of a stream"),
            (serde_json::json!({ "url": format!("{url}?since=1") }), "set the key since"),
            (serde_json::json!({ "url": url, "since": "yesterday" }), "neither a time"),
            (serde_json::json!({ "url": format!("{url},,x") }), "separated by one comma each"),
            (serde_json::json!({ "url": format!("{url}{}", ",x".repeat(64)) }), "at most 64 streams"),
            (serde_json::json!({ "url": format!("{url}{}", "x".repeat(2_000)) }), "2000 bytes in all"),
            (serde_json::json!({ "url": url, "routes": { "page-create": "a" } }), "`routes.page-create`: url does not"),
            (
                serde_json::json!({ "url": url, "routes": { "recentchange": "a", "mediawiki.recentchange": "b" } }),
                "is the same upstream stream",
            ),
            (serde_json::json!({ "url": url, "routes": { "recentchange": 7 } }), "expected a string"),
            (serde_json::json!({ "url": url, "contact": "a\nb" }), "contact:"),
            (serde_json::json!({ "url": url, "silence_max": "20ms" }), "silence_max:"),
            (serde_json::json!({ "url": url, "event_bytes_max": "10 B" }), "event_bytes_max:"),
        ] {
            let error = check(settings.clone()).expect_err(wanted);
            assert!(error.contains(wanted), "{settings}: {error}");
        }
    }

    #[test]
    fn a_beginning_is_a_time_or_a_span_back() {
        let now = Timestamp::from_seconds(1_000_000);
        assert_eq!("24h".parse::<Since>().expect("a span").time(now), Timestamp::from_seconds(913_600));
        assert_eq!("1970-01-01T00:00:05Z".parse::<Since>().expect("a time").time(now), Timestamp::from_seconds(5));
    }
}
