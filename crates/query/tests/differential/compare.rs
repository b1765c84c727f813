//! Whether two answers are one: as many rows, integers, text and times to the last digit, floats to a billionth,
//! sketches within their stated error.
//!
//! Rows have no order. They are told apart by what is exact in them; those that are alike in that are sorted by their
//! floats and compared one by one.

use std::collections::BTreeMap;

use crate::{
    case::Check,
    value::{Row, Value},
};

/// Sums of floats depend on the order of the events; this is far above what that makes (2^-52 each), and far below what
/// anybody counts.
const FLOAT_TOLERANCE: f64 = 1e-9;
/// The same for variances and their kin, and for how far from zero nothing is told apart.
const ROUGH_TOLERANCE: f64 = 1e-6;
/// HyperLogLog with 2^14 registers has a standard error of 1.04 / sqrt(2^14) = 0.81 % (Flajolet and others, HyperLogLog,
/// theorem 1); five of these, since there are many answers.
const DISTINCT_TOLERANCE: f64 = 5.0 * 0.0081;
/// Most rows that a message shows.
const SHOWN_MAX: usize = 8;

/// One side of a comparison.
#[derive(Clone, Copy)]
pub(crate) struct Side<'a> {
    pub(crate) name: &'static str,
    pub(crate) rows: &'a [Row],
}

/// What differs between two answers, in words; `None` when nothing does. On the right may stand the exact answers to
/// what the left sketches, when `right_is_exact`.
pub(crate) fn difference(shown: &[&str], left: Side<'_>, right: Side<'_>, right_is_exact: bool) -> Option<String> {
    let width = |side: Side<'_>| side.rows.iter().find(|row| row.len() != shown.len()).map(Vec::len);
    if let Some(width) = width(left).or(width(right)) {
        return Some(format!("a row has {width} columns, not {}", shown.len()));
    }
    let is_key = |place: usize, check: Check| {
        let float = |side: Side<'_>| side.rows.iter().any(|row| row[place].has_float());
        check == Check::Exact && !float(left) && !float(right)
    };
    let (keys, others): (Vec<usize>, Vec<usize>) =
        (0..shown.len()).partition(|place| is_key(*place, Check::of(shown[*place])));
    let compared: Vec<usize> =
        others.iter().copied().filter(|place| right_is_exact || !Check::of(shown[*place]).is_sketch()).collect();
    let (by_left, by_right) = (by_key(left, &keys, &compared), by_key(right, &keys, &compared));

    let mut differing = Vec::new();
    let none = Vec::new();
    for (key, in_left) in &by_left {
        let in_right = by_right.get(key).unwrap_or(&none);
        for place in 0..in_left.len().max(in_right.len()) {
            let (a, b) = (in_left.get(place), in_right.get(place));
            let same = |a: &Row, b: &Row| {
                compared.iter().all(|column| is_same(&a[*column], &b[*column], Check::of(shown[*column])))
            };
            if !matches!((a, b), (Some(a), Some(b)) if same(a, b)) {
                differing.push((a.copied(), b.copied()));
            }
        }
    }
    for (key, in_right) in &by_right {
        if !by_left.contains_key(key) {
            differing.extend(in_right.iter().map(|row| (None, Some(*row))));
        }
    }
    if differing.is_empty() {
        return None;
    }
    let text = |row: Option<&Row>| row.map_or_else(|| "no such row".to_owned(), |row| described(shown, row));
    let mut message = format!(
        "{} has {} rows, {} has {}; {} differ:",
        left.name,
        left.rows.len(),
        right.name,
        right.rows.len(),
        differing.len()
    );
    for (a, b) in differing.iter().take(SHOWN_MAX) {
        message += &format!("\n    {:>6}: {}\n    {:>6}: {}", left.name, text(*a), right.name, text(*b));
    }
    Some(message)
}

fn described(shown: &[&str], row: &Row) -> String {
    let cells = shown.iter().zip(row).map(|(name, value)| format!("{name} = {value}"));
    cells.collect::<Vec<_>>().join(", ")
}

/// Rows by what is exact in them, those of one key in the order of the rest.
fn by_key<'r>(side: Side<'r>, keys: &[usize], others: &[usize]) -> BTreeMap<String, Vec<&'r Row>> {
    let mut by_key = BTreeMap::<String, Vec<&Row>>::new();
    for row in side.rows {
        let key: String = keys.iter().map(|place| format!("{:?};", exact(&row[*place]))).collect();
        by_key.entry(key).or_default().push(row);
    }
    let order = |row: &Row| -> Vec<f64> {
        others.iter().map(|place| row[*place].number().unwrap_or(f64::NEG_INFINITY)).collect()
    };
    for rows in by_key.values_mut().filter(|rows| rows.len() > 1) {
        rows.sort_by(|a, b| order(a).partial_cmp(&order(b)).unwrap_or(std::cmp::Ordering::Equal));
    }
    by_key
}

/// A value as it names a row: the width of an integer's type is the engine's own business.
fn exact(value: &Value) -> Value {
    match value {
        Value::Decimal { unscaled, scale: 0 } => Value::Int(*unscaled),
        Value::List(items) => Value::List(items.iter().map(exact).collect()),
        Value::Struct(members) => {
            let mut members: Vec<_> = members.iter().map(|(name, value)| (name.clone(), exact(value))).collect();
            members.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Struct(members)
        }
        other => other.clone(),
    }
}

fn is_same(left: &Value, right: &Value, check: Check) -> bool {
    match (check, left, right) {
        (_, Value::Null, Value::Null) => true,
        (Check::Distinct, ..) => match (left.number(), right.number()) {
            // Sketches of a few values are exact but for a clash of two.
            (Some(left), Some(right)) => (left - right).abs() <= (right * DISTINCT_TOLERANCE).max(1.0),
            _ => false,
        },
        (Check::Ranks, left, Value::List(bounds)) => match (left.number(), &bounds[..]) {
            (Some(value), [low, high]) => match (low.number(), high.number()) {
                (Some(low), Some(high)) => {
                    let slack = value.abs() * FLOAT_TOLERANCE;
                    (low - slack..=high + slack).contains(&value)
                }
                _ => false,
            },
            // No value at all.
            (None, bounds) => bounds.iter().all(|bound| *bound == Value::Null),
            _ => false,
        },
        (_, Value::Float(a), Value::Float(b)) => {
            let (tolerance, floor) = match check {
                Check::Rough => (ROUGH_TOLERANCE, ROUGH_TOLERANCE),
                _ => (FLOAT_TOLERANCE, 0.0),
            };
            a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= (a.abs().max(b.abs()) * tolerance).max(floor)
        }
        (_, Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b, check)),
        (_, Value::Struct(a), Value::Struct(b)) => {
            let other = |name: &str| b.iter().find(|(own, _)| own == name).map(|(_, value)| value);
            a.len() == b.len()
                && a.iter().all(|(name, value)| other(name).is_some_and(|other| is_same(value, other, check)))
        }
        (_, left, right) => exact(left) == exact(right),
    }
}

#[test]
fn what_differs_is_found_and_what_may_differ_is_not() {
    let check = |check: Check, left: Value, right: Value, same: bool| {
        let shown = [check.word()];
        let (a, b) = ([vec![left]], [vec![right]]);
        let (left, right) = (Side { name: "a", rows: &a }, Side { name: "b", rows: &b });
        assert_eq!(difference(&shown, left, right, true).is_none(), same, "{a:?} {b:?}");
    };
    let text = |text: &str| Value::Text(text.into());
    check(Check::Exact, Value::Int(9_007_199_254_740_993), Value::Int(9_007_199_254_740_992), false);
    check(Check::Exact, Value::Int(7), Value::Decimal { unscaled: 7, scale: 0 }, true);
    check(Check::Exact, Value::Int(7), Value::Float(7.0), false);
    check(Check::Exact, Value::Int(0), Value::Null, false);
    check(Check::Exact, text(""), Value::Null, false);
    check(Check::Exact, text("a"), text("A"), false);
    check(Check::Exact, Value::Float(1.0), Value::Float(1.0 + 1e-12), true);
    check(Check::Exact, Value::Float(1.0), Value::Float(1.0 + 1e-8), false);
    check(Check::Exact, Value::Float(0.0), Value::Float(1e-12), false);
    check(Check::Exact, Value::List(vec![Value::Float(1.0)]), Value::List(vec![Value::Float(1.1)]), false);
    check(Check::Rough, Value::Float(1.0), Value::Float(1.0 + 1e-8), true);
    check(Check::Rough, Value::Float(0.0), Value::Float(1e-7), true);
    check(Check::Rough, Value::Float(1.0), Value::Float(1.0 + 1e-4), false);
    check(Check::Distinct, Value::Int(1_010), Value::Int(1_000), true);
    check(Check::Distinct, Value::Int(1_100), Value::Int(1_000), false);
    let ranks = |low, high| Value::List(vec![Value::Float(low), Value::Float(high)]);
    check(Check::Ranks, Value::Int(5), ranks(4.0, 6.0), true);
    check(Check::Ranks, Value::Int(9), ranks(4.0, 6.0), false);

    let shown = ["n"];
    let (one, two) = ([vec![Value::Int(1)]], [vec![Value::Int(1)], vec![Value::Int(1)]]);
    let (left, right) = (Side { name: "a", rows: &one }, Side { name: "b", rows: &two });
    assert!(difference(&shown, left, right, true).is_some_and(|why| why.contains("no such row")), "a row too many");
}
