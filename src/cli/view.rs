//! `lakehead view …`: what can be asked of one view and done with it.

use std::{io::Write, path::PathBuf};

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand, ValueEnum};
use lakehead_model::{Name, hint::printable};
use lakehead_query::{ExplainedRow, Explanation, Question, ViewDifference};

use crate::{
    client::{Backend, Process, Target},
    numbers::{counted, grouped},
    outcome::{Failure, Outcome},
    output::{note, output, say},
    progress::with_progress,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: ViewCommand,
}

#[derive(Debug, Subcommand)]
enum ViewCommand {
    /// The raw events behind rows of a view, whose recount is that row.
    Explain(Explain),
    /// What changes when the view that is built beside NAME takes its place.
    Diff(Diff),
    /// Builds a view anew from the log, beside the one that answers; late events beyond `lateness` are in it then.
    Rebuild(Named),
    /// Lets a view that was built beside NAME and waits (swap = "ask") take its place.
    Swap(Named),
    /// What has changed in closed windows, as JSON lines; the position to go on from goes to standard error.
    Changes(Changes),
}

#[derive(Debug, Args)]
struct Named {
    /// The view.
    name: Name,
    /// The data directory; without it ./data, or the demo's.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Explain {
    #[command(flatten)]
    named: Named,
    /// Which rows, as in SQL: "wiki = 'enwiki' AND minute = '2026-11-24T10:00:00Z'".
    #[arg(long = "where", value_name = "CONDITION", default_value = "")]
    filter: String,
    /// Most rows.
    #[arg(long, value_name = "N", default_value_t = 10)]
    rows: usize,
    /// Most events shown for each row; all are counted.
    #[arg(long, value_name = "N", default_value_t = 100)]
    events: usize,
    /// How it is written.
    #[arg(long, value_name = "FORMAT", default_value = "table", conflicts_with = "json")]
    format: AnswerFormat,
    /// As --format json.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Diff {
    #[command(flatten)]
    named: Named,
    /// How it is written.
    #[arg(long, value_name = "FORMAT", default_value = "table", conflicts_with = "json")]
    format: AnswerFormat,
    /// As --format json.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Changes {
    #[command(flatten)]
    named: Named,
    /// The position that an answer before has told; without it everything that there is.
    #[arg(long, value_name = "POSITION")]
    after: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum AnswerFormat {
    /// For people.
    #[value(name = "table", alias = "text")]
    Text,
    /// Everything, as JSON.
    Json,
}

pub(crate) async fn run(arguments: Arguments, target: &Target) -> Outcome {
    match arguments.command {
        ViewCommand::Explain(arguments) => explain(arguments, target).await,
        ViewCommand::Diff(arguments) => diff(arguments, target).await,
        ViewCommand::Rebuild(Named { name, data }) => {
            process(target, data, "rebuilds a view")?.act(&name, "rebuild").await?;
            Ok(say(format_args!(
                "{name} is built anew beside the one that answers; `lakehead views` tells how far it is\n"
            ))?)
        }
        ViewCommand::Swap(Named { name, data }) => {
            process(target, data, "swaps a view")?.act(&name, "swap").await?;
            Ok(say(format_args!("{name} answers with its new SQL\n"))?)
        }
        ViewCommand::Changes(Changes { named, after }) => {
            let (lines, position) =
                process(target, named.data, "tells changes")?.changes(&named.name, after.as_deref()).await?;
            let mut out = output();
            out.write_all(&lines)?;
            out.flush()?;
            note(format_args!("go on with --after {position}"));
            Ok(())
        }
    }
}

/// The process on a data directory: what is asked for takes one.
fn process(target: &Target, data: Option<PathBuf>, does: &str) -> Result<Process, Failure> {
    match target.backend(data)? {
        Backend::Process(process) => Ok(process),
        Backend::Files(data) => {
            Err(Failure::Failed(anyhow!("no process runs on {}, and it is the process that {does}", data.display())))
        }
    }
}

async fn explain(arguments: Explain, target: &Target) -> Outcome {
    let Explain { named, filter, rows, events, format, json } = arguments;
    let format = if json { AnswerFormat::Json } else { format };
    let backend = target.backend(named.data)?;
    let question = Question { filter, rows: Some(rows), events: Some(events) };
    let explanation =
        with_progress("counting", async |progress| backend.explain(&named.name, &question, &progress).await).await?;
    let mut out = output();
    match format {
        AnswerFormat::Json => {
            serde_json::to_writer_pretty(&mut out, &explanation)?;
            writeln!(out)?;
        }
        AnswerFormat::Text => write!(out, "{}", told(&explanation))?,
    }
    out.flush()?;
    match explanation.rows.iter().filter(|row| !row.agrees).count() {
        0 => Ok(()),
        rows => Err(Failure::Differs(format!("{} not as the events give", counted(rows as u64, "row")))),
    }
}

fn told(explanation: &Explanation) -> String {
    let mut text = format!("{} as of offset {} of {}\n", explanation.view, explanation.offset, explanation.stream);
    if explanation.rows.is_empty() {
        text.push_str("no row is as asked for\n");
    }
    for row in &explanation.rows {
        text.push_str(&told_row(row));
    }
    if explanation.more {
        text.push_str("there are more rows; name fewer with --where, or ask for more with --rows\n");
    }
    text
}

fn told_row(row: &ExplainedRow) -> String {
    let mut text = format!("\n{}\n", printable(&row.row.to_string()));
    let way = row.by_way_of.map(|rows| format!(" by way of {}", counted(rows, "row"))).unwrap_or_default();
    let recount = match (&row.recount, row.agrees) {
        (_, true) => "counted again they give this row".to_owned(),
        (Some(again), false) => format!("counted again they give {again}"),
        (None, false) => "counted again they give no row".to_owned(),
    };
    text.push_str(&format!("  {}{way}; {recount}\n", counted(row.events, "event")));
    if let Some(note) = &row.note {
        text.push_str(&format!("  {note}\n"));
    }
    for event in &row.shown {
        text.push_str(&format!("  {:>10}  {}\n", event.offset, printable(event.event.get())));
    }
    let hidden = row.events.saturating_sub(row.shown.len() as u64);
    if hidden > 0 {
        text.push_str(&format!("  … and {} more (--events N shows them)\n", grouped(hidden)));
    }
    text
}

async fn diff(arguments: Diff, target: &Target) -> Outcome {
    let Diff { named, format, json } = arguments;
    let format = if json { AnswerFormat::Json } else { format };
    let found = process(target, named.data, "holds both views")?.difference(&named.name).await?;
    let mut out = output();
    match format {
        AnswerFormat::Json => {
            serde_json::to_writer_pretty(&mut out, &found)?;
            writeln!(out)?;
        }
        AnswerFormat::Text => write!(out, "{}", told_difference(&found))?,
    }
    Ok(out.flush().context("writing")?)
}

fn told_difference(found: &ViewDifference) -> String {
    let mut text = String::new();
    let columns = |names: &[String]| names.join(", ");
    if !found.columns_added.is_empty() {
        text.push_str(&format!("new columns: {}\n", columns(&found.columns_added)));
    }
    if !found.columns_removed.is_empty() {
        text.push_str(&format!("columns that go: {}\n", columns(&found.columns_removed)));
    }
    let until = found.until.as_ref().map(|until| format!(" in windows that end by {until}")).unwrap_or_default();
    text.push_str(&format!(
        "{} now, {} with the new SQL{until}: {} added, {} removed, {} changed (built to offset {})\n",
        counted(found.old_rows, "row"),
        grouped(found.new_rows),
        grouped(found.added),
        grouped(found.removed),
        grouped(found.changed),
        found.built_to,
    ));
    for row in &found.shown {
        let (sign, values) = match (&row.old, &row.new) {
            (Some(old), Some(new)) => ('~', format!("{old}  →  {new}")),
            (Some(old), None) => ('-', old.clone()),
            (None, new) => ('+', new.clone().unwrap_or_default()),
        };
        text.push_str(&format!("  {sign} {}  {values}\n", row.key));
    }
    let hidden = (found.added + found.removed + found.changed).saturating_sub(found.shown.len() as u64);
    if hidden > 0 {
        text.push_str(&format!("  … and {} more\n", grouped(hidden)));
    }
    text
}
