//! A row of a MediaWiki history dump as an event: an object of the columns that are not empty, in their order, with their types.
//!
//! The columns are those of [`mediawiki_history`]. A row that is not of one of the layouts, or in which a column is not as
//! its type is written, is refused whole: columns that have slipped by one are not to be believed.

use std::{fmt, io::Write};

use lakehead_model::{
    ByteSize, EVENT_BYTES_MAX,
    mediawiki_history::{self, HistoryColumn, HistoryValue, LAYOUTS},
};

/// How much of a value that is wrong is shown.
const SHOWN_CHARS: usize = 40;

/// Why a row is no event.
#[derive(Debug)]
pub(super) enum RowRefusal {
    /// It has so many columns.
    Columns(usize),
    /// It is not UTF-8 from this byte on.
    NotText(usize),
    /// This column is empty, and has a value in every row.
    Empty(&'static str),
    /// This column is not as its type is written.
    Mistyped(&'static HistoryColumn, String),
    /// The event would have so many bytes.
    TooLarge(usize),
}

impl fmt::Display for RowRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Columns(found) => {
                let [others @ .., last] = LAYOUTS.map(|columns| columns.to_string());
                let expected = format!("{} or {last}", others.join(", "));
                write!(f, "a row of a MediaWiki history dump has {expected} columns, this one has {found}")
            }
            Self::NotText(at) => write!(f, "the row is not UTF-8 from its byte {at} on"),
            Self::Empty(name) => write!(f, "{name} is empty, and every row of a MediaWiki history dump has one"),
            Self::Mistyped(column, found) => {
                let expected = match column.value {
                    HistoryValue::Text => "a text",
                    HistoryValue::List => "texts with commas between them",
                    HistoryValue::Whole => "a whole number of 64 bits",
                    HistoryValue::Truth => "true or false",
                    HistoryValue::Time => "a time as in 2001-01-15 19:27:13.0",
                };
                write!(f, "{}: expected {expected}, found {found:?}", column.name)
            }
            Self::TooLarge(bytes) => {
                let limit = ByteSize(EVENT_BYTES_MAX as u64);
                write!(f, "the row's event has {bytes} bytes; at most {limit} are taken")
            }
        }
    }
}

/// Writes the event that `row` stands for.
pub(super) fn event_of_row(row: &[u8], into: &mut Vec<u8>) -> Result<(), RowRefusal> {
    let found = memchr::memchr_iter(b'\t', row).count() + 1;
    let columns = mediawiki_history::layout(found).ok_or(RowRefusal::Columns(found))?;
    let row = std::str::from_utf8(row).map_err(|error| RowRefusal::NotText(error.valid_up_to()))?;
    into.push(b'{');
    for (column, written) in columns.zip(row.split('\t')) {
        if written.is_empty() {
            if column.is_required {
                return Err(RowRefusal::Empty(column.name));
            }
            continue;
        }
        if into.last() != Some(&b'{') {
            into.push(b',');
        }
        put(into, format_args!("\"{}\":", column.name));
        value(column.value, written, into)
            .ok_or_else(|| RowRefusal::Mistyped(column, written.chars().take(SHOWN_CHARS).collect()))?;
    }
    into.push(b'}');
    match into.len() {
        bytes if bytes > EVENT_BYTES_MAX => Err(RowRefusal::TooLarge(bytes)),
        _ => Ok(()),
    }
}

/// Writes a value as JSON; `None` where it is not as its type is written.
fn value(kind: HistoryValue, written: &str, into: &mut Vec<u8>) -> Option<()> {
    match kind {
        // No tab stands within a column, so nothing ends a text.
        HistoryValue::Text => text(&unescaped(written, b'\t').0, into),
        HistoryValue::List => list(written, into),
        HistoryValue::Whole => put(into, written.parse::<i64>().ok()?),
        HistoryValue::Truth if matches!(written, "true" | "false") => into.extend_from_slice(written.as_bytes()),
        HistoryValue::Truth => return None,
        HistoryValue::Time => time(written, into)?,
    }
    Some(())
}

/// Texts with commas between them, as an array.
fn list(written: &str, into: &mut Vec<u8>) {
    into.push(b'[');
    let mut rest = Some(written);
    while let Some(written) = rest {
        let (item, behind) = unescaped(written, b',');
        text(&item, into);
        if behind.is_some() {
            into.push(b',');
        }
        rest = behind;
    }
    into.push(b']');
}

/// What stands before `end`, where that is not escaped, and what stands behind it.
///
/// The dump writes tab, line feed and carriage return as `\t`, `\n` and `\r`, in lists a comma as `\,`, and a backslash as it is.
/// So `\t` that a text had itself cannot be told from a tab; where a backslash stands before something else it is itself.
fn unescaped(written: &str, end: u8) -> (String, Option<&str>) {
    let mut text = String::with_capacity(written.len());
    let mut rest = written;
    while let Some(at) = memchr::memchr2(b'\\', end, rest.as_bytes()) {
        text.push_str(&rest[..at]);
        let meant = match &rest.as_bytes()[at..] {
            [first, ..] if *first == end => return (text, Some(&rest[at + 1..])),
            [_, b't', ..] => '\t',
            [_, b'n', ..] => '\n',
            [_, b'r', ..] => '\r',
            [_, second, ..] if *second == end => char::from(end),
            _ => {
                text.push('\\');
                rest = &rest[at + 1..];
                continue;
            }
        };
        text.push(meant);
        rest = &rest[at + 2..];
    }
    text.push_str(rest);
    (text, None)
}

/// A time in UTC as RFC 3339, without a fraction of nothing; `None` where it is none.
fn time(written: &str, into: &mut Vec<u8>) -> Option<()> {
    let (second, fraction) = match written.split_once('.') {
        Some((second, fraction)) if (1..=9).contains(&fraction.len()) => (second, fraction),
        Some(_) => return None,
        None => (written, ""),
    };
    let is_like = |found: u8, pattern: u8| if pattern == b'0' { found.is_ascii_digit() } else { found == pattern };
    let pattern = b"0000-00-00 00:00:00";
    let is_whole = second.len() == pattern.len() && second.bytes().zip(*pattern).all(|(f, p)| is_like(f, p));
    if !is_whole || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let number = |at: usize| second[at..at + 2].parse::<u8>().ok();
    let is_time = (1..=12).contains(&number(5)?)
        && (1..=31).contains(&number(8)?)
        && number(11)? < 24
        && number(14)? < 60
        && number(17)? < 60;
    if !is_time {
        return None;
    }
    put(into, format_args!("\"{}T{}", &second[..10], &second[11..]));
    match fraction.trim_end_matches('0') {
        "" => {}
        fraction => put(into, format_args!(".{fraction}")),
    }
    into.extend_from_slice(b"Z\"");
    Some(())
}

fn text(text: &str, into: &mut Vec<u8>) {
    serde_json::to_writer(into, text).expect("a text into memory");
}

fn put(into: &mut Vec<u8>, value: impl fmt::Display) {
    write!(into, "{value}").expect("memory takes everything");
}

#[cfg(test)]
mod tests;
