//! How large a function's answer may become, known before it is computed.
//!
//! `repeat(x, n)` makes gigabytes of the few bytes that one event brings, and memory that is not there ends the process. So
//! each function whose answer may be much larger than what it is given stands in [`ENLARGING`], with an upper bound of its
//! answer for one row. What is done with it: [`measured`](super::measured).
//!
//! Not here: what makes a small multiple at most and no more of it when it is called again, as `upper` and `translate` do; and
//! `make_array` and structs, whose size is that of the statement.

use std::{ops::Range, sync::Arc};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, OffsetSizeTrait, StringArray},
        compute::cast,
        datatypes::{DataType, Float32Type, Float64Type, Int64Type, IntervalMonthDayNanoType, TimeUnit},
    },
    common::Result,
    functions::regex::regexpcount::regexp_count_func,
    logical_expr::ColumnarValue,
};

/// The most that a text or a list of one row may have: four times the largest event. `docs/sql.md` tells it.
pub(super) const ROW_BYTES_MAX: u64 = 16 << 20;

/// What a text takes in a list beside its characters.
const TEXT_BYTES: u64 = 16;

/// The longest that an element other than a text or a float is written out: a decimal of 76 digits, with room.
const WRITTEN_BYTES: u64 = 80;

/// The longest that chrono makes of a format, for each of its bytes: of the two of `%+`, 38.
const FORMATTED_TIMES: u64 = 20;

const DAY_NANOS: i128 = 86_400_000_000_000;

/// The name of `||` as a function; no function of SQL has it.
pub(super) const JOINED: &str = "__joined";

/// How large the answer for one row may become, in bytes; nothing where it is NULL.
pub(super) type Bound = fn(&Row<'_>) -> Option<u64>;

/// The functions that enlarge.
const ENLARGING: [(&str, Bound); 24] = [
    (JOINED, all),
    ("array_append", all),
    ("array_concat", all),
    ("array_prepend", all),
    ("array_repeat", list_of_one),
    ("array_replace", elements_replaced),
    ("array_replace_all", elements_replaced),
    ("array_replace_n", elements_replaced),
    ("array_resize", resized),
    ("array_to_string", list_written),
    ("arrays_zip", zipped),
    ("concat", all),
    ("concat_ws", separated),
    ("generate_series", series),
    ("lpad", padded),
    ("overlay", overlaid),
    ("range", series),
    ("regexp_match", matched),
    ("regexp_replace", matches_replaced),
    ("repeat", repeated),
    ("replace", replaced),
    ("rpad", padded),
    ("string_to_array", split),
    ("to_char", formatted),
];

/// The bound of the function `name`, if it enlarges.
pub(super) fn bound(name: &str) -> Option<Bound> {
    ENLARGING.iter().find(|(enlarging, _)| *enlarging == name).map(|(_, bound)| *bound)
}

/// One argument of a call, for all its rows.
pub(super) struct Argument {
    values: ArrayRef,
    pub(super) is_constant: bool,
}

impl Argument {
    pub(super) fn of(value: &ColumnarValue) -> Result<Self> {
        Ok(match value {
            ColumnarValue::Array(values) => Self { values: Arc::clone(values), is_constant: false },
            ColumnarValue::Scalar(value) => Self { values: value.to_array()?, is_constant: true },
        })
    }
}

/// The arguments of a call for one row.
pub(super) struct Row<'a> {
    pub(super) arguments: &'a [Argument],
    pub(super) row: usize,
}

impl<'a> Row<'a> {
    fn at(&self, place: usize) -> Option<(&'a dyn Array, usize)> {
        let argument = self.arguments.get(place)?;
        Some((argument.values.as_ref(), if argument.is_constant { 0 } else { self.row }))
    }

    fn has(&self, place: usize) -> bool {
        place < self.arguments.len()
    }

    /// Whether the argument is the same for every row, or not given.
    pub(super) fn is_constant(&self, place: usize) -> bool {
        self.arguments.get(place).is_none_or(|argument| argument.is_constant)
    }

    pub(super) fn text(&self, place: usize) -> Option<&'a str> {
        let (values, row) = self.at(place).filter(|(values, row)| values.is_valid(*row))?;
        match values.data_type() {
            DataType::Utf8 => Some(values.as_string::<i32>().value(row)),
            DataType::LargeUtf8 => Some(values.as_string::<i64>().value(row)),
            DataType::Utf8View => Some(values.as_string_view().value(row)),
            _ => None,
        }
    }

    pub(super) fn count(&self, place: usize) -> Option<i64> {
        let (values, row) = self.at(place).filter(|(values, row)| values.is_valid(*row))?;
        values.as_primitive_opt::<Int64Type>().map(|values| values.value(row))
    }

    pub(super) fn list(&self, place: usize) -> Option<(&'a ArrayRef, Range<usize>)> {
        let (values, row) = self.at(place)?;
        list(values, row)
    }

    /// A time, in nanoseconds.
    fn time(&self, place: usize) -> Option<i128> {
        let (values, row) = self.at(place).filter(|(values, row)| values.is_valid(*row))?;
        let nanos = match values.data_type() {
            DataType::Date32 => DAY_NANOS,
            DataType::Date64 | DataType::Timestamp(TimeUnit::Millisecond, _) => 1_000_000,
            DataType::Timestamp(TimeUnit::Second, _) => 1_000_000_000,
            DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000,
            DataType::Timestamp(TimeUnit::Nanosecond, _) => 1,
            _ => return None,
        };
        let number = cast(&values.slice(row, 1), &DataType::Int64).ok()?;
        Some(i128::from(number.as_primitive::<Int64Type>().value(0)) * nanos)
    }

    /// How much it takes; an argument without a value takes its place in a list as well.
    fn bytes(&self, place: usize) -> u64 {
        self.at(place).map_or(0, |(values, row)| bytes_of(values, row..row + 1))
    }

    fn bytes_from(&self, first: usize) -> u64 {
        (first..self.arguments.len()).map(|place| self.bytes(place)).sum()
    }
}

/// The values that a list consists of and which of them are its elements.
fn list(values: &dyn Array, row: usize) -> Option<(&ArrayRef, Range<usize>)> {
    if values.is_null(row) {
        return None;
    }
    match values.data_type() {
        DataType::List(_) => {
            let lists = values.as_list::<i32>();
            Some((lists.values(), span(lists.value_offsets(), &(row..row + 1))))
        }
        DataType::LargeList(_) => {
            let lists = values.as_list::<i64>();
            Some((lists.values(), span(lists.value_offsets(), &(row..row + 1))))
        }
        DataType::FixedSizeList(_, length) => {
            let length = usize::try_from(*length).unwrap_or(0);
            Some((values.as_fixed_size_list().values(), row * length..(row + 1) * length))
        }
        _ => None,
    }
}

/// Where what these rows consist of begins and ends.
fn span<O: OffsetSizeTrait>(offsets: &[O], rows: &Range<usize>) -> Range<usize> {
    offsets[rows.start].as_usize()..offsets[rows.end].as_usize()
}

/// What these rows take when each is written out: a text that several rows share counts for each.
pub(super) fn bytes_of(values: &dyn Array, rows: Range<usize>) -> u64 {
    let count = rows.len() as u64;
    let texts = |bytes: usize| count * TEXT_BYTES + bytes as u64;
    match values.data_type() {
        DataType::Null => 0,
        DataType::Boolean => count,
        DataType::Utf8 => texts(span(values.as_string::<i32>().value_offsets(), &rows).len()),
        DataType::LargeUtf8 => texts(span(values.as_string::<i64>().value_offsets(), &rows).len()),
        DataType::Utf8View => texts(rows.map(|row| values.as_string_view().value(row).len()).sum()),
        DataType::Binary => texts(span(values.as_binary::<i32>().value_offsets(), &rows).len()),
        DataType::LargeBinary => texts(span(values.as_binary::<i64>().value_offsets(), &rows).len()),
        DataType::BinaryView => texts(rows.map(|row| values.as_binary_view().value(row).len()).sum()),
        DataType::List(_) => {
            let lists = values.as_list::<i32>();
            count * TEXT_BYTES + bytes_of(lists.values(), span(lists.value_offsets(), &rows))
        }
        DataType::LargeList(_) => {
            let lists = values.as_list::<i64>();
            count * TEXT_BYTES + bytes_of(lists.values(), span(lists.value_offsets(), &rows))
        }
        DataType::FixedSizeList(_, length) => {
            let length = usize::try_from(*length).unwrap_or(0);
            bytes_of(values.as_fixed_size_list().values(), rows.start * length..rows.end * length)
        }
        DataType::Map(..) => {
            let maps = values.as_map();
            count * TEXT_BYTES + bytes_of(maps.entries(), span(maps.value_offsets(), &rows))
        }
        DataType::Struct(_) => values.as_struct().columns().iter().map(|column| bytes_of(column, rows.clone())).sum(),
        other => count * other.primitive_width().map_or(TEXT_BYTES, |width| width as u64),
    }
}

/// How many elements these rows are written out as, lists within lists too, and how long they are.
fn written(values: &dyn Array, rows: Range<usize>) -> (u64, u64) {
    let count = rows.len() as u64;
    // A float is written with all its zeros.
    let float = |value: f64| -> u64 { if value == 0.0 || (1e-6..1e16).contains(&value.abs()) { 30 } else { 340 } };
    match values.data_type() {
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => {
            rows.fold((0, 0), |(elements, bytes), row| match list(values, row) {
                Some((inner, within)) => {
                    let (more, long) = written(inner, within);
                    (elements + more, bytes + long)
                }
                None => (elements + 1, bytes),
            })
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => (count, bytes_of(values, rows)),
        DataType::Float64 => {
            let values = values.as_primitive::<Float64Type>();
            (count, rows.map(|row| float(values.value(row))).sum())
        }
        DataType::Float32 => {
            let values = values.as_primitive::<Float32Type>();
            (count, rows.map(|row| float(f64::from(values.value(row)))).sum())
        }
        other if other.is_integer() => (count, count * 20),
        _ => (count, count * WRITTEN_BYTES),
    }
}

pub(super) fn long(text: &str) -> u64 {
    text.len() as u64
}

/// A count from an event, which may be below zero.
fn at_least_zero(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// `most` where it is within `limit`, as nearly always; otherwise what is closer to the truth and costs more to know.
pub(super) fn or_closer(limit: u64, most: u64, closer: impl FnOnce() -> u64) -> u64 {
    if most <= limit { most } else { closer() }
}

/// All arguments, one after the other.
fn all(row: &Row<'_>) -> Option<u64> {
    Some(row.bytes_from(0))
}

/// `concat_ws(separator, text, …)`
fn separated(row: &Row<'_>) -> Option<u64> {
    let separators = row.arguments.len().saturating_sub(2) as u64;
    Some(long(row.text(0)?).saturating_mul(separators).saturating_add(row.bytes_from(1)))
}

/// `repeat(text, n)`
fn repeated(row: &Row<'_>) -> Option<u64> {
    Some(long(row.text(0)?).saturating_mul(at_least_zero(row.count(1)?)))
}

/// `lpad(text, n, fill)`, and `rpad`: the room that they make ahead is that of `n` characters whatever they fill with.
pub(super) fn padded(row: &Row<'_>) -> Option<u64> {
    let (text, length) = (row.text(0)?, at_least_zero(row.count(1)?));
    let fill = if row.has(2) { row.text(2)? } else { " " };
    Some(length.saturating_mul(if fill.is_ascii() { 1 } else { 4 }).saturating_add(long(text)))
}

/// `replace(text, from, to)`
fn replaced(row: &Row<'_>) -> Option<u64> {
    let (text, from, to) = (row.text(0)?, row.text(1)?, row.text(2)?);
    if from.is_empty() {
        return Some(long(text));
    }
    let of = |matches: u64| matches.saturating_mul(long(to)).saturating_add(long(text));
    Some(or_closer(ROW_BYTES_MAX, of(long(text) / long(from)), || of(text.matches(from).count() as u64)))
}

/// `regexp_replace(text, pattern, to, flags)`: all matches together are no longer than the text, and each reference to a group
/// (`\1`, `$1`) is no longer than its match.
fn matches_replaced(row: &Row<'_>) -> Option<u64> {
    let (text, pattern, to) = (row.text(0)?, row.text(1)?, row.text(2)?);
    let flags = if row.has(3) { row.text(3)? } else { "" };
    let references = to.bytes().filter(|byte| matches!(byte, b'\\' | b'$')).count() as u64;
    let referred = long(text).saturating_mul(references.saturating_add(1));
    let of = |matches: u64| matches.saturating_mul(long(to)).saturating_add(referred);
    if !flags.contains('g') {
        return Some(of(1));
    }
    let most = long(text) + 1;
    Some(or_closer(ROW_BYTES_MAX, of(most), || of(match_count(text, pattern, flags).unwrap_or(most))))
}

/// How often the pattern is found; `None` where it is no pattern.
fn match_count(text: &str, pattern: &str, flags: &str) -> Option<u64> {
    let flags = flags.replace('g', "");
    let pattern = if flags.is_empty() { pattern.to_owned() } else { format!("(?{flags}){pattern}") };
    let (text, pattern): (ArrayRef, ArrayRef) =
        (Arc::new(StringArray::from(vec![text])), Arc::new(StringArray::from(vec![pattern])));
    let counted = regexp_count_func(&[text, pattern]).ok()?;
    u64::try_from(counted.as_primitive_opt::<Int64Type>()?.value(0)).ok()
}

/// `regexp_match(text, pattern)`: each group may be the whole text.
fn matched(row: &Row<'_>) -> Option<u64> {
    let (text, pattern) = (row.text(0)?, row.text(1)?);
    let groups = pattern.matches('(').count().max(1) as u64;
    Some(groups.saturating_mul(long(text) + TEXT_BYTES))
}

/// `overlay(text PLACING other FROM start FOR n)`: where `n` is below zero, a part of the text stands twice.
fn overlaid(row: &Row<'_>) -> Option<u64> {
    Some(2 * long(row.text(0)?) + long(row.text(1)?))
}

/// `to_char(time, format)`
fn formatted(row: &Row<'_>) -> Option<u64> {
    Some(long(row.text(1)?).saturating_mul(FORMATTED_TIMES))
}

/// `string_to_array(text, delimiter)`: without a delimiter each character is an element, with an empty one there is one.
fn split(row: &Row<'_>) -> Option<u64> {
    let text = row.text(0)?;
    let of = |parts: u64| parts * TEXT_BYTES + long(text);
    let parts = || match row.text(1) {
        None => text.chars().count(),
        Some("") => 1,
        Some(delimiter) => text.matches(delimiter).count() + 1,
    };
    Some(or_closer(ROW_BYTES_MAX, of(long(text) + 1), || of(parts() as u64)))
}

/// `array_to_string(list, delimiter, null)`
fn list_written(row: &Row<'_>) -> Option<u64> {
    let ((values, within), delimiter) = (row.list(0)?, row.text(1)?);
    let between = long(delimiter) + row.text(2).map_or(0, long);
    let (elements, bytes) = written(values, within);
    Some(elements.saturating_mul(between).saturating_add(bytes))
}

/// `array_repeat(element, n)`: its places are counted in eight bytes each on the way.
fn list_of_one(row: &Row<'_>) -> Option<u64> {
    Some(at_least_zero(row.count(1)?).saturating_mul(row.bytes(0).max(8)))
}

/// `array_resize(list, n, element)`
fn resized(row: &Row<'_>) -> Option<u64> {
    let ((_, within), length) = (row.list(0)?, at_least_zero(row.count(1)?));
    let more = length.saturating_sub(within.len() as u64);
    Some(more.saturating_mul(row.bytes(2).max(TEXT_BYTES)).saturating_add(row.bytes(0)))
}

/// `array_replace_all(list, from, to)`, and those that replace fewer.
fn elements_replaced(row: &Row<'_>) -> Option<u64> {
    let (_, within) = row.list(0)?;
    Some((within.len() as u64).saturating_mul(row.bytes(2)).saturating_add(row.bytes(0)))
}

/// `arrays_zip(list, …)`: the shorter ones are filled up.
fn zipped(row: &Row<'_>) -> Option<u64> {
    let lists = 0..row.arguments.len();
    let longest = lists.filter_map(|place| row.list(place)).map(|(_, within)| within.len()).max()?;
    let filled = (longest as u64).saturating_mul(TEXT_BYTES).saturating_mul(row.arguments.len() as u64);
    Some(filled.saturating_add(row.bytes_from(0)))
}

/// `range(start, stop, step)` and `generate_series`, of numbers and of times.
fn series(row: &Row<'_>) -> Option<u64> {
    let elements = match row.arguments.len() {
        1 => steps(0, i128::from(row.count(0)?), 1),
        2 => steps(i128::from(row.count(0)?), i128::from(row.count(1)?), 1),
        _ if row.count(0).is_some() => {
            steps(i128::from(row.count(0)?), i128::from(row.count(1)?), i128::from(row.count(2)?))
        }
        _ => {
            let (interval, place) = row.at(2).filter(|(values, row)| values.is_valid(*row))?;
            let interval = interval.as_primitive_opt::<IntervalMonthDayNanoType>()?.value(place);
            let parts = [i128::from(interval.months), i128::from(interval.days), i128::from(interval.nanoseconds)];
            let (start, stop) = (row.time(0)?, row.time(1)?);
            if parts.iter().any(|part| *part > 0) && parts.iter().any(|part| *part < 0) {
                // A month less 31 days may lead back to where it began: a series without an end.
                return Some(u64::MAX);
            }
            // The shortest that they are: a month of 28 days, a day on which clocks are put forward. Of dates hours do not count.
            let [months, days, nanos] = parts;
            let of = row.at(0).map(|(values, _)| values.data_type());
            let nanos = if matches!(of, Some(DataType::Date32 | DataType::Date64)) { 0 } else { nanos };
            steps(start, stop, (months * 28 + days) * (DAY_NANOS / 24 * 23) + nanos)
        }
    };
    Some(elements?.saturating_mul(8))
}

/// How many there are from `start` to `stop` by `step`, both ends included; none where there is no step, which the function says.
fn steps(start: i128, stop: i128, step: i128) -> Option<u64> {
    let distance = if step < 0 { start - stop } else { stop - start };
    let steps = distance.checked_div(step.abs())?;
    Some(if distance < 0 { 0 } else { u64::try_from(steps).unwrap_or(u64::MAX).saturating_add(1) })
}

#[cfg(test)]
pub(super) mod tests {
    use datafusion::{arrow::datatypes::IntervalMonthDayNano, common::ScalarValue};

    use super::*;

    pub(in crate::checked) fn text(text: &str) -> ScalarValue {
        ScalarValue::Utf8View(Some(text.to_owned()))
    }

    pub(in crate::checked) fn number(number: i64) -> ScalarValue {
        ScalarValue::Int64(Some(number))
    }

    pub(in crate::checked) fn list(elements: &[ScalarValue]) -> ScalarValue {
        let kind = elements.first().map_or(DataType::Int64, ScalarValue::data_type);
        ScalarValue::List(ScalarValue::new_list_nullable(elements, &kind))
    }

    fn day(day: i32) -> ScalarValue {
        ScalarValue::Date32(Some(day))
    }

    fn interval(months: i32, days: i32, nanoseconds: i64) -> ScalarValue {
        ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano { months, days, nanoseconds }))
    }

    fn size(name: &str, values: &[ScalarValue]) -> Option<u64> {
        let values = values.iter().cloned().map(ColumnarValue::Scalar);
        let arguments: Vec<Argument> = values.map(|value| Argument::of(&value).expect("an array")).collect();
        bound(name).expect("it enlarges")(&Row { arguments: &arguments, row: 0 })
    }

    #[test]
    fn a_bound_is_not_below_what_is_made_and_near_it_where_that_is_large() {
        let (null, large) = (ScalarValue::Int64(None), "a".repeat(4 << 20));
        let no_text = ScalarValue::Utf8View(None);
        for (name, values, expected) in [
            ("repeat", vec![text("ab"), number(3)], Some(6)),
            ("repeat", vec![text("ab"), number(i64::MIN)], Some(0)),
            ("repeat", vec![text("ab"), number(i64::MAX)], Some(u64::MAX - 1)),
            ("repeat", vec![text(""), number(i64::MAX)], Some(0)),
            ("repeat", vec![text("ab"), null.clone()], None),
            ("repeat", vec![no_text.clone(), number(i64::MAX)], None),
            ("lpad", vec![text("ab"), number(-1)], Some(2)),
            ("lpad", vec![text("ab"), number(i64::MAX), text("ä")], Some(u64::MAX)),
            ("rpad", vec![text("ab"), number(5), text("")], Some(7)),
            ("rpad", vec![text("ab"), number(5), no_text.clone()], None),
            ("replace", vec![text("aaa"), text("a"), text("xyz")], Some(12)),
            ("replace", vec![text("aaa"), text(""), text("xyz")], Some(3)),
            ("replace", vec![text(&large), text("b"), text("0123456789")], Some(4 << 20)),
            ("regexp_replace", vec![text("aaa"), text("a"), text("xyz")], Some(6)),
            ("regexp_replace", vec![text("aaa"), text("a"), text("xyz"), text("g")], Some(15)),
            ("regexp_replace", vec![text(&large), text("^A"), text("0123456789"), text("gi")], Some((4 << 20) + 10)),
            ("regexp_match", vec![text("abc"), text("((b))")], Some(2 * 19)),
            ("overlay", vec![text("abc"), text("xy"), number(1), number(-9)], Some(8)),
            ("to_char", vec![day(1), text("%Y")], Some(40)),
            ("string_to_array", vec![text("a,b"), text(",")], Some(4 * 16 + 3)),
            ("string_to_array", vec![text(&large), text("b")], Some((4 << 20) + 16)),
            ("array_to_string", vec![list(&[number(1), number(2)]), text(", ")], Some(2 * 22)),
            ("array_to_string", vec![list(&[text("ab"), no_text]), text(","), text("none")], Some(2 + 2 * 16 + 2 * 5)),
            ("array_repeat", vec![number(1), number(i64::MAX)], Some(u64::MAX)),
            ("array_repeat", vec![null.clone(), number(3)], Some(24)),
            ("array_repeat", vec![text("ab"), null.clone()], None),
            ("array_resize", vec![list(&[number(1)]), number(3), number(0)], Some(16 + 8 + 2 * 16)),
            ("array_resize", vec![list(&[number(1)]), number(-3), number(0)], Some(16 + 8)),
            (
                "array_replace_all",
                vec![list(&[text("a"), text("a")]), text("a"), text("xyz")],
                Some(2 * 19 + 2 * 17 + 16),
            ),
            ("arrays_zip", vec![list(&[number(1), number(2)]), list(&[number(3)])], Some(2 * 16 * 2 + 56)),
            ("concat", vec![text("ab"), text("c"), null.clone()], Some(18 + 17 + 8)),
            ("concat_ws", vec![text(", "), text("a"), text("b")], Some(2 + 17 + 17)),
            ("range", vec![number(5)], Some(6 * 8)),
            ("range", vec![number(i64::MIN)], Some(0)),
            ("range", vec![number(i64::MIN), number(i64::MAX)], Some(u64::MAX)),
            ("range", vec![number(0), number(10), number(-1)], Some(0)),
            ("range", vec![number(0), number(10), number(0)], None),
            ("generate_series", vec![number(10), number(0), number(-5)], Some(3 * 8)),
            ("generate_series", vec![day(0), day(280), interval(1, 0, 0)], Some(11 * 8)),
            ("generate_series", vec![day(0), day(280), interval(1, -31, 0)], Some(u64::MAX)),
            ("generate_series", vec![day(0), day(280), interval(0, 0, 1)], None),
            ("generate_series", vec![day(280), day(0), interval(1, 0, 0)], Some(0)),
        ] {
            assert_eq!(size(name, &values), expected, "{name}, {expected:?}");
        }
    }
}
