//! One export: what is read, and the file that it becomes.

use std::{
    fs::{self, File},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use anyhow::{Context, anyhow};
use arrow::{array::AsArray, datatypes::Int64Type};
use indicatif::ProgressBar;
use lakehead_engine::{catalog::Catalog, offline};
use lakehead_model::{ByteSize, Name};
use lakehead_query::{Lake, Limits, format::RowWriter};
use lakehead_store::Store;

use super::{
    arguments::{Arguments, FileFormat},
    compressed::{Compress, Counted, Packed},
    statement::sql,
};
use crate::{
    client::Target,
    file_set::FileSet,
    numbers::counted,
    outcome::{Failure, Outcome},
    output::{note, output},
    progress::with_progress,
};

pub(crate) async fn run(arguments: Arguments, target: &Target) -> Outcome {
    if arguments.format == FileFormat::Parquet && arguments.compress != Compress::None {
        return Err(Failure::Usage("Parquet is compressed in itself: leave --compress out".into()));
    }
    target.needs_no_token("export")?;
    let sql = sql(&arguments).map_err(Failure::Usage)?;
    let data = target.directory(arguments.data.clone(), "export")?;
    if let Some(stream) = &arguments.stream {
        is_there(&data, stream)?;
    }
    if arguments.output.as_os_str() != "-" {
        let own = FileSet::of(&data).with_context(|| format!("looking into {}", data.display()))?;
        if own.holds(&arguments.output) {
            let (output, data) = (arguments.output.display(), data.display());
            return Err(Failure::Usage(format!(
                "{output} lies in the data directory {data}: choose another place for it"
            )));
        }
    }
    let begun = Instant::now();
    let written = with_progress("exporting", async |bar| export(&arguments, &data, &sql, &bar).await).await?;
    if let Some((rows, bytes)) = written {
        let seconds = begun.elapsed().as_secs_f64();
        note(format_args!("{}, {} written in {seconds:.1} s", counted(rows, "row"), ByteSize(bytes).rounded()));
    }
    Ok(())
}

/// Refuses a stream that is not there, and says of a view how its rows are written.
fn is_there(data: &Path, stream: &str) -> Result<(), Failure> {
    let streams = Store::open_read_only(data)?.names()?;
    if streams.iter().any(|name| name.as_str() == stream) {
        return Ok(());
    }
    if Catalog::load(data).is_ok_and(|catalog| catalog.views.contains_key(stream)) {
        return Err(Failure::Usage(format!(
            "{stream} is a view, and --stream takes a stream; its rows are written by --sql \"SELECT * FROM {stream}\""
        )));
    }
    Err(Failure::unknown("stream", stream, &streams))
}

/// The rows and bytes that were written; none where the reader of standard output has seen enough before the end.
async fn export(
    arguments: &Arguments,
    data: &Path,
    sql: &str,
    bar: &ProgressBar,
) -> anyhow::Result<Option<(u64, u64)>> {
    // One thread reads a stream in its order; a query may use them all.
    let threads = if arguments.stream.is_some() { 1 } else { Limits::default().threads };
    let limits = Limits { threads, ..Limits::default() };
    let lake = offline::open(data, Some(sql), limits, &mut |_| {}).await?;
    let mut start = 0;
    if let Some(stream) = &arguments.stream {
        let head = Store::open_read_only(data)?.stream(&Name::new(stream)?)?.head();
        let bound = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<u64>().ok());
        start = bound(&arguments.from).unwrap_or(head.start.0);
        bar.set_length(bound(&arguments.to).unwrap_or(head.end.0).saturating_sub(start));
    }
    if arguments.output.as_os_str() == "-" {
        let out = output();
        let closed = out.closed();
        let (rows, out) = write(arguments, &lake, (sql, start), Counted::new(Box::new(out)), &closed, bar).await?;
        return Ok((!closed.load(Ordering::Relaxed)).then_some((rows, out.bytes)));
    }
    let name = arguments.output.file_name().ok_or_else(|| anyhow!("--output names no file"))?;
    let partial = arguments.output.with_file_name(format!(".{}.partial", name.to_string_lossy()));
    let shown = partial.display();
    let file = File::create(&partial).with_context(|| format!("creating {shown}"))?;
    let to_sync = file.try_clone().with_context(|| format!("creating {shown}"))?;
    let never = AtomicBool::new(false);
    let written = write(arguments, &lake, (sql, start), Counted::new(Box::new(file)), &never, bar).await;
    let (rows, out) = match written {
        Ok(written) => written,
        Err(error) => {
            // Nobody takes half a file for a whole one; if it cannot be removed its name says what it is.
            let _ = fs::remove_file(&partial);
            return Err(error);
        }
    };
    to_sync.sync_all().with_context(|| format!("writing {shown}"))?;
    fs::rename(&partial, &arguments.output).with_context(|| format!("naming {}", arguments.output.display()))?;
    Ok(Some((rows, out.bytes)))
}

/// Writes all rows, unless `out` is `closed` before.
async fn write(
    arguments: &Arguments,
    lake: &Lake,
    (sql, start): (&str, u64),
    out: Counted,
    closed: &AtomicBool,
    bar: &ProgressBar,
) -> anyhow::Result<(u64, Counted)> {
    // The person wrote only the condition, which stands last, in parentheses.
    let condition = arguments.filter.as_deref().unwrap_or(sql);
    let written_at = sql.rfind(condition).map_or(0, |at| sql[..at].chars().count());
    let mut rows = lake.rows(sql).await.map_err(|error| error.of_part(condition, written_at))?;
    let out = Packed::new(out, arguments.compress)?;
    let mut writer = match (arguments.format, arguments.stream.is_some()) {
        (FileFormat::Jsonl, true) => RowWriter::verbatim(out),
        (FileFormat::Jsonl, false) => RowWriter::lines(out),
        (FileFormat::Parquet, _) => RowWriter::parquet(out, &rows.schema)?,
    };
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        writer.write(&batch)?;
        count += batch.num_rows() as u64;
        let offsets = batch.column_by_name("event_offset").and_then(|column| column.as_primitive_opt::<Int64Type>());
        if let Some(offset) = offsets.and_then(|offsets| offsets.values().last()) {
            bar.set_position(offset.unsigned_abs().saturating_sub(start));
        }
        bar.set_message(format!("exporting, {}", counted(count, "row")));
        if closed.load(Ordering::Relaxed) {
            break;
        }
    }
    let out = writer.finish()?.finish().context("writing the end")?;
    Ok((count, out))
}
