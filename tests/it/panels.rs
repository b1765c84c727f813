//! The dashboard of a pipeline that nobody has drawn before: every sort of view, odd names, nothing there yet, a reload under
//! an open page, a hundred views.

use std::{fmt::Write as _, path::Path, time::SystemTime};

use lakehead_model::Timestamp;

use crate::{
    browser::Browser,
    http,
    lakehead::{Lakehead, skip},
};

/// Streams of a shop and of some sensors, and views of every sort over them.
const SHOP: &str = r#"
[stream.orders]
event_time = "at"
columns = { shop = "shop", product = "product", price = { path = "price", type = "float64" }, pieces = { path = "pieces", type = "int64" }, paid = { path = "paid", type = "bool" } }

[stream.readings]
event_time = "at"
columns = { sensor = "sensor", celsius = { path = "celsius", type = "float64" } }

[stream.quiet]

[view.per_minute]
sql = "SELECT tumble(event_time, INTERVAL '1 minute') AS minute, shop, count(*) AS orders, sum(price * pieces) AS revenue FROM orders GROUP BY 1, 2"

[view.paid]
sql = "SELECT tumble(event_time, INTERVAL '10 seconds') AS ten, paid, count(*) AS orders FROM orders GROUP BY 1, 2"

[view.temperature]
sql = "SELECT tumble(event_time, INTERVAL '1 minute') AS minute, sensor, avg(celsius) AS celsius FROM readings GROUP BY 1, 2"

[view.hops]
sql = "SELECT hop(event_time, INTERVAL '1 minute', INTERVAL '5 minutes') AS slide, count(*) AS readings FROM readings GROUP BY 1"

[view.visits]
sql = "SELECT session(event_time, INTERVAL '20 seconds') AS began, shop, count(*) AS orders FROM orders GROUP BY 1, 2"

[view.by_month]
sql = "SELECT tumble(event_time, INTERVAL '1 month') AS month, count(*) AS orders FROM orders GROUP BY 1"

[view.received]
sql = "SELECT tumble(received_time, INTERVAL '1 second') AS second, count(*) AS orders FROM orders GROUP BY 1"

[view.per_hour]
sql = "SELECT tumble(minute, INTERVAL '1 hour') AS hour, shop, sum(orders) AS orders FROM per_minute GROUP BY 1, 2"

[view.large]
sql = "SELECT event_time, shop, product, price * pieces AS total FROM orders WHERE price * pieces > 10"

[view.order]
sql = "SELECT tumble(event_time, INTERVAL '1 minute') AS \"from\", product AS \"group by <b>\", count(*) AS \"how many; '\" FROM orders GROUP BY 1, 2"

[view.only_window]
sql = "SELECT tumble(event_time, INTERVAL '1 minute') AS minute FROM orders GROUP BY 1"

[view.lists]
sql = "SELECT tumble(event_time, INTERVAL '1 minute') AS minute, array_agg(shop ORDER BY event_time) AS shops FROM orders GROUP BY 1"

[view.waits]
sql = "SELECT tumble(event_time, INTERVAL '1 minute') AS minute, count(*) AS n FROM quiet GROUP BY 1"

[view.never]
sql = "SELECT tumble(event_time, INTERVAL '1 minute') AS minute, count(*) AS n FROM orders WHERE shop = 'nowhere' GROUP BY 1"
"#;

/// Twelve shops, the first the busiest.
const SHOPS: i64 = 12;
/// The orders of all of them: 13 - shop of each.
const ORDERS: i64 = SHOPS * (SHOPS + 1) / 2;

/// Writes the pipeline, starts it, and pushes a few minutes of orders and readings that have just been.
fn start(folder: &Path, pipeline: &str) -> Lakehead {
    let file = folder.join("pipeline.toml");
    std::fs::write(&file, pipeline).expect("the pipeline can be written");
    let lakehead = Lakehead::run_pipeline(&file, &folder.join("data"));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let start = Timestamp(i64::try_from(now.as_micros()).expect("a time") - 300_000_000);
    let (mut orders, mut readings) = (String::new(), String::new());
    for shop in 0..SHOPS {
        for n in 0..SHOPS - shop {
            let at = Timestamp(start.0 + n * 11_000_000 + shop * 500_000);
            let (product, paid) = (["tea", "soup", "cake"][(n % 3) as usize], n % 4 != 0);
            writeln!(
                orders,
                r#"{{"at":"{at}","shop":"shop {shop:02}","product":"{product}","price":{}.5,"pieces":2,"paid":{paid}}}"#,
                shop + 1
            )
            .expect("text");
            writeln!(readings, r#"{{"at":"{at}","sensor":"s{shop}","celsius":{}.25}}"#, 18 + shop).expect("text");
        }
    }
    for (stream, body) in [("orders", orders), ("readings", readings)] {
        let path = format!("/v1/streams/{stream}/events");
        let pushed = http::request(&lakehead.address, "POST", &path, &[], body.as_bytes()).expect("an answer");
        assert_eq!(pushed.status, 201, "{}", pushed.body);
    }
    lakehead.until_counted("orders", ORDERS as u64);
    lakehead
}

fn browser(test: &str) -> Option<Browser> {
    Browser::open().map_err(|why| skip(test, &why)).ok()
}

/// An element of a panel. Names of panels that nobody wrote hold a colon.
fn of(panel: &str, within: &str) -> String {
    format!("document.querySelector('[data-panel=\"{panel}\"] {within}')")
}

/// The sum of all that a panel's first chart draws.
fn sum(panel: &str) -> String {
    format!("{}?.data?.flatMap((t) => t.y).reduce((a, b) => a + b, 0)", of(panel, ".chart"))
}

#[test]
fn every_sort_of_view_is_shown_by_its_columns_and_says_what_it_waits_for() {
    let Some(browser) = browser("panels::sorts") else { return };
    let folder = tempfile::tempdir().expect("a folder for the test");
    let lakehead = start(folder.path(), SHOP);
    browser.resize(1440, 7000);
    browser.go(&format!("http://{}/", lakehead.address));
    let shown = |what: &str, expression: String, expected: &str| {
        browser.until(&format!("{what}: {expression} to be {expected}"), &format!("({expression}) === {expected}"));
    };
    let orders = ORDERS.to_string();
    shown("orders per minute", sum("view:per_minute"), &orders);
    shown("the eight busiest and the others", format!("{}.data.length", of("view:per_minute", ".chart")), "9");
    shown(
        "two charts of two numbers",
        "document.querySelectorAll('[data-panel=\"view:per_minute\"] .chart').length".into(),
        "2",
    );
    shown(
        "truths are named",
        format!("{}.data.map((t) => t.name).sort().join()", of("view:paid", ".chart")),
        "'not paid,paid'",
    );
    shown("averages are lines", format!("{}.data[0].type", of("view:temperature", ".chart")), "'scatter'");
    shown(
        "no average of averages",
        format!("{}.data.some((t) => t.name === 'others')", of("view:temperature", ".chart")),
        "false",
    );
    shown(
        "and it is said",
        format!("{}.innerText.includes('others are left out')", of("view:temperature", ".sub")),
        "true",
    );
    shown("windows that overlap are lines", format!("{}.data[0].type", of("view:hops", ".chart")), "'scatter'");
    shown("sessions are points", format!("{}.data[0].mode", of("view:visits", ".chart")), "'markers'");
    shown("a month", sum("view:by_month"), &orders);
    shown("a view over a view", sum("view:per_hour"), &orders);
    shown("names of any characters", sum("view:order"), &orders);
    shown(
        "rows without a window, the newest first",
        format!("{}.cells[1].innerText", of("view:large", "tbody tr")),
        "'shop 11'",
    );
    shown("only a window", format!("{}.innerText", of("view:only_window", "th")), "'minute'");
    shown("lists", format!("{}.innerText.startsWith('[\"shop')", of("view:lists", "tbody td:nth-child(2)")), "true");
    shown(
        "an empty stream",
        format!("{}.innerText", of("view:waits", ".wait")),
        "'Nothing yet: stream quiet waits for the first event: POST /v1/streams/quiet/events.'",
    );
    shown(
        "no event that counts",
        format!("{}.innerText", of("view:never", ".wait")),
        &format!("'No row yet: none of the {ORDERS} events of orders has met its conditions.'"),
    );
    let events = of("stream:orders", ".events li");
    shown("the newest event", format!("{events}.innerText.includes('shop 11')"), "true");
    browser.until("the rate", &format!("{}.data?.[0]?.y?.length > 1", of("rate:orders", ".chart")));
    let errors =
        "[...document.querySelectorAll('.wait')].filter((w) => w.innerText.includes('cannot be shown')).length";
    assert_eq!(browser.value(errors), 0, "{}", browser.text("#panels"));
    assert_eq!(browser.value("document.getElementById('simulated').hidden"), true);
    assert_eq!(browser.console(), Vec::<String>::new());
    for width in [1440, 800, 390] {
        browser.resize(width, 7000);
        let fits = "document.documentElement.scrollWidth <= window.innerWidth";
        browser.until(&format!("a page no wider than {width}"), fits);
    }
}

#[test]
fn a_reload_changes_the_open_page_and_what_stays_is_not_built_anew() {
    let Some(browser) = browser("panels::reload") else { return };
    let folder = tempfile::tempdir().expect("a folder for the test");
    let lakehead = start(folder.path(), SHOP);
    browser.resize(1440, 7000);
    browser.go(&format!("http://{}/", lakehead.address));
    let orders = ORDERS.to_string();
    browser.until("the chart", &format!("{} === {orders}", sum("view:per_minute")));
    let rows = |text: &str| {
        std::fs::write(folder.path().join("pipeline.toml"), text).expect("the pipeline can be written");
        let answer = http::request(&lakehead.address, "POST", "/v1/reload", &[], b"").expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.body);
    };
    browser.value(&format!("void ({}.dataset.kept = 'yes')", of("view:paid", ".chart")));
    let panel =
        "[panel.shops]\nview = \"per_minute\"\ntitle = \"Shops\"\nkind = \"ranks\"\nseries = \"shop\"\nwindows = 60\n";
    let view = "[view.fresh]\nsql = \"SELECT tumble(event_time, INTERVAL '1 hour') AS hour, count(*) AS orders FROM orders GROUP BY 1\"\n";
    let stream = "[stream.another]\n";
    rows(&format!("{SHOP}{panel}{view}{stream}"));
    browser.until("the ranking", &format!("{}?.innerText.startsWith('shop 00')", of("shops", "tbody tr")));
    browser.until("its heading", &format!("{}.innerText === 'Shops'", of("shops", "h2")));
    browser.until("the panel by itself to go", &format!("!{}", of("view:per_minute", "h2")));
    browser.until("the new view", &format!("{} === {orders}", sum("view:fresh")));
    browser.until("the new stream", &of("stream:another", "h2").to_string());
    assert_eq!(browser.value(&format!("{}.dataset.kept", of("view:paid", ".chart"))), "yes", "it was built anew");
    rows(&SHOP.replace("[view.paid]", "[view.paid_or_not]"));
    browser.until("the old name to go", &format!("!{}", of("view:paid", "h2")));
    browser.until("the panel to go", &format!("!{}", of("shops", "h2")));
    browser.until("the view by itself again", &format!("{} === {orders}", sum("view:per_minute")));
    browser.until("the new name", &format!("{} === {orders}", sum("view:paid_or_not")));
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn of_a_hundred_views_only_those_in_sight_are_asked() {
    let Some(browser) = browser("panels::hundred") else { return };
    let folder = tempfile::tempdir().expect("a folder for the test");
    let mut pipeline = SHOP.split("[view.").next().expect("the streams").to_owned();
    for n in 0..100 {
        let sql = "SELECT tumble(event_time, INTERVAL '1 minute') AS minute, shop, count(*) AS orders FROM orders";
        writeln!(pipeline, "[view.v{n:03}]\nsql = \"{sql} WHERE pieces > {} GROUP BY 1, 2\"", n % 2).expect("text");
    }
    let lakehead = start(folder.path(), &pipeline);
    browser.resize(1440, 900);
    browser.go(&format!("http://{}/", lakehead.address));
    browser.until("all panels", "document.querySelectorAll('#panels .panel').length === 106");
    let asked = || {
        let metrics = http::request(&lakehead.address, "GET", "/metrics", &[], b"").expect("an answer").body;
        metrics.lines().filter(|line| line.starts_with("lakehead_panel_query_seconds{")).count()
    };
    browser.until("the panels in sight", &format!("{}?.innerText.includes('shop')", of("stream:orders", ".events li")));
    let before = asked();
    assert!((1..=12).contains(&before), "{before} panels were asked");
    browser.value(&format!("void {}.scrollIntoView()", of("view:v099", "h2")));
    browser.until("the last view", &format!("{} === {ORDERS}", sum("view:v099")));
    let after = asked();
    assert!(after < 40, "{after} panels were asked");
    assert_eq!(browser.console(), Vec::<String>::new());
}
