//! The checks of EVENTSTREAMS.md, section 7, one by one.

use lakehead_model::Timestamp;
use lakehead_simulator::Options;
use serde_json::{Value, json};

use crate::common::{CODFW, EQIAD, START, STREAM, at_once, event, generator, start, start_at};

#[tokio::test]
async fn ok_comes_first() {
    let upstream = start(at_once(3)).await;
    let mut response = upstream.get(STREAM, &[]).await;
    response.frames(3).await;
    assert!(response.stream().0.starts_with(b":ok\n\nevent: message\nid: [{\"topic\":\"eqiad."));
}

#[tokio::test]
async fn the_head_is_that_of_the_service() {
    let upstream = start(at_once(1)).await;
    for (accept, content_type) in [
        (None, "text/event-stream"),
        (Some("text/event-stream"), "text/event-stream; charset=utf-8"),
        (Some("*/*"), "text/event-stream; charset=utf-8"),
        (Some("application/json"), "application/json; charset=utf-8"),
    ] {
        let headers: Vec<_> = accept.map(|accept| ("Accept", accept)).into_iter().collect();
        let response = upstream.get(STREAM, &headers).await;
        assert_eq!((response.status, response.reason.as_str()), (200, "OK"));
        assert_eq!(response.header("content-type"), Some(content_type));
        for (name, value) in [
            ("transfer-encoding", "chunked"),
            ("cache-control", "no-cache"),
            ("connection", "keep-alive"),
            ("access-control-allow-origin", "*"),
            ("access-control-allow-headers", "accept, x-requested-with, content-type"),
            ("access-control-expose-headers", "etag"),
            ("x-xss-protection", "1; mode=block"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "SAMEORIGIN"),
        ] {
            assert_eq!(response.header(name), Some(value), "{name}");
        }
        assert_eq!(response.header("etag"), None);
    }
}

#[tokio::test]
async fn frames_hold_the_generator_s_events_in_order() {
    let upstream = start(at_once(5_000)).await;
    let frames = upstream.events(STREAM, &[], 5_000).await;
    let generator = generator();
    assert_eq!(frames.len(), 5_000);
    for (n, frame) in frames.iter().enumerate() {
        assert_eq!(frame.event, "message");
        assert_eq!(frame.data, event(&generator, n as u64), "event {n}");
    }
    assert_eq!(upstream.simulator.stats().events, 5_000);
}

#[tokio::test]
async fn every_id_lists_every_topic_and_says_what_was_last() {
    let upstream = start(at_once(2_000)).await;
    let mut seen = [json!({ "offset": -1 }), json!({ "offset": -1 })];
    for frame in upstream.events(STREAM, &[], 2_000).await {
        let event = frame.json();
        let at = usize::from(event["meta"]["topic"] == CODFW);
        let dt: Timestamp = event["meta"]["dt"].as_str().and_then(|dt| dt.parse().ok()).expect("a time");
        seen[at] = json!({ "timestamp": dt.millis() + 1 });
        let mut expected = json!([{ "topic": EQIAD, "partition": 0 }, { "topic": CODFW, "partition": 0 }]);
        for (entry, seen) in expected.as_array_mut().expect("a list").iter_mut().zip(&seen) {
            entry.as_object_mut().expect("an object").extend(seen.as_object().expect("an object").clone());
        }
        assert_eq!(serde_json::from_str::<Value>(&frame.id).expect("JSON"), expected);
        assert!(frame.id.starts_with(r#"[{"topic":"eqiad.mediawiki.recentchange","partition":0,""#));
    }
    assert!(seen[1]["timestamp"].is_i64(), "the idle topic had a canary");
}

/// The first frame after asking for this id.
async fn resumed(id: &str, target: &str) -> crate::common::Frame {
    let upstream = start(at_once(3_000)).await;
    upstream.events(target, &[("Last-Event-ID", id)], 1).await.remove(0)
}

fn at(topic: &str, key: &str, value: i64) -> String {
    format!("[{{\"topic\":\"{topic}\",\"partition\":0,\"{key}\":{value}}}]")
}

#[tokio::test]
async fn an_offset_in_the_id_is_where_the_topic_goes_on() {
    let offset = generator().offset(1_500);
    let frame = resumed(&at(EQIAD, "offset", offset as i64), STREAM).await;
    assert_eq!(frame.data, event(&generator(), 1_500));
}

#[tokio::test]
async fn a_timestamp_in_the_id_is_the_first_event_at_or_after_it() {
    let generator = generator();
    for n in [40, 700, 1_500] {
        let millis = generator.kafka_millis(n);
        let first = (0..3_000).find(|n| generator.topic(*n) == EQIAD && generator.kafka_millis(*n) >= millis);
        let frame = resumed(&at(EQIAD, "timestamp", millis), STREAM).await;
        assert_eq!(frame.data, event(&generator, first.expect("the event itself at the latest")));
    }
}

#[tokio::test]
async fn the_offset_is_preferred_to_the_timestamp() {
    let generator = generator();
    let both = json!([{ "topic": EQIAD, "partition": 0, "offset": generator.offset(900),
        "timestamp": generator.kafka_millis(100) }]);
    assert_eq!(resumed(&both.to_string(), STREAM).await.data, event(&generator, 900));
}

#[tokio::test]
async fn an_entry_with_both_is_lost_when_another_needs_a_look_up() {
    let generator = generator();
    let both = json!([
        { "topic": EQIAD, "partition": 0, "offset": generator.offset(900), "timestamp": generator.kafka_millis(100) },
        { "topic": CODFW, "partition": 0, "timestamp": START.millis() },
    ]);
    let frame = resumed(&both.to_string(), STREAM).await;
    assert_eq!(frame.topic(), CODFW);
    assert!(!frame.id.contains("eqiad"));
}

#[tokio::test]
async fn the_header_beats_since_and_narrows_the_topics() {
    let generator = generator();
    let frame = resumed(&at(CODFW, "offset", -2), &format!("{STREAM}?since={}", START.millis() + 40_000)).await;
    assert_eq!((frame.topic().as_str(), frame.json()["meta"]["domain"].as_str()), (CODFW, Some("canary")));
    let first = (0..3_000).find(|n| generator.topic(*n) == CODFW).expect("an idle canary");
    assert_eq!(frame.data, event(&generator, first));
    assert!(!frame.id.contains("eqiad"));
}

#[tokio::test]
async fn a_topic_s_name_begins_at_since_or_at_the_end() {
    let generator = generator();
    let since = generator.kafka_millis(1_200);
    let frame = resumed(&format!("[\"{EQIAD}\"]"), &format!("{STREAM}?since={since}")).await;
    assert!(frame.offset() <= generator.offset(1_200));
    assert!(frame.json()["meta"]["dt"].as_str() >= event_dt(&event(&generator, 1_200)).as_deref());
    let upstream = start(at_once(3_000)).await;
    let mut response = upstream.get(STREAM, &[("Last-Event-ID", &format!("[\"{EQIAD}\"]"))]).await;
    assert!(response.frames(0).await.is_empty() && response.is_silent().await);
}

fn event_dt(event: &[u8]) -> Option<String> {
    let event: Value = serde_json::from_slice(event).ok()?;
    event["meta"]["dt"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn the_resolved_offset_stands_in_the_id_until_an_event_comes() {
    let generator = generator();
    let canary = (0..3_000).find(|n| generator.topic(*n) == CODFW).expect("an idle canary");
    let upstream = start(at_once(3_000)).await;
    let frames = upstream.events(&format!("{STREAM}?since={}", START.millis()), &[], 1).await;
    let entry = format!("\"topic\":\"{CODFW}\",\"partition\":0,\"offset\":{}", generator.offset(canary));
    assert!(frames[0].id.contains(&entry), "{}", frames[0].id);
}

#[tokio::test]
async fn an_offset_out_of_range_is_silently_answered_from_the_end() {
    let generator = generator();
    for offset in [1, generator.offset(2_999) as i64 + 2, i64::MAX] {
        let upstream = start(at_once(3_000)).await;
        let mut response = upstream.get(STREAM, &[("Last-Event-ID", &at(EQIAD, "offset", offset))]).await;
        assert_eq!(response.status, 200);
        assert!(response.frames(0).await.is_empty() && response.is_silent().await, "{offset}");
    }
}

#[tokio::test]
async fn a_bad_last_event_id_is_400_with_its_text_as_the_reason() {
    let upstream = start(at_once(3)).await;
    for bad in ["", "garbage", "[]", "{}", r#"[{"topic":"x"}]"#] {
        let mut response = upstream.get(STREAM, &[("Last-Event-ID", bad)]).await;
        let body = response.body().await;
        assert_eq!((response.status, &body["name"]), (400, &json!("InvalidAssignmentError")), "{bad}");
        assert_eq!(body["origin"], "KafkaSSE");
        assert_eq!(body["statusCode"], 400);
        assert_eq!(body["last_event_id"], bad);
        assert_ne!(response.reason, "Bad Request");
    }
}

#[tokio::test]
async fn a_foreign_topic_is_404_and_names_those_there_are() {
    let upstream = start(at_once(3)).await;
    let mut response = upstream.get(STREAM, &[("Last-Event-ID", &at("eqiad.other", "offset", 1))]).await;
    let body = response.body().await;
    assert_eq!((response.status, &body["name"]), (404, &json!("TopicNotAvailableError")));
    assert_eq!(body["availableTopics"], json!([EQIAD, CODFW]));
}

#[tokio::test]
async fn an_unknown_stream_is_400_with_the_problem() {
    let upstream = start(at_once(3)).await;
    let mut response = upstream.get("/v2/stream/recentchange,nope,no?x=1", &[]).await;
    assert_eq!(response.status, 400);
    assert_eq!(
        response.body().await,
        json!({ "status": 400, "type": "not_found", "title": "Stream Not Found", "detail": "Invalid streams: nope,no",
            "method": "get", "uri": "/v2/stream/recentchange,nope,no?x=1" })
    );
}

#[tokio::test]
async fn since_takes_milliseconds_and_dates() {
    let generator = generator();
    let upstream = start(at_once(3_000)).await;
    let millis = generator.kafka_millis(1_000) / 1000 * 1000;
    let expected = (0..3_000).find(|n| generator.topic(*n) == EQIAD && generator.kafka_millis(*n) >= millis);
    let expected = event(&generator, expected.expect("such an event"));
    for since in [millis.to_string(), Timestamp::from_millis(millis).to_string()] {
        let frames = upstream.events(&format!("{STREAM}?since={since}"), &[], 1).await;
        assert_eq!(frames[0].data, expected, "{since}");
    }
    let frames = upstream.events(&format!("{STREAM}?since=20180614"), &[], 1).await;
    assert_eq!(frames[0].data, event(&generator, 0), "before all there is");
    let mut bad = upstream.get(&format!("{STREAM}?since=yesterday"), &[]).await;
    assert_eq!((bad.status, &bad.body().await["type"]), (400, &json!("invalid_timestamp")));
    let empty = upstream.events(&format!("{STREAM}?since="), &[], 1).await;
    assert_eq!(empty[0].data, event(&generator, 0), "an empty value is as none");
}

#[tokio::test]
async fn json_is_sent_as_lines_after_an_empty_one() {
    let upstream = start(at_once(3)).await;
    let mut response = upstream.get(STREAM, &[("Accept", "application/json, text/plain")]).await;
    let generator = generator();
    let mut expected = b"\n".to_vec();
    for n in 0..3 {
        generator.write_event(n, &mut expected);
        expected.push(b'\n');
    }
    assert_eq!(response.bytes(expected.len()).await, expected);
}

#[tokio::test]
async fn the_connection_is_cut_in_the_middle_of_things_when_its_time_is_up() {
    let cut_after = std::time::Duration::from_millis(50);
    let upstream = start(Options { cut_after, ..at_once(10) }).await;
    let mut response = upstream.get(STREAM, &[]).await;
    let (body, whole) = response.until_closed().await;
    assert_eq!(crate::common::frames(&body).len(), 10);
    assert!(!whole, "there is no last chunk");
    assert_eq!(upstream.simulator.stats().connections, 1);
}

#[tokio::test]
async fn aliases_and_repetitions_are_one_stream() {
    let upstream = start(at_once(20)).await;
    let expected = upstream.events(STREAM, &[], 20).await;
    for names in ["recentchange", "recentchange,mediawiki.recentchange", "mediawiki.recentchange%2Crecentchange"] {
        assert_eq!(upstream.events(&format!("/v2/stream/{names}"), &[], 20).await, expected, "{names}");
    }
}

#[tokio::test]
async fn the_spec_lists_every_name() {
    let upstream = start(at_once(1)).await;
    let spec = upstream.get("/?spec", &[]).await.body().await;
    let names = &spec["paths"]["/v2/stream/{streams}"]["get"]["parameters"][0]["schema"]["items"]["enum"];
    assert_eq!(names, &json!(["mediawiki.recentchange", "recentchange"]));
    assert!(spec["paths"]["/v2/stream/recentchange"].is_object());
    assert_eq!(upstream.simulator.describe()[0].topics, [EQIAD, CODFW]);
}

#[tokio::test]
async fn a_second_stream_has_topics_of_its_own() {
    let upstream = start(Options { page_creates: true, ..at_once(3_200) }).await;
    let described = upstream.simulator.describe();
    assert_eq!(described[1].topics, ["eqiad.mediawiki.page-create", "codfw.mediawiki.page-create"]);
    let events = async |names: &str, count| -> Vec<Vec<u8>> {
        let frames = upstream.events(&format!("/v2/stream/{names}"), &[], count).await;
        frames.into_iter().map(|frame| frame.data).collect()
    };
    let creates = events("page-create", 200).await;
    let changes = events("recentchange", 3_000).await;
    let both = events("page-create,mediawiki.recentchange", 3_200).await;
    let stream = |event: &[u8]| {
        let event: serde_json::Value = serde_json::from_slice(event).expect("JSON");
        event["meta"]["stream"].as_str().expect("a stream").to_owned()
    };
    let of = |name: &str| both.iter().filter(|event| stream(event) == name).cloned().collect::<Vec<_>>();
    assert!(of("mediawiki.page-create") == creates && of("mediawiki.recentchange") == changes);
    assert_eq!(stream(&both[15]), "mediawiki.page-create");
    let spec = upstream.get("/?spec", &[]).await.body().await;
    assert!(spec["paths"]["/v2/stream/page-create"].is_object());
}

#[tokio::test]
async fn the_small_routes_answer() {
    let upstream = start(at_once(1)).await;
    for (target, status, part) in [
        ("/", 303, ""),
        ("/rc", 301, ""),
        ("/_info", 200, "lakehead-simulator"),
        ("/_info/name", 200, "lakehead-simulator"),
        ("/_info/version", 200, "version"),
        ("/robots.txt", 200, "Disallow: /"),
        ("/?doc", 200, "mediawiki.recentchange"),
        ("/nowhere", 404, "not_found"),
    ] {
        let mut response = upstream.get(target, &[]).await;
        assert_eq!(response.status, status, "{target}");
        assert_eq!(response.header("access-control-allow-origin"), Some("*"));
        assert!(response.body().await.to_string().contains(part), "{target}");
    }
    assert_eq!(upstream.get("/", &[]).await.header("location"), Some("/?doc"));
}

#[tokio::test]
async fn a_client_has_so_many_connections_and_no_more() {
    let upstream = start(Options { connections_per_client: Some(1), ..at_once(1) }).await;
    assert_eq!(upstream.get(STREAM, &[]).await.status, 400, "the header is required");
    let mut first = upstream.get(STREAM, &[("X-Client-IP", "192.0.2.1")]).await;
    first.frames(1).await;
    let mut second = upstream.get(STREAM, &[("X-Client-IP", "192.0.2.1")]).await;
    assert_eq!((second.status, &second.body().await["type"]), (429, &json!("too_many_requests")));
    assert_eq!(upstream.get(STREAM, &[("X-Client-IP", "192.0.2.2")]).await.status, 200);
}

#[tokio::test]
async fn at_a_rate_events_appear_when_the_clock_says() {
    let options = Options { rate: 100.0, start: Some(START), ..Options::default() };
    let upstream = start_at(options, START.plus(std::time::Duration::from_secs(10))).await;
    let since = format!("{STREAM}?since={}", START.millis() - 1_000);
    let frames = upstream.events(&since, &[], 1_001).await;
    assert_eq!(frames.len(), 1_001, "event 0 at the start and event 1,000 ten seconds later");
    let mut now = upstream.get(STREAM, &[]).await;
    assert!(now.frames(0).await.is_empty() && now.is_silent().await, "without a position it begins now");
}
