//! What the thread that writes is told.

use lakehead_model::Name;
use tokio::sync::oneshot;

use crate::{
    error::Error,
    write::{append::Append, ticket::Waiting},
};

/// An append on its way to the writer.
#[derive(Debug)]
pub(crate) struct QueuedAppend {
    pub(crate) append: Append,
    pub(crate) waiting: Waiting,
    /// The stream's failures when it was let in; the writer refuses it when there has been one since.
    pub(crate) failures: u64,
}

/// What the writer is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// Keep these events.
    Append(Box<QueuedAppend>),
    /// Begin the next epoch, durably.
    RaiseEpoch(oneshot::Sender<Result<u64, Error>>),
    /// Give back the cursors of these sources, durably.
    DropCursors(Vec<Name>, oneshot::Sender<Result<(), Error>>),
}
