//! Writes an answer bit by bit, in pieces that a socket takes.

use std::io::{self, Write};

use datafusion::arrow::{
    array::RecordBatch,
    csv::{Writer as CsvWriter, WriterBuilder as CsvWriterBuilder},
    datatypes::SchemaRef,
    ipc::writer::StreamWriter,
    json::{
        WriterBuilder,
        writer::{JsonArray, LineDelimited, Writer},
    },
};

use super::{
    frame::{Channel, FrameKind},
    messages::AnswerFormat,
};
use crate::{compact::compact, error::Error};

/// Bytes of an answer in one frame: what a socket takes at once, more or less.
const PIECE_BYTES: usize = 64 << 10;
/// Rows that are written between two looks at how much there is.
const ROWS_AT_ONCE: usize = 1_024;

/// Sends what is written to it, piece by piece.
pub(super) struct Pieces<'a> {
    channel: &'a mut dyn Channel,
    piece: Vec<u8>,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(channel: &'a mut dyn Channel) -> Self {
        Self { channel, piece: Vec::with_capacity(PIECE_BYTES) }
    }

    fn send(&mut self) -> io::Result<()> {
        if !self.piece.is_empty() {
            self.channel.send(FrameKind::Data, &self.piece)?;
            self.piece.clear();
        }
        Ok(())
    }
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE_BYTES - self.piece.len());
        self.piece.extend_from_slice(bytes.get(..taken).unwrap_or(bytes));
        if self.piece.len() == PIECE_BYTES {
            self.send()?;
        }
        Ok(taken)
    }

    // The writers flush after each batch; a piece goes when it is full, and at the end.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The writers of the forms.
enum Writing<W: Write> {
    Json(Writer<W, JsonArray>),
    Lines(Writer<W, LineDelimited>),
    Csv(Box<CsvWriter<W>>),
    Arrow(Box<StreamWriter<W>>),
}

/// Writes all of `batches` to `pieces` and sends the last of them.
///
/// # Errors
/// When a value cannot be written in this form, or nobody takes it.
pub(super) fn write(
    pieces: &mut Pieces<'_>,
    form: AnswerFormat,
    schema: &SchemaRef,
    batches: Vec<RecordBatch>,
) -> Result<(), Error> {
    let builder = || WriterBuilder::new().with_explicit_nulls(true);
    let mut writing = match form {
        AnswerFormat::Json => Writing::Json(builder().build(&mut *pieces)),
        AnswerFormat::Ndjson => Writing::Lines(builder().build(&mut *pieces)),
        AnswerFormat::Csv => Writing::Csv(Box::new(CsvWriterBuilder::new().with_header(true).build(&mut *pieces))),
        AnswerFormat::Arrow => Writing::Arrow(Box::new(StreamWriter::try_new(&mut *pieces, schema)?)),
    };
    if batches.is_empty()
        && let Writing::Csv(writer) = &mut writing
    {
        // An answer without rows has columns all the same.
        writer.write(&RecordBatch::new_empty(SchemaRef::clone(schema)))?;
    }
    // Each batch is let go when it is written: what waits for a slow reader grows less.
    for batch in batches {
        for from in (0..batch.num_rows()).step_by(ROWS_AT_ONCE) {
            let some = batch.slice(from, ROWS_AT_ONCE.min(batch.num_rows() - from));
            match &mut writing {
                Writing::Json(writer) => writer.write(&some)?,
                Writing::Lines(writer) => writer.write(&some)?,
                Writing::Csv(writer) => writer.write(&some)?,
                Writing::Arrow(writer) => writer.write(&compact(&some)?)?,
            }
        }
    }
    match &mut writing {
        Writing::Json(writer) => writer.finish()?,
        Writing::Lines(writer) => writer.finish()?,
        Writing::Csv(_) => {}
        Writing::Arrow(writer) => writer.finish()?,
    }
    drop(writing);
    pieces.send().map_err(|error| Error::Engine(format!("the answer could not be handed over: {error}")))
}
