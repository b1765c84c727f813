//! Broken pipelines and what is said about each, word for word; and good ones.

use std::time::Duration;

use lakehead_connector_api::{
    ConnectorKind, Delivery, Error, Opened, Resume, Sink, SinkContext, SinkKind, SinkSpec, SourceKind, SourceSpec,
    Takes,
};
use lakehead_connectors::Heavy;
use lakehead_engine::pipeline::{Keep, Start};
use lakehead_model::ByteSize;
use lakehead_query::Late;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{DEFAULT, Overrides, in_the_way, read};
use crate::kinds::Kinds;

/// A kind of source for these tests: the binary's own kinds have their own tests.
struct Ticks;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TicksConfig {
    url: String,
    #[serde(default)]
    limit: u32,
}

impl ConnectorKind for Ticks {
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
}

impl SourceKind for Ticks {
    async fn open(_: TicksConfig, _: Resume) -> Result<Opened, Error> {
        Err(Error::Internal("not opened in these tests".into()))
    }
}

/// A kind of sink for these tests: one that adds rows, or one that replaces them by their key.
struct Pipe<const KEYED: bool>;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it is never opened")]
struct PipeConfig {
    path: String,
    #[serde(default)]
    headers: PipeHeaders,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it is never opened")]
struct PipeHeaders {
    name: Option<String>,
}

impl<const KEYED: bool> ConnectorKind for Pipe<KEYED> {
    const NAME: &'static str = if KEYED { "table" } else { "pipe" };
    const MANUAL: &'static str = "For tests.";
    const EXAMPLE: &'static str = "";
    type Config = PipeConfig;
}

impl<const KEYED: bool> SinkKind for Pipe<KEYED> {
    const DELIVERY: Delivery = Delivery::AtLeastOnce;
    const TAKES: Takes = if KEYED { Takes::Keyed } else { Takes::Appends };

    async fn open(_: PipeConfig, _: SinkContext) -> Result<Box<dyn Sink>, Error> {
        Err(Error::Internal("not opened in these tests".into()))
    }
}

const KINDS: Kinds = Kinds {
    sources: &[SourceSpec::of::<Ticks>()],
    sinks: &[SinkSpec::of::<Pipe<false>>(), SinkSpec::of::<Pipe<true>>()],
    heavy: &[Heavy::source("queue", false), Heavy::sink("kafka", false)],
};

fn environment(name: &str) -> Option<String> {
    (name == "SECRET").then(|| "hunter2-hunter2-hunter2".to_owned())
}

async fn said(text: &str) -> String {
    match read("p.toml", text, KINDS, &environment, Overrides::default()).await {
        Ok(_) => String::new(),
        Err(problems) => problems.to_string(),
    }
}

/// Line 1 of most cases.
const STREAM: &str = "[stream.s]\n";

/// Line 2 to 5 of those about a source: a good one.
const SOURCE: &str = "[source.a]\nkind = \"ticks\"\nstream = \"s\"\nurl = \"http://127.0.0.1/\"\n";

/// Line 2 to 5 of those about a sink: a good one.
const SINK: &str = "[sink.a]\nkind = \"pipe\"\nfrom = \"s\"\npath = \"x\"\n";

/// Line 2 and 3: a view that groups by its window and does not show it.
const UNKEYED: &str =
    "[view.v]\nsql = \"SELECT count(*) AS n FROM s GROUP BY tumble(event_time, INTERVAL '1 minute')\"\n";

/// A good pipeline with a view of each sort; 13 lines.
const VIEWS: &str = r#"[stream.s]
columns = { shop = "shop", n = { path = "n", type = "int64" } }
[view.counted]
sql = """SELECT tumble(event_time, INTERVAL '1 minute') AS minute, shop, count(*) AS orders, max(shop) AS last
FROM s GROUP BY 1, 2"""
[view.visits]
sql = """SELECT session(event_time, INTERVAL '1 minute') AS began, shop, count(*) AS orders
FROM s GROUP BY 1, 2"""
[view.rows]
sql = "SELECT event_time, shop, n FROM s"



"#;

#[tokio::test]
async fn each_mistake_in_a_panel_is_told_with_its_line_and_what_would_be_valid() {
    for (panel, expected) in [
        ("", "panel.p: write what it shows: view = \"NAME\" or stream = \"NAME\""),
        ("view = \"counted\"\nstream = \"s\"", "panel.p.stream: a panel shows a view or a stream, not both"),
        (
            "view = \"conted\"",
            "panel.p.view: no view \"conted\" in this file; did you mean `counted`? valid: counted, visits, rows",
        ),
        ("stream = \"t\"", "panel.p.stream: no stream \"t\" in this file; valid: s"),
        (
            "view = \"counted\"\nkind = \"pie\"",
            "panel.p.kind: \"pie\" is unknown; valid: bars, lines, points, ranks, table, events, rate, none",
        ),
        (
            "view = \"counted\"\nvalues = [\"orders\", \"-last\"]",
            "panel.p.values: the column \"last\" has no numbers to draw",
        ),
        (
            "view = \"counted\"\nvalues = [\"order\"]",
            "panel.p.values: no column \"order\"; did you mean `orders`? valid: minute, shop, orders, last",
        ),
        (
            "view = \"counted\"\nvalues = [\"orders\", \"-orders\"]",
            "panel.p.values: the column \"orders\" stands here twice",
        ),
        (
            "view = \"counted\"\nkind = \"ranks\"",
            "panel.p.series: a ranking wants the column whose values it ranks: series = \"COLUMN\"",
        ),
        (
            "view = \"visits\"\nkind = \"ranks\"\nseries = \"shop\"",
            "panel.p.kind: sessions have no newest window to rank; choose points or table",
        ),
        (
            "view = \"rows\"\nkind = \"bars\"",
            "panel.p.kind: the view shows no window to draw over; kind = \"table\" shows its newest rows",
        ),
        ("view = \"counted\"\nwindows = 0", "panel.p.windows: 0 windows; write a number from 1 to 500"),
        ("view = \"counted\"\nhide = \"shop\"", "panel.p.hide: this is for a list of a stream's events"),
        (
            "stream = \"s\"\nlink = \"javascript:{shop}\"",
            "panel.p.link: write an address that begins with https://, with columns in braces, as in https://example.org/{id}",
        ),
        (
            "stream = \"s\"\nlink = \"https://x.org/{shp}\"",
            "panel.p.link: no column \"shp\"; did you mean `shop`? valid: shop, n, event_offset, event_time, received_time, data",
        ),
        ("stream = \"s\"\ncolour = \"red\"", "panel.p.colour: unknown key; "),
    ] {
        let said = said(&format!("{VIEWS}[panel.p]\n{panel}\n")).await;
        let (line, rest) = said.strip_prefix("p.toml:").and_then(|rest| rest.split_once(": ")).unwrap_or(("", ""));
        // Of a mistake whose column is known the line is shown below it.
        let line = line.split(':').next().unwrap_or(line);
        assert!(rest.starts_with(expected), "{panel}\n{said}");
        assert!(line.parse::<usize>().is_ok_and(|line| line >= 14), "{panel}\n{said}");
        assert!(rest.lines().skip(1).all(|shown| shown.starts_with("    ")), "one mistake: {panel}\n{said}");
    }
    for good in [
        "view = \"counted\"\nkind = \"ranks\"\nseries = \"shop\"\nlink = \"https://x.org/{shop}\"",
        "view = \"visits\"\ntitle = \"Visits\"\nwidth = \"two_thirds\"",
        "view = \"rows\"\ncolumns = [\"n\"]",
        "view = \"rows\"\nkind = \"none\"",
        "stream = \"rejects\"\nkind = \"events\"",
        "stream = \"s\"\nchange = [\"n\", \"n\"]\ncolumns = [\"data\"]",
    ] {
        assert_eq!(said(&format!("{VIEWS}[panel.p]\n{good}\n")).await, "", "{good}");
    }
}

#[tokio::test]
async fn a_push_token_has_one_secret_of_its_own_and_streams_that_are_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("secret");
    std::fs::write(&file, " 0123456789abcdef\n").expect("written");
    let file = file.to_str().expect("UTF-8");
    let token = |keys: &str| format!("{STREAM}[push_token.p]\n{keys}\n");
    for (keys, expected) in [
        ("streams = [\"s\"]", "p.toml:2: push_token.p: write one of `secret`"),
        ("secret = \"short\"\nstreams = [\"s\"]", "p.toml:3: push_token.p.secret: a token has at least 16 characters"),
        ("file = \"/none/such\"\nstreams = [\"s\"]", "p.toml:3: push_token.p.file: reading /none/such: "),
        ("secret = \"0123456789abcdef\"\nstreams = []", "p.toml:4: push_token.p.streams: name at least one stream"),
        (
            "secret = \"0123456789abcdef\"\nstreams = [\"t\"]",
            "p.toml:4: push_token.p.streams: there is no stream \"t\"; valid: s",
        ),
        ("secret = \"0123456789abcdef\"", "p.toml:2: push_token.p.streams: this key is missing"),
        (
            "secret = \"0123456789abcdef\"\nstreams = [\"s\"]\nscope = 1",
            "p.toml:5: push_token.p.scope: unknown key; valid: secret, file, streams",
        ),
    ] {
        let said = said(&token(keys)).await;
        assert!(said.starts_with(expected), "{keys}\n{said}");
    }
    let good = token(&format!("file = {file:?}\nstreams = [\"s\"]"));
    assert_eq!(said(&good).await, "");
    let twice = format!("token = \"0123456789abcdef\"\n{good}");
    assert!(said(&twice).await.contains("push_token.p: another token has the same secret"));
}

#[tokio::test]
async fn what_is_wrong_with_a_json_schema_is_told_with_the_key_and_the_place_in_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("schema.json");
    let text = format!("{STREAM}json_schema = {:?}\n", file.to_str().expect("UTF-8"));
    assert!(said(&text).await.starts_with("p.toml:2: stream.s.json_schema: reading "));
    for (schema, expected) in [
        ("type: object", "schema.json: the schema is not JSON"),
        (r#"{"properties": {"a": {"type": "thing"}}}"#, "schema.json: the schema, at /properties/a: `type` is"),
    ] {
        std::fs::write(&file, schema).expect("written");
        let said = said(&text).await;
        assert!(said.starts_with("p.toml:2: stream.s.json_schema: ") && said.contains(expected), "{said}");
    }
    std::fs::write(&file, r#"{"type": "object"}"#).expect("written");
    assert_eq!(said(&text).await, "");
}

#[tokio::test]
async fn panels_stand_in_the_order_of_the_file_and_every_view_of_the_default_pipeline_has_one() {
    let text = format!("{VIEWS}[panel.z]\nview = \"rows\"\n[panel.a]\nview = \"rows\"\n");
    let pipeline = read("p.toml", &text, KINDS, &environment, Overrides::default()).await.expect("good");
    let names: Vec<_> = pipeline.dashboard.panels.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["z", "a"]);
    for view in DEFAULT.lines().filter_map(|line| line.strip_prefix("[view.")?.split_once(']')) {
        assert!(DEFAULT.contains(&format!("\nview = \"{}\"", view.0)), "{}", view.0);
    }
}

#[tokio::test]
async fn each_broken_file_is_told_where_and_what_would_be_valid() {
    let cases: &[(&[&str], &str)] = &[
        (&["[stream.s\n"], "p.toml:1: not TOML: unclosed table, expected `]`"),
        (
            &[STREAM, "[stream.s]\n"],
            "p.toml:2: stream.s: this stands twice in the file, first in line 1; keep one, or give one another name",
        ),
        (
            &[STREAM, "[verify]\nevery = \"often\"\n"],
            "p.toml:3: verify.every: \"often\" is neither \"off\" nor a time of at least a second, as in \"1h\"",
        ),
        (&["data = \"./d\"\n"], "p.toml: there is no stream; add one, as in [stream.events]"),
        (
            &["[straem.s]\n"],
            "p.toml: there is no stream; add one, as in [stream.events]\np.toml:1: straem: unknown key; did you mean `stream`? valid: data, listen, listen_anyone, token, push_token, store, verify, stream, source, view, sink, panel",
        ),
        (
            &["dta = \"./d\"\n", STREAM],
            "p.toml:1: dta: unknown key; did you mean `data`? valid: data, listen, listen_anyone, token, push_token, store, verify, stream, source, view, sink, panel",
        ),
        (&["data = 5\n", STREAM], "p.toml:1: data: this is a whole number, 5; write a text in quotes"),
        (&["stream = \"s\"\n"], "p.toml:1: stream: write a table, [stream.NAME], not a text"),
        (
            &["[stream.\"My Stream\"]\n"],
            "p.toml:1: stream.My Stream: \"My Stream\" is not a name: use a lower-case letter, then lower-case letters, digits and underscores, at most 63 bytes",
        ),
        (
            &["[stream.rejects]\n"],
            "p.toml:1: stream.rejects: this stream is built in: Lakehead fills it itself; choose another name",
        ),
        (
            &[STREAM, "shema = \"json\"\n"],
            "p.toml:2: stream.s.shema: unknown key; did you mean `schema`? valid: schema, columns, event_time, retention, \
             retention_bytes, json_schema",
        ),
        (
            &[STREAM, "schema = \"jsn\"\n"],
            "p.toml:2: stream.s.schema: no built-in schema \"jsn\"; did you mean `json`? valid: json, mediawiki/history, mediawiki/recentchange",
        ),
        (
            &[STREAM, "columns = { a = { path = \"a\", type = \"int\" } }\n"],
            "p.toml:2: stream.s.columns.a.type: \"int\" is unknown; valid: text, int64, float64, bool, timestamp, json",
        ),
        (
            &[STREAM, "[stream.s.columns]\nok = \"ok\"\ndata = \"d\"\n"],
            "p.toml:4: stream.s.columns.data: every stream has a column of this name already; choose another",
        ),
        (
            &[STREAM, "columns = { a = \"b..c\" }\n"],
            "p.toml:2: stream.s.columns.a: a path names at least one key, and none of its keys is empty",
        ),
        (
            &[STREAM, "columns = { a = 7 }\n"],
            "p.toml:2: stream.s.columns.a: a path is text as in \"length.new\", or its keys as in [\"length\", \"new\"]",
        ),
        (
            &[STREAM, "columns = { a = { path = \"a\", type = \"text\", equals = \"x\" } }\n"],
            "p.toml:2: stream.s.columns.a.type: with `equals` the column is true or false: bool",
        ),
        (
            &[STREAM, "event_time = [\"dt\", { path = \"ts\", format = \"seconds\" }]\n"],
            "p.toml:2: stream.s.event_time.1.format: \"seconds\" is unknown; valid: rfc3339, unix, unix_s, unix_seconds, unix_millis, unix_ms, unix_micros, unix_us, unix_nanos, unix_ns, iso, iso8601, http, http_date, rfc2822, auto",
        ),
        (
            &[STREAM, "event_time = true\n"],
            "p.toml:2: stream.s.event_time: write a path as in \"meta.dt\", or { path = \"ts\", format = \"unix_ms\" }, or an array of these, of which the first that is there wins",
        ),
        (
            &[STREAM, "[source.a]\nkind = \"tick\"\nstream = \"s\"\n"],
            "p.toml:3: source.a.kind: no kind \"tick\"; did you mean `ticks`? valid: ticks",
        ),
        (&[STREAM, "[source.a]\nstream = \"s\"\n"], "p.toml:2: source.a.kind: this key is missing"),
        (
            &[STREAM, "[source.a]\nkind = \"ticks\"\nstream = \"t\"\nurl = \"http://x/\"\n"],
            "p.toml:4: source.a.stream: no stream \"t\" in this file; valid: s",
        ),
        (
            &[STREAM, SOURCE, "limt = 3\n"],
            "p.toml:6: source.a.limt: unknown key; did you mean `limit`? valid: url, limit, kind, stream, streams",
        ),
        (
            &[STREAM, SOURCE, "limit = \"3\"\n"],
            "p.toml:6: source.a.limit: this is a text, \"3\"; write a whole number from 0 on",
        ),
        (&[STREAM, "[source.a]\nkind = \"ticks\"\nstream = \"s\"\n"], "p.toml:2: source.a.url: this key is missing"),
        (&[STREAM, SOURCE, "streams = [\"s\"]\n"], "p.toml:6: source.a.streams: write stream or streams, not both"),
        (
            &[STREAM, "[source.a]\nkind = \"ticks\"\nurl = \"http://x/\"\nstreams = [\"s\",\n\"t\",\n\"s\"]\n"],
            "p.toml:6: source.a.streams.1: no stream \"t\" in this file; valid: s\n\
             p.toml:7: source.a.streams.2: the stream \"s\" stands here twice",
        ),
        (
            &[STREAM, "[source.a]\nkind = \"ticks\"\nurl = \"http://x/\"\nstreams = []\n"],
            "p.toml:5: source.a.streams: expected 1 to 100 names of streams, found 0",
        ),
        (
            &[STREAM, "[source.a]\nkind = \"ticks\"\nstream = \"s\"\nurl = \"ftp://x/${SECRET}\"\n"],
            "p.toml:5: source.a.url: `url` is \"ftp://x/${SECRET}\": write one that begins with http",
        ),
        (
            &[STREAM, "[source.a]\nkind = \"ticks\"\nstream = \"s\"\nurl = \"http://x/${UNSET}\"\n"],
            "p.toml:5: source.a.url: the environment variable UNSET is not set; set it, or write the value here",
        ),
        (
            &[STREAM, "[source.push]\nkind = \"ticks\"\nstream = \"s\"\nurl = \"http://x/\"\n"],
            "p.toml:2: source.push: this name stands for what is pushed; choose another",
        ),
        (
            &[STREAM, "[view.v]\nsql = \"SELECT cuont(*) FROM s GROUP BY tumble(event_time, INTERVAL '1 minute')\"\n"],
            "p.toml:3: view.v.sql: there is no function \"cuont\"; did you mean `count`?",
        ),
        (
            &[STREAM, "[source.a]\nkind = \"queue\"\nstream = \"s\"\n"],
            "p.toml:3: source.a.kind: kind `queue` is not in this build: build with `--features queue` (or `full`)",
        ),
        (
            &[STREAM, SINK, "[sink.b]\nkind = \"kafka\"\nfrom = \"s\"\n"],
            "p.toml:7: sink.b.kind: kind `kafka` is not in this build: build with `--features kafka` (or `full`)",
        ),
        (
            &[STREAM, "[sink.b]\nkind = \"pip\"\nfrom = \"t\"\n"],
            "p.toml:3: sink.b.kind: no kind \"pip\"; did you mean `pipe`? valid: pipe, table\n\
             p.toml:4: sink.b.from: no stream or view \"t\" in this file; valid: s, rejects, gaps",
        ),
        (
            &[STREAM, "[sink.b]\n"],
            "p.toml:2: sink.b.from: this key is missing\np.toml:2: sink.b.kind: this key is missing",
        ),
        (
            &[STREAM, SINK, "lans = 3\npth = \"x\"\nheaders = { nam = \"x\" }\n"],
            "p.toml:6: sink.a.lans: unknown key; did you mean `lanes`? valid: path, headers, kind, from, start, lanes, keep, commit_every, memory\n\
             p.toml:7: sink.a.pth: unknown key; did you mean `path`? valid: path, headers, kind, from, start, lanes, keep, commit_every, memory\n\
             p.toml:8: sink.a.headers.nam: unknown key; did you mean `name`? valid: name",
        ),
        (
            &[STREAM, SINK, "lanes = 0\nkeep = \"for ever\"\ncommit_every = \"1h\"\nmemory = \"1 KiB\"\n"],
            "p.toml:6: sink.a.lanes: 0 is out of range; write a whole number from 1 to 64\n\
             p.toml:7: sink.a.keep: \"for ever\" is neither \"always\" nor a span of time, as in \"7d\"\n\
             p.toml:8: sink.a.commit_every: 1h is out of range; write a span of more than 0 and at most 10m\n\
             p.toml:9: sink.a.memory: 1 KiB is too little; write at least 8 MiB, which holds two of the largest rows",
        ),
        (
            &[STREAM, SINK, "start = \"then\"\nlanes = \"2\"\n"],
            "p.toml:6: sink.a.start: \"then\" is unknown; valid: beginning, now",
        ),
        (
            &[STREAM, "[sink.b]\nkind = \"pipe\"\nfrom = \"s\"\npath = \"${UNSET}\"\n"],
            "p.toml:5: sink.b.path: the environment variable UNSET is not set; set it, or write the value here",
        ),
        (
            &[STREAM, "[sink.b]\nkind = \"table\"\nfrom = \"s\"\npath = \"x\"\n"],
            "p.toml:4: sink.b.from: `table` replaces and deletes rows by their key, and events of a stream have none; deliver a view that groups them, or take a kind that appends",
        ),
        (
            &[STREAM, UNKEYED, "[sink.b]\nkind = \"table\"\nfrom = \"v\"\npath = \"x\"\n"],
            "p.toml:6: sink.b.from: `table` replaces and deletes rows by their key, and the view v does not show every column that it groups by; select each of them, its window's start too, or take a kind that appends",
        ),
        (&[STREAM, "[view.v]\nwatermark_delay = \"60s\"\n"], "p.toml:2: view.v.sql: this key is missing"),
        (
            &[STREAM, "[view.v]\n", VIEW, "watermark_delay = \"1 minute\"\n"],
            "p.toml:4: view.v.watermark_delay: \"1 minute\" is not a span of time: write a whole number and a unit (ms, s, m, h, d), as in \"30s\"",
        ),
        (
            &[STREAM, "[view.v]\n", VIEW, "late = \"keep\"\n"],
            "p.toml:4: view.v.late: \"keep\" is unknown; valid: correct, drop",
        ),
        (
            &[STREAM, "[view.s]\n", VIEW],
            "p.toml:2: view.s: a stream has this name; both are tables in SQL, so choose another",
        ),
        (
            &["listen = \"localhost:8080\"\n", STREAM],
            "p.toml:1: listen: \"localhost:8080\" is not an address: write IP and port, as in \"127.0.0.1:8080\"",
        ),
        (
            &["listen = \"0.0.0.0:8080\"\n", STREAM],
            "p.toml:1: listen: 0.0.0.0:8080 can be reached from other machines: set a token, as in token = \"${LAKEHEAD_TOKEN}\", or write listen_anyone = true (--listen-anyone) if everyone who reaches it may read and push",
        ),
        (&["token = \"short\"\n", STREAM], "p.toml:1: token: a token has at least 16 characters"),
        (
            &[STREAM, "[store]\nblock_bytes = \"1 megabyte\"\n"],
            "p.toml:3: store.block_bytes: \"1 megabyte\" is not a size: write a whole number and a unit, as in \"64 MiB\"",
        ),
        (&[STREAM, "[store]\nlevel = 40\n"], "p.toml:3: store.level: level is 40: choose a zstd level from 1 to 19"),
        (
            &[STREAM, "[store]\nsyncs = \"off\"\n"],
            "p.toml:3: store.syncs: unknown key; did you mean `sync`? valid: block_bytes, block_age_max, block_age_hurried, segment_bytes, tail_bytes, queue_bytes, sync, level, reserve_bytes, seal",
        ),
    ];
    let mut wrong = Vec::new();
    for (parts, expected) in cases {
        let text = parts.concat();
        let said = said(&text).await;
        if plain(&said) != plain(expected) {
            wrong.push(format!("{text}\n says: {said}\n expected: {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is said, without the marked lines below it and the columns in its places.
fn plain(said: &str) -> Vec<String> {
    let told = said.lines().filter(|line| !line.starts_with("    "));
    let without_column = |line: &str| match line.splitn(4, ':').collect::<Vec<_>>()[..] {
        [file, line, column, rest] if column.parse::<u32>().is_ok() => format!("{file}:{line}:{rest}"),
        _ => line.to_owned(),
    };
    told.map(without_column).collect()
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
        "[sink.b]\nkind = \"table\"\nfrom = \"v\"\npath = \"${SECRET}\"\nlanes = 4\nkeep = \"always\"\n",
        "[sink.c]\nkind = \"pipe\"\nfrom = \"rejects\"\npath = \"x\"\nkeep = \"0s\"\nstart = \"now\"\n",
        "commit_every = \"5s\"\nmemory = \"64 MiB\"\n",
    ];
    let pipeline = read("p.toml", &text.concat(), KINDS, &environment, Overrides::default()).await.expect("good");
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
    let (b, c) = (&pipeline.sinks["b"], &pipeline.sinks["c"]);
    assert_eq!(
        (b.kind.as_str(), b.from.as_str(), b.lanes, b.keep, b.start),
        ("table", "v", 4, Keep::Always, Start::Beginning)
    );
    assert_eq!(b.settings, serde_json::json!({ "path": "hunter2-hunter2-hunter2" }));
    assert_eq!((c.from.as_str(), c.keep, c.start), ("rejects", Keep::For(Duration::ZERO), Start::Now));
    assert_eq!((c.commit_every, c.memory), (Duration::from_secs(5), ByteSize(64 << 20)));
}

#[tokio::test]
async fn the_default_pipeline_and_the_examples_are_good() {
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples")).expect("the examples");
    let paths = folder.map(|entry| entry.expect("an entry").path());
    let examples = paths.filter(|path| path.extension().is_some_and(|ending| ending == "toml"));
    let texts = examples.map(|path| (path.display().to_string(), std::fs::read_to_string(path).expect("a text")));
    let all: Vec<_> = texts.chain([(super::DEFAULT_NAME.to_owned(), DEFAULT.to_owned())]).collect();
    assert!(all.len() > 2);
    for (name, text) in all {
        // Whatever an example takes from the environment is there.
        let environment = |_: &str| Some("a-secret-of-the-environment".to_owned());
        let read = read(&name, &text, Kinds::BUILT, &environment, Overrides::default()).await;
        read.unwrap_or_else(|problems| panic!("{problems}"));
    }
}

#[tokio::test]
async fn the_example_of_every_kind_is_a_pipeline_with_a_stream_of_its_name() {
    let sources = Kinds::BUILT.sources.iter().map(|spec| (spec.name, spec.example, "stream"));
    let sinks = Kinds::BUILT.sinks.iter().map(|spec| (spec.name, spec.example, "from"));
    for (kind, example, feeds) in sources.chain(sinks) {
        let table: toml::Table = example.parse().unwrap_or_else(|error| panic!("{kind}: {error}"));
        let named = table.values().filter_map(|ends| ends.as_table()?.values().next()?.get(feeds)?.as_str()).next();
        let stream = named.unwrap_or_else(|| panic!("the example of {kind} names no {feeds}"));
        // A keyed kind delivers a view, whose columns it may name; its own tests see to that.
        if Kinds::BUILT.sink(kind).is_ok_and(|spec| spec.takes == Takes::Keyed) {
            continue;
        }
        let text = format!("[stream.{stream}]\n{example}");
        let environment = |_: &str| Some("a-secret-of-the-environment".to_owned());
        let read = read(kind, &text, Kinds::BUILT, &environment, Overrides::default()).await;
        read.unwrap_or_else(|problems| panic!("{problems}\n{text}"));
    }
}

#[tokio::test]
async fn what_the_command_line_says_goes_before_the_file() {
    let overrides =
        Overrides { data: Some("./other".into()), listen: Some(([0, 0, 0, 0], 80).into()), listen_anyone: false };
    let text = ["listen = \"127.0.0.1:8080\"\n", STREAM].concat();
    let problems = read("p.toml", &text, KINDS, &environment, overrides.clone()).await.expect_err("open to all");
    assert!(problems.to_string().starts_with("p.toml: --listen: 0.0.0.0:80 can be reached"), "{problems}");
    let text = ["listen_anyone = true\n", STREAM].concat();
    let pipeline = read("p.toml", &text, KINDS, &environment, overrides).await.expect("said out loud");
    assert_eq!(pipeline.data.to_str(), Some("./other"));
}

#[tokio::test]
async fn the_settings_page_is_a_pipeline_and_its_values_are_the_defaults() {
    let page = include_str!("../../docs/store.md");
    let block = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block of TOML");
    let pipeline =
        read("docs/store.md", block, Kinds::BUILT, &|_| None, Overrides::default()).await.expect("it is right");
    assert_eq!(pipeline.store, lakehead_store::Options::default());
    let retention = pipeline.streams.values().next().expect("a stream").retention;
    assert_eq!(retention.age, Some(Duration::from_secs(90 * 24 * 3600)));
    assert_eq!(retention.size.map(|size| size.0), Some(500 << 30));
}

#[test]
fn what_is_in_the_way_of_a_reload_is_told_with_its_line_and_never_shows_a_secret() {
    let text = "listen = \"127.0.0.1:9\"\ntoken = \"${SECRET}\"\n[stream.s]\n[store.seal]\nlevel = 3\n";
    let found =
        [("store.seal.level", "is 3"), ("token", "is hunter2-hunter2-hunter2"), ("listen", "moved"), ("data", "moved")];
    let found = found.map(|(key, what)| (key.to_owned(), what.to_owned()));
    let expected = "p.toml: data: moved\np.toml:1: listen: moved\np.toml:2: token: is ${SECRET}\n\
                    p.toml:5: store.seal.level: is 3";
    assert_eq!(in_the_way("p.toml", text, &environment, found).to_string(), expected);
}
