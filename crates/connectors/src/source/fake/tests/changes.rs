//! What happens when the settings change between two openings: the numbers go on, and each event is by the settings of its time.

use serde_json::{Value, json};

use super::{events, opened};

async fn rest(settings: Value, cursors: &[Option<&str>]) -> Vec<Vec<u8>> {
    let mut opened = opened(settings, cursors).await.expect("it opens");
    let mut got = Vec::new();
    while let Some(chunk) = opened.reader.next().await.expect("no error") {
        got.extend(chunk.events.events().map(<[u8]>::to_vec));
    }
    got
}

#[tokio::test]
async fn another_template_or_seed_goes_on_with_the_next_number() {
    for after in [
        json!({ "template": "people", "count": 40, "rate": 100_000, "seed": 8 }),
        json!({ "template": "recentchange", "count": 40, "rate": 100_000, "start": "2026-01-01T00:00:00Z" }),
        json!({ "fields": { "n": { "sequence": 0 } }, "event_time": "", "count": 40, "rate": 50_000 }),
    ] {
        assert_eq!(rest(after.clone(), &[Some("25")]).await, events(after, 25..40));
    }
}

#[tokio::test]
async fn another_rate_changes_no_event_but_the_times_that_follow_from_it() {
    let at =
        |rate: u64, start: Option<&str>| json!({ "template": "weather", "count": 30, "rate": rate, "start": start });
    let with_time = |rate| at(rate, Some("2026-01-01T00:00:00Z"));
    assert_eq!(rest(with_time(1_000), &[Some("20")]).await, events(with_time(1_000), 20..30));
    let dt = |events: Vec<Vec<u8>>| serde_json::from_slice::<Value>(&events[0]).expect("JSON")["dt"].as_u64();
    assert_eq!(dt(events(with_time(10), 20..21)), Some(1_767_225_602));
    assert_eq!(dt(events(with_time(1), 20..21)), Some(1_767_225_620));
    let without = |rate| events(at(rate, None), 20..30);
    assert_eq!(without(1), without(1_000));
}

#[tokio::test]
async fn a_count_below_what_was_made_ends_it_and_a_greater_one_goes_on() {
    let count =
        |count: u64| json!({ "fields": { "n": { "sequence": 0 } }, "event_time": "", "count": count, "rate": 100_000 });
    assert!(rest(count(10), &[Some("25")]).await.is_empty());
    assert_eq!(rest(count(26), &[Some("25")]).await, [b"{\"n\":25}"]);
}

#[tokio::test]
async fn a_restart_at_every_number_makes_the_same_events() {
    let settings = json!({ "template": "people", "count": 12, "rate": 100_000, "seed": 3 });
    let all = events(settings.clone(), 0..12);
    for n in 0..=12 {
        let cursor = n.to_string();
        assert_eq!(rest(settings.clone(), &[Some(&cursor)]).await, all[n..]);
    }
}
