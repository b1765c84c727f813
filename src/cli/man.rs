//! `lakehead man`: the manual pages of the command line, one for each subcommand, made from the same definitions as `--help`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::{Args, Command};

use crate::outcome::Outcome;

#[derive(Debug, Args)]
#[command(after_help = "For one user: lakehead man ~/.local/share/man/man1, then man lakehead-run")]
pub(crate) struct Arguments {
    /// The folder to write lakehead.1, lakehead-run.1 and so on into; made where it is not there.
    folder: PathBuf,
}

pub(crate) fn run(arguments: &Arguments, program: Command) -> Outcome {
    Ok(write(&arguments.folder, program)?)
}

/// Writes the pages of `program`, which is the whole command line.
pub(super) fn write(folder: &Path, program: Command) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    clap_mangen::generate_to(program, folder).with_context(|| format!("writing manual pages into {}", folder.display()))
}
