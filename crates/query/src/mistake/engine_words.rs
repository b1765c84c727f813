//! The engine's sentences, and what each says to who wrote the statement.
//!
//! A table: what the engine says, with `{}` for what it says it of, and what we say. What no rule knows is at least
//! without its prefixes, its own names of types and tables, and its advice to report a bug.

use datafusion::{
    arrow::error::ArrowError,
    sql::sqlparser::{
        parser::ParserError,
        tokenizer::{Token, TokenWithSpan},
    },
};
use lakehead_model::hint::is_slip;

use super::{
    Missing, Mistake,
    place::{Clue, Place, Tokens},
};
use crate::interval;

/// One sentence of the engine.
struct Rule {
    /// What it says, somewhere in its text; each `{}` stands for anything. With `=` before it, all that it says.
    says: &'static str,
    /// What we say; `{0}` is what stood for the first `{}`.
    means: &'static str,
    /// How the place is found.
    of: Of,
}

/// How the place of a rule's sentence is found; a number is that of a `{}`.
enum Of {
    Nothing,
    Call(usize),
    Named(&'static str),
    Word(usize),
    Constant(usize),
    Keyword(&'static [&'static str]),
    Token(&'static [&'static str]),
    TokenIn(usize),
    /// An expression.
    Written(usize),
    /// The same, else the only division.
    Divided(usize),
    /// The sign between two types.
    Sign(usize),
    /// The value, where the statement has it, else the only cast.
    Cast(usize),
    Field,
}

const RULES: &[Rule] = &[
    Rule {
        says: "{} divides by zero",
        means: "{0} divides by zero; leave such rows out with WHERE, or divide by nullif(…, 0), which makes it NULL",
        of: Of::Divided(0),
    },
    Rule {
        says: "{} is outside of {}; compute with {}",
        means: "{0} is outside of {1}; compute with {2}",
        of: Of::Written(0),
    },
    Rule {
        says: "ivide by zero",
        means: "a division by zero; write a / nullif(b, 0), which gives NULL there",
        of: Of::Token(&["/", "%"]),
    },
    Rule {
        says: "ubstring without for/from",
        means: "substr takes a place to begin at, as in substr(a, 2) or substr(a, 2, 5)",
        of: Of::Keyword(&["substr", "substring"]),
    },
    Rule {
        says: "Overflow happened on: {}",
        means: "this goes beyond what an int64 holds: {0}; compute with CAST(a AS DOUBLE) or CAST(a AS DECIMAL(38, 0))",
        of: Of::Nothing,
    },
    Rule { says: "regex parse error:{}error: {}", means: "this is no regular expression: {1}", of: Of::Constant(0) },
    Rule { says: "'{}' does not support zero arguments", means: "{0} takes an argument", of: Of::Call(0) },
    Rule {
        says: "Cannot get result type for temporal operation {}: ",
        means: "{0} cannot be computed; a time takes an interval, as in event_time + INTERVAL '1 hour', and of two times there is the difference",
        of: Of::Sign(0),
    },
    Rule {
        says: "Unary operator 'NOT' requires a boolean expression, got {}",
        means: "NOT takes true or false, not {0}; write a comparison, as in NOT (title = 'a')",
        of: Of::Keyword(&["NOT"]),
    },
    Rule {
        says: "Unary operator '-' only supports",
        means: "a minus takes a number or an interval; make a number of a text with CAST(a AS DOUBLE)",
        of: Of::Nothing,
    },
    Rule {
        says: "Cannot create filter with non-boolean predicate '{}' returning {}",
        means: "a condition is true or false, but {0} is {1}; write a comparison, as in {0} = …",
        of: Of::Keyword(&["WHERE", "HAVING", "ON"]),
    },
    Rule {
        says: "ailed to coerce arguments to satisfy a call to '{}' function{}argument types '{}'",
        means: "{2}: {0} does not take these types; convert them with CAST",
        of: Of::Call(0),
    },
    Rule {
        says: "common argument type for comparison operation {}",
        means: "types that cannot be compared: {0}; convert one, as in CAST(a AS TEXT)",
        of: Of::Sign(0),
    },
    Rule {
        says: "common argument type for logical boolean operation {}",
        means: "AND and OR take true or false: {0}; write a comparison, as in title = 'a'",
        of: Of::Nothing,
    },
    Rule {
        says: "There isn't a common type to coerce {} and {} in LIKE expression",
        means: "LIKE takes two texts, not {0} and {1}; write CAST(a AS TEXT) LIKE '…'",
        of: Of::Keyword(&["LIKE", "ILIKE"]),
    },
    Rule {
        says: "LIKE does not support escape_char",
        means: "LIKE … ESCAPE is not taken: the backslash escapes without it, as in title LIKE '100\\%'",
        of: Of::Keyword(&["ESCAPE"]),
    },
    Rule {
        says: "ggregate functions are not allowed in the WHERE clause",
        means: "an aggregate cannot stand in WHERE, which picks rows before they are grouped; write HAVING",
        of: Of::Keyword(&["WHERE"]),
    },
    Rule {
        says: "olumn in {} must be in GROUP BY or an aggregate function: While expanding wildcard, column \"{}\" must",
        means: "{1} in {0} is neither grouped nor aggregated; add it to GROUP BY, or write min({1}) or count(DISTINCT {1})",
        of: Of::Word(1),
    },
    Rule {
        says: "Cannot find column with position {} in SELECT clause. Valid columns: 1 to {}",
        means: "GROUP BY {0}: only {1} columns are selected; name one of them",
        of: Of::Constant(0),
    },
    Rule {
        says: "Order by column out of bounds, specified: {}, max: {}",
        means: "ORDER BY {0}: only {1} columns are selected; name one of them",
        of: Of::Constant(0),
    },
    Rule {
        says: "alls cannot be nested: '{}' is nested inside '{}'",
        means: "{0} stands inside {1}; compute the inner one first, as in WITH a AS (SELECT …) SELECT …",
        of: Of::Nothing,
    },
    Rule {
        says: "alls cannot contain window function calls: '{}' is nested inside '{}'",
        means: "{0} stands inside {1}; compute the inner one first, as in WITH a AS (SELECT …) SELECT …",
        of: Of::Nothing,
    },
    Rule {
        says: "For SELECT DISTINCT, ORDER BY expressions {} must appear in select list",
        means: "with SELECT DISTINCT only what is selected can order the rows; select {0}, too",
        of: Of::Word(0),
    },
    Rule {
        says: "LIMIT must be >= 0, '{}' was provided",
        means: "LIMIT takes a whole number from 0 on, not {0}",
        of: Of::Keyword(&["LIMIT"]),
    },
    Rule {
        says: "OFFSET must be >=0, '{}' was provided",
        means: "OFFSET takes a whole number from 0 on, not {0}",
        of: Of::Keyword(&["OFFSET"]),
    },
    Rule {
        says: "xpected LIMIT to be an integer or null, but got {}",
        means: "LIMIT takes a whole number from 0 on, not {0}",
        of: Of::Keyword(&["LIMIT"]),
    },
    Rule {
        says: "have different number of columns",
        means: "the two sides have different numbers of columns; select as many on each",
        of: Of::Keyword(&["UNION", "INTERSECT", "EXCEPT"]),
    },
    Rule {
        says: "ncompatible inputs for Union: Previous inputs were of type {}, but got incompatible type {} on column '{}'",
        means: "the sides of UNION have different types in column {2}: {0} and {1}; convert one with CAST",
        of: Of::Keyword(&["UNION"]),
    },
    Rule {
        says: "Too many columns! The subquery should only return one column: {}",
        means: "a subquery has one column here, not {0}; select one",
        of: Of::Nothing,
    },
    Rule {
        says: "calar subquery returned more than one row",
        means: "a subquery that stands for one value gave more than one row; add LIMIT 1, or aggregate it, as in max(a)",
        of: Of::Nothing,
    },
    Rule {
        says: "annot cast string '{}' to value of {} type",
        means: "'{0}' is no {1}; write TRY_CAST(a AS …), which gives NULL there",
        of: Of::Cast(0),
    },
    Rule {
        says: "annot cast value '{}' to value of {} type",
        means: "'{0}' is no {1}; write TRY_CAST(a AS …), which gives NULL there",
        of: Of::Cast(0),
    },
    Rule {
        says: "Unsupported SQL type {}",
        means: "there is no type {0}; valid: TEXT, BIGINT, INT, DOUBLE, DECIMAL(p, s), BOOLEAN, TIMESTAMP, DATE, INTERVAL",
        of: Of::Word(0),
    },
    Rule {
        says: "rror parsing timestamp from '{}': {}",
        means: "'{0}' is no time; write one as in '2026-11-24T10:00:00Z'",
        of: Of::Cast(0),
    },
    Rule {
        says: "nvalid input syntax for type interval: \"{}\"",
        means: "'{0}' is no interval; write a number and a unit (second, minute, hour, day, week, month, year), as in INTERVAL '5 minutes'",
        of: Of::Constant(0),
    },
    Rule {
        says: "Unsupported date_trunc granularity: '{}'. Supported values are: {}",
        means: "date_trunc has no {0}; valid: {1}",
        of: Of::Constant(0),
    },
    Rule {
        says: "Date part '{}' not supported",
        means: "a time has no part {0}; valid: year, quarter, month, week, day, dow, doy, hour, minute, second, millisecond, microsecond, epoch",
        of: Of::Word(0),
    },
    Rule {
        says: "DATE_BIN stride must be non-zero",
        means: "date_bin takes a length that is not zero, as in INTERVAL '5 minutes'",
        of: Of::Named("date_bin"),
    },
    Rule {
        says: "DATE_BIN stride does not support combination",
        means: "date_bin takes months, or days and less, not both; write one of them",
        of: Of::Named("date_bin"),
    },
    Rule {
        says: "Cannot access field at argument 1: type {} is not",
        means: "{0} has no fields; of JSON text write data ->> 'field'",
        of: Of::Field,
    },
    Rule {
        says: "unnest() can only be applied to",
        means: "unnest takes a list, as string_to_array(title, ' ') or json_get_array(data, 'tags') gives one",
        of: Of::Named("unnest"),
    },
    Rule {
        says: "onflicting ordering requirements",
        means: "aggregates of one SELECT cannot have different orders inside; give them the same ORDER BY, or a query (a view) each",
        of: Of::Keyword(&["string_agg", "array_agg", "first_value", "last_value", "nth_value"]),
    },
    Rule {
        says: "aggregate with DISTINCT, ORDER BY expressions must appear in argument list",
        means: "with DISTINCT an aggregate is ordered by its own value alone, as in string_agg(DISTINCT a, ',' ORDER BY a)",
        of: Of::Keyword(&["DISTINCT"]),
    },
    Rule {
        says: "nvalid window frame: start bound ({}) cannot be larger than end bound ({})",
        means: "the frame begins ({0}) behind its end ({1}); swap the two",
        of: Of::Keyword(&["ROWS", "RANGE", "GROUPS"]),
    },
    Rule {
        says: "ercentile value must be between 0.0 and 1.0 inclusive, {} is invalid",
        means: "a percentile is from 0 to 1, not {0}",
        of: Of::Constant(0),
    },
    Rule {
        says: "unction '{}' user-defined coercion failed with{}argument types '{}'",
        means: "{2}: these types do not go together; convert them with CAST",
        of: Of::Call(0),
    },
    Rule {
        says: "WITH query name \"{}\" specified more than once",
        means: "WITH has {0} twice; give one another name",
        of: Of::Word(0),
    },
    Rule {
        says: "nconsistent data length across values list: got {} values in row {} but expected {}",
        means: "a row of VALUES has {0} values where {2} are expected; give each row as many",
        of: Of::Keyword(&["VALUES"]),
    },
    Rule {
        says: "able function '{}' not found",
        means: "there is no table function {0}; valid: range, generate_series",
        of: Of::Call(0),
    },
    Rule {
        says: "only supports a single SQL statement",
        means: "one statement at a time; send each by itself",
        of: Of::Token(&[";"]),
    },
    Rule {
        says: "No SQL statements were provided",
        means: "there is no statement; write SELECT … FROM a stream or view",
        of: Of::Nothing,
    },
    Rule { says: "=TOP", means: "there is no TOP; write LIMIT at the end", of: Of::Keyword(&["TOP"]) },
    Rule {
        says: "SELECT DISTINCT ON expressions must match",
        means: "DISTINCT ON keeps the first row of each group, so ORDER BY begins with the same expressions",
        of: Of::Keyword(&["DISTINCT"]),
    },
    Rule {
        says: "laceholder '{}' was not provided",
        means: "{0} stands for a value that nobody gives; write the value itself",
        of: Of::TokenIn(0),
    },
    Rule {
        says: "Unsupported SQL unary operator PGAbs",
        means: "there is no operator @; write abs(a)",
        of: Of::Token(&["@"]),
    },
    Rule {
        says: "Unsupported SQL unary operator {}",
        means: "there is no operator {0} before a value",
        of: Of::Nothing,
    },
    Rule { says: "Unsupported SQL binary operator {}", means: "there is no operator {0} here", of: Of::Nothing },
    Rule {
        says: "Invalid HexStringLiteral '{}'",
        means: "X'{0}' is not hexadecimal; write an even number of digits and letters from A to F",
        of: Of::Nothing,
    },
    Rule {
        says: "Dot access not supported",
        means: "a field cannot be taken of this with a dot; write (a)['field']",
        of: Of::Nothing,
    },
    // A place in an aggregated list is computed by nth_value, so the engine says the same of both.
    Rule {
        says: "not supported for n: {}",
        means: "a place is a whole number that is written out, as in nth_value(a, 2) or a[2]",
        of: Of::Named("nth_value"),
    },
    Rule {
        says: "signed integer literal for the second argument of nth_value",
        means: "a place is a whole number that is written out, as in nth_value(a, 2)",
        of: Of::Named("nth_value"),
    },
    Rule { says: "logical expression Wildcard", means: "* cannot stand here; name a column", of: Of::Token(&["*"]) },
    Rule {
        says: "COUNT DISTINCT with multiple arguments",
        means: "count(DISTINCT …) takes one value; write count(DISTINCT concat(a, ' ', b))",
        of: Of::Keyword(&["DISTINCT"]),
    },
    Rule {
        says: "Argument {} to grouping function is not in grouping columns",
        means: "grouping takes a column of GROUP BY, and {0} is none",
        of: Of::Named("grouping"),
    },
    Rule {
        says: "Unsupported type '{}'. Must be a supported arrow type",
        means: "there is no type {0}; write CAST(a AS …) with TEXT, BIGINT, DOUBLE, BOOLEAN or TIMESTAMP",
        of: Of::Constant(0),
    },
    Rule {
        says: "Invalid qualifier {}",
        means: "there is no table {0} in FROM; write * alone, or a name that stands there",
        of: Of::Word(0),
    },
    Rule {
        says: "Can not find compatible types to compare {} with [{}]",
        means: "{0} cannot be compared with {1}; make all of them one type with CAST",
        of: Of::Keyword(&["IN", "CASE"]),
    },
    Rule { says: "xpected an expression, found: {}", means: "an expression is missing before {0}", of: Of::Nothing },
    Rule {
        says: "{}(json, path …): json is a {}, but must be text",
        means: "{0} takes JSON text, as data and data -> 'field' are, not {1}",
        of: Of::Call(0),
    },
    Rule { says: "{} does not support type {}. No function matches", means: "{0} does not take {1}", of: Of::Call(0) },
];

/// Words of SQL that a misspelt one could be.
const KEYWORDS: [&str; 34] = [
    "SELECT", "FROM", "WHERE", "GROUP", "BY", "HAVING", "ORDER", "LIMIT", "OFFSET", "JOIN", "LEFT", "RIGHT", "INNER",
    "OUTER", "ON", "AS", "AND", "OR", "NOT", "IN", "LIKE", "BETWEEN", "UNION", "CASE", "WHEN", "THEN", "ELSE", "END",
    "WITH", "DISTINCT", "INTERVAL", "USING", "FILTER", "CROSS",
];

/// What the parser says.
pub(super) fn parsing(error: &ParserError) -> Mistake {
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
pub(super) fn not_there(text: &str) -> Mistake {
    by_rule(text).unwrap_or_else(|| {
        // Of what it says in capitals the last is what it does not know, as in "ORDER BY INTERPOLATE is not supported".
        let loud = text.split(" { ").next().unwrap_or(text).split(|c: char| !c.is_ascii_alphabetic());
        let loud = loud.filter(|word| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase()));
        let clue = Clue::OneOf(loud.rev().map(|word| Clue::Word(word.to_owned())).collect());
        Mistake::new(format!("{}; {WHAT_THERE_IS}", sentence(&plainly(text)))).at(clue)
    })
}

/// The same mistake in plain words where the engine shows how it holds the statement inside.
pub(super) fn without_insides(mistake: Mistake) -> Mistake {
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

const WHAT_THERE_IS: &str = "docs/sql.md says what there is";

/// What it takes for a bug of its own.
pub(super) fn strange(text: &str) -> Mistake {
    by_rule(text).unwrap_or_else(|| {
        Mistake::new(format!(
            "this cannot be run: {}; write it more simply, or in steps, as in WITH a AS (SELECT …) SELECT …",
            sentence(&plainly(text))
        ))
    })
}

/// Any other sentence.
pub(super) fn said(text: &str) -> Mistake {
    by_rule(text).unwrap_or_else(|| Mistake::new(sentence(&plainly(text))))
}

/// What fails on a value.
pub(super) fn arrow(error: &ArrowError) -> Mistake {
    said(&error.to_string())
}

fn by_rule(text: &str) -> Option<Mistake> {
    if let Some(found) = captures("table '{}' not found", text) {
        let name = found[0].rsplit('.').next().unwrap_or(found[0]).to_owned();
        let mut mistake = Mistake::new(format!("there is no stream or view {name:?}")).at(Clue::Word(name.clone()));
        mistake.missing = Missing::Table(name);
        return Some(mistake);
    }
    if let Some(found) = captures("Invalid function '{}'.", text) {
        let name = found[0].to_owned();
        let mut mistake = Mistake::new(format!("there is no function {name:?}")).call(&name);
        mistake.missing = Missing::Function(name);
        return Some(mistake);
    }
    if let Some(mistake) = signature(text).or_else(|| computed(text)).or_else(|| same_name(text)) {
        return Some(mistake);
    }
    RULES.iter().find_map(|rule| {
        let found = match rule.says.strip_prefix('=') {
            Some(all) => (all == text.trim()).then(Vec::new)?,
            None => captures(rule.says, text)?,
        };
        let plain: Vec<String> = found.iter().map(|part| plainly(part)).collect();
        let mut means = rule.means.to_owned();
        for (index, part) in plain.iter().enumerate() {
            means = means.replace(&format!("{{{index}}}"), part.trim());
        }
        let clue = match rule.of {
            Of::Nothing => Clue::Nowhere,
            Of::Call(index) => call(found[index].trim()),
            Of::Word(index) => Clue::Word(last_name(found[index])),
            Of::Named(name) => Clue::Call(name.to_owned()),
            Of::Constant(index) => constant(found[index]),
            Of::Keyword(words) => Clue::Keyword(words),
            Of::Token(tokens) => Clue::Token(tokens.iter().map(|token| (*token).to_owned()).collect()),
            Of::TokenIn(index) => Clue::Token(vec![found[index].to_owned()]),
            Of::Written(index) => Clue::Written(plain[index].clone()),
            Of::Divided(index) => Clue::OneOf(vec![Clue::Written(plain[index].clone()), Clue::Only(vec!["/", "%"])]),
            Of::Sign(index) => sign(found[index]),
            Of::Cast(index) => {
                Clue::OneOf(vec![constant(found[index]), Clue::Only(vec!["CAST", "::", "to_timestamp"])])
            }
            Of::Field => Clue::Field,
        };
        Some(Mistake::new(means).at(clue))
    })
}

fn constant(value: &str) -> Clue {
    Clue::Constant(value.trim().lines().next().unwrap_or_default().to_owned())
}

/// A call of the function, or what else SQL has for it.
pub(super) fn call(name: &str) -> Clue {
    let call = Clue::Call(name.to_owned());
    let other = match name {
        "json_get" => Clue::Token(vec!["->".to_owned()]),
        "json_as_text" => Clue::Token(vec!["->>".to_owned()]),
        "json_contains" => Clue::Token(vec!["?".to_owned()]),
        "array_element" => Clue::Token(vec!["[".to_owned()]),
        "array_has" => Clue::Keyword(&["ANY"]),
        "strpos" => Clue::Keyword(&["POSITION"]),
        _ => return call,
    };
    Clue::OneOf(vec![call, other])
}

/// The sign in `types`, as `int64 >= text`, where the statement has it once. What a person writes comes second.
fn sign(types: &str) -> Clue {
    const SIGNS: [(&str, &str); 11] = [
        ("=", "="),
        ("!=", "<>"),
        ("<", "<"),
        ("<=", "<="),
        (">", ">"),
        (">=", ">="),
        ("+", "+"),
        ("-", "-"),
        ("*", "*"),
        ("/", "/"),
        ("%", "%"),
    ];
    let found = SIGNS.iter().find(|(sign, _)| types.contains(&format!(" {sign} ")));
    found.map_or(Clue::Nowhere, |(_, written)| Clue::Only(vec![*written]))
}

/// What a function was given that it does not take: of the many ways in which the engine says that, one sentence.
fn signature(text: &str) -> Option<Mistake> {
    let named =
        ["unction '{}' failed to match", "unction '{}' requires ", "unction '{}' expects ", "unction '{}' expected "];
    let name = named.iter().find_map(|pattern| captures(pattern, text)).map(|found| found[0].to_owned())?;
    let (mut takes, mut given, mut counts, mut count) = (Vec::new(), String::new(), Vec::new(), "");
    let mut rest = text;
    while let Some(found) = captures("requires {}, but received {} (DataType: {})", rest) {
        let kind = match found[0] {
            "String" | "Utf8" | "Utf8View" => "a text",
            "Integer" | "Int64" | "Int32" | "UInt64" | "Decimal" | "Float32" | "Float64" | "Numeric" => "a number",
            "Timestamp" => "a time",
            "Duration" => "",
            _ => "another type",
        };
        if !kind.is_empty() && !takes.contains(&kind) {
            takes.push(kind);
        }
        rest = &rest[rest.find("(DataType: ")?..];
        let whole = parenthesized(rest).map_or(found[2], |(inside, _)| inside.trim_start_matches("DataType: "));
        given = plainly(whole);
        rest = &rest[1..];
    }
    if takes.len() > 1 {
        takes.retain(|kind| *kind != "another type");
    }
    let mut rest = text;
    for verb in ["expects {} arguments but received {}", "expected {} arguments but received {}"] {
        while let Some(found) = captures(verb, rest) {
            count = found[1].split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
            if !counts.contains(&found[0]) {
                counts.push(found[0]);
            }
            rest = &rest[rest.find(" arguments but received")? + 10..];
        }
        rest = text;
    }
    let what = match (takes.as_slice(), counts.as_slice()) {
        ([], []) => format!("{name} cannot take what it is given here; convert it with CAST"),
        ([], ["1"]) => format!("{name} takes one argument, not {count}"),
        ([], counts) => format!("{name} takes {} arguments, not {count}", counts.join(" or ")),
        (takes, _) => {
            format!("{name} does not take {given} here, but {}; convert it, as in CAST(a AS …)", takes.join(" or "))
        }
    };
    Some(Mistake::new(what).at(call(&name)))
}

/// Types that do not go together in arithmetic.
fn computed(text: &str) -> Option<Mistake> {
    let found = captures("oerce arithmetic expression {} to valid types", text)?;
    let of = plainly(found[0]);
    let cure = match of.contains("timestamp") || of.contains("date") {
        true => "a time takes an interval, as in event_time + INTERVAL '1 hour'",
        false => "convert one, as in CAST(a AS DOUBLE)",
    };
    Some(Mistake::new(format!("{of} cannot be computed; {cure}")))
}

/// Two columns of one name.
fn same_name(text: &str) -> Option<Mistake> {
    let found =
        captures("unique expression names but the expression \"{}\" at position {} and \"{}\" at position", text)?;
    let name = last_name(found[2].rsplit(" AS ").next().unwrap_or(found[2]));
    let what = format!("two columns are named {name:?}; name one of them otherwise with AS");
    Some(Mistake::new(what).at(Clue::Word(name)))
}

/// `a` of `lakehead.public.t.a` or `"a"`.
fn last_name(name: &str) -> String {
    name.trim().rsplit('.').next().unwrap_or(name).trim_matches('"').to_owned()
}

/// What stands for each `{}` of `pattern` where it is first found in `text`; the last `{}` of a pattern that ends so takes
/// the rest.
fn captures<'t>(pattern: &str, text: &'t str) -> Option<Vec<&'t str>> {
    let mut parts = pattern.split("{}");
    let first = parts.next()?;
    let mut rest = &text[text.find(first)? + first.len()..];
    let mut found = Vec::new();
    for part in parts {
        let at = if part.is_empty() { rest.len() } else { rest.find(part)? };
        found.push(&rest[..at]);
        rest = &rest[at + part.len()..];
    }
    Some(found)
}

/// A text of the engine with the names that a person knows: of types, tables and constants; without its prefixes.
pub(crate) fn plainly(text: &str) -> String {
    let mut text = text.to_owned();
    for (from, to) in [("lakehead.public.", ""), ("datafusion.public.", ""), ("\"lakehead\".\"public\".", "")] {
        text = text.replace(from, to);
    }
    for prefix in PREFIXES {
        text = text.replace(prefix, "");
    }
    if let Some(cut) = BUG.iter().filter_map(|bug| text.find(bug)).min() {
        text.truncate(cut);
    }
    plain_types(&interval::plain(&text))
}

const PREFIXES: [&str; 14] = [
    "Error during planning: ",
    "Schema error: ",
    "SQL error: ",
    "Execution error: ",
    "Arrow error: ",
    "Internal error: ",
    "External error: ",
    "Parquet error: ",
    "Invalid or Unsupported Configuration: ",
    "This feature is not implemented: ",
    "Compute error: ",
    "Invalid argument error: ",
    "Cast error: ",
    "Parser error: ",
];

const BUG: [&str; 3] = ["This issue was likely caused by a bug", "This was likely caused by a bug", "\n\nbacktrace: "];

/// The engine's names of types, and ours. Those with parts in parentheses lose them.
const TYPES: [(&str, &str); 46] = [
    ("Utf8View", "text"),
    ("LargeUtf8", "text"),
    ("Utf8", "text"),
    ("BinaryView", "bytes"),
    ("LargeBinary", "bytes"),
    ("FixedSizeBinary", "bytes"),
    ("Binary", "bytes"),
    ("Boolean", "bool"),
    ("Int8", "int8"),
    ("Int16", "int16"),
    ("Int32", "int32"),
    ("Int64", "int64"),
    ("UInt8", "uint8"),
    ("UInt16", "uint16"),
    ("UInt32", "uint32"),
    ("UInt64", "uint64"),
    ("Float16", "float16"),
    ("Float32", "float32"),
    ("Float64", "float64"),
    ("Decimal32", "decimal"),
    ("Decimal64", "decimal"),
    ("Decimal128", "decimal"),
    ("Decimal256", "decimal"),
    ("TimestampSecond", "timestamp"),
    ("TimestampMillisecond", "timestamp"),
    ("TimestampMicrosecond", "timestamp"),
    ("TimestampNanosecond", "timestamp"),
    ("Timestamp", "timestamp"),
    ("IntervalMonthDayNano", "interval"),
    ("IntervalDayTime", "interval"),
    ("IntervalYearMonth", "interval"),
    ("Interval", "interval"),
    ("Duration", "duration"),
    ("Date32", "date"),
    ("Date64", "date"),
    ("Time32", "time"),
    ("Time64", "time"),
    ("Null", "NULL"),
    ("LargeListView", "list"),
    ("ListView", "list"),
    ("LargeList", "list"),
    ("FixedSizeList", "list"),
    ("List", "list"),
    ("Struct", "record"),
    ("Dictionary", "text"),
    ("Map", "map"),
];

/// Names whose parentheses hold the value of a constant, which stays: `Int64(5)` is 5.
fn is_constant(name: &str, inside: &str) -> bool {
    let scalar = name.starts_with("Int") && !name.starts_with("Interval")
        || name.starts_with("UInt")
        || name.starts_with("Float")
        || ["Utf8View", "Utf8", "LargeUtf8", "Boolean"].contains(&name);
    scalar && !inside.is_empty()
}

/// `text` with the names that a person knows in place of the engine's names of types.
pub(crate) fn plain_types(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_alphabetic()) {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let Some((_, ours)) = TYPES.iter().find(|(engine, _)| *engine == word) else {
            plain.push_str(word);
            rest = after;
            continue;
        };
        match parenthesized(after) {
            Some((inside, after)) => {
                match word {
                    _ if is_constant(word, inside) => {
                        let is_text = word.contains("Utf8");
                        let value = inside.trim_matches('"');
                        plain.push_str(&if is_text { format!("'{value}'") } else { value.to_owned() });
                    }
                    "List" | "LargeList" | "ListView" | "FixedSizeList" => {
                        let item = plain_types(inside.split(", ").next().unwrap_or(inside));
                        plain.push_str(&format!("list of {}", item.trim_start_matches("non-null ")));
                    }
                    _ => plain.push_str(ours),
                }
                rest = after;
            }
            None => {
                plain.push_str(ours);
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain
}

/// What stands in the parentheses that `text` begins with, and what comes after them.
fn parenthesized(text: &str) -> Option<(&str, &str)> {
    if !text.starts_with('(') {
        return None;
    }
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 1 => return Some((&text[1..at], &text[at + 1..])),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// As our messages are: no capital at the start, no full stop, one line.
fn sentence(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = text.trim_end_matches(['.', ' ', ',', ';', ':']);
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if first.is_ascii_uppercase() && !second.is_ascii_uppercase() => {
            let first = first.to_ascii_lowercase();
            format!("{first}{}", &text[1..])
        }
        _ => text.to_owned(),
    }
}

/// What one of our own sentences is about: what stands in it in quotes, or the function that it begins with.
pub(super) fn clue_in(what: &str) -> Clue {
    if let Some((name, _)) = what.split_once('(')
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    {
        return call(name);
    }
    if let Some(found) = captures("the column {}(", what) {
        return Clue::Call(found[0].to_owned());
    }
    match captures("\"{}\"", what) {
        Some(found) => Clue::Word(found[0].to_owned()),
        None => Clue::Nowhere,
    }
}

/// Where what a view cannot have stands.
pub(super) fn clue_of_refusal(what: &str) -> Clue {
    Clue::Keyword(match what {
        "this statement" | "a query without a table" => return Clue::Start,
        "a query without a window" | "a group by two windows" => &["GROUP"],
        "a join" => &["JOIN"],
        "an aggregation of an aggregation" => &["GROUP"],
        "LIMIT" => &["LIMIT", "OFFSET", "FETCH"],
        "ORDER BY" => &["ORDER"],
        "DISTINCT" => &["DISTINCT"],
        "UNION" => &["UNION"],
        "OVER (…)" => &["OVER"],
        "GROUPING SETS, ROLLUP or CUBE" => &["GROUPING", "ROLLUP", "CUBE"],
        "the time of the query (now and its kin)" => {
            &["now", "current_timestamp", "current_date", "current_time", "today", "to_timestamp"]
        }
        "a function that gives another answer each time" => &["random", "uuid"],
        "an aggregate that depends on the order of events and does not say it" => {
            &["first_value", "last_value", "nth_value", "array_agg", "string_agg"]
        }
        _ => return Clue::Nowhere,
    })
}

/// Adds what the words at the place tell: a text in double quotes, a misspelt word of SQL.
pub(super) fn with_cure(what: String, tokens: &Tokens, place: &Place) -> String {
    let [this, before, after] = tokens.around(place.line, place.column);
    let word = |token: Option<&TokenWithSpan>| match token.map(|token| &token.token) {
        Some(Token::Word(word)) => Some((word.value.clone(), word.quote_style)),
        _ => None,
    };
    let is = |token: Option<&TokenWithSpan>, keyword: &str| {
        word(token).is_some_and(|(word, quotes)| quotes.is_none() && word.eq_ignore_ascii_case(keyword))
    };
    if what.starts_with("there is no column")
        && let Some((name, Some('"'))) = word(this)
    {
        return format!("{what}; \"{name}\" in double quotes is a column: a text is written '{name}'");
    }
    if what.starts_with("there is no stream or view")
        && matches!(this.map(|token| &token.token), Some(Token::SingleQuotedString(_)))
    {
        return format!("{what}; a file is no table");
    }
    // A text that stands in the statement itself is mended there.
    if let Some((fault, _)) = what.split_once("; write TRY_CAST(")
        && matches!(this.map(|token| &token.token), Some(Token::SingleQuotedString(_)))
        && !matches!(after.map(|token| &token.token), Some(Token::DoubleColon))
        && !is(after, "AS")
    {
        return format!("{fault}; write one in its place, or compare texts, as in CAST(a AS TEXT) = 'b'");
    }
    if let Some((_, takes)) = what.split_once(" takes JSON text")
        && let Some(sign @ (Token::Arrow | Token::LongArrow | Token::Question)) = this.map(|token| &token.token)
    {
        return format!("`{sign}` takes JSON text{takes}");
    }
    if what.starts_with("an expression is missing before")
        && matches!(before.map(|token| &token.token), Some(Token::Comma))
    {
        return format!("{what}; take the comma away, or add one behind it");
    }
    if !what.contains("was expected here") && !what.contains("ends too early") {
        return what;
    }
    for keyword in ["GROUP", "ORDER", "PARTITION"] {
        if is(this, keyword) && !is(after, "BY") {
            return format!("{what}; did you mean {keyword} BY?");
        }
    }
    for (name, quotes) in [word(before), word(this)].into_iter().flatten() {
        if quotes.is_none()
            && name.len() >= SLIP_MIN
            && !KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(&name))
            && let Some(keyword) = slip_of(&name)
        {
            return format!("{what}; did you mean {keyword} in place of {name}?");
        }
    }
    what
}

/// The word of SQL that `name` is but for one slip; of several the one that it begins.
fn slip_of(name: &str) -> Option<&'static str> {
    let name = name.to_uppercase();
    let mut slips: Vec<&str> = KEYWORDS.into_iter().filter(|keyword| is_slip(&name, keyword)).collect();
    slips.sort_by_key(|keyword| !keyword.starts_with(&name));
    slips.first().copied()
}

/// Shorter words are near too many others.
const SLIP_MIN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_the_names_that_a_person_knows() {
        for (engine, ours) in [
            ("Utf8View", "text"),
            ("Timestamp(Microsecond, Some(\"UTC\"))", "timestamp"),
            ("Timestamp(µs, \"UTC\") and List(Utf8View)", "timestamp and list of text"),
            ("a > Int64(5) AND t = Utf8(\"x\")", "a > 5 AND t = 'x'"),
            ("Decimal128(38, 10) + Interval(MonthDayNano)", "decimal + interval"),
            ("the Map of Intervals", "the map of Intervals"),
            ("lakehead.public.s.n", "s.n"),
        ] {
            assert_eq!(plainly(engine), ours);
        }
    }

    #[test]
    fn a_pattern_takes_what_stands_between() {
        assert_eq!(captures("a {} b {}", "x a 1 b 2 3"), Some(vec!["1", "2 3"]));
        assert_eq!(captures("a {} b", "a 1 c"), None);
    }

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

    #[test]
    fn a_sentence_is_one_line_without_a_full_stop() {
        assert_eq!(sentence("Cannot do\n  this."), "cannot do this");
        assert_eq!(sentence("SQL is fine"), "SQL is fine");
    }
}
