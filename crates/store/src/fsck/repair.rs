//! The repair of a damaged stream: what cannot be read any more is put in as `null`, so that every other event keeps its
//! offset, and each file that is replaced is kept in the quarantine. Nothing is deleted.
//!
//! ```text
//!   damaged segment ─copy─▶ quarantine/      then: good blocks or frames as they are, null for the rest
//!        ▲                                          │
//!        └───────────────── rename ────────── temporary/
//! ```
//!
//! A segment that is missing altogether is made of nulls. What was lost was seen outside, so the caller raises the stream's
//! epoch afterwards: views and clients then know.

use std::path::Path;

use lakehead_model::Timestamp;

use crate::{
    disk::{files::Access, layout::SegmentPath, log_files::LogFiles},
    error::Error,
    format::boundary::Boundary,
    fsck::{
        arrange::arrange,
        examine::{Contents, Next, contents, next_of},
        losses,
        mending::{Mending, Repaired},
        open_writer::Prior,
        put_back::put_back,
    },
    recover::{
        evidence::Witness,
        inventory::{self, Inventory, InventoryFile},
        loss::Loss,
        quarantine, recovery,
    },
    segment::file::Segment,
};

/// Repairs every damage of `stream`, from its start to its end, so that it opens. The stream must not be open. `witnesses` have
/// seen it.
///
/// # Errors
/// `Invalid` when there is a file that cannot be read, or damage for which no repair is known: what was repaired before it
/// stays repaired.
pub(crate) fn repair(log: &LogFiles, witnesses: &[Witness], now: Timestamp) -> Result<Vec<Repaired>, Error> {
    let recorded = inventory::read(log)?;
    let is_damaged = recorded == InventoryFile::Damaged;
    let recorded = recorded.whole().unwrap_or_default();
    let streams = log.layout.list_streams(&*log.files)?;
    let arranged = arrange(log, &streams, Some(&recorded))?;
    if let Some(path) = arranged.unreadable.first() {
        let what = format!("{} cannot be read: see to the file or the disk before a repair", path.display());
        return Err(Error::Invalid(what));
    }
    let mut repaired: Vec<Repaired> = Vec::new();
    let put = put_back(log, &arranged.puts)?;
    repaired.extend(put.into_iter().map(|said| Repaired::told(said, false)));
    // Each time round takes a file out of the log, so this comes to its end.
    let recovered = loop {
        mend_all(log, &recorded, &mut repaired)?;
        match recovery::open(log, Access::Read) {
            Ok(recovered) => break recovered,
            Err(Error::Corrupt { path, .. }) if path.starts_with(log.folder()) => {
                repaired.push(set_aside(log, &path)?);
            }
            Err(error) => return Err(error),
        }
    };
    let standing = recovered.standing();
    let lost = losses::lost(log, &recorded, &standing, witnesses)?;
    let is_news = |loss: &&Loss| !loss.acknowledged;
    for loss in lost.iter().filter(is_news) {
        let (from, to) = (loss.from, loss.to);
        let said = format!("took note that the events from offset {from} up to, and not with, {to} are lost");
        repaired.push(Repaired::told(said, true));
    }
    if is_damaged {
        repaired.push(Repaired::told("the inventory is made anew from the files".to_owned(), false));
    }
    // What it was told of the files as they were; the next opening adds what the segments hold.
    let noticed = |loss: Loss| Loss {
        noticed: if loss.noticed == Timestamp(0) { now } else { loss.noticed },
        acknowledged: true,
        ..loss
    };
    let lost = lost.into_iter().map(noticed).collect();
    let (start, end) = (standing.start.or(Some(standing.end.offset)), Some(standing.end));
    inventory::write(log, Inventory { start, end, lost, ..Inventory::default() })?;
    Ok(repaired)
}

/// Once over the log: what cannot be read becomes null, what does not join is set aside.
fn mend_all(log: &LogFiles, recorded: &Inventory, repaired: &mut Vec<Repaired>) -> Result<(), Error> {
    let listed: Vec<SegmentPath> = log.list_segments("")?.into_iter().map(|(at, _)| at).collect();
    let mut prior: Option<Prior> = None;
    for (i, at) in listed.iter().enumerate() {
        let segment = Segment::open(log, at.clone(), Access::Read)?;
        let next: Vec<&SegmentPath> = listed.iter().skip(i + 1).collect();
        let next = next_of(log, &next);
        let contents = contents(&segment, next)?;
        let is_last = next == Next::Nothing;
        let next = next.beginning();
        let mending = Mending { log, segment: &segment, next };
        let begins = beginning(&contents);
        let is_recorded = recorded.segments.iter().any(|line| line.first_offset == at.first_offset);
        let goes_on =
            prior.as_ref().map_or(Some(at.first_offset), |prior| Some(prior.boundary.offset)) == Some(at.first_offset);
        let stray = match (&prior, begins, &contents) {
            // It claims events that the log has already, or blocks that come before them.
            (Some(before), Some((begins, _)), _) => {
                begins.offset < before.boundary.offset || begins.number < before.boundary.number
            }
            // At the end, and nothing says that it belongs here.
            (_, None, Contents::Unindexed) => is_last && !(goes_on && is_recorded),
            // Opening sets aside what holds nothing, where the next segment would begin.
            (_, None, _) => is_last && !goes_on,
            (None, Some(_), _) => false,
        };
        if stray {
            // Where it was part of the log, the inventory says so.
            repaired.push(Repaired { is_loss: begins.is_some(), ..set_aside(log, &at.path)? });
            continue;
        }
        if let (Some(before), Some((begins, raw_before))) = (&prior, begins)
            && begins.number > before.boundary.number
            && begins.offset == at.first_offset
            && !(begins.offset == before.boundary.offset && matches!(contents, Contents::Open { .. }))
        {
            repaired.push(mending.missing(before, begins, raw_before)?);
            prior = Some(Prior { boundary: begins, raw_end: raw_before, ..before.clone() });
        }
        match mending.mend(prior.as_ref(), &contents) {
            Ok(Some((done, after))) => {
                repaired.extend(done);
                prior = Some(after);
            }
            Ok(None) => {}
            // No repair of it is known: the log goes on without it, and what it held is lost.
            Err(Error::Invalid(_)) => repaired.push(set_aside(log, &at.path)?),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn set_aside(log: &LogFiles, path: &Path) -> Result<Repaired, Error> {
    let kept = quarantine::move_path(log, path)?;
    let what = format!("{} does not join with the log and is moved to {}", path.display(), kept.display());
    Ok(Repaired { path: path.to_owned(), kept: Some(kept), nulls: 0, said: Some(what), is_loss: true })
}

fn beginning(contents: &Contents) -> Option<(Boundary, u64)> {
    match contents {
        Contents::Open { blocks, .. } => {
            blocks.first().map(|((footer, block_ref), _)| (block_ref.begins(), footer.raw_before))
        }
        Contents::Sealed { index, .. } => Some((index.begins(), index.raw_before)),
        Contents::Unindexed => None,
    }
}
