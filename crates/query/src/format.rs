//! Writes an answer in the formats that people and programs read.

use std::{io::Write, str::FromStr, sync::Arc};

use datafusion::{
    arrow::{
        array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringArray},
        compute::cast,
        csv::WriterBuilder as CsvWriterBuilder,
        datatypes::{DataType, Field, Schema, SchemaRef},
        ipc::writer::StreamWriter,
        json::{
            Writer, WriterBuilder,
            writer::{JsonArray, LineDelimited},
        },
        util::{
            display::{ArrayFormatter, FormatOptions},
            pretty::pretty_format_batches,
        },
    },
    parquet::{
        arrow::ArrowWriter,
        basic::{Compression, ZstdLevel},
        file::properties::WriterProperties,
    },
};

use lakehead_model::hint::printable;

use crate::{answer::Answer, error::Error, plain_types, writable};

/// Rows in one row group of a file that is written as rows come: a few tens of megabytes of events of 1 KB, which is what
/// the writer holds in memory.
const ROW_GROUP_ROWS: usize = 50_000;

/// Rows that become lines at once: few, so that a piece of lines is not much larger than it is to be, however long they are.
const LINES_ROWS: usize = 64;

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
    /// One JSON array of objects; NULL is `null`, so that every row has every column.
    Json,
    /// One JSON object a line; NULL is `null`.
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
            "table" | "text" => Self::Table,
            "csv" => Self::Csv,
            "json" => Self::Json,
            "jsonl" | "ndjson" => Self::Ndjson,
            "parquet" => Self::Parquet,
            "arrow" => Self::Arrow,
            _ => return Err(format!("{text:?} is no format; valid are table, csv, json, jsonl, parquet, arrow")),
        })
    }
}

/// Writes rows as they come, in one of the forms that need not hold them all.
pub enum RowWriter<W: Write + Send> {
    /// The first column, which is text, as it is, a line each.
    Verbatim(W),
    /// One JSON object a line; NULL is `null`.
    Lines(Writer<W, LineDelimited>),
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
        Self::Lines(with_nulls().build(out))
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

/// The rows as JSON lines, in pieces of `piece_bytes` and some lines more, each written when it is asked for. After an error
/// there is nothing to ask for.
pub fn lines(
    rows: impl Iterator<Item = Result<RecordBatch, Error>>,
    piece_bytes: usize,
) -> impl Iterator<Item = Result<Vec<u8>, Error>> {
    let mut parts = rows.flat_map(|batch| {
        let (batch, failed) = match batch {
            Ok(batch) => (Some(batch), None),
            Err(error) => (None, Some(Err(error))),
        };
        batch.into_iter().flat_map(few_rows).map(Ok).chain(failed)
    });
    std::iter::from_fn(move || {
        let mut piece = Vec::new();
        while piece.len() < piece_bytes
            && let Some(rows) = parts.next()
        {
            if let Err(error) = add_lines(&mut piece, rows) {
                return Some(Err(error));
            }
        }
        (!piece.is_empty()).then_some(Ok(piece))
    })
}

fn few_rows(batch: RecordBatch) -> impl Iterator<Item = RecordBatch> {
    let rows = batch.num_rows();
    (0..rows).step_by(LINES_ROWS).map(move |from| batch.slice(from, LINES_ROWS.min(rows - from)))
}

fn add_lines(piece: &mut Vec<u8>, rows: Result<RecordBatch, Error>) -> Result<(), Error> {
    let mut lines = RowWriter::lines(piece);
    lines.write(&rows?)?;
    lines.finish()?;
    Ok(())
}

fn with_nulls() -> WriterBuilder {
    WriterBuilder::new().with_explicit_nulls(true)
}

/// The rows as texts that a terminal may be given: what would move its cursor, colour it or turn its writing around is
/// shown, not done.
fn printable_rows(rows: &RecordBatch) -> Result<RecordBatch, Error> {
    let options = FormatOptions::default();
    let column = |column: &ArrayRef| -> Result<ArrayRef, Error> {
        let shown = ArrayFormatter::try_new(column, &options)?;
        let cell = |row| match column.is_null(row) {
            true => Ok(None),
            false => Ok(Some(printable(&shown.value(row).try_to_string()?).into_owned())),
        };
        let cells = (0..column.len()).map(cell).collect::<Result<StringArray, Error>>()?;
        Ok(Arc::new(cells))
    };
    let columns = rows.columns().iter().map(column).collect::<Result<Vec<_>, _>>()?;
    let name = |field: &Arc<Field>| Field::new(printable(field.name()).into_owned(), DataType::Utf8, true);
    let schema = Arc::new(Schema::new(rows.schema().fields().iter().map(name).collect::<Vec<_>>()));
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
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
        Format::Table => {
            let rows = answer.batches.iter().map(printable_rows).collect::<Result<Vec<_>, _>>()?;
            let rows = match rows.is_empty() {
                true => vec![printable_rows(&RecordBatch::new_empty(Arc::clone(&answer.schema)))?],
                false => rows,
            };
            writeln!(out, "{}", pretty_format_batches(&rows)?).map_err(failed)?;
        }
        Format::Csv => {
            let mut writer = CsvWriterBuilder::new().with_header(true).build(&mut *out);
            for batch in &answer.batches {
                writer.write(batch)?;
            }
        }
        Format::Json => {
            let mut writer = with_nulls().build::<_, JsonArray>(&mut *out);
            writer.write_batches(&answer.batches.iter().collect::<Vec<_>>())?;
            writer.finish()?;
        }
        Format::Ndjson => {
            let mut writer = with_nulls().build::<_, LineDelimited>(&mut *out);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Answer {
        let texts = StringArray::from(vec![Some("a\u{1b}[2Jb\nc\u{9b}\u{202e}ä"), None]);
        let schema = Arc::new(Schema::new(vec![Field::new("t\u{7}", DataType::Utf8, true)]));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(texts)]).expect("rows");
        Answer { schema, batches: vec![batch], truncated: false, warnings: Vec::new() }
    }

    fn written(format: Format) -> String {
        let mut out = Vec::new();
        write(&answer(), format, &mut out).expect("written");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_table_shows_control_characters_and_does_none_of_them() {
        let table = written(Format::Table);
        assert!(table.contains(r"a\u{1b}[2Jb\nc\u{9b}\u{202e}ä") && table.contains(r"t\u{7}"), "{table}");
        assert!(!table.contains(|c: char| c.is_control() && c != '\n'), "{table:?}");
        assert_eq!(table.lines().count(), 6, "{table}");
    }

    #[test]
    fn a_null_stays_in_json() {
        assert!(written(Format::Json).ends_with(r#",{"t\u0007":null}]"#), "{}", written(Format::Json));
        assert_eq!(written(Format::Ndjson).lines().last(), Some(r#"{"t\u0007":null}"#));
        let mut lines = RowWriter::lines(Vec::new());
        lines.write(&answer().batches[0]).expect("written");
        let lines = String::from_utf8(lines.finish().expect("whole")).expect("text");
        assert_eq!(lines.lines().last(), Some(r#"{"t\u0007":null}"#));
    }

    #[test]
    fn lines_come_in_pieces_that_make_the_whole_and_an_error_ends_them() {
        let numbers = datafusion::arrow::array::Int64Array::from_iter_values(0..1_000);
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(numbers)]).expect("rows");
        let answer = Answer { schema, batches: vec![batch.clone(), batch], truncated: false, warnings: Vec::new() };
        let mut whole = Vec::new();
        write(&answer, Format::Ndjson, &mut whole).expect("written");
        let mut written = Vec::new();
        for piece in lines(answer.batches.clone().into_iter().map(Ok), 4_000) {
            let piece = piece.expect("lines");
            assert!(piece.len() < 4_000 + LINES_ROWS * 12, "{} bytes", piece.len());
            written.extend(piece);
        }
        assert_eq!(written, whole);
        let failed = [Err(Error::Engine("the file is gone".to_owned()))];
        let pieces: Vec<_> = lines(answer.batches.into_iter().map(Ok).chain(failed), 1_000_000).collect();
        assert!(matches!(pieces[..], [Err(Error::Engine(_))]), "a part is not taken for the whole");
    }

    #[test]
    fn both_names_of_a_format_are_taken() {
        for (one, other) in [("table", "text"), ("jsonl", "ndjson")] {
            assert_eq!(one.parse::<Format>(), other.parse());
        }
        assert!("xml".parse::<Format>().is_err_and(|what| what.contains("jsonl")));
    }
}
