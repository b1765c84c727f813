//! Translates an error of the engine: what is wrong with the statement, and where.

use datafusion::{
    arrow::error::ArrowError,
    common::{Span, error::SchemaError},
    error::DataFusionError,
    sql::sqlparser::parser::ParserError,
};
use lakehead_model::hint::instead;

use super::{
    mistake::Mistake,
    pattern::captures,
    place::Clue,
    plain::{plainly, sentence},
    rules::by_rule,
};

impl Mistake {
    /// What the engine's `error` means for who wrote the statement.
    pub(crate) fn of(error: &DataFusionError) -> Self {
        let (root, span) = root(error);
        let mut mistake = without_insides(Self::of_root(root));
        mistake.is_defect = matches!(root, DataFusionError::Internal(_));
        let is_settled = matches!(mistake.clue, Clue::Keyword(_) | Clue::Start);
        if let Some(clue) = span.map(Clue::span).filter(|clue| *clue != Clue::Nowhere && !is_settled) {
            mistake.clue = clue;
        }
        mistake
    }

    fn of_root(root: &DataFusionError) -> Self {
        match root {
            DataFusionError::SQL(error, _) => parsing(error),
            DataFusionError::SchemaError(error, _) => schema(error),
            DataFusionError::NotImplemented(what) => not_there(what),
            DataFusionError::Internal(what) => strange(what),
            DataFusionError::Plan(what)
            | DataFusionError::Configuration(what)
            | DataFusionError::Execution(what)
            | DataFusionError::Substrait(what)
            | DataFusionError::Ffi(what) => said(what),
            DataFusionError::ArrowError(error, _) => arrow(error),
            other => said(&other.strip_backtrace()),
        }
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

/// What the parser says.
fn parsing(error: &ParserError) -> Mistake {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.as_str(),
        ParserError::RecursionLimitExceeded => {
            return Mistake::new(
                "the statement is nested too deeply; write it in steps, as in WITH a AS (SELECT …) SELECT …",
            );
        }
    };
    let (text, at) = match text.rfind(" at Line: ") {
        Some(cut) => (&text[..cut], place_in(&text[cut..])),
        None => (text, None),
    };
    let clue = at.map_or(Clue::Nowhere, |start| Clue::At { start, end: None });
    if let Some(found) = captures("Expected: {}, found: {}", text) {
        let (expected, found) = (found[0].trim(), found[1].trim());
        let mistake = match found {
            "EOF" => Mistake::new(format!("the statement ends too early: {} is missing", expected_in_words(expected))),
            found => Mistake::new(format!("{} was expected here, not {found}", expected_in_words(expected))),
        };
        return mistake.at(if found == "EOF" { Clue::End } else { clue });
    }
    let mistake = match captures("Unterminated {}", text) {
        Some(found) => Mistake::new(format!("{} begins here and does not end; close it", article(found[0]))),
        None => said(text),
    };
    if mistake.clue == Clue::Nowhere { mistake.at(clue) } else { mistake }
}

fn article(thing: &str) -> String {
    match thing.trim() {
        "string literal" => "a text in single quotes".to_owned(),
        "multiline comment" | "multi-line comment" => "a comment".to_owned(),
        "encoded string literal" => "a text E'…', in which each escape must be right,".to_owned(),
        other => format!("a {other}"),
    }
}

fn expected_in_words(expected: &str) -> String {
    match expected {
        "an SQL statement" => "a statement that begins with SELECT or WITH".to_owned(),
        "end of statement" => "the end of the statement".to_owned(),
        "an expression" | "expression" => "an expression".to_owned(),
        "identifier" => "a name".to_owned(),
        sign if !sign.contains(char::is_alphabetic) => format!("`{sign}`"),
        other => other.to_owned(),
    }
}

/// ` at Line: 1, Column: 8`.
fn place_in(text: &str) -> Option<(usize, usize)> {
    let found = captures("Line: {}, Column: {}", text)?;
    let digits = |text: &str| text.trim().trim_end_matches(|c: char| !c.is_ascii_digit()).parse().ok();
    Some((digits(found[0])?, digits(found[1])?))
}

/// What it has not got.
fn not_there(text: &str) -> Mistake {
    by_rule(text).unwrap_or_else(|| {
        // Of what it says in capitals the last is what it does not know, as in "ORDER BY INTERPOLATE is not supported".
        let loud = text.split(" { ").next().unwrap_or(text).split(|c: char| !c.is_ascii_alphabetic());
        let loud = loud.filter(|word| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase()));
        let clue = Clue::OneOf(loud.rev().map(|word| Clue::Word(word.to_owned())).collect());
        Mistake::new(format!("{}; {WHAT_THERE_IS}", sentence(&plainly(text)))).at(clue)
    })
}

const WHAT_THERE_IS: &str = "docs/sql.md says what there is";

/// What it takes for a bug of its own.
fn strange(text: &str) -> Mistake {
    by_rule(text).unwrap_or_else(|| {
        Mistake::new(format!(
            "this cannot be run: {}; write it more simply, or in steps, as in WITH a AS (SELECT …) SELECT …",
            sentence(&plainly(text))
        ))
    })
}

/// Any other sentence.
fn said(text: &str) -> Mistake {
    by_rule(text).unwrap_or_else(|| Mistake::new(sentence(&plainly(text))))
}

/// What fails on a value.
fn arrow(error: &ArrowError) -> Mistake {
    said(&error.to_string())
}

/// The same mistake in plain words where the engine shows how it holds the statement inside.
fn without_insides(mistake: Mistake) -> Mistake {
    let Some(name) = inside(&mistake.what) else { return mistake };
    // What the engine calls JsonTable is JSON_TABLE where it is written.
    let clue = Clue::OneOf(vec![Clue::Word(snake(name)), mistake.clue]);
    Mistake::new(format!("this is not understood here; {WHAT_THERE_IS}")).at(clue)
}

/// The name with which the engine begins to show something as it holds it, as `Ident` in `Ident { value: "a" }`.
fn inside(text: &str) -> Option<&str> {
    const HOLDERS: [&str; 8] =
        ["BinaryOp", "Function", "Ident", "Identifier", "ObjectName", "SingleQuotedString", "Some", "UnaryOp"];
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_uppercase()) {
        rest = &rest[at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let field = after.strip_prefix(" { ").and_then(|fields| fields.split_once(':')).map(|(field, _)| field);
        let has_fields = field.is_some_and(|field| field.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
        if has_fields || after.starts_with('(') && HOLDERS.contains(&name) {
            return Some(name);
        }
        rest = after;
    }
    None
}

/// `json_table` of `JsonTable`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for (at, c) in name.char_indices() {
        if c.is_ascii_uppercase() && at > 0 {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_the_engine_holds_a_statement_is_shown_to_nobody() {
        for (says, name) in [
            ("Unsupported ast node Unpivot { table: Table { name: ObjectName([Identifier(Ident { value", "Unpivot"),
            ("compound identifier: [Ident { value: \"a\" }]", "Ident"),
            ("Unsupported SQL binary operator Some(HashArrow)", "Some"),
            ("not valid here Substring { expr: a }", "Substring"),
        ] {
            assert_eq!(inside(says), Some(name), "{says}");
            let mistake = without_insides(not_there(says));
            assert_eq!(mistake.to_string(), "this is not understood here; docs/sql.md says what there is");
        }
        for says in ["'Some' is no int64", "a { b: c }", "MAX(a) takes SOME(b)", "types {0}: A { 1 }", ""] {
            assert_eq!(inside(says), None, "{says}");
        }
        assert_eq!((snake("JsonTable"), snake("Pivot")), ("json_table".to_owned(), "pivot".to_owned()));
        let text = "SELECT * FROM JSON_TABLE(a)";
        let mistake = without_insides(Mistake::new("no JsonTable { a: 1 }"));
        assert_eq!(mistake.clue.find(text).map(|place| place.column), Some(15));
    }
}
