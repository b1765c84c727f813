//! The server over a real socket, with a real engine and store: statuses, formats, refusals, pushes to the page.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use lakehead_engine::{
    Engine, Parts, Pipeline,
    pipeline::{StreamConfig, Token, ViewConfig},
    sql::{Launch, TIME_MAX, Workers},
};
use lakehead_model::{Clock, Name, StreamSchema, Timestamp};
use lakehead_serve::{Reload, ReloadError, ReloadFuture};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};

const TOKEN: &str = "correct;horse,battery";
/// Longer than anything here takes, on a machine that is busy with other things.
const SOON: Duration = Duration::from_secs(60);

/// A clock that goes on a millisecond whenever it is asked.
#[derive(Debug)]
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.fetch_add(1_000, Ordering::Relaxed))
    }
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

struct Served {
    address: String,
    engine: Arc<Engine>,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<Result<(), lakehead_serve::Error>>,
    _data: tempfile::TempDir,
}

/// Reads in place of a file what runs, with one view more.
struct Second(Arc<Engine>);

impl Reload for Second {
    fn reload(&self) -> ReloadFuture<'_> {
        let mut pipeline = Pipeline::clone(&self.0.pipeline());
        if pipeline.views.contains_key("second") {
            return Box::pin(async { Err(ReloadError::File("p.toml:3: view.second.sql: not SQL".into())) });
        }
        let sql = pipeline.views["events_per_type"].sql.clone();
        pipeline.views.insert(name("second"), ViewConfig::new(sql));
        Box::pin(async { Ok(self.0.reload(pipeline).await?) })
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v)
    }
}

impl Served {
    async fn start() -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let pipeline = pipeline(data.path(), address);
        let clock = Arc::new(Ticking(AtomicI64::new(1_800_000_000_000_000)));
        let parts = Parts { clock, sources: &[], sinks: &[], version: "0.0.0-test" };
        let engine = Arc::new(Engine::start(pipeline, parts).await.expect("an engine"));
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            let _ = stopped.await;
        };
        let reload = Arc::new(Second(Arc::clone(&engine)));
        let sql = Workers::new(engine.lake(), Launch::Thread, TIME_MAX);
        let serving = tokio::spawn(lakehead_serve::serve(listener, Arc::clone(&engine), reload, sql, shutdown));
        Self { address: address.to_string(), engine, stop: Some(stop), serving, _data: data }
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> TcpStream {
        let mut socket = TcpStream::connect(&self.address).await.expect("it listens");
        let mut head = format!("{method} {path} HTTP/1.0\r\nContent-Length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| *name == "Host") {
            head.push_str(&format!("Host: {}\r\n", self.address));
        }
        headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        socket.write_all(format!("{head}\r\n").as_bytes()).await.expect("a head is taken");
        // A server may refuse a body before it has taken all of it.
        let _ = socket.write_all(body).await;
        socket
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut socket = self.send(method, path, headers, body).await;
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(SOON, socket.read_to_end(&mut bytes)).await.expect("an answer in time");
        let at = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or_else(|| panic!("no head: {read:?}"));
        let head = String::from_utf8_lossy(&bytes[..at]).into_owned();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        Answer { status, head, body: bytes[at + 4..].to_vec() }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"").await
    }

    async fn push(&self, stream: &str, body: &[u8]) -> Answer {
        self.ask("POST", &format!("/v1/streams/{stream}/events"), &[], body).await
    }

    async fn sql(&self, accept: &str, sql: &str) -> Answer {
        self.ask("POST", "/v1/sql", &[("Accept", accept)], sql.as_bytes()).await
    }

    async fn stop(mut self) {
        self.stop.take().expect("once").send(()).expect("it serves");
        let served = tokio::time::timeout(SOON, &mut self.serving).await.expect("it ends in time");
        served.expect("no panic").expect("no error");
        self.engine.shutdown().await.expect("a clean end");
    }
}

fn pipeline(data: &Path, listen: std::net::SocketAddr) -> Pipeline {
    let schema = StreamSchema::builtin("mediawiki/recentchange").expect("built in");
    let sql = "SELECT tumble(event_time, INTERVAL '1 minute') AS minute, type, count(*) AS events \
               FROM recentchange WHERE NOT canary GROUP BY 1, 2";
    Pipeline {
        data: data.join("data"),
        listen,
        token: Some(Token::new(TOKEN).expect("long enough")),
        push_tokens: [].into(),
        streams: [(name("recentchange"), StreamConfig { schema, ..StreamConfig::default() })].into(),
        sources: [].into(),
        sinks: [].into(),
        views: [(name("events_per_type"), ViewConfig::new(sql))].into(),
        store: lakehead_store::Options::default(),
        verify: lakehead_engine::audit::AuditSettings::default(),
        dashboard: lakehead_engine::dashboard::Dashboard::default(),
    }
}

#[tokio::test]
async fn a_push_is_answered_with_what_became_of_each_event() {
    let served = Served::start().await;
    let all = served.push("recentchange", b"[{\"wiki\":\"a\"}, {\"wiki\":\"b\"}]").await;
    let (status, mut said) = (all.status, all.json());
    let without = said.as_object_mut().and_then(|said| said.remove("without_event_time"));
    assert_eq!((status, said), (201, json!({"accepted": 2, "first_offset": 0})));
    assert_eq!(without.map(|without| without["count"].clone()), Some(json!(2)));
    let some = served.push("recentchange", b"{\"wiki\":\"c\"}\n{\"wiki\n").await;
    assert_eq!((some.status, &some.json()["accepted"]), (207, &json!(1)), "{}", some.text());
    assert_eq!(some.json()["invalid"][0]["index"], 1);
    let none = served.push("recentchange", b"not json").await;
    assert_eq!((none.status, none.json()["invalid"].as_array().map(Vec::len)), (400, Some(1)), "{}", none.text());
    assert_eq!(served.push("recentchange", b" \n ").await.status, 400);
    let unknown = served.push("nothing", b"{}").await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.json()["error"].as_str().expect("text").contains("recentchange"), "{}", unknown.text());
    let large = served.push("recentchange", &vec![b' '; lakehead_engine::BODY_BYTES_MAX + 1]).await;
    assert_eq!(large.status, 413);

    let kept = served.sql("application/json", "SELECT wiki FROM recentchange ORDER BY event_offset").await;
    assert_eq!(kept.json(), json!([{"wiki": "a"}, {"wiki": "b"}, {"wiki": "c"}]));
    served.stop().await;
}

#[tokio::test]
async fn a_repeated_key_keeps_nothing_twice() {
    let served = Served::start().await;
    let path = "/v1/streams/recentchange/events";
    let push = || served.ask("POST", path, &[("Idempotency-Key", "order-7")], b"{}");
    assert_eq!(push().await.json()["accepted"], 1);
    let again = push().await;
    assert_eq!((again.status, again.json()["repeated"].clone()), (201, json!(true)));
    assert_eq!(served.engine.status().streams[&name("recentchange")].events, 1);
    let long = "k".repeat(lakehead_engine::KEY_BYTES_MAX + 1);
    for wrong in ["", "two words", "café", "№1", &long] {
        let refused = served.ask("POST", path, &[("Idempotency-Key", wrong)], b"{}").await;
        assert_eq!(refused.status, 400, "{wrong:?}: {}", refused.text());
        let error = refused.json()["error"].as_str().expect("text").to_owned();
        assert!(error.contains("printable ASCII"), "{wrong:?}: {error}");
    }
    let two = served.ask("POST", path, &[("Idempotency-Key", "a"), ("Idempotency-Key", "b")], b"{}").await;
    assert_eq!(two.status, 400, "{}", two.text());
    assert!(two.json()["error"].as_str().expect("text").contains("one Idempotency-Key"), "{}", two.text());
    assert_eq!(served.engine.status().streams[&name("recentchange")].events, 1, "nothing of these is kept");
    served.stop().await;
}

#[tokio::test]
async fn sql_answers_in_the_format_asked_for_and_says_what_is_wrong() {
    let served = Served::start().await;
    assert_eq!(served.push("recentchange", b"{\"wiki\":\"a,b\",\"id\":7}").await.status, 201);
    let sql = "SELECT wiki, id FROM recentchange";
    assert_eq!(served.sql("text/csv", sql).await.text(), "wiki,id\n\"a,b\",7\n");
    assert_eq!(served.sql("application/x-ndjson", sql).await.text(), "{\"wiki\":\"a,b\",\"id\":7}\n");
    let arrow = served.sql("application/vnd.apache.arrow.stream", sql).await;
    assert_eq!(arrow.header("content-type"), Some("application/vnd.apache.arrow.stream"));
    assert!(arrow.body.starts_with(&[0xff; 4]), "an Arrow stream begins with its continuation marker");
    let none = served.sql("application/json", "SELECT wiki FROM recentchange WHERE id = 8").await;
    assert_eq!(none.json(), json!([]));

    for wrong in ["SELECT nothing FROM recentchange", "SELEC 1", "SELECT 1; SELECT 2", "", "   "] {
        let refused = served.sql("application/json", wrong).await;
        assert_eq!(refused.status, 400, "{wrong}: {}", refused.text());
        assert!(refused.json()["error"].is_string(), "{wrong}");
    }
    for writing in [
        "CREATE TABLE t AS SELECT 1",
        "DROP TABLE recentchange",
        "INSERT INTO recentchange VALUES (1)",
        "COPY (SELECT 1) TO '/tmp/lakehead_must_not_be.csv'",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "SET datafusion.execution.batch_size = 1",
    ] {
        assert_eq!(served.sql("application/json", writing).await.status, 400, "{writing}");
    }
    assert_eq!(served.sql("text/html", sql).await.status, 406);
    assert_eq!(served.sql("*/*", &" ".repeat((64 << 10) + 1)).await.status, 413);
    assert_eq!(served.ask("POST", "/v1/sql", &[], b"SELECT \xff").await.status, 400);
    served.stop().await;
}

#[tokio::test]
async fn every_refusal_is_json_and_every_answer_carries_the_security_headers() {
    let served = Served::start().await;
    let missing = served.get("/v2/nothing").await;
    assert_eq!(missing.status, 404);
    assert!(missing.json()["error"].as_str().expect("text").contains("/v1/status"));
    let wrong = served.get("/v1/sql").await;
    assert_eq!((wrong.status, wrong.json()["error"].is_string()), (405, true));
    assert_eq!(wrong.header("allow"), Some("POST"));
    let rebound = served.ask("GET", "/v1/status", &[("Host", "lake.evil.example")], b"").await;
    assert_eq!((rebound.status, rebound.json()["error"].is_string()), (421, true));
    let foreign = served.ask("POST", "/v1/sql", &[("Origin", "http://evil.example")], b"SELECT 1").await;
    assert_eq!((foreign.status, foreign.json()["error"].is_string()), (403, true));
    for path in ["/v1/views/%ff/changes", "/assets/%ff/app.js"] {
        let unreadable = served.get(path).await;
        assert_eq!((unreadable.status, unreadable.json()["error"].is_string()), (400, true), "{path}");
    }
    for answer in [missing, wrong, rebound, foreign, served.get("/").await, served.get("/metrics").await] {
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self';"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert!(answer.header("access-control-allow-origin").is_none());
    }
    served.stop().await;
}

#[tokio::test]
async fn the_page_is_fresh_and_its_files_are_kept_for_ever() {
    let served = Served::start().await;
    let page = served.get("/").await;
    assert_eq!((page.status, page.header("cache-control")), (200, Some("no-cache")));
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let named = page.text();
    let mut files = named.split('"').filter(|part| part.starts_with("/assets/")).collect::<Vec<_>>();
    files.sort_unstable();
    assert_eq!(files.len(), 4, "{files:?}");
    for file in files {
        let answer = served.ask("GET", file, &[("Accept-Encoding", "gzip")], b"").await;
        assert_eq!(answer.status, 200, "{file}");
        assert!(answer.header("cache-control").expect("kept").contains("immutable"));
        let zipped = file.ends_with("plotly.js");
        assert_eq!(answer.header("content-encoding"), zipped.then_some("gzip"), "{file}");
        if zipped {
            assert!(answer.body.len() < 2_000_000, "{} bytes", answer.body.len());
            let plain = served.get(file).await;
            assert!(plain.header("content-encoding").is_none() && plain.body.len() > 4_000_000);
        }
    }
    assert_eq!(served.get("/assets/0000/app.js").await.status, 404);
    assert_eq!(served.get("/assets/x/..%2f..%2fCargo.toml").await.status, 404);
    served.stop().await;
}

#[tokio::test]
async fn another_machine_needs_the_token_and_a_browser_there_gets_a_form() {
    let served = Served::start().await;
    let far = ("X-Forwarded-For", "192.0.2.7");
    let refused = served.ask("GET", "/v1/status", &[far], b"").await;
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Bearer")));
    let bearer = format!("Bearer {TOKEN}");
    let let_in = served.ask("GET", "/v1/status", &[far, ("Authorization", &bearer)], b"").await;
    assert_eq!(let_in.status, 200);
    // This machine needs none; who offers a wrong one is told all the same, but for a cookie of another day.
    for (header, status) in [
        (("Authorization", "Bearer of bad news"), 401),
        (("Authorization", "Bearer"), 401),
        (("Authorization", bearer.as_str()), 200),
        (("Cookie", "lakehead_token=00"), 200),
    ] {
        let answer = served.ask("GET", "/v1/status", &[header], b"").await;
        assert_eq!(answer.status, status, "{header:?}: {}", answer.text());
    }
    let page = served.get("/").await.text();
    let icon = page.split('"').find(|part| part.ends_with("/icon.svg")).expect("an icon");
    assert_eq!(served.ask("GET", icon, &[far], b"").await.status, 401, "the dashboard's files are no exception");
    let form = served.ask("GET", "/", &[far], b"").await;
    assert!(form.status == 401 && form.text().contains("<form"), "{}", form.text());
    assert!(!form.text().contains("not the token"), "nobody has offered one yet");
    let wrong = served.ask("POST", "/sign-in", &[far], b"token=wrong").await;
    assert!(wrong.status == 401 && wrong.text().contains("<form"), "{}", wrong.text());
    assert!(wrong.text().contains("This is not the token of this pipeline."), "{}", wrong.text());
    let large = served.ask("POST", "/sign-in", &[far], &[b'x'; 5 << 10]).await;
    assert!(large.status == 413 && large.text().contains("<form"), "{}", large.text());
    assert!(!large.text().contains("not the token"), "it was not looked at: {}", large.text());
    let signed_in = served.ask("POST", "/sign-in", &[far], b"token=correct%3Bhorse%2Cbattery").await;
    assert_eq!((signed_in.status, signed_in.header("location")), (303, Some("/")));
    let cookie = signed_in.header("set-cookie").expect("a cookie");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains(TOKEN), "{cookie}");
    let cookie = cookie.split(';').next().expect("a pair").to_owned();
    assert_eq!(served.ask("GET", "/", &[far, ("Cookie", &cookie)], b"").await.status, 200);
    served.stop().await;
}

#[tokio::test]
async fn the_status_and_the_panels_are_pushed_and_the_stream_ends_with_the_server() {
    let served = Served::start().await;
    let socket = served.send("GET", "/v1/live?see=stream:recentchange,view:events_per_type", &[], b"").await;
    let mut lines = BufReader::new(socket).lines();
    let mut next = async || loop {
        let line = lines.next_line().await.expect("a line")?;
        if let Some(event) = line.strip_prefix("event: ") {
            let data = lines.next_line().await.expect("a line")?;
            let data: Value = serde_json::from_str(data.strip_prefix("data: ")?).expect("JSON");
            return Some((event.to_owned(), data));
        }
    };
    let status = loop {
        match next().await.expect("a frame") {
            (event, status) if event == "status" => break status,
            _ => {}
        }
    };
    assert_eq!(status["streams"]["recentchange"]["events"], 0);
    let change = br#"{"type":"edit","wiki":"a","title":"T","timestamp":1800000000,"meta":{"domain":"x.org"}}"#;
    assert_eq!(served.push("recentchange", change).await.status, 201);
    // In whatever order they come: a frame that did not change is not sent again.
    let shown = async {
        let (mut is_counted, mut is_listed, mut by_type) = (false, false, None);
        loop {
            let (event, data) = next().await.expect("a frame");
            is_counted |= event == "status" && data["streams"]["recentchange"]["events"] == 1;
            is_listed |= data["panel"] == "stream:recentchange" && data["rows"][0]["o"] == 0;
            if data["panel"] == "view:events_per_type" && data["rows"][0]["v0"] == 1.0 {
                by_type = Some(data);
            }
            if is_counted
                && is_listed
                && let Some(panel) = by_type.take()
            {
                return panel;
            }
        }
    };
    let panel = tokio::time::timeout(SOON, shown).await.expect("shown in time");
    assert_eq!(panel["rows"][0], json!({"x": "2027-01-15T08:00:00Z", "k": 1, "s": "vedit", "v0": 1.0}));
    let ended = async { while next().await.is_some() {} };
    tokio::join!(served.stop(), ended);
}

#[tokio::test]
async fn who_asks_for_a_panel_that_is_not_there_is_told_which_there_are() {
    let served = Served::start().await;
    let refused = served.get("/v1/live?see=stream:recentchange,view:events_per_typ").await;
    assert_eq!(refused.status, 404, "{}", refused.text());
    let error = refused.json()["error"].as_str().expect("text").to_owned();
    assert!(error.contains("view:events_per_typ\"; did you mean `view:events_per_type`?"), "{error}");
    let unknown = served.get("/v1/views/events_per_type/changes?since=1").await;
    assert_eq!((unknown.status, unknown.json()["error"].is_string()), (400, true), "{}", unknown.text());
    served.stop().await;
}

#[tokio::test]
async fn a_question_about_a_view_that_is_none_is_told_in_plain_words() {
    let served = Served::start().await;
    let ask = async |view: &str, body: &[u8]| {
        let answer = served.ask("POST", &format!("/v1/views/{view}/explain"), &[], body).await;
        (answer.status, answer.json()["error"].as_str().unwrap_or_default().to_owned())
    };
    let (status, error) = ask("events_per_type", br#"{"rows": "x"}"#).await;
    assert!(status == 400 && error.starts_with("`rows` is a whole number, not \"x\"; "), "{status} {error}");
    let (status, error) = ask("events_per_typ", b"{}").await;
    assert!(status == 404 && error.contains("did you mean `events_per_type`?"), "{status} {error}");
    assert_eq!(ask("events_per_type", b"").await, (200, String::new()));
    served.stop().await;
}

#[tokio::test]
async fn only_what_is_seen_is_asked_and_the_list_of_panels_follows_a_reload() {
    let served = Served::start().await;
    let socket = served.send("GET", "/v1/live", &[], b"").await;
    let mut lines = BufReader::new(socket).lines();
    let mut next = async |event: &str| loop {
        let line = lines.next_line().await.expect("a line").expect("it goes on");
        if line.strip_prefix("event: ") == Some(event) {
            let data = lines.next_line().await.expect("a line").expect("its data");
            return serde_json::from_str::<Value>(data.strip_prefix("data: ").expect("data")).expect("JSON");
        }
        assert_ne!(line, "event: panel", "nothing is seen yet");
    };
    let client = next("hello").await["client"].as_u64().expect("a number");
    let names = |panels: &Value| {
        let panels = panels["panels"].as_array().cloned().unwrap_or_default();
        panels.iter().map(|panel| panel["name"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    let panels = next("panels").await;
    assert_eq!(names(&panels), ["rate:recentchange", "stream:recentchange", "view:events_per_type"]);
    next("status").await;
    next("status").await;
    assert_eq!(served.ask("POST", "/v1/reload", &[], b"").await.status, 200);
    let panels = next("panels").await;
    assert_eq!(names(&panels)[3], "view:second", "{panels}");
    let sees = async |client: u64, body: &[u8]| served.ask("POST", &format!("/v1/live/{client}"), &[], body).await;
    assert_eq!(sees(client, b"[\"view:second\", \"no such\"]").await.status, 204);
    assert_eq!(sees(client + 7, b"[]").await.status, 404);
    assert_eq!(sees(client, b"{}").await.status, 400);
    let nobody = served.ask("POST", "/v1/live/me", &[], b"[]").await;
    assert_eq!((nobody.status, nobody.json()["error"].is_string()), (404, true));
    let mut line = async || loop {
        let line = lines.next_line().await.expect("a line").expect("it goes on");
        if line.contains("\"panel\":") && !line.contains("\"panels\":") {
            return line;
        }
    };
    let shown = tokio::time::timeout(SOON, line()).await.expect("in time");
    assert_eq!(shown, r#"data: {"panel":"view:second","part":1,"rows":[]}"#);
    served.stop().await;
}

#[tokio::test]
async fn health_and_metrics_say_what_the_status_says() {
    let served = Served::start().await;
    assert_eq!(served.push("recentchange", b"[{}, {}, {}]").await.status, 201);
    let health = served.get("/healthz").await;
    assert_eq!((health.status, health.json()["status"].clone()), (200, json!("ok")));
    let metrics = served.get("/metrics").await.text();
    for line in [
        "lakehead_stream_events_total{stream=\"recentchange\"} 3",
        "lakehead_stream_pushed_events_total{stream=\"recentchange\"} 3",
        "lakehead_stream_writable{stream=\"recentchange\"} 1",
        "lakehead_view_failed{view=\"events_per_type\"} 0",
        "lakehead_build_info{version=\"0.0.0-test\"} 1",
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line} is missing in\n{metrics}");
    }
    let mut family = "";
    for line in metrics.lines() {
        match line.strip_prefix("# HELP ") {
            Some(help) => family = help.split(' ').next().expect("a name"),
            None if line.starts_with("# TYPE ") => assert!(line.contains(&format!(" {family} ")), "{line}"),
            None => {
                assert!(line.starts_with(family), "{line} stands under {family}");
                let value = line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok());
                assert!(value.is_some_and(f64::is_finite), "{line}");
            }
        }
    }
    served.stop().await;
}

#[tokio::test]
async fn an_audit_on_demand_tells_what_it_counted_and_refuses_what_is_no_scope() {
    let served = Served::start().await;
    assert_eq!(served.push("recentchange", b"[{}, {\"timestamp\": 1800000000}, {}]").await.status, 201);
    let ask = async |body: &[u8]| served.ask("POST", "/v1/verify", &[], body).await;
    let answer = ask(b"").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["streams"]["recentchange"]["events"], 3);
    assert_eq!(answer.json()["views"]["events_per_type"]["differences"], 0);
    let answer = ask(br#"{"view": "events_per_type"}"#).await;
    assert_eq!(answer.json()["streams"], json!({}));
    for since in ["\"2100-01-01T00:00:00Z\"", "4102444800000000"] {
        let answer = ask(format!("{{\"stream\": \"recentchange\", \"since\": {since}}}").as_bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["streams"]["recentchange"]["events"], 0, "{}", answer.text());
    }
    for (status, body, word) in [
        (400, &b"all"[..], "not JSON"),
        (400, br#"{"views": "x"}"#, "did you mean `view`?"),
        (400, br#"{"view": "../x"}"#, "not a name"),
        (400, br#"{"since": "yesterday"}"#, "2026-11-24T00:00:00Z"),
        (400, br#"{"since": 1.5}"#, "`since` is a time"),
        (404, br#"{"view": "nothing"}"#, "there is no view \"nothing\"; valid: events_per_type"),
        (404, br#"{"stream": "nothing"}"#, "there is no stream \"nothing\"; valid: gaps, recentchange, rejects"),
    ] {
        let answer = ask(body).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(answer.json()["error"].as_str().is_some_and(|error| error.contains(word)), "{}", answer.text());
    }
    served.stop().await;
}

#[tokio::test]
async fn a_reload_answers_what_changed_or_what_is_in_the_way_and_a_foreign_page_may_not_ask() {
    let served = Served::start().await;
    let foreign = served.ask("POST", "/v1/reload", &[("Origin", "http://evil.example")], b"").await;
    assert_eq!(foreign.status, 403);
    assert_eq!(served.get("/v1/reload").await.status, 405);
    let answer = served.ask("POST", "/v1/reload", &[], b"").await;
    assert_eq!((answer.status, answer.json()["views"]["added"].clone()), (200, json!(["second"])), "{}", answer.text());
    let status = served.get("/v1/status").await.json();
    assert_eq!(status["reloads"]["last"]["changes"], json!(["view second added"]));
    assert!(status["views"]["second"].is_object(), "{status:#}");
    let refused = served.ask("POST", "/v1/reload", &[], b"").await;
    assert_eq!((refused.status, &refused.json()["error"]), (422, &json!("p.toml:3: view.second.sql: not SQL")));
    let metrics = served.get("/metrics").await.text();
    for line in ["lakehead_reloads_total{outcome=\"done\"} 1", "lakehead_reload_last_successful 1"] {
        assert!(metrics.lines().any(|l| l == line), "{line} is missing in\n{metrics}");
    }
    served.stop().await;
}
