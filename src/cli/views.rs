//! `lakehead views`: the standing queries and how far they are; with a name, its SQL.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;
use lakehead_engine::catalog::Catalog;

use super::table::Table;
use crate::{
    ask::{Source, directory},
    outcome::Outcome,
    output::say,
    service::grouped,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A view whose SQL is shown.
    view: Option<String>,
    /// The data directory; without it ./data, or the demo's.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

pub(crate) async fn run(arguments: Arguments) -> Outcome {
    let data = directory(arguments.data)?;
    if let Some(name) = arguments.view {
        let catalog = Catalog::load(&data)?;
        let known = || catalog.views.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let view = catalog.views.get(name.as_str());
        let view = view.ok_or_else(|| anyhow!("there is no view {name:?}; there are: {}", known()))?;
        return Ok(say(format_args!("{}\n", view.sql.trim()))?);
    }
    match Source::find(&data)? {
        Source::Process(process) => {
            let status = process.status().await?;
            let mut table = Table::new(["view", "of", "counted to", "behind", "watermark", "rows", "state"]);
            for (name, view) in status["views"].as_object().into_iter().flatten() {
                let number = |key: &str| grouped(view[key].as_u64().unwrap_or(0));
                let text = |key: &str, instead: &str| view[key].as_str().unwrap_or(instead).to_owned();
                table.row([
                    name.clone(),
                    text("stream", "-"),
                    number("offset"),
                    number("behind"),
                    text("watermark", "-"),
                    number("rows"),
                    text("failed", "good"),
                ]);
            }
            say(table)?;
        }
        Source::Files(data) => {
            for name in Catalog::load(&data)?.views.keys() {
                say(format_args!("{name}\n"))?;
            }
            eprintln!(
                "no process runs on {}, so only the names are known; `lakehead query` reads them",
                data.display()
            );
        }
    }
    Ok(())
}
