//! Runs an audit of a view, by what kind of view it is.

use std::sync::Arc;

use futures::future::BoxFuture;
use lakehead_model::Timestamp;

use super::{extent::Extent, passes::Pass, report::ViewAudit, under_way::Audit, window_counts::single_from};
use crate::{error::Error, keyed_rows::Comparison, lake::Lake, plan::PlanKind, view::ViewHandle};

impl Lake {
    /// Audits a view against the log, as of the view's offset at this moment. Changes nothing.
    ///
    /// # Errors
    /// When the log or a file of the view cannot be read, and when the pace says stop.
    pub fn audit<'a>(&'a self, view: &'a ViewHandle, extent: &'a Extent) -> BoxFuture<'a, Result<ViewAudit, Error>> {
        Box::pin(async move { Audit::new(self, view, extent).await?.run().await })
    }
}

impl Audit<'_> {
    async fn run(mut self) -> Result<ViewAudit, Error> {
        let plan = Arc::clone(self.snapshot.plan());
        let comparison = Arc::new(Comparison::new(&plan, plan.shape()));
        match plan.kind() {
            PlanKind::Windowed(_) => {}
            PlanKind::Projection(_) => return self.run_rows(&comparison).await,
            PlanKind::Derived(_) => return self.run_derived(&comparison).await,
        }
        let counted = self.view_windows().await?;
        let single = counted.keys().next().map_or(Timestamp(i64::MAX), |first| single_from(&plan, *first));
        let (windows, without_window, failed) = self.recount.windows(self.from, single).await?;
        if self.recount.unnests()? {
            self.strike_rows(&windows, without_window);
        } else if self.from.is_none() && self.extent.known.is_empty() {
            self.strike_balance(&windows, without_window, failed);
        }
        self.compare_windows(&windows, &counted);
        for pass in Pass::all(&self.snapshot, self.extent, self.from, &windows) {
            self.compare_pass(&pass, &comparison, &windows, &counted).await?;
        }
        Ok(self.found)
    }
}
