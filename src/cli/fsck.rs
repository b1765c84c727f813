//! `lakehead fsck`: every byte of the log against its checksums, and a repair that deletes nothing.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use clap::Args;
use lakehead_engine::records;
use lakehead_model::Name;
use lakehead_store::{Checked, Severity, Store, Witness, holder, marker};

use super::table::Table;
use crate::{
    ask::directory,
    clock::SystemClock,
    outcome::{Failure, Outcome},
    output::say,
    patience::with_progress,
    service::grouped,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The data directory; without it ./data, or the demo's.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Only this stream.
    #[arg(long, value_name = "NAME")]
    stream: Option<Name>,
    /// Repairs what is damaged: events that cannot be read any more become null, so that every other keeps its offset; each
    /// file that is replaced is kept in the folder quarantine. Not while a process runs on the directory.
    #[arg(long)]
    repair: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Outcome {
    let data = directory(arguments.data)?;
    if arguments.repair
        && let Some(running) = holder(&data)?
    {
        let what = format!("process {} runs on {}: stop it before a repair", running.pid, data.display());
        return Err(Failure::Usage(what));
    }
    let mark = mark(&data, arguments.repair)?;
    // Before the log is read: a view sees only what the log has.
    let witnesses = records::witnesses(&data).await;
    let store = Store::open_read_only(&data)?;
    let names = match arguments.stream {
        Some(name) if !store.names()?.contains(&name) => {
            let known: Vec<_> = store.names()?.iter().map(ToString::to_string).collect();
            return Err(Failure::Usage(format!("there is no stream {name}; there are: {}", known.join(", "))));
        }
        Some(name) => vec![name],
        None => store.names()?,
    };
    let checked = check(store, names, witnesses.clone()).await?;
    let records = records::damaged(&data);
    say(table(&checked))?;
    for (stream, checked) in &checked {
        for finding in &checked.findings {
            let lost = match finding.lost {
                (from, to) if from < to => {
                    format!("; the events from offset {from} up to, and not with, {to} are lost")
                }
                _ => String::new(),
            };
            println!(
                "{}: {stream}: {} at byte {}: {}{lost}\n    repair: {}",
                finding.severity,
                finding.path.display(),
                finding.at,
                finding.what,
                finding.repair
            );
        }
    }
    let damaged: Vec<&Name> = checked.iter().filter(|(_, found)| found.is_damaged()).map(|(name, _)| name).collect();
    for record in &records {
        println!(
            "damage: {}: {}\n    repair: it is moved to the quarantine; then {}",
            record.path.display(),
            record.what,
            record.lost
        );
    }
    if damaged.is_empty() && records.is_empty() && !mark {
        println!("no damage");
        return Ok(());
    }
    if !arguments.repair {
        let records =
            records.iter().map(|record| record.path.file_name().unwrap_or_default().to_string_lossy().into_owned());
        let names: Vec<String> = damaged.iter().map(ToString::to_string).chain(records).collect();
        return Err(Failure::Differs(format!(
            "damage in {}; keep a copy of {}, then `lakehead fsck --repair` does what stands behind `repair:`",
            names.join(", "),
            data.display()
        )));
    }
    let store = Store::open(&data, lakehead_store::Options::default(), std::sync::Arc::new(SystemClock))?;
    for record in &records {
        let kept = records::set_aside(&data, record).map_err(anyhow::Error::from)?;
        println!("repaired: {} is moved to {}", record.path.display(), kept.display());
    }
    for done in store.put_back()? {
        println!("repaired: {done}");
    }
    for name in damaged {
        let witnesses = witnesses.get(name).map_or(&[][..], Vec::as_slice);
        for done in store.repair(name, witnesses).await? {
            println!("repaired: {name}: {done}");
        }
    }
    store.close()?;
    Err(Failure::Differs(
        "the damage above was repaired; views that counted the lost events differ from the log now".into(),
    ))
}

/// Whether the mark of the data directory was damaged; with `repair` it is made anew, and without nothing more can be read.
fn mark(data: &Path, repair: bool) -> Result<bool, Failure> {
    let Some(error) = marker::damage(data)? else { return Ok(false) };
    println!("damage: {error}\n    repair: it is made anew");
    if !repair {
        let what = format!("the mark of {} is damaged; `lakehead fsck --repair` makes it anew", data.display());
        return Err(Failure::Differs(what));
    }
    marker::renew(data)?;
    println!("repaired: the mark of {} is made anew", data.display());
    Ok(true)
}

async fn check(
    store: Store,
    names: Vec<Name>,
    witnesses: BTreeMap<Name, Vec<Witness>>,
) -> anyhow::Result<Vec<(Name, Checked)>> {
    with_progress("reading every byte of the log", async |bar| {
        tokio::task::spawn_blocking(move || {
            let all: u64 = names.iter().filter_map(|name| store.stored_bytes(name).ok()).sum();
            bar.set_length(all);
            let mut before = 0;
            let mut checked = Vec::new();
            for name in names {
                let witnesses = witnesses.get(&name).map_or(&[][..], Vec::as_slice);
                let found = store.fsck(&name, witnesses, &mut |read, _| bar.set_position(before + read))?;
                before += found.bytes;
                checked.push((name, found));
            }
            Ok(checked)
        })
        .await?
    })
    .await
}

fn table(checked: &[(Name, Checked)]) -> Table {
    let mut table = Table::new(["stream", "segments", "sealed", "blocks", "events", "bytes", "offsets", "findings"]);
    for (name, found) in checked {
        let damage = found.findings.iter().filter(|finding| finding.severity == Severity::Damage).count();
        let notices = found.findings.len() - damage;
        table.row([
            name.to_string(),
            grouped(found.segments),
            grouped(found.sealed),
            grouped(found.blocks),
            grouped(found.events),
            grouped(found.bytes),
            format!("{} to {}", found.offsets.0, found.offsets.1),
            format!("{damage} damage, {notices} notices"),
        ]);
    }
    table
}
