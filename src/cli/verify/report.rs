//! The report of an audit as text for people.

use lakehead_engine::audit::{Report, StreamAudit};
use lakehead_model::Name;
use lakehead_query::ViewAudit;

use crate::{
    numbers::{counted, grouped},
    table::Table,
};

/// Minutes that do not add up are shown up to this many.
const MINUTES_SHOWN: usize = 20;

/// The report for people.
pub(super) fn told(report: &Report) -> String {
    let mut text = String::new();
    if !report.streams.is_empty() {
        text += &format!("{}\n", stream_table(report));
    }
    if !report.views.is_empty() {
        text += &format!("{}\n", view_table(report));
    }
    for (name, view) in &report.views {
        text += &what_was_compared(name, view);
    }
    for (name, stream) in &report.streams {
        text += &bad_minutes(name, stream);
    }
    for line in report.in_words() {
        text += &format!("{line}\n");
    }
    for line in report.not_checked() {
        text += &format!("not checked: {line}\n");
    }
    match report.differences() {
        0 => text += &format!("{}\n", all_is_well(report)),
        differences => text += &format!("{}\n", sentence(differences)),
    }
    text
}

fn stream_table(report: &Report) -> Table {
    let mut table =
        Table::new(["stream", "events", "minutes", "upstream offsets", "accounted for", "missing", "twice", "verdict"]);
    for (name, stream) in &report.streams {
        let upstream: u64 = stream.partitions.values().map(|partition| partition.events).sum();
        table.row([
            name.to_string(),
            grouped(stream.events),
            grouped(stream.minutes.len() as u64),
            if stream.partitions.is_empty() { "none".into() } else { grouped(upstream) },
            grouped(stream.accounted),
            grouped(stream.missing),
            grouped(stream.doubled),
            verdict(stream.differences),
        ]);
    }
    table
}

fn view_table(report: &Report) -> Table {
    let mut table = Table::new([
        "view",
        "events",
        "in view",
        "filtered",
        "left out late",
        "without time",
        "failed",
        "rows compared",
        "verdict",
    ]);
    for (name, view) in &report.views {
        table.row(view_row(name, view));
    }
    table
}

/// What of a view was compared, where that is not all.
fn what_was_compared(name: &Name, view: &ViewAudit) -> String {
    let mut text = String::new();
    let why = "what is before is not wholly in the log, or was not asked for";
    match (&view.compared_from, nothing_compared(view)) {
        (Some(from), false) => text += &format!("view {name}: compared from {from} on; {why}\n"),
        (Some(from), true) => text += &format!("view {name}: nothing is there from {from} on to compare; {why}\n"),
        (None, true) => {
            text += &format!("view {name}: nothing to compare: it has no row, and the log has none for it\n")
        }
        (None, false) => {}
    }
    if view.explained > 0 {
        text += &format!(
            "view {name}: late events that the view left out, as it counted, make a difference in {}\n",
            counted(view.explained, "row")
        );
    }
    text
}

/// What was counted again, where nothing differs.
fn all_is_well(report: &Report) -> String {
    let events = match report.streams.is_empty() {
        false => report.events(),
        // Where only a view was asked for, no stream was walked: these are the events that it was held against.
        true => report.views.values().filter_map(|view| view.balance.as_ref()).map(|balance| balance.events).sum(),
    };
    if events == 0 && report.views.values().all(nothing_compared) {
        return "Nothing was compared: there is neither event nor row in what was asked for.".into();
    }
    let what = [(events, "event"), (report.rows(), "row")].into_iter().filter(|(number, _)| *number > 0);
    let what: Vec<String> = what.map(|(number, noun)| counted(number, noun)).collect();
    format!("Everything adds up: {} counted again.", what.join(", "))
}

/// Whether neither an event nor a row of the view was held against the log.
fn nothing_compared(view: &ViewAudit) -> bool {
    let events = view.balance.as_ref().map_or(0, |balance| balance.events);
    events + view.windows + view.files + view.rows + view.differences == 0
}

fn view_row(name: &Name, view: &ViewAudit) -> [String; 9] {
    let verdict = if nothing_compared(view) { "nothing compared".into() } else { verdict(view.differences) };
    let rows = grouped(view.rows);
    match &view.balance {
        Some(balance) => [
            name.to_string(),
            grouped(balance.events),
            grouped(balance.in_view),
            grouped(balance.filtered),
            grouped(balance.late_dropped + balance.too_late),
            grouped(balance.without_time),
            grouped(balance.failed),
            rows,
            verdict,
        ],
        None => {
            let unknown = || "-".to_owned();
            [name.to_string(), unknown(), unknown(), unknown(), unknown(), unknown(), unknown(), rows, verdict]
        }
    }
}

/// The minutes of a stream that do not add up.
fn bad_minutes(name: &Name, stream: &StreamAudit) -> String {
    let bad: Vec<_> = stream.minutes.iter().filter(|minute| minute.missing + minute.doubled > 0).collect();
    if bad.is_empty() {
        return String::new();
    }
    let mut table = Table::new(["received in", "events", "missing", "twice"]);
    for minute in bad.iter().take(MINUTES_SHOWN) {
        table.row([minute.start.clone(), grouped(minute.events), grouped(minute.missing), grouped(minute.doubled)]);
    }
    let more = match bad.len().saturating_sub(MINUTES_SHOWN) {
        0 => String::new(),
        more => format!("minutes that are not shown: {more}; --format json has all of them\n"),
    };
    format!("minutes of {name} that do not add up:\n{table}{more}\n")
}

fn verdict(differences: u64) -> String {
    match differences {
        0 => "adds up".into(),
        1 => "1 difference".into(),
        more => format!("{} differences", grouped(more)),
    }
}

/// The sentence in which a report ends that has differences.
pub(super) fn sentence(differences: u64) -> String {
    match differences {
        1 => "It does not add up: 1 difference.".into(),
        more => format!("It does not add up: {} differences.", grouped(more)),
    }
}

#[cfg(test)]
mod tests {
    use lakehead_engine::audit::AuditFinding;
    use lakehead_query::Balance;

    use super::*;

    #[test]
    fn a_difference_is_told_in_full_and_ends_in_one_sentence() {
        let name = Name::new("s").expect("a name");
        let mut report = Report::default();
        report.streams.insert(name.clone(), StreamAudit { events: 1_234, ..StreamAudit::default() });
        assert!(told(&report).ends_with("Everything adds up: 1,234 events counted again.\n"), "{}", told(&report));
        let said = AuditFinding { minute: "2026-11-24T10:00:00Z".into(), what: "upstream offset 7 is nowhere".into() };
        report.streams.insert(name, StreamAudit { differences: 1, told: vec![said], ..StreamAudit::default() });
        let text = told(&report);
        assert!(text.contains("stream s, 2026-11-24T10:00:00Z: upstream offset 7 is nowhere"), "{text}");
        assert!(text.ends_with("It does not add up: 1 difference.\n"), "{text}");
    }

    #[test]
    fn of_one_view_what_was_compared_is_told_and_that_nothing_was() {
        let name = Name::new("v").expect("a name");
        let of = |view: ViewAudit| {
            let views = [(name.clone(), view)].into();
            told(&Report { views, ..Report::default() })
        };
        let balance = Some(Balance { events: 310, ..Balance::default() });
        let text = of(ViewAudit { balance, windows: 5, rows: 1, ..ViewAudit::default() });
        assert!(text.ends_with("Everything adds up: 310 events, 1 row counted again.\n"), "{text}");
        let text = of(ViewAudit { rows: 17, ..ViewAudit::default() });
        assert!(text.ends_with("Everything adds up: 17 rows counted again.\n"), "{text}");
        let text = of(ViewAudit { compared_from: Some("2100-01-01T00:00:00Z".into()), ..ViewAudit::default() });
        assert!(!text.contains("adds up") && text.contains("nothing compared"), "{text}");
        assert!(text.contains("view v: nothing is there from 2100-01-01T00:00:00Z on to compare"), "{text}");
    }
}
