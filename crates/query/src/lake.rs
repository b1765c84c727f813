//! Everything a query can see: streams and views, at one moment.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use datafusion::{
    arrow::datatypes::SchemaRef,
    catalog::{
        CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider,
        SchemaProvider, TableProvider,
    },
    execution::{
        SendableRecordBatchStream, SessionState, SessionStateBuilder,
        context::SQLOptions,
        disk_manager::{DiskManagerBuilder, DiskManagerMode},
        memory_pool::GreedyMemoryPool,
        runtime_env::RuntimeEnvBuilder,
    },
    physical_plan::execute_stream,
    prelude::SessionContext,
};
use futures::future::BoxFuture;
use lakehead_model::{Name, StreamSchema};
use lakehead_store::Stream;

use crate::{
    answer::{Answer, Limits, RowStream},
    checked,
    error::Error,
    functions,
    names::ColumnNames,
    rewrite,
    stream_table::StreamTable,
    view::{ViewHandle, ViewSource},
    wording::parsed,
};

/// Where DataFusion finds a table that is named without more.
const CATALOG: &str = "lakehead";
const SCHEMA: &str = "public";

/// The streams and views that queries can name. Cheap to clone.
#[derive(Clone)]
pub struct Lake {
    inner: Arc<Shared>,
}

struct Shared {
    limits: Limits,
    /// What every query begins with: all functions, no tables. Each has a copy, since making it anew takes longer than
    /// most queries over views.
    base: SessionState,
    streams: RwLock<BTreeMap<Name, (StreamSchema, Stream)>>,
    views: RwLock<BTreeMap<Name, Arc<dyn ViewSource>>>,
}

impl Lake {
    /// A lake with nothing in it yet.
    ///
    /// # Errors
    /// [`Error::Engine`] when the query engine cannot be set up.
    pub fn new(limits: Limits) -> Result<Self, Error> {
        let base = base(limits)?;
        let (streams, views) = (RwLock::default(), RwLock::default());
        Ok(Self { inner: Arc::new(Shared { limits, base, streams, views }) })
    }

    /// Makes a stream a table.
    pub fn add_stream(&self, schema: StreamSchema, stream: Stream) {
        let mut streams = self.inner.streams.write().unwrap_or_else(PoisonError::into_inner);
        streams.insert(stream.name().clone(), (schema, stream));
    }

    /// Makes a view a table that this process keeps.
    pub fn add_view(&self, view: ViewHandle) {
        self.add_view_source(Arc::new(view));
    }

    /// Makes a view a table, wherever it is kept.
    pub fn add_view_source(&self, view: Arc<dyn ViewSource>) {
        self.inner.views.write().unwrap_or_else(PoisonError::into_inner).insert(view.name().clone(), view);
    }

    /// Makes a stream a table no more. Queries that have begun go on.
    pub fn remove_stream(&self, name: &Name) {
        self.inner.streams.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Makes a view a table no more. Queries that have begun go on.
    pub fn remove_view(&self, name: &Name) {
        self.inner.views.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// The views that this process keeps, by name.
    #[must_use]
    pub fn views(&self) -> Vec<ViewHandle> {
        self.view_sources().iter().filter_map(|view| view.handle()).collect()
    }

    /// All views, by name.
    #[must_use]
    pub fn view_sources(&self) -> Vec<Arc<dyn ViewSource>> {
        self.inner.views.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The view of this name, if this process keeps it.
    #[must_use]
    pub fn view(&self, name: &Name) -> Option<ViewHandle> {
        self.views().into_iter().find(|view| view.name() == name)
    }

    /// The stream of this name, with its columns.
    pub(crate) fn stream(&self, name: &Name) -> Option<(StreamSchema, Stream)> {
        self.inner.streams.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Answers `sql`: one SELECT over streams and views, all of them at one moment.
    ///
    /// The future is boxed, as are those of [`View`](crate::View): what is in it stays in this crate, and whoever awaits
    /// it compiles in seconds instead of minutes.
    ///
    /// # Errors
    /// [`Error::Sql`] when it is wrong or would change something, [`Error::Limit`] when it takes too much.
    pub fn query<'a>(&'a self, sql: &'a str) -> BoxFuture<'a, Result<Answer, Error>> {
        let limits = self.inner.limits;
        Box::pin(async move {
            let answer = tokio::time::timeout(limits.time, self.run(sql)).await;
            answer.unwrap_or_else(|_| {
                Err(Error::Limit(format!(
                    "the query took longer than {} s and was stopped; ask for a shorter time range or a view",
                    limits.time.as_secs()
                )))
            })
        })
    }

    /// Answers `sql` bit by bit, without a limit on rows and time; memory is bounded as for every query. With
    /// [`Limits::threads`] at 1 the rows of one stream come in its order.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub fn rows<'a>(&'a self, sql: &'a str) -> BoxFuture<'a, Result<RowStream, Error>> {
        Box::pin(self.begin(sql))
    }

    async fn begin(&self, sql: &str) -> Result<RowStream, Error> {
        let mut rows = begin(self.state(self.inner.limits.threads)?, sql, &self.names()).await?;
        rows.warnings = self.stale(&rows.tables, sql)?;
        Ok(rows)
    }

    /// The warnings for the views that `sql` names and that are stopped.
    fn stale(&self, state: &SessionState, sql: &str) -> Result<Vec<String>, Error> {
        let stale: BTreeMap<String, String> =
            self.view_sources().iter().filter_map(|view| Some((view.name().to_string(), view.stale()?))).collect();
        if stale.is_empty() {
            return Ok(Vec::new());
        }
        let statement = parsed(state, sql)?;
        let tables = state.resolve_table_references(&statement)?;
        let mut warnings: Vec<String> = tables.iter().filter_map(|table| stale.get(table.table()).cloned()).collect();
        warnings.dedup();
        Ok(warnings)
    }

    /// The names of all tables.
    pub(crate) fn names(&self) -> Vec<String> {
        let streams = self.inner.streams.read().unwrap_or_else(PoisonError::into_inner);
        let views = self.inner.views.read().unwrap_or_else(PoisonError::into_inner);
        streams.keys().chain(views.keys()).map(Name::to_string).collect()
    }

    async fn run(&self, sql: &str) -> Result<Answer, Error> {
        self.begin(sql).await?.first(self.inner.limits.rows).await
    }

    /// What queries may use.
    pub(crate) fn limits(&self) -> Limits {
        self.inner.limits
    }

    /// Every stream and view as a table, at this moment, for queries of so many threads that count as a view does.
    pub(crate) fn context_with(&self, threads: usize) -> Result<SessionContext, Error> {
        let state = SessionStateBuilder::new_from_existing(self.state(threads)?);
        let lenient = Arc::new(checked::Planner::new(checked::Mode::Lenient(Arc::default())));
        Ok(SessionContext::new_with_state(state.with_query_planner(lenient).build()))
    }

    fn state(&self, threads: usize) -> Result<SessionState, Error> {
        let mut tables: Vec<(String, Arc<dyn TableProvider>)> = Vec::new();
        let streams = self.inner.streams.read().unwrap_or_else(PoisonError::into_inner).clone();
        for (name, (columns, stream)) in streams {
            tables.push((name.to_string(), Arc::new(StreamTable::new(stream, columns))));
        }
        for view in self.view_sources() {
            tables.push((view.name().to_string(), view.table()));
        }
        with_tables(&self.inner.base, tables, threads)
    }
}

/// What every query begins with: all functions, no tables.
pub(crate) fn base(limits: Limits) -> Result<SessionState, Error> {
    let bytes = usize::try_from(limits.memory.0).unwrap_or(usize::MAX);
    // No spilling: a query that needs more memory than it may use is refused, it does not fill a disk.
    let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(bytes)))
        .with_disk_manager_builder(disk)
        .build_arc()?;
    let config = functions::config()
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_create_default_catalog_and_schema(false);
    let state = SessionStateBuilder::new().with_config(config).with_runtime_env(runtime).with_default_features();
    let context = SessionContext::new_with_state(checked::session(state, checked::Mode::Strict).build());
    functions::register(&context)?;
    Ok(context.state())
}

/// `base` with these tables, for queries of so many threads.
pub(crate) fn with_tables(
    base: &SessionState,
    tables: Vec<(String, Arc<dyn TableProvider>)>,
    threads: usize,
) -> Result<SessionState, Error> {
    let schema = MemorySchemaProvider::new();
    for (name, table) in tables {
        schema.register_table(name, table)?;
    }
    let (catalog, catalogs) = (MemoryCatalogProvider::new(), MemoryCatalogProviderList::new());
    catalog.register_schema(SCHEMA, Arc::new(schema))?;
    catalogs.register_catalog(CATALOG.into(), Arc::new(catalog));
    let mut state = base.clone();
    state.register_catalog_list(Arc::new(catalogs));
    state.config_mut().options_mut().execution.target_partitions = threads.max(1);
    state.mark_start_execution();
    Ok(state)
}

/// Begins to answer `sql` over the tables of `state`; `known` are the names that a message may offer.
pub(crate) async fn begin(state: SessionState, sql: &str, known: &[String]) -> Result<RowStream, Error> {
    match planned(&state, sql).await {
        Ok((schema, stream)) => Ok(RowStream { schema, warnings: Vec::new(), stream, tables: state, sql: sql.into() }),
        Err(error) => Err(error.in_text_with(sql, &state, known)),
    }
}

/// The rows of a statement that only reads.
async fn planned(state: &SessionState, sql: &str) -> Result<(SchemaRef, SendableRecordBatchStream), Error> {
    let read_only = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let statement = parsed(state, sql)?;
    let names = ColumnNames::of(&statement, sql);
    let plan = lakehead_planning::of_statement(state, statement).await?;
    read_only.verify_plan(&plan)?;
    let plan = names.give(rewrite::executable(plan)?)?;
    let schema = Arc::new(plan.schema().as_arrow().clone());
    let plan = lakehead_planning::physical(state, &plan).await?;
    Ok((schema, execute_stream(plan, state.task_ctx())?))
}
