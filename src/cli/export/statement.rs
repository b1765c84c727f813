//! The SQL that the words of the command line stand for.

use lakehead_model::{Name, Timestamp};

use super::arguments::{Arguments, FileFormat, Time};
use crate::cli::values::moment;

/// Where a range begins or ends.
enum Bound {
    Offset(u64),
    Moment(Timestamp),
}

impl Bound {
    /// The one after `--word`.
    fn read(word: &str, text: &Option<String>) -> Result<Option<Self>, String> {
        let Some(text) = text else { return Ok(None) };
        if let Ok(offset) = text.parse() {
            return Ok(Some(Self::Offset(offset)));
        }
        match moment(text) {
            Ok(at) => Ok(Some(Self::Moment(at))),
            Err(_) => Err(format!("--{word} {text:?} is neither an offset nor a time as in 2026-09-01T12:00:00Z")),
        }
    }
}

/// The query that the words stand for. Half-open: `--from 5 --to 8` are the offsets 5, 6 and 7.
pub(super) fn sql(arguments: &Arguments) -> Result<String, String> {
    let Some(stream) = &arguments.stream else { return Ok(arguments.sql.clone().unwrap_or_default()) };
    let stream = Name::new(stream).map_err(|error| error.to_string())?;
    let time = match arguments.time {
        Time::Event => "event_time",
        Time::Received => "received_time",
    };
    let (from, to) = (Bound::read("from", &arguments.from)?, Bound::read("to", &arguments.to)?);
    let is_backwards = match (&from, &to) {
        (Some(Bound::Offset(from)), Some(Bound::Offset(to))) => from > to,
        (Some(Bound::Moment(from)), Some(Bound::Moment(to))) => from > to,
        _ => false,
    };
    if is_backwards {
        let what = "--from lies behind --to, so nothing is between them: --from is the first that is in, --to the first that \
                    is not";
        return Err(what.to_owned());
    }
    let condition = |operator: &str, bound: Bound| match bound {
        Bound::Offset(offset) => format!("event_offset {operator} {offset}"),
        Bound::Moment(at) => format!("{time} {operator} '{at}'"),
    };
    let filter = arguments.filter.as_ref().map(|filter| format!("({filter})"));
    let conditions = [from.map(|from| condition(">=", from)), to.map(|to| condition("<", to)), filter];
    let conditions: Vec<String> = conditions.into_iter().flatten().collect();
    let columns = if arguments.format == FileFormat::Jsonl { "data, event_offset" } else { "*" };
    let condition = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    Ok(format!("SELECT {columns} FROM {stream}{condition}"))
}
