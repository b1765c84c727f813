//! What the figures were measured on: date, commit, processor, cores, memory, kernel.

use std::{fs, process::Command};

use crate::command::root;

/// The machine and the code, for the head of a section.
pub(crate) struct Machine {
    pub(crate) date: String,
    pub(crate) commit: String,
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory: String,
    pub(crate) kernel: String,
}

/// Asks the machine; what it does not say is a question mark.
pub(crate) fn describe() -> Machine {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kibibytes: Option<u64> = field(&meminfo, "MemTotal").and_then(|text| text.trim_end_matches(" kB").parse().ok());
    Machine {
        date: said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
        commit: said("git", &["describe", "--always", "--dirty"]),
        processor: field(&cpuinfo, "model name").unwrap_or("?").to_owned(),
        cores: std::thread::available_parallelism().map_or(0, usize::from),
        memory: kibibytes.map_or("?".to_owned(), |kib| format!("{} GiB", kib.div_ceil(1 << 20))),
        kernel: said("uname", &["-sr"]),
    }
}

/// How many processes waited for a processor in the last minute, on average (proc(5), `loadavg`).
pub(crate) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("?").to_owned()
}

fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim())
}

fn said(program: &str, words: &[&str]) -> String {
    let said = Command::new(program).args(words).current_dir(root()).output().ok().filter(|said| said.status.success());
    said.map_or("?".to_owned(), |said| String::from_utf8_lossy(&said.stdout).trim().to_owned())
}
