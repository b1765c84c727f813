//! "Edits per minute by wiki for one day", asked of a view over many events, by HTTP; and other programs over its files.

use std::{collections::BTreeMap, ffi::OsStr, fs, path::Path, time::Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{
    load,
    pipelines::{self, EDITS_PER_MINUTE},
    spread::Spread,
};
use crate::{
    bench::{
        peers,
        report::thousands,
        scratch::{self, text},
        status,
    },
    http,
    process::Process,
};

/// The longest that 99 of a hundred questions may take.
const BAR_MILLIS: f64 = 200.0;
/// How often each question is put, to one day after the other.
const RUNS: usize = 200;
/// Events a second of event time, from 2026-09-01T00:00:00Z on: what the simulator's timeline has at rate 0.
const EVENTS_A_SECOND: f64 = 36.1;
/// Days that are asked for at most: September's, each with a next day.
const DAYS_MAX: u64 = 29;
/// The time after a day in which its last window surely closes: the watermark stays behind by a minute, and disorder is
/// at most 64 s.
const CLOSED_AFTER_SECONDS: f64 = 600.0;

/// The questions; `{day}` is filled in. The first is the bar's.
const QUESTIONS: [(&str, &str); 2] = [
    ("rows", "SELECT minute, wiki, edits FROM edits_per_minute WHERE {day}"),
    ("by_wiki", "SELECT wiki, sum(edits) AS edits FROM edits_per_minute WHERE {day} GROUP BY wiki ORDER BY edits DESC"),
];

/// Who else answers; in small letters the word that bench/view_day.py takes.
const PEERS: [&str; 3] = ["DuckDB", "Polars", "ClickHouse"];

/// What an answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holds {
    rows: u64,
    edits: u64,
}

/// A question put many times.
struct Asked {
    spread: Spread,
    /// What the answer for each day holds.
    days: BTreeMap<String, Holds>,
}

/// Both questions, by who answered.
struct Answerer {
    name: String,
    asked: Result<Vec<Asked>>,
}

/// Builds the view over `events` events, asks; a table.
pub(super) fn measure(binary: &Path, scratch: &Path, events: u64) -> Result<String> {
    let days = days(events)?;
    let data = scratch.join("day");
    println!("a view over {} events", thousands(events as f64));
    load::fill(binary, scratch, &data, EDITS_PER_MINUTE, events)?;
    // A new process without a source: nothing but questions is at work in it.
    let pipeline = pipelines::write(scratch, "day", None, &[EDITS_PER_MINUTE])?;
    let words = ["run", &text(&pipeline)?, "--data", &text(&data)?, "--listen", "127.0.0.1:0"];
    let mut lakehead = Process::start(binary, &words)?;
    status::wait(&mut lakehead, events)?;
    println!("{RUNS} questions of each kind, each for one of {} days", days.len());
    let own =
        QUESTIONS.iter().map(|(_, question)| ask(&lakehead.address, question, &days)).collect::<Result<Vec<_>>>()?;
    let memory_peak = lakehead.memory_peak()?;
    lakehead.finish()?;
    let folder = data.join("views").join(EDITS_PER_MINUTE.0);
    let mut answerers = vec![Answerer { name: "Lakehead, by HTTP".to_owned(), asked: Ok(own) }];
    answerers.extend(PEERS.map(|name| peer(name, &folder, &days)));
    let (files, bytes) = files(&folder)?;
    scratch::clear(&data)?;
    Ok(section(events, &answerers, files, bytes, memory_peak))
}

/// The whole days that so many events fill, as `2026-09-DD`.
fn days(events: u64) -> Result<Vec<String>> {
    let whole = ((events as f64 / EVENTS_A_SECOND - CLOSED_AFTER_SECONDS) / 86_400.0).floor() as u64;
    if whole == 0 {
        let least = ((86_400.0 + CLOSED_AFTER_SECONDS) * EVENTS_A_SECOND).ceil();
        bail!("--view-events wants a whole day of events, at least {}, or 0", thousands(least));
    }
    Ok((1..=whole.min(DAYS_MAX)).map(|day| format!("2026-09-{day:02}")).collect())
}

fn ask(address: &str, question: &str, days: &[String]) -> Result<Asked> {
    let (mut seconds, mut found) = (Vec::with_capacity(RUNS), BTreeMap::new());
    for day in days.iter().cycle().take(RUNS) {
        let sql = question.replace(
            "{day}",
            &format!(
                "minute >= TIMESTAMP '{day}T00:00:00Z' AND minute < TIMESTAMP '{day}T00:00:00Z' + INTERVAL '1 day'"
            ),
        );
        let begun = Instant::now();
        let answer = http::post(address, "/v1/sql", &[], sql.as_bytes())?;
        seconds.push(begun.elapsed().as_secs_f64());
        if answer.status != 200 {
            bail!("{sql:?} was answered with {}: {}", answer.status, answer.body);
        }
        if !found.contains_key(day) {
            found.insert(day.clone(), holds(&answer.body).with_context(|| format!("the answer to {sql:?}"))?);
        }
    }
    Ok(Asked { spread: Spread::new(seconds), days: found })
}

/// Counts an answer's rows and sums their edits.
fn holds(body: &str) -> Result<Holds> {
    let rows: Vec<Value> = serde_json::from_str(body).context("not JSON")?;
    let edits = rows.iter().map(|row| row["edits"].as_u64().with_context(|| format!("no edits in {row}")));
    Ok(Holds { rows: rows.len() as u64, edits: edits.sum::<Result<u64>>()? })
}

/// Puts the same questions to another program.
fn peer(name: &str, folder: &Path, days: &[String]) -> Answerer {
    println!("{name} on the view's files");
    let (runs, word) = (RUNS.to_string(), name.to_lowercase());
    let mut words = vec![word.as_ref(), folder.as_os_str(), runs.as_ref()];
    words.extend(days.iter().map(OsStr::new));
    let answer = peers::run("view_day.py", &words);
    let asked = answer
        .as_ref()
        .map_err(|error| anyhow::anyhow!("{error:#}"))
        .and_then(|answer| QUESTIONS.iter().map(|(key, _)| asked(&answer[*key])).collect::<Result<Vec<_>>>());
    let version = answer.map_or_else(|_| name.to_owned(), |answer| format!("{name} {}", peers::version(&answer)));
    Answerer { name: version, asked }
}

fn asked(answer: &Value) -> Result<Asked> {
    let seconds = answer["seconds"].as_array().context("no seconds")?.iter().filter_map(Value::as_f64).collect();
    let days = answer["days"].as_object().context("no days")?.iter().map(|(day, holds)| {
        Ok((day.clone(), Holds { rows: peers::count(holds, "rows")?, edits: peers::count(holds, "edits")? }))
    });
    Ok(Asked { spread: Spread::new(seconds), days: days.collect::<Result<_>>()? })
}

/// How many result files there are, and their bytes.
fn files(folder: &Path) -> Result<(usize, u64)> {
    let (mut files, mut bytes) = (0, 0);
    for entry in fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|ending| ending == "parquet") {
            files += 1;
            bytes += entry.metadata()?.len();
        }
    }
    Ok((files, bytes))
}

fn section(events: u64, answerers: &[Answerer], files: usize, bytes: u64, memory_peak: u64) -> String {
    let own = answerers.first().and_then(|own| own.asked.as_ref().ok());
    let days = own.and_then(|own| own.first()).map(|asked| asked.days.len()).unwrap_or(0);
    let mut text = format!(
        "\n### One day of a view over {} events\n\n`edits_per_minute`: {files} files, {:.1} MiB, {:.1} days of event time. \
         {RUNS} questions of each kind, each for one of {days} days in turn.\n\n\
         | what | p50 ms | p99 ms | max ms | bar |\n|---|---:|---:|---:|---:|\n",
        thousands(events as f64),
        bytes as f64 / 1024.0 / 1024.0,
        events as f64 / EVENTS_A_SECOND / 86_400.0,
    );
    for (place, what) in ["minute, wiki, edits", "edits by wiki"].into_iter().enumerate() {
        for (rank, answerer) in answerers.iter().enumerate() {
            let bar = if (place, rank) == (0, 0) { format!("p99 {BAR_MILLIS:.0}") } else { String::new() };
            let cells =
                answerer.asked.as_ref().map_or("– | – | –".to_owned(), |asked| asked[place].spread.cells());
            text.push_str(&format!("| {what}: {} | {cells} | {bar} |\n", answerer.name));
        }
    }
    text.push_str(
        "\n- Lakehead's time has the connection, the query and its answer as JSON in it; the others are timed inside their \
         processes and keep their answer as Arrow.\n",
    );
    if let Some(own) = own {
        let rows = |place: usize| {
            let rows = own[place].days.values().map(|holds| holds.rows);
            (rows.clone().min().unwrap_or(0), rows.max().unwrap_or(0))
        };
        let ((least, most), (least_wikis, most_wikis)) = (rows(0), rows(1));
        text.push_str(&format!(
            "- A day has {} to {} rows, of {least_wikis} to {most_wikis} wikis. Peak memory of Lakehead: {} MiB.\n",
            thousands(least as f64),
            thousands(most as f64),
            memory_peak >> 20
        ));
        for answerer in &answerers[1..] {
            text.push_str(&match &answerer.asked {
                Ok(asked) if asked.iter().zip(own).all(|(one, other)| one.days == other.days) => {
                    format!("- {}: equal rows and edits.\n", answerer.name)
                }
                Ok(_) => format!("- {}: rows or edits NOT EQUAL.\n", answerer.name),
                Err(error) => format!("- {} was not measured: {error:#}.\n", answerer.name),
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_days_that_are_over_are_asked_for() {
        assert_eq!(days(50_000_000).expect("days").last().map(String::as_str), Some("2026-09-16"));
        assert_eq!(days(4_000_000).expect("days"), ["2026-09-01"]);
        assert!(days(3_119_040).is_err_and(|e| e.to_string().contains("3,140,700")));
    }

    #[test]
    fn an_answer_that_differs_is_said() {
        let asked = |edits: u64| {
            let days = BTreeMap::from([("2026-09-01".to_owned(), Holds { rows: 2, edits })]);
            Asked { spread: Spread::new(vec![0.1]), days }
        };
        let answerer =
            |name: &str, edits| Answerer { name: name.to_owned(), asked: Ok(vec![asked(edits), asked(edits)]) };
        let text = section(4_000_000, &[answerer("L", 5), answerer("A", 5), answerer("B", 6)], 1, 1 << 20, 1 << 20);
        assert!(text.contains("- A: equal rows and edits.\n- B: rows or edits NOT EQUAL."), "{text}");
        assert!(text.contains("| minute, wiki, edits: L | 100.0 | 100.0 | 100.0 | p99 200 |"), "{text}");
        assert_eq!(holds(r#"[{"edits": 2}, {"edits": 3}]"#).expect("JSON"), Holds { rows: 2, edits: 5 });
    }
}
