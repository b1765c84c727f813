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
    /// Events without the window's time are left out of batch queries as they are of views.
    pub(crate) untimed_left_out: bool,
}

/// What is there.
pub(crate) const FEATURES: Features = Features {
    calendars: false,
    hops: false,
    sessions: false,
    projections: false,
    top_k: false,
    ordered: false,
    json: false,
    untimed_left_out: false,
};
