//! What a user may set, and the requests that it makes.

use std::{collections::BTreeMap, time::Duration};

use lakehead_model::{ByteSize, Span};
use reqwest::header::HeaderMap;
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::{
    cursor::REQUESTS_MAX,
    fingerprint::Fingerprint,
    hidden::Hidden,
    schedule::Schedule,
    template::{UrlTemplate, is_name},
};
use crate::http_headers::{Secret, header_map};

/// Headers that the request itself has, and that a setting would only break.
const OWN_HEADERS: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-length",
    "host",
    "if-modified-since",
    "if-none-match",
    "range",
    "transfer-encoding",
];

/// Longest value of a parameter and of a secret, and most parameters.
const VALUE_BYTES_MAX: usize = 256;
const SECRET_BYTES_MAX: usize = 4 << 10;
const NAMES_MAX: usize = 8;

/// Most keys of a path and most paths whose changes are looked for; a key's bytes.
const KEYS_MAX: usize = 32;
const PATHS_MAX: usize = 64;
const KEY_BYTES_MAX: usize = 256;

/// Settings of a `poll` source.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The address that is asked, by GET, with places in braces for what `each` and `secrets` name, as in
    /// `https://example.org/weather?q={city}&appid={key}`. What is put in is percent-encoded. At most 4 KiB.
    pub(super) url: String,
    /// How long after a request it is made again, from 1s to 366d; the first is made at once. This or `cron`.
    #[serde(default)]
    pub(super) every: Option<Span>,
    /// The times of requests as a cron expression, as in `"*/10 * * * *"`: minute, hour, day, month, weekday, and before them, if
    /// wanted, the second. This or `every`.
    #[serde(default)]
    pub(super) cron: Option<String>,
    /// The time zone of `cron`, as in `"Europe/Athens"`. Default: UTC.
    #[serde(default)]
    pub(super) zone: Option<String>,
    /// What is asked for: for each name in braces its values, as in `each = { city = ["Athens", "Oslo"] }`. Of several names every
    /// combination is asked for; at most 8 names and 400 requests. Default: one request.
    #[serde(default)]
    pub(super) each: BTreeMap<String, Vec<ParameterValue>>,
    /// Values for places in braces that are sent and shown nowhere, as in `secrets = { key = "${OPENWEATHER_KEY}" }`. Default: none.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) secrets: BTreeMap<String, Secret>,
    /// Headers of each request, as in `headers = { Authorization = "Bearer ${API_TOKEN}" }`. Their values are shown nowhere. At
    /// most 32. Default: none.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) headers: BTreeMap<String, Secret>,
    /// Where in an answer the array of events stands, as in `"list"` or `"data.items"`; `""` where the answer is the array. At most
    /// 100,000 events in an answer. Default: an answer is one event.
    #[serde(default)]
    pub(super) events: Option<AnswerPath>,
    /// Whether an answer that is the same as the one before to the same request is left out and counted: `true`, or the paths of
    /// the values that say so, as in `["dt", "main.temp"]`. Requests are conditional then (`ETag`, `Last-Modified`). Default: false,
    /// each answer is an event.
    #[serde(default)]
    pub(super) changed: Option<ChangeTest>,
    /// The key under which each event gets what was asked and when, as in `{"asked":"2026-11-30T12:00:00Z","city":"Athens"}`. The
    /// rest of the event stays byte for byte. Default: none, events are as they were answered.
    #[serde(default)]
    pub(super) request_key: Option<String>,
    /// The most requests a minute, evenly spaced, over all parameters. From 1 to 60,000. Default: 60, which the free plan of
    /// OpenWeatherMap allows.
    #[serde(default = "requests_per_minute_default")]
    pub(super) requests_per_minute: u32,
    /// The longest wait for a whole answer. From 100ms to 10m. Default: 30s.
    #[serde(default = "timeout_default")]
    pub(super) timeout: Span,
    /// The greatest answer that is taken, as it comes and unpacked; a greater one becomes a reject. From 1 KiB to 64 MiB. Default: 4
    /// MiB, the greatest event.
    #[serde(default = "body_bytes_max_default")]
    pub(super) body_bytes_max: ByteSize,
}

fn requests_per_minute_default() -> u32 {
    60
}

fn timeout_default() -> Span {
    Span::seconds(30)
}

fn body_bytes_max_default() -> ByteSize {
    ByteSize::mib(4)
}

/// A value of a parameter.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a value of a parameter is a text or a whole number")]
pub(super) enum ParameterValue {
    /// A whole number.
    Int(i64),
    /// A text.
    Text(String),
}

/// A path of keys in an answer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a path is text as in \"data.items\", or its keys as in [\"data\", \"items\"]")]
pub(super) enum AnswerPath {
    /// Keys with dots between them.
    Dotted(String),
    /// The keys.
    Keys(Vec<String>),
}

/// How a change is told.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected true, false, or paths as in [\"dt\", \"main.temp\"]")]
pub(super) enum ChangeTest {
    /// By the whole answer, or not at all.
    Whole(bool),
    /// By the values at these paths.
    Paths(Vec<AnswerPath>),
}

impl AnswerPath {
    /// Its keys; none for the answer itself.
    pub(super) fn keys(&self) -> Vec<String> {
        match self {
            Self::Dotted(text) if text.is_empty() => Vec::new(),
            Self::Dotted(text) => text.split('.').map(str::to_owned).collect(),
            Self::Keys(keys) => keys.clone(),
        }
    }

    fn check(&self) -> Result<(), String> {
        let keys = self.keys();
        if keys.len() > KEYS_MAX || keys.iter().any(|key| key.is_empty() || key.len() > KEY_BYTES_MAX) {
            return Err(format!(
                "expected a path of at most {KEYS_MAX} keys of 1 to {KEY_BYTES_MAX} bytes, as in \"data.items\""
            ));
        }
        Ok(())
    }
}

/// One request.
#[derive(Debug)]
pub(super) struct PollRequest {
    pub(super) url: Url,
    /// Its parameters by name.
    pub(super) parameters: Vec<(String, String)>,
    /// Which one it is, for people: the address without what stands behind `?`, and its parameters.
    pub(super) label: String,
    /// Which one it is in the cursor.
    pub(super) id: String,
}

impl Config {
    pub(super) fn check(&self) -> Result<(), String> {
        self.schedule()?;
        self.requests()?;
        self.header_map()?;
        self.check_answers()?;
        if !(1..=60_000).contains(&self.requests_per_minute) {
            return Err(format!("requests_per_minute: expected 1 to 60000, found {}", self.requests_per_minute));
        }
        if !(Duration::from_millis(100)..=Duration::from_secs(600)).contains(&self.timeout.0) {
            return Err(format!("timeout: expected 100ms to 10m, found {}", self.timeout));
        }
        if !(1 << 10..=64 << 20).contains(&self.body_bytes_max.0) {
            return Err(format!("body_bytes_max: expected 1 KiB to 64 MiB, found {}", self.body_bytes_max));
        }
        Ok(())
    }

    fn check_answers(&self) -> Result<(), String> {
        if let Some(path) = &self.events {
            path.check().map_err(|what| format!("events: {what}; \"\" where the answer is the array"))?;
        }
        if let Some(ChangeTest::Paths(paths)) = &self.changed {
            if !(1..=PATHS_MAX).contains(&paths.len()) {
                return Err(format!(
                    "changed: expected 1 to {PATHS_MAX} paths, found {}; true for all of an answer",
                    paths.len()
                ));
            }
            for path in paths {
                path.check().map_err(|what| format!("changed: {what}"))?;
            }
        }
        if let Some(key) = &self.request_key
            && !(1..=KEY_BYTES_MAX).contains(&key.len())
        {
            return Err(format!("request_key: expected 1 to {KEY_BYTES_MAX} bytes, found {}", key.len()));
        }
        if self.request_key.is_some() && self.each.contains_key("asked") {
            return Err("each: with request_key the name asked has the time of the request; choose another".to_owned());
        }
        Ok(())
    }

    pub(super) fn schedule(&self) -> Result<Schedule, String> {
        Schedule::new(self.every, self.cron.as_deref(), self.zone.as_deref())
    }

    pub(super) fn header_map(&self) -> Result<HeaderMap, String> {
        header_map(&self.headers, |header| OWN_HEADERS.contains(&header.as_str()))
    }

    /// What is shown nowhere.
    ///
    /// # Errors
    /// When the address cannot be.
    pub(super) fn hidden(&self) -> Result<Hidden, String> {
        let keys = UrlTemplate::parse(&self.url)?.likely_keys();
        let secrets = self.secrets.values().chain(self.headers.values()).map(Secret::value);
        Ok(Hidden::new(secrets.chain(keys.iter().map(String::as_str))))
    }

    /// The requests, one for each combination of parameters: those of the last name change fastest.
    ///
    /// # Errors
    /// What cannot be, without a secret.
    pub(super) fn requests(&self) -> Result<Vec<PollRequest>, String> {
        let template = UrlTemplate::parse(&self.url)?;
        self.check_names(&template)?;
        let segments = segments(&template.fill(|_| Some("x")));
        let combinations = self.combinations()?;
        let mut requests = Vec::with_capacity(combinations.len());
        for parameters in combinations {
            let request = self.request(&template, parameters)?;
            if segments != request.url.path_segments().map(Iterator::count) {
                return Err(format!(
                    "each: {} would be another path; a value must not be \".\" or \"..\"",
                    request.label
                ));
            }
            requests.push(request);
        }
        let mut ids: Vec<&str> = requests.iter().map(|request| request.id.as_str()).collect();
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err("each: a value is there twice; leave one out".to_owned());
        }
        Ok(requests)
    }

    fn request(&self, template: &UrlTemplate, parameters: Vec<(String, String)>) -> Result<PollRequest, String> {
        let value = |name: &str| {
            let of_request = parameters.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
            of_request.or_else(|| self.secrets.get(name).map(Secret::value))
        };
        let said: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        let mut label = template.shown();
        if !said.is_empty() {
            label.push_str(&format!(" ({})", said.join(", ")));
        }
        let url = Url::parse(&template.fill(value)).map_err(|error| format!("url: {label} is no address: {error}"))?;
        let id = Fingerprint::short(&format!("{}\n{}", template.identity(), said.join("\n")));
        Ok(PollRequest { url, parameters, label, id })
    }

    /// Every place has a value, and every value a place.
    fn check_names(&self, template: &UrlTemplate) -> Result<(), String> {
        if let Some(name) =
            template.places().find(|name| !self.each.contains_key(*name) && !self.secrets.contains_key(*name))
        {
            return Err(format!(
                "url: {{{name}}} has no value; set each = {{ {name} = [\"…\"] }}, or secrets = {{ {name} = \"${{…}}\" }}"
            ));
        }
        if let Some(name) = self.each.keys().find(|name| self.secrets.contains_key(*name)) {
            return Err(format!("each and secrets: both have {name}"));
        }
        for (key, name) in
            self.each.keys().map(|name| ("each", name)).chain(self.secrets.keys().map(|name| ("secrets", name)))
        {
            if !is_name(name) {
                return Err(format!(
                    "{key}: {:?} is no name: letters, digits and underscores, at most 64",
                    short(name)
                ));
            }
            if !template.places().any(|place| place == name) {
                return Err(format!("{key}: {name} is not in the address; put {{{name}}} into url, or leave it out"));
            }
        }
        for (name, secret) in &self.secrets {
            if !(1..=SECRET_BYTES_MAX).contains(&secret.value().len()) {
                return Err(format!(
                    "secrets: expected 1 to {SECRET_BYTES_MAX} bytes in {name}, found {}",
                    secret.value().len()
                ));
            }
        }
        Ok(())
    }

    fn combinations(&self) -> Result<Vec<Vec<(String, String)>>, String> {
        if self.each.len() > NAMES_MAX {
            return Err(format!("each: expected at most {NAMES_MAX} names, found {}", self.each.len()));
        }
        if let Some((name, _)) = self.each.iter().find(|(_, values)| values.is_empty()) {
            return Err(format!("each: {name} has no values; write some, or leave it out"));
        }
        let count = self.each.values().fold(1_usize, |count, values| count.saturating_mul(values.len()));
        if count > REQUESTS_MAX {
            return Err(format!(
                "each: expected at most {REQUESTS_MAX} requests, found {count}: the cursor, which says where each stands, may have 64 \
                 KiB; divide the values among several sources"
            ));
        }
        let mut combinations = vec![Vec::new()];
        for (name, values) in &self.each {
            let values = values.iter().map(|value| text(name, value)).collect::<Result<Vec<_>, _>>()?;
            let longer = |combination: &Vec<(String, String)>| {
                let with = |value: &String| {
                    let mut longer = combination.clone();
                    longer.push((name.clone(), value.clone()));
                    longer
                };
                values.iter().map(with).collect::<Vec<_>>()
            };
            combinations = combinations.iter().flat_map(longer).collect();
        }
        Ok(combinations)
    }
}

fn text(name: &str, value: &ParameterValue) -> Result<String, String> {
    let text = match value {
        ParameterValue::Int(number) => number.to_string(),
        ParameterValue::Text(text) => text.clone(),
    };
    if !(1..=VALUE_BYTES_MAX).contains(&text.len()) {
        return Err(format!("each: expected values of 1 to {VALUE_BYTES_MAX} bytes in {name}, found {}", text.len()));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("each: a value of {name} has characters such as a line's end"));
    }
    Ok(text)
}

fn segments(url: &str) -> Option<usize> {
    Url::parse(url).ok()?.path_segments().map(Iterator::count)
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}
