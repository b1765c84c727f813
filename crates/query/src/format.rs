//! Writes an answer in the formats that people and programs read.

use std::{io::Write, str::FromStr};

use datafusion::{
    arrow::{
        array::{AsArray, RecordBatch},
        compute::cast,
        csv::WriterBuilder as CsvWriterBuilder,
        datatypes::{DataType, SchemaRef},
        ipc::writer::StreamWriter,
        json::{ArrayWriter, LineDelimitedWriter},
        util::pretty::pretty_format_batches,
    },
    parquet::{
        arrow::ArrowWriter,
        basic::{Compression, ZstdLevel},
        file::properties::WriterProperties,
    },
};

use crate::{Answer, Error, plain_types, writable};

/// Rows in one row group of a file that is written as rows come: a few tens of megabytes of events of 1 KB, which is what
/// the writer holds in memory.
const ROW_GROUP_ROWS: usize = 50_000;

/// Whether the times of `batch` can be written as text; to be asked before a part of an answer is.
///
/// # Errors
/// [`Error::Sql`], naming the column, when one cannot.
pub fn check_times(batch: &RecordBatch) -> Result<(), Error> {
    writable::check(batch)
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A table for people.
    #[default]
    Table,
    /// Comma-separated values with a header line (RFC 4180).
    Csv,
    /// One JSON array of objects.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// A Parquet file.
    Parquet,
    /// An Arrow IPC stream.
    Arrow,
}

impl FromStr for Format {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "table" => Self::Table,
            "csv" => Self::Csv,
            "json" => Self::Json,
            "ndjson" => Self::Ndjson,
            "parquet" => Self::Parquet,
            "arrow" => Self::Arrow,
            _ => return Err(format!("{text:?} is no format; valid are table, csv, json, ndjson, parquet, arrow")),
        })
    }
}

/// Writes rows as they come, in one of the forms that need not hold them all.
pub enum RowWriter<W: Write + Send> {
    /// The first column, which is text, as it is, a line each.
    Verbatim(W),
    /// One JSON object a line.
    Lines(LineDelimitedWriter<W>),
    /// A Parquet file.
    Parquet(Box<ArrowWriter<W>>),
}

impl<W: Write + Send> RowWriter<W> {
    /// Writes the text of the first column.
    pub fn verbatim(out: W) -> Self {
        Self::Verbatim(out)
    }

    /// Writes JSON lines.
    pub fn lines(out: W) -> Self {
        Self::Lines(LineDelimitedWriter::new(out))
    }

    /// Writes Parquet, compressed by zstd.
    ///
    /// # Errors
    /// When a column cannot be written as Parquet.
    pub fn parquet(out: W, schema: &SchemaRef) -> Result<Self, Error> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        Ok(Self::Parquet(Box::new(plain_types::writer(out, schema, properties)?)))
    }

    /// Writes `batch`.
    ///
    /// # Errors
    /// [`Error::Engine`] when it cannot be written.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        match self {
            Self::Verbatim(out) => {
                let text = cast(batch.column(0), &DataType::Utf8View)?;
                let failed = |e: std::io::Error| Error::Engine(format!("cannot write the rows: {e}"));
                for line in text.as_string_view().iter().flatten() {
                    out.write_all(line.as_bytes()).map_err(failed)?;
                    out.write_all(b"\n").map_err(failed)?;
                }
                Ok(())
            }
            Self::Lines(writer) => {
                writable::check(batch)?;
                Ok(writer.write(batch)?)
            }
            Self::Parquet(writer) => Ok(writer.write(batch)?),
        }
    }

    /// Writes what ends the form and gives back what was written to.
    ///
    /// # Errors
    /// [`Error::Engine`] when it cannot be written.
    pub fn finish(self) -> Result<W, Error> {
        match self {
            Self::Verbatim(out) => Ok(out),
            Self::Lines(mut writer) => {
                writer.finish()?;
                Ok(writer.into_inner())
            }
            Self::Parquet(writer) => Ok(writer.into_inner()?),
        }
    }
}

/// Writes `answer` to `out`.
///
/// # Errors
/// [`Error::Engine`] when it cannot be written there.
pub fn write(answer: &Answer, format: Format, out: &mut (dyn Write + Send)) -> Result<(), Error> {
    let failed = |e: std::io::Error| Error::Engine(format!("cannot write the answer: {e}"));
    if matches!(format, Format::Table | Format::Csv | Format::Json | Format::Ndjson) {
        answer.batches.iter().try_for_each(writable::check)?;
    }
    match format {
        Format::Table if answer.batches.is_empty() => {
            let empty = datafusion::arrow::array::RecordBatch::new_empty(answer.schema.clone());
            writeln!(out, "{}", pretty_format_batches(&[empty])?).map_err(failed)?;
        }
        Format::Table => writeln!(out, "{}", pretty_format_batches(&answer.batches)?).map_err(failed)?,
        Format::Csv => {
            let mut writer = CsvWriterBuilder::new().with_header(true).build(&mut *out);
            for batch in &answer.batches {
                writer.write(batch)?;
            }
        }
        Format::Json => {
            let mut writer = ArrayWriter::new(&mut *out);
            writer.write_batches(&answer.batches.iter().collect::<Vec<_>>())?;
            writer.finish()?;
        }
        Format::Ndjson => {
            let mut writer = LineDelimitedWriter::new(&mut *out);
            writer.write_batches(&answer.batches.iter().collect::<Vec<_>>())?;
            writer.finish()?;
        }
        Format::Parquet => {
            let mut writer = plain_types::writer(&mut *out, &answer.schema, WriterProperties::default())?;
            for batch in &answer.batches {
                writer.write(batch)?;
            }
            writer.close()?;
        }
        Format::Arrow => {
            let mut writer = StreamWriter::try_new(&mut *out, &answer.schema)?;
            for batch in &answer.batches {
                writer.write(batch)?;
            }
            writer.finish()?;
        }
    }
    out.flush().map_err(failed)
}
