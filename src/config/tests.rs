//! Broken pipelines and what is said about each, word for word; and good ones.

use std::time::Duration;

use lakehead_connector_api::{Error, Resume, Source, SourceKind, SourceSpec};
use lakehead_query::Late;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{DEFAULT, Overrides, read};

/// A kind of source for these tests: the binary's own kinds have their own tests.
struct Ticks;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TicksConfig {
    url: String,
    #[serde(default)]
    limit: u32,
}

impl SourceKind for Ticks {
    const NAME: &'static str = "ticks";
    const MANUAL: &'static str = "For tests.";
    const EXAMPLE: &'static str = "";
    type Config = TicksConfig;

    fn check(config: &TicksConfig) -> Result<(), String> {
        if !config.url.starts_with("http") || config.limit > 9 {
            return Err(format!("`url` is {:?}: write one that begins with http", config.url));
        }
        Ok(())
    }

    async fn open(_: TicksConfig, _: Resume) -> Result<Box<dyn Source>, Error> {
        Err(Error::Internal("not opened in these tests".into()))
    }
}

const SOURCES: &[SourceSpec] = &[SourceSpec::of::<Ticks>()];

fn environment(name: &str) -> Option<String> {
    (name == "SECRET").then(|| "hunter2-hunter2-hunter2".to_owned())
}

async fn said(text: &str) -> String {
    match read("p.toml", text, SOURCES, &environment, Overrides::default()).await {
        Ok(_) => String::new(),
        Err(problems) => problems.to_string(),
    }
}

const STREAM: &str = "[stream.s]\n";

#[tokio::test]
async fn each_broken_file_is_told_where_and_what_would_be_valid() {
    let cases: &[(&str, &str)] = &[];
    for (text, expected) in cases {
        assert_eq!(said(text).await, *expected, "{text}");
    }
}
