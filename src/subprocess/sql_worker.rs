//! `lakehead sql-worker`: answers SQL for the process that started it, within limits on itself.
//!
//! Not for people: it is spoken to over its standard input, which is one end of a pair of sockets. Before it reads anything
//! it takes the lowest place that a query needs and bounds its own memory, so that nothing it reads can cost more.

use std::{
    io::{self, IsTerminal},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    time::Duration,
};

use anyhow::{Context, bail};
use lakehead_engine::sql::{Launch, TIME_MAX, WORKER_BYTES_MAX, Workers, child};
use lakehead_query::Lake;
use rustix::process::Resource;

use super::limits::limit;
use crate::outcome::{Failure, Outcome};

/// The subcommand's name.
pub(crate) const NAME: &str = "sql-worker";

/// How far a query that has just come stands back behind what keeps the stream; one that takes long stands back further.
const NICE: i32 = 5;
/// What a worker may have of writable memory, in bytes: what it may use, and as much again for stacks and for what the
/// allocator holds back. The one who started it looks at what is really used, every few milliseconds; this stops a single
/// allocation that would be too quick for that.
///
/// It is a limit on data, not on addresses: what is mapped from files, and what is only reserved, costs nothing.
const DATA_BYTES_MAX: u64 = 2 * WORKER_BYTES_MAX;
/// Addresses, in bytes, for systems that do not count data: generous, since much is only reserved.
const ADDRESS_BYTES_MAX: u64 = 64 << 30;

/// The environment variable with the seconds that one query may take, in place of 60.
const SECONDS: &str = "LAKEHEAD_QUERY_SECONDS";

/// Workers of this program that answer from `lake`.
pub(crate) fn workers(lake: Lake) -> anyhow::Result<Workers> {
    let launch = Launch::this_program(&[NAME]).context("asking the system what this program is")?;
    let time_max = match std::env::var(SECONDS) {
        Err(_) => TIME_MAX,
        Ok(text) => match text.parse() {
            Ok(seconds @ 1..) => Duration::from_secs(seconds),
            _ => bail!("{SECONDS} is {text:?}: write the seconds that one query may take, as in 60"),
        },
    };
    Ok(Workers::new(lake, launch, time_max))
}

/// Answers on standard input until whoever started the process is gone.
pub(crate) fn run() -> Outcome {
    if io::stdin().is_terminal() {
        return Err(Failure::Usage("this is started by Lakehead itself; use `lakehead query` to ask".to_owned()));
    }
    limit(NICE, &[(Resource::Data, DATA_BYTES_MAX), (Resource::As, ADDRESS_BYTES_MAX), (Resource::Core, 0)])?;
    let wire: OwnedFd = io::stdin().as_fd().try_clone_to_owned().context("taking the wire")?;
    // Whoever started it has gone, or wants it gone: whatever it is computing, nobody reads it.
    child::run(UnixStream::from(wire), || std::process::exit(0)).context("answering queries")?;
    Ok(())
}
