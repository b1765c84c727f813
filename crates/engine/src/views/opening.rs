//! Opens the views of a stream: each from its last checkpoint, those that read others after these, and beside a view that
//! was changed the one that is built to take its place. Which SQL answers under its name meanwhile says [`Interim`].

use std::{collections::BTreeMap, path::Path, sync::Arc};

use lakehead_model::{Name, Offset};
use lakehead_query::{
    Lake, Slot, View, ViewHandle, ViewPlan, ViewSettings, begin_shadow, check_views, forget_shadow, quarantined,
    saved_definition, saved_shadow,
};
use lakehead_store::Stream;

use super::{
    interim::{Interim, Schemas, Wanted},
    member::{Member, Shadow},
    note::{Note, SharedNote},
    registry::Registry,
};
use crate::{Error, claims::Claims, pipeline::ViewConfig, sync::lock};

/// What the views are opened with.
pub(super) struct Opening<'a> {
    pub(super) lake: &'a Lake,
    pub(super) stream: &'a Stream,
    pub(super) data: &'a Path,
    pub(super) registry: Registry,
    pub(super) claims: &'a Claims,
}

/// The views, open.
pub(super) struct OpenedViews {
    pub(super) views: Vec<Member>,
    /// One of them has seen events that the log does not hold.
    pub(super) lost: bool,
}

type Configs = BTreeMap<Name, ViewConfig>;

impl Opening<'_> {
    pub(super) async fn open_all(&self, configs: &Configs, schemas: &Schemas) -> Result<OpenedViews, Error> {
        let wanted = self.wanted(configs, schemas).await?;
        let interim = Interim::of(&wanted, schemas).await?;
        let mut opened = OpenedViews { views: Vec::new(), lost: false };
        let mut handles: BTreeMap<Name, ViewHandle> = BTreeMap::new();
        for (name, plan, settings) in &interim.plans {
            let Some(id) = wanted.iter().find(|wanted| wanted.name == *name).map(|wanted| wanted.id) else { continue };
            let upstream = plan.upstream().and_then(|read| handles.get(read).cloned());
            if plan.upstream().is_some() && upstream.is_none() {
                continue;
            }
            let (view, was_beyond) = self.open(name, plan, settings, Slot::Active, upstream).await?;
            opened.lost |= was_beyond;
            self.lake.add_view(view.handle());
            handles.insert(name.clone(), view.handle());
            let note = self.note(&view);
            lock(&note).quarantined = quarantined(self.data, name);
            self.registry.add(view.handle(), Arc::clone(&note));
            opened.views.push(Member::new(id, view, note, None));
        }
        let mut renewals = interim.renewals(&wanted);
        for Wanted { id, name, plan, settings, .. } in &wanted {
            let is_asked_for = plan.upstream().is_none()
                && saved_shadow(self.data, name).is_some_and(|next| next.change(plan, settings).is_none());
            if !(interim.old.contains_key(name) || is_asked_for) {
                forget_shadow(self.data, name).map_err(|source| Error::View { view: name.clone(), source })?;
                continue;
            }
            let upstream = plan.upstream().and_then(|read| handles.get(read).cloned());
            let (view, _) = self.open(name, plan, settings, Slot::Shadow, upstream).await?;
            let note = self.note(&view);
            self.registry.add_shadow(view.handle(), Arc::clone(&note));
            let swap = configs.get(name).map(|config| config.swap).unwrap_or_default();
            let shadow = Some(Shadow { swap, renew: renewals.remove(name).unwrap_or_default() });
            tracing::info!(view = %name, "a new one is built beside it, which takes its place then");
            opened.views.push(Member::new(id + 1, view, note, shadow));
        }
        Ok(opened)
    }

    /// What each view is to be, each after those that it reads.
    async fn wanted(&self, configs: &Configs, schemas: &Schemas) -> Result<Vec<Wanted>, Error> {
        let texts = configs.iter().map(|(name, config)| (name.clone(), config.sql.clone())).collect();
        let log_start = self.stream.head().start;
        let mut wanted = Vec::new();
        for (place, (name, plan)) in check_views(&texts, schemas).await?.into_iter().enumerate() {
            let plan = plan.map_err(|source| Error::View { view: name.clone(), source })?;
            let Some(config) = configs.get(&name) else { continue };
            let settings = ViewSettings { log_start, ..config.settings() };
            let found = saved_definition(self.data, &name);
            wanted.push(Wanted { id: 2 * place, name, plan, settings, found });
        }
        Ok(wanted)
    }

    /// What a status says of a view that was just opened. What it needs of the log is claimed from here on.
    fn note(&self, view: &View) -> SharedNote {
        let reads_log = view.plan().upstream().is_none();
        Note::opened(reads_log.then(|| {
            let who = format!("view {}", view.handle().name());
            (view.next_offset(), self.claims.claim(self.stream.name(), who, view.next_offset()))
        }))
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
        if plan.upstream().is_some() {
            return Ok((view, false));
        }
        let beyond = view.next_offset() > head.end;
        let rebuild = rebuild.or_else(|| beyond.then(|| "it has seen events beyond the log".into()));
        let begins_anew = rebuild.is_some();
        if let Some(why) = rebuild {
            if slot == Slot::Active {
                tracing::warn!(view = %name, "rebuilding from the log: {why}");
            }
            view.restart().map_err(failed)?;
        }
        if slot == Slot::Shadow && (begins_anew || saved_shadow(self.data, name).is_none()) {
            begin_shadow(self.data, name, plan, settings).map_err(failed)?;
        }
        if view.next_offset() < head.start {
            if view.next_offset() > Offset(0) {
                let missed = head.start.since(view.next_offset());
                tracing::warn!(view = %name, missed, "the log begins after what the view has seen; it goes on there");
            }
            view.skip_to(head.start);
        }
        // What is in the log when a view is begun is in the view, however late it came.
        if view.is_new() {
            view.accept_all_until(head.end);
        }
        Ok((view, beyond))
    }
}
