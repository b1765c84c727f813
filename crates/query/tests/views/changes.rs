//! The changes of a view against a model: a follower that applies them commit by commit has the rows of the closed windows,
//! whatever comes late, vanishes, is reopened, replaced or killed.

use std::{collections::BTreeMap, path::Path, process::Command, sync::Arc};

use arrow::{
    array::RecordBatch,
    util::display::{ArrayFormatter, FormatOptions},
};
use lakehead_model::{Offset, Position, Timestamp};
use lakehead_query::{Slot, View, ViewHandle, ViewSettings, check_view};
use lakehead_store::crash;

use super::{EDITS, Event, Random, micro_batch, name, open, schemas, take};

/// A view's SQL, and what it says in the model.
#[derive(Clone, Copy, Debug)]
struct Variant {
    /// Of the windows.
    seconds: i64,
    kind: &'static str,
    /// Fewer are filtered out by HAVING.
    at_least: i64,
    /// More are, too: a late event takes such a row away.
    at_most: i64,
    /// It has a column more, so its changes do not follow on those of others.
    is_wider: bool,
}

const FIRST: Variant = Variant { seconds: 60, kind: "edit", at_least: 1, at_most: 1_000, is_wider: false };
const VARIANTS: [Variant; 5] = [
    FIRST,
    Variant { at_least: 2, at_most: 3, ..FIRST },
    Variant { kind: "log", ..FIRST },
    Variant { seconds: 600, ..FIRST },
    Variant { is_wider: true, ..FIRST },
];

impl Variant {
    fn sql(self) -> String {
        let Self { seconds, kind, at_least, at_most, is_wider } = self;
        let more = if is_wider { ", max(length_new) AS longest" } else { "" };
        EDITS
            .replace("1 minute", &format!("{seconds} seconds"))
            .replace("'edit'", &format!("'{kind}'"))
            .replace(" AS bytes", &format!(" AS bytes{more}"))
            + &format!(" HAVING count(*) BETWEEN {at_least} AND {at_most}")
    }

    /// The rows of the windows that end at or before `watermark`, as text by key: it knows nothing of how a view works.
    fn rows(self, events: &[Event], watermark: Option<Timestamp>) -> BTreeMap<String, String> {
        let mut counted: BTreeMap<(i64, &str), Counted> = BTreeMap::new();
        for event in events.iter().filter(|event| event.kind == self.kind) {
            let Some(seconds) = event.seconds else { continue };
            let start = seconds.div_euclid(self.seconds) * self.seconds;
            if watermark.is_none_or(|watermark| Timestamp::from_seconds(start + self.seconds) > watermark) {
                continue;
            }
            let row = counted.entry((start, event.wiki)).or_default();
            row.0 += 1;
            row.1 = [row.1, event.length].into_iter().flatten().reduce(|a, b| a + b);
            row.2 = row.2.max(event.length);
        }
        counted.retain(|_, row| (self.at_least..=self.at_most).contains(&row.0));
        let text = |number: Option<i64>| number.map_or(String::new(), |number| number.to_string());
        let row = |((start, wiki), (edits, bytes, longest)): (&(i64, &str), &Counted)| {
            let key = format!("{}|{wiki}", Timestamp::from_seconds(*start));
            let longest = if self.is_wider { format!("|{}", text(*longest)) } else { String::new() };
            (key.clone(), format!("{key}|{edits}|{}{longest}", text(*bytes)))
        };
        counted.iter().map(row).collect()
    }
}

/// How many events of a key, their bytes and the longest.
type Counted = (i64, Option<i64>, Option<i64>);

/// Applies changes, and finds fault with them.
#[derive(Default)]
struct Follower {
    position: Option<Position>,
    rows: BTreeMap<String, String>,
    snapshots: usize,
    commits: usize,
}

impl Follower {
    async fn follow(&mut self, view: &ViewHandle) {
        let changes = view.changes_after(self.position).await.expect("changes");
        if changes.is_snapshot {
            self.rows.clear();
            self.snapshots += 1;
        }
        assert_eq!(changes.plan.key().expect("a key"), ["minute", "wiki"]);
        let end = changes.position;
        for commit in changes.commits {
            assert!(changes.is_snapshot || self.position != Some(commit.position), "a commit comes once");
            let (mut seen, mut deletes_are_over) = (Vec::new(), false);
            for batch in commit.rows {
                let batch = batch.expect("rows");
                assert!(batch.num_rows() <= 8_192, "bounded");
                for (operation, key, row) in texts(&batch) {
                    assert!(!seen.contains(&key), "a row changes once in a commit: {key}");
                    seen.push(key.clone());
                    assert!(operation != "delete" || !deletes_are_over, "deletes come first");
                    deletes_are_over |= operation != "delete";
                    let was = match operation.as_str() {
                        "delete" => self.rows.remove(&key),
                        _ => self.rows.insert(key.clone(), row.clone()),
                    };
                    match operation.as_str() {
                        "insert" => assert_eq!(was, None, "{key} is inserted twice"),
                        "update" => assert!(was.is_some_and(|was| was != row), "{key} is not there or not different"),
                        _ => assert_eq!(was.as_ref(), Some(&row), "{key} is not as it is deleted"),
                    }
                }
            }
            self.position = Some(commit.position);
            self.commits += 1;
        }
        self.position = Some(end);
    }
}

/// Each row's operation, key and text.
fn texts(batch: &RecordBatch) -> Vec<(String, String, String)> {
    let options = FormatOptions::default();
    let columns: Vec<_> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).expect("shown")).collect();
    let row = |row: usize| {
        let mut cells = columns.iter().map(|column| column.value(row).to_string());
        let operation = cells.next().expect("an operation");
        let cells: Vec<String> = cells.collect();
        (operation, cells[..2].join("|"), cells.join("|"))
    };
    (0..batch.num_rows()).map(row).collect()
}

fn some_events(random: &mut Random, count: usize) -> Vec<Event> {
    let mut clock = 1_700_000_000;
    let mut event = || {
        clock += i64::try_from(random.below(20)).expect("small");
        random.event(clock)
    };
    (0..count).map(|_| event()).collect()
}

async fn shadow(data: &Path, variant: Variant, settings: ViewSettings) -> View {
    let plan = Arc::new(check_view(&variant.sql(), &schemas()).await.expect("a view"));
    View::open(data, name("edits"), plan, settings, Slot::Shadow, None).await.expect("opens").0
}

/// Applies the events that the view has not seen, in some micro-batches.
async fn catch_up(view: &mut View, events: &[Event], each: usize) {
    while (view.next_offset().0 as usize) < events.len() {
        let from = view.next_offset().0 as usize;
        let to = events.len().min(from + each);
        take(&micro_batch(view, &events[from..to], from as u64, 100), view).await;
    }
}

#[tokio::test]
async fn the_changes_in_their_order_make_the_rows_of_the_closed_windows_after_every_commit_and_cutover() {
    let mut told = [0; 3];
    for seed in 0..12 {
        let folder = tempfile::tempdir().expect("a folder");
        let mut random = Random(seed);
        let events = some_events(&mut random, 3_000);
        let mut variant = FIRST;
        let mut view = open(folder.path(), &variant.sql(), ViewSettings::default()).await.0;
        // One reads after every commit; the other lags, and sees many commits and cutovers at once.
        let (mut near, mut lagging) = (Follower::default(), Follower::default());
        let mut seen = 0;
        while seen < events.len() {
            seen = events.len().min(seen + 1 + random.below(250) as usize);
            catch_up(&mut view, &events[..seen], 1 + random.below(200) as usize).await;
            let before = near.snapshots;
            // Of a view that has committed nothing no history is left by a crash.
            let mut may_begin_anew =
                near.position.is_none_or(|position| matches!(position, Position::View { commit: 0, .. }));
            match random.below(8) {
                0 => {
                    // A crash: what was not committed comes again.
                    view = open(folder.path(), &variant.sql(), ViewSettings::default()).await.0;
                    catch_up(&mut view, &events[..seen], 200).await;
                }
                1 => {
                    let next = VARIANTS[random.below(5) as usize];
                    may_begin_anew |= next.is_wider != variant.is_wider;
                    let mut fresh = shadow(folder.path(), next, ViewSettings::default()).await;
                    catch_up(&mut fresh, &events[..seen], 500).await;
                    if random.below(3) == 0 {
                        // A crash of what is built: it begins again.
                        fresh.commit().await.expect("committed");
                        fresh = shadow(folder.path(), next, ViewSettings::default()).await;
                        catch_up(&mut fresh, &events[..seen], 500).await;
                    }
                    fresh.take_over(view).await.map_err(|(_, error)| error).expect("swapped");
                    (view, variant) = (fresh, next);
                    told[0] += 1;
                }
                _ => view.commit().await.expect("committed"),
            }
            let handle = view.handle();
            let told_at = *handle.commits().borrow();
            near.follow(&handle).await;
            assert_eq!(near.position, Some(told_at), "who waits is told of the last commit");
            let mut committed = Follower::default();
            committed.follow(&handle).await;
            assert_eq!(near.rows, committed.rows, "seed {seed} at {seen}: {variant:?}");
            assert!(near.snapshots == before || may_begin_anew, "seed {seed} at {seen}: no snapshot: {variant:?}");
            if random.below(6) == 0 {
                lagging.follow(&handle).await;
                assert_eq!(lagging.rows, near.rows, "seed {seed} at {seen}: {variant:?}");
            }
        }
        view.commit().await.expect("committed");
        for follower in [&mut near, &mut lagging] {
            follower.follow(&view.handle()).await;
            let watermark = view.handle().snapshot().watermark;
            assert_eq!(follower.rows, variant.rows(&events, watermark), "seed {seed}: {variant:?}");
            assert!(!follower.rows.is_empty());
        }
        told[1] += near.commits;
        told[2] += near.snapshots;
    }
    assert!(told[0] > 10 && told[1] > 100 && told[2] < told[0] + 12, "{told:?}");
}

#[tokio::test]
async fn a_commit_wakes_who_waits_and_the_wait_lasts_over_a_cutover_until_nobody_keeps_the_view() {
    let folder = tempfile::tempdir().expect("a folder");
    let events = some_events(&mut Random(5), 400);
    let mut view = open(folder.path(), &FIRST.sql(), ViewSettings::default()).await.0;
    let mut commits = view.handle().commits();
    let position = |incarnation, commit| Position::View { incarnation, commit };
    assert_eq!(*commits.borrow_and_update(), position(0, 0));
    catch_up(&mut view, &events[..200], 50).await;
    assert!(!commits.has_changed().expect("open"), "what is applied is no commit");
    view.commit().await.expect("committed");
    commits.changed().await.expect("open");
    assert_eq!(*commits.borrow_and_update(), position(0, 1));
    let mut next = shadow(folder.path(), VARIANTS[1], ViewSettings::default()).await;
    catch_up(&mut next, &events[..200], 50).await;
    next.commit().await.expect("committed");
    assert!(!commits.has_changed().expect("open"), "what is built is nobody's yet");
    next.take_over(view).await.map_err(|(_, error)| error).expect("swapped");
    commits.changed().await.expect("open");
    let at = *commits.borrow_and_update();
    assert!(matches!(at, Position::View { incarnation: 1, .. }), "{at}");
    let handle = next.handle();
    drop(next);
    assert!(commits.changed().await.is_err(), "nobody keeps it up to date: look for it again");
    assert_eq!(handle.changes_after(Some(at)).await.expect("changes").commits.count(), 0);
}

#[tokio::test]
async fn rows_that_are_lost_or_made_again_with_a_damaged_file_are_told_by_a_snapshot() {
    let folder = tempfile::tempdir().expect("a folder");
    let events = some_events(&mut Random(9), 1_500);
    // The log does not hold all that it was made of, so it goes on without what is damaged.
    let settings = ViewSettings { log_start: Offset(1), ..ViewSettings::default() };
    let mut view = open(folder.path(), &FIRST.sql(), settings).await.0;
    let mut follower = Follower::default();
    for seen in [500, 1_000, 1_500] {
        catch_up(&mut view, &events[..seen], 100).await;
        view.commit().await.expect("committed");
        follower.follow(&view.handle()).await;
    }
    drop(view);
    let files = std::fs::read_dir(folder.path().join("views/edits/.state")).expect("a folder");
    let files = files.map(|file| file.expect("a file").path());
    let path = files.filter(|path| path.extension().is_some_and(|ending| ending == "result")).min().expect("a result");
    let mut bytes = std::fs::read(&path).expect("reads");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).expect("writes");

    let mut view = open(folder.path(), &FIRST.sql(), settings).await.0;
    assert_eq!(follower.snapshots, 1);
    for _ in 0..3 {
        follower.follow(&view.handle()).await;
        let mut fresh = Follower::default();
        fresh.follow(&view.handle()).await;
        assert_eq!(follower.rows, fresh.rows);
        view.commit().await.expect("committed");
    }
    assert!((2..=3).contains(&follower.snapshots), "{}", follower.snapshots);
    let watermark = view.handle().snapshot().watermark;
    follower.follow(&view.handle()).await;
    assert_eq!(follower.rows, FIRST.rows(&events, watermark), "made again of what is kept");
}

/// A view with very many commits that change little, each of which has a file.
async fn many_commits(view: &mut View, from: usize, count: usize) {
    for n in from..from + count {
        let edit = Event {
            seconds: Some(1_600_000_000 + i64::try_from(n).expect("small") * 60),
            wiki: "enwiki",
            kind: "edit",
            length: None,
        };
        take(&micro_batch(view, &[edit], n as u64, 1), view).await;
        view.commit().await.expect("committed");
    }
}

#[tokio::test]
async fn changes_are_kept_for_who_claims_them_also_over_a_restart_and_who_lags_too_far_is_counted_and_gets_a_snapshot()
{
    let folder = tempfile::tempdir().expect("a folder");
    let settings = ViewSettings { changes_bytes_max: 60_000, ..ViewSettings::default() };
    let mut view = open(folder.path(), &FIRST.sql(), settings).await.0;
    many_commits(&mut view, 0, 5).await;
    let mut follower = Follower::default();
    follower.follow(&view.handle()).await;
    let handle = view.handle();
    let claim = handle.claims().claim("sink a", follower.position);
    many_commits(&mut view, 5, 10).await;
    // Its holder stops, and then the process.
    drop(claim);
    many_commits(&mut view, 15, 3).await;
    drop(view);
    let mut view = open(folder.path(), &FIRST.sql(), settings).await.0;
    let handle = view.handle();
    let remembered = handle.claims().list();
    assert_eq!((remembered.len(), remembered[0].at, remembered[0].is_held), (1, follower.position, false));
    let claim = handle.claims().claim("sink a", follower.position);
    follower.follow(&handle).await;
    assert_eq!((follower.snapshots, handle.claims().overtaken()), (1, 0), "nothing was lost");
    claim.advance(follower.position.expect("a position"));

    // What is read stays on disk until it was read, also when no claim holds it.
    let behind = handle.changes_after(follower.position).await.expect("changes");
    assert_eq!(behind.commits.count(), 0);
    many_commits(&mut view, 18, 3).await;
    let behind = handle.changes_after(follower.position).await.expect("changes");
    many_commits(&mut view, 21, 60).await;
    assert_eq!(handle.claims().overtaken(), 1, "it was away for more than 60 kB of changes");
    assert!(handle.claims().list()[0].is_overtaken);
    let rows: Vec<_> = behind.rows().collect::<Result<_, _>>().expect("all files are there still");
    assert!(!rows.is_empty());
    follower.follow(&handle).await;
    assert_eq!(follower.snapshots, 2);
    claim.advance(follower.position.expect("a position"));
    many_commits(&mut view, 81, 2).await;
    follower.follow(&handle).await;
    assert_eq!((follower.snapshots, handle.claims().overtaken()), (2, 1));
    claim.release();
    assert_eq!(handle.claims().list(), []);
    drop((view, handle));
    let files = std::fs::read_dir(folder.path().join("views/edits/.state")).expect("a folder");
    let left = files.filter(|file| file.as_ref().expect("a file").file_name().to_string_lossy().starts_with("changes"));
    assert!(left.count() < 60, "what nobody needs is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_read_while_commits_happen_and_the_sql_is_changed_and_changed_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let events = some_events(&mut Random(77), 4_000);
    let mut view = open(folder.path(), &FIRST.sql(), ViewSettings::default()).await.0;
    let handle = view.handle();
    let mut commits = handle.commits();
    let reading = tokio::spawn(async move {
        let mut follower = Follower::default();
        loop {
            let is_over = commits.changed().await.is_err();
            commits.borrow_and_update();
            follower.follow(&handle).await;
            if is_over {
                return follower;
            }
        }
    });
    for (turn, seen) in (100..=events.len()).step_by(100).enumerate() {
        catch_up(&mut view, &events[..seen], 30).await;
        if turn % 4 == 3 {
            let mut next = shadow(folder.path(), VARIANTS[turn / 4 % 2], ViewSettings::default()).await;
            catch_up(&mut next, &events[..seen], 500).await;
            next.take_over(view).await.map_err(|(_, error)| error).expect("swapped");
            view = next;
        } else {
            view.commit().await.expect("committed");
        }
        tokio::task::yield_now().await;
    }
    view.commit().await.expect("committed");
    let watermark = view.handle().snapshot().watermark;
    drop(view);
    let follower = reading.await.expect("it ends");
    assert_eq!(follower.rows, VARIANTS[1].rows(&events, watermark));
    assert!(follower.snapshots <= 1, "{} snapshots", follower.snapshots);
}

const CHILD: &str = "changes::a_child_that_is_killed_at_a_point";
const DATA: &str = "LAKEHEAD_TEST_DATA";

/// What a child does until it is killed: a commit of more events, and a cutover.
#[tokio::test]
async fn a_child_that_is_killed_at_a_point() {
    let Ok(told) = std::env::var(DATA) else { return };
    let [data, point, nth, seen, from, to]: [&str; 6] =
        told.split('\n').collect::<Vec<_>>().try_into().expect("six of them");
    let number = |text: &str| text.parse::<usize>().expect("a number");
    let (events, seen) = (some_events(&mut Random(31), 3_000), number(seen));
    let (old, new) = (VARIANTS[number(from)], VARIANTS[number(to)]);
    let mut view = open(Path::new(data), &old.sql(), ViewSettings::default()).await.0;
    crash::arm(point, number(nth) as u64).expect("a point");
    catch_up(&mut view, &events[..seen], 50).await;
    view.commit().await.expect("committed");
    let mut next = shadow(Path::new(data), new, ViewSettings::default()).await;
    catch_up(&mut next, &events[..seen], 500).await;
    next.take_over(view).await.map_err(|(_, error)| error).expect("swapped");
    panic!("it came past {point}");
}

#[tokio::test]
async fn a_kill_at_any_point_of_a_commit_or_cutover_neither_loses_nor_doubles_a_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let events = some_events(&mut Random(31), 3_000);
    let mut follower = Follower::default();
    let (mut now, mut seen) = (0, 300);
    let mut view = open(folder.path(), &VARIANTS[now].sql(), ViewSettings::default()).await.0;
    catch_up(&mut view, &events[..seen], 50).await;
    view.commit().await.expect("committed");
    view.commit().await.expect("committed");
    follower.follow(&view.handle()).await;
    drop(view);
    let points = [
        ("checkpoint.files", 1),
        ("checkpoint.written", 1),
        ("checkpoint.renamed", 1),
        ("checkpoint.published", 1),
        // The shadow's commit, and then the checkpoint that has the history.
        ("checkpoint.files", 2),
        ("checkpoint.written", 3),
        ("checkpoint.renamed", 2),
        ("view.swap", 1),
        ("view.swapped", 1),
    ];
    for (turn, (point, nth)) in points.into_iter().enumerate() {
        seen += 250;
        let next = (now + 1 + turn % 2) % 4;
        let told = [folder.path().to_str().expect("text"), point, &nth.to_string(), &seen.to_string()]
            .map(str::to_owned)
            .into_iter()
            .chain([now.to_string(), next.to_string()]);
        let told = told.collect::<Vec<_>>().join("\n");
        let child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", CHILD])
            .env(DATA, told)
            .output()
            .expect("it starts");
        assert_eq!(child.status.code(), None, "{point} killed it: {}", String::from_utf8_lossy(&child.stdout));
        if point == "view.swapped" {
            now = next;
        }
        // As a start does: the active view goes on, and then what was built takes its place, if the SQL is still to change.
        let mut view = open(folder.path(), &VARIANTS[now].sql(), ViewSettings::default()).await.0;
        follower.follow(&view.handle()).await;
        catch_up(&mut view, &events[..seen], 70).await;
        view.commit().await.expect("committed");
        follower.follow(&view.handle()).await;
        let watermark = view.handle().snapshot().watermark;
        assert_eq!(follower.rows, VARIANTS[now].rows(&events[..seen], watermark), "{point}");
        if turn % 2 == 0 && now != next {
            let mut fresh = shadow(folder.path(), VARIANTS[next], ViewSettings::default()).await;
            catch_up(&mut fresh, &events[..seen], 500).await;
            fresh.take_over(view).await.map_err(|(_, error)| error).expect("swapped");
            now = next;
            follower.follow(&fresh.handle()).await;
            assert_eq!(follower.rows, VARIANTS[now].rows(&events[..seen], watermark), "after {point}");
        }
    }
    assert_eq!(follower.snapshots, 1, "only at first");
}
