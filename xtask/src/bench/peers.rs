//! Other programs at the same work, each in a Python process of its own that times itself and prints one JSON object.

use std::{ffi::OsStr, process::Command};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::command::{root, target};

/// Runs a script of `bench/` with the Python environment of the tests; what it prints.
pub(super) fn run(script: &str, words: &[&OsStr]) -> Result<Value> {
    let python = target().join("venv/bin/python");
    let said = Command::new(&python)
        .arg(root().join("bench").join(script))
        .args(words)
        .output()
        .with_context(|| format!("starting {}", python.display()))?;
    if !said.status.success() {
        bail!("{}", String::from_utf8_lossy(&said.stderr).lines().last().unwrap_or_default().to_owned());
    }
    serde_json::from_slice(&said.stdout).context("it did not print JSON")
}

/// A number of an answer.
pub(super) fn number(answer: &Value, key: &str) -> Result<f64> {
    answer[key].as_f64().with_context(|| format!("no {key}"))
}

/// A whole number of an answer.
pub(super) fn count(answer: &Value, key: &str) -> Result<u64> {
    answer[key].as_u64().with_context(|| format!("no {key}"))
}

/// Which version answered.
pub(super) fn version(answer: &Value) -> String {
    answer["version"].as_str().unwrap_or("?").to_owned()
}
