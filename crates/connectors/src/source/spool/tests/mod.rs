//! What a spool promises, over real files: each event once, nothing half read, everything that is not read told.

mod changes;
mod contract;
mod crashes;
mod hostile;
mod many;
mod world;
