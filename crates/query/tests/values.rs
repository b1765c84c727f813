//! Numbers at the ends of their types, as views and as queries: right, or not there, and told.
//!
//! Every statement runs as a query over the stream and as a view that takes the same events in in small micro-batches,
//! is committed and opened again on the way, and is audited at the end.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::{Int64Type, Schema},
    util::display::{ArrayFormatter, FormatOptions},
};
use lakehead_decode::{Decoder, Events};
use lakehead_model::{Clock, Column, ColumnType, EventBatch, Name, Offset, StreamSchema, Timestamp};
use lakehead_query::{
    Error, Extent, Lake, Limits, MicroBatch, Pace, Question, SharedFilter, Slot, View, ViewAudit, ViewSettings,
    check_view, check_views,
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
            let opened = View::open(data, name("v"), Arc::clone(&plan), ViewSettings::default(), Slot::Active, None);
            opened.await.expect("opens").0
        };
        let mut view = open().await;
        view.restart().expect("it begins anew");
        let mut step = 0;
        while (view.next_offset().0 as usize) < self.events.len() {
            let from = view.next_offset().0;
            let to = self.events.len().min(from as usize + 1 + step % 4);
            let micro_batch = micro_batch(view.plan().required_columns(), &self.events[from as usize..to], from);
            let aggregate = view.plan().partial_aggregate(&mut SharedFilter::new(&micro_batch)).await;
            let aggregate = aggregate.unwrap_or_else(|error| panic!("{sql} at offset {from}: {error}"));
            let told = aggregate
                .failed()
                .iter()
                .map(|failed| (failed.offset.map_or(u64::MAX, |o| o.0), failed.reason.clone()));
            let told: Vec<_> = told.collect();
            view.apply(aggregate).await.expect("absorbed");
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
        self.audit_by(view, 1_000).await
    }

    async fn audit_by(&self, view: &View, rows_at_once: u64) -> ViewAudit {
        let extent = Extent { since: None, known: Arc::default(), threads: 2, rows_at_once, pace: Arc::new(AtOnce) };
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

fn micro_batch(wanted: &[String], events: &[String], from: u64) -> MicroBatch {
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
    MicroBatch {
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
}

#[tokio::test]
async fn a_column_without_a_name_is_called_as_it_is_written() {
    let world = World::with(&[event(0, "\"n\":1,\"d\":1.5"), event(1, "\"n\":2,\"d\":2.5")]).await;
    let names = |schema: &Schema| schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    for (sql, called) in [
        ("SELECT 1, 'a', NULL", vec!["1", "'a'", "NULL"]),
        ("SELECT n+1, sum(n - 1) FROM s GROUP BY n", vec!["n + 1", "sum(n - 1)"]),
        ("SELECT COUNT(*), max(s.n), s.n FROM s GROUP BY n", vec!["count(*)", "max(s.n)", "n"]),
        ("SELECT d / 2 FROM s ORDER BY d / 2 DESC LIMIT 1", vec!["d / 2"]),
        ("SELECT json_get_int(data, 'n') FROM s", vec!["json_get_int(data, 'n')"]),
        ("SELECT n + 1 FROM s UNION ALL SELECT n FROM s ORDER BY 1", vec!["n + 1"]),
        ("SELECT n + 1 FROM s GROUP BY 1 HAVING n + 1 > 2", vec!["n + 1"]),
        ("(SELECT DISTINCT n * 2 FROM s)", vec!["n * 2"]),
        ("SELECT n * 2 AS n FROM s", vec!["n"]),
        ("SELECT e.value FROM (SELECT unnest(k) AS e FROM (SELECT top_k(n, 2) AS k FROM s) AS y) AS x", vec!["value"]),
        // Two of one name would be one in JSON.
        ("SELECT n + 1, n AS \"n + 1\" FROM s", vec!["s.n + Int64(1)", "n + 1"]),
    ] {
        let answer = world.lake.query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(names(&answer.schema), called, "{sql}");
        assert!(answer.batches.iter().all(|batch| names(&batch.schema()) == called), "{sql}");
    }
    let answer = world.lake.query("SELECT *, d / 2 FROM s").await.expect("an answer");
    assert_eq!(answer.schema.fields().last().expect("a column").name(), "d / 2");
    let answer = world.lake.query("SELECT n - 3 FROM s ORDER BY n - 3 DESC").await.expect("an answer");
    let values = |batch: &RecordBatch| batch.column(0).as_primitive::<Int64Type>().values().to_vec();
    assert_eq!(answer.batches.iter().flat_map(values).collect::<Vec<_>>(), [-1, -2], "the order stays");
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

// A7
#[tokio::test]
async fn the_newest_rows_are_not_read_from_a_damaged_file() {
    let world = World::with(&numbers(&[1, 2, 3, 4, 5, 6])).await;
    let viewed = world.view("SELECT event_offset, n FROM s WHERE n > 1").await;
    let handle = viewed.view.handle();
    assert_eq!(rows(&handle.latest(2).await.expect("an answer").batches).len(), 2);
    let state = world.dir.path().join("views/v/.state");
    let parts: Vec<_> = std::fs::read_dir(state)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "part"))
        .collect();
    assert!(!parts.is_empty());
    for part in &parts {
        let mut bytes = std::fs::read(part).expect("reads");
        // The reader of Parquet looks at neither.
        bytes[3] ^= 1;
        std::fs::write(part, bytes).expect("writes");
    }
    assert!(matches!(handle.latest(2).await, Err(Error::Damaged { path }) if parts.contains(&path)));
}

// A9
#[tokio::test]
async fn whoever_asks_a_view_that_stands_still_is_told_so() {
    let world = World::with(&numbers(&[1, 2])).await;
    let viewed = world.view(&format!("SELECT {HOUR}, count(*) AS n FROM s GROUP BY 1")).await;
    assert_eq!(world.lake.query("SELECT * FROM v").await.expect("an answer").warnings, Vec::<String>::new());
    viewed.view.handle().mark_stopped(Timestamp(1_795_870_000_000_000), "it holds too much");
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
        let read = plan.upstream().cloned();
        let upstream = views.iter().map(View::handle).find(|handle| Some(handle.name()) == read.as_ref());
        let opened = View::open(world.dir.path(), view, plan, ViewSettings::default(), Slot::Active, upstream);
        views.push(opened.await.expect("opens").0);
    }
    for view in &mut views {
        if view.plan().upstream().is_none() {
            let micro_batch = micro_batch(view.plan().required_columns(), &world.events, 0);
            let aggregate =
                view.plan().partial_aggregate(&mut SharedFilter::new(&micro_batch)).await.expect("digested");
            view.apply(aggregate).await.expect("absorbed");
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

/// An ordinary event, one that is poison to whatever enlarges, one without anything, an empty one, and ends of counts.
fn of_all_sizes() -> Vec<String> {
    let (a, b) = ("a".repeat(400_000), "b".repeat(400_000));
    let fields = [
        "\"n\":3,\"t\":\"ab\",\"k\":\"xy\"".to_owned(),
        format!("\"n\":2000000000,\"t\":\"{a}\",\"k\":\"{b}\""),
        "\"m\":1".into(),
        "\"n\":0,\"t\":\"\",\"k\":\"\"".into(),
        "\"n\":-1,\"t\":\"ab\",\"k\":\"xy\"".into(),
        format!("\"n\":{},\"t\":\"ab\",\"k\":\"xy\"", i64::MIN),
        format!("\"n\":{},\"t\":\"ab\",\"k\":\"xy\"", i64::MAX),
    ];
    (0..).zip(fields).map(|(second, fields)| event(second, &fields)).collect()
}

#[tokio::test]
async fn an_event_of_which_a_function_makes_too_much_is_left_out_and_no_other() {
    let world = World::with(&of_all_sizes()).await;
    let times = |n: usize, between: &str| ["t"].repeat(n).join(between);
    let cases: [(&str, &str, &[u64]); 19] = [
        ("length(repeat(t, n))", "repeat(", &[1, 6]),
        ("length(lpad(t, n))", "lpad(", &[1, 6]),
        ("length(lpad(t, n, k))", "lpad(", &[1, 6]),
        ("length(rpad(t, n))", "rpad(", &[1, 6]),
        ("length(rpad(t, n, k))", "rpad(", &[1, 6]),
        ("length(replace(t, 'a', k))", "replace(", &[1]),
        ("length(regexp_replace(t, 'a', k, 'g'))", "regexp_replace(", &[1]),
        (r"length(regexp_replace(t, '^(.*)$', replace(k, 'b', '\1')))", "regexp_replace(", &[1]),
        (&format!("length(concat({}))", times(50, ", ")), "concat(", &[1]),
        (&format!("length(concat_ws(k, {}))", times(50, ", ")), "concat_ws(", &[1]),
        (&format!("length({})", times(50, " || ")), "||", &[1]),
        ("length(array_to_string(array_repeat(1, 100), k))", "array_to_string(", &[1]),
        ("length(to_char(event_time, replace(k, 'b', '%A%A')))", "to_char(", &[1]),
        ("CAST(array_length(string_to_array(concat(t, t, t), 'a')) AS BIGINT)", "string_to_array(", &[1]),
        (
            &format!("CAST(array_length(regexp_match(concat({}), '((((((.*))))))')) AS BIGINT)", times(10, ", ")),
            "regexp_match(",
            &[1],
        ),
        ("CAST(array_length(array_repeat(t, n)) AS BIGINT)", "array_repeat(", &[1, 6]),
        ("CAST(array_length(range(0, n)) AS BIGINT)", "range(", &[1, 6]),
        ("CAST(array_length(generate_series(n, 0)) AS BIGINT)", "generate_series(", &[5]),
        // It has no length below zero either.
        ("CAST(array_length(array_resize(array_repeat(1, 3), n, 0)) AS BIGINT)", "array_resize(", &[1, 4, 5, 6]),
    ];
    for (expression, names, offsets) in cases {
        let sql = format!("SELECT {HOUR}, max({expression}) AS x, count(*) AS all FROM s GROUP BY 1");
        let rows = world.leaves_out(&sql, &[names, "16 MiB"], offsets).await;
        assert!(only(&rows).ends_with(&format!("|{}", 7 - offsets.len())), "{expression}: {rows:?}");
    }
    // As a row, a group, a condition and what is counted together.
    for sql in [
        "SELECT event_offset, repeat(t, n) AS x FROM s".to_owned(),
        format!("SELECT {HOUR}, repeat(t, n) AS x, count(*) AS all FROM s GROUP BY 1, 2"),
        format!("SELECT {HOUR}, count(*) AS all FROM s WHERE length(repeat(t, n)) >= 0 GROUP BY 1"),
        format!(
            "SELECT {HOUR}, max(length(repeat(t, n))) AS x, min(octet_length(repeat(t, n))) AS y FROM s GROUP BY 1"
        ),
    ] {
        world.leaves_out(&sql, &["repeat(", "16 MiB"], &[1, 6]).await;
    }
}

#[tokio::test]
async fn a_list_without_an_end_gives_no_rows_without_an_end() {
    let world = World::with(&numbers(&[3, 2_000_000_000, 0, -1, i64::MIN, i64::MAX])).await;
    let sql = format!(
        "SELECT {HOUR}, count(*) AS n FROM (SELECT event_time, unnest(range(0, n)) AS i FROM s) AS x GROUP BY 1"
    );
    let error = world.query(&sql).await.expect_err("too long").to_string();
    assert!(error.contains("range(") && error.contains("16 MiB"), "{error}");
    let viewed = world.view(&sql).await;
    assert_eq!(viewed.failed.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), [1, 5], "{:?}", viewed.failed);
    assert_eq!(only(&world.query("SELECT * FROM v").await.expect("an answer")), "3");
}

#[tokio::test]
async fn rows_that_are_large_together_are_computed_a_few_at_a_time() {
    let events: Vec<String> = (0..20).map(|second| event(second, "\"n\":10000000,\"k\":\"x\"")).collect();
    let world = World::with(&events).await;
    let sql = format!(
        "SELECT {HOUR}, sum(length(repeat(k, n))) AS n, sum(octet_length(repeat(k, n))) AS m FROM s GROUP BY 1"
    );
    assert_eq!(only(&world.both(&sql).await), "200000000|200000000");
    let sql = format!("SELECT {HOUR}, count(*) AS n FROM s WHERE starts_with(repeat(k, n), 'xx') GROUP BY 1");
    assert_eq!(only(&world.both(&sql).await), "20");
}

#[tokio::test]
async fn what_enlarges_is_as_it_was_where_there_is_room() {
    let world = World::with(&[event(0, "\"n\":3,\"t\":\"ab\",\"k\":\"xy\"")]).await;
    for (expression, expected) in [
        ("repeat(t, n)", "ababab"),
        ("lpad(t, n + 2, k)", "xyxab"),
        ("rpad(t, n + 2, k)", "abxyx"),
        ("lpad(t, -n)", ""),
        ("lpad(json_as_text(data, 'none'), 2000000000)", "NULL"),
        ("replace(t, 'a', k)", "xyb"),
        (r"regexp_replace(t, '(a)', '<\1>', 'g')", "<a>b"),
        ("concat(t, NULL, k)", "abxy"),
        ("concat_ws('-', t, NULL, k)", "ab-xy"),
        ("t || '-' || k", "ab-xy"),
        ("t || NULL", "NULL"),
        ("array_repeat(t, 2)", "[ab, ab]"),
        ("array_repeat(t, -2)", "[]"),
        ("array_resize(array_repeat(n, 1), n, 0)", "[3, 0, 0]"),
        ("array_to_string(array_repeat(t, 2), k)", "abxyab"),
        ("array_concat(range(0, 1), range(1, n))", "[0, 1, 2]"),
        ("string_to_array(t || ',' || k, ',')", "[ab, xy]"),
        ("range(0, n)", "[0, 1, 2]"),
        ("generate_series(n, 0, -1)", "[3, 2, 1, 0]"),
        ("overlay(t PLACING k FROM 2 FOR 1)", "axy"),
        ("regexp_match(t, '(a)(b)')", "[a, b]"),
        ("to_char(event_time, '%Y')", "2026"),
        ("length(repeat('x', 16777216))", "16777216"),
        ("array_length(range(2097151))", "2097151"),
    ] {
        let found = world.query(&format!("SELECT {expression} AS x FROM s")).await;
        assert_eq!(found.expect(expression), BTreeSet::from([expected.to_owned()]), "{expression}");
    }
    for constant in [
        "repeat('x', 2147483647)",
        "lpad('x', 16777217)",
        "range(9223372036854775807)",
        "concat(repeat('x', 10000000), repeat('y', 10000000))",
        "repeat('x', 10000000) || repeat('y', 10000000)",
        "range(DATE '2026-01-15', DATE '2027-01-15', INTERVAL '1 month -31 days')",
    ] {
        let error = world.query(&format!("SELECT {constant} AS x")).await.expect_err(constant).to_string();
        assert!(error.contains("16 MiB"), "{constant}: {error}");
        drop(world.query(&format!("SELECT {constant} AS x FROM s WHERE n > 5")).await);
    }
}

// B7
#[tokio::test]
async fn a_period_with_too_many_rows_is_audited_window_by_window_and_says_the_same() {
    let n = |second: i64| event(second, &format!("\"n\":{second},\"k\":\"{}\"", second % 3));
    let events: Vec<String> = (0..240).map(|second| n(second * 7)).collect();
    let mut others = events.clone();
    others[100] = event(700, "\"n\":0,\"k\":\"other\"");
    let (world, other) = (World::with(&events).await, World::with(&others).await);
    for time in [
        "tumble(event_time, INTERVAL '1 minute')",
        "hop(event_time, INTERVAL '30 seconds', INTERVAL '2 minutes')",
        "tumble(event_time, INTERVAL '1 hour')",
        "session(event_time, INTERVAL '30 seconds')",
    ] {
        for sql in [
            format!("SELECT {time} AS w, k, sum(n) AS n FROM s GROUP BY 1, 2"),
            format!("SELECT {time} AS w, k, count(*) AS n FROM s GROUP BY 1, 2 HAVING count(*) > 1"),
            format!("SELECT k, sum(n) AS n FROM s GROUP BY {time}, k"),
        ] {
            let viewed = world.view(&sql).await;
            let once = world.audit(&viewed.view).await;
            assert_eq!(once.told, [], "{sql}");
            for rows_at_once in [1, 7, 40] {
                assert_eq!(world.audit_by(&viewed.view, rows_at_once).await, once, "{sql} by {rows_at_once}");
            }
            // A row without its window is told with the periods of its pass, and a file is right where all of its pass is.
            let found = async |rows_at_once: u64| {
                let mut audit = other.audit_by(&viewed.view, rows_at_once).await;
                audit.told.iter_mut().filter(|told| told.window.contains(" to ")).for_each(|told| told.window.clear());
                ViewAudit { compared: Vec::new(), ..audit }
            };
            let once = found(1_000).await;
            assert!(once.differences > 0, "{sql}");
            for rows_at_once in [1, 7, 40] {
                assert_eq!(found(rows_at_once).await, once, "{sql} by {rows_at_once}");
            }
        }
    }
}

/// An ordinary event, one that is poison to what compares its texts, one without anything, an empty one, a long one.
fn of_all_lengths() -> Vec<String> {
    let (t, k) = ("a".repeat(400_000), "a".repeat(200_000));
    let fields = [
        "\"t\":\"kitten\",\"k\":\"sitting\"".to_owned(),
        format!("\"t\":\"{t}\",\"k\":\"{k}b\""),
        "\"m\":1".into(),
        "\"t\":\"\",\"k\":\"\"".into(),
        format!("\"t\":\"{}\",\"k\":\"{}\"", "x".repeat(4_000), "y".repeat(1_000)),
    ];
    (0..).zip(fields).map(|(second, fields)| event(second, &fields)).collect()
}

#[tokio::test]
async fn an_event_that_takes_a_function_too_long_is_left_out_and_no_other() {
    let world = World::with(&of_all_lengths()).await;
    let list = |of: &str| format!("string_to_array(replace({of}, 'a', 'a,'), ',')");
    let flag = |condition: &str| format!("CAST({condition} AS BIGINT)");
    let lists = format!("{}, {}", list("t"), list("k"));
    let cases = [
        ("levenshtein(t, k)".to_owned(), "levenshtein(", "4000"),
        ("strpos(t, k)".into(), "strpos(", "1"),
        ("length(btrim(t, k))".into(), "btrim(", "4000"),
        ("length(ltrim(t, k))".into(), "ltrim(", "4000"),
        ("length(rtrim(t, k))".into(), "rtrim(", "4000"),
        (flag(&format!("array_has_any({lists})")), "array_has_any(", "0"),
        (flag(&format!("array_has_all({lists})")), "array_has_all(", "1"),
        (flag("regexp_like(t, k)"), "regexp_like(", "1"),
        ("regexp_count(t, k)".into(), "regexp_count(", "1"),
        ("regexp_instr(t, k)".into(), "regexp_instr(", "1"),
        ("CAST(array_length(regexp_match(t, k)) AS BIGINT)".into(), "regexp_match(", "1"),
        ("length(regexp_replace(t, k, 'x', 'g'))".into(), "regexp_replace(", "4000"),
        (flag("t ~ k"), " ~ ", "1"),
        (flag("t !~ k"), " !~ ", "1"),
        (flag("t ~* k"), " ~* ", "1"),
        (flag("t !~* k"), " !~* ", "1"),
        (flag("t SIMILAR TO k"), "million steps", "1"),
        (flag("t LIKE replace(k, 'b', '_')"), " LIKE ", "1"),
        (flag("t NOT LIKE replace(k, 'b', '_')"), " NOT LIKE ", "1"),
        (flag("t ILIKE k"), " ILIKE ", "1"),
        (flag("t NOT ILIKE k"), " NOT ILIKE ", "1"),
    ];
    for (expression, names, most) in cases {
        let sql = format!("SELECT {HOUR}, max({expression}) AS x, count(*) AS all FROM s GROUP BY 1");
        let rows = world.leaves_out(&sql, &[names, "268 million"], &[1]).await;
        assert_eq!(only(&rows), format!("{most}|4"), "{expression}");
    }
    // As a row, a group, a condition and what is counted together.
    for sql in [
        "SELECT event_offset, levenshtein(t, k) AS x FROM s".to_owned(),
        format!("SELECT {HOUR}, levenshtein(t, k) AS x, count(*) AS all FROM s GROUP BY 1, 2"),
        format!("SELECT {HOUR}, count(*) AS all FROM s WHERE levenshtein(t, k) >= 0 AND t IS NOT NULL GROUP BY 1"),
        format!("SELECT {HOUR}, max(levenshtein(t, k)) AS x, min(levenshtein(k, t)) AS y FROM s GROUP BY 1"),
    ] {
        world.leaves_out(&sql, &["levenshtein(", "268 million"], &[1]).await;
    }
}

#[tokio::test]
async fn what_takes_a_multiple_of_its_bytes_is_computed_of_any_text() {
    let world = World::with(&of_all_lengths()).await;
    for (expression, most) in [
        ("levenshtein(t, 'kitten')", "400000"),
        ("strpos(t, 'aa')", "1"),
        ("length(btrim(t, 'xy'))", "400000"),
        ("length(rtrim(t, 'an'))", "4000"),
        ("regexp_count(t, 'a+b|t')", "2"),
        ("length(regexp_replace(t, '(x|y)+', '', 'g'))", "400000"),
        ("CAST(t LIKE '%a_a%' AS BIGINT)", "1"),
        ("CAST(t ILIKE '%A%a%' AS BIGINT)", "1"),
        ("CAST(t ~ '^a+$' AS BIGINT)", "1"),
        ("CAST(t LIKE concat('%', k, '%') AS BIGINT)", "1"),
    ] {
        let sql = format!("SELECT {HOUR}, max({expression}) AS x, count(*) AS all FROM s GROUP BY 1");
        assert_eq!(only(&world.both(&sql).await), format!("{most}|5"), "{expression}");
    }
}

#[tokio::test]
async fn a_text_that_is_far_too_long_for_a_decimal_and_a_panic_of_the_engine_cost_one_event() {
    let digits = "1".repeat(4_000_000);
    let fields = [
        "\"n\":1,\"t\":\"7,8,9\",\"k\":\"12.5\"".to_owned(),
        format!("\"n\":2147483647,\"t\":\"7,8,9\",\"k\":\"{digits}\""),
        "\"n\":1,\"t\":\"1,2,3\",\"k\":\"7.5\"".into(),
    ];
    let events: Vec<String> = (0..).zip(fields).map(|(second, fields)| event(second, &fields)).collect();
    let world = World::with(&events).await;
    for (decimals, all) in [
        ("sum(CAST(k AS DECIMAL(20, 2)))", "20.00"),
        ("sum(k::DECIMAL(20, 2))", "20.00"),
        ("sum(arrow_cast(k, 'Decimal128(20, 2)'))", "20.00"),
        ("sum(CAST(string_to_array(k, ',') AS DECIMAL(20, 2)[])[1])", "20.00"),
    ] {
        let sql = format!("SELECT {HOUR}, {decimals} AS n FROM s GROUP BY 1");
        assert_eq!(only(&world.leaves_out(&sql, &["1000 bytes", "left("], &[1]).await), all, "{decimals}");
    }
    let both = world.both(&format!("SELECT {HOUR}, sum(TRY_CAST(k AS DECIMAL(20, 2))) AS n FROM s GROUP BY 1")).await;
    assert_eq!(only(&both), "20.00");
    // It wraps around on its way, and panics.
    let panics = "array_slice(string_to_array(t, ','), 2, 3, n)";
    let sql = format!("SELECT {HOUR}, sum(array_length({panics})) AS n FROM s GROUP BY 1");
    let viewed = world.view(&sql).await;
    let found: Vec<u64> = viewed.failed.iter().map(|(offset, _)| *offset).collect();
    assert_eq!(found, [1], "{:?}", viewed.failed);
    assert!(viewed.failed.iter().all(|(_, why)| why.contains("a defect of the query engine")), "{:?}", viewed.failed);
    assert_eq!(only(&world.query("SELECT * FROM v").await.expect("an answer")), "4");
}
