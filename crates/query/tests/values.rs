//! Numbers at the ends of their types, as views and as queries: right, or not there, and told.
//!
//! Every statement runs as a query over the stream and as a view that takes the same events in in small rounds, is committed
//! and opened again on the way, and is audited at the end.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use arrow::{
    array::RecordBatch,
    util::display::{ArrayFormatter, FormatOptions},
};
use lakehead_decode::{Decoder, Events};
use lakehead_model::{Clock, Column, ColumnType, EventBatch, Name, Offset, StreamSchema, Timestamp};
use lakehead_query::{
    Error, Extent, Lake, Limits, Pace, Question, Round, Sieve, Slot, View, ViewAudit, ViewSettings, check_view,
    check_views,
};
use lakehead_store::{Append, Options, Store};

const HOUR: &str = "tumble(event_time, INTERVAL '1 hour') AS hour";

/// A clock that goes on a millisecond whenever it is asked.
#[derive(Debug)]
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.fetch_add(1_000, Ordering::Relaxed))
    }
}

struct AtOnce;

impl Pace for AtOnce {
    fn read(&self, _: u64) -> bool {
        true
    }
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

/// `n` int64, `m` int64, `d` float64, `t` text, `k` text, and the event time `dt`.
fn schema() -> StreamSchema {
    let mut schema = StreamSchema::builtin("json").expect("built in");
    let columns = [
        ("n", ColumnType::Int64),
        ("m", ColumnType::Int64),
        ("d", ColumnType::Float64),
        ("t", ColumnType::Text),
        ("k", ColumnType::Text),
        ("b", ColumnType::Bool),
    ];
    for (name, column_type) in columns {
        schema.columns.push(Column { name: name.into(), path: vec![name.into()], column_type, equals: None });
    }
    schema
}

/// An event at this second, with these fields.
fn event(second: i64, fields: &str) -> String {
    format!("{{\"dt\":\"2026-11-28T12:{:02}:{:02}Z\",{fields}}}", second / 60 % 60, second % 60)
}

fn time_of(event: &str) -> Option<Timestamp> {
    let (_, time) = event.split_once("\"dt\":\"")?;
    time.split('"').next()?.parse().ok()
}

fn numbers(numbers: &[i64]) -> Vec<String> {
    (0..).zip(numbers).map(|(second, n)| event(second, &format!("\"n\":{n}"))).collect()
}

/// A lake with the stream `s`, and its store.
struct World {
    lake: Lake,
    events: Vec<String>,
    _store: Store,
    dir: tempfile::TempDir,
}

/// A view that has taken all events in.
struct Viewed {
    view: View,
    /// The events that were left out, as far as they were told.
    failed: Vec<(u64, String)>,
}

impl World {
    async fn with(events: &[String]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(Ticking(AtomicI64::new(1_795_870_000_000_000)));
        let store = Store::open(dir.path(), Options::default(), clock).expect("a store");
        let stream = store.stream(&name("s")).expect("a stream");
        let appender = stream.appender();
        for some in events.chunks(5) {
            let mut batch = EventBatch::default();
            some.iter().for_each(|event| batch.push(event.as_bytes(), time_of(event)));
            let append = Append { source: name("test"), events: batch, cursor: None, keys: Vec::new(), urgent: true };
            appender.append(append).await.expect("taken").await.expect("committed");
        }
        let lake = Lake::new(Limits { threads: 2, ..Limits::default() }).expect("a lake");
        lake.add_stream(schema(), stream);
        Self { lake, events: events.to_vec(), _store: store, dir }
    }

    async fn query(&self, sql: &str) -> Result<BTreeSet<String>, Error> {
        Ok(rows(&self.lake.query(sql).await?.batches))
    }

    /// Makes a view of `sql` and adds it to the lake as `v`.
    async fn view(&self, sql: &str) -> Viewed {
        let schemas = [(name("s"), schema())].into();
        let plan = check_view(sql, &schemas).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let plan = Arc::new(plan);
        let data: &Path = self.dir.path();
        let mut failed = Vec::new();
        let open = async || {
            let opened = View::open(data, name("v"), Arc::clone(&plan), ViewSettings::default(), Slot::Current, None);
            opened.await.expect("opens").0
        };
        let mut view = open().await;
        view.restart().expect("it begins anew");
        let mut step = 0;
        while (view.next_offset().0 as usize) < self.events.len() {
            let from = view.next_offset().0;
            let to = self.events.len().min(from as usize + 1 + step % 4);
            let round = round(view.plan().wanted(), &self.events[from as usize..to], from);
            let digest = view.plan().digest(&mut Sieve::new(&round)).await;
            let digest = digest.unwrap_or_else(|error| panic!("{sql} at offset {from}: {error}"));
            let told =
                digest.failed().iter().map(|failed| (failed.offset.map_or(u64::MAX, |o| o.0), failed.reason.clone()));
            let told: Vec<_> = told.collect();
            view.absorb(digest).await.expect("absorbed");
            step += 1;
            if step % 3 == 0 {
                // A kill after a commit: nothing is lost. One before it is seen again.
                view.commit().await.unwrap_or_else(|error| panic!("{sql}: {error}"));
                view = open().await;
            }
            for one in told {
                if !failed.contains(&one) {
                    failed.push(one);
                }
            }
        }
        view.commit().await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        self.lake.add_view(view.handle());
        Viewed { view, failed }
    }

    async fn audit(&self, view: &View) -> ViewAudit {
        let extent =
            Extent { since: None, known: Arc::default(), threads: 2, rows_at_once: 1_000, pace: Arc::new(AtOnce) };
        self.lake.audit(&view.handle(), &extent).await.expect("audited")
    }

    /// The statement as a query and as a view: the rows of both, which must be the same, and no event is left out.
    async fn both(&self, sql: &str) -> BTreeSet<String> {
        let query = self.query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let viewed = self.view(sql).await;
        assert_eq!(self.query("SELECT * FROM v").await.expect("an answer"), query, "{sql}");
        assert_eq!(viewed.failed, [], "{sql}");
        self.adds_up(sql, &viewed).await;
        query
    }

    async fn adds_up(&self, sql: &str, viewed: &Viewed) {
        let audit = self.audit(&viewed.view).await;
        assert_eq!((audit.differences, audit.told), (0, vec![]), "{sql}");
        let counts = viewed.view.handle().snapshot().counts;
        assert_eq!(counts.failed, viewed.failed.len() as u64, "{sql}");
        if let Some(balance) = audit.balance {
            assert!(balance.adds_up(), "{sql}: {balance:?}");
            assert_eq!(balance.failed_in_log, viewed.failed.len() as u64, "{sql}");
        }
    }

    /// The statement fails as a query, by these words, and as a view leaves these events out. The view's rows.
    async fn leaves_out(&self, sql: &str, words: &[&str], offsets: &[u64]) -> BTreeSet<String> {
        let error = self.query(sql).await.expect_err(sql).to_string();
        for word in words {
            assert!(error.contains(word), "{sql}: {word:?} is not in: {error}");
        }
        let viewed = self.view(sql).await;
        let mut found: Vec<u64> = viewed.failed.iter().map(|(offset, _)| *offset).collect();
        found.sort_unstable();
        assert_eq!(found, offsets, "{sql}: {:?}", viewed.failed);
        assert!(viewed.failed.iter().all(|(_, why)| !why.is_empty()), "{sql}: {:?}", viewed.failed);
        self.adds_up(sql, &viewed).await;
        self.query("SELECT * FROM v").await.expect("an answer")
    }
}

fn round(wanted: &[String], events: &[String], from: u64) -> Round {
    let decoder = Decoder::new(&schema(), wanted).expect("columns");
    let (mut payload, mut ends) = (Vec::new(), Vec::new());
    for event in events {
        payload.extend_from_slice(event.as_bytes());
        payload.push(b'\n');
        ends.push(u32::try_from(payload.len()).expect("small"));
    }
    let received = Timestamp(1_795_870_000_000_000);
    let payload = payload.into();
    let batch =
        decoder.decode(&Events { payload: &payload, ends: &ends, first_offset: Offset(from), received_time: received });
    let end = Offset(from + events.len() as u64);
    Round {
        batches: vec![batch.expect("columns")],
        events: events.len() as u64,
        end,
        times: vec![(None, Some(received), received)],
    }
}

fn rows(batches: &[RecordBatch]) -> BTreeSet<String> {
    let options = FormatOptions::default().with_null("NULL");
    let mut rows = BTreeSet::new();
    for batch in batches {
        let columns: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).expect("shown")).collect();
        for row in 0..batch.num_rows() {
            let row: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
            assert!(rows.insert(row.join("|")), "a row stands twice: {row:?}");
        }
    }
    rows
}

/// One row without its hour.
fn only(rows: &BTreeSet<String>) -> String {
    let row = rows.first().expect("a row");
    assert_eq!(rows.len(), 1, "{rows:?}");
    row.split_once('|').map_or(row.clone(), |(_, rest)| rest.to_owned())
}

// A3
#[tokio::test]
async fn a_sum_that_leaves_its_type_on_the_way_and_comes_back_is_right() {
    let world = World::with(&numbers(&[i64::MAX, 2, i64::MAX, -5, i64::MIN, i64::MIN])).await;
    let sum = i128::from(i64::MAX) * 2 + 2 - 5 + i128::from(i64::MIN) * 2;
    let both = world.both(&format!("SELECT {HOUR}, sum(n) AS n, sum(DISTINCT n) AS one FROM s GROUP BY 1")).await;
    assert_eq!(only(&both), format!("{sum}|{}", 2 - 5 - 1));
    let decimal = "CAST(n AS DECIMAL(38, 0)) * 1000000000000000000";
    let both = world.both(&format!("SELECT {HOUR}, sum({decimal}) AS n FROM s GROUP BY 1")).await;
    assert_eq!(only(&both), format!("{}", sum * 1_000_000_000_000_000_000));
}

// A3
#[tokio::test]
async fn a_sum_outside_of_its_type_fails_a_query_by_name_and_is_null_in_a_view() {
    let mut events = numbers(&[i64::MAX, 2]);
    events.push(event(3, "\"n\":7,\"k\":\"small\""));
    let world = World::with(&events).await;
    let sql = format!("SELECT {HOUR}, k, sum(n) AS n, count(*) AS events FROM s GROUP BY 1, 2");
    let error = world.query(&sql).await.expect_err("no number").to_string();
    assert!(error.contains("sum(") && error.contains("int64") && error.contains("DECIMAL(38, 0)"), "{error}");
    let viewed = world.view(&sql).await;
    let found = world.query("SELECT k, n, events FROM v").await.expect("an answer");
    assert_eq!(found, BTreeSet::from(["NULL|NULL|2".to_owned(), "small|7|1".into()]));
    world.adds_up(&sql, &viewed).await;
    let snapshot = viewed.view.handle().snapshot();
    world.lake.query("SELECT * FROM v").await.expect("an answer");
    let failed = viewed.view.handle().snapshot().failed_values();
    assert_eq!(failed.count, 1, "{failed:?}");
    assert!(
        failed.told[0].starts_with("tumble=2026-11-28T12:00:00Z, k=NULL: ") && failed.told[0].contains("sum("),
        "{failed:?}"
    );
    drop(snapshot);
    let cure = format!("SELECT {HOUR}, k, sum(CAST(n AS DECIMAL(38, 0))) AS n FROM s GROUP BY 1, 2");
    assert!(world.both(&cure).await.iter().any(|row| row.ends_with("|9223372036854775809")));
    // A value that cannot be computed of a group that is there.
    let sql = format!("SELECT {HOUR}, k, 100 / (sum(n) - 7) AS part FROM s WHERE n < 100 GROUP BY 1, 2");
    world.query(&sql).await.expect_err("a division by zero");
    let viewed = world.view(&sql).await;
    let found = world.query("SELECT k, part FROM v").await.expect("an answer");
    assert_eq!(found, BTreeSet::from(["NULL|-20".to_owned(), "small|NULL".into()]));
    world.adds_up(&sql, &viewed).await;
    let explained = world.lake.explain_view(&name("v"), &Question::default()).await.expect("explained");
    assert!(explained.rows.len() == 2 && explained.rows.iter().all(|row| row.agrees), "{explained:?}");
}

// A3, A9
#[tokio::test]
async fn an_event_on_which_an_expression_fails_is_left_out_and_everything_else_counts() {
    let mut events = numbers(&[5, 0, i64::MAX, i64::MIN, 4, -3]);
    events.extend([
        event(20, "\"t\":\"12\",\"n\":1"),
        event(21, "\"t\":\"x\",\"n\":1"),
        event(22, "\"k\":\"nothing\""),
    ]);
    let world = World::with(&events).await;
    let one = |expression: &str| format!("SELECT {HOUR}, count({expression}) AS n, count(*) AS all FROM s GROUP BY 1");
    let counted = world.leaves_out(&one("100 / n"), &["(100 / ", "zero", "nullif"], &[1]).await;
    assert_eq!(only(&counted), "7|8");
    world.leaves_out(&one("n + 1"), &["n + 1)", "int64"], &[2]).await;
    world.leaves_out(&one("n - 1"), &["n - 1)"], &[3]).await;
    world.leaves_out(&one("n * 2"), &["n * 2)"], &[2, 3]).await;
    world.leaves_out(&one("-n"), &["int64"], &[3]).await;
    world.leaves_out(&one("abs(n)"), &["abs"], &[3]).await;
    world.leaves_out(&one("n % (n - 4)"), &[], &[3, 4]).await;
    world.leaves_out(&one("CAST(t AS BIGINT)"), &["'x'"], &[7]).await;
    world.leaves_out(&one("CAST(n AS SMALLINT)"), &[], &[2, 3]).await;
    // In a condition, a group, a filter, an order, and below.
    world.leaves_out(&format!("SELECT {HOUR}, count(*) AS n FROM s WHERE 100 / n > 3 GROUP BY 1"), &[], &[1]).await;
    world.leaves_out(&format!("SELECT {HOUR}, 100 / n AS q, count(*) AS n FROM s GROUP BY 1, 2"), &[], &[1]).await;
    let sql = format!("SELECT {HOUR}, count(*) FILTER (WHERE 100 / n > 3) AS n FROM s GROUP BY 1");
    world.leaves_out(&sql, &[], &[1]).await;
    let sql = format!("SELECT {HOUR}, first_value(t ORDER BY 100 / n) AS n FROM s GROUP BY 1");
    world.leaves_out(&sql, &[], &[1]).await;
    let sql = format!("SELECT {HOUR}, sum(q + 1) AS n FROM (SELECT event_time, 100 / n AS q FROM s) AS x GROUP BY 1");
    world.leaves_out(&sql, &[], &[1]).await;
    // Whatever the window.
    for window in
        ["hop(event_time, INTERVAL '10 minutes', INTERVAL '1 hour')", "session(event_time, INTERVAL '5 minutes')"]
    {
        let sql = format!("SELECT {window} AS w, sum(100 / n) AS n FROM s GROUP BY 1");
        world.leaves_out(&sql, &[], &[1]).await;
    }
    // A projection.
    let sql = "SELECT event_offset, 100 / n AS q FROM s WHERE n < 10";
    let found = world.leaves_out(sql, &["zero"], &[1]).await;
    assert_eq!(found.len(), 6, "{found:?}");
}

// A9
#[tokio::test]
async fn a_condition_that_is_met_by_another_never_fails_in_whichever_order_it_is_written() {
    let mut events = numbers(&[5, 0, 50, -1, 0, 2]);
    events.push(event(9, "\"k\":\"no number\""));
    let world = World::with(&events).await;
    for (condition, n) in [
        ("n <> 0 AND 100 / n > 3", 2),
        ("100 / n > 3 AND n <> 0", 2),
        ("100 / n > 3 AND n <> 0 AND 100 / n < 40", 1),
        ("n = 0 OR 100 / n > 3", 4),
        ("100 / n > 3 OR n = 0", 4),
        ("NOT (n = 0 OR 100 / n <= 3)", 2),
        ("CASE WHEN n <> 0 THEN 100 / n > 3 ELSE false END", 2),
        ("CASE WHEN n = 0 OR 100 / n > 3 THEN true ELSE false END", 4),
        ("coalesce(n, 0) <> 0 AND 100 / coalesce(n, 0) > 3", 2),
        ("(n <> 0 AND (k IS NULL AND 100 / n > 3)) OR (n = 0 AND 1 / (n - 1) = 5)", 2),
    ] {
        let both = world.both(&format!("SELECT {HOUR}, count(*) AS n FROM s WHERE {condition} GROUP BY 1")).await;
        assert_eq!(only(&both), n.to_string(), "{condition}");
        let sql = format!("SELECT {HOUR}, count(*) FILTER (WHERE {condition}) AS n FROM s GROUP BY 1");
        assert_eq!(only(&world.both(&sql).await), n.to_string(), "{condition}");
        let sql = format!("SELECT {HOUR}, sum(CASE WHEN {condition} THEN 1 ELSE 0 END) AS n FROM s GROUP BY 1");
        assert_eq!(only(&world.both(&sql).await), n.to_string(), "{condition}");
        let both = world.both(&format!("SELECT event_offset, {condition} AS met FROM s")).await;
        assert_eq!(both.iter().filter(|row| row.ends_with("|true")).count(), n, "{condition}");
        let sql = format!("SELECT count(*) FROM (SELECT n, k, 100 / nullif(n, 0) AS q FROM s) AS x WHERE {condition}");
        assert_eq!(world.query(&sql).await.expect("an answer"), BTreeSet::from([n.to_string()]), "{condition}");
    }
    let sql = format!("SELECT {HOUR}, sum(100 / n) FILTER (WHERE n <> 0) AS n FROM s GROUP BY 1");
    assert_eq!(only(&world.both(&sql).await), (20 + 2 - 100 + 50).to_string());
    for condition in ["n <> 0", "n <> 0 AND k IS NULL", "n <> 0 AND 100 / n < 1000"] {
        let sql = format!(
            "SELECT {HOUR}, sum(100 / n) AS n, count(DISTINCT 100 / n) AS d FROM s WHERE {condition} GROUP BY 1"
        );
        assert_eq!(only(&world.both(&sql).await), format!("{}|4", 20 + 2 - 100 + 50), "{condition}");
        world.both(&format!("SELECT event_offset, 100 / n AS q FROM s WHERE {condition}")).await;
        let inner = format!("SELECT event_time, n, 100 / n AS q FROM s WHERE {condition}");
        let sql = format!("SELECT {HOUR}, sum(q * n) AS n FROM ({inner}) AS x WHERE q > 0 GROUP BY 1");
        world.both(&sql).await;
    }
    let sql = format!("SELECT {HOUR}, n, count(*) AS c FROM s GROUP BY 1, 2 HAVING sum(n) <> 0 AND 100 / sum(n) > 3");
    assert_eq!(world.both(&sql).await.len(), 2);
    for join in ["JOIN", "LEFT JOIN"] {
        let sql = format!("SELECT DISTINCT a.n, b.n FROM s AS a {join} s AS b ON a.n <> 0 AND 100 / a.n = b.n");
        let found = world.query(&sql).await.unwrap_or_else(|error| panic!("{join}: {error}"));
        assert!(found.contains("50|2") && found.contains("2|50"), "{join}: {found:?}");
    }
    // What nothing excuses fails.
    world.query("SELECT count(*) FROM s WHERE k IS NULL AND 100 / n > 3").await.expect_err("a division by zero");
}

// A3
#[tokio::test]
async fn numbers_in_a_query_alone_are_checked_too() {
    let world = World::with(&numbers(&[1, i64::MAX])).await;
    for sql in [
        "SELECT 9223372036854775807 + 1",
        "SELECT -(-9223372036854775807 - 1)",
        "SELECT 9223372036854775807 * 2",
        "SELECT n + n FROM s",
        "SELECT sum(n) OVER (ORDER BY event_offset) FROM s",
        "SELECT sum(n) FROM s",
        "SELECT CAST('99999999999999999999999999999999999999' AS DECIMAL(38, 0)) + 1",
        "SELECT n FROM s ORDER BY n * 4",
        "SELECT CAST(1e300 AS BIGINT)",
    ] {
        let answer = world.query(sql).await;
        assert!(answer.is_err(), "{sql}: {answer:?}");
    }
    for (sql, expected) in [
        ("SELECT 9223372036854775806 + 1", "9223372036854775807"),
        ("SELECT n + 1 FROM s WHERE n = 1", "2"),
        ("SELECT 7 / 2 * -1", "-3"),
        ("SELECT sum(n) OVER (ORDER BY event_offset) FROM s LIMIT 1", "1"),
        ("SELECT sum(CAST(n AS DECIMAL(38, 0))) FROM s", "9223372036854775808"),
        ("SELECT sum(n) FROM s WHERE n > 9223372036854775807", "NULL"),
        ("SELECT interval '1 day' + timestamp '2026-11-28T00:00:00'", "2026-11-29T00:00:00"),
    ] {
        let answer = world.query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(answer, BTreeSet::from([expected.to_owned()]), "{sql}");
    }
    let names = world.lake.query("SELECT n + 1, sum(n - 1) FROM s WHERE n = 1 GROUP BY n").await.expect("an answer");
    let names: Vec<&str> = names.schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["s.n + Int64(1)", "sum(s.n - Int64(1))"], "columns keep their names");
}

// A4
#[tokio::test]
async fn there_is_one_zero_and_one_nan_in_queries_and_views() {
    let zeros = ["0.0", "-0.0", "0", "-0", "1.5", "-1e-999"];
    let events: Vec<String> = (0..).zip(zeros).map(|(at, d)| event(at, &format!("\"d\":{d},\"n\":{at}"))).collect();
    let world = World::with(&events).await;
    let both = async |what: &str| only(&world.both(&format!("SELECT {HOUR}, {what} AS x FROM s GROUP BY 1")).await);
    assert_eq!(both("count(DISTINCT d)").await, "2");
    assert_eq!(both("count(DISTINCT -d)").await, "2");
    assert_eq!(both("count(DISTINCT d * -1)").await, "2");
    assert_eq!(both("count(DISTINCT round(d * -0.1))").await, "1");
    assert_eq!(both("count(DISTINCT json_get_float(data, 'd'))").await, "2");
    assert_eq!(both("count(*) FILTER (WHERE d = 0.0)").await, "5");
    assert_eq!(both("count(*) FILTER (WHERE d = -0.0)").await, "5");
    assert_eq!(both("count(*) FILTER (WHERE d < 0.0)").await, "0");
    assert_eq!(both("min(d)").await, "0.0");
    assert_eq!(both("min(CAST(d AS TEXT))").await, "0.0");
    assert_eq!(both("top_k(d, 1)").await, "[{value: 0.0, count: 5}]");
    assert_eq!(both("count(DISTINCT d / (d - d))").await, "2", "NaN and infinity");
    assert_eq!(both("count(DISTINCT CAST('NaN' AS DOUBLE) + n * (d / d))").await, "1");
    let groups = world.both(&format!("SELECT {HOUR}, d, count(*) AS n FROM s GROUP BY 1, 2")).await;
    assert_eq!(groups.len(), 2, "{groups:?}");
    let groups = world.both(&format!("SELECT {HOUR}, d * -2 AS d, count(*) AS n FROM s GROUP BY 1, 2")).await;
    assert_eq!(groups.len(), 2, "{groups:?}");
    for sql in [
        "SELECT count(*) FROM (SELECT DISTINCT -d FROM s) AS x",
        "SELECT count(DISTINCT a.n) - 4 FROM s AS a JOIN s AS b ON a.d * -1 = b.d",
    ] {
        let found = world.query(sql).await.expect("an answer");
        assert!(found == BTreeSet::from(["2".to_owned()]) || sql.contains("JOIN"), "{sql}: {found:?}");
    }
    let joined = world.query("SELECT count(DISTINCT a.n) FROM s AS a JOIN s AS b ON a.d * -1 = b.d").await;
    assert_eq!(joined.expect("an answer"), BTreeSet::from(["5".to_owned()]));
}

// A10
#[tokio::test]
async fn what_fails_by_the_plan_is_refused_and_what_fails_by_the_data_is_not() {
    let schemas = [(name("s"), schema())].into();
    let check = async |what: &str| {
        let sql = format!("SELECT {HOUR}, {what} AS x FROM s GROUP BY 1");
        check_view(&sql, &schemas).await.map(|_| ()).map_err(|error| error.to_string())
    };
    let refused = check("approx_distinct(d)").await.expect_err("floats have no sketch");
    assert!(refused.contains("approx_distinct") && refused.contains("CAST"), "{refused}");
    let refused = check("string_agg(DISTINCT n, ',' ORDER BY n)").await.expect_err("numbers are no text");
    assert!(refused.contains("string_agg") && refused.contains("CAST"), "{refused}");
    for good in ["sum(100 / n)", "sum(n)", "sum(n * n)", "sum(CAST(t AS BIGINT))", "100 / sum(n)", "avg(1 / (n - n))"] {
        assert_eq!(check(good).await, Ok(()), "{good}");
    }
}

// A10
#[tokio::test]
async fn what_check_takes_runs_over_the_rarest_of_events() {
    let mut events = numbers(&[0, 1, -1, i64::MAX, i64::MIN]);
    let rest = [
        "\"d\":-0.0,\"t\":\"\",\"b\":true",
        "\"d\":1e308,\"t\":\"e\u{301}\",\"k\":\"k\"",
        "\"d\":-1e308,\"t\":\"12\",\"m\":0,\"b\":false",
        "\"d\":5e-324,\"t\":\"a'b\\\"c\",\"m\":-9223372036854775808",
        "\"k\":null",
    ];
    events.extend((10..).zip(rest).map(|(at, fields)| event(at, fields)));
    events.push("{\"n\":3}".into());
    let world = World::with(&events).await;
    let one = [
        "count",
        "sum",
        "min",
        "max",
        "avg",
        "count(DISTINCT",
        "sum(DISTINCT",
        "bit_and",
        "bit_or",
        "bit_xor",
        "bool_and",
        "bool_or",
        "stddev",
        "var_pop",
        "median",
        "approx_distinct",
        "approx_median",
        "stddev_pop",
        "var_samp",
    ];
    let mut calls: Vec<String> = Vec::new();
    for column in ["n", "d", "t", "b", "event_time"] {
        calls.extend(one.iter().map(|call| match call.ends_with("DISTINCT") {
            true => format!("{call} {column})"),
            false => format!("{call}({column})"),
        }));
        calls.push(format!("first_value({column} ORDER BY event_time DESC)"));
        calls.push(format!("last_value({column} ORDER BY event_time)"));
        calls.push(format!("nth_value({column}, 2 ORDER BY event_time)"));
        calls.push(format!("array_agg({column} ORDER BY event_time)"));
        calls.push(format!("array_agg(DISTINCT {column} ORDER BY {column})"));
        calls.push(format!("string_agg({column}, ',' ORDER BY event_time)"));
        calls.push(format!("string_agg(DISTINCT {column}, ',' ORDER BY {column})"));
        calls.push(format!("top_k({column}, 3)"));
        calls.push(format!("approx_percentile_cont(0.5) WITHIN GROUP (ORDER BY {column})"));
        calls.push(format!("percentile_cont(0.5) WITHIN GROUP (ORDER BY {column})"));
        calls.push(format!("corr({column}, {column})"));
        calls.push(format!("regr_slope({column}, {column})"));
        calls.push(format!("covar_samp({column}, {column})"));
    }
    let schemas = [(name("s"), schema())].into();
    let mut refused = Vec::new();
    for call in &calls {
        let sql = format!("SELECT {HOUR}, {call} AS x FROM s GROUP BY 1");
        match check_view(&sql, &schemas).await {
            Ok(_) => drop(world.view(&sql).await),
            Err(error) => refused.push((call.clone(), error.to_string())),
        }
    }
    assert!(refused.len() * 2 < calls.len(), "most are taken: {refused:#?}");
    for (call, why) in refused {
        assert!(!why.contains("defect") && !why.is_empty(), "{call}: {why}");
    }
}

// A11
#[tokio::test]
async fn of_equals_the_first_in_the_stream_is_the_first_whichever_way_they_are_ordered() {
    let events: Vec<String> =
        ["a", "b", "c", "d", "e"].iter().map(|t| event(30, &format!("\"t\":\"{t}\",\"n\":1"))).collect();
    let world = World::with(&events).await;
    let both = async |what: &str| only(&world.both(&format!("SELECT {HOUR}, {what} AS x FROM s GROUP BY 1")).await);
    for direction in ["ASC", "DESC"] {
        assert_eq!(both(&format!("first_value(t ORDER BY event_time {direction})")).await, "a");
        assert_eq!(both(&format!("last_value(t ORDER BY n {direction})")).await, "e");
        assert_eq!(both(&format!("nth_value(t, 2 ORDER BY event_time {direction})")).await, "b");
        assert_eq!(both(&format!("array_agg(t ORDER BY event_time {direction})")).await, "[a, b, c, d, e]");
        assert_eq!(both(&format!("string_agg(t, '' ORDER BY n {direction})")).await, "abcde");
    }
    let all = "array_agg(t ORDER BY event_time) AS a, string_agg(t, '' ORDER BY event_time DESC) AS b, \
               first_value(t ORDER BY n DESC) AS c, last_value(t ORDER BY n)";
    assert_eq!(both(all).await, "[a, b, c, d, e]|abcde|a|e");
    let explained = world.lake.explain_view(&name("v"), &Question::default()).await.expect("explained");
    assert!(explained.rows.iter().all(|row| row.agrees), "{explained:?}");
}

// A11
#[tokio::test]
async fn the_rows_of_a_view_are_those_that_a_query_finds() {
    let events: Vec<String> =
        (0..24).map(|second| event(second * 2, &format!("\"t\":\"{}\",\"n\":1", second % 4))).collect();
    let world = World::with(&events).await;
    let viewed = world.view(&format!("SELECT {HOUR}, t, count(*) AS n FROM s GROUP BY 1, 2")).await;
    assert_eq!(viewed.view.handle().snapshot().rows(), (4, true));
    let viewed = world.view("SELECT event_offset, t FROM s WHERE t <> '0'").await;
    assert_eq!(viewed.view.handle().snapshot().rows(), (18, true));
}

// A9
#[tokio::test]
async fn whoever_asks_a_view_that_stands_still_is_told_so() {
    let world = World::with(&numbers(&[1, 2])).await;
    let viewed = world.view(&format!("SELECT {HOUR}, count(*) AS n FROM s GROUP BY 1")).await;
    assert_eq!(world.lake.query("SELECT * FROM v").await.expect("an answer").warnings, Vec::<String>::new());
    viewed.view.handle().stands_still(Timestamp(1_795_870_000_000_000), "it holds too much");
    let answer = world.lake.query("WITH x AS (SELECT * FROM v) SELECT * FROM x UNION ALL SELECT * FROM v").await;
    let warnings = answer.expect("an answer").warnings;
    assert_eq!(warnings.len(), 1);
    assert!(
        ["the view v", "since 2026-", "it holds too much", "offset 2"].iter().all(|word| warnings[0].contains(word))
    );
    assert_eq!(world.lake.query("SELECT * FROM s").await.expect("an answer").warnings, Vec::<String>::new());
}

// A9: views over views.
#[tokio::test]
async fn a_view_over_a_view_leaves_out_rows_on_which_it_fails() {
    let world = World::with(&numbers(&[1, 0, 5, i64::MAX])).await;
    let schemas = [(name("s"), schema())].into();
    let sqls = [
        (name("minutes"), format!("SELECT {HOUR}, n, count(*) AS c FROM s GROUP BY 1, 2")),
        (name("rows_over"), "SELECT hour, n, 100 / n AS q FROM minutes".to_owned()),
        (
            name("hours"),
            "SELECT tumble(hour, INTERVAL '1 day') AS day, sum(100 / n) AS q, count(*) AS c FROM minutes \
                         GROUP BY 1"
                .to_owned(),
        ),
        (name("clean"), "SELECT event_time, event_offset, 100 / n AS q FROM s".to_owned()),
        (
            name("over_clean"),
            "SELECT tumble(event_time, INTERVAL '1 hour') AS hour, count(*) AS c FROM clean GROUP BY 1".to_owned(),
        ),
    ]
    .into();
    let plans = check_views(&sqls, &schemas).await.expect("checked");
    let mut views: Vec<View> = Vec::new();
    for (view, plan) in plans {
        let plan = plan.unwrap_or_else(|error| panic!("{view}: {error}"));
        let read = plan.reads().cloned();
        let upstream = views.iter().map(View::handle).find(|handle| Some(handle.name()) == read.as_ref());
        let opened = View::open(world.dir.path(), view, plan, ViewSettings::default(), Slot::Current, upstream);
        views.push(opened.await.expect("opens").0);
    }
    for view in &mut views {
        if view.plan().reads().is_none() {
            let round = round(view.plan().wanted(), &world.events, 0);
            let digest = view.plan().digest(&mut Sieve::new(&round)).await.expect("digested");
            view.absorb(digest).await.expect("absorbed");
        }
        view.commit().await.expect("committed");
        world.lake.add_view(view.handle());
    }
    let count = async |sql: &str| world.query(sql).await.expect("an answer").into_iter().next().expect("a row");
    assert_eq!(count("SELECT count(*) FROM rows_over").await, "3");
    assert_eq!(count("SELECT q, c FROM hours").await, "120|3");
    assert_eq!(count("SELECT count(*) FROM clean").await, "3");
    for view in &views {
        let audit = world.audit(view).await;
        assert_eq!((audit.differences, audit.told), (0, vec![]), "{}", view.handle().name());
    }
}
