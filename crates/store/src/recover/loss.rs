//! Losses: events that were committed once and that no file holds any more, and the list of those that are noted.

use std::fmt;

use lakehead_model::{Name, Offset, Timestamp};
use serde::{Deserialize, Serialize};

/// Losses that are noted one by one; each takes an accident of its own, so there are never many.
const LOSSES_MAX: usize = 1_000;

/// Events that were committed once and that no file holds any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// The first of them.
    pub from: Offset,
    /// The offset after the last. The same as `from` when only blocks without events are gone, and with them where a source
    /// stood.
    pub to: Offset,
    /// What names them, for people.
    pub evidence: String,
    /// When it was noticed; zero by one who only reads, and has no clock.
    pub noticed: Timestamp,
    /// Whether a repair has taken note of it: then it is known, and no finding any more.
    #[serde(default)]
    pub acknowledged: bool,
}

impl Loss {
    /// Tells whoever reads the log of the process.
    pub(crate) fn report(&self, stream: &Name) {
        tracing::error!(stream = %stream, from = %self.from, to = %self.to, evidence = %self.evidence,
            "events that were committed are gone; `lakehead fsck` says what there is");
    }
}

/// What is gone, and what says so.
impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, evidence, .. } = self;
        match from == to {
            true => write!(f, "blocks at offset {from} are gone: {evidence}"),
            false => write!(f, "the events from offset {from} up to, and not with, {to} are gone: {evidence}"),
        }
    }
}

/// Whether all of `loss` is among `noted`.
pub(crate) fn is_noted(noted: &[Loss], loss: &Loss) -> bool {
    let mut at = loss.from;
    loop {
        let covering = noted.iter().filter(|noted| noted.from <= at && noted.to >= at).map(|noted| noted.to).max();
        match covering {
            Some(to) if to >= loss.to => return true,
            Some(to) if to > at => at = to,
            _ => return false,
        }
    }
}

/// Adds `more` to what is noted; nothing twice.
pub(crate) fn note(noted: &mut Vec<Loss>, more: impl IntoIterator<Item = Loss>) {
    for loss in more {
        if !is_noted(noted, &loss) && noted.len() < LOSSES_MAX {
            noted.push(loss);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_in_parts_is_noted_as_a_whole() {
        let loss = |from, to| Loss {
            from: Offset(from),
            to: Offset(to),
            evidence: String::new(),
            noticed: Timestamp(0),
            acknowledged: true,
        };
        let mut noted = Vec::new();
        note(&mut noted, [loss(60, 80), loss(60, 80), loss(80, 100)]);
        assert_eq!(noted.len(), 2);
        assert!(is_noted(&noted, &loss(70, 100)) && is_noted(&noted, &loss(60, 60)));
        assert!(!is_noted(&noted, &loss(50, 100)) && !is_noted(&noted, &loss(70, 101)));
    }
}
