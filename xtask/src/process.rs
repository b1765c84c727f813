//! One running `lakehead`, seen from outside: the address it prints, its CPU time, its memory, its end.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// Longest wait for a process to say where it listens; opening takes far less.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Between two looks at whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// A child process; killed when dropped.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    /// `127.0.0.1:PORT`, as it printed it.
    pub(crate) address: String,
}

/// How a start went.
pub(crate) enum Launched {
    /// It said where it listens.
    Serving(Process),
    /// It ended before that.
    Ended {
        /// What it printed.
        said: String,
        /// How it ended.
        status: ExitStatus,
    },
}

/// CPU time, by who spent it.
#[derive(Clone, Copy)]
pub(crate) struct Cpu {
    /// In the program.
    pub(crate) user_seconds: f64,
    /// In the kernel for it: sockets, files, syncs.
    pub(crate) system_seconds: f64,
}

impl Cpu {
    pub(crate) fn seconds(self) -> f64 {
        self.user_seconds + self.system_seconds
    }

    /// What was spent after `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            user_seconds: self.user_seconds - earlier.user_seconds,
            system_seconds: self.system_seconds - earlier.system_seconds,
        }
    }
}

impl Process {
    /// Starts it and waits for the address it prints.
    pub(crate) fn start(binary: &Path, words: &[&str]) -> Result<Self> {
        match Self::launch(binary, words, &[])? {
            Launched::Serving(process) => Ok(process),
            Launched::Ended { said, status } => {
                bail!("`lakehead {}` ended ({status}); it said:\n{said}", words.join(" "))
            }
        }
    }

    /// Starts it with these variables in its environment, and waits until it says its address or ends.
    pub(crate) fn launch(binary: &Path, words: &[&str], environment: &[(&str, &str)]) -> Result<Launched> {
        let mut child = Command::new(binary)
            .args(words)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", binary.display()))?;
        let (sender, lines) = mpsc::channel();
        drain(child.stdout.take(), sender.clone());
        drain(child.stderr.take(), sender);
        let mut process = Self { child, lines, address: String::new() };
        let mut said = String::new();
        loop {
            match process.lines.recv_timeout(READY_WITHIN) {
                Ok(line) => {
                    if let Some(address) = listening(&line) {
                        process.address = address.to_owned();
                        return Ok(Launched::Serving(process));
                    }
                    said.push_str(&line);
                    said.push('\n');
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let status = process.child.wait().context("waiting for its end")?;
                    return Ok(Launched::Ended { said, status });
                }
                Err(RecvTimeoutError::Timeout) => {
                    bail!("`lakehead {}` did not say where it listens; it said:\n{said}", words.join(" "))
                }
            }
        }
    }

    /// What it has printed since it said its address, or since this was asked last.
    pub(crate) fn said(&self) -> String {
        self.lines.try_iter().fold(String::new(), |said, line| said + &line + "\n")
    }

    /// CPU time so far, from `/proc/<pid>/stat` (proc(5): fields 14 and 15, in clock ticks).
    pub(crate) fn cpu(&self) -> Result<Cpu> {
        /// `sysconf(_SC_CLK_TCK)`: 100 on every Linux that runs Rust's tier-1 targets.
        const TICKS_A_SECOND: f64 = 100.0;
        let stat = self.proc("stat")?;
        // The second field is the program's name in brackets, which may hold spaces.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
        Ok(Cpu { user_seconds: ticks(14) / TICKS_A_SECOND, system_seconds: ticks(15) / TICKS_A_SECOND })
    }

    /// The most memory it had resident, in bytes (`VmHWM`).
    pub(crate) fn memory_peak(&self) -> Result<u64> {
        self.kibibytes("VmHWM:")
    }

    /// The memory it has resident now, in bytes (`VmRSS`).
    pub(crate) fn memory_now(&self) -> Result<u64> {
        self.kibibytes("VmRSS:")
    }

    /// What of that is its own, in bytes (`RssAnon`): the rest are pages of files, mostly of its program.
    pub(crate) fn own_memory_now(&self) -> Result<u64> {
        self.kibibytes("RssAnon:")
    }

    /// How many files and sockets it has open.
    pub(crate) fn open_files(&self) -> Result<usize> {
        self.entries("fd")
    }

    /// How many threads it has.
    pub(crate) fn threads(&self) -> Result<usize> {
        self.entries("task")
    }

    fn entries(&self, folder: &str) -> Result<usize> {
        let path = format!("/proc/{}/{folder}", self.child.id());
        Ok(fs::read_dir(&path).with_context(|| format!("listing {path}"))?.count())
    }

    fn kibibytes(&self, field: &str) -> Result<u64> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let line = line.with_context(|| format!("no {field} in its status"))?;
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().with_context(|| format!("{field} {line}"))?;
        Ok(kibibytes * 1024)
    }

    /// Its id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it is still there.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context("asking whether it has ended")
    }

    /// Waits until it has ended; `None` when it had not after `longest`.
    pub(crate) fn wait(&mut self, longest: Duration) -> Result<Option<ExitStatus>> {
        let begun = Instant::now();
        loop {
            match self.ended()? {
                None if begun.elapsed() < longest => sleep(LOOK_EVERY),
                ended => return Ok(ended),
            }
        }
    }

    /// Sends it a signal, by the name that `kill` takes: `INT`, `STOP`, `CONT`.
    pub(crate) fn signal(&self, name: &str) -> Result<()> {
        let pid = self.child.id().to_string();
        Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status()
            .with_context(|| format!("sending SIG{name}"))?;
        Ok(())
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&mut self) -> Result<ExitStatus> {
        self.child.kill().context("killing it")?;
        self.child.wait().context("waiting for its end")
    }

    /// Asks it to finish, as Ctrl-C does, and waits until it has.
    pub(crate) fn finish(mut self) -> Result<ExitStatus> {
        self.signal("INT")?;
        self.child.wait().context("waiting for it to finish")
    }

    fn proc(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.child.id());
        fs::read_to_string(&path).with_context(|| format!("reading {path}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already gone after `finish`; then both do nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads a pipe to its end, so that the child never blocks on it.
fn drain(pipe: Option<impl Read + Send + 'static>, said: Sender<String>) {
    let Some(pipe) = pipe else { return };
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            // Nobody listens any more once the process is dropped.
            let _ = said.send(line);
        }
    });
}

/// The address in a line such as `dashboard: http://127.0.0.1:8080/`.
fn listening(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("http://127.0.0.1:")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let start = line.len() - rest.len() - "127.0.0.1:".len();
    (digits > 0).then(|| &line[start..line.len() - rest.len() + digits])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_a_sentence() {
        assert_eq!(listening("  open http://127.0.0.1:8080/ in a browser"), Some("127.0.0.1:8080"));
        assert_eq!(listening("simulating at http://127.0.0.1:40123"), Some("127.0.0.1:40123"));
        assert_eq!(listening("no address here"), None);
    }

    #[test]
    fn cpu_time_of_this_very_process_can_be_read() {
        let me = std::process::id();
        let stat = fs::read_to_string(format!("/proc/{me}/stat")).expect("Linux");
        assert!(stat.rsplit(')').next().expect("fields").split_whitespace().count() > 15);
    }
}
