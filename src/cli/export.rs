//! `lakehead export`: a stream as it was received, or what SQL asks for, to JSON lines or Parquet, of any length.
//!
//! It reads the files, also while a process writes them: opening for reading ignores a torn tail, takes no lock, and costs
//! the running process nothing. What it may see in advance is a last block that is written and not yet synced. Rows pass
//! through a few at a time. The file gets its name when it is whole.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use anyhow::{Context, anyhow};
use arrow::{array::AsArray, datatypes::Int64Type};
use clap::{ArgGroup, Args, ValueEnum};
use indicatif::ProgressBar;
use lakehead_engine::{catalog::Catalog, offline};
use lakehead_model::{ByteSize, Name, Timestamp};
use lakehead_query::{Lake, Limits, format::RowWriter};
use lakehead_store::Store;

use super::{moment, unknown_stream};
use crate::{
    outcome::{Failure, Outcome},
    output::{note, output},
    patience::with_progress,
    service::counted,
    whom::Elsewhere,
    within::Within,
};

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["stream", "sql"])))]
pub(crate) struct Arguments {
    /// The stream.
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,
    /// One SELECT over streams and views, in place of a stream; its rows come in no certain order without ORDER BY.
    #[arg(long, value_name = "SELECT", conflicts_with_all = ["from", "to", "filter"])]
    sql: Option<String>,
    /// The first offset, or the first moment (RFC 3339), that is in.
    #[arg(long, value_name = "TIME|OFFSET")]
    from: Option<String>,
    /// The first offset, or the first moment, that is not.
    #[arg(long, value_name = "TIME|OFFSET")]
    to: Option<String>,
    /// Which time `--from` and `--to` mean.
    #[arg(long, value_enum, default_value = "event")]
    time: Time,
    /// A condition in SQL over the stream's columns, as in "wiki = 'enwiki' AND NOT bot".
    #[arg(long = "where", value_name = "SQL")]
    filter: Option<String>,
    /// JSON lines (of a stream, every byte as received), or Parquet with the typed columns.
    #[arg(long, value_enum, default_value = "jsonl")]
    format: Form,
    /// How JSON lines are compressed; Parquet is compressed in itself.
    #[arg(long, value_enum, default_value = "none")]
    compress: Compress,
    /// The file; `-` is standard output.
    #[arg(long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// The data directory; without it ./data, or the demo's.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Time {
    Event,
    Received,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    #[value(alias = "ndjson")]
    Jsonl,
    Parquet,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Compress {
    None,
    Gzip,
    Zstd,
}

pub(crate) async fn run(arguments: Arguments, whom: &Elsewhere) -> Outcome {
    if arguments.format == Form::Parquet && arguments.compress != Compress::None {
        return Err(Failure::Usage("Parquet is compressed in itself: leave --compress out".into()));
    }
    whom.needs_no_token("export")?;
    let sql = sql(&arguments).map_err(Failure::Usage)?;
    let data = whom.directory(arguments.data.clone(), "export")?;
    if let Some(stream) = &arguments.stream {
        is_there(&data, stream)?;
    }
    if arguments.output.as_os_str() != "-" {
        let own = Within::of(&data).with_context(|| format!("looking into {}", data.display()))?;
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
    Err(unknown_stream(stream, &streams))
}

/// Where a range begins or ends.
enum Bound {
    Offset(u64),
    Moment(Timestamp),
}

impl Bound {
    /// The one after `--word`.
    fn read(word: &str, text: &Option<String>) -> Result<Option<Self>, String> {
        let Some(text) = text else { return Ok(None) };
        if let Ok(offset) = text.parse() {
            return Ok(Some(Self::Offset(offset)));
        }
        match moment(text) {
            Ok(at) => Ok(Some(Self::Moment(at))),
            Err(_) => Err(format!("--{word} {text:?} is neither an offset nor a time as in 2026-09-01T12:00:00Z")),
        }
    }
}

/// The query that the words stand for. Half-open: `--from 5 --to 8` are the offsets 5, 6 and 7.
fn sql(arguments: &Arguments) -> Result<String, String> {
    let Some(stream) = &arguments.stream else { return Ok(arguments.sql.clone().unwrap_or_default()) };
    let stream = Name::new(stream).map_err(|error| error.to_string())?;
    let time = match arguments.time {
        Time::Event => "event_time",
        Time::Received => "received_time",
    };
    let (from, to) = (Bound::read("from", &arguments.from)?, Bound::read("to", &arguments.to)?);
    let is_backwards = match (&from, &to) {
        (Some(Bound::Offset(from)), Some(Bound::Offset(to))) => from > to,
        (Some(Bound::Moment(from)), Some(Bound::Moment(to))) => from > to,
        _ => false,
    };
    if is_backwards {
        let what = "--from lies behind --to, so nothing is between them: --from is the first that is in, --to the first that \
                    is not";
        return Err(what.to_owned());
    }
    let condition = |operator: &str, bound: Bound| match bound {
        Bound::Offset(offset) => format!("event_offset {operator} {offset}"),
        Bound::Moment(at) => format!("{time} {operator} '{at}'"),
    };
    let filter = arguments.filter.as_ref().map(|filter| format!("({filter})"));
    let conditions = [from.map(|from| condition(">=", from)), to.map(|to| condition("<", to)), filter];
    let conditions: Vec<String> = conditions.into_iter().flatten().collect();
    let columns = if arguments.format == Form::Jsonl { "data, event_offset" } else { "*" };
    let condition = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    Ok(format!("SELECT {columns} FROM {stream}{condition}"))
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
        (Form::Jsonl, true) => RowWriter::verbatim(out),
        (Form::Jsonl, false) => RowWriter::lines(out),
        (Form::Parquet, _) => RowWriter::parquet(out, &rows.schema)?,
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

/// Counts what is written.
struct Counted {
    inner: BufWriter<Box<dyn Write + Send>>,
    bytes: u64,
}

impl Counted {
    fn new(inner: Box<dyn Write + Send>) -> Self {
        Self { inner: BufWriter::with_capacity(1 << 20, inner), bytes: 0 }
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// What stands between the rows and the file.
enum Packed {
    Plain(Counted),
    Gzip(flate2::write::GzEncoder<Counted>),
    Zstd(zstd::stream::write::Encoder<'static, Counted>),
}

impl Packed {
    fn new(out: Counted, compress: Compress) -> io::Result<Self> {
        Ok(match compress {
            Compress::None => Self::Plain(out),
            Compress::Gzip => Self::Gzip(flate2::write::GzEncoder::new(out, flate2::Compression::default())),
            Compress::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(out, zstd::DEFAULT_COMPRESSION_LEVEL)?;
                encoder.include_checksum(true)?;
                Self::Zstd(encoder)
            }
        })
    }

    fn finish(self) -> io::Result<Counted> {
        let mut out = match self {
            Self::Plain(out) => out,
            Self::Gzip(encoder) => encoder.finish()?,
            Self::Zstd(encoder) => encoder.finish()?,
        };
        out.flush()?;
        Ok(out)
    }
}

impl Write for Packed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(bytes),
            Self::Gzip(out) => out.write(bytes),
            Self::Zstd(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Gzip(out) => out.flush(),
            Self::Zstd(out) => out.flush(),
        }
    }
}
