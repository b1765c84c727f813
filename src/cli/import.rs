//! `lakehead import`: JSON lines from files, folders or standard input into a stream, each line once.
//!
//! ```text
//! reading thread: file → decompressed → runs of whole lines ──▶ validated, event times → the stream, with the cursor
//! ```
//!
//! Where a process runs on the data directory, the runs are handed to it over HTTP, each with the cursor that it must
//! find. Either way the cursor is kept in the same block as the lines it covers, so an import that is broken off at any
//! moment goes on, started again with the same arguments, behind the last line that was kept.

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use indicatif::ProgressBar;
use lakehead_connectors::json_lines::{self, FileId, Lines, Position};
use lakehead_engine::{
    catalog::Catalog,
    import::{Imported, Importer, PREFIX, Run, UnderWay, check_event_time},
    imports::Imports,
    schemas,
};
use lakehead_model::{ByteSize, Name, hint::instead};
use lakehead_store::{Options, Store, Stream};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::run::load;
use crate::{
    ask::{Process, Source},
    clock::SystemClock,
    config,
    outcome::{Failure, Outcome},
    output::{note, say},
    patience::with_progress,
    service::{Signals, counted, grouped},
    whom::Elsewhere,
    within::Within,
};

/// Lines in one append: as many as make a block by themselves.
const RUN_BYTES: usize = 1 << 20;

/// Lines in one request: more, since each waits for its own sync, and less than the largest body with the line that
/// passes it.
const REQUEST_BYTES: usize = 8 << 20;

/// Runs that are read and not yet handed over; with those under way this bounds the memory.
const RUNS_READ_MAX: usize = 2;

/// Appends under way: enough to fill the disk's queue while it syncs.
const UNDER_WAY_MAX: usize = 8;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The stream.
    stream: String,
    /// Files, and folders with files that end in .json, .jsonl or .ndjson, also with .gz, .zst or .bz2 behind it; `-` or
    /// none is standard input. What a file holds tells how it is compressed.
    paths: Vec<PathBuf>,
    /// The data directory; without it the pipeline's, else ./data, or the demo's.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// A pipeline file that names the stream, for a data directory that does not know it yet.
    #[arg(long, value_name = "FILE")]
    pipeline: Option<PathBuf>,
    /// Where the event time stands; refused unless it is where the stream's pipeline says, which goes for all that brings
    /// events. To change it, set event_time under [stream.NAME] in the pipeline.
    #[arg(long, value_name = "FIELD")]
    event_time: Option<String>,
    /// The import's name, under which the stream remembers how far it has got. Default: made from the paths. With
    /// standard input it is what lets a broken import go on: pipe in the same lines again, and as many as were kept are
    /// passed over, after a look whether the last of them is still the same.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Imports once more what was imported already.
    #[arg(long)]
    again: bool,
}

/// Where an import stands; what the stream keeps as its cursor. Short, and ASCII, since it is repeated in every footer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Stand {
    /// How many files were read wholly, in the order of their paths.
    files: u64,
    /// What they were: each one's path, size and head, chained.
    chain: u64,
    /// The file being read, as the chain of it alone; 0 between files and for standard input.
    file: u64,
    /// How far.
    at: Position,
    /// Whether all is read.
    done: bool,
    /// The size and the checksum of the file that was read last, where it was read wholly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content: Option<(u64, u64)>,
}

impl Stand {
    fn text(&self) -> Arc<str> {
        serde_json::to_string(self).expect("numbers are always JSON").into()
    }
}

/// What is to be read.
enum Input {
    Files(Vec<FileId>),
    StandardInput,
}

/// What the reading thread hands on.
struct Read {
    run: json_lines::Run,
    from: Arc<str>,
    stand: Stand,
}

/// Where the lines go.
enum Target {
    Store(Box<Own>),
    Process { process: Process, stream: Name, source: Name, event_time: Option<String>, held: Option<Arc<str>> },
}

/// A store that this process writes itself.
struct Own {
    store: Store,
    stream: Stream,
    source: Name,
    importer: Importer,
    imports: Imports,
    under_way: VecDeque<(UnderWay, Arc<str>)>,
}

pub(crate) async fn run(arguments: Arguments, whom: &Elsewhere) -> Outcome {
    let stream = Name::new(&arguments.stream).map_err(|error| Failure::Usage(error.to_string()))?;
    let data = data(&arguments, whom).await?;
    let input = input(&arguments.paths, &data)?;
    let base = source_name(&input, &arguments)?;
    let opened = Opened::find(&arguments, &stream, data.clone(), whom).await?;
    let (source, cursor) = choose(&opened, &stream, &base, arguments.again).await?;
    let stand: Option<Stand> = match &cursor {
        None => None,
        Some(text) => Some(serde_json::from_str(text).with_context(|| format!("reading the cursor of {source}"))?),
    };
    let stand = match (stand, &input) {
        (Some(stand), Input::Files(files)) => {
            let left = check(&stand, files)?;
            if left == 0 {
                note(format_args!("already imported ({source} in {stream}); --again imports it once more"));
                return Ok(());
            }
            stand
        }
        (Some(stand), Input::StandardInput) if stand.done => {
            note(format_args!(
                "already imported ({source} in {stream}); another --name, or --again, imports it once more"
            ));
            return Ok(());
        }
        (stand, _) => stand.unwrap_or_default(),
    };
    if !arguments.again && stand == Stand::default() {
        refuse_known(&input, &data, &stream)?;
    }
    let is_new = stand == Stand::default();
    if !is_new {
        let files = counted(stand.files, "file");
        note(format_args!("going on with {source} behind {files} and line {}", grouped(stand.at.lines)));
    }
    let request = matches!(opened, Opened::Process(_));
    let mut target = opened.into_target(&stream, source.clone(), &arguments, cursor).await?;
    let read = Arc::new(AtomicU64::new(0));
    let total = total(&input, &stand);
    let mut reads = start(input, stand, if request { REQUEST_BYTES } else { RUN_BYTES }, Arc::clone(&read))?;
    let begun = Instant::now();
    let mut imported = Imported::default();
    let mut stop = Signals::listen()?;
    let outcome = with_progress("importing", async |bar| {
        if let Some(total) = total {
            bar.set_length(total);
        }
        loop {
            let next = tokio::select! {
                next = reads.recv() => next,
                () = stop.finish() => return Ok(false),
            };
            match next {
                None => return Ok(true),
                Some(next) => target.take(next?, &mut imported).await?,
            }
            show(&bar, &read, total, &imported, begun);
        }
    })
    .await;
    let whole = target.finish(outcome, &mut imported).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let bytes = read.load(Ordering::Relaxed);
    say(format_args!(
        "{} and {} into {stream}; {} passed in {seconds:.1} s ({} events/s)\n",
        counted(imported.events, "event"),
        counted(imported.rejects, "reject"),
        ByteSize(bytes).rounded(),
        grouped(per_second(imported.events, seconds)),
    ))?;
    if imported.rejects > 0 {
        note("what was refused lies in the stream rejects: SELECT position, reason FROM rejects");
    }
    if imported.without_event_time > 0 {
        let events = counted(imported.without_event_time, "event");
        let why = imported.why_without.as_deref().unwrap_or_default();
        note(format_args!("{events} without an event time, and so in no window over it: {why}"));
    }
    if !whole {
        return Err(anyhow!("interrupted; the same command goes on from here").into());
    }
    if is_new && imported.events == 0 {
        let why = match imported.rejects {
            0 => "there is no event in it".to_owned(),
            rejects => format!("all of it, {}, was refused", counted(rejects, "line")),
        };
        return Err(anyhow!("nothing was imported into {stream}: {why}").into());
    }
    Ok(())
}

/// The data directory that is imported into.
async fn data(arguments: &Arguments, whom: &Elsewhere) -> Result<PathBuf, Failure> {
    match &arguments.pipeline {
        Some(file) => {
            let overrides = config::Overrides { data: arguments.data.clone(), ..config::Overrides::default() };
            whom.is_here("import")?;
            Ok(load(Some(file.clone()), None, overrides).await?.data)
        }
        None => whom.directory(arguments.data.clone(), "import"),
    }
}

/// Refuses a file that was imported before, whatever it was called then.
fn refuse_known(input: &Input, data: &Path, stream: &Name) -> Result<(), Failure> {
    let Input::Files(files) = input else { return Ok(()) };
    let known = Imports::load(data).map_err(anyhow::Error::from)?;
    for file in files.iter().filter(|file| known.has_read_size(stream, file.size)) {
        let content = file.content().with_context(|| format!("reading {}", file.path.display()))?;
        if let Some(by) = known.has_read(stream, file.size, content) {
            return Err(anyhow!(
                "{} has byte for byte what {by} has imported into {stream} before; --again imports it once more",
                file.path.display()
            )
            .into());
        }
    }
    Ok(())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "for a person"
)]
fn per_second(events: u64, seconds: f64) -> u64 {
    (events as f64 / seconds.max(0.001)) as u64
}

fn show(bar: &ProgressBar, read: &AtomicU64, total: Option<u64>, imported: &Imported, begun: Instant) {
    let bytes = read.load(Ordering::Relaxed);
    let rate = grouped(per_second(imported.events, begun.elapsed().as_secs_f64()));
    bar.set_position(bytes);
    let of = total.map_or(String::new(), |total| format!(" of {}", ByteSize(total).rounded()));
    bar.set_message(format!("importing, {}{of}, {rate} events/s", ByteSize(bytes).rounded()));
}

/// What the paths stand for; tells what is left out. Nothing of the data directory is ever read, nor what this process or the
/// one that runs on it writes.
fn input(paths: &[PathBuf], data: &Path) -> Result<Input, Failure> {
    let own = Within::of(data).with_context(|| format!("looking into {}", data.display()))?;
    let standard = |path: &PathBuf| path.as_os_str() == "-";
    if paths.is_empty() || (paths.len() == 1 && standard(&paths[0])) {
        if std::fs::metadata("/dev/stdin").is_ok_and(|input| input.is_file() && own.has(&input)) {
            return Err(of_its_own(Path::new("standard input"), data));
        }
        return Ok(Input::StandardInput);
    }
    let written = match lakehead_store::holder(data) {
        Ok(Some(running)) => Within::default().and_written_by(running.pid),
        _ => Within::default(),
    };
    let written = written.and_written_by(std::process::id());
    if paths.iter().any(standard) {
        return Err(Failure::Usage("standard input (-) is imported by itself, without files beside it".into()));
    }
    let mut files = Vec::new();
    for path in paths {
        if own.holds(path) {
            return Err(of_its_own(path, data));
        }
        let (taken, left_out) = json_lines::files(path, &|folder| own.has(folder))
            .with_context(|| format!("looking for files in {}", path.display()))?;
        for path in left_out {
            let why = match path.is_dir() {
                true if own.holds(&path) => "it is the data directory",
                true => "it is a link to a folder",
                false => "its name does not end as JSON lines do",
            };
            note(format_args!("left out, {why}: {}", path.display()));
        }
        for path in taken {
            if own.holds(&path) {
                note(format_args!("left out, it belongs to the data directory: {}", path.display()));
            } else if written.holds(&path) {
                note(format_args!("left out, Lakehead itself writes it: {}", path.display()));
            } else {
                files.push(FileId::of(&path).with_context(|| format!("reading {}", path.display()))?);
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    // By links a file may be found under several names; its own is what counts.
    files.dedup();
    if files.is_empty() {
        return Err(
            anyhow!("there is no file of JSON lines there: .json, .jsonl, .ndjson, also .gz, .zst, .bz2").into()
        );
    }
    Ok(Input::Files(files))
}

fn of_its_own(path: &Path, data: &Path) -> Failure {
    Failure::Usage(format!(
        "{} belongs to the data directory {}, which is not read by an import; `lakehead export --stream NAME | lakehead \
         import OTHER -` copies a stream",
        path.display(),
        data.display()
    ))
}

/// The import's name: the one given, else one made from the paths as they were written, made absolute.
fn source_name(input: &Input, arguments: &Arguments) -> Result<Name, Failure> {
    let name = match (&arguments.name, input) {
        (Some(name), _) => format!("{PREFIX}{name}"),
        (None, Input::StandardInput) => format!("{PREFIX}stdin"),
        (None, Input::Files(_)) => {
            let mut chain = 0;
            for path in &arguments.paths {
                let path = std::fs::canonicalize(path).with_context(|| format!("looking for {}", path.display()))?;
                chain = FileId { path, size: 0, head: 0 }.chained(chain);
            }
            format!("{PREFIX}{chain:016x}")
        }
    };
    if arguments.name.is_none() && matches!(input, Input::StandardInput) {
        note("standard input without --name: a broken import could not be told from a new one, so it begins anew");
    }
    Name::new(&name).map_err(|error| Failure::Usage(format!("--name: {error}")))
}

/// Compares where an import stands with the files that are there, and tells how many are still to be read.
fn check(stand: &Stand, files: &[FileId]) -> anyhow::Result<usize> {
    let done = usize::try_from(stand.files).unwrap_or(usize::MAX);
    let same =
        files.get(..done).is_some_and(|read| read.iter().fold(0, |chain, file| file.chained(chain)) == stand.chain);
    if !same {
        bail!(
            "what this import has read, {}, is not what comes first by path any more: a file was added before its last one, \
             removed or changed; import what is new by its own path, or everything once more with --again",
            counted(stand.files, "file")
        );
    }
    match files.get(done) {
        Some(file) if stand.file != 0 && file.chained(0) != stand.file => {
            bail!("{} is not the file that this import was reading: it has changed since", file.path.display())
        }
        _ => Ok(files.len() - done),
    }
}

/// Bytes to be read in all, those of files that were read before not counted.
fn total(input: &Input, stand: &Stand) -> Option<u64> {
    match input {
        Input::Files(files) => {
            Some(files.iter().skip(usize::try_from(stand.files).unwrap_or(usize::MAX)).map(|file| file.size).sum())
        }
        Input::StandardInput => None,
    }
}

/// Reads on a thread of its own.
fn start(
    input: Input,
    stand: Stand,
    run_bytes: usize,
    read: Arc<AtomicU64>,
) -> anyhow::Result<mpsc::Receiver<anyhow::Result<Read>>> {
    let (sender, receiver) = mpsc::channel(RUNS_READ_MAX);
    let work = move || {
        let outcome = match input {
            Input::Files(files) => read_files(&files, stand, run_bytes, &read, &sender),
            Input::StandardInput => read_standard_input(stand, run_bytes, &read, &sender),
        };
        if let Err(error) = outcome {
            // Nobody takes it when the import has failed already.
            let _ = sender.blocking_send(Err(error));
        }
    };
    std::thread::Builder::new().name("read".into()).spawn(work).context("starting a thread that reads")?;
    Ok(receiver)
}

type Sender = mpsc::Sender<anyhow::Result<Read>>;

fn read_files(
    files: &[FileId],
    mut stand: Stand,
    run_bytes: usize,
    read: &Arc<AtomicU64>,
    sender: &Sender,
) -> anyhow::Result<()> {
    let first = usize::try_from(stand.files).unwrap_or(usize::MAX);
    for (index, file) in files.iter().enumerate().skip(first) {
        let name = file.path.display().to_string();
        let failed = |lines: u64| format!("reading {name} behind line {lines}; what stands before it is imported");
        let mut lines =
            Lines::open(&file.path, stand.at, run_bytes, Arc::clone(read)).with_context(|| failed(stand.at.lines))?;
        stand.file = file.chained(0);
        loop {
            let next = lines.next().with_context(|| failed(lines.position().lines))?;
            let Some(run) = next else { break };
            stand.at = run.end;
            stand.content = None;
            if sender.blocking_send(Ok(Read { run, from: name.as_str().into(), stand })).is_err() {
                return Ok(());
            }
        }
        let files_read = stand.files + 1;
        let done = index + 1 == files.len();
        let content = file.content().with_context(|| failed(lines.position().lines))?;
        let chain = file.chained(stand.chain);
        let content = Some((file.size, content));
        stand = Stand { files: files_read, chain, file: 0, at: Position::default(), done, content };
        let run = json_lines::Run { text: Default::default(), first_line: 1, cut: None, end: stand.at };
        if sender.blocking_send(Ok(Read { run, from: name.into(), stand })).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn read_standard_input(
    mut stand: Stand,
    run_bytes: usize,
    read: &Arc<AtomicU64>,
    sender: &Sender,
) -> anyhow::Result<()> {
    let counted = json_lines::Counted::new(io::stdin(), Arc::clone(read));
    let mut lines = Lines::read(counted, run_bytes).context("reading standard input")?;
    lines.pass(stand.at).context("standard input is not what this import was reading: --name another, or --again")?;
    loop {
        let next =
            lines.next().with_context(|| format!("reading standard input behind line {}", lines.position().lines))?;
        let ended = next.is_none();
        let run = next.unwrap_or_else(|| json_lines::Run {
            text: Default::default(),
            first_line: 1,
            cut: None,
            end: lines.position(),
        });
        stand = Stand { at: run.end, done: ended, ..stand };
        if sender.blocking_send(Ok(Read { run, from: "standard input".into(), stand })).is_err() || ended {
            return Ok(());
        }
    }
}

/// Who takes the lines, before it is known where the import stands.
enum Opened {
    Store(Box<(Store, Catalog, Imports)>),
    Process(Process),
}

impl Opened {
    async fn find(arguments: &Arguments, stream: &Name, data: PathBuf, whom: &Elsewhere) -> Result<Self, Failure> {
        let pipeline = match &arguments.pipeline {
            None => None,
            Some(file) => {
                let overrides = config::Overrides { data: arguments.data.clone(), ..config::Overrides::default() };
                Some(load(Some(file.clone()), None, overrides).await?)
            }
        };
        // Where the pipeline keeps its data may not be there yet: this is one of the commands that make it.
        let source = match data.exists() {
            true => Source::find(&data, whom.token()?)?,
            false => Source::Files(data),
        };
        let data = match source {
            Source::Process(process) => {
                // What it knows is what lies in its directory; a stream that is not there it refuses itself.
                if let Some(Ok(catalog)) = process.data().map(Catalog::load) {
                    judge_event_time(arguments, stream, &catalog)?;
                }
                return Ok(Self::Process(process));
            }
            Source::Files(data) => data,
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
        judge_event_time(arguments, stream, &catalog)?;
        let store = Store::open(&data, options, Arc::new(SystemClock))?;
        if known.is_none() {
            catalog.save(&data)?;
        }
        let imports = Imports::load(&data).map_err(anyhow::Error::from)?;
        imports.take_over(&store.stream(stream)?).await.map_err(anyhow::Error::from)?;
        Ok(Self::Store(Box::new((store, catalog, imports))))
    }

    async fn cursor(&self, stream: &Name, source: &Name) -> anyhow::Result<Option<Arc<str>>> {
        match self {
            Self::Store(opened) => Ok(opened.2.held(&opened.0.stream(stream)?, source)),
            Self::Process(process) => process.import_cursor(stream, source).await,
        }
    }

    async fn into_target(
        self,
        stream: &Name,
        source: Name,
        arguments: &Arguments,
        held: Option<Arc<str>>,
    ) -> anyhow::Result<Target> {
        let event_time = arguments.event_time.clone();
        match self {
            Self::Process(process) => Ok(Target::Process { process, stream: stream.clone(), source, event_time, held }),
            Self::Store(opened) => {
                let (store, catalog, imports) = *opened;
                let schemas = schemas(&catalog.stream_configs());
                let rejects = store.stream(&Name::new("rejects")?)?.appender();
                let schema = schemas.get(stream).context("the stream was found before")?;
                let stream = store.stream(stream)?;
                imports.begin(&stream, &source).await?;
                let importer = Importer::new(&stream, rejects, schema, source.clone());
                let under_way = VecDeque::new();
                Ok(Target::Store(Box::new(Own { store, stream, source, importer, imports, under_way })))
            }
        }
    }
}

/// Refuses an event time that is not the stream's own, before anything is said of what was imported or anything is made.
fn judge_event_time(arguments: &Arguments, stream: &Name, catalog: &Catalog) -> Result<(), Failure> {
    let Some(schema) = catalog.streams.get(stream) else { return Ok(()) };
    let judged = check_event_time(stream, schema, arguments.event_time.as_deref());
    judged.map_err(|error| Failure::Usage(error.to_string()))
}

/// The import's name and its cursor. With `again` the first of NAME, NAME_2, NAME_3 … that is not done, after the first.
async fn choose(opened: &Opened, stream: &Name, base: &Name, again: bool) -> Result<(Name, Option<Arc<str>>), Failure> {
    let done = |cursor: &str| serde_json::from_str::<Stand>(cursor).is_ok_and(|stand| stand.done);
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

impl Target {
    async fn take(&mut self, read: Read, imported: &mut Imported) -> anyhow::Result<()> {
        let json_lines::Run { text, first_line, cut, .. } = read.run;
        let run = Run { text, from: read.from.to_string(), first_line, cut, cursor: read.stand.text() };
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
    async fn finish(self, outcome: anyhow::Result<bool>, imported: &mut Imported) -> anyhow::Result<bool> {
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

impl Own {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> FileId {
        FileId { path: Path::new("/d").join(name), size: 7, head: 9 }
    }

    #[test]
    fn an_import_goes_on_only_over_the_files_that_it_began_with() {
        let files = [file("a"), file("b"), file("c")];
        let chain = files[1].chained(files[0].chained(0));
        let stand = Stand { files: 2, chain, file: files[2].chained(0), ..Stand::default() };
        assert_eq!(check(&stand, &files).expect("the same"), 1);
        assert_eq!(check(&Stand { file: 0, ..stand }, &files[..2]).expect("the same"), 0);
        let changed = FileId { size: 8, ..file("c") };
        assert!(check(&stand, &[file("a"), file("b"), changed]).is_err());
        assert!(check(&stand, &[file("a"), file("aa"), file("b"), file("c")]).is_err());
        assert!(check(&stand, &files[..1]).is_err());
    }
}
