//! `lakehead fsck`: every byte of the log against its checksums, and a repair that deletes nothing.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use lakehead_engine::records::{self, DamagedRecord};
use lakehead_model::{ByteSize, Name};
use lakehead_store::{CheckReport, Finding, Options, Severity, Store, Witness, format_file, holder};
use serde_json::{Value, json};

use crate::{
    client::Target,
    clock::SystemClock,
    numbers::{counted, grouped},
    outcome::{Failure, Outcome},
    output::say,
    progress::with_progress,
    table::Table,
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

pub(crate) async fn run(arguments: Arguments, target: &Target) -> Outcome {
    target.needs_no_token("fsck")?;
    let data = target.directory(arguments.data, "fsck")?;
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
            return Err(Failure::unknown("stream", name.as_str(), &store.names()?));
        }
        Some(name) => vec![name],
        None => store.names()?,
    };
    let found = Found { checked: check(store, names, witnesses.clone()).await?, records: records::damaged(&data) };
    found.tell(arguments.json)?;
    if found.is_good() && !mark {
        if !arguments.json {
            say("no damage\n")?;
        }
        return Ok(());
    }
    if !arguments.repair {
        return Err(Failure::Differs(format!(
            "damage in {}; keep a copy of {}, then `lakehead fsck --repair` does what stands behind `repair:`",
            found.damaged().join(", "),
            data.display()
        )));
    }
    repair(&data, &found, &witnesses).await?;
    Err(Failure::Differs(
        "the damage above was repaired; views that counted the lost events differ from the log now".into(),
    ))
}

/// What was found: in each stream, and among the records beside the streams.
struct Found {
    checked: Vec<(Name, CheckReport)>,
    records: Vec<DamagedRecord>,
}

impl Found {
    fn damaged_streams(&self) -> impl Iterator<Item = &Name> {
        self.checked.iter().filter(|(_, checked)| checked.is_damaged()).map(|(name, _)| name)
    }

    fn is_good(&self) -> bool {
        self.damaged_streams().next().is_none() && self.records.is_empty()
    }

    /// The names of what is damaged.
    fn damaged(&self) -> Vec<String> {
        let records = self
            .records
            .iter()
            .map(|record| record.path.file_name().unwrap_or_default().to_string_lossy().into_owned());
        self.damaged_streams().map(ToString::to_string).chain(records).collect()
    }

    fn tell(&self, json: bool) -> io::Result<()> {
        if json {
            let records = self.records.iter().map(
                |record| json!({ "record": record.path, "damaged": true, "what": record.what, "lost": record.lost }),
            );
            let found: Vec<Value> = self.checked.iter().map(document).chain(records).collect();
            return say(format_args!("{:#}\n", Value::Array(found)));
        }
        tell(&self.checked)?;
        for record in &self.records {
            say(format_args!(
                "damage: {}: {}\n    repair: it is moved to the quarantine; then {}\n",
                record.path.display(),
                record.what,
                record.lost
            ))?;
        }
        Ok(())
    }
}

/// Repairs what was found, and says each thing that was done.
async fn repair(data: &Path, found: &Found, witnesses: &BTreeMap<Name, Vec<Witness>>) -> anyhow::Result<()> {
    let store = Store::open(data, Options::default(), Arc::new(SystemClock))?;
    for record in &found.records {
        let kept = records::quarantine(data, record)?;
        say(format_args!("repaired: {} is moved to {}\n", record.path.display(), kept.display()))?;
    }
    for done in store.restore_misplaced()? {
        say(format_args!("repaired: {done}\n"))?;
    }
    for name in found.damaged_streams() {
        let witnesses = witnesses.get(name).map_or(&[][..], Vec::as_slice);
        for done in store.repair(name, witnesses).await? {
            say(format_args!("repaired: {name}: {done}\n"))?;
        }
    }
    Ok(store.close()?)
}

/// What was found in the streams, for people.
fn tell(checked: &[(Name, CheckReport)]) -> io::Result<()> {
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
fn document((stream, found): &(Name, CheckReport)) -> Value {
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
    let Some(error) = format_file::damage(data)? else { return Ok(false) };
    say(format_args!("damage: {error}\n    repair: it is made anew\n"))?;
    if !repair {
        let what = format!("the mark of {} is damaged; `lakehead fsck --repair` makes it anew", data.display());
        return Err(Failure::Differs(what));
    }
    format_file::renew(data)?;
    say(format_args!("repaired: the mark of {} is made anew\n", data.display()))?;
    Ok(true)
}

async fn check(
    store: Store,
    names: Vec<Name>,
    witnesses: BTreeMap<Name, Vec<Witness>>,
) -> anyhow::Result<Vec<(Name, CheckReport)>> {
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

fn table(checked: &[(Name, CheckReport)]) -> Table {
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
