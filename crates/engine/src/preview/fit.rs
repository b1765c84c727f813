//! How the events that were looked at fit their stream: which columns are there, and by which rule they have an event time.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use lakehead_decode::{Decoder, Events};
use lakehead_json::{EventTimes, Paths};
use lakehead_model::{Column, EventTimeRule, Offset, StreamSchema, Timestamp};

use super::{
    report::{ColumnPreview, EventTimePreview, RateBy, SampleRate, StreamPreview, TimeRulePreview},
    sample::Sample,
    words::beginning,
};
use crate::Error;

/// How much of a value is told, in characters.
const VALUE_SHOWN_MAX: usize = 60;

/// Other keys of events that are named.
const OTHER_KEYS_MAX: usize = 30;

/// Arrivals that are closer than this say nothing of a rate: they came in one piece.
const ARRIVAL_LEAST: Duration = Duration::from_millis(200);

/// Compares the events of `sample` with `schema`, and sets their event times.
///
/// # Errors
/// For a defect alone: the schema was checked.
pub(super) fn fit(schema: &StreamSchema, sample: &mut Sample, has_source: bool) -> Result<StreamPreview, Error> {
    let times = EventTimes::new(schema);
    let found: Vec<Option<Timestamp>> = sample.events.events().map(|event| times.of(event)).collect();
    let event_time = event_times(&times, sample, &found);
    let rate = rate(&found, sample);
    sample.events.set_event_times(found, times.rule());
    let columns = columns(schema, sample)?;
    let events = sample.events.len() as u64;
    let mut notes = Vec::new();
    if !has_source {
        notes.push("no source feeds it: it takes pushes and imports, and there was nothing to look at".to_owned());
    }
    if sample.is_mixed {
        notes.push(
            "its events are of several sources, each with a pace of its own: how often they come is not known"
                .to_owned(),
        );
    }
    if event_time.wanted && event_time.without > 0 {
        let why = event_time.why.as_deref().unwrap_or_default();
        notes.push(format!("{} of {events} events have no event time: {why}", event_time.without));
    }
    for column in columns.iter().filter(|_| events > 0) {
        let (name, path) = (&column.name, &column.path);
        if column.found == 0 && column.missing == events {
            notes.push(format!("column {name}: no event has anything at {path}"));
        }
        if let Some(value) = &column.mistyped_sample {
            notes.push(format!(
                "column {name}: {} of {events} events have another type than {} at {path}, as in {value}: NULL there",
                column.mistyped,
                type_name(column)
            ));
        }
    }
    Ok(StreamPreview { events, event_time, columns, other_keys: other_keys(schema, sample), rate, notes })
}

fn type_name(column: &ColumnPreview) -> String {
    serde_json::to_value(column.column_type).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

fn event_times(times: &EventTimes, sample: &Sample, found: &[Option<Timestamp>]) -> EventTimePreview {
    let alone =
        |rule: &EventTimeRule| EventTimes::new(&StreamSchema { event_time: vec![rule.clone()], columns: Vec::new() });
    let rules: Vec<EventTimes> = times.rules().iter().map(alone).collect();
    let mut by: Vec<TimeRulePreview> =
        times.rules().iter().map(|rule| TimeRulePreview { rule: written(rule), found: 0 }).collect();
    for event in sample.events.events() {
        let first = rules.iter().position(|rule| rule.of(event).is_some());
        if let Some(rule) = first.and_then(|first| by.get_mut(first)) {
            rule.found += 1;
        }
    }
    let without = found.iter().filter(|time| time.is_none()).count() as u64;
    let first_without = sample.events.events().zip(found).find(|(_, time)| time.is_none());
    let wanted = !times.none_wanted();
    EventTimePreview {
        wanted,
        found: found.len() as u64 - without,
        without,
        by,
        why: first_without.filter(|_| wanted).map(|(event, _)| times.why_none(event).to_string()),
        least: found.iter().flatten().min().map(ToString::to_string),
        greatest: found.iter().flatten().max().map(ToString::to_string),
    }
}

fn written(rule: &EventTimeRule) -> String {
    let zone = rule.zone.as_ref().map(|zone| format!(" in {zone}")).unwrap_or_default();
    format!("{} ({}{zone})", rule.path.join("."), rule.format.name())
}

/// How often events come: by their own times where these are not all the same, else by when they came.
fn rate(found: &[Option<Timestamp>], sample: &Sample) -> Option<SampleRate> {
    if sample.is_mixed {
        return None;
    }
    let times = || found.iter().flatten();
    let count = times().count();
    if let (Some(least), Some(greatest)) = (times().min(), times().max())
        && greatest > least
    {
        let seconds = greatest.since(*least).as_secs_f64();
        return Some(SampleRate { per_second: (count - 1) as f64 / seconds, by: RateBy::EventTimes });
    }
    let (first, last) = sample.came?;
    let (span, events) = (last.saturating_sub(first), sample.events.len());
    (span >= ARRIVAL_LEAST && events > 1)
        .then(|| SampleRate { per_second: (events - 1) as f64 / span.as_secs_f64(), by: RateBy::Arrival })
}

fn columns(schema: &StreamSchema, sample: &Sample) -> Result<Vec<ColumnPreview>, Error> {
    let names: Vec<String> = schema.columns.iter().map(|column| column.name.clone()).collect();
    let decoder = Decoder::new(schema, &names).map_err(|error| Error::Internal(error.to_string()))?;
    let paths = Paths::new(&schema.columns.iter().map(|column| column.path.clone()).collect::<Vec<_>>());
    let mut told: Vec<ColumnPreview> = schema.columns.iter().map(unseen).collect();
    let (mut values, mut mistyped) = (vec![None; names.len()], vec![0; names.len()]);
    for event in sample.events.events() {
        paths.extract(event, &mut values);
        mistyped.fill(0);
        let line = Bytes::from([event, b"\n"].concat());
        let ends = [u32::try_from(line.len()).unwrap_or(u32::MAX)];
        let one = Events { payload: &line, ends: &ends, first_offset: Offset(0), received_time: Timestamp(0) };
        decoder.decode_counting(&[one], &mut mistyped).map_err(|error| Error::Internal(error.to_string()))?;
        for ((column, told), (value, mistyped)) in
            schema.columns.iter().zip(&mut told).zip(values.iter().zip(&mistyped))
        {
            let shown = || value.map(|raw| beginning(raw.bytes(), VALUE_SHOWN_MAX));
            let is_there = value.is_some_and(|raw| !raw.is_null());
            match (is_there, *mistyped > 0) {
                // It compares with a text, so that it has a value whatever is there.
                _ if column.equals.is_some() => told.found += 1,
                (false, _) => told.missing += 1,
                (true, false) => told.found += 1,
                (true, true) => {
                    told.mistyped += 1;
                    told.mistyped_sample = told.mistyped_sample.take().or_else(shown);
                    continue;
                }
            }
            if is_there {
                told.sample = told.sample.take().or_else(shown);
            }
        }
    }
    Ok(told)
}

fn unseen(column: &Column) -> ColumnPreview {
    ColumnPreview {
        name: column.name.clone(),
        path: column.path.join("."),
        column_type: column.column_type,
        found: 0,
        missing: 0,
        mistyped: 0,
        sample: None,
        mistyped_sample: None,
    }
}

/// Keys at the top of the events that the schema says nothing of.
fn other_keys(schema: &StreamSchema, sample: &Sample) -> Vec<String> {
    let columns = schema.columns.iter().filter_map(|column| column.path.first());
    let known: BTreeSet<&String> =
        columns.chain(schema.event_time.iter().filter_map(|rule| rule.path.first())).collect();
    let mut others = BTreeSet::new();
    for event in sample.events.events() {
        let Ok(serde_json::Value::Object(fields)) = serde_json::from_slice(event) else { continue };
        others.extend(fields.into_iter().map(|(key, _)| key).filter(|key| !known.contains(key)));
        while others.len() > OTHER_KEYS_MAX {
            others.pop_last();
        }
    }
    others.into_iter().map(|key| beginning(key.as_bytes(), VALUE_SHOWN_MAX)).collect()
}

#[cfg(test)]
mod tests {
    use lakehead_model::{ColumnType, EventBatch};

    use super::*;

    fn sample(events: &[&str]) -> Sample {
        let mut batch = EventBatch::default();
        events.iter().for_each(|event| batch.push(event.as_bytes(), None));
        let mut sample = Sample::default();
        sample.take(&batch, Duration::from_secs(1), usize::MAX, usize::MAX);
        sample
    }

    fn column(name: &str, column_type: ColumnType) -> Column {
        Column { name: name.into(), path: vec![name.into()], column_type, equals: None }
    }

    fn schema(columns: Vec<Column>) -> StreamSchema {
        StreamSchema { columns, ..StreamSchema::builtin("json").expect("built in") }
    }

    #[test]
    fn a_column_is_found_missing_or_of_another_type_in_each_event() {
        let schema = schema(vec![
            column("n", ColumnType::Int64),
            column("t", ColumnType::Text),
            Column { equals: Some("x".into()), ..column("is_x", ColumnType::Bool) },
        ]);
        let long = format!(r#"{{"n":"{}","t":null,"more":1,"dt":"soon"}}"#, "ä".repeat(300));
        let mut sample = sample(&[r#"{"n":7,"time":"2026-11-28T11:30:00Z"}"#, &long, r#"{"n":8,"t":"a"}"#, "[]"]);
        let told = fit(&schema, &mut sample, true).expect("it fits");
        let counts = |at: usize| (told.columns[at].found, told.columns[at].missing, told.columns[at].mistyped);
        assert_eq!((counts(0), counts(1), counts(2)), ((2, 1, 1), (1, 3, 0), (4, 0, 0)));
        assert_eq!(told.columns[0].sample.as_deref(), Some("7"));
        let shown = told.columns[0].mistyped_sample.as_deref().expect("a value");
        assert!(shown.ends_with('…') && shown.chars().count() == VALUE_SHOWN_MAX + 1, "{shown}");
        assert_eq!((told.event_time.found, told.event_time.without), (1, 3));
        let by: Vec<_> = told.event_time.by.iter().map(|rule| (rule.rule.as_str(), rule.found)).collect();
        assert_eq!(by, [("dt (rfc3339)", 0), ("timestamp (rfc3339)", 0), ("time (rfc3339)", 1)]);
        assert!(told.event_time.why.expect("a reason").contains("dt is \"soon\""));
        assert_eq!(told.other_keys, ["more"]);
        assert!(
            told.notes.iter().any(|note| note.contains("column n: 1 of 4 events have another type")),
            "{:?}",
            told.notes
        );
    }

    #[test]
    fn a_rate_is_by_event_times_where_they_differ_and_else_by_arrival() {
        let mut first = sample(&[
            r#"{"dt":"2026-11-28T11:30:00Z"}"#,
            r#"{"dt":"2026-11-28T11:30:04Z"}"#,
            r#"{"dt":"2026-11-28T11:30:02Z"}"#,
        ]);
        let told = fit(&schema(Vec::new()), &mut first, true).expect("it fits");
        assert_eq!(told.rate, Some(SampleRate { per_second: 0.5, by: RateBy::EventTimes }));

        let mut same = sample(&[r#"{"dt":"2026-11-28T11:30:00Z"}"#; 3]);
        assert_eq!(fit(&schema(Vec::new()), &mut same, true).expect("it fits").rate, None, "they came in one piece");
        same.came = Some((Duration::from_secs(1), Duration::from_secs(2)));
        let rate = fit(&schema(Vec::new()), &mut same, true).expect("it fits").rate;
        assert_eq!(rate, Some(SampleRate { per_second: 2.0, by: RateBy::Arrival }));
        same.is_mixed = true;
        assert_eq!(fit(&schema(Vec::new()), &mut same, true).expect("it fits").rate, None);
    }
}
