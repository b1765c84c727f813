//! `[verify]`: when the standing audit runs.

use std::time::Duration;

use lakehead_engine::audit::AuditSettings;
use lakehead_model::{ByteSize, Span};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{document::Document, problem::Problem};

/// Audits more often than this would be one that never ends.
const AUDIT_EVERY_MIN: Duration = Duration::from_secs(1);

/// The standing audit's keys.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VerifyKeys {
    /// How often everything that is new is counted again: "off", or a span of time of at least a second. Default: 1h.
    #[serde(rename = "every")]
    _every: Option<String>,
    /// How fast it reads, at most. Default: 64 MiB.
    bytes_per_second: Option<ByteSize>,
}

/// Reads the table.
pub(super) fn read(document: &Document, problems: &mut Vec<Problem>) -> AuditSettings {
    let default = AuditSettings::default();
    let keys: VerifyKeys = document.optional_table(&["verify"], problems).unwrap_or_default();
    // Also where another key is wrong.
    let every = match document.get(&["verify", "every"]).and_then(Value::as_str) {
        None => default.every,
        Some("off") => None,
        Some(text) => match text.parse::<Span>() {
            Ok(span) if span.0 >= AUDIT_EVERY_MIN => Some(span.0),
            _ => {
                let what = format!("{text:?} is neither \"off\" nor a time of at least a second, as in \"1h\"");
                problems.push(document.problem(&["verify", "every"], what));
                None
            }
        },
    };
    AuditSettings { every, bytes_per_second: keys.bytes_per_second.unwrap_or(default.bytes_per_second) }
}
