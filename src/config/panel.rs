//! `[panel.NAME]`: what the dashboard shows of a view or a stream, and how.
//!
//! Every view and every stream has a panel by itself; one that is written here takes its place. The columns that it names
//! must be there, and its settings must fit its kind, so that no panel fails when it is looked at.

use std::collections::BTreeMap;

use lakehead_engine::dashboard::{PanelConfig, PanelKind, PanelOf, PanelValue, PanelWidth};
use lakehead_model::{Name, StreamSchema, hint::instead};
use lakehead_query::{Outline, ValueKind, WindowStep};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{document::Document, problem::Problem, stream::BUILT_IN_STREAMS};

/// Panels that a pipeline may ask for: many screens full.
const PANELS_MAX: usize = 200;
/// The most windows that a panel shows.
const WINDOWS_MAX: u32 = 500;
/// The longest title and note, in characters.
const WORDS_MAX: usize = 120;

/// A panel's keys.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PanelKeys {
    /// The view that it shows; this or `stream`.
    view: Option<String>,
    /// The stream that it shows; this or `view`.
    stream: Option<String>,
    /// Its heading, at most 120 characters. Default: the name, in words.
    title: Option<String>,
    /// Words beside the heading, at most 120 characters.
    note: Option<String>,
    /// How it shows what it shows: "bars", "lines", "points", "ranks" or "table" of a view, "events" or "rate" of a
    /// stream, "none" for no panel. Default: by the columns; of a stream "events".
    #[schemars(with = "Option<String>")]
    kind: Option<PanelKind>,
    /// How much of a wide page it takes: "third", "half", "two_thirds" or "full". Default: "half".
    #[schemars(with = "Option<String>")]
    width: Option<PanelWidth>,
    /// The numbers to draw, "-column" downwards. Default: all, four at most.
    #[serde(default)]
    values: Vec<String>,
    /// The column that tells series apart, or is ranked. Default: by the columns.
    series: Option<String>,
    /// Names for values of `series`, as in { true = "bots", false = "people" }. Default: the values.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// How many windows, from 1 to 500; of a ranking, over how many it counts. Default: 60, of a ranking 1.
    windows: Option<u32>,
    /// Of a table its columns; of events the headline, then what stands below it; of a ranking what stands beside the name.
    /// Default: as many as fit.
    #[serde(default)]
    columns: Vec<String>,
    /// Of events two columns; by how much the second is more stands beside the headline.
    change: Option<(String, String)>,
    /// Of events a column that is true where one is left out.
    hide: Option<String>,
    /// Of events and rankings where the headline leads to, with columns in braces.
    link: Option<String>,
}

/// What panels can be of: the columns of each view and stream that is good.
pub(super) struct Known<'a> {
    pub(super) views: BTreeMap<Name, Outline>,
    pub(super) streams: &'a BTreeMap<Name, StreamSchema>,
}

/// Reads all panels, in their order.
pub(super) fn read(document: &Document, known: &Known<'_>, problems: &mut Vec<Problem>) -> Vec<(Name, PanelConfig)> {
    let mut panels = Vec::new();
    for (name, key) in document.tables("panel", problems) {
        let place = ["panel", key];
        let keys: PanelKeys = match document.read(&place) {
            Ok(keys) => keys,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        let mut check = Check { document, known, key, problems };
        if let Some(panel) = check.panel(keys) {
            panels.push((name, panel));
        }
    }
    if panels.len() > PANELS_MAX {
        let what = format!("{} panels; a dashboard has {PANELS_MAX} at most", panels.len());
        problems.push(document.problem(&["panel"], what));
    }
    panels
}

struct Check<'a> {
    document: &'a Document,
    known: &'a Known<'a>,
    key: &'a str,
    problems: &'a mut Vec<Problem>,
}

impl Check<'_> {
    fn wrong(&mut self, key: &str, what: impl Into<String>) {
        let place = ["panel", self.key, key];
        let place = if key.is_empty() { &place[..2] } else { &place[..] };
        self.problems.push(self.document.problem(place, what));
    }

    fn panel(&mut self, keys: PanelKeys) -> Option<PanelConfig> {
        let of = self.of(keys.view.as_deref(), keys.stream.as_deref())?;
        for (key, words) in [("title", &keys.title), ("note", &keys.note)] {
            if words.as_ref().is_some_and(|words| words.trim().is_empty() || words.chars().count() > WORDS_MAX) {
                self.wrong(key, format!("write some words, {WORDS_MAX} characters at most"));
            }
        }
        if let Some(windows) = keys.windows.filter(|windows| !(1..=WINDOWS_MAX).contains(windows)) {
            self.wrong("windows", format!("{windows} windows; write a number from 1 to {WINDOWS_MAX}"));
        }
        let values: Vec<PanelValue> = keys.values.iter().map(|text| value(text)).collect();
        let panel = PanelConfig {
            title: keys.title,
            note: keys.note,
            kind: keys.kind,
            width: keys.width,
            values,
            series: keys.series,
            labels: keys.labels,
            windows: keys.windows,
            columns: keys.columns,
            change: keys.change,
            hide: keys.hide,
            link: keys.link,
            ..PanelConfig::new(of)
        };
        match &panel.of {
            PanelOf::View(view) => match self.known.views.get(view) {
                Some(outline) => self.of_view(&panel, outline),
                // The view itself is not good, and that was said.
                None => return None,
            },
            PanelOf::Stream(stream) => match self.known.streams.get(stream) {
                Some(schema) => self.of_stream(&panel, schema),
                None => return None,
            },
        }
        Some(panel)
    }

    fn of(&mut self, view: Option<&str>, stream: Option<&str>) -> Option<PanelOf> {
        let (key, kind, text) = match (view, stream) {
            (Some(view), None) => ("view", "view", view),
            (None, Some(stream)) => ("stream", "stream", stream),
            (None, None) => {
                self.wrong("", "write what it shows: view = \"NAME\" or stream = \"NAME\"");
                return None;
            }
            (Some(_), Some(_)) => {
                self.wrong("stream", "a panel shows a view or a stream, not both");
                return None;
            }
        };
        let written = self.document.keys(&[kind]);
        let there = written.contains(&text) || (key == "stream" && BUILT_IN_STREAMS.contains(&text));
        match Name::new(text).ok().filter(|_| there) {
            Some(name) if key == "view" => Some(PanelOf::View(name)),
            Some(name) => Some(PanelOf::Stream(name)),
            None => {
                let what = format!("no {kind} {text:?} in this file; {}", instead(text, written));
                self.wrong(key, what);
                None
            }
        }
    }

    fn of_view(&mut self, panel: &PanelConfig, outline: &Outline) {
        let names: Vec<&str> = outline.columns.iter().map(|column| column.name.as_str()).collect();
        let kind = panel.kind;
        if matches!(kind, Some(PanelKind::Events | PanelKind::Rate)) {
            self.wrong("kind", "this kind is of a stream; of a view there are bars, lines, points, ranks, table, none");
        }
        for (at, value) in panel.values.iter().enumerate() {
            match outline.column(&value.column) {
                Some(column) if column.values == ValueKind::Numbers => {}
                Some(_) => self.wrong("values", format!("the column {:?} has no numbers to draw", value.column)),
                None => self.wrong(
                    "values",
                    format!("no column {:?}; {}", value.column, instead(&value.column, names.clone())),
                ),
            }
            if panel.values[..at].iter().any(|other| other.column == value.column) {
                self.wrong("values", format!("the column {:?} stands here twice", value.column));
            }
        }
        for (key, column) in [("series", panel.series.as_ref())].into_iter().filter_map(|(k, c)| Some((k, c?))) {
            match outline.column(column) {
                Some(found) if found.values == ValueKind::Others => {
                    self.wrong(
                        key,
                        format!("the values of {column:?} are no names: choose a column of texts, numbers or truths"),
                    );
                }
                Some(_) => {}
                None => self.wrong(key, format!("no column {column:?}; {}", instead(column, names.clone()))),
            }
        }
        self.columns(&panel.columns, &names);
        self.link(panel, &names);
        for key in ["change", "hide"] {
            if (key == "change" && panel.change.is_some()) || (key == "hide" && panel.hide.is_some()) {
                self.wrong(key, "this is for a list of a stream's events");
            }
        }
        let chart = matches!(kind, Some(PanelKind::Bars | PanelKind::Lines | PanelKind::Points | PanelKind::Ranks));
        if chart && outline.window_column().is_none() {
            self.wrong("kind", "the view shows no window to draw over; kind = \"table\" shows its newest rows");
        }
        if chart && !outline.columns.iter().any(|column| column.values == ValueKind::Numbers) {
            self.wrong("kind", "the view has no numbers to draw; kind = \"table\" shows its newest rows");
        }
        if kind == Some(PanelKind::Ranks) {
            if matches!(outline.step, Some(WindowStep::Session(_))) {
                self.wrong("kind", "sessions have no newest window to rank; choose points or table");
            }
            if panel.series.is_none() {
                self.wrong("series", "a ranking wants the column whose values it ranks: series = \"COLUMN\"");
            }
        }
    }

    fn of_stream(&mut self, panel: &PanelConfig, schema: &StreamSchema) {
        if panel.kind.is_some_and(|kind| !matches!(kind, PanelKind::Events | PanelKind::Rate | PanelKind::None)) {
            self.wrong("kind", "this kind is of a view; of a stream there are events, rate, none");
        }
        let every = ["event_offset", "event_time", "received_time", "data"];
        let names: Vec<&str> = schema.columns.iter().map(|column| column.name.as_str()).chain(every).collect();
        self.columns(&panel.columns, &names);
        let pair = panel.change.iter().flat_map(|(from, to)| [("change", from), ("change", to)]);
        for (key, column) in pair.chain(panel.hide.iter().map(|column| ("hide", column))) {
            if !names.contains(&column.as_str()) {
                self.wrong(key, format!("no column {column:?}; {}", instead(column, names.clone())));
            }
        }
        self.link(panel, &names);
        let unused = [
            ("values", !panel.values.is_empty()),
            ("series", panel.series.is_some()),
            ("windows", panel.windows.is_some()),
            ("labels", !panel.labels.is_empty()),
        ];
        for (key, _) in unused.into_iter().filter(|(_, written)| *written) {
            self.wrong(key, "this is for a view's panel");
        }
    }

    fn columns(&mut self, columns: &[String], names: &[&str]) {
        for column in columns {
            if !names.contains(&column.as_str()) {
                self.wrong("columns", format!("no column {column:?}; {}", instead(column, names.iter().copied())));
            }
        }
    }

    /// A link is an address of the web whose braces name columns, each by itself or, for the host of a Wikimedia wiki by its
    /// database's name, as in `{wiki|wikimedia}`.
    fn link(&mut self, panel: &PanelConfig, names: &[&str]) {
        let Some(link) = &panel.link else { return };
        if !link.starts_with("https://") && !link.starts_with("http://") {
            self.wrong(
                "link",
                "write an address that begins with https://, with columns in braces, as in https://example.org/{id}",
            );
            return;
        }
        let mut rest = link.as_str();
        while let Some((_, after)) = rest.split_once('{') {
            let Some((inside, after)) = after.split_once('}') else {
                self.wrong("link", "`{` without a closing `}`");
                return;
            };
            let column = inside.strip_suffix("|wikimedia").unwrap_or(inside);
            if !names.contains(&column) {
                self.wrong("link", format!("no column {column:?}; {}", instead(column, names.iter().copied())));
            }
            rest = after;
        }
    }
}

fn value(text: &str) -> PanelValue {
    match text.strip_prefix('-') {
        Some(column) => PanelValue { column: column.to_owned(), down: true },
        None => PanelValue { column: text.to_owned(), down: false },
    }
}
