//! Texts of a form: what `format` names. In every draft a schema may leave them unchecked; here they are checked, as EventGate does.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The formats that are known. A schema with another one is refused.
pub const FORMATS: [&str; 11] =
    ["date", "date-time", "email", "hostname", "ipv4", "ipv6", "time", "uri", "uri-reference", "uuid", "json-pointer"];

/// One of them.
pub(crate) struct Format {
    pub(crate) name: &'static str,
    fits: fn(&str) -> bool,
}

impl Format {
    /// The format of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let name = FORMATS.into_iter().find(|known| *known == name)?;
        let fits: fn(&str) -> bool = match name {
            "date" => is_date,
            "date-time" => is_date_time,
            "time" => is_time,
            "email" => is_email,
            "hostname" => is_hostname,
            "ipv4" => |text| text.parse::<Ipv4Addr>().is_ok(),
            "ipv6" => |text| text.parse::<Ipv6Addr>().is_ok(),
            "uri" => |text| scheme(text).is_some() && is_uri_text(text),
            "uri-reference" => is_uri_text,
            "uuid" => is_uuid,
            _ => is_json_pointer,
        };
        Some(Self { name, fits })
    }

    pub(crate) fn fits(&self, text: &str) -> bool {
        (self.fits)(text)
    }
}

/// RFC 3339, `full-date`.
fn is_date(text: &str) -> bool {
    text.len() == 10 && text.is_ascii() && text.parse::<jiff::civil::Date>().is_ok()
}

/// RFC 3339, `full-time`: with a zone. A leap second is taken at the end of any minute.
fn is_time(text: &str) -> bool {
    is_date_time(&format!("2000-01-01T{text}"))
}

/// RFC 3339, `date-time`.
fn is_date_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_shaped = text.is_ascii()
        && bytes.len() >= 20
        && matches!(
            (bytes[4], bytes[7], bytes[10], bytes[13], bytes[16]),
            (b'-', b'-', b'T' | b't' | b' ', b':', b':')
        );
    let Some((date, rest)) = text.split_at_checked(10).filter(|_| is_shaped) else { return false };
    let (clock, rest) = rest[1..].split_at(8);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let zone = match rest.strip_prefix('.') {
        None => rest,
        Some(fraction) => {
            let end = fraction.find(|c: char| !c.is_ascii_digit()).unwrap_or(fraction.len());
            if end == 0 {
                return false;
            }
            &fraction[end..]
        }
    };
    let below = |text: &str, limit: u32| text.len() == 2 && digits(text) && text.parse().is_ok_and(|n: u32| n < limit);
    let is_clock = below(&clock[..2], 24) && below(&clock[3..5], 60) && below(&clock[6..], 61);
    let is_zone = match zone.as_bytes() {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', _, _, b':', _, _] => below(&zone[1..3], 24) && below(&zone[4..], 60),
        _ => false,
    };
    is_date(date) && is_clock && is_zone
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let is_local = |c: char| !c.is_whitespace() && !c.is_control() && c != '@';
    (1..=64).contains(&local.len()) && local.chars().all(is_local) && is_hostname(domain)
}

/// RFC 1123, section 2.1.
fn is_hostname(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

/// RFC 3986, section 3.1: what stands before the first colon, if it is a scheme.
fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(':')?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    is_scheme.then_some(scheme)
}

/// RFC 3986, section 2: the characters that an address, or a part of one, is made of.
fn is_uri_text(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_taken = |(at, byte): (usize, &u8)| match byte {
        b'%' => bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)),
        b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => false,
        byte => byte.is_ascii_graphic(),
    };
    bytes.iter().enumerate().all(is_taken)
}

/// RFC 9562, section 4.
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// RFC 6901, section 3.
fn is_json_pointer(text: &str) -> bool {
    let escapes = |part: &str| part.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    (text.is_empty() || text.starts_with('/')) && escapes(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_takes_what_is_one_and_nothing_else() {
        for (name, good, bad) in [
            ("date", &["2026-02-28", "2024-02-29"][..], &["2026-02-29", "2026-2-3", "20260203", "2026-02-03T", ""][..]),
            (
                "date-time",
                &["2026-11-30T12:00:00Z", "2026-11-30t12:00:60.5+02:00", "2026-11-30T12:00:00.123456789z"],
                &[
                    "2026-11-30",
                    "2026-11-30T12:00:00",
                    "2026-11-30T24:00:00Z",
                    "2026-11-30T12:00:00.Z",
                    "today",
                    "２０２６-11-30T12:00:00Z",
                ],
            ),
            ("time", &["12:00:00Z", "12:00:00.1-05:00"], &["12:00:00", "12:00Z", "", "é2:00:00Z"]),
            ("email", &["a.b@example.org"], &["a", "@b", "a b@example.org", "a@-b"]),
            ("hostname", &["en.wikipedia.org", "localhost"], &["a..b", "-a", "a_b", "é.org", ""]),
            ("ipv4", &["192.0.2.7"], &["192.0.2", "192.0.2.256", "::1"]),
            ("ipv6", &["::1", "2001:db8::7"], &["192.0.2.7", "::g"]),
            ("uri", &["https://example.org/a?b=%20#c", "urn:x"], &["/a", "1:b", "http://a b", "a:%2", "é:a"]),
            ("uri-reference", &["/a", "#b", "", "https://example.org"], &["a b", "\\", "%g1"]),
            ("uuid", &["00000000-0000-4000-8000-00000000000F"], &["0", "00000000-0000-4000-8000-00000000000g"]),
            ("json-pointer", &["", "/a/~0b~1"], &["a", "/~", "/~2"]),
        ] {
            let format = Format::named(name).expect("it is known");
            assert_eq!(format.name, name);
            good.iter().for_each(|text| assert!(format.fits(text), "{name}: {text}"));
            bad.iter().for_each(|text| assert!(!format.fits(text), "{name}: {text}"));
        }
        assert!(Format::named("regex").is_none(), "it would compile what strangers send");
    }
}
