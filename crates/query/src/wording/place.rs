//! A place in a text of SQL, and how it is found: by what the planner tells, else by the word that is wrong.

use std::fmt;

use datafusion::{
    common::Span,
    sql::sqlparser::{
        dialect::PostgreSqlDialect,
        tokenizer::{Token, TokenWithSpan, Tokenizer},
    },
};
use lakehead_model::hint::marked;

/// Where something stands in a text that a person wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The character in that line, from 1.
    pub column: usize,
    /// How many characters of that line are meant; at least 1.
    pub length: usize,
    /// The line itself.
    text: String,
}

/// `line 2, column 8`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

impl Place {
    /// The place of `length` characters in `text`; `None` when there is no such line.
    fn new(text: &str, line: usize, column: usize, length: usize) -> Option<Self> {
        let text = text.split('\n').nth(line.checked_sub(1)?)?.trim_end_matches('\r');
        let (column, length) = (column.clamp(1, text.chars().count() + 1), length.max(1));
        Some(Self { line, column, length, text: text.to_owned() })
    }

    /// The line with a mark under the place: two lines, indented.
    #[must_use]
    pub fn marked(&self) -> String {
        marked(&self.text, self.column, self.length)
    }

    /// The same place in a text that stands in a longer one from the `start`-th character of its first line on.
    pub(crate) fn within(&self, text: &str, start: usize) -> Option<Self> {
        let column = if self.line == 1 { self.column.saturating_sub(start).max(1) } else { self.column };
        Self::new(text, self.line, column, self.length)
    }
}

/// By what a place can be found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Clue {
    /// The planner or the parser has told it: line and column of the start, and of the end where it is known.
    At { start: (usize, usize), end: Option<(usize, usize)> },
    /// A call of this function.
    Call(String),
    /// This word, as a column or table is written.
    Word(String),
    /// The constant with this value.
    Constant(String),
    /// One of these words of SQL, the first that there is.
    Keyword(&'static [&'static str]),
    /// One of these signs, the first in the text.
    Token(Vec<String>),
    /// The first text in single quotes.
    Text,
    /// This expression as the engine shows it, which adds parentheses and the tables of columns.
    Written(String),
    /// One of these words and signs, where all of them together stand once.
    Only(Vec<&'static str>),
    /// A field that is taken of something, as in `a.field` and `a['field']`.
    Field,
    /// The first of these that there is.
    OneOf(Vec<Clue>),
    /// The first word of the text.
    Start,
    /// The end of the text.
    End,
    /// It is nowhere in particular.
    #[default]
    Nowhere,
}

impl Clue {
    pub(super) fn span(span: Span) -> Self {
        let pair = |line: u64, column: u64| {
            (usize::try_from(line).unwrap_or(usize::MAX), usize::try_from(column).unwrap_or(usize::MAX))
        };
        let (start, end) = (pair(span.start.line, span.start.column), pair(span.end.line, span.end.column));
        if start.0 == 0 { Self::Nowhere } else { Self::At { start, end: Some(end) } }
    }

    /// The place in `text`.
    pub(super) fn find(&self, text: &str) -> Option<Place> {
        let tokens = Tokens::of(text);
        match self {
            Self::Nowhere => None,
            Self::At { start: (line, column), end } => {
                let length = match end {
                    Some((last, end)) if last == line && end > column => end - column,
                    _ => tokens.length_at(*line, *column),
                };
                Place::new(text, *line, *column, length)
            }
            Self::Call(name) => {
                tokens.find(text, |this, next| matches!(next, Some(Token::LParen)) && is_word(this, name))
            }
            Self::Word(word) => tokens.find(text, |this, _| is_word(this, word)),
            Self::Constant(value) => tokens.find(text, |this, _| match this {
                Token::SingleQuotedString(text) => text == value,
                Token::Number(digits, _) => digits == value,
                _ => false,
            }),
            Self::Keyword(words) => words.iter().find_map(|word| tokens.find(text, |this, _| is_keyword(this, word))),
            Self::Token(signs) => tokens.find(text, |this, _| signs.iter().any(|sign| this.to_string() == *sign)),
            Self::Text => tokens.find(text, |this, _| matches!(this, Token::SingleQuotedString(_))),
            Self::Written(shown) => tokens.find_written(text, &Tokens::of(shown)),
            Self::Only(signs) => tokens.find_only(text, signs),
            Self::Field => tokens.find_field(text),
            Self::OneOf(clues) => clues.iter().find_map(|clue| clue.find(text)),
            Self::Start => tokens.find(text, |_, _| true),
            Self::End => {
                let written = text.trim_end();
                let line = written.split('\n').count();
                let column = written.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
                Place::new(text, line, column, 1)
            }
        }
    }
}

fn is_word(token: &Token, name: &str) -> bool {
    match token {
        Token::Word(word) if word.quote_style.is_some() => word.value == name,
        Token::Word(word) => word.value.eq_ignore_ascii_case(name),
        _ => false,
    }
}

fn is_keyword(token: &Token, name: &str) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(name))
}

/// Whether two tokens say the same, but for the case of words.
fn is_same(a: &Token, b: &Token) -> bool {
    match (a, b) {
        (Token::Word(a), Token::Word(b)) => a.value.eq_ignore_ascii_case(&b.value),
        (a, b) => a == b,
    }
}

/// The words of a text; none where it is no SQL.
pub(super) struct Tokens(Vec<TokenWithSpan>);

impl Tokens {
    pub(super) fn of(text: &str) -> Self {
        let tokens = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize_with_location().unwrap_or_default();
        Self(tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect())
    }

    /// The first token that `is` it, which is told the one after, too.
    fn find(&self, text: &str, is: impl Fn(&Token, Option<&Token>) -> bool) -> Option<Place> {
        let followed = self.0.iter().enumerate().map(|(i, this)| (this, self.0.get(i + 1).map(|next| &next.token)));
        let (found, _) = followed.into_iter().find(|(this, next)| is(&this.token, *next))?;
        self.place_of(text, found)
    }

    fn place_of(&self, text: &str, token: &TokenWithSpan) -> Option<Place> {
        let (line, column) = start(token);
        Place::new(text, line, column, self.length_at(line, column))
    }

    fn find_only(&self, text: &str, signs: &[&str]) -> Option<Place> {
        let is = |token: &Token| signs.iter().any(|sign| is_keyword(token, sign) || token.to_string() == *sign);
        let mut found = self.0.iter().filter(|this| is(&this.token));
        let first = found.next()?;
        if found.next().is_some() { None } else { self.place_of(text, first) }
    }

    fn find_written(&self, text: &str, shown: &Self) -> Option<Place> {
        let (written, shown) = (self.bare(), shown.bare());
        if shown.is_empty() {
            return None;
        }
        let is_it = |written: &[&TokenWithSpan]| written.iter().zip(&shown).all(|(a, b)| is_same(&a.token, &b.token));
        let found = written.windows(shown.len()).find(|written| is_it(written))?;
        let ((line, column), (last_line, last)) = (start(found.first()?), start(found.last()?));
        let length = match last_line == line {
            true => last.saturating_sub(column) + self.length_at(line, last),
            false => self.length_at(line, column),
        };
        Place::new(text, line, column, length)
    }

    /// What an expression is made of: without parentheses, and without the tables that columns are of.
    fn bare(&self) -> Vec<&TokenWithSpan> {
        let is_said = |at: usize, token: &Token| match token {
            Token::LParen | Token::RParen | Token::Period => false,
            Token::Word(_) => self.token(at + 1) != Some(&Token::Period),
            _ => true,
        };
        self.0.iter().enumerate().filter(|(at, this)| is_said(*at, &this.token)).map(|(_, this)| this).collect()
    }

    /// A word before a dot that is no table: a table stands somewhere without one, at least in FROM.
    fn find_field(&self, text: &str) -> Option<Place> {
        let is_table = |name: &str| {
            (0..self.0.len()).any(|at| {
                self.token(at).is_some_and(|this| is_word(this, name)) && self.token(at + 1) != Some(&Token::Period)
            })
        };
        let at = (0..self.0.len()).find(|at| match (self.token(*at), self.token(at + 1)) {
            (Some(Token::LBracket), Some(Token::SingleQuotedString(_))) => true,
            (Some(Token::Word(word)), Some(Token::Period)) => !is_table(&word.value),
            _ => false,
        })?;
        self.place_of(text, self.0.get(at)?)
    }

    fn token(&self, at: usize) -> Option<&Token> {
        self.0.get(at).map(|this| &this.token)
    }

    /// The length of the token that begins there; 1 where none does.
    fn length_at(&self, line: usize, column: usize) -> usize {
        let Some(token) = self.at(line, column) else { return 1 };
        let end = token.span.end;
        let is_one_line = usize::try_from(end.line).is_ok_and(|end| end == line);
        usize::try_from(end.column).ok().filter(|_| is_one_line).map_or(1, |end| end.saturating_sub(column).max(1))
    }

    fn at(&self, line: usize, column: usize) -> Option<&TokenWithSpan> {
        self.0.iter().find(|token| start(token) == (line, column))
    }

    /// The token that begins there, the one before, and the one after. Behind the end, the last is the one before.
    pub(super) fn around(&self, line: usize, column: usize) -> [Option<&TokenWithSpan>; 3] {
        match self.0.iter().position(|token| start(token) == (line, column)) {
            Some(index) => {
                [self.0.get(index), index.checked_sub(1).and_then(|before| self.0.get(before)), self.0.get(index + 1)]
            }
            None => [None, self.0.last(), None],
        }
    }

    /// The word that the text begins with.
    pub(super) fn first_word(&self) -> Option<&str> {
        match self.token(0)? {
            Token::Word(word) => Some(&word.value),
            _ => None,
        }
    }

    /// The names in double quotes.
    pub(super) fn quoted(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|token| match &token.token {
            Token::Word(word) if word.quote_style == Some('"') => Some(word.value.as_str()),
            _ => None,
        })
    }
}

/// The names in double quotes in `text`.
pub(crate) fn names_in_quotes(text: &str) -> Vec<String> {
    Tokens::of(text).quoted().map(str::to_owned).collect()
}

fn start(token: &TokenWithSpan) -> (usize, usize) {
    let whole = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    (whole(token.span.start.line), whole(token.span.start.column))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(clue: &Clue, text: &str) -> Option<(usize, usize, usize)> {
        clue.find(text).map(|place| (place.line, place.column, place.length))
    }

    #[test]
    fn a_word_is_found_where_it_stands_and_not_in_texts_or_comments() {
        let text = "SELECT 'titel', -- titel\n  s.Titel, titel(1) FROM s";
        assert_eq!(found(&Clue::Word("titel".into()), text), Some((2, 5, 5)));
        assert_eq!(found(&Clue::Call("titel".into()), text), Some((2, 12, 5)));
        assert_eq!(found(&Clue::Constant("titel".into()), text), Some((1, 8, 7)));
        assert_eq!(found(&Clue::Keyword(&["UNION", "FROM"]), text), Some((2, 21, 4)));
        assert_eq!(found(&Clue::End, "SELECT\n 1 \n"), Some((2, 3, 1)));
        assert_eq!(found(&Clue::At { start: (2, 5), end: None }, text), Some((2, 5, 5)));
        assert_eq!(found(&Clue::Word("nobody".into()), text), None);
        assert_eq!(found(&Clue::At { start: (9, 1), end: None }, text), None);
    }

    #[test]
    fn an_expression_is_found_as_it_was_written() {
        let text = "SELECT b/2, a /\n  (a-1) FROM s";
        assert_eq!(found(&Clue::Written("(s.b / 2)".into()), text), Some((1, 8, 3)));
        assert_eq!(found(&Clue::Written("(s.a - 1)".into()), text), Some((2, 4, 3)));
        assert_eq!(found(&Clue::Written("s.a / (s.a - 1)".into()), text), Some((1, 13, 1)));
        assert_eq!(found(&Clue::Written("s.c / 2".into()), text), None);
        assert_eq!(found(&Clue::Written("()".into()), text), None);
        assert_eq!(found(&Clue::Only(vec!["-", "%"]), text), Some((2, 5, 1)));
        assert_eq!(found(&Clue::Only(vec!["/"]), text), None, "it stands twice");
        assert_eq!(found(&Clue::OneOf(vec![Clue::Call("x".into()), Clue::Start]), text), Some((1, 1, 6)));
    }

    #[test]
    fn a_field_is_told_from_a_table() {
        for (text, place) in [
            ("SELECT orders.id, shop.name FROM orders", Some((1, 19, 4))),
            ("SELECT o.id, o.shop.name FROM orders o", Some((1, 16, 4))),
            ("SELECT lines[1], lines['sku'] FROM orders", Some((1, 23, 1))),
            ("SELECT orders.id FROM orders", None),
        ] {
            assert_eq!(found(&Clue::Field, text), place, "{text}");
        }
    }

    #[test]
    fn a_place_within_a_longer_text_is_told_in_the_text_that_was_written() {
        let place = Clue::Word("titel".into()).find("SELECT * FROM s WHERE (titel = 1)").expect("a place");
        let written = place.within("titel = 1", 23).expect("a line");
        assert_eq!((written.column, written.marked()), (1, "    titel = 1\n    ^^^^^".to_owned()));
    }
}
