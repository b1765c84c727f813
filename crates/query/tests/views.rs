//! Views against a model too simple to be wrong: a map from window and group to numbers, filled event by event.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use arrow::{
    array::AsArray,
    datatypes::{Int64Type, TimestampMicrosecondType},
};
use lakehead_decode::{Decoder, Events};
use lakehead_model::{Kind, Name, Offset, StreamSchema, Timestamp};
use lakehead_query::{Lake, Late, Limits, MicroBatch, SharedFilter, Slot, View, ViewSettings, check_view, check_views};

#[path = "views/changes.rs"]
mod changes;

const EDITS: &str = "SELECT tumble(event_time, INTERVAL '1 minute') AS minute, wiki, count(*) AS edits, \
    sum(length_new) AS bytes FROM recentchange WHERE NOT canary AND type = 'edit' GROUP BY 1, 2";

/// One event as the tests make it.
#[derive(Clone, Debug)]
struct Event {
    seconds: Option<i64>,
    wiki: &'static str,
    kind: &'static str,
    length: Option<i64>,
}

impl Event {
    fn json(&self) -> String {
        let time = self.seconds.map_or(String::new(), |seconds| format!("\"timestamp\":{seconds},"));
        let length = self.length.map_or(String::new(), |length| format!(",\"length\":{{\"new\":{length}}}"));
        let (wiki, kind) = (self.wiki, self.kind);
        format!("{{\"meta\":{{\"domain\":\"{wiki}.org\"}},{time}\"type\":\"{kind}\",\"wiki\":\"{wiki}\"{length}}}")
    }
}

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

    fn event(&mut self, clock: i64) -> Event {
        // Most come within a few seconds, some within a minute, a few hours late: that is what has to be corrected.
        let behind = match self.below(100) {
            0..80 => self.below(5),
            80..97 => self.below(70),
            _ => self.below(3 * 3600),
        };
        Event {
            seconds: (self.below(50) > 0).then(|| clock - i64::try_from(behind).expect("small")),
            wiki: ["enwiki", "dewiki", "a_wiki_with_a_rather_long_name"]
                [usize::try_from(self.below(3)).expect("small")],
            kind: ["edit", "edit", "edit", "log"][usize::try_from(self.below(4)).expect("small")],
            length: (self.below(10) > 0).then(|| i64::try_from(self.below(100_000)).expect("small")),
        }
    }
}

fn schemas() -> BTreeMap<Name, StreamSchema> {
    let schema = StreamSchema::builtin("mediawiki/recentchange").expect("built in");
    BTreeMap::from([(name("recentchange"), schema)])
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

async fn open(data: &Path, sql: &str, settings: ViewSettings) -> (View, Option<String>) {
    let plan = Arc::new(check_view(sql, &schemas()).await.expect("a view"));
    View::open(data, name("edits"), plan, settings, Slot::Active, None).await.expect("opens")
}

/// A round of blocks as the engine would make it. Received time is the greatest event time, so nothing is clamped.
fn micro_batch(view: &View, events: &[Event], from: u64, block: usize) -> MicroBatch {
    let schema = schemas().remove("recentchange").expect("there");
    let decoder = Decoder::new(&schema, view.plan().required_columns()).expect("columns");
    let (mut batches, mut times) = (Vec::new(), Vec::new());
    let mut offset = from;
    for events in events.chunks(block.max(1)) {
        let (mut payload, mut ends) = (Vec::new(), Vec::new());
        for event in events {
            payload.extend_from_slice(event.json().as_bytes());
            payload.push(b'\n');
            ends.push(u32::try_from(payload.len()).expect("small"));
        }
        let greatest = events.iter().filter_map(|event| event.seconds).max().map(Timestamp::from_seconds);
        let received = greatest.unwrap_or(Timestamp(0));
        let payload = payload.into();
        let columns = decoder.decode(&Events {
            payload: &payload,
            ends: &ends,
            first_offset: Offset(offset),
            received_time: received,
        });
        batches.push(columns.expect("columns"));
        times.push((None, greatest, received));
        offset += events.len() as u64;
    }
    MicroBatch { batches, events: events.len() as u64, end: Offset(offset), times }
}

async fn take(micro_batch: &MicroBatch, view: &mut View) {
    let aggregate = view.plan().partial_aggregate(&mut SharedFilter::new(micro_batch)).await.expect("digested");
    view.apply(aggregate).await.expect("absorbed");
}

type Rows = BTreeMap<(i64, String), (i64, Option<i64>)>;

/// What the view says, through a query.
async fn rows(view: &View) -> Rows {
    let lake = Lake::new(Limits::default()).expect("a lake");
    lake.add_view(view.handle());
    let answer = lake.query("SELECT minute, wiki, edits, bytes FROM edits").await.expect("an answer");
    let mut rows = Rows::new();
    for batch in answer.batches {
        let minute = batch.column(0).as_primitive::<TimestampMicrosecondType>();
        let wiki = batch.column(1).as_string_view();
        let (edits, bytes) = (batch.column(2).as_primitive::<Int64Type>(), batch.column(3).as_primitive::<Int64Type>());
        for row in 0..batch.num_rows() {
            let bytes = bytes.iter().nth(row).flatten();
            let old = rows.insert((minute.value(row), wiki.value(row).to_owned()), (edits.value(row), bytes));
            assert!(old.is_none(), "a window and group stand twice: {:?}", (minute.value(row), wiki.value(row)));
        }
    }
    rows
}

/// The model.
fn counted(events: &[Event]) -> Rows {
    let mut rows = Rows::new();
    for event in events.iter().filter(|event| event.kind == "edit") {
        let Some(seconds) = event.seconds else { continue };
        let row = rows.entry((seconds.div_euclid(60) * 60_000_000, event.wiki.to_owned())).or_insert((0, None));
        row.0 += 1;
        row.1 = [row.1, event.length].into_iter().flatten().reduce(|a, b| a + b);
    }
    rows
}

// docs/evidence/known-bugs.md, 6.
#[tokio::test]
async fn a_view_equals_a_count_from_scratch_whatever_the_blocks_commits_and_crashes() {
    for seed in 0..12 {
        let folder = tempfile::tempdir().expect("a folder");
        let mut random = Random(seed);
        let mut clock = 1_700_000_000;
        let events: Vec<Event> = (0..3_000)
            .map(|_| {
                clock += i64::try_from(random.below(20)).expect("small");
                random.event(clock)
            })
            .collect();
        let (mut view, _) = open(folder.path(), EDITS, ViewSettings::default()).await;
        let mut fresh = 0;
        while (view.next_offset().0 as usize) < events.len() {
            let from = view.next_offset().0 as usize;
            let count = (1 + random.below(400) as usize).min(events.len() - from);
            let block = 1 + random.below(120) as usize;
            let some = micro_batch(&view, &events[from..from + count], from as u64, block);
            take(&some, &mut view).await;
            fresh += 1;
            match random.below(6) {
                0 => view.commit().await.expect("committed"),
                // A crash: what was not committed is seen again.
                1 if fresh > 1 => {
                    view = open(folder.path(), EDITS, ViewSettings::default()).await.0;
                    fresh = 0;
                }
                2 => assert_eq!(rows(&view).await, counted(&events[..from + count]), "seed {seed}, mid-way"),
                _ => {}
            }
        }
        assert_eq!(rows(&view).await, counted(&events), "seed {seed}");
        view.commit().await.expect("committed");
        assert_eq!(rows(&view).await, counted(&events), "seed {seed}, committed");
        let (again, rebuild) = open(folder.path(), EDITS, ViewSettings::default()).await;
        assert_eq!((again.next_offset(), rebuild), (Offset(events.len() as u64), None));
        assert_eq!(rows(&again).await, counted(&events), "seed {seed}, opened again");

        let counts = view.handle().snapshot().counts;
        let untimed = events.iter().filter(|e| e.seconds.is_none() && e.kind == "edit").count() as u64;
        let timed = events.iter().filter(|e| e.seconds.is_some() && e.kind == "edit").count() as u64;
        assert_eq!((counts.events, counts.in_view, counts.without_time), (3_000, timed, untimed), "seed {seed}");
        assert!(counts.late > 0, "seed {seed}: the feed should have late events");
        assert_eq!((counts.too_late, counts.late_dropped), (0, 0), "seed {seed}");
    }
}

#[tokio::test]
async fn other_programs_see_one_file_for_each_period_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut random = Random(99);
    let events: Vec<Event> = (0..4_000).map(|i| random.event(1_700_000_000 + i * 4)).collect();
    let (mut view, _) = open(folder.path(), EDITS, ViewSettings::default()).await;
    for (i, some) in events.chunks(500).enumerate() {
        take(&micro_batch(&view, some, i as u64 * 500, 100), &mut view).await;
        view.commit().await.expect("committed");
        nothing_is_left_over(folder.path());
    }
}

/// Looks into the folder of `edits`, where the checkpoint names every file. Answers how many other programs see.
fn nothing_is_left_over(data: &Path) -> usize {
    let public = data.join("views/edits");
    let files: BTreeSet<String> = std::fs::read_dir(&public)
        .expect("a folder")
        .filter_map(|entry| entry.expect("an entry").file_name().into_string().ok())
        .filter(|name| name != ".state")
        .collect();
    let state: Vec<_> = std::fs::read_dir(public.join(".state")).expect("a folder").collect();
    assert!(files.iter().all(|name| name.ends_with(".parquet")), "{files:?}");
    // The checkpoint names every other file, and each of these is there.
    let named = std::fs::read_to_string(public.join(".state/checkpoint.json")).expect("a checkpoint");
    let named: serde_json::Value = serde_json::from_str(&named).expect("JSON");
    let many = |key: &str| named[key].as_array().map_or(0, Vec::len);
    let partials = named["partials"].as_object().expect("partials").values();
    let partials: usize = partials.map(|one| one["generations"].as_array().map_or(0, Vec::len)).sum();
    let expected = files.len() + partials + many("runs") + many("changes") + 1;
    assert_eq!(state.len(), expected, "nothing is left over: {state:?}");
    files.len()
}

/// Edits an hour apart, each in a result period of its own.
fn hourly(hours: std::ops::Range<i64>) -> Vec<Event> {
    let edit = |hour: i64| Event {
        seconds: Some(1_600_000_000 + hour * 3_600),
        wiki: "enwiki",
        kind: "edit",
        length: Some(hour),
    };
    hours.map(edit).collect()
}

#[tokio::test]
async fn very_many_result_periods_are_written_by_several_commits_with_or_without_a_crash_between_them() {
    let events = hourly(0..2_500);
    for crashes in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut view, _) = open(folder.path(), EDITS, ViewSettings::default()).await;
        take(&micro_batch(&view, &events, 0, events.len()), &mut view).await;
        let mut position = None;
        // The last hour's window is open.
        for files in [1_000, 2_000, 2_499] {
            view.commit().await.expect("committed");
            assert_eq!(nothing_is_left_over(folder.path()), files);
            assert_eq!(view.wants_commit(), files < 2_499, "{files} files");
            position = match position {
                None => Some(view.handle().changes_after(None).await.expect("changes").position),
                some => some,
            };
            if crashes {
                let (again, rebuild) = open(folder.path(), EDITS, ViewSettings::default()).await;
                assert_eq!((again.next_offset(), again.wants_commit(), rebuild), (Offset(2_500), files < 2_499, None));
                view = again;
            }
        }
        assert_eq!(rows(&view).await, counted(&events), "crashes: {crashes}");
        let changes = view.handle().changes_after(position).await.expect("changes");
        let is_snapshot = changes.is_snapshot;
        let told: usize = changes.rows().map(|rows| rows.expect("rows").num_rows()).sum();
        assert_eq!((is_snapshot, told), (false, 1_499), "whoever follows is told each row once");
    }
}

#[tokio::test]
async fn late_events_of_very_many_result_periods_correct_each_of_them_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = ViewSettings { lateness: Duration::from_secs(365 * 86_400), ..ViewSettings::default() };
    let (mut view, _) = open(folder.path(), EDITS, settings).await;
    let first = hourly(0..1_200);
    take(&micro_batch(&view, &first, 0, first.len()), &mut view).await;
    for wants_more in [true, false] {
        view.commit().await.expect("committed");
        assert_eq!(view.wants_commit(), wants_more);
    }
    let position = view.handle().changes_after(None).await.expect("changes").position;
    // All of them again, and new ones: what is opened again is written first and at once.
    let second = hourly(0..2_700);
    take(&micro_batch(&view, &second, 1_200, second.len()), &mut view).await;
    let all = [first, second].concat();
    for files in [1_199, 2_199, 2_699] {
        view.commit().await.expect("committed");
        assert_eq!((nothing_is_left_over(folder.path()), view.wants_commit()), (files, files < 2_699));
    }
    assert_eq!(rows(&view).await, counted(&all));
    assert_eq!(view.handle().snapshot().counts.late, 1_199);
    let changes = view.handle().changes_after(Some(position)).await.expect("changes");
    let mut told = BTreeMap::new();
    for rows in changes.rows() {
        let rows = rows.expect("rows");
        let operations = rows.column(0).as_string::<i32>().iter().flatten();
        operations.for_each(|operation| *told.entry(operation.to_owned()).or_insert(0) += 1);
    }
    assert_eq!(told, BTreeMap::from([("insert".to_owned(), 1_500), ("update".to_owned(), 1_199)]));
}

#[tokio::test]
async fn late_events_can_be_left_out_and_are_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = ViewSettings { late: Late::Drop, ..ViewSettings::default() };
    let (mut view, _) = open(folder.path(), EDITS, settings).await;
    let edit = |seconds| Event { seconds: Some(seconds), wiki: "enwiki", kind: "edit", length: None };
    take(&micro_batch(&view, &[edit(0), edit(59), edit(600)], 0, 10), &mut view).await;
    view.commit().await.expect("committed");
    take(&micro_batch(&view, &[edit(30), edit(601)], 3, 10), &mut view).await;
    let counts = view.handle().snapshot().counts;
    assert_eq!((counts.in_view, counts.late_dropped), (4, 1));
    assert_eq!(rows(&view).await.values().map(|row| row.0).sum::<i64>(), 4);
}

#[tokio::test]
async fn what_comes_later_than_lateness_is_counted_and_left_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = ViewSettings { lateness: Duration::from_secs(3600), ..ViewSettings::default() };
    let (mut view, _) = open(folder.path(), EDITS, settings).await;
    let edit = |seconds| Event { seconds: Some(seconds), wiki: "enwiki", kind: "edit", length: None };
    take(&micro_batch(&view, &[edit(0), edit(9_000)], 0, 10), &mut view).await;
    view.commit().await.expect("committed");
    take(&micro_batch(&view, &[edit(1), edit(8_000)], 2, 10), &mut view).await;
    let counts = view.handle().snapshot().counts;
    assert_eq!((counts.in_view, counts.late, counts.too_late), (3, 1, 1));
}

#[tokio::test]
async fn one_event_from_the_future_closes_nothing_early() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut view, _) = open(folder.path(), EDITS, ViewSettings::default()).await;
    let edit = |seconds| Event { seconds: Some(seconds), wiki: "enwiki", kind: "edit", length: None };
    let mut first = micro_batch(&view, &[edit(1_000), edit(1_000_000)], 0, 10);
    first.times = vec![(None, Some(Timestamp::from_seconds(1_000_000)), Timestamp::from_seconds(1_010))];
    take(&first, &mut view).await;
    assert_eq!(view.handle().snapshot().watermark, Some(Timestamp::from_seconds(950)));
}

#[tokio::test]
async fn another_sql_rebuilds_and_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut view, _) = open(folder.path(), EDITS, ViewSettings::default()).await;
    let edit = Event { seconds: Some(0), wiki: "enwiki", kind: "edit", length: None };
    take(&micro_batch(&view, &[edit], 0, 1), &mut view).await;
    view.commit().await.expect("committed");
    let other = EDITS.replace("'edit'", "'new'");
    let (view, rebuild) = open(folder.path(), &other, ViewSettings::default()).await;
    assert_eq!((view.next_offset(), rebuild.as_deref()), (Offset(0), Some("its SQL or a column was changed")));
}

#[tokio::test]
async fn a_lost_or_torn_file_rebuilds_and_says_so() {
    for file in ["checkpoint.json", "partial"] {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut view, _) = open(folder.path(), EDITS, ViewSettings::default()).await;
        let edit = |seconds| Event { seconds: Some(seconds), wiki: "enwiki", kind: "edit", length: None };
        take(&micro_batch(&view, &[edit(0), edit(10_000)], 0, 1), &mut view).await;
        view.commit().await.expect("committed");
        drop(view);
        for entry in std::fs::read_dir(folder.path().join("views/edits/.state")).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.to_string_lossy().ends_with(file) {
                let length = std::fs::metadata(&path).expect("a file").len();
                let torn = std::fs::OpenOptions::new().write(true).open(&path).expect("a file");
                torn.set_len(length / 2).expect("cut");
            }
        }
        let (view, rebuild) = open(folder.path(), EDITS, ViewSettings::default()).await;
        assert_eq!(view.next_offset(), Offset(0), "{file}");
        assert!(rebuild.is_some(), "{file}");
    }
}

#[tokio::test]
async fn what_cannot_be_kept_up_to_date_is_refused_with_the_nearest_thing() {
    let window = "tumble(event_time, INTERVAL '1 minute')";
    let cases = [
        ("SELECT wiki, count(*) AS n FROM recentchange GROUP BY 1".to_owned(), "add GROUP BY tumble("),
        (format!("SELECT {window} AS m, count(*) AS n FROM recentchange GROUP BY 1 LIMIT 5"), "ORDER BY … LIMIT"),
        (format!("SELECT {window} AS m, count(*) AS n FROM recentchange GROUP BY 1 ORDER BY 1"), "put ORDER BY"),
        (
            format!("SELECT {window} AS m, first_value(wiki) AS w FROM recentchange GROUP BY 1"),
            "first_value(title ORDER BY event_time)",
        ),
        (
            format!("SELECT {window} AS m, count(*) AS n FROM recentchange WHERE event_time < now() GROUP BY 1"),
            "use event_time",
        ),
        (format!("SELECT {window} AS m, max(random()) AS r FROM recentchange GROUP BY 1"), "query over the view"),
        (
            format!(
                "SELECT {window} AS m, tumble(received_time, INTERVAL '1 hour') AS h, count(*) AS n FROM recentchange GROUP BY 1, 2"
            ),
            "a view for each window",
        ),
        (
            "SELECT tumble(meta_dt, INTERVAL '1 minute') AS m, count(*) AS n FROM recentchange GROUP BY 1".into(),
            "event_time or received_time",
        ),
        (
            "SELECT tumble(event_time, INTERVAL '1 month 1 day') AS m, count(*) AS n FROM recentchange GROUP BY 1"
                .into(),
            "mixes units",
        ),
        (format!("SELECT {window} AS m, count(*) FROM recentchange GROUP BY 1"), "name it with AS"),
        (format!("SELECT {window} AS m, count(*) AS n FROM recentchanges GROUP BY 1"), "recentchanges"),
        (format!("SELECT {window} AS m, count(wikki) AS n FROM recentchange GROUP BY 1"), "wikki"),
        ("SELEC 1".to_owned(), "SELEC"),
        (
            format!(
                "SELECT {window} AS m, count(*) AS n FROM recentchange a JOIN recentchange b ON a.id = b.id GROUP BY 1"
            ),
            "",
        ),
    ];
    for (sql, says) in cases {
        let error = check_view(&sql, &schemas()).await.expect_err(&sql);
        assert_eq!(error.kind(), Kind::Invalid, "{sql}: {error:?}");
        assert!(error.to_string().contains(says), "{sql}\n says: {error}\n expected: {says}");
    }
}

#[tokio::test]
async fn a_distinct_count_and_having_stay_exact_across_commits() {
    let sql = "SELECT tumble(event_time, INTERVAL '1 minute') AS minute, wiki, count(DISTINCT length_new) AS edits, \
               max(length_new) AS bytes FROM recentchange GROUP BY 1, 2 HAVING count(*) > 2";
    let folder = tempfile::tempdir().expect("a folder");
    let mut random = Random(5);
    let events: Vec<Event> = (0..2_000)
        .map(|i| Event {
            length: Some(i64::try_from(random.below(7)).expect("small")),
            ..random.event(1_700_000_000 + i * 7)
        })
        .collect();
    let (mut view, _) = open(folder.path(), sql, ViewSettings::default()).await;
    for (i, some) in events.chunks(250).enumerate() {
        take(&micro_batch(&view, some, i as u64 * 250, 40), &mut view).await;
        view.commit().await.expect("committed");
    }
    let mut groups: BTreeMap<(i64, String), Vec<i64>> = BTreeMap::new();
    for event in &events {
        if let (Some(seconds), Some(length)) = (event.seconds, event.length) {
            groups.entry((seconds.div_euclid(60) * 60_000_000, event.wiki.to_owned())).or_default().push(length);
        }
    }
    let expected: Rows = groups
        .into_iter()
        .filter(|(_, lengths)| lengths.len() > 2)
        .map(|(key, lengths)| {
            let distinct: BTreeSet<_> = lengths.iter().collect();
            (key, (i64::try_from(distinct.len()).expect("small"), lengths.iter().max().copied()))
        })
        .collect();
    assert_eq!(rows(&view).await, expected);
}

/// A view `edits` and a view `sums` over it, in a lake.
async fn stacked(below: &str, above: &str) -> (Vec<View>, Lake, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let views = BTreeMap::from([(name("edits"), below.to_owned()), (name("sums"), above.to_owned())]);
    let lake = Lake::new(Limits::default()).expect("a lake");
    let mut opened: Vec<View> = Vec::new();
    for (name, plan) in check_views(&views, &schemas()).await.expect("they can be planned") {
        let upstream = opened.last().map(View::handle);
        let plan = plan.expect("a view");
        let view = View::open(folder.path(), name, plan, ViewSettings::default(), Slot::Active, upstream).await;
        let view = view.expect("opens").0;
        lake.add_view(view.handle());
        opened.push(view);
    }
    (opened, lake, folder)
}

/// What `sums` says, window by window.
async fn sums(lake: &Lake) -> Vec<i64> {
    let answer = lake.query("SELECT edits FROM sums ORDER BY w").await.expect("an answer");
    let batches = answer.batches.iter();
    batches.flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
}

#[tokio::test]
async fn a_view_over_a_view_shows_late_rows_of_an_hour_that_had_none_before_they_are_committed() {
    let above = "SELECT tumble(minute, INTERVAL '6 hours') AS w, sum(edits) AS edits FROM edits GROUP BY 1";
    let (mut opened, lake, _folder) = stacked(EDITS, above).await;
    let edit = |seconds| Event { seconds: Some(seconds), wiki: "enwiki", kind: "edit", length: None };
    // The first hour and the third to the eighth: no file for the second, and the first six hours are closed.
    let events: Vec<Event> = [100, 8_000, 12_000, 20_000, 30_000].map(edit).into();
    let first = micro_batch(&opened[0], &events, 0, 10);
    take(&first, &mut opened[0]).await;
    for view in &mut opened {
        view.commit().await.expect("committed");
    }
    assert_eq!(sums(&lake).await, [4, 1]);
    assert_eq!(opened[1].handle().snapshot().result_files(), 1, "the first six hours are in a file");
    let late = micro_batch(&opened[0], &[edit(4_000)], 5, 10);
    take(&late, &mut opened[0]).await;
    assert_eq!(sums(&lake).await, [5, 1], "in memory");
    opened[0].commit().await.expect("committed");
    assert_eq!(sums(&lake).await, [5, 1], "committed below");
    opened[1].commit().await.expect("committed");
    assert_eq!(sums(&lake).await, [5, 1], "committed");
}

#[tokio::test]
async fn a_view_over_a_view_with_very_many_result_periods_follows_it_in_several_commits() {
    let above = "SELECT tumble(minute, INTERVAL '10 minutes') AS w, sum(edits) AS edits FROM edits GROUP BY 1";
    let (mut opened, lake, _folder) = stacked(EDITS, above).await;
    let events = hourly(0..1_500);
    let first = micro_batch(&opened[0], &events, 0, events.len());
    take(&first, &mut opened[0]).await;
    for (below, above) in [(1_000, 0), (1_499, 0), (1_499, 1_000), (1_499, 1_499)] {
        let view = usize::from(above > 0);
        opened[view].commit().await.expect("committed");
        let files = [0, 1].map(|view| opened[view].handle().snapshot().result_files());
        assert_eq!((files, opened[view].wants_commit()), ([below, above], [below, above][view] < 1_499));
        assert_eq!(sums(&lake).await, vec![1; 1_500], "{below} files below and {above} above");
    }
}

#[tokio::test]
async fn a_window_that_reaches_into_the_next_period_is_corrected_by_what_comes_there() {
    // Days of the upstream view begin at 13:00 UTC here, within the window from 12:57 to 13:04.
    let below = "SELECT tumble(event_time, INTERVAL '1 day', 'Australia/Lord_Howe') AS minute, wiki, count(*) AS edits, \
                 sum(length_new) AS bytes FROM recentchange GROUP BY 1, 2";
    let above = "SELECT tumble(minute, INTERVAL '7 minutes') AS w, sum(edits) AS edits FROM edits GROUP BY 1";
    let (mut views, lake, _folder) = stacked(below, above).await;
    let edit = |seconds| Event { seconds: Some(seconds), wiki: "enwiki", kind: "edit", length: None };
    let day = 1_633_611_600;
    let first = micro_batch(&views[0], &[edit(day + 5), edit(day + 90_000), edit(day + 100_000)], 0, 10);
    take(&first, &mut views[0]).await;
    for view in &mut views {
        view.commit().await.expect("committed");
    }
    assert_eq!(sums(&lake).await, [1, 2]);
    let late = micro_batch(&views[0], &[edit(day + 6)], 3, 10);
    take(&late, &mut views[0]).await;
    assert_eq!(sums(&lake).await, [2, 2], "in memory");
    for view in &mut views {
        view.commit().await.expect("committed");
        assert_eq!(sums(&lake).await, [2, 2], "committed");
    }
}

#[tokio::test]
async fn a_session_that_a_late_event_opens_again_leaves_the_file_that_it_was_in() {
    let sql = "SELECT session(event_time, INTERVAL '2 minutes') AS minute, wiki, count(*) AS edits, sum(length_new) AS bytes \
               FROM recentchange GROUP BY 1, 2";
    let folder = tempfile::tempdir().expect("a folder");
    let (mut view, _) = open(folder.path(), sql, ViewSettings::default()).await;
    let edit = |seconds| Event { seconds: Some(seconds), wiki: "enwiki", kind: "edit", length: None };
    // The first session is over, the second is not.
    take(&micro_batch(&view, &[edit(3_500), edit(3_700)], 0, 10), &mut view).await;
    view.commit().await.expect("committed");
    let files = || {
        let entries = std::fs::read_dir(folder.path().join("views/edits")).expect("a folder");
        let names = entries.filter_map(|entry| entry.expect("an entry").file_name().into_string().ok());
        names.filter(|name| name.ends_with(".parquet")).collect::<BTreeSet<_>>()
    };
    assert_eq!(files().len(), 1, "{:?}", files());
    let position = view.handle().changes_after(None).await.expect("changes").position;
    // It makes one of them, which is not over.
    take(&micro_batch(&view, &[edit(3_590)], 2, 10), &mut view).await;
    assert_eq!(rows(&view).await.values().map(|row| row.0).collect::<Vec<_>>(), [3]);
    view.commit().await.expect("committed");
    assert_eq!(rows(&view).await.values().map(|row| row.0).collect::<Vec<_>>(), [3]);
    assert_eq!(files(), BTreeSet::new(), "other programs do not see what is not over");
    let changes = view.handle().changes_after(Some(position)).await.expect("changes");
    let is_snapshot = changes.is_snapshot;
    let rows = changes.rows().collect::<Result<Vec<_>, _>>().expect("rows");
    let operations = rows.iter().flat_map(|batch| batch.column(0).as_string::<i32>().iter().flatten());
    assert_eq!((is_snapshot, operations.collect::<Vec<_>>()), (false, vec!["delete"]));
}
