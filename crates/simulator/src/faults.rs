//! Faults on demand: what the upstream does wrong, at which events or connections.
//!
//! Each fault is a field here and a text `NAME=WHERE` on the command line. WHERE is a list of numbers and half-open
//! ranges (`5,9,100..120` has 100 in it and 120 not) or `every-N` (N, 2N, 3N …). Events are numbered from 0 as the
//! simulator makes them, over all topics; connections to a stream from 1. What cuts, holds up or hides for once does so
//! the first time the event's turn comes, and not again, so a client always gets past it by coming back.

use std::{ops::Range, time::Duration};

use lakehead_model::{ByteSize, Span};

use crate::error::Error;

/// Which numbers a fault strikes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum At {
    /// None.
    #[default]
    Never,
    /// These, as half-open ranges.
    Listed(Vec<Range<u64>>),
    /// Each positive multiple of this number.
    Every(u64),
}

impl At {
    /// Whether `number` is struck.
    #[must_use]
    pub fn strikes(&self, number: u64) -> bool {
        match self {
            Self::Never => false,
            Self::Listed(ranges) => ranges.iter().any(|range| range.contains(&number)),
            Self::Every(step) => number > 0 && number.is_multiple_of(*step),
        }
    }
}

/// When a connection meets the second cluster, which holds the same events at other offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondWhen {
    /// Every second connection: the 2nd, the 4th …
    Alternate,
    /// Every connection opened after this event was sent to anyone.
    After(u64),
}

/// A second upstream cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecondCluster {
    /// Which connections it answers.
    pub when: SecondWhen,
    /// What is added to an offset of the first cluster to get the event's offset in the second.
    pub shift: i64,
}

/// Everything that may go wrong. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// A second cluster with other offsets.
    pub second_cluster: Option<SecondCluster>,
    /// Offsets at which there is no event, ever.
    pub hole: At,
    /// Events that are skipped the first time, and there when asked for again.
    pub hole_once: At,
    /// Cuts the connection inside the event's frame, in the middle of its data.
    pub cut_inside_frame: At,
    /// Cuts the connection inside the event's first character of several bytes; where it has none, as above.
    pub cut_inside_character: At,
    /// Cuts the connection after the event's `id:` line.
    pub cut_after_id: At,
    /// Sends the event twice.
    pub duplicate: At,
    /// Sends nothing for a while before the event, with the connection open.
    pub silence: At,
    /// How long.
    pub silence_for: Duration,
    /// Sends an `error` event instead of the event, and ends.
    pub error_event: At,
    /// Answers the connection 429.
    pub too_many_requests: At,
    /// What its Retry-After says, in whole seconds.
    pub retry_after: Duration,
    /// Answers the connection 503, as the edge does.
    pub unavailable: At,
    /// Sends the first half of the event's JSON as if it were all.
    pub not_json: At,
    /// Makes the event's comment this long.
    pub huge: At,
    /// How long.
    pub huge_bytes: u64,
    /// Leaves out `timestamp` and `meta.dt`.
    pub no_time: At,
    /// Gives fields of the wrong type: `namespace` and `timestamp` text, `bot` text, `length` a list.
    pub wrong_types: At,
    /// Sends a canary in the event's place, which has no `type` and hardly anything else.
    pub canary: At,
}

/// Every fault's name, what stands after `=`, and what it does.
const LIST: [(&str, &str, &str); 16] = [
    (
        "second-cluster",
        "alternate|after-N[:SHIFT]",
        "same events at other offsets, for every second connection or after event N",
    ),
    ("hole", "WHERE", "no event at these offsets, ever"),
    ("hole-once", "WHERE", "events skipped the first time, there the second"),
    ("cut-inside-frame", "WHERE", "connection cut in the middle of the event's data, once"),
    ("cut-inside-character", "WHERE", "connection cut inside a UTF-8 character of the event, once"),
    ("cut-after-id", "WHERE", "connection cut after the event's id line, once"),
    ("duplicate", "WHERE", "event sent twice"),
    ("silence", "WHERE[:SPAN]", "nothing sent for SPAN (60s) before the event, once"),
    ("error-event", "WHERE", "an error event and the end, once"),
    ("too-many-requests", "WHERE[:SPAN]", "connection answered 429 with Retry-After: SPAN (5s)"),
    ("unavailable", "WHERE", "connection answered 503"),
    ("not-json", "WHERE", "event whose data is not JSON"),
    ("huge", "WHERE[:SIZE]", "event of SIZE (10 MB)"),
    ("no-time", "WHERE", "event without timestamp and meta.dt"),
    ("wrong-types", "WHERE", "event with fields of the wrong type"),
    ("canary", "WHERE", "a canary, without type, in the event's place"),
];

const WHERE: &str = "WHERE is numbers and half-open ranges (5,9,100..120) or every-N";

impl Faults {
    /// Reads one fault, `NAME=WHERE`, into these.
    ///
    /// # Errors
    /// When the text does not say a fault; the message says what would.
    pub fn set(&mut self, text: &str) -> Result<(), Error> {
        let wrong = |problem: String, expected: String| Error::Fault { text: text.to_owned(), problem, expected };
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        let Some((_, form, _)) = LIST.iter().find(|(listed, _, _)| *listed == name) else {
            let names: Vec<&str> = LIST.iter().map(|(name, _, _)| *name).collect();
            return Err(wrong(format!("there is no fault {name:?}"), format!("there are {}", names.join(", "))));
        };
        let expected = || format!("write {name}={form}; {WHERE}");
        let (places, extra) = match value.split_once(':') {
            Some((places, extra)) if form.contains(':') => (places, Some(extra)),
            _ => (value, None),
        };
        if name == "second-cluster" {
            self.second_cluster = Some(second_cluster(places, extra).map_err(|problem| wrong(problem, expected()))?);
            return Ok(());
        }
        let at = places_of(places).map_err(|problem| wrong(problem, expected()))?;
        let span = |default: u64| match extra {
            Some(extra) => extra.parse::<Span>().map(|span| span.0).map_err(|problem| wrong(problem, expected())),
            None => Ok(Duration::from_secs(default)),
        };
        match name {
            "silence" => self.silence_for = span(60)?,
            "too-many-requests" => self.retry_after = span(5)?,
            "huge" => {
                let size = extra.unwrap_or("10 MB").parse::<ByteSize>();
                self.huge_bytes = size.map_err(|problem| wrong(problem, expected()))?.0;
            }
            _ => {}
        }
        *self.field(name).expect("every listed fault but second-cluster has a field") = at;
        Ok(())
    }

    /// Reads several faults.
    ///
    /// # Errors
    /// When one of the texts does not say a fault.
    pub fn parse<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Self, Error> {
        let mut faults = Self::default();
        for text in texts {
            faults.set(text)?;
        }
        Ok(faults)
    }

    /// All faults with what to write and what they do, a line each, for `--help`.
    #[must_use]
    pub fn help() -> String {
        let mut help = String::new();
        for (name, form, what) in LIST {
            let left = format!("{name}={form}");
            help.push_str(&format!("  {left:<42} {what}\n"));
        }
        help + WHERE
    }

    fn field(&mut self, name: &str) -> Option<&mut At> {
        Some(match name {
            "hole" => &mut self.hole,
            "hole-once" => &mut self.hole_once,
            "cut-inside-frame" => &mut self.cut_inside_frame,
            "cut-inside-character" => &mut self.cut_inside_character,
            "cut-after-id" => &mut self.cut_after_id,
            "duplicate" => &mut self.duplicate,
            "silence" => &mut self.silence,
            "error-event" => &mut self.error_event,
            "too-many-requests" => &mut self.too_many_requests,
            "unavailable" => &mut self.unavailable,
            "not-json" => &mut self.not_json,
            "huge" => &mut self.huge,
            "no-time" => &mut self.no_time,
            "wrong-types" => &mut self.wrong_types,
            "canary" => &mut self.canary,
            _ => return None,
        })
    }

    /// Whether any fault strikes single events; if not, events are written without asking.
    pub(crate) fn strike_events(&self) -> bool {
        let calm = Self {
            second_cluster: self.second_cluster,
            too_many_requests: self.too_many_requests.clone(),
            retry_after: self.retry_after,
            unavailable: self.unavailable.clone(),
            silence_for: self.silence_for,
            huge_bytes: self.huge_bytes,
            ..Self::default()
        };
        *self != calm
    }
}

fn second_cluster(when: &str, shift: Option<&str>) -> Result<SecondCluster, String> {
    let when = match (when, when.strip_prefix("after-")) {
        ("alternate", _) => SecondWhen::Alternate,
        (_, Some(number)) => SecondWhen::After(whole(number)?),
        _ => return Err(format!("{when:?} is neither alternate nor after-N")),
    };
    // Far enough that a short run's offsets are out of range there; a small shift makes them mean other events.
    let shift =
        shift.map_or(Ok(1_234_567), |shift| shift.parse().map_err(|_| format!("{shift:?} is not a whole number")))?;
    Ok(SecondCluster { when, shift })
}

fn places_of(text: &str) -> Result<At, String> {
    if text.is_empty() {
        return Err("it does not say where".to_owned());
    }
    if let Some(step) = text.strip_prefix("every-") {
        return match whole(step)? {
            0 => Err("every-0 is never".to_owned()),
            step => Ok(At::Every(step)),
        };
    }
    let mut ranges = Vec::new();
    for part in text.split(',') {
        ranges.push(match part.split_once("..") {
            Some((start, end)) => whole(start)?..whole(end)?,
            None => whole(part)?..whole(part)?.saturating_add(1),
        });
    }
    Ok(At::Listed(ranges))
}

fn whole(text: &str) -> Result<u64, String> {
    text.trim().parse().map_err(|_| format!("{text:?} is not a whole number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_read_as_their_help_says() {
        let faults = Faults::parse(["hole=5,9,100..120", "silence=every-50:3s", "huge=7", "second-cluster=after-9:-4"]);
        let faults = faults.expect("all are right");
        assert!(faults.hole.strikes(5) && faults.hole.strikes(100) && faults.hole.strikes(119));
        assert!(!faults.hole.strikes(6) && !faults.hole.strikes(120));
        assert!(faults.silence.strikes(100) && !faults.silence.strikes(0) && !faults.silence.strikes(51));
        assert_eq!(faults.silence_for, Duration::from_secs(3));
        assert_eq!(faults.huge_bytes, 10_000_000);
        assert_eq!(faults.second_cluster, Some(SecondCluster { when: SecondWhen::After(9), shift: -4 }));
        for (name, form, _) in LIST {
            let value = if form.starts_with("WHERE") { "3" } else { "alternate" };
            let faults = Faults::parse([format!("{name}={value}").as_str()]).expect(name);
            assert_ne!(faults, Faults::default(), "{name}");
            assert!(Faults::help().contains(name));
        }
    }

    #[test]
    fn a_wrong_fault_says_what_would_be_right() {
        for (text, part) in [
            ("hols=3", "there is no fault \"hols\"; there are second-cluster, hole,"),
            ("hole", "it does not say where; write hole=WHERE"),
            ("hole=every-0", "every-0 is never"),
            ("hole=1,x", "\"x\" is not a whole number"),
            ("silence=1:3 sec", "is not a span of time"),
            ("huge=1:big", "is not a size"),
            ("second-cluster=now", "neither alternate nor after-N"),
        ] {
            let error = Faults::parse([text]).expect_err(text).to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
