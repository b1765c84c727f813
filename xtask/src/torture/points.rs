//! The named points at which the binary can be made to end, and which of them were met.

use std::{collections::BTreeMap, path::Path, process::Command};

use anyhow::{Context, Result, bail};

use super::random::Random;

/// The variable that arms one.
pub(crate) const VARIABLE: &str = "LAKEHEAD_CRASH_AT";

/// What became of a point.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fate {
    /// How often it was armed.
    pub(crate) armed: u64,
    /// How often the process ended at it.
    pub(crate) killed: u64,
}

/// Every point, and whose turn it is.
pub(crate) struct Points {
    pub(crate) fates: BTreeMap<String, Fate>,
    /// Points that were named on the command line: not to meet one of those is a failure.
    pub(crate) demanded: Vec<String>,
    turns: Vec<String>,
    /// After so many attempts without being met a point is left alone: this pipeline does not come by it.
    attempts_max: u64,
}

impl Points {
    /// `named` is what `--points` says: nothing, `all`, or names. `attempts_max` bounds how often a point is armed that
    /// is never met.
    pub(crate) fn new(binary: &Path, named: Option<&str>, attempts_max: u64, random: &mut Random) -> Result<Self> {
        let known = known(binary)?;
        let demanded = match named {
            None => Vec::new(),
            Some("all") => known.clone(),
            Some(names) => names.split(',').map(str::to_owned).collect(),
        };
        if let Some(unknown) = demanded.iter().find(|name| !known.contains(name)) {
            bail!("--points: there is no point {unknown:?}; there are: {}", known.join(", "));
        }
        let mut turns = if demanded.is_empty() { known } else { demanded.clone() };
        random.shuffle(&mut turns);
        let fates = turns.iter().map(|name| (name.clone(), Fate::default())).collect();
        Ok(Self { fates, demanded, turns, attempts_max })
    }

    /// The point whose turn it is: the one that was armed least often, of those that can be met.
    pub(crate) fn next(&mut self) -> Option<String> {
        let fates = &self.fates;
        let hopeless = |name: &String| fates[name].killed == 0 && fates[name].armed >= self.attempts_max;
        self.turns.iter().filter(|name| !hopeless(name)).min_by_key(|name| fates[*name].armed).cloned()
    }

    /// Whether it was never met so far; then its first pass is the best one to wait for.
    pub(crate) fn is_new(&self, name: &str) -> bool {
        self.fates.get(name).is_none_or(|fate| fate.killed == 0 && fate.armed > 0)
    }

    pub(crate) fn armed(&mut self, name: &str) {
        self.fates.entry(name.to_owned()).or_default().armed += 1;
    }

    pub(crate) fn killed(&mut self, name: &str) {
        self.fates.entry(name.to_owned()).or_default().killed += 1;
    }

    /// Points that were armed and never met.
    pub(crate) fn never_met(&self) -> Vec<&str> {
        self.fates.iter().filter(|(_, fate)| fate.killed == 0).map(|(name, _)| name.as_str()).collect()
    }
}

/// The binary names its points when it is asked for one that it does not have.
fn known(binary: &Path) -> Result<Vec<String>> {
    let said = Command::new(binary).arg("streams").env(VARIABLE, "?").output();
    let said = said.with_context(|| format!("starting {}", binary.display()))?;
    let text = String::from_utf8_lossy(&said.stderr);
    let names = text.split_once("there are: ").with_context(|| format!("{} names no points: {text}", binary.display()));
    Ok(names?.1.trim().split(", ").map(str::to_owned).collect())
}

/// How far ahead a point is armed, at most: about as often as it is passed in half a second.
pub(crate) fn passes(name: &str) -> u64 {
    match name.split('.').next() {
        Some("write" | "sync") => 40,
        Some("segment" | "seal" | "inventory") => 3,
        _ => 2,
    }
}
