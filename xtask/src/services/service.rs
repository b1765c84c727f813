//! The contract of a service: what it needs, how it is started, how one sees that it answers, and its smoke test.
//!
//! A service is one file that implements [`Service`] and one line in `SERVICES`. It starts and ends no process itself:
//! `start.rs` and `stop.rs` do, for all services alike.

use std::process::Command;

use anyhow::Result;

use super::instance::Instance;

/// A server for tests: one or several processes on loopback.
pub(crate) trait Service: Sync {
    /// What the command line calls it.
    fn name(&self) -> &'static str;

    /// Why it cannot run on this machine; `None` when it can. Asks nothing of the network.
    fn lacks(&self) -> Option<String>;

    /// Why its smoke test cannot run although the service can.
    fn smoke_lacks(&self) -> Option<String> {
        None
    }

    /// A word for each port it listens on. Each gets a free port before `prepare`.
    fn ports(&self) -> &'static [&'static str];

    /// The highest port that the server takes.
    fn port_max(&self) -> u16 {
        u16::MAX
    }

    /// Brings into the cache what the service is made of; does nothing when it is there.
    fn download(&self) -> Result<()>;

    /// Writes the configuration and formats the data in an empty instance.
    fn prepare(&self, instance: &Instance) -> Result<()>;

    /// Its processes in the order of their start; each is ready before the next one starts. They end in reverse order.
    fn launches(&self, instance: &Instance) -> Result<Vec<Launch>>;

    /// Variables that a test reads, by name: `NAME_URL` and what else a client has to know.
    fn addresses(&self, instance: &Instance) -> Vec<(&'static str, String)>;

    /// Writes something through the server's public protocol and reads it back.
    fn smoke(&self, instance: &Instance) -> Result<()>;
}

/// One process to start.
pub(crate) struct Launch {
    /// The name of its log file.
    pub(crate) name: &'static str,
    pub(crate) command: Command,
    /// Whose process it becomes, where that is not who starts it.
    pub(crate) user: Option<User>,
    /// The signal that makes it finish in good order, as `kill` names it.
    pub(crate) stop_signal: &'static str,
    /// Succeeds once the process answers; the error says what is missing. Asked again and again.
    pub(crate) ready: fn(&Instance) -> Result<()>,
}

/// A user of this system, for a server that root may not run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}
