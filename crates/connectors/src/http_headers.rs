//! Headers that a user sets for each request, whose values are shown nowhere.

use std::{collections::BTreeMap, fmt};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

/// The most headers that may be set: servers refuse requests whose heads have more than some 8 KiB.
const HEADERS_MAX: usize = 32;

/// A value that is sent and never shown.
#[derive(Clone, Deserialize)]
pub(crate) struct Secret(String);

impl Secret {
    /// The value itself, for the request alone.
    pub(crate) fn value(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// The headers of each request. `is_own` says which the request has of itself, in lower case.
///
/// # Errors
/// Which one cannot be, without its value.
pub(crate) fn header_map(
    headers: &BTreeMap<String, Secret>,
    is_own: impl Fn(&str) -> bool,
) -> Result<HeaderMap, String> {
    if headers.len() > HEADERS_MAX {
        return Err(format!("headers: expected at most {HEADERS_MAX}, found {}", headers.len()));
    }
    let mut map = HeaderMap::new();
    for (name, Secret(value)) in headers {
        let header: HeaderName = name.parse().map_err(|_| format!("headers: {name:?} is no name of a header"))?;
        if is_own(header.as_str()) {
            return Err(format!("headers: {name} is made for each request and cannot be set"));
        }
        let mut value: HeaderValue = value.parse().map_err(|_| {
            format!("headers: the value of {name} has characters that a header cannot have, such as a line's end")
        })?;
        value.set_sensitive(true);
        if map.insert(header, value).is_some() {
            return Err(format!("headers: {name} is there twice, in other letters"));
        }
    }
    Ok(map)
}
