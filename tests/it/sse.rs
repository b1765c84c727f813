//! The source `sse` in a pipeline, on a feed that is nobody's in particular: it asks for a token, cuts connections, gives the last
//! event once more, and names its events.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    thread,
};

use serde_json::json;

use crate::lakehead::{Lakehead, query};

const ORDERS: u64 = 5_000;

/// A connection gives so many at most, and is then cut within the next.
const ORDERS_A_CONNECTION: u64 = 730;

const TOKEN: &str = "s3cret-of-the-feed";

/// The n-th order, and a ping that is none.
fn frame(n: u64) -> String {
    let order = json!({ "n": n, "noise": format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)), "at": "2026-09-01T12:00:00Z" });
    format!("event: order\nid: {n}\ndata: {order}\n\nevent: ping\ndata: still here\n\n")
}

/// Answers one request, and closes or keeps the connection.
fn answer(mut socket: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(socket.try_clone()?);
    let (mut next, mut may) = (0, false);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim_end().is_empty() {
            break;
        }
        may |= line.trim_end() == format!("authorization: Bearer {TOKEN}");
        // The event that was asked for comes once more.
        next = line.strip_prefix("last-event-id: ").map_or(next, |id| id.trim_end().parse().expect("an id of its own"));
    }
    if !may {
        return socket.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    socket
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\nretry: 20\n\n")?;
    let end = ORDERS.min(next + ORDERS_A_CONNECTION);
    for n in next..end {
        socket.write_all(frame(n).as_bytes())?;
    }
    if end < ORDERS {
        return socket.write_all(&frame(end).as_bytes()[..40]);
    }
    // It stays open until the other side goes.
    reader.read_line(&mut String::new()).map(drop)
}

/// Serves the feed until the test ends, and says where.
fn feed() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/feed", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || answer(socket));
        }
    });
    url
}

fn pipeline(folder: &Path, url: &str) -> PathBuf {
    let path = folder.join("pipeline.toml");
    let text = format!(
        "[stream.orders]\nevent_time = \"at\"\ncolumns = {{ n = {{ path = \"n\", type = \"int64\" }} }}\n\n\
         [source.shop]\nkind = \"sse\"\nurl = \"{url}\"\nstream = \"orders\"\nevents = [\"order\"]\n\
         headers = {{ Authorization = \"Bearer ${{FEED_TOKEN}}\" }}\n"
    );
    fs::write(&path, text).expect("the pipeline can be written");
    path
}

#[test]
fn a_feed_of_nobody_in_particular_is_read_once_over_cuts_and_kills() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (pipeline, data) = (pipeline(folder.path(), &feed()), folder.path().join("data"));
    for stored in [1, 1_000, 2_500] {
        let lakehead = Lakehead::run_pipeline_with(&pipeline, &data, &[("FEED_TOKEN", TOKEN)]);
        lakehead.until_stored("orders", stored);
        lakehead.kill();
    }
    let lakehead = Lakehead::run_pipeline_with(&pipeline, &data, &[("FEED_TOKEN", TOKEN)]);
    let status = lakehead.until_stored("orders", ORDERS);
    assert!(!status.to_string().contains(TOKEN) && !lakehead.said().contains(TOKEN), "a secret is shown nowhere");
    assert!(lakehead.finish().success());
    let rows = query(&data, "SELECT count(*) AS n, count(DISTINCT n) AS ns, max(n) AS last FROM orders");
    assert_eq!(rows[0], json!({ "n": ORDERS, "ns": ORDERS, "last": ORDERS - 1 }));
}

#[test]
fn a_feed_that_refuses_us_says_which_setting_to_change() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (pipeline, data) = (pipeline(folder.path(), &feed()), folder.path().join("data"));
    let lakehead = Lakehead::run_pipeline_with(&pipeline, &data, &[("FEED_TOKEN", "another")]);
    let status = lakehead.until("failed", |status| status["sources"]["shop"]["state"] == "failed");
    let why = status["sources"]["shop"]["error"].as_str().unwrap_or_default();
    assert!(why.contains("answered 401") && why.contains("set headers"), "{why}");
    assert!(lakehead.finish().success());
}
