//! The signals that a command which serves listens for.

use std::io::{self, IsTerminal};

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask for something.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    /// How many of the three standard channels were a terminal at the start.
    terminals: usize,
}

/// What a signal asks for.
pub(crate) enum SignalRequest {
    /// Ctrl-C, SIGTERM, or a terminal that was closed.
    Finish,
    /// SIGHUP.
    Reload,
}

impl Signals {
    /// From now on these signals no longer end the process by themselves.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("listening for signals");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
            terminals: terminals(),
        })
    }

    /// Waits for the next signal.
    pub(crate) async fn next(&mut self) -> SignalRequest {
        tokio::select! {
            _ = self.interrupt.recv() => SignalRequest::Finish,
            _ = self.terminate.recv() => SignalRequest::Finish,
            // The same signal says that the terminal was closed: who closes it means the program in it.
            _ = self.hang_up.recv() => if terminals() < self.terminals { SignalRequest::Finish } else { SignalRequest::Reload },
        }
    }

    /// Waits until it is asked to finish.
    pub(crate) async fn finish(&mut self) {
        while !matches!(self.next().await, SignalRequest::Finish) {}
    }
}

/// How many of the standard channels are a terminal that is open.
fn terminals() -> usize {
    [io::stdin().is_terminal(), io::stdout().is_terminal(), io::stderr().is_terminal()]
        .into_iter()
        .filter(|is| *is)
        .count()
}
