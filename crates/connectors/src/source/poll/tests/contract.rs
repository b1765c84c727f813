//! The suite of sources, against the imitation.

use lakehead_testkit::conformance;
use serde_json::json;

use super::{
    super::Poll,
    world::{answer, api, now, ok, settings, weather},
};

#[tokio::test]
async fn keeps_the_source_contract() {
    // Each answer is so large that three of them fill a chunk.
    let body = |city: &str| weather(city, 1_640_750_154, "23.45").replace("stations", &"s".repeat(100 << 10));
    let api = api(move |_, query| ok(body(&query["q"]))).await;
    let cities: Vec<String> = (0..24).map(|n| format!("City {n}")).collect();
    let cities: Vec<&str> = cities.iter().map(String::as_str).collect();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let expected: Vec<Vec<u8>> = cities.iter().map(|city| body(city).into_bytes()).collect();
    conformance::source::<Poll, _>(|| async { settings(&api, &cities) }, now(), &expected).await;
}

#[tokio::test]
async fn keeps_it_with_lists_of_events_that_fill_many_chunks() {
    let list = |city: &str| -> Vec<String> { (0..40).map(|n| weather(city, n, &"1".repeat(20_000))).collect() };
    let body = move |city: &str| format!("{{\"cnt\":40, \"list\":[\n{}\n]}}", list(city).join(",\n"));
    let api = api(move |_, query| answer("200 OK", "ETag: \"a\"\r\n", body(&query["q"]))).await;
    let cities = ["a", "b", "c"];
    let settings = || async {
        let mut settings = settings(&api, &cities);
        (settings["events"], settings["changed"]) = (json!("list"), json!(true));
        settings
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let expected: Vec<Vec<u8>> = cities.iter().flat_map(|city| list(city)).map(String::into_bytes).collect();
    conformance::source::<Poll, _>(settings, now(), &expected).await;
}
