//! A data directory read without running it: the log as it lies, the views from their checkpoints, brought up to date
//! in memory. Nothing on disk changes.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use lakehead_model::{Name, Offset, StreamSchema};
use lakehead_query::{Lake, Limits, View, ViewHandle, ViewPlan};
use lakehead_store::{Claim, Store, Stream};

pub use crate::columns::{TailFit, look_back};
use crate::{
    Error,
    audit::{Auditor, Effort, Report, Scope, Throttle},
    builtin::schemas,
    catalog::Catalog,
    identity::Identities,
    imports::Imports,
    pipeline::ViewConfig,
    views::catch_up,
};

/// Raw events in one micro-batch of catching up, as when running.
const MICRO_BATCH_BYTES: u64 = 4 << 20;

/// How far a view has been brought up to date.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The view.
    pub view: &'a str,
    /// The first offset that it has not seen.
    pub at: Offset,
    /// Where the log ends.
    pub end: Offset,
}

/// Opens `data` for reading. With `sql`, only the views that it may mention are brought up to date: those whose name
/// stands in it. `limits` are what a query may use.
///
/// # Errors
/// `Invalid` when this is no data directory; `Corrupt` when it is damaged.
pub async fn open(
    data: &Path,
    sql: Option<&str>,
    limits: Limits,
    progress: &mut (dyn FnMut(Progress<'_>) + Send),
) -> Result<Lake, Error> {
    let sql = sql.map(str::to_ascii_lowercase);
    let wanted = |view: &str| sql.as_ref().is_none_or(|sql| sql.contains(view));
    Ok(open_all(data, &wanted, limits, progress).await?.lake)
}

/// Audits `scope` of a directory on which nothing runs, with all cores. `progress` is told how many bytes of about how
/// many were read.
///
/// # Errors
/// As [`open`].
pub async fn audit(
    data: &Path,
    scope: &Scope,
    mut progress: impl FnMut(u64, u64) + Clone + Send + Sync + 'static,
) -> Result<Report, Error> {
    let wanted = |view: &str| scope.view.as_ref().is_none_or(|asked| asked.as_str() == view);
    let known = Catalog::load(data)?;
    let OpenedDirectory { lake, streams, damaged } = open_all(data, &wanted, Limits::default(), &mut |_| {}).await?;
    // A stream that the catalog does not know may be one of before it was kept.
    let known = known.known_identities();
    let unlisted = streams.values().filter(|stream| !known.knows(stream.name()));
    let identities = known.clone().after(Some(&Identities::of_a_log(unlisted)), std::iter::empty());
    let auditor = Auditor::new(lake, streams, Effort::Whole).with_imports(Imports::load(data)?);
    let mut auditor = auditor.with_identities(identities);
    let total = auditor.bytes(scope);
    progress(0, total);
    let throttle = Throttle::unlimited(Some(Box::new(move |read| progress.clone()(read, total))));
    let mut report = auditor.audit(scope, &Arc::new(throttle)).await?;
    for (name, why) in damaged {
        if let Some(view) = report.views.get_mut(&name) {
            view.unreadable(&why);
        }
    }
    Ok(report)
}

/// A directory, opened for reading.
struct OpenedDirectory {
    lake: Lake,
    streams: BTreeMap<Name, Stream>,
    /// Views whose files are damaged, and what is wrong.
    damaged: Vec<(Name, String)>,
}

async fn open_all(
    data: &Path,
    wanted: &(dyn Fn(&str) -> bool + Sync),
    limits: Limits,
    progress: &mut (dyn FnMut(Progress<'_>) + Send),
) -> Result<OpenedDirectory, Error> {
    let (mut streams, mut damaged) = (BTreeMap::new(), Vec::new());
    let store = Store::open_read_only(data)?;
    let catalog = Catalog::load(data)?;
    let schemas = schemas(&catalog.stream_configs());
    let lake = Lake::new(limits)?;
    for name in store.names()? {
        let schema = schemas.get(&name).cloned().or_else(|| StreamSchema::builtin("json")).unwrap_or_default();
        let stream = store.stream(&name)?;
        lake.add_stream(schema, stream.clone());
        streams.insert(name, stream);
    }
    let plans = plans(&catalog, &schemas).await?;
    // A view that is wanted wants those that it reads.
    let mut needed: BTreeSet<Name> =
        plans.iter().map(|(name, _)| name).filter(|name| wanted(name.as_str())).cloned().collect();
    for (name, plan) in plans.iter().rev() {
        if needed.contains(name) {
            needed.extend(plan.upstream().cloned());
        }
    }
    let mut handles: BTreeMap<Name, ViewHandle> = BTreeMap::new();
    for (name, plan) in plans.into_iter().filter(|(name, _)| needed.contains(name)) {
        let failed = |source| Error::View { view: name.clone(), source };
        let settings = catalog.views.get(&name).cloned().map(ViewConfig::from).map(|config| config.settings());
        let upstream = plan.upstream().and_then(|read| handles.get(read).cloned());
        let (stream, schema) = (store.stream(plan.stream())?, schemas[plan.stream()].clone());
        let (mut view, damage) =
            View::open_read_only(data, name.clone(), Arc::clone(&plan), settings.unwrap_or_default(), upstream)
                .await
                .map_err(failed)?;
        if plan.upstream().is_none() {
            let (seen, end) = (view.next_offset(), stream.head().end);
            if seen > end {
                damaged.push((
                    name.clone(),
                    format!("it has seen the events before offset {seen}, and the log ends at {end}: what lay between is gone"),
                ));
                view.restart().map_err(failed)?;
            }
            view.skip_to(view.next_offset().max(stream.head().start));
            let end = stream.head().end;
            let mut told = |at| progress(Progress { view: name.as_str(), at, end });
            catch_up(&mut view, &stream, &schema, end, MICRO_BATCH_BYTES, &mut told).await?;
        }
        handles.insert(name.clone(), view.handle());
        lake.add_view(view.handle());
        damaged.extend(damage.map(|why| (name, why)));
    }
    Ok(OpenedDirectory { lake, streams, damaged })
}

/// The views of a catalog, compiled, each after those that it reads.
pub(crate) async fn plans(
    catalog: &Catalog,
    schemas: &BTreeMap<Name, StreamSchema>,
) -> Result<Vec<(Name, Arc<ViewPlan>)>, Error> {
    let texts = catalog.views.iter().map(|(name, view)| (name.clone(), view.sql.clone())).collect();
    let plans = lakehead_query::check_views(&texts, schemas).await?;
    plans
        .into_iter()
        .map(|(view, plan)| Ok((view.clone(), plan.map_err(|source| Error::View { view, source })?)))
        .collect()
}

/// What the views on disk need of `stream`, whose log ends at `end`.
///
/// # Errors
/// When the catalog or a view's checkpoint cannot be read.
pub async fn claims(data: &Path, stream: &Name, end: Offset) -> Result<Vec<Claim>, Error> {
    let catalog = Catalog::load(data)?;
    let schemas = schemas(&catalog.stream_configs());
    let mut claims = Vec::new();
    for (name, plan) in plans(&catalog, &schemas).await? {
        let failed = |source| Error::View { view: name.clone(), source };
        if plan.stream() == stream && plan.upstream().is_none() {
            let settings = catalog.views.get(&name).cloned().map(ViewConfig::from).map(|config| config.settings());
            let view = View::open_read_only(data, name.clone(), plan, settings.unwrap_or_default(), None);
            let view = view.await.map_err(failed)?;
            claims.push(Claim { by: format!("view {name}"), from: view.0.next_offset().min(end) });
        }
    }
    Ok(claims)
}
