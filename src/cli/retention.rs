//! `lakehead retention`: what the retention rules of a pipeline would remove now, and who holds what.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use lakehead_engine::offline;
use lakehead_model::{Clock, Name};
use lakehead_store::{Retention, RetentionPlan, Store};
use serde_json::Value;

use super::{run::load, table::Table};
use crate::{
    ask::Source,
    clock::SystemClock,
    config::Overrides,
    outcome::{Failure, Outcome},
    output::say,
    service::grouped,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The pipeline file whose rules count; with a running process, that process's own rules count.
    pipeline: Option<PathBuf>,
    /// The data directory, in place of the pipeline's `data`.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Says what would be removed, and removes nothing. Without it a running process is left to do so itself, which it
    /// does every minute.
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Outcome {
    let overrides = Overrides { data: arguments.data, ..Overrides::default() };
    let pipeline = load(arguments.pipeline, None, overrides).await?;
    if let Source::Process(process) = Source::find(&pipeline.data)? {
        if !arguments.dry_run {
            return Err(Failure::Usage(
                "a process runs on this directory and removes what its rules say every minute; \
                 with --dry-run it says what that would be now"
                    .to_owned(),
            ));
        }
        return Ok(say(asked(&process.retention().await?))?);
    }
    let rules: BTreeMap<Name, Retention> = pipeline
        .streams
        .iter()
        .filter(|(_, stream)| stream.retention != Retention::default())
        .map(|(name, stream)| (name.clone(), stream.retention))
        .collect();
    let store = if arguments.dry_run {
        Store::open_read_only(&pipeline.data)?
    } else {
        Store::open(&pipeline.data, pipeline.store.clone(), std::sync::Arc::new(SystemClock))?
    };
    let mut plans = BTreeMap::new();
    for name in store.names()? {
        let Some(rule) = rules.get(&name) else { continue };
        let stream = store.stream(&name)?;
        let needs = offline::needs(&pipeline.data, &name, stream.head().end).await?;
        let plan = stream.plan_retention(rule, SystemClock.now(), &needs)?;
        if !arguments.dry_run {
            stream.retain(&plan)?;
        }
        plans.insert(name, plan);
    }
    say(planned(&plans))?;
    println!("{}", if arguments.dry_run { "nothing was removed" } else { "done" });
    Ok(store.close()?)
}

const HEADS: [&str; 6] = ["stream", "segments", "bytes", "events up to", "held bytes", "held by"];

fn planned(plans: &BTreeMap<Name, RetentionPlan>) -> Table {
    let mut table = Table::new(HEADS);
    for (name, plan) in plans {
        let held: u64 = plan.held.iter().map(|expired| expired.bytes).sum();
        let by: Vec<String> = plan.needs.iter().map(|need| format!("{} from {}", need.by, need.from)).collect();
        table.row([
            name.to_string(),
            grouped(plan.remove.len() as u64),
            grouped(plan.bytes()),
            plan.remove.last().map_or("-".to_owned(), |last| last.end_offset.to_string()),
            grouped(held),
            by.join(", "),
        ]);
    }
    table
}

fn asked(answer: &Value) -> Table {
    let mut table = Table::new(HEADS);
    for (name, plan) in answer.as_object().into_iter().flatten() {
        let number = |key: &str| grouped(plan[key].as_u64().unwrap_or(0));
        let by: Vec<&str> = plan["held_by"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let until = plan["until"].as_u64().map_or("-".to_owned(), |until| until.to_string());
        table.row([name.clone(), number("segments"), number("bytes"), until, number("held_bytes"), by.join(", ")]);
    }
    table
}
