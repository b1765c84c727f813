//! What queries read a view from, wherever its rows are kept.

use std::{fmt, sync::Arc};

use datafusion::catalog::TableProvider;
use lakehead_model::Name;

use super::{handle::ViewHandle, table::ViewTable};
use crate::plan::ViewPlan;

/// A view as a [`Lake`](crate::Lake) reads it. A view that this process keeps is read by its [`ViewHandle`]; one that is kept
/// elsewhere, as on a cluster, brings a table of its own.
pub trait ViewSource: fmt::Debug + Send + Sync {
    /// The view's name.
    fn name(&self) -> &Name;

    /// How it was compiled: its columns, its key, its kind.
    fn plan(&self) -> Arc<ViewPlan>;

    /// The view at this moment, as a table. What it reads stays where it is for as long as the table is held.
    fn table(&self) -> Arc<dyn TableProvider>;

    /// The warning for a view that is not kept up to date: since when, and why. Every answer over it has it.
    fn stale(&self) -> Option<String>;

    /// The view itself, if this process keeps it: what the audit, `explain` and followers ask for.
    fn handle(&self) -> Option<ViewHandle> {
        None
    }
}

impl ViewSource for ViewHandle {
    fn name(&self) -> &Name {
        self.name()
    }

    fn plan(&self) -> Arc<ViewPlan> {
        self.plan()
    }

    fn table(&self) -> Arc<dyn TableProvider> {
        Arc::new(ViewTable::pinned(self.snapshot()))
    }

    fn stale(&self) -> Option<String> {
        self.stale()
    }

    fn handle(&self) -> Option<ViewHandle> {
        Some(self.clone())
    }
}
