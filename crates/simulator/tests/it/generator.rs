//! The generated events: pure, valid, of the recorded shape, order, size and redundancy.

use std::io::Write as _;
use std::{collections::HashSet, io::Read, path::PathBuf};

use serde_json::Value;

use crate::common::{CODFW, event, generator};

const EVENTS: u64 = 30_000;

/// Made once: several tests look at them.
fn lines() -> &'static [Vec<u8>] {
    static LINES: std::sync::LazyLock<Vec<Vec<u8>>> = std::sync::LazyLock::new(made);
    &LINES
}

fn made() -> Vec<Vec<u8>> {
    let generator = generator();
    (0..EVENTS).map(|n| event(&generator, n)).collect()
}

fn json(line: &[u8]) -> Value {
    serde_json::from_slice(line).expect("every event is JSON")
}

#[test]
fn an_event_is_the_same_whenever_and_by_whomever_it_is_made() {
    let (one, other) = (generator(), generator());
    let forwards: Vec<_> = (0..2_000).map(|n| event(&one, n)).collect();
    for n in (0..2_000).rev() {
        assert_eq!(event(&other, n), forwards[n as usize], "event {n}");
    }
    let seed = lakehead_simulator::Generator::new(8, crate::common::START, 0.0);
    assert_ne!(event(&seed, 0), forwards[0]);
}

#[test]
fn fields_are_there_and_absent_as_on_the_wire() {
    let mut types = HashSet::new();
    for line in lines() {
        let event = json(line);
        let has = |key: &str| event.get(key).is_some();
        assert!(!line.contains(&b'\n') && !contains_null(&event), "{event}");
        if event["meta"]["domain"] == "canary" {
            assert_eq!(event.as_object().map(serde_json::Map::len), Some(2));
            continue;
        }
        assert_ne!(event["meta"]["topic"], CODFW, "the idle topic has canaries only");
        let kind = event["type"].as_str().expect("a type").to_owned();
        for key in
            ["$schema", "namespace", "title", "title_url", "comment", "timestamp", "bot", "wiki", "parsedcomment"]
        {
            assert!(has(key), "{key} of {event}");
        }
        let (edit, new, log) = (kind == "edit", kind == "new", kind == "log");
        assert_eq!(has("notify_url"), edit || new || kind == "categorize");
        assert_eq!((has("minor"), has("length"), has("revision")), (edit || new, edit || new, edit || new));
        assert!(!has("patrolled") || edit || new);
        assert!(has("patrolled") || !new);
        assert_eq!(event["revision"].get("old").is_some(), edit);
        for key in ["log_id", "log_type", "log_action", "log_params", "log_action_comment"] {
            assert_eq!(has(key), log);
        }
        assert!(has("id") || log);
        assert!(has("user") || edit);
        assert_eq!(event["title_url"], event["meta"]["uri"]);
        types.insert(kind);
    }
    assert_eq!(types.len(), 5, "edit, new, log, categorize and 142: {types:?}");
}

fn contains_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(contains_null),
        Value::Object(fields) => fields.values().any(contains_null),
        _ => false,
    }
}

#[test]
fn keys_stand_in_the_order_of_the_wire() {
    const ORDER: &str = "$schema meta uri request_id id domain stream dt topic partition offset id type namespace title \
        title_url comment timestamp user bot log_id log_type log_action log_params log_action_comment notify_url minor \
        patrolled length revision server_url server_name server_script_path wiki parsedcomment";
    for line in lines().iter().take(3_000) {
        let mut rest = ORDER.split_whitespace();
        let text = String::from_utf8(line.clone()).expect("utf-8");
        // Keys of objects inside are known; those of log_params are of many kinds.
        for key in keys(&text).filter(|key| ORDER.split_whitespace().any(|known| known == *key)) {
            assert!(rest.any(|next| next == key), "{key} is out of order in {text}");
        }
    }
}

/// The words that stand in quotes before a colon, outside strings.
fn keys(text: &str) -> impl Iterator<Item = &str> {
    text.split("\":")
        .filter_map(|part| part.rsplit_once('"'))
        .filter(|(before, _)| before.ends_with(['{', ',']))
        .map(|(_, key)| key)
}

#[test]
fn types_and_wikis_come_in_the_recorded_shares() {
    let mut count = std::collections::HashMap::<String, f64>::new();
    let mut wikis = HashSet::new();
    let (mut ids, mut events) = (HashSet::new(), 0.0);
    for line in lines() {
        let event = json(line);
        assert!(ids.insert(event["meta"]["id"].as_str().expect("an id").to_owned()));
        if let Some(kind) = event["type"].as_str() {
            *count.entry(kind.to_owned()).or_default() += 1.0;
            *count.entry(event["wiki"].as_str().expect("a wiki").to_owned()).or_default() += 1.0;
            wikis.insert(event["wiki"].to_string());
            events += 1.0;
        }
    }
    let share = |key: &str| count.get(key).copied().unwrap_or(0.0) / events;
    for (kind, least, most) in [
        ("edit", 0.53, 0.57),
        ("categorize", 0.34, 0.38),
        ("new", 0.04, 0.06),
        ("log", 0.03, 0.05),
        ("142", 1e-5, 1e-3),
    ] {
        assert!((least..most).contains(&share(kind)), "{kind} {}", share(kind));
    }
    for (wiki, least) in [("commonswiki", 0.25), ("wikidatawiki", 0.15), ("enwiki", 0.06)] {
        assert!(share(wiki) > least, "{wiki} {}", share(wiki));
    }
    assert!(wikis.len() > 150, "{}", wikis.len());
}

#[test]
fn event_times_run_backwards_as_recorded() {
    let (mut newest, mut behind) = (i64::MIN, Vec::new());
    for line in lines() {
        let event = json(line);
        let Some(timestamp) = event["timestamp"].as_i64() else { continue };
        let dt: lakehead_model::Timestamp =
            event["meta"]["dt"].as_str().and_then(|dt| dt.parse().ok()).expect("a time");
        assert!((0..70_000).contains(&(dt.millis() - timestamp * 1000)), "{event}");
        if newest > i64::MIN {
            behind.push((newest - timestamp).max(0));
        }
        newest = newest.max(timestamp);
    }
    behind.sort_unstable();
    let quantile = |part: f64| behind[(behind.len() as f64 * part) as usize];
    let late = behind.iter().filter(|behind| **behind > 0).count() as f64 / behind.len() as f64;
    assert!((0.48..0.78).contains(&late), "{late}");
    assert!(quantile(0.5) <= 1 && quantile(0.9) == 2, "{} {}", quantile(0.5), quantile(0.9));
    assert!((4..=6).contains(&quantile(0.99)) && (14..=22).contains(&quantile(0.999)));
    assert!(*behind.last().expect("events") <= 64);
}

#[test]
fn sizes_are_those_of_the_wire() {
    let mut sizes: Vec<usize> = lines().iter().map(Vec::len).collect();
    sizes.sort_unstable();
    let quantile = |part: f64| sizes[(sizes.len() as f64 * part) as usize];
    assert!((1_030..1_140).contains(&quantile(0.5)), "median {}", quantile(0.5));
    assert!((1_700..2_500).contains(&quantile(0.99)), "p99 {}", quantile(0.99));
}

/// The recorded events of a file beside the repository, if it is there.
fn recorded(name: &str) -> Option<Vec<u8>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/recentchange").join(name);
    let Ok(stored) = std::fs::read(&path) else {
        let _ = writeln!(std::io::stdout(), "SKIPPED recordings: there is no recording {}", path.display());
        return None;
    };
    let mut bytes = Vec::new();
    flate2::read::MultiGzDecoder::new(stored.as_slice()).read_to_end(&mut bytes).expect("a gzip file");
    Some(bytes)
}

/// How much smaller zstd makes it, in blocks of 1 MiB as the store's.
fn ratio(bytes: &[u8], level: i32) -> f64 {
    let stored: usize =
        bytes.chunks(1 << 20).map(|block| zstd::bulk::compress(block, level).expect("it compresses").len()).sum();
    bytes.len() as f64 / stored as f64
}

#[test]
fn events_compress_as_recorded_ones_do() {
    let generated = lines().join(&b'\n');
    for name in ["raw_2021-08_kirajano.jsonl.gz", "firehose_2023-01-25_349s.jsonl.gz"] {
        let Some(recorded) = recorded(name) else { continue };
        for level in [1, 9] {
            let (ours, theirs) = (ratio(&generated, level), ratio(&recorded, level));
            println!("{name}, level {level}: generated {ours:.2}, recorded {theirs:.2}");
            assert!((ours / theirs - 1.0).abs() <= 0.1, "{name}, level {level}: {ours:.2} against {theirs:.2}");
        }
    }
}

/// What a parser's work depends on: quotes by the byte, backslashes by the event.
fn parser_s_work(lines: &[u8]) -> [f64; 2] {
    let count = |byte: u8| memchr::memchr_iter(byte, lines).count() as f64;
    [count(b'"') / lines.len() as f64, count(b'\\') / count(b'\n')]
}

#[test]
fn events_give_a_parser_as_much_to_do_as_recorded_ones() {
    let generated = parser_s_work(&lines().join(&b'\n'));
    for name in ["raw_2021-08_kirajano.jsonl.gz", "firehose_2023-01-25_349s.jsonl.gz"] {
        let Some(recorded) = recorded(name) else { continue };
        for (ours, theirs) in generated.iter().zip(parser_s_work(&recorded)) {
            println!("{name}: generated {ours:.4}, recorded {theirs:.4}");
            assert!((ours / theirs - 1.0).abs() <= 0.1, "{name}: {ours} against {theirs}");
        }
    }
}
