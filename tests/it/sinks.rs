//! Sinks of files and webhooks under a source that keeps bringing events: killed in the middle, and reloaded with sinks that are
//! added, changed and removed. In the end each target has what the log and the view have, in their order.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
};

use serde_json::Value;

use crate::{
    http,
    lakehead::{Lakehead, query, run, text},
};

/// Events that the source brings in all.
const EVENTS: u64 = 3_000;

/// The event that the webhook never takes.
const REFUSED: u64 = 77;

/// A webhook: keeps the lines of each path in the order in which they came.
#[derive(Clone, Default)]
struct Receiver {
    lines: Arc<Mutex<BTreeMap<String, Vec<Value>>>>,
    requests: Arc<Mutex<u64>>,
}

impl Receiver {
    /// Listens; the threads end with the test's process.
    fn listen() -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let receiver = Self::default();
        let accepting = receiver.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let receiver = accepting.clone();
                std::thread::spawn(move || receiver.serve(stream));
            }
        });
        (receiver, address)
    }

    fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let mut stream = stream;
        loop {
            let (path, body) = request(&mut reader)?;
            let status = self.take(&path, &body);
            write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").ok()?;
        }
    }

    /// Each fifth request is to come again, and one event is never taken.
    fn take(&self, path: &str, body: &str) -> &'static str {
        let mut requests = self.requests.lock().expect("no thread panics with it");
        *requests += 1;
        if requests.is_multiple_of(5) {
            return "503 Service Unavailable";
        }
        let rows: Vec<Value> = body.lines().map(|line| serde_json::from_str(line).expect("a row is JSON")).collect();
        if path == "/events" && rows.iter().any(|row| row["n"] == REFUSED) {
            return "422 Unprocessable Content";
        }
        self.lines.lock().expect("no thread panics with it").entry(path.to_owned()).or_default().extend(rows);
        "200 OK"
    }

    fn of(&self, path: &str) -> Vec<Value> {
        self.lines.lock().expect("no thread panics with it").get(path).cloned().unwrap_or_default()
    }
}

/// One request: its path and its body.
fn request(reader: &mut impl BufRead) -> Option<(String, String)> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let path = head.first()?.split(' ').nth(1)?.to_owned();
    let length = head.iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let mut body = vec![0; length.expect("a request says how long its body is")];
    reader.read_exact(&mut body).ok()?;
    Some((path, String::from_utf8(body).expect("rows are text")))
}

/// The pipeline with these sinks.
fn pipeline(folder: &Path, sinks: &str) {
    let text = format!(
        "[stream.rolls]\nevent_time = \"dt\"\n\
         columns = {{ n = {{ path = \"n\", type = \"int64\" }}, face = {{ path = \"face\", type = \"int64\" }} }}\n\
         [source.dice]\nkind = \"fake\"\nstream = \"rolls\"\nrate = 300\ncount = {EVENTS}\n\
         fields = {{ n = {{ sequence = 0 }}, face = {{ int = [1, 6] }} }}\n\
         [view.faces]\nsql = \"SELECT tumble(event_time, INTERVAL '1 second') AS second, face, count(*) AS rolls FROM rolls \
         GROUP BY 1, 2\"\nwatermark_delay = \"0s\"\n{sinks}"
    );
    let fresh = folder.join("pipeline.new");
    fs::write(&fresh, text).expect("the pipeline can be written");
    fs::rename(&fresh, folder.join("pipeline.toml")).expect("the pipeline can be replaced");
}

/// A webhook sink.
fn hook(name: &str, from: &str, address: &str, path: &str) -> String {
    format!(
        "[sink.{name}]\nkind = \"http\"\nfrom = \"{from}\"\nurl = \"http://{address}{path}\"\nbatch_rows = 50\n\
         commit_every = \"200ms\"\n"
    )
}

fn archive(folder: &Path) -> String {
    let path = folder.join("archive");
    format!("[sink.archive]\nkind = \"file\"\nfrom = \"rolls\"\npath = {:?}\nrows_max = 500\n", text(&path))
}

/// The rows of finished files, by the files' names, which are in the order of the log.
fn archived(folder: &Path) -> Vec<Value> {
    let entries = fs::read_dir(folder.join("archive")).expect("the archive");
    let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    names.retain(|path| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')));
    names.sort();
    let texts = names.into_iter().map(|path| fs::read_to_string(path).expect("a file of text"));
    texts
        .flat_map(|text| text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect::<Vec<_>>())
        .collect()
}

/// `rows` without those that came before.
fn first_arrivals(rows: Vec<Value>) -> Vec<Value> {
    let mut seen = std::collections::BTreeSet::new();
    rows.into_iter().filter(|row| seen.insert(row["n"].as_u64().expect("a number"))).collect()
}

/// What a table has to which these changes were applied, by second and face.
fn applied(changes: Vec<Value>) -> BTreeMap<(String, u64), u64> {
    let mut table = BTreeMap::new();
    for change in changes {
        let second = change["second"].as_str().expect("a time").to_owned();
        let key = (second, change["face"].as_u64().expect("a number"));
        match change["_op"].as_str() {
            Some("insert" | "update") => drop(table.insert(key, change["rolls"].as_u64().expect("a number"))),
            Some("delete") => drop(table.remove(&key)),
            other => panic!("an operation was expected, found {other:?} in {change}"),
        }
    }
    table
}

fn delivered(status: &Value, sink: &str) -> u64 {
    status["sinks"][sink]["delivered"].as_u64().unwrap_or(0)
}

#[test]
fn every_target_has_what_the_log_has_through_a_kill_and_a_reload() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (file, data) = (folder.path().join("pipeline.toml"), folder.path().join("data"));
    let (receiver, address) = Receiver::listen();
    let hooks = |names: &[(&str, &str, &str)]| -> String {
        names.iter().map(|(name, from, path)| hook(name, from, &address, path)).collect()
    };
    let first = [("events", "rolls", "/events"), ("faces", "faces", "/faces"), ("gone", "rolls", "/gone")];
    pipeline(folder.path(), &(hooks(&first) + &archive(folder.path())));

    let lakehead = Lakehead::run_pipeline(&file, &data);
    lakehead.until("rows at two targets", |status| {
        ["events", "gone"].iter().all(|sink| delivered(status, sink) > 300) && delivered(status, "archive") > 0
    });
    lakehead.kill();

    let lakehead = Lakehead::run_pipeline(&file, &data);
    lakehead.until("rows after the kill", |status| delivered(status, "events") > 100);
    // Removed, changed, added; the archive stays as it is.
    let then = [("events", "rolls", "/events"), ("faces", "faces", "/changed"), ("late", "rolls", "/late")];
    pipeline(folder.path(), &(hooks(&then) + &archive(folder.path())));
    let reloaded = run(&["reload", "--data", text(&data)]);
    assert_eq!(reloaded.code, Some(0), "{}", reloaded.stderr);
    for words in ["sink", "gone", "faces", "late"] {
        assert!(reloaded.stdout.contains(words), "{}", reloaded.stdout);
    }
    assert!(!reloaded.stdout.contains("archive"), "{}", reloaded.stdout);
    let gone = receiver.of("/gone").len();

    lakehead.until("everything at every target", |status| {
        let sinks = status["sinks"].as_object().expect("sinks");
        let is_done = |sink: &Value| sink["state"] == "caught_up" && sink["lag_rows"].as_u64().unwrap_or(0) == 0;
        status["streams"]["rolls"]["events"] == EVENTS
            && status["views"]["faces"]["offset"] == EVENTS
            && sinks.len() == 4
            && sinks.values().all(|sink| is_done(sink) && sink["lag_commits"].as_u64().unwrap_or(0) == 0)
            // A view commits every ten seconds: what was closed last comes with the next one.
            && !receiver.of("/changed").is_empty()
            // That all has an answer is committed up to a second later.
            && status["sinks"]["events"]["position"].as_str().is_some_and(|text| text == format!("log.0.{EVENTS}"))
    });
    let metrics = http::get(&lakehead.address, "/metrics").expect("an answer").body;
    for line in [
        "lakehead_sink_up{sink=\"events\"} 1\n",
        "lakehead_sink_lag_rows{sink=\"late\"} 0\n",
        "lakehead_sink_state{sink=\"archive\",kind=\"file\",state=\"caught_up\"} 1\n",
    ] {
        assert!(metrics.contains(line), "no {line} in {metrics}");
    }
    let health = http::get(&lakehead.address, "/healthz").expect("an answer");
    assert_eq!(health.status, 200, "{}", health.body);
    // Without a position these are all rows of closed windows, as inserts.
    let closed = run(&["view", "changes", "faces", "--data", text(&data)]);
    assert_eq!(closed.code, Some(0), "{}", closed.stderr);
    assert!(lakehead.finish().success());

    let log: Vec<Value> = query(&data, "SELECT data FROM rolls ORDER BY event_offset")
        .iter()
        .map(|row| serde_json::from_str(row["data"].as_str().expect("a text")).expect("JSON"))
        .collect();
    assert_eq!(log.len() as u64, EVENTS);
    let without_refused: Vec<Value> = log.iter().filter(|event| event["n"] != REFUSED).cloned().collect();
    assert!(first_arrivals(receiver.of("/events")) == without_refused, "the webhook has the log, in its order");
    assert!(first_arrivals(receiver.of("/late")) == log, "the sink that was added has the log from its beginning");
    assert!(archived(folder.path()) == log, "the files have the log, each event once");
    let (rows, before) = (receiver.of("/gone"), first_arrivals(receiver.of("/gone")));
    assert!(before == log[..before.len()], "the sink that was removed has the beginning of the log");
    assert_eq!(rows.len(), gone, "a sink that was removed delivers nothing");

    let refused =
        query(&data, "SELECT data ->> 'refused_offset' AS at, reason FROM rejects WHERE data ->> 'sink' = 'events'");
    assert!(
        !refused.is_empty() && refused.iter().all(|row| row["at"].as_str() == Some(&*REFUSED.to_string())),
        "{refused:?}"
    );
    assert!(refused[0]["reason"].as_str().is_some_and(|reason| reason.contains("422")), "{refused:?}");

    // Both paths are one sink, whose address was changed.
    let changes = [receiver.of("/faces"), receiver.of("/changed")].concat();
    assert!(!receiver.of("/changed").is_empty(), "the changed sink delivers to its new address");
    let all = closed.stdout.lines().map(|line| serde_json::from_str(line).expect("a row is JSON")).collect();
    assert_eq!(applied(changes), applied(all), "the target's table is the view's closed rows");
}
