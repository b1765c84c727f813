//! What is wrong with a statement, in Lakehead's words: what, where in the text, and what would be valid.
//!
//! The engine beneath speaks of its rules, types and bugs; none of that helps who wrote the statement. An error of its is
//! taken apart as soon as it comes ([`Mistake::of`]), into a sentence and a clue by which its place can be found; whoever
//! has the text then tells line and column ([`Error::in_text`]). No other module words an error of the engine.

mod engine_words;
mod passed_over;
mod place;

use std::fmt;

use datafusion::{
    arrow::datatypes::DataType,
    common::{Span, error::SchemaError},
    error::DataFusionError,
    execution::{FunctionRegistry, SessionState},
};
use lakehead_model::hint::{instead, nearest};

pub(crate) use self::engine_words::plainly;
pub(crate) use self::passed_over::parsed;
pub use self::place::Place;
use self::place::{Clue, Tokens};
use crate::Error;

/// Something that is wrong with a statement.
#[derive(Clone, Debug)]
pub struct Mistake {
    what: String,
    clue: Clue,
    missing: Missing,
    /// Whether the engine takes it for a defect of its own: while a statement is planned it is the statement's, later not.
    is_defect: bool,
}

/// What was asked for by name and is not there, so that near names can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Missing {
    Nothing,
    Table(String),
    Function(String),
}

/// The sentence alone.
impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// An error and its place.
#[derive(Debug)]
pub struct Placed {
    /// Where.
    pub place: Place,
    /// What.
    pub error: Error,
}

impl fmt::Display for Placed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n{}", self.place, self.error, self.place.marked())
    }
}

impl Mistake {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), clue: Clue::Nowhere, missing: Missing::Nothing, is_defect: false }
    }

    /// What the engine's `error` means for who wrote the statement.
    pub(crate) fn of(error: &DataFusionError) -> Self {
        let (root, span) = root(error);
        let mut mistake = engine_words::without_insides(Self::of_root(root));
        mistake.is_defect = matches!(root, DataFusionError::Internal(_));
        let is_settled = matches!(mistake.clue, Clue::Keyword(_) | Clue::Start);
        if let Some(clue) = span.map(Clue::span).filter(|clue| *clue != Clue::Nowhere && !is_settled) {
            mistake.clue = clue;
        }
        mistake
    }

    fn of_root(root: &DataFusionError) -> Self {
        match root {
            DataFusionError::SQL(error, _) => engine_words::parsing(error),
            DataFusionError::SchemaError(error, _) => schema(error),
            DataFusionError::NotImplemented(what) => engine_words::not_there(what),
            DataFusionError::Internal(what) => engine_words::strange(what),
            DataFusionError::Plan(what)
            | DataFusionError::Configuration(what)
            | DataFusionError::Execution(what)
            | DataFusionError::Substrait(what)
            | DataFusionError::Ffi(what) => engine_words::said(what),
            DataFusionError::ArrowError(error, _) => engine_words::arrow(error),
            other => engine_words::said(&other.strip_backtrace()),
        }
    }

    pub(crate) fn is_defect(&self) -> bool {
        self.is_defect
    }

    fn call(mut self, name: &str) -> Self {
        self.clue = Clue::Call(name.to_owned());
        self
    }

    fn at(mut self, clue: Clue) -> Self {
        self.clue = clue;
        self
    }
}

/// The error that began it, and the place that is known for it.
pub(crate) fn root(error: &DataFusionError) -> (&DataFusionError, Option<Span>) {
    let (mut error, mut span) = (error, None);
    loop {
        error = match error {
            DataFusionError::Diagnostic(diagnostic, inner) => {
                span = diagnostic.span.or(span);
                inner
            }
            DataFusionError::Context(_, inner) => inner,
            DataFusionError::Shared(inner) => inner,
            DataFusionError::Collection(all) => match all.first() {
                Some(first) => first,
                None => return (error, span),
            },
            DataFusionError::ArrowError(arrow, _) => match &**arrow {
                datafusion::arrow::error::ArrowError::ExternalError(inner) => match inner.downcast_ref() {
                    Some(inner) => inner,
                    None => return (error, span),
                },
                _ => return (error, span),
            },
            DataFusionError::External(inner) => match inner.downcast_ref() {
                Some(inner) => inner,
                None => return (error, span),
            },
            _ => return (error, span),
        };
    }
}

/// A column or table that is not there, or there twice.
fn schema(error: &SchemaError) -> Mistake {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let alone = |name: &str| valid_fields.iter().filter(|valid| valid.name == name).count() == 1;
            let shown = |column: &datafusion::common::Column| match &column.relation {
                Some(table) if !alone(&column.name) => format!("{}.{}", table.table(), column.name),
                _ => column.name.clone(),
            };
            let mut valid: Vec<String> = valid_fields.iter().map(shown).map(|name| plainly(&name)).collect();
            valid.dedup();
            let mut tables: Vec<&str> =
                valid_fields.iter().filter_map(|valid| valid.relation.as_ref()).map(|table| table.table()).collect();
            tables.dedup();
            if let Some(table) = field.relation.as_ref().map(|table| table.table())
                && !tables.is_empty()
                && !tables.contains(&table)
            {
                let known = instead(table, tables.iter().copied());
                let what = format!("there is no table {table:?} in FROM here; {known}");
                return Mistake::new(what).at(Clue::Word(table.to_owned()));
            }
            let of = field.relation.as_ref().map(|table| format!(" in {:?}", table.table())).unwrap_or_default();
            let known = match valid.as_slice() {
                [] => "no column can stand here".to_owned(),
                valid => instead(&field.name, valid.iter().map(String::as_str)),
            };
            let mistake = Mistake::new(format!("there is no column {:?}{of}; {known}", plainly(&field.name)));
            mistake.at(Clue::Word(field.name.clone()))
        }
        SchemaError::AmbiguousReference { field } => {
            let what = format!(
                "the column {:?} is in more than one table here; write which is meant, as in t.{}",
                field.name, field.name
            );
            Mistake::new(what).at(Clue::Word(field.name.clone()))
        }
        SchemaError::DuplicateQualifiedField { qualifier, .. } => {
            let table = qualifier.table();
            let what = format!("two tables are named {table} in FROM; give one another name with AS");
            Mistake::new(what).at(Clue::Keyword(&["FROM"]))
        }
        SchemaError::DuplicateUnqualifiedField { name } => {
            let what = format!("two columns are named {name:?}; name one of them with AS");
            Mistake::new(what).at(Clue::Word(name.clone()))
        }
    }
}

impl Error {
    /// The same error with its place in `text`, where it has one, and with the names that would be valid.
    pub(crate) fn in_text(self, text: &str, state: &SessionState) -> Self {
        self.in_text_with(text, state, &[])
    }

    /// The same, where there are more tables than those of `state`: `tables`.
    pub(crate) fn in_text_with(self, text: &str, state: &SessionState, tables: &[String]) -> Self {
        let known = Known { state, tables };
        let (error, place) = match self {
            Self::Wrong(mistake) => known.complete(mistake, text),
            Self::Sql(what) => {
                let place = engine_words::clue_in(&what).find(text);
                (Self::Sql(what), place)
            }
            Self::NotIncremental { what, instead } => {
                let place = engine_words::clue_of_refusal(&what).find(text);
                (Self::NotIncremental { what, instead }, place)
            }
            other => (other, None),
        };
        match place {
            Some(place) => Self::At(Box::new(Placed { place, error })),
            None => error,
        }
    }

    /// The place in the text of the statement, where the error has one.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::At(placed) => Some(&placed.place),
            _ => None,
        }
    }

    /// What is wrong, without the place.
    #[must_use]
    pub fn what(&self) -> String {
        match self {
            Self::At(placed) => placed.error.what(),
            other => other.to_string(),
        }
    }

    /// The same error, of a statement that Lakehead made around `text`, which begins at the `start`-th character.
    #[must_use]
    pub fn of_part(self, text: &str, start: usize) -> Self {
        match self {
            Self::At(placed) => {
                let Placed { place, error } = *placed;
                match place.within(text, start) {
                    Some(place) => Self::At(Box::new(Placed { place, error })),
                    None => error,
                }
            }
            other => other,
        }
    }
}

/// The name of a type of an answer's column, as Lakehead writes it: `text`, `int64`, `timestamp`.
#[must_use]
pub fn type_name(data_type: &DataType) -> String {
    engine_words::plain_types(&data_type.to_string())
}

/// The names in double quotes in `text`.
pub(crate) fn names_in_quotes(text: &str) -> Vec<String> {
    Tokens::of(text).quoted().map(str::to_owned).collect()
}

/// What a statement can name.
struct Known<'a> {
    state: &'a SessionState,
    /// All tables, where those of `state` are not all; else none.
    tables: &'a [String],
}

impl Known<'_> {
    fn complete(&self, mistake: Mistake, text: &str) -> (Error, Option<Place>) {
        let Mistake { mut what, clue, missing, .. } = mistake;
        match &missing {
            Missing::Table(name) => what = self.no_table(name),
            Missing::Function(name) => what = self.no_function(name),
            Missing::Nothing => {}
        }
        let mut place = clue.find(text).or_else(|| engine_words::clue_in(&what).find(text));
        if place.is_none() && matches!(missing, Missing::Table(_)) {
            place = Clue::Text.find(text);
        }
        if let Some(place) = &place {
            what = engine_words::with_cure(what, &Tokens::of(text), place);
        }
        (Error::Sql(what), place)
    }

    fn no_table(&self, name: &str) -> String {
        let mut tables = self.tables.to_vec();
        let catalogs = self.state.catalog_list();
        for catalog in catalogs.catalog_names().iter().filter_map(|name| catalogs.catalog(name)) {
            for schema in &catalog.schema_names() {
                tables.extend(catalog.schema(schema).map(|schema| schema.table_names()).unwrap_or_default());
            }
        }
        tables.sort();
        tables.dedup();
        format!("there is no stream or view {name:?}; {}", instead(name, tables.iter().map(String::as_str)))
    }

    fn no_function(&self, name: &str) -> String {
        let registered = [self.state.udfs(), self.state.udafs(), self.state.udwfs()];
        let mut names: Vec<&str> = registered.iter().flatten().map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        if self.state.udwfs().contains(name) {
            return format!("{name} needs OVER, as in {name}(…) OVER (ORDER BY event_time)");
        }
        if names.contains(&name) {
            return format!("{name} cannot stand with OVER; leave OVER out");
        }
        let near = nearest(name, names);
        let quoted: Vec<_> = near.iter().take(3).map(|name| format!("`{name}`")).collect();
        match quoted.as_slice() {
            [] => format!("there is no function {name:?}; docs/sql.md names what there is"),
            near => format!("there is no function {name:?}; did you mean {}?", near.join(" or ")),
        }
    }
}
