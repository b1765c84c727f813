//! Programs that run to their end for a service (Maven, a format, a client), within a bounded time.

use std::{
    io::{Read, Write},
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus, Stdio},
    thread::{self, JoinHandle, sleep},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};

use super::{bound::bound_to_starter, identity::Identity};
use crate::command::shown;

/// Between two looks at whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How much of a command and of what it said an error shows.
const COMMAND_CHARS_MAX: usize = 200;
const TAIL_LINES: usize = 30;

/// Runs a program with nothing to read, and returns what it wrote to its standard output.
pub(crate) fn output(command: &Command, within: Duration) -> Result<String> {
    output_of(command, "", within)
}

/// Runs a program that reads `input`. A program that fails or takes too long is an error with the end of what it said.
pub(crate) fn output_of(command: &Command, input: &str, within: Duration) -> Result<String> {
    let name: String = shown(command).chars().take(COMMAND_CHARS_MAX).collect();
    // Else one that takes long, as Maven does, would go on after a Ctrl-C: it leads a group of its own.
    let mut command = bound_to_starter(command, "KILL", None);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().with_context(|| format!("`{name}` could not be started"))?;
    let (out, err) = (drain(child.stdout.take()), drain(child.stderr.take()));
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends without reading says so by its status.
        let _ = stdin.write_all(input.as_bytes());
    }
    let status = ended(&mut child, within).with_context(|| format!("waiting for `{name}`"))?;
    let (out, err) = (read(out)?, read(err)?);
    match status {
        Some(status) if status.success() => Ok(out),
        Some(status) => bail!("`{name}` failed ({status}); it said:\n{}", tail(&format!("{out}\n{err}"))),
        None => bail!("`{name}` had not ended after {within:?}; it said:\n{}", tail(&format!("{out}\n{err}"))),
    }
}

/// How it ended; `None` when it was killed because it took too long.
fn ended(child: &mut Child, within: Duration) -> Result<Option<ExitStatus>> {
    let begun = Instant::now();
    loop {
        match child.try_wait()? {
            None if begun.elapsed() < within => sleep(LOOK_EVERY),
            None => {
                if let Ok(identity) = Identity::of(child.id()) {
                    identity.kill_group()?;
                }
                child.wait()?;
                return Ok(None);
            }
            ended => return Ok(ended),
        }
    }
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before the pipe broke is all there is to show.
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn read(pipe: JoinHandle<String>) -> Result<String> {
    pipe.join().map_err(|_| anyhow!("the thread that reads its output panicked"))
}

/// The last lines of a text.
pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    #[test]
    fn what_it_reads_comes_back() {
        assert_eq!(output_of(&Command::new("cat"), "hello\n", SOON).expect("cat"), "hello\n");
    }

    #[test]
    fn a_failure_shows_what_was_said() {
        let failed = output(Command::new("sh").args(["-c", "echo no such thing >&2; exit 3"]), SOON);
        assert!(failed.is_err_and(|error| error.to_string().contains("no such thing")));
    }

    #[test]
    fn what_takes_too_long_is_ended_with_its_children() {
        let begun = Instant::now();
        let late = output(Command::new("sh").args(["-c", "sleep 60 & wait"]), Duration::from_millis(100));
        assert!(late.is_err_and(|error| error.to_string().contains("had not ended")));
        assert!(begun.elapsed() < SOON);
    }

    #[test]
    fn a_tail_has_the_last_lines() {
        let text: String = (0..100).map(|line| format!("{line}\n")).collect();
        assert_eq!(tail(&text).lines().next(), Some("70"));
        assert_eq!(tail("one\n"), "one");
    }
}
