//! The panels of a dashboard: those that the pipeline asks for, and one for every view and stream that has none.

use lakehead_engine::{
    Engine,
    dashboard::{PanelKind, PanelOf},
};
use lakehead_model::Name;
use serde::Serialize;

use super::{automatic, panel::Panel};

/// Panels of one dashboard; what is more is counted and not shown. A hundred views and their streams fit.
pub(crate) const PANELS_MAX: usize = 250;
/// The streams that every pipeline has, of what was refused and of what is missing upstream.
pub(crate) const LEDGERS: [&str; 2] = ["rejects", "gaps"];
/// The panels of a dashboard, and how many more there would be.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Panels {
    pub(crate) panels: Vec<Panel>,
    pub(crate) left_out: usize,
    /// The events are made up: nothing links outside.
    pub(crate) simulated: bool,
}

impl Panels {
    /// Those of `engine` as it is now. Of [`LEDGERS`] those in `noted` have something in them, and with that panels, too.
    pub(crate) fn of(engine: &Engine, noted: &[&str]) -> Self {
        let pipeline = engine.pipeline();
        let dashboard = &pipeline.dashboard;
        let views = engine.lake().views();
        let mut panels = Vec::new();
        for (name, config) in &dashboard.panels {
            if config.kind != Some(PanelKind::None) {
                panels.extend(automatic::as_asked(engine, &views, name, config));
            }
        }
        let has_own = |panel: &dyn Fn(&PanelOf) -> bool| dashboard.panels.iter().any(|(_, config)| panel(&config.of));
        let is_free = |stream: &Name| !has_own(&|of| matches!(of, PanelOf::Stream(name) if name == stream));
        for stream in pipeline.streams.keys().filter(|stream| is_free(stream)) {
            panels.extend(automatic::of_stream(engine, stream));
        }
        let noted = noted.iter().filter_map(|name| Name::new(name).ok());
        for ledger in noted.filter(is_free) {
            panels.extend(automatic::of_ledger(engine, &ledger));
        }
        for view in &views {
            if !has_own(&|of| matches!(of, PanelOf::View(name) if name == view.name())) {
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
