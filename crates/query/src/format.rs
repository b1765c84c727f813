//! Writes an answer in the formats that people and programs read.

use std::{io::Write, str::FromStr};

use datafusion::{
    arrow::{
        csv::WriterBuilder as CsvWriterBuilder,
        ipc::writer::StreamWriter,
        json::{ArrayWriter, LineDelimitedWriter},
        util::pretty::pretty_format_batches,
    },
    parquet::arrow::ArrowWriter,
};

use crate::{Answer, Error};

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

/// Writes `answer` to `out`.
///
/// # Errors
/// [`Error::Engine`] when it cannot be written there.
pub fn write(answer: &Answer, format: Format, out: &mut (dyn Write + Send)) -> Result<(), Error> {
    let failed = |e: std::io::Error| Error::Engine(format!("cannot write the answer: {e}"));
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
            let mut writer = ArrowWriter::try_new(&mut *out, answer.schema.clone(), None)?;
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
