//! The cursor as it is written: JSON, one entry for each request.
//!
//! ```json
//! {"version":1,"requests":[["5f0c21d9e3a4",1796040000000000,"00c1f3a2b4d5e6f7-623","\"abc\""]],
//!  "part":[["5f0c21d9e3a4","00c1f3a2b4d5e6f7-900123",412]]}
//! ```
//!
//! An entry has: which request it is, a checksum of its address and its parameters, without keys; when it was made last, in
//! microseconds since 1970; what its last answer was, a checksum and a length; its `ETag` or `Last-Modified`. `part` is there
//! while an answer of many events is handed over: whose it is, what it is as a whole, and how many of its events came before.

use lakehead_connector_api::Error;
use lakehead_model::Timestamp;
use serde::{Deserialize, Serialize};

use super::fingerprint::Fingerprint;

/// The version written, and the only one read.
const VERSION: u32 = 1;

/// Most requests of one source. Each takes at most 140 bytes of a cursor, which may have 64 KiB.
pub(super) const REQUESTS_MAX: usize = 400;

/// Longest `ETag` or `Last-Modified` that is kept, as JSON; with a longer one, requests are not conditional.
const VALIDATOR_BYTES_MAX: usize = 64;

/// A cursor.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct PollCursor {
    version: u32,
    pub(super) requests: Vec<PollEntry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) part: Vec<AnswerPart>,
}

/// Where one request stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct PollEntry(
    /// Which one it is.
    pub(super) String,
    /// When it was made last.
    pub(super) Timestamp,
    /// What its last answer was, where changes are looked for.
    pub(super) Option<Fingerprint>,
    /// What a conditional request says.
    pub(super) Option<Validator>,
);

/// How much of an answer was handed over: of which request, which answer, how many of its events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct AnswerPart(pub(super) String, pub(super) Fingerprint, pub(super) usize);

/// What a server calls an answer: an `ETag`, which begins with `"` or `W/`, or else a `Last-Modified`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Validator(String);

impl Validator {
    /// Of an answer's headers; the `ETag` where there are both (RFC 9110, section 13.1.3). `None` where there is none that can be kept.
    pub(super) fn of(etag: Option<&str>, last_modified: Option<&str>) -> Option<Self> {
        let etag = etag.map(str::trim).filter(|etag| is_etag(etag));
        let date = last_modified.map(str::trim).filter(|date| !is_etag(date) && !date.is_empty());
        let text = etag.or(date)?;
        let bytes = serde_json::to_string(text).map_or(usize::MAX, |json| json.len());
        (text.bytes().all(|b| (b' '..=b'~').contains(&b)) && bytes <= VALIDATOR_BYTES_MAX)
            .then(|| Self(text.to_owned()))
    }

    /// The header of a conditional request.
    pub(super) fn header(&self) -> (&'static str, &str) {
        (if is_etag(&self.0) { "if-none-match" } else { "if-modified-since" }, &self.0)
    }
}

fn is_etag(text: &str) -> bool {
    text.strip_prefix("W/").unwrap_or(text).starts_with('"') && text.len() > 2 && text.ends_with('"')
}

impl PollCursor {
    pub(super) fn new(requests: Vec<PollEntry>, part: Vec<AnswerPart>) -> Self {
        Self { version: VERSION, requests, part }
    }

    pub(super) fn read(position: &str) -> Result<Self, Error> {
        let unreadable = |why: String| Error::Corrupt(format!("the cursor of a poll source cannot be read: {why}"));
        let cursor: Self = serde_json::from_str(position).map_err(|error| unreadable(error.to_string()))?;
        if cursor.version != VERSION {
            return Err(unreadable(format!("expected version {VERSION}, found {}", cursor.version)));
        }
        Ok(cursor)
    }

    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers are always JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fullest() -> PollEntry {
        let etag = format!("\"{}\"", "\\".repeat(29));
        let validator = Validator::of(Some(&etag), None).expect("64 bytes as JSON");
        PollEntry("f".repeat(12), Timestamp(i64::MIN), Some(Fingerprint::greatest()), Some(validator))
    }

    #[test]
    fn the_fullest_cursor_stays_within_its_bound() {
        let part = AnswerPart("f".repeat(12), Fingerprint::greatest(), usize::MAX);
        let text = PollCursor::new(vec![fullest(); REQUESTS_MAX], vec![part; 16]).text();
        assert!(text.len() <= 64 << 10, "{}", text.len());
    }

    #[test]
    fn a_cursor_reads_back_as_written_and_a_newer_one_is_refused_by_name() {
        let plain = PollEntry("a".into(), Timestamp(5), None, None);
        let written = PollCursor::new(vec![fullest(), plain], Vec::new());
        assert_eq!(PollCursor::read(&written.text()).expect("a cursor"), written);
        for (text, wanted) in [
            (r#"{"version":2,"requests":[]}"#, "expected version 1, found 2"),
            ("7", "cannot be read"),
            (r#"{"version":1,"requests":[["a",1,"no sum",null]]}"#, "cannot be read"),
        ] {
            let error = PollCursor::read(text).expect_err("no cursor");
            assert!(matches!(&error, Error::Corrupt(what) if what.contains(wanted)), "{error}");
        }
    }

    #[test]
    fn what_a_server_calls_an_answer_is_kept_where_it_can_be_sent_back() {
        let of = |etag, date| Validator::of(etag, date).map(|v| (v.header().0, v.header().1.to_owned()));
        let date = "Wed, 21 Oct 2015 07:28:00 GMT";
        assert_eq!(of(Some(" W/\"a\" "), Some(date)), Some(("if-none-match", "W/\"a\"".into())));
        assert_eq!(of(None, Some(date)), Some(("if-modified-since", date.into())));
        assert_eq!(of(Some("without quotes"), None), None);
        assert_eq!(of(Some("\"\u{7}\""), None), None);
        let long = format!("\"{}\"", "x".repeat(80));
        assert_eq!(of(Some(&long), None), None);
        assert_eq!(of(None, Some("\"")).map(|(name, _)| name), Some("if-modified-since"));
        assert_eq!(of(None, None), None);
    }
}
