//! `lakehead explain`: the manual of a kind of source or sink, made of its file's own words and its settings' types.

use clap::{Args, Subcommand};
use lakehead_connector_api::KindSpec;
use lakehead_connectors::End;
use serde_json::Value;

use crate::{
    connector_pages::delivery,
    kinds::{Kinds, how_to_build, summary},
    outcome::{Failure, Outcome},
    output::say,
    schema_words::kind,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Without it, the list of all kinds.
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A kind of source; without one, the list of kinds.
    Source {
        /// What stands after `kind =`.
        kind: Option<String>,
    },
    /// A kind of sink; without one, the list of kinds.
    Sink {
        /// What stands after `kind =`.
        kind: Option<String>,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let kinds = Kinds::BUILT;
    Ok(say(match &arguments.what {
        None => format!(
            "Sources, which bring events into a stream:\n\n{}\nSinks, which deliver a stream or a view:\n\n{}\n\
             `lakehead explain source KIND` and `lakehead explain sink KIND` print the manual of one.\n",
            list(kinds, End::Source),
            list(kinds, End::Sink)
        ),
        Some(What::Source { kind: None }) => list(kinds, End::Source),
        Some(What::Sink { kind: None }) => list(kinds, End::Sink),
        Some(What::Source { kind: Some(kind) }) => page(kinds.source(kind).map_err(Failure::Usage)?, ""),
        Some(What::Sink { kind: Some(kind) }) => {
            let spec = kinds.sink(kind).map_err(Failure::Usage)?;
            page(spec, &delivery(spec))
        }
    })?)
}

/// The kinds of `end`, a line each.
fn list(kinds: Kinds, end: End) -> String {
    let there = kinds.specs(end).into_iter().map(|spec| format!("{}: {}\n", spec.name, summary(spec)));
    let left_out = kinds.left_out(end).map(|kind| format!("{kind}: not in this build; {}\n", how_to_build(kind)));
    there.chain(left_out).collect()
}

/// The manual page, Markdown.
fn page(spec: &KindSpec, delivery: &str) -> String {
    let schema = serde_json::to_value((spec.schema)()).unwrap_or_default();
    let (manual, example) = (spec.manual.trim(), spec.example.trim());
    format!("{manual}\n\n{delivery}## Settings\n\n{}\n## Example\n\n{example}\n", settings(&schema))
}

/// The settings, each with its type, default and meaning.
fn settings(schema: &Value) -> String {
    let required = |key: &str| schema["required"].as_array().is_some_and(|keys| keys.iter().any(|k| k == key));
    let mut text = String::new();
    for (key, value) in schema["properties"].as_object().into_iter().flatten() {
        let default = match &value["default"] {
            _ if required(key) => ", required".to_owned(),
            Value::Null => String::new(),
            default => format!(", default {default}"),
        };
        text.push_str(&format!("`{key}` ({}{default})\n", kind(schema, value)));
        for line in value["description"].as_str().unwrap_or_default().lines() {
            text.push_str(&format!("    {line}\n"));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_page_with_settings_and_an_example() {
        for (end, table) in [(End::Source, "[source."), (End::Sink, "[sink.")] {
            for spec in Kinds::BUILT.specs(end) {
                let page = page(spec, "");
                for part in [spec.name, "## Settings", "## Example", table] {
                    assert!(page.contains(part), "{}: no {part} in:\n{page}", spec.name);
                }
            }
        }
    }

    #[test]
    fn a_list_has_a_line_for_each_kind() {
        for end in [End::Source, End::Sink] {
            let list = list(Kinds::BUILT, end);
            for (line, spec) in list.lines().zip(Kinds::BUILT.specs(end)) {
                assert!(line.starts_with(&format!("{}: ", spec.name)) && line.len() > spec.name.len() + 10, "{list}");
            }
            assert!(list.lines().count() >= Kinds::BUILT.specs(end).len());
        }
    }
}
