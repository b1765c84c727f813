//! A look at sources that do what their settings say, at views over them, and at sinks: what is told, and that nothing stays.

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use lakehead_connector_api::{
    Acknowledge, Answer, Batch, Chunk, ConnectorKind, Delivery, Error as ConnectorError, Opened, Peeked, Probed,
    Reader, Resume, Sink, SinkContext, SinkKind, SinkSpec, SourceKind, SourceSpec, StreamIndex, Takes,
};
use lakehead_model::{Column, ColumnType, Cursor, EventBatch, Reject, StreamSchema};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::{
    pipeline::{SinkConfig, SourceConfig, StreamConfig, ViewConfig},
    tests::{SOON, Ticking, name, pipeline},
};

#[derive(Deserialize, JsonSchema)]
struct LinesConfig {
    events: Vec<serde_json::Value>,
    #[serde(default)]
    refused: u64,
    then: Then,
}

/// What follows on the events.
#[derive(Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Then {
    End,
    Wait,
    Lost,
    Panic,
    /// It is never opened.
    Silent,
    Unseen,
}

struct FixedLines {
    config: LinesConfig,
    brought: bool,
}

impl ConnectorKind for FixedLines {
    const NAME: &'static str = "lines";
    const MANUAL: &'static str = "For tests.";
    const EXAMPLE: &'static str = "";
    type Config = LinesConfig;
}

impl SourceKind for FixedLines {
    async fn open(config: LinesConfig, _: Resume) -> Result<Opened, ConnectorError> {
        if config.then == Then::Silent {
            std::future::pending::<()>().await;
        }
        let reader = Box::new(Self { config, brought: false });
        Ok(Opened { reader, acks: Some(Box::new(NoAcks)) })
    }

    async fn peek(config: LinesConfig, resume: Resume) -> Result<Peeked, ConnectorError> {
        match config.then {
            Then::Unseen => Ok(Peeked::Unseen("a look would take its events".to_owned())),
            _ => Ok(Peeked::Opened(Self::open(config, resume).await?)),
        }
    }
}

/// Nothing may be acknowledged.
struct NoAcks;

#[async_trait]
impl Acknowledge for NoAcks {
    async fn acknowledge(&mut self, _: StreamIndex, cursor: &Cursor) -> Result<(), ConnectorError> {
        panic!("{cursor:?} was acknowledged")
    }
}

#[async_trait]
impl Reader for FixedLines {
    async fn next(&mut self) -> Result<Option<Chunk>, ConnectorError> {
        if !std::mem::replace(&mut self.brought, true) && self.config.events.len() as u64 + self.config.refused > 0 {
            let mut events = EventBatch::default();
            self.config.events.iter().for_each(|event| events.push(event.to_string().as_bytes(), None));
            let reject = Reject { reason: "no JSON".into(), position: "line 1".into(), payload: "{".into() };
            let rejects = vec![reject; usize::from(self.config.refused > 0)];
            let refused_more = self.config.refused.saturating_sub(1);
            return Ok(Some(Chunk { events, rejects, refused_more, ..Chunk::default() }));
        }
        match self.config.then {
            Then::Wait | Then::Silent | Then::Unseen => std::future::pending().await,
            Then::End => Ok(None),
            Then::Lost => Err(ConnectorError::unavailable("the line was cut")),
            Then::Panic => panic!("the settings say so"),
        }
    }
}

#[derive(Deserialize, JsonSchema)]
struct TargetConfig {
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    silent: bool,
}

/// A sink that can be probed, and must not be opened.
struct Probeable;

impl ConnectorKind for Probeable {
    const NAME: &'static str = "probeable";
    const MANUAL: &'static str = "For tests.";
    const EXAMPLE: &'static str = "";
    type Config = TargetConfig;
}

impl SinkKind for Probeable {
    const DELIVERY: Delivery = Delivery::AtLeastOnce;
    const TAKES: Takes = Takes::Appends;

    async fn open(_: TargetConfig, _: SinkContext) -> Result<Box<dyn Sink>, ConnectorError> {
        panic!("it was opened")
    }

    async fn probe(config: TargetConfig, context: SinkContext) -> Result<Probed, ConnectorError> {
        if config.silent {
            std::future::pending::<()>().await;
        }
        match config.error {
            Some(error) => Err(ConnectorError::Invalid(error)),
            None => Ok(Probed::found(format!("{} is there", context.name)).but("whether it takes rows")),
        }
    }
}

/// A sink without a probe.
struct Unprobeable;

impl ConnectorKind for Unprobeable {
    const NAME: &'static str = "unprobeable";
    const MANUAL: &'static str = "For tests.";
    const EXAMPLE: &'static str = "";
    type Config = TargetConfig;
}

impl SinkKind for Unprobeable {
    const DELIVERY: Delivery = Delivery::AtLeastOnce;
    const TAKES: Takes = Takes::Appends;

    async fn open(_: TargetConfig, _: SinkContext) -> Result<Box<dyn Sink>, ConnectorError> {
        Ok(Box::new(Self))
    }
}

#[async_trait]
impl Sink for Unprobeable {
    async fn write(&mut self, batch: &Batch) -> Result<Vec<Answer>, ConnectorError> {
        panic!("{} rows were written", batch.len())
    }
}

/// A pipeline with the streams `s` and `t`.
fn world(data: &Path) -> Pipeline {
    let column =
        |name: &str, column_type| Column { name: name.into(), path: vec![name.into()], column_type, equals: None };
    let columns = vec![column("user", ColumnType::Text), column("n", ColumnType::Int64)];
    let schema = StreamSchema { columns, ..StreamSchema::builtin("json").expect("built in") };
    let stream = || StreamConfig { schema: schema.clone(), ..StreamConfig::default() };
    let streams = [(name("s"), stream()), (name("t"), stream())].into();
    Pipeline { streams, ..pipeline(data, &[]) }
}

fn source(pipeline: &mut Pipeline, called: &str, stream: &str, settings: serde_json::Value) {
    let config = SourceConfig { kind: "lines".to_owned(), streams: vec![name(stream)], settings };
    pipeline.sources.insert(name(called), config);
}

async fn looked(pipeline: Pipeline, limits: PreviewLimits) -> Preview {
    const SOURCES: &[SourceSpec] = &[SourceSpec::of::<FixedLines>()];
    const SINKS: &[SinkSpec] = &[SinkSpec::of::<Probeable>(), SinkSpec::of::<Unprobeable>()];
    let parts = Parts {
        clock: Arc::new(Ticking(1_790_000_000_000_000.into())),
        sources: SOURCES,
        sinks: SINKS,
        version: "test",
    };
    tokio::time::timeout(SOON, preview(pipeline, &parts, limits)).await.expect("in time").expect("a good pipeline")
}

fn soon() -> PreviewLimits {
    PreviewLimits { wait: Duration::from_millis(300), ..PreviewLimits::default() }
}

fn events(users: &[&str]) -> serde_json::Value {
    let event = |(at, user): (usize, &&str)| json!({"user": user, "n": at, "dt": format!("2026-11-28T11:30:{at:02}Z")});
    users.iter().enumerate().map(event).collect()
}

const BY_USER: &str =
    "SELECT tumble(event_time, INTERVAL '1 minute') AS minute, \"user\", count(*) AS n FROM s GROUP BY 1, 2";

#[tokio::test]
async fn events_go_through_every_stage_and_nothing_is_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut pipeline = world(&folder.path().join("data"));
    let users = ["a", "b", "a", "c", "a", "b", "a", "b", "a", "b", "z", "z"];
    source(&mut pipeline, "one", "s", json!({"events": events(&users), "refused": 2, "then": "wait"}));
    pipeline.views.insert(name("by_user"), ViewConfig::new(BY_USER));
    pipeline.views.insert(name("few"), ViewConfig::new("SELECT \"user\", n FROM s WHERE n > 7"));
    let over = "SELECT tumble(minute, INTERVAL '1 hour') AS hour, sum(n) AS n FROM by_user GROUP BY 1";
    pipeline.views.insert(name("by_hour"), ViewConfig::new(over));
    let found = looked(pipeline, PreviewLimits::default()).await;
    let one = &found.sources[&name("one")];
    assert_eq!((one.state, one.events, one.passed_over, one.rejects), (SourceLook::Read, 10, 2, 2));
    assert_eq!(
        one.rejected,
        [RejectPreview { reason: "no JSON".into(), position: "line 1".into(), payload: "{".into() }]
    );
    let stream = &found.streams[&name("s")];
    assert_eq!((stream.events, stream.event_time.found, stream.columns[0].found), (10, 10, 10));
    assert_eq!(stream.rate, Some(SampleRate { per_second: 1.0, by: RateBy::EventTimes }));
    assert!(found.streams[&name("t")].notes[0].contains("no source feeds it"));
    let view = &found.views[&name("by_user")];
    assert_eq!((view.in_view, view.rows, view.groups), (10, 3, Some(3)), "{view:?}");
    let hourly = view.hourly.expect("an estimate");
    assert_eq!((hourly.rows_least, hourly.rows_most, hourly.events), (180, 1_080, 10));
    assert!(hourly.bytes_least.is_some_and(|bytes| bytes > 0) && hourly.bytes_most > hourly.bytes_least, "{hourly:?}");
    let few = &found.views[&name("few")];
    assert_eq!((few.in_view, few.filtered, few.rows, few.groups), (2, 8, 2, None), "{few:?}");
    assert_eq!(few.hourly.map(|hourly| (hourly.rows_least, hourly.bytes_most)), Some((720, None)));
    let hour = &found.views[&name("by_hour")];
    assert_eq!((hour.rows, &hour.shown[0]["n"]), (1, &json!(10)), "{hour:?}");
    assert_eq!(found.failures(), Vec::<String>::new());
    assert!(!folder.path().join("data").exists(), "nothing was made");
    assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 0);
}

#[tokio::test]
async fn each_source_is_told_by_itself_and_none_holds_up_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut pipeline = world(&folder.path().join("data"));
    for (called, settings) in [
        ("ended", json!({"events": [], "then": "end"})),
        ("lost", json!({"events": events(&["a"]), "then": "lost"})),
        ("panics", json!({"events": [], "then": "panic"})),
        ("quiet", json!({"events": [], "then": "wait"})),
        ("refused", json!({"events": [], "refused": 3, "then": "end"})),
        ("silent", json!({"events": [], "then": "silent"})),
        ("unseen", json!({"events": [], "then": "unseen"})),
    ] {
        source(&mut pipeline, called, "s", settings);
    }
    let found = looked(pipeline, soon()).await;
    let state = |called: &str| found.sources[&name(called)].state;
    let states = ["ended", "lost", "panics", "quiet", "refused", "silent", "unseen"].map(state);
    use SourceLook::{Ended, Failed, Quiet, Read, Unseen};
    assert_eq!(states, [Ended, Failed, Failed, Quiet, Read, Failed, Unseen]);
    let failures = found.failures();
    for says in [
        "source lost: the line was cut (`run` would try again)",
        "source panics: stopped by a defect: the settings say so",
        "source refused: nothing that came is an event: no JSON",
        "source silent: it was not opened within 300ms",
    ] {
        assert!(failures.iter().any(|failure| failure.starts_with(says)), "{says:?} is not in {failures:?}");
    }
    assert_eq!(failures.len(), 4, "{failures:?}");
    assert_eq!(found.sources[&name("lost")].events, 1, "what came before the end is looked at");
    let notes = |called: &str| found.sources[&name(called)].notes.join("; ");
    assert!(notes("quiet").contains("nothing came within 300ms"), "{}", notes("quiet"));
    assert!(notes("unseen").contains("a look would take its events"));
    assert_eq!(found.unseen().map(Name::as_str).collect::<Vec<_>>(), ["quiet", "unseen"]);
}

#[tokio::test]
async fn a_view_that_would_stay_empty_or_leave_everything_out_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut pipeline = world(&folder.path().join("data"));
    source(&mut pipeline, "one", "s", json!({"events": [{"user": "a", "n": 0}, {"user": 7, "n": 0}], "then": "end"}));
    pipeline.views.insert(name("by_user"), ViewConfig::new(BY_USER));
    let divides = "SELECT tumble(received_time, INTERVAL '1 minute') AS m, sum(1 / n) AS x FROM s GROUP BY 1";
    pipeline.views.insert(name("divides"), ViewConfig::new(divides));
    pipeline.views.insert(name("none"), ViewConfig::new("SELECT \"user\" FROM s WHERE n = 5"));
    let found = looked(pipeline, PreviewLimits::default()).await;
    let failures = found.failures().join("\n");
    assert!(failures.contains("view by_user: it reads the event time, which no event of the sample has"), "{failures}");
    assert!(failures.contains("view divides: its SQL fails on 2 of 2 events"), "{failures}");
    assert_eq!(found.failures().len(), 2, "{failures}");
    assert!(found.views[&name("none")].notes[0].contains("leave out every event"));
    let notes = found.streams[&name("s")].notes.join("\n");
    assert!(notes.contains("2 of 2 events have no event time: there is no \"dt\""), "{notes}");
    assert!(notes.contains("column user: 1 of 2 events have another type than text at user, as in 7"), "{notes}");
}

#[tokio::test]
async fn sinks_are_probed_and_not_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut pipeline = world(&folder.path().join("data"));
    for (called, kind, settings) in [
        ("away", "probeable", json!({"silent": true})),
        ("good", "probeable", json!({})),
        ("locked", "probeable", json!({"error": "who are you"})),
        ("mute", "unprobeable", json!({})),
    ] {
        pipeline.sinks.insert(name(called), SinkConfig::new(kind, name("s"), settings));
    }
    let found = looked(pipeline, soon()).await;
    assert_eq!(found.sinks[&name("good")].found, ["good is there"]);
    assert_eq!(found.sinks[&name("good")].unknown, ["whether it takes rows"]);
    assert!(found.sinks[&name("mute")].unknown[0].contains("nothing was asked"));
    let failures = found.failures();
    assert_eq!(failures[1..], ["sink locked: who are you"]);
    assert!(failures[0].contains("sink away: its target did not answer within 300ms"), "{failures:?}");
}
