//! What `[source.NAME]` and `[sink.NAME]` have in common: `kind` names a connector, some keys are the engine's own, and all others
//! are the connector's, whose spec checks them.

use lakehead_connector_api::KindSpec;
use serde_json::Value;

use super::{document::Document, problem::Problem};

/// The connector's own settings of the table at `path`: all but the keys in `own`. What is wrong with them is a problem; a key
/// that nobody knows is told with those that both would take.
pub(super) fn settings(
    document: &Document,
    path: [&str; 2],
    own: &[&str],
    spec: Option<&KindSpec>,
    problems: &mut Vec<Problem>,
) -> Value {
    let mut settings = document.get(&path).cloned().unwrap_or_default();
    if let Some(table) = settings.as_object_mut() {
        table.retain(|key, _| !own.contains(&key.as_str()));
    }
    if let Some(spec) = spec {
        let check = |value: &Value| (spec.check)(value).map_err(|message| with_own_keys(message, own));
        document.check_all(&path, settings.clone(), check, problems);
    }
    settings
}

/// `message` about an unknown key at the top of the settings, with the keys in `own` behind those that it names.
fn with_own_keys(message: String, own: &[&str]) -> String {
    let (path, rest) = match message.strip_prefix('`').and_then(|rest| rest.split_once("`: ")) {
        Some((path, rest)) => (path, rest),
        None => ("", message.as_str()),
    };
    if path.contains(['.', '[']) || !rest.starts_with("unknown field") {
        return message;
    }
    let own: Vec<String> = own.iter().map(|key| format!(", `{key}`")).collect();
    format!("{message}{}", own.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_keys_are_named_where_a_key_of_the_table_is_unknown_and_nowhere_else() {
        let said = |message: &str| with_own_keys(message.to_owned(), &["kind", "from"]);
        let unknown = "unknown field `form`, expected `url`";
        assert_eq!(said(unknown), format!("{unknown}, `kind`, `from`"));
        assert_eq!(said(&format!("`form`: {unknown}")), format!("`form`: {unknown}, `kind`, `from`"));
        for other in [format!("`headers.form`: {unknown}"), "`url`: missing field `url`".into(), "no".into()] {
            assert_eq!(said(&other), other);
        }
    }
}
