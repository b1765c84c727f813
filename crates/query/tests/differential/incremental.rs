//! A case as a view that takes events in as they come: block borders, commits, restarts and crashes at random.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use arrow::{compute::concat_batches, datatypes::SchemaRef};
use lakehead_decode::{Decoder, Events};
use lakehead_model::{Name, Offset, Timestamp};
use lakehead_query::{
    Error, Lake, MicroBatch, Question, SharedFilter, Slot, View, ViewPlan, ViewSettings, check_views,
};
use lakehead_testkit::oracle::event_time;

use crate::{
    batch::{limits, scratch},
    case::{BELOW, Case},
    compare::{Side, difference},
    follower::Follower,
    random::Random,
    table::Table,
    value::{self, Row},
};

/// Longer than any event is late here: what is left out for being too late, no batch query leaves out.
const LATENESS: Duration = Duration::from_secs(400 * 365 * 86_400);
/// The view's name.
const VIEW: &str = "the_view";

/// What happened to a view on its way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct History {
    pub(crate) blocks: u64,
    pub(crate) commits: u64,
    /// Openings from a checkpoint.
    pub(crate) restarts: u64,
    /// Of these, those that lost what was not committed.
    pub(crate) crashes: u64,
    /// Events whose window was written before.
    pub(crate) late: u64,
}

/// What a view said.
pub(crate) struct Told {
    pub(crate) schema: SchemaRef,
    /// In the end.
    pub(crate) rows: Vec<Row>,
    /// On the way: at an offset.
    pub(crate) midway: Option<(u64, Vec<Row>)>,
    pub(crate) history: History,
}

/// A mistake that is made on purpose, to see that it is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Plant {
    #[default]
    Nothing,
    /// One block loses its last event.
    LostEvent,
    /// One block is counted twice.
    DoubledBlock,
}

/// Takes a micro-batch in.
async fn apply(view: &mut View, micro_batch: &MicroBatch) -> Result<(), Error> {
    let aggregate = view.plan().partial_aggregate(&mut SharedFilter::new(micro_batch)).await?;
    view.apply(aggregate).await
}

/// Runs the case over the table, by the choices of `random`.
/// `lake` has the table's log.
pub(crate) async fn run(
    table: &Table,
    case: &Case,
    lake: &Lake,
    random: &mut Random,
    plant: Plant,
) -> Result<Told, String> {
    let plans = plans(table, case).await?;
    let folder = scratch();
    let delay = *random.pick(&[0, 1, 5, 60, 60, 600]);
    let settings =
        ViewSettings { watermark_delay: Duration::from_secs(delay), lateness: LATENESS, ..ViewSettings::default() };
    // The follower finds what an update means by the names that the grammar gives.
    let follows = case.name.contains("/grammar/");
    let mut work = Work { table, lake, plans, follows, settings, folder: folder.path(), history: History::default() };
    work.run(random, plant).await
}

/// The plans of the views that have to be kept for the case: its own, after that of a view whose rows it reads.
async fn plans(table: &Table, case: &Case) -> Result<Vec<(Name, Arc<ViewPlan>)>, String> {
    let name = |text: &str| Name::new(text).expect("a name");
    let schemas = BTreeMap::from([(name(table.name), table.schema.clone())]);
    let mut views = BTreeMap::from([(name(VIEW), case.lakehead.clone())]);
    views.extend(case.below.as_ref().map(|(sql, _)| (name(BELOW), sql.clone())));
    let checked = check_views(&views, &schemas).await.map_err(|e| format!("nothing can be planned: {e}"))?;
    let mut plans = Vec::new();
    for (name, plan) in checked {
        plans.push((name, plan.map_err(|e| format!("the view is refused: {e}"))?));
    }
    // A projection below is planned into the view, which then reads the stream.
    let reads_stream = plans.last().is_some_and(|(_, plan)| plan.upstream().is_none());
    Ok(if reads_stream { plans.split_off(plans.len() - 1) } else { plans })
}

struct Work<'a> {
    table: &'a Table,
    lake: &'a Lake,
    follows: bool,
    /// In the order in which they read each other; only the first one reads the stream.
    plans: Vec<(Name, Arc<ViewPlan>)>,
    settings: ViewSettings,
    folder: &'a Path,
    history: History,
}

impl Work<'_> {
    async fn open(&mut self) -> Result<Vec<View>, String> {
        let mut views: Vec<View> = Vec::new();
        for (name, plan) in &self.plans {
            let upstream = views.last().map(View::handle);
            let opened = View::open(self.folder, name.clone(), Arc::clone(plan), self.settings, Slot::Active, upstream);
            match opened.await.map_err(|e| format!("{name} does not open: {e}"))? {
                (view, None) => views.push(view),
                (_, Some(why)) => return Err(format!("{name} would be rebuilt since {why}")),
            }
        }
        Ok(views)
    }

    async fn run(&mut self, random: &mut Random, mut plant: Plant) -> Result<Told, String> {
        let events: Vec<(&str, Timestamp)> = self.table.events().collect();
        let decoder =
            Decoder::new(&self.table.schema, self.plans[0].1.required_columns()).map_err(|e| e.to_string())?;
        let mut views = self.open().await?;
        let mut follower = Follower::default();
        let midway_at = random.chance(40).then(|| random.below(events.len()));
        let mut midway = None;
        // Some views go through large steps and few commits, some the other way.
        let (blocks_max, events_max) = (1 + random.below(8), 1 + random.below(300));
        let (commit, crash) = (*random.pick(&[3, 15, 50]), *random.pick(&[0, 5, 15]));
        // What is lost or doubled must not be seen again.
        let crash = if plant == Plant::Nothing { crash } else { 0 };
        loop {
            let from = usize::try_from(views[0].next_offset().0).expect("few events");
            if from >= events.len() {
                break;
            }
            let (mut micro_batch, mut to) =
                (MicroBatch { batches: Vec::new(), events: 0, end: Offset(0), times: Vec::new() }, from);
            for _ in 0..1 + random.below(blocks_max) {
                let received = events.get(to).map(|(_, received)| *received);
                let burst = events[to.min(events.len())..].iter().take_while(|(_, own)| Some(*own) == received).count();
                let count = burst.min(1 + random.below(events_max));
                if count == 0 {
                    break;
                }
                block(self.table, &decoder, &events[to..to + count], to, &mut micro_batch)?;
                self.history.blocks += 1;
                to += count;
            }
            if to > events.len() / 2 {
                match plant {
                    Plant::LostEvent => {
                        let batch = micro_batch.batches.pop().expect("at least one block");
                        micro_batch.batches.push(batch.slice(0, batch.num_rows() - 1));
                        plant = Plant::Nothing;
                    }
                    Plant::DoubledBlock => {
                        let twice = micro_batch.batches[0].clone();
                        let schema = twice.schema();
                        micro_batch.batches[0] = concat_batches(&schema, [&twice, &twice]).expect("one schema");
                        plant = Plant::Nothing;
                    }
                    _ => {}
                }
            }
            apply(&mut views[0], &micro_batch).await.map_err(|e| format!("the view cannot take events in: {e}"))?;
            if midway.is_none() && midway_at.is_some_and(|at| to > at) {
                midway = Some((to as u64, self.rows(&views).await?.1));
            }
            if random.chance(commit) {
                self.commit(&mut views, random.chance(80)).await?;
                if self.follows && random.chance(30) {
                    follower.follow(&views[views.len() - 1].handle()).await?;
                }
                if random.chance(20) {
                    drop(views);
                    views = self.open().await?;
                    self.history.restarts += 1;
                }
            } else if random.chance(crash) {
                drop(views);
                views = self.open().await?;
                self.history.restarts += 1;
                self.history.crashes += 1;
            }
        }
        if random.chance(70) {
            self.commit(&mut views, random.chance(80)).await?;
            if random.chance(60) {
                drop(views);
                views = self.open().await?;
                self.history.restarts += 1;
            }
        }
        let counts = views[0].handle().snapshot().counts;
        self.history.late = counts.late;
        if counts.too_late + counts.late_dropped + counts.missed + counts.partly > 0
            || counts.events != events.len() as u64
        {
            return Err(format!("the view does not account for every event of {}: {counts:?}", events.len()));
        }
        if self.follows {
            follower.check(&views[views.len() - 1].handle()).await?;
        }
        if random.chance(15) {
            self.explain(&views).await?;
        }
        let (schema, rows) = self.rows(&views).await?;
        if schema.column_with_name("w").is_some() && !rows.is_empty() {
            self.part(&views, &schema, &rows, random).await?;
        }
        Ok(Told { schema, rows, midway, history: self.history })
    }

    /// Commits each view, or only the one that reads the stream.
    async fn commit(&mut self, views: &mut [View], all: bool) -> Result<(), String> {
        let count = if all { views.len() } else { 1 };
        for view in &mut views[..count] {
            view.commit().await.map_err(|e| format!("{} cannot commit: {e}", view.handle().name()))?;
            self.history.commits += 1;
        }
        Ok(())
    }

    /// Has some rows explained: their events, counted again, must be these rows.
    async fn explain(&self, views: &[View]) -> Result<(), String> {
        let name = Name::new(VIEW).expect("a name");
        views.iter().for_each(|view| self.lake.add_view(view.handle()));
        let question = Question { rows: Some(3), events: Some(1), ..Question::default() };
        let explained = self.lake.explain_view(&name, &question).await;
        views.iter().for_each(|view| self.lake.remove_view(view.handle().name()));
        let explained = explained.map_err(|e| format!("rows cannot be explained: {e}"))?;
        match explained.rows.iter().find(|row| !row.agrees) {
            Some(row) => Err(format!("a row does not agree with its {} events: {row:?}", row.events)),
            None => Ok(()),
        }
    }

    /// Asks for the windows between two, for which other files need not be read, and compares with what they all are.
    async fn part(&self, views: &[View], schema: &SchemaRef, all: &[Row], random: &mut Random) -> Result<(), String> {
        let (place, _) = schema.column_with_name("w").expect("looked for");
        let starts: Vec<i64> = all.iter().filter_map(|row| row[place].time()).collect();
        if starts.is_empty() {
            return Ok(());
        }
        let (a, b) = (*random.pick(&starts), *random.pick(&starts));
        let (from, to) = (a.min(b), a.max(b));
        let condition = format!("w >= '{}' AND w <= '{}'", Timestamp(from), Timestamp(to));
        let (_, part) = self.query(views, &format!("SELECT * FROM {VIEW} WHERE {condition}")).await?;
        let expected = all.iter().filter(|row| row[place].time().is_some_and(|start| (from..=to).contains(&start)));
        let expected: Vec<Row> = expected.cloned().collect();
        let shown: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let (part, whole) = (Side { name: "part", rows: &part }, Side { name: "whole", rows: &expected });
        difference(&shown, part, whole, false).map_or(Ok(()), |why| Err(format!("where {condition}: {why}")))
    }

    async fn rows(&self, views: &[View]) -> Result<(SchemaRef, Vec<Row>), String> {
        self.query(views, &format!("SELECT * FROM {VIEW}")).await
    }

    async fn query(&self, views: &[View], sql: &str) -> Result<(SchemaRef, Vec<Row>), String> {
        let lake = Lake::new(limits()).expect("a lake");
        views.iter().for_each(|view| lake.add_view(view.handle()));
        let answer = lake.query(sql).await;
        let answer = answer.map_err(|e| format!("the view does not answer: {e}"))?;
        Ok((answer.schema.clone(), value::rows(&answer.batches)))
    }
}

/// Adds a block of these events, which came at one moment.
fn block(
    table: &Table,
    decoder: &Decoder,
    events: &[(&str, Timestamp)],
    from: usize,
    micro_batch: &mut MicroBatch,
) -> Result<(), String> {
    let (mut payload, mut ends) = (Vec::new(), Vec::new());
    for (event, _) in events {
        payload.extend_from_slice(event.as_bytes());
        payload.push(b'\n');
        ends.push(u32::try_from(payload.len()).expect("a small block"));
    }
    let payload = payload.into();
    let received_time = events[0].1;
    let first_offset = Offset(from as u64);
    let columns = decoder
        .decode(&Events { payload: &payload, ends: &ends, first_offset, received_time })
        .map_err(|e| format!("a block cannot be decoded: {e}"))?;
    let times = events.iter().filter_map(|(event, _)| event_time(&table.schema, event));
    micro_batch.batches.push(columns);
    micro_batch.events += events.len() as u64;
    micro_batch.end = Offset((from + events.len()) as u64);
    micro_batch.times.push((None, times.max().map(Timestamp), received_time));
    Ok(())
}

/// Has a view take in all of a table, burst by burst, in one micro-batch.
pub(crate) async fn take_all(table: &Table, view: &mut View) -> Result<(), String> {
    let decoder = Decoder::new(&table.schema, view.plan().required_columns()).map_err(|e| e.to_string())?;
    let events: Vec<(&str, Timestamp)> = table.events().collect();
    let mut micro_batch = MicroBatch { batches: Vec::new(), events: 0, end: Offset(0), times: Vec::new() };
    let mut from = 0;
    for burst in events.chunk_by(|one, other| one.1 == other.1) {
        block(table, &decoder, burst, from, &mut micro_batch)?;
        from += burst.len();
    }
    apply(view, &micro_batch).await.map_err(|e| e.to_string())
}
