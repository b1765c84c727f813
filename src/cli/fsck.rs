//! `lakehead fsck`: every byte of the log against its checksums, and a repair that deletes nothing.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use clap::Args;
use lakehead_engine::records;
use lakehead_model::{ByteSize, Name};
use lakehead_store::{Checked, Finding, Severity, Store, Witness, holder, marker};
use serde_json::{Value, json};

use super::{table::Table, unknown_stream};
use crate::{
    clock::SystemClock,
    outcome::{Failure, Outcome},
    output::say,
    patience::with_progress,
    service::{counted, grouped},
    whom::Elsewhere,
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
    /// What was found as JSON: an array of streams.
    #[arg(long, conflicts_with = "repair")]
    json: bool,
}

pub(crate) async fn run(arguments: Arguments, whom: &Elsewhere) -> Outcome {
    whom.needs_no_token("fsck")?;
    let data = whom.directory(arguments.data, "fsck")?;
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
            return Err(unknown_stream(name.as_str(), &store.names()?));
        }
        Some(name) => vec![name],
        None => store.names()?,
    };
    let checked = check(store, names, witnesses.clone()).await?;
    let records = records::damaged(&data);
    if arguments.json {
        let mut found: Vec<Value> = checked.iter().map(document).collect();
        found.extend(
            records.iter().map(
                |record| json!({ "record": record.path, "damaged": true, "what": record.what, "lost": record.lost }),
            ),
        );
        say(format_args!("{:#}\n", Value::Array(found)))?;
    } else {
        tell(&checked)?;
        for record in &records {
            say(format_args!(
                "damage: {}: {}\n    repair: it is moved to the quarantine; then {}\n",
                record.path.display(),
                record.what,
                record.lost
            ))?;
        }
    }
    let damaged: Vec<&Name> = checked.iter().filter(|(_, found)| found.is_damaged()).map(|(name, _)| name).collect();
    if damaged.is_empty() && records.is_empty() && !mark {
        if !arguments.json {
            say("no damage\n")?;
        }
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
        say(format_args!("repaired: {} is moved to {}\n", record.path.display(), kept.display()))?;
    }
    for done in store.put_back()? {
        say(format_args!("repaired: {done}\n"))?;
    }
    for name in damaged {
        let witnesses = witnesses.get(name).map_or(&[][..], Vec::as_slice);
        for done in store.repair(name, witnesses).await? {
            say(format_args!("repaired: {name}: {done}\n"))?;
        }
    }
    store.close()?;
    Err(Failure::Differs(
        "the damage above was repaired; views that counted the lost events differ from the log now".into(),
    ))
}

/// What was found, for people.
fn tell(checked: &[(Name, Checked)]) -> std::io::Result<()> {
    say(table(checked))?;
    for (stream, checked) in checked {
        for finding in &checked.findings {
            let lost = match finding.lost {
                (from, to) if from < to => {
                    format!("; the events from offset {from} up to, and not with, {to} are lost")
                }
                _ => String::new(),
            };
            say(format_args!(
                "{}: {stream}: {} at byte {}: {}{lost}\n    repair: {}\n",
                finding.severity,
                finding.path.display(),
                finding.at,
                finding.what,
                finding.repair
            ))?;
        }
    }
    Ok(())
}

/// What was found in one stream, as JSON.
fn document((stream, found): &(Name, Checked)) -> Value {
    let finding = |finding: &Finding| {
        json!({
            "severity": finding.severity.to_string(),
            "path": finding.path,
            "at_byte": finding.at,
            "what": finding.what,
            "lost_from": finding.lost.0,
            "lost_before": finding.lost.1,
            "repair": finding.repair,
        })
    };
    json!({
        "stream": stream,
        "segments": found.segments,
        "sealed": found.sealed,
        "blocks": found.blocks,
        "events": found.events,
        "bytes": found.bytes,
        "first_offset": found.offsets.0,
        "end_offset": found.offsets.1,
        "damaged": found.is_damaged(),
        "findings": found.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

/// Whether the mark of the data directory was damaged; with `repair` it is made anew, and without nothing more can be read.
fn mark(data: &Path, repair: bool) -> Result<bool, Failure> {
    let Some(error) = marker::damage(data)? else { return Ok(false) };
    say(format_args!("damage: {error}\n    repair: it is made anew\n"))?;
    if !repair {
        let what = format!("the mark of {} is damaged; `lakehead fsck --repair` makes it anew", data.display());
        return Err(Failure::Differs(what));
    }
    marker::renew(data)?;
    say(format_args!("repaired: the mark of {} is made anew\n", data.display()))?;
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
    let mut table = Table::new(["stream", "segments", "sealed", "blocks", "events", "size", "offsets", "findings"]);
    for (name, found) in checked {
        let damage = found.findings.iter().filter(|finding| finding.severity == Severity::Damage).count();
        let notices = found.findings.len() - damage;
        table.row([
            name.to_string(),
            grouped(found.segments),
            grouped(found.sealed),
            grouped(found.blocks),
            grouped(found.events),
            ByteSize(found.bytes).rounded(),
            format!("{} to {}", found.offsets.0, found.offsets.1),
            format!("{damage} damage, {}", counted(notices as u64, "notice")),
        ]);
    }
    table
}
