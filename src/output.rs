//! Standard output, for whom a reader that has seen enough (`| head`) is no error.

use std::{
    fmt::Display,
    io::{self, Write},
};

/// Standard output that takes a closed pipe for "enough".
pub(crate) struct Output(io::Stdout);

/// Standard output.
pub(crate) fn output() -> Output {
    Output(io::stdout())
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

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        enough(self.0.write(bytes), bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        enough(self.0.flush(), ())
    }
}

fn enough<T>(outcome: io::Result<T>, instead: T) -> io::Result<T> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(instead),
        outcome => outcome,
    }
}
