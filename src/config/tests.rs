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

/// Line 1 of most cases.
const STREAM: &str = "[stream.s]\n";

/// Line 2 to 5 of those about a source: a good one.
const SOURCE: &str = "[source.a]\nkind = \"ticks\"\nstream = \"s\"\nurl = \"http://127.0.0.1/\"\n";

#[tokio::test]
async fn each_broken_file_is_told_where_and_what_would_be_valid() {
    let cases: &[(&[&str], &str)] = &[
        (&["[stream.s\n"], ""),
        (&[STREAM, "[stream.s]\n"], ""),
        (&["data = \"./d\"\n"], ""),
        (&["[straem.s]\n"], ""),
        (&["dta = \"./d\"\n", STREAM], ""),
        (&["data = 5\n", STREAM], ""),
        (&["stream = \"s\"\n"], ""),
        (&["[stream.\"My Stream\"]\n"], ""),
        (&["[stream.rejects]\n"], ""),
        (&[STREAM, "shema = \"json\"\n"], ""),
        (&[STREAM, "schema = \"jsn\"\n"], ""),
        (&[STREAM, "columns = { a = { path = \"a\", type = \"int\" } }\n"], ""),
        (&[STREAM, "[stream.s.columns]\nok = \"ok\"\ndata = \"d\"\n"], ""),
        (&[STREAM, "columns = { a = \"b..c\" }\n"], ""),
        (&[STREAM, "columns = { a = 7 }\n"], ""),
        (&[STREAM, "columns = { a = { path = \"a\", type = \"text\", equals = \"x\" } }\n"], ""),
        (&[STREAM, "event_time = [\"dt\", { path = \"ts\", format = \"seconds\" }]\n"], ""),
        (&[STREAM, "event_time = true\n"], ""),
        (&[STREAM, "[source.a]\nkind = \"tick\"\nstream = \"s\"\n"], ""),
        (&[STREAM, "[source.a]\nstream = \"s\"\n"], ""),
        (&[STREAM, "[source.a]\nkind = \"ticks\"\nstream = \"t\"\nurl = \"http://x/\"\n"], ""),
        (&[STREAM, SOURCE, "limt = 3\n"], ""),
        (&[STREAM, SOURCE, "limit = \"3\"\n"], ""),
        (&[STREAM, "[source.a]\nkind = \"ticks\"\nstream = \"s\"\n"], ""),
        (&[STREAM, "[source.a]\nkind = \"ticks\"\nstream = \"s\"\nurl = \"ftp://x/${SECRET}\"\n"], ""),
        (&[STREAM, "[source.a]\nkind = \"ticks\"\nstream = \"s\"\nurl = \"http://x/${UNSET}\"\n"], ""),
        (&[STREAM, "[source.push]\nkind = \"ticks\"\nstream = \"s\"\nurl = \"http://x/\"\n"], ""),
        (
            &[STREAM, "[view.v]\nsql = \"SELECT cuont(*) FROM s GROUP BY tumble(event_time, INTERVAL '1 minute')\"\n"],
            "",
        ),
        (&[STREAM, "[view.v]\nwatermark_delay = \"60s\"\n"], ""),
        (&[STREAM, "[view.v]\n", VIEW, "watermark_delay = \"1 minute\"\n"], ""),
        (&[STREAM, "[view.v]\n", VIEW, "late = \"keep\"\n"], ""),
        (&[STREAM, "[view.s]\n", VIEW], ""),
        (&["listen = \"localhost:8080\"\n", STREAM], ""),
        (&["listen = \"0.0.0.0:8080\"\n", STREAM], ""),
        (&["token = \"short\"\n", STREAM], ""),
        (&[STREAM, "[store]\nblock_bytes = \"1 megabyte\"\n"], ""),
        (&[STREAM, "[store]\nlevel = 40\n"], ""),
        (&[STREAM, "[store]\nsyncs = \"off\"\n"], ""),
    ];
    for (parts, expected) in cases {
        let text = parts.concat();
        assert_eq!(said(&text).await, *expected, "{text}");
    }
}

/// A view's SQL that is right.
const VIEW: &str = "sql = \"SELECT tumble(event_time, INTERVAL '1 minute') AS m, count(*) AS n FROM s GROUP BY 1\"\n";

#[tokio::test]
async fn all_problems_are_told_at_once_in_the_order_of_the_file() {
    let text = "lsten = \"127.0.0.1:1\"\n[stream.s]\nschema = \"x\"\n[source.a]\nkind = \"y\"\nstream = \"z\"\n";
    let said = said(text).await;
    let places: Vec<_> = said.lines().map(|line| line.split(": ").take(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        places,
        ["p.toml:1 lsten", "p.toml:3 stream.s.schema", "p.toml:5 source.a.kind", "p.toml:6 source.a.stream"]
    );
}

#[tokio::test]
async fn a_good_file_becomes_a_pipeline() {
    let text = [
        "data = \"./d\"\nlisten = \"0.0.0.0:9\"\ntoken = \"${SECRET}\"\n[store]\nsync = \"1s\"\n",
        "[stream.s]\nevent_time = [\"dt\", { path = [\"a.b\", \"ts\"], format = \"unix_millis\" }]\n",
        "columns = { z = \"y.z\", a = { path = \"a\", type = \"int64\" }, is_x = { path = \"k\", equals = \"x\" } }\n",
        SOURCE,
        "[view.v]\n",
        VIEW,
        "watermark_delay = \"5s\"\nlate = \"drop\"\n",
    ];
    let pipeline = read("p.toml", &text.concat(), SOURCES, &environment, Overrides::default()).await.expect("good");
    assert_eq!(pipeline.data.to_str(), Some("./d"));
    assert!(pipeline.token.is_some_and(|token| token.matches("hunter2-hunter2-hunter2")));
    let schema = &pipeline.streams["s"].schema;
    let columns: Vec<_> = schema.columns.iter().map(|column| (column.name.as_str(), column.path.join("/"))).collect();
    assert_eq!(columns, [("z", "y/z".into()), ("a", "a".into()), ("is_x", "k".into())], "in the file's order");
    assert_eq!(schema.event_time[1].path, ["a.b", "ts"]);
    assert_eq!(pipeline.sources["a"].settings, serde_json::json!({ "url": "http://127.0.0.1/" }));
    let view = &pipeline.views["v"];
    assert_eq!((view.watermark_delay, view.late), (Duration::from_secs(5), Late::Drop));
    assert_eq!(view.lateness, Duration::from_secs(24 * 3600));
}

#[tokio::test]
async fn the_default_pipeline_and_the_examples_are_good() {
    let sources = lakehead_connectors::SOURCES;
    let examples = [
        (super::DEFAULT_NAME, DEFAULT),
        ("own_service.toml", include_str!("../../examples/own_service.toml")),
        ("eventstreams.toml", include_str!("../../examples/eventstreams.toml")),
    ];
    for (name, text) in examples {
        let read = read(name, text, sources, &|_| None, Overrides::default()).await;
        read.unwrap_or_else(|problems| panic!("{problems}"));
    }
}

#[tokio::test]
async fn what_the_command_line_says_goes_before_the_file() {
    let overrides = Overrides { data: Some("./other".into()), listen: Some(([0, 0, 0, 0], 80).into()) };
    let text = ["listen = \"127.0.0.1:8080\"\n", STREAM].concat();
    let problems = read("p.toml", &text, SOURCES, &environment, overrides.clone()).await.expect_err("open to all");
    assert!(problems.to_string().contains("0.0.0.0:80 can be reached from other machines"), "{problems}");
    let text = ["listen_anyone = true\n", STREAM].concat();
    let pipeline = read("p.toml", &text, SOURCES, &environment, overrides).await.expect("said out loud");
    assert_eq!(pipeline.data.to_str(), Some("./other"));
}
