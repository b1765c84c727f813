//! Why an HTTP request failed, for people.

use std::error::Error as _;

/// What caused the error, each cause said once, and without the address, which the caller names.
pub(crate) fn reasons(error: &reqwest::Error) -> String {
    let mut source = error.source();
    let mut reasons = Vec::new();
    while let Some(error) = source {
        let reason = error.to_string();
        if reasons.last().is_none_or(|last: &String| !last.ends_with(&reason)) {
            reasons.push(reason);
        }
        source = error.source();
    }
    if reasons.is_empty() { error.to_string() } else { reasons.join(": ") }
}
