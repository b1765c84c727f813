//! Entries of the gap ledger, the stream `gaps`: upstream events that are missing, and places where upstream offsets
//! continue otherwise than one by one though nothing is missing; such an entry has 0 `missing`. `kind` says which it is:
//! `missing`, `renumbered` or `skipped`.
//!
//! An entry is committed before the events after its gap, so `verify` can balance upstream offsets = events + rejects
//! + gaps at any moment.

use lakehead_connector_api::{Discontinuity, Gap, Renumbering, SkippedOffsets};
use lakehead_model::{EventBatch, Name, Timestamp};
use serde::Serialize;

/// The kind of an entry where the numbers go on elsewhere, and nothing is missing.
pub(crate) const RENUMBERED: &str = "renumbered";

#[derive(Serialize)]
struct GapRecord<'a> {
    stream: &'a Name,
    source: &'a Name,
    kind: &'static str,
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
fn missing(gap: &Gap) -> u64 {
    u64::try_from(gap.to.saturating_sub(gap.from)).unwrap_or(0)
}

/// How many upstream events a discontinuity lacks.
pub(crate) fn missing_at(discontinuity: &Discontinuity) -> u64 {
    match discontinuity {
        Discontinuity::Missing(gap) => missing(gap),
        Discontinuity::Renumbered(_) | Discontinuity::Skipped(_) => 0,
    }
}

/// The events that stand for `discontinuities`, in their order.
pub(crate) fn batch(discontinuities: &[Discontinuity], stream: &Name, source: &Name) -> EventBatch {
    let text = |time: Option<Timestamp>| time.map(|time| time.to_string());
    let mut events = EventBatch::default();
    for discontinuity in discontinuities {
        let fields = match discontinuity {
            Discontinuity::Missing(Gap { partition, from, to, after, before, reason }) => {
                let missing = to.saturating_sub(*from);
                ("missing", partition, *from, *to, missing, text(*after), text(*before), reason.as_str())
            }
            Discontinuity::Renumbered(Renumbering { partition, from, to, reason }) => {
                (RENUMBERED, partition, *from, *to, 0, None, None, *reason)
            }
            Discontinuity::Skipped(SkippedOffsets { partition, from, to, reason }) => {
                ("skipped", partition, *from, *to, 0, None, None, *reason)
            }
        };
        let (kind, partition, from_offset, to_offset, missing, after, before, reason) = fields;
        let record =
            GapRecord { stream, source, kind, partition, from_offset, to_offset, missing, after, before, reason };
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
        let batch = batch(&[Discontinuity::Missing(gap.clone())], &stream, &source);
        let entry: serde_json::Value = serde_json::from_slice(batch.events().next().expect("one")).expect("json");
        assert_eq!(entry["missing"], 2);
        assert_eq!(entry["after"], "1970-01-01T00:00:00Z");
        assert!(entry.get("before").is_none());
        assert_eq!(missing(&gap), 2);
        for column in gaps_schema().columns.iter().filter(|column| column.name != "before") {
            assert!(entry.get(&column.name).is_some(), "{}", column.name);
        }
    }

    #[test]
    fn what_was_skipped_or_renumbered_is_not_missing() {
        let (partition, name) = ("a/0".to_owned(), Name::new("s").expect("a name"));
        let skipped = SkippedOffsets { partition: partition.clone(), from: 7, to: 9, reason: "a transaction's marker" };
        let renumbered = Renumbering { partition, from: 9, to: 4, reason: "another cluster" };
        let found = [Discontinuity::Skipped(skipped), Discontinuity::Renumbered(renumbered)];
        let batch = batch(&found, &name, &name);
        let entries = batch.events().map(|event| serde_json::from_slice(event).expect("json"));
        let entries: Vec<serde_json::Value> = entries.collect();
        let shown = |at: usize| (&entries[at]["kind"], &entries[at]["missing"], &entries[at]["to_offset"]);
        assert_eq!(shown(0), (&"skipped".into(), &0.into(), &9.into()));
        assert_eq!(shown(1), (&"renumbered".into(), &0.into(), &4.into()));
    }
}
