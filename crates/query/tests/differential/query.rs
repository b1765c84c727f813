//! A query of the grammar, and the two texts of it: as the view and the batch query have it, and as DuckDB has it.
//!
//! DuckDB knows no windows. There a query reads rows that already know their window's start, made by plain SQL:
//! arithmetic for tumbling windows, a list of starts for hopping ones, `lag` and a running sum for sessions.

use std::fmt::Write;

use crate::{
    case::{BELOW, Case},
    expression::{Dialect, Expr, quoted},
};

/// One query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Query {
    /// The stream.
    pub(crate) from: String,
    /// The view that it reads instead, over the same stream.
    pub(crate) below: Option<Box<Query>>,
    /// `None` for a projection, which has no keys and no aggregates either.
    pub(crate) window: Option<Window>,
    pub(crate) keys: Vec<Expr>,
    /// What is shown, in order.
    pub(crate) items: Vec<Item>,
    pub(crate) filter: Option<Expr>,
    pub(crate) having: Option<Expr>,
    /// Whether GROUP BY names what is shown by its place.
    pub(crate) by_place: bool,
}

/// A column of the answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    pub(crate) name: String,
    pub(crate) what: What,
}

/// What a column of the answer shows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    Window,
    Key(usize),
    Value(Expr),
}

/// The windows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Window {
    /// `event_time` or `received_time`.
    pub(crate) time: &'static str,
    pub(crate) shape: Shape,
}

/// How windows lie. Lengths stand as SQL writes them, with their microseconds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Tumble(Length),
    /// By a zone's calendar.
    Calendar {
        step: Step,
        zone: &'static str,
    },
    Hop {
        slide: Length,
        size: Length,
    },
    Session {
        gap: Length,
        greatest: Option<Length>,
    },
}

/// How long a calendar's windows are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Step {
    /// So many local days, counted from 1970-01-01.
    Days(i64),
    /// So many local months, counted from January 1970.
    Months(i64),
    /// A part of a local day, counted from its first instant.
    Within(Length),
}

/// A span of time.
pub(crate) type Length = (&'static str, i64);

/// The greatest length of a session where none is given.
const SESSION_GREATEST_MICROS: i64 = DAY_MICROS;
/// A day of 24 hours.
pub(crate) const DAY_MICROS: i64 = 86_400_000_000;

/// The window's start and the keys, in the rows that DuckDB reads.
const WINDOW: &str = "__window";

impl Query {
    /// The case of this query.
    pub(crate) fn case(&self, name: String) -> Case {
        let lowest = self.below.as_deref().unwrap_or(self);
        // Over a projection the window is over the stream's time all the same.
        let window = lowest.window.as_ref().or(self.window.as_ref());
        Case {
            name,
            stream: self.from.clone(),
            time: window.map(|window| window.time),
            lakehead: self.lakehead(),
            duckdb: self.duckdb(),
            below: self.below.as_ref().map(|below| (below.lakehead(), below.duckdb())),
        }
    }

    /// What FROM names.
    fn table(&self) -> &str {
        if self.below.is_some() { BELOW } else { &self.from }
    }

    fn lakehead(&self) -> String {
        let plain = |expr: &Expr| expr.sql(Dialect::Lakehead, &|_| unreachable!("keys stand above the aggregation"));
        let keys: Vec<String> = self.keys.iter().map(plain).collect();
        let sql = |expr: &Expr| expr.sql(Dialect::Lakehead, &|place| keys[place].clone());
        let window = self.window.as_ref().map(Window::lakehead);
        let shown = |what: &What| match what {
            What::Window => window.clone().expect("only a query with a window shows it"),
            What::Key(place) => keys[*place].clone(),
            What::Value(expr) => sql(expr),
        };
        let items: Vec<String> =
            self.items.iter().map(|item| format!("{} AS {}", shown(&item.what), item.name)).collect();
        let mut text = format!("SELECT {} FROM {}", items.join(", "), self.table());
        if let Some(filter) = &self.filter {
            let _ = write!(text, " WHERE {}", sql(filter));
        }
        if let Some(window) = &window {
            let place = |what: &What| self.items.iter().position(|item| item.what == *what).filter(|_| self.by_place);
            let group =
                |what: &What, text: &String| place(what).map_or_else(|| text.clone(), |at| (at + 1).to_string());
            let mut groups = vec![group(&What::Window, window)];
            groups.extend(keys.iter().enumerate().map(|(place, key)| group(&What::Key(place), key)));
            let _ = write!(text, " GROUP BY {}", groups.join(", "));
        }
        if let Some(having) = &self.having {
            let _ = write!(text, " HAVING {}", sql(having));
        }
        text
    }

    fn duckdb(&self) -> String {
        let plain = |expr: &Expr| expr.sql(Dialect::DuckDb, &|_| unreachable!("keys stand above the aggregation"));
        let key = |place: usize| format!("__key{place}");
        let sql = |expr: &Expr| expr.sql(Dialect::DuckDb, &key);
        let shown = |what: &What| match what {
            What::Window => WINDOW.to_owned(),
            What::Key(place) => key(*place),
            What::Value(expr) => sql(expr),
        };
        let items: Vec<String> =
            self.items.iter().map(|item| format!("{} AS {}", shown(&item.what), item.name)).collect();
        let filter = self.filter.as_ref().map(|filter| format!(" WHERE {}", plain(filter))).unwrap_or_default();
        let Some(window) = &self.window else {
            return format!("SELECT {} FROM {}{filter}", items.join(", "), self.table());
        };
        let computed: String =
            self.keys.iter().enumerate().map(|(place, expr)| format!(", {} AS {}", plain(expr), key(place))).collect();
        let names: Vec<String> = (0..self.keys.len()).map(key).collect();
        let rows = format!("SELECT *, epoch_us({}) AS __t{computed} FROM {}{filter}", window.time, self.table());
        let mut text = format!("SELECT {} FROM ({})", items.join(", "), window.duckdb(&rows, &names));
        let groups: Vec<String> = std::iter::once(WINDOW.to_owned()).chain(names).collect();
        let _ = write!(text, " GROUP BY {}", groups.join(", "));
        if let Some(having) = &self.having {
            let _ = write!(text, " HAVING {}", sql(having));
        }
        text
    }
}

impl Window {
    fn lakehead(&self) -> String {
        let time = self.time;
        match &self.shape {
            Shape::Tumble((size, _)) => format!("tumble({time}, INTERVAL '{size}')"),
            Shape::Calendar { step, zone } => {
                let size = match step {
                    Step::Days(days) => format!("{days} days"),
                    Step::Months(months) => format!("{months} months"),
                    Step::Within((size, _)) => (*size).to_owned(),
                };
                format!("tumble({time}, INTERVAL '{size}', {})", quoted(zone))
            }
            Shape::Hop { slide, size } => format!("hop({time}, INTERVAL '{}', INTERVAL '{}')", slide.0, size.0),
            Shape::Session { gap, greatest: None } => format!("session({time}, INTERVAL '{}')", gap.0),
            Shape::Session { gap, greatest: Some(greatest) } => {
                format!("session({time}, INTERVAL '{}', INTERVAL '{}')", gap.0, greatest.0)
            }
        }
    }

    /// `rows`, which have their time as `__t` and no row without one, with the start of their window.
    fn duckdb(&self, rows: &str, keys: &[String]) -> String {
        match &self.shape {
            Shape::Tumble((_, size)) => {
                format!("SELECT *, make_timestamp({} * {size}) AS {WINDOW} FROM ({rows})", floor_of("__t", *size))
            }
            Shape::Calendar { step, zone } => {
                let zone = quoted(zone);
                let local = format!("(make_timestamp(__t) AT TIME ZONE 'UTC' AT TIME ZONE {zone})");
                let utc = |local: &str| format!("({local} AT TIME ZONE {zone} AT TIME ZONE 'UTC')");
                let start = match step {
                    Step::Days(days) => {
                        let micros = days * DAY_MICROS;
                        utc(&format!("make_timestamp({} * {micros})", floor_of(&format!("epoch_us({local})"), micros)))
                    }
                    Step::Months(months) => {
                        let since =
                            format!("((date_part('year', {local}) - 1970) * 12 + date_part('month', {local}) - 1)");
                        let first = format!("CAST({} * {months} AS INTEGER)", floor_of(&since, *months));
                        utc(&format!("(TIMESTAMP '1970-01-01' + to_months({first}))"))
                    }
                    Step::Within((_, size)) => {
                        let day =
                            format!("epoch_us({})", utc(&format!("CAST(date_trunc('day', {local}) AS TIMESTAMP)")));
                        format!("make_timestamp({day} + ((__t - {day}) // {size}) * {size})")
                    }
                };
                format!("SELECT *, {start} AS {WINDOW} FROM ({rows})")
            }
            Shape::Hop { slide: (_, slide), size: (_, size) } => {
                let first = format!("({} + 1)", floor_of(&format!("(__t - {size})"), *slide));
                let last = floor_of("__t", *slide);
                format!(
                    "SELECT *, make_timestamp({WINDOW}_number * {slide}) AS {WINDOW} FROM \
                     (SELECT *, unnest(range({first}, {last} + 1)) AS {WINDOW}_number FROM ({rows}))"
                )
            }
            Shape::Session { gap: (_, gap), greatest } => {
                let greatest = greatest.map_or(SESSION_GREATEST_MICROS, |(_, micros)| micros);
                let by = if keys.is_empty() { String::new() } else { format!("PARTITION BY {} ", keys.join(", ")) };
                let and: String = keys.iter().map(|key| format!("{key}, ")).collect();
                let (own, before) = (floor_of("__t", greatest), floor_of("lag(__t) OVER w", greatest));
                format!(
                    "SELECT *, make_timestamp(min(__t) OVER (PARTITION BY {and}__session)) AS {WINDOW} FROM \
                     (SELECT *, sum(__begins) OVER ({by}ORDER BY __t, event_offset) AS __session FROM \
                     (SELECT *, CASE WHEN __t - lag(__t) OVER w < {gap} AND {own} = {before} THEN 0 ELSE 1 END AS __begins \
                     FROM ({rows}) WINDOW w AS ({by}ORDER BY __t, event_offset)))"
                )
            }
        }
    }
}

/// How often `micros` goes into `value`, rounded down.
fn floor_of(value: &str, micros: i64) -> String {
    format!("(({value} - (({value} % {micros}) + {micros}) % {micros}) // {micros})")
}
