//! What the upstream means when it does not answer with a stream: each status as what we do next.

use std::time::Duration;

use lakehead_connector_api::Error;
use serde::Deserialize;

/// Most of an error's body that is read.
pub(super) const BODY_BYTES_MAX: usize = 16 << 10;

/// The longest that a `Retry-After` is honoured for; a mistaken one must not stop a source for a day.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// An answer that is no stream.
pub(super) struct Answer<'a> {
    pub(super) address: &'a str,
    pub(super) status: u16,
    pub(super) content_type: &'a str,
    /// Where a redirect leads that was not followed.
    pub(super) location: &'a str,
    pub(super) retry_after: Option<&'a str>,
    pub(super) body: &'a [u8],
}

/// The problem documents of EventStreams (`title`, `detail`) and of KafkaSSE (`message`).
#[derive(Deserialize)]
struct Problem {
    detail: Option<String>,
    message: Option<String>,
    title: Option<String>,
}

/// What to do about an answer that is no stream.
pub(super) fn refusal(answer: &Answer<'_>) -> Error {
    let Answer { address, status, .. } = answer;
    let said = said(answer);
    match status {
        200..=299 => Error::unavailable(format!(
            "{address} answered {status} with {}, expected text/event-stream: is this the address of a stream?{said}",
            if answer.content_type.is_empty() { "no content type" } else { answer.content_type }
        )),
        // Not for good: a network's sign-in page redirects everything while it lasts.
        300..=399 => {
            let location: String = answer.location.chars().take(400).collect();
            Error::unavailable(format!(
                "{address} answered {status} and leads to {location:?}, which is not followed: another host, http in place of \
                 https, or in a circle; set url to where the stream is"
            ))
        }
        403 => Error::Invalid(format!(
            "{address} answered 403 Forbidden{said}: Wikimedia refuses clients that do not say whom to turn to; set \
             contact to the address of a page or a mailbox (https://foundation.wikimedia.org/wiki/Policy:User-Agent_policy)"
        )),
        408 | 425 | 429 | 500..=599 => Error::Unavailable {
            what: format!("{address} answered {status}{said}"),
            retry_after: answer
                .retry_after
                .and_then(|seconds| seconds.trim().parse().ok())
                .map(|seconds| Duration::from_secs(seconds).min(RETRY_AFTER_MAX)),
        },
        _ => Error::Invalid(format!("{address} answered {status}{said}; check url")),
    }
}

/// The upstream's own words, where it has any: `: Stream Not Found, Invalid streams: a`.
fn said(answer: &Answer<'_>) -> String {
    let Ok(problem) = serde_json::from_slice::<Problem>(answer.body) else { return String::new() };
    let words: Vec<String> = [problem.title, problem.detail, problem.message].into_iter().flatten().collect();
    if words.is_empty() {
        return String::new();
    }
    let mut said = words.join(", ");
    if let Some((end, _)) = said.char_indices().nth(400) {
        said.truncate(end);
    }
    format!(": {said}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str, retry_after: Option<&str>) -> Error {
        let (address, content_type) = ("http://u/s", "text/html");
        refusal(&Answer { address, status, content_type, location: "", retry_after, body: body.as_bytes() })
    }

    #[test]
    fn each_status_says_what_to_do_next() {
        let invalid = |status, body, wanted: &str| {
            let error = answer(status, body, None);
            assert!(matches!(&error, Error::Invalid(what) if what.contains(wanted)), "{error}");
        };
        invalid(400, r#"{"title":"Stream Not Found","detail":"Invalid streams: a"}"#, "Invalid streams: a");
        invalid(404, r#"{"message":"topic x is not available"}"#, "topic x is not available");
        invalid(403, "<html>", "contact");
        for (status, retry_after, wait) in [
            (429, Some("120"), Some(120)),
            (503, Some("99999999"), Some(3600)),
            (502, None, None),
            (500, Some("x"), None),
        ] {
            let error = answer(status, "", retry_after);
            let wait = wait.map(Duration::from_secs);
            assert!(matches!(&error, Error::Unavailable { retry_after, .. } if *retry_after == wait), "{error}");
        }
        let error = answer(200, "", None);
        assert!(matches!(&error, Error::Unavailable { what, .. } if what.contains("text/html")), "{error}");
    }
}
