//! One panel, as the page is told of it: what it is called, what it shows, and of which view or stream.

use std::collections::BTreeMap;

use lakehead_engine::dashboard::PanelWidth;
use lakehead_model::Name;
use serde::Serialize;

/// The series that are told apart; all others are one, or are not shown.
pub(crate) const SERIES_MAX: usize = 8;

/// One panel, as the page is told of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Panel {
    /// Its name in the page: that of the pipeline, or `view:NAME`, `stream:NAME`, `rate:NAME`, which no pipeline can write.
    pub(crate) name: String,
    /// Its heading.
    pub(crate) title: String,
    /// A few words beside it.
    pub(crate) note: Option<String>,
    /// How much of a wide page it takes.
    pub(crate) width: PanelWidth,
    /// The view that it shows.
    pub(crate) view: Option<Name>,
    /// The stream that it shows, or that its view reads.
    pub(crate) stream: Name,
    /// What it shows of it.
    #[serde(flatten)]
    pub(crate) shows: Shows,
}

/// What a panel shows.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Shows {
    /// Numbers over windows.
    Chart(Chart),
    /// What is greatest in the newest windows.
    Ranks(Ranks),
    /// The newest rows.
    Table(Table),
    /// The newest events.
    Events(Events),
    /// Events a second.
    Rate,
}

/// Numbers over windows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Chart {
    /// How they are drawn.
    pub(crate) style: Style,
    /// The column with the window's start.
    pub(crate) window: String,
    /// From one window to the next, where that is always as far; milliseconds.
    pub(crate) step_ms: Option<f64>,
    /// About as far, where it is not.
    pub(crate) about_ms: f64,
    /// How long each window is, where they overlap.
    pub(crate) size_ms: Option<f64>,
    /// How many windows are shown.
    pub(crate) windows: u32,
    /// The numbers.
    pub(crate) values: Vec<Value>,
    /// Whether all of them stand in one chart.
    pub(crate) together: bool,
    /// What tells the series apart.
    pub(crate) series: Vec<String>,
    /// Whether other series are added up; where not, they are left out.
    pub(crate) others: bool,
    /// What values of the series are called.
    pub(crate) labels: BTreeMap<String, String>,
    /// Numbers of the view that are not drawn.
    pub(crate) left_out: usize,
}

/// How a chart is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Style {
    Bars,
    Lines,
    Points,
}

/// One number of a chart.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Value {
    pub(crate) name: String,
    pub(crate) down: bool,
    pub(crate) adds_up: bool,
}

/// What is greatest in the newest windows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Ranks {
    pub(crate) window: String,
    pub(crate) about_ms: f64,
    pub(crate) windows: u32,
    pub(crate) value: Value,
    pub(crate) series: String,
    pub(crate) aside: Vec<String>,
    pub(crate) link: Option<String>,
}

/// The newest rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Table {
    pub(crate) columns: Vec<Head>,
    /// The column by which they are the newest: the window's start; without, they are the last that were made.
    pub(crate) newest_by: Option<String>,
    pub(crate) about_ms: f64,
    /// Columns of the view that are not shown.
    pub(crate) left_out: usize,
}

/// One column of a table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Head {
    pub(crate) name: String,
    pub(crate) number: bool,
}

/// The newest events.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Events {
    pub(crate) columns: Vec<String>,
    pub(crate) change: Option<(String, String)>,
    pub(crate) hide: Option<String>,
    pub(crate) link: Option<String>,
    /// Whether there are columns at all; without, an event is shown as it came.
    pub(crate) whole: bool,
}

impl Panel {
    /// Leads nowhere from here on, for events that are made up.
    pub(super) fn unlink(&mut self) {
        match &mut self.shows {
            Shows::Events(events) => events.link = None,
            Shows::Ranks(ranks) => ranks.link = None,
            Shows::Chart(_) | Shows::Table(_) | Shows::Rate => {}
        }
    }
}
