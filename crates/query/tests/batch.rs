//! Queries over a stream against models too simple to be wrong: windows of every kind, what is broken ties, `top_k`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use arrow::util::display::{ArrayFormatter, FormatOptions};
use lakehead_model::{Clock, EventBatch, Kind, Name, StreamSchema, Timestamp};
use lakehead_query::{Lake, Limits};
use lakehead_store::{Append, Options, Store};

/// A clock that goes on a millisecond whenever it is asked.
#[derive(Debug)]
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.fetch_add(1_000, Ordering::Relaxed))
    }
}

/// One event as the tests make it.
#[derive(Clone, Debug)]
struct Event {
    seconds: Option<i64>,
    wiki: Option<&'static str>,
    user: u64,
    bot: bool,
    length: Option<i64>,
}

impl Event {
    fn at(seconds: i64, user: u64) -> Self {
        Self { seconds: Some(seconds), wiki: Some("enwiki"), user, bot: false, length: None }
    }

    fn json(&self) -> String {
        let time = self.seconds.map_or(String::new(), |seconds| format!(",\"timestamp\":{seconds}"));
        let wiki = self.wiki.map_or(String::new(), |wiki| format!(",\"wiki\":\"{wiki}\""));
        let length = self.length.map_or(String::new(), |length| format!(",\"length\":{{\"new\":{length}}}"));
        format!("{{\"user\":\"u{}\",\"bot\":{}{time}{wiki}{length}}}", self.user, self.bot)
    }
}

/// A small generator (splitmix64), so that a failure names its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        i64::try_from((z ^ (z >> 31)) % u64::try_from(bound).expect("above zero")).expect("small")
    }

    /// Events in disorder, some without a time, some without a key, often at the same second or exactly 30 s apart.
    fn events(&mut self, count: usize) -> Vec<Event> {
        let mut clock = 1_700_000_000;
        let mut event = || {
            clock += [0, 0, 1, 7, 29, 30, 31, 200][usize::try_from(self.below(8)).expect("small")];
            let behind = if self.below(5) == 0 { 30 * self.below(20) } else { self.below(3) };
            Event {
                seconds: (self.below(20) > 0).then_some(clock - behind),
                wiki: [None, Some("enwiki"), Some("dewiki"), Some("a_wiki_with_a_rather_long_name")]
                    [usize::try_from(self.below(4)).expect("small")],
                user: self.below(40).unsigned_abs(),
                bot: self.below(3) == 0,
                length: (self.below(10) > 0).then(|| self.below(1_000)),
            }
        };
        (0..count).map(|_| event()).collect()
    }
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

/// A lake with one stream.
struct World {
    lake: Lake,
    // Closed last: the lake reads from it.
    _store: Store,
    _dir: tempfile::TempDir,
}

impl World {
    async fn of(schema: &str, events: &[String]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(Ticking(AtomicI64::new(1_800_000_000_000_000)));
        let store = Store::open(dir.path(), Options::default(), clock).expect("a store");
        let stream = store.stream(&name("s")).expect("a stream");
        let appender = stream.appender();
        for some in events.chunks(97) {
            let mut batch = EventBatch::default();
            some.iter().for_each(|event| batch.push(event.as_bytes(), None));
            let append = Append { source: name("test"), events: batch, cursor: None, keys: Vec::new(), urgent: true };
            appender.append(append).await.expect("taken").await.expect("committed");
        }
        let lake = Lake::new(Limits { threads: 3, ..Limits::default() }).expect("a lake");
        lake.add_stream(StreamSchema::builtin(schema).expect("built in"), stream);
        Self { lake, _store: store, _dir: dir }
    }

    async fn with(events: &[Event]) -> Self {
        let json: Vec<String> = events.iter().map(Event::json).collect();
        Self::of("mediawiki/recentchange", &json).await
    }

    /// The rows of a query as text, cells parted by ` | `, in order of the text.
    async fn rows(&self, sql: &str) -> Vec<String> {
        let mut rows = self.rows_in_order(sql).await;
        rows.sort();
        rows
    }

    async fn rows_in_order(&self, sql: &str) -> Vec<String> {
        let answer = self.lake.query(sql).await.unwrap_or_else(|error| panic!("{sql}\n{error}"));
        let options = FormatOptions::default().with_null("NULL");
        let mut rows = Vec::new();
        for batch in answer.batches {
            let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).expect("text"));
            let columns: Vec<_> = columns.collect();
            rows.extend(
                (0..batch.num_rows()).map(|row| {
                    columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(" | ")
                }),
            );
        }
        rows
    }

    async fn refused(&self, sql: &str) -> String {
        let error = self.lake.query(sql).await.map(|answer| answer.rows()).expect_err(sql);
        assert_eq!(error.kind(), Kind::Invalid, "{sql}: {error:?}");
        error.to_string()
    }
}

/// What the tests count in a window.
#[derive(Clone, Debug, Default)]
struct Counted {
    events: i64,
    bots: i64,
    bytes: Option<i64>,
    users: BTreeSet<u64>,
}

impl Counted {
    fn add(&mut self, event: &Event) {
        self.events += 1;
        self.bots += i64::from(event.bot);
        self.bytes = [self.bytes, event.length].into_iter().flatten().reduce(|a, b| a + b);
        self.users.insert(event.user);
    }
}

/// The same in SQL, over windows that are called `w`.
fn counting(window: &str) -> String {
    format!(
        "SELECT CAST(w AS BIGINT) / 1000000, wiki, events, bots, bytes, users FROM (
            SELECT {window} AS w, wiki, count(*) AS events, count(*) FILTER (WHERE bot) AS bots,
                sum(length_new) AS bytes, count(DISTINCT \"user\") AS users
            FROM s GROUP BY 1, 2) counted"
    )
}

type Windows = BTreeMap<(i64, Option<&'static str>), Counted>;

fn texts(windows: &Windows) -> Vec<String> {
    let text = |option: Option<String>| option.unwrap_or_else(|| "NULL".into());
    let row = |((start, wiki), counted): (&(i64, Option<&str>), &Counted)| {
        let (wiki, bytes) = (text(wiki.map(str::to_owned)), text(counted.bytes.map(|bytes| bytes.to_string())));
        format!("{start} | {wiki} | {} | {} | {bytes} | {}", counted.events, counted.bots, counted.users.len())
    };
    let mut rows: Vec<String> = windows.iter().map(row).collect();
    rows.sort();
    rows
}

fn hopped(events: &[Event], slide: i64, size: i64) -> Windows {
    let mut windows = Windows::new();
    for event in events {
        let Some(time) = event.seconds else { continue };
        let mut start = time.div_euclid(slide) * slide;
        while time < start + size {
            windows.entry((start, event.wiki)).or_default().add(event);
            start -= slide;
        }
    }
    windows
}

fn sessions(events: &[Event], gap: i64, greatest: i64) -> Windows {
    let mut sorted: Vec<(i64, &Event)> = events.iter().filter_map(|event| Some((event.seconds?, event))).collect();
    sorted.sort_by_key(|(time, _)| *time);
    let mut open: BTreeMap<Option<&str>, (i64, i64)> = BTreeMap::new();
    let mut windows = Windows::new();
    for (time, event) in sorted {
        let session = open.entry(event.wiki).or_insert((time, time));
        let (start, last) = *session;
        let goes_on = time - last < gap && time.div_euclid(greatest) == last.div_euclid(greatest);
        *session = (if goes_on { start } else { time }, time);
        windows.entry((session.0, event.wiki)).or_default().add(event);
    }
    windows
}

#[tokio::test]
async fn a_hop_counts_each_event_in_every_window_that_holds_it() {
    for seed in 0..3 {
        let events = Random(seed).events(2_000);
        let world = World::with(&events).await;
        for (slide, size) in [(60, 300), (40, 100), (60, 60), (7, 3_600)] {
            let window = format!("hop(event_time, INTERVAL '{slide} seconds', INTERVAL '{size} seconds')");
            let rows = world.rows(&counting(&window)).await;
            assert_eq!(rows, texts(&hopped(&events, slide, size)), "seed {seed}, {window}");
        }
    }
}

#[tokio::test]
async fn a_session_ends_with_a_gap_or_with_its_slice() {
    for seed in 0..3 {
        let events = Random(seed).events(2_000);
        let world = World::with(&events).await;
        for (gap, greatest) in [(30, 86_400), (30, 600), (200, 86_400), (1, 60)] {
            let window = format!("session(event_time, INTERVAL '{gap} seconds', INTERVAL '{greatest} seconds')");
            let rows = world.rows(&counting(&window)).await;
            assert_eq!(rows, texts(&sessions(&events, gap, greatest)), "seed {seed}, {window}");
        }
        let rows = world.rows(&counting("session(event_time, INTERVAL '30 seconds')")).await;
        assert_eq!(rows, texts(&sessions(&events, 30, 86_400)), "seed {seed}, without a greatest length");
    }
}

#[tokio::test]
async fn the_edges_of_gaps_and_slices_are_half_open() {
    let times = [0, 29, 59, 60, 88, 119, 120, 149, 150, 180];
    let world = World::with(&times.map(|time| Event::at(time, 1))).await;
    let sessions = |gap: i64, greatest: i64| {
        format!(
            "SELECT CAST(w AS BIGINT) / 1000000, n FROM (SELECT session(event_time, INTERVAL '{gap} seconds', \
             INTERVAL '{greatest} seconds') AS w, count(*) AS n FROM s GROUP BY 1) sessions ORDER BY 1"
        )
    };
    // 59 is exactly 30 after 29; 119 is 31 after 88; 150 is 1 after 149, which is 29 after 120.
    assert_eq!(world.rows_in_order(&sessions(30, 86_400)).await, ["0 | 2", "59 | 3", "119 | 4", "180 | 1"]);
    assert_eq!(
        world.rows_in_order(&sessions(31, 60)).await,
        ["0 | 3", "60 | 2", "119 | 1", "120 | 3", "180 | 1"],
        "no session goes over a full minute"
    );
}

#[tokio::test]
async fn windows_keep_their_names_and_stand_at_any_depth() {
    let events = Random(9).events(500);
    let world = World::with(&events).await;
    let hop = "hop(event_time, INTERVAL '1 minute', INTERVAL '2 minutes')";
    let session = "session(event_time, INTERVAL '30 seconds')";

    let tumbling = world.lake.query("SELECT tumble(event_time, INTERVAL '1 minute'), count(*) FROM s GROUP BY 1").await;
    let hopping = world.lake.query(&format!("SELECT {hop}, count(*) FROM s GROUP BY 1")).await.expect("rows");
    let tumbling = tumbling.expect("rows");
    assert!(tumbling.schema.field(0).name().starts_with("tumble("), "{:?}", tumbling.schema);
    assert!(hopping.schema.field(0).name().starts_with("hop("), "{:?}", hopping.schema);
    assert_eq!(tumbling.schema.field(1).name(), hopping.schema.field(1).name());

    let all = hopped(&events, 60, 120);
    let n: i64 = all.values().map(|counted| counted.events).sum();
    let united = format!(
        "WITH hops AS (SELECT {hop} AS w, wiki, count(*) AS n FROM s GROUP BY 1, 2)
         SELECT 'hops', sum(n) FROM hops
         UNION ALL SELECT 'sessions', sum(n) FROM (SELECT {session} AS w, count(*) AS n FROM s GROUP BY {session}) x
         UNION ALL SELECT 'scalar', (SELECT count(*) FROM (SELECT {hop}, wiki FROM s GROUP BY 1, 2) y)"
    );
    let timed = events.iter().filter(|event| event.seconds.is_some()).count();
    let mut expected = vec![format!("hops | {n}"), format!("scalar | {}", all.len()), format!("sessions | {timed}")];
    expected.sort();
    assert_eq!(world.rows(&united).await, expected);

    let having = format!(
        "SELECT CAST({hop} AS BIGINT) / 1000000 + 120, upper(wiki), sum(length_new) * 2 FROM s WHERE NOT bot
         GROUP BY {hop}, upper(wiki) HAVING count(*) > 3 AND {hop} > to_timestamp(1700000100)"
    );
    let people: Vec<Event> = events.iter().filter(|event| !event.bot).cloned().collect();
    let mut expected: Vec<String> = hopped(&people, 60, 120)
        .into_iter()
        .filter(|((start, _), counted)| counted.events > 3 && *start > 1_700_000_100)
        .map(|((start, wiki), counted)| {
            let wiki = wiki.map_or("NULL".into(), str::to_uppercase);
            format!("{} | {wiki} | {}", start + 120, counted.bytes.map_or("NULL".into(), |b| (b * 2).to_string()))
        })
        .collect();
    expected.sort();
    assert!(!expected.is_empty());
    assert_eq!(world.rows(&having).await, expected);
}

#[tokio::test]
async fn events_without_a_time_are_in_no_window() {
    let mut events = vec![Event::at(60, 1), Event::at(61, 2)];
    events.push(Event { seconds: None, ..Event::at(0, 3) });
    let world = World::with(&events).await;
    for window in [
        "tumble(event_time, INTERVAL '1 minute')",
        "tumble(event_time, INTERVAL '1 day', 'Asia/Tokyo')",
        "hop(event_time, INTERVAL '1 minute', INTERVAL '1 minute')",
        "session(event_time, INTERVAL '1 minute')",
    ] {
        assert_eq!(world.rows(&format!("SELECT count(*) FROM s GROUP BY {window}")).await, ["2"], "{window}");
    }
}

#[tokio::test]
async fn days_and_months_are_those_of_the_calendar_where_clocks_change() {
    // An event each hour from 2024-03-29T00:00Z for five days; Berlin goes from UTC+1 to UTC+2 on 31 March at 01:00Z.
    let first = 1_711_670_400;
    let world = World::with(&(0..120).map(|hour| Event::at(first + hour * 3_600, 1)).collect::<Vec<_>>()).await;
    let counted =
        async |window: &str| world.rows(&format!("SELECT {window} AS w, count(*) AS n FROM s GROUP BY 1")).await;
    assert_eq!(
        counted("tumble(event_time, INTERVAL '1 day', 'Europe/Berlin')").await,
        [
            "2024-03-28T23:00:00Z | 23",
            "2024-03-29T23:00:00Z | 24",
            "2024-03-30T23:00:00Z | 23",
            "2024-03-31T22:00:00Z | 24",
            "2024-04-01T22:00:00Z | 24",
            "2024-04-02T22:00:00Z | 2",
        ]
    );
    assert_eq!(
        counted("tumble(event_time, INTERVAL '1 month', 'Europe/Berlin')").await,
        ["2024-02-29T23:00:00Z | 70", "2024-03-31T22:00:00Z | 50"]
    );
    assert_eq!(
        counted("tumble(event_time, INTERVAL '1 month')").await,
        ["2024-03-01T00:00:00Z | 72", "2024-04-01T00:00:00Z | 48"]
    );
    assert_eq!(counted("tumble(event_time, INTERVAL '1 year')").await, ["2024-01-01T00:00:00Z | 120"]);
    let days = ["29", "30", "31"].map(|day| format!("2024-03-{day}T00:00:00Z | 24"));
    let days: Vec<String> =
        days.into_iter().chain(["01", "02"].map(|day| format!("2024-04-{day}T00:00:00Z | 24"))).collect();
    assert_eq!(counted("tumble(event_time, INTERVAL '1 day')").await, days);
}

#[tokio::test]
async fn the_most_frequent_values_come_with_exact_counts() {
    let events = Random(4).events(3_000);
    let world = World::with(&events).await;
    let sql = "SELECT wiki, top_k(\"user\", 3) AS users, top_k(length_new % 7, 2) FILTER (WHERE bot) AS rests, \
               top_k(bot, 5) AS bots FROM s GROUP BY wiki";
    let mut by_wiki: BTreeMap<Option<&str>, Vec<&Event>> = BTreeMap::new();
    events.iter().for_each(|event| by_wiki.entry(event.wiki).or_default().push(event));
    let top = |values: Vec<String>, k: usize| {
        let mut counts: BTreeMap<String, i64> = BTreeMap::new();
        values.into_iter().for_each(|value| *counts.entry(value).or_default() += 1);
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| -count);
        let entries = counts.iter().take(k).map(|(value, count)| format!("{{value: {value}, count: {count}}}"));
        format!("[{}]", entries.collect::<Vec<_>>().join(", "))
    };
    let mut expected: Vec<String> = by_wiki
        .into_iter()
        .map(|(wiki, events)| {
            let bots = events.iter().filter(|event| event.bot);
            let users = top(events.iter().map(|event| format!("u{}", event.user)).collect(), 3);
            let rests = top(bots.filter_map(|event| Some((event.length? % 7).to_string())).collect(), 2);
            let bots = top(events.iter().map(|event| event.bot.to_string()).collect(), 5);
            format!("{} | {users} | {rests} | {bots}", wiki.unwrap_or("NULL"))
        })
        .collect();
    expected.sort();
    assert_eq!(world.rows(sql).await, expected);
    assert_eq!(world.rows("SELECT top_k(title, 3) FROM s").await, ["[]"]);
    let counts = "SELECT entry['value'], entry['count'] FROM (SELECT unnest(top_k(bot, 1)) AS entry FROM s) t";
    assert_eq!(world.rows(counts).await.len(), 1);
}

#[tokio::test]
async fn of_events_at_the_same_time_the_first_in_the_stream_is_the_first() {
    let events: Vec<Event> =
        (0..400_u64).map(|user| Event::at(i64::try_from(user / 100).expect("small"), user)).collect();
    let world = World::with(&events).await;
    for _ in 0..5 {
        let rows = world
            .rows(
                "SELECT first_value(\"user\" ORDER BY event_time), last_value(\"user\" ORDER BY event_time), \
                 string_agg(\"user\", ',' ORDER BY event_time) FILTER (WHERE event_offset % 90 = 1) FROM s",
            )
            .await;
        assert_eq!(rows, ["u0 | u399 | u1,u91,u181,u271,u361"]);
        // Also where the order goes down.
        let rows = world
            .rows(
                "SELECT first_value(\"user\" ORDER BY event_time DESC), last_value(\"user\" ORDER BY event_time DESC), \
                 nth_value(\"user\", 2 ORDER BY event_time DESC), \
                 array_agg(\"user\" ORDER BY event_time DESC) FILTER (WHERE event_offset % 90 = 1) FROM s",
            )
            .await;
        assert_eq!(rows, ["u300 | u99 | u301 | [u361, u271, u181, u1, u91]"]);
    }
    // The order is the user's where it says so; and a name does not change.
    let sql = "SELECT first_value(\"user\" ORDER BY event_time, event_offset DESC) FROM s";
    assert_eq!(world.rows(sql).await, ["u99"]);
    let answer = world.lake.query("SELECT first_value(wiki ORDER BY event_time) FROM s").await.expect("rows");
    let name = answer.schema.field(0).name();
    assert!(name.starts_with("first_value(") && !name.contains("event_offset"), "{name}");
}

#[tokio::test]
async fn fields_that_no_schema_declares_are_read_from_the_json_text() {
    let events = [
        r#"{"n":1,"f":2.5,"t":"a \"quoted\" text","b":true,"x":null,"o":{"k":[10,{"deep":"yes"},"c"],"e":{}}}"#,
        r#"{"n":"142","f":3,"t":"plain","b":false,"o":{"k":[]},"params":[]}"#,
        r#"{"n":9007199254740993,"t":"plain","o":[1,2,3],"params":{"a":1,"b":2}}"#,
    ];
    let world = World::of("json", &events.map(str::to_owned)).await;
    let column = async |expression: &str| {
        let sql = format!("SELECT {expression} FROM s ORDER BY event_offset");
        world.rows_in_order(&sql).await.iter().map(|row| row.replace('\n', "")).collect::<Vec<_>>()
    };
    for (expression, expected) in [
        ("data ->> 't'", [r#"a "quoted" text"#, "plain", "plain"]),
        ("data -> 't'", [r#""a \"quoted\" text""#, r#""plain""#, r#""plain""#]),
        ("data ->> 'n'", ["1", "142", "9007199254740993"]),
        ("data -> 'n'", ["1", r#""142""#, "9007199254740993"]),
        ("CAST(data ->> 'n' AS BIGINT) + 1", ["2", "143", "9007199254740994"]),
        ("json_get_int(data, 'n')", ["1", "NULL", "9007199254740993"]),
        ("json_get_float(data, 'f')", ["2.5", "3.0", "NULL"]),
        ("json_get_bool(data, 'b')", ["true", "false", "NULL"]),
        ("json_get_str(data, 'n')", ["NULL", "142", "NULL"]),
        ("data -> 'x'", ["null", "NULL", "NULL"]),
        ("data ->> 'x'", ["NULL", "NULL", "NULL"]),
        ("data ? 'x'", ["true", "false", "false"]),
        ("data -> 'o' ? 'e'", ["true", "false", "false"]),
        ("data -> 'o' -> 'k' -> 1 ->> 'deep'", ["yes", "NULL", "NULL"]),
        ("data -> 'o' -> 'k' ->> -1", ["c", "NULL", "NULL"]),
        ("json_get(data, 'o', 'k', 1)", [r#"{"deep":"yes"}"#, "NULL", "NULL"]),
        ("data -> 'o' -> 1", ["NULL", "NULL", "2"]),
        ("json_length(data, 'o')", ["2", "1", "3"]),
        ("json_length(data -> 'params')", ["NULL", "0", "2"]),
        ("json_get_array(data, 'o', 'k')", [r#"[10, {"deep":"yes"}, "c"]"#, "[]", "NULL"]),
        ("json_object_keys(data, 'params')", ["NULL", "NULL", "[a, b]"]),
        ("json_as_text((json_get_array(data, 'o', 'k'))[3])", ["c", "NULL", "NULL"]),
        ("data ->> 't' ->> 'a'", ["NULL", "NULL", "NULL"]),
        ("json_get_int('{\"a\":{\"b\":7}}', 'a', 'b')", ["7", "7", "7"]),
        // An operator of JSON binds closer than a comparison, as in PostgreSQL.
        ("data ->> 't' = 'plain'", ["false", "true", "true"]),
        ("data ->> 't' LIKE 'a%' AND data ->> 'n' IS NOT NULL", ["true", "false", "false"]),
        ("'plain' = data ->> 't' OR data ->> 'n' IN ('1')", ["true", "true", "true"]),
    ] {
        assert_eq!(column(expression).await, expected, "{expression}");
    }

    let unnested = "SELECT json_as_text(item, 'deep'), json_as_text(item) FROM (
            SELECT unnest(json_get_array(data, 'o', 'k')) AS item FROM s) items";
    assert_eq!(world.rows(unnested).await, ["NULL | 10", "NULL | c", r#"yes | {"deep":"yes"}"#]);
    let grouped = "SELECT data ->> 't', count(*), sum(json_get_int(data, 'n')) FROM s
        WHERE data ->> 't' LIKE '%p%' GROUP BY data ->> 't' HAVING count(*) > 1";
    assert_eq!(world.rows(grouped).await, ["plain | 2 | 9007199254740993"]);

    let refused = world.refused("SELECT event_offset -> 'a' FROM s").await;
    assert!(refused.contains("`->` takes JSON text"), "{refused}");
    let refused = world.refused("SELECT json_get(data, data) FROM s").await;
    assert!(refused.contains("the path must be constant"), "{refused}");
}

#[tokio::test]
async fn what_cannot_be_is_refused_in_words() {
    let world = World::with(&[Event::at(0, 1)]).await;
    let hop = "hop(event_time, INTERVAL '1 minute', INTERVAL '2 minutes')";
    for (sql, says) in [
        (format!("SELECT {hop} FROM s"), "hop(…) stands in GROUP BY"),
        (format!("SELECT count(*) FROM s WHERE {hop} > to_timestamp(0)"), "hop(…) stands in GROUP BY"),
        ("SELECT max(session(event_time, INTERVAL '1 minute')) FROM s".into(), "session(…) stands in GROUP BY"),
        (format!("SELECT count(*) FROM s GROUP BY ROLLUP({hop})"), "hop(…) stands in GROUP BY"),
        (
            format!("SELECT count(*) FROM s GROUP BY {hop}, tumble(event_time, INTERVAL '1 hour')"),
            "two windows in one GROUP BY",
        ),
        ("SELECT count(*) FROM s GROUP BY session(event_time, INTERVAL '1 month')".into(), "has no fixed length"),
        ("SELECT top_k(wiki, 0) FROM s".into(), "a whole number from 1 to 10000"),
        ("SELECT top_k(wiki, event_offset) FROM s".into(), "must be a constant"),
        ("SELECT top_k(DISTINCT wiki, 3) FROM s".into(), "leave it out"),
        ("SELECT top_k(make_array(1), 3) FROM s".into(), "use a plain value"),
        ("SELECT tumble(wiki, INTERVAL '1 minute') FROM s".into(), "must be a timestamp"),
        ("DELETE FROM s".into(), "a query only reads"),
    ] {
        let said = world.refused(&sql).await;
        assert!(said.contains(says), "{sql}\n says: {said}\n expected: {says}");
    }
}
