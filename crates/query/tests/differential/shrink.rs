//! Makes a failing case small: fewer events, and for a query of the grammar fewer parts, as long as it still fails.

use std::time::{Duration, Instant};

use crate::{
    case::Case,
    duckdb::DuckDb,
    expression::Expr,
    incremental::Plant,
    query::{Query, What},
    suite::Bench,
    table::Table,
};

/// How long one failure is made smaller.
const PATIENCE: Duration = Duration::from_secs(60);

/// A failure, as small as it became.
pub(crate) struct Small {
    pub(crate) case: Case,
    pub(crate) events: Vec<String>,
    pub(crate) why: String,
}

/// Shrinks. `query` is what the case was made of, for one of the grammar.
pub(crate) async fn shrink(
    table: &Table,
    case: Case,
    query: Option<Query>,
    seed: u64,
    why: &str,
    mut duckdb: Option<&mut DuckDb>,
) -> Option<Small> {
    let begun = Instant::now();
    let mut shrinking =
        Shrinking { table: table.clone(), case, query, seed, differs: differs(why), why: String::new() };
    // What is refused needs no events.
    let one = table.only(&[0]);
    if !shrinking.try_events(&one, &mut duckdb).await && !shrinking.try_events(table, &mut duckdb).await {
        return None;
    }
    // Fewer events first, since each further try is then quick; then fewer parts; then events again.
    for _ in 0..2 {
        shrinking.events(begun, &mut duckdb).await;
        shrinking.parts(begun, &mut duckdb).await;
    }
    let events = shrinking.table.events().map(|(event, received)| format!("{received}  {event}")).collect();
    Some(Small { case: shrinking.case, events, why: shrinking.why })
}

struct Shrinking {
    table: Table,
    case: Case,
    query: Option<Query>,
    seed: u64,
    /// Whether numbers differ; else something is refused or fails.
    differs: bool,
    why: String,
}

/// A failure must stay of its kind while it is made small.
fn differs(why: &str) -> bool {
    why.contains("differ:")
}

impl Shrinking {
    async fn fails(&self, table: &Table, case: &Case, duckdb: &mut Option<&mut DuckDb>) -> Option<String> {
        let mut bench = Bench::new(table.clone(), duckdb.as_deref_mut()).await;
        // The way depends on the number of events, so a few ways are tried.
        for way in 0..3 {
            if let Err(why) = bench.examine(case, self.seed.wrapping_add(way * 0x9E37_79B9), Plant::Nothing).await
                && differs(&why) == self.differs
            {
                return Some(why);
            }
        }
        None
    }

    async fn try_events(&mut self, table: &Table, duckdb: &mut Option<&mut DuckDb>) -> bool {
        match self.fails(table, &self.case, duckdb).await {
            Some(why) => {
                self.why = why;
                self.table = table.clone();
                true
            }
            None => false,
        }
    }

    /// Leaves out runs of events, ever shorter ones.
    async fn events(&mut self, begun: Instant, duckdb: &mut Option<&mut DuckDb>) {
        let mut run = self.table.len().div_ceil(2);
        while run > 0 {
            let mut from = 0;
            while from < self.table.len() && begun.elapsed() < PATIENCE {
                let keep: Vec<usize> = (0..self.table.len()).filter(|at| !(from..from + run).contains(at)).collect();
                let fewer = self.table.only(&keep);
                if fewer.len() == 0 || !self.try_events(&fewer, duckdb).await {
                    from += run;
                }
            }
            run /= 2;
        }
    }

    /// Leaves out what is shown, conditions and keys.
    async fn parts(&mut self, begun: Instant, duckdb: &mut Option<&mut DuckDb>) {
        let mut again = true;
        while again && begun.elapsed() < PATIENCE {
            again = false;
            let Some(query) = &self.query else { return };
            for simpler in simpler(query) {
                let case = simpler.case(self.case.name.clone());
                if let Some(why) = self.fails(&self.table, &case, duckdb).await {
                    (self.query, self.case, self.why, again) = (Some(simpler), case, why, true);
                    break;
                }
            }
        }
    }
}

/// Queries with one part less.
fn simpler(query: &Query) -> Vec<Query> {
    let mut all = Vec::new();
    if let Some(below) = &query.below {
        all.extend(simpler(below).into_iter().map(|below| Query { below: Some(Box::new(below)), ..query.clone() }));
    }
    if query.having.is_some() {
        all.push(Query { having: None, ..query.clone() });
    }
    if let Some(filter) = &query.filter {
        all.push(Query { filter: None, ..query.clone() });
        if let Expr::Binary(left, "AND" | "OR", right) = filter {
            all.extend([left, right].map(|part| Query { filter: Some((**part).clone()), ..query.clone() }));
        }
    }
    for place in 0..query.items.len() {
        if query.items.len() > 1 {
            let mut items = query.items.clone();
            items.remove(place);
            all.push(Query { items, ..query.clone() });
        }
    }
    // A key that is not the last would give the others new numbers.
    if let Some(last) = query.keys.len().checked_sub(1)
        && query.items.iter().all(|item| !names(&item.what, last))
    {
        all.push(Query { keys: query.keys[..last].to_vec(), ..query.clone() });
    }
    all
}

fn names(what: &What, key: usize) -> bool {
    fn within(expr: &Expr, key: usize) -> bool {
        *expr == Expr::Key(key) || expr.parts().iter().any(|part| within(part, key))
    }
    match what {
        What::Window => false,
        What::Key(place) => *place == key,
        What::Value(expr) => within(expr, key),
    }
}
