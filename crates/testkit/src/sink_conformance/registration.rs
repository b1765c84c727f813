//! Whether what a sink kind says about itself is whole: manual, example, descriptions, and a wrong key that is named.

use lakehead_connector_api::SinkSpec;

/// The keys of a `[sink.NAME]` table that are the engine's.
const ENGINE_KEYS: &[&str] = &["kind", "from", "start", "lanes", "keep", "commit_every", "memory"];

/// # Panics
/// Where something is missing.
pub(super) fn is_complete(spec: &SinkSpec) {
    let name = spec.name;
    assert!(spec.manual.len() > 200, "{name}: the manual says what it does");
    let properties = (spec.schema)().get("properties").and_then(|p| p.as_object()).cloned().unwrap_or_default();
    for (key, property) in properties {
        assert!(property.get("description").is_some(), "{name}: {key} has a description");
        assert!(!ENGINE_KEYS.contains(&key.as_str()), "{name}: {key} is a key of the engine");
    }
    let error = (spec.check)(&serde_json::json!({ "no_such_key": 1 })).expect_err("an unknown key is refused");
    assert!(error.contains("no_such_key"), "{name}: {error}");

    let example: toml::Table = spec.example.parse().unwrap_or_else(|error| panic!("{name}: the example: {error}"));
    let sinks = example.get("sink").and_then(toml::Value::as_table).cloned().unwrap_or_default();
    assert_eq!(sinks.len(), 1, "{name}: the example has one table [sink.NAME]");
    for (_, sink) in sinks {
        let mut sink = serde_json::to_value(sink).expect("TOML is JSON but for its times");
        assert_eq!(sink["kind"], name, "{name}: the example names its kind");
        assert!(sink["from"].is_string(), "{name}: the example says what it delivers");
        if let Some(settings) = sink.as_object_mut() {
            settings.retain(|key, _| !ENGINE_KEYS.contains(&key.as_str()));
        }
        (spec.check)(&sink).unwrap_or_else(|error| panic!("{name}: the example does not pass its own check: {error}"));
    }
}
