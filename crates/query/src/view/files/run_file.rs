//! The name of a file that holds a run of the state.

use serde::{Deserialize, Serialize};

/// A run in a file of its own: the commit that wrote it, and which of its runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct RunFile {
    pub(crate) generation: u64,
    pub(crate) number: u32,
    pub(crate) tier: u32,
}
