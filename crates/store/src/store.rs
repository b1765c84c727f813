//! A store: one data directory, its streams, one writer.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lakehead_model::{Clock, Name};

use crate::{
    disk::{
        files::{Access, Files},
        layout::Layout,
        log_files::LogFiles,
        system::Disk,
    },
    error::Error,
    format_file::{self, Directory},
    fsck::{check::check, finding::CheckReport, mending::Repaired, put_back::put_all_back, repair::repair},
    lock::Lock,
    no_clock::NoClock,
    options::Options,
    recover::evidence::Witness,
    stream::Stream,
};

/// A data directory, opened for writing by one process, or for reading only.
#[derive(Debug)]
pub struct Store {
    layout: Layout,
    files: Arc<dyn Files>,
    options: Options,
    clock: Arc<dyn Clock>,
    streams: Streams,
    /// Held while the store is open for writing.
    lock: Option<Lock>,
}

/// The streams that a store has opened.
type Streams = Mutex<BTreeMap<Name, Stream>>;

impl Store {
    /// Opens `dir` for writing, and makes it when it is not there or empty.
    ///
    /// # Errors
    /// `Invalid` when an option breaks a bound, when the directory holds something else or belongs to a newer version,
    /// when another process writes it (named with its pid), or when it may not be written.
    pub fn open(dir: &Path, options: Options, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        options.check()?;
        let found = format_file::inspect(dir)?;
        std::fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
        let lock = Lock::take(dir)?;
        if found == Directory::Empty {
            format_file::write(dir)?;
        }
        Ok(Self::on(Arc::new(Disk), dir, options, clock, Some(lock)))
    }

    fn on(files: Arc<dyn Files>, dir: &Path, options: Options, clock: Arc<dyn Clock>, lock: Option<Lock>) -> Self {
        Self { layout: Layout::new(dir), files, options, clock, streams: Streams::default(), lock }
    }

    /// Opens `dir` for reading what is in it now: takes no lock, mends nothing, ignores a torn tail. While a process writes the
    /// directory, ask that instead ([`holder`](crate::holder)): what it appends after this call is not seen.
    ///
    /// # Errors
    /// `Invalid` when the directory is not there, not ours, or belongs to a newer version.
    pub fn open_read_only(dir: &Path) -> Result<Self, Error> {
        match format_file::inspect(dir)? {
            Directory::Ours => Ok(Self::on(Arc::new(Disk), dir, Options::default(), Arc::new(NoClock), None)),
            Directory::Empty => Err(Error::Invalid(format!(
                "{} holds no Lakehead data: name the data directory of a pipeline that has run",
                dir.display()
            ))),
        }
    }

    /// Says where this process can be asked, for those who find the lock held.
    ///
    /// # Errors
    /// When the lock file cannot be written; `Invalid` when opened for reading only.
    pub fn publish_address(&self, address: &str) -> Result<(), Error> {
        match &self.lock {
            Some(lock) => lock.say(Some(address)),
            None => Err(Error::ReadOnly { dir: self.dir().to_owned() }),
        }
    }

    /// The stream of this name: the one that is open, or else opened, mended and, when there is none, created.
    ///
    /// # Errors
    /// `Corrupt` when something that was committed is damaged, naming file and byte; `Invalid` when a newer version wrote
    /// it, or there is none and nothing may be created.
    pub fn stream(&self, name: &Name) -> Result<Stream, Error> {
        let mut streams = self.streams();
        if let Some(stream) = streams.get(name) {
            return Ok(stream.clone());
        }
        let access = if self.lock.is_some() { Access::Write } else { Access::Read };
        if access == Access::Read && !self.names()?.contains(name) {
            return Err(Error::NoStream { stream: name.clone(), dir: self.dir().to_owned() });
        }
        let stream = Stream::open(
            Arc::clone(&self.files),
            self.layout.clone(),
            name.clone(),
            self.options.clone(),
            Arc::clone(&self.clock),
            access,
        )?;
        streams.insert(name.clone(), stream.clone());
        Ok(stream)
    }

    /// The names of the streams on disk, in order.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn names(&self) -> Result<Vec<Name>, Error> {
        self.layout.list_streams(&*self.files)
    }

    /// Bytes of a stream's files, without opening it.
    ///
    /// # Errors
    /// When the folders cannot be listed.
    pub fn stored_bytes(&self, stream: &Name) -> Result<u64, Error> {
        Ok(self.log(stream).list_segments("")?.iter().map(|(_, len)| *len).sum())
    }

    /// Reads every byte of a stream and says what is not as it was written; changes nothing. `witnesses` have seen the stream,
    /// and were asked how far before this is called. `progress` is told how many bytes of how many have been read. May run
    /// beside a process that writes.
    ///
    /// # Errors
    /// When folders cannot be listed, or a newer version wrote the stream. Damage is no error but a finding.
    pub fn fsck(
        &self,
        stream: &Name,
        witnesses: &[Witness],
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<CheckReport, Error> {
        check(&self.log(stream), witnesses, progress)
    }

    /// Restores misplaced files of all streams to where they belong, by what is in them: the first step of a repair of
    /// several streams, since a file of one may lie in the folder of another. Answers what was done, in words.
    ///
    /// # Errors
    /// `Invalid` when the store was opened for reading only or a stream is open; when a file cannot be moved.
    pub fn restore_misplaced(&self) -> Result<Vec<String>, Error> {
        if self.lock.is_none() {
            return Err(Error::ReadOnly { dir: self.dir().to_owned() });
        }
        if let Some(stream) = self.streams().keys().next() {
            return Err(Error::Invalid(format!("stream {stream} is open: put files back before it is opened")));
        }
        put_all_back(&self.files, &self.layout)
    }

    /// Repairs all damage of a stream and opens it: events that cannot be read any more are `null` from then on, so that every other
    /// keeps its offset; replaced files are kept in the quarantine; the stream's epoch rises. What is lost by the word of the
    /// inventory or of `witnesses` is taken note of. Answers what was done, in words.
    ///
    /// # Errors
    /// `Invalid` when the store was opened for reading only, or for damage that cannot be repaired, with what to do.
    pub async fn repair(&self, stream: &Name, witnesses: &[Witness]) -> Result<Vec<String>, Error> {
        if self.lock.is_none() {
            return Err(Error::ReadOnly { dir: self.dir().to_owned() });
        }
        if self.streams().contains_key(stream) {
            return Err(Error::Invalid(format!("stream {stream} is open: repair it before it is opened")));
        }
        let (mut done, mut loses) = (Vec::new(), false);
        for repaired in repair(&self.log(stream), witnesses, self.clock.now())? {
            let Repaired { path, kept, nulls, said, is_loss } = repaired;
            loses |= is_loss;
            if let Some(said) = said {
                done.push(said);
                continue;
            }
            let before = match kept {
                Some(kept) => format!("as it was before it is kept as {}", kept.display()),
                None => "there was no such file before".to_owned(),
            };
            done.push(format!("{}: {nulls} lost events are null now; {before}", path.display()));
        }
        let opened = self.stream(stream)?;
        done.extend(
            opened.quarantined().iter().map(|path| format!("cut what was never committed: {}", path.display())),
        );
        opened.check_inventory()?;
        if loses {
            let epoch = opened.raise_epoch().await?;
            done.push(format!("the epoch of {stream} is {epoch} from now on, so that views and clients know"));
        }
        Ok(done)
    }

    /// The data directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.layout.root()
    }

    /// Where files are made that are later renamed into their place; on the same file system as the rest.
    #[must_use]
    pub fn temporary_dir(&self) -> PathBuf {
        self.layout.temporary()
    }

    /// Bytes that this user may still write on the disk of the data directory.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn free_bytes(&self) -> Result<u64, Error> {
        self.files.free_bytes(self.dir()).map_err(Error::io("ask for the room on", self.dir()))
    }

    /// Commits all that was handed over, marks each stream's end as clean and ends the threads. Blocks. Readers go on; appends are
    /// refused.
    ///
    /// # Errors
    /// `Internal` when a thread has panicked.
    pub fn close(&self) -> Result<(), Error> {
        let streams: Vec<Stream> = self.streams().values().cloned().collect();
        let mut closed = Ok(());
        for stream in streams {
            closed = closed.and(stream.close());
        }
        closed
    }

    fn log(&self, stream: &Name) -> LogFiles {
        LogFiles { name: stream.clone(), files: Arc::clone(&self.files), layout: self.layout.clone() }
    }

    fn streams(&self) -> MutexGuard<'_, BTreeMap<Name, Stream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Who wants to know calls `close`. The lock is given back only after the last write.
        let _ = self.close();
    }
}
