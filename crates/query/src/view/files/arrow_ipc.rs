//! Files of partial rows and of changes: Arrow IPC, each batch in buffers of its own.

use std::{fs::File, io::BufWriter, path::Path};

use datafusion::arrow::{
    array::RecordBatch,
    datatypes::SchemaRef,
    ipc::{reader::FileReader, writer::FileWriter},
};

use super::checksum::{Summing, check};
use crate::{compact::compact, error::Error, syncing::Syncing};

/// Writes partial rows as Arrow IPC; answers the file's size.
pub(crate) fn write_partial(
    path: &Path,
    schema: &SchemaRef,
    batches: &[RecordBatch],
    syncing: &mut Syncing,
) -> Result<u64, Error> {
    let mut writer = FileWriter::try_new(BufWriter::new(Summing::create(path)?), schema)?;
    for batch in batches {
        writer.write(&compact(batch)?)?;
    }
    let file = writer.into_inner()?.into_inner().map_err(|e| Error::file(path)(e.into_error()))?;
    file.finish(path, syncing)
}

/// Reads partial rows back.
pub(crate) fn read_partial(path: &Path) -> Result<Vec<RecordBatch>, Error> {
    partial_batches(path)?.collect()
}

/// Reads partial rows back, bit by bit.
pub(crate) fn partial_batches(path: &Path) -> Result<impl Iterator<Item = Result<RecordBatch, Error>> + use<>, Error> {
    check(path)?;
    let file = File::open(path).map_err(Error::file(path))?;
    let reader = FileReader::try_new_buffered(file, None)?;
    Ok(reader.map(|batch| batch.map_err(Error::from)))
}
