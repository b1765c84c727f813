//! What happens to a row on which an expression fails: in a query, and in the pieces of a view.

use std::sync::Arc;

use super::notes::Notes;

/// What becomes of what fails.
#[derive(Clone, Debug)]
pub(crate) enum Mode {
    /// It fails the query.
    Strict,
    /// The fast pieces of a view: what events become fails as it is, and is then done anew by the careful piece; a value of a
    /// finished row is NULL.
    View,
    /// The careful pieces of a view: events that fail are left out, and noted with their offset.
    Careful,
    /// A view's query as a batch: what fails is left out or NULL, and noted here.
    Lenient(Arc<Notes>),
}
