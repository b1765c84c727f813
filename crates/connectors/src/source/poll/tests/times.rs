//! When requests are made: nothing here waits, the clock is set.

use std::time::Duration;

use lakehead_model::Timestamp;
use serde_json::json;

use super::world::{Shore, api, is_at_work, ok, settings, weather};

/// How many requests came at each of these times after the opening.
async fn asked_at(seconds: &[i64], schedule: &[(&str, serde_json::Value)], reopen: bool) -> Vec<usize> {
    let api = api(|n, query| ok(weather(&query["q"], n as i64, "7"))).await;
    let mut shore = Shore::new(settings(&api, &["a"]));
    schedule.iter().for_each(|(key, value)| shore.set(key, value.clone()));
    let mut poller = shore.open();
    let (opened, mut counts) = (super::world::now(), Vec::new());
    for second in seconds {
        shore.clock.set(Timestamp(opened.0 + second * 1_000_000));
        if reopen {
            poller = shore.open();
        }
        let before = api.requests().len();
        shore.until_idle(&mut poller).await.expect("no error");
        assert!(!is_at_work(&mut poller).await);
        counts.push(api.requests().len() - before);
    }
    counts
}

#[tokio::test]
async fn an_interval_is_kept_to_across_restarts_and_a_long_sleep_is_made_up_for_once() {
    for reopen in [false, true] {
        let times = [0, 1, 599, 600, 601, 1_200, 100_000, 100_001, 100_599, 100_600];
        assert_eq!(asked_at(&times, &[], reopen).await, [1, 0, 0, 1, 0, 1, 1, 0, 0, 1], "reopened: {reopen}");
    }
}

#[tokio::test]
async fn cron_keeps_to_its_times_and_makes_up_for_those_it_missed_once() {
    let cron = [("every", json!(null)), ("cron", json!("*/10 * * * *")), ("zone", json!("Europe/Athens"))];
    // It opens at 12:00:00, so that the first time is 12:10.
    let times = [0, 599, 600, 601, 1_200, 1_201, 10_000, 10_001, 10_199, 10_200];
    assert_eq!(asked_at(&times, &cron, false).await, [0, 0, 1, 0, 1, 0, 1, 0, 0, 1]);
    // 12:10, then down from 12:10:01 to 15:00: one request for the seventeen that were missed.
    let api = api(|n, query| ok(weather(&query["q"], n as i64, "7"))).await;
    let mut shore = Shore::new(settings(&api, &["a"]));
    cron.iter().for_each(|(key, value)| shore.set(key, value.clone()));
    let mut poller = shore.open();
    shore.clock.advance(Duration::from_secs(600));
    shore.until_idle(&mut poller).await.expect("no error");
    shore.clock.advance(Duration::from_secs(10_199));
    let mut poller = shore.open();
    shore.until_idle(&mut poller).await.expect("no error");
    assert_eq!(api.requests().len(), 2);
}

#[tokio::test]
async fn a_clock_that_jumps_makes_neither_a_flood_nor_a_silence() {
    let year = 365 * 86_400;
    for (reopen, back) in [(false, 0), (true, 1)] {
        // Ahead by a year and back again: asked for once there; then an interval after the way back was seen, or at once by a
        // source that opens and cannot know how long ago it was.
        let times = [0, year, 1, 600, 601, 1_200];
        assert_eq!(asked_at(&times, &[], reopen).await, [1, 1, back, 0, 1, 0], "reopened: {reopen}");
        // Back by two seconds, as clocks are corrected: nothing follows.
        assert_eq!(asked_at(&[0, -2, 597, 600], &[], reopen).await, [1, 0, 0, 1], "reopened: {reopen}");
    }
}
