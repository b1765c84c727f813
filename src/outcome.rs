//! How a command ends: 0 done, 1 failed, 2 wrong usage or pipeline. (3 is for `verify` and `fsck`.)

use std::process::ExitCode;

use crate::config::Problems;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line or the pipeline is wrong: exit code 2.
    Usage(String),
    /// It was right, and failed: exit code 1.
    Failed(anyhow::Error),
}

/// What a command returns.
pub(crate) type Outcome = Result<(), Failure>;

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        match error.downcast::<Problems>() {
            Ok(problems) => Self::Usage(problems.to_string()),
            Err(error) => Self::Failed(error),
        }
    }
}

/// Tells a person, and the shell.
pub(crate) fn report(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(what)) => {
            eprintln!("{what}");
            ExitCode::from(2)
        }
        Err(Failure::Failed(error)) => {
            eprintln!("lakehead: {error:#}");
            ExitCode::from(1)
        }
    }
}
