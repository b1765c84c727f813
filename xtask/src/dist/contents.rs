//! What both the archive and the package hold: the stripped binary, completions, manual pages, notices.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{binary, notices, release::Release, scripts};

/// It, made once.
pub(super) struct Contents {
    /// Where the stripped binary lies.
    pub(super) binary: PathBuf,
    /// Each shell's completions, in the order of `scripts::SHELLS`.
    pub(super) completions: Vec<Vec<u8>>,
    /// Manual pages by file name.
    pub(super) manual: BTreeMap<String, Vec<u8>>,
    /// The third-party notices.
    pub(super) notices: String,
}

impl Contents {
    /// Builds the binary and asks it for the rest.
    pub(super) fn make(release: &Release, remap: bool, work: &Path) -> Result<Self> {
        // What may be refused comes before what takes long.
        let notices = notices::of_the_binary(&release.target).context("third-party notices")?;
        let built = binary::build(remap)?;
        let binary = work.join("lakehead");
        binary::strip(&built, &binary, release)?;
        let completions = scripts::SHELLS.iter().map(|(shell, ..)| scripts::completions(&binary, shell));
        let completions = completions.collect::<Result<_>>()?;
        let manual = scripts::manual(&binary, &work.join("man1"))?;
        Ok(Self { binary, completions, manual, notices })
    }

    /// Every text by name.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let shells = scripts::SHELLS.iter().zip(&self.completions).map(|((_, name, _), text)| (*name, text.as_slice()));
        let pages = self.manual.iter().map(|(name, text)| (name.as_str(), text.as_slice()));
        shells.chain(pages).chain([(notices::FILE, self.notices.as_bytes())])
    }
}
