//! What the dashboard shows, pushed to those who look at it as server-sent events.
//!
//! Two loops make the frames, once for everyone and only while somebody listens: the status each second, and the rows of
//! panels. A panel is asked only while somebody sees it, when it is due, and when its view or stream has moved; its rows are
//! sent to those who see it, when they have changed. A client takes the newest of each when it can write: a slow one
//! skips what it missed and slows nobody. A panel that costs much is asked less often, and all together rest most of the
//! time, so that the dashboard never takes more than a small share of the machine.
//!
//! ```text
//! event: hello      data: {"client":7}                      with this number it says what it sees: POST /v1/live/7
//! event: panels     data: {"panels":[…],"left_out":0}       at first, and when a reload has changed them
//! event: status     data: {…the document of /v1/status…}
//! event: panel      data: {"panel":"edits_per_second","rows":[…]}
//! ```

mod audience;
mod broadcast;
mod client;
mod frames;
mod schedule;

pub(crate) use audience::{CLIENTS_MAX, Seen};
pub(crate) use broadcast::Live;
