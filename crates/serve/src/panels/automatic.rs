//! What a panel shows, by the columns of its view or stream, and by what the pipeline says over that.
//!
//! ```text
//! a view with a window and numbers     bars where they add up and windows do not overlap, else lines; sessions are points
//!            without numbers           its newest rows
//!            without a window          its newest rows
//! a stream                             its rate, and its newest events
//! ```

use lakehead_engine::{
    Engine,
    dashboard::{PanelConfig, PanelKind, PanelOf, PanelWidth},
};
use lakehead_model::Name;
use lakehead_query::{Outline, OutlineColumn, ValueKind, ViewHandle, WindowStep};

use super::panel::{Chart, Events, Head, Panel, Ranks, Shows, Style, Table, Value};

/// Numbers of one view that are drawn when nobody says which.
const CHARTS_MAX: usize = 4;
/// Windows shown when nobody says how many.
const WINDOWS: u32 = 60;
/// The same of windows so short that a chart of 60 would be over at once, and how short that is.
const SHORT_WINDOWS: u32 = 300;
const SHORT_MS: f64 = 5_000.0;
/// The same where each window has up to nine numbers.
const SHORT_WINDOWS_OF_SERIES: u32 = 120;
/// Columns of a table, and of a list of events, when nobody says which: what fits into half a page.
const TABLE_COLUMNS_MAX: usize = 8;
const EVENT_COLUMNS_MAX: usize = 5;
/// What is shown of an entry of the gap ledger.
const GAP_COLUMNS: [&str; 6] = ["stream", "kind", "missing", "after", "before", "reason"];
const SECOND_MS: f64 = 1_000.0;
const DAY_MS: f64 = 86_400.0 * SECOND_MS;

/// The panel that the pipeline asks for; none where what it shows is gone, which the pipeline's check does not let pass.
pub(super) fn as_asked(engine: &Engine, views: &[ViewHandle], name: &Name, config: &PanelConfig) -> Option<Panel> {
    match &config.of {
        PanelOf::View(view) => {
            let handle = views.iter().find(|handle| handle.name() == view)?;
            Some(panel_of_view(handle, name.to_string(), config))
        }
        PanelOf::Stream(stream) => {
            let shows = match config.kind {
                Some(PanelKind::Rate) => Shows::Rate,
                _ => events(engine, stream, config)?,
            };
            Some(Panel {
                name: name.to_string(),
                title: config.title.clone().unwrap_or_else(|| in_words(stream)),
                note: config.note.clone(),
                width: config.width.unwrap_or_default(),
                view: None,
                stream: stream.clone(),
                shows,
            })
        }
    }
}

/// The panels of a built-in stream: of the gap ledger its last entries, with what is missing and between which times.
pub(super) fn of_ledger(engine: &Engine, ledger: &Name) -> Vec<Panel> {
    if ledger.as_str() != "gaps" {
        return of_stream(engine, ledger);
    }
    let mut config = PanelConfig::new(PanelOf::Stream(ledger.clone()));
    config.title = Some("Gaps: what is missing upstream, and what was renumbered or skipped".to_owned());
    config.columns = GAP_COLUMNS.map(str::to_owned).to_vec();
    config.width = Some(PanelWidth::TwoThirds);
    as_asked(engine, &[], ledger, &config)
        .into_iter()
        .map(|panel| Panel { name: format!("stream:{ledger}"), ..panel })
        .collect()
}

/// The two panels of a stream that has none of its own.
pub(super) fn of_stream(engine: &Engine, stream: &Name) -> Vec<Panel> {
    let config = PanelConfig::new(PanelOf::Stream(stream.clone()));
    let Some(events) = events(engine, stream, &config) else { return Vec::new() };
    let panel = |kind: &str, title: String, width, shows| Panel {
        name: format!("{kind}:{stream}"),
        title,
        note: None,
        width,
        view: None,
        stream: stream.clone(),
        shows,
    };
    let words = in_words(stream);
    vec![
        panel("rate", format!("{words}: events a second"), PanelWidth::TwoThirds, Shows::Rate),
        panel("stream", format!("{words}: latest events"), PanelWidth::Third, events),
    ]
}

/// The panel of a view that has none of its own.
pub(super) fn of_view(view: &ViewHandle) -> Panel {
    panel_of_view(view, format!("view:{}", view.name()), &PanelConfig::new(PanelOf::View(view.name().clone())))
}

fn panel_of_view(view: &ViewHandle, name: String, config: &PanelConfig) -> Panel {
    let outline = view.outline();
    Panel {
        name,
        title: config.title.clone().unwrap_or_else(|| in_words(view.name())),
        note: config.note.clone(),
        width: config.width.unwrap_or_default(),
        view: Some(view.name().clone()),
        stream: view.plan().stream().clone(),
        shows: shows(&outline, config),
    }
}

fn events(engine: &Engine, stream: &Name, config: &PanelConfig) -> Option<Shows> {
    let schema = engine.schema(stream.as_str())?;
    let mut columns = config.columns.clone();
    if columns.is_empty() {
        columns = schema.columns.iter().map(|column| column.name.clone()).take(EVENT_COLUMNS_MAX).collect();
    }
    let whole = columns.is_empty();
    let (change, hide, link) = (config.change.clone(), config.hide.clone(), config.link.clone());
    Some(Shows::Events(Events { columns, change, hide, link, whole }))
}

/// What a panel shows of a view's rows.
fn shows(outline: &Outline, config: &PanelConfig) -> Shows {
    let window = outline.window_column().zip(outline.step);
    let numbers = numbers(outline, config);
    match (window, config.kind) {
        (None, _) | (_, Some(PanelKind::Table)) => table(outline, config),
        _ if numbers.is_empty() => table(outline, config),
        (Some((window, step)), kind) => match (kind, &config.series) {
            (Some(PanelKind::Ranks), Some(series)) => ranks(window, step, numbers, series, config),
            _ => chart(outline, window, step, numbers, config),
        },
    }
}

/// The numbers that can be drawn: those that are asked for, else all that are no groups.
fn numbers(outline: &Outline, config: &PanelConfig) -> Vec<Value> {
    let value = |column: &OutlineColumn, down| Value { name: column.name.clone(), down, adds_up: column.adds_up };
    if !config.values.is_empty() {
        let asked = config.values.iter();
        return asked.filter_map(|asked| Some(value(outline.column(&asked.column)?, asked.down))).collect();
    }
    let drawn = |column: &&OutlineColumn| {
        column.values == ValueKind::Numbers && !column.is_key && config.series.as_ref() != Some(&column.name)
    };
    outline.columns.iter().filter(drawn).map(|column| value(column, false)).collect()
}

/// From one window to the next in milliseconds: exactly, if it is always as far, and about.
fn step_ms(step: WindowStep) -> (Option<f64>, f64) {
    match step {
        WindowStep::Time(size) => {
            let ms = size.as_secs_f64() * SECOND_MS;
            (Some(ms), ms)
        }
        WindowStep::Days(days) => (None, DAY_MS * f64::from(days)),
        WindowStep::Months(months) => (None, 30.4 * DAY_MS * f64::from(months)),
        WindowStep::Session(gap) => (None, gap.as_secs_f64() * SECOND_MS),
    }
}

fn chart(
    outline: &Outline,
    window: &OutlineColumn,
    step: WindowStep,
    mut values: Vec<Value>,
    config: &PanelConfig,
) -> Shows {
    let together = !config.values.is_empty() && config.series.is_none();
    let left_out = if config.values.is_empty() { values.len().saturating_sub(CHARTS_MAX) } else { 0 };
    values.truncate(values.len() - left_out);
    let add_up = values.iter().all(|value| value.adds_up);
    let series = series(outline, window, add_up, config);
    let (exact_ms, about_ms) = step_ms(step);
    let style = match (config.kind, step) {
        (Some(PanelKind::Bars), _) => Style::Bars,
        (Some(PanelKind::Lines), _) => Style::Lines,
        (Some(PanelKind::Points), _) | (None, WindowStep::Session(_)) => Style::Points,
        _ if outline.overlap.is_some() || !add_up || (about_ms <= SHORT_MS && series.is_empty()) => Style::Lines,
        _ => Style::Bars,
    };
    let windows = config.windows.unwrap_or(match (about_ms <= SHORT_MS, series.is_empty()) {
        (true, true) => SHORT_WINDOWS,
        (true, false) => SHORT_WINDOWS_OF_SERIES,
        (false, _) => WINDOWS,
    });
    Shows::Chart(Chart {
        style,
        window: window.name.clone(),
        step_ms: exact_ms,
        about_ms,
        size_ms: outline.overlap.map(|size| size.as_secs_f64() * SECOND_MS),
        windows,
        values,
        together,
        series,
        others: add_up,
        labels: config.labels.clone(),
        left_out,
    })
}

/// What tells the series apart: one column where the others can be added up, else all groups, since no number of theirs
/// stands for several.
fn series(outline: &Outline, window: &OutlineColumn, add_up: bool, config: &PanelConfig) -> Vec<String> {
    let is_name =
        |column: &&OutlineColumn| column.is_key && column.name != window.name && column.values != ValueKind::Others;
    let groups = || outline.columns.iter().filter(is_name);
    match &config.series {
        Some(column) => vec![column.clone()],
        None if !config.values.is_empty() && add_up => Vec::new(),
        None if add_up => {
            // The first text; a group that is a number or a time only where there is no text.
            let best = groups().find(|column| column.values == ValueKind::Texts).or_else(|| groups().next());
            best.map(|column| column.name.clone()).into_iter().collect()
        }
        None => groups().map(|column| column.name.clone()).collect(),
    }
}

fn ranks(window: &OutlineColumn, step: WindowStep, values: Vec<Value>, series: &str, config: &PanelConfig) -> Shows {
    let value = values.into_iter().next().unwrap_or(Value { name: String::new(), down: false, adds_up: false });
    Shows::Ranks(Ranks {
        window: window.name.clone(),
        about_ms: step_ms(step).1,
        windows: config.windows.unwrap_or(1),
        value,
        series: series.to_owned(),
        aside: config.columns.clone(),
        link: config.link.clone(),
    })
}

fn table(outline: &Outline, config: &PanelConfig) -> Shows {
    let asked = |column: &&OutlineColumn| config.columns.is_empty() || config.columns.contains(&column.name);
    let all: Vec<&OutlineColumn> = outline.columns.iter().filter(asked).collect();
    let most = if config.columns.is_empty() { TABLE_COLUMNS_MAX } else { all.len() };
    let head =
        |column: &&OutlineColumn| Head { name: column.name.clone(), number: column.values == ValueKind::Numbers };
    Shows::Table(Table {
        columns: all.iter().take(most).map(head).collect(),
        newest_by: outline.window_column().map(|column| column.name.clone()),
        about_ms: outline.step.map_or(DAY_MS, |step| step_ms(step).1),
        left_out: outline.columns.len().saturating_sub(all.len().min(most)),
    })
}

/// `edits_per_minute` as "Edits per minute".
fn in_words(name: &Name) -> String {
    let words = name.as_str().replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn column(name: &str, values: ValueKind, is_key: bool, adds_up: bool) -> OutlineColumn {
        OutlineColumn { name: name.into(), values, is_key, adds_up }
    }

    /// A view by the minute with these columns beside the window.
    fn view(columns: &[OutlineColumn]) -> Outline {
        let window = column("minute", ValueKind::Times, true, false);
        Outline {
            columns: [&[window], columns].concat(),
            window: Some(0),
            step: Some(WindowStep::Time(Duration::from_secs(60))),
            overlap: None,
            keys_are_whole: true,
        }
    }

    fn config() -> PanelConfig {
        PanelConfig::new(PanelOf::View(Name::new("v").expect("a name")))
    }

    fn drawn(outline: &Outline) -> Chart {
        match shows(outline, &config()) {
            Shows::Chart(chart) => chart,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn counts_are_stacked_by_their_first_text_and_averages_are_lines_of_every_group() {
        let shop = column("shop", ValueKind::Texts, true, false);
        let till = column("till", ValueKind::Numbers, true, false);
        let orders = column("orders", ValueKind::Numbers, false, true);
        let chart = drawn(&view(&[till.clone(), shop.clone(), orders]));
        assert_eq!((chart.style, chart.others, chart.series), (Style::Bars, true, vec!["shop".to_owned()]));
        let mean = column("mean", ValueKind::Numbers, false, false);
        let chart = drawn(&view(&[till, shop, mean]));
        let both = vec!["till".to_owned(), "shop".to_owned()];
        assert_eq!((chart.style, chart.others, chart.series), (Style::Lines, false, both));
    }

    #[test]
    fn a_view_without_a_window_or_without_numbers_is_a_table() {
        let text = column("text", ValueKind::Texts, false, false);
        assert!(matches!(shows(&view(&[text]), &config()), Shows::Table(_)));
        assert!(matches!(shows(&view(&[]), &config()), Shows::Table(_)));
        let mut rows = view(&[column("n", ValueKind::Numbers, false, false)]);
        (rows.window, rows.step) = (None, None);
        let Shows::Table(table) = shows(&rows, &config()) else { panic!("a table") };
        assert_eq!((table.columns.len(), table.newest_by), (2, None));
    }

    #[test]
    fn many_numbers_are_counted_and_not_all_drawn() {
        let numbers: Vec<_> = (0..7).map(|n| column(&format!("n{n}"), ValueKind::Numbers, false, true)).collect();
        let chart = drawn(&view(&numbers));
        assert_eq!((chart.values.len(), chart.left_out, chart.together), (4, 3, false));
    }

    #[test]
    fn sessions_are_points_and_overlapping_windows_lines() {
        let mut outline = view(&[column("n", ValueKind::Numbers, false, true)]);
        outline.overlap = Some(Duration::from_secs(300));
        assert_eq!(drawn(&outline).style, Style::Lines);
        outline.step = Some(WindowStep::Session(Duration::from_secs(30)));
        assert_eq!(drawn(&outline).style, Style::Points);
    }
}
