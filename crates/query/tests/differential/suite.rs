//! One case, three ways: as a view on its way, as a batch query, and in DuckDB; and what it takes to compare them.

use crate::{
    batch::Batch,
    case::Case,
    compare::{Side, difference},
    duckdb::DuckDb,
    incremental::{self, History, Plant, Told},
    random::Random,
    table::Table,
    written::POISONED,
};

/// A table, ready to be asked in every way.
pub(crate) struct Bench<'d> {
    pub(crate) table: Table,
    pub(crate) batch: Batch,
    /// Where there is one.
    pub(crate) duckdb: Option<&'d mut DuckDb>,
}

/// What a case that is equal three ways went through.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Examined {
    pub(crate) history: History,
    /// Rows of the view that were compared, in the end and on the way.
    pub(crate) rows: u64,
}

impl<'d> Bench<'d> {
    /// Appends the table's events to a store and loads them into DuckDB.
    pub(crate) async fn new(table: Table, mut duckdb: Option<&'d mut DuckDb>) -> Self {
        if let Some(duckdb) = &mut duckdb {
            duckdb.load(&table);
        }
        let batch = Batch::of(&table).await;
        Self { table, batch, duckdb }
    }

    /// Runs the case; what differs, in words.
    pub(crate) async fn examine(&mut self, case: &Case, seed: u64, plant: Plant) -> Result<Examined, String> {
        let mut random = Random::new(seed, "way");
        let told = incremental::run(&self.table, case, &self.batch.lake, &mut random, plant).await?;
        if case.name.contains(POISONED) {
            return self.poisoned(case, told).await;
        }
        let (schema, batch) = self.batch.answer(case, None).await.map_err(|e| format!("the batch query fails: {e}"))?;
        let fields = |schema: &arrow::datatypes::SchemaRef| -> Vec<String> {
            schema.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect()
        };
        let (in_view, in_batch) = (fields(&told.schema), fields(&schema));
        if in_view != in_batch {
            return Err(format!("the view has the columns {in_view:?}, the batch query {in_batch:?}"));
        }
        let shown: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let view = Side { name: "view", rows: &told.rows };
        let batch = Side { name: "batch", rows: &batch };
        let mut differing = Vec::new();
        differing.extend(difference(&shown, view, batch, false));
        let mut rows = told.rows.len() as u64;
        if let Some(duckdb) = &mut self.duckdb {
            let end = self.table.len() as u64;
            let exact = duckdb.query(&case.duckdb_before(end)).map_err(|e| format!("DuckDB refuses: {e}"))?;
            let exact = Side { name: "duckdb", rows: &exact };
            differing.extend(difference(&shown, view, exact, true));
            differing.extend(difference(&shown, batch, exact, true));
        }
        if let Some((end, rows_midway)) = &told.midway {
            let (other, is_exact) = match &mut self.duckdb {
                Some(duckdb) => (duckdb.query(&case.duckdb_before(*end)), true),
                None => (self.batch.answer(case, Some(*end)).await.map(|(_, rows)| rows), false),
            };
            let other = other.map_err(|e| format!("the query over the first {end} events fails: {e}"))?;
            let view = Side { name: "view", rows: rows_midway };
            let other = Side { name: if is_exact { "duckdb" } else { "batch" }, rows: &other };
            let found = difference(&shown, view, other, is_exact);
            differing.extend(found.map(|found| format!("after the first {end} events {found}")));
            rows += rows_midway.len() as u64;
        }
        if differing.is_empty() { Ok(Examined { history: told.history, rows }) } else { Err(differing.join("\n  ")) }
    }

    /// A case whose query fails: the view leaves out what it fails on, and has the rest.
    async fn poisoned(&mut self, case: &Case, told: Told) -> Result<Examined, String> {
        // What was recorded need not have what a query fails on; what is made up has.
        if self.batch.answer(case, None).await.is_ok() && !case.name.starts_with("recorded/") {
            return Err("the batch query does not fail".into());
        }
        let mut rows = 0;
        if let Some(duckdb) = &mut self.duckdb {
            let shown: Vec<&str> = told.schema.fields().iter().map(|field| field.name().as_str()).collect();
            let ends = [(self.table.len() as u64, &told.rows)];
            for (end, found) in ends.into_iter().chain(told.midway.iter().map(|(end, rows)| (*end, rows))) {
                let exact = duckdb.query(&case.duckdb_before(end)).map_err(|e| format!("DuckDB refuses: {e}"))?;
                let view = Side { name: "view", rows: found };
                if let Some(differs) = difference(&shown, view, Side { name: "duckdb", rows: &exact }, true) {
                    return Err(format!("after the first {end} events {differs}"));
                }
                rows += found.len() as u64;
            }
        }
        Ok(Examined { history: told.history, rows })
    }
}
