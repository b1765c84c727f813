//! What both ends have in common: a name, a manual, an example, settings and their check.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::Error;

/// What the author of a connector writes about it, whichever way its events go.
pub trait ConnectorKind: Send + 'static {
    /// The word after `kind =` in a pipeline.
    const NAME: &'static str;
    /// The manual page: the module's own documentation, in Markdown.
    const MANUAL: &'static str;
    /// A `[source.NAME]` or `[sink.NAME]` table that works, as TOML.
    const EXAMPLE: &'static str;
    /// What a user may set. `deny_unknown_fields`, a doc comment on each field.
    type Config: DeserializeOwned + JsonSchema + Send;

    /// Checks what the type alone cannot say (an address with a scheme we speak, limits that fit each other). Called
    /// by `lakehead check` and before opening; does no I/O.
    ///
    /// # Errors
    /// A sentence that names the key and says what would be valid.
    fn check(config: &Self::Config) -> Result<(), String> {
        let _ = config;
        Ok(())
    }
}

/// What is known of a connector without opening it: all that `check`, `explain` and the reference need.
#[derive(Clone, Copy)]
pub struct KindSpec {
    /// The word after `kind =`.
    pub name: &'static str,
    /// The manual page, Markdown.
    pub manual: &'static str,
    /// A table that works, TOML.
    pub example: &'static str,
    /// The settings as JSON Schema.
    pub schema: fn() -> schemars::Schema,
    /// Checks settings (the table without the keys that are the engine's) without opening. The error names the key: it
    /// begins with its path in backticks and a colon where serde found it wrong.
    pub check: fn(&serde_json::Value) -> Result<(), String>,
}

impl KindSpec {
    /// Erases `K`.
    #[must_use]
    pub const fn of<K: ConnectorKind>() -> Self {
        Self {
            name: K::NAME,
            manual: K::MANUAL,
            example: K::EXAMPLE,
            schema: || schemars::schema_for!(K::Config),
            check: |settings| {
                let config: K::Config = serde_path_to_error::deserialize(settings).map_err(|error| {
                    match error.path().to_string().as_str() {
                        "." => error.inner().to_string(),
                        path => format!("`{path}`: {}", error.inner()),
                    }
                })?;
                K::check(&config)
            },
        }
    }
}

/// The settings of `K`, checked.
pub(crate) fn config<K: ConnectorKind>(settings: serde_json::Value) -> Result<K::Config, Error> {
    let config: K::Config = serde_json::from_value(settings).map_err(|error| Error::Invalid(error.to_string()))?;
    K::check(&config).map_err(Error::Invalid)?;
    Ok(config)
}
