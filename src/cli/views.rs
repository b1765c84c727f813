//! `lakehead views`: the standing queries and how far they are; with a name, its SQL.

use std::path::PathBuf;

use clap::Args;
use lakehead_engine::catalog::Catalog;
use serde_json::{Value, json};

use crate::{
    client::{Backend, Target},
    numbers::{building, grouped},
    outcome::{Failure, Outcome},
    output::{note, say},
    table::Table,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A view whose SQL is shown.
    view: Option<String>,
    /// The data directory; without it ./data, or the demo's.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// As JSON: an array of objects, as /v1/status has them.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: Arguments, target: &Target) -> Outcome {
    let backend = target.backend(arguments.data)?;
    if let Some(name) = arguments.view {
        return tell_sql(&backend, &name, arguments.json);
    }
    match backend {
        Backend::Process(process) if arguments.json => {
            let status = process.status().await?;
            let views = status["views"].as_object().into_iter().flatten().map(|(name, view)| {
                let mut view = view.clone();
                view["view"] = name.as_str().into();
                view
            });
            say(format_args!("{:#}\n", Value::Array(views.collect())))?;
        }
        Backend::Files(data) if arguments.json => {
            let catalog = Catalog::load(&data)?;
            let views = catalog.views.iter().map(|(name, view)| json!({ "view": name, "sql": view.sql.trim() }));
            say(format_args!("{:#}\n", Value::Array(views.collect())))?;
        }
        Backend::Process(process) => say(table(&process.status().await?))?,
        Backend::Files(data) => {
            for name in Catalog::load(&data)?.views.keys() {
                say(format_args!("{name}\n"))?;
            }
            note(format_args!(
                "no process runs on {}, so only the names are known; `lakehead query` reads them",
                data.display()
            ));
        }
    }
    Ok(())
}

/// Says the SQL of the view `name`.
fn tell_sql(backend: &Backend, name: &str, json: bool) -> Outcome {
    let data = match backend {
        Backend::Files(data) => data,
        Backend::Process(process) => process.data().ok_or_else(|| {
            let what = "the SQL of a view is read from the data directory, which is elsewhere; leave the name out";
            Failure::Usage(what.to_owned())
        })?,
    };
    let catalog = Catalog::load(data)?;
    let view = catalog.views.get(name).ok_or_else(|| Failure::unknown("view", name, catalog.views.keys()))?;
    let sql = view.sql.trim();
    Ok(match json {
        true => say(format_args!("{:#}\n", json!({ "view": name, "sql": sql }))),
        false => say(format_args!("{sql}\n")),
    }?)
}

/// The views of a status, a row for each.
fn table(status: &Value) -> Table {
    let mut table = Table::new(["view", "of", "counted to", "behind", "watermark", "rows", "late", "failed", "state"]);
    for (name, view) in status["views"].as_object().into_iter().flatten() {
        let number = |key: &str| grouped(view[key].as_u64().unwrap_or(0));
        let text = |key: &str, instead: &str| view[key].as_str().unwrap_or(instead).to_owned();
        table.row([
            name.clone(),
            text("reads", view["stream"].as_str().unwrap_or("-")),
            number("offset"),
            number("behind"),
            text("watermark", "-"),
            number("rows"),
            grouped(view["late_by"].as_object().into_iter().flat_map(|by| by.values()).filter_map(Value::as_u64).sum()),
            number("failed_events"),
            state(view),
        ]);
    }
    table
}

/// What a view is doing, and the one that is built to take its place.
fn state(view: &Value) -> String {
    let own = match view["failed"].as_str() {
        Some(failed) => format!("stands still: {failed}"),
        None => build(view).unwrap_or_else(|| "live".to_owned()),
    };
    match &view["next"] {
        Value::Null => own,
        next if next["waits"] == true => format!("{own}; a new one is built: `lakehead view diff`, then `swap`"),
        next => match next["failed"].as_str() {
            Some(failed) => format!("{own}; the new one stands still: {failed}"),
            None => format!("{own}; the new one: {}", build(next).unwrap_or_else(|| "ready".to_owned())),
        },
    }
}

/// `building 42 %, about 3 min left`, of one that is being built.
fn build(view: &Value) -> Option<String> {
    if view["state"] != "building" {
        return None;
    }
    Some(building(view["fraction"].as_f64().unwrap_or_default(), view["seconds_left"].as_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_told_with_what_is_left() {
        assert_eq!(state(&json!({"state": "live"})), "live");
        let view = json!({"state": "building", "fraction": 0.429, "seconds_left": 170.0});
        assert_eq!(state(&view), "building 42 %, about 3 min left");
        let view = json!({"state": "live", "next": {"state": "building", "fraction": 0.0, "seconds_left": null}});
        assert_eq!(state(&view), "live; the new one: building 0 %");
        assert_eq!(state(&json!({"state": "failed", "failed": "no room"})), "stands still: no room");
    }
}
