//! Which topics are read, and into which stream each goes. Pure.
//!
//! A source of one stream brings every topic into it. One of several brings a topic into the stream of its name, in which the
//! characters that a stream's name cannot have are underscores: `shop.orders-v1` goes to `shop_orders_v1`.

use std::collections::BTreeSet;

use glob::Pattern;
use lakehead_model::Name;

use super::config::Config;

/// The topics that a user has named, and the streams.
#[derive(Clone, Debug)]
pub(super) struct TopicChoice {
    names: Vec<String>,
    patterns: Vec<Pattern>,
    except: Vec<Pattern>,
    streams: Vec<Name>,
}

impl TopicChoice {
    /// What `config`, which was checked, names, for these streams.
    pub(super) fn new(config: &Config, streams: Vec<Name>) -> Self {
        let pattern = |text: &String| Pattern::new(text).unwrap_or_default();
        let (patterns, names): (Vec<&String>, Vec<&String>) =
            config.topics.iter().partition(|entry| entry.contains(['*', '?']));
        Self {
            names: names.into_iter().cloned().collect(),
            patterns: patterns.into_iter().map(pattern).collect(),
            except: config.except.iter().map(pattern).collect(),
            streams,
        }
    }

    /// The topics named as such, which have to be there.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether all topics of the cluster have to be listed to know which are read.
    pub(super) fn has_patterns(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// Whether `topic` was written out, rather than taken by a pattern.
    pub(super) fn is_named(&self, topic: &str) -> bool {
        self.names.iter().any(|name| name == topic)
    }

    /// Of the topics that are there those that are read.
    pub(super) fn chosen<'a>(&self, there: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
        there.into_iter().filter(|topic| self.is_chosen(topic)).collect()
    }

    fn is_chosen(&self, topic: &str) -> bool {
        let is_taken = || !topic.starts_with("__") && self.patterns.iter().any(|pattern| pattern.matches(topic));
        (self.is_named(topic) || is_taken()) && !self.except.iter().any(|pattern| pattern.matches(topic))
    }

    /// The place of the stream that `topic` goes to.
    ///
    /// # Errors
    /// A sentence that says which stream would have to be there.
    pub(super) fn stream_of(&self, topic: &str) -> Result<usize, String> {
        if self.streams.len() == 1 {
            return Ok(0);
        }
        let name: String =
            topic.to_ascii_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        self.streams.iter().position(|stream| stream.as_str() == name).ok_or_else(|| {
            format!(
                "streams: the topic {topic:?} goes to the stream `{name}`, which is not among them; add it, or leave the topic out \
                 by except"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn choice(topics: &[&str], except: &[&str], streams: &[&str]) -> TopicChoice {
        let config = json!({ "brokers": "b:1", "topics": topics, "except": except });
        let config: Config = serde_json::from_value(config).expect("settings");
        TopicChoice::new(&config, streams.iter().map(|name| Name::new(name).expect("a name")).collect())
    }

    #[test]
    fn patterns_take_what_they_match_but_for_what_is_excepted_and_what_is_kafkas_own() {
        let there = ["orders", "shop.a", "shop.b", "shop.b.tmp", "__consumer_offsets", "other"];
        let choice = choice(&["orders", "shop.*", "*offsets"], &["*.tmp"], &["s"]);
        assert_eq!(choice.chosen(there).into_iter().collect::<Vec<_>>(), ["orders", "shop.a", "shop.b"]);
        assert!(choice.is_named("orders") && !choice.is_named("shop.a"));
    }

    #[test]
    fn with_several_streams_a_topic_goes_to_the_one_of_its_name() {
        let several = choice(&["*"], &[], &["orders", "shop_orders_v1"]);
        assert_eq!(several.stream_of("Orders"), Ok(0));
        assert_eq!(several.stream_of("shop.orders-v1"), Ok(1));
        assert!(several.stream_of("payments").is_err_and(|error| error.contains("`payments`")));
        assert_eq!(choice(&["*"], &[], &["s"]).stream_of("anything"), Ok(0));
    }
}
