//! The address of the requests, with places in braces: `https://…/weather?q={city}&appid={key}`.
//!
//! What is put in is percent-encoded, so that a value can never be more than a part of a path's segment or of a query's value.
//! The scheme, the host and the port are the user's own words: no value chooses whom Lakehead speaks to.

use url::Url;

/// Longest address with its places in braces; servers refuse lines of requests beyond some 8 KiB.
const ADDRESS_BYTES_MAX: usize = 4 << 10;

/// Literal values of the query that have at least so many bytes are taken for keys, and are shown nowhere: those of the APIs that
/// we know have 16 to 64, and words such as `metric` have fewer.
const KEY_BYTES_MIN: usize = 16;

/// An address with places.
#[derive(Clone)]
pub(super) struct UrlTemplate {
    pieces: Vec<TemplatePiece>,
}

#[derive(Clone)]
enum TemplatePiece {
    Text(String),
    /// What stands between braces.
    Place(String),
}

impl UrlTemplate {
    /// Takes `text` apart.
    ///
    /// # Errors
    /// What is wrong with it, without showing what may be secret.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > ADDRESS_BYTES_MAX {
            return Err(format!("url: expected at most {ADDRESS_BYTES_MAX} bytes, found {}", text.len()));
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, after) = rest.split_at(at);
            let place = after.strip_prefix('{').and_then(|after| after.split_once('}'));
            let Some((name, behind)) = place.filter(|(name, _)| is_name(name)) else {
                return Err(
                    "url: expected braces in pairs with a name between them, as in {city}; a brace of the address \
                            itself is written %7B or %7D"
                        .to_owned(),
                );
            };
            pieces.push(TemplatePiece::Text(before.to_owned()));
            pieces.push(TemplatePiece::Place(name.to_owned()));
            rest = behind;
        }
        pieces.push(TemplatePiece::Text(rest.to_owned()));
        let template = Self { pieces };
        template.check()?;
        Ok(template)
    }

    /// Whether it makes an address of a server that the user has named.
    fn check(&self) -> Result<(), String> {
        let url = Url::parse(&self.fill(|_| Some("x"))).map_err(|error| {
            format!("url: expected an address with http or https, as in https://example.org/a?q={{city}}: {error}")
        })?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("url: expected an address with http or https, found {:?}", url.scheme()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("url: a name and a password do not belong into the address, which is shown; set \
                        headers = { Authorization = \"Basic ${API_BASIC}\" }"
                .to_owned());
        }
        let other = Url::parse(&self.fill(|_| Some("y"))).ok();
        if other.is_none_or(|other| (other.host(), other.port()) != (url.host(), url.port())) {
            return Err("url: places in braces may stand in the path and the query, not in the host".to_owned());
        }
        if self.pieces.iter().any(|piece| matches!(piece, TemplatePiece::Text(text) if text.contains('#'))) {
            return Err("url: what stands behind # is sent to no server; leave it out".to_owned());
        }
        Ok(())
    }

    /// The names of its places.
    pub(super) fn places(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            TemplatePiece::Place(name) => Some(name.as_str()),
            TemplatePiece::Text(_) => None,
        })
    }

    /// The address with `value(name)`, percent-encoded, at each place; a place without a value stays as it is.
    pub(super) fn fill<'v>(&self, value: impl Fn(&str) -> Option<&'v str>) -> String {
        let mut filled = String::new();
        for piece in &self.pieces {
            match piece {
                TemplatePiece::Text(text) => filled.push_str(text),
                TemplatePiece::Place(name) => match value(name) {
                    Some(value) => filled.push_str(&percent_encoded(value)),
                    None => filled.push_str(&format!("{{{name}}}")),
                },
            }
        }
        filled
    }

    /// The address as it is shown: its places in braces, and nothing of what stands behind `?`.
    pub(super) fn shown(&self) -> String {
        let whole = self.fill(|_| None);
        whole.split('?').next().unwrap_or_default().to_owned()
    }

    /// Values that stand in the query and look like keys.
    pub(super) fn likely_keys(&self) -> Vec<String> {
        let whole = self.fill(|_| None);
        let query = whole.split_once('?').map_or("", |(_, query)| query);
        let values = query.split('&').filter_map(|pair| pair.split_once('=')).map(|(_, value)| value);
        values.filter(|value| value.len() >= KEY_BYTES_MIN && !value.contains('{')).map(str::to_owned).collect()
    }

    /// What tells this address from another one, without the keys in it.
    pub(super) fn identity(&self) -> String {
        let mut whole = self.fill(|_| None);
        for key in self.likely_keys() {
            whole = whole.replace(&key, "…");
        }
        whole
    }
}

/// Whether `name` may stand between braces.
pub(super) fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// `value` with all but the unreserved characters of RFC 3986, section 2.3, as `%XX`.
pub(super) fn percent_encoded(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        UrlTemplate::parse(text).err().unwrap_or_else(|| panic!("{text} cannot be"))
    }

    #[test]
    fn a_value_is_encoded_so_that_it_stays_a_value() {
        let template = UrlTemplate::parse("https://h/a/{city}/b?q={city}&k={key}").expect("an address");
        assert_eq!(template.places().collect::<Vec<_>>(), ["city", "city", "key"]);
        let filled = template.fill(|name| Some(if name == "city" { "São & ?#/\n%{key}" } else { "k" }));
        let city = "S%C3%A3o%20%26%20%3F%23%2F%0A%25%7Bkey%7D";
        assert_eq!(filled, format!("https://h/a/{city}/b?q={city}&k=k"), "a value is not looked at for places");
        assert_eq!(template.shown(), "https://h/a/{city}/b");
    }

    #[test]
    fn what_looks_like_a_key_is_part_of_no_identity() {
        let template =
            UrlTemplate::parse("https://h/a?q={city}&units=metric&appid=0123456789abcdef").expect("an address");
        assert_eq!(template.identity(), "https://h/a?q={city}&units=metric&appid=…");
        assert_eq!(template.likely_keys(), ["0123456789abcdef"]);
    }

    #[test]
    fn what_makes_no_address_is_said() {
        for (text, wanted) in [
            ("", "expected an address"),
            ("/weather", "expected an address"),
            ("ftp://h/a", "found \"ftp\""),
            ("https://h/{", "braces in pairs"),
            ("https://h/}{", "braces in pairs"),
            ("https://h/{a b}", "braces in pairs"),
            ("https://h/{{city}}", "braces in pairs"),
            ("https://{city}.h/", "not in the host"),
            ("https://h{city}", "not in the host"),
            ("https://h:{port}/", "expected an address"),
            ("{scheme}://h/", "expected an address"),
            ("https://me:secret@h/", "a name and a password"),
            ("https://h/a#b{city}", "behind #"),
        ] {
            let said = error(text);
            assert!(said.contains(wanted) && !said.contains("secret"), "{text}: {said}");
        }
        assert!(error(&format!("https://h/{}", "a".repeat(5_000))).contains("at most 4096 bytes"));
    }
}
