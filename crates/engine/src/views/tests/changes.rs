//! Views that are changed again and again, between and during stops and crashes, each held against its present SQL over the
//! log.
//!
//! The model is too simple to be wrong: a view equals the batch query of its present text, whatever it was before. What it left
//! out for coming too late is in no model; a view that says that it left something out is not compared until it is built anew.

use std::{collections::BTreeMap, fmt, fs, path::Path};

use lakehead_model::{Column, ColumnType, EventTimeRule, TimeFormat};
use lakehead_query::{Late, begin_shadow, check_views};

use super::*;
use crate::{pipeline::Swap, views::live::Asked};

/// A small generator (splitmix64), so that a failure names its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[usize::try_from(self.below(of.len() as u64)).expect("small")]
    }
}

/// A pipeline: how the stream's columns are read, and its views.
#[derive(Clone, PartialEq)]
struct Pipeline {
    time: &'static str,
    number: &'static str,
    views: BTreeMap<Name, ViewConfig>,
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "time {} n {}", self.time, self.number)?;
        for (name, view) in &self.views {
            let ViewConfig { sql, watermark_delay, lateness, late, swap, .. } = view;
            write!(f, "\n  {name}: {sql}, {watermark_delay:?} {lateness:?} {late:?} {swap:?}")?;
        }
        Ok(())
    }
}

impl Pipeline {
    fn new(views: &[(&str, &str)]) -> Self {
        let views = views.iter().map(|(view, sql)| (name(view), ViewConfig::new(*sql))).collect();
        Self { time: "dt", number: "n", views }
    }

    fn with(&self, view: &str, sql: &str) -> Self {
        let mut changed = self.clone();
        changed.view(view).sql = sql.to_owned();
        changed
    }

    fn view(&mut self, view: &str) -> &mut ViewConfig {
        self.views.entry(name(view)).or_insert_with(|| ViewConfig::new(""))
    }

    fn schema(&self) -> StreamSchema {
        let mut schema = StreamSchema::builtin("json").expect("built in");
        schema.event_time =
            vec![EventTimeRule { path: vec![self.time.into()], format: TimeFormat::Rfc3339, zone: None }];
        let path = vec![self.number.into()];
        schema.columns.push(Column { name: "n".into(), path, column_type: ColumnType::Int64, equals: None });
        schema
    }

    /// The text of a view with those of the views that it reads in it.
    fn batch(&self, view: &Name) -> String {
        let mut sql = self.views[view].sql.clone();
        for other in self.views.keys().filter(|other| *other != view) {
            if sql.contains(&format!("FROM {other} ")) {
                sql = sql.replace(&format!("FROM {other} "), &format!("FROM ({}) AS {other} ", self.batch(other)));
            }
        }
        sql
    }

    async fn fits(&self) -> bool {
        let texts = self.views.iter().map(|(name, config)| (name.clone(), config.sql.clone())).collect();
        let plans = check_views(&texts, &[(name("s"), self.schema())].into()).await.expect("an engine");
        plans.iter().all(|(_, plan)| plan.is_ok())
    }
}

/// A store, what runs on it, and the events that were pushed.
struct Bench {
    rig: Rig,
    lake: Option<Lake>,
    running: Option<RunningViews>,
    pushed: u64,
}

impl Bench {
    fn new() -> Self {
        Self { rig: Rig::new(), lake: None, running: None, pushed: 0 }
    }

    /// Starts the views; those that ran before are stopped, as a reload does.
    async fn run(&mut self, pipeline: &Pipeline) {
        self.stop().await;
        self.rig.steps.forget();
        let schemas = [(name("s"), pipeline.schema())].into();
        let lake = Lake::new(Limits::default()).expect("a lake");
        lake.add_stream(pipeline.schema(), self.rig.stream.clone());
        let surroundings =
            Surroundings { lake: &lake, schemas: &schemas, data: self.rig.dir.path(), claims: &Claims::default() };
        let (stream, bounds) = (self.rig.stream.clone(), self.rig.bounds());
        let running = start(stream, pipeline.views.clone(), bounds, surroundings).await;
        (self.lake, self.running) = (Some(lake), Some(running.expect("starts")));
    }

    async fn stop(&mut self) {
        self.lake = None;
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }

    /// As a kill and a start: what the views have on disk is what it was `before`.
    async fn crash(&mut self, before: &Path, pipeline: &Pipeline) {
        self.stop().await;
        let views = self.views();
        fs::remove_dir_all(&views).expect("it is there");
        copy(before, &views);
        self.run(pipeline).await;
    }

    fn views(&self) -> PathBuf {
        self.rig.dir.path().join("views")
    }

    /// What the views have on disk now, copied.
    fn save(&self) -> tempfile::TempDir {
        let saved = tempfile::tempdir().expect("a folder");
        copy(&self.views(), saved.path());
        saved
    }

    /// Events one second apart, of which some are late: `(every, seconds)`.
    async fn push(&mut self, count: u64, pipeline: &Pipeline, late: (u64, i64)) {
        let appender = self.rig.stream.appender();
        let mut events = EventBatch::default();
        for n in self.pushed..self.pushed + count {
            let second = i64::try_from(n).expect("small") - late.1 * i64::from(n % late.0 == late.0 - 1);
            let (dt, at) = (time(second), time(second + 600));
            let event =
                format!("{{\"dt\":\"{dt}\",\"at\":\"{at}\",\"n\":{n},\"m\":{},\"key\":\"key {}\"}}", n * 3 % 17, n % 3);
            events.push(event.as_bytes(), Some(if pipeline.time == "dt" { dt } else { at }));
        }
        self.pushed += count;
        self.rig.clock.set(time(i64::try_from(self.pushed).expect("small") + 600));
        let append = Append { source: name("a"), events, cursor: None, keys: Vec::new(), urgent: false };
        appender.append(append).await.expect("taken").await.expect("kept");
    }

    /// Waits until every view is live at the head and nothing is built any more.
    fn until_settled(&self, pipeline: &Pipeline) {
        let running = self.running.as_ref().expect("it runs");
        let end = self.rig.stream.head().end;
        self.rig.steps.until_or_soon("every view at the head", || {
            let status = running.status();
            pipeline.views.keys().all(|view| {
                status.iter().any(|(name, status)| {
                    name == view && status.state == ViewState::Live && status.offset == end && status.next.is_none()
                })
            })
        });
    }

    /// Holds each view against its text over the log. Answers how many were compared.
    async fn compare(&self, pipeline: &Pipeline, told: &str) -> usize {
        let (running, lake) = (self.running.as_ref().expect("it runs"), self.lake.as_ref().expect("it runs"));
        let mut compared = 0;
        for view in pipeline.views.keys() {
            // A view over another has left out what that one has.
            let mut left_out = 0;
            let mut read = Some(view.clone());
            while let Some(name) = read {
                let status = status(running, name.as_str());
                left_out += status.late_dropped;
                read = status.reads.map(|read| super::name(&read));
            }
            if left_out > 0 {
                continue;
            }
            assert_eq!(
                lake.view(view).map(|view| view.plan().sql().to_owned()).as_ref(),
                Some(&pipeline.views[view].sql),
                "{told}: {view}"
            );
            let (found, expected) =
                (rows(lake, &format!("SELECT * FROM {view}")).await, rows(lake, &pipeline.batch(view)).await);
            let differ: Vec<_> = found.symmetric_difference(&expected).take(4).collect();
            assert!(differ.is_empty(), "{told}: {view} differs from its SQL over the log: {differ:#?}\n{pipeline:#?}");
            compared += 1;
        }
        compared
    }

    async fn settled(&self, pipeline: &Pipeline, told: &str) {
        self.until_settled(pipeline);
        assert_eq!(self.compare(pipeline, told).await, pipeline.views.len(), "{told}: nothing was left out");
    }

    async fn finish(mut self) {
        self.stop().await;
        let store = self.rig.store;
        tokio::task::spawn_blocking(move || store.close()).await.expect("no panic").expect("a clean end");
    }
}

/// Copies a folder. What goes away meanwhile is not copied.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).into_iter().flatten().flatten() {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            let _ = fs::copy(&path, &to);
        }
    }
}

const EVERY: (u64, i64) = (u64::MAX, 0);
const SUM_N: &str = "SELECT tumble(event_time, INTERVAL '1 minute') AS w, json_get_str(data, 'key') AS key, \
     sum(n) AS v FROM s GROUP BY 1, 2";

fn by(aggregate: &str) -> String {
    SUM_N.replace("sum(n)", aggregate)
}

fn over(view: &str, aggregate: &str) -> String {
    format!("SELECT tumble(w, INTERVAL '10 minutes') AS w, key, {aggregate} AS v FROM {view} GROUP BY 1, 2")
}

#[tokio::test(flavor = "multi_thread")]
async fn events_after_the_last_commit_are_counted_by_the_new_sql_and_not_by_what_the_old_one_made_of_them() {
    let mut bench = Bench::new();
    let old = Pipeline::new(&[("v", SUM_N)]);
    bench.push(50, &old, EVERY).await;
    bench.run(&old).await;
    bench.settled(&old, "at first").await;
    bench.run(&old).await;
    let saved = bench.save();
    bench.push(20, &old, EVERY).await;
    bench.until_settled(&old);
    // Of other types, too: what the old one made cannot even be merged.
    for sql in [by("count(*)"), by("string_agg(json_get_str(data, 'key'), ',' ORDER BY event_offset)"), by("avg(n)")] {
        bench.crash(saved.path(), &old.with("v", &sql)).await;
        bench.settled(&old.with("v", &sql), "after the crash").await;
    }
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_is_changed_again_and_again_while_events_come_equals_its_sql() {
    let mut bench = Bench::new();
    let first = Pipeline::new(&[("v", SUM_N), ("still", SUM)]);
    bench.push(30, &first, EVERY).await;
    bench.run(&first).await;
    let texts = [
        by("count(*)"),
        by("max(n)"),
        by("string_agg(json_get_str(data, 'key'), ',' ORDER BY event_offset)"),
        SUM_N.to_owned(),
    ];
    for turn in 0..24 {
        let pipeline = first.with("v", &texts[turn % texts.len()]);
        bench.run(&pipeline).await;
        for _ in 0..turn % 5 {
            bench.push(5, &pipeline, EVERY).await;
        }
        if turn % 3 != 0 {
            bench.settled(&pipeline, &format!("turn {turn}")).await;
        }
    }
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_over_a_view_follows_its_own_sql_its_base_and_its_kind() {
    let mut bench = Bench::new();
    let first = Pipeline::new(&[("m", SUM_N), ("h", &over("m", "max(v)")), ("top", &over("h", "count(*)"))]);
    bench.push(2_000, &first, EVERY).await;
    bench.run(&first).await;
    bench.settled(&first, "at first").await;
    let changes = [
        ("h", over("m", "sum(v)")),
        ("h", over("m", "sum(v)").replace("10 minutes", "20 minutes")),
        ("m", by("count(*)")),
        ("h", by("sum(n)").replace("1 minute", "10 minutes")),
        ("h", over("m", "min(v)")),
        ("top", over("m", "max(v)")),
        ("top", by("min(n)")),
        ("m", "SELECT event_time AS w, json_get_str(data, 'key') AS key, n AS v FROM s WHERE n % 2 = 0".to_owned()),
        ("m", SUM_N.to_owned()),
        ("top", over("h", "sum(v)")),
    ];
    let mut pipeline = first;
    for (turn, (view, sql)) in changes.into_iter().enumerate() {
        pipeline = pipeline.with(view, &sql);
        let saved = bench.save();
        bench.run(&pipeline).await;
        bench.settled(&pipeline, &format!("turn {turn}: {view} = {sql}")).await;
        bench.push(90, &pipeline, EVERY).await;
        bench.settled(&pipeline, &format!("turn {turn}, more")).await;
        bench.crash(saved.path(), &pipeline).await;
        bench.settled(&pipeline, &format!("turn {turn}, crashed")).await;
    }
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_over_a_view_waits_where_it_is_to_ask_and_is_swapped_when_told() {
    let mut bench = Bench::new();
    let first = Pipeline::new(&[("m", SUM_N), ("h", &over("m", "max(v)"))]);
    bench.push(500, &first, EVERY).await;
    bench.run(&first).await;
    bench.settled(&first, "at first").await;
    let mut changed = first.with("h", &over("m", "sum(v)"));
    changed.view("h").swap = Swap::Ask;
    for turn in 0..2 {
        bench.run(&changed).await;
        let running = bench.running.as_ref().expect("it runs");
        bench.rig.steps.until_or_soon("it waits", || status(running, "h").next.is_some_and(|next| next.waits));
        let lake = bench.lake.as_ref().expect("it runs");
        equals_the_batch(lake, "h", &first.batch(&name("h"))).await;
        if turn == 1 {
            let (answer, answered) = tokio::sync::oneshot::channel();
            running.asking().send(Asked::Swap(name("h"), answer)).await.expect("it runs");
            answered.await.expect("an answer").expect("swapped");
            bench.settled(&changed, "swapped").await;
        }
    }
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_lateness_or_delay_is_another_view_and_a_late_event_replaces_no_period() {
    let mut bench = Bench::new();
    let mut short = Pipeline::new(&[("v", SUM_N), ("over", &over("v", "sum(v)"))]);
    short.view("v").lateness = Duration::from_secs(60);
    short.view("v").watermark_delay = Duration::from_secs(0);
    bench.push(4_000, &short, EVERY).await;
    bench.run(&short).await;
    bench.settled(&short, "at first").await;
    // Hours late: it is left out.
    bench.push(20, &short, (20, 7_000)).await;
    bench.until_settled(&short);
    assert_eq!(status(bench.running.as_ref().expect("it runs"), "v").late_dropped, 1);
    let mut long = short.clone();
    long.view("v").lateness = Duration::from_secs(30 * 86_400);
    bench.run(&long).await;
    bench.settled(&long, "with the late event of before").await;
    bench.run(&long).await;
    bench.push(20, &long, (20, 7_100)).await;
    bench.settled(&long, "with one more").await;
    for change in [
        |view: &mut ViewConfig| view.watermark_delay = Duration::from_secs(600),
        |view: &mut ViewConfig| view.late = Late::Drop,
        |view: &mut ViewConfig| view.late = Late::Correct,
        |view: &mut ViewConfig| view.lateness = Duration::from_secs(48 * 3_600),
    ] {
        change(long.view("v"));
        bench.run(&long).await;
        bench.settled(&long, "changed once more").await;
        bench.run(&long).await;
        bench.settled(&long, "and opened again").await;
    }
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_takes_late_events_in_however_often_it_commits_and_whatever_comes_meanwhile() {
    let mut bench = Bench::new();
    let mut pipeline = Pipeline::new(&[("v", SUM_N), ("drops", SUM_N)]);
    pipeline.view("v").lateness = Duration::from_secs(60);
    pipeline.view("drops").late = Late::Drop;
    for view in pipeline.views.values_mut() {
        view.watermark_delay = Duration::from_secs(0);
    }
    bench.run(&pipeline).await;
    for _ in 0..40 {
        bench.push(100, &pipeline, (25, 1_800)).await;
        bench.until_settled(&pipeline);
        // A stop commits: windows close.
        bench.run(&pipeline).await;
    }
    bench.until_settled(&pipeline);
    let running = bench.running.as_ref().expect("it runs");
    assert!(status(running, "v").late_dropped > 50 && status(running, "drops").late_dropped > 50);
    bench.stop().await;
    let schemas = [(name("s"), pipeline.schema())].into();
    for (view, config) in &pipeline.views {
        let plan = lakehead_query::check_view(&config.sql, &schemas).await.expect("a view");
        begin_shadow(bench.rig.dir.path(), view, &plan, &config.settings()).expect("begun");
    }
    // Stopped, and so committed, on the way, while more comes.
    for gate in [900, 1_700, 2_600] {
        bench.rig.steps.gate(Some(gate));
        bench.run(&pipeline).await;
        bench.rig.steps.until_built(gate);
        bench.push(100, &pipeline, (25, 1_800)).await;
        let mut stop = std::pin::pin!(bench.running.take().expect("it runs").stop());
        assert!(futures::poll!(&mut stop).is_pending());
        bench.rig.steps.gate(None);
        stop.await;
    }
    bench.run(&pipeline).await;
    bench.settled(&pipeline, "rebuilt").await;
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_in_any_order_with_stops_and_crashes_between_leave_what_the_present_sql_says() {
    let seeds: Vec<u64> = match std::env::var("LAKEHEAD_CHANGES_SEEDS") {
        Ok(seeds) => {
            let (from, to) = seeds.split_once("..").expect("FROM..TO");
            (from.parse().expect("a number")..to.parse().expect("a number")).collect()
        }
        Err(_) => (1..5).collect(),
    };
    for seed in seeds {
        at_random(seed).await;
    }
}

async fn at_random(seed: u64) {
    let mut random = Random(seed);
    let mut bench = Bench::new();
    let mut pipeline = Pipeline::new(&[("a", SUM_N), ("b", &over("a", "sum(v)")), ("c", &over("b", "max(v)"))]);
    let mut before = pipeline.clone();
    bench.push(200 + random.below(1_500), &pipeline, (40, 50)).await;
    bench.run(&pipeline).await;
    let (mut told, mut compared) = (Vec::new(), 0);
    let mut saved = bench.save();
    for step in 0..16 {
        let what = random.below(10);
        match what {
            0..=1 => {
                let late =
                    (7 + random.below(40), [40, 4_000, 90_000][usize::try_from(random.below(3)).expect("small")]);
                bench.push(1 + random.below(300), &pipeline, late).await;
                told.push(format!("push, late {late:?}"));
            }
            2..=5 => {
                let changed = loop {
                    let changed = change(&mut random, &pipeline);
                    if changed != pipeline && changed.fits().await {
                        break changed;
                    }
                };
                before = std::mem::replace(&mut pipeline, changed);
                told.push(format!("change to {pipeline:?}"));
                bench.run(&pipeline).await;
            }
            6 => {
                std::mem::swap(&mut before, &mut pipeline);
                told.push("back".into());
                bench.run(&pipeline).await;
            }
            7 => {
                told.push("crash".into());
                bench.crash(saved.path(), &pipeline).await;
            }
            8 => {
                told.push("save".into());
                saved = bench.save();
            }
            _ => {
                told.push("stop and start".into());
                bench.run(&pipeline).await;
            }
        }
        // Now and then the next step comes while something is built.
        if random.below(3) > 0 {
            bench.until_settled(&pipeline);
            compared += bench.compare(&pipeline, &format!("seed {seed}, step {step}: {}", told.join("\n"))).await;
        }
    }
    bench.until_settled(&pipeline);
    compared += bench.compare(&pipeline, &format!("seed {seed}, at the end: {}", told.join("\n"))).await;
    assert!(compared > 0, "seed {seed}");
    bench.finish().await;
}

/// Another pipeline, which may not fit.
fn change(random: &mut Random, from: &Pipeline) -> Pipeline {
    let mut to = from.clone();
    for _ in 0..=random.below(2) {
        let view = random.one(&["a", "b", "c"]);
        match random.below(12) {
            0 => to.time = random.one(&["dt", "at"]),
            1 => to.number = random.one(&["n", "m"]),
            2 => {
                let seconds = [60, 3_600, 30 * 86_400][usize::try_from(random.below(3)).expect("small")];
                to.view(view).lateness = Duration::from_secs(seconds);
            }
            3 => to.view(view).watermark_delay = Duration::from_secs(random.below(200)),
            4 => to.view(view).late = if random.below(2) == 0 { Late::Correct } else { Late::Drop },
            5 if view == "c" => {
                if to.views.remove(&name("c")).is_none() {
                    to.view("c").sql = by("sum(n)");
                }
            }
            _ => to.view(view).sql = text(random, view),
        }
    }
    to
}

fn text(random: &mut Random, view: &str) -> String {
    let below = match view {
        "a" => &["s"][..],
        "b" => &["s", "a", "a"],
        _ => &["s", "a", "b", "b"],
    };
    // Another type of state; and sums of whole numbers, which no order of adding changes.
    let aggregate = random.one(&["sum(#)", "max(#)", "min(#)", "count(#)", "sum(CAST(# AS DOUBLE))"]);
    match random.one(below) {
        "s" => {
            let window = random.one(&[
                "tumble(event_time, INTERVAL '1 minute')",
                "tumble(event_time, INTERVAL '7 minutes')",
                "tumble(event_time, INTERVAL '1 hour')",
                "hop(event_time, INTERVAL '1 minute', INTERVAL '3 minutes')",
                "session(event_time, INTERVAL '20 seconds')",
                "",
            ]);
            match window {
                "" => "SELECT event_time AS w, json_get_str(data, 'key') AS key, n AS v FROM s WHERE n % 3 > 0".into(),
                _ => format!(
                    "SELECT {window} AS w, json_get_str(data, 'key') AS key, {} AS v FROM s GROUP BY 1, 2",
                    aggregate.replace('#', "n")
                ),
            }
        }
        other => match random.below(4) {
            0 => format!("SELECT w, key, v AS v FROM {other} WHERE v > 10"),
            _ => format!(
                "SELECT tumble(w, INTERVAL '{} minutes') AS w, key, {} AS v FROM {other} GROUP BY 1, 2",
                random.one(&["10", "60"]),
                aggregate.replace('#', "v")
            ),
        },
    }
}
