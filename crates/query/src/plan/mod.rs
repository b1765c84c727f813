//! Compiles a view's SQL into the pieces that keep it up to date.
//!
//! There are three kinds. A view with a window over a stream is cut at its aggregation ([`Windowed`]); one without an
//! aggregation makes rows of events ([`Rows`]); one that reads another view's rows is computed from that view's result
//! files as they come ([`Derived`]). A projection of a stream that another view reads is planned into that view.

mod additive;
mod check;
mod cut;
mod shape;
mod trial;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use datafusion::{
    arrow::datatypes::{DataType, Field, Schema, SchemaRef},
    catalog::{MemTable, TableProvider, view::ViewTable},
    execution::{SessionStateBuilder, memory_pool::GreedyMemoryPool, runtime_env::RuntimeEnvBuilder},
    prelude::SessionContext,
};
use futures::future::BoxFuture;
use lakehead_model::{ColumnType, Name, READING, StreamSchema, TimeRange, Timestamp};
use lakehead_window::{ResultPeriod, Windows};

pub(crate) use self::shape::{Shape, find_aggregate, groups, is_window};
use crate::{
    Error,
    checked::{self, Mode},
    functions, identity,
    mistake::{names_in_quotes, parsed, plainly},
    rewrite,
    run::Piece,
    sieve::Condition,
    times,
};

/// Memory that one view may use while it takes events in or writes results, as far as DataFusion accounts for it, beside
/// its state. Four times the default bound of the state, since merging it reads one copy and builds another.
const WORK_BYTES_MAX: usize = 4 << 30;

/// Rules of the optimizer that are not for views. A distinct count must stay one aggregation: its partial state can be merged,
/// two nested ones cannot. And a condition that no event meets must leave a plan that can be cut, if one without rows.
const LEFT_OUT: [&str; 3] = ["single_distinct_aggregation_to_group_by", "eliminate_filter", "propagate_empty_relation"];

/// The serial number of the next plan.
static SERIAL: AtomicU64 = AtomicU64::new(0);

/// The time that a view's windows are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeColumn {
    /// When it happened: needs a watermark with a delay.
    EventTime,
    /// When Lakehead first saw it: never late.
    ReceivedTime,
}

impl TimeColumn {
    /// The stream's column of this time.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::EventTime => lakehead_decode::EVENT_TIME,
            Self::ReceivedTime => lakehead_decode::RECEIVED_TIME,
        }
    }
}

/// A view's SQL, compiled.
#[derive(Clone)]
pub struct ViewPlan {
    sql: String,
    definition: String,
    /// The definition with the SQL as it was written, which checkpoints of format 2 hold.
    written: String,
    /// Tells this plan from all others of this process: what one made, another does not take in.
    serial: u64,
    stream: Name,
    reads: Option<Name>,
    time: TimeColumn,
    wanted: Vec<String>,
    output: SchemaRef,
    shape: Shape,
    kind: Kind,
    /// For other views that read this one: how it is planned into them.
    inline: Option<Arc<ViewTable>>,
    /// The projections that are planned into it: their names and SQL, each after those that it reads.
    inlined: Vec<(Name, String)>,
}

/// Its SQL alone: the pieces are long.
impl fmt::Debug for ViewPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ViewPlan").field("sql", &self.sql).finish_non_exhaustive()
    }
}

/// How a view is kept up to date.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Windowed(Windowed),
    Rows(Rows),
    Derived(Derived),
}

/// Windows over a stream.
#[derive(Clone, Debug)]
pub(crate) struct Windowed {
    pub(crate) windows: Windows,
    pub(crate) period: ResultPeriod,
    /// The column of a partial row with the cell's start.
    pub(crate) cell: usize,
    /// The column of a partial row with the time of a session's last event.
    pub(crate) last: Option<usize>,
    /// The column of a partial row with the number of events in it: the last.
    pub(crate) events: usize,
    /// The columns of a partial row that are groups, the cell among them.
    pub(crate) keys: Vec<usize>,
    /// Which events it counts; what `partial` is given are these.
    pub(crate) condition: Option<Condition>,
    pub(crate) partial: Piece,
    /// The same over all events, without those on which an expression fails: asked when `condition` or `partial` has failed.
    /// `None` where nothing can.
    pub(crate) careful: Option<Piece>,
    pub(crate) reduce: Piece,
    pub(crate) finish: Piece,
}

/// A projection of a stream.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    pub(crate) piece: Piece,
    /// The same without the events on which an expression fails, whose columns may have the events' offsets behind them.
    pub(crate) careful: Option<Piece>,
}

/// A query over another view's rows.
#[derive(Clone, Debug)]
pub(crate) struct Derived {
    /// Its own window over the other's windows, and the column of the other that has their start; without, each row is
    /// made of one row.
    pub(crate) windows: Option<(Windows, String)>,
    /// Without a window of its own: makes its rows of the other's.
    pub(crate) piece: Option<Piece>,
    /// The same without the rows on which an expression fails.
    pub(crate) careful: Option<Piece>,
}

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
    let tables = tables.collect();
    let found = check::look(&logical, &tables)?;
    let mut shape = Shape::of(&logical)?;
    if let (Some(upstream), None) = (tables.get(&found.table), &found.window) {
        shape.pass_on(&logical, upstream);
    }
    let logical = rewrite::break_ties(logical)?;
    let names = views_in(context, sql, |table| views.get_key_value(table).map(|(name, _)| name.clone()));
    let joined = |of: fn(&ViewPlan) -> &str, own: &str| {
        names.iter().map(|name| of(&views[name])).chain([own]).collect::<Vec<_>>().join(";\n")
    };
    let definition = joined(|plan| &plan.definition, &identity::normalised(sql));
    let written = joined(|plan| &plan.written, sql);

    let queried = logical.clone();
    let (planned, window) = match &found.window {
        Some(window) if !tables.contains_key(&found.table) => {
            let aggregate = find_aggregate(&logical)?.ok_or_else(|| Error::Engine("no aggregation".into()))?;
            let name = groups(&aggregate).get(window.group).map(|group| group.schema_name().to_string());
            (cut::by_cell(logical.clone(), window.group, &window.windows)?, name)
        }
        _ => (logical.clone(), None),
    };
    let optimized = state.optimize(&planned)?;
    let physical = checked::physical(&optimized, &state, &Mode::View).await?;
    let careful = match checked::may_leave_out(&optimized)? {
        true => Some(checked::physical(&optimized, &state, &Mode::Careful).await?),
        false => None,
    };
    let output = Arc::new(Schema::new(physical.schema().fields().clone()));
    let given = streams.values().flat_map(|schema| schema.columns.iter().map(|column| column.name.clone()));
    let given = given.chain(views.values().flat_map(|view| names_of(&view.output))).chain(names_in_quotes(sql));
    check_names(&output, &given.collect())?;

    let mut wanted: Vec<String> = Vec::new();
    let task = context.task_ctx();
    let (stream, reads, time, kind) = match (tables.get(&found.table), found.window) {
        (Some(upstream), window) => {
            let windows = window.map(|window| (window.windows, window.over));
            let (piece, careful) = match windows {
                Some(_) => (None, None),
                None => {
                    let rows = cut::rows(physical, careful, task);
                    (Some(rows.piece), rows.careful)
                }
            };
            let kind = Kind::Derived(Derived { windows, piece, careful });
            (upstream.stream.clone(), Some(found.table.clone()), upstream.time, kind)
        }
        (None, Some(found_window)) => {
            let time = if found_window.over == TimeColumn::EventTime.name() {
                TimeColumn::EventTime
            } else {
                TimeColumn::ReceivedTime
            };
            let name = window.unwrap_or_default();
            let mut windowed = cut::windowed(physical, found_window.windows.clone(), &name, Arc::clone(&task))?;
            windowed.careful = match careful {
                Some(careful) => Some(cut::whole(careful, found_window.windows, &name, task)?),
                None => None,
            };
            wanted.extend(inputs([Some(&windowed.partial), windowed.careful.as_ref()]));
            (found.table, None, time, Kind::Windowed(windowed))
        }
        (None, None) => {
            let rows = cut::rows(physical, careful, task);
            wanted.extend(inputs([Some(&rows.piece), rows.careful.as_ref()]));
            (found.table, None, TimeColumn::ReceivedTime, Kind::Rows(rows))
        }
    };
    if matches!(kind, Kind::Rows(_)) && !wanted.iter().any(|name| name == lakehead_decode::RECEIVED_TIME) {
        // Which result period a row is of.
        wanted.push(lakehead_decode::RECEIVED_TIME.to_owned());
    }
    let (definition, written) = match streams.get(&stream).filter(|_| reads.is_none()) {
        Some(schema) => {
            let columns = columns(schema, &wanted)?;
            (format!("{definition};\n{columns}"), format!("{written};\n{columns}"))
        }
        None => (definition, written),
    };
    let mut inlined: Vec<(Name, String)> = Vec::new();
    for (name, plan) in names.iter().map(|name| (name, &views[name])).filter(|(_, plan)| plan.inline.is_some()) {
        for one in plan.inlined.iter().cloned().chain([(name.clone(), plan.sql.clone())]) {
            if !inlined.contains(&one) {
                inlined.push(one);
            }
        }
    }
    let inline = matches!(kind, Kind::Rows(_)).then(|| Arc::new(ViewTable::new(logical, Some(sql.to_owned()))));
    let over = match &reads {
        Some(view) => views.get(view).map(|view| view.schema()),
        None => streams.get(&stream).map(trial::columns_of),
    };
    let (sql, serial) = (sql.to_owned(), SERIAL.fetch_add(1, Ordering::Relaxed));
    let plan = ViewPlan {
        sql,
        definition,
        written,
        serial,
        stream,
        reads,
        time,
        wanted,
        output,
        shape,
        kind,
        inline,
        inlined,
    };
    if let Some(over) = over
        && let Err(error) = trial::try_out(&plan, &over).await
    {
        let culprit = trial::culprit(&queried, &state, &context.task_ctx()).await;
        return Err(match culprit {
            Some(culprit) => Error::Sql(format!("{culprit}: {error}")),
            None => error,
        });
    }
    Ok(plan)
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

fn planning_context(
    streams: &BTreeMap<Name, StreamSchema>,
    views: &BTreeMap<Name, Arc<ViewPlan>>,
) -> Result<SessionContext, Error> {
    let mut config = functions::config().with_target_partitions(1).with_information_schema(false);
    // Partial rows are kept, so giving up on grouping them because most are distinct would only make them more.
    config.options_mut().execution.skip_partial_aggregation_probe_rows_threshold = usize::MAX;
    let runtime =
        RuntimeEnvBuilder::new().with_memory_pool(Arc::new(GreedyMemoryPool::new(WORK_BYTES_MAX))).build_arc()?;
    let mut builder = SessionStateBuilder::new().with_config(config).with_runtime_env(runtime).with_default_features();
    let rules = match builder.optimizer().take() {
        Some(optimizer) => optimizer.rules,
        None => datafusion::optimizer::Optimizer::new().rules,
    };
    builder = checked::session(builder, Mode::View);
    builder = builder.with_optimizer_rules(rules.into_iter().filter(|rule| !LEFT_OUT.contains(&rule.name())).collect());
    let context = SessionContext::new_with_state(builder.build());
    functions::register(&context)?;
    for (name, schema) in streams {
        let table = MemTable::try_new(lakehead_decode::table_schema(schema), vec![vec![]])?;
        context.register_table(name.as_str(), Arc::new(table))?;
    }
    for (name, plan) in views {
        match &plan.inline {
            Some(inline) => context.register_table(name.as_str(), Arc::clone(inline) as Arc<dyn TableProvider>)?,
            None => {
                let table = MemTable::try_new(plan.schema(), vec![vec![]])?;
                context.register_table(name.as_str(), Arc::new(table))?
            }
        };
    }
    Ok(context)
}

/// How those of a stream's columns that are `wanted` are read from an event, as comments of SQL.
fn columns(schema: &StreamSchema, wanted: &[String]) -> Result<String, Error> {
    let mut text = String::new();
    let mut add = |name: &str, how: Result<String, serde_json::Error>| -> Result<(), Error> {
        let how = how.map_err(|error| Error::Engine(format!("a column is JSON: {error}")))?;
        text.push_str(&format!("-- {name}: {how}\n"));
        Ok(())
    };
    for name in wanted {
        if name == lakehead_decode::EVENT_TIME {
            add(name, serde_json::to_string(&(READING, &schema.event_time)))?;
        } else if let Some(column) = schema.columns.iter().find(|column| column.name == *name) {
            // Of the others no value was ever read otherwise.
            let is_read_anew = matches!(column.column_type, ColumnType::Int64 | ColumnType::Timestamp);
            let how =
                if is_read_anew { serde_json::to_string(&(READING, column)) } else { serde_json::to_string(column) };
            add(name, how)?;
        }
    }
    Ok(text)
}

impl ViewPlan {
    /// The SQL as the user wrote it.
    #[must_use]
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// Its SQL and that of every view that it reads, and how the columns that they ask for are read from an event: what its
    /// results depend on.
    #[must_use]
    pub fn definition(&self) -> &str {
        &self.definition
    }

    /// The same with every text as it was written.
    pub(crate) fn written(&self) -> &str {
        &self.written
    }

    /// Tells it from all other plans of this process.
    pub(crate) fn serial(&self) -> u64 {
        self.serial
    }

    /// The stream that it reads, itself or by way of other views.
    #[must_use]
    pub fn stream(&self) -> &Name {
        &self.stream
    }

    /// The view whose rows it reads, if it reads a view's and not a stream's.
    #[must_use]
    pub fn reads(&self) -> Option<&Name> {
        self.reads.as_ref()
    }

    /// Which time its windows are over.
    #[must_use]
    pub fn time(&self) -> TimeColumn {
        self.time
    }

    /// The columns of the stream that it reads: all that has to be decoded for it.
    #[must_use]
    pub fn wanted(&self) -> &[String] {
        &self.wanted
    }

    /// The columns of its rows.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.output)
    }

    /// Makes the projections that are planned into this view tables of `context`, over the streams that it has.
    pub(crate) async fn register_inlined(&self, context: &SessionContext) -> Result<(), Error> {
        for (name, sql) in &self.inlined {
            let logical = lakehead_planning::of_text(&context.state(), sql).await?;
            context.deregister_table(name.as_str())?;
            context.register_table(name.as_str(), Arc::new(ViewTable::new(logical, Some(sql.clone()))))?;
        }
        Ok(())
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// How it is kept up to date, if it has windows over a stream.
    pub(crate) fn windowed(&self) -> Option<&Windowed> {
        match &self.kind {
            Kind::Windowed(windowed) => Some(windowed),
            _ => None,
        }
    }

    /// The name of the column that shows the window's start, if one does.
    pub(crate) fn window_output(&self) -> Option<&str> {
        self.shape.window.map(|column| self.output.field(column).name().as_str())
    }

    /// The result period in which rows with this time are filed: a window's start, or a row's received time.
    pub(crate) fn period_at(&self, start: Timestamp) -> TimeRange {
        match &self.kind {
            Kind::Windowed(windowed) => windowed.period.range(start),
            Kind::Derived(Derived { windows: Some((windows, _)), .. }) => windows.period().range(start),
            Kind::Rows(_) | Kind::Derived(_) => ResultPeriod::Hour.range(start),
        }
    }

    /// A text that changes whenever the state of this plan could not be read by another.
    pub(crate) fn fingerprint(&self) -> String {
        let fields = |schema: &SchemaRef| {
            let each = |field: &Arc<Field>| match field.data_type() {
                DataType::Timestamp(unit, zone) => format!("{}:{unit:?}/{zone:?}", field.name()),
                other => format!("{}:{other}", field.name()),
            };
            schema.fields().iter().map(each).collect::<Vec<_>>().join(",")
        };
        let state = self.windowed().map(|windowed| fields(&windowed.partial.schema())).unwrap_or_default();
        format!("{} -> {}", state, fields(&self.output))
    }
}
