//! One `lakehead` process: started, asked, waited for, killed.
//!
//! It is killed when dropped, by its own id, so that a failing test leaves nothing running.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::http;

/// Longest wait for anything: generous, since two cores may be shared by several tests that each keep both busy.
const WAIT_MAX: Duration = Duration::from_secs(120);
/// Between two looks at a process.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A running process.
pub(crate) struct Lakehead {
    child: Child,
    said: Arc<Said>,
    /// `127.0.0.1:PORT`, as it printed it.
    pub(crate) address: String,
}

/// What a process has printed, on both channels.
#[derive(Default)]
struct Said {
    text: Mutex<String>,
    more: Condvar,
}

/// How a process ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The binary under test.
fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lakehead"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command that ends by itself.
pub(crate) fn run(words: &[&str]) -> Ended {
    run_with(words, |_| {})
}

/// The same, started otherwise: with something in its environment, or with a channel that nobody reads.
pub(crate) fn run_with(words: &[&str], change: impl FnOnce(&mut Command)) -> Ended {
    let mut command = binary();
    command.args(words);
    change(&mut command);
    let mut child = command.spawn().expect("the binary starts");
    let stdout = read_all(child.stdout.take());
    let stderr = read_all(child.stderr.take());
    let status = ended(&mut child).unwrap_or_else(|| {
        child.kill().expect("it can be killed");
        panic!("`lakehead {}` did not end within {WAIT_MAX:?}", words.join(" "))
    });
    let text = |thread: std::thread::JoinHandle<String>| thread.join().expect("reading does not panic");
    Ended { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

/// A pipe whose reader has gone.
pub(crate) fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

/// Runs SQL over a data directory and returns the rows as JSON objects.
pub(crate) fn query(data: &Path, sql: &str) -> Vec<Value> {
    let ended = run(&["query", sql, "--data", text(data), "--format", "ndjson"]);
    assert_eq!(ended.code, Some(0), "{sql}: {}", ended.stderr);
    ended.stdout.lines().map(|line| serde_json::from_str(line).expect("a row is JSON")).collect()
}

/// A path as a word of a command.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are UTF-8")
}

/// The folder that holds what the project may not carry itself, if it is beside the checkout.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(path);
    path.exists().then_some(path)
}

/// Says that a test cannot run here, so that it is counted as skipped. Past the harness, which keeps what a passing
/// test prints to itself.
pub(crate) fn skip(test: &str, why: &str) {
    let mut out = std::io::stdout().lock();
    // A closed output is nothing that a test could mend.
    let _ = writeln!(out, "SKIPPED {test}: {why}");
}

impl Lakehead {
    /// Starts a process that serves, and waits until it says where.
    pub(crate) fn start(words: &[&str]) -> Self {
        Self::start_as(binary(), words)
    }

    fn start_as(mut binary: Command, words: &[&str]) -> Self {
        let mut child = binary.args(words).spawn().expect("the binary starts");
        let said = Arc::new(Said::default());
        listen(child.stdout.take(), &said);
        listen(child.stderr.take(), &said);
        let mut process = Self { child, said, address: String::new() };
        process.address = process.wait_for_address(words);
        process
    }

    /// The same in a folder of its own.
    pub(crate) fn start_in(folder: &Path, words: &[&str]) -> Self {
        let mut binary = binary();
        binary.current_dir(folder);
        Self::start_as(binary, words)
    }

    /// Starts `run` on a simulated upstream.
    pub(crate) fn run_on(upstream: &Self, data: &Path) -> Self {
        let url = format!("http://{}/v2/stream/recentchange", upstream.address);
        Self::start(&["run", "--upstream", &url, "--data", text(data), "--listen", "127.0.0.1:0"])
    }

    /// Starts `run` on a pipeline file.
    pub(crate) fn run_pipeline(pipeline: &Path, data: &Path) -> Self {
        Self::start(&["run", text(pipeline), "--data", text(data), "--listen", "127.0.0.1:0"])
    }

    /// Starts `run` on a pipeline file, to be ended at a named point of its code.
    pub(crate) fn run_pipeline_to_its_end(pipeline: &Path, data: &Path, point: &str) -> Self {
        let mut binary = binary();
        binary.env("LAKEHEAD_CRASH_AT", point);
        Self::start_as(binary, &["run", text(pipeline), "--data", text(data), "--listen", "127.0.0.1:0"])
    }

    /// Starts `run` on a pipeline file with something in its environment.
    pub(crate) fn run_pipeline_with(pipeline: &Path, data: &Path, environment: &[(&str, &str)]) -> Self {
        let mut binary = binary();
        binary.envs(environment.iter().copied());
        Self::start_as(binary, &["run", text(pipeline), "--data", text(data), "--listen", "127.0.0.1:0"])
    }

    fn wait_for_address(&mut self, words: &[&str]) -> String {
        let begun = Instant::now();
        loop {
            let said = self.said();
            if let Some(address) = said.lines().find_map(listening) {
                return address.to_owned();
            }
            let ended = self.child.try_wait().expect("its state can be asked for");
            assert!(
                ended.is_none() && begun.elapsed() < WAIT_MAX,
                "`lakehead {}` said no address ({ended:?}):\n{said}",
                words.join(" ")
            );
            self.said.wait();
        }
    }

    /// Everything it has printed so far.
    pub(crate) fn said(&self) -> String {
        self.said.text.lock().expect("no thread panics with it").clone()
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `/v1/status`.
    pub(crate) fn status(&self) -> Value {
        let answer = http::get(&self.address, "/v1/status").unwrap_or_else(|error| panic!("{error}: {}", self.said()));
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    /// Waits until the status is as `done` wants it, and returns it. `what` says what is waited for.
    pub(crate) fn until(&self, what: &str, done: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let status = self.status();
            if done(&status) {
                return status;
            }
            assert!(begun.elapsed() < WAIT_MAX, "waited in vain for {what}: {status:#}\nit said:\n{}", self.said());
            pause();
        }
    }

    /// Waits until `events` are stored in the stream.
    pub(crate) fn until_stored(&self, stream: &str, events: u64) -> Value {
        self.until(&format!("{events} events in {stream}"), |status| stored(status, stream) >= events)
    }

    /// Waits until `events` are stored in the stream and every view of it has counted what is stored.
    pub(crate) fn until_counted(&self, stream: &str, events: u64) -> Value {
        self.until(&format!("{events} events of {stream} in every view"), |status| {
            let views = status["views"].as_object().expect("views");
            let mut views = views.values().filter(|view| view["stream"] == stream);
            stored(status, stream) >= events && views.all(|view| view["offset"].as_u64() >= Some(events))
        })
    }

    /// Pushes events; the answer must come.
    pub(crate) fn push(&self, stream: &str, body: &[u8]) -> http::Answer {
        http::push(&self.address, stream, body).unwrap_or_else(|error| panic!("{error}: {}", self.said()))
    }

    /// SIGHUP.
    pub(crate) fn hang_up(&self) {
        let asked = Command::new("kill").args(["-HUP", &self.child.id().to_string()]).status().expect("kill is there");
        assert!(asked.success(), "it was running");
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it was running");
        self.child.wait().expect("it is our child");
    }

    /// Waits until it has come to the `point` where it ends.
    pub(crate) fn ended_by(mut self, point: &str) {
        let status = ended(&mut self.child).unwrap_or_else(|| panic!("it never came to {point}:\n{}", self.said()));
        assert!(!status.success(), "it ended in good order before {point}:\n{}", self.said());
    }

    /// Ctrl-C, and waits until it has ended by itself.
    pub(crate) fn finish(mut self) -> ExitStatus {
        let asked = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().expect("kill is there");
        assert!(asked.success(), "it was running");
        ended(&mut self.child).unwrap_or_else(|| panic!("it did not end after Ctrl-C; it said:\n{}", self.said()))
    }
}

impl Drop for Lakehead {
    fn drop(&mut self) {
        // Both fail where it has ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The events that a status says are in a stream.
pub(crate) fn stored(status: &Value, stream: &str) -> u64 {
    status["streams"][stream]["events"].as_u64().unwrap_or(0)
}

/// Bytes of memory that a process has.
pub(crate) fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it is running");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux says it");
    line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number") << 10
}

/// Waits until `done`, looking again and again; false when it never came.
pub(crate) fn eventually(done: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < WAIT_MAX {
        if done() {
            return true;
        }
        pause();
    }
    false
}

/// The one pause: between two looks at another process, which has no other way to tell us.
fn pause() {
    std::thread::park_timeout(LOOK_EVERY);
}

fn ended(child: &mut Child) -> Option<ExitStatus> {
    let begun = Instant::now();
    while begun.elapsed() < WAIT_MAX {
        if let Some(status) = child.try_wait().expect("its state can be asked for") {
            return Some(status);
        }
        pause();
    }
    None
}

impl Said {
    /// Waits until there is more, or a moment has passed.
    fn wait(&self) {
        let text = self.text.lock().expect("no thread panics with it");
        drop(self.more.wait_timeout(text, LOOK_EVERY).expect("no thread panics with it"));
    }
}

/// Keeps reading what a process prints, so that it never blocks on us.
fn listen(pipe: Option<impl Read + Send + 'static>, said: &Arc<Said>) {
    let (pipe, said) = (pipe.expect("its output was asked for"), Arc::clone(said));
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            let mut text = said.text.lock().expect("no thread panics with it");
            text.push_str(&String::from_utf8_lossy(&line));
            text.push('\n');
            said.more.notify_all();
        }
    });
}

/// What comes out of a channel; nothing where it goes elsewhere.
fn read_all(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_end(&mut bytes).expect("a pipe can be read");
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The address in a line such as `dashboard: http://127.0.0.1:8080/`.
fn listening(line: &str) -> Option<&str> {
    let at = line.find("http://127.0.0.1:")? + "http://".len();
    let port = at + "127.0.0.1:".len();
    let digits = line[port..].bytes().take_while(u8::is_ascii_digit).count();
    (digits > 0).then(|| &line[at..port + digits])
}
