//! The definition and the settings saved in a checkpoint, to decide whether a view can continue with it.

use std::time::Duration;

use crate::{identity::Identity, plan::ViewPlan, view::settings::ViewSettings};

/// The definition of a view that its checkpoint saves: whether a view of another plan can continue with the checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedDefinition {
    /// The SQL whose results are kept.
    pub sql: String,
    pub(super) identity: Option<Identity>,
    pub(super) before: Option<Before>,
    pub(super) watermark_delay: Duration,
}

/// What format 2 knew of a view's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Before {
    pub(super) definition: String,
    pub(super) datafusion: String,
    pub(super) fingerprint: String,
}

impl SavedDefinition {
    /// What has changed since it was saved, in words; `None` when a view of this plan with these settings can continue
    /// with it.
    #[must_use]
    pub fn change(&self, plan: &ViewPlan, settings: &ViewSettings) -> Option<&'static str> {
        let now = Identity::of(plan, settings);
        match (&self.identity, &self.before) {
            (Some(identity), _) => identity.change(&now),
            // Format 2 kept neither lateness nor what becomes of late events: they are taken as unchanged.
            (None, Some(before)) if before.definition == plan.written() => Identity {
                watermark_delay: now.watermark_delay.map(|_| self.watermark_delay),
                columns: before.fingerprint.clone(),
                datafusion: before.datafusion.clone(),
                meaning: 1,
                ..now.clone()
            }
            .change(&now),
            _ => Some("its SQL or a column was changed"),
        }
    }

    /// The settings that it was made with; those of `settings` where it does not say.
    #[must_use]
    pub fn settings(&self, settings: ViewSettings) -> ViewSettings {
        match &self.identity {
            Some(identity) => identity.settings(settings),
            None => ViewSettings { watermark_delay: self.watermark_delay, ..settings },
        }
    }
}
