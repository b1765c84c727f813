//! Whole lines of a file as events: each line is one, or is refused with its reason and its place.
//!
//! The one check of lines that are read from files: the source `file` makes its chunks by it, and so does a running process
//! with the lines that an import hands to it. It does not read; bytes in, events and refusals out.

use std::fmt;

use bytes::Bytes;
use lakehead_model::{EventBatch, Refusals, Reject};

use crate::{EventTimes, Refusal, check_event, on_one_line};

/// Lines that are not checked yet.
#[derive(Clone, Copy, Debug)]
pub struct EventLines<'a> {
    /// The lines, each with its newline; the last may have none.
    pub text: &'a Bytes,
    /// Where they come from, for a person: a file, or standard input.
    pub from: &'a str,
    /// The number of the first, from 1.
    pub first_line: u64,
    /// When given, `text` is only the beginning of one line, which has this many bytes: too many.
    pub cut: Option<u64>,
}

/// What became of lines.
#[derive(Debug, Default)]
pub struct CheckedLines {
    /// Those that are events, each on one line, with its event time.
    pub events: EventBatch,
    /// What was refused, in the order of the lines. Of very many the last entry stands for those that were only counted.
    pub rejects: Vec<Reject>,
    /// How many were refused beyond the entries of `rejects`.
    pub refused_more: u64,
}

impl CheckedLines {
    /// How many lines were refused.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.rejects.len() as u64 + self.refused_more
    }
}

impl EventLines<'_> {
    /// Takes the lines apart. Lines of white space are no events and not refused.
    #[must_use]
    pub fn check(&self, times: &EventTimes) -> CheckedLines {
        self.each(times, <[u8]>::trim_ascii, |line, events| {
            check_event(line)?;
            let line = on_one_line(line);
            events.push(&line, times.of(&line));
            Ok::<(), Refusal>(())
        })
    }

    /// Takes apart lines in another format than JSON: `event` writes the event that a line stands for, as one line of JSON, or
    /// says why the line stands for none. Empty lines are no events and not refused.
    #[must_use]
    pub fn check_as<E: fmt::Display>(
        &self,
        times: &EventTimes,
        mut event: impl FnMut(&[u8], &mut Vec<u8>) -> Result<(), E>,
    ) -> CheckedLines {
        let mut made = Vec::new();
        self.each(times, without_return, |line, events| {
            made.clear();
            event(line, &mut made)?;
            events.push(&made, times.of(&made));
            Ok::<(), E>(())
        })
    }

    /// Hands each line that holds anything, trimmed, to `take`, and keeps what it says of those that it does not take.
    fn each<E: fmt::Display>(
        &self,
        times: &EventTimes,
        trimmed: fn(&[u8]) -> &[u8],
        mut take: impl FnMut(&[u8], &mut EventBatch) -> Result<(), E>,
    ) -> CheckedLines {
        let mut refusals = Refusals::default();
        let mut events = EventBatch::default();
        if let Some(bytes) = self.cut {
            refusals
                .add(self.first_line, || self.reject(self.first_line, &Refusal::LineTooLong(bytes), self.text.clone()));
        } else {
            // Events of a hundred bytes are short ones; where they are longer, this is room for a while.
            events = EventBatch::with_capacity(self.text.len() / 128, self.text.len());
            events.set_time_rule(times.rule());
            let mut start = 0;
            for (index, end) in memchr::memchr_iter(b'\n', self.text).chain([self.text.len()]).enumerate() {
                let line = trimmed(&self.text[start..end]);
                start = end + 1;
                if line.is_empty() {
                    continue;
                }
                if let Err(refusal) = take(line, &mut events) {
                    // The number comes from outside, too.
                    let number = self.first_line.saturating_add(index as u64);
                    refusals.add(number, || self.reject(number, &refusal, self.text.slice_ref(line)));
                }
            }
        }
        let refused = refusals.count;
        let mut rejects: Vec<Reject> = refusals.kept.drain(..).map(|(_, reject)| reject).collect();
        rejects.extend(refusals.rest(|number| self.position(number)));
        CheckedLines { events, refused_more: refused - rejects.len() as u64, rejects }
    }

    fn reject(&self, number: u64, refusal: &impl fmt::Display, payload: Bytes) -> Reject {
        Reject { reason: refusal.to_string(), position: self.position(number), payload }
    }

    fn position(&self, number: u64) -> String {
        format!("{} line {number}", self.from)
    }
}

/// Without the carriage return at its end, where there is one: a row may end in blanks that are its own.
fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use lakehead_model::{EVENT_BYTES_MAX, StreamSchema, Timestamp};

    use super::*;

    fn checked(text: &str, cut: Option<u64>) -> CheckedLines {
        let text = Bytes::copy_from_slice(text.as_bytes());
        let times = EventTimes::new(&StreamSchema::builtin("json").expect("built in"));
        EventLines { text: &text, from: "a.jsonl", first_line: 41, cut }.check(&times)
    }

    #[test]
    fn a_line_is_an_event_or_refused_with_its_number() {
        let lines = checked("{\"n\":1, \"dt\":\"1970-01-01T00:00:07Z\"}\r\n\n{\"n\":\n{\"n\":3,\r\"dt\":7}\n  7", None);
        let events: Vec<_> = lines.events.events().map(|event| String::from_utf8_lossy(event).into_owned()).collect();
        assert_eq!(events, ["{\"n\":1, \"dt\":\"1970-01-01T00:00:07Z\"}", "{\"n\":3,\"dt\":7}", "7"]);
        assert_eq!(lines.events.event_times(), [Some(Timestamp::from_seconds(7)), None, None]);
        assert_eq!(lines.refused(), 1);
        assert_eq!((&*lines.rejects[0].position, &lines.rejects[0].payload[..]), ("a.jsonl line 43", &b"{\"n\":"[..]));
    }

    #[test]
    fn a_line_of_another_format_is_made_an_event_or_refused_with_its_number() {
        let text = Bytes::from_static(b"1\t\r\n\nno\n \t \n7");
        let times = EventTimes::new(&StreamSchema::builtin("json").expect("built in"));
        let lines = EventLines { text: &text, from: "a.tsv", first_line: 1, cut: None };
        let checked = lines.check_as(&times, |line, into| match line {
            b"no" => Err("it is none"),
            line => {
                into.extend_from_slice(format!("{{\"bytes\":{}}}", line.len()).as_bytes());
                Ok(())
            }
        });
        let events: Vec<_> = checked.events.events().map(|event| String::from_utf8_lossy(event).into_owned()).collect();
        assert_eq!(events, ["{\"bytes\":2}", "{\"bytes\":3}", "{\"bytes\":1}"], "blanks are the format's own");
        let rejects: Vec<_> = checked.rejects.iter().map(|reject| (&*reject.reason, &*reject.position)).collect();
        assert_eq!(rejects, [("it is none", "a.tsv line 3")]);
    }

    #[test]
    fn a_line_above_the_limit_is_refused_whole_or_cut() {
        let giant = format!("\"{}\"\n1\n", "x".repeat(EVENT_BYTES_MAX));
        let lines = checked(&giant, None);
        assert_eq!((lines.events.len(), lines.refused()), (1, 1));
        assert!(lines.rejects[0].reason.contains("at most 4 MiB"), "{}", lines.rejects[0].reason);
        let lines = checked("\"xx", Some(5 << 20));
        assert_eq!((lines.events.len(), lines.refused()), (0, 1));
        assert_eq!(lines.rejects[0].reason, "the line has 5242880 bytes; at most 4 MiB are taken");
    }

    #[test]
    fn of_very_many_refusals_one_entry_stands_for_those_that_are_only_counted() {
        let lines = checked(&"x\n".repeat(5_000), None);
        assert_eq!((lines.rejects.len(), lines.refused()), (1_001, 5_000));
        assert_eq!(lines.rejects[1_000].position, "a.jsonl line 1041 to a.jsonl line 5040");
    }
}
