//! The built-in templates look like what they stand for, and what belongs together in an event goes together.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::events;

/// Messages of the three producers whose place the templates take, as a public project shows them: a faker service,
/// OpenWeatherMap, Wikimedia's EventStreams.
const PERSON: &str = r#"{"name":"John Doe","gender":"Male","address":"123 Main St, Cityville, State, 12345","year":1990,"email":"john.doe@example.com","phone_number":"+1234567890","job":"Software Engineer","company":"Tech Solutions Inc.","country":"United States","city":"Cityville","date_time":"2023-12-08 15:30:00","credit_card_number":"1234-5678-9012-3456"}"#;
const WEATHER: &str = r#"{"coord":{"lon":-73.9352,"lat":40.7306},"weather":[{"id":800,"main":"Clear","description":"clear sky","icon":"01n"}],"base":"stations","main":{"temp":23.45,"feels_like":16.78,"temp_min":22.05,"temp_max":24.86,"pressure":1020,"humidity":31},"visibility":10000,"wind":{"speed":2.68,"deg":218,"gust":2.83},"clouds":{"all":0},"dt":1640750154,"sys":{"type":2,"id":2038214,"country":"US","sunrise":1640693773,"sunset":1640730054},"timezone":-18000,"id":5128581,"name":"New York","cod":200}"#;
const RECENTCHANGE: &str = r#"{"$schema":"/mediawiki/recentchange/1.0.0","meta":{"uri":"https://commons.wikimedia.org/wiki/File:X.wav","request_id":"0cbe9b48-09db-401f-9bbe-8cd8e1c6d220","id":"da75cd5f-4dc4-4954-8a88-b5b6d4fec7e4","dt":"2022-12-11T04:27:02Z","domain":"commons.wikimedia.org","stream":"mediawiki.recentchange","topic":"eqiad.mediawiki.recentchange","partition":0,"offset":4369496612},"id":2071131497,"type":"edit","namespace":6,"title":"File:X.wav","comment":"Adding structured data","timestamp":1670732822,"user":"BotMultichillT","bot":true,"minor":false,"patrolled":true,"length":{"old":344,"new":1345},"revision":{"old":713974786,"new":714098323},"server_url":"https://commons.wikimedia.org","server_name":"commons.wikimedia.org","server_script_path":"/w","wiki":"commonswiki","parsedcomment":"Adding structured data"}"#;

fn made(template: &str, count: u64) -> Vec<Value> {
    let settings = json!({ "template": template, "seed": 4, "start": "2026-01-01T12:00:00Z" });
    events(settings, 0..count).iter().map(|event| serde_json::from_slice(event).expect("JSON")).collect()
}

/// The keys and types of a value: whole numbers are told from others, texts from their form.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), shape(value))).collect(),
        Value::Array(elements) => elements.iter().map(shape).collect(),
        Value::Number(number) => if number.is_f64() { "number" } else { "whole" }.into(),
        Value::Bool(_) => "boolean".into(),
        Value::String(text) if text.chars().all(|c| c.is_ascii_digit() || "-: +TZ".contains(c)) => {
            text.replace(|c: char| c.is_ascii_digit(), "0").into()
        }
        Value::String(_) => "text".into(),
        Value::Null => Value::Null,
    }
}

#[test]
fn weather_and_changes_have_the_keys_and_types_of_the_samples() {
    for (template, sample) in [("weather", WEATHER), ("recentchange", RECENTCHANGE)] {
        let sample = shape(&serde_json::from_str(sample).expect("JSON"));
        for event in made(template, 300).iter().filter(|event| event["type"] != "new") {
            assert_eq!(shape(event), sample, "{template}: {event}");
        }
    }
}

#[test]
fn people_have_the_twelve_fields_of_the_sample_in_its_order_and_form() {
    let sample = shape(&serde_json::from_str(PERSON).expect("JSON"));
    let keys = |text: &str| -> Vec<String> {
        let at = |key: &String| text.find(&format!("\"{key}\":")).expect("it is there");
        let mut keys: Vec<String> = sample.as_object().expect("an object").keys().cloned().collect();
        keys.sort_by_key(at);
        keys
    };
    let settings = json!({ "template": "people", "seed": 4 });
    let first = String::from_utf8(events(settings, 0..1).remove(0)).expect("text");
    assert_eq!(keys(&first), keys(PERSON));
    for mut person in made("people", 2_000) {
        let phone = person["phone_number"].take();
        let phone = phone.as_str().expect("text");
        assert!(phone.len() == 12 && phone.starts_with("+1") && phone[5..10] == *"55501", "for fiction: {phone}");
        person["phone_number"] = "+1234567890".into();
        assert_eq!(shape(&person), sample, "{person}");
        let text = |key: &str| person[key].as_str().expect("text").to_owned();
        let (name, domain) = text("email").split_once('@').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("a mail");
        assert!(domain.starts_with("example.") && name.split('.').all(|part| !part.is_empty()), "{name} {domain}");
        assert_eq!(text("address").split(", ").count(), 4, "{}", text("address"));
        assert!(text("name").contains(' ') && (1940..=2010).contains(&person["year"].as_i64().expect("a year")));
        assert!(text("credit_card_number").starts_with('0'), "no card begins so");
        assert!(("2020-01-01 00:00:00".to_owned().."2026-01-01 00:00:00".to_owned()).contains(&text("date_time")));
    }
}

#[test]
fn people_differ_and_repeat_as_people_do() {
    let people = made("people", 5_000);
    let different = |key: &str| {
        let mut values: BTreeMap<String, u32> = BTreeMap::new();
        people.iter().for_each(|person| *values.entry(person[key].to_string()).or_default() += 1);
        values.len()
    };
    assert!(different("name") > 4_900 && different("credit_card_number") == 5_000 && different("email") > 4_800);
    assert_eq!((different("gender"), different("year")), (3, 71));
    assert!((100..=260).contains(&different("country")), "{}", different("country"));
}

#[test]
fn what_belongs_together_in_a_change_goes_together() {
    let changes = made("recentchange", 2_000);
    let mut wikis: BTreeMap<String, String> = BTreeMap::new();
    for (n, change) in changes.iter().enumerate() {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let (wiki, domain) = (text(&change["wiki"]), text(&change["server_name"]));
        assert_eq!(wikis.entry(wiki).or_insert_with(|| domain.clone()), &domain);
        assert_eq!((&change["meta"]["domain"], &change["comment"]), (&change["server_name"], &change["parsedcomment"]));
        let page = text(&change["title"]).replace(' ', "_");
        assert_eq!(text(&change["meta"]["uri"]), format!("https://{domain}/wiki/{page}"));
        assert_eq!(text(&change["server_url"]), format!("https://{domain}"));
        let is_new = change["type"] == "new";
        assert_eq!((change["length"]["old"].is_null(), change["revision"]["old"].is_null()), (is_new, is_new));
        assert_eq!(change["meta"]["offset"], 4_369_496_612_u64 + n as u64);
        // By the rate of 10: the second of the n-th.
        assert_eq!(change["timestamp"], 1_767_268_800 + n as u64 / 10);
    }
    let new = changes.iter().filter(|change| change["type"] == "new").count();
    assert!(wikis.len() == 9 && (240..360).contains(&new), "{new}");
}

#[test]
fn weather_changes_slowly_and_its_numbers_agree() {
    let reports = made("weather", 2_000);
    let number = |report: &Value, key: &str| report["main"][key].as_f64().expect("a number");
    for two in reports.windows(2) {
        assert!((number(&two[0], "temp") - number(&two[1], "temp")).abs() < 0.55);
        assert!((number(&two[0], "pressure") - number(&two[1], "pressure")).abs() <= 2.0);
    }
    for report in &reports {
        let (temp, least, most) = (number(report, "temp"), number(report, "temp_min"), number(report, "temp_max"));
        assert!((temp - least - 1.4).abs() < 0.011 && (most - temp - 1.41).abs() < 0.011, "{report}");
        assert!(report["sys"]["sunrise"].as_u64() < report["sys"]["sunset"].as_u64());
        assert_eq!(report["weather"][0]["id"] == 800, report["weather"][0]["description"] == "clear sky");
    }
}

#[test]
fn own_fields_come_to_those_of_a_template_or_in_their_place() {
    let settings = json!({
        "template": "people", "event_time": "dt", "start": "2026-01-01T00:00:00Z",
        "fields": { "year": { "constant": 1984 }, "shoe_size": { "int": [36, 46] } },
    });
    let event = String::from_utf8(events(settings, 0..1).remove(0)).expect("text");
    assert!(event.starts_with(r#"{"dt":"2026-01-01T00:00:00Z","name":""#), "{event}");
    assert!(event.contains(r#","year":1984,"email""#) && event.contains(r#","shoe_size":"#), "{event}");
    let plain = json!({ "template": "people" });
    let plain: Value = serde_json::from_slice(&events(plain, 0..1)[0]).expect("JSON");
    let event: Value = serde_json::from_str(&event).expect("JSON");
    assert_eq!(event["name"], plain["name"], "a field that is added changes no other");
}
