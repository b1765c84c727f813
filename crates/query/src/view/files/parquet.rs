//! Result files: Parquet, written and read row group by row group.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use datafusion::{
    arrow::{array::RecordBatch, datatypes::SchemaRef},
    parquet::{
        arrow::ArrowWriter,
        basic::{Compression, ZstdLevel},
        file::{metadata::SortingColumn, properties::WriterProperties},
    },
};

use super::checksum::{Summing, check};
use crate::{error::Error, plain_types, syncing::Syncing};

/// Rows in one row group: a query for a day of a great period reads only the groups that have some of it.
const ROW_GROUP_ROWS: usize = 128 * 1024;

/// A Parquet file under way.
pub(crate) struct ParquetWriter {
    path: PathBuf,
    schema: SchemaRef,
    writer: ArrowWriter<Summing>,
}

impl ParquetWriter {
    pub(crate) fn create(path: &Path, schema: &SchemaRef, sorted_by: &[usize]) -> Result<Self, Error> {
        let level = ZstdLevel::try_new(1).unwrap_or_default();
        let sorting = sorted_by.iter().map(|column| SortingColumn {
            column_idx: i32::try_from(*column).unwrap_or(i32::MAX),
            descending: false,
            nulls_first: true,
        });
        // Sorting columns are numbered by leaves: where a column before them has several, saying nothing is right.
        let flat = schema.fields().iter().all(|field| !field.data_type().is_nested());
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_sorting_columns((flat && !sorted_by.is_empty()).then(|| sorting.collect()))
            .build();
        let writer = plain_types::writer(Summing::create(path)?, schema, properties)?;
        Ok(Self { path: path.to_owned(), schema: SchemaRef::clone(schema), writer })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        Ok(self.writer.write(&batch.clone().with_schema(SchemaRef::clone(&self.schema))?)?)
    }

    /// Writes the file to its end; answers its size.
    pub(crate) fn finish(self, syncing: &mut Syncing) -> Result<u64, Error> {
        self.writer.into_inner()?.finish(&self.path, syncing)
    }
}

/// Reads the rows of a result file back, in the types of `schema`.
pub(crate) fn read_parquet(path: &Path, schema: &SchemaRef) -> Result<Vec<RecordBatch>, Error> {
    parquet_batches(path, schema)?.collect()
}

/// Reads the rows of a result file back, bit by bit.
pub(crate) fn parquet_batches(
    path: &Path,
    schema: &SchemaRef,
) -> Result<impl Iterator<Item = Result<RecordBatch, Error>> + use<>, Error> {
    check(path)?;
    let file = File::open(path).map_err(Error::file(path))?;
    let reader = plain_types::reader(file, schema)?;
    Ok(reader.map(|batch| batch.map_err(Error::from)))
}
