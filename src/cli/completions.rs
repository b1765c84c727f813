//! `lakehead completions`: what a shell needs to complete the command line.

use clap::{Args, Command};
use clap_complete::Shell;

use crate::{outcome::Outcome, output::output};

#[derive(Debug, Args)]
#[command(after_help = "For bash: lakehead completions bash > ~/.local/share/bash-completion/completions/lakehead")]
pub(crate) struct Arguments {
    /// The shell.
    shell: Shell,
}

/// Prints what completes `command`.
pub(crate) fn run(arguments: &Arguments, command: &mut Command) -> Outcome {
    clap_complete::generate(arguments.shell, command, "lakehead", &mut output());
    Ok(())
}
