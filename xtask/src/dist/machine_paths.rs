//! Paths of the machine that builds: no text that is shipped may hold one, and of the binary it is told which it holds.

use std::{collections::BTreeSet, path::PathBuf};

use anyhow::{Result, bail};

use crate::command::{root, target};

/// Folders of this machine, the deepest first, each with the name that stands for it where it is renamed.
pub(super) struct MachinePaths(Vec<(String, &'static str)>);

impl MachinePaths {
    /// The checkout, the target folder, where cargo keeps its packages, the home folder.
    pub(super) fn of_this_machine() -> Self {
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from).or(home.as_ref().map(|home| home.join(".cargo")));
        let folders =
            [(Some(root().to_owned()), "lakehead"), (Some(target()), "target"), (cargo, "cargo"), (home, "home")];
        let folders = folders.into_iter().filter_map(|(folder, name)| Some((folder?.to_str()?.to_owned(), name)));
        Self::of(folders.collect())
    }

    fn of(mut folders: Vec<(String, &'static str)>) -> Self {
        folders.retain(|(folder, _)| folder.len() > 1);
        folders.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then(a.cmp(b)));
        Self(folders)
    }

    /// Each folder with its name, the deepest last: of several that fit, rustc takes the last.
    pub(super) fn renamed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().rev().map(|(folder, name)| (folder.as_str(), *name))
    }

    /// How often something below each folder is named; a folder that is not named is left out.
    pub(super) fn found(&self, bytes: &[u8]) -> Vec<(&str, usize)> {
        let text = String::from_utf8_lossy(bytes);
        // A folder and one within it begin at the same place, and the one within it comes first.
        let mut counted = BTreeSet::new();
        let mut count = |folder: &str| {
            let below = format!("{folder}/");
            text.match_indices(&below).filter(|(at, _)| counted.insert(*at)).count()
        };
        let counts = self.0.iter().map(|(folder, _)| (folder.as_str(), count(folder)));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// Fails where `text` names a path of this machine.
    pub(super) fn refuse(&self, name: &str, text: &[u8]) -> Result<()> {
        match self.found(text).first() {
            None => Ok(()),
            Some((folder, _)) => bail!("{name} names a path below {folder}, which is on this machine alone"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths() -> MachinePaths {
        MachinePaths::of(vec![
            ("/ada".to_owned(), "home"),
            ("/ada/.cargo".to_owned(), "cargo"),
            ("/build/lakehead".to_owned(), "lakehead"),
            ("/".to_owned(), "home"),
        ])
    }

    #[test]
    fn a_path_counts_once_below_the_deepest_folder() {
        let text = b"at /ada/.cargo/registry/a.rs\0/ada/.cargo/registry/b.rs/ada/notes/adalbert/ada\xff";
        assert_eq!(paths().found(text), [("/ada/.cargo", 2), ("/ada", 1)]);
        assert!(paths().refuse("the notices", text).is_err());
        assert!(paths().refuse("the notices", b"in /build/lakehead-0.1.0, by /adam/x").is_ok());
    }

    #[test]
    fn the_deepest_folder_is_renamed_last() {
        let (paths, names) = (paths(), ["home", "cargo", "lakehead"]);
        assert_eq!(paths.renamed().map(|(_, name)| name).collect::<Vec<_>>(), names);
    }
}
