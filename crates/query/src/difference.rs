//! Compares two incarnations of one view: what changes when the one that is built takes the other's place.
//!
//! Compared are the windows that are over in both, so that it does not matter which of them is further; rows are told
//! apart by the groups that both show, and compared in the columns that both have.

use std::sync::Arc;

use datafusion::arrow::{
    array::{Array, AsArray, BooleanArray, RecordBatch},
    compute::filter_record_batch,
    datatypes::{Schema, TimestampMicrosecondType},
};
use futures::future::BoxFuture;
use lakehead_model::{Offset, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    keyed_rows::{Comparison, Side},
    plan::{Shape, ViewPlan},
    view::{Snapshot, ViewHandle, files},
};

/// Rows that are shown in full; more are only counted.
const SHOWN_MAX: usize = 20;

/// Rows of either side beyond which they are not compared: they are held in memory, about half a KiB each.
const ROWS_MAX: u64 = 4_000_000;

/// What changes from one life of a view to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ViewDifference {
    /// The SQL that is answered from.
    pub old_sql: String,
    /// The SQL that is to take its place.
    pub new_sql: String,
    /// How far the new one has got.
    pub built_to: Offset,
    /// Columns that only the new one has.
    pub columns_added: Vec<String>,
    /// Columns that only the old one has, or whose type differs.
    pub columns_removed: Vec<String>,
    /// Only windows that end at or before this were compared; all rows when it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Rows of the old one, as far as they were compared.
    pub old_rows: u64,
    /// Rows of the new one, as far as they were compared.
    pub new_rows: u64,
    /// Rows that only the new one has.
    pub added: u64,
    /// Rows that only the old one has.
    pub removed: u64,
    /// Rows that both have, with other values.
    pub changed: u64,
    /// The first of them.
    pub shown: Vec<ChangedRow>,
}

/// One row that changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ChangedRow {
    /// What names it.
    pub key: String,
    /// Its other columns in the old view; missing when it is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// The same in the new view; missing when it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
}

impl ViewHandle {
    /// What would change if `next` took this view's place.
    ///
    /// # Errors
    /// [`Error::Limit`] when there are too many rows; [`Error::File`] when a result cannot be read.
    pub fn difference<'a>(&'a self, next: &'a Self) -> BoxFuture<'a, Result<ViewDifference, Error>> {
        Box::pin(async move { compare(&self.snapshot(), &next.snapshot()).await })
    }
}

async fn compare(old: &Snapshot, new: &Snapshot) -> Result<ViewDifference, Error> {
    let (old_plan, new_plan) = (old.plan(), new.plan());
    let (old_schema, new_schema) = (old_plan.schema(), new_plan.schema());
    let common = common_columns(&old_schema, &new_schema);
    let names = |schema: &Schema, has: &dyn Fn(usize) -> bool| {
        let fields = schema.fields().iter().enumerate().filter(|(index, _)| !has(*index));
        fields.map(|(_, field)| field.name().clone()).collect::<Vec<_>>()
    };
    let until = closed_in_both(old, new);
    let old_rows = rows(old, until, &common.iter().map(|(old, _)| *old).collect::<Vec<_>>()).await?;
    let new_rows = rows(new, until, &common.iter().map(|(_, new)| *new).collect::<Vec<_>>()).await?;
    let count = |rows: &[RecordBatch]| rows.iter().map(|batch| batch.num_rows() as u64).sum();
    let mut found = ViewDifference {
        old_sql: old_plan.sql().to_owned(),
        new_sql: new_plan.sql().to_owned(),
        built_to: new.next_offset,
        columns_added: names(&new_schema, &|index| common.iter().any(|(_, new)| *new == index)),
        columns_removed: names(&old_schema, &|index| common.iter().any(|(old, _)| *old == index)),
        until: until.map(|until| until.to_string()),
        old_rows: count(&old_rows),
        new_rows: count(&new_rows),
        ..ViewDifference::default()
    };

    let columns: Vec<usize> = common.iter().map(|(_, new)| *new).collect();
    let shape = common_shape(old_plan.shape(), new_plan.shape(), &common);
    let comparison = Comparison::over(Arc::new(new_schema.project(&columns)?), &shape);
    let differing = tokio::task::spawn_blocking(move || {
        comparison.compare(&Side::new(&comparison, old_rows)?, &Side::new(&comparison, new_rows)?)
    })
    .await
    .map_err(|error| Error::Engine(error.to_string()))??;
    for one in differing.into_iter().filter(|one| !one.is_near()) {
        match (&one.view, &one.log) {
            (Some(_), Some(_)) => found.changed += 1,
            (Some(_), None) => found.removed += 1,
            _ => found.added += 1,
        }
        if found.shown.len() < SHOWN_MAX {
            found.shown.push(ChangedRow { key: one.key, old: one.view, new: one.log });
        }
    }
    Ok(found)
}

/// The columns that both have under one name and of one type: their places in the old and in the new schema.
fn common_columns(old: &Schema, new: &Schema) -> Vec<(usize, usize)> {
    let common = new.fields().iter().enumerate().filter_map(|(index, field)| {
        let before = old.index_of(field.name()).ok()?;
        (old.field(before).data_type() == field.data_type()).then_some((before, index))
    });
    common.collect()
}

/// Until when windows are over in both, whether a commit has filed them yet or not; `None` where not both have windows and show
/// them.
fn closed_in_both(old: &Snapshot, new: &Snapshot) -> Option<Timestamp> {
    let (old_plan, new_plan) = (old.plan(), new.plan());
    let both_windowed = old_plan.windowed().is_some() && new_plan.windowed().is_some();
    let both_shown = old_plan.shape().window.is_some() && new_plan.shape().window.is_some();
    (both_windowed && both_shown).then(|| old.watermark.min(new.watermark).unwrap_or(Timestamp(i64::MIN)))
}

/// What the columns are that both have.
fn common_shape(old: &Shape, new: &Shape, common: &[(usize, usize)]) -> Shape {
    let place = |new: usize| common.iter().position(|(_, index)| *index == new);
    let is_key = |(before, after): &&(usize, usize)| old.keys.contains(before) && new.keys.contains(after);
    Shape {
        keys: common.iter().filter(is_key).filter_map(|(_, new)| place(*new)).collect(),
        groups: Vec::new(),
        keys_are_whole: old.keys_are_whole && new.keys_are_whole,
        window: new.window.and_then(place),
        has_having: false,
        approximate: Vec::new(),
        rough: new.rough.iter().filter_map(|column| place(*column)).collect(),
        adds_up: Vec::new(),
    }
}

/// The rows of the windows that are closed at `until`, or all, in the named columns.
async fn rows(snapshot: &Snapshot, until: Option<Timestamp>, columns: &[usize]) -> Result<Vec<RecordBatch>, Error> {
    let files = snapshot.results.files.iter().filter(|listed| until.is_none_or(|until| listed.range.start < until));
    let files: Vec<_> = files.collect();
    let count: u64 = files.iter().map(|listed| listed.rows).sum();
    if count > ROWS_MAX {
        return Err(Error::Limit(format!(
            "the view has {count} rows, and only {ROWS_MAX} are compared at once; compare a part of it with SQL"
        )));
    }
    let mut rows = Vec::new();
    for listed in files {
        let (path, schema) = (listed.file.path.clone(), snapshot.plan().schema());
        let read = tokio::task::spawn_blocking(move || files::read_parquet(&path, &schema)).await;
        rows.extend(read.map_err(|error| Error::Engine(error.to_string()))??);
    }
    rows.extend(snapshot.rest().await?.iter().cloned());
    let plan = snapshot.plan();
    let kept = |batch: RecordBatch| -> Result<RecordBatch, Error> {
        let batch = match (until, plan.shape().window) {
            (Some(until), Some(window)) => closed(plan, &batch, window, until)?,
            _ => batch,
        };
        Ok(batch.project(columns)?)
    };
    rows.into_iter().map(kept).collect()
}

/// The rows whose windows end at or before `until`. Where a session ends its row does not say: of those all that start
/// before it.
fn closed(plan: &ViewPlan, batch: &RecordBatch, window: usize, until: Timestamp) -> Result<RecordBatch, Error> {
    let Some(windowed) = plan.windowed() else { return Ok(batch.clone()) };
    let Some(starts) = batch.column(window).as_primitive_opt::<TimestampMicrosecondType>() else {
        return Ok(batch.clone());
    };
    let is_closed = |start: Timestamp| match &windowed.windows {
        lakehead_window::Windows::Hop(hop) => hop.window(start).end <= until,
        windows => windows.first_end(start, start) <= until,
    };
    let keep: BooleanArray =
        (0..starts.len()).map(|row| Some(starts.is_valid(row) && is_closed(Timestamp(starts.value(row))))).collect();
    Ok(filter_record_batch(batch, &keep)?)
}
