//! The difference of a view's rows before and after a commit: what is new, what is different, what is gone.
//!
//! A change is a row with an operation before it: `insert`, `update`, or `delete`. An update carries the new values; rows
//! are told apart by the view's key ([`ViewPlan::key`]) where it has one, and by everything in them where it has none (then a
//! row that is different is one that is gone and one that is new).

use std::{collections::HashMap, sync::Arc};

use datafusion::arrow::{
    array::{ArrayRef, RecordBatch, StringArray, UInt32Array},
    compute::{cast, concat_batches, take_record_batch},
    datatypes::{DataType, Field, Schema, SchemaRef},
    row::{RowConverter, Rows, SortField},
};

use crate::{error::Error, plan::ViewPlan};

/// The column of the operation.
const OPERATION: &str = "_op";
pub(crate) const INSERT: &str = "insert";
pub(crate) const UPDATE: &str = "update";
pub(crate) const DELETE: &str = "delete";

/// Rows that are written, and so read, at once: a commit may change all of a view, and who reads it has one part in memory.
pub(crate) const PART_ROWS: usize = 8_192;

/// The columns of a change.
pub(crate) fn schema(plan: &ViewPlan) -> SchemaRef {
    let operation = Arc::new(Field::new(OPERATION, DataType::Utf8, false));
    let fields: Vec<_> = std::iter::once(operation).chain(plan.schema().fields().iter().cloned()).collect();
    Arc::new(Schema::new(fields))
}

/// What changes, as rows with their operation.
#[derive(Debug, Default)]
pub(crate) struct RowChanges {
    pub(crate) deleted: Vec<RecordBatch>,
    pub(crate) updated: Vec<RecordBatch>,
    pub(crate) inserted: Vec<RecordBatch>,
}

impl RowChanges {
    /// Adds those of other rows.
    pub(crate) fn add(&mut self, others: Self) {
        self.deleted.extend(others.deleted);
        self.updated.extend(others.updated);
        self.inserted.extend(others.inserted);
    }

    /// How many rows change.
    pub(crate) fn rows(&self) -> u64 {
        [&self.deleted, &self.updated, &self.inserted].into_iter().flatten().map(|batch| batch.num_rows() as u64).sum()
    }

    /// All of them, [`PART_ROWS`] at once: deletes first, so that what takes the place of a row that goes finds its place free.
    pub(crate) fn in_parts(&self) -> impl Iterator<Item = RecordBatch> + '_ {
        [&self.deleted, &self.updated, &self.inserted].into_iter().flatten().flat_map(parts)
    }
}

/// The same rows, [`PART_ROWS`] at once.
fn parts(batch: &RecordBatch) -> impl Iterator<Item = RecordBatch> + use<> {
    let (batch, rows) = (batch.clone(), batch.num_rows());
    (0..rows).step_by(PART_ROWS).map(move |from| batch.slice(from, PART_ROWS.min(rows - from)))
}

/// What leads from the rows `before` to the rows `after`.
pub(crate) fn between(plan: &ViewPlan, before: Vec<RecordBatch>, after: Vec<RecordBatch>) -> Result<RowChanges, Error> {
    let schema = plan.schema();
    let with_schema = |batches: Vec<RecordBatch>| -> Result<RecordBatch, Error> {
        let batches = batches.into_iter().map(|batch| batch.with_schema(Arc::clone(&schema)));
        Ok(concat_batches(&schema, &batches.collect::<Result<Vec<_>, _>>()?)?)
    };
    let (before, after) = (with_schema(before)?, with_schema(after)?);
    let all: Vec<usize> = (0..schema.fields().len()).collect();
    let keys = plan.shape().key().unwrap_or_else(|| all.clone());
    let ([old_keys, new_keys], [old_rows, new_rows]) =
        (converted(&schema, &keys, [&before, &after])?, converted(&schema, &all, [&before, &after])?);
    let mut old: HashMap<&[u8], Vec<u32>> = HashMap::new();
    for row in 0..before.num_rows() {
        old.entry(old_keys.row(row).data()).or_default().push(u32::try_from(row).unwrap_or(u32::MAX));
    }
    let (mut inserted, mut updated) = (Vec::new(), Vec::new());
    for row in 0..after.num_rows() {
        let index = u32::try_from(row).unwrap_or(u32::MAX);
        match old.get_mut(new_keys.row(row).data()).and_then(Vec::pop) {
            None => inserted.push(index),
            Some(was) if old_rows.row(was as usize) != new_rows.row(row) => updated.push(index),
            Some(_) => {}
        }
    }
    let mut deleted: Vec<u32> = old.into_values().flatten().collect();
    deleted.sort_unstable();
    let picked = |of: &RecordBatch, rows: Vec<u32>, operation: &str| -> Result<Vec<RecordBatch>, Error> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![marked(plan, &take_record_batch(of, &UInt32Array::from(rows))?, operation)?])
    };
    Ok(RowChanges {
        deleted: picked(&before, deleted, DELETE)?,
        updated: picked(&after, updated, UPDATE)?,
        inserted: picked(&after, inserted, INSERT)?,
    })
}

/// All rows as inserted.
pub(crate) fn inserted(plan: &ViewPlan, rows: &[RecordBatch]) -> Result<RowChanges, Error> {
    let rows = rows.iter().filter(|batch| batch.num_rows() > 0);
    let inserted = rows.map(|batch| marked(plan, batch, INSERT)).collect::<Result<_, _>>()?;
    Ok(RowChanges { inserted, ..RowChanges::default() })
}

/// The rows with this operation before each.
pub(crate) fn marked(plan: &ViewPlan, rows: &RecordBatch, operation: &str) -> Result<RecordBatch, Error> {
    let operations: ArrayRef = Arc::new(StringArray::from_iter_values(std::iter::repeat_n(operation, rows.num_rows())));
    let columns: Vec<ArrayRef> = std::iter::once(operations).chain(rows.columns().iter().cloned()).collect();
    let changes = schema(plan);
    let typed = |(field, column): (&Arc<Field>, ArrayRef)| cast(&column, field.data_type());
    let columns = changes.fields().iter().zip(columns).map(typed).collect::<Result<_, _>>()?;
    Ok(RecordBatch::try_new(changes, columns)?)
}

/// Hands `each` the rows that a result file has, which are in order, and `fresh` ones among them. Of the file a part is in memory at a
/// time: a period whose windows close one after the other is written anew for each, and may be large.
pub(crate) fn merged(
    plan: &ViewPlan,
    filed: impl Iterator<Item = Result<RecordBatch, Error>>,
    fresh: Vec<RecordBatch>,
    each: impl FnMut(&RecordBatch) -> Result<(), Error>,
) -> Result<(), Error> {
    merged_by(&plan.schema(), &order(plan), filed, fresh, each)
}

fn merged_by(
    schema: &SchemaRef,
    columns: &[usize],
    filed: impl Iterator<Item = Result<RecordBatch, Error>>,
    fresh: Vec<RecordBatch>,
    mut each: impl FnMut(&RecordBatch) -> Result<(), Error>,
) -> Result<(), Error> {
    let fresh = sorted_by(schema, columns, fresh)?;
    let converter = converter(schema, columns)?;
    let keys = keys(&converter, columns, &fresh)?;
    let mut next = 0;
    for batch in filed {
        let batch = batch?.with_schema(Arc::clone(schema))?;
        let Some(last) = batch.num_rows().checked_sub(1) else { continue };
        if columns.is_empty() {
            each(&batch)?;
            continue;
        }
        let last = self::keys(&converter, columns, &batch.slice(last, 1))?;
        let before = (next..fresh.num_rows()).take_while(|row| keys.row(*row) < last.row(0)).count();
        match before {
            0 => each(&batch)?,
            _ => each(&sorted_by(schema, columns, vec![batch, fresh.slice(next, before)])?)?,
        }
        next += before;
    }
    each(&fresh.slice(next, fresh.num_rows() - next))
}

/// The rows in the order of these columns, as one batch.
fn sorted_by(schema: &SchemaRef, columns: &[usize], rows: Vec<RecordBatch>) -> Result<RecordBatch, Error> {
    let rows = rows.into_iter().map(|batch| batch.with_schema(Arc::clone(schema)));
    let rows = concat_batches(schema, &rows.collect::<Result<Vec<_>, _>>()?)?;
    if columns.is_empty() || rows.num_rows() < 2 {
        return Ok(rows);
    }
    let order = order_of(&keys(&converter(schema, columns)?, columns, &rows)?);
    Ok(take_record_batch(&rows, &UInt32Array::from(order))?)
}

/// The columns that the rows of a result file are sorted by: the window, then the other groups.
pub(crate) fn order(plan: &ViewPlan) -> Vec<usize> {
    let shape = plan.shape();
    let others = shape.keys.iter().copied().filter(|key| Some(*key) != shape.window);
    let mut columns: Vec<usize> = shape.window.into_iter().chain(others).collect();
    let mut seen = Vec::new();
    columns.retain(|column| {
        !seen.contains(column) && {
            seen.push(*column);
            true
        }
    });
    columns
}

/// The rows' places in ascending order. Most comparisons are decided by the first bytes in which rows differ at all:
/// those lie beside each other, where whole rows would each be fetched from afar.
fn order_of(rows: &Rows) -> Vec<u32> {
    let first = if rows.num_rows() == 0 { &[][..] } else { rows.row(0).data() };
    let alike = |row: &[u8]| row.iter().zip(first).take_while(|(a, b)| a == b).count();
    let skip = rows.iter().map(|row| alike(row.data())).min().unwrap_or(0);
    let head = |row: &[u8]| {
        let mut head = [0; 16];
        let bytes = row.get(skip..).unwrap_or_default();
        let taken = bytes.len().min(head.len());
        head[..taken].copy_from_slice(&bytes[..taken]);
        u128::from_be_bytes(head)
    };
    let mut order: Vec<(u128, u32)> = rows.iter().zip(0..).map(|(row, place)| (head(row.data()), place)).collect();
    order.sort_unstable_by(|(a, at), (b, bt)| {
        a.cmp(b).then_with(|| rows.row(*at as usize).cmp(&rows.row(*bt as usize))).then(at.cmp(bt))
    });
    order.into_iter().map(|(_, place)| place).collect()
}

fn converted(schema: &SchemaRef, columns: &[usize], of: [&RecordBatch; 2]) -> Result<[Rows; 2], Error> {
    let converter = converter(schema, columns)?;
    Ok([keys(&converter, columns, of[0])?, keys(&converter, columns, of[1])?])
}

pub(crate) fn converter(schema: &SchemaRef, columns: &[usize]) -> Result<RowConverter, Error> {
    let fields = columns.iter().map(|column| SortField::new(schema.field(*column).data_type().clone())).collect();
    Ok(RowConverter::new(fields)?)
}

/// These columns of each row, as bytes in their order.
pub(crate) fn keys(converter: &RowConverter, columns: &[usize], batch: &RecordBatch) -> Result<Rows, Error> {
    let columns: Vec<ArrayRef> = columns.iter().map(|column| Arc::clone(batch.column(*column))).collect();
    if columns.is_empty() {
        return Ok(converter.empty_rows(batch.num_rows(), 0));
    }
    Ok(converter.convert_columns(&columns)?)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::{
        array::{AsArray, Int64Array, StringViewArray},
        datatypes::Int64Type,
    };

    use super::*;

    fn rows(texts: &[Option<&str>]) -> Rows {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![7; texts.len()]));
        let texts: ArrayRef = Arc::new(StringViewArray::from_iter(texts));
        let fields = vec![SortField::new(DataType::Int64), SortField::new(DataType::Utf8View)];
        RowConverter::new(fields).expect("a converter").convert_columns(&[numbers, texts]).expect("rows")
    }

    fn filed(rows: &[(i64, i64)]) -> RecordBatch {
        let columns = [rows.iter().map(|row| row.0).collect::<Vec<_>>(), rows.iter().map(|row| row.1).collect()];
        let [a, b] = columns.map(|column| Arc::new(Int64Array::from(column)) as ArrayRef);
        RecordBatch::try_from_iter([("a", a), ("b", b)]).expect("a batch")
    }

    #[track_caller]
    fn check_merged(columns: &[usize], of_file: &[&[(i64, i64)]], fresh: &[(i64, i64)], expected: &[(i64, i64)]) {
        let mut found: Vec<(i64, i64)> = Vec::new();
        let of_file: Vec<RecordBatch> = of_file.iter().map(|rows| filed(rows)).collect();
        let schema = filed(&[]).schema();
        merged_by(&schema, columns, of_file.into_iter().map(Ok), vec![filed(fresh)], |batch| {
            let [a, b] = [0, 1].map(|column| batch.column(column).as_primitive::<Int64Type>());
            found.extend(a.values().iter().copied().zip(b.values().iter().copied()));
            Ok(())
        })
        .expect("merged");
        assert_eq!(found, expected);
    }

    #[test]
    fn rows_of_a_file_and_fresh_ones_come_in_one_order() {
        check_merged(&[0], &[], &[(2, 0), (1, 0)], &[(1, 0), (2, 0)]);
        check_merged(&[0], &[&[(1, 0)], &[]], &[], &[(1, 0)]);
        check_merged(
            &[0],
            &[&[(1, 0), (2, 0)], &[(3, 0)]],
            &[(9, 1), (4, 1)],
            &[(1, 0), (2, 0), (3, 0), (4, 1), (9, 1)],
        );
        let file: [&[(i64, i64)]; 3] = [&[(1, 0), (4, 0)], &[(4, 0)], &[(6, 0), (8, 0)]];
        let fresh = [(7, 1), (0, 1), (2, 1), (9, 1), (5, 1), (4, 1)];
        let all = [(0, 1), (1, 0), (2, 1), (4, 0), (4, 0), (4, 1), (5, 1), (6, 0), (7, 1), (8, 0), (9, 1)];
        check_merged(&[0], &file, &fresh, &all);
        check_merged(&[], &[&[(2, 0)]], &[(1, 1)], &[(2, 0), (1, 1)]);
    }

    #[test]
    fn rows_are_in_order_whatever_they_begin_with() {
        let long = "the same beginning of sixteen bytes and more, ";
        let longer: Vec<String> = (0..50).map(|n| format!("{long}{}", n * 37 % 50)).collect();
        let mut texts = vec![None, Some(""), Some("b"), Some("a"), None, Some("a"), Some("a\0"), Some("ab")];
        texts.extend(longer.iter().map(|text| Some(text.as_str())));
        for some in [&texts[..], &texts[8..], &texts[..0], &texts[3..4], &[Some("a"), Some("a")]] {
            let rows = rows(some);
            let mut expected: Vec<u32> = (0..).take(some.len()).collect();
            expected.sort_by(|a, b| some[*a as usize].cmp(&some[*b as usize]).then(a.cmp(b)));
            assert_eq!(order_of(&rows), expected);
        }
    }
}
