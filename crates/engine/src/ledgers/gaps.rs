//! Entries of the gap ledger, the stream `gaps`: upstream events that are missing, and places where upstream offsets
//! continue otherwise than one by one though nothing is missing; such an entry has 0 `missing`.
//!
//! An entry is committed before the events after its gap, so `verify` can balance upstream offsets = events + rejects
//! + gaps at any moment.

use lakehead_connector_api::{Gap, Renumbering};
use lakehead_model::{EventBatch, Name, Timestamp};
use serde::Serialize;

#[derive(Serialize)]
struct GapRecord<'a> {
    stream: &'a Name,
    source: &'a Name,
    partition: &'a str,
    from_offset: i64,
    to_offset: i64,
    missing: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<String>,
    reason: &'a str,
}

/// How many upstream events `gap` lacks.
pub(crate) fn missing(gap: &Gap) -> u64 {
    u64::try_from(gap.to.saturating_sub(gap.from)).unwrap_or(0)
}

/// The events that stand for `gaps` and `renumberings`.
pub(crate) fn batch(gaps: &[Gap], renumberings: &[Renumbering], stream: &Name, source: &Name) -> EventBatch {
    let text = |time: Option<Timestamp>| time.map(|time| time.to_string());
    let mut events = EventBatch::default();
    for gap in gaps {
        let record = GapRecord {
            stream,
            source,
            partition: &gap.partition,
            from_offset: gap.from,
            to_offset: gap.to,
            missing: gap.to.saturating_sub(gap.from),
            after: text(gap.after),
            before: text(gap.before),
            reason: &gap.reason,
        };
        events.push(&serde_json::to_vec(&record).expect("strings and numbers are always JSON"), None);
    }
    for Renumbering { partition, from, to, reason } in renumberings {
        let (from_offset, to_offset) = (*from, *to);
        let record = GapRecord {
            stream,
            source,
            partition,
            from_offset,
            to_offset,
            missing: 0,
            after: None,
            before: None,
            reason,
        };
        events.push(&serde_json::to_vec(&record).expect("strings and numbers are always JSON"), None);
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::gaps_schema;

    #[test]
    fn an_entry_names_the_hole_and_counts_it() {
        let gap = Gap {
            partition: "eqiad.mediawiki.recentchange/0".into(),
            from: 7,
            to: 9,
            after: Some(Timestamp(0)),
            before: None,
            reason: "asked for twice".into(),
        };
        let (stream, source) = (Name::new("s").expect("a name"), Name::new("w").expect("a name"));
        let batch = batch(std::slice::from_ref(&gap), &[], &stream, &source);
        let entry: serde_json::Value = serde_json::from_slice(batch.events().next().expect("one")).expect("json");
        assert_eq!(entry["missing"], 2);
        assert_eq!(entry["after"], "1970-01-01T00:00:00Z");
        assert!(entry.get("before").is_none());
        assert_eq!(missing(&gap), 2);
        for column in gaps_schema().columns.iter().filter(|column| column.name != "before") {
            assert!(entry.get(&column.name).is_some(), "{}", column.name);
        }
    }
}
