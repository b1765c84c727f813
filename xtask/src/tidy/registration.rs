//! A connector is one file (or folder), one line in the list, one example pipeline, and it runs the suite of its kind.
//!
//! A file in `source/` that is not in `SOURCES`, or in `sink/` and not in `SINKS`, is code that nobody can reach; one without an
//! example in `examples/` is one that nobody has tried; one that does not run `conformance::source` or `conformance::sink`
//! promises nothing.

use super::{
    source::{code_lines, names},
    tree::{Finding, Tree},
};

/// One end of the pipeline: where its connectors lie, and what each of them needs.
struct End {
    folder: &'static str,
    list: &'static str,
    /// The list's name.
    constant: &'static str,
    /// What an entry of the list begins with.
    spec: &'static str,
    /// How the tables of a pipeline file begin that name a kind.
    table: &'static str,
    suite: &'static str,
}

const ENDS: [End; 2] = [
    End {
        folder: "crates/connectors/src/source/",
        list: "crates/connectors/src/source/mod.rs",
        constant: "SOURCES",
        spec: "SourceSpec",
        table: "[source.",
        suite: "conformance::source",
    },
    End {
        folder: "crates/connectors/src/sink/",
        list: "crates/connectors/src/sink/mod.rs",
        constant: "SINKS",
        spec: "SinkSpec",
        table: "[sink.",
        suite: "conformance::sink",
    },
];

/// Finds connectors that are not in the list of their end, have no example or do not run the suite.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    ENDS.iter().flat_map(|end| end.check(tree)).collect()
}

impl End {
    fn check(&self, tree: &Tree) -> Vec<Finding> {
        let list = tree.text(self.list).unwrap_or_default();
        let mut findings = Vec::new();
        for (path, _) in tree.rust(self.folder).filter(|(path, _)| *path != self.list) {
            let file = &path[self.folder.len()..];
            // What lies deeper belongs to the connector whose folder it is.
            let name = match file.split_once('/') {
                None => file.trim_end_matches(".rs"),
                Some((_, "mod.rs")) => &file[..file.len() - "/mod.rs".len()],
                Some(_) => continue,
            };
            findings.extend(self.missing(tree, list, name).map(|what| Finding::file(path, what)));
        }
        findings.extend(self.registered_elsewhere(list));
        findings
    }

    /// What the connector `name` lacks.
    fn missing(&self, tree: &Tree, list: &str, name: &str) -> impl Iterator<Item = String> {
        let Self { folder, list: file, constant, spec, table, suite } = *self;
        let entry = format!("{spec}::of::<{name}::");
        let is_registered = code_lines(list).any(|(_, line)| line.contains(&entry));
        let own = |path: &str| path[folder.len()..].split(['/', '.']).next() == Some(name);
        let is_held_to_it = tree.rust(folder).any(|(path, text)| own(path) && text.contains(suite));
        let is_shown = tree.files().any(|(path, text)| {
            path.starts_with("examples/") && path.ends_with(".toml") && is_named(text, table, name)
        });
        [
            (is_registered, format!("is not in {constant}: add `{spec}::of::<{name}::…>()` to {file}")),
            (is_held_to_it, format!("does not run the suite: call `{suite}` in its tests")),
            (
                is_shown,
                format!("has no example: add a pipeline with `{table}NAME]` and `kind = \"{name}\"` to examples/"),
            ),
        ]
        .into_iter()
        .filter_map(|(is_there, what)| (!is_there).then_some(what))
    }

    /// Entries of the list that are no modules beside it.
    fn registered_elsewhere(&self, list: &str) -> Vec<Finding> {
        let registered = code_lines(list).flat_map(|(number, line)| {
            let kinds = line.split("of::<").skip(1).filter_map(|rest| rest.split("::").next());
            kinds.map(move |kind| (number, kind))
        });
        let is_beside = |kind: &str| code_lines(list).any(|(_, line)| line.contains("mod ") && names(line, kind));
        let what = |kind: &str| format!("{kind} is registered from elsewhere: a connector is a file here");
        registered
            .filter(|(_, kind)| !is_beside(kind))
            .map(|(number, kind)| Finding::line(self.list, number, what(kind)))
            .collect()
    }
}

/// Whether a pipeline names the kind `name` in a table that begins with `table`.
fn is_named(pipeline: &str, table: &str, name: &str) -> bool {
    let kind = format!("kind = \"{name}\"");
    let mut is_there = false;
    pipeline.lines().map(str::trim_start).any(|line| {
        if line.starts_with('[') {
            is_there = line.starts_with(table);
        }
        is_there && line.starts_with(&kind)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: [(&str, &str); 3] = [
        ("crates/connectors/src/source/sse.rs", "//! reads a feed\nconformance::source::<Sse>()"),
        (ENDS[0].list, "mod sse;\npub const SOURCES: &[SourceSpec] = &[SourceSpec::of::<sse::Sse>()];"),
        ("examples/sse.toml", "[source.a]\nkind = \"sse\"\n"),
    ];
    const SINK: [(&str, &str); 3] = [
        ("crates/connectors/src/sink/queue.rs", "//! fills a queue\nconformance::sink::<Queue>()"),
        (ENDS[1].list, "mod queue;\npub const SINKS: &[SinkSpec] = &[SinkSpec::of::<queue::Queue>()];"),
        ("examples/queue.toml", "[sink.a]\nkind = \"queue\"\n"),
    ];

    /// What is found, of both, when `changed` stands in the place of the file of its name.
    fn found(changed: (&str, &str)) -> Vec<String> {
        let files = SOURCE.into_iter().chain(SINK).filter(|(path, _)| *path != changed.0).chain([changed]);
        check(&Tree::of(&files.collect::<Vec<_>>())).iter().map(ToString::to_string).collect()
    }

    fn is_one(found: &[String], words: &[&str]) {
        assert!(found.len() == 1 && words.iter().all(|word| found[0].contains(word)), "{words:?}: {found:?}");
    }

    #[test]
    fn a_connector_with_all_three_is_fine() {
        assert_eq!(found(("README.md", "")), <[String; 0]>::default());
    }

    #[test]
    fn an_unregistered_connector_is_found() {
        is_one(&found((SOURCE[1].0, "mod sse;")), &["sse.rs", "SourceSpec::of::<sse::…>()"]);
        is_one(&found((SOURCE[1].0, "mod sse; // SourceSpec::of::<sse::Sse>()")), &["sse.rs", "SOURCES"]);
        is_one(&found((SINK[1].0, "mod queue;")), &["queue.rs", "SinkSpec::of::<queue::…>()"]);
        is_one(&found((SINK[1].0, "mod queue;\n[SourceSpec::of::<queue::Queue>()]")), &["queue.rs", "SINKS"]);
    }

    #[test]
    fn a_connector_without_an_example_is_found() {
        is_one(&found((SOURCE[2].0, "")), &["sse.rs", "[source.NAME]"]);
        is_one(&found((SINK[2].0, "")), &["queue.rs", "[sink.NAME]"]);
    }

    #[test]
    fn an_example_of_the_other_end_is_none() {
        is_one(&found((SINK[2].0, "[source.a]\nkind = \"queue\"\n")), &["queue.rs", "examples/"]);
        is_one(&found((SINK[2].0, "[sink.a]\nfrom = \"s\"\n[view.v]\nkind = \"queue\"\n")), &["queue.rs"]);
        is_one(&found((SINK[2].0, "[sink.a]\n# kind = \"queue\"\n")), &["queue.rs"]);
    }

    #[test]
    fn a_connector_that_does_not_run_the_suite_is_found() {
        is_one(
            &found((SOURCE[0].0, "//! reads a feed\nconformance::sink::<Sse>()")),
            &["sse.rs", "conformance::source"],
        );
        is_one(&found((SINK[0].0, "//! fills a queue")), &["queue.rs", "conformance::sink"]);
    }

    #[test]
    fn parts_of_a_connector_are_not_connectors() {
        assert_eq!(found(("crates/connectors/src/source/sse/frame.rs", "//! one frame")), <[String; 0]>::default());
        let tests = ("crates/connectors/src/sink/queue/tests.rs", "conformance::sink::<Queue>()");
        let files = [SINK[1], SINK[2], (SINK[0].0, "//! fills a queue"), tests];
        assert!(check(&Tree::of(&files)).is_empty());
    }

    #[test]
    fn an_entry_of_another_place_is_found() {
        let list = "mod queue;\n[SinkSpec::of::<queue::Queue>(),\nSinkSpec::of::<other::Topic>()]";
        is_one(&found((SINK[1].0, list)), &["sink/mod.rs:3", "other is registered from elsewhere"]);
    }
}
