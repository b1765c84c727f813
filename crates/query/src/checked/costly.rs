//! How many steps a function may take for one row, known before they are taken.
//!
//! `levenshtein(a, b)` compares each character of one text with each of the other. Of two texts of two megabytes that
//! is hours, in which the thread of a view does nothing else. So each function whose steps may be more than a multiple
//! of the bytes that it is given stands in [`COSTLY`], with an upper bound of its steps for one row. What is done with
//! it: [`measured`](super::measured).
//!
//! Not here: what takes a multiple; what sorts, which compares each element of 16 MiB 24 times at most; and patterns
//! that stand in the statement. These are of its author, who also answers for how far ahead they look ([`pattern`]).

use std::borrow::Cow;

use datafusion::logical_expr::Expr;
use lakehead_planning::Walk;

use super::{
    pattern,
    sized::{Bound, Row, bytes_of, long, or_closer},
};

/// The most steps for one row. A step is about a nanosecond, so that all are a quarter of a second: of seven calls near the
/// limit, one of each kind, the dearest took 0.3 s, `array_has_any` (Intel Xeon, 2 cores). It is above honest use, as
/// `levenshtein` of two texts of 4,000 characters, and bounds for how long one event may hold up others. `docs/sql.md`
/// tells it.
pub(super) const ROW_STEPS_MAX: u64 = 1 << 28;

/// What one pair of characters takes in `levenshtein`.
const DISTANCE_STEPS: u64 = 4;

/// What one character takes to be held against one of those to be trimmed.
const TRIM_STEPS: u64 = 2;

/// What a place takes at which a text may begin that is searched for, beside the bytes that are compared there.
const PLACE_STEPS: u64 = 16;

/// What a pair of elements takes to be compared, beside their bytes: DataFusion's functions of lists are built without
/// optimization (`Cargo.toml`).
const ELEMENT_STEPS: u64 = 64;

/// So many bytes are compared in a step.
const BYTES_A_STEP: u64 = 16;

/// The names of LIKE and ILIKE as functions; no function of SQL has them.
pub(super) const LIKE: &str = "__like";
pub(super) const ILIKE: &str = "__ilike";

/// Which arguments differ from row to row where a function is costly. With a constant in their place its steps are a
/// multiple of the bytes of the others.
enum Varying {
    All(&'static [usize]),
    Any(&'static [usize]),
}

/// The functions that are costly.
const COSTLY: [(&str, Varying, Bound); 14] = [
    (ILIKE, Varying::Any(&[1]), alike_in_any_case),
    (LIKE, Varying::Any(&[1]), alike),
    ("array_has_all", Varying::All(&[0, 1]), elements_compared),
    ("array_has_any", Varying::All(&[0, 1]), elements_compared),
    ("btrim", Varying::All(&[0, 1]), trimmed),
    ("levenshtein", Varying::All(&[0, 1]), distance),
    ("ltrim", Varying::All(&[0, 1]), trimmed),
    ("regexp_count", Varying::Any(&[1, 3]), matches_counted),
    ("regexp_instr", Varying::Any(&[1, 4]), match_placed),
    ("regexp_like", Varying::Any(&[1, 2]), matched),
    ("regexp_match", Varying::Any(&[1, 2]), matched),
    ("regexp_replace", Varying::Any(&[1, 3]), matches_replaced),
    ("rtrim", Varying::All(&[0, 1]), trimmed),
    ("strpos", Varying::All(&[0, 1]), placed),
];

/// The bound of the steps of the function `name`, if it may be costly.
pub(super) fn bound(name: &str) -> Option<Bound> {
    COSTLY.iter().find(|(costly, ..)| *costly == name).map(|(.., bound)| *bound)
}

/// Whether the function `name` is costly with these arguments.
pub(super) fn is_costly(name: &str, args: &[Expr]) -> bool {
    let varies = |place: &usize| args.get(*place).is_some_and(|arg| !is_constant(arg));
    COSTLY.iter().any(|(costly, varying, _)| {
        let is_so = || match varying {
            Varying::All(places) => places.iter().all(varies),
            Varying::Any(places) => places.iter().any(varies),
        };
        *costly == name && is_so()
    })
}

/// Whether an expression is the same for every row.
pub(super) fn is_constant(expression: &Expr) -> bool {
    let mut varies = |part: &Expr| {
        Ok(matches!(
            part,
            Expr::Column(_) | Expr::OuterReferenceColumn(..) | Expr::ScalarSubquery(_) | Expr::LambdaVariable(_)
        ))
    };
    // What cannot be walked over is not known.
    !expression.any(&mut varies).unwrap_or(true)
}

/// Where the flags of a pattern stand, in a function that keeps what it compiled until all rows of a call are done.
pub(super) fn flags_of_pattern(name: &str) -> Option<usize> {
    match name {
        "regexp_like" | "regexp_match" => Some(2),
        "regexp_count" | "regexp_replace" => Some(3),
        "regexp_instr" => Some(4),
        _ => None,
    }
}

/// The bytes that the row's pattern holds until then. The same as in the row before is held once.
pub(super) fn pattern_bytes(row: &Row<'_>, flags: usize) -> u64 {
    let Some(pattern) = varying_pattern(row, flags) else { return 0 };
    let before = row.row.checked_sub(1).map(|before| Row { arguments: row.arguments, row: before });
    if before.and_then(|before| varying_pattern(&before, flags)).as_ref() == Some(&pattern) {
        return 0;
    }
    pattern::expression_bytes(&pattern)
}

/// The pattern with its flags, where it is not the same for every row.
fn varying_pattern<'a>(row: &Row<'a>, flags: usize) -> Option<Cow<'a, str>> {
    if row.is_constant(1) && row.is_constant(flags) {
        return None;
    }
    let pattern = row.text(1)?;
    // Flags that are NULL are none, and `g` says how often is searched.
    let flags = row.text(flags).unwrap_or("").replace('g', "");
    Some(if flags.is_empty() { Cow::Borrowed(pattern) } else { Cow::Owned(format!("(?{flags}){pattern}")) })
}

/// A pattern is compiled also where the text is NULL.
fn searched(row: &Row<'_>, flags: usize, finds_all: bool) -> Option<u64> {
    let pattern = varying_pattern(row, flags)?;
    Some(pattern::expression_steps(row.text(0).map_or(0, long), &pattern, finds_all))
}

/// `regexp_like(text, pattern, flags)`, and `regexp_match`
fn matched(row: &Row<'_>) -> Option<u64> {
    searched(row, 2, false)
}

/// `regexp_count(text, pattern, start, flags)`
fn matches_counted(row: &Row<'_>) -> Option<u64> {
    searched(row, 3, true)
}

/// `regexp_instr(text, pattern, start, n, flags, group)`
fn match_placed(row: &Row<'_>) -> Option<u64> {
    searched(row, 4, row.count(3).is_some_and(|n| n > 1))
}

/// `regexp_replace(text, pattern, to, flags)`
fn matches_replaced(row: &Row<'_>) -> Option<u64> {
    searched(row, 3, row.text(3).is_some_and(|flags| flags.contains('g')))
}

/// `text LIKE pattern`
fn alike(row: &Row<'_>) -> Option<u64> {
    Some(pattern::like_steps(long(row.text(0)?), row.text(1)?, false))
}

/// `text ILIKE pattern`
fn alike_in_any_case(row: &Row<'_>) -> Option<u64> {
    Some(pattern::like_steps(long(row.text(0)?), row.text(1)?, true))
}

/// Each character of the first text with each of the second.
fn characters_compared(row: &Row<'_>, pair_steps: u64) -> Option<u64> {
    let (one, other) = (row.text(0)?, row.text(1)?);
    let of = |one: u64, other: u64| one.saturating_mul(other).saturating_mul(pair_steps);
    let characters = |text: &str| text.chars().count() as u64;
    Some(or_closer(ROW_STEPS_MAX, of(long(one), long(other)), || of(characters(one), characters(other))))
}

/// `levenshtein(text, text)`
fn distance(row: &Row<'_>) -> Option<u64> {
    characters_compared(row, DISTANCE_STEPS)
}

/// `btrim(text, characters)`, and those that trim one end
fn trimmed(row: &Row<'_>) -> Option<u64> {
    characters_compared(row, TRIM_STEPS)
}

/// `strpos(text, part)`: wherever the first byte of the part is found, the rest is compared.
fn placed(row: &Row<'_>) -> Option<u64> {
    let (text, part) = (row.text(0)?, row.text(1)?);
    let first = *part.as_bytes().first()?;
    let each = PLACE_STEPS + long(part) / BYTES_A_STEP;
    let most = (long(text) + 1).saturating_sub(long(part)).saturating_mul(each);
    let found = || text.bytes().filter(|byte| *byte == first).count() as u64;
    Some(or_closer(ROW_STEPS_MAX, most, || most.min(found().saturating_mul(each))))
}

/// `array_has_any(list, list)`, and `array_has_all`: each element of the second with each of the first.
fn elements_compared(row: &Row<'_>) -> Option<u64> {
    let ((values, within), (_, sought)) = (row.list(0)?, row.list(1)?);
    let elements = (within.len() as u64).saturating_mul(ELEMENT_STEPS);
    let each = elements.saturating_add(bytes_of(values, within) / BYTES_A_STEP);
    Some(each.saturating_mul(sought.len() as u64))
}

#[cfg(test)]
mod tests {
    use datafusion::{
        arrow::datatypes::DataType,
        common::ScalarValue,
        logical_expr::{ColumnarValue, col, lit},
    };

    use super::*;
    use crate::checked::sized::{
        Argument,
        tests::{list, number, text},
    };

    /// The steps for a row of these values, of which only the first `varying` come from the event.
    fn steps_of(name: &str, values: &[ScalarValue], varying: usize) -> Option<u64> {
        let value = |(place, value): (usize, &ScalarValue)| match place < varying {
            true => ColumnarValue::Array(value.to_array().expect("an array")),
            false => ColumnarValue::Scalar(value.clone()),
        };
        let values = values.iter().enumerate().map(value);
        let arguments: Vec<Argument> = values.map(|value| Argument::of(&value).expect("an array")).collect();
        bound(name).expect("it is costly")(&Row { arguments: &arguments, row: 0 })
    }

    fn steps(name: &str, values: &[ScalarValue]) -> Option<u64> {
        steps_of(name, values, values.len())
    }

    #[test]
    fn steps_are_those_of_all_pairs() {
        let null = ScalarValue::Utf8View(None);
        let words = |count: usize| list(&vec![text("0123456789abcdef"); count]);
        for (name, values, expected) in [
            ("levenshtein", vec![text("abc"), text("de")], Some(24)),
            ("levenshtein", vec![text("abc"), text("")], Some(0)),
            ("levenshtein", vec![text("abc"), null.clone()], None),
            ("levenshtein", vec![text(&"ä".repeat(8_000)), text(&"ö".repeat(8_000))], Some(256_000_000)),
            ("btrim", vec![text("abc"), text("de")], Some(12)),
            ("rtrim", vec![text("abc")], None),
            ("strpos", vec![text("aaaa"), text("ab")], Some(3 * 16)),
            ("strpos", vec![text("a"), text("ab")], Some(0)),
            ("strpos", vec![text("a"), text("")], None),
            ("strpos", vec![text(&"a".repeat(1 << 20)), text(&"b".repeat(1 << 19))], Some(0)),
            ("array_has_any", vec![list(&[number(1), number(2)]), list(&[number(3)])], Some(2 * 64 + 1)),
            ("array_has_all", vec![words(3), words(5)], Some(5 * (3 * 64 + 6))),
            ("array_has_all", vec![words(3), ScalarValue::new_null_list(DataType::Utf8View, true, 1)], None),
            (LIKE, vec![text("abc"), text("a%")], Some(0)),
            (LIKE, vec![text("abc"), text("_")], Some((1 << 12) + 4 * 8)),
            (ILIKE, vec![text("abc"), text("a")], Some(1 << 12)),
        ] {
            assert_eq!(steps(name, &values), expected, "{name}, {expected:?}");
        }
    }

    #[test]
    fn steps_of_a_pattern_are_those_of_one_that_comes_from_the_event() {
        let once = Some((1 << 16) + 4 * 8);
        let twice = Some((1 << 16) + 4 * 8 * 2);
        let (a, null) = (text("a"), ScalarValue::Utf8View(None));
        for (name, values, expected) in [
            ("regexp_like", vec![text("abc"), a.clone()], once),
            ("regexp_like", vec![text("abc"), a.clone(), null.clone()], once),
            ("regexp_like", vec![text("abc"), null.clone()], None),
            ("regexp_like", vec![null.clone(), a.clone()], Some((1 << 16) + 8)),
            ("regexp_like", vec![text("abc"), a.clone(), text("i")], Some((5 << 16) + 4 * 5 * 9)),
            ("regexp_match", vec![text("abc"), a.clone()], once),
            ("regexp_count", vec![text("abc"), a.clone()], twice),
            ("regexp_instr", vec![text("abc"), a.clone(), number(1)], once),
            ("regexp_instr", vec![text("abc"), a.clone(), number(1), number(2)], twice),
            ("regexp_replace", vec![text("abc"), a.clone(), text("b")], once),
            ("regexp_replace", vec![text("abc"), a.clone(), text("b"), text("g")], twice),
        ] {
            assert_eq!(steps(name, &values), expected, "{name}, {expected:?}");
            assert_eq!(steps_of(name, &values, 1), None, "{name}, {expected:?}");
        }
    }

    #[test]
    fn what_a_constant_bounds_is_not_costly() {
        for (name, args, expected) in [
            ("levenshtein", vec![col("a"), col("b")], true),
            ("levenshtein", vec![col("a"), lit("b")], false),
            ("levenshtein", vec![lit("a"), col("b")], false),
            ("btrim", vec![col("a")], false),
            ("btrim", vec![col("a"), col("b")], true),
            ("regexp_like", vec![col("a"), lit("b")], false),
            ("regexp_like", vec![lit("a"), col("b")], true),
            ("regexp_like", vec![col("a"), lit("b"), col("c")], true),
            ("upper", vec![col("a")], false),
        ] {
            assert_eq!(is_costly(name, &args), expected, "{name}, {args:?}");
        }
    }

    #[test]
    fn a_pattern_that_many_rows_have_is_held_once() {
        let patterns = ScalarValue::iter_to_array([text("a"), text("a"), text("b")]).expect("an array");
        let texts = ColumnarValue::Array(text("abc").to_array_of_size(3).expect("an array"));
        let arguments = [texts, ColumnarValue::Array(patterns)].map(|value| Argument::of(&value).expect("an array"));
        let held = |row: usize| pattern_bytes(&Row { arguments: &arguments, row }, 2);
        assert_eq!([held(0), held(1), held(2)], [64 << 10, 0, 64 << 10]);
    }
}
