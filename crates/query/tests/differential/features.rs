//! Which parts of the grammar are spoken: each that exists in Lakehead is switched on here.

/// A switch for each part that came later than tumbling windows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Features {
    /// `tumble(time, INTERVAL '1 day', 'Zone')`.
    pub(crate) calendars: bool,
    pub(crate) hops: bool,
    pub(crate) sessions: bool,
    /// Views without a window.
    pub(crate) projections: bool,
    pub(crate) top_k: bool,
    /// Aggregates with ORDER BY.
    pub(crate) ordered: bool,
    /// JSON access of undeclared fields.
    pub(crate) json: bool,
    /// Views that read other views.
    pub(crate) stacks: bool,
}

/// What is there.
pub(crate) const FEATURES: Features = Features {
    calendars: true,
    hops: true,
    sessions: true,
    projections: true,
    top_k: true,
    ordered: true,
    json: true,
    stacks: true,
};
