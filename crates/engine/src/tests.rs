//! The engine with a real store and sources that do what a script says.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use lakehead_connector_api::{
    Activity, Chunk, ConnectorKind, Discontinuity, Error as SourceError, Gap, Opened, Reader, Resume, SourceKind,
    SourceSpec,
};
use lakehead_model::{Clock, Cursor, Kind, Name, Offset, Reject, StreamSchema, Timestamp};
use lakehead_store::Stream;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    Engine, Error, EventsPush, Parts, Pipeline,
    pipeline::{SourceConfig, StreamConfig},
    status::SourceState,
};

/// Longer than anything here takes, on a machine that is busy with other things.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A clock that goes on a millisecond whenever it is asked.
#[derive(Debug)]
pub(crate) struct Ticking(pub(crate) AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.fetch_add(1_000, Ordering::Relaxed))
    }
}

/// One step of a scripted source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    /// An event `{"step": N}`.
    Event,
    /// The connection is lost, the first time it comes here.
    Lost,
    /// A reject, then the event of this step.
    Reject,
    /// A gap of three upstream offsets, then the event of this step.
    Gap,
    /// A person must change something.
    Wrong,
    /// A defect.
    Panic,
    /// Nothing more comes, for ever.
    Wait,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Script {
    steps: Vec<Step>,
}

struct Scripted {
    steps: Vec<Step>,
    at: usize,
    /// Where it was opened: a loss happens only to who did not begin there.
    opened_at: usize,
}

impl ConnectorKind for Scripted {
    const NAME: &'static str = "scripted";
    const MANUAL: &'static str = "For tests.";
    const EXAMPLE: &'static str = "";
    type Config = Script;
}

impl SourceKind for Scripted {
    async fn open(config: Script, mut resume: Resume) -> Result<Opened, SourceError> {
        let mut resume = resume.only_stream()?;
        let at = resume.cursor.map_or(0, |cursor| cursor.position.parse().expect("a number that this source wrote"));
        let (mut seen, mut next, end) = (0, Offset(0), resume.tail.end());
        while next < end {
            let read = resume.tail.read(next, end).await?;
            assert!(read.events.iter().zip(seen..).all(|((offset, _), n)| offset.0 == n), "in order");
            (seen, next) = (seen + read.events.len() as u64, read.next);
        }
        assert_eq!(seen, end.0, "the tail has every event");
        Ok(Opened::reader(Self { steps: config.steps, at, opened_at: at }))
    }
}

#[async_trait]
impl Reader for Scripted {
    async fn next(&mut self) -> Result<Option<Chunk>, SourceError> {
        let Some(step) = self.steps.get(self.at).copied() else { return Ok(None) };
        let mut chunk = Chunk { activity: Some(Activity::Live), ..Chunk::default() };
        match step {
            Step::Wait => std::future::pending().await,
            Step::Wrong => return Err(SourceError::Invalid("no such stream".into())),
            Step::Panic => panic!("the script says so"),
            Step::Lost if self.opened_at < self.at => return Err(SourceError::unavailable("cut")),
            Step::Reject => chunk.rejects.push(Reject {
                reason: "not JSON".into(),
                position: format!("step {}", self.at),
                payload: Bytes::from_static(b"{"),
            }),
            Step::Gap => chunk.discontinuities.push(Discontinuity::Missing(Gap {
                partition: "a/0".into(),
                from: 4,
                to: 7,
                after: None,
                before: None,
                reason: "asked for twice".into(),
            })),
            Step::Event | Step::Lost => {}
        }
        chunk.events.push(format!("{{\"step\":{},\"dt\":\"2026-01-01T00:00:00Z\"}}", self.at).as_bytes(), None);
        self.at += 1;
        chunk.cursor = Some(Cursor { position: self.at.to_string().into(), progress: None });
        Ok(Some(chunk))
    }
}

pub(crate) const SOURCES: &[SourceSpec] = &[SourceSpec::of::<Scripted>()];

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

async fn start(data: &Path, sources: &[(&str, &[Step])]) -> Engine {
    let clock = Arc::new(Ticking(AtomicI64::new(1_800_000_000_000_000)));
    Engine::start(pipeline(data, sources), Parts { clock, sources: SOURCES, sinks: &[], version: "test" })
        .await
        .expect("it starts")
}

/// One stream `s`, and these sources of it.
pub(crate) fn pipeline(data: &Path, sources: &[(&str, &[Step])]) -> Pipeline {
    let stream = StreamConfig { schema: StreamSchema::builtin("json").expect("built in"), ..StreamConfig::default() };
    let source = |steps: &[Step]| SourceConfig {
        kind: "scripted".into(),
        streams: vec![name("s")],
        settings: serde_json::json!({ "steps": steps.iter().map(|s| format!("{s:?}").to_lowercase()).collect::<Vec<_>>() }),
    };
    Pipeline {
        data: data.to_owned(),
        listen: ([127, 0, 0, 1], 0).into(),
        token: None,
        push_tokens: [].into(),
        streams: [(name("s"), stream)].into(),
        sources: sources.iter().map(|(text, steps)| (name(text), source(steps))).collect(),
        views: [].into(),
        store: lakehead_store::Options::default(),
        verify: crate::audit::AuditSettings::default(),
        sinks: [].into(),
        dashboard: crate::dashboard::Dashboard::default(),
    }
}

/// Every event of a stream, once `count` of them are committed.
async fn events(stream: &Stream, count: u64) -> Vec<serde_json::Value> {
    let mut end = stream.committed();
    tokio::time::timeout(SOON, end.wait_for(|end| end.0 >= count)).await.expect("in time").expect("it is open");
    let mut reader = stream.reader(Offset(0));
    let mut events = Vec::new();
    while let Some(block) = reader.next().expect("a good log") {
        events.extend(block.events().map(|event| serde_json::from_slice(event).expect("JSON")));
    }
    events
}

pub(crate) async fn steps(engine: &Engine, count: u64) -> Vec<u64> {
    let events = events(&engine.stream("s").expect("a stream"), count).await;
    events.iter().map(|event| event["step"].as_u64().expect("a step")).collect()
}

pub(crate) async fn until(engine: &Engine, source: &str, done: impl Fn(&SourceState) -> bool) {
    let mut watch = engine.watch_of(source).subscribe();
    let found = tokio::time::timeout(SOON, watch.wait_for(|status| done(&status.state))).await;
    found.unwrap_or_else(|_| panic!("{source} stays {:?}", engine.status().sources)).expect("it is watched");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_loses_and_doubles_nothing() {
    use Step::{Event, Lost};
    let dir = tempfile::tempdir().expect("a folder");
    let engine = start(dir.path(), &[("a", &[Event, Event, Event, Lost, Event, Lost, Event])]).await;
    assert_eq!(steps(&engine, 7).await, [0, 1, 2, 3, 4, 5, 6]);
    until(&engine, "a", |state| *state == SourceState::Ended).await;
    assert_eq!(engine.status().sources["a"].opened, 3);
    engine.shutdown().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_pipeline_goes_on_from_its_cursor() {
    use Step::{Event, Wait};
    let dir = tempfile::tempdir().expect("a folder");
    let engine = start(dir.path(), &[("a", &[Event, Event, Wait])]).await;
    assert_eq!(steps(&engine, 2).await, [0, 1]);
    engine.shutdown().await.expect("a clean end");
    drop(engine);
    let engine = start(dir.path(), &[("a", &[Event, Event, Event, Event])]).await;
    assert_eq!(steps(&engine, 4).await, [0, 1, 2, 3]);
    engine.shutdown().await.expect("a clean end");
    engine.shutdown().await.expect("a second call does nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_source_s_trouble_is_shown_and_does_not_touch_another() {
    use Step::{Event, Panic, Wait, Wrong};
    let dir = tempfile::tempdir().expect("a folder");
    let sources: [(&str, &[Step]); 3] = [("good", &[Event, Event, Wait]), ("wrong", &[Wrong]), ("defect", &[Panic])];
    let engine = start(dir.path(), &sources).await;
    until(&engine, "wrong", |state| matches!(state, SourceState::Failed { error, .. } if error == "no such stream"))
        .await;
    until(
        &engine,
        "defect",
        |state| matches!(state, SourceState::Failed { error, .. } if error.contains("the script says so")),
    )
    .await;
    assert_eq!(steps(&engine, 2).await, [0, 1]);
    assert_eq!(engine.status().sources["good"].state, SourceState::Live);
    engine.shutdown().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_and_gaps_are_on_disk_before_the_event_after_them() {
    let dir = tempfile::tempdir().expect("a folder");
    let engine = start(dir.path(), &[("a", &[Step::Reject, Step::Gap])]).await;
    assert_eq!(steps(&engine, 2).await, [0, 1]);
    let rejects = events(&engine.stream("rejects").expect("built in"), 1).await;
    assert_eq!((&rejects[0]["source"], &rejects[0]["position"]), (&"a".into(), &"step 0".into()));
    let gaps = events(&engine.stream("gaps").expect("built in"), 1).await;
    assert_eq!((&gaps[0]["stream"], &gaps[0]["missing"]), (&"s".into(), &3.into()));
    let status = &engine.status().sources["a"];
    assert_eq!((status.rejects, status.gaps), (1, 3));
    engine.shutdown().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_source_brings_and_does_not_conform_is_a_reject_and_the_cursor_passes_it() {
    use Step::{Event, Wait};
    let dir = tempfile::tempdir().expect("a folder");
    let held_to = |schema: &str, steps: &[Step]| {
        let mut pipeline = pipeline(dir.path(), &[("a", steps)]);
        let schema = lakehead_json_schema::JsonSchema::new(schema.as_bytes()).expect("a schema");
        pipeline.streams.get_mut("s").expect("the stream").json_schema = Some(Arc::new(schema));
        let clock = Arc::new(Ticking(AtomicI64::new(1_800_000_000_000_000)));
        Engine::start(pipeline, Parts { clock, sources: SOURCES, sinks: &[], version: "test" })
    };
    let even = r#"{"properties": {"step": {"multipleOf": 2}}}"#;
    let engine = held_to(even, &[Event, Event, Event, Wait]).await.expect("it starts");
    assert_eq!(steps(&engine, 2).await, [0, 2]);
    let rejects = events(&engine.stream("rejects").expect("built in"), 1).await;
    assert_eq!(rejects[0]["source"], "a");
    assert!(
        rejects[0]["reason"].as_str().is_some_and(|why| why.contains("/step: 1 is not a multiple of 2")),
        "{rejects:?}"
    );
    assert_eq!(engine.status().sources["a"].rejects, 1);
    engine.shutdown().await.expect("a clean end");
    drop(engine);
    // It goes on behind what was refused, by another schema.
    let engine = held_to(r#"{"required": ["step"]}"#, &[Event, Event, Event, Event]).await.expect("it starts");
    assert_eq!(steps(&engine, 3).await, [0, 2, 3]);
    assert_eq!(engine.stream("rejects").expect("built in").head().end, Offset(1));
    engine.shutdown().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_for_several_streams_are_kept_each_in_its_own_and_again_with_their_key_only_where_they_were_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let with = |more: &[&str]| {
        let mut pipeline = pipeline(dir.path(), &[]);
        let stream = pipeline.streams["s"].clone();
        pipeline.streams.extend(more.iter().map(|text| (name(text), stream.clone())));
        let clock = Arc::new(Ticking(AtomicI64::new(1_800_000_000_000_000)));
        Engine::start(pipeline, Parts { clock, sources: SOURCES, sinks: &[], version: "test" })
    };
    let body =
        || Bytes::from_static(br#"[{"meta":{"stream":"s"},"step":0},{"meta":{"stream":"t"},"step":1},{"step":2}]"#);
    let how = || EventsPush { key: Some("k"), ..EventsPush::default() };
    let engine = with(&[]).await.expect("it starts");
    let pushed = engine.push_events(body(), how()).await.expect("some of it");
    assert_eq!((pushed.accepted(), pushed.failed.count(), pushed.failed.invalid()), (1, 2, 1));
    assert_eq!(engine.stream("rejects").expect("built in").head().end, Offset(2));
    engine.shutdown().await.expect("a clean end");
    drop(engine);
    let engine = with(&["t"]).await.expect("it starts");
    for repeated in [false, true] {
        let pushed = engine.push_events(body(), how()).await.expect("kept");
        assert!(pushed.streams["s"].repeated && pushed.streams["t"].repeated == repeated, "{pushed:?}");
    }
    for stream in ["s", "t"] {
        assert_eq!(engine.stream(stream).expect("a stream").head().end, Offset(1), "{stream}");
    }
    let hasty = EventsPush { hasty: true, ..EventsPush::default() };
    let pushed = engine.push_events(body(), hasty.clone()).await.expect("queued");
    assert_eq!((pushed.accepted(), pushed.streams["s"].first_offset), (2, None));
    assert_eq!(steps(&engine, 2).await, [0, 0]);
    let both = engine.push_events(body(), EventsPush { key: Some("k"), ..hasty }).await;
    assert!(matches!(both, Err(Error::HastyKey)), "{both:?}");
    let empty = engine.push_events(Bytes::from_static(b" \n"), EventsPush::default()).await;
    assert!(matches!(empty, Err(Error::EmptyBody)), "{empty:?}");
    engine.shutdown().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_answered_when_it_is_kept_and_its_refusals_too() {
    let dir = tempfile::tempdir().expect("a folder");
    let engine = start(dir.path(), &[]).await;
    let body = Bytes::from_static(b"{\"step\":0}\n{\"step\":\n{\"step\":1}\n");
    let pushed = engine.push("s", body, None, None).await.expect("it is kept");
    assert_eq!((pushed.accepted, pushed.first_offset), (2, Some(Offset(0))));
    assert_eq!(pushed.invalid.iter().map(|rejected| rejected.index).collect::<Vec<_>>(), [1]);
    assert_eq!(steps(&engine, 2).await, [0, 1]);
    assert_eq!(engine.stream("rejects").expect("built in").head().end, Offset(1));
    let status = engine.status();
    assert_eq!((status.streams["s"].pushed, status.streams["s"].push_rejects), (2, 1));
    engine.shutdown().await.expect("a clean end");
    let late = engine.push("s", Bytes::from_static(b"{}"), None, None).await;
    assert!(matches!(late, Err(Error::Stopping)), "{late:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_push_with_the_same_key_is_kept_once_even_over_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    for expected in [false, true, true] {
        let engine = start(dir.path(), &[]).await;
        let pushed = engine.push("s", Bytes::from_static(b"{\"step\":0}"), None, Some("key-1")).await.expect("kept");
        assert_eq!(pushed.repeated, expected);
        engine.shutdown().await.expect("a clean end");
        assert_eq!(engine.stream("s").expect("a stream").head().end, Offset(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_pushed_is_refused_with_what_can() {
    let dir = tempfile::tempdir().expect("a folder");
    let engine = start(dir.path(), &[]).await;
    let refused = async |stream: &str, body: Bytes, key: Option<&str>| {
        let error = engine.push(stream, body, None, key).await.expect_err("refused");
        assert_eq!(error.kind(), Kind::Invalid, "{error}");
        error.to_string()
    };
    let event = || Bytes::from_static(b"{}");
    assert_eq!(refused("t", event(), None).await, "there is no stream \"t\" to push to; this pipeline has: s");
    assert_eq!(
        refused("rejects", event(), None).await,
        "there is no stream \"rejects\" to push to; this pipeline has: s"
    );
    assert!(refused("s", Bytes::new(), None).await.starts_with("the body holds no event"));
    assert!(refused("s", vec![b' '; crate::BODY_BYTES_MAX + 1].into(), None).await.contains("16 MiB"));
    assert!(refused("s", event(), Some("two words")).await.contains("idempotency key"));
    engine.shutdown().await.expect("a clean end");
}
