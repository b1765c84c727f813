//! `lakehead gaps`: the gap ledger for people. What is missing upstream is listed; offsets that were renumbered or skipped, where
//! nothing is missing, are counted.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lakehead_model::{Name, Timestamp};
use lakehead_query::{
    Answer,
    format::{Format, write},
};
use serde_json::{Value, json};

use crate::{
    cli::values::moment,
    client::Target,
    numbers::{counted, grouped},
    outcome::Outcome,
    output::say,
    progress::with_progress,
    table::Table,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The data directory; without it ./data, or the demo's.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Only gaps of this stream.
    #[arg(long, value_name = "NAME")]
    stream: Option<Name>,
    /// Only gaps that this source has found.
    #[arg(long, value_name = "NAME")]
    source: Option<Name>,
    /// What is listed; without it what is missing, and the rest is counted.
    #[arg(long, value_name = "KIND")]
    kind: Option<GapKind>,
    /// Only what was noted at or after this: RFC 3339, as in 2026-11-24T10:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,
    /// The most entries that are listed, the newest; all are counted. At most 100,000.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rows: u32,
    /// Everything, as JSON: entries and totals.
    #[arg(long)]
    json: bool,
}

/// What an entry of the ledger is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum GapKind {
    /// Events that the upstream had and that are not here.
    Missing,
    /// Offsets that continue at another number; nothing is missing.
    Renumbered,
    /// Offsets that never held an event; nothing is missing.
    Skipped,
}

impl GapKind {
    fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Renumbered => "renumbered",
            Self::Skipped => "skipped",
        }
    }
}

pub(crate) async fn run(arguments: Arguments, target: &Target) -> Outcome {
    let backend = target.backend(arguments.data.clone())?;
    let (entries, totals) = with_progress("reading the ledger", async |progress| {
        let entries = backend.query(&entries_sql(&arguments), &progress).await?;
        let totals = backend.query(&totals_sql(&arguments), &progress).await?;
        Ok::<_, anyhow::Error>((objects(&entries)?, objects(&totals)?))
    })
    .await?;
    let text = match arguments.json {
        true => format!("{:#}\n", json!({ "entries": entries, "totals": totals })),
        false => told(&arguments, &entries, &totals),
    };
    Ok(say(text)?)
}

/// The ledger. Entries of before there were kinds are told apart by whether something is missing.
const LEDGER: &str = "SELECT event_offset, received_time AS noted, stream, source, \
    coalesce(kind, CASE WHEN missing > 0 THEN 'missing' ELSE 'renumbered' END) AS kind, \"partition\", from_offset, to_offset, \
    coalesce(missing, 0) AS missing, \"after\", \"before\", reason FROM gaps";

fn entries_sql(arguments: &Arguments) -> String {
    let kind = arguments.kind.unwrap_or(GapKind::Missing).name();
    format!(
        "SELECT noted, stream, source, kind, \"partition\", from_offset, to_offset, missing, \"after\", \"before\", reason \
         FROM ({LEDGER}) AS ledger WHERE kind = '{kind}'{} ORDER BY event_offset DESC LIMIT {}",
        filter(arguments),
        arguments.rows
    )
}

fn totals_sql(arguments: &Arguments) -> String {
    format!(
        "SELECT stream, source, kind, count(*) AS entries, sum(missing) AS missing, max(noted) AS last_noted \
         FROM ({LEDGER}) AS ledger WHERE true{} GROUP BY stream, source, kind ORDER BY stream, source, kind",
        filter(arguments)
    )
}

/// Which entries are meant, whatever their kind. A name has no quotes in it.
fn filter(arguments: &Arguments) -> String {
    let stream = arguments.stream.as_ref().map(|name| format!(" AND stream = '{name}'"));
    let source = arguments.source.as_ref().map(|name| format!(" AND source = '{name}'"));
    let since = arguments.since.map(|since| format!(" AND noted >= TIMESTAMP '{since}'"));
    [stream, source, since].into_iter().flatten().collect()
}

/// The rows of an answer as JSON objects.
fn objects(answer: &Answer) -> anyhow::Result<Vec<Value>> {
    let mut lines = Vec::new();
    write(answer, Format::Ndjson, &mut lines)?;
    let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    Ok(lines.map(serde_json::from_slice).collect::<Result<_, _>>()?)
}

fn told(arguments: &Arguments, entries: &[Value], totals: &[Value]) -> String {
    let listed = arguments.kind.unwrap_or(GapKind::Missing);
    let mut text = String::new();
    if !entries.is_empty() {
        text += &format!("{}\n", entry_table(entries));
    }
    let all = count(totals, "entries", |total| total["kind"] == listed.name());
    let shown = entries.len() as u64;
    if all > shown {
        text += &format!("the newest {} of {}; --rows N lists more\n", grouped(shown), grouped(all));
    }
    for total in totals.iter().filter(|total| total["kind"] == listed.name()) {
        text += &format!("{}\n", total_line(total));
    }
    if all == 0 {
        text += &format!("{}{}\n", nothing(listed), narrowed(arguments));
    }
    let others: Vec<String> = GapKind::value_variants()
        .iter()
        .filter(|kind| **kind != listed)
        .filter_map(|kind| {
            let entries = count(totals, "entries", |total| total["kind"] == kind.name());
            (entries > 0).then(|| format!("{} {}", grouped(entries), kind.name()))
        })
        .collect();
    if !others.is_empty() {
        text += &format!("not listed: {}; --kind lists them\n", others.join(", "));
    }
    text
}

/// What is said where nothing of a kind is noted.
fn nothing(kind: GapKind) -> &'static str {
    match kind {
        GapKind::Missing => "No event is noted as missing",
        GapKind::Renumbered => "No offset is noted as renumbered",
        GapKind::Skipped => "No offset is noted as skipped",
    }
}

/// What was asked for, where that is not all.
fn narrowed(arguments: &Arguments) -> String {
    let stream = arguments.stream.as_ref().map(|name| format!(" of stream {name}"));
    let source = arguments.source.as_ref().map(|name| format!(" by source {name}"));
    let since = arguments.since.map(|since| format!(" since {since}"));
    let parts: String = [stream, source, since].into_iter().flatten().collect();
    format!("{parts}.")
}

fn count(totals: &[Value], key: &str, which: impl Fn(&Value) -> bool) -> u64 {
    totals.iter().filter(|total| which(total)).filter_map(|total| total[key].as_u64()).sum()
}

fn entry_table(entries: &[Value]) -> Table {
    let mut table = Table::new(["noted", "stream", "source", "partition", "offsets", "missing", "between", "reason"]);
    for entry in entries {
        let text = |key: &str| entry[key].as_str().unwrap_or("-").to_owned();
        table.row([
            text("noted"),
            text("stream"),
            text("source"),
            text("partition"),
            offsets(entry),
            grouped(entry["missing"].as_u64().unwrap_or(0)),
            between(entry),
            text("reason"),
        ]);
    }
    table
}

/// `[7, 9)`, or for offsets that continue elsewhere `9 → 4`.
fn offsets(entry: &Value) -> String {
    let number = |key: &str| entry[key].as_i64().map_or("?".to_owned(), |number| number.to_string());
    match entry["kind"].as_str() {
        Some("renumbered") => format!("{} → {}", number("from_offset"), number("to_offset")),
        _ => format!("[{}, {})", number("from_offset"), number("to_offset")),
    }
}

/// The event times on both sides of a gap, as far as they are known.
fn between(entry: &Value) -> String {
    match (entry["after"].as_str(), entry["before"].as_str()) {
        (None, None) => "-".to_owned(),
        (Some(after), None) => format!("after {after}"),
        (None, Some(before)) => format!("before {before}"),
        (Some(after), Some(before)) => format!("{after} and {before}"),
    }
}

/// One stream's total: `recentchange: 5 events missing in 2 gaps, found by wikimedia, the last noted 2026-…`.
fn total_line(total: &Value) -> String {
    let text = |key: &str| total[key].as_str().unwrap_or("-").to_owned();
    let entries = total["entries"].as_u64().unwrap_or(0);
    let what = match total["kind"].as_str() {
        Some("missing") => {
            let missing = total["missing"].as_u64().unwrap_or(0);
            format!("{} missing in {}", counted(missing, "event"), counted(entries, "gap"))
        }
        kind => format!("offsets {} at {}", kind.unwrap_or("-"), counted(entries, "place")),
    };
    format!(
        "stream {}: {what}, found by source {}, the last noted at {}",
        text("stream"),
        text("source"),
        text("last_noted")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(kind: Option<GapKind>) -> Arguments {
        Arguments { data: None, stream: None, source: None, kind, since: None, rows: 50, json: false }
    }

    fn total(kind: &str, entries: u64, missing: u64) -> Value {
        json!({"stream": "s", "source": "w", "kind": kind, "entries": entries, "missing": missing, "last_noted": "2026-11-30T10:00:00Z"})
    }

    #[test]
    fn what_is_missing_is_listed_and_the_rest_is_counted() {
        let entry = json!({
            "noted": "2026-11-30T10:00:00Z", "stream": "s", "source": "w", "kind": "missing", "partition": "a/0",
            "from_offset": 7, "to_offset": 9, "missing": 2, "after": "2026-11-30T09:00:00Z", "before": null, "reason": "asked twice",
        });
        let totals = [total("missing", 3, 1_234), total("renumbered", 1, 0), total("skipped", 12, 0)];
        let text = told(&asked(None), &[entry], &totals);
        assert!(text.contains("a/0        [7, 9)   2        after 2026-11-30T09:00:00Z  asked twice"), "{text}");
        assert!(text.contains("the newest 1 of 3; --rows N lists more\n"), "{text}");
        assert!(
            text.contains("stream s: 1,234 events missing in 3 gaps, found by source w, the last noted at"),
            "{text}"
        );
        assert!(text.ends_with("not listed: 1 renumbered, 12 skipped; --kind lists them\n"), "{text}");
    }

    #[test]
    fn that_nothing_is_noted_is_said_of_what_was_asked() {
        assert_eq!(told(&asked(None), &[], &[]), "No event is noted as missing.\n");
        let stream = Name::new("s").expect("a name");
        let narrow = Arguments { stream: Some(stream), since: Some(Timestamp(0)), ..asked(Some(GapKind::Skipped)) };
        let text = told(&narrow, &[], &[total("missing", 1, 2)]);
        assert_eq!(
            text,
            "No offset is noted as skipped of stream s since 1970-01-01T00:00:00Z.\nnot listed: 1 missing; --kind lists them\n"
        );
        assert!(
            totals_sql(&narrow).contains(" AND stream = 's' AND noted >= TIMESTAMP '1970-01-01T00:00:00Z' GROUP BY")
        );
    }

    #[test]
    fn offsets_that_continue_elsewhere_are_told_in_their_order() {
        let entry = |kind| json!({"kind": kind, "from_offset": 9, "to_offset": 4});
        assert_eq!(offsets(&entry("renumbered")), "9 → 4");
        assert_eq!(offsets(&entry("skipped")), "[9, 4)");
        assert_eq!(offsets(&json!({})), "[?, ?)");
    }
}
