//! The worker's side: takes a query, asks for its tables, answers.

use std::io;

use datafusion::{arrow::datatypes::SchemaRef, execution::SessionState};
use lakehead_store::BlockCache;
use serde::de::DeserializeOwned;

use super::{
    frame::{Channel, Frame, FrameKind},
    messages::{AnswerFormat, AnswerHead, Failure, Query, TableRequest},
    tables::Tables,
    written::{self, Pieces},
};
use crate::{answer::Limits, compact::compact, error::Error, lake, wording::parsed, writable};

/// Answers one query after another. It has nothing of the lake but what it is told for each of them.
pub struct Worker {
    base: SessionState,
    block_cache: BlockCache,
}

/// Why a query was not answered.
enum Stop {
    /// The asker is told what is wrong.
    Wrong(Error),
    /// The asker is told in its own words.
    Told(Failure),
    /// There is nobody to tell.
    Gone(io::Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Wrong(error)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Gone(error)
    }
}

impl Worker {
    /// A worker whose queries use no more than `limits.memory`, as far as DataFusion accounts for it.
    ///
    /// # Errors
    /// When the query engine cannot be set up.
    pub fn new(limits: Limits) -> Result<Self, Error> {
        Ok(Self { base: lake::base(limits)?, block_cache: BlockCache::default() })
    }

    /// Answers what comes over `channel` until the other end goes.
    ///
    /// # Errors
    /// When the other end breaks off, or says what was not expected.
    pub async fn serve(&self, channel: &mut dyn Channel) -> io::Result<()> {
        while let Some(frame) = channel.receive()? {
            let query: Query = expect(frame, FrameKind::Query)?;
            let failure = match self.answer(&query, channel).await {
                Ok(()) => {
                    channel.send(FrameKind::Done, &[])?;
                    continue;
                }
                Err(Stop::Wrong(error)) => Failure::from(match &query.part {
                    Some(part) => error.of_part(&part.text, part.start),
                    None => error,
                }),
                Err(Stop::Told(failure)) => failure,
                Err(Stop::Gone(error)) => return Err(error),
            };
            channel.send(FrameKind::Failed, &serde_json::to_vec(&failure)?)?;
        }
        Ok(())
    }

    async fn answer(&self, query: &Query, channel: &mut dyn Channel) -> Result<(), Stop> {
        let ask = self.tables_of(&query.sql).map_err(|error| error.in_text(&query.sql, &self.base))?;
        channel.send(FrameKind::Ask, &serde_json::to_vec(&ask).map_err(io::Error::from)?)?;
        let frame = channel.receive()?.ok_or_else(gone)?;
        if frame.kind == FrameKind::Failed {
            return Err(Stop::Told(expect(frame, FrameKind::Failed)?));
        }
        let Tables { tables, known, warnings } = expect(frame, FrameKind::Tables)?;
        let mut opened = Vec::with_capacity(tables.len());
        for table in tables {
            let rows = match table.has_rows() {
                true => {
                    Some(channel.receive()?.filter(|frame| frame.kind == FrameKind::Rows).ok_or_else(gone)?.content)
                }
                false => None,
            };
            let (name, table) = table.open(rows, &self.block_cache)?;
            opened.push((name.to_string(), table));
        }
        let state = lake::with_tables(&self.base, opened, query.threads)?;
        // All of it before the first byte: whoever gets an answer gets a whole one, and learns before it that rows were cut.
        let mut rows = lake::begin(state, &query.sql, &known).await?;
        let (schema, mut batches, mut count, mut truncated) = (SchemaRef::clone(&rows.schema), Vec::new(), 0, false);
        while let Some(batch) = rows.next().await {
            // Without the events that its texts lie in, which are many times as large.
            let batch = compact(&batch?).map_err(Error::from)?;
            if query.form != AnswerFormat::Arrow {
                writable::check(&batch)?;
            }
            let room = query.rows - count;
            truncated = batch.num_rows() > room;
            count += batch.num_rows().min(room);
            batches.push(if truncated { batch.slice(0, room) } else { batch });
            if truncated {
                break;
            }
        }
        drop(rows);
        let head = Frame::json(FrameKind::Head, &AnswerHead { rows: count, truncated, warnings })?;
        channel.send(head.kind, &head.content)?;
        Ok(written::write(&mut Pieces::new(channel), query.form, &schema, batches)?)
    }

    /// The tables that `sql` names.
    fn tables_of(&self, sql: &str) -> Result<TableRequest, Error> {
        let statement = parsed(&self.base, sql)?;
        let mut ask = TableRequest::default();
        let tables = self.base.resolve_table_references(&statement)?;
        ask.names.extend(tables.iter().map(|table| table.table().to_owned()));
        ask.names.sort();
        ask.names.dedup();
        Ok(ask)
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the tables did not come")
}

fn expect<T: DeserializeOwned>(frame: Frame, kind: FrameKind) -> io::Result<T> {
    if frame.kind != kind {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{kind:?} was expected, not {:?}", frame.kind)));
    }
    Ok(serde_json::from_slice(&frame.content)?)
}
