//! The panels of the dashboard: those that the pipeline asks for, and one for every view and stream that has none.
//!
//! What a panel shows is decided here, by the columns of the view or stream; what it asks of the lake, in `panels/query.rs`;
//! what of the answer goes to the page, in `panels/frame.rs`. The page draws what it is told and knows no view by name.

mod automatic;
pub(crate) mod frame;
pub(crate) mod query;

use lakehead_engine::{
    Engine,
    dashboard::{PanelKind, PanelWidth},
};
use lakehead_model::Name;
use serde::Serialize;

/// Panels of one dashboard; what is more is counted and not shown. A hundred views and their streams fit.
pub(crate) const PANELS_MAX: usize = 250;
/// Numbers of one view that are drawn when nobody says which.
const CHARTS_MAX: usize = 4;
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
    pub(crate) labels: std::collections::BTreeMap<String, String>,
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

/// The panels of a dashboard, and how many more there would be.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Panels {
    pub(crate) panels: Vec<Panel>,
    pub(crate) left_out: usize,
    /// The events are made up: nothing links outside.
    pub(crate) simulated: bool,
}

impl Panels {
    /// Those of `engine` as it is now. `refused` says whether anything was refused, which then has a panel, too.
    pub(crate) fn of(engine: &Engine, refused: bool) -> Self {
        let pipeline = engine.pipeline();
        let dashboard = &pipeline.dashboard;
        let views = engine.lake().views();
        let mut panels = Vec::new();
        for (name, config) in &dashboard.panels {
            if config.kind != Some(PanelKind::None) {
                panels.extend(automatic::as_asked(engine, &views, name, config));
            }
        }
        let has_own = |panel: &dyn Fn(&lakehead_engine::dashboard::PanelOf) -> bool| {
            dashboard.panels.iter().any(|(_, config)| panel(&config.of))
        };
        let mut streams: Vec<Name> = pipeline.streams.keys().cloned().collect();
        streams.extend(Name::new("rejects").ok().filter(|_| refused));
        for stream in &streams {
            if !has_own(&|of| matches!(of, lakehead_engine::dashboard::PanelOf::Stream(name) if name == stream)) {
                panels.extend(automatic::of_stream(engine, stream));
            }
        }
        for view in &views {
            if !has_own(&|of| matches!(of, lakehead_engine::dashboard::PanelOf::View(name) if name == view.name())) {
                panels.push(automatic::of_view(view));
            }
        }
        let left_out = panels.len().saturating_sub(PANELS_MAX);
        panels.truncate(PANELS_MAX);
        if dashboard.simulated {
            panels.iter_mut().for_each(Panel::unlink);
        }
        Self { panels, left_out, simulated: dashboard.simulated }
    }
}

impl Panel {
    /// What is made up leads nowhere.
    fn unlink(&mut self) {
        match &mut self.shows {
            Shows::Events(events) => events.link = None,
            Shows::Ranks(ranks) => ranks.link = None,
            Shows::Chart(_) | Shows::Table(_) | Shows::Rate => {}
        }
    }
}
