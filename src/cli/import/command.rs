//! One import from its beginning to its end: what is read, where it goes on, and what came of it.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use anyhow::{Context, anyhow};
use indicatif::ProgressBar;
use lakehead_connectors::{
    file::{FileCursor, Input},
    json_lines::FileId,
};
use lakehead_engine::{Pipeline, import::Imported, imports::Imports};
use lakehead_model::{ByteSize, Name};

use super::{
    arguments::Arguments,
    destination::{Destination, ImportWork, Opened},
    input::{find, source_name},
    names::choose,
};
use crate::{
    client::Target,
    config,
    numbers::{counted, grouped},
    outcome::{Failure, Outcome},
    output::{note, say},
    pipeline_file::load,
    progress::with_progress,
    signals::Signals,
};

pub(crate) async fn run(arguments: Arguments, target: &Target) -> Outcome {
    let stream = Name::new(&arguments.stream).map_err(|error| Failure::Usage(error.to_string()))?;
    let (data, pipeline) = place(&arguments, target).await?;
    let input = find(&arguments.paths, &data)?;
    let base = source_name(&input, &arguments)?;
    let opened = Opened::find(&arguments, &stream, data.clone(), pipeline.as_ref(), target).await?;
    let (source, held) = choose(&opened, &stream, &base, arguments.again).await?;
    let Some(cursor) = resume(&input, &stream, &source, held.as_deref())? else { return Ok(()) };
    let is_new = cursor == FileCursor::default();
    if is_new && !arguments.again {
        refuse_known(&input, &data, &stream)?;
    }
    if !is_new {
        let files = counted(cursor.files, "file");
        note(format_args!("going on with {source} behind {files} and line {}", grouped(cursor.at.lines)));
    }
    let (total, read) = (input.bytes_left(&cursor), Arc::<AtomicU64>::default());
    let work = ImportWork { source, held, cursor, input, read: Arc::clone(&read), event_time: arguments.event_time };
    let destination = opened.into_destination(&stream, work).await?;
    let done = import(destination, total, &read).await?;
    tell(&stream, &done)?;
    if !done.whole {
        return Err(anyhow!("interrupted; the same command goes on from here").into());
    }
    if is_new && done.imported.events == 0 {
        let why = match done.imported.rejects {
            0 => "there is no event in it".to_owned(),
            rejects => format!("all of it, {}, was refused", counted(rejects, "line")),
        };
        return Err(anyhow!("nothing was imported into {stream}: {why}").into());
    }
    Ok(())
}

/// Where the import `source` goes on, by the cursor that is held; `None` when all of it was imported before, which is told.
fn resume(input: &Input, stream: &Name, source: &Name, held: Option<&str>) -> anyhow::Result<Option<FileCursor>> {
    let Some(held) = held else { return Ok(Some(FileCursor::default())) };
    let cursor = FileCursor::read(held).with_context(|| format!("reading the cursor of {source}"))?;
    let left = |files: &[FileId]| {
        let advice = "import what is new by its own path, or everything once more with --again";
        cursor.left(files).map_err(|what| anyhow!("{what}; {advice}"))
    };
    match input {
        Input::Files(files) if left(files)? == 0 => {
            note(format_args!("already imported ({source} in {stream}); --again imports it once more"));
            Ok(None)
        }
        Input::StandardInput if cursor.done => {
            note(format_args!(
                "already imported ({source} in {stream}); another --name, or --again, imports it once more"
            ));
            Ok(None)
        }
        _ => Ok(Some(cursor)),
    }
}

/// What an import has done.
struct Done {
    imported: Imported,
    /// Bytes that were read.
    bytes: u64,
    seconds: f64,
    /// Whether it came to the end; else it was interrupted.
    whole: bool,
}

/// Reads and hands over, until the end or a signal. `total` are the bytes to be read, as far as known, and `read` those read.
async fn import(mut destination: Destination, total: Option<u64>, read: &AtomicU64) -> anyhow::Result<Done> {
    let begun = Instant::now();
    let mut imported = Imported::default();
    let mut stop = Signals::listen()?;
    let outcome = with_progress("importing", async |bar| {
        if let Some(total) = total {
            bar.set_length(total);
        }
        loop {
            let has_more = tokio::select! {
                has_more = destination.read() => has_more?,
                () = stop.finish() => return Ok(false),
            };
            if !has_more {
                return Ok(true);
            }
            destination.hand_over(&mut imported).await?;
            show(&bar, read, total, &imported, begun);
        }
    })
    .await;
    let whole = destination.finish(outcome, &mut imported).await?;
    Ok(Done { imported, bytes: read.load(Ordering::Relaxed), seconds: begun.elapsed().as_secs_f64(), whole })
}

/// Says what was done.
fn tell(stream: &Name, Done { imported, bytes, seconds, .. }: &Done) -> io::Result<()> {
    say(format_args!(
        "{} and {} into {stream}; {} passed in {seconds:.1} s ({} events/s)\n",
        counted(imported.events, "event"),
        counted(imported.rejects, "reject"),
        ByteSize(*bytes).rounded(),
        grouped(per_second(imported.events, *seconds)),
    ))?;
    if imported.rejects > 0 {
        note("what was refused lies in the stream rejects: SELECT position, reason FROM rejects");
    }
    if imported.without_event_time > 0 {
        let events = counted(imported.without_event_time, "event");
        let why = imported.why_without.as_deref().unwrap_or_default();
        note(format_args!("{events} without an event time, and so in no window over it: {why}"));
    }
    Ok(())
}

/// The data directory that is imported into, and the pipeline, where one is named.
async fn place(arguments: &Arguments, target: &Target) -> Result<(PathBuf, Option<Pipeline>), Failure> {
    match &arguments.pipeline {
        Some(file) => {
            let overrides = config::Overrides { data: arguments.data.clone(), ..config::Overrides::default() };
            target.is_here("import")?;
            let pipeline = load(Some(file.clone()), None, overrides).await?;
            Ok((pipeline.data.clone(), Some(pipeline)))
        }
        None => Ok((target.directory(arguments.data.clone(), "import")?, None)),
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
