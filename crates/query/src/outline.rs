//! What a view's rows are to somebody who draws them: which column is the window, which are names, which are numbers.
//!
//! Read off the compiled plan, so it holds for every view, also for one over another view. It says what can be drawn; how,
//! is for others to decide.

use std::time::Duration;

use datafusion::arrow::datatypes::DataType;
use lakehead_window::{Step as CalendarStep, Windows};

use crate::{ViewHandle, ViewPlan, plan::Kind};

/// How far it is from one window to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Always as far.
    Time(Duration),
    /// So many days of a calendar, which are 23 to 25 hours long.
    Days(u32),
    /// So many months.
    Months(u32),
    /// As events come: sessions that end with this much silence.
    Session(Duration),
}

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// Numbers.
    Numbers,
    /// Texts.
    Texts,
    /// True or false.
    Truths,
    /// Points in time and days.
    Times,
    /// Lists, structures, bytes, spans: what has no place on an axis.
    Others,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlineColumn {
    /// Its name.
    pub name: String,
    /// What its values are.
    pub values: Values,
    /// Whether it is a group as it stands.
    pub is_key: bool,
    /// Whether its values over several groups may be added up.
    pub adds_up: bool,
}

/// What a view's rows are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// Its columns, in their order.
    pub columns: Vec<OutlineColumn>,
    /// Which of them has the start of the window, if one has.
    pub window: Option<usize>,
    /// How far it is from one window to the next, where there are windows.
    pub step: Option<Step>,
    /// How long a window is, where they overlap.
    pub overlap: Option<Duration>,
    /// Whether the groups among its columns name one row.
    pub keys_are_whole: bool,
}

impl Outline {
    /// The column of this name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&OutlineColumn> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The column with the start of the window.
    #[must_use]
    pub fn window_column(&self) -> Option<&OutlineColumn> {
        self.columns.get(self.window?)
    }
}

impl ViewPlan {
    /// What its rows are. `above` is the outline of the view that it reads, if it reads one.
    #[must_use]
    pub fn outline(&self, above: Option<&Outline>) -> Outline {
        let (schema, shape) = (self.schema(), self.shape());
        let columns = schema.fields().iter().enumerate().map(|(at, field)| OutlineColumn {
            name: field.name().clone(),
            values: values(field.data_type()),
            is_key: shape.keys.contains(&at),
            adds_up: shape.adds_up.contains(&at),
        });
        let windows = match self.kind() {
            Kind::Windowed(windowed) => Some(&windowed.windows),
            Kind::Derived(derived) => derived.windows.as_ref().map(|(windows, _)| windows),
            Kind::Rows(_) => None,
        };
        let (step, overlap) = match windows {
            Some(Windows::Hop(hop)) if hop.size() > hop.slide() => (Some(Step::Time(hop.slide())), Some(hop.size())),
            Some(windows) => (Some(step(windows)), None),
            // Its window, if it shows one, is that of the view above.
            None => (above.and_then(|above| above.step), above.and_then(|above| above.overlap)),
        };
        let (window, keys_are_whole) = (shape.window, shape.keys_are_whole);
        Outline { columns: columns.collect(), window, step, overlap, keys_are_whole }
    }
}

impl ViewHandle {
    /// What its rows are.
    #[must_use]
    pub fn outline(&self) -> Outline {
        let above = self.upstream().map(|above| above.outline());
        self.plan().outline(above.as_ref())
    }
}

fn step(windows: &Windows) -> Step {
    match windows {
        Windows::Tumble(tumble) => Step::Time(tumble.size()),
        Windows::Hop(hop) => Step::Time(hop.slide()),
        Windows::Session(session) => Step::Session(session.gap()),
        Windows::Calendar(calendar) => match calendar.step() {
            CalendarStep::Months(months) => Step::Months(months),
            CalendarStep::Days(days) => Step::Days(days),
            CalendarStep::Within(size) => Step::Time(size),
        },
    }
}

fn values(of: &DataType) -> Values {
    match of {
        of if of.is_numeric() => Values::Numbers,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Values::Texts,
        DataType::Boolean => Values::Truths,
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => Values::Times,
        DataType::Dictionary(_, of) => values(of),
        _ => Values::Others,
    }
}
