//! What a running pipeline shares with its background tasks: the pipeline that runs now, and what they find out for the status.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use tokio::time::Instant;

use crate::{
    current::Current,
    status::{AuditStatus, DiskStatus, ReloadStatus},
};

/// What the engine and its tasks share.
pub(crate) struct Shared {
    current: RwLock<Arc<Current>>,
    pub(crate) disk: Mutex<DiskStatus>,
    pub(crate) audit: Arc<Mutex<AuditStatus>>,
    pub(crate) reloads: Mutex<ReloadStatus>,
    pub(crate) begun: Instant,
}

impl Shared {
    /// Begins with `current`, and what the last audit found according to the data directory.
    pub(crate) fn new(current: Current, data: &Path) -> Self {
        Self {
            current: RwLock::new(Arc::new(current)),
            disk: Mutex::default(),
            audit: Arc::new(Mutex::new(AuditStatus::load(data))),
            reloads: Mutex::default(),
            begun: Instant::now(),
        }
    }

    /// The pipeline that runs.
    pub(crate) fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on this one runs.
    pub(crate) fn set_current(&self, current: Arc<Current>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
    }
}
