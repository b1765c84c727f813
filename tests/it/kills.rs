//! Nothing is lost and nothing doubled: SIGKILL ten times on the way, then everything is counted again by hand.
//!
//! The recount knows nothing of Lakehead: it reads what `zstdcat` prints, parses it with serde_json, and groups it in a
//! map. What a view says must be what the map says, row by row.

use std::{collections::BTreeMap, time::Duration};

use lakehead_simulator::Generator;
use serde_json::Value;

use crate::{
    lakehead::{Lakehead, query, skip, stored, text},
    segments, verify,
};

const EVENTS: u64 = 100_000;
const SEED: u64 = 7;
/// Where the simulated time begins, so that the test can make the same events: 2026-09-01T00:00:00Z.
const START: &str = "2026-09-01T00:00:00Z";
const KILLS: usize = 10;
/// Upstream cuts connections this often, on top of the kills. Each must last long enough to bring what overlaps and something new,
/// also beside other tests and a compiler.
const CUT_AFTER: &str = "5s";

#[test]
fn ten_kills_lose_nothing_and_double_nothing() {
    if !segments::zstdcat_is_here() {
        return skip("kills::ten_kills_lose_nothing_and_double_nothing", "zstdcat is missing");
    }
    let folder = tempfile::tempdir().expect("a folder for the test");
    let data = folder.path().join("data");
    let upstream = Lakehead::start(&[
        "simulate",
        "--events",
        "100000",
        "--rate",
        "0",
        "--seed",
        "7",
        "--start",
        START,
        "--cut-after",
        CUT_AFTER,
        "--listen",
        "127.0.0.1:0",
    ]);

    let mut moments = Moments(0x9e37_79b9_7f4a_7c15);
    let mut kept = 0;
    for kill in 1..=KILLS {
        let lakehead = Lakehead::run_on(&upstream, &data);
        let status = lakehead.until("progress", |status| stored(status, "recentchange") > kept);
        kept = stored(&status, "recentchange");
        assert!(kept < EVENTS, "all was stored before kill {kill}: it did not land on the way");
        moments.wait();
        lakehead.kill();
    }

    let lakehead = Lakehead::run_on(&upstream, &data);
    let status = lakehead.until_counted("recentchange", EVENTS);
    assert_eq!(stored(&status, "recentchange"), EVENTS);

    let sql = "SELECT count(*) AS all_of_them, count(DISTINCT event_offset) AS offsets FROM recentchange";
    let while_running = query(&data, sql);
    assert_eq!(while_running[0]["all_of_them"], EVENTS);
    assert_eq!(while_running[0]["offsets"], EVENTS);

    let log = segments::zstdcat(&data, "recentchange");
    let lines = segments::lines(&log);
    assert_eq!(lines.len() as u64, EVENTS, "lines that zstdcat prints");
    every_line_is_what_the_simulator_made(&lines);

    let events: Vec<Value> = lines.iter().map(|line| serde_json::from_slice(line).expect("JSON")).collect();
    for view in VIEWS {
        assert_eq!(view.rows(&data), view.recount(&events), "{}, while it runs", view.name);
    }
    assert_eq!(edits_by_received_time(&data), events.iter().filter(|event| is_edit(event)).count() as u64);

    verify::adds_up(&data);

    assert!(lakehead.finish().success(), "Ctrl-C ends it in good order");
    verify::adds_up(&data);
    assert_eq!(query(&data, sql), while_running, "without a process the answer is the same");
    for view in VIEWS {
        assert_eq!(view.rows(&data), view.recount(&events), "{}, without a process", view.name);
    }
}

fn every_line_is_what_the_simulator_made(lines: &[&[u8]]) {
    let generator = Generator::new(SEED, START.parse().expect("a time"), 0.0);
    let mut made = Vec::new();
    for (n, line) in lines.iter().enumerate() {
        made.clear();
        generator.write_event(n as u64, &mut made);
        assert!(made == *line, "event {n} is {}\nbut was made as {}", lossy(line), lossy(&made));
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A view by event time, and the same count by hand.
struct View {
    name: &'static str,
    /// The column with the window's start.
    window: &'static str,
    /// The window's size in seconds.
    seconds: i64,
    keys: &'static [&'static str],
    values: &'static [&'static str],
    /// What one event adds.
    adds: fn(&Value) -> Adds,
}

/// The keys and values that an event adds, or `None` where the view's WHERE leaves it out.
type Adds = Option<(Vec<Value>, Vec<i64>)>;

/// Rows by window and keys.
type Rows = BTreeMap<(i64, Vec<String>), Vec<i64>>;

/// The default pipeline's views by event time. What they count is said here a second time, on purpose.
const VIEWS: &[View] = &[
    View {
        name: "edits_per_minute",
        window: "minute",
        seconds: 60,
        keys: &["wiki"],
        values: &["edits"],
        adds: |event| is_edit(event).then(|| (vec![event["wiki"].clone()], vec![1])),
    },
    View {
        name: "events_per_domain",
        window: "minute",
        seconds: 60,
        keys: &["domain"],
        values: &["events"],
        adds: |event| (!is_canary(event)).then(|| (vec![event["meta"]["domain"].clone()], vec![1])),
    },
    View {
        name: "events_per_type",
        window: "minute",
        seconds: 60,
        keys: &["type"],
        values: &["events"],
        adds: |event| (!is_canary(event)).then(|| (vec![event["type"].clone()], vec![1])),
    },
    View {
        name: "bots_and_people",
        window: "minute",
        seconds: 60,
        keys: &["bot"],
        values: &["edits"],
        adds: |event| is_edit(event).then(|| (vec![event["bot"].clone()], vec![1])),
    },
    View {
        name: "new_pages",
        window: "hour",
        seconds: 3600,
        keys: &["domain"],
        values: &["pages"],
        adds: |event| {
            (!is_canary(event) && event["type"] == "new").then(|| (vec![event["meta"]["domain"].clone()], vec![1]))
        },
    },
    View {
        name: "bytes_changed",
        window: "minute",
        seconds: 60,
        keys: &[],
        values: &["added", "removed"],
        adds: |event| {
            // A new page has no old length; without a new one there is no telling.
            let length = |which: &str| event["length"][which].as_i64();
            let change = length("new").map_or(0, |new| new - length("old").unwrap_or(0));
            is_edit(event).then(|| (Vec::new(), vec![change.max(0), (-change).max(0)]))
        },
    },
    View {
        name: "edits_per_page",
        window: "ten_minutes",
        seconds: 600,
        keys: &["wiki", "title"],
        values: &["edits"],
        adds: |event| is_edit(event).then(|| (vec![event["wiki"].clone(), event["title"].clone()], vec![1])),
    },
];

impl View {
    /// What the view says.
    fn rows(&self, data: &std::path::Path) -> Rows {
        let columns = [self.keys, self.values].concat();
        let columns: String = columns.iter().map(|column| format!(", {column}")).collect();
        let sql = format!("SELECT to_unixtime({}) AS opened{columns} FROM {}", self.window, self.name);
        let mut rows = Rows::new();
        for row in query(data, &sql) {
            let keys = self.keys.iter().map(|key| row[*key].to_string()).collect();
            let values = self.values.iter().map(|value| row[*value].as_i64().expect("a count")).collect();
            let earlier = rows.insert((row["opened"].as_i64().expect("a time"), keys), values);
            assert!(earlier.is_none(), "{} has a row twice: {row}", self.name);
        }
        rows
    }

    /// What it should say.
    fn recount(&self, events: &[Value]) -> Rows {
        let mut rows = Rows::new();
        for event in events {
            let Some((keys, adds)) = (self.adds)(event) else { continue };
            let opened = event["timestamp"].as_i64().expect("the simulator's edits have one");
            let opened = opened - opened.rem_euclid(self.seconds);
            let keys = keys.iter().map(Value::to_string).collect();
            let values = rows.entry((opened, keys)).or_insert_with(|| vec![0; self.values.len()]);
            values.iter_mut().zip(adds).for_each(|(value, add)| *value += add);
        }
        rows
    }
}

/// The view over received time: when an event was received is not in it, so its total is what can be compared.
fn edits_by_received_time(data: &std::path::Path) -> u64 {
    let rows = query(data, "SELECT sum(edits) AS edits FROM edits_per_second");
    rows[0]["edits"].as_u64().unwrap_or_else(|| panic!("no sum in {}: {rows:?}", text(data)))
}

fn is_canary(event: &Value) -> bool {
    event["meta"]["domain"] == "canary"
}

fn is_edit(event: &Value) -> bool {
    !is_canary(event) && (event["type"] == "edit" || event["type"] == "new")
}

/// Pseudo-random moments, the same in every run: xorshift (Marsaglia, 2003).
pub(crate) struct Moments(pub(crate) u64);

impl Moments {
    /// Waits up to five milliseconds: a few blocks' time at full speed.
    pub(crate) fn wait(&mut self) {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        std::thread::park_timeout(Duration::from_micros(self.0 % 5_000));
    }
}
