//! PlantedFault bugs: the logs as they were read, each with one thing wrong, which the oracle must find.

use std::path::Path;

use anyhow::Result;

use super::{
    expected::Expected,
    found::{Found, STREAMS},
};
use crate::torture::oracle::{Findings, What};

/// What became of one planted bug.
pub(super) struct PlantedFault {
    pub(super) name: String,
    pub(super) is_found: bool,
}

type Spoil = fn(&mut Vec<Vec<u8>>);

/// One way to spoil a log, and what the oracle may say of it.
const PLANTS: &[(&str, Spoil, &[What])] = &[
    ("an event taken out", |log| drop(log.remove(log.len() - 1)), &[What::Lost]),
    ("an event doubled", |log| log.push(log[log.len() - 1].clone()), &[What::Doubled]),
    ("a byte changed", |log| last_digit(log), &[What::Strange, What::Doubled, What::Lost]),
];

/// Plants every bug into the log of every source and asks the oracle.
pub(super) fn all(found: &Found, expected: &Expected, inbox: &Path) -> Result<Vec<PlantedFault>> {
    let mut planted = Vec::new();
    for (number, stream) in STREAMS.iter().enumerate() {
        for (what, spoil, wanted) in PLANTS {
            let mut logs = found.logs.clone();
            if logs[number].is_empty() {
                continue;
            }
            spoil(&mut logs[number]);
            let copy = Found { logs, whole_fakes: found.whole_fakes.clone(), rejects: Vec::new() };
            let mut findings = Findings::default();
            copy.check(expected, inbox, &mut findings)?;
            let is_found = wanted.iter().any(|what| findings.count(*what) > 0);
            planted.push(PlantedFault { name: format!("{what} in `{stream}`"), is_found });
        }
    }
    Ok(planted)
}

/// Another digit in the last event: it is JSON as before.
fn last_digit(log: &mut [Vec<u8>]) {
    let digit = log.last_mut().and_then(|event| event.iter_mut().find(|byte| byte.is_ascii_digit()));
    if let Some(digit) = digit {
        *digit = if *digit == b'7' { b'3' } else { b'7' };
    }
}
