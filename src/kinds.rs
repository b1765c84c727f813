//! The kinds of source and sink that a pipeline may name, and what is said of one that is not there.

use lakehead_connector_api::{KindSpec, SinkSpec, SourceSpec, Takes};
use lakehead_connectors::{End, HEAVY, Heavy, SINKS, SOURCES};
use lakehead_model::hint::instead;

/// The kinds that a pipeline file is read with.
#[derive(Clone, Copy)]
pub(crate) struct Kinds {
    /// The sources of this build.
    pub(crate) sources: &'static [SourceSpec],
    /// The sinks of this build.
    pub(crate) sinks: &'static [SinkSpec],
    /// Those that a build may leave out.
    pub(crate) heavy: &'static [Heavy],
}

impl Kinds {
    /// Those of this program.
    pub(crate) const BUILT: Self = Self { sources: SOURCES, sinks: SINKS, heavy: HEAVY };

    /// What all kinds of `end` have in common.
    pub(crate) fn specs(self, end: End) -> Vec<&'static KindSpec> {
        match end {
            End::Source => self.sources.iter().map(|spec| &spec.kind).collect(),
            End::Sink => self.sinks.iter().map(|spec| &spec.kind).collect(),
        }
    }

    /// The source of this kind, or why there is none.
    pub(crate) fn source(self, kind: &str) -> Result<&'static SourceSpec, String> {
        self.sources.iter().find(|spec| spec.name == kind).ok_or_else(|| self.missing(End::Source, kind))
    }

    /// The sink of this kind, or why there is none.
    pub(crate) fn sink(self, kind: &str) -> Result<&'static SinkSpec, String> {
        self.sinks.iter().find(|spec| spec.name == kind).ok_or_else(|| self.missing(End::Sink, kind))
    }

    /// The kinds of `end` that this build has not.
    pub(crate) fn left_out(self, end: End) -> impl Iterator<Item = &'static str> {
        let heavy = self.heavy.iter().filter(move |heavy| heavy.end == end && !heavy.is_built);
        heavy.map(|heavy| heavy.kind)
    }

    fn missing(self, end: End, kind: &str) -> String {
        if self.left_out(end).any(|left_out| left_out == kind) {
            return format!("kind `{kind}` is not in this build: {}", how_to_build(kind));
        }
        format!("no kind {kind:?}; {}", instead(kind, self.specs(end).iter().map(|spec| spec.name)))
    }
}

/// How a kind that was left out comes in.
pub(crate) fn how_to_build(kind: &str) -> String {
    format!("build with `--features {kind}` (or `full`)")
}

/// The manual's first paragraph on one line, without the kind's own name.
pub(crate) fn summary(spec: &KindSpec) -> String {
    let first = spec.manual.trim().split("\n\n").next().unwrap_or_default().replace('\n', " ");
    let text = first.trim_start_matches(['#', ' ']);
    text.strip_prefix(&format!("`{}`: ", spec.name)).unwrap_or(text).to_owned()
}

/// Which rows a sink can take, as a sentence.
pub(crate) fn taken(takes: Takes) -> &'static str {
    match takes {
        Takes::Appends => {
            "Rows are added. The events of a stream come in their order; the changes of a view come each with its operation \
             (insert, update, delete)."
        }
        Takes::Keyed => {
            "Only the changes of a view: a row replaces the one of the same key, or deletes it. The view must show every column \
             that it groups by, which are the key; events of a stream have none."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_was_left_out_is_named_with_its_feature_and_any_other_with_what_there_is() {
        const HEAVY: &[Heavy] = &[Heavy::sink("cassandra", false), Heavy::sink("hdfs", true)];
        let kinds = Kinds { heavy: HEAVY, ..Kinds::BUILT };
        let said = kinds.sink("cassandra").err().expect("left out");
        assert_eq!(said, "kind `cassandra` is not in this build: build with `--features cassandra` (or `full`)");
        for (end, kind) in [(End::Source, "cassandra"), (End::Sink, "hdfs"), (End::Source, "evenstreams")] {
            let said = match end {
                End::Source => kinds.source(kind).err(),
                End::Sink => kinds.sink(kind).err(),
            };
            let said = said.expect("there is none");
            assert!(said.starts_with(&format!("no kind {kind:?}; ")), "{said}");
        }
        assert_eq!(kinds.left_out(End::Sink).collect::<Vec<_>>(), ["cassandra"]);
    }

    #[test]
    fn a_kind_is_either_in_this_build_or_left_out() {
        for end in [End::Source, End::Sink] {
            let names: Vec<_> = Kinds::BUILT.specs(end).iter().map(|spec| spec.name).collect();
            assert!(names.is_sorted(), "in alphabetical order: {names:?}");
            assert!(Kinds::BUILT.left_out(end).all(|kind| !names.contains(&kind)), "{names:?}");
        }
        for heavy in HEAVY.iter().filter(|heavy| heavy.is_built) {
            let there = Kinds::BUILT.specs(heavy.end).iter().any(|spec| spec.name == heavy.kind);
            assert!(there, "{} is built and not in the list of its end", heavy.kind);
        }
    }
}
