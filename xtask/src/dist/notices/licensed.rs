//! One thing that others wrote: what it is called, under which licence it stands, and the texts of that.

/// It.
pub(super) struct Licensed {
    /// Its name and version.
    pub(super) name: String,
    /// The licence expression, as whoever wrote it states it.
    pub(super) licence: String,
    /// Where it comes from, or what else is to be said.
    pub(super) about: String,
    /// Each text with the name of its file.
    pub(super) texts: Vec<(String, String)>,
}
