//! Expressions of the grammar, and how each is written for Lakehead and for DuckDB.
//!
//! Where the two engines mean different things by one text, an expression is written for each so that both mean the same.

use std::fmt::Write;

use lakehead_model::Timestamp;

/// Whose SQL is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Lakehead,
    DuckDb,
}

/// An expression over columns, group keys and aggregates.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr {
    Column(String),
    /// A text that means the same to both.
    Raw(&'static str),
    /// The n-th group key, above the aggregation.
    Key(usize),
    Int(i64),
    /// As it is written, with a point.
    Float(&'static str),
    Text(String),
    Null,
    Time(Timestamp),
    Not(Box<Expr>),
    Binary(Box<Expr>, &'static str, Box<Expr>),
    /// `IS NULL` and its kin.
    Is(Box<Expr>, &'static str),
    In {
        of: Box<Expr>,
        list: Vec<Expr>,
        negated: bool,
    },
    Between {
        of: Box<Expr>,
        low: Box<Expr>,
        high: Box<Expr>,
    },
    Like {
        of: Box<Expr>,
        how: &'static str,
        pattern: String,
    },
    Case {
        branches: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    Cast(Box<Expr>, &'static str),
    /// By DataFusion's name.
    Call(&'static str, Vec<Expr>),
    /// A member of the event's JSON by its keys, as text.
    JsonText(Vec<&'static str>),
    /// The same as an integer; NULL when it is none.
    JsonInt(Vec<&'static str>),
    Aggregate(Box<Aggregate>),
}

/// An aggregate with its arguments.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Aggregate {
    pub(crate) function: Function,
    pub(crate) arguments: Vec<Expr>,
    pub(crate) filter: Option<Expr>,
}

/// Which aggregate.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Function {
    /// Of this name in both.
    Named(&'static str),
    /// `count(*)`.
    Count,
    /// Over distinct arguments.
    Distinct(&'static str),
    /// The value of rank `0`, by interpolation.
    Percentile(&'static str),
    /// A sketch of how many values there are.
    ApproxDistinct,
    /// A sketch of the value of this rank.
    ApproxPercentile(f64),
    /// The median by the same sketch.
    ApproxMedian,
    /// `first_value`, `last_value`, `array_agg` or `string_agg`, by event time, forward or not.
    Ordered(&'static str, Direction),
    /// The most frequent values with their counts.
    TopK(usize),
}

/// The order of events in an aggregate that depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Ascending,
    Descending,
}

/// How far off the rank of an approximate percentile may be, as a part of all values. DataFusion's t-digest holds about a
/// hundred centroids, in the middle a fiftieth of the values each (its `k_to_q`), and its answer lies between the means
/// of the two around the one it looks for; merging digests makes centroids that overlap.
const RANK_ERROR: f64 = 0.05;

/// `column`.
pub(crate) fn column(name: &str) -> Expr {
    Expr::Column(name.to_owned())
}

impl Expr {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub(crate) fn binary(self, operator: &'static str, other: Self) -> Self {
        Self::Binary(Box::new(self), operator, Box::new(other))
    }

    pub(crate) fn is(self, what: &'static str) -> Self {
        Self::Is(Box::new(self), what)
    }

    pub(crate) fn cast(self, to: &'static str) -> Self {
        Self::Cast(Box::new(self), to)
    }

    pub(crate) fn call(name: &'static str, arguments: impl Into<Vec<Self>>) -> Self {
        Self::Call(name, arguments.into())
    }

    pub(crate) fn aggregate(function: Function, arguments: impl Into<Vec<Self>>) -> Self {
        Self::Aggregate(Box::new(Aggregate { function, arguments: arguments.into(), filter: None }))
    }

    /// As SQL. `keys` writes a group key.
    pub(crate) fn sql(&self, dialect: Dialect, keys: &dyn Fn(usize) -> String) -> String {
        let sql = |expr: &Self| expr.sql(dialect, keys);
        match self {
            Self::Column(name) => quoted_name(name),
            Self::Raw(text) => (*text).to_owned(),
            Self::Key(place) => keys(*place),
            Self::Int(number) if *number < 0 => format!("({number})"),
            Self::Int(number) => number.to_string(),
            // With an exponent it is a float to both; without, a decimal to DuckDB.
            Self::Float(number) => format!("{number}e0"),
            Self::Text(text) => quoted(text),
            Self::Null => "NULL".into(),
            // Text that is compared with a time becomes one. TIMESTAMP '…' is nanoseconds to DataFusion and ends in 2262.
            Self::Time(time) => match dialect {
                Dialect::Lakehead => format!("'{time}'"),
                Dialect::DuckDb => format!("TIMESTAMP '{}'", time.to_string().trim_end_matches('Z').replace('T', " ")),
            },
            Self::Not(of) => format!("(NOT {})", sql(of)),
            Self::Binary(left, operator, right) => format!("({} {operator} {})", sql(left), sql(right)),
            Self::Is(of, what) => format!("({} IS {what})", sql(of)),
            Self::In { of, list, negated } => {
                let list: Vec<String> = list.iter().map(sql).collect();
                format!("({}{} IN ({}))", sql(of), if *negated { " NOT" } else { "" }, list.join(", "))
            }
            Self::Between { of, low, high } => format!("({} BETWEEN {} AND {})", sql(of), sql(low), sql(high)),
            Self::Like { of, how, pattern } => format!("({} {how} {})", sql(of), quoted(pattern)),
            Self::Case { branches, otherwise } => {
                let mut text = "CASE".to_owned();
                for (condition, value) in branches {
                    let _ = write!(text, " WHEN {} THEN {}", sql(condition), sql(value));
                }
                if let Some(otherwise) = otherwise {
                    let _ = write!(text, " ELSE {}", sql(otherwise));
                }
                text + " END"
            }
            Self::Cast(of, to) => format!("CAST({} AS {to})", sql(of)),
            Self::Call(name, arguments) => {
                let name = match (dialect, *name) {
                    (Dialect::DuckDb, "regexp_like") => "regexp_matches",
                    (_, name) => name,
                };
                format!("{name}({})", list(arguments, &sql))
            }
            Self::JsonText(path) => match dialect {
                Dialect::Lakehead => {
                    let keys: Vec<String> = path.iter().map(|key| quoted(key)).collect();
                    format!("json_get_str(data, {})", keys.join(", "))
                }
                // Only what is text, as json_get_str.
                Dialect::DuckDb => {
                    let path = quoted(&format!("$.{}", path.join(".")));
                    format!(
                        "(CASE WHEN json_type(data, {path}) = 'VARCHAR' THEN json_extract_string(data, {path}) END)"
                    )
                }
            },
            Self::JsonInt(path) => match dialect {
                Dialect::Lakehead => {
                    let keys: Vec<String> = path.iter().map(|key| quoted(key)).collect();
                    format!("json_get_int(data, {})", keys.join(", "))
                }
                Dialect::DuckDb => {
                    let path = quoted(&format!("$.{}", path.join(".")));
                    format!(
                        "(CASE WHEN json_type(data, {path}) IN ('BIGINT', 'UBIGINT') THEN \
                         TRY_CAST(json_extract_string(data, {path}) AS BIGINT) \
                         WHEN json_type(data, {path}) = 'DOUBLE' \
                         AND CAST(json_extract_string(data, {path}) AS DOUBLE) = \
                         floor(CAST(json_extract_string(data, {path}) AS DOUBLE)) THEN \
                         TRY_CAST(CAST(json_extract_string(data, {path}) AS DOUBLE) AS BIGINT) END)"
                    )
                }
            },
            Self::Aggregate(aggregate) => aggregate.sql(dialect, keys),
        }
    }

    /// Its parts, one level down.
    pub(crate) fn parts(&self) -> Vec<&Self> {
        match self {
            Self::Not(of) | Self::Is(of, _) | Self::Cast(of, _) | Self::Like { of, .. } => vec![of],
            Self::Binary(left, _, right) => vec![left, right],
            Self::In { of, list, .. } => std::iter::once(&**of).chain(list).collect(),
            Self::Between { of, low, high } => vec![of, low, high],
            Self::Case { branches, otherwise } => {
                let branches = branches.iter().flat_map(|(condition, value)| [condition, value]);
                branches.chain(otherwise.as_deref()).collect()
            }
            Self::Call(_, arguments) => arguments.iter().collect(),
            Self::Aggregate(aggregate) => aggregate.arguments.iter().chain(&aggregate.filter).collect(),
            _ => Vec::new(),
        }
    }
}

impl Aggregate {
    fn sql(&self, dialect: Dialect, keys: &dyn Fn(usize) -> String) -> String {
        let sql = |expr: &Expr| expr.sql(dialect, keys);
        let filter = self.filter.as_ref().map(|filter| format!(" FILTER (WHERE {})", sql(filter))).unwrap_or_default();
        let arguments = list(&self.arguments, &sql);
        let duckdb = dialect == Dialect::DuckDb;
        match &self.function {
            Function::Count => format!("count(*){filter}"),
            // The sum of integers is wider in DuckDB; the grammar keeps within 64 bits.
            Function::Named("sum") => format!("sum({arguments}){filter}"),
            Function::Named("var") if duckdb => format!("var_samp({arguments}){filter}"),
            Function::Named(name) => format!("{name}({arguments}){filter}"),
            Function::Distinct(name) => format!("{name}(DISTINCT {arguments}){filter}"),
            Function::Percentile(rank) if duckdb => format!("quantile_cont({arguments}, {rank}){filter}"),
            Function::Percentile(rank) => format!("percentile_cont({arguments}, {rank}){filter}"),
            Function::ApproxDistinct if duckdb => format!("count(DISTINCT {arguments}){filter}"),
            Function::ApproxDistinct => format!("approx_distinct({arguments}){filter}"),
            Function::ApproxMedian if duckdb => ranks(&arguments, 0.5, &filter),
            Function::ApproxMedian => format!("approx_median({arguments}){filter}"),
            Function::ApproxPercentile(rank) if duckdb => ranks(&arguments, *rank, &filter),
            Function::ApproxPercentile(rank) => format!("approx_percentile_cont({arguments}, {rank:?}){filter}"),
            Function::Ordered(name, direction) => {
                let name = match (dialect, *name) {
                    (Dialect::DuckDb, "first_value") => "first",
                    (Dialect::DuckDb, "last_value") => "last",
                    (_, name) => name,
                };
                let order = match (direction, dialect) {
                    (Direction::Ascending, Dialect::Lakehead) => "event_time",
                    (Direction::Descending, Dialect::Lakehead) => "event_time DESC",
                    // Ties go by offset, in Lakehead without being told.
                    (Direction::Ascending, Dialect::DuckDb) => "event_time NULLS LAST, event_offset",
                    (Direction::Descending, Dialect::DuckDb) => "event_time DESC NULLS FIRST, event_offset",
                };
                format!("{name}({arguments} ORDER BY {order}){filter}")
            }
            Function::TopK(k) if duckdb => format!(
                "coalesce(list_transform(list_sort(list_transform(map_entries(histogram({arguments}){filter}), \
                 lambda e: {{'c': -CAST(e.value AS BIGINT), 'v': e.key}}))[:{k}], lambda e: {{'value': e.v, 'count': -e.c}}), [])"
            ),
            Function::TopK(k) => format!("top_k({arguments}, {k}){filter}"),
        }
    }
}

/// The values between which an approximate percentile must lie: those of the ranks that are as far off as it may be, and
/// two more on either side, since among few values each is a centroid.
fn ranks(argument: &str, rank: f64, filter: &str) -> String {
    let place = format!("(1 + (len(l) - 1) * {rank:?}e0)");
    let low = format!("CAST(greatest(1, floor({place} - len(l) * {RANK_ERROR:?}e0 - 2)) AS BIGINT)");
    let high = format!("CAST(least(len(l), ceil({place} + len(l) * {RANK_ERROR:?}e0 + 2)) AS BIGINT)");
    format!(
        "list_transform([list_sort(list_filter(list({argument}){filter}, lambda x: x IS NOT NULL))], lambda l: [l[{low}], l[{high}]])[1]"
    )
}

fn list(expressions: &[Expr], sql: &dyn Fn(&Expr) -> String) -> String {
    expressions.iter().map(sql).collect::<Vec<_>>().join(", ")
}

/// Text as a literal.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A column's name, in quotes where it would be taken for something else.
fn quoted_name(name: &str) -> String {
    if matches!(name, "user" | "type" | "comment") { format!("\"{name}\"") } else { name.to_owned() }
}
