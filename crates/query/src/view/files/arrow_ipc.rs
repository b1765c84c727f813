//! Files of partial rows and of changes: Arrow IPC, each batch in buffers of its own.

use std::{
    fs::File,
    io::BufWriter,
    path::{Path, PathBuf},
};

use datafusion::arrow::{
    array::RecordBatch,
    datatypes::SchemaRef,
    ipc::{reader::FileReader, writer::FileWriter},
};

use super::checksum::{Summing, check};
use crate::{compact::compact, error::Error, syncing::Syncing};

/// An Arrow IPC file under way.
pub(crate) struct IpcWriter {
    path: PathBuf,
    writer: FileWriter<BufWriter<Summing>>,
}

impl IpcWriter {
    pub(crate) fn create(path: &Path, schema: &SchemaRef) -> Result<Self, Error> {
        let writer = FileWriter::try_new(BufWriter::new(Summing::create(path)?), schema)?;
        Ok(Self { path: path.to_owned(), writer })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        Ok(self.writer.write(&compact(batch)?)?)
    }

    /// Writes the file to its end; answers its size.
    pub(crate) fn finish(self, syncing: &mut Syncing) -> Result<u64, Error> {
        let file = self.writer.into_inner()?.into_inner().map_err(|e| Error::file(&self.path)(e.into_error()))?;
        file.finish(&self.path, syncing)
    }
}

/// Writes partial rows as Arrow IPC; answers the file's size.
pub(crate) fn write_partial(
    path: &Path,
    schema: &SchemaRef,
    batches: &[RecordBatch],
    syncing: &mut Syncing,
) -> Result<u64, Error> {
    let mut writer = IpcWriter::create(path, schema)?;
    batches.iter().try_for_each(|batch| writer.write(batch))?;
    writer.finish(syncing)
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
