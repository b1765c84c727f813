//! The built-in templates, written as a user would write them, in JSON. `tests/templates.rs` holds them to the samples of what
//! they stand for.
//!
//! `recentchange` is not the simulator's generator: that one stands beside the pipeline, serves whole topics with their faults
//! and canaries, and is asked over HTTP by `lakehead simulate`. Here a small likeness does.

use schemars::JsonSchema;
use serde::Deserialize;

use super::values::Fields;

/// A template by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum BuiltinTemplate {
    /// People, as a faker service tells them.
    People,
    /// The weather of New York, as OpenWeatherMap tells it.
    Weather,
    /// Changes of wikis, as Wikimedia's EventStreams tell them.
    Recentchange,
}

impl BuiltinTemplate {
    /// Its fields.
    pub(super) fn fields(self) -> Fields {
        let text = match self {
            Self::People => include_str!("templates/people.json"),
            Self::Weather => include_str!("templates/weather.json"),
            Self::Recentchange => include_str!("templates/recentchange.json"),
        };
        serde_json::from_str(text).expect("a template that is built in is tested")
    }
}
