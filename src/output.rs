//! Standard output, for whom a reader that has seen enough (`| head`) is no error, and standard error, which may be closed.

use std::{
    fmt::Display,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Standard output that takes a closed pipe for "enough".
pub(crate) struct Output {
    inner: io::Stdout,
    closed: Arc<AtomicBool>,
}

/// Standard output.
pub(crate) fn output() -> Output {
    Output { inner: io::stdout(), closed: Arc::default() }
}

/// Prints `text` as it is.
///
/// # Errors
/// When it cannot be written, a closed pipe excepted.
pub(crate) fn say(text: impl Display) -> io::Result<()> {
    let mut out = output();
    write!(out, "{text}")?;
    out.flush()
}

/// A line for whoever reads standard error; that nobody does, or that it cannot be written, stops nothing.
pub(crate) fn note(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

impl Output {
    /// Turns true when something could not be written any more, since the reader has seen enough: for work that is long and
    /// should end then.
    pub(crate) fn closed(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.closed)
    }

    fn enough<T>(&self, outcome: io::Result<T>, instead: T) -> io::Result<T> {
        match outcome {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed.store(true, Ordering::Relaxed);
                Ok(instead)
            }
            outcome => outcome,
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes);
        self.enough(written, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.inner.flush();
        self.enough(flushed, ())
    }
}
