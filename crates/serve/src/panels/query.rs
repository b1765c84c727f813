//! What a panel asks of the lake: small SQL, made here and nowhere else, whose answer is bounded in rows.
//!
//! "Now" is the view's own watermark, not the clock, so that a stream that is replayed or lags shows as well; the bound
//! on the window keeps a query to the newest result files. Names stand in double quotes, so any will do. In the answers
//! columns have short names of their own: `x` the window's start, `k` and `s` the rank and name of a series, `v0`, `v1` … the
//! numbers, `c0`, `c1` … cells, `l0`, `l1` … what a link is made of.

use lakehead_engine::status::Status;
use lakehead_model::{Name, Timestamp};

use super::panel::{Chart, Events, Head, Panel, Ranks, SERIES_MAX, Shows, Style, Table, Value};

/// Rows of a table, of a list of events and of a ranking.
pub(crate) const TABLE_ROWS_MAX: usize = 20;
const EVENTS_MAX: usize = 24;
const RANKS_MAX: usize = 10;
/// Points of a chart of points, and rows of any other: 500 windows of nine series, as many as a pipeline may
/// ask for.
const POINTS_MAX: usize = 500;
const ROWS_MAX: usize = 4_500;
/// Events that are looked at for a list of [`EVENTS_MAX`], where some may be hidden.
const EVENTS_BACK: u64 = 100;
/// Longest text of a cell in characters; what is longer ends in `…`.
pub(crate) const CELL_CHARS_MAX: usize = 200;
/// Sessions are shown from at least so long ago: a day.
const POINTS_BACK_MS: f64 = 86_400_000.0;
/// Further back than this a bound on the window is left out, and with it a literal that no engine holds.
const OLDEST: Timestamp = Timestamp(-9_000_000_000_000_000);

/// What is asked for a panel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// This query.
    Sql(String),
    /// A view's newest rows, in the order in which they were made.
    Latest(Name),
    /// A stream's events in each second.
    Rates(Name),
}

impl Panel {
    /// What it asks as of `status`; `part` of its windows where all are too many (1: all of them, 4: a quarter).
    pub(crate) fn ask(&self, status: &Status, part: u32) -> Option<Ask> {
        let view = self.view.as_ref();
        let watermark = view.and_then(|view| status.views.get(view)?.watermark);
        let from = |back_ms: f64| {
            let since = watermark?.0.saturating_sub((back_ms * 1_000.0) as i64);
            (since > OLDEST.0).then(|| format!("TIMESTAMP '{}'", Timestamp(since)))
        };
        Some(match &self.shows {
            Shows::Rate => Ask::Rates(self.stream.clone()),
            Shows::Table(Table { newest_by: None, .. }) => Ask::Latest(view?.clone()),
            Shows::Events(events) => {
                let end = status.streams.get(&self.stream)?.end.0;
                Ask::Sql(newest_events(events, &self.stream, end))
            }
            Shows::Chart(chart) => {
                let windows = (chart.windows / part).max(1);
                let back = chart.about_ms * f64::from(windows);
                let points = chart.style == Style::Points;
                let since = from(if points { back.max(POINTS_BACK_MS / f64::from(part)) } else { back });
                Ask::Sql(if points { points_of(chart, view?, since) } else { over_windows(chart, view?, since) })
            }
            Shows::Ranks(ranks) => {
                let since = from(ranks.about_ms * f64::from(ranks.windows + 1));
                Ask::Sql(greatest(ranks, view?, since))
            }
            Shows::Table(table) => {
                let since = from(table.about_ms * TABLE_ROWS_MAX as f64 / f64::from(part));
                Ask::Sql(newest_rows(table, view?, since))
            }
        })
    }
}

/// A name as SQL has it, whatever it is made of.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A column as text, with NULL told apart from every text: `n`, or `v` and the text.
fn named(columns: &[String]) -> String {
    match columns {
        [] => "'v'".to_owned(),
        [one] => {
            let column = quoted(one);
            format!("CASE WHEN {column} IS NULL THEN 'n' ELSE concat('v', CAST({column} AS VARCHAR)) END")
        }
        several => {
            let texts = several.iter().map(|one| format!("coalesce(CAST({} AS VARCHAR), '–')", quoted(one)));
            format!("concat('v', concat_ws(' · ', {}))", texts.collect::<Vec<_>>().join(", "))
        }
    }
}

fn where_from(window: &str, since: Option<&String>) -> String {
    since.map(|since| format!(" WHERE {} >= {since}", quoted(window))).unwrap_or_default()
}

/// The rows of a chart's windows, as the CTE `r`.
fn rows_of(chart: &Chart, view: &Name, since: Option<&String>) -> String {
    let values = chart.values.iter().enumerate();
    let values = values.map(|(at, value)| format!(", CAST({} AS DOUBLE) AS v{at}", quoted(&value.name)));
    format!(
        "SELECT {} AS x, {} AS s{} FROM {}{}",
        quoted(&chart.window),
        named(&chart.series),
        values.collect::<String>(),
        quoted(view.as_str()),
        where_from(&chart.window, since)
    )
}

/// How several numbers of one window become one: added up where that is their meaning, else the greatest.
fn together(value: &Value) -> &'static str {
    if value.adds_up { "sum" } else { "max" }
}

fn over_windows(chart: &Chart, view: &Name, since: Option<String>) -> String {
    let rows = rows_of(chart, view, since.as_ref());
    let each = chart.values.iter().enumerate();
    let each = each.map(|(at, value)| format!(", {}(r.v{at}) AS v{at}", together(value))).collect::<String>();
    if chart.series.is_empty() {
        return format!("WITH r AS ({rows}) SELECT x{each} FROM r GROUP BY x ORDER BY x DESC LIMIT {ROWS_MAX}");
    }
    let first = chart.values.iter().position(|value| value.adds_up).unwrap_or(0);
    let by = chart.values.get(first).map_or("max", together);
    // All others are one series where they can be added up, and are left out where not.
    let join = if chart.others { "LEFT JOIN" } else { "JOIN" };
    // One more where they are left out tells that there are any.
    let most = if chart.others { SERIES_MAX } else { SERIES_MAX + 1 };
    format!(
        "WITH r AS ({rows}), \
         b AS (SELECT s, {by}(abs(v{first})) AS t FROM r GROUP BY s ORDER BY t DESC NULLS LAST, s LIMIT {most}), \
         k AS (SELECT s, row_number() OVER (ORDER BY t DESC NULLS LAST, s) AS k FROM b) \
         SELECT r.x AS x, k.k AS k, left(k.s, {CELL_CHARS_MAX}) AS s{each} FROM r {join} k ON r.s = k.s \
         GROUP BY r.x, k.k, k.s ORDER BY x DESC, k LIMIT {ROWS_MAX}"
    )
}

fn points_of(chart: &Chart, view: &Name, since: Option<String>) -> String {
    let rows = rows_of(chart, view, since.as_ref());
    let values = (0..chart.values.len()).map(|at| format!(", v{at}")).collect::<String>();
    format!(
        "WITH r AS ({rows}) SELECT x, left(s, {CELL_CHARS_MAX}) AS s{values} FROM r ORDER BY x DESC LIMIT {POINTS_MAX}"
    )
}

fn greatest(ranks: &Ranks, view: &Name, since: Option<String>) -> String {
    let (window, view) = (quoted(&ranks.window), quoted(view.as_str()));
    let since = where_from(&ranks.window, since.as_ref());
    let back = (ranks.about_ms * f64::from(ranks.windows.saturating_sub(1))) as u64;
    let groups: Vec<String> = [&ranks.series].into_iter().chain(&ranks.aside).map(|column| quoted(column)).collect();
    let links = columns_of(ranks.link.as_deref());
    let groups = [groups, links.iter().map(|column| quoted(column)).collect()].concat();
    let cells = groups.iter().enumerate().map(|(at, group)| match at.checked_sub(1 + ranks.aside.len()) {
        Some(link) => format!("{group} AS l{link}"),
        None => format!("left(CAST({group} AS VARCHAR), {CELL_CHARS_MAX}) AS c{at}"),
    });
    let cells = cells.collect::<Vec<_>>().join(", ");
    let groups = groups.join(", ");
    let value = format!("{}(CAST({} AS DOUBLE))", together(&ranks.value), quoted(&ranks.value.name));
    format!(
        "WITH n AS (SELECT max({window}) AS newest FROM {view}{since}) \
         SELECT {cells}, {value} AS v0, max(n.newest) AS x FROM {view} JOIN n \
         ON {window} >= n.newest - INTERVAL '{back} milliseconds'{since} \
         GROUP BY {groups} ORDER BY v0 DESC NULLS LAST, {groups} LIMIT {RANKS_MAX}"
    )
}

fn newest_rows(table: &Table, view: &Name, since: Option<String>) -> String {
    // A number as text keeps all its digits on the way.
    let cell = |head: &Head| match head.number {
        true => format!("CAST({} AS VARCHAR)", quoted(&head.name)),
        false => quoted(&head.name),
    };
    let cells = table.columns.iter().enumerate().map(|(at, head)| format!("{} AS c{at}", cell(head)));
    let window = table.newest_by.as_deref().unwrap_or_default();
    format!(
        "SELECT {} FROM {}{} ORDER BY {} DESC LIMIT {TABLE_ROWS_MAX}",
        cells.collect::<Vec<_>>().join(", "),
        quoted(view.as_str()),
        where_from(window, since.as_ref()),
        quoted(window)
    )
}

fn newest_events(events: &Events, stream: &Name, end: u64) -> String {
    let mut cells = vec!["event_offset AS o".to_owned(), "coalesce(event_time, received_time) AS t".to_owned()];
    cells.extend(events.columns.iter().enumerate().map(|(at, column)| format!("{} AS c{at}", quoted(column))));
    if events.whole {
        cells.push(format!("left(data, {}) AS c0", CELL_CHARS_MAX + 1));
    }
    if let Some((from, to)) = &events.change {
        cells.push(format!("{} AS v0, {} AS v1", quoted(from), quoted(to)));
    }
    let links = columns_of(events.link.as_deref());
    cells.extend(links.iter().enumerate().map(|(at, column)| format!("{} AS l{at}", quoted(column))));
    let shown = events.hide.as_deref().map(|hide| format!(" AND {} IS NOT TRUE", quoted(hide))).unwrap_or_default();
    format!(
        "SELECT {} FROM {} WHERE event_offset >= {}{shown} ORDER BY event_offset DESC LIMIT {EVENTS_MAX}",
        cells.join(", "),
        quoted(stream.as_str()),
        end.saturating_sub(EVENTS_BACK)
    )
}

/// The columns that a link names, in its order.
pub(crate) fn columns_of(link: Option<&str>) -> Vec<String> {
    let parts = link.unwrap_or_default().split('{').skip(1);
    let inside = parts.filter_map(|part| part.split_once('}')).map(|(inside, _)| inside);
    inside.map(|inside| inside.strip_suffix("|wikimedia").unwrap_or(inside).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_any_characters_stays_a_name() {
        assert_eq!(quoted("bytes (MB)"), "\"bytes (MB)\"");
        assert_eq!(quoted("a\"b; DROP TABLE x"), "\"a\"\"b; DROP TABLE x\"");
    }

    #[test]
    fn a_link_names_its_columns() {
        let link = Some("https://{wiki|wikimedia}/wiki/{title}");
        assert_eq!(columns_of(link), ["wiki", "title"]);
        assert_eq!(columns_of(None), Vec::<String>::new());
    }
}
