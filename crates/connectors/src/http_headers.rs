//! What sources and sinks over HTTP let a user set: an address without secrets, and headers whose values are shown nowhere.

use std::{collections::BTreeMap, fmt};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use url::Url;

/// Headers that the request itself has, and that a setting would only break.
const OWN_HEADERS: &[&str] = &["connection", "content-length", "host", "transfer-encoding"];

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

/// Checks the setting `url`. `instead` says which setting is for what is secret.
///
/// # Errors
/// What cannot be, without a secret.
pub(crate) fn check_url(url: &Url, instead: &str) -> Result<(), String> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("url: expected an address with http or https, found {:?}", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!(
            "url: a name and a password do not belong into the address, which is shown; set {instead}"
        ));
    }
    Ok(())
}

/// The address as it is shown: what stands behind `?` may be secret.
pub(crate) fn shown_url(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

/// Whether the request itself has this header, so that no setting may name it.
pub(crate) fn is_own(header: &HeaderName) -> bool {
    OWN_HEADERS.contains(&header.as_str())
}

/// The headers that the setting `headers` has. `is_made` says which others are made for each request.
///
/// # Errors
/// Which one cannot be, without its value.
pub(crate) fn header_map(
    headers: &BTreeMap<String, Secret>,
    is_made: impl Fn(&HeaderName) -> bool,
) -> Result<HeaderMap, String> {
    if headers.len() > HEADERS_MAX {
        return Err(format!("headers: expected at most {HEADERS_MAX}, found {}", headers.len()));
    }
    let mut map = HeaderMap::new();
    for (name, Secret(value)) in headers {
        let header: HeaderName = name.parse().map_err(|_| format!("headers: {name:?} is no name of a header"))?;
        if is_own(&header) || is_made(&header) {
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
