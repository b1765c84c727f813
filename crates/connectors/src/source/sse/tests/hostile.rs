//! Bytes that a feed should not send, and what becomes of them.

use std::{io::Write as _, time::Duration};

use flate2::{Compression, write::GzEncoder};
use lakehead_connector_api::{Error, Reader as _};
use lakehead_testkit::{Act, Upstream};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::world::{STREAM, World, none, run, taken};

const GZIP: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\n\r\n";

#[test]
fn what_is_no_json_is_refused_with_reason_and_place_and_the_rest_goes_on() {
    run(async {
        let mut text = b"id: 1\ndata: hello\n\nevent: ping\nid: 2\ndata: {\"a\":\ndata: 1\n\ndata: \xff\n\nid: 4\ndata: \"\xc3\"\n\n".to_vec();
        text.extend(b"data: {\"a\":\"\x01\"}\n\ndata: NaN\n\n");
        text.extend_from_slice(&[b"data: ".as_slice(), &[b'['; 100_000], b"\n\n"].concat());
        text.extend(b"id: 7\ndata: {\"whole\":true}\n\n");
        let world = taken(text, &none(), 1).await;
        assert_eq!(world.events(), [r#"{"whole":true}"#]);
        let places: Vec<&str> = world.rejects.iter().map(|reject| reject.position.as_str()).collect();
        assert_eq!(places, ["id \"1\"", "event \"ping\", id \"2\"", "no id", "id \"4\"", "no id", "no id", "no id"]);
        assert!(world.rejects.iter().all(|reject| reject.reason.starts_with("not JSON: ")), "{:?}", world.rejects);
        assert_eq!(&world.rejects[1].payload[..], b"{\"a\":\n1");
    });
}

#[test]
fn what_was_refused_with_an_id_is_refused_once() {
    run(async {
        let text = "id: 1\ndata: hello\n\nid: 2\ndata: 2\n\n";
        let upstream = Upstream::start(move |n, _| {
            let more = if n == 0 { String::new() } else { "id: 3\ndata: 3\n\n".to_owned() };
            let end = if n == 0 { Vec::new() } else { vec![Act::Hang] };
            [vec![Act::send(STREAM), Act::send(format!("{text}{more}"))], end].concat()
        })
        .await;
        let mut world = World::new(&upstream.url("/feed"), &none());
        world.run(1, true).await;
        world.run(2, false).await;
        assert_eq!((world.events().join(","), world.rejects.len()), ("2,3".to_owned(), 1));
    });
}

#[test]
fn an_event_past_the_limit_is_refused_once_and_its_id_counts() {
    run(async {
        let large = "x".repeat(10 << 20);
        let text = format!(
            "id: 1\ndata: 1\n\nid: 2\ndata: \"{large}\"\n\nid: 3\ndata: \"{}\"\n\nid: 4\ndata: \"{}\"\n\n",
            &large[..(64 << 10) - 1],
            &large[..(64 << 10) - 2]
        );
        let settings = json!({ "event_bytes_max": "64 KiB" });
        let mut world = taken(text, &settings, 2).await;
        assert_eq!(world.log.len(), 2);
        let last = world.rejects.pop().expect("the third");
        assert!(last.position == "id \"3\"" && last.reason.contains("found 65537"), "{}", last.reason);
        assert_eq!(world.rejects.len(), 1);
        let reject = world.rejects.remove(0);
        assert!(reject.reason.contains("at most 65536 bytes (event_bytes_max), found 10485"), "{}", reject.reason);
        assert_eq!((reject.position.as_str(), reject.payload.len() <= 64 << 10), ("id \"2\"", true));
    });
    run(async {
        // As the last: it is asked by its id, and does not come again.
        let upstream = Upstream::start(move |n, head| match n {
            0 => vec![Act::send(STREAM), Act::send(format!("id: 8\ndata: \"{}\"\n\n", "x".repeat(5 << 20)))],
            _ => vec![
                Act::send(STREAM),
                Act::send(format!("data: {}\n\n", head.contains("last-event-id: 8"))),
                Act::Hang,
            ],
        })
        .await;
        let mut world = World::new(&upstream.url("/feed"), &none());
        world.run(1, false).await;
        assert_eq!((world.events().join(","), world.rejects.len()), ("true".to_owned(), 1));
    });
}

#[test]
fn marks_line_ends_comments_and_unknown_fields_are_what_the_standard_says() {
    run(async {
        for text in [
            "\u{feff}data: 1\n\ndata: 2\n\n",
            "\u{feff}: first\n\ndata: 1\n\ndata: 2\n\n",
            "data:1\r\rdata:2\r\r",
            "data: 1\r\n\r\ndata: 2\r\n\r\n",
            "data: 1\r\n\ndata: 2\n\r\n",
            "\n\n\n\r\n\rdata: 1\n: c\n\n\n\ndata: 2\n\n",
            "datas: 9\nDATA: 9\n data: 9\nx\n:\ndata: 1\n\ndata: 2\nretry: 1\nretry: -1\nevent\n\n",
            "data\n\nevent: ping\ndata:\n\ndata: 1\n\ndata:  2 \n\n",
        ] {
            let world = taken(text, &none(), 2).await;
            assert_eq!(world.events().iter().map(|event| event.trim()).collect::<Vec<_>>(), ["1", "2"], "{text:?}");
            assert!(world.rejects.is_empty(), "{text:?}: {:?}", world.rejects);
        }
        // Only at the very beginning it is a mark.
        let world = taken("data: 1\n\n\u{feff}data: 9\n\ndata: 2\n\n", &none(), 2).await;
        assert_eq!(world.events().join(","), "1,2");
    });
}

#[test]
fn an_event_that_comes_byte_by_byte_is_whole() {
    run(async {
        let event = "id: 1\r\ndata: {\"a\":\"ü😀\",\r\ndata: \"b\":[1,\r\ndata: 2]}\r\n\r\n";
        let acts: Vec<Act> = event.bytes().map(|byte| Act::send([byte])).collect();
        let upstream =
            Upstream::start(move |_, _| [vec![Act::send(STREAM)], acts.clone(), vec![Act::Hang]].concat()).await;
        let mut world = World::new(&upstream.url("/feed"), &none());
        world.run(1, false).await;
        assert_eq!(world.events(), [r#"{"a":"ü😀","b":[1,2]}"#]);
    });
}

/// An upstream that sends `piece` for ever after this head, and never anything else.
async fn endless(head: &'static str, piece: Vec<u8>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/t", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.read(&mut [0; 4096]).await;
            let mut sent = socket.write_all(head.as_bytes()).await;
            while sent.is_ok() {
                sent = socket.write_all(&piece).await;
            }
        }
    });
    url
}

#[test]
fn bytes_that_never_end_anything_are_silence() {
    for piece in ["data: {\n", "x", ": x", "event: ping\n\n", "\n", "\r", "data: 1\rid: 1\n"] {
        run(async {
            let url = endless(STREAM, piece.repeat(1_000).into_bytes()).await;
            let error = World::new(&url, &json!({ "silence_max": "1s" })).error().await;
            let wanted = "sent no whole event for 1s (silence_max), though ";
            assert!(matches!(&error, Error::Unavailable { what, .. } if what.contains(wanted)), "{piece:?}: {error}");
        });
    }
}

#[test]
fn whole_comments_ids_and_events_that_are_not_taken_are_signs_of_life() {
    for beat in [":\n\n", ": beat\r\n", ":\r", "id: 5\n\n", "retry: 10\n\n", "event: ping\ndata: x\n\n", "data:\n\n"] {
        run(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let url = format!("http://{}/t", listener.local_addr().expect("an address"));
            // It takes one connection and no other.
            tokio::spawn(async move {
                let (mut socket, _) = listener.accept().await.expect("a connection");
                let _ = socket.read(&mut [0; 4096]).await;
                socket.write_all(STREAM.as_bytes()).await.expect("taken");
                for _ in 0..6 {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    socket.write_all(beat.as_bytes()).await.expect("taken");
                }
                socket.write_all(b"\n\nevent: order\ndata: 1\n\n").await.expect("taken");
                std::future::pending::<()>().await;
            });
            let mut world = World::new(&url, &json!({ "silence_max": "1s", "events": ["order"] }));
            let mut source = world.open().await.expect("it opens");
            while world.log.is_empty() {
                world.commit(source.next().await.unwrap_or_else(|error| panic!("{beat:?}: {error}")).expect("no end"));
            }
        });
    }
}

/// `text` as one gzip stream, flushed after each line.
fn gzipped(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    for line in text.split_inclusive('\n') {
        encoder.write_all(line.as_bytes()).expect("memory");
        encoder.flush().expect("memory");
    }
    encoder.finish().expect("memory")
}

#[test]
fn a_compressed_feed_is_read_and_a_cut_at_any_byte_of_it_loses_nothing() {
    let bytes = gzipped("id: 1\ndata: \"ü\"\n\nid: 2\ndata: 2\n\nid: 3\ndata: 3\n\n");
    for cut in 0..=bytes.len() {
        let bytes = bytes.clone();
        run(async {
            let upstream = Upstream::start(move |n, _| match n {
                0 => vec![Act::send(GZIP), Act::send(&bytes[..cut])],
                _ => vec![Act::send(GZIP), Act::send(bytes.clone()), Act::Hang],
            })
            .await;
            let mut world = World::new(&upstream.url("/feed"), &json!({ "gzip": true }));
            // With the setting once is enough: it costs a client each time.
            if cut > 0 {
                world.settings = World::new(&upstream.url("/feed"), &none()).settings;
            }
            world.run(3, cut % 2 == 0).await;
            assert_eq!(world.events().join(","), "\"ü\",2,3", "cut at {cut}");
            assert_eq!(upstream.requests()[0].contains("accept-encoding: gzip"), cut == 0);
        });
    }
}

#[test]
fn a_gzip_bomb_is_given_up_and_what_is_no_gzip_is_said() {
    for (name, line) in
        [("one event", "x".repeat(1 << 20)), ("comments", ":\n".repeat(1 << 19)), ("lines", "\n".repeat(1 << 20))]
    {
        let mut encoder = GzEncoder::new(b"".to_vec(), Compression::best());
        encoder.write_all(b"id: 1\ndata: 1\n\ndata: ").expect("memory");
        for _ in 0..64 {
            encoder.write_all(line.as_bytes()).expect("memory");
        }
        let bomb = encoder.finish().expect("memory");
        run(async {
            let upstream = Upstream::start(move |_, _| vec![Act::send(GZIP), Act::send(bomb.clone()), Act::Hang]).await;
            let mut world = World::new(&upstream.url("/feed"), &none());
            let error = world.error().await;
            let wanted = "more than 500 times as many";
            assert!(matches!(&error, Error::Unavailable { what, .. } if what.contains(wanted)), "{name}: {error}");
            assert_eq!(world.events(), ["1"], "{name}");
        });
    }
    run(async {
        let upstream =
            Upstream::start(|_, _| vec![Act::send(GZIP), Act::send("data: \"no gzip\"\n\n"), Act::Hang]).await;
        let error = World::new(&upstream.url("/feed"), &none()).error().await;
        assert!(matches!(&error, Error::Unavailable { what, .. } if what.contains("cannot be read")), "{error}");
    });
}

#[test]
fn many_small_events_are_handed_over_in_bounded_chunks() {
    run(async {
        let text: String =
            (0..40_000).map(|n| format!("id: {n}\ndata: {{\"n\":{n},\"text\":\"{n:040}\"}}\n\n")).collect();
        let upstream = Upstream::start(move |_, _| vec![Act::send(STREAM), Act::send(text.clone()), Act::Hang]).await;
        let mut world = World::new(&upstream.url("/feed"), &none());
        let mut source = world.open().await.expect("it opens");
        while world.log.len() < 40_000 {
            let chunk = source.next().await.expect("no error").expect("no end");
            assert!(chunk.events.payload().len() < (256 << 10) + 100);
            world.commit(chunk);
        }
    });
    run(async {
        let text = "data: no\n\n".repeat(1_000) + "data: 1\n\n";
        let upstream = Upstream::start(move |_, _| vec![Act::send(STREAM), Act::send(text.clone()), Act::Hang]).await;
        let mut world = World::new(&upstream.url("/feed"), &none());
        let mut source = world.open().await.expect("it opens");
        while world.log.is_empty() {
            let chunk = source.next().await.expect("no error").expect("no end");
            assert!(chunk.rejects.len() <= 64);
            world.commit(chunk);
        }
        assert_eq!(world.rejects.len(), 1_000, "each that has no id");
    });
}

#[test]
fn a_feed_that_hangs_up_after_each_event_is_asked_ever_more_slowly() {
    run(async {
        let upstream =
            Upstream::start(|n, _| vec![Act::send(STREAM), Act::send(format!("id: {n}\ndata: {n}\n\n"))]).await;
        let mut world = World::new(&upstream.url("/feed"), &none());
        let begun = std::time::Instant::now();
        world.run(5, false).await;
        // The second follows at once; then after 100, 200 and 400 ms.
        assert!(begun.elapsed() >= Duration::from_millis(700), "{:?}", begun.elapsed());
    });
}
