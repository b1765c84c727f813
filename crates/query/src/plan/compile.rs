//! Compiles a view's SQL into the pieces that keep it up to date.
//!
//! The SQL is planned once, looked at as it was written ([`check`](super::check)), cut into pieces ([`cut`](super::cut)), and
//! run once over made-up events ([`trial`](super::trial)).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use datafusion::{
    arrow::datatypes::{Field, Schema, SchemaRef},
    catalog::view::ViewTable,
    execution::{SessionState, TaskContext},
    logical_expr::LogicalPlan,
    physical_plan::ExecutionPlan,
    prelude::SessionContext,
};
use futures::future::BoxFuture;
use lakehead_model::{Name, StreamSchema};

use super::{
    check::{self, Found, Window},
    context::planning_context,
    cut,
    definition::definition,
    lineage::{find_aggregate, groups},
    piece::Piece,
    shape::Shape,
    trial,
    view_plan::{Derived, PlanKind, TimeColumn, ViewPlan},
};
use crate::{
    checked::{self, Mode},
    error::Error,
    rewrite, times,
    wording::{names_in_quotes, parsed, plainly},
};

/// The serial number of the next plan.
static SERIAL: AtomicU64 = AtomicU64::new(0);

/// Compiles `sql` against streams of these schemas, without any data and without other views.
///
/// # Errors
/// [`Error::Sql`] and [`Error::NotIncremental`], in words for the person who wrote the SQL.
pub fn check_view<'a>(
    sql: &'a str,
    streams: &'a BTreeMap<Name, StreamSchema>,
) -> BoxFuture<'a, Result<ViewPlan, Error>> {
    Box::pin(async move { compile(sql, streams, &BTreeMap::new()).await })
}

/// The views of a pipeline, compiled, each after those that it reads; what is wrong with one stands in its place.
pub type Plans = Vec<(Name, Result<Arc<ViewPlan>, Error>)>;

/// Compiles all `views` of a pipeline, which may read each other.
///
/// # Errors
/// Only when the query engine cannot be set up; what is wrong with a view stands in its place in the answer.
pub fn check_views<'a>(
    views: &'a BTreeMap<Name, String>,
    streams: &'a BTreeMap<Name, StreamSchema>,
) -> BoxFuture<'a, Result<Plans, Error>> {
    Box::pin(compile_all(views, streams))
}

async fn compile_all(views: &BTreeMap<Name, String>, streams: &BTreeMap<Name, StreamSchema>) -> Result<Plans, Error> {
    let context = planning_context(streams, &BTreeMap::new())?;
    let known = |table: &str| views.get_key_value(table).map(|(name, _)| name.clone());
    let mut waiting: BTreeMap<&Name, BTreeSet<Name>> =
        views.iter().map(|(name, sql)| (name, views_in(&context, sql, known))).collect();
    let (mut plans, mut good): (Plans, BTreeMap<Name, Arc<ViewPlan>>) = Default::default();
    while !waiting.is_empty() {
        let next = waiting.iter().find(|(_, reads)| reads.iter().all(|read| !waiting.contains_key(read)));
        let Some((&name, reads)) = next else {
            // What is left reads itself, by however many steps.
            for (name, reads) in std::mem::take(&mut waiting) {
                let reads = reads.iter().map(Name::as_str).collect::<Vec<_>>().join(", ");
                let error = Error::NotIncremental {
                    what: format!("a view that reads itself (by way of {reads})"),
                    instead: "let it read a stream or another view".into(),
                };
                plans.push((name.clone(), Err(error)));
            }
            break;
        };
        let reads = reads.clone();
        waiting.remove(name);
        let plan = match reads.iter().find(|read| !good.contains_key(*read)) {
            Some(bad) => Err(Error::Sql(format!("it reads the view {bad}, which is not good itself"))),
            None => compile(&views[name], streams, &good).await.map(Arc::new),
        };
        if let Ok(plan) = &plan {
            good.insert(name.clone(), Arc::clone(plan));
        }
        plans.push((name.clone(), plan));
    }
    Ok(plans)
}

/// The views that stand in `sql`; none where it cannot be parsed, which compiling it will say.
fn views_in(context: &SessionContext, sql: &str, is_view: impl Fn(&str) -> Option<Name>) -> BTreeSet<Name> {
    let tables = rewrite::tables_of(sql, context).unwrap_or_default();
    tables.iter().filter_map(|table| is_view(table)).collect()
}

async fn compile(
    sql: &str,
    streams: &BTreeMap<Name, StreamSchema>,
    views: &BTreeMap<Name, Arc<ViewPlan>>,
) -> Result<ViewPlan, Error> {
    let context = planning_context(streams, views)?;
    compile_in(&context, sql, streams, views).await.map_err(|error| error.in_text(sql, &context.state()))
}

async fn compile_in(
    context: &SessionContext,
    sql: &str,
    streams: &BTreeMap<Name, StreamSchema>,
    views: &BTreeMap<Name, Arc<ViewPlan>>,
) -> Result<ViewPlan, Error> {
    let state = context.state();
    let logical = times::in_microseconds(lakehead_planning::of_statement(&state, parsed(&state, sql)?).await?)?;
    let tables =
        views.iter().filter(|(_, plan)| plan.inline.is_none()).map(|(name, plan)| (name.clone(), plan.as_ref()));
    let tables: BTreeMap<Name, &ViewPlan> = tables.collect();
    let found = check::look(&logical, &tables)?;
    let upstream = tables.get(&found.table).copied();
    let mut shape = Shape::of(&logical)?;
    if let (Some(upstream), None) = (upstream, &found.window) {
        shape.pass_on(&logical, &names_of(&upstream.output), &upstream.shape);
    }
    let logical = rewrite::break_ties(logical)?;
    let names = views_in(context, sql, |table| views.get_key_value(table).map(|(name, _)| name.clone()));

    let own_window = found.window.as_ref().filter(|_| upstream.is_none());
    let physical = Physical::of(&logical, own_window, &state).await?;
    let output = Arc::new(Schema::new(physical.fast.schema().fields().clone()));
    let given = streams.values().flat_map(|schema| schema.columns.iter().map(|column| column.name.clone()));
    let given = given.chain(views.values().flat_map(|view| names_of(&view.output))).chain(names_in_quotes(sql));
    check_names(&output, &given.collect())?;

    let cut = CutPlan::of(physical, found, upstream, context.task_ctx())?;
    let CutPlan { stream, upstream, time, required_columns, kind } = cut;
    let schema = streams.get(&stream).filter(|_| upstream.is_none());
    let (definition, written) =
        definition(sql, &names, views, schema.map(|schema| (schema, required_columns.as_slice())))?;
    let is_projection = matches!(kind, PlanKind::Projection(_));
    let inline = is_projection.then(|| Arc::new(ViewTable::new(logical.clone(), Some(sql.to_owned()))));
    let over = match &upstream {
        Some(view) => views.get(view).map(|view| view.schema()),
        None => streams.get(&stream).map(trial::columns_of),
    };
    let (sql, serial) = (sql.to_owned(), SERIAL.fetch_add(1, Ordering::Relaxed));
    let inlined = inlined(&names, views);
    let names = |columns: Vec<usize>| columns.into_iter().map(|column| output.field(column).name().clone()).collect();
    let key = shape.key().map(names);
    let plan = ViewPlan {
        sql,
        definition,
        written,
        serial,
        stream,
        upstream,
        time,
        required_columns,
        output,
        shape,
        key,
        kind,
        inline,
        inlined,
    };
    if let Some(over) = over
        && let Err(error) = trial::try_out(&plan, &over).await
    {
        let culprit = trial::culprit(&logical, &state, &context.task_ctx()).await;
        return Err(match culprit {
            Some(culprit) => Error::Sql(format!("{culprit}: {error}")),
            None => error,
        });
    }
    Ok(plan)
}

/// A view's query as the engine runs it.
struct Physical {
    fast: Arc<dyn ExecutionPlan>,
    /// The same without the events on which an expression fails; `None` where nothing can.
    careful: Option<Arc<dyn ExecutionPlan>>,
    /// The name of the window among its groups, if it has windows over a stream.
    window: String,
}

impl Physical {
    /// Plans `logical`, whose `window` is replaced by its slice where it is over a stream.
    async fn of(logical: &LogicalPlan, window: Option<&Window>, state: &SessionState) -> Result<Self, Error> {
        let (planned, window) = match window {
            Some(window) => {
                let aggregate = find_aggregate(logical)?.ok_or_else(|| Error::Engine("no aggregation".into()))?;
                let name = groups(&aggregate).get(window.group).map(|group| group.schema_name().to_string());
                (cut::by_slice(logical.clone(), window.group, &window.windows)?, name.unwrap_or_default())
            }
            None => (logical.clone(), String::new()),
        };
        let optimized = state.optimize(&planned)?;
        let fast = checked::physical(&optimized, state, &Mode::View).await?;
        let careful = match checked::may_leave_out(&optimized)? {
            true => Some(checked::physical(&optimized, state, &Mode::Careful).await?),
            false => None,
        };
        Ok(Self { fast, careful, window })
    }
}

/// A plan, cut: how the view is kept up to date, and what it reads for it.
struct CutPlan {
    stream: Name,
    upstream: Option<Name>,
    time: TimeColumn,
    required_columns: Vec<String>,
    kind: PlanKind,
}

impl CutPlan {
    fn of(
        physical: Physical,
        found: Found,
        upstream: Option<&ViewPlan>,
        task: Arc<TaskContext>,
    ) -> Result<Self, Error> {
        let Physical { fast, careful, window: name } = physical;
        let Found { table, window } = found;
        if let Some(upstream) = upstream {
            let (stream, time) = (upstream.stream.clone(), upstream.time);
            let windows = window.map(|window| (window.windows, window.over));
            let (piece, careful) = match windows {
                Some(_) => (None, None),
                None => {
                    let rows = cut::rows(fast, careful, task);
                    (Some(rows.piece), rows.careful)
                }
            };
            let kind = PlanKind::Derived(Derived { windows, piece, careful });
            return Ok(Self { stream, upstream: Some(table), time, required_columns: Vec::new(), kind });
        }
        let (time, required_columns, kind) = match window {
            Some(window) => {
                let time = if window.over == TimeColumn::EventTime.name() {
                    TimeColumn::EventTime
                } else {
                    TimeColumn::ReceivedTime
                };
                let mut windowed = cut::windowed(fast, window.windows.clone(), &name, Arc::clone(&task))?;
                windowed.careful = match careful {
                    Some(careful) => Some(cut::whole(careful, window.windows, &name, task)?),
                    None => None,
                };
                let required_columns = inputs([Some(&windowed.partial), windowed.careful.as_ref()]);
                (time, required_columns, PlanKind::Windowed(windowed))
            }
            None => {
                let rows = cut::rows(fast, careful, task);
                let mut required_columns = inputs([Some(&rows.piece), rows.careful.as_ref()]);
                if !required_columns.iter().any(|name| name == lakehead_decode::RECEIVED_TIME) {
                    // Which result period a row is of.
                    required_columns.push(lakehead_decode::RECEIVED_TIME.to_owned());
                }
                (TimeColumn::ReceivedTime, required_columns, PlanKind::Projection(rows))
            }
        };
        Ok(Self { stream: table, upstream: None, time, required_columns, kind })
    }
}

/// The projections that are planned into a view that reads the views `names`, each after those that it reads.
fn inlined(names: &BTreeSet<Name>, views: &BTreeMap<Name, Arc<ViewPlan>>) -> Vec<(Name, String)> {
    let mut inlined: Vec<(Name, String)> = Vec::new();
    for (name, plan) in names.iter().map(|name| (name, &views[name])).filter(|(_, plan)| plan.inline.is_some()) {
        for one in plan.inlined.iter().cloned().chain([(name.clone(), plan.sql.clone())]) {
            if !inlined.contains(&one) {
                inlined.push(one);
            }
        }
    }
    inlined
}

/// The columns that pieces read, each once.
fn inputs(pieces: [Option<&Piece>; 2]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for piece in pieces.into_iter().flatten() {
        for field in piece.input().fields() {
            if !names.contains(field.name()) {
                names.push(field.name().clone());
            }
        }
    }
    names
}

fn names_of(schema: &SchemaRef) -> Vec<String> {
    schema.fields().iter().map(|field| field.name().clone()).collect()
}

/// Two columns of one name are refused, and those without a name of their own: `given` are names that somebody wrote.
fn check_names(output: &SchemaRef, given: &BTreeSet<String>) -> Result<(), Error> {
    let twice = |(i, field): (usize, &Arc<Field>)| {
        output.fields().iter().take(i).any(|other| other.name() == field.name()).then(|| field.name().clone())
    };
    if let Some(twice) = output.fields().iter().enumerate().find_map(twice) {
        return Err(Error::Sql(format!("two columns are named {twice:?}; name one of them with AS")));
    }
    let is_unnamed = |name: &String| name.contains('(') && !given.contains(name);
    if let Some(unnamed) = output.fields().iter().find(|field| is_unnamed(field.name())) {
        let name = plainly(unnamed.name());
        return Err(Error::Sql(format!("the column {name} has no name of its own; name it with AS")));
    }
    Ok(())
}
