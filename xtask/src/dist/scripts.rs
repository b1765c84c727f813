//! What the binary makes of itself for a shell and for man(1): completions and manual pages.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};

use crate::command::output;

/// A shell, what its completions are called, and where Debian has its shells look for them.
pub(super) const SHELLS: &[(&str, &str, &str)] = &[
    ("bash", "lakehead.bash", "usr/share/bash-completion/completions/lakehead"),
    ("fish", "lakehead.fish", "usr/share/fish/vendor_completions.d/lakehead.fish"),
    ("zsh", "_lakehead", "usr/share/zsh/vendor-completions/_lakehead"),
];

/// The completions for `shell`. Nothing of this machine's environment may end up in them.
pub(super) fn completions(binary: &Path, shell: &str) -> Result<Vec<u8>> {
    let text = output(Command::new(binary).env_clear().args(["completions", shell]))?;
    if !text.contains("lakehead") {
        bail!("the completions for {shell} do not speak of lakehead: {text:?}");
    }
    Ok(text.into_bytes())
}

/// The manual pages by file name; `folder` is where they are written.
pub(super) fn manual(binary: &Path, folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    output(Command::new(binary).env_clear().arg("man").arg(folder))?;
    let mut pages = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        pages.insert(name, fs::read(&path).with_context(|| format!("reading {}", path.display()))?);
    }
    if !pages.contains_key("lakehead.1") {
        bail!("there is no lakehead.1 among the manual pages in {}", folder.display());
    }
    Ok(pages)
}
