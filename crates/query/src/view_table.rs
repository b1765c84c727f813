//! A view as a table: its live result files united with the rows that no file holds, of one offset.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::{
    arrow::datatypes::SchemaRef,
    catalog::{Session, TableProvider, memory::MemorySourceConfig},
    common::{DataFusionError, Result},
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

use crate::{
    bounds::TimeBounds,
    plan::Kind,
    snapshot::{Listed, Snapshot},
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
        match self.snapshot.plan.kind() {
            Kind::Windowed(_) | Kind::Derived(_) => self.snapshot.plan.window_output(),
            Kind::Rows(_) => None,
        }
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
        let column = self.filed_by();
        let bounded = |filter: &&Expr| match column.map(|column| TimeBounds::of(column, filter)) {
            Some(bounds) if !bounds.everything() => TableProviderFilterPushDown::Inexact,
            _ => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(bounded).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let external = |e: crate::Error| DataFusionError::External(Box::new(e));
        let mut bounds = TimeBounds::default();
        if let Some(column) = self.filed_by() {
            filters.iter().for_each(|filter| bounds.narrow(column, filter));
        }
        let rest = if self.with_rest { self.snapshot.rest().await.map_err(external)?.to_vec() } else { Vec::new() };
        let rest: Arc<dyn ExecutionPlan> =
            MemorySourceConfig::try_new_exec(&[rest], self.schema(), projection.cloned())?;
        let may_have = |range: TimeRange| bounds.least < range.end && Timestamp(bounds.greatest.0) >= range.start;
        let files: Vec<&Listed> = self.files.iter().filter(|listed| may_have(listed.range)).collect();
        if files.is_empty() {
            return Ok(rest);
        }
        for listed in &files {
            crate::files::check(&listed.file.path).map_err(external)?;
        }
        let groups = state.config().target_partitions().max(1);
        let mut groups = vec![FileGroup::default(); groups.min(files.len())];
        let count = groups.len();
        for (i, listed) in files.into_iter().enumerate() {
            let path = std::path::absolute(&listed.file.path)?;
            if let Some(group) = groups.get_mut(i % count) {
                group.push(PartitionedFile::new(path.to_string_lossy(), listed.file.size));
            }
        }
        let source = Arc::new(ParquetSource::new(self.schema()));
        let scan = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), source)
            .with_file_groups(groups)
            .with_projection_indices(projection.cloned())?
            .build();
        UnionExec::try_new(vec![DataSourceExec::from_data_source(scan), rest])
    }
}
