//! Scripts for browsers that lie in a crate's package and become part of the binary: the crate's licence is not theirs.

use std::fs;

use anyhow::{Context, Result, bail};

use super::{licensed::Licensed, packages::Package, standard};

/// A script: its crate, how its file is called (the version stands between), and what is known of it.
struct Script {
    package: &'static str,
    file: (&'static str, &'static str),
    name: &'static str,
    licence: &'static str,
    holders: &'static str,
    /// What the script says itself, where it does: should that change, so must this table.
    says: Option<&'static str>,
}

/// The crate `plotly` hands out both in one piece, so both are linked, though the dashboard serves only the first.
const SCRIPTS: &[Script] = &[
    Script {
        package: "plotly",
        file: ("plotly.min", ".js"),
        name: "plotly.js",
        licence: "MIT AND BSD-3-Clause",
        holders: "Plotly, Inc., and those whose modules are bundled in it",
        says: Some("Licensed under the MIT license"),
    },
    Script {
        package: "plotly",
        file: ("tex-svg", ".js"),
        name: "MathJax (tex-svg)",
        licence: "Apache-2.0",
        holders: "The MathJax Consortium, https://www.mathjax.org",
        says: None,
    },
];

/// The folder of a package that scripts lie in.
const FOLDER: &str = "resource";

/// Comments that are longer are no comments, but what stands between two strings that look like marks of one.
const COMMENT_BYTES_MAX: usize = 4_096;

/// The scripts, with the notices that stand in them.
pub(super) fn scripts(packages: &[Package]) -> Result<Vec<Licensed>> {
    SCRIPTS.iter().map(|script| licensed(script, packages).with_context(|| script.name.to_owned())).collect()
}

fn licensed(script: &Script, packages: &[Package]) -> Result<Licensed> {
    let package = packages.iter().find(|package| package.name == script.package);
    let folder = package.with_context(|| format!("the crate {} is not linked", script.package))?.folder.join(FOLDER);
    let (start, end) = script.file;
    for entry in fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !(name.starts_with(start) && name.ends_with(end)) {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let notices = notices(&text);
        if script.says.is_some_and(|says| !notices.contains(says)) {
            bail!("{name} no longer says {:?}: see under which licence it is now", script.says.unwrap_or_default());
        }
        let mut texts = standard::texts(script.licence).with_context(|| format!("no text of {}", script.licence))?;
        if !notices.is_empty() {
            texts.insert(0, (format!("notices in {name}"), notices));
        }
        return Ok(Licensed {
            name: format!("{}, the file {name} of the crate {}", script.name, script.package),
            licence: script.licence.to_owned(),
            about: format!("Copyright {}", script.holders),
            texts,
        });
    }
    bail!("the crate {} has no {start}…{end} in its folder {FOLDER}", script.package)
}

/// The comments that speak of a licence or a copyright, one after the other.
fn notices(script: &str) -> String {
    let mut found: Vec<&str> = Vec::new();
    let starts = script.match_indices("/*").filter(|(at, _)| script[at + 2..].starts_with(['!', '*']));
    for (at, _) in starts {
        let Some(length) = script[at..].find("*/").filter(|length| *length <= COMMENT_BYTES_MAX) else { continue };
        let comment = &script[at..at + length + 2];
        let lower = comment.to_lowercase();
        if (lower.contains("licens") || lower.contains("copyright")) && !found.contains(&comment) {
            found.push(comment);
        }
    }
    found.join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_with_notices_are_found_and_strings_that_look_like_comments_are_not() {
        let long = "x".repeat(COMMENT_BYTES_MAX);
        let script = format!(
            "/**\n* a.js\n* Licensed under the MIT license\n*/ f('/**license'); {long} /*! (c) nobody */ g(); /*! Copyright Ada */\n\
             /*! Copyright Ada */"
        );
        assert_eq!(notices(&script), "/**\n* a.js\n* Licensed under the MIT license\n*/\n\n/*! Copyright Ada */");
    }
}
