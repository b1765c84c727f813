//! Audits a view over another view: all of its rows at once.

use std::sync::Arc;

use super::{
    blocking::{blocking, compare},
    report::ViewAudit,
    under_way::Audit,
};
use crate::{
    error::Error,
    keyed_rows::Comparison,
    view::{derived, files, table::ViewTable},
};

impl Audit<'_> {
    /// A view over another view: all of its rows against its query over all of the other's. The other is audited by
    /// itself.
    pub(super) async fn run_derived(mut self, comparison: &Arc<Comparison>) -> Result<ViewAudit, Error> {
        let snapshot = Arc::clone(&self.snapshot);
        let Some((name, upstream)) = &snapshot.upstream else { return Ok(self.found) };
        let plan = snapshot.plan();
        let again = derived::run(plan, name, ViewTable::pinned(Arc::clone(upstream)), &Arc::default()).await?;
        let mut rows = snapshot.rest().await?.to_vec();
        for listed in &snapshot.results.files {
            let (path, schema) = (listed.file.path.clone(), plan.schema());
            rows.extend(blocking(move || files::read_parquet(&path, &schema)).await??);
            self.compare_public(listed).await?;
            self.found.files += 1;
        }
        self.found.rows += again.iter().map(|batch| batch.num_rows() as u64).sum::<u64>();
        let differing = compare(comparison, rows, again).await?;
        self.tell(differing, String::new);
        Ok(self.found)
    }
}
