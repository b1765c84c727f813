//! A view as a table: its live result files united with its open windows, of one offset.

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
    logical_expr::{Expr, TableType},
    physical_plan::{ExecutionPlan, union::UnionExec},
};

use crate::{Snapshot, ViewHandle};

/// A view at one moment. While a query holds it, its files stay on disk.
#[derive(Debug)]
pub(crate) struct ViewTable {
    handle: ViewHandle,
    snapshot: Arc<Snapshot>,
}

impl ViewTable {
    pub(crate) fn new(handle: ViewHandle) -> Self {
        let snapshot = handle.snapshot();
        Self { handle, snapshot }
    }
}

#[async_trait]
impl TableProvider for ViewTable {
    fn schema(&self) -> SchemaRef {
        self.handle.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let external = |e: crate::Error| DataFusionError::External(Box::new(e));
        let open = self.handle.open_windows(&self.snapshot).await.map_err(external)?;
        let open: Arc<dyn ExecutionPlan> =
            MemorySourceConfig::try_new_exec(&[open], self.schema(), projection.cloned())?;
        if self.snapshot.results.files.is_empty() {
            return Ok(open);
        }
        let groups = state.config().target_partitions().max(1);
        let mut groups = vec![FileGroup::default(); groups.min(self.snapshot.results.files.len())];
        let count = groups.len();
        for (i, listed) in self.snapshot.results.files.iter().enumerate() {
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
        UnionExec::try_new(vec![DataSourceExec::from_data_source(scan), open])
    }
}
