//! What an audit looks at: a stream, a view, a time; everything where nothing is said.

use lakehead_model::{Name, Timestamp};
use serde::{Deserialize, Serialize};

/// What is to be audited: everything, where nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// This stream, and the views of it.
    #[serde(default)]
    pub stream: Option<Name>,
    /// This view, and no stream unless one is named.
    #[serde(default)]
    pub view: Option<Name>,
    /// Only what was received, and only windows that began, at or after this.
    #[serde(default)]
    pub since: Option<Timestamp>,
}

impl Scope {
    /// Whether `stream` is scanned.
    pub(super) fn scans(&self, stream: &Name) -> bool {
        match (&self.stream, &self.view) {
            (Some(asked), _) => asked == stream,
            (None, Some(_)) => false,
            (None, None) => true,
        }
    }

    /// Whether `view`, which is one `of` that stream, is counted again.
    pub(super) fn counts(&self, view: &Name, of: &Name) -> bool {
        match (&self.stream, &self.view) {
            (_, Some(asked)) => asked == view,
            (Some(stream), None) => stream == of,
            (None, None) => true,
        }
    }
}
