//! What is released: version, commit, the machine that it is for, and the time that all files get.

use std::process::Command;

use anyhow::{Context, Result, anyhow};

use crate::command::{output, root};

/// One release.
pub(super) struct Release {
    /// As in the root manifest, `0.1.0`.
    pub(super) version: String,
    /// As `lakehead --version` shows it; none in a tree without git.
    pub(super) commit: Option<String>,
    /// The machine that it is built on and for, as rustc says it.
    pub(super) target: String,
    /// Seconds since 1970 that every file is dated.
    pub(super) epoch: u64,
}

impl Release {
    /// That of the checkout as it lies.
    pub(super) fn of_checkout() -> Result<Self> {
        let commit = git(&["rev-parse", "--short=10", "HEAD"]).ok();
        let epoch = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(text) => {
                text.parse().with_context(|| format!("SOURCE_DATE_EPOCH is {text:?}: write seconds since 1970"))?
            }
            Err(_) => git(&["log", "-1", "--format=%ct"])
                .context("without git, say with SOURCE_DATE_EPOCH how the files are dated")?
                .parse()
                .context("git says when the commit was made")?,
        };
        if commit.is_some() && !git(&["status", "--porcelain"])?.is_empty() {
            println!("note: the checkout has changes that are in no commit");
        }
        let rustc = output(Command::new("rustc").arg("-vV"))?;
        let target = host(&rustc).ok_or_else(|| anyhow!("`rustc -vV` names no host: {rustc}"))?.to_owned();
        Ok(Self { version: env!("CARGO_PKG_VERSION").to_owned(), commit, target, epoch })
    }

    /// What `lakehead --version` must print.
    pub(super) fn told(&self) -> String {
        let commit = self.commit.as_ref().map_or(String::new(), |commit| format!(" ({commit})"));
        format!("lakehead {}{commit}", self.version)
    }

    /// What the archive is called, without its ending.
    pub(super) fn stem(&self) -> String {
        format!("lakehead-{}-{}", self.version, self.target)
    }
}

fn git(words: &[&str]) -> Result<String> {
    Ok(output(Command::new("git").current_dir(root()).args(words))?.trim().to_owned())
}

fn host(rustc: &str) -> Option<&str> {
    rustc.lines().find_map(|line| line.strip_prefix("host: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_named_by_version_commit_and_target() {
        let rustc = "rustc 1.95.0\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\nrelease: 1.95.0\n";
        let target = host(rustc).expect("a host").to_owned();
        let mut release =
            Release { version: "0.1.0".to_owned(), commit: Some("ce3618b0aa".to_owned()), target, epoch: 0 };
        assert_eq!(release.stem(), "lakehead-0.1.0-x86_64-unknown-linux-gnu");
        assert_eq!(release.told(), "lakehead 0.1.0 (ce3618b0aa)");
        release.commit = None;
        assert_eq!(release.told(), "lakehead 0.1.0");
    }
}
