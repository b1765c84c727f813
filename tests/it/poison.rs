//! Events on which a view's SQL fails, while it runs, is killed, and has its SQL mended: left out of that view alone, counted,
//! told, and taken in once they can be.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use serde_json::{Value, json};

use crate::{
    http,
    lakehead::{Lakehead, eventually, query, run, text},
    verify,
};

/// Each of these many events has a zero where the view divides.
const POISON_EVERY: u64 = 7;

fn pipeline(path: &Path, divisor: &str) {
    let fresh = path.with_extension("new");
    let pipeline = format!(
        "[stream.s]\ncolumns = {{ n = {{ path = \"n\", type = \"int64\" }}, z = {{ path = \"z\", type = \"int64\" }} }}\n\
         [view.parts]\nsql = \"SELECT tumble(event_time, INTERVAL '1 minute') AS minute, count(*) AS events, \
         sum(700 / {divisor}) AS part FROM s WHERE n >= 0 GROUP BY 1\"\nlateness = \"48h\"\n\
         [view.beside]\nsql = \"SELECT tumble(event_time, INTERVAL '1 minute') AS minute, count(*) AS events FROM s \
         GROUP BY 1\"\nlateness = \"48h\"\n\
         [view.of_group]\nsql = \"SELECT tumble(event_time, INTERVAL '1 minute') AS minute, z, count(*) AS events, \
         100 / sum(z) AS part FROM s GROUP BY 1, 2\"\nlateness = \"48h\"\n"
    );
    fs::write(&fresh, pipeline).expect("the pipeline can be written");
    fs::rename(&fresh, path).expect("the pipeline can be replaced");
}

fn events(from: u64, count: u64) -> Vec<u8> {
    let event = |n: u64| {
        let second = n % 7_200;
        let dt = format!("2026-09-01T{:02}:{:02}:{:02}Z", second / 3_600, second / 60 % 60, second % 60);
        format!("{}\n", json!({ "n": n, "z": n % POISON_EVERY, "dt": dt }))
    };
    (from..from + count).map(event).collect::<String>().into_bytes()
}

fn poisoned(events: u64) -> u64 {
    events.div_ceil(POISON_EVERY)
}

fn number(rows: &[Value], column: &str) -> u64 {
    rows[0][column].as_u64().unwrap_or_else(|| panic!("{column} of {rows:?}"))
}

#[test]
fn poison_events_are_left_out_of_one_view_counted_once_and_taken_in_when_its_sql_is_mended() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (file, data) = (folder.path().join("pipeline.toml"), folder.path().join("data"));
    pipeline(&file, "z");
    let mut pushed = 0;
    for life in 0..4 {
        let lakehead = Lakehead::run_pipeline(&file, &data);
        let before = lakehead.until("the views", |status| status["views"]["parts"]["offset"].is_u64());
        pushed = before["streams"]["s"]["end"].as_u64().expect("an offset");
        for _ in 0..12 {
            assert_eq!(lakehead.push("s", &events(pushed, 40)).status, 201);
            pushed += 40;
        }
        if life < 3 {
            // In the midst of what the views do with it.
            lakehead.kill();
            continue;
        }
        let status = lakehead.until_counted("s", pushed);
        let view = &status["views"]["parts"];
        assert_eq!((view["state"].as_str(), view["failed_events"].as_u64()), (Some("live"), Some(poisoned(pushed))));
        assert!(
            view["failure"].as_str().is_some_and(|why| why.contains("(700 / ") && why.contains("offset")),
            "{view}"
        );
        assert_eq!(status["views"]["beside"]["failed_events"], 0);
        let health = http::get(&lakehead.address, "/healthz").expect("an answer");
        assert!(health.status == 200 && health.body.contains("view parts has left out"), "{}", health.body);
        let metrics = http::get(&lakehead.address, "/metrics").expect("an answer").body;
        let metric = format!("lakehead_view_failed_events_total{{view=\"parts\"}} {}", poisoned(pushed));
        assert!(metrics.contains(&metric), "{metrics}");
        verify::adds_up(&data);
        assert!(lakehead.finish().success());
    }
    let rows = query(&data, "SELECT sum(events) AS events FROM parts");
    assert_eq!(number(&rows, "events"), pushed - poisoned(pushed));
    let rows = query(&data, "SELECT sum(events) AS events FROM beside");
    assert_eq!(number(&rows, "events"), pushed);
    let rows = query(&data, "SELECT count(*) AS nulls FROM of_group WHERE part IS NULL AND z = 0");
    assert!(number(&rows, "nulls") > 0);
    let told = query(
        &data,
        "SELECT count(DISTINCT refused_offset) AS told, count(*) FILTER (WHERE refused_offset % 7 <> 0) AS wrong, \
         count(DISTINCT view) AS views, min(reason) AS why FROM rejects",
    );
    assert!((1..=poisoned(pushed)).contains(&number(&told, "told")), "{told:?}");
    assert_eq!((number(&told, "wrong"), number(&told, "views")), (0, 1), "{told:?}");
    assert!(told[0]["why"].as_str().is_some_and(|why| why.contains("(700 / ")), "{told:?}");
    verify::adds_up(&data);

    // Mended while events flow.
    let lakehead = Lakehead::run_pipeline(&file, &data);
    let (done, count) = (AtomicBool::new(false), AtomicU64::new(pushed));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let from = count.load(Ordering::Relaxed);
                assert_eq!(lakehead.push("s", &events(from, 40)).status, 201);
                count.store(from + 40, Ordering::Relaxed);
            }
        });
        assert!(eventually(|| count.load(Ordering::Relaxed) > pushed + 200));
        pipeline(&file, "nullif(z, 0)");
        let said = run(&["reload", "--data", text(&data)]);
        assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
        let mended = |status: &Value| {
            let view = &status["views"]["parts"];
            view["next"].is_null() && view["failed_events"] == 0 && view["state"] == "live"
        };
        lakehead.until("the mended view", mended);
        done.store(true, Ordering::Relaxed);
    });
    pushed = count.into_inner();
    lakehead.until_counted("s", pushed);
    verify::adds_up(&data);
    assert!(lakehead.finish().success());
    for view in ["parts", "beside"] {
        let rows = query(&data, &format!("SELECT sum(events) AS events FROM {view}"));
        assert_eq!(number(&rows, "events"), pushed, "{view}");
    }
    verify::adds_up(&data);
}

#[test]
fn check_refuses_a_view_that_would_fail_at_its_first_event_and_says_what_to_write() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let file = folder.path().join("pipeline.toml");
    let checked = |what: &str| {
        let pipeline = format!(
            "[stream.s]\ncolumns = {{ n = {{ path = \"n\", type = \"int64\" }}, d = {{ path = \"d\", type = \"float64\" }} }}\n\
             [view.v]\nsql = \"SELECT tumble(event_time, INTERVAL '1 minute') AS minute, {what} AS x FROM s GROUP BY 1\"\n"
        );
        fs::write(&file, pipeline).expect("the pipeline can be written");
        run(&["check", text(&file)])
    };
    for (what, words) in [
        ("approx_distinct(d)", ["approx_distinct", "CAST"]),
        ("string_agg(DISTINCT n, ',' ORDER BY n)", ["string_agg", "CAST"]),
    ] {
        let said = checked(what);
        assert_ne!(said.code, Some(0), "{what}: {}", said.stdout);
        assert!(words.iter().all(|word| said.stderr.contains(word)), "{what}: {}", said.stderr);
    }
    for what in ["sum(100 / n)", "sum(n)", "approx_distinct(CAST(d AS TEXT))"] {
        let said = checked(what);
        assert_eq!(said.code, Some(0), "{what}: {}", said.stderr);
    }
}
