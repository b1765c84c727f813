//! Hints from the words around a mistake: a text in double quotes, a misspelt keyword.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use lakehead_model::hint::is_slip;

use super::place::{Place, Tokens};

/// Words of SQL that a misspelt one could be.
const KEYWORDS: [&str; 34] = [
    "SELECT", "FROM", "WHERE", "GROUP", "BY", "HAVING", "ORDER", "LIMIT", "OFFSET", "JOIN", "LEFT", "RIGHT", "INNER",
    "OUTER", "ON", "AS", "AND", "OR", "NOT", "IN", "LIKE", "BETWEEN", "UNION", "CASE", "WHEN", "THEN", "ELSE", "END",
    "WITH", "DISTINCT", "INTERVAL", "USING", "FILTER", "CROSS",
];

/// Shorter words are near too many others.
const SLIP_MIN: usize = 4;

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
