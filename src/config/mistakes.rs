//! Pipeline files with mistakes, and that each mistake is told: its line, its key, what would be valid; all of them at once.

use super::{Overrides, read};
use crate::kinds::Kinds;

/// A file, and how each line of the answer begins, in its order.
const FILES: &[(&str, &[&str])] = &[
    ("[stream.s\n", &["p.toml:1:10: not TOML: unclosed table, expected `]`"]),
    ("data = \"./d\n[stream.s]\n", &["p.toml:1:12: not TOML: invalid basic string, expected `\"`"]),
    ("data = ./d\n[stream.s]\n", &["p.toml:1:8: not TOML: this is no value"]),
    ("data \"./d\"\n[stream.s]\n", &["p.toml:1:6: not TOML: key with no value, expected `=`"]),
    (
        "[stream.s]\n[stream.s]\n",
        &["p.toml:2:9: stream.s: this stands twice in the file, first in line 1; keep one, or give one another name"],
    ),
    (
        "[stream.s]\n[view.v]\nsql = \"SELECT tumble(event_time, INTERVAL '1 minute') AS m, count(*) AS n FROM s GROUP BY 1\"\n[view.v]\nsql = \"SELECT tumble(event_time, INTERVAL '1 minute') AS m, count(*) AS n FROM s GROUP BY 1\"\n",
        &[
            "p.toml:4:7: view.v: this stands twice in the file, first in line 2; keep one, or give one another name",
            "p.toml:5:1: view.v.sql: this stands twice in the file; keep one, or give one another name",
        ],
    ),
    (
        "data = \"./a\"\ndata = \"./b\"\n[stream.s]\n",
        &["p.toml:2:1: data: this stands twice in the file, first in line 1; keep one, or give one another name"],
    ),
    (
        "[stream.s]\n[view.v]\nsql = \"x\"\nsql = \"y\"\n",
        &[
            "p.toml:3:8: view.v.sql: a statement that begins with SELECT or WITH was expected here, not x",
            "p.toml:4:1: view.v.sql: this stands twice in the file, first in line 3; keep one, or give one another name",
        ],
    ),
    ("", &["p.toml: there is no stream; add one, as in [stream.events]"]),
    (
        "[straem.s]\n",
        &[
            "p.toml: there is no stream; add one, as in [stream.events]",
            "p.toml:1: straem: unknown key; did you mean `stream`?",
        ],
    ),
    ("dta = \"./d\"\n[stream.s]\n", &["p.toml:1: dta: unknown key; did you mean `data`?"]),
    ("data = 5\n[stream.s]\n", &["p.toml:1: data: this is a whole number, 5; write a text in quotes"]),
    ("stream = \"s\"\n", &["p.toml:1: stream: write a table, [stream.NAME], not a text"]),
    ("[stream]\ns = 1\n", &["p.toml:2: stream.s: write a table, [stream.NAME]"]),
    (
        "[stream.\"My Stream\"]\n",
        &[
            "p.toml:1: stream.My Stream: \"My Stream\" is not a name: use a lower-case letter, then lower-case letters, digits and underscores, at most 63 bytes",
        ],
    ),
    (
        "[stream.rejects]\n",
        &["p.toml:1: stream.rejects: this stream is built in: Lakehead fills it itself; choose another name"],
    ),
    (
        "[stream.s]\nshema = \"json\"\nretension = \"1d\"\n",
        &[
            "p.toml:2: stream.s.shema: unknown key; did you mean `schema`?",
            "p.toml:3: stream.s.retension: unknown key; did you mean `retention`?",
        ],
    ),
    (
        "[stream.s]\nschema = 3\nretention = 90\nretention_bytes = \"5 gigs\"\n",
        &[
            "p.toml:2: stream.s.schema: this is a whole number, 3; write a text in quotes",
            "p.toml:3: stream.s.retention: this is a whole number, 90; write a text in quotes",
            "p.toml:4: stream.s.retention_bytes: \"5 gigs\" is not a size: write a whole number and a unit, as in \"64 MiB\"",
        ],
    ),
    (
        "[stream.s]\nretention = \"90 days\"\n",
        &[
            "p.toml:2: stream.s.retention: \"90 days\" is not a span of time: write a whole number and a unit (ms, s, m, h, d), as in \"30s\"",
        ],
    ),
    (
        "[stream.s]\ncolumns = { a = { path = \"a\", type = \"int\", equls = \"x\" } }\n",
        &["p.toml:2: stream.s.columns.a.equls: unknown key; did you mean `equals`?"],
    ),
    (
        "[stream.s]\n[stream.s.columns]\ndata = \"d\"\nb = \"x..y\"\n",
        &[
            "p.toml:3: stream.s.columns.data: every stream has a column of this name already; choose another",
            "p.toml:4: stream.s.columns.b: a path names at least one key, and none of its keys is empty",
        ],
    ),
    (
        "[stream.s]\nevent_time = { path = \"ts\", format = \"seconds\" }\n",
        &["p.toml:2: stream.s.event_time.format: \"seconds\" is unknown"],
    ),
    (
        "[stream.s]\nevent_time = 5\n",
        &[
            "p.toml:2: stream.s.event_time: write a path as in \"meta.dt\", or { path = \"ts\", format = \"unix_ms\" }, or an array of these, of which the first that is there wins",
        ],
    ),
    (
        "[stream.s]\n[source.a]\n",
        &["p.toml:2: source.a.kind: this key is missing", "p.toml:2: source.a.stream: this key is missing"],
    ),
    (
        "[stream.s]\n[source.a]\nkind = \"rabbitmq\"\nstream = \"t\"\n",
        &["p.toml:3: source.a.kind: no kind \"rabbitmq\"", "p.toml:4: source.a.stream: no stream \"t\" in this file"],
    ),
    (
        "[stream.s]\n[source.a]\nkind = \"fake\"\nstreams = [\"s\",\n  \"t\", \"s\"]\nfields = { x = { int = [1, 6] } }\n",
        &[
            "p.toml:5: source.a.streams.1: no stream \"t\" in this file",
            "p.toml:5: source.a.streams.2: the stream \"s\" stands here twice",
        ],
    ),
    (
        "[stream.s]\n[source.a]\nkind = \"fake\"\nstream = \"s\"\nstreams = [\"s\"]\nfields = { x = { int = [6, 1] } }\n",
        &[
            "p.toml:5: source.a.streams: write stream or streams, not both",
            "p.toml:6: source.a.fields.x: in int, expected the lesser number first, as in [1, 6], found [6, 1]",
        ],
    ),
    (
        "[stream.s]\n[source.a]\nkind = \"fake\"\nstreams = []\nfields = { x = { ints = [1, 6] }, y = { int = [1, 6] } }\n",
        &[
            "p.toml:4: source.a.streams: expected 1 to 100 names of streams, found 0",
            "p.toml:5: source.a.fields.x: \"ints\" is unknown; did you mean `int`?",
        ],
    ),
    (
        "[stream.s]\n[source.a]\nkind = \"eventstreams\"\nstream = \"s\"\nurl = \"stream.wikimedia.org/v2/stream/recentchange\"\n",
        &["p.toml:5: source.a.url: this address has no scheme; write it whole, as in \"https://example.org/path\""],
    ),
    (
        "[stream.s]\n[source.a]\nkind = \"eventstreams\"\nstream = \"s\"\nurl = \"ftp://stream.wikimedia.org/v2/stream/recentchange\"\n",
        &["p.toml:5: source.a.url: expected an address with http or https, found \"ftp\""],
    ),
    (
        "[stream.s]\n[source.a]\nkind = \"eventstreams\"\nstream = \"s\"\nurl = \"https://stream.wikimedia.org/v2/stream/recentchange\"\nurll = \"x\"\nsinse = \"1h\"\n",
        &[
            "p.toml:6: source.a.urll: unknown key; did you mean `url`?",
            "p.toml:7: source.a.sinse: unknown key; did you mean `since`?",
        ],
    ),
    (
        "[stream.s]\n[source.a]\nkind = \"eventstreams\"\nstream = \"s\"\nurl = \"https://stream.wikimedia.org/v2/stream/recentchange\"\nsince = \"yesterday\"\nsilence_max = 3\n",
        &[
            "p.toml:6: source.a.since: \"yesterday\" is neither a time, as in \"2026-11-01T00:00:00Z\", nor a span back, as in \"24h\"",
            "p.toml:7: source.a.silence_max: this is a whole number, 3; write a text in quotes",
        ],
    ),
    (
        "[stream.s]\n[source.a]\nkind = \"file\"\nstream = \"s\"\npaths = [\"a[b\", \"c\"]\npath = \"x\"\n",
        &[
            "p.toml:5: source.a.paths: \"a[b\" is no pattern: invalid range pattern at character 2",
            "p.toml:6: source.a.path: unknown key; did you mean `paths`?",
        ],
    ),
    (
        "[stream.s]\n[source.a]\nkind = \"file\"\nstream = \"s\"\npaths = \"dump.jsonl\"\n",
        &["p.toml:5: source.a.paths: this is a text, \"dump.jsonl\"; write an array"],
    ),
    (
        "[stream.s]\n[view.v]\nlatness = \"1h\"\nwatermark = \"1m\"\n",
        &[
            "p.toml:2: view.v.sql: this key is missing",
            "p.toml:3: view.v.latness: unknown key; did you mean `lateness`?",
            "p.toml:4: view.v.watermark: unknown key",
        ],
    ),
    (
        "[stream.s]\n[view.v]\nsql = \"SELECT tumble(event_time, INTERVAL '1 minute') AS m, count(*) AS n FROM s GROUP BY 1\"\nlate = \"keep\"\nlateness = \"1 day\"\nstate_max = 5\nswap = \"later\"\n",
        &[
            "p.toml:4: view.v.late: \"keep\" is unknown",
            "p.toml:5: view.v.lateness: \"1 day\" is not a span of time: write a whole number and a unit (ms, s, m, h, d), as in \"30s\"",
            "p.toml:6: view.v.state_max: this is a whole number, 5; write a text in quotes",
            "p.toml:7: view.v.swap: \"later\" is unknown",
        ],
    ),
    (
        "[stream.s]\n[view.s]\nsql = \"SELECT 1\"\n",
        &["p.toml:2: view.s: a stream has this name; both are tables in SQL, so choose another"],
    ),
    (
        "[stream.s]\n[view.v]\nsql = \"\"\"\nSELECT tumble(event_time, INTERVAL '1 minuet') AS m, count(*) AS n\nFROM s GROUP BY 1\"\"\"\n",
        &[
            "p.toml:4:36: view.v.sql: '1 minuet' is no interval; write a number and a unit (second, minute, hour, day, week, month, year), as in INTERVAL '5 minutes'",
        ],
    ),
    (
        "[stream.s]\n[view.v]\nsql = \"\"\"\nSELECT tumble(event_time, INTERVAL '1 minute') AS m,\n       titel, count(*) AS n\nFROM s GROUP BY 1, 2\"\"\"\n",
        &["p.toml:5:8: view.v.sql: there is no column \"titel\""],
    ),
    (
        "[stream.s]\n[view.v]\nsql = \"\"\"\nSELECT tumble(event_time, INTERVAL '1 minute') AS m,\n       data, count(*) AS n\nFROM s GROUP BY 1\"\"\"\n",
        &[
            "p.toml:5:8: view.v.sql: s.data in SELECT is neither grouped nor aggregated; add it to GROUP BY, or write min(s.data) or count(DISTINCT s.data)",
        ],
    ),
    (
        "[stream.s]\n[view.v]\nsql = \"\"\"\nSELECT tumble(event_time, INTERVAL '1 minute') AS m, cuont(*) AS n\nFROM s GROUP BY 1\"\"\"\n",
        &["p.toml:4:54: view.v.sql: there is no function \"cuont\"; did you mean `count`?"],
    ),
    (
        "[stream.s]\n[view.v]\nsql = \"\"\"\nSELECT tumble(event_time, INTERVAL '1 minute') AS m, count(*) AS n\nFORM s GROUP BY 1\"\"\"\n",
        &[
            "p.toml:5:1: view.v.sql: the end of the statement was expected here, not FORM; did you mean FROM in place of FORM?",
        ],
    ),
    (
        "[stream.s]\n[view.v]\nsql = \"\"\"\nSELECT tumble(event_time, INTERVAL '1 minute') AS m, count(*) AS n\nFROM requests GROUP BY 1\"\"\"\n",
        &[
            "p.toml:5:6: view.v.sql: there is no stream or view \"requests\"; did you mean `rejects`? valid: gaps, rejects, s",
        ],
    ),
    (
        "[stream.s]\n[view.v]\nsql = \"\"\"\nSELECT tumble(event_time, INTERVAL '1 minute') AS m, count(*)\nFROM s GROUP BY 1\"\"\"\n",
        &["p.toml:4:54: view.v.sql: the column count(*) has no name of its own; name it with AS"],
    ),
    (
        "[stream.s]\n[view.v]\nsql = \"\"\"\nSELECT tumble(event_time, INTERVAL '1 minute') AS m, count(*) AS n\nFROM s GROUP BY 1 ORDER BY 1\"\"\"\n",
        &[
            "p.toml:5:19: view.v.sql: ORDER BY cannot be kept up to date as a view; rows of a view have no order; put ORDER BY into the query",
        ],
    ),
    (
        "[stream.s]\n[view.v]\nsql = \"\"\"\nSELECT data, count(*) AS n\nFROM s GROUP BY 1\"\"\"\n",
        &[
            "p.toml:5:8: view.v.sql: a query without a window cannot be kept up to date as a view; add GROUP BY tumble(event_time, INTERVAL '1 minute') or another size",
        ],
    ),
    (
        "[stream.s]\n[view.v]\nsql = \"\"\"\nSELECT data FROM s WHERE data LIKE 'a!%' ESCAPE '!'\"\"\"\n",
        &[
            "p.toml:4:42: view.v.sql: LIKE … ESCAPE is not taken: the backslash escapes without it, as in title LIKE '100\\%'",
        ],
    ),
    (
        "[stream.s]\n[view.v]\nsql = \"SELECT\\n  titel FROM s\"\n",
        &["p.toml:3:18: view.v.sql: there is no column \"titel\""],
    ),
    (
        "[stream.s]\n[view.v]\nsql = 'SELECT titel FROM s'\n[view.w]\nsql = 'SELECT data FROM q'\n[view.x]\nsql = 'SELECT * FROM v'\n",
        &[
            "p.toml:3:15: view.v.sql: there is no column \"titel\"",
            "p.toml:5:25: view.w.sql: there is no stream or view \"q\"",
            "p.toml:7: view.x.sql: it reads the view v, which is not good itself",
        ],
    ),
    (
        "[stream.s]\n[view.v]\nsql = 'SELECT * FROM w'\n[view.w]\nsql = 'SELECT * FROM v'\n",
        &[
            "p.toml:3: view.v.sql: a view that reads itself (by way of w) cannot be kept up to date as a view; let it read a stream or another view",
            "p.toml:5: view.w.sql: a view that reads itself (by way of v) cannot be kept up to date as a view; let it read a stream or another view",
        ],
    ),
    (
        "listen = \"localhost:8080\"\n[stream.s]\n",
        &["p.toml:1: listen: \"localhost:8080\" is not an address: write IP and port, as in \"127.0.0.1:8080\""],
    ),
    ("listen = 8080\n[stream.s]\n", &["p.toml:1: listen: this is a whole number, 8080; write a text in quotes"]),
    (
        "listen = \"0.0.0.0:8080\"\n[stream.s]\n",
        &[
            "p.toml:1: listen: 0.0.0.0:8080 can be reached from other machines: set a token, as in token = \"${LAKEHEAD_TOKEN}\", or write listen_anyone = true (--listen-anyone) if everyone who reaches it may read and push",
        ],
    ),
    ("token = \"short\"\n[stream.s]\n", &["p.toml:1: token: a token has at least 16 characters"]),
    (
        "token = \"${UNSET}\"\n[stream.s]\n",
        &["p.toml:1: token: the environment variable UNSET is not set; set it, or write the value here"],
    ),
    (
        "[stream.s]\n[store]\nsyncs = \"off\"\nlevl = 1\n",
        &[
            "p.toml:3: store.syncs: unknown key; did you mean `sync`?",
            "p.toml:4: store.levl: unknown key; did you mean `level`?",
        ],
    ),
    (
        "[stream.s]\n[store]\nblock_bytes = \"1 megabyte\"\nlevel = \"1\"\n",
        &[
            "p.toml:3: store.block_bytes: \"1 megabyte\" is not a size: write a whole number and a unit, as in \"64 MiB\"",
            "p.toml:4: store.level: this is a text, \"1\"; write a whole number",
        ],
    ),
    ("[stream.s]\n[store]\nlevel = 40\n", &["p.toml:3: store.level: level is 40: choose a zstd level from 1 to 19"]),
    (
        "[stream.s]\n[store.seal]\nenabled = \"yes\"\ncpu = 3\n",
        &[
            "p.toml:3: store.seal.enabled: this is a text, \"yes\"; write true or false",
            "p.toml:4: store.seal.cpu: unknown key",
        ],
    ),
    (
        "[stream.s]\n[verify]\nevery = \"often\"\nbytes_per_second = 5\n",
        &[
            "p.toml:3: verify.every: \"often\" is neither",
            "p.toml:4: verify.bytes_per_second: this is a whole number, 5; write a text in quotes",
        ],
    ),
    ("[stream.s]\n[verify]\nevry = \"1h\"\n", &["p.toml:3: verify.evry: unknown key; did you mean `every`?"]),
    ("[stream.s]\n[[view]]\nsql = \"x\"\n", &["p.toml:2: view: write a table, [view.NAME], not an array"]),
    ("verify = true\n[stream.s]\n", &["p.toml:1: verify: this is true or false, true; write a table"]),
    ("[stream.s]\n[view.v.sql]\nx = 1\n", &["p.toml:2: view.v.sql: this is a table; write a text in quotes"]),
];

#[tokio::test]
async fn every_mistake_of_a_file_is_told_with_its_line_and_key() {
    assert!(FILES.len() >= 40);
    let mut wrong = Vec::new();
    for (text, expected) in FILES {
        let said = match read("p.toml", text, Kinds::BUILT, &|_| None, Overrides::default()).await {
            Ok(_) => String::new(),
            Err(problems) => problems.to_string(),
        };
        let told: Vec<&str> = said.lines().filter(|line| line.starts_with("p.toml")).collect();
        let is_so =
            told.len() == expected.len() && told.iter().zip(*expected).all(|(told, begins)| told.starts_with(begins));
        let inner = ["DataFusion", "Error during", "serde", "invalid type", "Utf8", "Int64"];
        if !is_so || inner.iter().any(|word| said.contains(word)) {
            wrong.push(format!("{text}\n=> {said}\n"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), FILES.len(), wrong.join("\n"));
}
