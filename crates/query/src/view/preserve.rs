//! Preserves, before a view is replaced, what the log cannot give again.

use lakehead_model::Offset;

use super::{
    files::{Checkpoint, Slot},
    instance::View,
    quarantine::{quarantine, quarantine_damaged},
};
use crate::error::Error;

impl View {
    /// Before a rebuild: preserves the results that the log cannot give again.
    pub(super) fn preserve(&self, why: &str) -> Result<(), Error> {
        let path = self.folder.checkpoint(Slot::Active);
        if !path.exists() {
            return Ok(());
        }
        let old = Checkpoint::load(&path).ok();
        let log_start = self.log_start();
        if log_start > old.as_ref().map_or(Offset(0), |old| old.begins) {
            self.quarantine(old.as_ref(), why, log_start)?;
        }
        Ok(())
    }

    /// Preserves the files that were found to be damaged, where the log does not hold all that they were made of.
    pub(super) fn preserve_damaged(&mut self) -> Result<(), Error> {
        let damaged = std::mem::take(&mut self.damaged);
        if damaged.is_empty() || self.log_start() <= self.checkpoint.begins {
            return Ok(());
        }
        let (name, log_start) = (self.handle.name(), self.log_start());
        let aside = quarantine_damaged(&self.folder, name, &damaged, &self.checkpoint, log_start)?;
        let files = damaged.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
        let aside = aside.map(|aside| aside.display().to_string()).unwrap_or_default();
        tracing::error!(view = %name, aside = %aside,
            "files of it are damaged, and the log does not hold all that it was made of: it goes on without {files}");
        Ok(())
    }

    /// Links what `old` names into the quarantine, and says so.
    pub(super) fn quarantine(&self, old: Option<&Checkpoint>, why: &str, log_start: Offset) -> Result<(), Error> {
        let name = self.handle.name();
        if let Some(aside) = quarantine(&self.folder, name, old, why, log_start)? {
            tracing::warn!(view = %name, results = %aside.display(),
                "the log does not hold all events of its old results any more: they are kept there ({why})");
        }
        Ok(())
    }

    /// The first event that the view could be built from now.
    pub(super) fn log_start(&self) -> Offset {
        self.handle.upstream().map_or(self.settings.log_start, |upstream| upstream.snapshot().begins)
    }
}
