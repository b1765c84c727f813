//! What a user may set.

use std::{collections::BTreeMap, time::Duration};

use lakehead_connector_api::wrappers::CutLimits;
use lakehead_model::{ByteSize, Span};
use reqwest::header::{HeaderMap, HeaderName};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::http_headers::{Secret, header_map};

/// Headers that the request itself has, and that a setting would only break.
const OWN_HEADERS: &[&str] = &["connection", "content-length", "host", "transfer-encoding"];

/// Settings of an `http` sink.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Where rows are sent to: an address with `http` or `https`, without name and password. What is secret goes into `headers`.
    #[schemars(with = "String")]
    pub(super) url: Url,
    /// `POST` or `PUT`. Default: `POST`.
    #[serde(default)]
    pub(super) method: Method,
    /// What a request has in it: `lines`, a row a line (`application/x-ndjson`); `array`, one JSON array of rows; `row`, one row
    /// (`application/json` both). Default: `lines`.
    #[serde(default)]
    pub(super) body: BodyFormat,
    /// Headers of each request, as in `headers = { Authorization = "Bearer ${WEBHOOK_TOKEN}" }`. Their values are shown nowhere.
    /// A `Content-Type` takes the place of the one that goes with `body`. At most 32. Default: none.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) headers: BTreeMap<String, Secret>,
    /// The header that names the rows of a request, the same when they are sent again: see "Sent twice". Default:
    /// `Idempotency-Key`.
    #[serde(default = "key_header_default")]
    pub(super) key_header: String,
    /// The longest wait for a whole answer. What then became of the rows is not known, and they are sent again. From 100ms to
    /// 10m. Default: 30s.
    #[serde(default = "timeout_default")]
    pub(super) timeout: Span,
    /// With `lines` and `array`: the most rows in a request. From 1 to 100,000. Default: 1,000.
    #[serde(default)]
    pub(super) batch_rows: Option<u32>,
    /// With `lines` and `array`: the most bytes of rows in a request; a larger row goes by itself. From 1 KiB to 64 MiB. Default:
    /// 1 MiB, which servers take by default (nginx: `client_max_body_size`).
    #[serde(default)]
    pub(super) batch_bytes: Option<ByteSize>,
    /// The most rows a second, for targets that count them; after a pause as many go at once. From 1 to 1,000,000. Default: no
    /// limit.
    #[serde(default)]
    pub(super) rows_per_second: Option<u32>,
}

fn key_header_default() -> String {
    "Idempotency-Key".to_owned()
}

fn timeout_default() -> Span {
    Span::seconds(30)
}

/// How a request is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Method {
    #[default]
    Post,
    Put,
}

/// What a request has in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum BodyFormat {
    #[default]
    Lines,
    Array,
    Row,
}

impl BodyFormat {
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Lines => "application/x-ndjson",
            Self::Array | Self::Row => "application/json",
        }
    }
}

impl Config {
    pub(super) fn check(&self) -> Result<(), String> {
        if !matches!(self.url.scheme(), "http" | "https") {
            return Err(format!("url: expected an address with http or https, found {:?}", self.url.scheme()));
        }
        if !self.url.username().is_empty() || self.url.password().is_some() {
            return Err("url: a name and a password do not belong into the address, which is shown; set \
                        headers = { Authorization = \"Basic ${WEBHOOK_BASIC}\" }"
                .to_owned());
        }
        self.header_map()?;
        self.key_name()?;
        if !(Duration::from_millis(100)..=Duration::from_secs(600)).contains(&self.timeout.0) {
            return Err(format!("timeout: expected 100ms to 10m, found {}", self.timeout));
        }
        if let Some(rows) = self.batch_rows.filter(|rows| !(1..=100_000).contains(rows)) {
            return Err(format!("batch_rows: expected 1 to 100000, found {rows}"));
        }
        if let Some(bytes) = self.batch_bytes.filter(|bytes| !(1 << 10..=64 << 20).contains(&bytes.0)) {
            return Err(format!("batch_bytes: expected 1 KiB to 64 MiB, found {bytes}"));
        }
        if self.body == BodyFormat::Row && (self.batch_rows.is_some() || self.batch_bytes.is_some()) {
            return Err(
                "batch_rows and batch_bytes: only with body = \"lines\" or \"array\"; a request has one row".to_owned()
            );
        }
        if let Some(rows) = self.rows_per_second.filter(|rows| !(1..=1_000_000).contains(rows)) {
            return Err(format!("rows_per_second: expected 1 to 1000000, found {rows}"));
        }
        Ok(())
    }

    /// The headers of each request.
    ///
    /// # Errors
    /// Which one cannot be, without its value.
    pub(super) fn header_map(&self) -> Result<HeaderMap, String> {
        header_map(&self.headers, |header| {
            OWN_HEADERS.contains(&header) || header.eq_ignore_ascii_case(&self.key_header)
        })
    }

    pub(super) fn key_name(&self) -> Result<HeaderName, String> {
        let name = &self.key_header;
        let header: Option<HeaderName> = name.parse().ok();
        header.filter(|header| !OWN_HEADERS.contains(&header.as_str())).ok_or_else(|| {
            format!("key_header: expected the name of a header, as in \"Idempotency-Key\", found {name:?}")
        })
    }

    /// The most that one request has.
    pub(super) fn cut(&self) -> CutLimits {
        match self.body {
            BodyFormat::Row => CutLimits { rows_max: 1, bytes_max: usize::MAX },
            BodyFormat::Lines | BodyFormat::Array => CutLimits {
                rows_max: self.batch_rows.unwrap_or(1_000) as usize,
                bytes_max: usize::try_from(self.batch_bytes.unwrap_or(ByteSize::mib(1)).0).unwrap_or(usize::MAX),
            },
        }
    }

    /// The address as it is shown: what stands behind `?` may be secret.
    pub(super) fn address(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        url.set_fragment(None);
        url.to_string()
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
        let url = "https://example.org/hook";
        assert_eq!(check(&json!({ "url": url, "body": "row", "headers": { "Authorization": "Bearer x" } })), Ok(()));
        for (settings, wanted) in [
            (json!({}), "missing field `url`"),
            (json!({ "url": url, "methd": "POST" }), "unknown field `methd`"),
            (json!({ "url": "ftp://example.org" }), "url: expected an address with http or https"),
            (json!({ "url": "https://me:secret@example.org" }), "url: a name and a password"),
            (json!({ "url": url, "method": "GET" }), "`POST` or `PUT`"),
            (json!({ "url": url, "body": "csv" }), "`lines`, `array`"),
            (json!({ "url": url, "headers": { "a b": "" } }), "headers: \"a b\""),
            (json!({ "url": url, "headers": { "Host": "x" } }), "headers: Host is made"),
            (json!({ "url": url, "headers": { "idempotency-key": "x" } }), "headers: idempotency-key is made"),
            (json!({ "url": url, "headers": { "A": "1", "a": "2" } }), "headers: a is there twice"),
            (json!({ "url": url, "headers": { "A": "secret\r\nX: y" } }), "headers: the value of A"),
            (json!({ "url": url, "key_header": "" }), "key_header:"),
            (json!({ "url": url, "timeout": "1ms" }), "timeout: expected 100ms"),
            (json!({ "url": url, "batch_rows": 0 }), "batch_rows: expected 1"),
            (json!({ "url": url, "batch_bytes": "1 GiB" }), "batch_bytes: expected 1 KiB"),
            (json!({ "url": url, "body": "row", "batch_rows": 5 }), "only with body"),
            (json!({ "url": url, "rows_per_second": 0 }), "rows_per_second: expected 1"),
        ] {
            let error = check(&settings).expect_err(wanted);
            assert!(error.contains(wanted) && !error.contains("secret"), "{settings}: {error}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let settings = json!({ "url": "https://h/a?token=secret", "headers": { "Authorization": "secret" } });
        let config: Config = serde_json::from_value(settings).expect("settings");
        assert_eq!(config.address(), "https://h/a");
        let map = config.header_map().expect("a header");
        assert!(!format!("{:?} {map:?}", config.headers).contains("secret"));
    }
}
