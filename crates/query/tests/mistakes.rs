//! Wrong statements and what is said about each: where, what, what would be valid; never a word of the engine beneath.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use lakehead_model::{Clock, Column, ColumnType, EventBatch, EventTimeRule, Name, StreamSchema, TimeFormat, Timestamp};
use lakehead_query::{Error, Lake, Limits, check_view};
use lakehead_store::{Append, Options, Store};

/// Words that only mean something to who works on the engine, and advice that nobody who writes SQL can follow.
const NEVER: &[&str] = &[
    "DataFusion",
    "datafusion",
    "Optimizer",
    "optimizer rule",
    "likely a bug",
    "likely caused by",
    "bug report",
    "ParserError",
    "TokenizerError",
    "sql parser error",
    "SQL error",
    "Internal error",
    "not implemented",
    "Error during planning",
    "Schema error",
    "Execution error",
    "Arrow error",
    "Cast error",
    "Compute error",
    "External error",
    "Invalid argument error",
    "type_coercion",
    "caused by",
    "public.",
    "lakehead.",
    "'cot'",
    "Utf8",
    "Int64",
    "Int32",
    "Float64",
    "Boolean",
    "Timestamp(",
    "Interval(",
    "MonthDayNano",
    "Microsecond",
    "LogicalPlan",
    "PhysicalExpr",
    "ScalarUDF",
    "AggregateUDF",
    "TypeSignature",
    "Signature",
    "Coercion",
    "coerce",
    "Some(",
    "BinaryExpr",
    "Column {",
    "Ident {",
    "IntervalMonthDayNano",
    "ObjectName",
    "ast node",
    "Line:",
    "DML",
    "DDL",
    "SessionState",
    "catalog",
    "at Line",
    "physical plan",
    "logical plan",
    "__",
    "issue tracker",
];

struct Ticking(AtomicI64);

impl std::fmt::Debug for Ticking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ticking")
    }
}

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.fetch_add(1_000, Ordering::Relaxed))
    }
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn schema() -> StreamSchema {
    let column = |name: &str, column_type| Column {
        name: name.to_owned(),
        path: vec![name.to_owned()],
        column_type,
        equals: None,
    };
    StreamSchema {
        event_time: vec![EventTimeRule { path: vec!["dt".to_owned()], format: TimeFormat::Rfc3339, zone: None }],
        columns: vec![
            column("title", ColumnType::Text),
            column("n", ColumnType::Int64),
            column("ms", ColumnType::Float64),
            column("bot", ColumnType::Bool),
            column("at", ColumnType::Timestamp),
        ],
    }
}

struct World {
    lake: Lake,
    _store: Store,
    _dir: tempfile::TempDir,
}

async fn world() -> World {
    let dir = tempfile::tempdir().expect("a folder");
    let clock = Arc::new(Ticking(AtomicI64::new(1_800_000_000_000_000)));
    let store = Store::open(dir.path(), Options::default(), clock).expect("a store");
    // Of two events that fail the first is told, not the one whose thread was quicker.
    let lake = Lake::new(Limits { threads: 1, ..Limits::default() }).expect("a lake");
    for stream in ["edits", "requests"] {
        let stream = store.stream(&name(stream)).expect("a stream");
        let mut batch = EventBatch::default();
        batch.push(br#"{"dt":"2026-11-24T10:00:00Z","title":"abc","n":0,"ms":1.5,"bot":true}"#, None);
        batch.push(br#"{"dt":"2026-11-24T10:00:01Z","title":"7","n":3,"ms":2.5,"bot":false}"#, None);
        let append = Append { source: name("test"), events: batch, cursor: None, keys: Vec::new(), urgent: true };
        stream.appender().append(append).await.expect("taken").await.expect("committed");
        lake.add_stream(schema(), stream);
    }
    World { lake, _store: store, _dir: dir }
}

/// A statement, the place of what is wrong (line, column), and what is said about it.
type Case = (&'static str, Option<(usize, usize)>, &'static str);

fn shown(error: &Error) -> (Option<(usize, usize)>, String) {
    (error.place().map(|place| (place.line, place.column)), error.what())
}

fn judge(sql: &str, error: &Error, (place, says): (Option<(usize, usize)>, &str), wrong: &mut Vec<String>) {
    let text = error.to_string();
    let found = shown(error);
    for word in NEVER.iter().filter(|word| text.contains(**word) && !sql.contains(**word)) {
        wrong.push(format!("{sql}\n  has {word:?}: {text}"));
    }
    if found.0 != place || found.1 != says {
        wrong.push(format!(
            "(\n            {sql:?},\n            {:?},\n            {:?},\n        ),",
            found.0, found.1
        ));
    }
    if let Some(place) = error.place() {
        let line = format!("line {}, column {}: ", place.line, place.column);
        if !text.starts_with(&line) || !text.contains('^') {
            wrong.push(format!("{sql}\n  its place is not shown: {text}"));
        }
    }
}

fn no_wrong(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} do not say what they should:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn each_wrong_query_is_told_where_what_and_what_would_be_valid() {
    let cases: &[Case] = &[
        (
            "SELEC title FROM edits",
            Some((1, 1)),
            "a statement that begins with SELECT or WITH was expected here, not SELEC; did you mean SELECT in place of SELEC?",
        ),
        (
            "SELECT title FORM edits",
            Some((1, 19)),
            "the end of the statement was expected here, not edits; did you mean FROM in place of FORM?",
        ),
        ("SELECT title, FROM edits", Some((1, 20)), "an expression is missing before FROM"),
        (
            "SELECT title FROM edits WHER bot",
            Some((1, 30)),
            "the end of the statement was expected here, not bot; did you mean WHERE in place of WHER?",
        ),
        (
            "SELECT title FROM edits WHERE bot GROUP title",
            Some((1, 35)),
            "the end of the statement was expected here, not GROUP; did you mean GROUP BY?",
        ),
        (
            "SELECT title FROM edits ORDER title",
            Some((1, 25)),
            "the end of the statement was expected here, not ORDER; did you mean ORDER BY?",
        ),
        ("SELECT (title FROM edits", Some((1, 15)), "`)` was expected here, not FROM"),
        (
            "SELECT title FROM edits WHERE title = 'abc",
            Some((1, 39)),
            "a text in single quotes begins here and does not end; close it",
        ),
        ("SELECT title FROM edits WHERE", Some((1, 30)), "the statement ends too early: an expression is missing"),
        ("", None, "there is no statement; write SELECT … FROM a stream or view"),
        ("-- nothing", None, "there is no statement; write SELECT … FROM a stream or view"),
        ("SELECT 1; SELECT 2", Some((1, 9)), "one statement at a time; send each by itself"),
        (
            "SELECT titel FROM edits",
            Some((1, 8)),
            "there is no column \"titel\"; did you mean `title`? valid: event_offset, event_time, received_time, title, n, ms, bot, at, data",
        ),
        (
            "SELECT e.titel FROM edits AS e",
            Some((1, 8)),
            "there is no column \"titel\" in \"e\"; did you mean `title`? valid: event_offset, event_time, received_time, title, n, ms, bot, at, data",
        ),
        ("SELECT x.title FROM edits AS e", Some((1, 8)), "there is no table \"x\" in FROM here; valid: e"),
        (
            "SELECT\n  title,\n  nn\nFROM edits",
            Some((3, 3)),
            "there is no column \"nn\"; valid: event_offset, event_time, received_time, title, n, ms, bot, at, data",
        ),
        (
            "SELECT title FROM edits WHERE wiki = 1",
            Some((1, 31)),
            "there is no column \"wiki\"; valid: event_offset, event_time, received_time, title, n, ms, bot, at, data",
        ),
        (
            "SELECT title FROM edits WHERE title = \"abc\"",
            Some((1, 39)),
            "there is no column \"abc\"; valid: event_offset, event_time, received_time, title, n, ms, bot, at, data; \"abc\" in double quotes is a column: a text is written 'abc'",
        ),
        (
            "SELECT Title FROM edits WHERE \"Title\" = 'a'",
            Some((1, 31)),
            "there is no column \"Title\"; did you mean `title`? valid: event_offset, event_time, received_time, title, n, ms, bot, at, data; \"Title\" in double quotes is a column: a text is written 'Title'",
        ),
        (
            "SELECT title FROM edit",
            Some((1, 19)),
            "there is no stream or view \"edit\"; did you mean `edits`? valid: edits, requests",
        ),
        (
            "SELECT title FROM public.edit",
            Some((1, 19)),
            "there is no stream or view \"edit\"; did you mean `edits`? valid: edits, requests",
        ),
        ("SELECT title FROM nowhere", Some((1, 19)), "there is no stream or view \"nowhere\"; valid: edits, requests"),
        (
            "SELECT title FROM edits JOIN requets USING (n)",
            Some((1, 30)),
            "there is no stream or view \"requets\"; did you mean `requests`? valid: edits, requests",
        ),
        (
            "SELECT n FROM edits JOIN requests ON edits.n = requests.n",
            Some((1, 8)),
            "the column \"n\" is in more than one table here; write which is meant, as in t.n",
        ),
        ("SELECT cuont(*) FROM edits", Some((1, 8)), "there is no function \"cuont\"; did you mean `count`?"),
        (
            "SELECT xyzzyplugh(title) FROM edits",
            Some((1, 8)),
            "there is no function \"xyzzyplugh\"; docs/sql.md names what there is",
        ),
        ("SELECT lowr(title) FROM edits", Some((1, 8)), "there is no function \"lowr\"; did you mean `lower`?"),
        ("SELECT upper(title, n) FROM edits", Some((1, 8)), "upper takes one argument, not 2"),
        ("SELECT upper() FROM edits", Some((1, 8)), "upper takes an argument"),
        (
            "SELECT round('abc', title) FROM edits",
            Some((1, 8)),
            "round does not take text here, but a number; convert it, as in CAST(a AS …)",
        ),
        (
            "SELECT sum(title) FROM edits",
            Some((1, 8)),
            "sum does not take text here, but a number; convert it, as in CAST(a AS …)",
        ),
        (
            "SELECT avg(bot) FROM edits",
            Some((1, 8)),
            "avg does not take bool here, but a number; convert it, as in CAST(a AS …)",
        ),
        (
            "SELECT title + 1 FROM edits",
            Some((1, 8)),
            "text + int64 cannot be computed; convert one, as in CAST(a AS DOUBLE)",
        ),
        (
            "SELECT bot + 1 FROM edits",
            Some((1, 8)),
            "bool + int64 cannot be computed; convert one, as in CAST(a AS DOUBLE)",
        ),
        (
            "SELECT at + 1 FROM edits",
            Some((1, 8)),
            "timestamp + int64 cannot be computed; a time takes an interval, as in event_time + INTERVAL '1 hour'",
        ),
        (
            "SELECT at + event_time FROM edits",
            Some((1, 11)),
            "timestamp + timestamp cannot be computed; a time takes an interval, as in event_time + INTERVAL '1 hour', and of two times there is the difference",
        ),
        (
            "SELECT NOT title FROM edits",
            Some((1, 8)),
            "NOT takes true or false, not text; write a comparison, as in NOT (title = 'a')",
        ),
        (
            "SELECT - title FROM edits",
            Some((1, 10)),
            "a minus takes a number or an interval; make a number of a text with CAST(a AS DOUBLE)",
        ),
        (
            "SELECT title FROM edits WHERE n",
            Some((1, 25)),
            "a condition is true or false, but edits.n is int64; write a comparison, as in edits.n = …",
        ),
        (
            "SELECT title FROM edits WHERE title",
            Some((1, 25)),
            "a condition is true or false, but edits.title is text; write a comparison, as in edits.title = …",
        ),
        (
            "SELECT title FROM edits WHERE bot > at",
            Some((1, 35)),
            "types that cannot be compared: bool > timestamp; convert one, as in CAST(a AS TEXT)",
        ),
        (
            "SELECT title AND bot FROM edits",
            Some((1, 8)),
            "AND and OR take true or false: text AND bool; write a comparison, as in title = 'a'",
        ),
        (
            "SELECT title LIKE 5 FROM edits",
            Some((1, 14)),
            "LIKE takes two texts, not text and int64; write CAST(a AS TEXT) LIKE '…'",
        ),
        (
            "SELECT n LIKE 'a%' FROM edits",
            Some((1, 10)),
            "LIKE takes two texts, not int64 and text; write CAST(a AS TEXT) LIKE '…'",
        ),
        (
            "SELECT title LIKE 'a!%' ESCAPE '!' FROM edits",
            Some((1, 25)),
            "LIKE … ESCAPE is not taken: the backslash escapes without it, as in title LIKE '100\\%'",
        ),
        (
            "SELECT title FROM edits WHERE count(*) > 1",
            Some((1, 25)),
            "an aggregate cannot stand in WHERE, which picks rows before they are grouped; write HAVING",
        ),
        (
            "SELECT title, count(*) FROM edits",
            Some((1, 8)),
            "edits.title in SELECT is neither grouped nor aggregated; add it to GROUP BY, or write min(edits.title) or count(DISTINCT edits.title)",
        ),
        (
            "SELECT title, count(*) FROM edits GROUP BY n",
            Some((1, 8)),
            "edits.title in SELECT is neither grouped nor aggregated; add it to GROUP BY, or write min(edits.title) or count(DISTINCT edits.title)",
        ),
        (
            "SELECT * FROM edits GROUP BY n",
            None,
            "edits.event_offset in SELECT is neither grouped nor aggregated; add it to GROUP BY, or write min(edits.event_offset) or count(DISTINCT edits.event_offset)",
        ),
        (
            "SELECT n FROM edits GROUP BY n HAVING title = 'a'",
            Some((1, 39)),
            "edits.title in HAVING is neither grouped nor aggregated; add it to GROUP BY, or write min(edits.title) or count(DISTINCT edits.title)",
        ),
        ("SELECT n FROM edits GROUP BY 3", Some((1, 30)), "GROUP BY 3: only 1 columns are selected; name one of them"),
        ("SELECT n FROM edits ORDER BY 3", Some((1, 30)), "ORDER BY 3: only 1 columns are selected; name one of them"),
        (
            "SELECT sum(count(*)) FROM edits",
            Some((1, 12)),
            "count(1) stands inside sum(count(1) AS count(*)); compute the inner one first, as in WITH a AS (SELECT …) SELECT …",
        ),
        (
            "SELECT DISTINCT n FROM edits ORDER BY title",
            Some((1, 39)),
            "with SELECT DISTINCT only what is selected can order the rows; select edits.title, too",
        ),
        ("SELECT n FROM edits LIMIT -1", Some((1, 21)), "LIMIT takes a whole number from 0 on, not -1"),
        ("SELECT n FROM edits LIMIT 'a'", Some((1, 21)), "LIMIT takes a whole number from 0 on, not text"),
        ("SELECT n FROM edits LIMIT n", Some((1, 27)), "there is no column \"n\"; no column can stand here"),
        (
            "SELECT n FROM edits UNION SELECT n, title FROM edits",
            Some((1, 21)),
            "the two sides have different numbers of columns; select as many on each",
        ),
        (
            "SELECT n FROM edits UNION SELECT at FROM edits",
            Some((1, 21)),
            "the sides of UNION have different types in column at: int64 and timestamp; convert one with CAST",
        ),
        (
            "SELECT (SELECT n, title FROM edits) FROM edits",
            None,
            "a subquery has one column here, not edits.n, edits.title; select one",
        ),
        (
            "SELECT n FROM edits WHERE n IN (SELECT n, title FROM edits)",
            Some((1, 40)),
            "a subquery has one column here, not edits.n, edits.title; select one",
        ),
        (
            "SELECT (SELECT n FROM edits) FROM edits",
            None,
            "a subquery that stands for one value gave more than one row; add LIMIT 1, or aggregate it, as in max(a)",
        ),
        (
            "SELECT CAST(title AS INT) FROM edits",
            Some((1, 8)),
            "'abc' is no int32; write TRY_CAST(a AS …), which gives NULL there",
        ),
        (
            "SELECT CAST('abc' AS INT)",
            Some((1, 13)),
            "'abc' is no int32; write TRY_CAST(a AS …), which gives NULL there",
        ),
        (
            "SELECT CAST(title AS INTT) FROM edits",
            Some((1, 22)),
            "there is no type INTT; valid: TEXT, BIGINT, INT, DOUBLE, DECIMAL(p, s), BOOLEAN, TIMESTAMP, DATE, INTERVAL",
        ),
        (
            "SELECT CAST(title AS TIMESTAMP) FROM edits",
            Some((1, 8)),
            "'abc' is no time; write one as in '2026-11-24T10:00:00Z'",
        ),
        (
            "SELECT 100 / n FROM edits",
            Some((1, 8)),
            "(100 / edits.n) divides by zero; leave such rows out with WHERE, or divide by nullif(…, 0), which makes it NULL",
        ),
        (
            "SELECT 1 / 0",
            Some((1, 8)),
            "(1 / 0) divides by zero; leave such rows out with WHERE, or divide by nullif(…, 0), which makes it NULL",
        ),
        (
            "SELECT n % 0 FROM edits",
            Some((1, 8)),
            "(edits.n % 0) divides by zero; leave such rows out with WHERE, or divide by nullif(…, 0), which makes it NULL",
        ),
        (
            "SELECT title FROM edits WHERE event_time > 'yesterday'",
            Some((1, 44)),
            "'yesterday' is no time; write one as in '2026-11-24T10:00:00Z'",
        ),
        (
            "SELECT title FROM edits WHERE event_time > '2026-13-01'",
            Some((1, 44)),
            "'2026-13-01' is no time; write one as in '2026-11-24T10:00:00Z'",
        ),
        (
            "SELECT title FROM edits WHERE event_time > now() - INTERVAL '5 minuts'",
            Some((1, 61)),
            "'5 minuts' is no interval; write a number and a unit (second, minute, hour, day, week, month, year), as in INTERVAL '5 minutes'",
        ),
        (
            "SELECT INTERVAL 'abc'",
            Some((1, 17)),
            "'abc' is no interval; write a number and a unit (second, minute, hour, day, week, month, year), as in INTERVAL '5 minutes'",
        ),
        (
            "SELECT date_trunc('minut', event_time) FROM edits",
            Some((1, 19)),
            "date_trunc has no minut; valid: microsecond, millisecond, second, minute, hour, day, week, month, quarter, year",
        ),
        (
            "SELECT date_trunc(event_time, 'minute') FROM edits",
            Some((1, 8)),
            "date_trunc does not take timestamp here, but a text; convert it, as in CAST(a AS …)",
        ),
        (
            "SELECT extract(minut FROM event_time) FROM edits",
            Some((1, 16)),
            "a time has no part minut; valid: year, quarter, month, week, day, dow, doy, hour, minute, second, millisecond, microsecond, epoch",
        ),
        (
            "SELECT date_bin(INTERVAL '1 month 1 day', event_time) FROM edits",
            Some((1, 8)),
            "date_bin takes months, or days and less, not both; write one of them",
        ),
        (
            "SELECT tumble(event_time, '1 minute') FROM edits",
            Some((1, 8)),
            "tumble(time, size [, zone]): 1 minute is no interval; write one as in INTERVAL '1 minute'",
        ),
        ("SELECT tumble(event_time) FROM edits", Some((1, 8)), "tumble takes 2 or 3 arguments, not 1"),
        (
            "SELECT tumble(title, INTERVAL '1 minute') FROM edits",
            Some((1, 8)),
            "tumble(time, size [, zone]): the time is a text, but must be a timestamp",
        ),
        (
            "SELECT tumble(event_time, INTERVAL '1 day', 'Europe/Berlim') FROM edits",
            Some((1, 8)),
            "tumble(time, size [, zone]): no time zone is called \"Europe/Berlim\": give an IANA name such as \"Europe/Berlin\" or \"UTC\"",
        ),
        (
            "SELECT hop(event_time, INTERVAL '1 minute', INTERVAL '5 minutes') FROM edits",
            Some((1, 8)),
            "hop(…) stands in GROUP BY of a query or view, nowhere else",
        ),
        (
            "SELECT session(event_time) AS s, count(*) FROM edits GROUP BY 1",
            Some((1, 8)),
            "session takes 2 or 3 arguments, not 1",
        ),
        ("SELECT regexp_like(title, '(') FROM edits", Some((1, 27)), "this is no regular expression: unclosed group"),
        ("SELECT title ~ '[' FROM edits", Some((1, 16)), "this is no regular expression: unclosed character class"),
        (
            "SELECT substr(title, 'a') FROM edits",
            Some((1, 8)),
            "substr does not take text here, but a number; convert it, as in CAST(a AS …)",
        ),
        (
            "SELECT data ->> 1.5 FROM edits",
            Some((1, 13)),
            "json_as_text(json, path …): 1.5 is no key and no place in an array",
        ),
        (
            "SELECT n -> 'a' FROM edits",
            Some((1, 10)),
            "`->` takes JSON text, as data and data -> 'field' are, not int64",
        ),
        ("SELECT title[1] FROM edits", Some((1, 13)), "array_element does not take text"),
        ("SELECT title.x FROM edits", Some((1, 8)), "text has no fields; of JSON text write data ->> 'field'"),
        (
            "SELECT unnest(title) FROM edits",
            Some((1, 8)),
            "unnest takes a list, as string_to_array(title, ' ') or json_get_array(data, 'tags') gives one",
        ),
        (
            "SELECT top_k(title, 0) FROM edits",
            Some((1, 8)),
            "top_k(value, k): k is 0, but must be a whole number from 1 to 10000",
        ),
        ("SELECT top_k(title) FROM edits", Some((1, 8)), "top_k takes 2 arguments, not 1"),
        (
            "SELECT string_agg(title, ',' ORDER BY n), string_agg(title, ',' ORDER BY ms) FROM edits",
            Some((1, 8)),
            "aggregates of one SELECT cannot have different orders inside; give them the same ORDER BY, or a query (a view) each",
        ),
        (
            "SELECT string_agg(DISTINCT n, ',' ORDER BY title) FROM edits",
            Some((1, 19)),
            "with DISTINCT an aggregate is ordered by its own value alone, as in string_agg(DISTINCT a, ',' ORDER BY a)",
        ),
        (
            "SELECT first_value(title) OVER (ORDER BY n ROWS BETWEEN 1 FOLLOWING AND 1 PRECEDING) FROM edits",
            Some((1, 44)),
            "the frame begins (1 FOLLOWING) behind its end (1 PRECEDING); swap the two",
        ),
        ("SELECT rank() FROM edits", Some((1, 8)), "rank needs OVER, as in rank(…) OVER (ORDER BY event_time)"),
        (
            "SELECT count(*) OVER (PARTITION BY nn) FROM edits",
            Some((1, 36)),
            "there is no column \"nn\"; valid: event_offset, event_time, received_time, title, n, ms, bot, at, data",
        ),
        (
            "SELECT percentile_cont(2) WITHIN GROUP (ORDER BY ms) FROM edits",
            Some((1, 24)),
            "a percentile is from 0 to 1, not 2",
        ),
        (
            "SELECT CASE n WHEN 1 THEN 'a' ELSE event_time END FROM edits",
            Some((1, 27)),
            "'a' is no time; write one as in '2026-11-24T10:00:00Z'",
        ),
        (
            "SELECT coalesce(n, at) FROM edits",
            Some((1, 8)),
            "coalesce(int64, timestamp): these types do not go together; convert them with CAST",
        ),
        (
            "SELECT a.n FROM edits a, edits a",
            Some((1, 12)),
            "two tables are named a in FROM; give one another name with AS",
        ),
        (
            "SELECT n FROM edits AS e WHERE EXISTS (SELECT 1 FROM requests WHERE nn = e.n)",
            Some((1, 69)),
            "there is no column \"nn\"; valid: event_offset, event_time, received_time, title, n, ms, bot, at, data",
        ),
        (
            "WITH a AS (SELECT 1) SELECT * FROM b",
            Some((1, 36)),
            "there is no stream or view \"b\"; valid: edits, requests",
        ),
        (
            "WITH a AS (SELECT 1), a AS (SELECT 2) SELECT * FROM a",
            Some((1, 6)),
            "WITH has a twice; give one another name",
        ),
        (
            "INSERT INTO edits VALUES (1)",
            Some((1, 1)),
            "this would change something, and a query only reads; write SELECT or WITH, and make streams and views in the pipeline file",
        ),
        (
            "DELETE FROM edits",
            Some((1, 1)),
            "this would change something, and a query only reads; write SELECT or WITH, and make streams and views in the pipeline file",
        ),
        (
            "UPDATE edits SET n = 1",
            Some((1, 1)),
            "this would change something, and a query only reads; write SELECT or WITH, and make streams and views in the pipeline file",
        ),
        (
            "DROP TABLE edits",
            Some((1, 1)),
            "this would change something, and a query only reads; write SELECT or WITH, and make streams and views in the pipeline file",
        ),
        (
            "CREATE TABLE a AS SELECT 1",
            Some((1, 1)),
            "this would change something, and a query only reads; write SELECT or WITH, and make streams and views in the pipeline file",
        ),
        (
            "CREATE VIEW a AS SELECT 1",
            Some((1, 1)),
            "this would change something, and a query only reads; write SELECT or WITH, and make streams and views in the pipeline file",
        ),
        (
            "COPY edits TO '/tmp/a.csv'",
            Some((1, 1)),
            "this would change something, and a query only reads; write SELECT or WITH, and make streams and views in the pipeline file",
        ),
        (
            "SET datafusion.execution.batch_size = 1",
            Some((1, 1)),
            "this sets or runs something, and a query only reads; write SELECT or WITH",
        ),
        (
            "EXPLAIN SELECT titel FROM edits",
            Some((1, 1)),
            "there is no EXPLAIN; write the query alone, as SELECT or WITH",
        ),
        (
            "WITH a AS (INSERT INTO edits VALUES (1) RETURNING *) SELECT * FROM a",
            Some((1, 12)),
            "this would change something, and a query only reads; write SELECT or WITH, and make streams and views in the pipeline file",
        ),
        (
            "SELECT n INTO a FROM edits",
            Some((1, 10)),
            "this would change something, and a query only reads; write SELECT or WITH, and make streams and views in the pipeline file",
        ),
        (
            "GRANT SELECT ON edits TO me",
            Some((1, 1)),
            "this would change something, and a query only reads; write SELECT or WITH, and make streams and views in the pipeline file",
        ),
        ("BEGIN", Some((1, 1)), "this sets or runs something, and a query only reads; write SELECT or WITH"),
        (
            "SHOW ALL",
            Some((1, 1)),
            "there is no SHOW; `lakehead streams` and `lakehead views` list what can be asked, `lakehead streams NAME` shows the columns",
        ),
        (
            "SHOW TABLES",
            Some((1, 1)),
            "there is no SHOW; `lakehead streams` and `lakehead views` list what can be asked, `lakehead streams NAME` shows the columns",
        ),
        (
            "DESCRIBE edits",
            Some((1, 1)),
            "there is no DESCRIBE; `lakehead streams` and `lakehead views` list what can be asked, `lakehead streams NAME` shows the columns",
        ),
        (
            "SELECT * FROM information_schema.df_settings",
            Some((1, 15)),
            "there is no information_schema; `lakehead streams` and `lakehead views` list what can be asked, `lakehead streams NAME` shows the columns",
        ),
        (
            "SELECT * FROM 'a.parquet'",
            Some((1, 15)),
            "there is no stream or view \"parquet\"; valid: edits, requests; a file is no table",
        ),
        (
            "SELECT * FROM read_csv('a')",
            Some((1, 15)),
            "there is no table function read_csv; valid: range, generate_series",
        ),
        (
            "SELECT n FROM edits NATURAL JOIN requests WHERE x = 1",
            Some((1, 49)),
            "there is no column \"x\"; valid: edits.event_offset, edits.event_time, edits.received_time, edits.title, edits.n, edits.ms, edits.bot, edits.at, edits.data, requests.event_offset, requests.event_time, requests.received_time, requests.title, requests.n, requests.ms, requests.bot, requests.at, requests.data",
        ),
        (
            "SELECT n FROM edits LATERAL JOIN requests",
            Some((1, 21)),
            "the end of the statement was expected here, not LATERAL",
        ),
        ("SELECT n QUALIFY n > 1 FROM edits", Some((1, 18)), "the end of the statement was expected here, not n"),
        ("SELECT TOP 5 n FROM edits", Some((1, 8)), "there is no TOP; write LIMIT at the end"),
        (
            "SELECT DISTINCT ON (n) title FROM edits ORDER BY title",
            Some((1, 8)),
            "DISTINCT ON keeps the first row of each group, so ORDER BY begins with the same expressions",
        ),
        (
            "VALUES (1), (1, 2)",
            Some((1, 1)),
            "a row of VALUES has 2 values where 1 are expected; give each row as many",
        ),
        ("SELECT $1", Some((1, 8)), "$1 stands for a value that nobody gives; write the value itself"),
        ("SELECT @x", Some((1, 8)), "there is no operator @; write abs(a)"),
        (
            "SELECT E'\\uD800'",
            Some((1, 8)),
            "a text E'…', in which each escape must be right, begins here and does not end; close it",
        ),
        ("SELECT X'GG'", None, "X'GG' is not hexadecimal; write an even number of digits and letters from A to F"),
        (
            "SELECT n AS a, title AS a FROM edits ORDER BY a",
            Some((1, 13)),
            "two columns are named \"a\"; name one of them otherwise with AS",
        ),
        (
            "SELECT array_agg(n)[title] FROM edits",
            None,
            "a place is a whole number that is written out, as in nth_value(a, 2) or a[2]",
        ),
        ("SELECT struct(n).x FROM edits", None, "a field cannot be taken of this with a dot; write (a)['field']"),
        ("SELECT to_timestamp('abc')", Some((1, 21)), "'abc' is no time; write one as in '2026-11-24T10:00:00Z'"),
        (
            "SELECT to_timestamp(title) FROM edits",
            Some((1, 8)),
            "'abc' is no time; write one as in '2026-11-24T10:00:00Z'",
        ),
        (
            "SELECT repeat(title, title) FROM edits",
            Some((1, 8)),
            "repeat does not take text here, but a number; convert it, as in CAST(a AS …)",
        ),
        ("SELECT max(DISTINCT *) FROM edits", Some((1, 21)), "* cannot stand here; name a column"),
        (
            "SELECT count(DISTINCT title, n) FROM edits",
            Some((1, 14)),
            "count(DISTINCT …) takes one value; write count(DISTINCT concat(a, ' ', b))",
        ),
        (
            "SELECT count(*) FROM edits TABLESAMPLE BERNOULLI (10)",
            Some((1, 28)),
            "there is no TABLESAMPLE; write a condition as event_offset % 10 = 0, which takes every tenth event",
        ),
        (
            "SELECT n FROM (SELECT n FROM edits FOR SHARE) AS e",
            Some((1, 40)),
            "a query locks nothing; leave FOR UPDATE or FOR SHARE away",
        ),
        (
            "SELECT n FROM edits FOR JSON AUTO",
            Some((1, 21)),
            "how an answer is written is asked beside the statement, as with --format json; leave FOR away",
        ),
        (
            "SELECT n FROM edits FETCH FIRST 1 ROW ONLY",
            Some((1, 21)),
            "there is no FETCH; write LIMIT n, or LIMIT n OFFSET m",
        ),
        (
            "SELECT n FROM edits SORT BY n",
            Some((1, 21)),
            "there is no SORT BY, CLUSTER BY or DISTRIBUTE BY; write ORDER BY",
        ),
        ("SELECT n FROM edits WITH (NOLOCK)", Some((1, 21)), "a table takes no hints; leave them away"),
        ("SELECT grouping(n) FROM edits", Some((1, 8)), "grouping takes a column of GROUP BY, and edits.n is none"),
        ("SELECT lag(n) FROM edits", Some((1, 8)), "lag needs OVER, as in lag(…) OVER (ORDER BY event_time)"),
        (
            "SELECT sum(n) FILTER (WHERE title) FROM edits WHERE title = 'abc'",
            Some((1, 61)),
            "'abc' is no bool; write one in its place, or compare texts, as in CAST(a AS TEXT) = 'b'",
        ),
        (
            "SELECT json_get_int(n, 'a') FROM edits",
            Some((1, 8)),
            "json_get_int takes JSON text, as data and data -> 'field' are, not int64",
        ),
        (
            "SELECT arrow_cast(n, 'Strange') FROM edits",
            Some((1, 22)),
            "there is no type Strange; write CAST(a AS …) with TEXT, BIGINT, DOUBLE, BOOLEAN or TIMESTAMP",
        ),
        (
            "SELECT * EXCEPT (titel) FROM edits",
            Some((1, 18)),
            "SELECT, VALUES, or a subquery in the query body was expected here, not titel",
        ),
        (
            "SELECT e.* FROM edits",
            Some((1, 8)),
            "there is no table e in FROM; write * alone, or a name that stands there",
        ),
        ("SELECT n FROM edits WHERE n = ANY(title)", Some((1, 31)), "array_has does not take text"),
        (
            "SELECT n FROM edits WHERE n IN ('a', at)",
            Some((1, 29)),
            "int64 cannot be compared with timestamp, timestamp; make all of them one type with CAST",
        ),
        (
            "SELECT n FROM edits WHERE n BETWEEN 'a' AND 'b'",
            Some((1, 37)),
            "'a' is no int64; write one in its place, or compare texts, as in CAST(a AS TEXT) = 'b'",
        ),
        (
            "SELECT substr(title) FROM edits",
            Some((1, 8)),
            "substr takes a place to begin at, as in substr(a, 2) or substr(a, 2, 5)",
        ),
        (
            "SELECT * FROM edits PIVOT (sum(n) FOR title IN ('a', 'b'))",
            Some((1, 21)),
            "there is no PIVOT; write a column for each value, as in sum(a) FILTER (WHERE b = 'x') AS x",
        ),
        (
            "SELECT * FROM edits LATERAL VIEW explode(title) a",
            Some((1, 21)),
            "there is no LATERAL VIEW; write unnest in SELECT, as in unnest(string_to_array(title, ' '))",
        ),
        (
            "SELECT date_bin(INTERVAL '0 minutes', event_time) FROM edits",
            Some((1, 8)),
            "date_bin takes a length that is not zero, as in INTERVAL '5 minutes'",
        ),
        (
            "SELECT tumble(event_time, INTERVAL '-1 day') AS d, count(*) FROM edits GROUP BY 1",
            Some((1, 8)),
            "tumble(time, size [, zone]): -1 day is no length: it must be above zero",
        ),
        (
            "SELECT session(event_time, INTERVAL '1 month') AS d, count(*) FROM edits GROUP BY 1",
            Some((1, 8)),
            "session(time, gap [, greatest]): 1 month has no fixed length: use days, hours, minutes or seconds",
        ),
        (
            "SELECT tumble(event_time, INTERVAL '1 month 1 day') FROM edits",
            Some((1, 8)),
            "tumble(time, size [, zone]): 1 month 1 day mixes units: a window of the calendar is some months, some days, or a part of a day",
        ),
        (
            "SELECT nth_value(n, 'x') FROM edits",
            Some((1, 8)),
            "a place is a whole number that is written out, as in nth_value(a, 2) or a[2]",
        ),
        (
            "SELECT nth_value(n, 'x') OVER (ORDER BY n) FROM edits",
            Some((1, 8)),
            "a place is a whole number that is written out, as in nth_value(a, 2)",
        ),
        (
            "SELECT title FROM edits WHERE event_time > 5",
            Some((1, 42)),
            "types that cannot be compared: timestamp > int64; convert one, as in CAST(a AS TEXT)",
        ),
        (
            "SELECT title FROM edits WHERE event_offset = 'a'",
            Some((1, 46)),
            "'a' is no int64; write one in its place, or compare texts, as in CAST(a AS TEXT) = 'b'",
        ),
        ("SELECT title['x'] FROM edits", Some((1, 13)), "text has no fields; of JSON text write data ->> 'field'"),
        (
            "SELECT edits.n, title.x FROM edits",
            Some((1, 17)),
            "text has no fields; of JSON text write data ->> 'field'",
        ),
        (
            "SELECT POSITION(1 IN 2)",
            Some((1, 8)),
            "strpos does not take int64 here, but a text; convert it, as in CAST(a AS …)",
        ),
        (
            "SELECT overlay(title placing 'a' from 'b') FROM edits",
            Some((1, 8)),
            "overlay(text, text, text): overlay does not take these types; convert them with CAST",
        ),
    ];
    let world = world().await;
    let mut wrong = Vec::new();
    for (sql, place, says) in cases {
        match world.lake.query(sql).await {
            Ok(answer) => wrong.push(format!("{sql}\n  is answered with {} rows", answer.rows())),
            Err(error) => judge(sql, &error, (*place, says), &mut wrong),
        }
    }
    no_wrong(&wrong);
}

#[tokio::test]
async fn each_wrong_view_is_told_where_what_and_what_would_be_valid() {
    let cases: &[Case] = &[
        (
            "SELECT tumble(event_time, INTERVAL '1 minute') AS m, cuont(*) AS n FROM edits GROUP BY 1",
            Some((1, 54)),
            "there is no function \"cuont\"; did you mean `count`?",
        ),
        (
            "SELECT tumble(event_time, INTERVAL '1 minuet') AS m, count(*) AS n FROM edits GROUP BY 1",
            Some((1, 36)),
            "'1 minuet' is no interval; write a number and a unit (second, minute, hour, day, week, month, year), as in INTERVAL '5 minutes'",
        ),
        (
            "SELECT tumble(event_time, INTERVAL '1 minute') AS m,\n  titel,\n  count(*) AS n\nFROM edits GROUP BY 1, 2",
            Some((2, 3)),
            "there is no column \"titel\"; did you mean `title`? valid: event_offset, event_time, received_time, title, n, ms, bot, at, data",
        ),
        (
            "SELECT tumble(event_time, INTERVAL '1 minute') AS m, title, count(*) AS n FROM edits GROUP BY 1",
            Some((1, 54)),
            "edits.title in SELECT is neither grouped nor aggregated; add it to GROUP BY, or write min(edits.title) or count(DISTINCT edits.title)",
        ),
        (
            "SELECT tumble(event_time, INTERVAL '1 minute') AS m, count(*) FROM edits GROUP BY 1",
            Some((1, 54)),
            "the column count(*) has no name of its own; name it with AS",
        ),
        (
            "SELECT tumble(at, INTERVAL '1 minute') AS m, count(*) AS n FROM edits GROUP BY 1",
            Some((1, 15)),
            "windows of a view are over event_time or received_time, not \"at\"; make it the stream's event time, or group by date_bin in the query",
        ),
        (
            "SELECT tumble(event_time, INTERVAL '1 minute') AS m, count(*) AS n FROM edits GROUP BY 1 LIMIT 5",
            Some((1, 90)),
            "LIMIT cannot be kept up to date as a view; keep all rows and put ORDER BY … LIMIT into the query",
        ),
        (
            "SELECT tumble(e.event_time, INTERVAL '1 minute') AS m, count(*) AS n FROM edits e JOIN requests r ON e.n = r.n GROUP BY 1",
            Some((1, 83)),
            "a join cannot be kept up to date as a view; keep a view for each stream and join them in the query",
        ),
        (
            "SELECT tumble(event_time, INTERVAL '1 minute') AS m, first_value(title) AS n FROM edits GROUP BY 1",
            Some((1, 54)),
            "an aggregate that depends on the order of events and does not say it cannot be kept up to date as a view; write the order inside, as in first_value(title ORDER BY event_time), or use min, max or count(DISTINCT …)",
        ),
        (
            "SELECT tumble(event_time, INTERVAL '1 minute') AS m, string_agg(title, ',' ORDER BY n) AS a, string_agg(title, ',' ORDER BY ms) AS b FROM edits GROUP BY 1",
            Some((1, 54)),
            "aggregates of one SELECT cannot have different orders inside; give them the same ORDER BY, or a query (a view) each",
        ),
        (
            "SELECT tumble(event_time, INTERVAL '1 minute') AS m, count(*) AS n FROM edits WHERE title LIKE 'a!%' ESCAPE '!' GROUP BY 1",
            Some((1, 102)),
            "LIKE … ESCAPE is not taken: the backslash escapes without it, as in title LIKE '100\\%'",
        ),
        (
            "SELECT tumble(event_time, INTERVAL '1 minute') AS m, sum(title) AS n FROM edits GROUP BY 1",
            Some((1, 54)),
            "sum does not take text here, but a number; convert it, as in CAST(a AS …)",
        ),
        (
            "SELECT title, count(*) AS n FROM edits GROUP BY 1",
            Some((1, 40)),
            "a query without a window cannot be kept up to date as a view; add GROUP BY tumble(event_time, INTERVAL '1 minute') or another size",
        ),
        (
            "SELECT 1 AS one",
            Some((1, 1)),
            "this statement cannot be kept up to date as a view; write SELECT … FROM a stream … GROUP BY tumble(event_time, INTERVAL '1 minute')",
        ),
        (
            "SELECT tumble(event_time, INTERVAL '1 minute') AS m, count(*) AS m FROM edits GROUP BY 1",
            Some((1, 51)),
            "two columns are named \"m\"; name one of them otherwise with AS",
        ),
        (
            "DELETE FROM edits WHERE n = 1",
            Some((1, 1)),
            "this would change something, and a query only reads; write SELECT or WITH, and make streams and views in the pipeline file",
        ),
    ];
    let streams = BTreeMap::from([(name("edits"), schema()), (name("requests"), schema())]);
    let mut wrong = Vec::new();
    for (sql, place, says) in cases {
        match check_view(sql, &streams).await {
            Ok(_) => wrong.push(format!("{sql}\n  is taken for good")),
            Err(error) => judge(sql, &error, (*place, says), &mut wrong),
        }
    }
    no_wrong(&wrong);
}

#[tokio::test]
async fn a_column_may_be_named_as_its_unit_is_written() {
    let streams = BTreeMap::from([(name("edits"), schema())]);
    let sql = "SELECT tumble(event_time, INTERVAL '1 minute') AS m, sum(n) AS \"bytes (MB)\" FROM edits GROUP BY 1";
    let plan = check_view(sql, &streams).await.expect("it is good");
    assert_eq!(plan.schema().field(1).name(), "bytes (MB)");
    let sql = "SELECT tumble(event_time, INTERVAL '1 minute') AS m, sum(n) FROM edits GROUP BY 1";
    assert!(check_view(sql, &streams).await.is_err());
}
