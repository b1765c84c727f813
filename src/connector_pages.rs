//! The pages of docs/reference about sources and sinks, each made of the spec of its kind alone: manual, delivery class, settings,
//! example; and the page that lists them. A build that leaves kinds out has not their pages, so `full` is what makes the folder.

use lakehead_connector_api::{KindSpec, SinkSpec};
use lakehead_connectors::End;

use crate::{
    kinds::{Kinds, summary, taken},
    settings_table::settings_table,
};

/// The name of the page that lists all kinds.
pub(crate) const INDEX: &str = "connectors";

/// The name of each kind's page, below docs/reference: `sources/eventstreams`.
pub(crate) fn names(kinds: Kinds) -> Vec<String> {
    let of = |end: End| kinds.specs(end).into_iter().map(move |spec| name(end, spec.name));
    of(End::Source).chain(of(End::Sink)).collect()
}

/// The page of this name.
pub(crate) fn page(kinds: Kinds, page: &str) -> Option<String> {
    let is = |end: End, spec: &KindSpec| name(end, spec.name) == page;
    if page == INDEX {
        return Some(index(kinds));
    }
    let source = kinds.sources.iter().find(|spec| is(End::Source, spec));
    let sink = kinds.sinks.iter().find(|spec| is(End::Sink, spec));
    source.map(|spec| one(End::Source, spec, "")).or(sink.map(|spec| one(End::Sink, spec, &delivery(spec))))
}

fn name(end: End, kind: &str) -> String {
    format!("{}s/{kind}", end.word())
}

/// What a sink promises and takes, as a section.
pub(crate) fn delivery(spec: &SinkSpec) -> String {
    format!("## Delivery\n\nDelivers {}. {}\n\n", spec.delivery.in_words(), taken(spec.takes))
}

fn one(end: End, spec: &KindSpec, delivery: &str) -> String {
    let word = end.word();
    let schema = serde_json::to_value((spec.schema)()).unwrap_or_default();
    let settings = match schema["properties"].as_object().is_some_and(|keys| !keys.is_empty()) {
        true => settings_table(&schema),
        false => "None.\n".to_owned(),
    };
    format!(
        "# {} `{}`\n\nMade of the code by `lakehead reference {}`; a test fails when it is stale.\n\n{}\n\n{delivery}## Settings\n\n\
         Beside [those of every {word}](../pipeline.md#{word}name).\n\n{settings}\n## Example\n\n```toml\n{}\n```\n",
        capital(word),
        spec.name,
        name(end, spec.name),
        spec.manual.trim(),
        spec.example.trim()
    )
}

fn index(kinds: Kinds) -> String {
    let mut text = format!(
        "# Sources and sinks\n\nMade of the code by `lakehead reference {INDEX}`; a test fails when it is stale. \
         `lakehead explain` lists the kinds of the program at hand, `lakehead explain sink http` prints the manual of one.\n"
    );
    text.push_str("\n## Sources\n\n`[source.NAME]` with one of these as `kind` brings events into a stream.\n\n");
    text.push_str("| kind | what it does |\n|---|---|\n");
    for spec in kinds.sources {
        text.push_str(&format!("| [`{0}`](sources/{0}.md) | {1} |\n", spec.name, cell(&summary(spec))));
    }
    text.push_str("\n## Sinks\n\n`[sink.NAME]` with one of these as `kind` delivers a stream or a view.\n\n");
    text.push_str("| kind | what it does | delivery |\n|---|---|---|\n");
    for spec in kinds.sinks {
        let (what, how) = (cell(&summary(spec)), spec.delivery.in_words());
        text.push_str(&format!("| [`{0}`](sinks/{0}.md) | {what} | {how} |\n", spec.name));
    }
    text
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_page_with_its_settings_and_an_example_and_stands_on_the_index() {
        let kinds = Kinds::BUILT;
        let index = page(kinds, INDEX).expect("the index");
        for name in names(kinds) {
            let one = page(kinds, &name).unwrap_or_else(|| panic!("{name} has no page"));
            for part in ["\n## Settings\n", "\n## Example\n\n```toml\n["] {
                assert!(one.contains(part), "{name}: no {part} in:\n{one}");
            }
            assert_eq!(one.contains("\n## Delivery\n\nDelivers "), name.starts_with("sinks/"), "{one}");
            let settings = one.split("\n## Settings\n").nth(1).and_then(|rest| rest.split("\n## ").next());
            assert!(settings.is_some_and(|table| !table.contains("| | ")), "a key of {name} has no words:\n{one}");
            assert!(index.contains(&format!("({name}.md)")), "{name} is not on the index:\n{index}");
        }
        assert_eq!(page(kinds, "sources/none"), None);
    }
}
