//! What an answer of the target means for the rows of the request. Pure.

use std::time::Duration;

use lakehead_connector_api::{Answer, Error};
use serde::Deserialize;

/// The longest that a `Retry-After` is honoured for; a mistaken one must not stop a sink for a day.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// How much of what the target says is shown, in characters.
const SHOWN_MAX: usize = 200;

/// An answer.
pub(super) struct Reply<'a> {
    pub(super) address: &'a str,
    pub(super) status: u16,
    pub(super) retry_after: Option<&'a str>,
    /// Where a redirect leads.
    pub(super) location: Option<&'a str>,
    /// The body, or its head.
    pub(super) body: &'a [u8],
    /// Whether that is all of it.
    pub(super) is_whole: bool,
}

/// What became of the rows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RequestOutcome {
    /// One answer each.
    Answers(Vec<Answer>),
    /// Refused together; whether each by itself would be shows when fewer are sent at once.
    Split,
}

/// The answers for each row in a body: `{"results":[{"status":200},{"status":422,"error":"no title"}]}`.
#[derive(Deserialize)]
struct Results {
    results: Vec<RowResult>,
}

#[derive(Deserialize)]
struct RowResult {
    status: u16,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    retry_after: Option<u32>,
}

/// What `reply` says of the `rows` rows of its request.
///
/// # Errors
/// When nothing is known of any row: the target is away, or a person must change something first.
pub(super) fn decide(reply: &Reply<'_>, rows: usize) -> Result<RequestOutcome, Error> {
    let Reply { address, status, .. } = *reply;
    let said = said(reply.body);
    match status {
        200..=299 => of_rows(reply, rows).map(RequestOutcome::Answers),
        300..=399 => Err(Error::unavailable(format!(
            "{address} answered {status} and leads to {:?}, which is not followed; set url to where rows are taken",
            shown(reply.location.unwrap_or_default())
        ))),
        401 | 403 | 407 => Err(Error::Invalid(format!(
            "{address} answered {status}{said}; set headers to what it knows Lakehead by, as in \
             headers = {{ Authorization = \"Bearer ${{WEBHOOK_TOKEN}}\" }}"
        ))),
        404 | 405 => Err(Error::unavailable(format!("{address} answered {status}{said}; check url and method"))),
        408 | 425 | 429 | 500..=599 => Err(Error::Unavailable {
            what: format!("{address} answered {status}{said}"),
            retry_after: retry_after(reply.retry_after),
        }),
        400 | 413 | 422 if rows > 1 => Ok(RequestOutcome::Split),
        400..=499 => {
            Ok(RequestOutcome::Answers(vec![Answer::Refused(format!("{address} answered {status}{said}")); rows]))
        }
        _ => Err(Error::unavailable(format!("{address} answered {status}, which is no status of HTTP"))),
    }
}

/// Of a status from 200 to 299: what the body says of each row, or that all are taken.
fn of_rows(reply: &Reply<'_>, rows: usize) -> Result<Vec<Answer>, Error> {
    let Reply { address, status, body, .. } = *reply;
    let unknown = |why: String| {
        Err(Error::Invalid(format!(
            "{address} answered {status} {why}: what became of the rows is not known; see \"Answers\" in \
             `lakehead explain sink http`"
        )))
    };
    let Ok(Results { results }) = serde_json::from_slice(body) else {
        return match (status, reply.is_whole) {
            (207, _) => unknown("without an answer for each row".to_owned()),
            (_, false) if body.trim_ascii_start().starts_with(b"{") => {
                unknown(format!("with more than {} bytes", body.len()))
            }
            _ => Ok(vec![Answer::Done; rows]),
        };
    };
    if results.len() != rows {
        return unknown(format!("with {} results for {rows} rows", results.len()));
    }
    let wait = retry_after(reply.retry_after);
    Ok(results.into_iter().map(|result| of_row(address, result, wait)).collect())
}

fn of_row(address: &str, result: RowResult, wait: Option<Duration>) -> Answer {
    let RowResult { status, error, retry_after } = result;
    match status {
        200..=299 => Answer::Done,
        408 | 425 | 429 | 500..=599 => {
            let own = retry_after.map(|seconds| Duration::from_secs(seconds.into()).min(RETRY_AFTER_MAX));
            Answer::Later(own.or(wait))
        }
        _ => {
            let said = error.map(|error| format!(": {}", shown(&error))).unwrap_or_default();
            Answer::Refused(format!("{address} answered {status} for this row{said}"))
        }
    }
}

/// Of seconds; a date is not read, and then the engine's own pauses hold.
fn retry_after(header: Option<&str>) -> Option<Duration> {
    let seconds = header?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

/// The target's own words: `: no title`.
fn said(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * SHOWN_MAX)]);
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

    fn reply<'a>(status: u16, body: &'a str) -> Reply<'a> {
        let address = "http://h/a";
        Reply { address, status, retry_after: Some("7"), location: Some("/b"), body: body.as_bytes(), is_whole: true }
    }

    #[test]
    fn each_status_says_what_to_do_next() {
        let done = |status, body| {
            assert_eq!(decide(&reply(status, body), 2).expect("known"), RequestOutcome::Answers(vec![Answer::Done; 2]));
        };
        done(200, "");
        done(204, "ok");
        done(200, r#"{"results":"2 rows"}"#);
        for (status, wanted) in [(301, "not followed"), (404, "check url"), (405, "check url")] {
            let error = decide(&reply(status, "gone\nhome"), 2).expect_err("away");
            assert!(matches!(&error, Error::Unavailable { what, .. } if what.contains(wanted)), "{error}");
        }
        for status in [401, 403, 407] {
            assert!(matches!(decide(&reply(status, ""), 2), Err(Error::Invalid(what)) if what.contains("headers")));
        }
        for status in [408, 425, 429, 500, 503] {
            let error = decide(&reply(status, "busy"), 2).expect_err("away");
            let Error::Unavailable { what, retry_after } = error else { panic!("{error}") };
            assert_eq!(
                (what.as_str(), retry_after),
                (&*format!("http://h/a answered {status}: busy"), Some(Duration::from_secs(7)))
            );
        }
        for status in [400, 413, 422] {
            assert!(matches!(decide(&reply(status, ""), 2), Ok(RequestOutcome::Split)), "{status}");
        }
        for (status, rows) in [(400, 1), (413, 1), (409, 2), (415, 1)] {
            let Ok(RequestOutcome::Answers(answers)) = decide(&reply(status, "no title\u{7}"), rows) else {
                panic!("{status}")
            };
            assert_eq!(answers, vec![Answer::Refused(format!("http://h/a answered {status}: no title ")); rows]);
        }
        assert!(decide(&reply(999, ""), 1).is_err());
    }

    #[test]
    fn a_body_may_have_an_answer_for_each_row() {
        let body = r#"{"results":[{"status":201},{"status":422,"error":"no title"},{"status":429},{"status":503,"retry_after":99999}]}"#;
        let Ok(RequestOutcome::Answers(answers)) = decide(&reply(207, body), 4) else { panic!("it has answers") };
        let refused = Answer::Refused("http://h/a answered 422 for this row: no title".to_owned());
        let later = |seconds| Answer::Later(Some(Duration::from_secs(seconds)));
        assert_eq!(answers, [Answer::Done, refused, later(7), later(3_600)]);
        for (status, rows, body) in [(200, 3, body), (207, 1, "ok"), (207, 1, "{}")] {
            let error = decide(&reply(status, body), rows).expect_err("nothing is known");
            assert!(matches!(&error, Error::Invalid(what) if what.contains("not known")), "{error}");
        }
        let cut = Reply { is_whole: false, ..reply(200, r#" {"results":[{"status":201},"#) };
        assert!(decide(&cut, 2).is_err(), "an answer that is cut may have refused a row");
        let cut = Reply { is_whole: false, ..reply(200, "<html>") };
        assert!(decide(&cut, 2).is_ok());
    }

    #[test]
    fn a_wait_is_bounded_and_a_long_answer_is_cut() {
        assert_eq!(retry_after(Some(" 120 ")), Some(Duration::from_secs(120)));
        assert_eq!(retry_after(Some("99999999")), Some(RETRY_AFTER_MAX));
        assert_eq!(retry_after(Some("Wed, 21 Oct 2026 07:28:00 GMT")), None);
        assert_eq!(said("ä".repeat(5_000).as_bytes()).chars().count(), SHOWN_MAX + 2);
    }
}
