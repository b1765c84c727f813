//! When an event happened, by its stream's schema.

use std::fmt;

use lakehead_model::{EventTimeRule, StreamSchema, TimeRule, Timestamp};

use crate::{
    NotATime, Paths, Raw, TimeReader,
    time_reader::{Shown, cure, written},
};

/// Rules that are looked for in one walk. A schema may have more; the next walk happens only when these found nothing.
const RULES_A_WALK: usize = 8;

/// Finds an event's time: the first of the schema's rules whose value is there and readable.
#[derive(Clone, Debug)]
pub struct EventTimes {
    walks: Vec<(Paths, Vec<TimeReader>)>,
    rules: Vec<EventTimeRule>,
    rule: TimeRule,
}

impl EventTimes {
    /// Prepares the rules of `schema`. Text without a zone in a zone that does not exist is no time; whoever reads a
    /// pipeline has checked that there is none such.
    #[must_use]
    pub fn new(schema: &StreamSchema) -> Self {
        let walks = schema.event_time.chunks(RULES_A_WALK).map(|rules| {
            let paths: Vec<_> = rules.iter().map(|rule| rule.path.clone()).collect();
            (Paths::new(&paths), rules.iter().map(reader).collect())
        });
        Self { walks: walks.collect(), rules: schema.event_time.clone(), rule: schema.time_rule() }
    }

    /// By which rule that is.
    #[must_use]
    pub fn rule(&self) -> TimeRule {
        self.rule
    }

    /// The rules, in order.
    #[must_use]
    pub fn rules(&self) -> &[EventTimeRule] {
        &self.rules
    }

    /// Whether its events have no time by the schema itself.
    #[must_use]
    pub fn none_wanted(&self) -> bool {
        self.rules.is_empty()
    }

    /// The event time of `document`, which must be valid; `None` when no rule finds one.
    #[must_use]
    pub fn of(&self, document: &[u8]) -> Option<Timestamp> {
        self.walks.iter().find_map(|(paths, readers)| {
            let mut found = [None; RULES_A_WALK];
            paths.extract(document, &mut found);
            readers.iter().zip(found).find_map(|(reader, raw)| reader.read(raw?).ok())
        })
    }

    /// Why `document` has no event time. It is for a person: what is there, what it looks like, and what to write so that it
    /// is one.
    #[must_use]
    pub fn why_none(&self, document: &[u8]) -> NoTime {
        let mut why: Option<NoTime> = None;
        for (rules, (paths, readers)) in self.rules.chunks(RULES_A_WALK).zip(&self.walks) {
            let mut found = [None; RULES_A_WALK];
            paths.extract(document, &mut found);
            for ((rule, reader), raw) in rules.iter().zip(readers).zip(found) {
                let Some(raw) = raw.filter(|raw| !raw.is_null()) else { continue };
                let no = match reader.read(raw) {
                    Ok(_) => continue,
                    Err(no) => no,
                };
                // Of several formats for one field the one says most that knows it for a time.
                if why.is_none() || no == NotATime::Range {
                    why = Some(self.explained(rule, raw, no));
                }
            }
        }
        why.unwrap_or_else(|| self.missing())
    }

    fn explained(&self, rule: &EventTimeRule, raw: Raw<'_>, no: NotATime) -> NoTime {
        let path = rule.path.join(".");
        let value = Shown(raw);
        NoTime(match (no, cure(&rule.path, raw)) {
            (_, Some((looks, cure))) => {
                format!("{path} is {value}, which is not read as a time; it looks like {looks}: set {cure}")
            }
            (NotATime::Range, None) => {
                format!("{path} is {value}, which is outside of the years 1678 to 2261, and so no time here")
            }
            (_, None) => {
                let formats: Vec<_> = self
                    .rules
                    .iter()
                    .filter(|other| other.path == rule.path)
                    .map(|other| other.format.name())
                    .collect();
                format!("{path} is {value}, which is no time as {} has it", formats.join(" or "))
            }
        })
    }

    fn missing(&self) -> NoTime {
        let mut paths: Vec<String> = Vec::new();
        for rule in &self.rules {
            let path = written(&rule.path);
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        NoTime(match paths.as_slice() {
            [] => "the stream has no event_time".to_owned(),
            paths => format!(
                "there is no {}; name the field that says when it happened, as in event_time = \"dt\", or set event_time = [] \
                 where no event has one",
                paths.join(", no ")
            ),
        })
    }
}

fn reader(rule: &EventTimeRule) -> TimeReader {
    TimeReader::new(rule).unwrap_or_else(|_| TimeReader::of(rule.format))
}

/// Why an event has no event time, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoTime(pub String);

impl fmt::Display for NoTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use lakehead_model::TimeFormat;

    use super::*;

    fn why(format: TimeFormat, event: &str) -> String {
        let rule = EventTimeRule { path: vec!["ts".into()], format, zone: None };
        let times = EventTimes::new(&StreamSchema { event_time: vec![rule], columns: Vec::new() });
        assert_eq!(times.of(event.as_bytes()), None, "{event}");
        times.why_none(event.as_bytes()).to_string()
    }

    #[test]
    fn an_event_without_a_time_is_told_why_and_what_would_give_it_one() {
        let strict = TimeFormat::Rfc3339;
        for (event, says) in [
            (r#"{"ts":1795865400000}"#, "Unix milliseconds: set event_time = { path = \"ts\", format = \"unix_ms\" }"),
            (r#"{"ts":1795865400}"#, "Unix seconds: set event_time = { path = \"ts\", format = \"unix_seconds\" }"),
            (r#"{"ts":"1795865400000000"}"#, "Unix microseconds: set"),
            (
                r#"{"ts":"2026-11-28 11:30:00"}"#,
                "ISO 8601 without a zone: set event_time = { path = \"ts\", format = \"iso\", zone = \"UTC\" }",
            ),
            (r#"{"ts":"Sat, 28 Nov 2026 11:30:00 GMT"}"#, "format = \"http_date\" }"),
            (r#"{"ts":"9999-12-31T23:59:59Z"}"#, "outside of the years 1678 to 2261"),
            (r#"{"ts":"soon"}"#, "ts is \"soon\", which is no time as rfc3339 has it"),
            (r#"{"ts":null}"#, "there is no \"ts\"; name the field"),
            (r#"{"n":1}"#, "or set event_time = []"),
            ("7", "there is no \"ts\""),
        ] {
            assert!(why(strict, event).contains(says), "{event}: {}", why(strict, event));
        }
        let long = format!(r#"{{"ts":"{}"}}"#, "ä".repeat(500));
        assert!(why(strict, &long).len() < 200);
        assert!(why(TimeFormat::UnixMillis, r#"{"ts":1e300}"#).contains("outside of the years"));
    }

    #[test]
    fn what_is_outside_of_the_range_leaves_the_place_to_the_next_rule() {
        let schema = StreamSchema::builtin("mediawiki/recentchange").expect("built in");
        let event = br#"{"timestamp":99999999999,"meta":{"dt":"2026-11-28T11:30:00Z"}}"#;
        assert_eq!(EventTimes::new(&schema).of(event), Some(Timestamp::from_seconds(1_795_865_400)));
    }
}
