//! Values that are in the table, so that a condition of the grammar holds for some events.

use std::collections::BTreeMap;

use arrow::{
    array::{Array, AsArray},
    datatypes::{DataType, Int64Type, TimestampMicrosecondType},
};
use lakehead_model::Timestamp;

use crate::{oracle, random::Random, table::Table};

/// Most values that are kept of a column.
const KEPT: usize = 60;

/// Some values of each column.
pub(super) struct Samples {
    texts: BTreeMap<String, Vec<String>>,
    ints: BTreeMap<String, Vec<i64>>,
    times: BTreeMap<String, Vec<Timestamp>>,
}

impl Samples {
    pub(super) fn of(table: &Table) -> Self {
        let batch = oracle::decoded(table);
        let mut random = Random::new(7, "samples");
        let mut samples = Self { texts: BTreeMap::new(), ints: BTreeMap::new(), times: BTreeMap::new() };
        for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
            let mut rows: Vec<usize> = (0..array.len()).filter(|row| array.is_valid(*row)).collect();
            random.shuffle(&mut rows);
            let rows = rows.into_iter().take(KEPT);
            let name = field.name().clone();
            match field.data_type() {
                DataType::Utf8 => {
                    let texts = rows.map(|row| array.as_string::<i32>().value(row).to_owned());
                    // What SQL cannot say is not said.
                    let texts = texts.filter(|text| text.len() < 60 && !text.contains(['\0', '\\']));
                    samples.texts.insert(name, texts.collect());
                }
                DataType::Int64 => {
                    let ints = rows.map(|row| array.as_primitive::<Int64Type>().value(row));
                    // The least one can be written, but not as a number with a sign before it.
                    samples.ints.insert(name, ints.filter(|int| *int > i64::MIN).collect());
                }
                DataType::Timestamp(..) => {
                    let times = rows.map(|row| array.as_primitive::<TimestampMicrosecondType>().value(row));
                    samples.times.insert(name, times.map(Timestamp).collect());
                }
                _ => {}
            }
        }
        samples
    }

    pub(super) fn text(&self, column: &str, random: &mut Random) -> String {
        let texts = self.texts.get(column).filter(|texts| !texts.is_empty());
        texts.map_or_else(|| "none".to_owned(), |texts| random.pick(texts).clone())
    }

    pub(super) fn int(&self, column: &str, random: &mut Random) -> i64 {
        let ints = self.ints.get(column).filter(|ints| !ints.is_empty());
        ints.map_or(7, |ints| *random.pick(ints))
    }

    pub(super) fn time(&self, column: &str, random: &mut Random) -> Timestamp {
        let times = self.times.get(column).filter(|times| !times.is_empty());
        times.map_or(Timestamp(0), |times| *random.pick(times))
    }
}
