//! `lakehead retention`: what the retention rules of a pipeline would remove now, and who holds what. It removes nothing
//! unless it is told to apply them.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use clap::Args;
use lakehead_engine::{Pipeline, offline};
use lakehead_model::{ByteSize, Clock, Name};
use lakehead_serve::retention_document;
use lakehead_store::{Retention, RetentionPlan, Store};
use serde_json::Value;

use crate::{
    client::{Backend, Target},
    clock::SystemClock,
    config::Overrides,
    numbers::{counted, grouped},
    outcome::{Failure, Outcome},
    output::{note, say},
    pipeline_file::load,
    table::Table,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The pipeline file whose rules count; where a process runs, that process's own rules count.
    pipeline: Option<PathBuf>,
    /// The data directory; without it the pipeline's, else ./data, or the demo's.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Removes what the rules say. A running process does so itself, every minute.
    #[arg(long, conflicts_with = "dry_run")]
    apply: bool,
    /// Says what would be removed, and removes nothing; that is so without --apply, too.
    #[arg(long)]
    dry_run: bool,
    /// As JSON: an object by stream, bytes as they are.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: Arguments, target: &Target) -> Outcome {
    let Arguments { pipeline, data, apply, dry_run: _, json } = arguments;
    let named = pipeline.is_some();
    let pipeline = match pipeline {
        Some(file) => Some(load(Some(file), None, Overrides { data: data.clone(), ..Overrides::default() }).await?),
        None => None,
    };
    let backend = target.backend(pipeline.as_ref().map(|pipeline| pipeline.data.clone()).or(data))?;
    let data = match backend {
        Backend::Process(process) if apply => {
            return Err(Failure::Usage(format!(
                "{} removes what its rules say every minute by itself; without --apply it says what that would be now",
                process.name()
            )));
        }
        Backend::Process(process) => {
            if named {
                note(format_args!("{} answers: its own rules count", process.name()));
            }
            return tell(&process.retention().await?, json);
        }
        Backend::Files(data) => data,
    };
    let Some(pipeline) = pipeline else {
        return Err(Failure::Usage(format!(
            "no process runs on {}, and the rules stand in the pipeline file: lakehead retention FILE --data {}",
            data.display(),
            data.display()
        )));
    };
    let plans = planned(&pipeline, &data, apply).await?;
    tell(&retention_document(&plans), json)?;
    let segments: usize = plans.values().map(|plan| plan.remove.len()).sum();
    let bytes = ByteSize(plans.values().map(RetentionPlan::bytes).sum()).rounded();
    match segments as u64 {
        // Said already.
        _ if plans.is_empty() => {}
        0 => note("nothing to remove"),
        segments if apply => note(format_args!("removed: {}, {bytes}", counted(segments, "segment"))),
        _ => note("nothing was removed; --apply removes it"),
    }
    Ok(())
}

/// What the rules of `pipeline` say of `data`, and, with `apply`, does it.
async fn planned(
    pipeline: &Pipeline,
    data: &std::path::Path,
    apply: bool,
) -> anyhow::Result<BTreeMap<Name, RetentionPlan>> {
    let rules = pipeline.streams.iter().map(|(name, stream)| (name, stream.retention));
    let rules: BTreeMap<&Name, Retention> = rules.filter(|(_, rule)| *rule != Retention::default()).collect();
    let store = match apply {
        true => Store::open(data, pipeline.store.clone(), Arc::new(SystemClock))?,
        false => Store::open_read_only(data)?,
    };
    let mut plans = BTreeMap::new();
    let there = store.names()?;
    for (name, rule) in rules {
        if !there.contains(name) {
            plans.insert(name.clone(), RetentionPlan::default());
            continue;
        }
        let stream = store.stream(name)?;
        let claims = offline::claims(data, name, stream.head().end).await?;
        let plan = stream.plan_retention(&rule, SystemClock.now(), &claims)?;
        if apply {
            stream.retain(&plan)?;
        }
        plans.insert(name.clone(), plan);
    }
    store.close()?;
    Ok(plans)
}

fn tell(answer: &Value, json: bool) -> Outcome {
    if json {
        return Ok(say(format_args!("{answer:#}\n"))?);
    }
    if answer.as_object().is_some_and(serde_json::Map::is_empty) {
        note("no stream has a rule (retention, retention_bytes): everything is kept");
        return Ok(());
    }
    let mut table = Table::new(["stream", "segments", "size", "events up to", "held", "held by"]);
    for (name, plan) in answer.as_object().into_iter().flatten() {
        let bytes = |key: &str| ByteSize(plan[key].as_u64().unwrap_or(0)).rounded();
        let by: Vec<&str> = plan["held_by"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let until = plan["until"].as_u64().map_or("-".to_owned(), |until| until.to_string());
        let segments = grouped(plan["segments"].as_u64().unwrap_or(0));
        table.row([name.clone(), segments, bytes("bytes"), until, bytes("held_bytes"), by.join(", ")]);
    }
    Ok(say(table)?)
}
