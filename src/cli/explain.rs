//! `lakehead explain`: the manual of a kind of source, made of its file's own words and its settings' types.

use clap::{Args, Subcommand};
use lakehead_connector_api::SourceSpec;
use lakehead_model::hint::instead;
use serde_json::Value;

use crate::{
    outcome::{Failure, Outcome},
    output::say,
    schema_words::kind,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A kind of source; without one, the list of kinds.
    Source {
        /// What stands after `kind =`.
        kind: Option<String>,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let What::Source { kind } = &arguments.what;
    let specs = lakehead_connectors::SOURCES;
    let Some(kind) = kind else {
        for spec in specs {
            say(format_args!("{}: {}\n", spec.name, summary(spec)))?;
        }
        return Ok(());
    };
    let spec = specs.iter().find(|spec| spec.name == kind).ok_or_else(|| {
        Failure::Usage(format!("no kind of source {kind:?}; {}", instead(kind, specs.iter().map(|spec| spec.name))))
    })?;
    Ok(say(page(spec))?)
}

/// The manual page, Markdown.
fn page(spec: &SourceSpec) -> String {
    let schema = serde_json::to_value((spec.schema)()).unwrap_or_default();
    format!("{}\n\n## Settings\n\n{}\n## Example\n\n{}\n", spec.manual.trim(), settings(&schema), spec.example.trim())
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

/// The manual's first paragraph on one line, without the kind's own name.
fn summary(spec: &SourceSpec) -> String {
    let first = spec.manual.split("\n\n").next().unwrap_or_default().replace('\n', " ");
    let text = first.trim_start_matches(['#', ' ']);
    text.strip_prefix(&format!("`{}`: ", spec.name)).unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_page_with_settings_and_an_example() {
        for spec in lakehead_connectors::SOURCES {
            let page = page(spec);
            for part in [spec.name, "## Settings", "## Example", "[source."] {
                assert!(page.contains(part), "{}: no {part} in:\n{page}", spec.name);
            }
        }
    }
}
