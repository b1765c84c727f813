//! What an answer to OPTIONS says of a target that has been sent nothing yet. Pure.
//!
//! OPTIONS asks what may be done with an address and does nothing (RFC 9110, 9.2.1 and 9.3.7). Many targets do not know it, so
//! what they answer to it says less than what they answer to rows: it proves that they are there, and often whether they let
//! Lakehead in.

use lakehead_connector_api::{Error, Probed};

use super::reply::{Reply, decide};

/// What is left open, however good the answer is.
const UNKNOWN: &str = "whether it takes rows shows with the first request: nothing was sent";

/// What `reply`, whose header `Allow` is `allow`, says of a sink that sends by `method`.
///
/// # Errors
/// What writing would fail with, too.
pub(super) fn judge(reply: &Reply<'_>, allow: Option<&str>, method: &str) -> Result<Probed, Error> {
    let Reply { address, status, .. } = *reply;
    let answers = Probed::found(format!("{address} answers ({status} to OPTIONS)"));
    match (status, allow) {
        (200..=299 | 404 | 405 | 501, Some(allow)) if !allows(allow, method) => Err(Error::unavailable(format!(
            "{address} allows {}, and not {method}; check url and method",
            shown(allow)
        ))),
        (200..=299 | 405, Some(_)) => Ok(answers.but(UNKNOWN)),
        (200..=299, None) => Ok(answers.but(UNKNOWN)),
        // It does not know OPTIONS, or not for this address.
        (400 | 404..=406 | 410..=417 | 422 | 501, _) => {
            Ok(answers.but(format!("it says nothing to OPTIONS; {UNKNOWN}")))
        }
        _ => decide(reply, 1).map(|_| answers.but(UNKNOWN)),
    }
}

/// Whether `allow` has `method`; one that is empty says nothing.
fn allows(allow: &str, method: &str) -> bool {
    let mut methods = allow.split(',').map(str::trim).filter(|one| !one.is_empty()).peekable();
    methods.peek().is_none() || methods.any(|one| one == "*" || one.eq_ignore_ascii_case(method))
}

/// The methods of `allow` that are words, for a person.
fn shown(allow: &str) -> String {
    let is_word =
        |one: &&str| !one.is_empty() && one.len() <= 20 && one.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    allow.split(',').map(str::trim).filter(is_word).take(10).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, allow: Option<&str>) -> Result<Probed, String> {
        let (location, retry_after) = (Some("https://elsewhere/"), None);
        let reply = Reply { address: "http://h/a", status, retry_after, location, body: b"", is_whole: true };
        judge(&reply, allow, "POST").map_err(|error| error.to_string())
    }

    #[test]
    fn a_target_that_is_there_is_found_and_nothing_is_promised() {
        for (status, allow) in [
            (204, Some("OPTIONS, post")),
            (200, None),
            (200, Some("")),
            (405, None),
            (404, None),
            (501, None),
            (400, None),
        ] {
            let probed = judged(status, allow).expect("it is there");
            assert!(probed.found[0].contains(&status.to_string()), "{probed:?}");
            assert!(probed.unknown[0].contains("nothing was sent"), "{probed:?}");
        }
    }

    #[test]
    fn what_rows_would_fail_with_is_found_before() {
        for (status, allow, says) in [
            (401, None, "set headers to what it knows"),
            (403, None, "set headers"),
            (301, None, "leads to \"https://elsewhere/\""),
            (503, None, "answered 503"),
            (429, None, "answered 429"),
            (200, Some("GET, HEAD, b\u{7}d"), "allows GET, HEAD, and not POST"),
            (405, Some("GET"), "allows GET, and not POST"),
            (600, None, "no status of HTTP"),
        ] {
            let error = judged(status, allow).expect_err(says);
            assert!(error.contains(says), "{status}: {error}");
        }
    }
}
