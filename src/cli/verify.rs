//! `lakehead verify`: proves that upstream, log and views add up, or says where they do not.
//!
//! A process that runs on the directory is asked; without one the files are read. Exit code 0 when everything adds up,
//! 3 when anything does not.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use lakehead_engine::{
    audit::{Report, Scope, StreamAudit},
    catalog::Catalog,
    status::AuditStatus,
};
use lakehead_model::{Name, Timestamp, hint::instead};
use lakehead_query::ViewAudit;

use super::table::Table;
use crate::{
    ask::Source,
    outcome::{Failure, Outcome},
    output::{output, say},
    patience::with_progress,
    service::{counted, grouped},
    whom::Elsewhere,
};

/// Streams that are always there.
const BUILT_IN: [&str; 2] = ["rejects", "gaps"];

/// Minutes that do not add up are shown up to this many.
const MINUTES_SHOWN: usize = 20;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The data directory; without it ./data, or the demo's.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Only this stream, and the views of it.
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,
    /// Only this view.
    #[arg(long, value_name = "NAME")]
    view: Option<String>,
    /// Only what was received, and only windows that began, at or after this: RFC 3339, as in 2026-11-24T10:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = super::moment)]
    since: Option<Timestamp>,
    /// What the last audit in the background found, without counting again.
    #[arg(long, conflicts_with_all = ["stream", "view", "since", "format"])]
    last: bool,
    /// How the report is written.
    #[arg(long, value_name = "FORMAT", default_value = "table", conflicts_with = "json")]
    format: Form,
    /// As --format json.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people: what does not add up in full, the rest in sums.
    #[value(alias = "text")]
    Table,
    /// Everything, each minute too.
    Json,
}

pub(crate) async fn run(arguments: Arguments, whom: &Elsewhere) -> Outcome {
    let source = whom.source(arguments.data.clone())?;
    let data = match &source {
        Source::Files(data) => Some(data.as_path()),
        Source::Process(process) => process.data(),
    };
    if arguments.last {
        let Some(data) = data else {
            let what =
                "--last reads the data directory, which is elsewhere; leave it out, or see `audit` in /v1/status";
            return Err(Failure::Usage(what.to_owned()));
        };
        return last(data);
    }
    let scope = match (data, &source) {
        (None, Source::Process(process)) => {
            let status = process.status().await?;
            let names = |kind: &str| -> Vec<String> {
                status[kind].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
            };
            scope(&arguments, names("streams"), names("views"))?
        }
        (data, _) => {
            let catalog = Catalog::load(data.unwrap_or(Path::new(".")))?;
            let streams = catalog.streams.keys().map(Name::as_str).chain(BUILT_IN).map(str::to_owned).collect();
            scope(&arguments, streams, catalog.views.keys().map(ToString::to_string).collect())?
        }
    };
    let report = with_progress("counting again", async |progress| source.verify(&scope, &progress).await).await?;
    let mut out = output();
    match if arguments.json { Form::Json } else { arguments.format } {
        Form::Table => write!(out, "{}", told(&report))?,
        Form::Json => {
            serde_json::to_writer_pretty(&mut out, &report)?;
            writeln!(out)?;
        }
    }
    out.flush()?;
    match report.differences() {
        0 => Ok(()),
        differences => Err(Failure::Differs(sentence(differences))),
    }
}

/// What the background has found last, as it is kept in the data directory.
fn last(data: &Path) -> Outcome {
    let Some(last) = AuditStatus::load(data).last else {
        return Err(
            anyhow!("no audit has come to its end on {} yet; `lakehead verify` makes one", data.display()).into()
        );
    };
    let mut text = format!(
        "at {}, in {:.1} s: {} and {}{}\n",
        last.at,
        last.took_seconds,
        counted(last.events, "event"),
        counted(last.rows, "row"),
        if last.whole { "" } else { ", those that were new" }
    );
    last.told.iter().for_each(|line| text += &format!("{line}\n"));
    last.not_checked.iter().for_each(|line| text += &format!("not checked: {line}\n"));
    if last.differences == 0 {
        text += "Everything added up.\n";
    }
    say(text)?;
    match last.differences {
        0 => Ok(()),
        differences => Err(Failure::Differs(sentence(differences))),
    }
}

fn scope(arguments: &Arguments, streams: Vec<String>, views: Vec<String>) -> Result<Scope, Failure> {
    let known = |what: &str, asked: &Option<String>, there: &[String]| match asked {
        None => Ok(None),
        Some(name) if there.contains(name) => Ok(Some(Name::new(name).map_err(|e| anyhow!(e))?)),
        Some(name) => {
            let known = instead(name, there.iter().map(String::as_str));
            Err(Failure::Usage(format!("there is no {what} {name:?} in this directory; {known}")))
        }
    };
    Ok(Scope {
        stream: known("stream", &arguments.stream, &streams)?,
        view: known("view", &arguments.view, &views)?,
        since: arguments.since,
    })
}

/// The report for people.
fn told(report: &Report) -> String {
    let mut text = String::new();
    if !report.streams.is_empty() {
        let mut table = Table::new([
            "stream",
            "events",
            "minutes",
            "upstream offsets",
            "accounted for",
            "missing",
            "twice",
            "verdict",
        ]);
        for (name, stream) in &report.streams {
            let upstream: u64 = stream.partitions.values().map(|partition| partition.events).sum();
            table.row([
                name.to_string(),
                grouped(stream.events),
                grouped(stream.minutes.len() as u64),
                if stream.partitions.is_empty() { "none".into() } else { grouped(upstream) },
                grouped(stream.accounted),
                grouped(stream.missing),
                grouped(stream.doubled),
                verdict(stream.differences),
            ]);
        }
        text += &format!("{table}\n");
    }
    if !report.views.is_empty() {
        let mut table = Table::new([
            "view",
            "events",
            "in view",
            "filtered",
            "left out late",
            "without time",
            "failed",
            "rows compared",
            "verdict",
        ]);
        for (name, view) in &report.views {
            table.row(view_row(name, view));
        }
        text += &format!("{table}\n");
    }
    for (name, view) in &report.views {
        let why = "what is before is not wholly in the log, or was not asked for";
        match (&view.compared_from, nothing_compared(view)) {
            (Some(from), false) => text += &format!("view {name}: compared from {from} on; {why}\n"),
            (Some(from), true) => text += &format!("view {name}: nothing is there from {from} on to compare; {why}\n"),
            (None, true) => {
                text += &format!("view {name}: nothing to compare: it has no row, and the log has none for it\n")
            }
            (None, false) => {}
        }
        if view.explained > 0 {
            text += &format!(
                "view {name}: late events that the view left out, as it counted, make a difference in {}\n",
                counted(view.explained, "row")
            );
        }
    }
    for (name, stream) in &report.streams {
        text += &bad_minutes(name, stream);
    }
    for line in report.in_words() {
        text += &format!("{line}\n");
    }
    for line in report.not_checked() {
        text += &format!("not checked: {line}\n");
    }
    match report.differences() {
        0 => text += &format!("{}\n", all_is_well(report)),
        differences => text += &format!("{}\n", sentence(differences)),
    }
    text
}

/// What was counted again, where nothing differs.
fn all_is_well(report: &Report) -> String {
    let events = match report.streams.is_empty() {
        false => report.events(),
        // Where only a view was asked for, no stream was walked: these are the events that it was held against.
        true => report.views.values().filter_map(|view| view.balance.as_ref()).map(|balance| balance.events).sum(),
    };
    if events == 0 && report.views.values().all(nothing_compared) {
        return "Nothing was compared: there is neither event nor row in what was asked for.".into();
    }
    let what = [(events, "event"), (report.rows(), "row")].into_iter().filter(|(number, _)| *number > 0);
    let what: Vec<String> = what.map(|(number, noun)| counted(number, noun)).collect();
    format!("Everything adds up: {} counted again.", what.join(", "))
}

/// Whether neither an event nor a row of the view was held against the log.
fn nothing_compared(view: &ViewAudit) -> bool {
    let events = view.balance.as_ref().map_or(0, |balance| balance.events);
    events + view.windows + view.files + view.rows + view.differences == 0
}

fn view_row(name: &Name, view: &ViewAudit) -> [String; 9] {
    let verdict = if nothing_compared(view) { "nothing compared".into() } else { verdict(view.differences) };
    let rows = grouped(view.rows);
    match &view.balance {
        Some(balance) => [
            name.to_string(),
            grouped(balance.events),
            grouped(balance.in_view),
            grouped(balance.filtered),
            grouped(balance.late_dropped + balance.too_late),
            grouped(balance.without_time),
            grouped(balance.failed),
            rows,
            verdict,
        ],
        None => {
            let unknown = || "-".to_owned();
            [name.to_string(), unknown(), unknown(), unknown(), unknown(), unknown(), unknown(), rows, verdict]
        }
    }
}

/// The minutes of a stream that do not add up.
fn bad_minutes(name: &Name, stream: &StreamAudit) -> String {
    let bad: Vec<_> = stream.minutes.iter().filter(|minute| minute.missing + minute.doubled > 0).collect();
    if bad.is_empty() {
        return String::new();
    }
    let mut table = Table::new(["received in", "events", "missing", "twice"]);
    for minute in bad.iter().take(MINUTES_SHOWN) {
        table.row([minute.start.clone(), grouped(minute.events), grouped(minute.missing), grouped(minute.doubled)]);
    }
    let more = match bad.len().saturating_sub(MINUTES_SHOWN) {
        0 => String::new(),
        more => format!("minutes that are not shown: {more}; --format json has all of them\n"),
    };
    format!("minutes of {name} that do not add up:\n{table}{more}\n")
}

fn verdict(differences: u64) -> String {
    match differences {
        0 => "adds up".into(),
        1 => "1 difference".into(),
        more => format!("{} differences", grouped(more)),
    }
}

fn sentence(differences: u64) -> String {
    match differences {
        1 => "It does not add up: 1 difference.".into(),
        more => format!("It does not add up: {} differences.", grouped(more)),
    }
}

#[cfg(test)]
mod tests {
    use lakehead_engine::audit::Said;
    use lakehead_query::Balance;

    use super::*;

    #[test]
    fn a_difference_is_told_in_full_and_ends_in_one_sentence() {
        let name = Name::new("s").expect("a name");
        let mut report = Report::default();
        report.streams.insert(name.clone(), StreamAudit { events: 1_234, ..StreamAudit::default() });
        assert!(told(&report).ends_with("Everything adds up: 1,234 events counted again.\n"), "{}", told(&report));
        let said = Said { minute: "2026-11-24T10:00:00Z".into(), what: "upstream offset 7 is nowhere".into() };
        report.streams.insert(name, StreamAudit { differences: 1, told: vec![said], ..StreamAudit::default() });
        let text = told(&report);
        assert!(text.contains("stream s, 2026-11-24T10:00:00Z: upstream offset 7 is nowhere"), "{text}");
        assert!(text.ends_with("It does not add up: 1 difference.\n"), "{text}");
    }

    #[test]
    fn of_one_view_what_was_compared_is_told_and_that_nothing_was() {
        let name = Name::new("v").expect("a name");
        let of = |view: ViewAudit| {
            let views = [(name.clone(), view)].into();
            told(&Report { views, ..Report::default() })
        };
        let balance = Some(Balance { events: 310, ..Balance::default() });
        let text = of(ViewAudit { balance, windows: 5, rows: 1, ..ViewAudit::default() });
        assert!(text.ends_with("Everything adds up: 310 events, 1 row counted again.\n"), "{text}");
        let text = of(ViewAudit { rows: 17, ..ViewAudit::default() });
        assert!(text.ends_with("Everything adds up: 17 rows counted again.\n"), "{text}");
        let text = of(ViewAudit { compared_from: Some("2100-01-01T00:00:00Z".into()), ..ViewAudit::default() });
        assert!(!text.contains("adds up") && text.contains("nothing compared"), "{text}");
        assert!(text.contains("view v: nothing is there from 2100-01-01T00:00:00Z on to compare"), "{text}");
    }
}
