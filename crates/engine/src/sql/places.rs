//! How many queries are at work at once: a few quick places for queries that have not shown yet whether they take long, and a
//! few long ones for those that do.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use super::{error::SqlError, process::ChildProcess};

/// Queries at once that have not shown yet whether they take long.
const QUICK_MAX: usize = 2;
/// Queries at once that take long, beside the quick ones.
const LONG_MAX: usize = 3;
/// Queries that take long and are held still until a place is free, each with its memory; what comes after is sent away.
const HELD_MAX: usize = 4;
/// How long one is held still at most.
const HELD_FOR: Duration = Duration::from_secs(30);
/// Queries that wait for a place; what comes after is sent away.
const WAITING_MAX: usize = 32;
/// How long one waits for a place.
const WAITING_FOR: Duration = Duration::from_secs(10);

/// What is said when there is no place for what takes long.
const BUSY_LONG: &str = "this query takes long, and others that do so are running already; ask again in half a minute";

/// What is said when there is no quick place.
const BUSY: &str =
    "other queries have been waiting for too long; ask again in some seconds, or make a view of what is asked often";

/// All places, and those who wait for one.
pub(super) struct Places {
    quick: Arc<Semaphore>,
    long: Arc<Semaphore>,
    waiting: Semaphore,
    /// Those that wait for a long place without having begun.
    waiting_long: Semaphore,
    /// Those that have begun, and are held still until there is a long place.
    held: Semaphore,
}

/// The place of one query; it is free again when this drops.
pub(super) struct Place {
    permit: Option<OwnedSemaphorePermit>,
    is_long: bool,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            quick: Arc::new(Semaphore::new(QUICK_MAX)),
            long: Arc::new(Semaphore::new(LONG_MAX)),
            waiting: Semaphore::new(WAITING_MAX),
            waiting_long: Semaphore::new(WAITING_MAX),
            held: Semaphore::new(HELD_MAX),
        }
    }
}

impl Places {
    /// Waits for a place: a quick one, or a long one for what is known to take long.
    pub(super) async fn take(&self, is_long: bool) -> Result<Place, SqlError> {
        let full = || SqlError::Busy(if is_long { BUSY_LONG } else { BUSY }.to_owned());
        let (waiting, places, time) = if is_long {
            (&self.waiting_long, &self.long, HELD_FOR)
        } else {
            (&self.waiting, &self.quick, WAITING_FOR)
        };
        let _waiting = waiting.try_acquire().map_err(|_| full())?;
        let permit = timeout(time, Arc::clone(places).acquire_owned()).await;
        let permit = permit.ok().and_then(Result::ok).ok_or_else(full)?;
        Ok(Place { permit: Some(permit), is_long })
    }

    /// Gives up the quick place of the query that `child` answers for a long one; holds the query still until there is one.
    /// Answers for how long.
    pub(super) async fn take_long(&self, place: &mut Place, child: &ChildProcess) -> Result<Duration, SqlError> {
        let busy = || SqlError::Busy(BUSY_LONG.to_owned());
        let mut held = Duration::ZERO;
        let permit = match Arc::clone(&self.long).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let _held = self.held.try_acquire().map_err(|_| busy())?;
                child.pause();
                place.permit = None;
                let since = Instant::now();
                let permit = timeout(HELD_FOR, Arc::clone(&self.long).acquire_owned()).await;
                let permit = permit.map_err(|_| busy())?.map_err(|_| busy())?;
                held = since.elapsed();
                child.resume();
                permit
            }
        };
        *place = Place { permit: Some(permit), is_long: true };
        child.yield_to_all();
        Ok(held)
    }
}

impl Place {
    pub(super) fn is_long(&self) -> bool {
        self.is_long
    }
}
