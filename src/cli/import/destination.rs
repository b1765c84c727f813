//! Where the events go: a store that this process writes itself, or the process that runs on the data directory.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{Arc, atomic::AtomicU64},
};

use anyhow::Context;
use lakehead_connector_api::{Chunk, Reader};
use lakehead_connectors::file::{FileCursor, FileReader, Input, ReadLines, Reading};
use lakehead_engine::{
    Pipeline,
    catalog::Catalog,
    import::{ImportBatch, Imported, Importer, UnderWay, check_event_time},
    imports::Imports,
    schemas,
};
use lakehead_model::{Name, StreamSchema, hint::instead};
use lakehead_store::{Options, Store, Stream};

use super::arguments::Arguments;
use crate::{
    client::{Backend, Process, Target},
    clock::SystemClock,
    outcome::Failure,
};

/// Lines in one append: as many as make a block by themselves.
const APPEND_BYTES: usize = 1 << 20;

/// Lines in one request: more, since each waits for its own sync, and less than the largest body with the line that
/// passes it.
const REQUEST_BYTES: usize = 8 << 20;

/// Appends under way: enough to fill the disk's queue while it syncs.
const UNDER_WAY_MAX: usize = 8;

/// Where the events go, and what brings them.
pub(super) enum Destination {
    Store(Box<OwnStore>),
    Process(Box<RunningProcess>),
}

/// A store that this process writes itself.
pub(super) struct OwnStore {
    reader: FileReader,
    /// What was read and is to be handed over.
    next: Option<Chunk>,
    store: Store,
    stream: Stream,
    source: Name,
    importer: Importer,
    imports: Imports,
    under_way: VecDeque<(UnderWay, Option<Arc<str>>)>,
}

/// The process that runs on the data directory. It checks the lines itself.
pub(super) struct RunningProcess {
    reading: Reading,
    /// What was read and is to be handed over.
    next: Option<ReadLines>,
    process: Process,
    stream: Name,
    source: Name,
    event_time: Option<String>,
    held: Option<Arc<str>>,
}

/// What is to be imported, and how far it was.
pub(super) struct ImportWork {
    /// The import's name.
    pub(super) source: Name,
    /// What the stream holds of it, as text and read.
    pub(super) held: Option<Arc<str>>,
    pub(super) cursor: FileCursor,
    pub(super) input: Input,
    /// Counts the bytes of the files.
    pub(super) read: Arc<AtomicU64>,
    /// What the user says of the event time.
    pub(super) event_time: Option<String>,
}

/// Who takes the events, before it is known where the import stands.
pub(super) enum Opened {
    Store(Box<OpenedStore>),
    Process(Process),
}

/// A store that this process has opened.
pub(super) struct OpenedStore {
    store: Store,
    imports: Imports,
    schema: StreamSchema,
}

impl Opened {
    /// Finds who takes them; what is not there yet and may be is made. `data` and `pipeline` are what the arguments say.
    pub(super) async fn find(
        arguments: &Arguments,
        stream: &Name,
        data: PathBuf,
        pipeline: Option<&Pipeline>,
        target: &Target,
    ) -> Result<Self, Failure> {
        // Where the pipeline keeps its data may not be there yet: this is one of the commands that make it.
        let backend = match data.exists() {
            true => Backend::find(&data, target.token()?)?,
            false => Backend::Files(data),
        };
        let data = match backend {
            Backend::Process(process) => {
                // What it knows is what lies in its directory; a stream that is not there it refuses itself.
                if let Some(Ok(catalog)) = process.data().map(Catalog::load) {
                    refuse_other_event_time(arguments, stream, &catalog)?;
                }
                return Ok(Self::Process(process));
            }
            Backend::Files(data) => data,
        };
        let options = pipeline.map_or_else(Options::default, |pipeline| pipeline.store.clone());
        let known = Catalog::load(&data).ok();
        let catalog = match (&known, pipeline) {
            (_, Some(pipeline)) => Catalog::of(pipeline),
            (Some(known), None) => known.clone(),
            (None, None) => {
                let what = format!(
                    "{} has no catalog, so no stream is known; name a pipeline file that has it with --pipeline FILE",
                    data.display()
                );
                return Err(Failure::Usage(what));
            }
        };
        if !catalog.streams.contains_key(stream) {
            let known = instead(stream.as_str(), catalog.streams.keys().map(Name::as_str));
            return Err(Failure::Usage(format!("there is no stream {:?} to import into; {known}", stream.as_str())));
        }
        refuse_other_event_time(arguments, stream, &catalog)?;
        let store = Store::open(&data, options, Arc::new(SystemClock))?;
        if known.is_none() {
            catalog.save(&data)?;
        }
        let imports = Imports::load(&data).map_err(anyhow::Error::from)?;
        imports.take_over(&store.stream(stream)?).await.map_err(anyhow::Error::from)?;
        let schema = schemas(&catalog.stream_configs()).remove(stream).context("the stream was found before")?;
        Ok(Self::Store(Box::new(OpenedStore { store, imports, schema })))
    }

    /// Where the import `source` stands.
    pub(super) async fn cursor(&self, stream: &Name, source: &Name) -> anyhow::Result<Option<Arc<str>>> {
        match self {
            Self::Store(opened) => Ok(opened.imports.held(&opened.store.stream(stream)?, source)),
            Self::Process(process) => process.import_cursor(stream, source).await,
        }
    }

    /// Does `work` from here on.
    pub(super) async fn into_destination(self, stream: &Name, work: ImportWork) -> anyhow::Result<Destination> {
        let ImportWork { source, held, cursor, input, read, event_time } = work;
        match self {
            Self::Process(process) => {
                let reading = Reading::start(input, cursor, REQUEST_BYTES, read)?;
                let stream = stream.clone();
                Ok(Destination::Process(Box::new(RunningProcess {
                    reading,
                    next: None,
                    process,
                    stream,
                    source,
                    event_time,
                    held,
                })))
            }
            Self::Store(opened) => {
                let OpenedStore { store, imports, schema } = *opened;
                let rejects = store.stream(&Name::new("rejects")?)?.appender();
                let stream = store.stream(stream)?;
                imports.begin(&stream, &source).await?;
                let importer = Importer::new(&stream, rejects, &schema, source.clone());
                let reading = Reading::start(input, cursor, APPEND_BYTES, read)?;
                let reader = FileReader::new(Some(reading), schema.event_time);
                let under_way = VecDeque::new();
                Ok(Destination::Store(Box::new(OwnStore {
                    reader,
                    next: None,
                    store,
                    stream,
                    source,
                    importer,
                    imports,
                    under_way,
                })))
            }
        }
    }
}

/// Refuses an event time that is not the stream's own, before anything is said of what was imported or anything is made.
fn refuse_other_event_time(arguments: &Arguments, stream: &Name, catalog: &Catalog) -> Result<(), Failure> {
    let Some(schema) = catalog.streams.get(stream) else { return Ok(()) };
    let checked = check_event_time(stream, schema, arguments.event_time.as_deref());
    checked.map_err(|error| Failure::Usage(error.to_string()))
}

impl Destination {
    /// Reads what is to be handed over next; false at the end. A call that is dropped has taken nothing.
    pub(super) async fn read(&mut self) -> anyhow::Result<bool> {
        match self {
            Self::Store(own) => {
                own.next = own.reader.next().await?;
                Ok(own.next.is_some())
            }
            Self::Process(running) => {
                running.next = running.reading.next().await?;
                Ok(running.next.is_some())
            }
        }
    }

    /// Hands over what was read.
    pub(super) async fn hand_over(&mut self, imported: &mut Imported) -> anyhow::Result<()> {
        match self {
            Self::Store(own) => own.hand_over(imported).await,
            Self::Process(running) => running.hand_over(imported).await,
        }
    }

    /// Waits for what is under way, whatever came of the rest, and closes.
    pub(super) async fn finish(self, outcome: anyhow::Result<bool>, imported: &mut Imported) -> anyhow::Result<bool> {
        let Self::Store(mut own) = self else { return outcome };
        let mut drained = Ok(());
        while !own.under_way.is_empty() && drained.is_ok() {
            drained = own.commit_oldest(imported).await;
        }
        if drained.is_ok() {
            // One that is broken off goes on from what is noted, and needs no place in the footers meanwhile.
            drained = own.imports.rest(&own.stream, &own.source).await.map_err(Into::into);
        }
        let store = own.store;
        let closed = tokio::task::spawn_blocking(move || store.close()).await.context("closing the store")?;
        let whole = outcome?;
        drained?;
        closed?;
        Ok(whole)
    }
}

impl OwnStore {
    async fn hand_over(&mut self, imported: &mut Imported) -> anyhow::Result<()> {
        let Some(chunk) = self.next.take() else { return Ok(()) };
        let cursor = chunk.cursor.as_ref().map(|cursor| Arc::clone(&cursor.position));
        self.under_way.push_back((self.importer.hand_over(chunk).await?, cursor));
        if self.under_way.len() >= UNDER_WAY_MAX {
            self.commit_oldest(imported).await?;
        }
        Ok(())
    }

    async fn commit_oldest(&mut self, imported: &mut Imported) -> anyhow::Result<()> {
        if let Some((oldest, cursor)) = self.under_way.pop_front() {
            add(imported, oldest.committed().await?);
            if let Some(cursor) = cursor {
                self.imports.committed(&self.stream, &self.source, &cursor).await?;
            }
        }
        Ok(())
    }
}

impl RunningProcess {
    async fn hand_over(&mut self, imported: &mut Imported) -> anyhow::Result<()> {
        let Some(ReadLines { run, from, cursor }) = self.next.take() else { return Ok(()) };
        let cursor = cursor.text();
        let batch = ImportBatch {
            text: run.text,
            from: from.to_string(),
            first_line: run.first_line,
            cut: run.cut,
            cursor: Arc::clone(&cursor),
        };
        let (event_time, held) = (self.event_time.as_deref(), self.held.as_deref());
        add(imported, self.process.import(&self.stream, &self.source, event_time, held, batch).await?);
        self.held = Some(cursor);
        Ok(())
    }
}

fn add(all: &mut Imported, one: Imported) {
    all.events += one.events;
    all.rejects += one.rejects;
    all.without_event_time += one.without_event_time;
    all.why_without = all.why_without.take().or(one.why_without);
}
