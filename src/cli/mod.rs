//! The command line: one variant, and one file or folder, for each subcommand.

mod backup;
mod check;
mod completions;
mod demo;
mod explain;
mod export;
mod fsck;
mod gaps;
mod import;
mod man;
mod plan;
mod query;
mod reference;
mod reload;
mod retention;
mod run;
mod simulate;
mod streams;
mod tail;
mod values;
mod verify;
mod view;
mod views;

use clap::{CommandFactory, Parser, Subcommand};

use crate::{
    client::Target,
    outcome::Outcome,
    subprocess::{rehearsal, sql_worker},
    version::VERSION_AND_COMMIT,
};

/// Keeps a live stream of JSON events, counts it, and puts it to work.
#[derive(Debug, Parser)]
#[command(version = VERSION_AND_COMMIT, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows everything without a network: a simulated upstream, the default pipeline and the dashboard.
    Demo(demo::Arguments),
    /// Runs a pipeline; without a file, Wikimedia's live recent changes with the default views.
    Run(run::Arguments),
    /// Makes a running `lakehead run FILE` read its file again, without a restart. Exits 2 when the file is refused.
    Reload(reload::Arguments),
    /// Serves simulated or recorded events as Wikimedia's EventStreams does, for tests.
    Simulate(simulate::Arguments),
    /// Answers SQL over streams and views, whether Lakehead is running or not.
    Query(query::Arguments),
    /// Checks a pipeline file and says everything that is wrong with it.
    Check(check::Arguments),
    /// Connects to what a pipeline names, takes a few events through it, and says what would not work. Writes nothing. Exits 1 then.
    Plan(plan::Arguments),
    /// The kinds of source and sink, and the manual of each.
    Explain(explain::Arguments),
    /// Brings JSON lines from files, folders or standard input into a stream, each line once.
    Import(import::Arguments),
    /// Writes a stream, or what SQL asks for, to a file of JSON lines or Parquet.
    Export(export::Arguments),
    /// Copies a data directory, also while it is written, so that the copy is whole.
    Backup(backup::Arguments),
    /// The streams and what is in them; with a name, its columns.
    Streams(streams::Arguments),
    /// The views and how far they are; with a name, its SQL.
    Views(views::Arguments),
    /// One view: the events behind its rows, a new SQL compared, built and put in place.
    View(view::Arguments),
    /// Prints a stream's last events, and those that come.
    Tail(tail::Arguments),
    /// The gap ledger: which upstream events are missing, where and why; what was renumbered or skipped is counted.
    Gaps(gaps::Arguments),
    /// Checks every byte of the log, says what is damaged and what a repair would do, and repairs. Exits 3 on damage.
    Fsck(fsck::Arguments),
    /// What the retention rules would remove now, and who still needs what; removes it only with --apply.
    Retention(retention::Arguments),
    /// Answers SQL for the process that starts it; of no use by itself.
    #[command(hide = true, name = sql_worker::NAME)]
    SqlWorker,
    /// Reads a pipeline file within limits, for the process that starts it; of no use by itself.
    #[command(hide = true, name = rehearsal::NAME)]
    Rehearse { name: String },
    /// Proves that upstream, log and views add up, or says where they do not.
    Verify(verify::Arguments),
    /// Prints the completions of a shell, to be put where it looks for them.
    Completions(completions::Arguments),
    /// Writes the manual pages of all commands into a folder.
    Man(man::Arguments),
    /// Prints a page of docs/reference, made of this very program; without a page their names.
    Reference(reference::Arguments),
}

impl Cli {
    /// What a process does that another one of this program started: nothing else is set up before it.
    pub(crate) fn for_another(&self) -> Option<Outcome> {
        match &self.command {
            Command::SqlWorker => Some(sql_worker::run()),
            Command::Rehearse { name } => Some(rehearsal::run(name)),
            _ => None,
        }
    }

    /// Runs the subcommand.
    pub(crate) async fn run(self) -> Outcome {
        let target = &self.target;
        if let Some(command) = self.command.that_asks_nobody() {
            target.is_nobody(command)?;
        }
        match self.command {
            Command::Demo(arguments) => demo::run(arguments).await,
            Command::Run(arguments) => run::run(arguments).await,
            Command::Reload(arguments) => reload::run(arguments, target).await,
            Command::Simulate(arguments) => simulate::run(arguments).await,
            Command::Query(arguments) => query::run(arguments, target).await,
            Command::Check(arguments) => check::run(arguments).await,
            Command::Plan(arguments) => plan::run(arguments).await,
            Command::Explain(arguments) => explain::run(&arguments),
            Command::Import(arguments) => import::run(arguments, target).await,
            Command::Export(arguments) => export::run(arguments, target).await,
            Command::Backup(arguments) => backup::run(arguments, target).await,
            Command::Streams(arguments) => streams::run(arguments, target).await,
            Command::Views(arguments) => views::run(arguments, target).await,
            Command::View(arguments) => view::run(arguments, target).await,
            Command::Tail(arguments) => tail::run(arguments, target).await,
            Command::Gaps(arguments) => gaps::run(arguments, target).await,
            Command::Fsck(arguments) => fsck::run(arguments, target).await,
            Command::Retention(arguments) => retention::run(arguments, target).await,
            Command::Verify(arguments) => verify::run(arguments, target).await,
            Command::Completions(arguments) => completions::run(&arguments, &mut Self::command()),
            Command::Man(arguments) => man::run(&arguments, Self::command()),
            Command::Reference(arguments) => reference::run(&arguments),
            // They have a runtime of their own, and limits to begin with: see main.
            Command::SqlWorker | Command::Rehearse { .. } => Ok(()),
        }
    }
}

impl Command {
    /// Its name, where it neither asks a process nor reads a data directory in its place.
    fn that_asks_nobody(&self) -> Option<&'static str> {
        match self {
            Self::Demo(_) => Some("demo"),
            Self::Run(_) => Some("run"),
            Self::Simulate(_) => Some("simulate"),
            Self::Check(_) => Some("check"),
            Self::Plan(_) => Some("plan"),
            Self::Explain(_) => Some("explain"),
            Self::Completions(_) => Some("completions"),
            Self::Man(_) => Some("man"),
            Self::Reference(_) => Some("reference"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_fits_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn each_command_that_is_shown_has_a_page_and_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        man::write(folder.path(), Cli::command()).expect("pages");
        for page in ["lakehead.1", "lakehead-run.1", "lakehead-view-diff.1", "lakehead-man.1"] {
            assert!(folder.path().join(page).exists(), "{page}");
        }
        for page in ["lakehead-sql-worker.1", "lakehead-rehearse.1", "lakehead-help.1"] {
            assert!(!folder.path().join(page).exists(), "{page}");
        }
    }
}
