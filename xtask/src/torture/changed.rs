//! Views that are changed while they are tortured: what they are to be, as a pipeline says it and as a recount does.
//!
//! They are over the pushes, of which nothing ever leaves the log: after any number of changes and kills each equals its
//! present SQL over all of them. One is over the stream, one over that one's rows or the stream, one over that.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{
    random::Random,
    recount::{Row, Rows},
};

/// How a view over the stream makes rows of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Windows side by side, so many seconds long.
    Tumble(i64),
    /// Windows so many seconds apart and so many long.
    Hop(i64, i64),
    /// A window that ends when nothing came for so many seconds.
    Session(i64),
    /// A row for each event.
    Rows,
}

/// What becomes of the values of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Total {
    Sum,
    Max,
    Min,
}

impl Total {
    fn sql(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Max => "max",
            Self::Min => "min",
        }
    }

    fn of(self, a: i64, b: i64) -> i64 {
        match self {
            Self::Sum => a + b,
            Self::Max => a.max(b),
            Self::Min => a.min(b),
        }
    }
}

/// A view over another: windows of so many seconds, or only rows with a greater total.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    Windows(i64, Total),
    Above(i64),
    /// It reads the stream and no view.
    Stream(Kind, Total),
}

/// What the pushes' columns and the views over them are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Definition {
    /// The field of the event time.
    time: &'static str,
    /// The field of the column `n`.
    number: &'static str,
    first: (Kind, Total),
    second: Over,
    third: Over,
    delay_seconds: u64,
    lateness_hours: u64,
}

/// The views' names, each after those that it may read.
pub(crate) const NAMES: [&str; 3] = ["changed", "over_changed", "over_over"];

impl Definition {
    pub(crate) fn first() -> Self {
        Self {
            time: "dt",
            number: "id",
            first: (Kind::Tumble(1), Total::Sum),
            second: Over::Windows(10, Total::Sum),
            third: Over::Windows(60, Total::Max),
            delay_seconds: 2,
            lateness_hours: 24,
        }
    }

    /// Another one, in one thing or in several.
    pub(crate) fn changed(&self, random: &mut Random) -> Self {
        let mut to = self.clone();
        while to == *self {
            for _ in 0..=random.between(0, 3) {
                match random.between(0, 8) {
                    0 => to.time = ["dt", "at"][index(random, 2)],
                    1 => to.number = ["id", "second"][index(random, 2)],
                    2 => to.delay_seconds = random.between(0, 4),
                    3 => to.lateness_hours = [24, 48, 720][index(random, 3)],
                    4 | 5 => to.first = (kind(random), total(random)),
                    6 => to.second = over(random),
                    _ => to.third = over(random),
                }
            }
            // A window over when sessions began is refused: where one ends is not known before it does.
            if matches!(to.first.0, Kind::Session(_)) && !matches!(to.second, Over::Stream(..)) {
                to.second = Over::Stream(Kind::Tumble(10), Total::Sum);
            }
            if matches!(to.second, Over::Stream(Kind::Session(_), _)) && !matches!(to.third, Over::Stream(..)) {
                to.third = Over::Stream(Kind::Tumble(60), Total::Sum);
            }
        }
        to
    }

    /// The pushes' stream and its views, as a pipeline has them.
    pub(crate) fn toml(&self, stream: &str) -> String {
        let Self { time, number, delay_seconds, lateness_hours, .. } = self;
        let mut toml = format!(
            "[stream.{stream}]\nevent_time = \"{time}\"\ncolumns = {{ id = {{ path = \"id\", type = \"int64\" }}, \
             n = {{ path = \"{number}\", type = \"int64\" }} }}\n"
        );
        for (place, name) in NAMES.iter().enumerate() {
            let sql = match (place, self.second, self.third) {
                (0, ..) => over_stream(stream, self.first),
                (1, second, _) => over_view(stream, NAMES[0], second),
                (_, _, third) => over_view(stream, NAMES[1], third),
            };
            toml.push_str(&format!(
                "\n[view.{name}]\nsql = \"{sql}\"\nwatermark_delay = \"{delay_seconds}s\"\nlateness = \"{lateness_hours}h\"\n"
            ));
        }
        toml
    }

    /// By how much the pushes' event time is later than the second that they name.
    fn seconds_later(&self) -> i64 {
        if self.time == "at" { 3_600 } else { 0 }
    }

    /// Rows whose windows were found by the second that the pushes name, as their event time has them: a change of that
    /// reaches every view over the stream, also those whose own text stays.
    pub(crate) fn by_event_time(&self, rows: Rows) -> Rows {
        rows.into_iter().map(|((opened, name), row)| ((opened + self.seconds_later(), name), row)).collect()
    }

    /// The rows that these pushes make, by view, in the order of [`NAMES`].
    pub(crate) fn rows<'e>(&self, events: impl Iterator<Item = &'e [u8]>) -> Result<Vec<Rows>> {
        let mut read = Vec::new();
        for event in events {
            let event: Value = serde_json::from_slice(event).context("an event is not JSON")?;
            let second = event["second"].as_i64().context("a push without its second")?;
            let time = second + self.seconds_later();
            let id = event["id"].as_i64().context("a push without id")?;
            read.push((time, id, event[self.number].as_i64().context("a push without a number")?));
        }
        let first = stream_rows(&read, self.first);
        let second = over_rows(&read, &first, self.second);
        let third = over_rows(&read, &second, self.third);
        Ok(vec![first, second, third])
    }
}

fn index(random: &mut Random, below: u64) -> usize {
    random.between(0, below) as usize
}

fn total(random: &mut Random) -> Total {
    [Total::Sum, Total::Max, Total::Min][index(random, 3)]
}

fn kind(random: &mut Random) -> Kind {
    [Kind::Tumble(1), Kind::Tumble(10), Kind::Hop(2, 6), Kind::Session(2), Kind::Rows][index(random, 5)]
}

fn over(random: &mut Random) -> Over {
    match random.between(0, 5) {
        0..=2 => Over::Windows([10, 60, 600][index(random, 3)], total(random)),
        3 => Over::Above(random.between(0, 400) as i64),
        _ => Over::Stream(kind(random), total(random)),
    }
}

fn over_stream(stream: &str, (kind, total): (Kind, Total)) -> String {
    let window = match kind {
        Kind::Tumble(size) => format!("tumble(event_time, INTERVAL '{size} seconds')"),
        Kind::Hop(slide, size) => format!("hop(event_time, INTERVAL '{slide} seconds', INTERVAL '{size} seconds')"),
        Kind::Session(gap) => format!("session(event_time, INTERVAL '{gap} seconds')"),
        Kind::Rows => {
            return format!(
                "SELECT event_time AS opened, CAST(id AS VARCHAR) AS name, 1 AS events, n AS total FROM {stream}"
            );
        }
    };
    let total = total.sql();
    format!(
        "SELECT {window} AS opened, 'all' AS name, count(*) AS events, {total}(n) AS total FROM {stream} GROUP BY 1"
    )
}

fn over_view(stream: &str, view: &str, over: Over) -> String {
    match over {
        Over::Windows(size, total) => format!(
            "SELECT tumble(opened, INTERVAL '{size} seconds') AS opened, name, sum(events) AS events, {}(total) AS total \
             FROM {view} GROUP BY 1, 2",
            total.sql()
        ),
        Over::Above(least) => format!("SELECT opened, name, events, total FROM {view} WHERE total > {least}"),
        Over::Stream(kind, total) => over_stream(stream, (kind, total)),
    }
}

fn add(rows: &mut Rows, key: (i64, String), (events, value): Row, total: Total) {
    let row = rows.entry(key).or_default();
    row.0 += events;
    row.1 = match (row.1, value) {
        (Some(so_far), Some(value)) => Some(total.of(so_far, value)),
        (so_far, value) => so_far.or(value),
    };
}

fn window(seconds: i64, size: i64) -> i64 {
    seconds - seconds.rem_euclid(size)
}

fn stream_rows(events: &[(i64, i64, i64)], (kind, total): (Kind, Total)) -> Rows {
    let mut rows = Rows::new();
    let all = || "all".to_owned();
    match kind {
        Kind::Tumble(size) => {
            events.iter().for_each(|(time, _, n)| add(&mut rows, (window(*time, size), all()), (1, Some(*n)), total));
        }
        Kind::Hop(slide, size) => {
            for (time, _, n) in events {
                for back in 0..size / slide {
                    add(&mut rows, (window(*time, slide) - back * slide, all()), (1, Some(*n)), total);
                }
            }
        }
        Kind::Session(gap) => {
            let mut times: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
            events.iter().for_each(|(time, _, n)| times.entry(*time).or_default().push(*n));
            let (mut begun, mut last) = (i64::MIN, i64::MIN);
            for (time, values) in times {
                // The next day is another session.
                if time.saturating_sub(last) >= gap || window(time, 86_400) != window(last, 86_400) {
                    begun = time;
                }
                last = time;
                values.into_iter().for_each(|n| add(&mut rows, (begun, all()), (1, Some(n)), total));
            }
        }
        Kind::Rows => {
            events.iter().for_each(|(time, id, n)| add(&mut rows, (*time, id.to_string()), (1, Some(*n)), total));
        }
    }
    rows
}

fn over_rows(events: &[(i64, i64, i64)], base: &Rows, over: Over) -> Rows {
    let mut rows = Rows::new();
    match over {
        Over::Windows(size, total) => {
            for ((opened, name), row) in base {
                add(&mut rows, (window(*opened, size), name.clone()), *row, total);
            }
        }
        Over::Above(least) => {
            let above = base.iter().filter(|(_, (_, total))| total.is_some_and(|total| total > least));
            rows.extend(above.map(|(key, row)| (key.clone(), *row)));
        }
        Over::Stream(kind, total) => return stream_rows(events, (kind, total)),
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_one_and_the_recount_follows_it() {
        let events: Vec<Vec<u8>> = [(0, 10), (1, 10), (2, 11), (3, 25)]
            .map(|(id, second)| format!("{{\"id\":{id},\"second\":{second}}}").into_bytes())
            .into();
        let rows = |definition: &Definition| definition.rows(events.iter().map(Vec::as_slice)).expect("rows");
        let all =
            |rows: &[(i64, Row)]| -> Rows { rows.iter().map(|(at, row)| ((*at, "all".to_owned()), *row)).collect() };
        let mut definition = Definition::first();
        assert_eq!(rows(&definition)[0], all(&[(10, (2, Some(1))), (11, (1, Some(2))), (25, (1, Some(3)))]));
        assert_eq!(rows(&definition)[1], all(&[(10, (3, Some(3))), (20, (1, Some(3)))]));
        (definition.first, definition.second) =
            ((Kind::Session(2), Total::Max), Over::Stream(Kind::Hop(2, 6), Total::Min));
        assert_eq!(rows(&definition)[0], all(&[(10, (3, Some(2))), (25, (1, Some(3)))]));
        assert_eq!(rows(&definition)[1][&(8, "all".to_owned())], (3, Some(0)));
        let mut random = Random::new(7);
        for _ in 0..200 {
            let other = definition.changed(&mut random);
            assert_ne!(other, definition);
            assert!(NAMES.iter().all(|name| other.toml("pushed").contains(&format!("[view.{name}]"))));
            definition = other;
        }
    }
}
