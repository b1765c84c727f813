//! Who is asked to audit what, and how the report is written.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use lakehead_engine::{audit::Scope, catalog::Catalog, status::AuditStatus};
use lakehead_model::{Name, Timestamp, hint::instead};

use super::report::{sentence, told};
use crate::{
    cli::values::moment,
    client::{Backend, Target},
    config::BUILT_IN_STREAMS,
    numbers::counted,
    outcome::{Failure, Outcome},
    output::{output, say},
    progress::with_progress,
};

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
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,
    /// What the last audit in the background found, without counting again.
    #[arg(long, conflicts_with_all = ["stream", "view", "since", "format"])]
    last: bool,
    /// How the report is written.
    #[arg(long, value_name = "FORMAT", default_value = "table", conflicts_with = "json")]
    format: ReportFormat,
    /// As --format json.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    /// For people: what does not add up in full, the rest in sums.
    #[value(alias = "text")]
    Table,
    /// Everything, each minute too.
    Json,
}

pub(crate) async fn run(arguments: Arguments, target: &Target) -> Outcome {
    let backend = target.backend(arguments.data.clone())?;
    let data = match &backend {
        Backend::Files(data) => Some(data.as_path()),
        Backend::Process(process) => process.data(),
    };
    if arguments.last {
        let Some(data) = data else {
            let what =
                "--last reads the data directory, which is elsewhere; leave it out, or see `audit` in /v1/status";
            return Err(Failure::Usage(what.to_owned()));
        };
        return last(data);
    }
    let scope = match (data, &backend) {
        (None, Backend::Process(process)) => {
            let status = process.status().await?;
            let names = |kind: &str| -> Vec<String> {
                status[kind].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
            };
            scope(&arguments, names("streams"), names("views"))?
        }
        (data, _) => {
            let catalog = Catalog::load(data.unwrap_or(Path::new(".")))?;
            let streams = catalog.streams.keys().map(Name::as_str).chain(BUILT_IN_STREAMS).map(str::to_owned).collect();
            scope(&arguments, streams, catalog.views.keys().map(ToString::to_string).collect())?
        }
    };
    let report = with_progress("counting again", async |progress| backend.verify(&scope, &progress).await).await?;
    let mut out = output();
    match if arguments.json { ReportFormat::Json } else { arguments.format } {
        ReportFormat::Table => write!(out, "{}", told(&report))?,
        ReportFormat::Json => {
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
