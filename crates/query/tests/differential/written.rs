//! Queries by hand: what people ask of a stream of changes and of readings, and what has gone wrong elsewhere.
//!
//! One text for both engines where both mean the same by it (`duckdb_side.py` teaches DuckDB `tumble` and `regexp_like`).
//! How a column is compared its name says, see [`Check`](crate::case::Check).

use crate::{
    case::Case,
    expression::Expr,
    query::{Item, Length, Query, Shape, Step, What, Window},
    table::Table,
};

/// Stands in the names of cases whose query fails and whose view leaves events out.
pub(crate) const POISONED: &str = "/poison/";

/// Over recent changes; each under the window `{…}` and a stream's name.
const CHANGES: &[&str] = &[
    // The default views, and their like.
    "SELECT tumble(event_time, INTERVAL '1 minute') AS minute, wiki, count(*) AS edits FROM recentchange \
     WHERE NOT canary AND type IN ('edit', 'new') GROUP BY 1, 2",
    "SELECT tumble(event_time, INTERVAL '1 minute') AS minute, \"type\", count(*) AS n FROM recentchange GROUP BY 1, 2",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS hour, wiki, bot, count(*) AS n, sum(length_new - length_old) AS grown \
     FROM recentchange WHERE NOT canary GROUP BY 1, 2, 3",
    "SELECT tumble(event_time, INTERVAL '10 minutes') AS w, \"user\", count(*) AS n FROM recentchange WHERE NOT bot GROUP BY 1, 2",
    "SELECT tumble(event_time, INTERVAL '1 day') AS day, namespace, count(DISTINCT \"user\") AS users FROM recentchange GROUP BY 1, 2",
    // A window alone; a window that is not shown; keys that are not shown.
    "SELECT tumble(event_time, INTERVAL '1 second') AS w, count(*) AS n FROM recentchange GROUP BY 1",
    "SELECT count(*) AS n FROM recentchange GROUP BY tumble(event_time, INTERVAL '10 minutes')",
    "SELECT count(*) AS n, max(id) AS last FROM recentchange GROUP BY tumble(event_time, INTERVAL '1 hour'), wiki",
    "SELECT wiki, count(*) AS n FROM recentchange GROUP BY tumble(event_time, INTERVAL '25 minutes'), wiki",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w FROM recentchange GROUP BY 1",
    // The same aggregate twice, the window last, the same window in an expression above.
    "SELECT count(*) AS a, count(*) AS b, tumble(event_time, INTERVAL '7 minutes') AS w FROM recentchange GROUP BY 3",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, date_part('hour', tumble(event_time, INTERVAL '1 hour')) AS hour, \
     count(*) AS n FROM recentchange GROUP BY tumble(event_time, INTERVAL '1 hour')",
    "SELECT upper(wiki) || '!' AS loud, count(*) + 1 AS more, tumble(event_time, INTERVAL '1 hour') AS w \
     FROM recentchange GROUP BY wiki, tumble(event_time, INTERVAL '1 hour')",
    // Sizes that do not divide an hour, a day, each other.
    "SELECT tumble(event_time, INTERVAL '90 seconds') AS w, count(*) AS n, min(event_time) AS first, max(event_time) AS last \
     FROM recentchange GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '11 minutes') AS w, min(event_offset) AS a, max(event_offset) AS b FROM recentchange GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '7 days') AS w, count(*) AS n FROM recentchange GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '36 hours') AS w, wiki, count(*) AS n FROM recentchange GROUP BY 1, 2",
    "SELECT tumble(event_time, INTERVAL '250 milliseconds') AS w, count(*) AS n FROM recentchange GROUP BY 1",
    // Received time.
    "SELECT tumble(received_time, INTERVAL '1 minute') AS w, count(*) AS n FROM recentchange GROUP BY 1",
    "SELECT tumble(received_time, INTERVAL '10 minutes') AS w, wiki, count(event_time) AS timed, min(event_time) AS oldest \
     FROM recentchange GROUP BY 1, 2",
    "SELECT tumble(received_time, INTERVAL '1 hour') AS w, count(*) AS n FROM recentchange WHERE event_time IS NULL GROUP BY 1",
    "SELECT tumble(received_time, INTERVAL '1 hour') AS w, count(*) FILTER (WHERE event_time < received_time) AS behind, \
     count(*) FILTER (WHERE event_time > received_time) AS ahead FROM recentchange GROUP BY 1",
    // NULL: as a group, in a condition, in each aggregate.
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, log_type, log_action, count(*) AS n FROM recentchange GROUP BY 1, 2, 3",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, count(log_id) AS n, sum(length_old) AS a, min(log_type) AS b, \
     max(log_id) AS c, avg(length_old) AS d, bool_and(patrolled) AS e, bit_or(log_id) AS f FROM recentchange \
     WHERE log_id IS NULL GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '10 minutes') AS w, count(*) AS n FROM recentchange WHERE bot IS NULL OR NOT bot GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '10 minutes') AS w, count(*) AS n FROM recentchange WHERE NOT (bot AND minor) GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '10 minutes') AS w, count(*) AS n FROM recentchange WHERE (bot OR minor) IS NOT TRUE GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '10 minutes') AS w, count(*) AS n FROM recentchange \
     WHERE wiki NOT IN ('enwiki', NULL) GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '10 minutes') AS w, count(*) AS n FROM recentchange \
     WHERE log_type IS DISTINCT FROM 'move' GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, coalesce(log_type, \"type\", 'none') AS what, count(*) AS n \
     FROM recentchange GROUP BY 1, 2",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, nullif(\"user\", '') AS who, count(*) AS n FROM recentchange GROUP BY 1, 2",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, title IS NULL AS untitled, bot, count(*) AS n FROM recentchange GROUP BY 1, 2, 3",
    // Oddities of the wire.
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, \"type\", count(*) AS n FROM recentchange WHERE \"type\" = '142' GROUP BY 1, 2",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, log_params, count(*) AS n FROM recentchange GROUP BY 1, 2",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, count(*) FILTER (WHERE log_params = '[]') AS lists, \
     count(*) FILTER (WHERE log_params = '{}') AS maps, count(log_params) AS n FROM recentchange GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, min(id) AS a, max(id) AS b, count(DISTINCT id) AS c, count(id) AS d \
     FROM recentchange GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, id, count(*) AS n FROM recentchange WHERE id > 4294967296 GROUP BY 1, 2",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, id, count(*) AS n FROM recentchange \
     WHERE id BETWEEN 9007199254740990 AND 9007199254740993 OR id = 9223372036854775807 GROUP BY 1, 2",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, bit_xor(revision_new) AS a, bit_and(revision_old) AS b FROM recentchange GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, id % 1000 AS part, count(*) AS n FROM recentchange GROUP BY 1, 2",
    "SELECT tumble(event_time, INTERVAL '10 minutes') AS w, canary, count(*) AS n FROM recentchange GROUP BY 1, 2",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, meta_domain, count(*) AS n FROM recentchange WHERE canary GROUP BY 1, 2",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, max(character_length(comment)) AS longest, \
     sum(CAST(character_length(comment) AS BIGINT)) AS signs FROM recentchange GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, title, count(*) AS n FROM recentchange WHERE title <> '' GROUP BY 1, 2",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, min(title) AS a, max(title) AS b, min(\"user\") AS c FROM recentchange GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, substr(title, 1, 1) AS sign, count(*) AS n FROM recentchange GROUP BY 1, 2",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, count(*) AS n FROM recentchange WHERE title LIKE '😀%' GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, count(*) AS n FROM recentchange WHERE \"user\" LIKE '_😀%' OR \"user\" LIKE '__' GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, namespace, count(*) AS n FROM recentchange WHERE namespace < 0 GROUP BY 1, 2",
    // Conditions.
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, count(*) AS n FROM recentchange WHERE wiki ILIKE '%WIKI' AND wiki NOT LIKE 'de%' GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, count(*) AS n FROM recentchange \
     WHERE regexp_like(\"user\", '^[0-9]+[.][0-9]+') GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, CASE WHEN bot THEN 'bot' WHEN regexp_like(\"user\", '^[0-9a-f:.]+$') \
     THEN 'nobody' ELSE 'person' END AS who, count(*) AS n FROM recentchange GROUP BY 1, 2",
    "SELECT tumble(event_time, INTERVAL '10 minutes') AS w, CASE WHEN length_new > length_old THEN 'more' \
     WHEN length_new < length_old THEN 'less' END AS way, count(*) AS n, sum(abs(length_new - length_old)) AS moved \
     FROM recentchange GROUP BY 1, 2",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, count(*) AS n FROM recentchange WHERE 1 = 0 GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, count(*) AS n FROM recentchange WHERE event_time >= received_time GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, date_part('minute', event_time) % 7 AS part, count(*) AS n \
     FROM recentchange GROUP BY 1, 2",
    "SELECT tumble(event_time, INTERVAL '1 day') AS w, date_trunc('hour', event_time) AS hour, count(*) AS n FROM recentchange GROUP BY 1, 2",
    // What another condition excuses; integers at their ends.
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, count(*) AS n FROM recentchange \
     WHERE namespace <> 0 AND 1000 % namespace = 0 GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, wiki, max(id) AS a, min(id) AS b, count(DISTINCT id % 1000) AS c \
     FROM recentchange GROUP BY 1, 2",
    // HAVING: rows that come, change and go again as events come late.
    "SELECT tumble(event_time, INTERVAL '1 minute') AS w, wiki, count(*) AS n FROM recentchange GROUP BY 1, 2 HAVING count(*) = 2",
    "SELECT tumble(event_time, INTERVAL '1 minute') AS w, count(*) AS n FROM recentchange GROUP BY 1 HAVING count(*) % 2 = 0",
    "SELECT tumble(event_time, INTERVAL '10 minutes') AS w, wiki, max(length_new) AS n FROM recentchange GROUP BY 1, 2 \
     HAVING min(length_new) > 1000 AND NOT bool_or(bot)",
    "SELECT tumble(event_time, INTERVAL '10 minutes') AS w, wiki FROM recentchange GROUP BY 1, 2 HAVING sum(length_new) > 100000",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, count(*) AS n FROM recentchange GROUP BY 1 HAVING count(*) < 0",
    // Aggregates.
    "SELECT tumble(event_time, INTERVAL '10 minutes') AS w, avg(length_new) AS a, median(CAST(length_new AS DOUBLE)) AS m, \
     stddev(length_new) AS rough_s, var_pop(length_new) AS rough_v FROM recentchange GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '10 minutes') AS w, count(DISTINCT wiki) AS a, count(DISTINCT \"user\") AS b, \
     count(DISTINCT title) AS c, count(DISTINCT bot) AS d FROM recentchange GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, count(DISTINCT wiki) FILTER (WHERE bot) AS bots, \
     count(DISTINCT wiki) FILTER (WHERE NOT bot) AS persons FROM recentchange GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, sum(length_new) FILTER (WHERE length_new > length_old) AS grown, \
     sum(length_new) / count(*) AS mean, max(length_new) - min(length_new) AS spread FROM recentchange WHERE length_new IS NOT NULL GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, bool_and(minor) AS a, bool_or(minor) AS b, min(bot) AS c, max(bot) AS d \
     FROM recentchange GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, sum(CAST(length_new AS DECIMAL(18, 3))) AS a, \
     min(CAST(namespace AS DECIMAL(9, 2))) AS b FROM recentchange GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, wiki, namespace, bot, minor, patrolled, \"type\", count(*) AS n \
     FROM recentchange GROUP BY 1, 2, 3, 4, 5, 6, 7",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, meta_dt, count(*) AS n FROM recentchange GROUP BY 1, 2",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, min(meta_dt) AS a, max(meta_dt) AS b, count(DISTINCT meta_dt) AS c FROM recentchange GROUP BY 1",
    // Other ways to write it.
    "SELECT tumble(r.event_time, INTERVAL '1 hour') AS w, r.wiki AS wiki, count(*) AS n FROM recentchange AS r GROUP BY 1, r.wiki",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, x AS wiki, count(*) AS n FROM \
     (SELECT event_time, lower(wiki) AS x FROM recentchange WHERE NOT canary) AS inner_rows GROUP BY 1, 2",
    "SELECT tumble(event_time, INTERVAL '60 minutes') AS w, sum(1) AS a, count(1) AS b, sum(CASE WHEN bot THEN 1 ELSE 0 END) AS c \
     FROM recentchange GROUP BY 1",
];

/// Over readings.
const READINGS: &[&str] = &[
    // One zero.
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, count(DISTINCT balance * 0) AS a, count(DISTINCT -(balance * 0)) AS b, \
     count(*) FILTER (WHERE balance * -1 = 0) AS c FROM readings GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, place, avg(kelvin) AS mean, min(kelvin) AS a, max(kelvin) AS b FROM readings GROUP BY 1, 2",
    "SELECT tumble(event_time, INTERVAL '1 day') AS w, sum(kelvin) AS a, sum(balance) AS b, avg(balance) AS c FROM readings GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '1 day') AS w, place, stddev(kelvin) AS rough_a, stddev_pop(kelvin) AS rough_b, \
     var_pop(kelvin) AS rough_c FROM readings GROUP BY 1, 2",
    "SELECT tumble(event_time, INTERVAL '6 hours') AS w, median(kelvin) AS a, median(balance) AS b FROM readings GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '6 hours') AS w, covar_samp(kelvin, balance) AS rough_a, covar_pop(level, kelvin) AS rough_b FROM readings GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '1 day') AS w, kelvin, count(*) AS n FROM readings GROUP BY 1, 2",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, count(DISTINCT kelvin) AS a, count(DISTINCT serial) AS b FROM readings GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, bit_and(flags) AS a, bit_or(flags) AS b, bit_xor(flags) AS c, \
     bit_xor(serial) AS d FROM readings GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, flags, count(*) AS n FROM readings WHERE flags % 2 = 1 GROUP BY 1, 2",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, level / 10 AS tens, level % 10 AS ones, count(*) AS n FROM readings GROUP BY 1, 2, 3",
    "SELECT tumble(event_time, INTERVAL '45 minutes') AS w, good, is_north, count(*) AS n FROM readings GROUP BY 1, 2, 3",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, bool_and(good) AS a, bool_or(good) AS b FROM readings GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '1 day') AS w, note, count(*) AS n FROM readings GROUP BY 1, 2",
    "SELECT tumble(event_time, INTERVAL '1 day') AS w, count(*) AS n FROM readings WHERE note LIKE '%\n%' OR note LIKE '%''%' GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '1 day') AS w, count(*) AS n FROM readings WHERE note = 'null' OR note = 'NULL' GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '1 day') AS w, extra, count(*) AS n FROM readings GROUP BY 1, 2",
    "SELECT tumble(event_time, INTERVAL '1 day') AS w, checked, count(*) AS n FROM readings GROUP BY 1, 2",
    "SELECT tumble(event_time, INTERVAL '1 day') AS w, min(checked) AS a, max(checked) AS b FROM readings GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '1 day') AS w, count(*) AS n FROM readings WHERE checked < event_time GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '1 hour') AS w, sum(balance) FILTER (WHERE balance > 0.0) AS won, \
     sum(balance) FILTER (WHERE balance < 0.0) AS lost, sum(abs(balance)) AS moved FROM readings GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '6 hours') AS w, place, max(kelvin) - min(kelvin) AS spread FROM readings GROUP BY 1, 2 \
     HAVING max(kelvin) - min(kelvin) > 20.0",
    "SELECT tumble(event_time, INTERVAL '6 hours') AS w, floor(kelvin / 10e0) AS tens, count(*) AS n FROM readings GROUP BY 1, 2",
    "SELECT tumble(event_time, INTERVAL '6 hours') AS w, CASE WHEN kelvin > 273.15e0 THEN 'warm' WHEN kelvin <= 273.15e0 THEN 'cold' END AS how, \
     count(*) AS n, avg(level) AS mean FROM readings GROUP BY 1, 2",
    "SELECT tumble(event_time, INTERVAL '5 minutes') AS w, place, count(*) AS n FROM readings GROUP BY 1, 2",
    "SELECT tumble(event_time, INTERVAL '36 hours') AS w, place, count(*) AS n FROM readings GROUP BY 1, 2",
    "SELECT tumble(event_time, INTERVAL '7 days') AS w, serial, count(*) AS n FROM readings GROUP BY 1, 2",
    "SELECT tumble(received_time, INTERVAL '6 hours') AS w, place, avg(kelvin) AS mean, count(event_time) AS n FROM readings GROUP BY 1, 2",
    "SELECT tumble(received_time, INTERVAL '1 hour') AS w, count(*) AS n FROM readings WHERE kelvin IS NULL AND balance IS NULL GROUP BY 1",
    "SELECT tumble(event_time, INTERVAL '1 day') AS w, upper(place) AS a, lower(place) AS b, count(*) AS n FROM readings GROUP BY 1, 2, 3",
    "SELECT tumble(event_time, INTERVAL '1 day') AS w, sum(sqrt(kelvin)) AS a, sum(kelvin * kelvin) AS b FROM readings GROUP BY 1",
];

/// A query by hand over windows that DuckDB does not know.
struct Windowed {
    time: &'static str,
    shape: Shape,
    keys: &'static [&'static str],
    values: &'static [(&'static str, &'static str)],
    filter: Option<&'static str>,
    having: Option<&'static str>,
}

/// Over recent changes.
fn windowed() -> Vec<Windowed> {
    const SECOND: i64 = 1_000_000;
    const MINUTE: i64 = 60 * SECOND;
    const HOUR: i64 = 60 * MINUTE;
    const COUNT: &[(&str, &str)] = &[("n", "count(*)")];
    let hop = |slide: Length, size: Length| Shape::Hop { slide, size };
    let session = |gap: Length| Shape::Session { gap, greatest: None };
    let calendar = |step: Step, zone: &'static str| Shape::Calendar { step, zone };
    let over = |shape: Shape, keys: &'static [&'static str], values: &'static [(&'static str, &'static str)]| {
        Windowed { time: "event_time", shape, keys, values, filter: None, having: None }
    };
    vec![
        over(hop(("1 minute", MINUTE), ("5 minutes", 5 * MINUTE)), &["wiki"], COUNT),
        over(
            hop(("1 hour", HOUR), ("1 day", 24 * HOUR)),
            &[],
            &[("users", "count(DISTINCT \"user\")"), ("n", "count(*)")],
        ),
        // The window's size is no multiple of the slide; both are no part of an hour; the slide is the size.
        over(
            hop(("4 minutes", 4 * MINUTE), ("10 minutes", 10 * MINUTE)),
            &["bot"],
            &[("n", "count(*)"), ("s", "sum(length_new)")],
        ),
        over(
            hop(("7 minutes", 7 * MINUTE), ("25 minutes", 25 * MINUTE)),
            &[],
            &[("a", "min(event_time)"), ("b", "max(event_time)")],
        ),
        over(hop(("10 minutes", 10 * MINUTE), ("10 minutes", 10 * MINUTE)), &["namespace"], COUNT),
        Windowed {
            having: Some("count(*) % 3 = 1"),
            ..over(hop(("1 minute", MINUTE), ("3 minutes", 3 * MINUTE)), &["wiki"], COUNT)
        },
        Windowed {
            time: "received_time",
            filter: Some("NOT canary"),
            ..over(hop(("5 minutes", 5 * MINUTE), ("15 minutes", 15 * MINUTE)), &["\"type\""], COUNT)
        },
        over(
            session(("30 seconds", 30 * SECOND)),
            &["\"user\""],
            &[("n", "count(*)"), ("a", "min(event_time)"), ("b", "max(event_time)")],
        ),
        over(
            session(("5 minutes", 5 * MINUTE)),
            &["wiki", "bot"],
            &[("n", "count(*)"), ("pages", "count(DISTINCT title)")],
        ),
        over(session(("2 minutes", 2 * MINUTE)), &[], COUNT),
        over(session(("1 second", SECOND)), &["title"], COUNT),
        over(
            Shape::Session { gap: ("10 minutes", 10 * MINUTE), greatest: Some(("1 hour", HOUR)) },
            &["\"user\""],
            &[("n", "count(*)"), ("b", "max(event_time)")],
        ),
        over(Shape::Session { gap: ("1 hour", HOUR), greatest: Some(("1 hour", HOUR)) }, &["wiki"], COUNT),
        Windowed {
            filter: Some("NOT bot AND NOT canary"),
            having: Some("count(*) > 1"),
            ..over(
                session(("3 minutes", 3 * MINUTE)),
                &["\"user\"", "wiki"],
                &[("n", "count(*)"), ("grown", "sum(length_new - length_old)")],
            )
        },
        Windowed { time: "received_time", ..over(session(("20 seconds", 20 * SECOND)), &["wiki"], COUNT) },
        over(calendar(Step::Days(1), "Europe/Berlin"), &["wiki"], COUNT),
        over(calendar(Step::Days(7), "America/New_York"), &[], COUNT),
        over(calendar(Step::Months(1), "Asia/Kolkata"), &["bot"], COUNT),
        over(calendar(Step::Months(3), "UTC"), &[], COUNT),
        over(calendar(Step::Within(("6 hours", 6 * HOUR)), "Australia/Lord_Howe"), &[], COUNT),
        over(calendar(Step::Within(("1 hour", HOUR)), "Asia/Kathmandu"), &["wiki"], COUNT),
    ]
}

/// Pairs of texts: as Lakehead and as DuckDB has them. Over recent changes, without a window.
const PAIRS: &[(&str, &str)] = &[
    (
        "SELECT event_offset AS at, event_time, wiki, \"user\" AS who, length_new - length_old AS grown FROM recentchange \
         WHERE NOT canary AND \"type\" = 'edit'",
        "SELECT event_offset AS at, event_time, wiki, \"user\" AS who, length_new - length_old AS grown FROM recentchange \
         WHERE NOT canary AND \"type\" = 'edit'",
    ),
    ("SELECT * FROM recentchange WHERE bot", "SELECT * FROM recentchange WHERE bot"),
    (
        "SELECT event_offset AS at, unnest(make_array(title, \"user\")) AS text FROM recentchange WHERE minor",
        "SELECT event_offset AS at, unnest([title, \"user\"]) AS text FROM recentchange WHERE minor",
    ),
    (
        "SELECT event_offset AS at, data->>'$schema' AS what, data->'length'->>'new' AS length FROM recentchange WHERE patrolled",
        "SELECT event_offset AS at, json_extract_string(data, '$.\"$schema\"') AS what, \
         json_extract_string(data, '$.length.new') AS length FROM recentchange WHERE patrolled",
    ),
];

/// Pairs of texts: a view that has to leave events out, and the same over the others. As a query the first one fails.
const POISON: &[(&str, &str)] = &[
    (
        "SELECT tumble(event_time, INTERVAL '1 hour') AS w, count(*) AS n, sum(1000 % namespace) AS s FROM recentchange GROUP BY 1",
        "SELECT tumble(event_time, INTERVAL '1 hour') AS w, count(*) AS n, sum(1000 % namespace) AS s FROM recentchange \
         WHERE namespace IS NULL OR namespace <> 0 GROUP BY 1",
    ),
    (
        "SELECT tumble(event_time, INTERVAL '1 hour') AS w, wiki, count(*) AS n, max(id + 1) AS m FROM recentchange GROUP BY 1, 2",
        "SELECT tumble(event_time, INTERVAL '1 hour') AS w, wiki, count(*) AS n, max(id + 1) AS m FROM recentchange \
         WHERE id IS NULL OR id < 9223372036854775807 GROUP BY 1, 2",
    ),
    (
        "SELECT tumble(event_time, INTERVAL '10 minutes') AS w, count(*) AS n FROM recentchange WHERE 1000 % namespace = 0 GROUP BY 1",
        "SELECT tumble(event_time, INTERVAL '10 minutes') AS w, count(*) AS n FROM recentchange \
         WHERE namespace <> 0 AND 1000 % namespace = 0 GROUP BY 1",
    ),
    (
        "SELECT tumble(event_time, INTERVAL '1 hour') AS w, CAST(\"type\" AS BIGINT) AS what, count(*) AS n FROM recentchange GROUP BY 1, 2",
        "SELECT tumble(event_time, INTERVAL '1 hour') AS w, TRY_CAST(\"type\" AS BIGINT) AS what, count(*) AS n FROM recentchange \
         WHERE \"type\" IS NULL OR regexp_full_match(\"type\", '[+-]?[0-9]+') GROUP BY 1, 2",
    ),
    (
        "SELECT tumble(event_time, INTERVAL '1 hour') AS w, namespace, count(*) AS n, 1000 % sum(namespace) AS rest \
         FROM recentchange GROUP BY 1, 2",
        "SELECT tumble(event_time, INTERVAL '1 hour') AS w, namespace, count(*) AS n, \
         CAST(1000 % nullif(sum(namespace), 0) AS BIGINT) AS rest FROM recentchange GROUP BY 1, 2",
    ),
    (
        "SELECT event_offset AS at, 1000 % namespace AS rest FROM recentchange WHERE bot",
        "SELECT event_offset AS at, 1000 % namespace AS rest FROM recentchange WHERE bot AND (namespace IS NULL OR namespace <> 0)",
    ),
];

/// The queries over this table.
pub(crate) fn cases(table: &Table) -> Vec<Case> {
    let changes = table.name != "readings";
    let mut cases = Vec::new();
    let mut add = |time: Option<&'static str>, lakehead: &str, duckdb: &str| {
        cases.push(Case {
            name: format!("{}/written/{}", table.label, cases.len()),
            stream: table.name.to_owned(),
            time,
            lakehead: lakehead.to_owned(),
            duckdb: duckdb.to_owned(),
            below: None,
        });
    };
    for text in if changes { CHANGES } else { READINGS } {
        let time = if text.contains("tumble(received_time") { "received_time" } else { "event_time" };
        add(Some(time), text, text);
    }
    if changes {
        PAIRS.iter().for_each(|(lakehead, duckdb)| add(None, lakehead, duckdb));
        for (number, (lakehead, duckdb)) in POISON.iter().enumerate() {
            cases.push(Case {
                name: format!("{}{POISONED}{number}", table.label),
                stream: table.name.to_owned(),
                time: lakehead.contains("tumble").then_some("event_time"),
                lakehead: (*lakehead).to_owned(),
                duckdb: (*duckdb).to_owned(),
                below: None,
            });
        }
        for query in windowed() {
            let number = cases.len();
            cases.push(query.query(table).case(format!("{}/written/{number}", table.label)));
        }
    }
    cases
}

impl Windowed {
    fn query(self, table: &Table) -> Query {
        let item = |name: String, what: What| Item { name, what };
        let mut items = vec![item("w".into(), What::Window)];
        items.extend((0..self.keys.len()).map(|place| item(format!("k{place}"), What::Key(place))));
        let value = |(name, text): &(&str, &'static str)| item((*name).to_owned(), What::Value(Expr::Raw(text)));
        items.extend(self.values.iter().map(value));
        Query {
            from: table.name.to_owned(),
            below: None,
            window: Some(Window { time: self.time, shape: self.shape }),
            keys: self.keys.iter().map(|key| Expr::Raw(key)).collect(),
            items,
            filter: self.filter.map(Expr::Raw),
            having: self.having.map(Expr::Raw),
            by_place: true,
        }
    }
}
