//! One worker as this side has it: the process, the wire to it, what it uses.

use std::{
    io,
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream as StdUnixStream, process::ExitStatusExt},
    },
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use lakehead_query::worker::{Frame, FrameKind};
use rustix::process::{Pid, Signal, kill_process, setpriority_pgrp};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    process::{Child, ChildStderr, Command},
};

use super::{bounds::WORKER_BYTES_MAX, child, error::SqlError, launch::Launch};
use crate::sync::lock;

/// Of what a worker says on its standard error, so much is kept: the end, which says why it died.
const SAID_BYTES_MAX: usize = 4 << 10;
/// How long a worker may take to be gone once its wire is closed, or it was killed.
const GONE_WITHIN: Duration = Duration::from_secs(5);
/// The greatest priority value: whatever else wants the processor comes first.
const LEAST_PRIORITY: i32 = 19;
/// What a worker is given of the environment: how it logs and what its texts and times are. No secrets.
const ENVIRONMENT: [&str; 4] = ["LAKEHEAD_LOG", "RUST_BACKTRACE", "TZ", "LD_LIBRARY_PATH"];
/// Ticks a second in `/proc/PID/stat`: USER_HZ, which is 100 wherever Linux runs (proc(5), times(2)).
const TICKS_A_SECOND: u64 = 100;
/// The longest message that is taken from a worker.
const FRAME_FROM_WORKER_MAX: usize = 1 << 20;

/// A worker. It is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) wire: Wire,
    /// None where it is a thread.
    pub(super) child: Option<ChildProcess>,
}

/// The two directions of the wire to it.
#[derive(Debug)]
pub(super) struct Wire {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
}

/// The process itself.
#[derive(Debug)]
pub(super) struct ChildProcess {
    child: Child,
    pid: Pid,
    said: Arc<Mutex<Vec<u8>>>,
    hearing: tokio::task::JoinHandle<()>,
}

/// What a worker uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Processor time of all its threads since it began.
    pub(super) cpu: Duration,
    /// Memory that is its own.
    pub(super) bytes: u64,
    /// Somebody has stopped it by a signal.
    pub(super) is_stopped: bool,
}

impl Process {
    /// Starts a worker.
    pub(super) fn start(launch: &Launch) -> io::Result<Self> {
        let (ours, theirs) = StdUnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let (from, to) = UnixStream::from_std(ours)?.into_split();
        let wire = Wire { from, to };
        let Launch::Process { program, words } = launch else {
            std::thread::Builder::new().name("sql worker".into()).spawn(move || {
                // It ends when the wire is closed.
                let _ = child::run(theirs, || {});
            })?;
            return Ok(Self { wire, child: None });
        };
        let mut command = Command::new(program);
        command
            .arg0("lakehead")
            .args(words)
            .env_clear()
            .envs(ENVIRONMENT.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))))
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Ctrl-C is for the process that serves; this one ends with it.
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        let pid = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let pid = pid.ok_or_else(|| io::Error::other("it ended at once"))?;
        let said = Arc::new(Mutex::new(Vec::new()));
        let hearing = tokio::spawn(hear(child.stderr.take(), Arc::clone(&said)));
        Ok(Self { wire, child: Some(ChildProcess { child, pid, said, hearing }) })
    }

    /// Whether it is there and can answer.
    pub(super) fn is_well(&mut self) -> bool {
        match &mut self.child {
            None => true,
            Some(running) => matches!(running.child.try_wait(), Ok(None)) && !running.usage().is_stopped,
        }
    }
}

impl Wire {
    /// The next message; `None` when the worker has gone.
    pub(super) async fn receive(&mut self) -> io::Result<Option<Frame>> {
        let mut head = [0; 5];
        match self.from.read_exact(&mut head).await {
            Ok(_) => {}
            Err(error) if is_gone(&error) => return Ok(None),
            Err(error) => return Err(error),
        }
        let (kind, len) = Frame::announced(head)?;
        if len > FRAME_FROM_WORKER_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the worker's message is too long"));
        }
        let mut content = vec![0; len];
        match self.from.read_exact(&mut content).await {
            Ok(_) => Ok(Some(Frame { kind, content })),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends a message; `false` when the worker has gone.
    pub(super) async fn send(&mut self, kind: FrameKind, content: &[u8]) -> io::Result<bool> {
        let head = Frame::head(kind, content.len())?;
        for bytes in [&head[..], content] {
            match self.to.write_all(bytes).await {
                Ok(()) => {}
                Err(error) if is_gone(&error) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

impl ChildProcess {
    pub(super) fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// What it uses now; nothing where the system does not say.
    pub(super) fn usage(&self) -> Usage {
        let read = |what: &str| std::fs::read_to_string(format!("/proc/{}/{what}", self.id())).unwrap_or_default();
        usage(&read("stat"), &read("status"))
    }

    /// From now on whatever else wants the processor comes first. It never comes back from there.
    pub(super) fn yield_to_all(&self) {
        if let Err(error) = setpriority_pgrp(Some(self.pid), LEAST_PRIORITY) {
            tracing::debug!(%error, "a query keeps its priority");
        }
    }

    /// Holds it still.
    pub(super) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it run again.
    pub(super) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        // One that has gone is noticed by its wire. Its id is not another's before it is waited for.
        if let Err(error) = kill_process(self.pid, signal) {
            tracing::debug!(%error, ?signal, "a worker could not be told");
        }
    }

    /// Why it died, when it did so by itself.
    pub(super) async fn why(&mut self) -> SqlError {
        let status = match tokio::time::timeout(GONE_WITHIN, self.child.wait()).await {
            Ok(Ok(status)) => status,
            _ => return SqlError::Failed("the worker of the query does not answer; ask again".to_owned()),
        };
        // What it said last is read to its end.
        let _ = tokio::time::timeout(GONE_WITHIN, &mut self.hearing).await;
        let said = String::from_utf8_lossy(&lock(&self.said)).into_owned();
        tracing::debug!(%status, said, "a worker died");
        cause(status.signal(), &said, &status.to_string())
    }
}

/// What the way in which a worker died says about its query.
fn cause(signal: Option<i32>, said: &str, status: &str) -> SqlError {
    const SEGV: i32 = 11;
    const BUS: i32 = 7;
    const KILL: i32 = 9;
    if said.contains("memory allocation of") || said.contains("Cannot allocate memory") {
        return SqlError::Limit(format!(
            "the query needs more memory than it may use, which is {} MiB; ask for fewer rows, columns or groups, or for \
             shorter texts",
            WORKER_BYTES_MAX >> 20
        ));
    }
    if said.contains("overflowed its stack") || matches!(signal, Some(SEGV | BUS)) {
        let what = "the query is nested too deeply, or has too many terms in one expression; write a list as IN (…), a sum as \
                    sum(…) over rows, and take subqueries apart";
        return SqlError::Limit(what.to_owned());
    }
    if signal == Some(KILL) {
        let what =
            "the worker of the query was killed from outside, perhaps by the system for want of memory; ask again";
        return SqlError::Busy(what.to_owned());
    }
    let panic = said.lines().skip_while(|line| !line.contains("panicked at")).nth(1).unwrap_or_default();
    SqlError::Failed(format!(
        "the query ended its worker ({status}), which is a defect of Lakehead; nothing else was affected. {panic}"
    ))
}

/// Takes the numbers out of `/proc/PID/stat` and `/proc/PID/status` (proc(5)).
fn usage(stat: &str, status: &str) -> Usage {
    // The name, in parentheses, may hold anything; after it come fields without spaces, the third of all first.
    let fields: Vec<&str> =
        stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
    let number = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    let ticks = number(11) + number(12);
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    Usage {
        cpu: Duration::from_millis(ticks * 1_000 / TICKS_A_SECOND),
        bytes: (kib("RssAnon:").unwrap_or(0) + kib("RssShmem:").unwrap_or(0)) << 10,
        is_stopped: fields.first() == Some(&"T"),
    }
}

/// Keeps the end of what a worker says.
async fn hear(stderr: Option<ChildStderr>, said: Arc<Mutex<Vec<u8>>>) {
    let Some(mut stderr) = stderr else { return };
    let mut some = [0; 1 << 10];
    while let Ok(count) = stderr.read(&mut some).await {
        if count == 0 {
            break;
        }
        let mut said = lock(&said);
        said.extend_from_slice(some.get(..count).unwrap_or(&[]));
        let surplus = said.len().saturating_sub(SAID_BYTES_MAX);
        said.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_uses_is_read_whatever_its_name_is() {
        let stat = "42 (lake) head) T 1 42 42 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 4 0 1 1000 10";
        let status = "Name:\tlakehead\nVmRSS:\t  900 kB\nRssAnon:\t  512 kB\nRssFile:\t  300 kB\nRssShmem:\t  88 kB\n";
        assert_eq!(usage(stat, status), Usage { cpu: Duration::from_secs(2), bytes: 600 << 10, is_stopped: true });
        assert_eq!(usage("", ""), Usage::default());
    }

    #[test]
    fn how_a_worker_died_says_what_to_do() {
        let died = |signal, said: &str| cause(signal, said, "signal");
        assert!(matches!(died(Some(6), "memory allocation of 2147483647 bytes failed"), SqlError::Limit(_)));
        assert!(
            matches!(died(Some(6), "thread 'x' has overflowed its stack"), SqlError::Limit(what) if what.contains("nested"))
        );
        assert!(matches!(died(Some(11), ""), SqlError::Limit(_)));
        assert!(matches!(died(Some(9), ""), SqlError::Busy(_)));
        let SqlError::Failed(what) = died(None, "thread 'x' panicked at a.rs:1:2:\nindex out of bounds\n") else {
            panic!("a defect")
        };
        assert!(what.contains("index out of bounds"), "{what}");
    }
}
