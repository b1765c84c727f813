//! The dashboard as a reader sees it, in a real Chromium: figures, charts, pushes, an upstream that goes away.
//!
//! The pictures that it takes are kept under `target/screenshots/`; README shows one of them.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{
    browser::Browser,
    http,
    lakehead::{Lakehead, skip, text},
};

/// Every panel that the default pipeline fills.
const PANELS: [&str; 9] = [
    "edits_per_second",
    "latest",
    "edits_per_minute",
    "bots_and_people",
    "events_per_type",
    "bytes_changed",
    "edits_per_page",
    "events_per_domain",
    "new_pages",
];

/// Those of them that Plotly draws.
const CHARTS: [&str; 5] =
    ["edits_per_second", "edits_per_minute", "bots_and_people", "events_per_type", "bytes_changed"];

/// A page on a laptop, high enough that every chart is on the screen and so is drawn.
const LAPTOP: (u32, u32) = (1440, 2400);
/// A phone: 390 CSS pixels wide, as most sold since 2020.
const PHONE: (u32, u32) = (390, 4400);

fn browser(test: &str) -> Option<Browser> {
    Browser::open().map_err(|why| skip(test, &why)).ok()
}

fn picture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots").join(name)
}

/// The one value that a query gives.
fn ask(lakehead: &Lakehead, sql: &str) -> Value {
    let rows = rows(lakehead, sql);
    let row = rows.first().and_then(Value::as_object).unwrap_or_else(|| panic!("{sql}: no row"));
    row.values().next().cloned().unwrap_or_default()
}

fn rows(lakehead: &Lakehead, sql: &str) -> Vec<Value> {
    let accept = [("Accept", "application/json")];
    let answer = http::request(&lakehead.address, "POST", "/v1/sql", &accept, sql.as_bytes()).expect("an answer");
    assert_eq!(answer.status, 200, "{sql}: {}", answer.body);
    answer.json().as_array().cloned().expect("rows")
}

/// Opens the dashboard and waits until every panel shows something.
fn open(browser: &Browser, lakehead: &Lakehead) {
    browser.go(&format!("http://{}/", lakehead.address));
    for panel in PANELS {
        browser.until(panel, &format!("!document.getElementById('panel-{panel}').hidden"));
    }
    for chart in CHARTS {
        browser.until(&format!("the chart {chart}"), &format!("{}.data?.[0]?.y?.length", plot(chart)));
    }
    browser.until("an event in the list", "document.querySelector('#events-list .title')?.innerText");
}

fn plot(panel: &str) -> String {
    format!("document.querySelector('#panel-{panel} .chart')")
}

/// The number that a reader sees in a tile: "12,345" is 12345.
fn tile(browser: &Browser, id: &str) -> u64 {
    let text = browser.text(&format!("#{id}"));
    text.replace(',', "").parse().unwrap_or_else(|error| panic!("{id} shows {text:?}: {error}"))
}

/// Waits until the page has heard this many more snapshots.
fn snapshots(browser: &Browser, more: u64) {
    let heard = "Number(document.body.dataset.snapshots ?? 0)";
    let wanted = browser.value(heard).as_u64().unwrap_or(0) + more;
    browser.until("the next snapshot", &format!("{heard} >= {wanted}"));
}

/// Nothing was asked of any other host, and nothing was complained about.
fn assert_quiet(browser: &Browser, lakehead: &Lakehead) {
    let own = format!("http://{}/", lakehead.address);
    let requests = browser.requests();
    assert!(requests.iter().any(|url| url.ends_with("/plotly.js")), "{requests:?}");
    let outside: Vec<_> = requests.iter().filter(|url| !url.starts_with(&own) && !url.starts_with("data:")).collect();
    assert!(outside.is_empty(), "asked for {outside:?}");
    assert_eq!(browser.console(), Vec::<String>::new());
}

/// The page is not wider than its window.
fn assert_no_sideways_scrolling(browser: &Browser) {
    let width = browser.value("[document.documentElement.scrollWidth, window.innerWidth]");
    assert!(width[0].as_u64() <= width[1].as_u64(), "{width}");
}

#[test]
fn a_demo_draws_every_panel_and_its_figures_move_within_about_a_second() {
    let Some(browser) = browser("dashboard::demo") else { return };
    let folder = tempfile::tempdir().expect("a folder for the test");
    let demo = Lakehead::start(&["demo", "--listen", "127.0.0.1:0", "--data", text(&folder.path().join("data"))]);
    browser.resize(LAPTOP.0, LAPTOP.1);
    open(&browser, &demo);
    browser.until("the state", "document.getElementById('state').dataset.state === 'live'");

    let count = "SELECT count(*) FROM recentchange";
    let before = ask(&demo, count).as_u64().expect("a count");
    snapshots(&browser, 2);
    let shown = tile(&browser, "events");
    let after = ask(&demo, count).as_u64().expect("a count");
    assert!(before <= shown && shown <= after, "{shown} is not within {before} and {after}");

    // Ten changes of the figure in the page's own time: what a reader sees, whatever this test's machine is busy with.
    let watch = "void (window.changes = [], new MutationObserver(() => window.changes.push(performance.now()))
        .observe(document.getElementById('events'), { childList: true, characterData: true, subtree: true }))";
    browser.value(watch);
    browser.until("ten changes of the figure", "window.changes.length >= 11");
    let mean = browser.value("(window.changes[10] - window.changes[0]) / 10").as_f64().expect("a time");
    assert!(mean < 1500.0, "the figure changes every {mean} ms only");
    assert_quiet(&browser, &demo);
    assert!(demo.finish().success());
}
