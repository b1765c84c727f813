//! The changes of a view as rows for other systems: each a line of JSON, with its operation, its key and its time beside it.
//!
//! Values are written as the answers of SQL are ([`format`](crate::format)), so that a row looks the same whichever way it
//! leaves.

use std::{collections::BTreeMap, io::Write};

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    compute::cast,
    datatypes::{DataType, TimeUnit, TimestampMicrosecondType},
};
use lakehead_model::Timestamp;
use serde_json::value::RawValue;

use crate::{error::Error, format::RowWriter, plan::ViewPlan};

/// Rows of a change, which has its operation in the first column, as lines.
#[derive(Debug, Default)]
pub struct ChangeLines {
    /// The lines, each followed by a newline.
    pub text: Vec<u8>,
    /// What stands beside each of them.
    pub heads: Vec<ChangeHead>,
}

/// What stands beside the line of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeHead {
    /// Where its line ends, just after its newline.
    pub end: usize,
    /// `insert`, `update` or `delete`.
    pub operation: String,
    /// The values of its key columns as a JSON array; `None` where the view does not show all of them.
    pub key: Option<Vec<u8>>,
    /// Its window's start, where the view shows it.
    pub window_start: Option<Timestamp>,
}

impl ChangeLines {
    /// Adds the rows of `changes`, changes of a view with this plan; each line begins with the operation where
    /// `with_operation` says so.
    ///
    /// # Errors
    /// [`Error::Sql`] when a value cannot be written as text, [`Error::Engine`] for a defect.
    pub fn add(&mut self, plan: &ViewPlan, changes: &RecordBatch, with_operation: bool) -> Result<(), Error> {
        let columns = changes.num_columns();
        let first = usize::from(!with_operation);
        let begun = self.text.len();
        add_lines(&mut self.text, &changes.project(&(first..columns).collect::<Vec<_>>())?)?;
        // No value holds a raw newline: JSON writes it as an escape.
        let written = self.text.get(begun..).unwrap_or_default();
        let newlines = written.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let ends: Vec<usize> = newlines.map(|(at, _)| begun + at + 1).collect();
        let operations = cast(changes.column(0), &DataType::Utf8)?;
        let operations = operations.as_string::<i32>();
        let (keys, starts) = (keys(plan, changes)?, window_starts(plan, changes)?);
        if ends.len() != changes.num_rows() {
            return Err(Error::Engine(format!("{} rows became {} lines", changes.num_rows(), ends.len())));
        }
        for (row, end) in ends.into_iter().enumerate() {
            self.heads.push(ChangeHead {
                end,
                operation: operations.value(row).to_owned(),
                key: keys.as_ref().and_then(|keys| keys.get(row).cloned()),
                window_start: starts.as_ref().and_then(|starts| starts.get(row).copied().flatten()),
            });
        }
        Ok(())
    }
}

/// A writer that is one with what it writes to.
fn add_lines(text: &mut Vec<u8>, rows: &RecordBatch) -> Result<(), Error> {
    let mut lines = RowWriter::lines(&mut *text);
    lines.write(rows)?;
    lines.finish()?.flush().map_err(|error| Error::Engine(error.to_string()))
}

/// The key of each row.
fn keys(plan: &ViewPlan, changes: &RecordBatch) -> Result<Option<Vec<Vec<u8>>>, Error> {
    let Some(names) = plan.key() else { return Ok(None) };
    let schema = changes.schema();
    let places = names.iter().map(|name| schema.index_of(name)).collect::<Result<Vec<_>, _>>()?;
    let columns = changes.project(&places)?;
    let mut text = Vec::new();
    add_lines(&mut text, &columns)?;
    let failed = |error: serde_json::Error| Error::Engine(format!("a key: {error}"));
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let keys = lines.map(|line| {
        let values: BTreeMap<String, &RawValue> = serde_json::from_slice(line)?;
        let key: Vec<&RawValue> = names.iter().filter_map(|name| values.get(name).copied()).collect();
        serde_json::to_vec(&key)
    });
    keys.collect::<Result<_, _>>().map(Some).map_err(failed)
}

/// The start of each row's window.
fn window_starts(plan: &ViewPlan, changes: &RecordBatch) -> Result<Option<Vec<Option<Timestamp>>>, Error> {
    let Some(column) = plan.shape().window else { return Ok(None) };
    let column: &ArrayRef = changes.column(column + 1);
    if !matches!(column.data_type(), DataType::Timestamp(..)) {
        return Ok(None);
    }
    let micros = cast(column, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
    let micros = micros.as_primitive::<TimestampMicrosecondType>();
    Ok(Some((0..micros.len()).map(|row| micros.is_valid(row).then(|| Timestamp(micros.value(row)))).collect()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap as Map;

    use lakehead_model::{Name, StreamSchema};

    use super::*;
    use crate::{plan::check_view, view::diff};

    #[tokio::test]
    async fn each_row_has_its_line_its_operation_its_key_and_its_window() {
        let sql = "SELECT tumble(event_time, INTERVAL '1 minute') AS minute, json_get_str(data, 'a') AS a, count(*) AS n \
                   FROM s GROUP BY 1, 2";
        let schemas: Map<Name, StreamSchema> =
            [(Name::new("s").expect("a name"), StreamSchema::builtin("json").expect("built in"))].into();
        let plan = check_view(sql, &schemas).await.expect("a good view");
        let rows = RecordBatch::new_empty(plan.schema());
        assert_eq!(plan.key(), Some(&["minute".to_owned(), "a".to_owned()][..]));
        let row = |minute: i64, a: &str, n: i64| {
            use datafusion::arrow::array::{Int64Array, StringArray};
            let columns: [ArrayRef; 3] = [
                std::sync::Arc::new(Int64Array::from(vec![minute * 60_000_000])),
                std::sync::Arc::new(StringArray::from(vec![a])),
                std::sync::Arc::new(Int64Array::from(vec![n])),
            ];
            let schema = rows.schema();
            let typed = schema.fields().iter().zip(columns).map(|(field, column)| cast(&column, field.data_type()));
            RecordBatch::try_new(rows.schema(), typed.collect::<Result<_, _>>().expect("typed")).expect("a row")
        };
        let changes = diff::marked(&plan, &row(1, "x\n\"y", 7), "update").expect("marked");
        let (mut keyed, mut appended) = (ChangeLines::default(), ChangeLines::default());
        for lines in [&mut keyed, &mut appended] {
            lines.add(&plan, &rows_of(&plan, "delete", row(2, "z", 1)), false).expect("lines");
        }
        keyed.add(&plan, &changes, false).expect("lines");
        appended.add(&plan, &changes, true).expect("lines");
        let line = |lines: &ChangeLines| {
            let (first, second) = (lines.heads[0].end, lines.heads[1].end);
            String::from_utf8(lines.text[first..second].to_vec()).expect("text")
        };
        assert_eq!(line(&keyed), "{\"minute\":\"1970-01-01T00:01:00Z\",\"a\":\"x\\n\\\"y\",\"n\":7}\n");
        assert!(line(&appended).starts_with("{\"_op\":\"update\",\"minute\":"), "{}", line(&appended));
        let head = &keyed.heads[1];
        assert_eq!((head.operation.as_str(), head.window_start), ("update", Some(Timestamp(60_000_000))));
        assert_eq!(head.key.as_deref(), Some(&b"[\"1970-01-01T00:01:00Z\",\"x\\n\\\"y\"]"[..]));
        assert_eq!(keyed.heads[0].operation, "delete");
    }

    fn rows_of(plan: &ViewPlan, operation: &str, rows: RecordBatch) -> RecordBatch {
        diff::marked(plan, &rows, operation).expect("marked")
    }
}
