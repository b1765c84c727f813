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
    for event in events {
        let event: Value = serde_json::from_slice(event).context("an event is not JSON")?;
        for (view, rows) in views.iter().zip(&mut rows) {
            let Some((opened, name, value)) = adds(view, &event) else { continue };
            let row = rows.entry((opened, name)).or_default();
            row.0 += 1;
            row.1 = value.map(|value| value + row.1.unwrap_or(0)).or(row.1);
        }
    }
    Ok(rows)
}

/// What one event adds to a view: window, name, value.
fn adds(view: &str, event: &Value) -> Option<(i64, String, Option<i64>)> {
    let window = |seconds: i64, size: i64| seconds - seconds.rem_euclid(size);
    let time = event["timestamp"].as_i64();
    match view {
        "edits" if event["type"] == "edit" || event["type"] == "new" => {
            Some((time?, event["wiki"].as_str()?.to_owned(), event["length"]["new"].as_i64()))
        }
        "types" if event["meta"]["domain"] != "canary" => {
            Some((window(time?, 10), event["type"].as_str()?.to_owned(), event["namespace"].as_i64()))
        }
        // A push says its second beside its time, so that no time has to be read here.
        "pushes" => Some((event["second"].as_i64()?, "all".to_owned(), event["id"].as_i64())),
        _ => None,
    }
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
    fn a_row_that_is_there_twice_is_refused() {
        let row = serde_json::json!({ "opened": 1, "name": "a", "events": 1, "total": null });
        assert_eq!(read(std::slice::from_ref(&row)).expect("one row")[&(1, "a".to_owned())], (1, None));
        assert!(read(&[row.clone(), row]).is_err());
    }
}
