//! The table of the engine's sentences, and what each means for who wrote the statement.
//!
//! A table: what the engine says, with `{}` for what it says it of, and what we say. What no rule knows is at least
//! without its prefixes, its own names of types and tables, and its advice to report a bug (`plain.rs`).

use super::{
    mistake::{Missing, Mistake},
    pattern::captures,
    place::Clue,
    plain::{parenthesized, plainly},
};

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

pub(super) fn by_rule(text: &str) -> Option<Mistake> {
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
