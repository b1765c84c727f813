//! One case of the suite: a query as Lakehead and as DuckDB have it, and how its columns are compared.

/// A query in both texts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Case {
    /// What names it in messages.
    pub(crate) name: String,
    /// The stream that it reads.
    pub(crate) stream: String,
    /// The time that its windows are over; events without one are in none.
    pub(crate) time: Option<&'static str>,
    /// The view's SQL, and the batch query's.
    pub(crate) lakehead: String,
    pub(crate) duckdb: String,
    /// The view that it reads instead of the stream, in both texts.
    pub(crate) below: Option<(String, String)>,
}

/// The name of a view that another one reads.
pub(crate) const BELOW: &str = "below";

/// How equal two values of a column must be. The column's name says so by how it begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Check {
    /// To the last digit; floats, wherever they are in it, to a billionth.
    #[default]
    Exact,
    /// To a millionth: variances and their kin are small differences of great sums.
    Rough,
    /// A sketched count of distinct values, against the exact one.
    Distinct,
    /// A sketched percentile, against the two values between which it must lie.
    Ranks,
}

impl Check {
    /// The check of the column of this name.
    pub(crate) fn of(column: &str) -> Self {
        let all = [Self::Rough, Self::Distinct, Self::Ranks];
        all.into_iter().find(|check| column.starts_with(check.word())).unwrap_or_default()
    }

    /// How the names of such columns begin.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Exact => "v",
            Self::Rough => "rough",
            Self::Distinct => "distinct",
            Self::Ranks => "ranks",
        }
    }

    /// Whether Lakehead's own two answers may differ in it.
    pub(crate) fn is_sketch(self) -> bool {
        matches!(self, Self::Distinct | Self::Ranks)
    }
}

impl Case {
    /// DuckDB's text over the events before `end`.
    pub(crate) fn duckdb_before(&self, end: u64) -> String {
        let timed = self.time.map(|time| format!(" AND {time} IS NOT NULL")).unwrap_or_default();
        let stream = &self.stream;
        let rows = format!("{stream} AS (SELECT * FROM main.{stream} WHERE event_offset < {end}{timed})");
        let below = self.below.as_ref().map(|(_, sql)| format!(", {BELOW} AS ({sql})")).unwrap_or_default();
        format!("WITH {rows}{below} {}", self.duckdb)
    }

    /// The batch query over the events before `end`, or over all of them with the view's text as it stands.
    pub(crate) fn batch_before(&self, end: Option<u64>) -> String {
        let stream = &self.stream;
        let rows =
            end.map(|end| format!("{stream} AS (SELECT * FROM lakehead.public.{stream} WHERE event_offset < {end})"));
        let below = self.below.as_ref().map(|(sql, _)| format!("{BELOW} AS ({sql})"));
        match rows.into_iter().chain(below).collect::<Vec<_>>() {
            parts if parts.is_empty() => self.lakehead.clone(),
            parts => format!("WITH {} {}", parts.join(", "), self.lakehead),
        }
    }
}
