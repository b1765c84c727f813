//! Before a reload reads a pipeline file, a process of its own does: compiling SQL is recursion and search, and a text of a few
//! hundred bytes can take a stack, gigabytes or hours. That may cost the reload, never the process that serves.
//!
//! ```text
//!   reload ──the text──▶ `lakehead rehearse` ─┬─ it came to an end: whatever it found, reading can be borne
//!                                             └─ killed, fallen over, too slow: refused; what runs goes on
//! ```

use std::{
    io::{self, Read},
    os::unix::process::ExitStatusExt,
    process::{Output, Stdio},
    time::Duration,
};

use anyhow::{Context, anyhow};
use lakehead_engine::sql::Launch;
use lakehead_query::STACK_BYTES;
use rustix::process::{Resource, Signal};
use tokio::{io::AsyncWriteExt, process::Command};

use super::limits::limit;
use crate::{
    config::{self, Overrides, environment},
    kinds::Kinds,
    outcome::Outcome,
};

/// The subcommand's name.
pub(crate) const NAME: &str = "rehearse";

/// Behind those that serve.
const NICE: i32 = 5;
/// Writable memory of the process, in bytes.
const DATA_BYTES_MAX: u64 = 2 << 30;
/// Its processor time; a view takes a few tenths of a second.
const CPU_SECONDS_MAX: u64 = 60;
/// How long it is waited for.
const TIME_MAX: Duration = Duration::from_secs(120);
/// Of what it says last, so much is told.
const SAID_CHARS_MAX: usize = 300;

/// Reads the pipeline file that comes over standard input, within limits on itself. What is wrong with it is for the reload to
/// say.
pub(crate) fn run(name: &str) -> Outcome {
    limit(NICE, &[(Resource::Data, DATA_BYTES_MAX), (Resource::Cpu, CPU_SECONDS_MAX), (Resource::Core, 0)])?;
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).context("reading standard input")?;
    let name = name.to_owned();
    let read = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let reading = config::read(&name, &text, Kinds::BUILT, &environment, Overrides::default());
        let _ = runtime.block_on(reading);
        Ok::<_, io::Error>(())
    };
    // Half of what the process that serves has: what passes here has room there.
    let reading = std::thread::Builder::new().stack_size(STACK_BYTES / 2).spawn(read).context("starting a thread")?;
    reading.join().map_err(|_| anyhow!("it panicked"))?.context("setting up")?;
    Ok(())
}

/// Whether the file can be read without harm; why not otherwise.
pub(crate) async fn rehearse(name: &str, text: &str) -> Result<(), String> {
    let output = tokio::time::timeout(TIME_MAX, output(name, text)).await;
    let why = match output {
        Ok(Ok(output)) if output.status.success() => return Ok(()),
        Ok(Ok(output)) => why(&output),
        Ok(Err(error)) => return Err(format!("{name}: a process that reads it first could not be run: {error}")),
        Err(_) => format!("it takes longer than {} s", TIME_MAX.as_secs()),
    };
    Err(format!(
        "{name}: its SQL takes too much to be compiled: {why}; what runs goes on as it was. A view that was added or changed is \
         nested too deeply, too long, or has a constant too large"
    ))
}

async fn output(name: &str, text: &str) -> io::Result<Output> {
    let Launch::Process { program, words } = Launch::this_program(&[NAME, name])? else {
        return Err(io::Error::other("there is no program"));
    };
    let mut child = Command::new(program)
        .arg0("lakehead")
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that has fallen over already says so by its end.
        let _ = stdin.write_all(text.as_bytes()).await;
    }
    child.wait_with_output().await
}

/// Why it did not come to its end.
fn why(output: &Output) -> String {
    let signal = output.status.signal().and_then(Signal::from_named_raw);
    if matches!(signal, Some(Signal::XCPU | Signal::KILL)) {
        return format!("more than {CPU_SECONDS_MAX} s of processor time");
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it fell over without a word");
    last.chars().take(SAID_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use std::process::ExitStatus;

    use super::*;

    #[test]
    fn the_end_of_a_rehearsal_is_told_in_words() {
        let ended = |status, said: &str| {
            let stderr = said.as_bytes().to_vec();
            why(&Output { status: ExitStatus::from_raw(status), stdout: Vec::new(), stderr })
        };
        assert_eq!(ended(Signal::XCPU.as_raw(), ""), "more than 60 s of processor time");
        let overflow = "thread 'main' has overflowed its stack\nfatal runtime error: stack overflow, aborting\n\n";
        assert_eq!(ended(Signal::ABORT.as_raw(), overflow), "fatal runtime error: stack overflow, aborting");
        assert_eq!(ended(Signal::SEGV.as_raw(), " \n"), "it fell over without a word");
    }
}
