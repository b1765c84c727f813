//! From the events of blocks to one record batch: one walk through each event, only the required paths.

use std::{collections::BTreeSet, ops::Range, sync::Arc};

use arrow::{
    array::{
        ArrayRef, AsArray, BooleanBuilder, Float64Builder, Int64Array, Int64Builder, TimestampMicrosecondArray,
        TimestampMicrosecondBuilder,
    },
    buffer::Buffer,
    compute::max,
    datatypes::{SchemaRef, TimestampMicrosecondType},
    error::ArrowError,
    record_batch::{RecordBatch, RecordBatchOptions},
};
use lakehead_json::{Paths, Raw, TimeReader};
use lakehead_model::{ColumnType, StreamSchema, TimeFormat, TimeRule, Timestamp};

use crate::{DATA, EVENT_OFFSET, EVENT_TIME, Error, Events, RECEIVED_TIME, table_schema, text::TextBuilder};

/// Turns events into record batches of the required columns. Prepared once, used for every block, from any thread.
#[derive(Clone, Debug)]
pub struct Decoder {
    schema: SchemaRef,
    paths: Paths,
    path_count: usize,
    time_rules: Vec<(usize, TimeReader)>,
    time_rule: TimeRule,
    columns: Vec<ColumnSource>,
}

/// What a column is made of; a `usize` is the place of its path.
#[derive(Clone, Debug)]
enum ColumnSource {
    Offset,
    EventTime,
    ReceivedTime,
    Data,
    Equals(usize, String),
    Declared(usize, ColumnType),
}

impl Decoder {
    /// Prepares to decode the columns `required`, in this order. With none the batches only count rows.
    ///
    /// # Errors
    /// When a required column is not in the [`table_schema`], or the schema has two columns of one name.
    pub fn new(schema: &StreamSchema, required: &[String]) -> Result<Self, Error> {
        let mut names = BTreeSet::from([EVENT_OFFSET, EVENT_TIME, RECEIVED_TIME, DATA]);
        for column in &schema.columns {
            if !names.insert(&column.name) {
                return Err(Error::ColumnTwice { column: column.name.clone(), path: column.path.join(".") });
            }
        }
        let table = table_schema(schema);
        let mut paths: Vec<Vec<String>> = Vec::new();
        let mut place = |path: &Vec<String>| {
            paths.push(path.clone());
            paths.len() - 1
        };
        let mut time_rules = Vec::new();
        let mut columns = Vec::new();
        let mut indices = Vec::new();
        for name in required {
            let unknown = || {
                let known: Vec<_> = table.fields().iter().map(|field| field.name().as_str()).collect();
                Error::UnknownColumn { column: name.clone(), known: known.join(", ") }
            };
            indices.push(table.index_of(name).map_err(|_| unknown())?);
            columns.push(match (name.as_str(), schema.column(name)) {
                (EVENT_OFFSET, _) => ColumnSource::Offset,
                (EVENT_TIME, _) => {
                    let reader = |rule| TimeReader::new(rule).unwrap_or_else(|_| TimeReader::of(rule.format));
                    time_rules = schema.event_time.iter().map(|rule| (place(&rule.path), reader(rule))).collect();
                    ColumnSource::EventTime
                }
                (RECEIVED_TIME, _) => ColumnSource::ReceivedTime,
                (DATA, _) => ColumnSource::Data,
                (_, Some(column)) => match &column.equals {
                    Some(text) => ColumnSource::Equals(place(&column.path), text.clone()),
                    None => ColumnSource::Declared(place(&column.path), column.column_type),
                },
                (_, None) => return Err(unknown()),
            });
        }
        let time_rule = schema.time_rule();
        let schema = Arc::new(table.project(&indices).map_err(Error::Batch)?);
        Ok(Self { schema, path_count: paths.len(), paths: Paths::new(&paths), time_rules, time_rule, columns })
    }

    /// The required columns, in their order.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// By which rule it reads event times.
    #[must_use]
    pub fn time_rule(&self) -> TimeRule {
        self.time_rule
    }

    /// The greatest event time of these rows of a batch that it made; `None` where no row has one, or the column is not
    /// required.
    #[must_use]
    pub fn greatest_event_time(&self, batch: &RecordBatch, rows: Range<usize>) -> Option<Timestamp> {
        let times = batch.column_by_name(EVENT_TIME)?.as_primitive_opt::<TimestampMicrosecondType>()?;
        max(&times.slice(rows.start, rows.len())).map(Timestamp)
    }

    /// One row for each event. Text columns share the payload; see the crate's own page for what that means.
    ///
    /// # Errors
    /// When `ends` does not fit the payload or the payload is not the text that was stored; never for what an event
    /// holds.
    pub fn decode(&self, events: &Events<'_>) -> Result<RecordBatch, Error> {
        self.decode_all(std::slice::from_ref(events))
    }

    /// The same for several blocks, which become one batch: where blocks are small, the work on a batch is done once for
    /// many. They hold less than 4 GiB together.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_all(&self, blocks: &[Events<'_>]) -> Result<RecordBatch, Error> {
        self.decode_counting(blocks, &mut [])
    }

    /// The same, and counts for each required column, in its order, the values that are there and of another type, which are
    /// NULL; what is `null` in the event is none of them. Counting costs nothing where there are none.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_counting(&self, blocks: &[Events<'_>], mistyped: &mut [u64]) -> Result<RecordBatch, Error> {
        let rows = blocks.iter().map(|events| events.ends.len()).sum();
        let mut builders: Vec<_> = self.columns.iter().map(|source| Builder::new(source, rows)).collect();
        let mut found = vec![None; self.path_count];
        for (number, events) in blocks.iter().enumerate() {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            builders.iter_mut().for_each(|builder| builder.begin(events, number));
            for document in events.iter() {
                let document = document?;
                if self.path_count > 0 {
                    self.paths.extract(document, &mut found);
                }
                for builder in &mut builders {
                    builder.push(document, &found, &self.time_rules);
                }
            }
        }
        mistyped.iter_mut().zip(&builders).for_each(|(count, builder)| *count += builder.mistyped());
        let payloads: Vec<_> = blocks.iter().map(|events| Buffer::from(events.payload.clone())).collect();
        let first_offset = blocks.first().map_or(0, |events| events.first_offset.0);
        let columns = builders
            .into_iter()
            .map(|builder| builder.finish(&payloads).map_err(|source| Error::Text { first_offset, source }));
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), columns.collect::<Result<_, _>>()?, &options)
            .map_err(Error::Batch)
    }
}

/// A column under construction.
enum Builder<'a> {
    Offset(Vec<i64>),
    ReceivedTime(Vec<i64>),
    EventTime(TimestampMicrosecondBuilder),
    Data(TextBuilder<'a>),
    Equals(usize, &'a str, BooleanBuilder),
    // The last of these is how many values are of another type.
    Text(usize, TextBuilder<'a>, u64),
    Json(usize, TextBuilder<'a>),
    Int64(usize, Int64Builder, u64),
    Float64(usize, Float64Builder, u64),
    Bool(usize, BooleanBuilder, u64),
    Time(usize, TimestampMicrosecondBuilder, u64),
}

impl<'a> Builder<'a> {
    fn new(source: &'a ColumnSource, rows: usize) -> Self {
        let text = || TextBuilder::new(rows);
        match source {
            ColumnSource::Offset => Self::Offset(Vec::with_capacity(rows)),
            ColumnSource::ReceivedTime => Self::ReceivedTime(Vec::with_capacity(rows)),
            ColumnSource::EventTime => Self::EventTime(TimestampMicrosecondBuilder::with_capacity(rows)),
            ColumnSource::Data => Self::Data(text()),
            ColumnSource::Equals(place, text) => Self::Equals(*place, text, BooleanBuilder::with_capacity(rows)),
            ColumnSource::Declared(place, column_type) => match column_type {
                ColumnType::Text => Self::Text(*place, text(), 0),
                ColumnType::Json => Self::Json(*place, text()),
                ColumnType::Int64 => Self::Int64(*place, Int64Builder::with_capacity(rows), 0),
                ColumnType::Float64 => Self::Float64(*place, Float64Builder::with_capacity(rows), 0),
                ColumnType::Bool => Self::Bool(*place, BooleanBuilder::with_capacity(rows), 0),
                ColumnType::Timestamp => Self::Time(*place, TimestampMicrosecondBuilder::with_capacity(rows), 0),
            },
        }
    }

    /// What comes next are the events of the block of this number.
    fn begin(&mut self, events: &Events<'a>, number: u32) {
        let rows = events.ends.len();
        match self {
            Self::Offset(offsets) => {
                let first = i64::try_from(events.first_offset.0).unwrap_or(i64::MAX);
                offsets.extend((0..).take(rows).map(|row| first.saturating_add(row)));
            }
            Self::ReceivedTime(times) => times.extend(std::iter::repeat_n(events.received_time.0, rows)),
            Self::Data(text) | Self::Text(_, text, _) | Self::Json(_, text) => text.begin(events.payload, number),
            _ => {}
        }
    }

    fn push(&mut self, document: &'a [u8], found: &[Option<Raw<'a>>], time_rules: &[(usize, TimeReader)]) {
        match self {
            Self::Offset(_) | Self::ReceivedTime(_) => {}
            Self::EventTime(times) => {
                let time = time_rules.iter().find_map(|(place, reader)| reader.read(found[*place]?).ok());
                times.append_option(time.map(micros));
            }
            Self::Data(text) => text.push(document),
            Self::Equals(place, text, bools) => bools.append_value(found[*place].is_some_and(|raw| raw.is_text(text))),
            Self::Text(place, text, mistyped) => match found[*place] {
                // That it is UTF-8 is checked at the end, by Arrow.
                Some(raw) if let Some(plain) = raw.unescaped_bytes() => text.push(plain),
                Some(raw) if let Some(copy) = raw.as_str() => text.push_copy(&copy),
                raw => {
                    *mistyped += u64::from(raw.is_some_and(|raw| !raw.is_null()));
                    text.push_null();
                }
            },
            Self::Json(place, text) => match found[*place] {
                Some(raw) if !raw.is_null() => text.push(raw.bytes()),
                _ => text.push_null(),
            },
            Self::Int64(place, numbers, mistyped) => {
                numbers.append_option(typed(found[*place], Raw::as_integer, mistyped));
            }
            // There is one zero: minus zero is a number of its own where rows are grouped by bits.
            Self::Float64(place, numbers, mistyped) => {
                let plain = |raw: Raw<'_>| raw.as_f64().map(|number| number + 0.0);
                numbers.append_option(typed(found[*place], plain, mistyped));
            }
            Self::Bool(place, bools, mistyped) => bools.append_option(typed(found[*place], Raw::as_bool, mistyped)),
            Self::Time(place, times, mistyped) => {
                let read = |raw: Raw<'_>| {
                    raw.as_time(TimeFormat::Rfc3339).or_else(|| raw.as_time(TimeFormat::UnixSeconds)).map(micros)
                };
                times.append_option(typed(found[*place], read, mistyped));
            }
        }
    }

    /// Values so far that are of another type than the column.
    fn mistyped(&self) -> u64 {
        match self {
            Self::Text(_, _, mistyped)
            | Self::Int64(_, _, mistyped)
            | Self::Float64(_, _, mistyped)
            | Self::Bool(_, _, mistyped)
            | Self::Time(_, _, mistyped) => *mistyped,
            Self::Offset(_)
            | Self::ReceivedTime(_)
            | Self::EventTime(_)
            | Self::Data(_)
            | Self::Equals(..)
            | Self::Json(..) => 0,
        }
    }

    fn finish(self, payloads: &[Buffer]) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Offset(offsets) => Arc::new(Int64Array::from(offsets)),
            Self::ReceivedTime(times) => Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")),
            Self::EventTime(mut times) | Self::Time(_, mut times, _) => Arc::new(times.finish().with_timezone("UTC")),
            Self::Data(text) | Self::Text(_, text, _) | Self::Json(_, text) => Arc::new(text.finish(payloads)?),
            Self::Int64(_, mut numbers, _) => Arc::new(numbers.finish()),
            Self::Float64(_, mut numbers, _) => Arc::new(numbers.finish()),
            Self::Bool(_, mut bools, _) | Self::Equals(_, _, mut bools) => Arc::new(bools.finish()),
        })
    }
}

/// A value as `read` takes it; one that is there and is none is counted.
#[inline]
fn typed<'d, T>(raw: Option<Raw<'d>>, read: impl Fn(Raw<'d>) -> Option<T>, mistyped: &mut u64) -> Option<T> {
    let raw = raw?;
    let value = read(raw);
    if value.is_none() {
        *mistyped += u64::from(!raw.is_null());
    }
    value
}

fn micros(time: Timestamp) -> i64 {
    time.0
}
