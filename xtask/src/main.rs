//! `cargo xtask`: what is done to the project rather than by it.
//!
//! `ci` is the whole gate, `test` the tests with their set-up, `tidy` the structure rules, `bench` the measurements, `torture`, `siege`
//! and `soak` the attacks on the running binary, `differential` the one on what views count, `services` real servers for tests,
//! `dist` makes what users install.
//! It shares the one build profile and names no crate of Lakehead, so it builds in seconds; it drives `cargo` and the
//! built binary from outside, as a user would.

mod bench;
mod ci;
mod command;
mod count;
mod differential;
mod dist;
mod features;
mod full;
mod http;
mod machine;
mod process;
mod services;
mod setup;
mod siege;
mod soak;
mod test;
mod tidy;
mod torture;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <command>

  ci      the whole gate: format, structure, lints, tests, documentation
  test    the tests, after installing what they need where that is allowed
          [any further words go to cargo test, as in `cargo xtask test -p lakehead-store`]
  tidy    the structure rules alone
  bench   measures the live path and the rebuild of a view, with DuckDB beside them
          [--events N, default 1000000] [--seed N, default 7]
  bench compare   the same beside another build, in turns: --with BINARY [--rounds N, default 9] [--events N] [--seed N]
  bench store   measures the store alone, from memory: append, scan, the cost per event as it grows, opening
          [--events N, default 2000000] [--flat N, default 50000000; 0 leaves it out]
          [--segments N, default 10000; 0 leaves it out] [--sync always|off|SPAN, default always]
  bench views   measures what views cost and how fast they are, with DuckDB, Polars and ClickHouse beside them
          [--events N, default 3000000] [--view-events N, default 50000000; 0 leaves it out]
          [--live-seconds N, default 60; 0 leaves it out]
  torture kills the running binary again and again, and checks that nothing was lost or doubled
          [--kills N, default 100] [--seed S, default 1] [--minutes M, default no limit]
          [--points all|NAME,…, default all that can be reached] [--binary PATH, default a build of this checkout]
          [--report: writes docs/evidence/torture.md]
  torture sources   the sources sse, poll, spool, file and fake side by side, under upstreams that misbehave
          [--minutes M, default 1] [--seed S, default 1] [--binary PATH]
          [--report: writes docs/evidence/torture-sources.md]
  soak    lets the binary run for an hour under load, and checks memory, files and exactness
          [--minutes M, default 60] [--rate N, default 20000] [--seed S, default 1] [--binary PATH]
          [--report: writes docs/evidence/soak.md and soak.svg]
  siege   throws hostile HTTP and SQL at the running binary, and holds it to health, ingest, memory and honest answers
          [--minutes M, default 5, or --seconds S] [--seed S, default 1] [--without-sql] [--binary PATH]
          [--report: writes docs/evidence/siege.md]
  differential   runs random queries as views, as batch queries and in DuckDB, and compares
          [--seed S, default 1] [--minutes N, default 10] [--case NAME: only that one, as a failure names it]
  services up NAME…      starts real servers on loopback for tests, and prints their addresses as NAME_URL=… lines
  services down [NAME…]  ends them, all without a name; their logs stay
  services status        tells what runs, where, and what cannot run here
  services smoke [NAME…] starts each, writes something and reads it back, and ends it
          [names: postgresql, s3, kafka, cassandra, opensearch, elasticsearch, hdfs, flink]
  dist    makes what users install, in target/dist: archive, Debian package, notices, checksums
          [--remap: builds apart, in target/remapped, so that the binary names no path of this machine]
          LAKEHEAD_DEB_MAINTAINER=\"NAME <ADDRESS>\" names who answers for the package";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let rest = words.get(1..).unwrap_or_default();
    let outcome = match words.first().map(String::as_str) {
        Some("ci") if rest.is_empty() => ci::run(),
        Some("test") => test::run(rest),
        Some("tidy") if rest.is_empty() => tidy::run(),
        Some("bench") => bench::run(rest),
        Some("torture") => torture::run(rest),
        Some("siege") => siege::run(rest),
        Some("soak") => soak::run(rest),
        Some("dist") => dist::run(rest),
        Some("differential") => differential::run(rest),
        Some("services") => services::run(rest),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nxtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
