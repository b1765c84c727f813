//! What a pipeline says about its dashboard. Plain data: `serve` makes panels of it, and of everything that has none.

use std::collections::BTreeMap;

use lakehead_model::Name;
use serde::{Deserialize, Serialize};

use crate::changes::Changes;

/// The dashboard of a pipeline. By default every stream and every view has a panel that is made from its data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dashboard {
    /// The panels that the pipeline asks for, in their order. A view or a stream that has one here gets none by itself.
    pub panels: Vec<(Name, PanelConfig)>,
    /// Whether the events are made up, as the demo's are: then the page says so, and nothing links outside.
    pub simulated: bool,
}

/// One panel of the dashboard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PanelConfig {
    /// What it shows.
    pub of: PanelOf,
    /// Its heading. Default: the name of what it shows, in words.
    pub title: Option<String>,
    /// A few words beside the heading.
    pub note: Option<String>,
    /// How it shows it. Default: as the columns suggest.
    pub kind: Option<PanelKind>,
    /// How much of a wide page it takes. Default: half of it.
    pub width: Option<PanelWidth>,
    /// The columns that are numbers to draw; one that is written with `-` before it is drawn downwards. Default: all of them,
    /// four at most, each in a chart of its own.
    pub values: Vec<PanelValue>,
    /// The column whose values tell the series of a chart, or the rows of a ranking, apart.
    pub series: Option<String>,
    /// What values of `series` are called in the page.
    pub labels: BTreeMap<String, String>,
    /// How many windows are shown. Default: 60, and 300 of at most five seconds; of a ranking, one.
    pub windows: Option<u32>,
    /// The columns of a table or of a list of events, the headline first. Default: all, as many as fit.
    pub columns: Vec<String>,
    /// Two columns of a list of events: what the second is more than the first stands beside the headline.
    pub change: Option<(String, String)>,
    /// A column of a list of events that is true where an event is not shown.
    pub hide: Option<String>,
    /// Where a headline, or a row of a ranking, leads to: an address with columns in braces.
    pub link: Option<String>,
}

/// What a panel shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PanelOf {
    /// The rows of a view.
    View(Name),
    /// The newest events of a stream, or its rate.
    Stream(Name),
}

impl PanelConfig {
    /// A panel of this, all else by default.
    #[must_use]
    pub fn new(of: PanelOf) -> Self {
        Self {
            of,
            title: None,
            note: None,
            kind: None,
            width: None,
            values: Vec::new(),
            series: None,
            labels: BTreeMap::new(),
            windows: None,
            columns: Vec::new(),
            change: None,
            hide: None,
            link: None,
        }
    }
}

/// How a panel shows what it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PanelKind {
    /// Of a view: bars over its windows, stacked where they add up.
    Bars,
    /// Of a view: lines over its windows.
    Lines,
    /// Of a view: a point for each row.
    Points,
    /// Of a view: what is greatest in its newest windows.
    Ranks,
    /// Of a view: its newest rows.
    Table,
    /// Of a stream: its newest events.
    Events,
    /// Of a stream: how many events come in a second.
    Rate,
    /// Not at all.
    None,
}

/// How much of a wide page a panel takes; on a narrow one each takes all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PanelWidth {
    /// A third.
    Third,
    /// Half.
    #[default]
    Half,
    /// Two thirds.
    TwoThirds,
    /// All.
    Full,
}

/// One number that a chart draws.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PanelValue {
    /// The column.
    pub column: String,
    /// Whether it is drawn downwards.
    pub down: bool,
}

impl Dashboard {
    /// The panels that differ in `new`, also those that only stand elsewhere.
    pub(crate) fn changes(&self, new: &Self) -> Changes {
        let by_name = |dashboard: &Self| -> BTreeMap<Name, (usize, PanelConfig)> {
            let panels = dashboard.panels.iter().enumerate();
            panels.map(|(place, (name, panel))| (name.clone(), (place, panel.clone()))).collect()
        };
        let (mut old, mut now) = (by_name(self), by_name(new));
        // Where one comes or goes, the others move with it: that is no change of theirs.
        if old.len() != now.len() || old.keys().ne(now.keys()) {
            old.values_mut().chain(now.values_mut()).for_each(|(place, _)| *place = 0);
        }
        Changes::between(&old, &now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dashboard(names: &[&str]) -> Dashboard {
        let name = |text: &str| Name::new(text).expect("a name");
        let panels = names.iter().map(|text| (name(text), PanelConfig::new(PanelOf::View(name(text)))));
        Dashboard { panels: panels.collect(), simulated: false }
    }

    #[test]
    fn a_panel_that_comes_moves_no_other_and_two_that_change_places_are_changed() {
        let words = |old: &[&str], new: &[&str]| {
            let changes = dashboard(old).changes(&dashboard(new));
            let words = |names: Vec<Name>| names.iter().map(Name::to_string).collect::<Vec<_>>().join(" ");
            [words(changes.added), words(changes.removed), words(changes.changed)]
        };
        assert_eq!(words(&["a", "b"], &["c", "a", "b"]), ["c", "", ""]);
        assert_eq!(words(&["a", "b"], &["b"]), ["", "a", ""]);
        assert_eq!(words(&["a", "b"], &["b", "a"]), ["", "", "a b"]);
        assert_eq!(words(&["a", "b"], &["a", "b"]), ["", "", ""]);
    }
}
