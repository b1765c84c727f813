//! The views counted again by hand: serde_json and a map. What the views count is said here a second time, on purpose.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A window's start in Unix seconds, and the row's name in it.
pub(crate) type Key = (i64, String);

/// How many events, and their total; none where no event had a value.
pub(crate) type Row = (i64, Option<i64>);

/// Rows by window and name.
pub(crate) type Rows = BTreeMap<Key, Row>;

/// The rows that these events make, by view.
pub(crate) fn rows<'e>(events: impl Iterator<Item = &'e [u8]>, views: &[&'static str]) -> Result<Vec<Rows>> {
    let mut rows = vec![Rows::new(); views.len()];
    let mut sittings: BTreeMap<String, Vec<(i64, Option<i64>)>> = BTreeMap::new();
    for event in events {
        let event: Value = serde_json::from_slice(event).context("an event is not JSON")?;
        for (view, rows) in views.iter().zip(&mut rows) {
            for (opened, name, value) in adds(view, &event) {
                match *view {
                    "sittings" => sittings.entry(name).or_default().push((opened, value)),
                    _ => add(rows, (opened, name), value),
                }
            }
        }
    }
    if let Some(place) = views.iter().position(|view| *view == "sittings") {
        for (name, mut events) in sittings {
            events.sort_unstable();
            let (mut begun, mut last) = (i64::MIN, i64::MIN);
            for (time, value) in events {
                // Two seconds apart is another one, and so is the next day.
                if time.saturating_sub(last) >= 2 || time.div_euclid(86_400) != last.div_euclid(86_400) {
                    begun = time;
                }
                last = time;
                add(&mut rows[place], (begun, name.clone()), value);
            }
        }
    }
    Ok(rows)
}

fn add(rows: &mut Rows, key: Key, value: Option<i64>) {
    let row = rows.entry(key).or_default();
    row.0 += 1;
    row.1 = value.map(|value| value + row.1.unwrap_or(0)).or(row.1);
}

/// What one event adds to a view: to each of its windows, by name, a value. To sessions: its time.
fn adds(view: &str, event: &Value) -> Vec<(i64, String, Option<i64>)> {
    let window = |seconds: i64, size: i64| seconds - seconds.rem_euclid(size);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let is_canary = event["meta"]["domain"] == "canary";
    let is_edit = event["type"] == "edit" || event["type"] == "new";
    // A push says its second beside its time, so that no time has to be read here.
    let time = event[if view == "pushes" { "second" } else { "timestamp" }].as_i64();
    let (name, value) = match view {
        "edits" | "sittings" | "per_ten" if is_edit => (text(&event["wiki"]), event["length"]["new"].as_i64()),
        "clean" if is_edit && !is_canary => {
            let id = event["meta"]["id"].as_str().unwrap_or_default();
            (text(&event["wiki"]).map(|wiki| format!("{wiki} {id}")), event["length"]["new"].as_i64())
        }
        "types" | "hops" if !is_canary => (text(&event["type"]), event["namespace"].as_i64()),
        "pushes" => (Some("all".to_owned()), event["id"].as_i64()),
        _ => (None, None),
    };
    let (Some(time), Some(name)) = (time, name) else { return Vec::new() };
    let starts = match view {
        "types" | "per_ten" => vec![window(time, 10)],
        "hops" => (0..3).map(|back| window(time, 2) - 2 * back).collect(),
        _ => vec![time],
    };
    starts.into_iter().map(|start| (start, name.clone(), value)).collect()
}

/// Rows as `lakehead query` or DuckDB prints them: objects with `opened`, `name`, `events` and `total`.
pub(crate) fn read(objects: &[Value]) -> Result<Rows> {
    let mut rows = Rows::new();
    for object in objects {
        let opened = object["opened"].as_i64().with_context(|| format!("no window in {object}"))?;
        let name = object["name"].as_str().with_context(|| format!("no name in {object}"))?;
        let events = object["events"].as_i64().with_context(|| format!("no count in {object}"))?;
        if rows.insert((opened, name.to_owned()), (events, object["total"].as_i64())).is_some() {
            bail!("a row is there twice: {object}");
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_by_window_and_name() {
        let events = [
            r#"{"timestamp":11,"type":"edit","wiki":"a","namespace":4,"length":{"new":5},"meta":{"domain":"a"}}"#,
            r#"{"timestamp":11,"type":"new","wiki":"a","namespace":0,"length":{"new":7},"meta":{"domain":"a"}}"#,
            r#"{"timestamp":19,"type":"log","wiki":"a","namespace":2,"meta":{"domain":"a"}}"#,
            r#"{"meta":{"domain":"canary"}}"#,
        ];
        let rows = rows(events.iter().map(|event| event.as_bytes()), &["edits", "types"]).expect("JSON");
        assert_eq!(rows[0], Rows::from([((11, "a".to_owned()), (2, Some(12)))]));
        let types = [("edit", 4), ("log", 2), ("new", 0)];
        assert_eq!(rows[1], types.map(|(name, total)| ((10, name.to_owned()), (1, Some(total)))).into());
    }

    #[test]
    fn events_are_counted_in_each_hop_and_in_one_session() {
        let edit = |time: i64| {
            format!(r#"{{"timestamp":{time},"type":"edit","wiki":"a","length":{{"new":1}},"meta":{{"domain":"a"}}}}"#)
        };
        // In disorder; 13 joins 12 and 14, and 16 is two seconds after.
        let events = [14, 12, 16, 13].map(edit);
        let rows = rows(events.iter().map(|event| event.as_bytes()), &["hops", "sittings", "per_ten"]).expect("JSON");
        let hops = [(8, 2), (10, 3), (12, 4), (14, 2), (16, 1)];
        assert_eq!(rows[0], hops.map(|(start, n)| ((start, "edit".to_owned()), (n, None))).into());
        let sittings = [(12, 3), (16, 1)];
        assert_eq!(rows[1], sittings.map(|(start, n)| ((start, "a".to_owned()), (n, Some(n)))).into());
        assert_eq!(rows[2], Rows::from([((10, "a".to_owned()), (4, Some(4)))]));
    }

    #[test]
    fn a_row_that_is_there_twice_is_refused() {
        let row = serde_json::json!({ "opened": 1, "name": "a", "events": 1, "total": null });
        assert_eq!(read(std::slice::from_ref(&row)).expect("one row")[&(1, "a".to_owned())], (1, None));
        assert!(read(&[row.clone(), row]).is_err());
    }
}
