//! What a view's rows are to somebody who draws them: which column is the window, which are names, which are numbers.
//!
//! Read off the compiled plan, so it holds for every view, also for one over another view. It says what can be drawn; how,
//! is for others to decide.

use std::time::Duration;

use datafusion::arrow::datatypes::DataType;
use lakehead_window::{Step as CalendarStep, Windows};

use crate::{
    plan::{PlanKind, ViewPlan},
    view::ViewHandle,
};

/// The step from the start of one window to the start of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowStep {
    /// Always as far.
    Time(Duration),
    /// So many days of a calendar, which are 23 to 25 hours long.
    Days(u32),
    /// So many months.
    Months(u32),
    /// As events come: sessions that end with this much silence.
    Session(Duration),
}

/// Which kind of values a column has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
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
    pub values: ValueKind,
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
    pub step: Option<WindowStep>,
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
            PlanKind::Windowed(windowed) => Some(&windowed.windows),
            PlanKind::Derived(derived) => derived.windows.as_ref().map(|(windows, _)| windows),
            PlanKind::Projection(_) => None,
        };
        let (step, overlap) = match windows {
            Some(Windows::Hop(hop)) if hop.size() > hop.slide() => {
                (Some(WindowStep::Time(hop.slide())), Some(hop.size()))
            }
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

fn step(windows: &Windows) -> WindowStep {
    match windows {
        Windows::Tumble(tumble) => WindowStep::Time(tumble.size()),
        Windows::Hop(hop) => WindowStep::Time(hop.slide()),
        Windows::Session(session) => WindowStep::Session(session.gap()),
        Windows::Calendar(calendar) => match calendar.step() {
            CalendarStep::Months(months) => WindowStep::Months(months),
            CalendarStep::Days(days) => WindowStep::Days(days),
            CalendarStep::Within(size) => WindowStep::Time(size),
        },
    }
}

fn values(of: &DataType) -> ValueKind {
    match of {
        of if of.is_numeric() => ValueKind::Numbers,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => ValueKind::Texts,
        DataType::Boolean => ValueKind::Truths,
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => ValueKind::Times,
        DataType::Dictionary(_, of) => values(of),
        _ => ValueKind::Others,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use lakehead_model::{Name, StreamSchema};

    use super::*;
    use crate::check_views;

    /// The outlines of views over Wikimedia's stream, by name.
    async fn outlines(views: &[(&str, &str)]) -> BTreeMap<Name, Outline> {
        let name = |text: &str| Name::new(text).expect("a name");
        let schema = StreamSchema::builtin("mediawiki/recentchange").expect("built in");
        let streams = [(name("recentchange"), schema)].into();
        let views = views.iter().map(|(view, sql)| (name(view), (*sql).to_owned())).collect();
        let mut outlines = BTreeMap::new();
        for (view, plan) in check_views(&views, &streams).await.expect("an engine") {
            let plan = plan.unwrap_or_else(|error| panic!("{view}: {error}"));
            let outline = plan.outline(plan.upstream().and_then(|above| outlines.get(above)));
            outlines.insert(view, outline);
        }
        outlines
    }

    #[tokio::test]
    async fn sums_and_counts_add_up_and_what_is_made_of_anything_else_does_not() {
        let by_minute = "SELECT tumble(event_time, INTERVAL '1 minute') AS minute, wiki, count(*) AS n, \
             sum(length_new) - coalesce(sum(length_old), 0) AS grown, sum(id) * 2 AS twice, avg(length_new) AS mean, \
             max(id) AS most, count(DISTINCT title) AS titles, sum(length_new) / count(*) AS share, count(*) + 1 AS more \
             FROM recentchange GROUP BY 1, 2";
        let over =
            "SELECT tumble(minute, INTERVAL '1 hour') AS hour, sum(n) AS n, max(n) AS most FROM by_minute GROUP BY 1";
        let some = "SELECT minute, n, most, n * n AS square FROM by_minute WHERE n > 10";
        let outlines = outlines(&[("by_minute", by_minute), ("over", over), ("some", some)]).await;
        let adds_up = |view: &str| {
            let columns = outlines[view].columns.iter().filter(|column| column.adds_up);
            columns.map(|column| column.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(adds_up("by_minute"), ["n", "grown", "twice"]);
        assert_eq!(adds_up("over"), ["n"]);
        assert_eq!(adds_up("some"), ["n"]);
        let keys = |view: &str| {
            let columns = outlines[view].columns.iter().filter(|column| column.is_key);
            columns.map(|column| column.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!((keys("by_minute"), keys("some")), (vec!["minute".into(), "wiki".into()], vec!["minute".into()]));
    }

    #[tokio::test]
    async fn a_window_and_its_step_are_known_for_every_kind_and_through_a_view() {
        let of = |window: &str| format!("SELECT {window} AS w, wiki, count(*) AS n FROM recentchange GROUP BY 1, 2");
        let (hop, session, month, day) = (
            of("hop(event_time, INTERVAL '1 minute', INTERVAL '5 minutes')"),
            of("session(event_time, INTERVAL '30 seconds')"),
            of("tumble(event_time, INTERVAL '1 month')"),
            of("tumble(event_time, INTERVAL '1 day', 'Europe/Berlin')"),
        );
        let outlines = outlines(&[
            ("hop", &hop),
            ("session", &session),
            ("month", &month),
            ("day", &day),
            ("through", "SELECT wiki, w AS at, n FROM hop"),
            ("rows", "SELECT event_time, title, bot, data FROM recentchange"),
        ])
        .await;
        let minute = Duration::from_secs(60);
        let step = |view: &str| (outlines[view].window, outlines[view].step, outlines[view].overlap);
        assert_eq!(step("hop"), (Some(0), Some(WindowStep::Time(minute)), Some(minute * 5)));
        assert_eq!(step("through"), (Some(1), Some(WindowStep::Time(minute)), Some(minute * 5)));
        assert_eq!(step("session"), (Some(0), Some(WindowStep::Session(minute / 2)), None));
        assert_eq!(step("month"), (Some(0), Some(WindowStep::Months(1)), None));
        assert_eq!(step("day"), (Some(0), Some(WindowStep::Days(1)), None));
        assert_eq!(step("rows"), (None, None, None));
        let values: Vec<ValueKind> = outlines["rows"].columns.iter().map(|column| column.values).collect();
        assert_eq!(values, [ValueKind::Times, ValueKind::Texts, ValueKind::Truths, ValueKind::Texts]);
    }
}
