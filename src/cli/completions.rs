//! `lakehead completions`: what a shell needs to complete the command line.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use crate::{outcome::Outcome, output::output};

#[derive(Debug, Args)]
#[command(after_help = "For bash: lakehead completions bash > ~/.local/share/bash-completion/completions/lakehead")]
pub(crate) struct Arguments {
    /// The shell.
    shell: Shell,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    clap_complete::generate(arguments.shell, &mut Cli::command(), "lakehead", &mut output());
    Ok(())
}
