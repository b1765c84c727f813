//! What the upstream means when it does not answer with a stream: each status as what we do next.

use std::time::Duration;

use lakehead_connector_api::Error;
use lakehead_json::Raw;
use lakehead_model::TimeFormat;
use serde::Deserialize;

/// Most of an error's body that is read.
pub(super) const BODY_BYTES_MAX: usize = 16 << 10;

/// The longest that a `Retry-After` is honoured for; a mistaken one must not stop a source for a day.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// How much of the upstream's own words is shown, in characters.
const SHOWN_MAX: usize = 400;

/// An answer that is no stream.
#[derive(Debug, Default)]
pub(crate) struct NoStream {
    /// The address as it is shown.
    pub(crate) address: String,
    pub(crate) status: u16,
    pub(crate) content_type: String,
    /// Where a redirect leads that was not followed.
    pub(crate) location: String,
    pub(crate) retry_after: String,
    /// When the answer was made, by the upstream's clock.
    pub(crate) date: String,
    pub(crate) body: Vec<u8>,
}

/// The problem documents of EventStreams (`title`, `detail`) and of KafkaSSE (`message`).
#[derive(Deserialize)]
struct Problem {
    detail: Option<String>,
    message: Option<String>,
    title: Option<String>,
}

impl NoStream {
    /// What to do about it. `unknown_client` says what to set where the upstream does not know us, or refuses us.
    pub(crate) fn error(&self, unknown_client: &str) -> Error {
        let Self { address, status, .. } = self;
        let said = self.said();
        match status {
            200..=299 => Error::unavailable(format!(
                "{address} answered {status} with {}, expected text/event-stream: is this the address of a stream?{said}",
                if self.content_type.is_empty() { "no content type" } else { &self.content_type }
            )),
            // Not for good: a network's sign-in page redirects everything while it lasts.
            300..=399 => {
                let location: String = self.location.chars().take(SHOWN_MAX).collect();
                Error::unavailable(format!(
                    "{address} answered {status} and leads to {location:?}, which is not followed: another host or port, http \
                     in place of https, or in a circle; set url to where the stream is"
                ))
            }
            401 | 403 | 407 => Error::Invalid(format!("{address} answered {status}{said}: {unknown_client}")),
            408 | 425 | 429 | 500..=599 => Error::Unavailable {
                what: format!("{address} answered {status}{said}"),
                retry_after: self.retry_after(),
            },
            _ => Error::Invalid(format!("{address} answered {status}{said}; check url")),
        }
    }

    /// How long to wait, by seconds or by a date (RFC 9110, section 10.2.3). A date is held against the upstream's own clock.
    fn retry_after(&self) -> Option<Duration> {
        let text = self.retry_after.trim();
        let wait = match text.parse() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() => RETRY_AFTER_MAX,
            Err(_) => http_date(text)?.since(http_date(&self.date)?),
        };
        Some(wait.min(RETRY_AFTER_MAX))
    }

    /// The upstream's own words, where it has any: `: Stream Not Found, Invalid streams: a`.
    fn said(&self) -> String {
        let Ok(problem) = serde_json::from_slice::<Problem>(&self.body) else { return String::new() };
        let words: Vec<String> = [problem.title, problem.detail, problem.message].into_iter().flatten().collect();
        if words.is_empty() {
            return String::new();
        }
        let mut said = words.join(", ");
        if let Some((end, _)) = said.char_indices().nth(SHOWN_MAX) {
            said.truncate(end);
        }
        format!(": {said}")
    }
}

/// A date as HTTP writes it: `Sat, 28 Nov 2026 11:30:00 GMT`.
fn http_date(text: &str) -> Option<lakehead_model::Timestamp> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" ,:-".contains(&byte));
    is_plain.then(|| format!("\"{text}\"")).and_then(|json| Raw::new(json.as_bytes()).as_time(TimeFormat::HttpDate))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str, retry_after: &str) -> Error {
        let (address, content_type) = ("http://u/s".to_owned(), "text/html".to_owned());
        let (retry_after, body) = (retry_after.to_owned(), body.as_bytes().to_vec());
        let date = "Sat, 28 Nov 2026 11:30:00 GMT".to_owned();
        NoStream { address, status, content_type, retry_after, date, body, location: String::new() }
            .error("set contact")
    }

    #[test]
    fn each_status_says_what_to_do_next() {
        let invalid = |status, body, wanted: &str| {
            let error = answer(status, body, "");
            assert!(matches!(&error, Error::Invalid(what) if what.contains(wanted)), "{error}");
        };
        invalid(400, r#"{"title":"Stream Not Found","detail":"Invalid streams: a"}"#, "Invalid streams: a");
        invalid(404, r#"{"message":"topic x is not available"}"#, "topic x is not available");
        invalid(401, "<html>", "set contact");
        invalid(403, "<html>", "set contact");
        for (status, retry_after, wait) in [
            (429, "120", Some(120)),
            (503, "99999999", Some(3600)),
            (503, "99999999999999999999999", Some(3600)),
            (503, "Sat, 28 Nov 2026 11:32:00 GMT", Some(120)),
            (503, "Sat, 28 Nov 2026 11:00:00 GMT", Some(0)),
            (503, "Sat, 28 Nov \" 11:00:00 GMT", None),
            (502, "", None),
            (500, "x", None),
        ] {
            let error = answer(status, "", retry_after);
            let wait = wait.map(Duration::from_secs);
            assert!(
                matches!(&error, Error::Unavailable { retry_after, .. } if *retry_after == wait),
                "{error}: {error:?}"
            );
        }
        let error = answer(200, "", "");
        assert!(matches!(&error, Error::Unavailable { what, .. } if what.contains("text/html")), "{error}");
    }
}
