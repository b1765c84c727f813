//! One dated section of bench/RESULTS.md.

use anyhow::Result;

use super::{duckdb::DuckDb, live::Live, options::Options, rebuild::Rebuild};
use crate::machine::Machine;

/// A section in Markdown.
pub(super) fn section(
    options: &Options,
    machine: &Machine,
    live: &Live,
    one: &Rebuild,
    all: &Rebuild,
    duckdb: &Result<DuckDb>,
    edits: &Result<u64>,
) -> String {
    let Machine { date, commit, processor, cores, memory, kernel } = machine;
    let Options { events, seed } = options;
    let count = *events as f64;
    let mut text = format!(
        "## {date}, commit {commit}\n\n{processor}, {cores} cores, {memory}, {kernel}. {} synthetic events of seed \
         {seed}, {:.0} bytes each. Default pipeline (eight views), sync = \"always\".\n\n",
        thousands(count),
        live.raw_bytes as f64 / count,
    );
    text.push_str("| what | events/s | CPU s | events per CPU second | peak memory |\n|---|---:|---:|---:|---:|\n");
    let mut row = |what: &str, wall: f64, cpu: Option<f64>, memory: Option<u64>| {
        let cpu_seconds = cpu.map_or("–".to_owned(), |cpu| format!("{cpu:.2}"));
        let per_cpu = cpu.map_or("–".to_owned(), |cpu| thousands(count / cpu));
        let memory = memory.map_or("–".to_owned(), |bytes| format!("{} MiB", bytes >> 20));
        text.push_str(&format!("| {what} | {} | {cpu_seconds} | {per_cpu} | {memory} |\n", thousands(count / wall)));
    };
    row("live path, eight views", live.wall_seconds, Some(live.cpu.seconds()), Some(live.memory_peak));
    row("rebuild of `edits_per_minute`", one.wall_seconds, Some(one.cpu.seconds()), Some(one.memory_peak));
    row("rebuild of all eight views", all.wall_seconds, Some(all.cpu.seconds()), Some(all.memory_peak));
    if let Ok(duckdb) = duckdb {
        row(&format!("DuckDB {}, raw JSON lines", duckdb.version), duckdb.raw_seconds, None, None);
        row(&format!("DuckDB {}, the segments", duckdb.version), duckdb.zst_seconds, None, None);
    }
    text.push_str(&format!(
        "\n- Live: {:.2} s of wall time, of which the {cores} cores also served the generator: {:.2} CPU s of Lakehead \
         ({:.2} in the kernel), {:.2} CPU s of the generator.\n",
        live.wall_seconds,
        live.cpu.seconds(),
        live.cpu.system_seconds,
        live.generator.seconds(),
    ));
    text.push_str(&format!(
        "- Stored: {:.1} bytes an event, {:.2} times smaller than the JSON.\n",
        live.stored_bytes as f64 / count,
        live.raw_bytes as f64 / live.stored_bytes as f64,
    ));
    text.push_str("- A rebuild's time includes the start of the process and the opening of the store.\n");
    text.push_str(&match (duckdb, edits) {
        (Ok(duckdb), Ok(edits)) => {
            let equal = if duckdb.edits == *edits { "equal" } else { "NOT EQUAL" };
            format!(
                "- DuckDB: {} threads, best of three, timed inside the process. It counted {} edits, the view {}: {equal}.\n",
                duckdb.threads,
                thousands(duckdb.edits as f64),
                thousands(*edits as f64)
            )
        }
        (Err(error), _) => format!("- DuckDB was not measured: {error:#}.\n"),
        (_, Err(error)) => format!("- The view could not be asked for its sum: {error:#}.\n"),
    });
    text
}

/// A whole number in groups of three: `1,234,567`.
pub(super) fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|g| std::str::from_utf8(g).ok()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::thousands;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0.0, 12.4, 999.6, 1_234_567.0].map(thousands), ["0", "12", "1,000", "1,234,567"]);
    }
}
