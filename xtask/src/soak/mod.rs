//! `cargo xtask soak`: an hour of load on the real binary; then memory, files and exactness are checked.
//!
//! Nothing goes wrong on purpose here (that is `torture`): it looks for what grows, what is left over, and what falls
//! behind. Exactness is that of the torture's oracle, on streams, since an hour of events does not fit the memory.

mod exact;
mod options;
mod report;
mod sample;

use std::{
    fs,
    path::Path,
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use self::{
    options::{Options, options},
    sample::Sample,
};
use crate::{
    command::{self, target},
    full::cargo_full,
    process::Process,
    torture::{files, reference::Reference, upstream::Upstream},
};

/// Between two samples.
const SAMPLE_EVERY: Duration = Duration::from_secs(10);
/// Memory is flat when the trend of an hour is below this part of what it may be: of its bound at a quiet rate, else of its mean.
const FLAT: f64 = 0.05;
/// Longest time for the views to catch up at the end.
const CATCH_UP: Duration = Duration::from_secs(60);
const STREAM: &str = "recentchange";
/// Up to this many events a second the default pipeline runs, with its bound on memory: Wikimedia's own rate is about 36.
const QUIET_RATE: u64 = 100;
/// Most resident memory of the default pipeline at a quiet rate, once it has settled.
const RESIDENT_BYTES_MAX: u64 = 100 << 20;
/// When it has.
const SETTLED_SECONDS: f64 = 60.0;
/// The default pipeline, and its upstream.
const DEFAULT: &str = include_str!("../../../src/default_pipeline.toml");
const WIKIMEDIA: &str = "url = \"https://stream.wikimedia.org/v2/stream/recentchange\"";

/// The pipeline; `{url}` and `{since}` are filled in. Sealing and retention are switched on here.
const PIPELINE: &str = r#"
[store]
segment_bytes = "64 MiB"              # one ends every twenty seconds, and is sealed

[stream.recentchange]
schema = "mediawiki/recentchange"
retention_bytes = "1 GiB"             # reached after about six minutes

[source.upstream]
kind = "eventstreams"
url = "{url}"
stream = "recentchange"
since = "{since}"

[view.types]
sql = """
SELECT tumble(event_time, INTERVAL '10 seconds') AS opened, type AS name, count(*) AS events
FROM recentchange WHERE NOT canary GROUP BY 1, 2"""

[view.edits]
sql = """
SELECT tumble(event_time, INTERVAL '1 minute') AS opened, wiki AS name, count(*) AS events
FROM recentchange WHERE NOT canary AND type IN ('edit', 'new') GROUP BY 1, 2"""
"#;

/// Lets it run, checks, prints the report.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let options = options(words)?;
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => {
            command::run(&mut cargo_full(&["build", "--release"])?)?;
            target().join("release/lakehead")
        }
    };
    let scratch = target().join("soak");
    if scratch.exists() {
        fs::remove_dir_all(&scratch).with_context(|| format!("clearing {}", scratch.display()))?;
    }
    fs::create_dir_all(&scratch).with_context(|| format!("making {}", scratch.display()))?;
    let data = scratch.join("data");
    let now = Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]).output().context("asking for the time")?;
    let start = String::from_utf8_lossy(&now.stdout).trim().to_owned();
    let upstream = Upstream { seed: options.seed, rate: options.rate, start };
    let samples = load(&options, &binary, &upstream, &scratch, &data)?;

    // What comes after the load is the catching up.
    let under_load = samples.partition_point(|sample| sample.seconds <= (60 * options.minutes + 15) as f64);
    let under_load = &samples[..under_load];
    let mut checks = Vec::new();
    if options.rate <= QUIET_RATE {
        checks.extend([memory(under_load, Some(RESIDENT_BYTES_MAX)), resident(under_load)]);
    } else {
        checks.push(memory(under_load, None));
    }
    checks.push(match left_over(&data)? {
        left if left.is_empty() => ("no file is left over".to_owned(), true),
        left => (format!("left over: {}", left.join(", ")), false),
    });
    checks.push(match exactness(&binary, &upstream, &data, &samples, options.rate) {
        Ok(what) => (what, true),
        Err(error) => (format!("{error:#}"), false),
    });
    let version = Command::new(&binary).arg("--version").output().context("asking for the version")?;
    let text = report::text(&options, String::from_utf8_lossy(&version.stdout).trim(), &samples, &checks);
    println!("\n{text}");
    if options.report {
        let folder = command::root().join("docs/evidence");
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        fs::write(folder.join("soak.md"), &text).context("writing soak.md")?;
        fs::write(folder.join("soak.svg"), report::plot(&samples)).context("writing soak.svg")?;
    }
    if let Some((what, _)) = checks.iter().find(|(_, good)| !good) {
        bail!("the soak failed: {what}; its files are in {}", scratch.display());
    }
    fs::remove_dir_all(&scratch).with_context(|| format!("clearing {}", scratch.display()))
}

/// Runs the binary under load, and takes a sample now and then.
fn load(options: &Options, binary: &Path, upstream: &Upstream, scratch: &Path, data: &Path) -> Result<Vec<Sample>> {
    let mut feeder = upstream.without_faults(binary)?;
    let pipeline = scratch.join("pipeline.toml");
    let url = format!("http://{}/v2/stream/{STREAM}", feeder.address);
    let text = if options.rate <= QUIET_RATE {
        let here = format!("url = \"{url}\"\nsince = \"{}\"", upstream.start);
        DEFAULT.replace(WIKIMEDIA, &here)
    } else {
        PIPELINE.replace("{url}", &url).replace("{since}", &upstream.start)
    };
    fs::write(&pipeline, text).with_context(|| format!("writing {}", pipeline.display()))?;
    let words = ["run", &pipeline.to_string_lossy(), "--data", &data.to_string_lossy(), "--listen", "127.0.0.1:0"];
    let process = Process::start(binary, &words)?;
    let begun = Instant::now();
    let mut samples = Vec::new();
    while begun.elapsed() < Duration::from_secs(60 * options.minutes) {
        sleep(SAMPLE_EVERY);
        let sample = sample::take(&process, data, STREAM, begun.elapsed())?;
        println!(
            "{:5.0} s  {:7.1} MiB ({:.1} its own)  {} events, {} behind, {} files",
            sample.seconds,
            mib(sample.memory_bytes),
            mib(sample.own_bytes),
            sample.end,
            sample.behind,
            sample.files
        );
        samples.push(sample);
    }
    feeder.kill()?;
    // What is on its way still comes; then the views catch up.
    let ended = Instant::now();
    loop {
        sleep(Duration::from_secs(1));
        let sample = sample::take(&process, data, STREAM, begun.elapsed())?;
        let still = samples.last().is_some_and(|last: &Sample| last.end == sample.end);
        let done = still && sample.behind == 0;
        samples.push(sample);
        if done {
            break;
        }
        if ended.elapsed() > CATCH_UP {
            bail!("the views did not catch up within {CATCH_UP:?}");
        }
    }
    let status = process.finish()?;
    if !status.success() {
        bail!("Ctrl-C ended it with {status}");
    }
    Ok(samples)
}

/// Whether memory is flat. Where there is a `bound`, a process far below it may move more of its own mean.
fn memory(samples: &[Sample], bound: Option<u64>) -> (String, bool) {
    let (slope, mean) = sample::memory_trend(samples);
    let (of, named) = bound.map_or((mean, "its mean"), |bound| (bound as f64, "its bound"));
    // Where it falls it does not grow.
    let what = format!(
        "memory moves by {:+.1} % of {named} an hour, {:+.2} MiB (bar: {:.0} %)",
        slope / of * 100.0,
        slope / 1024.0 / 1024.0,
        FLAT * 100.0
    );
    (what, slope / of <= FLAT)
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1024.0 / 1024.0
}

/// Whether what is resident stays under its bound. Its greater part are pages of the program's file, which the system may take
/// back.
fn resident(samples: &[Sample]) -> (String, bool) {
    let settled = samples.iter().filter(|sample| sample.seconds >= SETTLED_SECONDS);
    let most = settled.map(|sample| sample.memory_bytes).max().unwrap_or(0);
    (
        format!("{:.1} MiB resident at most (bar: {:.0} MiB)", mib(most), mib(RESIDENT_BYTES_MAX)),
        most <= RESIDENT_BYTES_MAX,
    )
}

/// Files that nothing names: under `temporary` and `quarantine`, beside the segments, and in a view's state.
fn left_over(data: &Path) -> Result<Vec<String>> {
    let mut left = Vec::new();
    for folder in ["temporary", "quarantine"] {
        let folder = data.join(folder);
        if folder.exists() {
            files::collect(&folder, "", &mut left)?;
        }
    }
    let mut segments = Vec::new();
    files::collect(&data.join("streams"), "", &mut segments)?;
    left.extend(segments.into_iter().filter(|path| !path.to_string_lossy().ends_with(".jsonl.zst")));
    let views = data.join("views");
    for view in fs::read_dir(&views).with_context(|| format!("listing {}", views.display()))? {
        let state = view?.path().join(".state");
        let checkpoint = state.join("checkpoint.json");
        let named = fs::read_to_string(&checkpoint).with_context(|| format!("reading {}", checkpoint.display()))?;
        let mut found = Vec::new();
        files::collect(&state, "", &mut found)?;
        left.extend(found.into_iter().filter(|path| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            name != "checkpoint.json" && !is_named(&named, &name)
        }));
    }
    Ok(left.iter().map(|path| path.display().to_string()).collect())
}

/// Whether a checkpoint names a file `PERIOD.BUILD.GENERATION.KIND`, `state.BUILD.GENERATION.NUMBER.partial` or
/// `open.GENERATION.partial` by its generation.
fn is_named(checkpoint: &str, name: &str) -> bool {
    let behind = if name.starts_with("state.") { 2 } else { 1 };
    let generation = name.rsplit('.').nth(behind).unwrap_or_default();
    let key = if name.starts_with("open.") { "\"open\":" } else { "\"generation\":" };
    let numbers = checkpoint.match_indices(key).map(|(at, key)| checkpoint[at + key.len()..].trim_start());
    !generation.is_empty()
        && numbers.filter_map(|rest| rest.split([',', '}', '\n']).next()).any(|n| n.trim() == generation)
}

fn exactness(binary: &Path, upstream: &Upstream, data: &Path, samples: &[Sample], rate: u64) -> Result<String> {
    let last = samples.last().context("no sample was taken")?;
    let segments = files::segments(data, STREAM)?;
    let exact = exact::compare(&segments, last.start, &mut Reference::open(binary, upstream)?)?;
    if last.start + exact.events < last.end {
        bail!("{} events were committed, and the log ends at {}", last.end, last.start + exact.events);
    }
    let view = if rate <= QUIET_RATE { "events_per_type" } else { "types" };
    let counted = exact::counted(binary, data, view)?;
    if counted != exact.not_canaries {
        bail!("the view counts {counted} events, {} were issued", exact.not_canaries);
    }
    Ok(format!(
        "{} events in {} segments are what was issued, {} before them were taken by retention; the view counts all {counted} \
         that are no canaries",
        exact.events,
        segments.len(),
        last.start
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_names_files_by_their_generation() {
        let checkpoint = r#"{"generation": 9, "periods": {"5": {"generation": 7, "rows": 3}}, "open": 12}"#;
        assert!(is_named(checkpoint, "open.12.partial") && is_named(checkpoint, "2026-11-24T02.7.result"));
        assert!(is_named(checkpoint, "state.0.7.1.partial") && !is_named(checkpoint, "state.0.1.7.partial"));
        assert!(!is_named(checkpoint, "open.1.partial") && !is_named(checkpoint, "publishing"));
    }

    #[test]
    fn the_default_pipeline_can_be_given_another_upstream_and_what_is_resident_is_judged_once_it_has_settled() {
        assert!(DEFAULT.contains(WIKIMEDIA));
        let sample = |seconds, mib: u64| Sample { seconds, memory_bytes: mib << 20, ..Sample::default() };
        assert!(resident(&[sample(10.0, 300), sample(70.0, 99)]).1);
        let rising: Vec<_> = (0..100_u32).map(|n| sample(f64::from(n) * 36.0, 40 + u64::from(n) / 25)).collect();
        assert!(memory(&rising, Some(RESIDENT_BYTES_MAX)).1 && !memory(&rising, None).1);
        let (what, good) = resident(&[sample(70.0, 90), sample(80.0, 101), sample(90.0, 90)]);
        assert!(!good && what.starts_with("101.0 MiB"), "{what}");
    }
}
