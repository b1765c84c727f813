//! A target in memory, the sinks that write to it, and an engine with such sinks.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, LazyLock, Mutex, atomic::AtomicI64},
};

use async_trait::async_trait;
use bytes::Bytes;
use lakehead_connector_api::{
    Answer, Batch, BatchKind, Delivery, Error as SinkError, Operation, Sink, SinkContext, SinkKind, SinkSpec, Takes,
};
use lakehead_model::Position;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::watch;

use crate::{
    Engine, Parts, Pipeline,
    pipeline::SinkConfig,
    status::SinkStatus,
    sync::lock,
    tests::{SOON, SOURCES, Ticking, name, pipeline},
};

/// What happens to a row.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Answer(Answer),
    /// The target is away; nothing of the batch is taken.
    Away,
    /// The write never comes to its end.
    Hang,
    Panic,
}

/// A row that a target has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) id: String,
    pub(super) operation: Operation,
    pub(super) key: Option<String>,
    pub(super) json: String,
    pub(super) is_snapshot: bool,
    /// The instance of the sink that wrote it.
    pub(super) instance: u64,
}

type Script = Box<dyn FnMut(&Taken) -> Act + Send>;

/// Where rows go.
#[derive(Default)]
pub(super) struct Target {
    state: Mutex<TargetState>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct TargetState {
    taken: Vec<Taken>,
    /// Rows whose sink has not committed them.
    held: BTreeMap<u64, Vec<Taken>>,
    script: Option<Script>,
    /// Of a transactional sink.
    position: Option<Position>,
    instances: u64,
    ends_of_snapshots: u64,
    writes: u64,
}

static TARGETS: LazyLock<Mutex<BTreeMap<String, Arc<Target>>>> = LazyLock::new(Mutex::default);

/// The target that sinks with these settings write to; a new one.
pub(super) fn target(called: &str) -> Arc<Target> {
    let target = Arc::<Target>::default();
    lock(&TARGETS).insert(called.to_owned(), Arc::clone(&target));
    target
}

impl Target {
    /// From now on rows are answered so.
    pub(super) fn answers(&self, script: impl FnMut(&Taken) -> Act + Send + 'static) {
        lock(&self.state).script = Some(Box::new(script));
    }

    /// From now on every row is taken.
    pub(super) fn takes_all(&self) {
        lock(&self.state).script = None;
    }

    pub(super) fn taken(&self) -> Vec<Taken> {
        lock(&self.state).taken.clone()
    }

    /// The texts of the rows taken.
    pub(super) fn rows(&self) -> Vec<String> {
        lock(&self.state).taken.iter().map(|taken| taken.json.clone()).collect()
    }

    pub(super) fn writes(&self) -> u64 {
        lock(&self.state).writes
    }

    pub(super) fn ends_of_snapshots(&self) -> u64 {
        lock(&self.state).ends_of_snapshots
    }

    /// Waits until so many rows were taken.
    pub(super) async fn until(&self, rows: usize) -> Vec<Taken> {
        self.when(|state| state.taken.len() >= rows).await
    }

    async fn when(&self, done: impl Fn(&TargetState) -> bool) -> Vec<Taken> {
        let mut changed = self.changed.subscribe();
        let waited = tokio::time::timeout(SOON, changed.wait_for(|_| done(&lock(&self.state)))).await;
        assert!(waited.is_ok(), "waited in vain; {} rows taken", lock(&self.state).taken.len());
        self.taken()
    }

    /// The last state of each key.
    pub(super) fn by_key(&self) -> BTreeMap<String, String> {
        let mut rows = BTreeMap::new();
        for taken in self.taken() {
            let key = taken.key.expect("rows of a keyed view have a key");
            match taken.operation {
                Operation::Delete => drop(rows.remove(&key)),
                _ => drop(rows.insert(key, taken.json)),
            }
        }
        rows
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    target: String,
    /// Nothing but another setting.
    #[serde(default)]
    #[expect(dead_code, reason = "it is there to be changed")]
    note: String,
}

/// One instance of a sink.
struct Writing {
    target: Arc<Target>,
    instance: u64,
    /// Rows are held until they are committed.
    holds: bool,
    is_transactional: bool,
}

fn writing(settings: &Settings, holds: bool, is_transactional: bool) -> Box<dyn Sink> {
    let target = Arc::clone(&lock(&TARGETS)[&settings.target]);
    let instance = {
        let mut state = lock(&target.state);
        state.instances += 1;
        // What another instance of a transactional sink holds is fenced off.
        if is_transactional {
            state.held.clear();
        }
        state.instances
    };
    Box::new(Writing { target, instance, holds, is_transactional })
}

#[async_trait]
impl Sink for Writing {
    async fn resume(&mut self) -> Result<Option<Position>, SinkError> {
        Ok(lock(&self.target.state).position.filter(|_| self.is_transactional))
    }

    async fn write(&mut self, batch: &Batch) -> Result<Vec<Answer>, SinkError> {
        let mut answers = Vec::new();
        let mut hangs = false;
        {
            let mut state = lock(&self.target.state);
            state.writes += 1;
            if batch.kind() == (BatchKind::Snapshot { is_last: true }) {
                assert!(batch.is_empty(), "the end of a snapshot has no rows");
                state.ends_of_snapshots += 1;
            }
            let mut fresh = Vec::new();
            for row in batch.rows() {
                let taken = Taken {
                    id: batch.id(row),
                    operation: row.head.operation,
                    key: row.head.key.as_deref().map(|key| String::from_utf8_lossy(key).into_owned()),
                    json: String::from_utf8_lossy(row.json).into_owned(),
                    is_snapshot: batch.kind() != BatchKind::Changes,
                    instance: self.instance,
                };
                let act = state.script.as_mut().map_or(Act::Answer(Answer::Done), |script| script(&taken));
                match act {
                    Act::Answer(Answer::Done) if self.holds => answers.push(Answer::Held),
                    Act::Answer(answer) => answers.push(answer),
                    Act::Away => return Err(SinkError::unavailable("cut off")),
                    Act::Hang => hangs = true,
                    Act::Panic => panic!("the script says so"),
                }
                if matches!(answers.last(), Some(Answer::Done | Answer::Held)) {
                    fresh.push(taken);
                }
            }
            if self.holds {
                state.held.entry(self.instance).or_default().extend(fresh);
            } else {
                state.taken.extend(fresh);
            }
        }
        self.target.changed.send_modify(|changes| *changes += 1);
        if hangs {
            std::future::pending::<()>().await;
        }
        Ok(answers)
    }

    async fn commit(&mut self, through: &Position) -> Result<(), SinkError> {
        {
            let mut state = lock(&self.target.state);
            let held = state.held.remove(&self.instance).unwrap_or_default();
            state.taken.extend(held);
            if self.is_transactional {
                state.position = Some(*through);
            }
        }
        self.target.changed.send_modify(|changes| *changes += 1);
        Ok(())
    }
}

macro_rules! kinds {
    ($($kind:ident $name:literal $takes:ident $delivery:ident $holds:literal),*) => {$(
        struct $kind;
        impl lakehead_connector_api::ConnectorKind for $kind {
            const NAME: &'static str = $name;
            const MANUAL: &'static str = "For tests.";
            const EXAMPLE: &'static str = "";
            type Config = Settings;
        }
        impl SinkKind for $kind {
            const DELIVERY: Delivery = Delivery::$delivery;
            const TAKES: Takes = Takes::$takes;
            async fn open(settings: Settings, _: SinkContext) -> Result<Box<dyn Sink>, SinkError> {
                Ok(writing(&settings, $holds, Delivery::$delivery == Delivery::Transactional))
            }
        }
    )*};
}

kinds! {
    Appending "appending" Appends AtLeastOnce false,
    Holding "holding" Appends AtLeastOnce true,
    Keyed "keyed" Keyed Idempotent false,
    Exact "exact" Appends Transactional true
}

const SINKS: &[SinkSpec] =
    &[SinkSpec::of::<Appending>(), SinkSpec::of::<Holding>(), SinkSpec::of::<Keyed>(), SinkSpec::of::<Exact>()];

/// The engine with this pipeline.
pub(super) async fn start(pipeline: Pipeline) -> Arc<Engine> {
    let clock = Arc::new(Ticking(AtomicI64::new(1_800_000_000_000_000)));
    let parts = Parts { clock, sources: SOURCES, sinks: SINKS, version: "test" };
    Arc::new(Engine::start(pipeline, parts).await.expect("it starts"))
}

/// Why a pipeline is refused.
pub(super) async fn refused(pipeline: Pipeline) -> String {
    let clock = Arc::new(Ticking(AtomicI64::new(1_800_000_000_000_000)));
    let parts = Parts { clock, sources: SOURCES, sinks: SINKS, version: "test" };
    Engine::start(pipeline, parts).await.err().expect("it is refused").to_string()
}

/// A sink `out` of this kind from `from` to the target of this name.
pub(super) fn sink(kind: &str, from: &str, target: &str) -> SinkConfig {
    let config = SinkConfig::new(kind, name(from), serde_json::json!({ "target": target }));
    SinkConfig { commit_every: std::time::Duration::from_millis(50), ..config }
}

/// Stream `s` and the sink `out`.
pub(super) fn with_sink(data: &Path, sink: SinkConfig) -> Pipeline {
    let mut pipeline = pipeline(data, &[]);
    pipeline.sinks.insert(name("out"), sink);
    pipeline
}

/// Pushes `lines` to `s` at once.
pub(super) async fn push(engine: &Engine, lines: &[String]) {
    let body = Bytes::from(lines.join("\n"));
    let pushed = engine.push("s", body, None, None).await.expect("it is kept");
    assert_eq!(pushed.accepted, lines.len() as u64);
}

/// Numbers as events.
pub(super) fn numbers(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|n| format!("{{\"n\":{n}}}")).collect()
}

/// Waits until the status of `out` is such.
pub(super) async fn until(engine: &Engine, done: impl Fn(&SinkStatus) -> bool) -> SinkStatus {
    let watch = engine.sink_watch("out");
    let mut changed = watch.changed.subscribe();
    let waited = tokio::time::timeout(SOON, changed.wait_for(|_| done(&watch.status()))).await;
    assert!(waited.is_ok(), "waited in vain: {:#?}", watch.status());
    watch.status()
}

/// Every event of the stream `rejects`.
pub(super) fn rejects(engine: &Engine) -> Vec<serde_json::Value> {
    let mut reader = engine.stream("rejects").expect("built in").reader(lakehead_model::Offset(0));
    let mut events = Vec::new();
    while let Some(block) = reader.next().expect("a good log") {
        events.extend(block.events().map(|event| serde_json::from_slice::<serde_json::Value>(event).expect("JSON")));
    }
    events
}
