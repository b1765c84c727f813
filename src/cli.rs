//! The command line: one variant, one file, for each subcommand.

mod backup;
mod check;
mod completions;
mod demo;
mod explain;
mod export;
mod fsck;
mod import;
mod query;
mod reference;
mod reload;
mod retention;
mod run;
mod simulate;
pub(crate) mod sql_worker;
mod streams;
mod table;
mod tail;
mod verify;
mod view;
mod views;

use clap::{Parser, Subcommand};

use crate::{outcome::Outcome, whom::Elsewhere};

pub(crate) use self::demo::DATA as DEMO_DATA;

/// Keeps a live stream of JSON events, counts it, and puts it to work.
#[derive(Debug, Parser)]
#[command(version = crate::VERSION_AND_COMMIT, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    elsewhere: Elsewhere,
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
    /// The manual of a kind of source.
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
    /// Checks every byte of the log, says what is damaged and what a repair would do, and repairs. Exits 3 on damage.
    Fsck(fsck::Arguments),
    /// What the retention rules would remove now, and who still needs what; removes it only with --apply.
    Retention(retention::Arguments),
    /// Answers SQL for the process that starts it; of no use by itself.
    #[command(hide = true, name = sql_worker::NAME)]
    SqlWorker,
    /// Proves that upstream, log and views add up, or says where they do not.
    Verify(verify::Arguments),
    /// Prints the completions of a shell, to be put where it looks for them.
    Completions(completions::Arguments),
    /// Prints a page of docs/reference, made of this very program.
    Reference(reference::Arguments),
}

impl Cli {
    /// Whether this is to be a worker: then nothing else is set up before it.
    pub(crate) fn is_worker(&self) -> bool {
        matches!(self.command, Command::SqlWorker)
    }

    /// Runs the subcommand.
    pub(crate) async fn run(self) -> Outcome {
        let whom = &self.elsewhere;
        match self.command {
            Command::Demo(arguments) => demo::run(arguments).await,
            Command::Run(arguments) => run::run(arguments).await,
            Command::Reload(arguments) => reload::run(arguments, whom).await,
            Command::Simulate(arguments) => simulate::run(arguments).await,
            Command::Query(arguments) => query::run(arguments, whom).await,
            Command::Check(arguments) => check::run(arguments).await,
            Command::Explain(arguments) => explain::run(&arguments),
            Command::Import(arguments) => import::run(arguments, whom).await,
            Command::Export(arguments) => export::run(arguments, whom).await,
            Command::Backup(arguments) => backup::run(arguments, whom).await,
            Command::Streams(arguments) => streams::run(arguments, whom).await,
            Command::Views(arguments) => views::run(arguments, whom).await,
            Command::View(arguments) => view::run(arguments, whom).await,
            Command::Tail(arguments) => tail::run(arguments, whom).await,
            Command::Fsck(arguments) => fsck::run(arguments, whom).await,
            Command::Retention(arguments) => retention::run(arguments, whom).await,
            Command::Verify(arguments) => verify::run(arguments, whom).await,
            Command::Completions(arguments) => completions::run(&arguments),
            Command::Reference(arguments) => reference::run(&arguments),
            // It has a runtime of its own, and limits to begin with: see main.
            Command::SqlWorker => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_fits_together() {
        Cli::command().debug_assert();
    }
}
