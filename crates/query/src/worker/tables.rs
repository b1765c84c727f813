//! The tables of one moment as a worker is told them, and as it reads them.

use std::{io::Cursor, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use datafusion::{
    arrow::{
        array::RecordBatch,
        datatypes::SchemaRef,
        ipc::{reader::StreamReader, writer::StreamWriter},
    },
    catalog::{Session, TableProvider},
    common::Result,
    logical_expr::{Expr, TableProviderFilterPushDown, TableType},
    physical_plan::ExecutionPlan,
};
use lakehead_model::{Name, Offset, StreamSchema, TimeRange};
use lakehead_store::{BlockCache, Pinned};
use serde::{Deserialize, Serialize};

use super::messages::AnswerHead;
use crate::{
    answer::Answer,
    compact::compact,
    error::Error,
    stream_table::StreamTable,
    view::{files, table},
};

/// All that was asked for.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Tables {
    pub(super) tables: Vec<Told>,
    /// What tables there are, for a message.
    pub(super) known: Vec<String>,
    pub(super) warnings: Vec<String>,
}

/// One table. Those with rows of their own are followed by a frame of them, in this order.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Told {
    /// The events of a stream before an offset.
    Stream { name: Name, schema: StreamSchema, log: Pinned, end: Offset },
    /// A view's result files; the rows that no file holds come in a frame.
    View { name: Name, filed_by: Option<String>, files: Vec<ToldFile> },
}

/// A result file of a view.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ToldFile {
    pub(super) range: TimeRange,
    pub(super) path: PathBuf,
    pub(super) size: u64,
    /// Its checksum, where that is known: it is compared before the file is read.
    pub(super) sum: Option<u64>,
}

impl Told {
    /// Whether a frame of rows belongs to it.
    pub(super) fn has_rows(&self) -> bool {
        !matches!(self, Self::Stream { .. })
    }

    /// The table, of `rows` where it has some.
    pub(super) fn open(
        self,
        rows: Option<Vec<u8>>,
        block_cache: &BlockCache,
    ) -> Result<(Name, Arc<dyn TableProvider>), Error> {
        let rows = rows.map(read).transpose()?;
        let missing = || Error::Engine("the rows of a view are missing".to_owned());
        Ok(match self {
            Self::Stream { name, schema, log, end } => {
                (name, Arc::new(StreamTable::until(log.open(block_cache), schema, end)))
            }
            Self::View { name, filed_by, files } => {
                let (schema, rest) = rows.ok_or_else(missing)?;
                for file in &files {
                    if let Some(sum) = file.sum {
                        files::told(&file.path, sum);
                    }
                }
                (name, Arc::new(HandedView { schema, filed_by, files, rest }))
            }
        })
    }
}

/// Rows as a frame has them.
pub(super) fn rows(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new(&mut bytes, schema)?;
    for batch in batches {
        writer.write(&compact(batch)?)?;
    }
    writer.finish()?;
    drop(writer);
    Ok(bytes)
}

/// The rows of a frame.
pub(super) fn read(bytes: Vec<u8>) -> Result<(SchemaRef, Vec<RecordBatch>), Error> {
    let reader = StreamReader::try_new(Cursor::new(bytes), None)?;
    let schema = reader.schema();
    Ok((schema, reader.collect::<Result<_, _>>()?))
}

/// The answer in the bytes that [`AnswerFormat::Arrow`](super::AnswerFormat::Arrow) is written as.
///
/// # Errors
/// When they are not such.
pub fn answer(bytes: Vec<u8>, head: &AnswerHead) -> Result<Answer, Error> {
    let (schema, batches) = read(bytes)?;
    Ok(Answer { schema, batches, truncated: head.truncated, warnings: head.warnings.clone() })
}

/// A view that was handed over.
#[derive(Debug)]
struct HandedView {
    schema: SchemaRef,
    filed_by: Option<String>,
    files: Vec<ToldFile>,
    rest: Vec<RecordBatch>,
}

#[async_trait]
impl TableProvider for HandedView {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(table::pushdown(self.filed_by.as_deref(), filters))
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files = self.files.iter().map(|file| (file.range, file.path.as_path(), file.size));
        table::scan(state, &self.schema, self.filed_by.as_deref(), files, self.rest.clone(), projection, filters)
    }
}
