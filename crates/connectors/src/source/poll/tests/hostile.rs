//! Servers that misbehave: each is met by one line, holds up no other request, and learns and reveals no key.

use std::{io::Write, time::Duration};

use flate2::{Compression, write::GzEncoder};
use lakehead_connector_api::Error;
use lakehead_testkit::{Act, Upstream};
use serde_json::json;

use super::world::{Shore, answer, api, ok, settings, weather};

/// What has to come of an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// An entry in `rejects` with this in it.
    Reject(&'static str),
    /// The server counts as away for this request, with this in the message.
    Away(&'static str),
    /// This very event.
    Event(&'static str),
    /// No event, and nothing wrong.
    Nothing,
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
}

fn hostile() -> Vec<(&'static str, Vec<Act>, Outcome)> {
    use Outcome::{Away, Event, Nothing, Reject};
    let gzipped = |body: &[u8]| answer("200 OK", "Content-Encoding: gzip\r\n", body);
    let whole = gzip(weather("a", 1, "7").as_bytes());
    let plain = "HTTP/1.1 200 OK\r\nConnection: close\r\n";
    vec![
        ("a page", ok("<html><body>Sign in</body></html>"), Reject("not JSON")),
        ("nothing", ok(""), Reject("not JSON")),
        ("white space", ok(" \r\n"), Reject("not JSON")),
        ("no content", answer("204 No Content", "", ""), Nothing),
        ("NaN", ok("{\"temp\":NaN}"), Reject("not JSON")),
        ("a byte order mark", ok("\u{feff}{}"), Reject("not JSON")),
        ("bytes that are no text", ok(b"{\"name\":\"\xff\xfe\"}"), Reject("UTF-8")),
        ("two answers at once", ok("{}{}"), Reject("not JSON")),
        ("depth", ok("[".repeat(60_000)), Reject("not JSON")),
        (
            "huge numbers",
            ok("{\"n\":1e999999,\"m\":-123456789012345678901234567890.5}"),
            Event("{\"n\":1e999999,\"m\":-123456789012345678901234567890.5}"),
        ),
        ("lines", ok("{\n \"a\": [1,\r\n2]\n}\n"), Event("{\"a\":[1,2]}")),
        ("too large", ok(format!("\"{}\"", "x".repeat(70_000))), Reject("more than 64 KiB; raise body_bytes_max")),
        (
            "a length that is a lie",
            vec![Act::send(format!("{plain}Content-Length: 99999999999\r\n\r\n{}", "x".repeat(70_000))), Act::Hang],
            Reject("more than 64 KiB"),
        ),
        ("a bomb", gzipped(&gzip(&vec![b' '; 50 << 20])), Reject("more than 64 KiB once it was unpacked")),
        (
            "a bomb that is text",
            gzipped(&gzip(format!("\"{}\"", "x".repeat(1 << 20)).as_bytes())),
            Reject("once it was unpacked"),
        ),
        ("gzip", gzipped(&whole), Event("weather a")),
        ("gzip in two members", gzipped(&[gzip(b"{\"a\""), gzip(b":1}")].concat()), Event("{\"a\":1}")),
        ("gzip that is cut", gzipped(&whole[..whole.len() - 9]), Away("cannot be unpacked")),
        ("no gzip", gzipped(b"{}"), Away("cannot be unpacked")),
        ("another coding", answer("200 OK", "Content-Encoding: br\r\n", "x"), Away("Content-Encoding \"br\"")),
        (
            "a length that is too long",
            vec![Act::send(format!("{plain}Content-Length: 99\r\n\r\n{{}}"))],
            Away("broke off its answer after 2 bytes"),
        ),
        (
            "a length that is too short",
            vec![Act::send(format!("{plain}Content-Length: 2\r\n\r\n{{}}garbage"))],
            Event("{}"),
        ),
        ("no length and cut", vec![Act::send(format!("{plain}\r\n{{\"a\":"))], Reject("not JSON")),
        (
            "a chunk that is cut",
            vec![Act::send(format!("{plain}Transfer-Encoding: chunked\r\n\r\nff\r\n{{}}"))],
            Away("broke off"),
        ),
        ("a hang-up", vec![], Away("cannot be reached")),
        ("a reset", vec![Act::Reset], Away("cannot be reached")),
        (
            "a slow drip",
            vec![Act::send(format!("{plain}Content-Length: 99\r\n\r\n{{")), Act::Hang],
            Away("within 100ms (timeout)"),
        ),
        ("silence", vec![Act::Hang], Away("within 100ms (timeout)")),
        ("no HTTP", vec![Act::send("+OK POP3 ready\r\n\r\n")], Away("cannot be reached")),
        (
            "a head without end",
            vec![Act::send(format!("{plain}X: {}\r\n\r\n{{}}", "x".repeat(2 << 20)))],
            Away("cannot be reached"),
        ),
        ("a circle", answer("302 Found", "Location: ?q=a\r\n", ""), Away("answered 302")),
        (
            "elsewhere",
            answer("301 Moved", "Location: http://127.0.0.2:9/?k=0123-secret\r\n", ""),
            Away("\"http://127.0.0.2:9\", which is not followed"),
        ),
        (
            "another port",
            answer("307 Temporary Redirect", "Location: http://127.0.0.1:9/\r\n", ""),
            Away("not followed"),
        ),
        ("not asked", answer("304 Not Modified", "", ""), Away("not conditional")),
        ("a part", answer("206 Partial Content", "", "{}"), Away("206")),
        (
            "no key",
            answer("401 Unauthorized", "", "{\"cod\":401,\"message\":\"Invalid API key 0123-secret\"}"),
            Away("Invalid API key ***; check the key"),
        ),
        ("too often", answer("429 Too Many Requests", "Retry-After: 0\r\n", ""), Away("lower requests_per_minute")),
        (
            "trouble",
            answer("500 Internal Server Error", "", "stack\ntrace of ?appid=0123-secret"),
            Away("answered 500: stack trace of ?appid=***"),
        ),
        ("down", answer("503 Service Unavailable", "Retry-After: 0\r\n", ""), Away("answered 503")),
        (
            "no such city",
            answer("404 Not Found", "", "{\"cod\":\"404\",\"message\":\"city not found\"}"),
            Reject("answered 404: city not found"),
        ),
        (
            "a refusal with the key",
            answer("400 Bad Request", "", "no such key: 0123-secret"),
            Reject("no such key: ***"),
        ),
    ]
}

/// What an event has to be.
fn text(of: &str) -> String {
    if of == "weather a" { weather("a", 1, "7") } else { of.to_owned() }
}

#[tokio::test]
async fn each_is_met_by_one_line() {
    for (what, acts, outcome) in hostile() {
        let api = api(move |_, _| acts.clone()).await;
        let mut shore = Shore::new(settings(&api, &["a"]));
        shore.set("timeout", json!("100ms"));
        shore.set("body_bytes_max", json!("64 KiB"));
        let mut poller = shore.open();
        let ended = shore.until_idle(&mut poller).await;
        match outcome {
            Outcome::Away(wanted) => {
                let said = ended.expect_err(what);
                assert!(
                    matches!(&said, Error::Unavailable { .. }) && said.to_string().contains(wanted),
                    "{what}: {said}"
                );
                assert!(!said.to_string().contains("-secret") && !said.to_string().contains('\n'), "{what}: {said}");
                assert!(
                    said.to_string().starts_with("http://127.0.0.1:") && said.to_string().contains("(city=\"a\")"),
                    "{said}"
                );
                assert_eq!((shore.log.len(), shore.rejects.len()), (0, 0), "{what}");
            }
            Outcome::Reject(wanted) => {
                ended.expect(what);
                let [reject] = shore.rejects.as_slice() else { panic!("{what}: {:?}", shore.rejects) };
                assert!(reject.reason.contains(wanted), "{what}: {}", reject.reason);
                let json = String::from_utf8(reject.to_json("s", "p")).expect("text");
                assert!(!json.contains("-secret") && json.len() < 512 << 10, "{what}: {json}");
                assert_eq!(shore.log.len(), 0, "{what}");
            }
            Outcome::Event(event) => {
                ended.expect(what);
                assert_eq!((shore.events(), shore.rejects.len()), (vec![text(event)], 0), "{what}");
            }
            Outcome::Nothing => {
                ended.expect(what);
                assert_eq!((shore.log.len(), shore.rejects.len()), (0, 0), "{what}");
                assert!(shore.cursor.is_some(), "{what}: it was asked");
            }
        }
        assert!(api.requests().len() <= 7, "{what}: {} requests", api.requests().len());
    }
}

#[tokio::test]
async fn each_holds_up_no_other_request() {
    for (what, acts, _) in hostile() {
        let api = api(move |_, query| if query["q"] == "a" { acts.clone() } else { ok(weather("b", 1, "7")) }).await;
        let mut shore = Shore::new(settings(&api, &["a", "b"]));
        shore.set("timeout", json!("100ms"));
        shore.set("body_bytes_max", json!("64 KiB"));
        let mut poller = shore.open();
        let good = weather("b", 1, "7");
        while !shore.events().contains(&good) {
            // Whatever the pause, it is over.
            poller.targets.hurry();
            let chunk = super::world::next(&mut poller).await.unwrap_or_else(|error| panic!("{what}: {error}"));
            shore.commit(chunk);
        }
    }
}

#[tokio::test]
async fn a_server_that_recovers_brings_its_event_and_one_that_is_away_is_told_at_once() {
    let upstream = api(|n, query| match n {
        0 => answer("500 Internal Server Error", "", ""),
        _ => ok(weather(&query["q"], 1, "7")),
    })
    .await;
    let mut shore = Shore::new(settings(&upstream, &["a", "b"]));
    let mut poller = shore.open();
    while shore.log.len() < 2 {
        poller.targets.hurry();
        let chunk = super::world::next(&mut poller).await.expect("no error");
        shore.commit(chunk);
    }
    assert_eq!(shore.events(), [weather("b", 1, "7"), weather("a", 1, "7")]);
    let (url, cities) = (upstream.url("/"), ["a", "b", "c"]);
    let shore = Shore::new(settings(&upstream, &cities));
    drop(upstream);
    let mut poller = shore.open();
    let error = super::world::next(&mut poller).await.expect_err("nobody is there");
    assert!(error.to_string().starts_with(&url) && error.to_string().contains("cannot be reached"), "{error}");
    assert!(error.to_string().contains("(city=\"a\")"), "the first is enough to know it: {error}");
}

#[tokio::test]
async fn a_key_is_hidden_wherever_what_is_shown_is_cut() {
    let mut shown = Vec::new();
    // The beginning of what is said is shown, and the first 64 KiB of a refused answer are kept.
    for before in (185..205).chain((64 << 10) - 12..(64 << 10) + 2) {
        for status in ["500 Internal Server Error", "400 Bad Request", "200 OK"] {
            let body = format!("{}Kqz-secret{}", " .".repeat(before).split_off(before), "x".repeat(70_000));
            let api = api(move |_, _| answer(status, "", &body)).await;
            let mut shore = Shore::new(settings(&api, &["a"]));
            shore.set("secrets", json!({ "key": "Kqz-secret" }));
            let mut poller = shore.open();
            shown.extend(shore.until_idle(&mut poller).await.err().map(|error| error.to_string()));
            let rejects = shore.rejects.iter().map(|reject| String::from_utf8(reject.to_json("s", "p")).expect("text"));
            shown.extend(rejects);
        }
    }
    assert_eq!(shown.len(), 34 * 3);
    for text in shown {
        let end = text.len().saturating_sub(200);
        assert!(!text.contains("Kq") && !text.contains("secret"), "{}", &text[end..]);
    }
}

#[tokio::test]
async fn a_refusal_that_comes_again_and_again_is_kept_once_and_counted() {
    let api = api(|_, _| answer("404 Not Found", "", "city not found")).await;
    let mut shore = Shore::new(settings(&api, &["a"]));
    let mut poller = shore.open();
    for _ in 0..4 {
        shore.until_idle(&mut poller).await.expect("no error");
        shore.clock.advance(Duration::from_secs(600));
    }
    assert_eq!((shore.rejects.len(), shore.refused_more), (1, 3));
}

#[tokio::test]
async fn a_list_of_very_many_events_that_are_refused_is_bounded_and_counted() {
    let api = api(|_, _| ok(format!("[{}0]", "1,".repeat(5_000)))).await;
    let mut shore = Shore::new(settings(&api, &["a"]));
    shore.set("events", json!(""));
    shore.set("request_key", json!("request"));
    let mut poller = shore.open();
    shore.until_idle(&mut poller).await.expect("no error");
    assert_eq!(
        (shore.log.len(), shore.rejects.len(), shore.rejects.len() as u64 + shore.refused_more),
        (0, 1_001, 5_001)
    );
    assert!(shore.rejects[1_000].position.ends_with("event 5000"), "{:?}", shore.rejects[1_000]);
}

#[tokio::test]
async fn redirects_on_the_same_server_are_followed_and_the_key_goes_nowhere_else() {
    let moved = |_: usize, head: &str| {
        if head.starts_with("GET /data/2.5/weather?") {
            answer("301 Moved Permanently", "Location: /new?q=a\r\n", "")
        } else {
            ok(weather("a", 1, "7"))
        }
    };
    let api = Upstream::start(moved).await;
    let mut shore = Shore::new(settings(&api, &["a"]));
    let mut poller = shore.open();
    shore.until_idle(&mut poller).await.expect("no error");
    assert_eq!(shore.events(), [weather("a", 1, "7")]);
    let requests = api.requests();
    assert!(requests.len() == 2 && !requests[1].contains("secret"), "no Referer: {requests:?}");
}

#[tokio::test]
async fn a_value_arrives_as_it_was_written_and_the_key_in_its_place() {
    let api = api(|_, query| ok(format!("{{\"q\":{},\"k\":{}}}", json!(query["q"]), json!(query["appid"])))).await;
    let cities = ["São Paulo", "a&b=c", "100%", "x#y?z", "{key}", "\u{1f30d} +"];
    let mut shore = Shore::new(settings(&api, &cities));
    shore.set("secrets", json!({ "key": "k&e=y" }));
    let mut poller = shore.open();
    shore.until_idle(&mut poller).await.expect("no error");
    let expected: Vec<String> =
        cities.iter().map(|city| format!("{{\"q\":{},\"k\":\"k&e=y\"}}", json!(city))).collect();
    assert_eq!(shore.events(), expected);
}
