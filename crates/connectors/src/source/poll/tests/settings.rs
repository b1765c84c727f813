//! Mistakes in the settings, each with one line that names its key and shows no secret.

use lakehead_connector_api::SourceSpec;
use serde_json::{Value, json};

use super::super::{Poll, config::Config};

fn check(settings: &Value) -> Result<(), String> {
    (SourceSpec::of::<Poll>().check)(settings)
}

fn with(changes: Value) -> Value {
    let mut settings = json!({ "url": "https://h/w?q={city}&k={key}", "every": "10m", "each": { "city": ["a"] }, "secrets": { "key": "secret" } });
    for (key, value) in changes.as_object().expect("a table") {
        settings[key] = value.clone();
        if value.is_null() {
            settings.as_object_mut().expect("a table").remove(key);
        }
    }
    settings
}

#[test]
fn settings_that_can_work_are_taken() {
    for changes in [
        json!({}),
        json!({ "every": null, "cron": "*/10 * * * *", "zone": "Europe/Athens" }),
        json!({ "url": "http://127.0.0.1:8000/", "each": {}, "secrets": {} }),
        json!({ "changed": ["dt", ["main", "temp"]], "events": "", "request_key": "request" }),
        json!({ "each": { "city": [1, 2, "São Paulo", "a/../b"] }, "headers": { "X-Api-Key": "secret" } }),
    ] {
        assert_eq!(check(&with(changes.clone())), Ok(()), "{changes}");
    }
}

#[test]
fn settings_that_cannot_work_are_refused_by_their_key() {
    let many: Vec<i64> = (0..401).collect();
    let twenty: Vec<i64> = (0..21).collect();
    let nine: serde_json::Map<String, Value> = (0..9).map(|n| (format!("n{n}"), json!([1]))).collect();
    let nine_places: String = (0..9).map(|n| format!("{{n{n}}}")).collect();
    for (changes, wanted) in [
        (json!({ "url": null }), "missing field `url`"),
        (json!({ "ulr": "x" }), "unknown field `ulr`"),
        (json!({ "url": "https://{city}/{key}" }), "url: places in braces may stand in the path and the query"),
        (json!({ "url": "https://h/{city}/{kee}" }), "url: {kee} has no value; set each = { kee ="),
        (json!({ "url": "https://h/{city}" }), "secrets: key is not in the address; put {key} into url"),
        (json!({ "url": "https://h/{key}" }), "each: city is not in the address"),
        (json!({ "each": { "city": [] } }), "each: city has no values"),
        (json!({ "each": { "city": ["a", "b", "a"] } }), "each: a value is there twice"),
        (json!({ "each": { "city": ["1", 1] } }), "each: a value is there twice"),
        (json!({ "each": { "city": [""] } }), "each: expected values of 1 to 256 bytes in city, found 0"),
        (json!({ "each": { "city": ["a\nb"] } }), "each: a value of city has characters"),
        (json!({ "each": { "city": [1.5] } }), "a value of a parameter is a text or a whole number"),
        (json!({ "each": { "city": many } }), "each: expected at most 400 requests, found 401: the cursor"),
        (json!({ "url": "https://h/{city}/{n}?{key}", "each": { "city": twenty, "n": twenty } }), "found 441"),
        (
            json!({ "url": format!("https://h/{nine_places}?{{key}}"), "each": nine }),
            "each: expected at most 8 names, found 9",
        ),
        (json!({ "url": "https://h/{city}/a?{key}", "each": { "city": [".."] } }), "must not be \".\" or \"..\""),
        (json!({ "each": { "city": ["a"], "key": ["b"] } }), "each and secrets: both have key"),
        (json!({ "secrets": { "key": "" } }), "secrets: expected 1 to 4096 bytes in key, found 0"),
        (json!({ "headers": { "If-None-Match": "secret" } }), "headers: If-None-Match is made for each request"),
        (json!({ "headers": { "A": "secret\n" } }), "headers: the value of A"),
        (json!({ "every": null }), "every or cron: expected one of them"),
        (json!({ "cron": "* * * * *" }), "every and cron: expected one of them, found both"),
        (json!({ "every": "10 minutes" }), "`every`: \"10 minutes\" is not a span of time"),
        (json!({ "every": "1ms" }), "every: expected 1s to 366d"),
        (json!({ "every": null, "cron": "*/10 * * *" }), "cron: \"*/10 * * *\" is no cron expression"),
        (json!({ "zone": "UTC" }), "zone: only with cron"),
        (json!({ "events": "a..b" }), "events: expected a path"),
        (json!({ "events": 7 }), "`events`: a path is text as in"),
        (json!({ "changed": [] }), "changed: expected 1 to 64 paths, found 0"),
        (json!({ "changed": "dt" }), "`changed`: expected true, false, or paths"),
        (json!({ "request_key": "" }), "request_key: expected 1 to 256 bytes"),
        (
            json!({ "url": "https://h/{asked}?{key}", "each": { "asked": ["a"] }, "request_key": "r" }),
            "the name asked has the time",
        ),
        (json!({ "requests_per_minute": 0 }), "requests_per_minute: expected 1 to 60000, found 0"),
        (json!({ "timeout": "1h" }), "timeout: expected 100ms to 10m"),
        (json!({ "body_bytes_max": "1 GiB" }), "body_bytes_max: expected 1 KiB to 64 MiB"),
    ] {
        let said = check(&with(changes.clone())).expect_err(wanted);
        assert!(said.contains(wanted) && !said.contains("secret\"") && !said.contains('\n'), "{changes}: {said}");
    }
}

#[test]
fn every_combination_is_asked_for_and_the_last_name_changes_fastest() {
    let settings = json!({ "url": "https://h/{b}?a={a}", "every": "1h", "each": { "a": ["x", "y"], "b": [1, 2] } });
    let config: Config = serde_json::from_value(settings).expect("settings");
    let requests = config.requests().expect("requests");
    let urls: Vec<&str> = requests.iter().map(|request| request.url.as_str()).collect();
    assert_eq!(urls, ["https://h/1?a=x", "https://h/2?a=x", "https://h/1?a=y", "https://h/2?a=y"]);
    assert_eq!(requests[1].label, "https://h/{b} (a=\"x\", b=\"2\")");
}

#[test]
fn a_key_that_changes_leaves_the_requests_what_they_were() {
    let ids = |url: &str, key: &str| {
        let settings = json!({ "url": url, "every": "1h", "each": { "city": ["a"] }, "secrets": { "key": key } });
        let config: Config = serde_json::from_value(settings).expect("settings");
        config.requests().expect("requests")[0].id.clone()
    };
    let one = ids("https://h/?q={city}&units=metric&k={key}", "one");
    assert_eq!(one, ids("https://h/?q={city}&units=metric&k={key}", "two"));
    assert_ne!(one, ids("https://h/?q={city}&units=imperial&k={key}", "one"), "another question");
}
