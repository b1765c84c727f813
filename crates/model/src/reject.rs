//! An event refused, kept with its reason.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// An event that was refused. It becomes an event of the stream `rejects`, so it can be queried; nothing is dropped
/// silently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Why: what was expected and what was found, where.
    pub reason: String,
    /// Where it stood at the source, in the source's own terms, as text for a person.
    pub position: String,
    /// The payload as it came, cut at the limit that [`Reject::PAYLOAD_BYTES_MAX`] gives.
    pub payload: Bytes,
}

#[derive(Serialize, Deserialize)]
struct Record<'a> {
    stream: &'a str,
    source: &'a str,
    reason: &'a str,
    position: &'a str,
    payload: std::borrow::Cow<'a, str>,
    payload_bytes: usize,
}

impl Reject {
    /// How much of a refused payload is kept: enough to see what it was, too little to fill a disk with junk.
    pub const PAYLOAD_BYTES_MAX: usize = 64 << 10;

    /// The JSON document that stands for this reject in the stream `rejects`. Bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn to_json(&self, stream: &str, source: &str) -> Vec<u8> {
        let kept = &self.payload[..self.payload.len().min(Self::PAYLOAD_BYTES_MAX)];
        let record = Record {
            stream,
            source,
            reason: &self.reason,
            position: &self.position,
            payload: String::from_utf8_lossy(kept),
            payload_bytes: self.payload.len(),
        };
        serde_json::to_vec(&record).expect("strings and numbers are always JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reject_is_one_line_of_json_whatever_the_payload() {
        let payload = Bytes::from_static(b"{\"a\": \xff\n");
        let json = Reject { reason: "no".into(), position: "line 3".into(), payload }.to_json("s", "p");
        assert!(!json.contains(&b'\n'));
        let value: serde_json::Value = serde_json::from_slice(&json).expect("json");
        assert_eq!(value["payload_bytes"], 8);
        assert_eq!(value["reason"], "no");
    }
}
