//! Opens the views of a stream: each from its last checkpoint, those that read others after these, and beside a view whose
//! SQL was changed the one that is built to take its place.
//!
//! A changed view is opened with the SQL that its checkpoint holds, and goes on with it, until the new one is built. That
//! needs the old SQL to be right still; where it is not, since a view that it reads has changed too, the new one begins from
//! nothing in its place.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use lakehead_model::{Name, Offset, StreamSchema};
use lakehead_query::{
    Lake, Slot, View, ViewHandle, ViewPlan, ViewSettings, begin_next, check_views, forget_next, kept, kept_next,
};
use lakehead_store::Stream;

use super::{
    Id,
    kept::{Kept, Next, Noted, Renewal, lock},
    shown::Shown,
};
use crate::{Error, pipeline::ViewConfig};

/// What the views are opened with.
pub(super) struct Opening<'a> {
    pub(super) lake: &'a Lake,
    pub(super) stream: &'a Stream,
    pub(super) data: &'a Path,
    pub(super) shown: Shown,
}

/// The views, open.
pub(super) struct Opened {
    pub(super) views: Vec<Kept>,
    /// One of them has seen events that the log does not hold.
    pub(super) lost: bool,
}

/// A view as it is to be, and as it was.
struct Change {
    id: Id,
    name: Name,
    plan: Arc<ViewPlan>,
    settings: ViewSettings,
    /// What it goes on with until the new one is built.
    before: Option<(Arc<ViewPlan>, ViewSettings)>,
    /// It is built anew beside the one that answers.
    anew: bool,
}

type Configs = BTreeMap<Name, ViewConfig>;

impl Opening<'_> {
    pub(super) async fn open_all(
        &self,
        configs: &Configs,
        schemas: &BTreeMap<Name, StreamSchema>,
    ) -> Result<Opened, Error> {
        let changes = self.changes(configs, schemas).await?;
        let mut opened = Opened { views: Vec::new(), lost: false };
        let mut handles: BTreeMap<Name, ViewHandle> = BTreeMap::new();
        // Where a view over another waits for that one's swap.
        let mut renewals: BTreeMap<Name, Vec<Renewal>> = BTreeMap::new();
        for change in &changes {
            let Change { id, name, plan, settings, before, .. } = change;
            let is_derived = plan.reads().is_some();
            if is_derived && let Some(root) = changing_root(change, &changes) {
                renewals.entry(root).or_default().push(Renewal {
                    id: *id,
                    name: name.clone(),
                    plan: Arc::clone(plan),
                    settings: *settings,
                });
                if before.is_none() {
                    continue;
                }
            }
            let (now, settings) = before.as_ref().map_or((plan, settings), |(plan, settings)| (plan, settings));
            let upstream = now.reads().and_then(|read| handles.get(read).cloned());
            if now.reads().is_some() && upstream.is_none() {
                continue;
            }
            let (view, was_beyond) = self.open(name, now, settings, Slot::Current, upstream).await?;
            opened.lost |= was_beyond;
            self.lake.add_view(view.handle());
            handles.insert(name.clone(), view.handle());
            let note = noted(&view);
            self.shown.add(view.handle(), Arc::clone(&note));
            opened.views.push(Kept::new(*id, view, note, None));
        }
        for change in &changes {
            let Change { id, name, plan, settings, before, anew } = change;
            if plan.reads().is_some() || !(before.is_some() || *anew) {
                forget_next(self.data, name).map_err(|source| Error::View { view: name.clone(), source })?;
                continue;
            }
            let (view, _) = self.open(name, plan, settings, Slot::Next, None).await?;
            let note = noted(&view);
            self.shown.add_next(view.handle(), Arc::clone(&note));
            let swap = configs.get(name).map(|config| config.swap).unwrap_or_default();
            let next = Some(Next { swap, renew: renewals.remove(name).unwrap_or_default() });
            tracing::info!(view = %name, "a new one is built beside it, which takes its place then");
            opened.views.push(Kept::new(id + 1, view, note, next));
        }
        Ok(opened)
    }

    /// What each view is to be and was, each after those that it reads.
    async fn changes(&self, configs: &Configs, schemas: &BTreeMap<Name, StreamSchema>) -> Result<Vec<Change>, Error> {
        let texts: BTreeMap<Name, String> =
            configs.iter().map(|(name, config)| (name.clone(), config.sql.clone())).collect();
        let found: BTreeMap<&Name, lakehead_query::Kept> =
            configs.keys().filter_map(|name| Some((name, kept(self.data, name)?))).collect();
        let were: BTreeMap<Name, String> = texts
            .iter()
            .map(|(name, sql)| (name.clone(), found.get(name).map_or(sql, |kept| &kept.sql).clone()))
            .collect();
        let before: BTreeMap<Name, Arc<ViewPlan>> = check_views(&were, schemas)
            .await?
            .into_iter()
            .filter_map(|(name, plan)| {
                let plan = plan.ok()?;
                (found.get(&name)?.definition == plan.definition()).then_some((name, plan))
            })
            .collect();
        let whole_log = self.stream.head().start == Offset(0);
        let mut changes = Vec::new();
        for (id, (name, plan)) in check_views(&texts, schemas).await?.into_iter().enumerate() {
            let plan = plan.map_err(|source| Error::View { view: name.clone(), source })?;
            let Some(config) = configs.get(&name) else { continue };
            let settings = ViewSettings { whole_log, ..config.settings() };
            let was = before.get(&name).zip(found.get(&name)).and_then(|(old, kept)| {
                let by_event_time = plan.time() == lakehead_query::TimeColumn::EventTime;
                let delay = kept.watermark_delay != settings.watermark_delay && by_event_time;
                let differs = old.definition() != plan.definition() || delay && plan.reads().is_none();
                let settings = ViewSettings { watermark_delay: kept.watermark_delay, ..settings };
                differs.then(|| (Arc::clone(old), settings))
            });
            let anew = kept_next(self.data, &name).is_some_and(|next| next.definition == plan.definition());
            changes.push(Change { id: 2 * id, name, plan, settings, before: was, anew });
        }
        Ok(changes)
    }

    /// Opens one view where it can go on; answers whether it had seen events beyond the log.
    async fn open(
        &self,
        name: &Name,
        plan: &Arc<ViewPlan>,
        settings: &ViewSettings,
        slot: Slot,
        upstream: Option<ViewHandle>,
    ) -> Result<(View, bool), Error> {
        let failed = |source| Error::View { view: name.clone(), source };
        let head = self.stream.head();
        let opened = View::open(self.data, name.clone(), Arc::clone(plan), *settings, slot, upstream).await;
        let (mut view, rebuild) = opened.map_err(failed)?;
        if plan.reads().is_some() {
            return Ok((view, false));
        }
        let beyond = view.next_offset() > head.end;
        let rebuild = rebuild.or_else(|| beyond.then(|| "it has seen events beyond the log".into()));
        if let Some(why) = rebuild {
            if slot == Slot::Current {
                tracing::warn!(view = %name, "rebuilding from the log: {why}");
            }
            view.restart().map_err(failed)?;
            if slot == Slot::Next {
                begin_next(self.data, name, plan, settings).map_err(failed)?;
            }
        }
        if view.next_offset() < head.start {
            if view.next_offset() > Offset(0) {
                let missed = head.start.since(view.next_offset());
                tracing::warn!(view = %name, missed, "the log begins after what the view has seen; it goes on there");
            }
            view.begin_at(head.start);
        }
        Ok((view, beyond))
    }
}

/// What a status says of a view that was just opened.
fn noted(view: &View) -> Noted {
    let note = Noted::default();
    // A view over another has files to make even when nothing comes.
    lock(&note).checkpoint = view.plan().reads().is_none().then(|| view.next_offset());
    note
}

/// The view that `change` reads, by however many steps, and that is built anew with another SQL; when the view itself reads
/// otherwise then.
fn changing_root(change: &Change, changes: &[Change]) -> Option<Name> {
    let differs = change.before.as_ref().is_some_and(|(plan, _)| plan.definition() != change.plan.definition());
    let mut read = change.plan.reads();
    while let Some(name) = read {
        let upstream = changes.iter().find(|change| change.name == *name)?;
        if upstream.plan.reads().is_none() {
            let changes =
                upstream.before.as_ref().is_some_and(|(plan, _)| plan.definition() != upstream.plan.definition());
            return (changes && (differs || change.before.is_none())).then(|| name.clone());
        }
        read = upstream.plan.reads();
    }
    None
}
