//! The statements of docs/sql.md, run as they stand there: views kept on their way and held against the same text as a
//! query, queries answered, refusals refused in the words that the page gives.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use lakehead_model::{Name, StreamSchema};
use lakehead_query::{Slot, View, ViewSettings, check_views};

use crate::{
    case::Case,
    feed,
    incremental::{self, Plant},
    suite::Bench,
};

/// A statement and what its first line says of it.
#[derive(Clone, Debug)]
enum Statement {
    View { name: Name, sql: String },
    Query(String),
    Refused { says: String, sql: String },
}

/// The ```sql blocks of a page, in order.
fn statements(page: &str) -> Vec<Statement> {
    let blocks = page.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    let read = |block: &str| {
        let (head, sql) = block.split_once('\n').expect("a first line that says what it is");
        let sql = sql.to_owned();
        if let Some(name) = head.strip_prefix("-- view ") {
            Statement::View { name: Name::new(name).expect("a name"), sql }
        } else if let Some(says) = head.strip_prefix("-- refused: ") {
            Statement::Refused { says: says.to_owned(), sql }
        } else {
            assert_eq!(head, "-- query", "the first line of:\n{block}");
            Statement::Query(sql)
        }
    };
    blocks.map(read).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_statement_of_the_page_about_sql_does_what_the_page_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sql.md");
    let statements = statements(&std::fs::read_to_string(path).expect("the page"));
    let mut bench = Bench::new(feed::changes(11, 2_500), None).await;
    let stream = Name::new(bench.table.name).expect("a name");
    let schemas = BTreeMap::from([(stream.clone(), bench.table.schema.clone())]);
    let mut views: BTreeMap<Name, String> = BTreeMap::new();
    for statement in &statements {
        if let Statement::View { name, sql } = statement {
            assert!(views.insert(name.clone(), sql.clone()).is_none(), "{name} stands twice");
        }
    }
    let (mut kept, mut asked, mut refused) = (0, 0, 0);

    // Each view on its own way: blocks, commits, restarts and crashes at random, four times.
    for (name, sql) in &views {
        let read = views.keys().find(|other| *other != name && reads(sql, other.as_str()));
        let case = Case {
            name: format!("docs/{name}"),
            stream: stream.to_string(),
            time: None,
            lakehead: read.map_or_else(|| sql.clone(), |read| sql.replace(read.as_str(), crate::case::BELOW)),
            duckdb: String::new(),
            below: read.map(|read| (views[read].clone(), String::new())),
        };
        for seed in 0..4 {
            let examined = bench.examine(&case, seed, Plant::Nothing).await;
            let examined = examined.unwrap_or_else(|why| panic!("view {name}: {why}\n{sql}"));
            assert!(examined.rows > 0, "view {name} has no rows");
        }
        kept += 1;
    }

    // All of them at once, so that queries can read them.
    let folder = tempfile::tempdir().expect("a folder");
    let mut opened: BTreeMap<Name, View> = BTreeMap::new();
    for (name, plan) in check_views(&views, &schemas).await.expect("they can be planned") {
        let plan = plan.unwrap_or_else(|why| panic!("view {name}: {why}"));
        let upstream = plan.upstream().map(|read| opened[read].handle());
        let settings = ViewSettings::default();
        let (mut view, why) =
            View::open(folder.path(), name.clone(), Arc::clone(&plan), settings, Slot::Active, upstream)
                .await
                .expect("it opens");
        assert_eq!(why, None, "view {name}");
        if plan.upstream().is_none() {
            incremental::take_all(&bench.table, &mut view).await.expect("it counts");
        }
        view.commit().await.expect("it commits");
        bench.batch.lake.add_view(view.handle());
        opened.insert(name, view);
    }
    let mut otherwise = Vec::new();
    for statement in &statements {
        match statement {
            Statement::View { .. } => {}
            Statement::Query(sql) => {
                let (_, rows) = bench.batch.query(sql).await.unwrap_or_else(|why| panic!("{why}\n{sql}"));
                assert!(!rows.is_empty(), "no rows:\n{sql}");
                asked += 1;
            }
            Statement::Refused { says, sql } => {
                let why = refusal(sql, &views, &schemas).await;
                // Before it stands the place, behind it the marked line.
                if !why.contains(says.as_str()) {
                    otherwise.push(format!("{sql}\n  says: {why}\n  page: {says}"));
                }
                refused += 1;
            }
        }
    }
    assert!(otherwise.is_empty(), "{}", otherwise.join("\n"));
    assert!(kept >= 15 && asked >= 5 && refused >= 15, "{kept} views, {asked} queries, {refused} refusals were found");
}

/// Whether `sql` reads the table of this name.
fn reads(sql: &str, name: &str) -> bool {
    sql.split_whitespace().zip(sql.split_whitespace().skip(1)).any(|(word, table)| word == "FROM" && table == name)
}

/// Why `sql` is no view beside the others.
async fn refusal(sql: &str, views: &BTreeMap<Name, String>, schemas: &BTreeMap<Name, StreamSchema>) -> String {
    let refused = Name::new("refused").expect("a name");
    let mut views = views.clone();
    views.insert(refused.clone(), sql.to_owned());
    let checked = check_views(&views, schemas).await.expect("they can be planned");
    let plan = checked.into_iter().find(|(name, _)| *name == refused).expect("it was checked").1;
    plan.err().unwrap_or_else(|| panic!("this is a view:\n{sql}")).to_string()
}
