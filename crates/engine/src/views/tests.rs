//! Views of a real stream: live ones and builds beside them, each held against the same query over the log.

mod changes;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use lakehead_model::{ByteSize, EventBatch, Name, Offset, Span, StreamSchema, Timestamp};
use lakehead_query::{Lake, Limits};
use lakehead_store::{Append, Options, Store, Stream};
use lakehead_testkit::ManualClock;

use super::{
    bounds::{Bounds, ViewStep},
    roster::Running,
    running::{RunningViews, Surroundings, start},
};
use crate::{
    claims::Claims,
    pipeline::ViewConfig,
    status::{ViewState, ViewStatus},
};

/// Longer than anything here takes, on a machine that is busy with other things.
const SOON: Duration = Duration::from_secs(60);

const COUNT: &str = "SELECT tumble(event_time, INTERVAL '1 minute') AS minute, json_get_str(data, 'key') AS key, \
     count(*) AS events, sum(event_offset) AS offsets FROM s GROUP BY 1, 2";
const SUM: &str = "SELECT tumble(event_time, INTERVAL '1 hour') AS hour, count(*) AS events, min(event_offset) AS first, \
     max(event_offset) AS last FROM s WHERE event_offset % 3 = 0 GROUP BY 1";
/// An expression of it fails on the event with this offset.
const POISONED: &str = "SELECT tumble(event_time, INTERVAL '1 hour') AS hour, sum(1 / (event_offset - 1500)) AS sum FROM s \
     GROUP BY 1";

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

/// A stream of small blocks that are read from the files, and views of it.
struct Rig {
    dir: tempfile::TempDir,
    store: Store,
    stream: Stream,
    clock: Arc<ManualClock>,
    steps: Arc<Steps>,
    commit_every: Duration,
}

impl Rig {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let options = Options {
            block_bytes: ByteSize(1 << 10),
            block_age_max: Span::millis(0),
            block_age_hurried: Span::millis(0),
            segment_bytes: ByteSize(16 << 10),
            tail_bytes: ByteSize(0),
            sync: "off".to_owned().try_into().expect("a setting"),
            ..Options::default()
        };
        let clock = Arc::new(ManualClock::new(time(0)));
        let store = Store::open(dir.path(), options, Arc::<ManualClock>::clone(&clock)).expect("opens");
        let stream = store.stream(&name("s")).expect("opens");
        Self { dir, store, stream, clock, steps: Arc::default(), commit_every: Bounds::default().commit_every }
    }

    /// Appends events until there are so many; returns when they are committed.
    async fn fill(&self, until: u64) {
        let appender = self.stream.appender();
        let mut next = self.stream.head().end.0;
        let mut last = None;
        while next < until {
            let to = until.min(next + 10);
            let mut events = EventBatch::default();
            for n in next..to {
                // Every seventh is half a minute late, every fiftieth two hours: those are corrections.
                let late = if n % 50 == 49 { 7_200 } else { 30 * i64::from(n % 7 == 6) };
                let time = time(i64::try_from(n).expect("small") - late);
                events.push(format!("{{\"dt\":\"{time}\",\"key\":\"key {}\"}}", n % 5).as_bytes(), Some(time));
            }
            self.clock.set(time(i64::try_from(to).expect("small")));
            let append = Append { source: name("a"), events, cursor: None, keys: Vec::new(), urgent: false };
            last = Some(appender.append(append).await.expect("taken"));
            next = to;
        }
        if let Some(last) = last {
            last.await.expect("kept");
        }
    }

    fn bounds(&self) -> Bounds {
        let steps = Arc::clone(&self.steps);
        Bounds {
            micro_batch_bytes: 3 << 10,
            workers: 3,
            near_bytes: 1 << 20,
            near_events: 100,
            commit_every: self.commit_every,
            on_step: Some(Arc::new(move |step| steps.took(step))),
            ..Bounds::default()
        }
    }

    async fn start(&self, views: &[(&str, &str)]) -> (Lake, RunningViews) {
        let schema = StreamSchema::builtin("json").expect("built in");
        let lake = Lake::new(Limits::default()).expect("a lake");
        lake.add_stream(schema.clone(), self.stream.clone());
        let config = |view: &str, sql: &str| match view {
            // It has no room for a single window.
            "fails" => ViewConfig { state_max: ByteSize(1), ..ViewConfig::new(sql) },
            _ => ViewConfig::new(sql),
        };
        let configs = views.iter().map(|(view, sql)| (name(view), config(view, sql))).collect();
        let schemas = [(name("s"), schema)].into();
        let surroundings =
            Surroundings { lake: &lake, schemas: &schemas, data: self.dir.path(), claims: &Claims::default() };
        let running = start(self.stream.clone(), configs, self.bounds(), surroundings).await;
        (lake, running.expect("starts"))
    }

    async fn finish(self, running: RunningViews) {
        running.stop().await;
        tokio::task::spawn_blocking(move || self.store.close()).await.expect("no panic").expect("a clean end");
    }
}

/// Time goes on by a second with each event; the log begins in the middle of a minute.
fn time(n: i64) -> Timestamp {
    Timestamp(1_800_000_010_000_000 + n * 1_000_000)
}

/// What the threads have done, and how far a build may go.
#[derive(Default)]
struct Steps {
    state: Mutex<Taken>,
    changed: Condvar,
}

#[derive(Default)]
struct Taken {
    steps: Vec<ViewStep>,
    /// A build waits when it has come to this.
    gate: Option<u64>,
}

impl Steps {
    fn took(&self, step: ViewStep) {
        let mut state = self.state.lock().expect("not poisoned");
        state.steps.push(step);
        self.changed.notify_all();
        while let ViewStep::Built(at) = step
            && state.gate.is_some_and(|gate| at.0 >= gate)
        {
            state = self.changed.wait_timeout(state, SOON).expect("not poisoned").0;
        }
    }

    fn gate(&self, gate: Option<u64>) {
        self.state.lock().expect("not poisoned").gate = gate;
        self.changed.notify_all();
    }

    /// Waits until `is`, asked after each step.
    fn until(&self, what: &str, mut is: impl FnMut(&[ViewStep]) -> bool) {
        let mut state = self.state.lock().expect("not poisoned");
        while !is(&state.steps) {
            let (waited, timeout) = self.changed.wait_timeout(state, SOON).expect("not poisoned");
            assert!(!timeout.timed_out(), "it does not come to {what}: {:?}", waited.steps);
            state = waited;
        }
    }

    /// Waits until `is`, asked after each step, and now and then without one: what is asked for may come with a commit.
    fn until_or_soon(&self, what: &str, is: impl Fn() -> bool) {
        let begun = std::time::Instant::now();
        let mut state = self.state.lock().expect("not poisoned");
        while !is() {
            assert!(begun.elapsed() < SOON, "it does not come to {what}: {:?}", state.steps);
            state = self.changed.wait_timeout(state, Duration::from_millis(20)).expect("not poisoned").0;
        }
    }

    fn until_built(&self, at: u64) {
        let is = |step: &ViewStep| matches!(step, ViewStep::Built(to) if to.0 >= at);
        self.until(&format!("built to {at}"), |steps| steps.iter().any(is));
    }

    /// Waits until these views are live and have come to `at`.
    fn until_live(&self, running: &RunningViews, views: &[&str], at: u64) {
        let is = |view: &&str| {
            let status = status(running, view);
            status.state == ViewState::Live && status.offset == Offset(at)
        };
        self.until(&format!("{views:?} live at {at}"), |_| views.iter().all(is));
    }

    fn forget(&self) -> Vec<ViewStep> {
        std::mem::take(&mut self.state.lock().expect("not poisoned").steps)
    }
}

fn status(running: &RunningViews, view: &str) -> ViewStatus {
    let all = running.status();
    all.into_iter().find(|(name, _)| name.as_str() == view).expect("it is there").1
}

/// Every row of an answer, as text; twice the same row would be a row too many.
async fn rows(lake: &Lake, sql: &str) -> BTreeSet<String> {
    let answer = lake.query(sql).await.expect("an answer");
    let mut rows = BTreeSet::new();
    for batch in &answer.batches {
        for row in 0..batch.num_rows() {
            let row: Vec<String> = batch.columns().iter().map(|column| format!("{:?}", column.slice(row, 1))).collect();
            assert!(rows.insert(row.join("|")), "a row stands twice");
        }
    }
    rows
}

async fn equals_the_batch(lake: &Lake, view: &str, sql: &str) {
    let (view_rows, batch) = (rows(lake, &format!("SELECT * FROM {view}")).await, rows(lake, sql).await);
    assert!(!batch.is_empty());
    let differ: Vec<_> = view_rows.symmetric_difference(&batch).take(4).collect();
    assert!(differ.is_empty(), "{view} differs from its query over the log: {differ:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_view_on_an_old_stream_is_built_while_the_live_ones_go_on_and_joins_without_a_seam() {
    let rig = Rig::new();
    rig.fill(1_000).await;
    let (_, running) = rig.start(&[("old", COUNT)]).await;
    rig.steps.until_live(&running, &["old"], 1_000);
    running.stop().await;
    rig.steps.forget();

    rig.steps.gate(Some(0));
    let (lake, running) = rig.start(&[("old", COUNT), ("new", SUM)]).await;
    rig.steps.until_built(1);
    rig.fill(1_400).await;
    rig.steps.until_live(&running, &["old"], 1_400);
    assert_eq!((status(&running, "old").state, status(&running, "old").offset), (ViewState::Live, Offset(1_400)));
    let new = status(&running, "new");
    let ViewState::Building { end, fraction, .. } = new.state else { panic!("it is being built: {new:?}") };
    assert_eq!((end, new.behind), (Offset(1_400), 1_400 - new.offset.0));
    assert!((0.0..0.2).contains(&fraction) && new.offset.0 > 0 && new.offset.0 < 200, "{new:?}");

    rig.steps.gate(Some(900));
    rig.steps.until_built(900);
    rig.fill(1_600).await;
    rig.steps.until_live(&running, &["old"], 1_600);
    rig.steps.gate(None);
    rig.fill(1_900).await;
    rig.steps.until_live(&running, &["old", "new"], 1_900);
    rig.fill(2_000).await;
    rig.steps.until_live(&running, &["old", "new"], 2_000);
    let new = status(&running, "new");
    assert_eq!((new.state, new.offset, new.behind), (ViewState::Live, Offset(2_000), 0));
    equals_the_batch(&lake, "old", COUNT).await;
    equals_the_batch(&lake, "new", SUM).await;
    rig.finish(running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn views_at_many_offsets_all_come_to_the_end_of_a_log_that_grows() {
    let rig = Rig::new();
    let views = [("a", COUNT), ("b", SUM), ("c", COUNT), ("d", SUM), ("e", COUNT)];
    for count in 1..views.len() {
        let end = count as u64 * 450;
        rig.fill(end).await;
        let (_, running) = rig.start(&views[..count]).await;
        rig.steps.until_live(&running, &["a", "b", "c", "d"][..count], end);
        running.stop().await;
        rig.steps.forget();
    }
    // "a" and "b" stand at the head, "c" and "d" a good way behind it, and "e" nowhere.
    let (_, running) = rig.start(&views[..2]).await;
    rig.fill(2_500).await;
    rig.steps.until_live(&running, &["a", "b"], 2_500);
    running.stop().await;
    rig.steps.forget();

    let (lake, running) = rig.start(&views).await;
    for end in 1..=20 {
        rig.fill(2_500 + end * 37).await;
    }
    rig.steps.until_live(&running, &["a", "b", "c", "d", "e"], 3_240);
    rig.fill(3_300).await;
    rig.steps.until_live(&running, &["a", "b", "c", "d", "e"], 3_300);
    for (view, sql) in views {
        assert_eq!(status(&running, view).offset, Offset(3_300), "{view}");
        equals_the_batch(&lake, view, sql).await;
    }
    rig.finish(running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_fails_stops_no_other_whether_it_is_live_or_built() {
    for events in [1_000, 2_000] {
        let rig = Rig::new();
        rig.fill(events).await;
        let (lake, running) = rig.start(&[("fails", SUM), ("good", COUNT)]).await;
        rig.steps.until_live(&running, &["good"], events);
        rig.fill(2_100).await;
        rig.steps.until_live(&running, &["good"], 2_100);
        let fails = status(&running, "fails");
        assert_eq!(fails.state, ViewState::Failed, "{fails:?}");
        assert!(fails.failed.is_some_and(|why| why.contains("raise its state_max")) && fails.offset < Offset(2_100));
        let answer = lake.query("SELECT * FROM fails").await.expect("an answer");
        assert!(answer.warnings.iter().any(|warning| warning.contains("raise its state_max")), "{:?}", answer.warnings);
        assert_eq!(status(&running, "good").state, ViewState::Live);
        equals_the_batch(&lake, "good", COUNT).await;
        rig.finish(running).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_on_which_a_view_fails_is_left_out_whether_it_is_live_or_built() {
    for events in [1_000, 2_000] {
        let rig = Rig::new();
        rig.fill(events).await;
        let (lake, running) = rig.start(&[("poisoned", POISONED), ("good", COUNT)]).await;
        rig.steps.until_live(&running, &["good"], events);
        rig.fill(2_100).await;
        rig.steps.until_live(&running, &["poisoned", "good"], 2_100);
        let poisoned = status(&running, "poisoned");
        assert_eq!((poisoned.state, poisoned.failed_events), (ViewState::Live, 1), "{:?}", poisoned.failure);
        assert!(poisoned.failure.is_some_and(|why| why.contains("zero") && why.contains("offset 1500")));
        let mended = "SELECT tumble(event_time, INTERVAL '1 hour') AS hour, sum(1 / (event_offset - 1500)) AS sum FROM s \
                      WHERE event_offset <> 1500 GROUP BY 1";
        equals_the_batch(&lake, "poisoned", mended).await;
        rig.finish(running).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_is_stopped_goes_on_from_its_checkpoint() {
    let rig = Rig::new();
    rig.fill(1_500).await;
    rig.steps.gate(Some(400));
    let (_, running) = rig.start(&[("new", COUNT)]).await;
    rig.steps.until_built(400);
    // It is told to stop, and finds out when the gate opens; what was aggregated by then may still be applied.
    let mut stop = std::pin::pin!(running.stop());
    assert!(futures::poll!(&mut stop).is_pending());
    rig.steps.gate(None);
    stop.await;
    rig.steps.forget();

    rig.steps.gate(Some(0));
    let (lake, running) = rig.start(&[("new", COUNT)]).await;
    let checkpoint = status(&running, "new").checkpoint.expect("it was committed");
    assert!((400..1_200).contains(&checkpoint.0), "{checkpoint}");
    rig.steps.gate(None);
    rig.fill(1_600).await;
    rig.steps.until_live(&running, &["new"], 1_600);
    let first = rig.steps.forget().into_iter().find_map(|step| match step {
        ViewStep::Built(at) => Some(at),
        _ => None,
    });
    assert!(first.is_none_or(|first| first > checkpoint), "{first:?} was built again after {checkpoint}");
    equals_the_batch(&lake, "new", COUNT).await;
    rig.finish(running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_some_of_very_many_result_periods_and_the_next_start_goes_on_with_them() {
    // Nothing is committed but by a stop.
    let rig = Rig { commit_every: Duration::from_secs(86_400), ..Rig::new() };
    let mut running = rig.start(&[("hours", COUNT)]).await.1;
    let mut events = EventBatch::default();
    for hour in 0..2_500 {
        let time = time(hour * 3_600);
        events.push(format!("{{\"dt\":\"{time}\",\"key\":\"key\"}}").as_bytes(), Some(time));
    }
    rig.clock.set(time(2_500 * 3_600));
    let append = Append { source: name("a"), events, cursor: None, keys: Vec::new(), urgent: false };
    rig.stream.appender().append(append).await.expect("taken").await.expect("kept");
    rig.steps.until_live(&running, &["hours"], 2_500);
    // The last hour's window is open.
    for files in [1_000, 2_000, 2_499, 2_499] {
        running.stop().await;
        let shown = fs::read_dir(rig.dir.path().join("views/hours")).expect("a folder").flatten();
        let shown = shown.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "parquet"));
        assert_eq!(shown.count(), files);
        running = rig.start(&[("hours", COUNT)]).await.1;
    }
    running.stop().await;
    let (lake, running) = rig.start(&[("hours", COUNT)]).await;
    equals_the_batch(&lake, "hours", COUNT).await;
    rig.finish(running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_block_stops_those_who_have_to_read_it_and_nobody_else() {
    let rig = Rig::new();
    rig.fill(1_000).await;
    let (_, running) = rig.start(&[("old", COUNT)]).await;
    rig.steps.until_live(&running, &["old"], 1_000);
    running.stop().await;
    rig.steps.forget();
    let first = segments(rig.dir.path()).into_iter().next().expect("a segment");
    let mut bytes = fs::read(&first).expect("reads");
    bytes[100] ^= 1;
    fs::write(&first, bytes).expect("writes");

    let (_, running) = rig.start(&[("old", COUNT), ("new", SUM)]).await;
    rig.steps.until("given up", |steps| steps.contains(&ViewStep::Joined));
    rig.fill(1_100).await;
    rig.steps.until_live(&running, &["old"], 1_100);
    let new = status(&running, "new");
    assert_eq!((new.state, new.offset), (ViewState::Failed, Offset(0)));
    assert!(new.failed.is_some_and(|why| why.starts_with("cannot read the log: ")));
    assert_eq!(status(&running, "old").state, ViewState::Live);
    rig.finish(running).await;
}

/// The files of the stream, oldest first.
fn segments(data: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![data.join("streams/s")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}
