//! `lakehead reload`: a running process reads its pipeline file again, without a restart.
//!
//! The process does it; this command finds it through the data directory's lock, asks, and says what changed, or everything
//! that is in the way.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;

use crate::{
    client::{Backend, Target},
    outcome::{Failure, Outcome},
    output::say,
};

#[derive(Debug, Args)]
#[command(
    after_help = "Streams, sources, views, panels and [verify] can change while running; data, listen, token and [store] take a \
                  restart. SIGHUP does the same and says what came of it in the log. Exit code 2: the file is refused, \
                  with everything that is wrong, and the process goes on as it was."
)]
pub(crate) struct Arguments {
    /// The data directory of the process; without it ./data, or the demo's.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

pub(crate) async fn run(arguments: Arguments, target: &Target) -> Outcome {
    let process = match target.backend(arguments.data)? {
        Backend::Process(process) => process,
        Backend::Files(data) => {
            let what = "no process runs on it, and `lakehead run FILE` reads its file when it starts";
            return Err(Failure::Failed(anyhow!("{}: {what}", data.display())));
        }
    };
    let reloaded = process.reload().await?;
    let changes = reloaded.in_words();
    Ok(match changes.as_slice() {
        [] => say("reloaded: nothing has changed\n"),
        changes => say(format_args!("reloaded: {}\n", changes.join(", "))),
    }?)
}
