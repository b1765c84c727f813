//! Into which stream the events of each upstream topic go. A pure decision over names.
//!
//! ```text
//! url …/recentchange,page-create      topics                            streams = ["recentchange", "created"]
//!     recentchange ───────▶ eqiad.mediawiki.recentchange, codfw.… ───▶ recentchange    by its equal name
//!     page-create  ───────▶ eqiad.mediawiki.page-create,  codfw.… ───▶ created         by routes
//! ```
//! A topic decides, not an event: then all events of a partition go to one stream, and its place is in one cursor.

use std::collections::BTreeMap;

use lakehead_model::Name;

/// What precedes a stream's name in its full name: `recentchange` is short for `mediawiki.recentchange`.
const NAMESPACE: &str = "mediawiki.";

/// The short name that is none of these, and what it stands for (EventStreams' stream_aliases).
const TEST: (&str, &str) = ("test", "eventgate-main.test.event");

/// Where topics go.
#[derive(Clone, Debug)]
pub(super) struct Routes {
    /// Names of upstream streams, or of topics, and the place of a stream for each.
    named: Vec<(String, usize)>,
    /// How many streams there are.
    count: usize,
}

impl Routes {
    /// From the names in the path and the user's table, into `streams`. With one stream all goes there.
    pub(super) fn new(path: &[String], table: &BTreeMap<String, String>, streams: &[Name]) -> Result<Self, String> {
        let place = |stream: &str| streams.iter().position(|known| known.as_str() == stream);
        let mut named = Vec::new();
        for (upstream, stream) in table {
            let to = place(stream).ok_or_else(|| {
                let known: Vec<&str> = streams.iter().map(Name::as_str).collect();
                format!("`routes.{upstream}`: the source feeds no stream {stream:?}, only {}", known.join(", "))
            })?;
            named.push((upstream.clone(), to));
        }
        for name in path {
            if table.keys().any(|upstream| is_same(upstream, name)) {
                continue;
            }
            let equal = equal_names(name).iter().find_map(|equal| place(equal));
            match equal.or((streams.len() == 1).then_some(0)) {
                Some(to) => named.push((name.clone(), to)),
                None if table.keys().any(|topic| is_of(topic, name)) => {}
                None => {
                    return Err(format!(
                        "url asks for {name}, and the source feeds no stream {:?}: say in routes where it goes, as in \
                         routes = {{ \"{name}\" = \"{}\" }}",
                        equal_names(name)[0],
                        streams.first().map_or("", Name::as_str)
                    ));
                }
            }
        }
        Ok(Self { named, count: streams.len() })
    }

    /// Each name with its stream of `streams`.
    pub(super) fn named<'r>(&'r self, streams: &'r [Name]) -> impl Iterator<Item = (&'r str, &'r str)> {
        self.named.iter().filter_map(|(name, to)| Some((name.as_str(), streams.get(*to)?.as_str())))
    }

    /// The stream of this topic; `None` where no name fits, which is never with one stream. Of two that fit the longer one
    /// goes: a topic's own name before that of its stream.
    pub(super) fn of_topic(&self, topic: &str) -> Option<usize> {
        if self.count == 1 {
            return Some(0);
        }
        let fitting = self.named.iter().filter(|(name, _)| is_of(topic, name));
        fitting.max_by_key(|(name, _)| name.len()).map(|(_, to)| *to)
    }
}

/// The full name of a stream, where it may be a short one.
fn full(name: &str) -> String {
    if name == TEST.0 { TEST.1.to_owned() } else { format!("{NAMESPACE}{name}") }
}

/// Whether two names are of the same upstream stream.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    one == other || full(one) == other || one == full(other)
}

/// Whether a topic belongs to the upstream stream of this name, or has this name: `eqiad.mediawiki.recentchange` to
/// `mediawiki.recentchange`, for short `recentchange`, in any datacentre.
pub(super) fn is_of(topic: &str, name: &str) -> bool {
    is_same(topic, name) || topic.split_once('.').is_some_and(|(_datacentre, stream)| is_same(stream, name))
}

/// The names that a stream may have to be the one of equal name, best first.
fn equal_names(upstream: &str) -> [String; 3] {
    let as_name = |text: &str| text.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let short = upstream.strip_prefix(NAMESPACE).unwrap_or(upstream);
    [as_name(short), as_name(upstream), as_name(&full(upstream))]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(path: &str, table: &[(&str, &str)], streams: &[&str]) -> Result<Routes, String> {
        let path: Vec<String> = path.split(',').map(str::to_owned).collect();
        let table = table.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
        let streams: Vec<Name> = streams.iter().map(|name| Name::new(name).expect("a name")).collect();
        Routes::new(&path, &table, &streams)
    }

    #[test]
    fn a_topic_goes_to_the_stream_that_its_own_is_named_after() {
        let path = "recentchange,mediawiki.page-create,mediawiki.page_change.v1,test";
        let streams = ["recentchange", "page_create", "page_change_v1", "eventgate_main_test_event"];
        let routes = routes(path, &[], &streams).expect("each name has a stream");
        for (topic, to) in [
            ("eqiad.mediawiki.recentchange", Some(0)),
            ("codfw.mediawiki.recentchange", Some(0)),
            ("mediawiki.recentchange", Some(0)),
            ("recentchange", Some(0)),
            ("eqiad.mediawiki.page-create", Some(1)),
            ("eqiad.mediawiki.page_change.v1", Some(2)),
            ("codfw.eventgate-main.test.event", Some(3)),
            ("eqiad.mediawiki.page-delete", None),
            ("eqiad.mediawiki.recentchange.v2", None),
            ("a.b.recentchange", None),
            ("", None),
            (".", None),
        ] {
            assert_eq!(routes.of_topic(topic), to, "{topic}");
        }
    }

    #[test]
    fn a_table_goes_before_the_name_and_a_topic_before_its_stream() {
        let table = [("mediawiki.recentchange", "b"), ("codfw.mediawiki.recentchange", "a")];
        let routes = routes("recentchange,a", &table, &["a", "b"]).expect("routes");
        assert_eq!(routes.of_topic("eqiad.mediawiki.recentchange"), Some(1));
        assert_eq!(routes.of_topic("codfw.mediawiki.recentchange"), Some(0));
        assert_eq!(routes.of_topic("x.a"), Some(0));
    }

    #[test]
    fn one_stream_takes_everything() {
        let routes = routes("recentchange,page-create", &[], &["everything"]).expect("one stream");
        assert_eq!(routes.of_topic("whatever"), Some(0));
    }

    #[test]
    fn what_goes_nowhere_is_named() {
        let error = routes("recentchange,page-create", &[], &["recentchange", "b"]).expect_err("no page_create");
        assert!(error.contains("asks for page-create") && error.contains("\"page_create\""), "{error}");
        let error = routes("a,b", &[("b", "c")], &["a", "b"]).expect_err("no c");
        assert!(error.contains("`routes.b`") && error.contains("\"c\"") && error.contains("a, b"), "{error}");
    }
}
