//! What a user may set.

use std::{collections::BTreeMap, time::Duration};

use lakehead_model::{ByteSize, EVENT_BYTES_MAX, Span};
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::{identity::IdentityPath, last_id::sendable};
use crate::http_headers::{Secret, check_url, header_map, shown_url};

/// The headers that are made for each request.
const MADE_HEADERS: &[&str] = &["accept", "accept-encoding", "cache-control", "last-event-id"];

/// Most names of events in `events`, and bytes of one.
const EVENTS_MAX: usize = 64;
const EVENT_NAME_BYTES_MAX: usize = 256;

/// Settings of an `sse` source.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Address of the feed, with `http` or `https`, without name and password. What is secret goes into `headers`; what stands
    /// behind `?` is sent and not shown.
    #[schemars(with = "String")]
    pub(super) url: Url,
    /// Headers of each request, as in `headers = { Authorization = "Bearer ${FEED_TOKEN}" }`. Their values are shown nowhere. At
    /// most 32. Default: none.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) headers: BTreeMap<String, Secret>,
    /// The names of the events that are taken, as in `["update", "message"]`; an event without a name is a `message`. At most 64.
    /// Default: all events, whatever their names.
    #[serde(default)]
    pub(super) events: Option<Vec<String>>,
    /// Where an event says which one it is: a path as in `"meta.id"`, or its keys as in `["meta", "id"]`. What comes again with
    /// the same value there is dropped. Default: an event is known again by its SSE id and its data together, where it has an id.
    #[serde(default)]
    pub(super) identity: Option<IdentityPath>,
    /// The id to begin behind when nothing is held yet, for feeds that give what they keep: often `"0"`. Default: as the feed
    /// begins without an id, mostly from now on.
    #[serde(default)]
    pub(super) start_after: Option<String>,
    /// The longest time without a whole event or comment before the connection counts as lost, whatever else comes. Longer than
    /// the feed is ever quiet. From 1s to 1d. Default: 60s, four times the interval at which the HTML Living Standard (9.2.7,
    /// authoring notes) tells servers to send a comment.
    #[serde(default = "silence_max_default")]
    pub(super) silence_max: Span,
    /// The greatest event that is taken; a greater one becomes a reject. From 1 KiB to 4 MiB. Default: 4 MiB, which is the most
    /// that a stream takes.
    #[serde(default = "event_bytes_max_default")]
    pub(super) event_bytes_max: ByteSize,
    /// Whether the feed is asked to compress with gzip. It saves bytes, and servers that compress may hold events back. Default:
    /// false; what comes compressed all the same is read.
    #[serde(default)]
    pub(super) gzip: bool,
}

fn silence_max_default() -> Span {
    Span::seconds(60)
}

fn event_bytes_max_default() -> ByteSize {
    ByteSize(EVENT_BYTES_MAX as u64)
}

impl Config {
    pub(super) fn check(&self) -> Result<(), String> {
        check_url(&self.url, "headers = { Authorization = \"Basic ${FEED_BASIC}\" }")?;
        self.header_map()?;
        if let Some(events) = &self.events {
            check_events(events)?;
        }
        if let Some(identity) = &self.identity {
            identity.check()?;
        }
        if let Some(id) = &self.start_after
            && (id.is_empty() || sendable(id.as_bytes()).is_none())
        {
            return Err(
                "start_after: expected the id of an event: 1 to 4096 bytes without control characters".to_owned()
            );
        }
        if !(Duration::from_secs(1)..=Duration::from_secs(86_400)).contains(&self.silence_max.0) {
            return Err(format!("silence_max: expected 1s to 1d, found {}", self.silence_max));
        }
        if !(1 << 10..=EVENT_BYTES_MAX as u64).contains(&self.event_bytes_max.0) {
            return Err(format!("event_bytes_max: expected 1 KiB to 4 MiB, found {}", self.event_bytes_max));
        }
        Ok(())
    }

    /// The headers of each request.
    ///
    /// # Errors
    /// Which one cannot be, without its value.
    pub(super) fn header_map(&self) -> Result<HeaderMap, String> {
        let is_made = |header: &HeaderName| MADE_HEADERS.contains(&header.as_str());
        let mut map = HeaderMap::new();
        map.insert(USER_AGENT, HeaderValue::from_static(concat!("Lakehead/", env!("CARGO_PKG_VERSION"))));
        if self.gzip {
            map.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        }
        map.extend(header_map(&self.headers, is_made)?);
        Ok(map)
    }

    /// The address as it is shown.
    pub(super) fn address(&self) -> String {
        shown_url(&self.url)
    }

    /// The greatest event, in bytes.
    pub(super) fn event_bytes_max(&self) -> usize {
        usize::try_from(self.event_bytes_max.0).unwrap_or(usize::MAX)
    }
}

fn check_events(events: &[String]) -> Result<(), String> {
    if !(1..=EVENTS_MAX).contains(&events.len()) {
        return Err(format!(
            "events: expected 1 to {EVENTS_MAX} names, as in [\"update\"], found {}; without the key all events are taken",
            events.len()
        ));
    }
    let is_wrong = |name: &&String| name.is_empty() || name.len() > EVENT_NAME_BYTES_MAX || name.contains(['\n', '\r']);
    match events.iter().find(is_wrong) {
        None => Ok(()),
        Some(name) => {
            let shown: String = name.chars().take(40).collect();
            Err(format!(
                "events: expected names of one line and 1 to {EVENT_NAME_BYTES_MAX} bytes, found {shown:?}; events without a \
                 name are \"message\""
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(settings: &serde_json::Value) -> Result<(), String> {
        serde_json::from_value::<Config>(settings.clone()).map_err(|error| error.to_string())?.check()
    }

    #[test]
    fn settings_that_cannot_work_are_refused_by_their_key() {
        let url = "https://example.org/feed";
        let all = json!({ "url": url, "headers": { "Authorization": "Bearer x", "User-Agent": "me" }, "events": ["a"],
                          "identity": ["meta", "id"], "start_after": "0", "silence_max": "5m", "gzip": true });
        assert_eq!(check(&all), Ok(()));
        for (settings, wanted) in [
            (json!({}), "missing field `url`"),
            (json!({ "url": url, "hedders": {} }), "unknown field `hedders`"),
            (json!({ "url": "ftp://example.org/a" }), "url: expected an address with http or https"),
            (json!({ "url": "https://me:secret@example.org" }), "url: a name and a password"),
            (json!({ "url": url, "headers": { "Last-Event-ID": "5" } }), "headers: Last-Event-ID is made"),
            (json!({ "url": url, "headers": { "Host": "x" } }), "headers: Host is made"),
            (json!({ "url": url, "headers": { "A": "secret\r\nX: y" } }), "headers: the value of A"),
            (json!({ "url": url, "events": [] }), "events: expected 1 to 64 names"),
            (json!({ "url": url, "events": [""] }), "events: expected names of one line"),
            (json!({ "url": url, "events": ["a\nb"] }), "events: expected names of one line"),
            (json!({ "url": url, "identity": "" }), "identity: expected"),
            (json!({ "url": url, "identity": "meta..id" }), "identity: expected"),
            (json!({ "url": url, "identity": [] }), "identity: expected"),
            (json!({ "url": url, "identity": 7 }), "a path is text"),
            (json!({ "url": url, "start_after": "" }), "start_after: expected"),
            (json!({ "url": url, "start_after": "a\u{1}" }), "start_after: expected"),
            (json!({ "url": url, "silence_max": "20ms" }), "silence_max: expected 1s"),
            (json!({ "url": url, "silence_max": "2d" }), "silence_max: expected 1s"),
            (json!({ "url": url, "event_bytes_max": "10 B" }), "event_bytes_max: expected 1 KiB"),
            (json!({ "url": url, "event_bytes_max": "5 MiB" }), "event_bytes_max: expected 1 KiB"),
            (json!({ "url": url, "gzip": "yes" }), "gzip"),
        ] {
            let error = check(&settings).err().unwrap_or_default();
            assert!(error.contains(wanted) || wanted == "gzip" && error.contains("boolean"), "{settings}: {error:?}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
