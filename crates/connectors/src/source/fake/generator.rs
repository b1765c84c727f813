//! The n-th event: a pure function of seed and number, but for the time of making.
//!
//! Each value is drawn by a hash of seed, key and number, not by a generator that is stepped: so any event can be made without
//! those before it, and no field depends on another.

use std::io::Write;

use lakehead_model::Timestamp;

use super::config::{Config, Values};

/// Writes events.
pub(super) struct Generator {
    /// `{"dt":"`, where there is a time.
    time: Option<Vec<u8>>,
    fields: Vec<Field>,
}

struct Field {
    /// `"name":`
    key: Vec<u8>,
    /// Seed and name, mixed.
    seed: u64,
    values: Written,
}

/// What a field's values are, ready to be written.
enum Written {
    Int { from: i64, count: u128 },
    Float { from: f64, to: f64 },
    Choice(Vec<Box<[u8]>>),
    Sequence(i64),
}

impl Generator {
    pub(super) fn new(config: &Config) -> Self {
        let key = |name: &str| serde_json::to_string(name).expect("a text is always JSON");
        let time = (!config.event_time.is_empty()).then(|| format!("{}:\"", key(&config.event_time)).into_bytes());
        let field = |(name, values): (&String, &Values)| Field {
            key: format!("{}:", key(name)).into_bytes(),
            seed: mix(config.seed ^ hash(name.as_bytes())),
            values: match values {
                Values::Int([from, to]) => Written::Int { from: *from, count: u128::from(from.abs_diff(*to)) + 1 },
                Values::Float([from, to]) => Written::Float { from: *from, to: *to },
                Values::Choice(choices) => {
                    Written::Choice(choices.iter().map(|choice| choice.json().into_bytes().into()).collect())
                }
                Values::Sequence(from) => Written::Sequence(*from),
            },
        };
        Self { time, fields: config.fields.iter().map(field).collect() }
    }

    /// Writes the event of number `n`, made at `now`.
    pub(super) fn write(&self, n: u64, now: Timestamp, into: &mut Vec<u8>) {
        into.push(b'{');
        if let Some(time) = &self.time {
            into.extend_from_slice(time);
            put(into, now);
            into.push(b'"');
        }
        for field in &self.fields {
            if into.last() != Some(&b'{') {
                into.push(b',');
            }
            into.extend_from_slice(&field.key);
            field.values.write(mix(field.seed.wrapping_add(n.wrapping_mul(GOLDEN))), n, into);
        }
        into.push(b'}');
    }
}

impl Written {
    /// Writes the value that `random` draws for the event of number `n`.
    fn write(&self, random: u64, n: u64, into: &mut Vec<u8>) {
        match self {
            Self::Int { from, count } => {
                // As Lemire draws, 2019, without the second draw: a range of 2^32 is off by one in 2^32.
                let step = (u128::from(random) * count) >> 64;
                put(into, from.wrapping_add_unsigned(step as u64));
            }
            Self::Float { from, to } => {
                // The 53 bits that a double holds, in [0, 1).
                #[expect(clippy::cast_precision_loss, reason = "53 bits are what a double holds")]
                let unit = (random >> 11) as f64 / (1_u64 << 53) as f64;
                let value = (from + unit * (to - from)).min(to.next_down());
                serde_json::to_writer(into, &value).expect("a finite number into memory");
            }
            Self::Choice(choices) => {
                let at = (u128::from(random) * choices.len() as u128) >> 64;
                if let Some(choice) = usize::try_from(at).ok().and_then(|at| choices.get(at)) {
                    into.extend_from_slice(choice);
                }
            }
            Self::Sequence(from) => put(into, i128::from(*from) + i128::from(n)),
        }
    }
}

fn put(into: &mut Vec<u8>, value: impl std::fmt::Display) {
    write!(into, "{value}").expect("memory takes everything");
}

/// The odd constant of SplitMix64 (Steele, Lea and Flood 2014): 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The mixer of SplitMix64.
fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(GOLDEN);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

/// FNV-1a, 64 bits.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}
