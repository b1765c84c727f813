//! The differential suite: each query as a view under random block borders, commits, restarts, crashes and late events;
//! as a batch query; and in DuckDB. All three must be equal.
//!
//! Queries are written by hand ([`written`]) and spoken by a grammar ([`grammar`]), over synthetic streams with
//! Wikimedia's disorder and oddities and over recorded ones where they are ([`feed`]). Integers, text and times are equal
//! to the last digit, floats to a billionth, sketches within their stated error ([`compare`]). DuckDB reads what
//! serde_json makes of the events ([`oracle`]), so the decoder is held against it too.
//!
//! In the gate it runs one round of one seed. `cargo xtask differential --seed S --minutes N` goes on for as long as one
//! likes, with other events and other queries in each round. A failure is made small and shown with what runs it again.

mod batch;
mod case;
mod compare;
mod docs;
mod duckdb;
mod expression;
mod feed;
mod follower;
mod grammar;
mod incremental;
mod options;
mod oracle;
mod query;
mod random;
mod shrink;
mod suite;
mod table;
mod tally;
mod value;
mod written;

use std::{io::Write, time::Instant};

use self::{
    case::Case, duckdb::DuckDb, grammar::Grammar, incremental::Plant, options::Options, query::Query, random::Random,
    suite::Bench, table::Table, tally::Tally,
};

/// Events of each synthetic stream.
const EVENTS: usize = 2_500;
/// Queries of the grammar for each stream in a round.
const GENERATED: u64 = 70;
/// A run ends with so many failures: more say nothing more.
const FAILURES_MAX: usize = 20;
/// So many of them are made small, which takes a minute each.
const SHRUNK_MAX: usize = 3;

/// Past the harness, which keeps what a passing test prints to itself.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    // A closed output is nothing that a test could mend.
    let _ = writeln!(out, "{text}");
}

/// A case that failed.
struct Failure {
    table: Table,
    case: Case,
    query: Option<Query>,
    /// The round's, and that of the view's way.
    seed: u64,
    way: u64,
    why: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_batch_queries_and_duckdb_agree() {
    let options = Options::from_environment();
    let mut duckdb = DuckDb::start();
    if let Err(why) = &duckdb {
        say(&format!("SKIPPED views_batch_queries_and_duckdb_agree (DuckDB's part): {why}"));
    }
    let begun = Instant::now();
    let (mut tally, mut failures, mut round) = (Tally::default(), Vec::new(), 0);
    loop {
        let seed = options.seed.wrapping_add(round);
        let mut tables = vec![feed::changes(seed, EVENTS), feed::readings(seed, EVENTS)];
        match feed::recorded(seed) {
            Some(recorded) => tables.push(recorded),
            None if round == 0 => say(&format!(
                "SKIPPED views_batch_queries_and_duckdb_agree (recorded streams): no recordings in {}",
                feed::where_recordings_are().display()
            )),
            None => {}
        }
        for table in tables {
            tally.tables += 1;
            run(table, seed, &options, duckdb.as_mut().ok(), &mut tally, &mut failures).await;
        }
        round += 1;
        if begun.elapsed() >= options.duration() || !failures.is_empty() {
            break;
        }
        say(&format!("differential: after {:.0} s {tally}", begun.elapsed().as_secs_f64()));
    }
    say(&format!("differential: seed {}, {round} rounds, {tally}", options.seed));
    if !failures.is_empty() {
        let mut text = String::new();
        // Numbers that differ first: what is refused is small already.
        failures.sort_by_key(|failure| !failure.why.contains("differ:"));
        for (number, failure) in failures.into_iter().enumerate() {
            text += &told(failure, duckdb.as_mut().ok(), number < SHRUNK_MAX).await;
        }
        panic!("{text}");
    }
    match &options.case {
        Some(case) => assert!(tally.queries > 0, "there is no case {case:?}; its name stands in the failure's message"),
        None => tally.check(),
    }
}

/// Examines all cases over one table.
async fn run(
    table: Table,
    seed: u64,
    options: &Options,
    duckdb: Option<&mut DuckDb>,
    tally: &mut Tally,
    failures: &mut Vec<Failure>,
) {
    let mut grammar = Grammar::new(&table);
    let mut cases: Vec<(Case, Option<Query>)> = written::cases(&table).into_iter().map(|case| (case, None)).collect();
    for number in 0..GENERATED {
        let query = grammar.query(Random::new(seed.wrapping_add(number << 32), table.label).next());
        cases.push((query.case(format!("{}/grammar/{number}", table.label)), Some(query)));
    }
    let mut bench = Bench::new(table.clone(), duckdb).await;
    for (case, query) in cases {
        if failures.len() >= FAILURES_MAX || options.case.as_ref().is_some_and(|only| *only != case.name) {
            continue;
        }
        let way = Random::new(seed, &case.name).next();
        match bench.examine(&case, way, Plant::Nothing).await {
            Ok(examined) => tally.add(&examined, query.is_some()),
            Err(why) => {
                say(&format!("differential: {} of seed {seed} failed", case.name));
                failures.push(Failure { table: table.clone(), case, query, seed, way, why });
            }
        }
    }
}

/// All about a failure, and the smallest form of it that was found.
async fn told(failure: Failure, duckdb: Option<&mut DuckDb>, small: bool) -> String {
    let Failure { table, case, query, seed, way, why } = failure;
    let mut text = format!(
        "\n{} of seed {seed}, over {}:\n  {why}\n{}  again: cargo xtask differential --seed {seed} --case {}\n",
        case.name,
        table.origin,
        texts(&case),
        case.name
    );
    if small && let Some(small) = shrink::shrink(&table, case, query, way, &why, duckdb).await {
        text += &format!("  smaller, with {} events:\n  {}\n{}", small.events.len(), small.why, texts(&small.case));
        small.events.iter().take(12).for_each(|event| text += &format!("    {event}\n"));
    }
    text
}

fn texts(case: &Case) -> String {
    let mut text = format!("  Lakehead: {}\n  DuckDB:   {}\n", case.lakehead, case.duckdb);
    if let Some((lakehead, duckdb)) = &case.below {
        text += &format!("  below, Lakehead: {lakehead}\n  below, DuckDB:   {duckdb}\n");
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_that_loses_or_doubles_events_is_found() {
    let table = feed::changes(1, 600);
    let case = Case {
        name: "planted".to_owned(),
        stream: table.name.to_owned(),
        time: Some("received_time"),
        lakehead:
            "SELECT tumble(received_time, INTERVAL '10 minutes') AS w, count(*) AS n FROM recentchange GROUP BY 1"
                .into(),
        duckdb: "SELECT tumble(received_time, INTERVAL '10 minutes') AS w, count(*) AS n FROM recentchange GROUP BY 1"
            .into(),
        below: None,
    };
    let mut bench = Bench::new(table, None).await;
    for way in 0..5 {
        bench.examine(&case, way, Plant::Nothing).await.expect("nothing was planted");
        for plant in [Plant::LostEvent, Plant::DoubledBlock] {
            let why = bench.examine(&case, way, plant).await.expect_err("something was planted");
            assert!(why.contains("batch has"), "{plant:?}: {why}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tables_themselves_are_equal() {
    let mut duckdb = match DuckDb::start() {
        Ok(duckdb) => duckdb,
        Err(why) => return say(&format!("SKIPPED the_tables_themselves_are_equal: {why}")),
    };
    for table in [Some(feed::changes(2, EVENTS)), Some(feed::readings(2, EVENTS)), feed::recorded(2)] {
        let Some(table) = table else { continue };
        let name = table.name;
        let bench = Bench::new(table, Some(&mut duckdb)).await;
        let (schema, rows) = bench.batch.query(&format!("SELECT * FROM {name}")).await.expect("an answer");
        let exact = bench.duckdb.expect("there").query(&format!("SELECT * FROM {name}")).expect("an answer");
        assert_eq!(rows.len(), bench.table.len());
        let shown: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let (left, right) =
            (compare::Side { name: "log", rows: &rows }, compare::Side { name: "duckdb", rows: &exact });
        assert_eq!(compare::difference(&shown, left, right, true), None, "{}", bench.table.origin);
    }
}
