//! What every kind of connector has to have beside its behaviour: a manual, an example that works, settings that are explained.

use lakehead_connector_api::KindSpec;

/// Bytes of a manual that says what the connector does.
const MANUAL_BYTES_MIN: usize = 200;

/// Checks the registration of a kind whose tables are `[TABLE.NAME]`; `engine_keys` are those that the engine takes out of such
/// a table before the kind sees it.
///
/// # Panics
/// Where something is missing, or a mistake in the settings is not named.
pub(super) fn is_complete(kind: &KindSpec, table: &str, engine_keys: &[&str]) {
    let name = kind.name;
    assert!(kind.manual.len() > MANUAL_BYTES_MIN, "{name}: the manual says what it does");
    let properties = (kind.schema)().get("properties").and_then(|p| p.as_object()).cloned().unwrap_or_default();
    for (key, property) in properties {
        assert!(property.get("description").is_some(), "{name}: {key} has a description");
    }
    let error = (kind.check)(&serde_json::json!({ "no_such_key": 1 })).expect_err("an unknown key is refused");
    assert!(error.contains("no_such_key"), "{name}: an unknown key is named: {error}");
    (kind.check)(&example(kind, table, engine_keys))
        .unwrap_or_else(|error| panic!("{name}: the example works: {error}"));
}

/// The settings of the kind in its example.
fn example(kind: &KindSpec, table: &str, engine_keys: &[&str]) -> serde_json::Value {
    let name = kind.name;
    let example: serde_json::Value =
        toml::from_str(kind.example).unwrap_or_else(|error| panic!("{name}: the example is TOML: {error}"));
    let tables = example.get(table).and_then(|tables| tables.as_object()).into_iter().flatten();
    let own: Vec<_> = tables.filter(|(_, table)| table["kind"] == name).collect();
    let [(_, settings)] = own.as_slice() else { panic!("{name}: the example has one [{table}.NAME] of its kind") };
    let mut settings = (*settings).clone();
    if let Some(settings) = settings.as_object_mut() {
        engine_keys.iter().for_each(|key| drop(settings.remove(*key)));
    }
    settings
}
