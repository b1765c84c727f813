//! The instructions that a rebuild takes, counted by callgrind: what two builds differ in, on a machine whose times do not
//! say it. One binary counted twice gave 4,081 and 4,083 million; what waits for memory is not in them.

use std::{
    fs,
    path::Path,
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{live, options::Options, rebuild, scratch, scratch::text, status};
use crate::process::Process;

/// Events that are rebuilt: much slower than by itself, so fewer than elsewhere.
pub(super) const EVENTS: u64 = 200_000;
/// Between two looks, each of which is counted too: some of them are nothing beside the work.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// Longest time for one count.
const LONGEST: Duration = Duration::from_secs(900);

/// Whether callgrind is on this machine.
pub(super) fn can_be_counted() -> bool {
    Command::new("valgrind").arg("--version").output().is_ok_and(|said| said.status.success())
}

/// Makes a log with `binary`, rebuilds all default views from it, and counts that.
pub(super) fn of_rebuild(binary: &Path, seed: u64) -> Result<u64> {
    let scratch = scratch::empty("bench-instructions")?;
    let (data, out) = (scratch.join("data"), scratch.join("callgrind.out"));
    live::measure(binary, &data, &Options { events: EVENTS, seed })?;
    let pipeline = rebuild::pipeline(&scratch, rebuild::Views::All)?;
    rebuild::forget(&data)?;
    let file = format!("--callgrind-out-file={}", text(&out)?);
    let (binary, pipeline, data) = (text(binary)?, text(&pipeline)?, text(&data)?);
    let words = ["--tool=callgrind", &file, &binary, "run", &pipeline, "--data", &data, "--listen", "127.0.0.1:0"];
    let lakehead = Process::start(Path::new("valgrind"), &words)?;
    let begun = Instant::now();
    while status::ask(&lakehead.address)?.counted < EVENTS {
        if begun.elapsed() > LONGEST {
            bail!("the views have not counted {EVENTS} events after {} s", LONGEST.as_secs());
        }
        sleep(LOOK_EVERY);
    }
    lakehead.finish()?;
    let counted = fs::read_to_string(&out).with_context(|| format!("reading {}", out.display()))?;
    let total = total(&counted).with_context(|| format!("{} has no total", out.display()))?;
    scratch::clear(&scratch)?;
    Ok(total)
}

/// What a file of callgrind says in sum.
fn total(file: &str) -> Option<u64> {
    file.lines().find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_a_count_is_read() {
        assert_eq!(total("# callgrind format\nevents: Ir\n7 3\ntotals: 4153172835\n"), Some(4_153_172_835));
        assert_eq!(total("# callgrind format\n"), None);
    }
}
