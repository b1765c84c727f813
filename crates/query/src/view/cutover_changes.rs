//! What a cutover changes: the difference between the rows of two incarnations, which followers are told as one commit.
//!
//! Both sets of rows lie in files in the order of the key, so they are merged: a part of each is in memory at a time. They are
//! read twice, since deletes come before everything else: once for the rows that go, once for those that are new or different.
//! Where rows cannot be told apart by one key in both, or there are very many, followers begin with a snapshot instead.

use std::{cmp::Ordering, path::Path, sync::Arc};

use datafusion::arrow::{
    array::{RecordBatch, UInt32Array},
    compute::{concat_batches, take_record_batch},
    row::{RowConverter, Rows},
};
use lakehead_model::Timestamp;

use super::{
    diff::{self, DELETE, INSERT, PART_ROWS, UPDATE},
    files::{self, IpcWriter, ResultFile},
    snapshot::Results,
};
use crate::{compact::compact, error::Error, plan::ViewPlan, syncing::Syncing};

/// Rows that both incarnations may have together: reading them twice takes about a second each million, for which the live views of
/// the stream wait.
const ROWS_MAX: u64 = 2_000_000;

/// Why the difference of these cannot be told; `None` where it can.
pub(super) fn cannot_be_told(old: (&ViewPlan, &Results), new: (&ViewPlan, &Results)) -> Option<&'static str> {
    let ((old_plan, old), (new_plan, new)) = (old, new);
    let (old_schema, new_schema) = (old_plan.schema(), new_plan.schema());
    let columns = |schema: &datafusion::arrow::datatypes::Schema| -> Vec<_> {
        schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect()
    };
    if new_plan.key().is_none() {
        return Some("its rows have no key");
    }
    if old_plan.key() != new_plan.key() || old_plan.window_output() != new_plan.window_output() {
        return Some("its key is another one");
    }
    if columns(&old_schema) != columns(&new_schema) {
        return Some("its columns are others");
    }
    (old.rows + new.rows > ROWS_MAX).then_some("there are too many rows to compare")
}

/// Writes the changes that lead from `old` to `new`, which are of one schema and key. Answers how many rows they are, and the
/// size of the file.
pub(super) fn write(
    path: &Path,
    plan: &ViewPlan,
    (old, new): (&Results, &Results),
    syncing: &mut Syncing,
) -> Result<(u64, u64), Error> {
    let sides = || -> Result<[SortedRows; 2], Error> { Ok([SortedRows::of(plan, old)?, SortedRows::of(plan, new)?]) };
    let mut told =
        ChangesWriter { writer: IpcWriter::create(path, &diff::schema(plan))?, plan, waiting: Vec::new(), rows: 0 };
    let [mut old_rows, mut new_rows] = sides()?;
    merge(&mut old_rows, &mut new_rows, &mut told, |found| (found == KeyChange::Gone).then_some(DELETE))?;
    told.flush()?;
    let [mut old_rows, mut new_rows] = sides()?;
    merge(&mut old_rows, &mut new_rows, &mut told, |found| match found {
        KeyChange::Gone => None,
        KeyChange::Different => Some(UPDATE),
        KeyChange::New => Some(INSERT),
    })?;
    told.flush()?;
    Ok((told.rows, told.writer.finish(syncing)?))
}

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyChange {
    Gone,
    Different,
    New,
}

/// Walks both in the order of their keys, and tells the rows to which `operation` gives one.
fn merge(
    old: &mut SortedRows,
    new: &mut SortedRows,
    told: &mut ChangesWriter,
    operation: impl Fn(KeyChange) -> Option<&'static str>,
) -> Result<(), Error> {
    loop {
        let order = match (old.key(), new.key()) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(was), Some(is)) => was.cmp(is),
        };
        match order {
            Ordering::Less => {
                old.pick(operation(KeyChange::Gone));
                old.step(told)?;
            }
            Ordering::Greater => {
                new.pick(operation(KeyChange::New));
                new.step(told)?;
            }
            Ordering::Equal => {
                if old.values() != new.values() {
                    new.pick(operation(KeyChange::Different));
                }
                old.step(told)?;
                new.step(told)?;
            }
        }
    }
}

/// The rows of one incarnation in the order of their keys, part by part.
struct SortedRows {
    batches: Box<dyn Iterator<Item = Result<RecordBatch, Error>>>,
    key: (RowConverter, Vec<usize>),
    all: (RowConverter, Vec<usize>),
    part: Option<Part>,
}

struct Part {
    batch: RecordBatch,
    keys: Rows,
    values: Rows,
    at: usize,
    /// The rows that are told, by operation.
    picked: Vec<(&'static str, Vec<u32>)>,
}

impl SortedRows {
    /// Those that `results` had after the last commit.
    fn of(plan: &ViewPlan, results: &Results) -> Result<Self, Error> {
        let mut by_start: Vec<(Timestamp, Arc<ResultFile>)> =
            results.files.iter().map(|listed| (listed.range.start, Arc::clone(&listed.file))).collect();
        by_start.extend(results.reopened_files.iter().cloned());
        by_start.sort_by_key(|(start, _)| *start);
        let schema = plan.schema();
        let batches = by_start.into_iter().flat_map(move |(_, file)| {
            let (rows, failed) = match files::parquet_batches(&file.path, &schema) {
                Ok(rows) => (Some(rows), None),
                Err(error) => (None, Some(Err(error))),
            };
            rows.into_iter().flatten().chain(failed)
        });
        Self::new(plan, batches)
    }

    fn new(
        plan: &ViewPlan,
        batches: impl Iterator<Item = Result<RecordBatch, Error>> + 'static,
    ) -> Result<Self, Error> {
        let schema = plan.schema();
        let shown = plan.shape().key().unwrap_or_default();
        let key: Vec<usize> = diff::order(plan).into_iter().filter(|column| shown.contains(column)).collect();
        let all: Vec<usize> = (0..schema.fields().len()).collect();
        let typed = {
            let schema = Arc::clone(&schema);
            batches.map(move |batch| Ok(batch?.with_schema(Arc::clone(&schema))?))
        };
        let mut sorted = Self {
            batches: Box::new(typed),
            key: (diff::converter(&schema, &key)?, key),
            all: (diff::converter(&schema, &all)?, all),
            part: None,
        };
        sorted.part = sorted.next_part()?;
        Ok(sorted)
    }

    fn next_part(&mut self) -> Result<Option<Part>, Error> {
        for batch in self.batches.by_ref() {
            let batch = batch?;
            if batch.num_rows() > 0 {
                let keys = diff::keys(&self.key.0, &self.key.1, &batch)?;
                let values = diff::keys(&self.all.0, &self.all.1, &batch)?;
                return Ok(Some(Part { batch, keys, values, at: 0, picked: Vec::new() }));
            }
        }
        Ok(None)
    }

    fn key(&self) -> Option<&[u8]> {
        self.part.as_ref().map(|part| part.keys.row(part.at).data())
    }

    fn values(&self) -> Option<&[u8]> {
        self.part.as_ref().map(|part| part.values.row(part.at).data())
    }

    /// The row at which this stands is told with `operation`, if there is one.
    fn pick(&mut self, operation: Option<&'static str>) {
        let (Some(part), Some(operation)) = (&mut self.part, operation) else { return };
        let row = u32::try_from(part.at).unwrap_or(u32::MAX);
        match part.picked.iter_mut().find(|(other, _)| *other == operation) {
            Some((_, rows)) => rows.push(row),
            None => part.picked.push((operation, vec![row])),
        }
    }

    fn step(&mut self, told: &mut ChangesWriter) -> Result<(), Error> {
        let Some(part) = &mut self.part else { return Ok(()) };
        let last = part.keys.row(part.at).data();
        part.at += 1;
        if part.at < part.keys.num_rows() {
            return in_order(last, part.keys.row(part.at).data());
        }
        let last = last.to_vec();
        for (operation, rows) in std::mem::take(&mut part.picked) {
            told.tell(operation, &take_record_batch(&part.batch, &UInt32Array::from(rows))?)?;
        }
        self.part = self.next_part()?;
        self.key().map_or(Ok(()), |next| in_order(&last, next))
    }
}

/// Files are written in order; where one is not, a merge would tell wrong changes.
fn in_order(last: &[u8], next: &[u8]) -> Result<(), Error> {
    match last < next {
        true => Ok(()),
        false => Err(Error::Engine("rows of a result file are not in the order of their key".to_owned())),
    }
}

/// The changes on their way to the file.
struct ChangesWriter<'a> {
    writer: IpcWriter,
    plan: &'a ViewPlan,
    waiting: Vec<RecordBatch>,
    rows: u64,
}

impl ChangesWriter<'_> {
    fn tell(&mut self, operation: &str, rows: &RecordBatch) -> Result<(), Error> {
        self.rows += rows.num_rows() as u64;
        // Few rows of a large part must not hold all of it.
        self.waiting.push(compact(&diff::marked(self.plan, rows, operation)?)?);
        if self.waiting.iter().map(RecordBatch::num_rows).sum::<usize>() >= PART_ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Error> {
        let rows = concat_batches(&diff::schema(self.plan), &std::mem::take(&mut self.waiting))?;
        for from in (0..rows.num_rows()).step_by(PART_ROWS) {
            self.writer.write(&rows.slice(from, PART_ROWS.min(rows.num_rows() - from)))?;
        }
        Ok(())
    }
}
