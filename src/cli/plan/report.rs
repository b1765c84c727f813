//! What was found, as text for people.

use std::{collections::BTreeMap, net::SocketAddr};

use lakehead_engine::preview::{
    ColumnPreview, DataPreview, EventTimePreview, Hourly, Preview, RateBy, SampleRate, SourceLook, SourcePreview,
    StreamPreview, ViewPreview,
};
use lakehead_model::{ByteSize, Name, hint::printable};

use crate::{
    numbers::{counted, grouped},
    table::Table,
};

/// The report for people.
pub(super) fn told(name: &str, found: &Preview, address: SocketAddr, failures: &[String]) -> String {
    let mut text = format!("{}; listening on {address}\n", directory(&found.data));
    if !found.sources.is_empty() {
        text += &format!("\n{}", sources(&found.sources));
    }
    for (name, stream) in &found.streams {
        text += &format!("\n{}", of_stream(name, stream));
    }
    if !found.views.is_empty() {
        text += &format!("\n{}", views(&found.views));
    }
    for (name, view) in &found.views {
        text += &hours(name, view);
    }
    if !found.sinks.is_empty() {
        text += &format!("\n{}", sinks(found));
    }
    let notes: Vec<String> = notes(found).collect();
    if !notes.is_empty() {
        text += &format!("\n{}\n", notes.join("\n"));
    }
    text.push('\n');
    for failure in failures {
        text += &format!("would fail: {}\n", lines(failure));
    }
    if failures.is_empty() {
        text += &good(name, found);
    }
    text
}

/// The sentence in which a report ends that has failures.
pub(super) fn sentence(failures: usize) -> String {
    match failures {
        1 => "1 thing would fail; nothing was written and nothing acknowledged.".to_owned(),
        more => format!("{more} things would fail; nothing was written and nothing acknowledged."),
    }
}

fn good(name: &str, found: &Preview) -> String {
    let unseen: Vec<&str> = found.unseen().map(Name::as_str).collect();
    let but = match unseen.as_slice() {
        [] => String::new(),
        names => format!("; of {} no event was seen, so whether it works is not known", names.join(", ")),
    };
    format!("{name}: nothing that was looked at would fail{but}. Nothing was written and nothing acknowledged.\n")
}

/// Text from outside, as a terminal may be given it; its own lines stay.
fn lines(text: &str) -> String {
    text.lines().map(|line| printable(line).into_owned()).collect::<Vec<_>>().join("\n  ")
}

fn directory(data: &DataPreview) -> String {
    let state = match (data.exists, data.held_by) {
        (_, Some(pid)) => format!("process {pid} runs on it, and another start is refused while it does"),
        (true, None) => "it is there, and sources go on from their cursors in it".to_owned(),
        (false, None) => "it is not there yet".to_owned(),
    };
    format!("data in {}: {state}", data.path.display())
}

fn sources(found: &BTreeMap<Name, SourcePreview>) -> Table {
    let mut table =
        Table::new(["source", "kind", "feeds", "begins", "outcome", "events", "refused", "twice", "first after"]);
    for (name, source) in found {
        let feeds: Vec<&str> = source.streams.iter().map(Name::as_str).collect();
        table.row([
            name.to_string(),
            source.kind.clone(),
            feeds.join(", "),
            if source.resumed { "at its cursor" } else { "anew" }.to_owned(),
            match source.state {
                SourceLook::Read => "read",
                SourceLook::Ended => "ended",
                SourceLook::Quiet => "nothing came",
                SourceLook::Unseen => "not opened",
                SourceLook::Failed => "fails",
            }
            .to_owned(),
            grouped(source.events),
            grouped(source.rejects),
            grouped(source.duplicates),
            source.first_after.map_or("-".to_owned(), |seconds| format!("{seconds:.1} s")),
        ]);
    }
    table
}

fn of_stream(name: &Name, stream: &StreamPreview) -> String {
    let mut text = format!("stream {name}: {}{}\n", counted(stream.events, "event"), rate(stream.rate.as_ref()));
    if stream.events == 0 {
        return text;
    }
    text += &event_time(stream.events, &stream.event_time);
    if !stream.columns.is_empty() {
        text += &columns(&stream.columns).to_string();
    }
    if !stream.other_keys.is_empty() {
        let keys: Vec<_> = stream.other_keys.iter().map(|key| printable(key)).collect();
        text += &format!("in the events, and in no column: {}\n", keys.join(", "));
    }
    text
}

fn rate(rate: Option<&SampleRate>) -> String {
    match rate {
        None => String::new(),
        Some(SampleRate { per_second, by }) => {
            let by = match by {
                RateBy::EventTimes => "by their event times",
                RateBy::Arrival => "as they came, which is more where some were waiting",
            };
            format!(", about {} ({by})", frequency(*per_second))
        }
    }
}

/// As often as `per_second`, in a unit in which it is a number that one can imagine.
fn frequency(per_second: f64) -> String {
    let shown = |number: f64| match number {
        number if number >= 100.0 => grouped(number.round() as u64),
        number => format!("{number:.1}"),
    };
    match per_second {
        often if often >= 1.0 => format!("{} a second", shown(often)),
        often if often * 60.0 >= 1.0 => format!("{} a minute", shown(often * 60.0)),
        often if often * 3_600.0 >= 1.0 => format!("{} an hour", shown(often * 3_600.0)),
        often => format!("{} a day", shown(often * 86_400.0)),
    }
}

fn event_time(events: u64, time: &EventTimePreview) -> String {
    if !time.wanted {
        return "event time: none, by the stream's own word\n".to_owned();
    }
    let by: Vec<String> = time.by.iter().map(|rule| format!("{} {}", rule.rule, grouped(rule.found))).collect();
    let span = match (&time.least, &time.greatest) {
        (Some(least), Some(greatest)) if least != greatest => format!(", from {least} to {greatest}"),
        (Some(least), _) => format!(", {least}"),
        _ => String::new(),
    };
    format!("event time: in {} of {}{span}; by {}\n", grouped(time.found), grouped(events), by.join(", "))
}

fn columns(columns: &[ColumnPreview]) -> Table {
    let mut table = Table::new(["column", "type", "at", "found", "missing", "other type", "for example"]);
    for column in columns {
        let kind = serde_json::to_value(column.column_type).unwrap_or_default();
        table.row([
            column.name.clone(),
            kind.as_str().unwrap_or_default().to_owned(),
            column.path.clone(),
            grouped(column.found),
            grouped(column.missing),
            grouped(column.mistyped),
            column.sample.clone().or_else(|| column.mistyped_sample.clone()).unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    table
}

fn views(found: &BTreeMap<Name, ViewPreview>) -> Table {
    let mut table =
        Table::new(["view", "of", "events", "in view", "filtered", "without time", "failed", "rows", "groups"]);
    for (name, view) in found {
        table.row([
            name.to_string(),
            view.stream.clone(),
            grouped(view.events),
            grouped(view.in_view),
            grouped(view.filtered),
            grouped(view.without_time),
            grouped(view.failed),
            format!("{}{}", grouped(view.rows), if view.rows_cut { "+" } else { "" }),
            view.groups.map_or("-".to_owned(), grouped),
        ]);
    }
    table
}

/// What an hour adds to a view, and what that is worth.
fn hours(name: &Name, view: &ViewPreview) -> String {
    let Some(Hourly { rows_least, rows_most, bytes_least, bytes_most, events }) = view.hourly else {
        return String::new();
    };
    let rows = match rows_least == rows_most {
        true => format!("about {}", counted(rows_most, "row")),
        false => format!("{} to {}", grouped(rows_least), counted(rows_most, "row")),
    };
    let state = match (bytes_least, bytes_most) {
        (Some(least), Some(most)) if ByteSize(least).rounded() == ByteSize(most).rounded() => {
            format!(", some {} of state", ByteSize(most).rounded())
        }
        (Some(least), Some(most)) => {
            format!(", some {} to {} of state", ByteSize(least).rounded(), ByteSize(most).rounded())
        }
        _ => String::new(),
    };
    format!("view {name}: an hour adds {rows}{state}, as far as {} can tell\n", counted(events, "event"))
}

fn sinks(found: &Preview) -> Table {
    let mut table = Table::new(["sink", "kind", "from", "outcome"]);
    for (name, sink) in &found.sinks {
        let outcome = match &sink.fails {
            Some(_) => "fails".to_owned(),
            None if sink.found.is_empty() => "not asked".to_owned(),
            None => sink.found.join("; "),
        };
        table.row([name.to_string(), sink.kind.clone(), sink.from.clone(), outcome]);
    }
    table
}

/// What is to be known beside the tables, a line each.
fn notes(found: &Preview) -> impl Iterator<Item = String> {
    let of = |what: &'static str, name: &Name, notes: &[String]| -> Vec<String> {
        notes.iter().map(|note| format!("{what} {name}: {}", lines(note))).collect()
    };
    let refused = found.sources.iter().flat_map(|(name, source)| {
        source.rejected.iter().map(move |reject| {
            let (reason, position) = (printable(&reject.reason), printable(&reject.position));
            format!("source {name}: refused at {position}: {reason}: {}", printable(&reject.payload))
        })
    });
    let sources = found.sources.iter().flat_map(move |(name, source)| of("source", name, &source.notes));
    let streams = found.streams.iter().flat_map(move |(name, stream)| of("stream", name, &stream.notes));
    let views = found.views.iter().flat_map(move |(name, view)| of("view", name, &view.notes));
    let sinks = found.sinks.iter().flat_map(move |(name, sink)| of("sink", name, &sink.unknown));
    sources.chain(refused).chain(streams).chain(views).chain(sinks)
}

#[cfg(test)]
mod tests {
    use lakehead_engine::preview::SinkPreview;

    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).expect("a name")
    }

    #[test]
    fn a_rate_is_told_in_a_unit_that_one_can_imagine() {
        for (per_second, text) in [
            (31_415.9, "31,416 a second"),
            (31.415, "31.4 a second"),
            (0.5, "30.0 a minute"),
            (0.001, "3.6 an hour"),
            (0.000_02, "1.7 a day"),
        ] {
            assert_eq!(frequency(per_second), text);
        }
    }

    #[test]
    fn a_report_ends_with_what_would_fail_or_that_nothing_would() {
        let mut found = Preview {
            data: DataPreview { path: "./data".into(), ..DataPreview::default() },
            sources: [(name("w"), SourcePreview::default())].into(),
            streams: [(name("s"), StreamPreview::default())].into(),
            views: BTreeMap::new(),
            sinks: [(name("out"), SinkPreview { unknown: vec!["not\u{1b}[31m".into()], ..SinkPreview::default() })]
                .into(),
        };
        let address: SocketAddr = "127.0.0.1:8080".parse().expect("an address");
        let text = told("p.toml", &found, address, &[]);
        assert!(text.starts_with("data in ./data: it is not there yet; listening on 127.0.0.1:8080\n"), "{text}");
        assert!(text.contains("of w no event was seen, so whether it works is not known"), "{text}");
        assert!(text.contains("sink out: not") && !text.contains('\u{1b}'), "{text}");
        found.sources.entry(name("w")).or_default().fails = Some("gone".into());
        let text = told("p.toml", &found, address, &found.failures());
        assert!(text.ends_with("\nwould fail: source w: gone\n"), "{text}");
    }

    #[test]
    fn what_an_hour_adds_is_told_with_what_it_is_taken_from() {
        let hourly = Hourly {
            rows_least: 480,
            rows_most: 86_400,
            bytes_least: Some(48_000),
            bytes_most: Some(8 << 20),
            events: 10,
        };
        let view = ViewPreview { hourly: Some(hourly), ..ViewPreview::default() };
        let text = hours(&name("v"), &view);
        assert!(text.starts_with("view v: an hour adds 480 to 86,400 rows, some "), "{text}");
        assert!(text.ends_with(" of state, as far as 10 events can tell\n"), "{text}");
    }
}
