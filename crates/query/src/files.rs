//! The files of a view: result files and partial rows for each result period, written once and never changed.
//!
//! ```text
//!   views/<view>/2026-11-23T10.parquet          what other programs read: always exactly one file for a period
//!   views/<view>/.state/checkpoint.json         what is true, see checkpoint.rs
//!   views/<view>/.state/next.json               the same of a view that is built beside it, to take its place
//!   views/<view>/.state/2026-11-23T10.0.7.result   the result file by build and generation, which queries pin
//!   views/<view>/.state/2026-11-23T10.0.7.partial  partial rows of the period, for as long as late events may come
//!   views/<view>/.state/2026-11-23T10.0.7.part     rows of a projection in a period that is not over
//!   views/<view>/.state/state.0.7.2.partial        a run of the state: partial rows of open windows
//!   views/<view>/.state/changes.0.7.arrow          what the commit changed in the results
//! ```
//!
//! Each of them has a checksum, which is computed while it is written, stands in the checkpoint, and is compared before the
//! file is read ([`check`]).
//!
//! A result file that a newer one replaces is deleted when the last query that reads it is done. Who opens a view again, as a
//! reload does, finds the files that are pinned by [`pinned`], shares them, and lets those be that are still read.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use crc_fast::{CrcAlgorithm, Digest};
use datafusion::{
    arrow::{
        array::RecordBatch,
        datatypes::SchemaRef,
        ipc::{reader::FileReader, writer::FileWriter},
    },
    parquet::{
        arrow::ArrowWriter,
        basic::{Compression, ZstdLevel},
        file::{metadata::SortingColumn, properties::WriterProperties},
    },
};
use lakehead_model::{TimeRange, Timestamp};
use lakehead_store::crash;

use crate::{
    Error,
    compact::compact,
    plain_types,
    state::RunFile,
    syncing::{Syncing, sync_folder},
};

/// The folder of one view.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    public: PathBuf,
    state: PathBuf,
}

/// Which of a view's checkpoints: the one that is answered from, or the one that is built to take its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// What is answered from.
    Current,
    /// What is built beside it.
    Next,
}

/// A result file, pinned for as long as somebody holds it. There is one for each path in a process, so that whoever replaces a
/// file knows of everyone who reads it; no path is ever used for two files.
#[derive(Debug)]
pub(crate) struct ResultFile {
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    /// Its checksum, 0 where none is known.
    pub(crate) sum: u64,
    superseded: AtomicBool,
}

/// What is pinned, by path.
static PINNED: Mutex<BTreeMap<PathBuf, Weak<ResultFile>>> = Mutex::new(BTreeMap::new());

// Nothing that pins a file may be dropped under this lock: the drop takes it.
fn pinned() -> MutexGuard<'static, BTreeMap<PathBuf, Weak<ResultFile>>> {
    PINNED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The last life of each view in this process, by the folder of its state: its files and checkpoints may all be gone while
/// somebody still reads them, and their paths must not be used again.
static BUILDS: Mutex<BTreeMap<PathBuf, u64>> = Mutex::new(BTreeMap::new());

fn builds() -> MutexGuard<'static, BTreeMap<PathBuf, u64>> {
    BUILDS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ResultFile {
    /// A newer one took its place: delete it when nobody reads it any more.
    pub(crate) fn supersede(&self) {
        self.superseded.store(true, Ordering::Relaxed);
    }
}

impl Drop for ResultFile {
    fn drop(&mut self) {
        let mut pinned = pinned();
        // Somebody may have pinned it anew since the last holder let go.
        if pinned.get(&self.path).is_none_or(|file| file.strong_count() == 0) {
            pinned.remove(&self.path);
            if self.superseded.load(Ordering::Relaxed) {
                // What cannot be deleted is left over and swept at the next opening.
                let _ = remove(&self.path);
            }
        }
    }
}

impl Folder {
    /// The folder of `view` under `data`. Nothing is created.
    pub(crate) fn new(data: &Path, view: &str) -> Self {
        let public = data.join("views").join(view);
        let state = public.join(".state");
        Self { public, state }
    }

    /// Makes the folders.
    pub(crate) fn create(&self) -> Result<(), Error> {
        fs::create_dir_all(&self.state).map_err(Error::file(&self.state))?;
        sync_folder(&self.public)?;
        if let Some(parent) = self.public.parent() {
            sync_folder(parent)?;
        }
        Ok(())
    }

    pub(crate) fn checkpoint(&self, slot: Slot) -> PathBuf {
        self.state.join(match slot {
            Slot::Current => "checkpoint.json",
            Slot::Next => "next.json",
        })
    }

    pub(crate) fn result(&self, period: TimeRange, build: u64, generation: u64) -> PathBuf {
        self.state.join(format!("{}.{build}.{generation}.result", label(period)))
    }

    pub(crate) fn partial(&self, period: TimeRange, build: u64, generation: u64) -> PathBuf {
        self.state.join(format!("{}.{build}.{generation}.partial", label(period)))
    }

    pub(crate) fn part(&self, period: TimeRange, build: u64, generation: u64) -> PathBuf {
        self.state.join(format!("{}.{build}.{generation}.part", label(period)))
    }

    pub(crate) fn run(&self, build: u64, run: RunFile) -> PathBuf {
        self.state.join(format!("state.{build}.{}.{}.partial", run.generation, run.number))
    }

    pub(crate) fn changes(&self, build: u64, generation: u64) -> PathBuf {
        self.state.join(format!("changes.{build}.{generation}.arrow"))
    }

    fn public(&self, period: TimeRange) -> PathBuf {
        self.public.join(format!("{}.parquet", label(period)))
    }

    /// Makes `result` what other programs see for `period`, in one step.
    pub(crate) fn publish(&self, period: TimeRange, result: &Path) -> Result<(), Error> {
        let step = self.state.join("publishing");
        let public = self.public(period);
        let _ = fs::remove_file(&step);
        // A file system without hard links gets a copy.
        fs::hard_link(result, &step).or_else(|_| fs::copy(result, &step).map(|_| ())).map_err(Error::file(&step))?;
        fs::rename(&step, &public).map_err(Error::file(&public))
    }

    /// Takes the result file of `period` away from where other programs see it: the period has no rows any more.
    pub(crate) fn unpublish(&self, period: TimeRange) -> Result<(), Error> {
        let public = self.public(period);
        match fs::remove_file(&public) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file(&public)(error)),
            _ => Ok(()),
        }
    }

    /// Deletes every file of the state that is not in `keep`: what a crash left half done. The results are rebuilt from the
    /// log, so nothing here is anybody's only copy.
    pub(crate) fn sweep(&self, keep: &HashSet<PathBuf>) -> Result<(), Error> {
        sweep(&self.state, keep)
    }

    /// Deletes what other programs would see and should not.
    pub(crate) fn sweep_public(&self, keep: &HashSet<PathBuf>) -> Result<(), Error> {
        sweep(&self.public, keep)
    }

    /// The folder of the state.
    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// The folder that other programs look into.
    pub(crate) fn shown(&self) -> &Path {
        &self.public
    }

    /// The number of a new life of the view, which none before had: `known` is the last that a checkpoint names.
    pub(crate) fn next_build(&self, known: Option<u64>) -> u64 {
        let mut builds = builds();
        let last = [known, self.last_build(), builds.get(&self.state).copied()].into_iter().flatten().max();
        let next = last.map_or(0, |last| last + 1);
        builds.insert(self.state.clone(), next);
        next
    }

    /// The view goes on with this life.
    pub(crate) fn note_build(&self, build: u64) {
        let mut builds = builds();
        let last = builds.entry(self.state.clone()).or_default();
        *last = build.max(*last);
    }

    /// The latest of the view's lives that any file here is of, whether a checkpoint names it or not.
    fn last_build(&self) -> Option<u64> {
        // PERIOD.BUILD.GENERATION.result, state.BUILD.GENERATION.NUMBER.partial, changes.BUILD.GENERATION.arrow
        let of = |name: String| name.split('.').find_map(|part| part.parse::<u64>().ok());
        let names = fs::read_dir(&self.state).into_iter().flatten().flatten();
        names.filter_map(|entry| of(entry.file_name().to_string_lossy().into_owned())).max()
    }

    /// The name that other programs see for `period`.
    pub(crate) fn public_path(&self, period: TimeRange) -> PathBuf {
        self.public(period)
    }
}

fn sweep(folder: &Path, keep: &HashSet<PathBuf>) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(Error::file(folder))? {
        let path = entry.map_err(Error::file(folder))?.path();
        if !path.is_file() || keep.contains(&path) {
            continue;
        }
        let read = pinned().get(&path).and_then(Weak::upgrade);
        match read {
            Some(file) => file.supersede(),
            None => match remove(&path) {
                // Who read it last may just have let go.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::file(&path)(error)),
                _ => {}
            },
        }
    }
    Ok(())
}

/// `2026-11-23T10` for an hour of UTC, `2026-11-23` for a day of UTC, both ends for anything else, such as a day elsewhere.
pub(crate) fn label(period: TimeRange) -> String {
    let text = |time: Timestamp| time.to_string().replace(':', "");
    let start = period.start.to_string();
    let is_whole = |seconds: i64| {
        let micros = seconds * 1_000_000;
        period.start.0.rem_euclid(micros) == 0 && period.end.0.saturating_sub(period.start.0) == micros
    };
    // A year before 0 is written with more digits, so places in the text are not counted from its start.
    let (date, time) = start.split_once('T').unwrap_or((&start, ""));
    match (is_whole(3_600), is_whole(86_400)) {
        (true, _) => format!("{date}T{}", time.get(..2).unwrap_or(time)),
        (_, true) => date.to_owned(),
        _ => format!("{}_{}", text(period.start), text(period.end)),
    }
}

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

/// Where other programs see the result file of `period` that lies at `result`.
pub(crate) fn public_beside(result: &Path, period: TimeRange) -> Option<PathBuf> {
    let public = result.parent()?.parent()?;
    Some(public.join(format!("{}.parquet", label(period))))
}

/// Replaces `path` by `bytes` in one step that survives a power cut.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let step = path.with_extension("writing");
    let mut file = File::create(&step).map_err(Error::file(&step))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(Error::file(&step))?;
    crash::point("checkpoint.written");
    fs::rename(&step, path).map_err(Error::file(path))?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Puts the checkpoint that was built beside in the place of the other: the change of a view's SQL, in one step.
pub(crate) fn swap(folder: &Folder) -> Result<(), Error> {
    let (next, current) = (folder.checkpoint(Slot::Next), folder.checkpoint(Slot::Current));
    crash::point("view.swap");
    fs::rename(&next, &current).map_err(Error::file(&current))?;
    sync_folder(&folder.state)
}

/// A file that is written, and the checksum of what was.
struct Summing {
    file: File,
    digest: Digest,
}

impl Summing {
    fn create(path: &Path) -> Result<Self, Error> {
        let file = File::create(path).map_err(Error::file(path))?;
        Ok(Self { file, digest: Digest::new(CrcAlgorithm::Crc64Nvme) })
    }

    /// Hands the file over to be synced and notes its checksum; answers its size.
    fn finish(self, path: &Path, syncing: &mut Syncing) -> Result<u64, Error> {
        syncing.add(&self.file, path)?;
        let about = self.file.metadata().map_err(Error::file(path))?;
        let summed = Summed { sum: self.digest.finalize(), as_of: Some(AsOf::of(&about)) };
        sums().insert(path.to_owned(), summed);
        Ok(about.len())
    }
}

impl Write for Summing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digest.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// What is known of a file's checksum.
#[derive(Clone, Copy, Debug)]
struct Summed {
    sum: u64,
    /// When it was last found to be that of the file: a file that has not changed since is not read again for it.
    as_of: Option<AsOf>,
}

/// How a file looks from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct AsOf {
    inode: u64,
    bytes: u64,
    /// In seconds and nanoseconds.
    modified: (i64, i64),
}

impl AsOf {
    fn of(about: &fs::Metadata) -> Self {
        Self { inode: about.ino(), bytes: about.len(), modified: (about.mtime(), about.mtime_nsec()) }
    }
}

/// The checksums of all files of views that this process has written or that a checkpoint names. One entry a file, which goes
/// with it.
static SUMS: Mutex<BTreeMap<PathBuf, Summed>> = Mutex::new(BTreeMap::new());

fn sums() -> MutexGuard<'static, BTreeMap<PathBuf, Summed>> {
    SUMS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The checksum of `bytes`.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    crc_fast::checksum(CrcAlgorithm::Crc64Nvme, bytes)
}

/// Says what a checkpoint says: that of these files, by name, the checksums are those. A file that has none there, since its
/// checkpoint is of a format without, is taken as it is found.
///
/// # Errors
/// [`Error::File`] when one is not there, [`Error::Damaged`] when one is not what it was.
pub(crate) fn expect<'a>(paths: impl Iterator<Item = &'a PathBuf>, named: &BTreeMap<String, u64>) -> Result<(), Error> {
    for path in paths {
        let sum = path.file_name().and_then(|name| named.get(&*name.to_string_lossy()));
        match sum {
            Some(sum) => {
                let mut sums = sums();
                if sums.get(path).is_none_or(|known| known.sum != *sum) {
                    sums.insert(path.clone(), Summed { sum: *sum, as_of: None });
                }
            }
            None => {
                let sum = sum_of(path)?;
                sums().insert(path.clone(), Summed { sum, as_of: None });
            }
        }
        check(path)?;
    }
    Ok(())
}

/// Compares a file with its checksum, unless it looks as it did when it last was what it should be.
///
/// # Errors
/// [`Error::File`] when it cannot be read, [`Error::Damaged`] when it is not what it was.
pub(crate) fn check(path: &Path) -> Result<(), Error> {
    let Some(known) = sums().get(path).copied() else { return Ok(()) };
    let now = AsOf::of(&fs::metadata(path).map_err(Error::file(path))?);
    if known.as_of == Some(now) {
        return Ok(());
    }
    if sum_of(path)? != known.sum {
        return Err(Error::Damaged { path: path.to_owned() });
    }
    sums().entry(path.to_owned()).and_modify(|known| known.as_of = Some(now));
    Ok(())
}

/// Takes what another process says a file's checksum is, for the next [`check`]. What is known already stays: no path is ever
/// used for two files.
pub(crate) fn told(path: &Path, sum: u64) {
    sums().entry(path.to_owned()).or_insert(Summed { sum, as_of: None });
}

/// A file's name and checksum, if that is known.
pub(crate) fn sum(path: &Path) -> Option<(String, u64)> {
    let sum = sums().get(path)?.sum;
    Some((path.file_name()?.to_string_lossy().into_owned(), sum))
}

/// Bytes of a file that are read at once for its checksum.
const READ_BYTES: usize = 256 << 10;

fn sum_of(path: &Path) -> Result<u64, Error> {
    let mut file = File::open(path).map_err(Error::file(path))?;
    let (mut digest, mut bytes) = (Digest::new(CrcAlgorithm::Crc64Nvme), vec![0; READ_BYTES]);
    loop {
        match file.read(&mut bytes).map_err(Error::file(path))? {
            0 => return Ok(digest.finalize()),
            count => digest.update(bytes.get(..count).unwrap_or_default()),
        }
    }
}

/// Deletes a file, and forgets its checksum.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    sums().remove(path);
    fs::remove_file(path)
}

/// Pins a result file.
pub(crate) fn result_file(path: PathBuf, size: u64) -> Arc<ResultFile> {
    let sum = sums().get(&path).map_or(0, |known| known.sum);
    let mut pinned = pinned();
    if let Some(file) = pinned.get(&path).and_then(Weak::upgrade) {
        return file;
    }
    let file = Arc::new(ResultFile { path: path.clone(), size, sum, superseded: AtomicBool::new(false) });
    pinned.insert(path, Arc::downgrade(&file));
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_life_of_a_view_has_the_number_of_another_also_when_all_its_files_are_gone() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::new(dir.path(), "v");
        folder.create().expect("created");
        assert_eq!([(); 2].map(|()| folder.next_build(None)), [0, 1]);
        folder.note_build(7);
        folder.note_build(3);
        assert_eq!(folder.next_build(Some(5)), 8);
        fs::write(folder.state().join("2026-01-01.20.2.result"), "").expect("a file");
        assert_eq!(folder.next_build(None), 21);
        assert_eq!(Folder::new(dir.path(), "other").next_build(Some(4)), 5);
    }

    #[test]
    fn a_file_that_is_read_outlives_a_sweep_and_goes_with_its_last_reader() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = |name: &str| dir.path().join(name);
        for name in ["kept", "read", "left"] {
            fs::write(path(name), name).expect("a file");
        }
        let (read, again) = (result_file(path("read"), 4), result_file(path("read"), 4));
        assert!(Arc::ptr_eq(&read, &again), "there is one for each path");
        let there = || ["kept", "read", "left"].map(|name| path(name).exists());
        sweep(dir.path(), &HashSet::from([path("kept")])).expect("it can be swept");
        assert_eq!(there(), [true, true, false]);
        drop(read);
        assert_eq!(there(), [true, true, false]);
        drop(again);
        assert_eq!(there(), [true, false, false]);
        drop(result_file(path("kept"), 4));
        assert_eq!(there(), [true, false, false], "nothing took its place");
    }

    #[test]
    fn periods_are_named_by_what_they_cover() {
        let range = |start: &str, end: &str| TimeRange {
            start: start.parse().expect("a time"),
            end: end.parse().expect("a time"),
        };
        let hour = |n: i64| TimeRange { start: Timestamp(n * 3_600_000_000), end: Timestamp((n + 1) * 3_600_000_000) };
        let before_year_0: HashSet<String> = (-17_600_000..-17_599_900).map(|n| label(hour(n))).collect();
        assert_eq!(before_year_0.len(), 100, "every period has a file of its own");
        assert_eq!(label(range("2026-11-23T10:00:00Z", "2026-11-23T11:00:00Z")), "2026-11-23T10");
        assert_eq!(label(range("2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z")), "2026-11-23");
        assert_eq!(
            label(range("2026-11-19T00:00:00Z", "2026-11-26T00:00:00Z")),
            "2026-11-19T000000Z_2026-11-26T000000Z"
        );
        // A day in Berlin is none of UTC, though it may be as long.
        assert_eq!(
            label(range("2026-11-22T23:00:00Z", "2026-11-23T23:00:00Z")),
            "2026-11-22T230000Z_2026-11-23T230000Z"
        );
    }
}
