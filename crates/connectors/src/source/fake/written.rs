//! One value, ready to be written: a pure function of a seed, the event's number and its time.
//!
//! Each value is drawn by a hash of its seed and the number, not by a generator that is stepped. The seed of a field is made of
//! that of the object that it stands in and its key, that of an element of its array and its place: so no value depends on
//! another, and each can be made without those before it.

use std::io::Write;

use lakehead_model::{Span, Timestamp};

use super::{
    draws::{Draws, GOLDEN, below, hash, mix, unit},
    invented::{INVENTED_BYTES_MAX, Invent, invent, words},
    parameters::{Scalar, TimeText},
    values::Values,
    walk::RandomWalk,
    weights::WeightTable,
};

/// Whole numbers beyond this are not all doubles, so a number is written with a point there.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// Bytes of a word of `text`, with the space behind it; the longest that the crate `fake` has are of 14.
const WORD_BYTES_MAX: u64 = 24;

/// Bytes of a number: those of the longest doubles.
const NUMBER_BYTES_MAX: u64 = 26;

/// Bytes of a time, with its quotation marks.
const TIME_BYTES_MAX: u64 = 40;

/// Which event it is, and when.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    /// Its number.
    pub(super) n: u64,
    /// Its time.
    pub(super) time: Timestamp,
}

/// What a field's values are.
pub(super) enum Written {
    Int { from: i64, count: u128 },
    Float { from: f64, to: f64 },
    Choice(Vec<Box<[u8]>>),
    Sequence(i64),
    OneOf(WeightTable, Vec<Written>),
    Normal { mean: f64, deviation: f64, decimals: u8 },
    Zipf(WeightTable, Vec<Box<[u8]>>),
    Walk(RandomWalk, u8),
    Constant(Box<[u8]>),
    Text { from: u32, to: u32 },
    Time { from: i64, micros: u128, format: TimeText },
    Now { floor: i64, plus: i64, format: TimeText },
    Object(Vec<Member>),
    Array { of: Box<Written>, from: u32, to: u32 },
    Join(Vec<Written>),
    Shared { seed: u64, of: Box<Written> },
    Invented(Invent),
}

/// A field of an object.
pub(super) struct Member {
    /// `"name":`
    key: Vec<u8>,
    /// What tells its seed from those of its siblings.
    salt: u64,
    values: Written,
}

impl Member {
    /// The field `name`. `seed` is that of the whole source, for draws that are shared.
    pub(super) fn new(name: &str, values: &Values, seed: u64) -> Self {
        Self { key: key(name), salt: hash(name.as_bytes()), values: Written::new(values, seed) }
    }

    /// Writes key and value.
    pub(super) fn write(&self, parent: u64, moment: Moment, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.key);
        self.values.write(mix(parent ^ self.salt), moment, into);
    }

    /// The most bytes of it, with a comma.
    pub(super) fn bytes_max(&self) -> u64 {
        (self.key.len() as u64).saturating_add(self.values.bytes_max()).saturating_add(1)
    }
}

/// `"name":`
pub(super) fn key(name: &str) -> Vec<u8> {
    format!("{}:", Scalar::Text(name.to_owned()).json()).into_bytes()
}

impl Written {
    /// Of values that are within the limits.
    fn new(values: &Values, seed: u64) -> Self {
        match values {
            Values::Int([from, to]) => Self::Int { from: *from, count: u128::from(from.abs_diff(*to)) + 1 },
            Values::Float([from, to]) => Self::Float { from: *from, to: *to },
            Values::Choice(choices) => Self::Choice(jsons(choices)),
            Values::Sequence(from) => Self::Sequence(*from),
            Values::Weighted(choices) => {
                let weights = choices.iter().map(|(_, weight)| u64::from(*weight));
                let constants = choices.iter().map(|(choice, _)| Self::Constant(choice.json().into_bytes().into()));
                Self::OneOf(WeightTable::of(weights), constants.collect())
            }
            Values::OneOf(some) => {
                let weights = some.iter().map(|(_, weight)| u64::from(*weight));
                Self::OneOf(WeightTable::of(weights), some.iter().map(|(one, _)| Self::new(one, seed)).collect())
            }
            Values::Normal(numbers) => {
                Self::Normal { mean: numbers.mean, deviation: numbers.deviation, decimals: numbers.decimals }
            }
            Values::Zipf(ranks) => {
                let choices = ranks.choice.as_deref().map(jsons).unwrap_or_default();
                let count = ranks.count.map_or(choices.len(), |count| count as usize);
                Self::Zipf(WeightTable::zipf(count, ranks.exponent), choices)
            }
            Values::Walk(walk) => Self::Walk(RandomWalk::new(walk.min, walk.max, walk.step), walk.decimals),
            Values::Constant(value) => Self::Constant(value.to_string().into_bytes().into()),
            Values::Text([from, to]) => Self::Text { from: *from, to: *to },
            Values::DateTime(times) => {
                let (from, to) = times.range().unwrap_or_default();
                Self::Time { from: from.0, micros: u128::from(from.0.abs_diff(to.0)), format: times.format }
            }
            Values::Now(now) => {
                let micros =
                    |span: Option<Span>| span.map_or(0, |span| i64::try_from(span.0.as_micros()).unwrap_or(i64::MAX));
                Self::Now { floor: micros(now.floor), plus: micros(now.plus), format: now.format }
            }
            Values::Object(fields) => {
                Self::Object(fields.0.iter().map(|(name, values)| Member::new(name, values, seed)).collect())
            }
            Values::Array(array) => {
                Self::Array { of: Box::new(Self::new(&array.of, seed)), from: array.length[0], to: array.length[1] }
            }
            Values::Join(parts) => Self::Join(parts.iter().map(|part| Self::new(part, seed)).collect()),
            Values::Shared(shared) => Self::Shared {
                seed: mix(seed ^ hash(shared.draw.as_bytes())),
                of: Box::new(Self::new(&shared.of, seed)),
            },
            Values::Boolean => Self::Choice([false, true].map(|value| value.to_string().into_bytes().into()).to_vec()),
            Values::Gender => {
                let gender = |name: &str| Self::Constant(Scalar::Text(name.to_owned()).json().into_bytes().into());
                Self::OneOf(
                    WeightTable::of([49, 49, 2].into_iter()),
                    ["Male", "Female", "Non-binary"].map(gender).into(),
                )
            }
            Values::Year => Self::Int { from: 1940, count: 71 },
            other => Self::Invented(invent(other).expect("what is none of these is made up")),
        }
    }

    /// Writes the value of this seed for the event of this moment.
    fn write(&self, seed: u64, moment: Moment, into: &mut Vec<u8>) {
        let random = mix(seed.wrapping_add(moment.n.wrapping_mul(GOLDEN)));
        match self {
            Self::Int { from, count } => put(into, from.wrapping_add_unsigned(below(random, *count) as u64)),
            Self::Float { from, to } => {
                let value = (from + unit(random) * (to - from)).min(to.next_down());
                serde_json::to_writer(into, &value).expect("a finite number into memory");
            }
            Self::Choice(choices) => put_one(into, choices, below(random, choices.len() as u128) as usize),
            Self::Sequence(from) => put(into, i128::from(*from) + i128::from(moment.n)),
            Self::OneOf(weights, some) => {
                let place = weights.draw(random);
                if let Some(one) = some.get(place) {
                    one.write(mix(seed ^ mix(place as u64)), moment, into);
                }
            }
            Self::Normal { mean, deviation, decimals } => {
                // Irwin and Hall, 1927: the sum of twelve has a variance of 1, and adding is the same on every machine.
                let mut draws = Draws::new(random);
                let sum: f64 = (0..12).map(|_| unit(draws.next())).sum();
                put_rounded(into, mean + deviation * (sum - 6.0), *decimals);
            }
            Self::Zipf(weights, choices) if choices.is_empty() => put(into, weights.draw(random) + 1),
            Self::Zipf(weights, choices) => put_one(into, choices, weights.draw(random)),
            Self::Walk(walk, decimals) => put_rounded(into, walk.at(seed, moment.n), *decimals),
            Self::Constant(value) => into.extend_from_slice(value),
            Self::Text { from, to } => {
                let mut draws = Draws::new(random);
                let count = count_of(*from, *to, draws.next());
                put_text(into, &words(&mut draws, count));
            }
            Self::Time { from, micros, format } => {
                let time = from.saturating_add_unsigned(below(random, *micros) as u64);
                put_time(into, Timestamp(time), *format);
            }
            Self::Now { floor, plus, format } => {
                let time = match floor {
                    0 => moment.time.0,
                    floor => moment.time.0.div_euclid(*floor).saturating_mul(*floor),
                };
                put_time(into, Timestamp(time.saturating_add(*plus)), *format);
            }
            Self::Object(members) => {
                into.push(b'{');
                for (place, member) in members.iter().enumerate() {
                    if place > 0 {
                        into.push(b',');
                    }
                    member.write(seed, moment, into);
                }
                into.push(b'}');
            }
            Self::Array { of, from, to } => {
                into.push(b'[');
                for place in 0..count_of(*from, *to, random) {
                    if place > 0 {
                        into.push(b',');
                    }
                    of.write(mix(seed ^ mix(place as u64)), moment, into);
                }
                into.push(b']');
            }
            Self::Join(parts) => {
                into.push(b'"');
                for (place, part) in parts.iter().enumerate() {
                    let start = into.len();
                    part.write(mix(seed ^ mix(place as u64)), moment, into);
                    // A text is escaped already: what it has between its quotation marks goes on in this one.
                    if into.get(start) == Some(&b'"') {
                        into.pop();
                        into.remove(start);
                    }
                }
                into.push(b'"');
            }
            Self::Shared { seed, of } => of.write(*seed, moment, into),
            Self::Invented(invent) => put_text(into, &invent(&mut Draws::new(random))),
        }
    }

    /// The most bytes of a value, and not less than 1, so that a bound on them bounds the work, too.
    fn bytes_max(&self) -> u64 {
        let longest = |values: &[Box<[u8]>]| values.iter().map(|value| value.len() as u64).max().unwrap_or(0);
        let all = |sizes: &mut dyn Iterator<Item = u64>| sizes.fold(2_u64, u64::saturating_add);
        match self {
            Self::Int { .. } | Self::Float { .. } | Self::Sequence(_) | Self::Normal { .. } | Self::Walk(..) => {
                NUMBER_BYTES_MAX
            }
            Self::Choice(choices) => longest(choices),
            Self::Zipf(_, choices) => longest(choices).max(NUMBER_BYTES_MAX),
            Self::OneOf(_, some) => some.iter().map(Self::bytes_max).max().unwrap_or(1),
            Self::Constant(value) => value.len() as u64,
            Self::Text { to, .. } => u64::from(*to) * WORD_BYTES_MAX + 2,
            Self::Time { .. } | Self::Now { .. } => TIME_BYTES_MAX,
            Self::Object(members) => all(&mut members.iter().map(Member::bytes_max)),
            Self::Array { of, to, .. } => {
                of.bytes_max().saturating_add(1).saturating_mul(u64::from(*to)).saturating_add(2)
            }
            Self::Join(parts) => all(&mut parts.iter().map(Self::bytes_max)),
            Self::Shared { of, .. } => of.bytes_max(),
            Self::Invented(_) => INVENTED_BYTES_MAX as u64,
        }
    }
}

fn jsons(choices: &[Scalar]) -> Vec<Box<[u8]>> {
    choices.iter().map(|choice| choice.json().into_bytes().into()).collect()
}

/// A number from `from` to `to`, both included.
fn count_of(from: u32, to: u32, random: u64) -> u128 {
    u128::from(from) + below(random, u128::from(to.saturating_sub(from)) + 1)
}

pub(super) fn put(into: &mut Vec<u8>, value: impl std::fmt::Display) {
    write!(into, "{value}").expect("memory takes everything");
}

fn put_one(into: &mut Vec<u8>, choices: &[Box<[u8]>], place: usize) {
    if let Some(choice) = choices.get(place) {
        into.extend_from_slice(choice);
    }
}

fn put_text(into: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(into, text).expect("a text into memory");
}

fn put_rounded(into: &mut Vec<u8>, value: f64, decimals: u8) {
    let tens = 10_f64.powi(i32::from(decimals));
    let scaled = (value * tens).round();
    // Adding nothing makes 0 of -0.
    let value = if scaled.is_finite() { scaled / tens } else { value } + 0.0;
    if decimals == 0 && value.abs() < WHOLE_MAX {
        #[expect(clippy::cast_possible_truncation, reason = "it is whole, and within the doubles that are")]
        put(into, value as i64);
    } else {
        serde_json::to_writer(into, &value).expect("a finite number into memory");
    }
}

/// Writes a time; a point in time that no calendar shows is the last that one does.
fn put_time(into: &mut Vec<u8>, time: Timestamp, format: TimeText) {
    let whole = || Timestamp::from_seconds(time.0.div_euclid(1_000_000)).to_string();
    match format {
        TimeText::Rfc3339 => put(into, format_args!("\"{time}\"")),
        TimeText::DateTime => put(into, format_args!("\"{}\"", whole().trim_end_matches('Z').replacen('T', " ", 1))),
        TimeText::Date => put(into, format_args!("\"{}\"", whole().split('T').next().unwrap_or_default())),
        TimeText::UnixSeconds => put(into, time.0.div_euclid(1_000_000)),
        TimeText::UnixMs => put(into, time.millis()),
    }
}
