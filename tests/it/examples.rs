//! Each pipeline of the folder examples/ as it stands, on the real binary: all of its streams get events. The addresses of others are
//! those of the simulator and of imitations here, the data directory lies in the test's folder.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    thread,
    time::Duration,
};

use crate::lakehead::{Lakehead, skip, stored, text};

/// Examples that need a real server of others: their own tests run them.
const ELSEWHERE: &[(&str, &str)] = &[("kafka.toml", "it needs a broker")];

/// What the imitated API of the weather says: the shape of OpenWeatherMap's answer.
const WEATHER: &str = r#"{"coord":{"lon":23.7,"lat":37.9},"weather":[{"id":800,"main":"Clear"}],"main":{"temp":21.5,"humidity":40},
"wind":{"speed":3.6,"deg":350},"dt":1795000000,"sys":{"country":"GR"},"timezone":7200,"id":264371,"name":"Athens","cod":200}"#;

/// Events of the imitated shop.
const ORDERS: &str = "event: order\ndata: {\"event_id\":\"a\",\"placed_at\":\"2026-11-30T12:00:00Z\",\"order\":{\"id\":\"1\"},\"country\":\"GR\",\
                      \"total\":12.5}\n\nevent: ping\ndata: {}\n\nevent: refund\ndata: {\"event_id\":\"b\",\"placed_at\":\"2026-11-30T12:00:01Z\",\
                      \"country\":\"GR\",\"total\":-12.5}\n\n";

#[test]
fn every_example_runs_and_brings_events_into_each_of_its_streams() {
    let upstream =
        Lakehead::start(&["simulate", "--rate", "400", "--seed", "7", "--page-creates", "--listen", "127.0.0.1:0"]);
    let others = imitations();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("the examples")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".toml"))
        .collect();
    names.sort();
    assert!(names.len() >= 7, "{names:?}");
    for name in names {
        if let Some((_, why)) = ELSEWHERE.iter().find(|(elsewhere, _)| *elsewhere == name) {
            skip(&format!("examples::{name}"), why);
            continue;
        }
        runs(&name, &upstream.address, &others);
    }
}

/// Runs one until each of its streams has events.
fn runs(name: &str, upstream: &str, others: &str) {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let of_repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    let mut example = fs::read_to_string(of_repository).expect("an example");
    let listens =
        example.lines().find(|line| line.starts_with("listen = ")).expect("it says where it listens").to_owned();
    for (said, here) in [
        (listens.as_str(), "listen = \"127.0.0.1:0\""),
        ("https://stream.wikimedia.org", &format!("http://{upstream}")),
        ("https://api.openweathermap.org", &format!("http://{others}")),
        ("http://127.0.0.1:9000", &format!("http://{others}")),
        ("http://127.0.0.1:9100", &format!("http://{others}")),
        ("${FEED_TOKEN}", "token"),
        ("${WEBHOOK_TOKEN}", "token"),
        ("${OPENWEATHER_KEY}", "key"),
    ] {
        example = example.replace(said, here);
    }
    fs::write(folder.path().join(name), &example).expect("a pipeline");
    prepare(folder.path());
    let lakehead = Lakehead::start_in(folder.path(), &["run", name]);
    if name == "own_service.toml" {
        let event = r#"{"dt": "2026-01-01T12:00:00Z", "user": {"name": "Ada"}, "ms": 12.5}"#;
        assert_eq!(lakehead.push("requests", event.as_bytes()).status, 201);
    }
    let streams: Vec<&str> =
        example.lines().filter_map(|line| line.strip_prefix("[stream.")?.split([']', '.']).next()).collect();
    assert!(!streams.is_empty(), "{name}");
    for stream in streams {
        lakehead.until(&format!("events of {stream} in {name}"), |status| stored(status, stream) > 0);
    }
    let status = lakehead.status();
    let failed = status["sources"].as_object().into_iter().flatten().find(|(_, source)| source["state"] == "failed");
    assert!(failed.is_none(), "{name}: {failed:?}");
    assert!(lakehead.finish().success(), "{name}");
}

/// What the examples read of the folder that they are started in.
fn prepare(folder: &Path) {
    for (file, held) in [
        ("requests/a.jsonl", "{\"dt\":\"2026-01-01T12:00:00Z\",\"user\":{\"name\":\"Ada\"},\"ms\":12.5}\n".to_owned()),
        (
            "inbox/change_1.json",
            r#"{"wiki": "enwiki", "type": "edit", "meta": {"dt": "2026-11-30T12:00:00Z"}}"#.to_owned(),
        ),
        ("history/2026-10.simplewiki.all-time.tsv", dump()),
    ] {
        let path = folder.join(file);
        fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        fs::write(&path, held).unwrap_or_else(|error| panic!("{}: {error}", text(&path)));
    }
}

/// A row of Wikimedia's history dumps, by hand: a page is created.
fn dump() -> String {
    let mut columns = vec![""; 76];
    (columns[0], columns[1], columns[2], columns[3]) = ("simplewiki", "page", "create", "2026-10-05 10:00:00.0");
    columns.join("\t") + "\n"
}

/// A server that stands for the shop, the weather's API and the webhook; where it listens.
fn imitations() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            // A client that leaves is nothing to it.
            thread::spawn(move || answer(&socket).ok());
        }
    });
    address
}

fn answer(mut socket: &TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(socket);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    std::io::copy(&mut reader.take(length), &mut std::io::sink())?;
    let whole = |kind: &str, body: &str| {
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    if request.contains("/orders/feed") {
        socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")?;
        socket.write_all(ORDERS.as_bytes())?;
        thread::sleep(Duration::from_secs(20));
        return Ok(());
    }
    let body = if request.contains("/weather?") { WEATHER } else { "{}" };
    socket.write_all(whole("application/json", body).as_bytes())
}
