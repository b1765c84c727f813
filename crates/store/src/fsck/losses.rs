//! What is lost of a stream, by its inventory and by those outside who have seen its events.

use std::path::Path;

use lakehead_model::Timestamp;

use crate::{
    disk::log_files::LogFiles,
    error::Error,
    fsck::finding::{Finding, Severity},
    recover::{
        evidence::{self, Standing, Witness},
        inventory::{self, Inventory},
        loss::{self, Loss},
    },
};

/// What is gone, by the inventory and by those who have seen it: noted before, or found now.
pub(super) fn lost(
    log: &LogFiles,
    recorded: &Inventory,
    standing: &Standing,
    witnesses: &[Witness],
) -> Result<Vec<Loss>, Error> {
    let mut lost = recorded.lost.clone();
    for loss in evidence::lost(recorded, standing, Timestamp(0)) {
        let is_at_the_start = standing.start == Some(loss.to);
        let is_retained =
            is_at_the_start && inventory::read(log)?.whole().and_then(|now| now.begins()) >= Some(loss.to);
        if !is_retained {
            loss::note(&mut lost, [loss]);
        }
    }
    for witness in witnesses.iter().filter(|witness| witness.seen > standing.end.offset) {
        let evidence = format!(
            "{} has seen the events before offset {}, and the log ends at {}",
            witness.by, witness.seen, standing.end.offset
        );
        let (from, to) = (standing.end.offset, witness.seen);
        loss::note(&mut lost, [Loss { from, to, evidence, noticed: Timestamp(0), acknowledged: false }]);
    }
    Ok(lost)
}

/// A loss as a finding.
pub(super) fn finding(path: &Path, loss: &Loss) -> Finding {
    let noticed = match loss.noticed {
        Timestamp(0) => String::new(),
        at => format!(", noticed at {at}"),
    };
    let known = if loss.acknowledged { ", and a repair has taken note of it" } else { "" };
    Finding {
        severity: if loss.acknowledged { Severity::Notice } else { Severity::Damage },
        path: path.to_owned(),
        at: 0,
        what: format!("events that were committed are gone: {}{noticed}{known}", loss.evidence),
        lost: (loss.from, loss.to),
        repair: match loss.acknowledged {
            true => "none is needed".to_owned(),
            false => "nothing brings them back but a copy of the files; the loss is taken note of, and the epoch rises"
                .to_owned(),
        },
    }
}
