//! From a block's events to one record batch: one walk through each event, only the wanted paths.

use std::{collections::BTreeSet, sync::Arc};

use arrow::{
    array::{
        ArrayRef, BooleanBuilder, Float64Builder, Int64Array, Int64Builder, TimestampMicrosecondArray,
        TimestampMicrosecondBuilder,
    },
    buffer::Buffer,
    datatypes::SchemaRef,
    record_batch::{RecordBatch, RecordBatchOptions},
};
use lakehead_json::{Paths, Raw};
use lakehead_model::{ColumnType, StreamSchema, TimeFormat, Timestamp};

use crate::{DATA, EVENT_OFFSET, EVENT_TIME, Error, Events, RECEIVED_TIME, table_schema, text::TextBuilder};

/// Turns events into record batches of the wanted columns. Prepared once, used for every block, from any thread.
#[derive(Clone, Debug)]
pub struct Decoder {
    schema: SchemaRef,
    paths: Paths,
    path_count: usize,
    time_rules: Vec<(usize, TimeFormat)>,
    columns: Vec<Wanted>,
}

/// What a column is made of; a `usize` is the place of its path.
#[derive(Clone, Debug)]
enum Wanted {
    Offset,
    EventTime,
    ReceivedTime,
    Data,
    Equals(usize, String),
    Declared(usize, ColumnType),
}

impl Decoder {
    /// Prepares to decode the columns `wanted`, in this order. None wanted makes batches that only count rows.
    ///
    /// # Errors
    /// When a wanted column is not in the [`table_schema`], or the schema has two columns of one name.
    pub fn new(schema: &StreamSchema, wanted: &[String]) -> Result<Self, Error> {
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
        for name in wanted {
            let unknown = || {
                let known: Vec<_> = table.fields().iter().map(|field| field.name().as_str()).collect();
                Error::UnknownColumn { column: name.clone(), known: known.join(", ") }
            };
            indices.push(table.index_of(name).map_err(|_| unknown())?);
            columns.push(match (name.as_str(), schema.column(name)) {
                (EVENT_OFFSET, _) => Wanted::Offset,
                (EVENT_TIME, _) => {
                    time_rules = schema.event_time.iter().map(|rule| (place(&rule.path), rule.format)).collect();
                    Wanted::EventTime
                }
                (RECEIVED_TIME, _) => Wanted::ReceivedTime,
                (DATA, _) => Wanted::Data,
                (_, Some(column)) => match &column.equals {
                    Some(text) => Wanted::Equals(place(&column.path), text.clone()),
                    None => Wanted::Declared(place(&column.path), column.column_type),
                },
                (_, None) => return Err(unknown()),
            });
        }
        let schema = Arc::new(table.project(&indices).map_err(Error::Batch)?);
        Ok(Self { schema, path_count: paths.len(), paths: Paths::new(&paths), time_rules, columns })
    }

    /// The wanted columns, in the order in which they were wanted.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// One row for each event. Text columns share the payload; see the crate's own page for what that means.
    ///
    /// # Errors
    /// When `ends` does not fit the payload or the payload is not the text that was stored; never for what an event
    /// holds.
    pub fn decode(&self, events: &Events<'_>) -> Result<RecordBatch, Error> {
        let rows = events.ends.len();
        let mut builders: Vec<_> = self.columns.iter().map(|wanted| Builder::new(wanted, events)).collect();
        let mut found = vec![None; self.path_count];
        for document in events.iter() {
            let document = document?;
            if self.path_count > 0 {
                self.paths.extract(document, &mut found);
            }
            for builder in &mut builders {
                builder.push(document, &found, &self.time_rules);
            }
        }
        let payload = Buffer::from(events.payload.clone());
        let columns = builders.into_iter().map(|builder| builder.finish(events, &payload)).collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options).map_err(Error::Batch)
    }
}

/// A column under construction.
enum Builder<'a> {
    Offset,
    ReceivedTime,
    EventTime(TimestampMicrosecondBuilder),
    Data(TextBuilder<'a>),
    Equals(usize, &'a str, BooleanBuilder),
    Text(usize, TextBuilder<'a>),
    Json(usize, TextBuilder<'a>),
    Int64(usize, Int64Builder),
    Float64(usize, Float64Builder),
    Bool(usize, BooleanBuilder),
    Time(usize, TimestampMicrosecondBuilder),
}

impl<'a> Builder<'a> {
    fn new(wanted: &'a Wanted, events: &Events<'a>) -> Self {
        let rows = events.ends.len();
        let text = || TextBuilder::new(events.payload, rows);
        match wanted {
            Wanted::Offset => Self::Offset,
            Wanted::ReceivedTime => Self::ReceivedTime,
            Wanted::EventTime => Self::EventTime(TimestampMicrosecondBuilder::with_capacity(rows)),
            Wanted::Data => Self::Data(text()),
            Wanted::Equals(place, text) => Self::Equals(*place, text, BooleanBuilder::with_capacity(rows)),
            Wanted::Declared(place, column_type) => match column_type {
                ColumnType::Text => Self::Text(*place, text()),
                ColumnType::Json => Self::Json(*place, text()),
                ColumnType::Int64 => Self::Int64(*place, Int64Builder::with_capacity(rows)),
                ColumnType::Float64 => Self::Float64(*place, Float64Builder::with_capacity(rows)),
                ColumnType::Bool => Self::Bool(*place, BooleanBuilder::with_capacity(rows)),
                ColumnType::Timestamp => Self::Time(*place, TimestampMicrosecondBuilder::with_capacity(rows)),
            },
        }
    }

    fn push(&mut self, document: &'a [u8], found: &[Option<Raw<'a>>], time_rules: &[(usize, TimeFormat)]) {
        match self {
            Self::Offset | Self::ReceivedTime => {}
            Self::EventTime(times) => {
                let time = time_rules.iter().find_map(|(place, format)| found[*place]?.as_time(*format));
                times.append_option(time.map(micros));
            }
            Self::Data(text) => text.push(document),
            Self::Equals(place, text, bools) => bools.append_value(found[*place].is_some_and(|raw| raw.is_text(text))),
            Self::Text(place, text) => match found[*place] {
                // That it is UTF-8 is checked at the end, by Arrow.
                Some(raw) if let Some(plain) = raw.unescaped_bytes() => text.push(plain),
                Some(raw) if let Some(copy) = raw.as_str() => text.push_copy(&copy),
                _ => text.push_null(),
            },
            Self::Json(place, text) => match found[*place] {
                Some(raw) if !raw.is_null() => text.push(raw.bytes()),
                _ => text.push_null(),
            },
            Self::Int64(place, numbers) => numbers.append_option(found[*place].and_then(Raw::as_i64)),
            Self::Float64(place, numbers) => numbers.append_option(found[*place].and_then(Raw::as_f64)),
            Self::Bool(place, bools) => bools.append_option(found[*place].and_then(Raw::as_bool)),
            Self::Time(place, times) => {
                let time = found[*place]
                    .and_then(|raw| raw.as_time(TimeFormat::Rfc3339).or_else(|| raw.as_time(TimeFormat::UnixSeconds)));
                times.append_option(time.map(micros));
            }
        }
    }

    fn finish(self, events: &Events<'_>, payload: &Buffer) -> Result<ArrayRef, Error> {
        let corrupt = |source| Error::Text { first_offset: events.first_offset.0, source };
        let rows = events.ends.len();
        Ok(match self {
            Self::Offset => {
                let first = i64::try_from(events.first_offset.0).unwrap_or(i64::MAX);
                Arc::new(Int64Array::from_iter_values((0..).take(rows).map(|row| first.saturating_add(row))))
            }
            Self::ReceivedTime => {
                Arc::new(TimestampMicrosecondArray::from_value(events.received_time.0, rows).with_timezone("UTC"))
            }
            Self::EventTime(mut times) | Self::Time(_, mut times) => Arc::new(times.finish().with_timezone("UTC")),
            Self::Data(text) | Self::Text(_, text) | Self::Json(_, text) => {
                Arc::new(text.finish(payload).map_err(corrupt)?)
            }
            Self::Int64(_, mut numbers) => Arc::new(numbers.finish()),
            Self::Float64(_, mut numbers) => Arc::new(numbers.finish()),
            Self::Bool(_, mut bools) | Self::Equals(_, _, mut bools) => Arc::new(bools.finish()),
        })
    }
}

fn micros(time: Timestamp) -> i64 {
    time.0
}
