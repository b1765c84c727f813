//! How a command ends: 0 done, 1 failed, 2 wrong usage, pipeline or name, 3 what was looked at is not as it should be.

use std::{fmt, process::ExitCode};

use lakehead_model::{
    Name,
    hint::{instead, printable},
};

use crate::{config::Problems, output::note};

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line, the pipeline or the statement is wrong, or names what is not there: exit code 2.
    Usage(String),
    /// It was right, and failed: exit code 1.
    Failed(anyhow::Error),
    /// It was done, and what it looked at is not as it should be: exit code 3.
    Differs(String),
}

impl Failure {
    /// There is no `what` of this name; `known` are those that are.
    pub(crate) fn unknown<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a Name>) -> Self {
        let known = instead(name, known.into_iter().map(Name::as_str));
        Self::Usage(format!("there is no {what} {name:?}; {known}"))
    }
}

/// What a command returns.
pub(crate) type Outcome = Result<(), Failure>;

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        if is_theirs(&error) {
            return Self::Usage(told(&error));
        }
        Self::Failed(error)
    }
}

/// Whether whoever asked must change something: the pipeline file, the statement, a name.
fn is_theirs(error: &anyhow::Error) -> bool {
    let is_wrong = lakehead_query::Error::is_of_statement;
    error.chain().any(|cause| {
        cause.is::<Problems>()
            || cause.is::<Refused>()
            || cause.downcast_ref::<lakehead_query::Error>().is_some_and(is_wrong)
            || matches!(cause.downcast_ref(), Some(lakehead_engine::sql::Error::Sql(_)))
            || matches!(cause.downcast_ref(), Some(lakehead_store::Error::NoStream { .. }))
            || match cause.downcast_ref() {
                Some(lakehead_engine::Error::Query(error) | lakehead_engine::Error::View { source: error, .. }) => {
                    is_wrong(error)
                }
                _ => false,
            }
    })
}

/// What a process answers to a request that is wrong, in its words.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// Tells a person, and the shell.
pub(crate) fn report(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(what)) => tell(&what, 2),
        Err(Failure::Failed(error)) => tell(&with_cure(told(&error)), 1),
        Err(Failure::Differs(what)) => tell(&what, 3),
    }
}

/// Every end that is none that was asked for is told in the same way.
fn tell(what: &str, code: u8) -> ExitCode {
    // A message may quote what came from outside; its own lines stay.
    let lines: Vec<_> = what.lines().map(|line| printable(line)).collect();
    note(lines.join("\n"));
    ExitCode::from(code)
}

/// What every message of the store about a damaged file says.
const DAMAGED: &str = "keep a copy before any repair";

/// Names the command that looks after a damaged file. By words, since a worker or a process that was asked hands over nothing
/// else.
fn with_cure(what: String) -> String {
    if what.contains(DAMAGED) && !what.contains("lakehead fsck") {
        return format!("{what}; `lakehead fsck` finds everything that is damaged and says what a repair would do");
    }
    what
}

/// An error with its causes, each said once: many messages carry their cause's words already.
pub(crate) fn told(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| {
        if told.is_empty() {
            cause
        } else if told.contains(&cause) {
            told
        } else {
            format!("{told}: {cause}")
        }
    })
}

#[cfg(test)]
mod tests {
    use std::{io, path::Path};

    use anyhow::Context;

    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let read = std::fs::read(Path::new("/nowhere/at/all"));
        let once: anyhow::Result<_> = read.context("reading the pipeline");
        assert_eq!(told(&once.expect_err("no file")).matches("No such file").count(), 1);
        let repeated = anyhow::Error::from(io::Error::other("the disk is away")).context("opening: the disk is away");
        assert_eq!(told(&repeated), "opening: the disk is away");
    }

    #[test]
    fn a_damaged_file_names_the_command_that_looks_after_it() {
        let (path, what) = (Path::new("/d/1.jsonl.zst").to_owned(), "its bytes fail their checksum".to_owned());
        let damaged = lakehead_store::Error::Corrupt { path, at: 7, what }.to_string();
        assert!(with_cure(damaged.clone()).ends_with("says what a repair would do"), "{damaged}");
        assert_eq!(with_cure("the disk is away".to_owned()), "the disk is away");
    }
}
