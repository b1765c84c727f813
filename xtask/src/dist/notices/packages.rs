//! The crates that are linked into the binary, with what their manifests and their folders say of licences.
//!
//! `cargo tree` knows which they are (macros and build scripts are not linked), `cargo metadata` where they lie.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{licensed::Licensed, standard};
use crate::{
    command::{cargo, output},
    full::cargo_full,
};

/// How the names of licence files begin, in lower case.
const BEGINNINGS: &[&str] = &["license", "licence", "copying", "copyright", "notice", "unlicense"];

/// How source files end whose names begin so.
const SOURCES: &[&str] = &["rs", "js", "py", "c", "h", "sh", "json", "toml", "yml", "yaml", "html"];

/// One crate.
pub(super) struct Package {
    pub(super) name: String,
    version: String,
    licence: Option<String>,
    licence_file: Option<String>,
    authors: Vec<String>,
    repository: Option<String>,
    /// Where its sources lie.
    pub(super) folder: PathBuf,
}

impl Package {
    /// Its licence with the texts.
    pub(super) fn licensed(&self) -> Result<Licensed> {
        let name = format!("{} {}", self.name, self.version);
        let mut texts = texts(&self.folder, self.licence_file.as_deref())?;
        let licence = match &self.licence {
            Some(licence) => licence.clone(),
            None if self.licence_file.is_some() => "as in the text".to_owned(),
            None => bail!("{name} states no licence"),
        };
        let mut about = self.repository.clone().unwrap_or_default();
        if texts.is_empty() {
            let Some(standard) = standard::texts(&licence) else {
                bail!(
                    "{name} has no licence file, and the text of {licence} is not in xtask/src/dist/notices/standard"
                );
            };
            texts = standard;
            about = format!("{about} (no licence file in the package; by {})", self.authors.join(", "));
        }
        Ok(Licensed { name, licence, about, texts })
    }
}

/// The crates that are linked into the binary, ours excepted, by name.
pub(super) fn linked(target: &str) -> Result<Vec<Package>> {
    let tree = ["tree", "--locked", "--package", "lakehead", "--edges", "normal,no-proc-macro", "--target", target];
    let mut tree = cargo_full(&tree)?;
    let tree = output(tree.args(["--prefix", "none", "--format", "{p}"]))?;
    let metadata = ["metadata", "--locked", "--format-version", "1", "--filter-platform", target];
    let metadata: Value = serde_json::from_str(&output(&mut cargo(&metadata))?).context("reading cargo's metadata")?;
    packages(&names(&tree), &metadata)
}

/// Name and version of each line of `cargo tree`; what has a path in brackets is ours.
fn names(tree: &str) -> BTreeSet<(String, String)> {
    let lines = tree.lines().filter(|line| !line.contains("(/"));
    let parts = lines.filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
    });
    parts.collect()
}

fn packages(wanted: &BTreeSet<(String, String)>, metadata: &Value) -> Result<Vec<Package>> {
    let mut known = BTreeMap::new();
    for entry in metadata["packages"].as_array().context("cargo's metadata has packages")? {
        let text = |key: &str| entry[key].as_str().map(str::to_owned);
        let (name, version) = text("name").zip(text("version")).context("a package has a name and a version")?;
        known.insert((name, version), entry);
    }
    let mut packages = Vec::new();
    for (name, version) in wanted {
        let key = (name.clone(), version.clone());
        let entry = known.get(&key).with_context(|| format!("{name} {version} is not in cargo's metadata"))?;
        let text = |key: &str| entry[key].as_str().map(str::to_owned);
        let manifest = text("manifest_path").with_context(|| format!("{name} has a manifest"))?;
        let authors = entry["authors"].as_array().into_iter().flatten();
        packages.push(Package {
            name: name.clone(),
            version: version.clone(),
            licence: text("license"),
            licence_file: text("license_file"),
            authors: authors.filter_map(Value::as_str).map(str::to_owned).collect(),
            repository: text("repository"),
            folder: Path::new(&manifest).parent().context("a manifest lies in a folder")?.to_owned(),
        });
    }
    Ok(packages)
}

/// The licence files anywhere in a package, those of what it has copied in from others too, by path; and the one that its
/// manifest names.
fn texts(folder: &Path, named: Option<&str>) -> Result<Vec<(String, String)>> {
    let mut files: BTreeSet<PathBuf> = named.map(|named| folder.join(named)).into_iter().collect();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if is_licence(&path) {
                files.insert(path);
            }
        }
    }
    let mut texts = Vec::new();
    for file in files {
        let text = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
        let name = file.strip_prefix(folder).unwrap_or(&file).display().to_string();
        texts.push((name, String::from_utf8_lossy(&text).into_owned()));
    }
    Ok(texts)
}

fn is_licence(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    BEGINNINGS.iter().any(|beginning| name.starts_with(beginning)) && !SOURCES.contains(&ending)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn package(licence: Option<&str>) -> Package {
        // A folder in which no licence lies.
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dist/notices/Cargo.toml");
        let metadata = json!({"packages": [{
            "name": "zlib-rs", "version": "0.5.1+1", "license": licence, "license_file": null,
            "authors": ["Ada"], "repository": "https://example.org/zlib", "manifest_path": manifest,
        }]});
        let tree = "lakehead v0.1.0 (/somewhere)\nzlib-rs v0.5.1+1\nzlib-rs v0.5.1+1 (*)\n";
        packages(&names(tree), &metadata).expect("it is there").remove(0)
    }

    #[test]
    fn a_package_without_a_file_gets_the_standard_text_and_names_its_authors() {
        let licensed = package(Some("MIT OR Apache-2.0")).licensed().expect("MIT is known");
        assert_eq!((licensed.name.as_str(), licensed.texts.len()), ("zlib-rs 0.5.1+1", 1));
        assert!(licensed.about.contains("by Ada"), "{}", licensed.about);
    }

    #[test]
    fn a_package_without_a_licence_is_an_error_and_so_is_one_whose_text_nobody_has() {
        for (licence, says) in [(None, "states no licence"), (Some("SSPL-1.0"), "SSPL-1.0")] {
            let Err(error) = package(licence).licensed() else { panic!("{licence:?} passed") };
            assert!(error.to_string().contains(says), "{error}");
        }
    }

    #[test]
    fn licence_files_are_known_by_their_names() {
        for yes in
            ["LICENSE", "LICENSE-MIT", "licence.md", "COPYING", "UNLICENSE", "LICENSE.BSD-3-Clause", "NOTICE.txt"]
        {
            assert!(is_licence(Path::new(yes)), "{yes}");
        }
        for no in ["license.rs", "notices.py", "README.md", "src"] {
            assert!(!is_licence(Path::new(no)), "{no}");
        }
    }
}
