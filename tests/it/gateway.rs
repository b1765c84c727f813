//! The push gateway for several streams: EventGate's requests and answers, keys and tokens, schemas, over kills and reloads; and
//! each answer held to the process's own OpenAPI document.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
};

use serde_json::{Value, json};

use crate::{
    contract::Contract,
    http::{self, Answer},
    lakehead::{Lakehead, query, shared, skip, stored, text},
};

const EVENTS: &str = "/v1/events";
const JSON: (&str, &str) = ("Content-Type", "application/json");

/// A process with the streams `edits` and `mediawiki_page_create`, and whatever `more` says.
struct Running {
    lakehead: Lakehead,
    contract: Contract,
    folder: tempfile::TempDir,
}

impl Running {
    fn start(more: &str) -> Self {
        Self::start_with(more, &[])
    }

    fn start_with(more: &str, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        write(folder.path(), more);
        Self::on(folder, environment)
    }

    fn on(folder: tempfile::TempDir, environment: &[(&str, &str)]) -> Self {
        let lakehead = Lakehead::run_pipeline_with(&pipeline(folder.path()), &folder.path().join("data"), environment);
        let contract = Contract::of(&lakehead.address);
        Self { lakehead, contract, folder }
    }

    /// Kills it and starts it again.
    fn again(self) -> Self {
        let Self { lakehead, folder, .. } = self;
        lakehead.kill();
        Self::on(folder, &[])
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn post(&self, query: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let headers: Vec<_> = if headers.iter().any(|(name, _)| *name == JSON.0) {
            headers.to_vec()
        } else {
            [&[JSON][..], headers].concat()
        };
        let answer = http::request(&self.lakehead.address, "POST", &format!("{EVENTS}{query}"), &headers, body);
        let answer = answer.unwrap_or_else(|error| panic!("{error}: {}", self.lakehead.said()));
        self.contract.holds("POST", EVENTS, &answer);
        answer
    }

    fn post_to(&self, stream: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let path = format!("/v1/streams/{stream}/events");
        let answer = http::request(&self.lakehead.address, "POST", &path, headers, body).expect("an answer");
        self.contract.holds("POST", "/v1/streams/{name}/events", &answer);
        answer
    }

    fn reload(&self, more: &str) -> Answer {
        write(self.folder.path(), more);
        let answer = http::request(&self.lakehead.address, "POST", "/v1/reload", &[], b"").expect("an answer");
        self.contract.holds("POST", "/v1/reload", &answer);
        answer
    }
}

fn pipeline(folder: &Path) -> PathBuf {
    folder.join("pipeline.toml")
}

/// Replaced by rename, so that nobody reads half of it. `more` begins within the table of the stream `edits`.
fn write(folder: &Path, more: &str) {
    let meta = "event_time = \"meta.dt\"\ncolumns = { id = \"meta.id\", n = { path = \"n\", type = \"int64\" } }\n";
    let fresh = folder.join("fresh.toml");
    let text = format!("[stream.mediawiki_page_create]\n{meta}[stream.edits]\n{meta}{more}");
    fs::write(&fresh, text).expect("the pipeline can be written");
    fs::rename(&fresh, pipeline(folder)).expect("the pipeline can be replaced");
}

fn event(stream: &str, n: u64) -> Value {
    json!({ "meta": { "stream": stream }, "n": n })
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut coded = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    coded.write_all(body).and_then(|()| coded.finish()).expect("memory")
}

fn deflate(body: &[u8]) -> Vec<u8> {
    let mut coded = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    coded.write_all(body).and_then(|()| coded.finish()).expect("memory")
}

#[test]
fn each_event_goes_to_the_stream_that_it_names_and_is_there_after_a_kill() {
    let running = Running::start("");
    let one = running.post("", &[], event("edits", 1).to_string().as_bytes());
    assert_eq!(one.status, 201, "{}", one.body);
    assert_eq!(one.json()["success"], json!([{"status": "success", "stream": "edits", "count": 1, "first_offset": 0}]));
    let own = r#"{ "meta" : {"stream":"mediawiki.page-create","id":"mine","dt":"2026-11-30T12:00:00Z"}, "n": 2 }"#;
    let two = running.post("", &[], format!("[{own},{}]", event("edits", 3)).as_bytes());
    assert_eq!((two.status, &two.json()["accepted"]), (201, &json!(2)), "{}", two.body);
    let lines = format!("{}\n{}\n", event("edits", 4), event("mediawiki_page_create", 5));
    for (coding, body) in [
        ("gzip", gzip(lines.as_bytes())),
        ("deflate", deflate(lines.as_bytes())),
        ("zstd", zstd::encode_all(lines.as_bytes(), 3).expect("memory")),
    ] {
        let headers = [("Content-Type", "application/x-ndjson"), ("Content-Encoding", coding)];
        assert_eq!(running.post("", &headers, &body).status, 201, "{coding}");
    }
    let hasty = running.post("?hasty=true", &[], event("edits", 6).to_string().as_bytes());
    assert_eq!((hasty.status, &hasty.json()["success"][0]["first_offset"]), (202, &Value::Null), "{}", hasty.body);
    running.lakehead.until_stored("edits", 6);

    let data = running.data();
    running.lakehead.kill();
    let kept = query(&data, "SELECT n, id, event_time IS NOT NULL AS timed, data FROM edits ORDER BY event_offset");
    assert_eq!(kept.iter().map(|row| row["n"].clone()).collect::<Vec<_>>(), [1, 3, 4, 4, 4, 6]);
    let mut ids: Vec<&str> = kept.iter().map(|row| row["id"].as_str().expect("an id was written in")).collect();
    ids.sort_unstable();
    ids.dedup();
    assert!(ids.len() == 6 && ids.iter().all(|id| id.len() == 36), "{ids:?}");
    assert!(kept.iter().all(|row| row["timed"] == true), "a time was written in: {kept:?}");
    assert!(
        kept[0]["data"].as_str().is_some_and(|event| event.ends_with(r#","stream":"edits"},"n":1}"#)),
        "{}",
        kept[0]
    );
    let kept = query(&data, "SELECT data FROM mediawiki_page_create ORDER BY event_offset");
    assert_eq!(kept[0]["data"], own, "byte for byte");
}

#[test]
fn what_fails_is_told_by_its_place_and_its_neighbours_are_kept() {
    let running = Running::start("");
    let body = format!("[{},{{\"n\":1}},{},7]", event("edits", 1), event("edit", 2));
    let some = running.post("", &[], body.as_bytes());
    let told = some.json();
    assert_eq!((some.status, &told["accepted"]), (207, &json!(1)), "{}", some.body);
    assert_eq!((&told["invalid_count"], &told["error_count"]), (&json!(2), &json!(1)));
    assert_eq!((&told["invalid"][0]["index"], &told["invalid"][0]["event"]), (&json!(1), &json!({"n": 1})));
    assert_eq!((&told["error"][0]["index"], &told["error"][0]["stream"]), (&json!(2), &json!("edit")));
    assert!(told["error"][0]["context"]["message"].as_str().is_some_and(|why| why.contains("did you mean `edits`?")));
    let rejects = query(&running.data(), "SELECT reason FROM rejects");
    assert_eq!(rejects.len(), 3, "{rejects:?}");

    for (status, headers, body) in [
        (400, &[JSON][..], "[1, 2]"),
        (400, &[JSON], " "),
        (400, &[JSON], r#"[{"meta":{"stream":"edits"}},{]"#),
        (400, &[JSON, ("Idempotency-Key", "two words")], "{}"),
        (415, &[("Content-Type", "application/xml")], "<a/>"),
        (415, &[JSON, ("Content-Encoding", "br")], "{}"),
    ] {
        let answer = running.post("", headers, body.as_bytes());
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
    }
    let both = running.post("?hasty=true", &[("Idempotency-Key", "k")], event("edits", 1).to_string().as_bytes());
    assert_eq!(both.status, 400, "{}", both.body);
    assert_eq!(running.post("?hast=true", &[], b"{}").status, 400);
    assert_eq!(stored(&running.lakehead.status(), "edits"), 1, "nothing of these is kept");
}

#[test]
fn what_is_large_deep_or_many_is_refused_and_costs_little() {
    let running = Running::start("");
    let large = format!(r#"{{"meta":{{"stream":"edits"}},"x":"{}"}}"#, "x".repeat(10 << 20));
    let answer = running.post("", &[], large.as_bytes());
    assert!(answer.status == 400 && answer.body.contains("at most 4 MiB"), "{}", answer.body);
    assert!(answer.body.len() < 10_000, "it is not told again");
    let many = format!("[{}1]", "1,".repeat(1_000_000));
    let answer = running.post("", &[], many.as_bytes());
    assert!(answer.status == 413 && answer.body.contains("262144 events"), "{}", answer.body);
    let answer = running.post("", &[], &vec![b' '; (16 << 20) + 1]);
    assert_eq!(answer.status, 413, "{}", answer.body);
    let bomb = gzip(&vec![b' '; 64 << 20]);
    let answer = running.post("", &[("Content-Encoding", "gzip")], &bomb);
    assert!(answer.status == 413 && answer.body.contains("becomes"), "{}", answer.body);
    for depth in [126, 128, 100_000] {
        let deep = format!(r#"{{"meta":{{"stream":"edits"}},"x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        let answer = running.post("", &[], deep.as_bytes());
        assert_eq!(answer.status, if depth < 127 { 201 } else { 400 }, "{depth}: {}", answer.body);
    }
    // Each is an event of 27 bytes, to which 79 are added.
    let tiny = format!("{}\n", event("edits", 1)).repeat(200_000);
    let answer = running.post("", &[("Content-Type", "application/x-ndjson")], tiny.as_bytes());
    assert_eq!((answer.status, &answer.json()["accepted"]), (201, &json!(200_000)), "{}", answer.body);
    assert_eq!(stored(&running.lakehead.status(), "edits"), 200_001);
}

#[test]
fn a_key_is_known_after_a_kill_and_what_was_not_kept_the_first_time_is_kept_then() {
    let mut running = Running::start("");
    let key = [("Idempotency-Key", "order-7")];
    let body = format!("[{},{}]", event("edits", 1), event("orders", 2));
    assert_eq!(running.post("", &key, body.as_bytes()).status, 207, "there is no stream orders yet");
    assert_eq!(running.post_to("mediawiki_page_create", &key, b"{}").status, 201, "each stream has keys of its own");
    assert_eq!(running.reload("[stream.orders]\n").status, 200);
    for _ in 0..2 {
        running = running.again();
        let answer = running.post("", &key, body.as_bytes());
        let streams = answer.json()["success"].clone();
        assert_eq!(answer.status, 201, "{}", answer.body);
        assert_eq!((&streams[0]["stream"], &streams[0]["repeated"]), (&json!("edits"), &json!(true)), "{streams}");
        assert_eq!((&streams[1]["stream"], &streams[1]["first_offset"]), (&json!("orders"), &json!(0)), "{streams}");
        let one = running.post_to("mediawiki_page_create", &key, b"{}");
        assert_eq!((one.status, &one.json()["repeated"]), (201, &json!(true)), "{}", one.body);
    }
    let status = running.lakehead.status();
    for stream in ["edits", "orders", "mediawiki_page_create"] {
        assert_eq!(stored(&status, stream), 1, "{stream}");
    }
}

/// What push tokens stand in a pipeline.
const TOKENS: &str = "[push_token.editors]\nsecret = \"${EDITORS_TOKEN}\"\nstreams = [\"edits\"]\n";

#[test]
fn a_push_token_pushes_to_its_streams_and_does_nothing_else_and_a_reload_changes_it() {
    let environment = [("EDITORS_TOKEN", "editors-0123456789"), ("LAKEHEAD_TOKEN", "whole-0123456789ab")];
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("secret");
    fs::write(&secret, "creators-0123456789\n").expect("written");
    let creators =
        format!("[push_token.creators]\nfile = {:?}\nstreams = [\"mediawiki_page_create\"]\n", text(&secret));
    let running = Running::start_with(TOKENS, &environment);
    // As from another machine, over a proxy.
    let far = ("X-Forwarded-For", "192.0.2.7");
    let editors = [("Authorization", "Bearer editors-0123456789"), far];
    assert_eq!(running.post("", &editors, event("edits", 1).to_string().as_bytes()).status, 201);
    assert_eq!(running.post_to("edits", &editors, b"{}").status, 201);
    let both = format!("[{},{}]", event("edits", 2), event("mediawiki.page-create", 2));
    let some = running.post("", &editors, both.as_bytes());
    assert!(some.status == 207 && some.json()["error"][0]["index"] == 1, "{}", some.body);
    let none = running.post("", &editors, event("mediawiki.page-create", 2).to_string().as_bytes());
    assert_eq!(none.status, 403, "{}", none.body);
    let other = running.post_to("mediawiki_page_create", &editors, b"{}");
    assert!(other.status == 403 && other.body.contains("may push to edits"), "{}", other.body);
    for (method, path) in [("POST", "/v1/sql"), ("GET", "/v1/status"), ("POST", "/v1/reload"), ("GET", "/metrics")] {
        let answer = http::request(&running.lakehead.address, method, path, &editors, b"SELECT 1").expect("an answer");
        assert_eq!(answer.status, 403, "{method} {path}: {}", answer.body);
        running.contract.holds(method, path, &answer);
    }
    let wrong = running.post("", &[("Authorization", "Bearer editors-012345678X")], b"{}");
    assert_eq!(wrong.status, 401, "{}", wrong.body);

    let reloaded = running.reload(&creators);
    assert_eq!(reloaded.json()["push_tokens"], json!({"added": ["creators"], "removed": ["editors"], "changed": []}));
    assert_eq!(running.post("", &editors, event("edits", 3).to_string().as_bytes()).status, 401, "it was taken back");
    let creators_token = [("Authorization", "Bearer creators-0123456789"), far];
    assert_eq!(running.post_to("mediawiki_page_create", &creators_token, b"{}").status, 201);
    fs::write(&secret, "changed-0123456789\n").expect("written");
    assert_eq!(running.reload(&creators).json()["push_tokens"]["changed"], json!(["creators"]));
    assert_eq!(
        running.post_to("mediawiki_page_create", &creators_token, b"{}").status,
        401,
        "the file has another secret"
    );
    for shown in [running.lakehead.said(), running.lakehead.status().to_string()] {
        assert!(!shown.contains("0123456789"), "no secret shows: {shown}");
    }
    let refused = running.reload("[push_token.short]\nsecret = \"short\"\nstreams = [\"edit\"]\n");
    assert_eq!(refused.status, 422, "{}", refused.body);
    assert!(refused.body.contains("did you mean `edits`?") && refused.body.contains("at least 16"), "{}", refused.body);
    let status = running.lakehead.status();
    assert_eq!((stored(&status, "edits"), stored(&status, "mediawiki_page_create")), (3, 1));
}

#[test]
fn a_token_that_is_taken_back_ends_a_push_that_lasts() {
    let environment = [("EDITORS_TOKEN", "editors-0123456789")];
    let running = Running::start_with(TOKENS, &environment);
    let mut socket = std::net::TcpStream::connect(&running.lakehead.address).expect("it listens");
    let head = format!(
        "POST /v1/streams/edits/events HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer editors-0123456789\r\nConnection: close\r\n\
         Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n",
        running.lakehead.address
    );
    let line = |n: u64| format!("8\r\n{{\"n\":{n}}}\n\r\n");
    socket.write_all(format!("{head}{}", line(1)).as_bytes()).expect("it is taken");
    running.lakehead.until_stored("edits", 1);
    assert_eq!(running.reload("").status, 200);
    socket.write_all(line(2).as_bytes()).expect("it is read");
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut socket, &mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("was taken back"), "{answer}");
    assert_eq!(stored(&running.lakehead.status(), "edits"), 1);
}

#[test]
fn what_does_not_conform_is_a_reject_whatever_brings_it_and_a_reload_changes_the_schema_while_events_come() {
    let folder = tempfile::tempdir().expect("a folder");
    let schema = folder.path().join("edit.json");
    let wanting =
        |key: &str| fs::write(&schema, json!({"type": "object", "required": [key]}).to_string()).expect("written");
    wanting("n");
    let more = format!("json_schema = {:?}\n", text(&schema));
    let running = Running::start(&more);
    let bad = r#"{"meta":{"stream":"edits"},"m":1}"#;
    let some = running.post("", &[], format!("[{bad},{}]", event("edits", 1)).as_bytes());
    assert!(some.status == 207 && some.body.contains("the event: \\\"n\\\" is missing"), "{}", some.body);
    let to_one = running.post_to("edits", &[], b"{\"n\":2}\n{\"m\":2}\n");
    assert!(to_one.status == 207 && to_one.body.contains("JSON Schema"), "{}", to_one.body);
    // What comes by an import is held to it, too.
    let lines = folder.path().join("lines.jsonl");
    fs::write(&lines, "{\"n\":3}\n{\"m\":3}\n").expect("written");
    let imported = crate::lakehead::run(&["import", "edits", text(&lines), "--data", text(&running.data())]);
    assert_eq!(imported.code, Some(0), "{}", imported.stderr);
    running.lakehead.until_stored("edits", 3);
    let reasons = query(&running.data(), "SELECT reason, source FROM rejects ORDER BY event_offset");
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert!(reasons.iter().all(|row| row["reason"].as_str().is_some_and(|why| why.contains("\"n\" is missing"))));

    let stop = AtomicBool::new(false);
    let (kept, refused) = std::thread::scope(|scope| {
        let pushing = scope.spawn(|| {
            let (mut kept, mut refused, mut n) = (0, 0, 0);
            while !stop.load(Ordering::Relaxed) {
                // Each conforms to one of the two.
                let event = if n % 2 == 0 { event("edits", n).to_string() } else { bad.to_owned() };
                match running.post("", &[], event.as_bytes()).status {
                    201 => kept += 1,
                    400 => refused += 1,
                    other => panic!("{other}"),
                }
                n += 1;
            }
            (kept, refused)
        });
        for key in ["m", "n", "m"] {
            let before = stored(&running.lakehead.status(), "edits");
            running.lakehead.until("some more events", |status| stored(status, "edits") >= before + 5);
            wanting(key);
            let reloaded = running.reload(&more);
            assert_eq!(reloaded.json()["streams"]["changed"], json!(["edits"]), "{}", reloaded.body);
        }
        // From here on an event without `m` is none.
        let refused = running.post("", &[], event("edits", 1).to_string().as_bytes());
        assert!(refused.status == 400 && refused.body.contains("\\\"m\\\" is missing"), "{}", refused.body);
        stop.store(true, Ordering::Relaxed);
        pushing.join().expect("no other answer")
    });
    let status = running.lakehead.status();
    assert_eq!(stored(&status, "edits"), 3 + kept);
    assert_eq!(stored(&status, "rejects"), 3 + refused + 1);
    fs::write(&schema, r#"{"type": "thing"}"#).expect("written");
    let wrong = running.reload(&more);
    assert!(wrong.status == 422 && wrong.body.contains("stream.edits.json_schema"), "{}", wrong.body);
    assert_eq!(running.reload("").json()["streams"]["changed"], json!(["edits"]));
    assert_eq!(running.post("", &[], event("edits", 1).to_string().as_bytes()).status, 201, "no schema, no reason");
}

#[test]
fn wikimedia_s_own_events_conform_to_wikimedia_s_own_schema() {
    let test = "gateway::wikimedia_s_own_events_conform_to_wikimedia_s_own_schema";
    let (Some(schema), Some(sample)) =
        (shared("data/schemas/mediawiki/recentchange/1.0.1.yaml"), shared("data/samples/recentchange.json"))
    else {
        return skip(test, "Wikimedia's schemas are not beside the checkout");
    };
    let folder = tempfile::tempdir().expect("a folder");
    let written = folder.path().join("recentchange.json");
    let program = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), open(sys.argv[2], 'w'))";
    let done = Command::new("python3").args(["-c", program, text(&schema), text(&written)]).output();
    if !done.is_ok_and(|done| done.status.success()) {
        return skip(test, "there is no Python that reads YAML");
    }
    let running = Running::start(&format!("[stream.mediawiki_recentchange]\njson_schema = {:?}\n", text(&written)));
    let mut change: Value = serde_json::from_slice(&fs::read(sample).expect("readable")).expect("JSON");
    if change.get("meta").is_none() {
        return skip(test, "the sample is of before there was meta");
    }
    change["meta"]["stream"] = json!("mediawiki.recentchange");
    let answer = running.post("", &[], change.to_string().as_bytes());
    assert_eq!(answer.status, 201, "{}", answer.body);
    change["length"]["new"] = json!("long");
    let answer = running.post("", &[], change.to_string().as_bytes());
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert!(answer.body.contains("/length/new: expected integer or null, found a string"), "{}", answer.body);
}

#[test]
fn every_answer_is_as_the_document_says() {
    let running = Running::start(
        "[view.per_minute]\nsql = \"SELECT tumble(event_time, INTERVAL '1 minute') AS minute, \
                                  count(*) AS events FROM edits GROUP BY 1\"\n",
    );
    assert_eq!(running.post("", &[], event("edits", 1).to_string().as_bytes()).status, 201);
    running.lakehead.until_counted("edits", 1);
    let document = &running.contract.0;
    assert_eq!(document["openapi"], "3.1.0");
    for (method, path, asked, body, status) in [
        ("GET", "/v1/status", "/v1/status", "", 200),
        ("GET", "/healthz", "/healthz", "", 200),
        ("GET", "/v1/retention", "/v1/retention", "", 200),
        ("POST", "/v1/verify", "/v1/verify", "", 200),
        ("POST", "/v1/verify", "/v1/verify", "{\"view\": \"none\"}", 404),
        ("POST", "/v1/sql", "/v1/sql", "SELECT n FROM edits", 200),
        ("POST", "/v1/sql", "/v1/sql", "SELECT", 400),
        ("POST", "/v1/reload", "/v1/reload", "", 200),
        ("POST", "/v1/sealing/{what}", "/v1/sealing/pause", "", 200),
        ("POST", "/v1/sealing/{what}", "/v1/sealing/stop", "", 404),
        ("POST", "/v1/views/{name}/explain", "/v1/views/per_minute/explain", "", 200),
        ("POST", "/v1/views/{name}/explain", "/v1/views/per_minute/explain", "[]", 400),
        ("POST", "/v1/views/{name}/{what}", "/v1/views/per_minute/rebuild", "", 200),
        ("POST", "/v1/views/{name}/{what}", "/v1/views/none/rebuild", "", 404),
        ("GET", "/v1/views/{name}/diff", "/v1/views/none/diff", "", 404),
        ("GET", "/v1/streams/{name}/import", "/v1/streams/edits/import?source=import_x", "", 200),
        ("GET", "/v1/streams/{name}/import", "/v1/streams/none/import?source=import_x", "", 404),
        ("POST", "/v1/streams/{name}/events", "/v1/streams/none/events", "{}", 404),
        ("GET", "/v1/openapi.json", "/v1/openapi.json", "", 200),
    ] {
        let answer = http::request(&running.lakehead.address, method, asked, &[], body.as_bytes()).expect("an answer");
        assert_eq!(answer.status, status, "{method} {asked}: {}", answer.body);
        running.contract.holds(method, path, &answer);
    }
}
