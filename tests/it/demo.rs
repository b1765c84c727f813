//! `lakehead demo`, the README's first command: one process, no network, and a clean store after Ctrl-C.

use crate::lakehead::{Lakehead, query, stored, text};

#[test]
fn the_demo_counts_events_stops_cleanly_and_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let data = folder.path().join("demo");
    let words = ["demo", "--rate", "2000", "--data", text(&data), "--listen", "127.0.0.1:0"];
    let demo = Lakehead::start(&words);
    demo.until_counted("recentchange", 1_000);
    let page = crate::http::get(&demo.address, "/").expect("the dashboard");
    assert_eq!(page.status, 200);
    assert!(page.body.contains("<title>"), "{}", page.body);
    assert!(demo.finish().success(), "Ctrl-C ends it in good order");

    let count = "SELECT count(*) AS n, count(DISTINCT meta_id) AS ids FROM recentchange";
    let kept = query(&data, count);
    assert_eq!(kept[0]["n"], kept[0]["ids"], "every event once");
    let kept = kept[0]["n"].as_u64().expect("a count");

    let demo = Lakehead::start(&words);
    demo.until("more events", |status| stored(status, "recentchange") > kept);
    let offsets = "SELECT max(meta_offset) - min(meta_offset) + 1 - count(*) AS missing, count(*) - count(DISTINCT meta_id) \
                   AS doubled FROM recentchange WHERE meta_topic = 'eqiad.mediawiki.recentchange'";
    assert_eq!(query(&data, offsets), [serde_json::json!({ "missing": 0, "doubled": 0 })]);
    assert!(demo.finish().success());
}
