//! What an answer means, by its status: what we do next. Pure.

use std::time::Duration;

use lakehead_model::Timestamp;

/// The longest that a `Retry-After` is honoured for; a mistaken one must not stop a request for a day.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// How much of what a server says is shown, in characters.
const SHOWN_MAX: usize = 200;

/// The head of an answer.
pub(super) struct AnswerHead<'a> {
    pub(super) status: u16,
    pub(super) retry_after: Option<&'a str>,
    /// The server that a redirect leads to, without path and query, which may have a key in them.
    pub(super) leads_to: Option<&'a str>,
    /// The body of an answer that is no event, or its head.
    pub(super) said: &'a [u8],
    /// Whether the request was conditional.
    pub(super) was_conditional: bool,
}

/// What becomes of the request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The body is the answer.
    Answered,
    /// There is nothing now.
    Nothing,
    /// The answer is the one before.
    NotModified,
    /// The server does not answer this request, and says so for good. It is made again when it is due.
    Refused(String),
    /// It is made again sooner than that.
    Failed(RequestFailure),
}

/// A request without an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RequestFailure {
    /// What happened, for a person.
    pub(super) what: String,
    /// How long the server asked to be left alone.
    pub(super) retry_after: Option<Duration>,
    /// Whom it concerns.
    pub(super) reach: Reach,
}

/// Whom a failure concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// This request; others are made meanwhile.
    Request,
    /// This request, and a person must change something: it is made again when it is due, not sooner.
    Person,
    /// All requests wait: we ask too much.
    Everyone,
    /// The server cannot be reached, whatever is asked.
    Server,
}

impl RequestFailure {
    /// Of this request.
    pub(super) fn new(what: String) -> Self {
        Self { what, retry_after: None, reach: Reach::Request }
    }
}

/// What `head` means at `now`.
pub(super) fn meaning(head: &AnswerHead<'_>, now: Timestamp) -> Meaning {
    let AnswerHead { status, .. } = *head;
    let said = said(head.said);
    let failed = |what: String, reach| {
        let retry_after = head.retry_after.and_then(|text| retry_after(text, now));
        Meaning::Failed(RequestFailure { what, retry_after, reach })
    };
    match status {
        204 | 205 => Meaning::Nothing,
        206 => failed("answered 206, a part that was not asked for".to_owned(), Reach::Request),
        200..=299 => Meaning::Answered,
        304 if head.was_conditional => Meaning::NotModified,
        304 => failed("answered 304 to a request that was not conditional".to_owned(), Reach::Request),
        // Not for good: a network's sign-in page redirects everything while it lasts.
        300..=399 => failed(
            format!(
                "answered {status} and leads to {:?}, which is not followed: another host, http in place of https, or in a circle; \
                 set url to where the answers are",
                shown(head.leads_to.unwrap_or_default())
            ),
            Reach::Request,
        ),
        401 | 403 | 407 => {
            failed(format!("answered {status}{said}; check the key in secrets, headers or url"), Reach::Person)
        }
        429 => failed(format!("answered 429{said}; lower requests_per_minute if it comes often"), Reach::Everyone),
        408 | 425 | 500..=599 => failed(format!("answered {status}{said}"), Reach::Request),
        400..=499 => Meaning::Refused(format!("answered {status}{said}")),
        _ => failed(format!("answered {status}, which is no status of HTTP"), Reach::Request),
    }
}

/// Seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
            Timestamp(date.as_microsecond()).since(now)
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// The server's own words: `: city not found`. Of a problem in JSON its words alone.
fn said(body: &[u8]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let word = |key: &str| json.as_ref()?.get(key)?.as_str().map(str::to_owned);
    let words = ["message", "detail", "error", "title"].into_iter().find_map(word);
    let text = words.unwrap_or_else(|| String::from_utf8_lossy(&body[..body.len().min(4 * SHOWN_MAX)]).into_owned());
    let text = text.trim();
    if text.is_empty() { String::new() } else { format!(": {}", shown(text)) }
}

/// The beginning of a text from outside, on one line.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, said: &str, retry_after: Option<&str>) -> Meaning {
        let now: Timestamp = "2026-11-30T12:00:00Z".parse().expect("a time");
        let leads_to = Some("http://elsewhere");
        meaning(
            &AnswerHead { status, retry_after, leads_to, said: said.as_bytes(), was_conditional: status == 304 },
            now,
        )
    }

    #[test]
    fn each_status_says_what_to_do_next() {
        assert_eq!((of(200, "", None), of(203, "", None)), (Meaning::Answered, Meaning::Answered));
        assert_eq!((of(204, "", None), of(304, "", None)), (Meaning::Nothing, Meaning::NotModified));
        let refused = |what: &str| Meaning::Refused(what.to_owned());
        assert_eq!(
            of(404, r#"{"cod":"404","message":"city not found"}"#, None),
            refused("answered 404: city not found")
        );
        assert_eq!(of(400, "<html>\nno", None), refused("answered 400: <html> no"));
        for (status, reach, wanted) in [
            (206, Reach::Request, "not asked for"),
            (301, Reach::Request, "\"http://elsewhere\", which is not followed"),
            (401, Reach::Person, "check the key"),
            (403, Reach::Person, "check the key"),
            (429, Reach::Everyone, "lower requests_per_minute"),
            (500, Reach::Request, "answered 500"),
            (100, Reach::Request, "no status of HTTP"),
            (999, Reach::Request, "no status of HTTP"),
        ] {
            let Meaning::Failed(failure) = of(status, "", None) else { panic!("{status}") };
            assert!(failure.reach == reach && failure.what.contains(wanted), "{failure:?}");
        }
        let head = AnswerHead { status: 304, retry_after: None, leads_to: None, said: b"", was_conditional: false };
        assert!(matches!(meaning(&head, Timestamp(0)), Meaning::Failed(_)), "nothing was there to be not modified");
    }

    #[test]
    fn a_wait_is_seconds_or_a_date_and_bounded() {
        let wait = |text| match of(503, "", Some(text)) {
            Meaning::Failed(failure) => failure.retry_after.map(|wait| wait.as_secs()),
            other => panic!("{other:?}"),
        };
        assert_eq!(wait(" 120 "), Some(120));
        assert_eq!(wait("Mon, 30 Nov 2026 12:00:30 GMT"), Some(30));
        assert_eq!(wait("Sun, 29 Nov 2026 12:00:00 GMT"), Some(0));
        assert_eq!(wait("99999999"), Some(3_600));
        assert_eq!(wait("99999999999999999999999"), None);
        assert_eq!((wait("soon"), wait("-5"), wait("")), (None, None, None));
        assert_eq!(said("ä".repeat(5_000).as_bytes()).chars().count(), SHOWN_MAX + 2);
    }
}
