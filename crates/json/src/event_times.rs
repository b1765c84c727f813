//! When an event happened, by its stream's schema.

use std::fmt;

use lakehead_model::{EventTimeRule, StreamSchema, TimeFormat, TimeRule, Timestamp};

use crate::{
    NotATime, Paths, Raw, TimeReader,
    time_reader::{Shown, looks_like, written},
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
        NoTime(match (no, looks_like(raw)) {
            (_, Some((looks, format, zone))) => {
                let setting = self.with(&rule.path, format, zone);
                format!("{path} is {value}, which is not read as a time; it looks like {looks}: set {setting}")
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

    /// The setting that reads, beside all that these rules read, what is written so at `path`, which is that of a rule.
    fn with(&self, path: &[String], format: TimeFormat, zone: Option<&str>) -> String {
        let mut entries = self.entries();
        if let Some(entry) = entries.iter_mut().rev().find(|entry| entry.path == path) {
            // Text without a zone that a format here could read with one wants no other format.
            if zone.is_none() || !entry.takes_zone() {
                entry.formats.push(format);
            }
            entry.zone = entry.zone.or(zone);
        }
        let entries: Vec<String> = entries.iter().map(ToString::to_string).collect();
        match entries.as_slice() {
            [one] => format!("event_time = {one}"),
            all => format!("event_time = [{}]", all.join(", ")),
        }
    }

    /// The rules as a pipeline file has them: those for one place together, where they can be.
    fn entries(&self) -> Vec<Entry<'_>> {
        let mut entries: Vec<Entry<'_>> = Vec::new();
        for rule in &self.rules {
            let zone = rule.zone.as_deref();
            let is_of = |entry: &Entry<'_>| !(takes_zone(&rule.format) && entry.takes_zone()) || entry.zone == zone;
            match entries.last_mut() {
                Some(entry) if entry.path == rule.path && is_of(&*entry) => {
                    entry.formats.push(rule.format);
                    entry.zone = entry.zone.or(zone);
                }
                _ => entries.push(Entry { path: &rule.path, formats: vec![rule.format], zone }),
            }
        }
        entries
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

/// One place of `event_time`, as a pipeline file has it.
struct Entry<'r> {
    path: &'r [String],
    formats: Vec<TimeFormat>,
    /// That of the formats that take one.
    zone: Option<&'r str>,
}

impl Entry<'_> {
    fn takes_zone(&self) -> bool {
        self.formats.iter().any(takes_zone)
    }
}

fn takes_zone(format: &TimeFormat) -> bool {
    matches!(format, TimeFormat::Iso | TimeFormat::Auto)
}

impl fmt::Display for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = written(self.path);
        let names: Vec<String> = self.formats.iter().map(|format| format!("{:?}", format.name())).collect();
        match names.as_slice() {
            // A path alone is text, and RFC 3339.
            [_] if self.formats == [TimeFormat::Rfc3339] && path.starts_with('"') => return f.write_str(&path),
            [name] => write!(f, "{{ path = {path}, format = {name}")?,
            names => write!(f, "{{ path = {path}, formats = [{}]", names.join(", "))?,
        }
        match self.zone {
            Some(zone) => write!(f, ", zone = {zone:?} }}"),
            None => f.write_str(" }"),
        }
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
            (
                r#"{"ts":1795865400000}"#,
                "Unix milliseconds: set event_time = { path = \"ts\", formats = [\"rfc3339\", \"unix_ms\"] }",
            ),
            (
                r#"{"ts":1795865400}"#,
                "Unix seconds: set event_time = { path = \"ts\", formats = [\"rfc3339\", \"unix_seconds\"] }",
            ),
            (r#"{"ts":"1795865400000000"}"#, "Unix microseconds: set"),
            (
                r#"{"ts":"2026-11-28 11:30:00"}"#,
                "ISO 8601 without a zone: set event_time = { path = \"ts\", formats = [\"rfc3339\", \"iso\"], zone = \"UTC\" }",
            ),
            (r#"{"ts":"Sat, 28 Nov 2026 11:30:00 GMT"}"#, "formats = [\"rfc3339\", \"http_date\"] }"),
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

    /// What is told must not cost an event the time that it has.
    #[test]
    fn what_would_give_an_event_its_time_takes_none_from_the_others() {
        let rule = |path: &str, format, zone: Option<&str>| EventTimeRule {
            path: path.split('.').map(str::to_owned).collect(),
            format,
            zone: zone.map(str::to_owned),
        };
        let (millis, iso) = (TimeFormat::UnixMillis, TimeFormat::Iso);
        for (rules, event, set) in [
            (
                vec![rule("at", millis, None)],
                r#"{"at":"2026-11-28T11:30:00Z"}"#,
                r#"{ path = "at", formats = ["unix_ms", "iso"] }"#,
            ),
            (
                vec![rule("at", millis, None), rule("at", TimeFormat::Rfc3339, None)],
                r#"{"at":"2026-11-28 11:30"}"#,
                r#"{ path = "at", formats = ["unix_ms", "rfc3339", "iso"], zone = "UTC" }"#,
            ),
            (
                vec![rule("at", iso, None)],
                r#"{"at":"2026-11-28 11:30"}"#,
                r#"{ path = "at", format = "iso", zone = "UTC" }"#,
            ),
            (
                vec![rule("at", iso, Some("Europe/Berlin"))],
                r#"{"at":1795865400}"#,
                r#"{ path = "at", formats = ["iso", "unix_seconds"], zone = "Europe/Berlin" }"#,
            ),
            (
                vec![rule("meta.dt", TimeFormat::Rfc3339, None), rule("at", millis, None)],
                r#"{"at":"2026-11-28T11:30:00Z"}"#,
                r#"["meta.dt", { path = "at", formats = ["unix_ms", "iso"] }]"#,
            ),
        ] {
            let times = EventTimes::new(&StreamSchema { event_time: rules, columns: Vec::new() });
            assert_eq!(times.of(event.as_bytes()), None, "{event}");
            let why = times.why_none(event.as_bytes()).to_string();
            assert!(why.ends_with(&format!(": set event_time = {set}")), "{event}: {why}");
        }
    }

    #[test]
    fn what_is_outside_of_the_range_leaves_the_place_to_the_next_rule() {
        let schema = StreamSchema::builtin("mediawiki/recentchange").expect("built in");
        let event = br#"{"timestamp":99999999999,"meta":{"dt":"2026-11-28T11:30:00Z"}}"#;
        assert_eq!(EventTimes::new(&schema).of(event), Some(Timestamp::from_seconds(1_795_865_400)));
    }
}
