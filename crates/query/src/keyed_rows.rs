//! Compares rows with rows: integers, text and times exactly, floats to a billionth.
//!
//! Rows are told apart by their groups where all of them are shown. Where not, by everything in them that is exact, and
//! as many as there are on one side must be on the other.

use std::{cmp::Ordering, fmt::Write};

use datafusion::arrow::{
    array::{Array, AsArray, BooleanArray, RecordBatch},
    compute::{cast, concat_batches, filter_record_batch},
    datatypes::{DataType, Float32Type, Float64Type, SchemaRef, TimestampMicrosecondType},
    row::{RowConverter, Rows, SortField},
    util::display::{ArrayFormatter, FormatOptions},
};
use lakehead_model::Timestamp;

use crate::{
    error::Error,
    plan::{Shape, ViewPlan},
};

/// Sums of floats depend on the order of the events. What differs by more than this is looked at: whether the rounding of
/// what was summed can make it (`audit/recount.rs`).
const FLOAT_EXACT: f64 = 1e-12;

/// Where nothing says what was summed: far above what that makes, and far below what anybody counts.
const FLOAT_TOLERANCE: f64 = 1e-9;

/// The same for variances and their kin, and for how far from zero nothing is told apart: they are small differences
/// of great sums.
const ROUGH_TOLERANCE: f64 = 1e-6;

/// How the rows of a view are compared.
pub(crate) struct Comparison {
    schema: SchemaRef,
    keys: Vec<usize>,
    values: Vec<usize>,
    rough: Vec<usize>,
    window: Option<usize>,
}

/// Rows of one side, by key. There may be a quarter of a million, so none of them has an allocation of its own.
pub(crate) struct Side {
    rows: RecordBatch,
    /// `None` where no column is part of a key: then all rows are alike.
    keys: Option<Rows>,
    /// The rows in the order of their keys.
    order: Vec<usize>,
}

/// A row that is not the same on both sides.
#[derive(Debug)]
pub(crate) struct Differing {
    pub(crate) window: Option<Timestamp>,
    /// The columns that name it.
    pub(crate) key: String,
    /// The other columns, where there is such a row.
    pub(crate) view: Option<String>,
    pub(crate) log: Option<String>,
    /// Where only floats differ: its key as bytes, and by column what both sides have.
    pub(crate) floats: Option<Floats>,
}

/// The floats by which two rows of one key differ.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Floats {
    pub(crate) key: Box<[u8]>,
    pub(crate) columns: Vec<(usize, f64, f64)>,
}

fn is_float(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Float32 | DataType::Float64)
}

impl Differing {
    /// Whether only floats differ, and those by less than a billionth: where nothing says what was summed, that is the same.
    pub(crate) fn is_near(&self) -> bool {
        let near = |(_, a, b): &(usize, f64, f64)| is_near(Some(*a), Some(*b), false, FLOAT_TOLERANCE);
        self.floats.as_ref().is_some_and(|floats| floats.columns.iter().all(near))
    }
}

impl Comparison {
    pub(crate) fn new(plan: &ViewPlan, shape: &Shape) -> Self {
        Self::over(plan.schema(), shape)
    }

    /// Of rows with these columns.
    pub(crate) fn over(schema: SchemaRef, shape: &Shape) -> Self {
        let compared = |column: &usize| !shape.approximate.contains(column);
        let all = (0..schema.fields().len()).filter(compared);
        let keys: Vec<usize> = if shape.keys_are_whole {
            shape.keys.clone()
        } else {
            all.clone().filter(|column| !is_float(schema.field(*column).data_type())).collect()
        };
        let values = all.filter(|column| !keys.contains(column)).collect();
        Self { schema, keys, values, rough: shape.rough.clone(), window: shape.window }
    }

    /// Whether a row says of which window it is.
    pub(crate) fn says_window(&self) -> bool {
        self.window.is_some()
    }

    /// The rows whose window satisfies `wanted`; one without a window counts as of the earliest.
    pub(crate) fn rows_in(
        &self,
        rows: &[RecordBatch],
        wanted: impl Fn(Timestamp) -> bool,
    ) -> Result<Vec<RecordBatch>, Error> {
        let mut kept = Vec::new();
        for batch in rows {
            let keep: BooleanArray = (0..batch.num_rows())
                .map(|row| Some(wanted(self.window_of(batch, row).unwrap_or(Timestamp(i64::MIN)))))
                .collect();
            if keep.true_count() > 0 {
                kept.push(filter_record_batch(batch, &keep)?);
            }
        }
        Ok(kept)
    }

    /// The rows that differ, in no order.
    pub(crate) fn compare(&self, view: &Side, log: &Side) -> Result<Vec<Differing>, Error> {
        let mut differing = Vec::new();
        let (mut in_view, mut in_log) = (view.alike().peekable(), log.alike().peekable());
        loop {
            let order = match (in_view.peek(), in_log.peek()) {
                (Some((a, _)), Some((b, _))) => a.cmp(b),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => break,
            };
            let a = if order.is_le() { in_view.next() } else { None };
            let b = if order.is_ge() { in_log.next() } else { None };
            let ((key, a), (other, b)) = (a.unwrap_or_default(), b.unwrap_or_default());
            let key = if order.is_le() { key } else { other };
            self.compare_alike(key, (view, a), (log, b), &mut differing)?;
        }
        differing.sort_by(|a, b| (a.window, &a.key).cmp(&(b.window, &b.key)));
        Ok(differing)
    }

    /// Whether each row of the view is one of the log's.
    pub(crate) fn is_among(&self, view: &Side, log: &Side) -> bool {
        view.alike().all(|(key, in_view)| {
            let in_log = log.rows_of(key);
            in_view
                .iter()
                .all(|a| in_log.iter().any(|b| self.is_same_in(&self.values, (view, *a), (log, *b), FLOAT_TOLERANCE)))
        })
    }

    /// Compares rows that have one key; there is mostly one on each side.
    fn compare_alike(
        &self,
        by: &[u8],
        (view, in_view): (&Side, &[usize]),
        (log, in_log): (&Side, &[usize]),
        differing: &mut Vec<Differing>,
    ) -> Result<(), Error> {
        let (in_view, in_log) = (self.sorted(view, in_view), self.sorted(log, in_log));
        for place in 0..in_view.len().max(in_log.len()) {
            let (a, b) = (in_view.get(place).copied(), in_log.get(place).copied());
            if let (Some(a), Some(b)) = (a, b)
                && self.is_same(view, a, log, b)
            {
                continue;
            }
            let one = a.map(|row| (view, row)).or(b.map(|row| (log, row)));
            let Some((side, row)) = one else { continue };
            differing.push(Differing {
                window: self.window_of(&side.rows, row),
                key: self.text(side, row, &self.keys)?,
                view: a.map(|row| self.text(view, row, &self.values)).transpose()?,
                log: b.map(|row| self.text(log, row, &self.values)).transpose()?,
                floats: match (a, b, in_view.len().max(in_log.len())) {
                    (Some(a), Some(b), 1) => self.floats(by, (view, a), (log, b)),
                    _ => None,
                },
            });
        }
        Ok(())
    }

    /// Several rows of one key only differ in floats: by these.
    fn sorted(&self, side: &Side, rows: &[usize]) -> Vec<usize> {
        let mut rows = rows.to_vec();
        if rows.len() > 1 {
            let value = |row: usize, column: usize| number(side.rows.column(column).as_ref(), row).unwrap_or(f64::NAN);
            rows.sort_by(|a, b| {
                let orders = self.values.iter().map(|column| value(*a, *column).total_cmp(&value(*b, *column)));
                orders.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
            });
        }
        rows
    }

    /// The floats by which two rows differ, when nothing else does.
    fn floats(&self, by: &[u8], (view, a): (&Side, usize), (log, b): (&Side, usize)) -> Option<Floats> {
        let mut columns = Vec::new();
        for column in &self.values {
            if self.is_same_in(std::slice::from_ref(column), (view, a), (log, b), FLOAT_EXACT) {
                continue;
            }
            let value =
                |side: &Side, row| number(side.rows.column(*column).as_ref(), row).filter(|value| value.is_finite());
            columns.push((*column, value(view, a)?, value(log, b)?));
        }
        Some(Floats { key: by.into(), columns })
    }

    /// The keys of these rows, which have the columns of the view and then others.
    pub(crate) fn keys_of(&self, rows: &RecordBatch) -> Result<Vec<Box<[u8]>>, Error> {
        let fields = self.keys.iter().map(|column| SortField::new(self.schema.field(*column).data_type().clone()));
        let columns = self.keys.iter().map(|column| cast(rows.column(*column), self.schema.field(*column).data_type()));
        let columns: Vec<_> = columns.collect::<Result<_, _>>()?;
        if columns.is_empty() {
            return Ok(vec![Box::default(); rows.num_rows()]);
        }
        let keys = RowConverter::new(fields.collect())?.convert_columns(&columns)?;
        Ok(keys.iter().map(|key| key.as_ref().into()).collect())
    }

    fn is_same(&self, view: &Side, a: usize, log: &Side, b: usize) -> bool {
        self.is_same_in(&self.values, (view, a), (log, b), FLOAT_EXACT)
    }

    fn is_same_in(&self, columns: &[usize], (view, a): (&Side, usize), (log, b): (&Side, usize), exact: f64) -> bool {
        columns.iter().all(|column| {
            let (left, right) = (view.rows.column(*column), log.rows.column(*column));
            if left.is_null(a) || right.is_null(b) {
                return left.is_null(a) && right.is_null(b);
            }
            if is_float(left.data_type()) {
                let is_rough = self.rough.contains(column);
                return is_near(number(left.as_ref(), a), number(right.as_ref(), b), is_rough, exact);
            }
            left.slice(a, 1).to_data() == right.slice(b, 1).to_data()
        })
    }

    fn window_of(&self, rows: &RecordBatch, row: usize) -> Option<Timestamp> {
        let starts = rows.column(self.window?).as_primitive_opt::<TimestampMicrosecondType>()?;
        starts.is_valid(row).then(|| Timestamp(starts.value(row)))
    }

    fn text(&self, side: &Side, row: usize, columns: &[usize]) -> Result<String, Error> {
        let options = FormatOptions::default().with_null("NULL");
        let mut text = String::new();
        for column in columns {
            let array = side.rows.column(*column);
            let formatter = ArrayFormatter::try_new(array.as_ref(), &options)?;
            let comma = if text.is_empty() { "" } else { ", " };
            let _ = write!(text, "{comma}{} = {}", self.schema.field(*column).name(), formatter.value(row));
        }
        Ok(text)
    }
}

fn number(array: &dyn Array, row: usize) -> Option<f64> {
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::Float64 => Some(array.as_primitive::<Float64Type>().value(row)),
        DataType::Float32 => Some(f64::from(array.as_primitive::<Float32Type>().value(row))),
        _ => None,
    }
}

fn is_near(a: Option<f64>, b: Option<f64>, is_rough: bool, exact: f64) -> bool {
    let (tolerance, floor) = if is_rough { (ROUGH_TOLERANCE, 1.0) } else { (exact, 0.0) };
    match (a, b) {
        (Some(a), Some(b)) if a.is_nan() || b.is_nan() => a.is_nan() && b.is_nan(),
        (Some(a), Some(b)) => a == b || (a - b).abs() <= tolerance * a.abs().max(b.abs()).max(floor),
        (a, b) => a == b,
    }
}

impl Side {
    /// Takes rows of whatever batches, brought to the view's own column types.
    pub(crate) fn new(comparison: &Comparison, batches: Vec<RecordBatch>) -> Result<Self, Error> {
        let schema = &comparison.schema;
        let mut brought = Vec::with_capacity(batches.len());
        for batch in batches {
            if batch.num_columns() != schema.fields().len() {
                return Err(Error::Engine(format!(
                    "a row has {} columns where the view has {}",
                    batch.num_columns(),
                    schema.fields().len()
                )));
            }
            let columns = schema.fields().iter().zip(batch.columns());
            let columns = columns.map(|(field, column)| cast(column, field.data_type())).collect::<Result<_, _>>()?;
            brought.push(RecordBatch::try_new(SchemaRef::clone(schema), columns)?);
        }
        let rows = concat_batches(schema, &brought)?;
        let fields = comparison.keys.iter().map(|column| SortField::new(schema.field(*column).data_type().clone()));
        let mut order: Vec<usize> = (0..rows.num_rows()).collect();
        if comparison.keys.is_empty() {
            return Ok(Self { rows, keys: None, order });
        }
        let columns: Vec<_> =
            comparison.keys.iter().map(|column| std::sync::Arc::clone(rows.column(*column))).collect();
        let keys = RowConverter::new(fields.collect())?.convert_columns(&columns)?;
        // Stable: rows of one key stay as they came.
        order.sort_by(|a, b| keys.row(*a).cmp(&keys.row(*b)));
        Ok(Self { rows, keys: Some(keys), order })
    }

    fn key(&self, row: usize) -> &[u8] {
        self.keys.as_ref().map_or(&[], |keys| keys.row(row).data())
    }

    /// Each key and its rows, in order.
    fn alike(&self) -> impl Iterator<Item = (&[u8], &[usize])> {
        let chunks = self.order.chunk_by(|a, b| self.key(*a) == self.key(*b));
        chunks.map(|rows| (rows.first().map_or(&[][..], |row| self.key(*row)), rows))
    }

    /// The rows of this key.
    fn rows_of(&self, key: &[u8]) -> &[usize] {
        let start = self.order.partition_point(|row| self.key(*row) < key);
        let end = self.order.partition_point(|row| self.key(*row) <= key);
        self.order.get(start..end).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::{
        array::{Float64Array, Int64Array, StringArray},
        datatypes::{Field, Schema},
    };

    use super::*;

    fn comparison() -> Comparison {
        let schema = Arc::new(Schema::new(vec![
            Field::new("wiki", DataType::Utf8, true),
            Field::new("edits", DataType::Int64, true),
            Field::new("mean", DataType::Float64, true),
        ]));
        Comparison { schema, keys: vec![0], values: vec![1, 2], rough: Vec::new(), window: None }
    }

    type Row = (Option<&'static str>, Option<i64>, f64);

    fn side(rows: &[Row]) -> Side {
        let comparison = comparison();
        let wiki = StringArray::from_iter(rows.iter().map(|row| row.0));
        let edits = Int64Array::from_iter(rows.iter().map(|row| row.1));
        let mean = Float64Array::from_iter_values(rows.iter().map(|row| row.2));
        let columns: Vec<Arc<dyn Array>> = vec![Arc::new(wiki), Arc::new(edits), Arc::new(mean)];
        let batch = RecordBatch::try_new(Arc::clone(&comparison.schema), columns).expect("a batch");
        Side::new(&comparison, vec![batch]).expect("a side")
    }

    fn check(view: &[Row], log: &[Row], differing: &[&str]) {
        let found = comparison().compare(&side(view), &side(log)).expect("compared");
        let shown = |row: &Option<String>| row.clone().unwrap_or_else(|| "-".into());
        let found: Vec<String> =
            found.iter().map(|one| format!("{} | {} | {}", one.key, shown(&one.view), shown(&one.log))).collect();
        assert_eq!(found, differing);
    }

    #[test]
    fn a_row_is_among_others_by_all_that_it_has() {
        let others = side(&[(Some("a"), Some(1), 1.0), (Some("a"), Some(2), 7.0), (None, None, 2.0)]);
        let is_among = |row: Row| comparison().is_among(&side(&[row]), &others);
        assert!(is_among((Some("a"), Some(2), 7.0 + 1e-12)) && is_among((None, None, 2.0)));
        assert!(!is_among((Some("a"), Some(2), 1.0)) && !is_among((Some("b"), Some(1), 1.0)));
    }

    #[test]
    fn the_same_rows_in_another_order_are_the_same() {
        let (a, b) = ((Some("a"), Some(1), 0.1 + 0.2), (None, None, f64::NAN));
        check(&[a, b], &[b, (Some("a"), Some(1), 0.3)], &[]);
    }

    #[test]
    fn a_changed_number_a_missing_row_and_one_too_many_are_told_with_both_numbers() {
        check(
            &[(Some("a"), Some(1), 1.0)],
            &[(Some("a"), Some(2), 1.0)],
            &["wiki = a | edits = 1, mean = 1.0 | edits = 2, mean = 1.0"],
        );
        check(&[], &[(Some("a"), None, 1.0)], &["wiki = a | - | edits = NULL, mean = 1.0"]);
        let a = (Some("a"), Some(1), 1.0);
        check(&[a, a], &[a], &["wiki = a | edits = 1, mean = 1.0 | -"]);
        check(
            &[(Some("a"), Some(1), 1.0)],
            &[(Some("a"), Some(1), 1.000_001)],
            &["wiki = a | edits = 1, mean = 1.0 | edits = 1, mean = 1.000001"],
        );
        check(
            &[(Some("a"), None, 1.0)],
            &[(Some("a"), Some(0), 1.0)],
            &["wiki = a | edits = NULL, mean = 1.0 | edits = 0, mean = 1.0"],
        );
    }
}
