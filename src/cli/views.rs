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
    service::{build, grouped},
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
                    state(view),
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

/// What the view is doing, from its status.
fn state(view: &serde_json::Value) -> String {
    match (view["failed"].as_str(), view["state"].as_str()) {
        (Some(failed), _) => failed.to_owned(),
        (None, Some("building")) => build(view["fraction"].as_f64().unwrap_or_default(), view["seconds_left"].as_f64()),
        (None, state) => state.unwrap_or("-").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_view_says_what_it_is_doing() {
        assert_eq!(state(&json!({ "state": "live" })), "live");
        assert_eq!(state(&json!({ "state": "live", "failed": "cannot commit" })), "cannot commit");
        let building = json!({ "state": "building", "fraction": 0.4299, "seconds_left": 125.0 });
        assert_eq!(state(&building), "building 42 %, about 2 min left");
    }
}
