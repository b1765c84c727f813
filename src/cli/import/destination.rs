//! Where the lines go: a store that this process writes itself, or the process that runs on the data directory.

use std::{collections::VecDeque, path::PathBuf, sync::Arc};

use anyhow::Context;
use lakehead_connectors::json_lines;
use lakehead_engine::{
    catalog::Catalog,
    import::{ImportBatch, Imported, Importer, PREFIX, UnderWay, check_event_time},
    imports::Imports,
    schemas,
};
use lakehead_model::{Name, hint::instead};
use lakehead_store::{Options, Store, Stream};

use super::{arguments::Arguments, cursor::ImportCursor, reader::ReadRun};
use crate::{
    client::{Backend, Process, Target},
    clock::SystemClock,
    config,
    outcome::Failure,
    pipeline_file::load,
};

/// Appends under way: enough to fill the disk's queue while it syncs.
const UNDER_WAY_MAX: usize = 8;

/// Where the lines go.
pub(super) enum Destination {
    Store(Box<OwnStore>),
    Process { process: Process, stream: Name, source: Name, event_time: Option<String>, held: Option<Arc<str>> },
}

/// A store that this process writes itself.
pub(super) struct OwnStore {
    store: Store,
    stream: Stream,
    source: Name,
    importer: Importer,
    imports: Imports,
    under_way: VecDeque<(UnderWay, Arc<str>)>,
}

/// Who takes the lines, before it is known where the import stands.
pub(super) enum Opened {
    Store(Box<(Store, Catalog, Imports)>),
    Process(Process),
}

impl Opened {
    /// Finds who takes them; what is not there yet and may be is made.
    pub(super) async fn find(
        arguments: &Arguments,
        stream: &Name,
        data: PathBuf,
        target: &Target,
    ) -> Result<Self, Failure> {
        let pipeline = match &arguments.pipeline {
            None => None,
            Some(file) => {
                let overrides = config::Overrides { data: arguments.data.clone(), ..config::Overrides::default() };
                Some(load(Some(file.clone()), None, overrides).await?)
            }
        };
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
        let options = pipeline.as_ref().map_or_else(Options::default, |pipeline| pipeline.store.clone());
        let known = Catalog::load(&data).ok();
        let catalog = match (&known, &pipeline) {
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
        Ok(Self::Store(Box::new((store, catalog, imports))))
    }

    /// Where the import `source` stands.
    async fn cursor(&self, stream: &Name, source: &Name) -> anyhow::Result<Option<Arc<str>>> {
        match self {
            Self::Store(opened) => Ok(opened.2.held(&opened.0.stream(stream)?, source)),
            Self::Process(process) => process.import_cursor(stream, source).await,
        }
    }

    /// Takes lines from here on, behind the cursor `held`.
    pub(super) async fn into_destination(
        self,
        stream: &Name,
        source: Name,
        arguments: &Arguments,
        held: Option<Arc<str>>,
    ) -> anyhow::Result<Destination> {
        let event_time = arguments.event_time.clone();
        match self {
            Self::Process(process) => {
                Ok(Destination::Process { process, stream: stream.clone(), source, event_time, held })
            }
            Self::Store(opened) => {
                let (store, catalog, imports) = *opened;
                let schemas = schemas(&catalog.stream_configs());
                let rejects = store.stream(&Name::new("rejects")?)?.appender();
                let schema = schemas.get(stream).context("the stream was found before")?;
                let stream = store.stream(stream)?;
                imports.begin(&stream, &source).await?;
                let importer = Importer::new(&stream, rejects, schema, source.clone());
                let under_way = VecDeque::new();
                Ok(Destination::Store(Box::new(OwnStore { store, stream, source, importer, imports, under_way })))
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

/// The import's name and its cursor. With `again` the first of NAME, NAME_2, NAME_3 … that is not done, after the first.
pub(super) async fn choose(
    opened: &Opened,
    stream: &Name,
    base: &Name,
    again: bool,
) -> Result<(Name, Option<Arc<str>>), Failure> {
    let done = |cursor: &str| serde_json::from_str::<ImportCursor>(cursor).is_ok_and(|cursor| cursor.done);
    let unnamed = base.as_str() == format!("{PREFIX}stdin");
    let cursor = opened.cursor(stream, base).await?;
    if !again && !unnamed {
        return Ok((base.clone(), cursor));
    }
    if unnamed && cursor.is_none() {
        return Ok((base.clone(), None));
    }
    for number in 2_u32.. {
        let name = Name::new(&format!("{base}_{number}")).map_err(|error| Failure::Usage(error.to_string()))?;
        let cursor = opened.cursor(stream, &name).await?;
        // Without a name nothing is gone on with, so every import needs a name that nobody has had.
        if cursor.as_deref().is_none_or(|cursor| !unnamed && !done(cursor)) {
            return Ok((name, cursor));
        }
    }
    Err(Failure::Usage("every name is taken".into()))
}

impl Destination {
    /// Takes the next run.
    pub(super) async fn take(&mut self, read: ReadRun, imported: &mut Imported) -> anyhow::Result<()> {
        let json_lines::Run { text, first_line, cut, .. } = read.run;
        let run = ImportBatch { text, from: read.from.to_string(), first_line, cut, cursor: read.cursor.text() };
        match self {
            Self::Store(own) => {
                let cursor = Arc::clone(&run.cursor);
                own.under_way.push_back((own.importer.hand_over(run).await?, cursor));
                if own.under_way.len() >= UNDER_WAY_MAX {
                    own.commit_oldest(imported).await?;
                }
            }
            Self::Process { process, stream, source, event_time, held } => {
                let cursor = Arc::clone(&run.cursor);
                add(imported, process.import(stream, source, event_time.as_deref(), held.as_deref(), run).await?);
                *held = Some(cursor);
            }
        }
        Ok(())
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
    async fn commit_oldest(&mut self, imported: &mut Imported) -> anyhow::Result<()> {
        if let Some((oldest, cursor)) = self.under_way.pop_front() {
            add(imported, oldest.committed().await?);
            self.imports.committed(&self.stream, &self.source, &cursor).await?;
        }
        Ok(())
    }
}

fn add(all: &mut Imported, one: Imported) {
    all.events += one.events;
    all.rejects += one.rejects;
    all.without_event_time += one.without_event_time;
    all.why_without = all.why_without.take().or(one.why_without);
}
