//! One round: one data directory, one upstream, and kill after kill, until everything is checked.
//!
//! ```text
//! start ─▶ cheap checks ─▶ pushes and status, until the moment of the kill ─▶ gone ─┐
//!   ▲───────────────────────────────────────────────────────────────────────────────┘
//!   └─▶ after the last: a fresh event flows ─▶ upstream gone ─▶ Ctrl-C ─▶ the oracle
//! ```
//! Everything random follows from the round's seed; what the processes make of their time does not.

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    sync::{Arc, Mutex},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{
    changed::Definition,
    files,
    oracle::{Findings, Looked, Oracle, What},
    pipeline::{self, CHANGES, PUSHED},
    points::{self, Points},
    pushes::{self, Pusher, Pushes},
    random::{Random, mix},
    reference,
    upstream::Upstream,
};
use crate::{
    http,
    process::{Launched, Process},
};

/// Events a second of the upstream: blocks, segments and commits come by in tenths of a second.
const RATE: u64 = 3_000;
/// Upstream cuts a connection after this.
const CUT_AFTER: &str = "700ms";
/// Between two looks at the status.
const LOOK_EVERY: Duration = Duration::from_millis(15);
/// Longest life of a process that is killed at a random moment, in milliseconds.
const LIFE_MAX_MILLIS: u64 = 700;
/// How long a point is waited for before the process is asked to stop, which passes the points of a commit.
const POINT_WITHIN: Duration = Duration::from_millis(1_200);
/// How long it is waited for now and then, so that commits by the clock (every 10 s) are met too.
const POINT_WITHIN_CLOCK: Duration = Duration::from_secs(12);
/// Longest time for anything that must come.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// The stream stands still when nothing has come for this long.
const STILL_AFTER: Duration = Duration::from_millis(400);
/// More events of the reference than the log has: the idle topic's canaries may be behind in the log.
const REFERENCE_MORE: usize = 64;

/// What the whole run counts.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) random_kills: u64,
    pub(crate) point_kills: u64,
    /// How often a process was stopped with SIGSTOP and went on.
    pub(crate) stops: u64,
    /// How often views were changed.
    pub(crate) changes: u64,
    /// How often a second process was refused.
    pub(crate) refused: u64,
    pub(crate) rounds: u64,
    pub(crate) events: u64,
    /// Events that retention had taken by the rounds' ends.
    pub(crate) removed: u64,
    /// Sealed segments at the rounds' ends.
    pub(crate) sealed: u64,
    pub(crate) obligations: u64,
    pub(crate) repeated_pushes: u64,
    pub(crate) rows: u64,
    pub(crate) parquet_rows: u64,
    pub(crate) findings: Findings,
}

impl Tally {
    pub(crate) fn kills(&self) -> u64 {
        self.random_kills + self.point_kills
    }
}

/// A round at work.
pub(crate) struct Round<'a> {
    binary: &'a Path,
    pub(crate) folder: PathBuf,
    random: Random,
    upstream: Upstream,
    /// Where the upstream is.
    address: String,
    pushes: Arc<Mutex<Pushes>>,
    /// Changes that a process said were committed.
    committed: u64,
    /// What the views that are changed are now, and were before.
    definition: Definition,
    before: Definition,
    findings: Findings,
}

/// What a finished round leaves for the planted bugs.
pub(crate) struct Finished {
    pub(crate) data: PathBuf,
    pub(crate) issued: Vec<Vec<u8>>,
    pub(crate) start: u64,
    pub(crate) committed: u64,
    pub(crate) pushes: Pushes,
    pub(crate) definition: Definition,
}

impl Finished {
    pub(crate) fn oracle<'a>(&'a self, binary: &'a Path) -> Oracle<'a> {
        let Self { issued, start, committed, pushes, definition, .. } = self;
        Oracle { binary, issued, start: *start, committed: *committed, pushes, definition }
    }
}

/// How a process is to end.
enum Death {
    /// SIGKILL after this time.
    At(Duration),
    /// At a point, on its `nth` pass.
    Point { name: String, nth: u64, within: Duration },
}

impl<'a> Round<'a> {
    pub(crate) fn new(binary: &'a Path, folder: PathBuf, seed: u64) -> Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let now = Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]).output().context("asking for the time")?;
        let start = String::from_utf8_lossy(&now.stdout).trim().to_owned();
        Ok(Self {
            binary,
            folder,
            random: Random::new(mix(seed)),
            upstream: Upstream { seed: seed % 1_000_000, rate: RATE, start },
            address: String::new(),
            pushes: Arc::new(Mutex::new(Pushes::new(seed))),
            committed: 0,
            definition: Definition::first(),
            before: Definition::first(),
            findings: Findings::default(),
        })
    }

    /// Kills `kills` times, checks, and counts; the round's own findings are in the tally when it returns.
    pub(crate) fn run(mut self, kills: u64, points: &mut Points, tally: &mut Tally) -> Result<Finished> {
        let mut upstream = self.upstream.with_cuts(self.binary, CUT_AFTER)?;
        self.address.clone_from(&upstream.address);
        self.write()?;
        let (stop_at, second_at) = (self.random.between(0, kills), self.random.between(0, kills));
        let before = tally.kills();
        // A point that is not met costs a turn and is no kill.
        for turn in 0.. {
            if tally.kills() - before == kills || !self.findings.is_empty() {
                break;
            }
            let death = self.choose(tally, points);
            let faults = Faults { stop: turn == stop_at, second: turn == second_at };
            self.live_and_die(death, faults, points, tally)?;
        }
        let finished = self.finish(&mut upstream, tally);
        tally.rounds += 1;
        finished
    }

    /// Every other kill is at a random moment, the others at the points in turn.
    fn choose(&mut self, tally: &Tally, points: &mut Points) -> Death {
        let point = if tally.point_kills < tally.random_kills { points.next() } else { None };
        let Some(name) = point else {
            return Death::At(Duration::from_millis(self.random.between(5, LIFE_MAX_MILLIS)));
        };
        let nth = if points.is_new(&name) { 1 } else { self.random.between(1, points::passes(&name) + 1) };
        let by_clock = name.starts_with("checkpoint") && self.random.once_in(8);
        let within = if by_clock { POINT_WITHIN_CLOCK } else { POINT_WITHIN };
        Death::Point { name, nth, within }
    }

    /// Lets one process live until its death, and counts it.
    fn live_and_die(&mut self, death: Death, faults: Faults, points: &mut Points, tally: &mut Tally) -> Result<()> {
        let armed = match &death {
            Death::At(_) => None,
            Death::Point { name, nth, .. } => {
                points.armed(name);
                Some(format!("{name}:{nth}"))
            }
        };
        let killed = self.live(&death, armed.as_deref(), faults, tally)?;
        match (&death, killed) {
            (Death::At(_), true) => tally.random_kills += 1,
            (Death::Point { name, .. }, true) => {
                points.killed(name);
                tally.point_kills += 1;
            }
            (_, false) => {}
        }
        Ok(())
    }

    /// Lets one process live until its death; whether it was killed.
    fn live(&mut self, death: &Death, armed: Option<&str>, faults: Faults, tally: &mut Tally) -> Result<bool> {
        // Every other start finds other views.
        if self.random.once_in(2) {
            self.change(tally)?;
        }
        // Before the next push: what is answered from here on, a status of a moment ago may not know.
        let pushed = pushes::lock(&self.pushes).end();
        let (mut process, pusher) = match self.launch(armed)? {
            Launched::Serving(process) => {
                let pusher = Pusher::start(&process.address, &self.pushes);
                (process, pusher)
            }
            Launched::Ended { said, status } => return self.judge_end(status, armed, &said),
        };
        let begun = Instant::now();
        let looked = self.look(&process.address);
        if let Ok(status) = &looked {
            self.check_cheaply(status, pushed);
        }
        if faults.second {
            self.start_second(&mut process, tally)?;
        }
        if faults.stop {
            process.signal("STOP")?;
            sleep(Duration::from_millis(self.random.between(1_000, 3_000)));
            process.signal("CONT")?;
            tally.stops += 1;
        }
        let longest = match death {
            Death::At(moment) => *moment,
            Death::Point { within, .. } => *within,
        };
        // And in every other life they are changed: once, or again at once.
        let mut changes = if self.random.once_in(2) { self.random.between(1, 3) } else { 0 };
        let change_at = Duration::from_millis(self.random.between(0, longest.as_millis().min(700) as u64 + 1));
        let mut ended = None;
        while ended.is_none() && begun.elapsed() < longest {
            while changes > 0 && begun.elapsed() >= change_at {
                changes -= 1;
                self.change(tally)?;
                process.signal("HUP")?;
            }
            sleep(LOOK_EVERY.min(longest.saturating_sub(begun.elapsed())));
            // It may be gone at any time; what it answered before counts.
            let _ = self.look(&process.address);
            ended = process.ended()?;
        }
        let killed = match (ended, death) {
            (Some(status), _) => self.judge_end(status, armed, &process.said())?,
            (None, Death::At(_)) => {
                process.kill()?;
                true
            }
            (None, Death::Point { .. }) => {
                process.signal("INT")?;
                match process.wait(WAIT_MAX)? {
                    Some(status) if status.success() => false,
                    Some(status) => self.judge_end(status, armed, &process.said())?,
                    None => bail!("it did not end after Ctrl-C; it said:\n{}", process.said()),
                }
            }
        };
        // A push that the process could not answer any more is no finding; one that it refused while it lived is.
        if let Some(refused) = pusher.join()
            && refused.to_string().contains("was answered")
            && !killed
        {
            self.findings.add(What::Broken, 1, || format!("{refused:#}"));
        }
        Ok(killed)
    }

    /// Changes the views that are changed: to what they were before, or to something else.
    fn change(&mut self, tally: &mut Tally) -> Result<()> {
        let to = if self.random.once_in(3) { self.before.clone() } else { self.definition.changed(&mut self.random) };
        self.before = std::mem::replace(&mut self.definition, to);
        tally.changes += 1;
        self.write()
    }

    fn write(&self) -> Result<()> {
        pipeline::write(&self.pipeline(), &self.address, &self.upstream.start, &self.definition)
    }

    fn pipeline(&self) -> PathBuf {
        self.folder.join("pipeline.toml")
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn launch(&self, armed: Option<&str>) -> Result<Launched> {
        let (pipeline, data) = (self.pipeline(), self.data());
        let words = ["run", &pipeline.to_string_lossy(), "--data", &data.to_string_lossy(), "--listen", "127.0.0.1:0"];
        let environment: Vec<_> = armed.map(|armed| (points::VARIABLE, armed)).into_iter().collect();
        Process::launch(self.binary, &words, &environment)
    }

    /// An end that we did not ask for: right where a point was armed and a signal ended it, a finding otherwise.
    fn judge_end(&mut self, status: ExitStatus, armed: Option<&str>, said: &str) -> Result<bool> {
        if armed.is_some() && status.signal().is_some() {
            return Ok(true);
        }
        self.findings.add(What::Broken, 1, || format!("it ended by itself ({status}, armed {armed:?}):\n{said}"));
        Ok(false)
    }

    /// Asks for the status and notes what it says is committed.
    fn look(&mut self, address: &str) -> Result<Value> {
        let answer = http::get(address, "/v1/status")?;
        let status: Value = serde_json::from_str(&answer.body).context("the status is not JSON")?;
        self.committed = self.committed.max(end(&status, CHANGES)?);
        Ok(status)
    }

    /// What can be seen at once after a start: nothing that was committed is gone, nothing was refused, no hole found.
    fn check_cheaply(&mut self, status: &Value, pushed: u64) {
        for (stream, committed) in [(CHANGES, self.committed), (PUSHED, pushed)] {
            let end = end(status, stream).unwrap_or(0);
            if end < committed {
                self.findings.add(What::Lost, committed - end, || {
                    format!("{stream} ends at {end} after a start; {committed} were committed before")
                });
            }
        }
        let refused = status["reloads"]["refused"].as_u64().unwrap_or(0);
        if refused > 0 {
            self.findings
                .add(What::Broken, refused, || format!("a changed pipeline was refused: {}", status["reloads"]));
        }
        for stream in ["rejects", "gaps"] {
            let count = status["streams"][stream]["events"].as_u64().unwrap_or(0);
            if count > 0 {
                self.findings.add(What::Broken, count, || format!("{count} events in {stream}"));
            }
        }
        let views = status["views"].as_object().into_iter().flatten();
        for (view, failed) in views.filter(|(_, view)| !view["failed"].is_null()) {
            self.findings.add(What::Broken, 1, || format!("view {view}: {}", failed["failed"]));
        }
    }

    /// A second process on the same data directory must be refused, while the first is there.
    fn start_second(&mut self, first: &mut Process, tally: &mut Tally) -> Result<()> {
        let second = self.launch(None)?;
        if first.ended()?.is_some() {
            return Ok(());
        }
        match second {
            Launched::Ended { status, .. } if !status.success() => tally.refused += 1,
            Launched::Ended { said, status } => {
                self.findings.add(What::Broken, 1, || format!("a second process ended well ({status}):\n{said}"));
            }
            Launched::Serving(_) => {
                self.findings.add(What::Broken, 1, || "a second process was let in".to_owned());
            }
        }
        Ok(())
    }

    /// The whole checks: fresh events flow, everything is counted, it ends in good order, and the oracle looks at all.
    fn finish(mut self, upstream: &mut Process, tally: &mut Tally) -> Result<Finished> {
        match self.launch(None)? {
            Launched::Ended { said, status } => {
                self.findings.add(What::Broken, 1, || format!("it does not start ({status}):\n{said}"));
                upstream.kill()?;
            }
            Launched::Serving(process) => {
                let pushed = pushes::lock(&self.pushes).end();
                let status = self.look(&process.address)?;
                self.check_cheaply(&status, pushed);
                let before = end(&status, CHANGES)?;
                let flows = self.until(&process.address, |status| end(status, CHANGES).is_ok_and(|end| end > before));
                if let Err(error) = flows {
                    self.findings.add(What::Broken, 1, || format!("no fresh event flows: {error:#}"));
                }
                for _ in 0..4 {
                    if let Err(error) = pushes::push(&process.address, &self.pushes) {
                        self.findings.add(What::Broken, 1, || format!("no fresh push is taken: {error:#}"));
                    }
                }
                // Once more, with everything there.
                self.change(tally)?;
                process.signal("HUP")?;
                let told =
                    |status: &Value| ["done", "refused"].iter().any(|end| status["reloads"][end].as_u64() > Some(0));
                let status = self.until(&process.address, told)?;
                self.check_cheaply(&status, pushed);
                upstream.kill()?;
                self.wait_until_still(&process.address)?;
                let status = process.finish()?;
                if !status.success() {
                    self.findings.add(What::Broken, 1, || format!("Ctrl-C ended it with {status}"));
                }
            }
        }
        let shared = std::mem::replace(&mut self.pushes, Arc::new(Mutex::new(Pushes::new(0))));
        let Ok(pushes) = Arc::try_unwrap(shared) else { bail!("a thread still pushes") };
        let pushes = pushes.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let count = self.committed as usize + REFERENCE_MORE;
        let issued = reference::events(self.binary, &self.upstream, count)?;
        let (data, committed) = (self.data(), self.committed);
        let start = files::start(&data, CHANGES)?;
        let definition = self.definition.clone();
        let finished = Finished { data, issued, start, committed, pushes, definition };
        let Looked { findings, events, rows, parquet_rows } = finished.oracle(self.binary).look(&finished.data);
        self.findings.merge(findings);
        tally.events += events;
        tally.removed += finished.start;
        tally.sealed += files::sealed(&finished.data, CHANGES)?;
        tally.obligations += committed + finished.pushes.obligations();
        tally.repeated_pushes += finished.pushes.repeated;
        tally.rows += rows;
        tally.parquet_rows += parquet_rows.unwrap_or(0);
        tally.findings.merge(self.findings);
        Ok(finished)
    }

    /// Waits until nothing comes any more and every view has counted what is there.
    fn wait_until_still(&mut self, address: &str) -> Result<()> {
        let mut last = (0, Instant::now());
        self.until(address, |status| {
            let end = end(status, CHANGES).unwrap_or(0);
            if end != last.0 {
                last = (end, Instant::now());
            }
            let views = status["views"].as_object().into_iter().flatten();
            let done = |view: &Value| view["behind"] == 0 && view["next"].is_null();
            last.1.elapsed() > STILL_AFTER && views.into_iter().all(|(_, view)| done(view))
        })?;
        Ok(())
    }

    fn until(&mut self, address: &str, mut done: impl FnMut(&Value) -> bool) -> Result<Value> {
        let begun = Instant::now();
        loop {
            let status = self.look(address)?;
            if done(&status) {
                return Ok(status);
            }
            if begun.elapsed() > WAIT_MAX {
                bail!("waited in vain for {WAIT_MAX:?}: {status}");
            }
            sleep(LOOK_EVERY);
        }
    }
}

/// What is done to a process beside killing it.
#[derive(Clone, Copy)]
struct Faults {
    /// It is stopped for a while and goes on.
    stop: bool,
    /// A second one is started on its data.
    second: bool,
}

/// The offset after the last committed event.
fn end(status: &Value, stream: &str) -> Result<u64> {
    status["streams"][stream]["end"].as_u64().with_context(|| format!("the status names no end of {stream}"))
}
