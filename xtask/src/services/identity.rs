//! A process by its id and its start: a number alone may belong to another process later.

use std::{fs, process::Command};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// One process of this boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pid: u32,
    started: String,
}

impl Identity {
    /// The process that has this id now.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let started = started(pid).with_context(|| format!("process {pid} has ended"))?;
        Ok(Self { pid, started })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether this very process still runs. One that has ended and that nobody has asked for its status does not run.
    pub(crate) fn is_running(&self) -> bool {
        started(self.pid).as_ref() == Some(&self.started)
    }

    /// Sends it a signal, by the name that `kill` takes; nothing when it has ended.
    pub(crate) fn signal(&self, name: &str) -> Result<()> {
        self.kill(name, &self.pid.to_string())
    }

    /// SIGKILL to it and to the processes it has started. It leads a process group (see `start.rs`).
    pub(crate) fn kill_group(&self) -> Result<()> {
        self.kill("KILL", &format!("-{}", self.pid))
    }

    fn kill(&self, signal: &str, whom: &str) -> Result<()> {
        if self.is_running() {
            let said = Command::new("kill").args(["-s", signal, "--", whom]).output().context("starting kill")?;
            if !said.status.success() && self.is_running() {
                bail!("kill -s {signal} {whom}: {}", String::from_utf8_lossy(&said.stderr).trim());
            }
        }
        Ok(())
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({ "pid": self.pid, "started": self.started })
    }

    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        let pid = value["pid"].as_u64()?.try_into().ok()?;
        Some(Self { pid, started: value["started"].as_str()?.to_owned() })
    }
}

/// The boot and the clock tick at which a process started (proc(5), `/proc/pid/stat`, field 22); `None` when it has ended.
fn started(pid: u32) -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in brackets, which may hold spaces; the third is the state.
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let has_ended = matches!(*fields.first()?, "Z" | "X");
    (!has_ended).then(|| Some(format!("{}:{}", boot.trim(), fields.get(22 - 3)?)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_process_with_the_same_number_is_not_it() {
        let me = Identity::of(std::process::id()).expect("I run");
        assert!(me.is_running());
        assert_eq!(Identity::from_json(&me.to_json()), Some(me.clone()));
        let older = Identity { started: format!("{}0", me.started), ..me };
        assert!(!older.is_running());
        older.signal("KILL").expect("nothing is sent to another process");
    }

    #[test]
    fn a_process_that_nobody_waited_for_has_ended() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep");
        let it = Identity::of(child.id()).expect("it runs");
        it.signal("KILL").expect("sent");
        while it.is_running() {
            std::thread::yield_now();
        }
        child.wait().expect("it has ended");
    }
}
