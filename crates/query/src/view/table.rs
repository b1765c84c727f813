//! A view as a table: its live result files united with the rows that no file holds, of one offset.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use datafusion::{
    arrow::{array::RecordBatch, datatypes::SchemaRef},
    catalog::{Session, TableProvider, memory::MemorySourceConfig},
    common::Result,
    datasource::{
        listing::PartitionedFile,
        object_store::ObjectStoreUrl,
        physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource},
        source::DataSourceExec,
    },
    logical_expr::{Expr, TableProviderFilterPushDown, TableType},
    physical_plan::{ExecutionPlan, union::UnionExec},
};
use lakehead_model::{TimeRange, Timestamp};

use super::{
    files,
    snapshot::{Listed, Snapshot},
};
use crate::{
    bounds::TimeBounds,
    error::Error,
    plan::{PlanKind, ViewPlan},
};

/// A view at one moment. While a query holds it, its files stay on disk.
#[derive(Debug)]
pub(crate) struct ViewTable {
    snapshot: Arc<Snapshot>,
    files: Vec<Listed>,
    with_rest: bool,
}

impl ViewTable {
    pub(crate) fn pinned(snapshot: Arc<Snapshot>) -> Self {
        let files = snapshot.results.files.clone();
        Self { snapshot, files, with_rest: true }
    }

    /// Only these of its files, and the rows that no file holds or not.
    pub(crate) fn only(mut self, wanted: impl Fn(&Listed) -> bool, with_rest: bool) -> Self {
        self.files.retain(wanted);
        self.with_rest = with_rest;
        self
    }

    /// The column by whose value the files are told apart, if the view shows it.
    fn filed_by(&self) -> Option<&str> {
        filed_by(&self.snapshot.plan)
    }
}

#[async_trait]
impl TableProvider for ViewTable {
    fn schema(&self) -> SchemaRef {
        self.snapshot.plan.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(pushdown(self.filed_by(), filters))
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let rest =
            if self.with_rest { self.snapshot.rest().await.map_err(Error::through)?.to_vec() } else { Vec::new() };
        let files = self.files.iter().map(|listed| (listed.range, listed.file.path.as_path(), listed.file.size));
        scan(state, &self.schema(), self.filed_by(), files, rest, projection, filters)
    }
}

/// The column by whose value a view's files are told apart, if the view shows it.
pub(crate) fn filed_by(plan: &ViewPlan) -> Option<&str> {
    match plan.kind() {
        PlanKind::Windowed(_) | PlanKind::Derived(_) => plan.window_output(),
        PlanKind::Projection(_) => None,
    }
}

/// Which of `filters` files that are told apart by `column` can make use of.
pub(crate) fn pushdown(column: Option<&str>, filters: &[&Expr]) -> Vec<TableProviderFilterPushDown> {
    let bounded = |filter: &&Expr| match column.map(|column| TimeBounds::of(column, filter)) {
        Some(bounds) if !bounds.everything() => TableProviderFilterPushDown::Inexact,
        _ => TableProviderFilterPushDown::Unsupported,
    };
    filters.iter().map(bounded).collect()
}

/// The rows of result files, each with its range, path and size, and the rows that no file holds.
pub(crate) fn scan<'a>(
    state: &dyn Session,
    schema: &SchemaRef,
    column: Option<&str>,
    files: impl Iterator<Item = (TimeRange, &'a Path, u64)>,
    rest: Vec<RecordBatch>,
    projection: Option<&Vec<usize>>,
    filters: &[Expr],
) -> Result<Arc<dyn ExecutionPlan>> {
    let mut bounds = TimeBounds::default();
    if let Some(column) = column {
        filters.iter().for_each(|filter| bounds.narrow(column, filter));
    }
    let rest: Arc<dyn ExecutionPlan> =
        MemorySourceConfig::try_new_exec(&[rest], Arc::clone(schema), projection.cloned())?;
    let may_have = |range: TimeRange| bounds.least < range.end && Timestamp(bounds.greatest.0) >= range.start;
    let files: Vec<(&Path, u64)> =
        files.filter(|(range, ..)| may_have(*range)).map(|(_, path, size)| (path, size)).collect();
    if files.is_empty() {
        return Ok(rest);
    }
    for (path, _) in &files {
        files::check(path).map_err(Error::through)?;
    }
    let groups = state.config().target_partitions().max(1);
    let mut groups = vec![FileGroup::default(); groups.min(files.len())];
    let count = groups.len();
    for (i, (path, size)) in files.into_iter().enumerate() {
        let path = std::path::absolute(path)?;
        if let Some(group) = groups.get_mut(i % count) {
            group.push(PartitionedFile::new(path.to_string_lossy(), size));
        }
    }
    let source = Arc::new(ParquetSource::new(Arc::clone(schema)));
    let scan = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), source)
        .with_file_groups(groups)
        .with_projection_indices(projection.cloned())?
        .build();
    UnionExec::try_new(vec![DataSourceExec::from_data_source(scan), rest])
}
