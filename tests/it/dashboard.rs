//! The dashboard as a reader sees it, in a real Chromium: figures, charts, pushes, an upstream that goes away.
//!
//! The pictures that it takes are kept under `target/screenshots/`; README shows one of them.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use lakehead_model::Timestamp;
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
const PHONE_WIDTH: u32 = 390;

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
        browser.until(panel, &format!("document.getElementById('panel-{panel}')?.hidden === false"));
    }
    for chart in CHARTS {
        browser.until(&format!("the chart {chart}"), &format!("{}?.data?.[0]?.y?.length", plot(chart)));
    }
    browser.until("an event in the list", "document.querySelector('#panel-latest .events .title')?.innerText");
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

/// Makes the page `width` wide and as high as it needs, and waits until every chart has followed.
fn fit(browser: &Browser, width: u32) {
    browser.resize(width, 800);
    let height = browser.value("Math.ceil(document.body.getBoundingClientRect().height)").as_u64().expect("a height");
    browser.resize(width, u32::try_from(height).expect("a page is not that high"));
    for chart in CHARTS {
        let plot = plot(chart);
        let drawn = format!("Math.abs({plot}._fullLayout.width - {plot}.clientWidth) <= 1");
        browser.until(&format!("the chart {chart} in its new width"), &drawn);
        let coloured = "getComputedStyle(document.documentElement).getPropertyValue('--soft').trim()";
        let themed = format!("{plot}._fullLayout.font.color === {coloured}");
        browser.until(&format!("the chart {chart} in the page's colours"), &themed);
    }
}

/// Nothing was asked of any other host, and nothing was complained about.
fn assert_quiet(browser: &Browser, lakehead: &Lakehead) {
    let own = format!("http://{}/", lakehead.address);
    let requests = browser.requests();
    assert!(requests.iter().any(|url| url.ends_with("/plotly.js")), "{requests:?}");
    let outside: Vec<_> = requests.iter().filter(|url| !url.starts_with(&own)).collect();
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
    let states = "[...document.querySelectorAll('#views tbody tr')].map((row) => row.cells[2].innerText.trim())";
    browser.until("eight live views", &format!("{states}.join() === 'Live,Live,Live,Live,Live,Live,Live,Live'"));

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
    assert!(browser.text("#simulated").starts_with("Simulated."), "{}", browser.text("#simulated"));
    browser.until("titles of pages", "document.querySelector('#panel-edits_per_page tbody .label')");
    assert_eq!(browser.value("document.querySelectorAll('#panels a').length"), 0, "made-up titles lead nowhere");
    assert_quiet(&browser, &demo);
    assert!(demo.finish().success());
}

/// What each panel shows, as a number of the page, and the SQL whose answer it must be.
fn figures() -> Vec<(&'static str, String, &'static str)> {
    let sum = |panel: &str, trace: &str| {
        format!("{}.data.filter((t) => {trace}).flatMap((t) => t.y).reduce((a, b) => a + b, 0)", plot(panel))
    };
    let first = |panel: &str| {
        format!("Number(document.querySelector('#panel-{panel} tbody td:last-child').innerText.replaceAll(',', ''))")
    };
    vec![
        (
            "events kept",
            "Number(document.getElementById('events').innerText.replaceAll(',', ''))".into(),
            "SELECT count(*) FROM recentchange",
        ),
        ("edits per second", sum("edits_per_second", "t.name === 'edits'"), "SELECT sum(edits) FROM edits_per_second"),
        ("edits per minute", sum("edits_per_minute", "true"), "SELECT sum(edits) FROM edits_per_minute"),
        (
            "edits of one wiki",
            sum("edits_per_minute", "t.name === 'enwiki'"),
            "SELECT sum(edits) FROM edits_per_minute WHERE wiki = 'enwiki'",
        ),
        (
            "edits by bots",
            sum("bots_and_people", "t.name === 'bots'"),
            "SELECT sum(edits) FROM bots_and_people WHERE bot",
        ),
        (
            "edits by people",
            sum("bots_and_people", "t.name === 'people'"),
            "SELECT sum(edits) FROM bots_and_people WHERE NOT bot",
        ),
        (
            "logged actions",
            sum("events_per_type", "t.name === 'log'"),
            "SELECT sum(events) FROM events_per_type WHERE type = 'log'",
        ),
        ("events of all types", sum("events_per_type", "true"), "SELECT count(*) FROM recentchange WHERE NOT canary"),
        ("bytes added", sum("bytes_changed", "t.name === 'added'"), "SELECT sum(added) FROM bytes_changed"),
        ("bytes removed", sum("bytes_changed", "t.name === 'removed'"), "SELECT -sum(removed) FROM bytes_changed"),
        (
            "edits of the top page",
            first("edits_per_page"),
            "SELECT sum(edits) AS edits FROM edits_per_page WHERE ten_minutes >= \
             (SELECT max(ten_minutes) FROM edits_per_page) - INTERVAL '10 minutes' GROUP BY wiki, title ORDER BY edits DESC LIMIT 1",
        ),
        (
            "events of the top domain",
            first("events_per_domain"),
            "SELECT sum(events) AS events FROM events_per_domain WHERE minute > \
             (SELECT max(minute) FROM events_per_domain) - INTERVAL '10 minutes' GROUP BY domain ORDER BY events DESC LIMIT 1",
        ),
        (
            "new pages of the top domain",
            first("new_pages"),
            "SELECT max(pages) FROM new_pages WHERE hour = (SELECT max(hour) FROM new_pages)",
        ),
    ]
}

#[test]
fn the_figures_are_what_sql_says_and_an_upstream_that_is_away_is_named() {
    const EVENTS: u64 = 60_000;
    let Some(browser) = browser("dashboard::figures") else { return };
    let folder = tempfile::tempdir().expect("a folder for the test");
    let made = ["simulate", "--rate", "0", "--events", "60000", "--seed", "7", "--listen", "127.0.0.1:0"];
    let upstream = Lakehead::start(&made);
    let lakehead = Lakehead::run_on(&upstream, &folder.path().join("data"));
    lakehead.until_counted("recentchange", EVENTS);

    browser.resize(LAPTOP.0, LAPTOP.1);
    open(&browser, &lakehead);
    for (what, shown, sql) in figures() {
        let expected = ask(&lakehead, sql);
        assert!(expected.as_f64().is_some_and(|number| number != 0.0), "{what}: {expected}");
        browser.until(&format!("{what} to be {expected}, as `{sql}` says"), &format!("{shown} === {expected}"));
    }
    assert_eq!(tile(&browser, "events"), EVENTS);

    upstream.kill();
    browser.until("the upstream to be called away", "document.getElementById('state').dataset.state === 'away'");
    assert_eq!(browser.text("#state"), "Upstream away");
    browser.until("the next try", "/trying again (in \\d+ s|now): /.test(document.getElementById('notice').innerText)");
    let notice = browser.text("#notice");
    assert!(notice.starts_with("Upstream away since "), "{notice}");
    assert!(notice.contains("127.0.0.1"), "the notice says which upstream, and why: {notice}");
    assert_eq!(tile(&browser, "events"), EVENTS, "what is kept is still shown");
    browser.until("some quiet seconds", &format!("{}.data[0].y.length >= 10", plot("edits_per_second")));
    fit(&browser, LAPTOP.0);
    browser.screenshot(&picture("upstream-away.png"));
    assert_quiet(&browser, &lakehead);
}

/// The default pipeline on another upstream, from an hour ago on.
fn pipeline(folder: &Path, upstream: &Lakehead, since: Timestamp) -> PathBuf {
    let wikimedia = "url = \"https://stream.wikimedia.org/v2/stream/recentchange\"";
    let here = format!("url = \"http://{}/v2/stream/recentchange\"\nsince = \"{since}\"", upstream.address);
    let default = include_str!("../../src/default_pipeline.toml");
    assert!(default.contains(wikimedia), "the default pipeline reads Wikimedia");
    let path = folder.join("pipeline.toml");
    std::fs::write(&path, default.replace(wikimedia, &here)).expect("the pipeline can be written");
    path
}

#[test]
fn an_hour_of_wikimedias_rate_is_shown_in_light_in_dark_and_on_a_phone() {
    let Some(browser) = browser("dashboard::pictures") else { return };
    let folder = tempfile::tempdir().expect("a folder for the test");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let since = Timestamp::default().plus(now).minus(Duration::from_secs(62 * 60));
    let start = since.to_string();
    let made = ["simulate", "--rate", "36.1", "--seed", "7", "--start", &start, "--listen", "127.0.0.1:0"];
    let upstream = Lakehead::start(&made);
    let pipeline = pipeline(folder.path(), &upstream, since);
    let lakehead = Lakehead::run_pipeline(&pipeline, &folder.path().join("data"));

    browser.prefer("light");
    browser.resize(LAPTOP.0, LAPTOP.1);
    open(&browser, &lakehead);
    browser.until("the state", "document.getElementById('state').dataset.state === 'live'");
    browser.until("an hour of minutes", &format!("{}.data[0].x.length >= 60", plot("edits_per_minute")));
    browser.until("half a minute of seconds", &format!("{}.data[0].y.length >= 30", plot("edits_per_second")));
    fit(&browser, LAPTOP.0);
    assert_no_sideways_scrolling(&browser);
    browser.screenshot(&picture("dashboard-light.png"));
    browser.prefer("dark");
    fit(&browser, LAPTOP.0);
    browser.screenshot(&picture("dashboard-dark.png"));
    browser.prefer("light");
    fit(&browser, PHONE_WIDTH);
    assert_no_sideways_scrolling(&browser);
    browser.screenshot(&picture("dashboard-phone.png"));
    assert_quiet(&browser, &lakehead);
}
