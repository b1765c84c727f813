//! The rebuild of one view and of ten from the same log, and other programs at the count of the one.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::{
    load,
    pipelines::{self, EDITS_PER_MINUTE, NamedView, TEN},
};
use crate::bench::{
    duckdb, peers,
    rebuild::{self, Rebuild},
    report::thousands,
    scratch,
};

/// Rebuilt events a second, at least.
const RATE_BAR: f64 = 1_000_000.0;
/// CPU time of ten views against that of one, less than.
const TEN_BAR: f64 = 2.0;
/// How often each is measured; the best stands, for Lakehead as for the others.
const RUNS: usize = 3;

/// What another program took for the same count.
struct Peer {
    name: String,
    counted: Result<Counted>,
}

struct Counted {
    seconds: f64,
    threads: u64,
    edits: u64,
}

/// Fills a log of `events` events, rebuilds, lets the others count; a table.
pub(super) fn measure(binary: &Path, scratch: &Path, events: u64) -> Result<String> {
    let data = scratch.join("rebuild");
    println!("rebuild: filling a log of {} events", thousands(events as f64));
    let raw_bytes = load::fill(binary, scratch, &data, EDITS_PER_MINUTE, events)?.raw_bytes;
    let (mut one, mut ten) = (Vec::new(), Vec::new());
    let (mut edits, mut results) = (0, 0);
    for turn in 1..=RUNS {
        println!("rebuild {turn} of {RUNS}: ten views, then one");
        ten.push(rebuild(binary, scratch, &data, &TEN, events)?);
        results = self::results(&data)?;
        one.push(rebuild(binary, scratch, &data, &[EDITS_PER_MINUTE], events)?);
        edits = rebuild::edits(binary, &data)?;
    }
    if results != TEN.len() {
        bail!("{results} views have results, not {}", TEN.len());
    }
    let peers = peers(scratch, &data);
    scratch::clear(&data)?;
    scratch::clear(&duckdb::raw_lines(scratch))?;
    Ok(section(events, raw_bytes, &one, &ten, edits, &peers))
}

fn rebuild(binary: &Path, scratch: &Path, data: &Path, views: &[NamedView], events: u64) -> Result<Rebuild> {
    rebuild::run(binary, &pipelines::write(scratch, "rebuild", None, views)?, data, events)
}

/// How many views have a result file.
fn results(data: &Path) -> Result<usize> {
    let views = data.join("views");
    let folders = std::fs::read_dir(&views).with_context(|| format!("listing {}", views.display()))?;
    let has_results = |folder: &Path| {
        std::fs::read_dir(folder).is_ok_and(|mut files| {
            files.any(|file| file.is_ok_and(|file| file.path().extension().is_some_and(|ending| ending == "parquet")))
        })
    };
    Ok(folders.flatten().filter(|folder| has_results(&folder.path())).count())
}

/// The others at the same count over the raw lines. DuckDB comes first: it is what writes them.
fn peers(scratch: &Path, data: &Path) -> Vec<Peer> {
    println!("DuckDB, Polars and ClickHouse on the same lines");
    let duckdb = duckdb::measure(scratch, data).map(|duckdb| {
        let counted = Counted { seconds: duckdb.raw_seconds, threads: duckdb.threads, edits: duckdb.edits };
        (format!("DuckDB {}", duckdb.version), counted)
    });
    let mut peers = vec![peer("DuckDB", duckdb)];
    for (name, script) in [("Polars", "polars_count.py"), ("ClickHouse", "clickhouse_count.py")] {
        let counted = peers::run(script, &[duckdb::raw_lines(scratch).as_os_str()]).and_then(|answer| {
            let counted = Counted {
                seconds: peers::number(&answer, "raw_seconds")?,
                threads: peers::count(&answer, "threads")?,
                edits: peers::count(&answer, "raw_edits")?,
            };
            Ok((format!("{name} {}", peers::version(&answer)), counted))
        });
        peers.push(peer(name, counted));
    }
    peers
}

fn peer(name: &str, counted: Result<(String, Counted)>) -> Peer {
    match counted {
        Ok((name, counted)) => Peer { name, counted: Ok(counted) },
        Err(error) => Peer { name: name.to_owned(), counted: Err(error) },
    }
}

fn section(events: u64, raw_bytes: u64, one: &[Rebuild], ten: &[Rebuild], edits: u64, peers: &[Peer]) -> String {
    let count = events as f64;
    let least = |runs: &[Rebuild], of: fn(&Rebuild) -> f64| runs.iter().map(of).fold(f64::INFINITY, f64::min);
    let wall = |runs: &[Rebuild]| least(runs, |run| run.wall_seconds);
    let cpu = |runs: &[Rebuild]| least(runs, |run| run.cpu.seconds());
    let memory = |runs: &[Rebuild]| runs.iter().map(|run| run.memory_peak).max().unwrap_or(0) >> 20;
    let mut text = format!(
        "\n### Rebuild from the log\n\n{} events, {:.0} bytes each; best of {RUNS}, for everyone.\n\n\
         | what | events/s | CPU s | peak memory | bar |\n|---|---:|---:|---:|---:|\n",
        thousands(count),
        raw_bytes as f64 / count,
    );
    for (what, runs, bar) in [
        ("rebuild of `edits_per_minute`", one, format!("{}, and ahead of DuckDB", thousands(RATE_BAR))),
        ("rebuild of ten views", ten, String::new()),
    ] {
        let rate = thousands(count / wall(runs));
        text.push_str(&format!("| {what} | {rate} | {:.2} | {} MiB | {bar} |\n", cpu(runs), memory(runs)));
    }
    for peer in peers {
        let rate = peer.counted.as_ref().map_or("–".to_owned(), |counted| thousands(count / counted.seconds));
        text.push_str(&format!("| {}, raw JSON lines | {rate} | – | – | |\n", peer.name));
    }
    text.push_str(&format!(
        "\n- Ten views take {:.2} times the CPU time of one (bar: less than {TEN_BAR:.0}).\n- A rebuild's time includes the \
         start of the process and the opening of the store; the others are timed inside their processes.\n\
         - The view counted {} edits.\n",
        cpu(ten) / cpu(one),
        thousands(edits as f64),
    ));
    for peer in peers {
        text.push_str(&match &peer.counted {
            Ok(counted) if counted.edits == edits => {
                format!("- {}: {} threads, equal count.\n", peer.name, counted.threads)
            }
            Ok(counted) => format!("- {}: it counted {}, NOT EQUAL.\n", peer.name, thousands(counted.edits as f64)),
            Err(error) => format!("- {} was not measured: {error:#}.\n", peer.name),
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Cpu;

    #[test]
    fn the_best_run_stands_and_an_unequal_count_is_said() {
        let run = |wall_seconds: f64, user_seconds: f64| Rebuild {
            wall_seconds,
            cpu: Cpu { user_seconds, system_seconds: 0.0 },
            memory_peak: 50 << 20,
        };
        let counted = |edits| Ok(("P 1".to_owned(), Counted { seconds: 0.5, threads: 2, edits }));
        let peers = [peer("P", counted(7)), peer("P", counted(8)), peer("Q", Err(anyhow::anyhow!("gone")))];
        let one = [run(2.0, 4.0), run(1.0, 3.0), run(3.0, 5.0)];
        let text = section(1_000_000, 1_154_000_000, &one, &[run(2.0, 4.5)], 7, &peers);
        assert!(text.contains("| rebuild of `edits_per_minute` | 1,000,000 | 3.00 | 50 MiB |"), "{text}");
        assert!(text.contains("Ten views take 1.50 times"), "{text}");
        assert!(text.contains("- P 1: 2 threads, equal count.\n- P 1: it counted 8, NOT EQUAL.\n"), "{text}");
        assert!(text.contains("- Q was not measured: gone."), "{text}");
    }
}
