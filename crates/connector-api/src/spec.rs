//! Registration: the author's trait is typed, the engine's is erased, one `of` joins them.

use std::{future::Future, pin::Pin};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{Error, Resume, Source};

/// What the author of a source writes: its name, its settings, how it opens.
pub trait SourceKind: Send + 'static {
    /// The word after `kind =` in a pipeline.
    const NAME: &'static str;
    /// The manual page: the module's own documentation, in Markdown.
    const MANUAL: &'static str;
    /// A `[source.NAME]` table that works, as TOML.
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

    /// Opens it where `resume` says. May connect; must not read events before [`Source::next`] is called.
    fn open(config: Self::Config, resume: Resume) -> impl Future<Output = Result<Box<dyn Source>, Error>> + Send;
}

type Opening = Pin<Box<dyn Future<Output = Result<Box<dyn Source>, Error>> + Send>>;

/// What the engine holds of a kind of source: erased, but with everything `check`, `explain` and the reference need.
#[derive(Clone, Copy)]
pub struct SourceSpec {
    /// The word after `kind =`.
    pub name: &'static str,
    /// The manual page, Markdown.
    pub manual: &'static str,
    /// A table that works, TOML.
    pub example: &'static str,
    /// The settings as JSON Schema.
    pub schema: fn() -> schemars::Schema,
    /// Checks settings (the table without `kind` and `stream`) without opening. The error names the key: it begins with
    /// its path in backticks and a colon where serde found it wrong.
    pub check: fn(&serde_json::Value) -> Result<(), String>,
    /// Opens a source with settings that passed `check`.
    pub open: fn(serde_json::Value, Resume) -> Opening,
}

impl SourceSpec {
    /// Erases `K`.
    #[must_use]
    pub const fn of<K: SourceKind>() -> Self {
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
            open: |settings, resume| {
                Box::pin(async move {
                    let config: K::Config =
                        serde_json::from_value(settings).map_err(|e| Error::Invalid(e.to_string()))?;
                    K::check(&config).map_err(Error::Invalid)?;
                    K::open(config, resume).await
                })
            },
        }
    }
}
