//! The sink against a server that takes rows: the suite with each body, and what the status alone cannot show.

use std::sync::{Arc, Mutex};

use lakehead_connector_api::{Feed, RowHead};
use lakehead_model::{Name, Offset, Position, Timestamp};
use lakehead_testkit::{Behaviour, ManualClock, POISON, Target, conformance};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::*;

/// A server that takes rows.
struct Server {
    url: String,
    settings: serde_json::Value,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    rows: Vec<Vec<u8>>,
    behaviour: Option<Behaviour>,
    /// Refuses a request as a whole, rather than row by row.
    is_strict: bool,
    /// The most rows that it takes at once.
    rows_max: Option<usize>,
    /// Sent in place of an answer of its own, after so many requests.
    answer: Option<String>,
    well_for: usize,
    /// Each so-manyth request is answered 503.
    busy_each: Option<usize>,
    heads: Vec<String>,
}

impl Server {
    async fn start(settings: serde_json::Value, state: State) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
        let url = format!("http://{}/hook?token=secret", listener.local_addr().expect("an address"));
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                connections.spawn(serve(socket, Arc::clone(&shared)));
            }
        });
        Self { url, settings, state, task }
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().expect("no test panics while it holds the lock"))
    }

    async fn open(&self) -> Box<dyn Sink> {
        let from = Feed::Stream { name: Name::new("s").expect("a name"), columns: Vec::new() };
        let clock = Arc::new(ManualClock::new(Timestamp(0)));
        let config = serde_json::from_value(self.settings()).expect("settings");
        Webhook::open(config, SinkContext { name: "hook".to_owned(), from, clock }).await.expect("it opens")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers requests until the other side hangs up.
async fn serve(mut socket: TcpStream, state: Arc<Mutex<State>>) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = socket.read_u8().await else { return };
            head.push(byte);
        }
        let head = String::from_utf8(head).expect("a head is text");
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        if socket.read_exact(&mut body).await.is_err() {
            return;
        }
        let Some(answer) = take(&mut state.lock().expect("no test panics while it holds the lock"), head, &body) else {
            return;
        };
        if answer.is_empty() {
            std::future::pending::<()>().await;
        }
        if socket.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// The answer; none to hang up, an empty one to say nothing.
fn take(state: &mut State, head: String, body: &[u8]) -> Option<String> {
    state.heads.push(head.to_ascii_lowercase());
    match state.behaviour {
        Some(Behaviour::Away) => return None,
        Some(Behaviour::Silent) => return Some(String::new()),
        _ => {}
    }
    if let Some(answer) = state.answer.as_ref().filter(|_| state.heads.len() > state.well_for) {
        return Some(answer.clone());
    }
    if state.busy_each.is_some_and(|each| state.heads.len().is_multiple_of(each)) {
        return Some(answer("503 Service Unavailable", ""));
    }
    let rows: Vec<Vec<u8>> = match body.first() {
        Some(b'[') => serde_json::from_slice::<Vec<Box<serde_json::value::RawValue>>>(body)
            .expect("an array")
            .iter()
            .map(|row| row.get().as_bytes().to_vec())
            .collect(),
        _ => body.split(|b| *b == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect(),
    };
    if state.rows_max.is_some_and(|most| rows.len() > most) {
        return Some(answer("413 Content Too Large", ""));
    }
    let refuses = |row: &Vec<u8>| {
        state.behaviour == Some(Behaviour::RefusingPoison) && String::from_utf8_lossy(row).contains(POISON)
    };
    if !rows.iter().any(refuses) {
        state.rows.extend(rows);
        return Some(answer("200 OK", ""));
    }
    if state.is_strict {
        return Some(answer("422 Unprocessable Content", "there is poison in it"));
    }
    let mut results = Vec::new();
    for row in rows {
        if refuses(&row) {
            results.push(json!({ "status": 422, "error": "there is poison in it" }));
        } else {
            state.rows.push(row);
            results.push(json!({ "status": 200 }));
        }
    }
    Some(answer("207 Multi-Status", &json!({ "results": results }).to_string()))
}

#[async_trait]
impl Target for Server {
    fn settings(&self) -> serde_json::Value {
        let mut settings = self.settings.clone();
        settings["url"] = json!(self.url);
        settings
    }

    async fn rows(&mut self) -> Vec<Vec<u8>> {
        self.with(|state| state.rows.clone())
    }

    async fn behave(&mut self, how: Behaviour) -> bool {
        self.with(|state| state.behaviour = Some(how));
        true
    }
}

#[tokio::test]
async fn it_keeps_the_promises_of_a_sink() {
    for (settings, is_strict, rows_max) in [
        (json!({}), false, None),
        (json!({ "body": "array", "batch_rows": 3 }), false, None),
        (json!({ "body": "lines" }), true, Some(2)),
        (json!({ "body": "row", "method": "PUT" }), true, None),
        (json!({ "rows_per_second": 1_000_000 }), true, None),
    ] {
        let server = || Server::start(settings.clone(), State { is_strict, rows_max, ..State::default() });
        assert_eq!(conformance::sink::<Webhook, _, _>(server).await, [], "{settings}");
    }
}

/// Events of stream `s` from offset `first` on, `{}` each.
fn batch(first: u64, rows: u32) -> Batch {
    let heads = (first..).take(rows as usize).map(|number| RowHead { number, ..RowHead::default() }).collect();
    let position = |next| Position::Log { epoch: 0, next: Offset(next) };
    let range = (position(first), position(first + u64::from(rows)));
    let lines = (b"{}\n".repeat(rows as usize).into(), (1..=rows).map(|n| n * 3).collect());
    Batch::new(Name::new("s").expect("a name"), range, lines, heads, BatchKind::Changes)
}

#[tokio::test]
async fn the_same_rows_have_the_same_key_and_others_another() {
    let server = Server::start(json!({ "headers": { "X-Token": "t" } }), State::default()).await;
    for _ in 0..2 {
        let mut sink = server.open().await;
        for some in [batch(5, 1), batch(5, 4), batch(5, 4).select(&[0, 1, 3]), batch(5, 4).select(&[0, 2, 3])] {
            sink.write(&some).await.expect("written");
        }
    }
    let heads = server.with(|state| std::mem::take(&mut state.heads));
    assert!(heads.iter().all(|head| head.contains("x-token: t") && head.contains("application/x-ndjson")), "{heads:?}");
    let key = |head: &String| {
        let line = head.lines().find_map(|line| line.strip_prefix("idempotency-key: "));
        line.expect("each request has a key").to_owned()
    };
    let keys: Vec<String> = heads.iter().map(key).collect();
    assert_eq!(keys[0], "s-0-5");
    assert_eq!(keys[..4], keys[4..], "after a restart too");
    let each: std::collections::BTreeSet<&String> = keys.iter().collect();
    assert_eq!(each.len(), 4, "{keys:?}");
}

#[tokio::test]
async fn what_was_taken_before_the_target_went_away_is_not_sent_again() {
    let busy = answer("503 Service Unavailable\r\nRetry-After: 7", "busy");
    let state = State { answer: Some(busy), well_for: 1, ..State::default() };
    let server = Server::start(json!({ "batch_rows": 2 }), state).await;
    let mut sink = server.open().await;
    let later = Answer::Later(Some(Duration::from_secs(7)));
    let answers = sink.write(&batch(0, 5)).await.expect("some is known");
    assert_eq!(answers, [Answer::Done, Answer::Done, later.clone(), later.clone(), later]);
    assert_eq!(server.with(|state| (state.rows.len(), state.heads.len())), (2, 2));
    let error = sink.write(&batch(2, 3)).await.expect_err("nothing is known");
    let Error::Unavailable { what, retry_after } = error else { panic!("{error}") };
    assert_eq!(retry_after, Some(Duration::from_secs(7)));
    assert!(what.contains("/hook answered 503: busy") && !what.contains("secret"), "{what}");
}

#[tokio::test]
async fn what_is_too_much_at_once_is_sent_in_parts() {
    let server = Server::start(json!({}), State { rows_max: Some(2), ..State::default() }).await;
    let mut sink = server.open().await;
    assert_eq!(sink.write(&batch(0, 7)).await.expect("in parts"), vec![Answer::Done; 7]);
    assert_eq!(server.with(|state| state.rows.len()), 7);
    server.with(|state| state.rows_max = Some(0));
    let answers = sink.write(&batch(7, 2)).await.expect("refused one by one");
    assert!(answers.iter().all(|a| matches!(a, Answer::Refused(why) if why.contains("413"))), "{answers:?}");
}

#[tokio::test]
async fn a_target_that_is_busy_now_and_then_still_lets_the_row_be_found_that_it_refuses() {
    let behaviour = Some(Behaviour::RefusingPoison);
    let state = State { behaviour, is_strict: true, busy_each: Some(4), ..State::default() };
    let server = Server::start(json!({}), state).await;
    let mut sink = server.open().await;
    let (poison, good) = (format!("{{\"x\":\"{POISON}\"}}\n"), "{}\n".repeat(63));
    let ends = std::iter::successors(Some(poison.len() as u32), |end| Some(end + 3)).take(64).collect();
    let heads = (0..64).map(|number| RowHead { number, ..RowHead::default() }).collect();
    let position = |next| Position::Log { epoch: 0, next: Offset(next) };
    let name = Name::new("s").expect("a name");
    let lines = ((poison + &good).into_bytes().into(), ends);
    let mut left = Batch::new(name, (position(0), position(64)), lines, heads, BatchKind::Changes);
    let (mut done, mut refused) = (0, 0);
    for _ in 0..40 {
        let answers = sink.write(&left).await.unwrap_or_else(|_| vec![Answer::Later(None); left.len()]);
        done += answers.iter().filter(|answer| **answer == Answer::Done).count();
        refused += answers.iter().filter(|answer| matches!(answer, Answer::Refused(_))).count();
        let later: Vec<usize> = (0..answers.len()).filter(|n| matches!(answers[*n], Answer::Later(_))).collect();
        left = left.select(&later);
        if left.is_empty() {
            break;
        }
    }
    assert_eq!((done, refused, left.len()), (63, 1, 0));
}

#[tokio::test]
async fn redirects_are_not_followed_and_errors_hide_the_query() {
    let server = Server::start(json!({ "timeout": "100ms" }), State::default()).await;
    let mut sink = server.open().await;
    let location = answer(&format!("307 Temporary Redirect\r\nLocation: {}", server.url), "");
    server.with(|state| state.answer = Some(location));
    let error = sink.write(&batch(0, 1)).await.expect_err("it leads elsewhere");
    assert!(error.to_string().contains("not followed"), "{error}");
    assert_eq!(server.with(|state| state.heads.len()), 1);
    server.with(|state| (state.answer, state.behaviour) = (None, Some(Behaviour::Silent)));
    let some = batch(0, 1);
    let write = timeout(Duration::from_secs(10), sink.write(&some));
    let error = write.await.expect("it is given up long before").expect_err("no answer");
    assert!(error.to_string().contains("did not answer within 100ms"), "{error}");
    server.with(|state| state.behaviour = Some(Behaviour::Away));
    let error = sink.write(&batch(0, 1)).await.expect_err("it hangs up");
    assert!(error.to_string().contains("cannot be reached") && !error.to_string().contains("secret"), "{error}");
}

#[tokio::test]
async fn a_long_answer_is_not_read_to_its_end() {
    let server = Server::start(json!({}), State::default()).await;
    let mut sink = server.open().await;
    let long = format!(r#"{{"results":[{}]}}"#, " ".repeat(4 << 20));
    server.with(|state| state.answer = Some(answer("200 OK", &long)));
    let error = sink.write(&batch(0, 1)).await.expect_err("it is not read");
    assert!(error.to_string().contains("with more than 66560 bytes"), "{error}");
}

#[tokio::test]
async fn a_probe_asks_who_is_there_with_all_rights_and_sends_nothing() {
    let server =
        Server::start(json!({ "headers": { "Authorization": "Bearer secret" }, "timeout": "300ms" }), State::default())
            .await;
    let probed = async || {
        let from = Feed::Stream { name: Name::new("s").expect("a name"), columns: Vec::new() };
        let clock = Arc::new(ManualClock::new(Timestamp(0)));
        let config = serde_json::from_value(server.settings()).expect("settings");
        Webhook::probe(config, SinkContext { name: "hook".to_owned(), from, clock }).await
    };
    let found = probed().await.expect("it is there");
    assert!(found.found[0].ends_with("/hook answers (200 to OPTIONS)") && !found.unknown.is_empty(), "{found:?}");
    let heads = server.with(|state| state.heads.clone());
    assert!(
        matches!(&heads[..], [one] if one.starts_with("options /hook?token=secret ") && one.contains("bearer secret"))
    );
    assert!(server.with(|state| state.rows.is_empty()), "nothing was sent");
    for (behaviour, says) in
        [(Behaviour::Away, "cannot be reached"), (Behaviour::Silent, "did not answer within 300ms")]
    {
        server.with(|state| state.behaviour = Some(behaviour));
        let error = probed().await.expect_err(says).to_string();
        assert!(error.contains(says) && !error.contains("secret"), "{error}");
    }
    server.with(|state| {
        state.behaviour = None;
        state.answer = Some(answer("403 Forbidden", "go away"));
    });
    let error = probed().await.expect_err("no right");
    assert!(matches!(&error, Error::Invalid(what) if what.contains("answered 403")), "{error}");
}
