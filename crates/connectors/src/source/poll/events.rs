//! The events of an answer: the answer itself, or the elements of an array in it, byte for byte. Pure.

use std::borrow::Cow;

use bytes::Bytes;
use lakehead_json::{Paths, Raw, Refusal, check_event, on_one_line, validate};
use lakehead_model::{EVENT_BYTES_MAX, Timestamp};

use super::config::{AnswerPath, Config};

/// Most events of an answer.
const EVENTS_MAX: usize = 100_000;

/// Takes answers apart.
pub(super) struct AnswerReader {
    /// Where the array of events stands, and its path in words.
    array: Option<(Paths, String)>,
    stamp: Option<StampKey>,
}

/// Under which key an event gets what was asked.
struct StampKey {
    key: String,
    paths: Paths,
}

impl AnswerReader {
    pub(super) fn new(config: &Config) -> Self {
        let array = config.events.as_ref().map(AnswerPath::keys);
        let stamp = config.request_key.clone();
        Self {
            array: array.map(|keys| (Paths::new(std::slice::from_ref(&keys)), keys.join("."))),
            stamp: stamp.map(|key| StampKey { paths: Paths::new(&[vec![key.clone()]]), key }),
        }
    }

    /// The events of `body`, in order.
    ///
    /// # Errors
    /// Why it has none.
    pub(super) fn events(&self, body: &Bytes) -> Result<Vec<Bytes>, String> {
        let document = body.trim_ascii();
        let Some((paths, words)) = &self.array else {
            check_event(document).map_err(|refusal| format!("answered with what is no event: {refusal}"))?;
            return Ok(vec![body.slice_ref(document)]);
        };
        validate(document).map_err(|error| format!("answered with what is no event: not JSON: {error}"))?;
        let mut at = [None];
        paths.extract(document, &mut at);
        let found = match at[0].map(Raw::bytes).and_then(<[u8]>::first) {
            Some(b'[') => None,
            Some(b'{') => Some("an object"),
            Some(b'"') => Some("a text"),
            Some(_) => Some("a number, true, false or null"),
            None => Some("nothing"),
        };
        let Some(elements) = at[0].and_then(Raw::elements) else {
            let found = found.unwrap_or_default();
            return Err(format!(
                "answered without an array of events: expected it at {words:?} (events), found {found}"
            ));
        };
        let events: Vec<Bytes> = elements.take(EVENTS_MAX + 1).map(|event| body.slice_ref(event.bytes())).collect();
        if events.len() > EVENTS_MAX {
            return Err(format!("answered with more than {EVENTS_MAX} events; ask for fewer at once"));
        }
        Ok(events)
    }

    /// What each event of an answer gets, where it gets something: `"request":{"asked":"…","city":"Athens"}`.
    pub(super) fn stamp(&self, parameters: &[(String, String)], asked: Timestamp) -> Option<Vec<u8>> {
        let StampKey { key, .. } = self.stamp.as_ref()?;
        let json = |text: &str| serde_json::to_string(text).expect("a text is always JSON");
        let mut stamp = format!("{}:{{\"asked\":\"{asked}\"", json(key));
        for (name, value) in parameters {
            stamp.push_str(&format!(",{}:{}", json(name), json(value)));
        }
        stamp.push('}');
        Some(stamp.into_bytes())
    }

    /// An event as it is kept, on one line, with its stamp.
    ///
    /// # Errors
    /// Why it cannot be.
    pub(super) fn event<'e>(&self, event: &'e [u8], stamp: Option<&[u8]>) -> Result<Cow<'e, [u8]>, String> {
        if event.len() > EVENT_BYTES_MAX {
            return Err(Refusal::TooLarge(event.len()).to_string());
        }
        let line = on_one_line(event);
        let (Some(StampKey { key, paths }), Some(stamp)) = (&self.stamp, stamp) else { return Ok(line) };
        let Some(members) = line.strip_prefix(b"{") else {
            return Err(format!("request_key: the event is no object, and cannot get {key:?}"));
        };
        let mut own = [None];
        paths.extract(&line, &mut own);
        if own[0].is_some() {
            return Err(format!("request_key: the event has {key:?} already; choose another key"));
        }
        let mut stamped = Vec::with_capacity(line.len() + stamp.len() + 1);
        stamped.push(b'{');
        stamped.extend_from_slice(stamp);
        if members.trim_ascii_start() != b"}" {
            stamped.push(b',');
        }
        stamped.extend_from_slice(members);
        if stamped.len() > EVENT_BYTES_MAX {
            return Err(Refusal::TooLarge(stamped.len()).to_string());
        }
        Ok(stamped.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reader(settings: serde_json::Value) -> AnswerReader {
        let mut settings = settings;
        settings["url"] = json!("http://h/");
        AnswerReader::new(&serde_json::from_value(settings).expect("settings"))
    }

    fn events(path: Option<&str>, body: &str) -> Result<Vec<String>, String> {
        let settings = path.map_or(json!({}), |path| json!({ "events": path }));
        let events = reader(settings).events(&Bytes::copy_from_slice(body.as_bytes()))?;
        Ok(events.iter().map(|event| String::from_utf8_lossy(event).into_owned()).collect())
    }

    #[test]
    fn an_answer_is_an_event_or_has_an_array_of_them() {
        assert_eq!(events(None, " {\"a\": 1.50}\n"), Ok(vec!["{\"a\": 1.50}".to_owned()]));
        assert_eq!(events(None, "[1]"), Ok(vec!["[1]".to_owned()]));
        let list = r#"{"cnt":2,"list":[ {"a":1e400} , "x" ],"list":7}"#;
        assert_eq!(events(Some("list"), list), Ok(vec!["{\"a\":1e400}".to_owned(), "\"x\"".to_owned()]));
        assert_eq!(events(Some(""), "[1, [2]]"), Ok(vec!["1".to_owned(), "[2]".to_owned()]));
        assert_eq!(events(Some("a.b"), r#"{"a":{"b":[]}}"#), Ok(Vec::new()));
    }

    #[test]
    fn what_has_no_events_is_said() {
        for (path, body, wanted) in [
            (None, "<html>", "not JSON"),
            (None, "", "not JSON"),
            (None, "{\"a\":NaN}", "not JSON"),
            (Some("list"), "{\"list\":[1,]}", "not JSON"),
            (Some("list"), "{\"message\":\"x\"}", "expected it at \"list\" (events), found nothing"),
            (Some("list"), "{\"list\":{}}", "found an object"),
            (Some("list"), "{\"list\":null}", "found a number, true, false or null"),
            (Some("list"), "[1]", "found nothing"),
            (Some(""), "\"x\"", "found a text"),
        ] {
            let said = events(path, body).expect_err(wanted);
            assert!(said.contains(wanted), "{said}");
        }
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        assert!(events(Some(""), &deep).is_err());
        let many = format!("[{}1]", "1,".repeat(EVENTS_MAX));
        assert!(events(Some(""), &many).expect_err("too many").contains("more than 100000 events"));
    }

    #[test]
    fn an_event_gets_what_was_asked_and_stays_as_it_was() {
        let reader = reader(json!({ "request_key": "request" }));
        let parameters = [("city".to_owned(), "a\"b".to_owned())];
        let stamp = reader.stamp(&parameters, Timestamp(0)).expect("a stamp");
        let event = |text: &'static str| {
            let event = reader.event(text.as_bytes(), Some(&stamp));
            event.map(|event| String::from_utf8_lossy(&event).into_owned())
        };
        let request = r#""request":{"asked":"1970-01-01T00:00:00Z","city":"a\"b"}"#;
        assert_eq!(event("{\"x\": 1.0 }"), Ok(format!("{{{request},\"x\": 1.0 }}")));
        assert_eq!(event("{ }"), Ok(format!("{{{request} }}")));
        assert!(event("[1]").expect_err("no object").contains("no object"));
        assert!(event("{\"a\":1,\"request\":2}").expect_err("there twice").contains("has \"request\" already"));
    }
}
