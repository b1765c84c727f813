//! One running `lakehead`, seen from outside: the address it prints, its CPU time, its memory.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, Sender},
    time::Duration,
};

use anyhow::{Context, Result};

/// Longest wait for a process to say where it listens; opening takes far less.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A child process; killed when dropped.
pub(super) struct Process {
    child: Child,
    /// `127.0.0.1:PORT`, as it printed it.
    pub(super) address: String,
}

/// CPU time, by who spent it.
#[derive(Clone, Copy)]
pub(super) struct Cpu {
    /// In the program.
    pub(super) user_seconds: f64,
    /// In the kernel for it: sockets, files, syncs.
    pub(super) system_seconds: f64,
}

impl Cpu {
    pub(super) fn seconds(self) -> f64 {
        self.user_seconds + self.system_seconds
    }
}

impl Process {
    /// Starts it and waits for the address it prints.
    pub(super) fn start(binary: &Path, words: &[&str]) -> Result<Self> {
        let mut child = Command::new(binary)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", binary.display()))?;
        let (said, lines) = mpsc::channel();
        drain(child.stdout.take(), said.clone());
        drain(child.stderr.take(), said);
        let mut process = Self { child, address: String::new() };
        process.address = address(&lines).with_context(|| format!("`lakehead {}`", words.join(" ")))?;
        Ok(process)
    }

    /// CPU time so far, from `/proc/<pid>/stat` (proc(5): fields 14 and 15, in clock ticks).
    pub(super) fn cpu(&self) -> Result<Cpu> {
        /// `sysconf(_SC_CLK_TCK)`: 100 on every Linux that runs Rust's tier-1 targets.
        const TICKS_A_SECOND: f64 = 100.0;
        let stat = self.proc("stat")?;
        // The second field is the program's name in brackets, which may hold spaces.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
        Ok(Cpu { user_seconds: ticks(14) / TICKS_A_SECOND, system_seconds: ticks(15) / TICKS_A_SECOND })
    }

    /// The most memory it had resident, in bytes (`VmHWM`).
    pub(super) fn memory_peak(&self) -> Result<u64> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM in its status")?;
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().context("VmHWM is not a number")?;
        Ok(kibibytes * 1024)
    }

    /// Whether it is still there.
    pub(super) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to finish, as Ctrl-C does, and waits until it has.
    pub(super) fn finish(mut self) -> Result<()> {
        Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().context("asking it to finish")?;
        self.child.wait().context("waiting for it to finish")?;
        Ok(())
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
            // Nobody listens any more once the address is known.
            let _ = said.send(line);
        }
    });
}

fn address(lines: &Receiver<String>) -> Result<String> {
    let mut said = String::new();
    loop {
        let Ok(line) = lines.recv_timeout(READY_WITHIN) else {
            anyhow::bail!("did not say where it listens; it said:\n{said}");
        };
        if let Some(address) = listening(&line) {
            return Ok(address.to_owned());
        }
        said.push_str(&line);
        said.push('\n');
    }
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
