//! Opens the views of a stream: each from its last checkpoint, those that read others after these, and beside a view that
//! was changed the one that is built to take its place.
//!
//! ```text
//!                     as it is to be      as its checkpoint has it, and can be gone on with?
//!   nothing changed   ─────────────────▶  opened
//!   changed           ─────────────────▶  yes: the old one answers, the new one is built beside it, then swapped
//!                                         no:  the new one begins from nothing, in its place
//!   reads a view that is built anew ───▶  answers over the old rows until that one's swap, and is renewed with it
//! ```
//!
//! Whether a view was changed is said by its [`Identity`](lakehead_query::Identity) alone. An old view can be gone on with where
//! it reads this very stream and what it reads is there as it was. Of a chain of views over views only the lowest that was
//! changed is built beside itself; those above follow at its swap.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use lakehead_model::{Name, Offset, StreamSchema};
use lakehead_query::{
    Identity, Lake, Slot, View, ViewHandle, ViewPlan, ViewSettings, begin_next, check_views, forget_next, found_aside,
    kept, kept_next,
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

/// A view as it is to be.
struct Wanted {
    id: Id,
    name: Name,
    plan: Arc<ViewPlan>,
    settings: ViewSettings,
    /// What its checkpoint holds, if there is one that can be read.
    found: Option<lakehead_query::Kept>,
}

impl Wanted {
    /// Whether what its checkpoint holds is what it is to be; also where it holds nothing.
    fn is_unchanged(&self) -> bool {
        self.found.as_ref().is_none_or(|found| found.change(&self.plan, &self.settings).is_none())
    }
}

/// What answers under each name until what is built has taken its place: a plan, and the settings that it goes on with.
struct Interim {
    /// Each after those that it reads.
    plans: Vec<(Name, Arc<ViewPlan>, ViewSettings)>,
    /// Those that go on as their checkpoints have them while another is built beside them.
    old: BTreeMap<Name, Arc<ViewPlan>>,
}

impl Interim {
    fn plan(&self, name: &Name) -> Option<&Arc<ViewPlan>> {
        self.plans.iter().find(|(other, ..)| other == name).map(|(_, plan, _)| plan)
    }
}

type Configs = BTreeMap<Name, ViewConfig>;
type Schemas = BTreeMap<Name, StreamSchema>;

impl Opening<'_> {
    pub(super) async fn open_all(&self, configs: &Configs, schemas: &Schemas) -> Result<Opened, Error> {
        let wanted = self.wanted(configs, schemas).await?;
        let interim = self.interim(&wanted, schemas).await?;
        let mut opened = Opened { views: Vec::new(), lost: false };
        let mut handles: BTreeMap<Name, ViewHandle> = BTreeMap::new();
        for (name, plan, settings) in &interim.plans {
            let Some(id) = wanted.iter().find(|wanted| wanted.name == *name).map(|wanted| wanted.id) else { continue };
            let upstream = plan.reads().and_then(|read| handles.get(read).cloned());
            if plan.reads().is_some() && upstream.is_none() {
                continue;
            }
            let (view, was_beyond) = self.open(name, plan, settings, Slot::Current, upstream).await?;
            opened.lost |= was_beyond;
            self.lake.add_view(view.handle());
            handles.insert(name.clone(), view.handle());
            let note = noted(&view);
            lock(&note).set_aside = found_aside(self.data, name);
            self.shown.add(view.handle(), Arc::clone(&note));
            opened.views.push(Kept::new(id, view, note, None));
        }
        let mut renewals = renewals(&wanted, &interim);
        for Wanted { id, name, plan, settings, .. } in &wanted {
            let is_asked_for = plan.reads().is_none()
                && kept_next(self.data, name).is_some_and(|next| next.change(plan, settings).is_none());
            if !(interim.old.contains_key(name) || is_asked_for) {
                forget_next(self.data, name).map_err(|source| Error::View { view: name.clone(), source })?;
                continue;
            }
            let upstream = plan.reads().and_then(|read| handles.get(read).cloned());
            let (view, _) = self.open(name, plan, settings, Slot::Next, upstream).await?;
            let note = noted(&view);
            self.shown.add_next(view.handle(), Arc::clone(&note));
            let swap = configs.get(name).map(|config| config.swap).unwrap_or_default();
            let next = Some(Next { swap, renew: renewals.remove(name).unwrap_or_default() });
            tracing::info!(view = %name, "a new one is built beside it, which takes its place then");
            opened.views.push(Kept::new(id + 1, view, note, next));
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
            let found = kept(self.data, &name);
            wanted.push(Wanted { id: 2 * place, name, plan, settings, found });
        }
        Ok(wanted)
    }

    /// Finds out what answers under each name meanwhile. The old SQL of a view may name others that have changed, too; so it is
    /// tried, and where it does not come out as its checkpoint has it, given up.
    async fn interim(&self, wanted: &[Wanted], schemas: &Schemas) -> Result<Interim, Error> {
        if wanted.iter().all(Wanted::is_unchanged) {
            let plans = wanted.iter().map(|one| (one.name.clone(), Arc::clone(&one.plan), one.settings));
            return Ok(Interim { plans: plans.collect(), old: BTreeMap::new() });
        }
        // As all of them were. What now cannot be compiled, or comes out otherwise, cannot be gone on with.
        let were = wanted.iter().map(|wanted| {
            let sql = wanted.found.as_ref().map_or(wanted.plan.sql(), |found| &found.sql);
            (wanted.name.clone(), sql.to_owned())
        });
        let were = check_views(&were.collect(), schemas).await?;
        let was = |wanted: &Wanted| {
            let plan = were.iter().find(|(name, _)| *name == wanted.name);
            plan.and_then(|(_, plan)| plan.as_ref().ok()).is_some_and(|plan| goes_on(wanted, plan))
        };
        let mut goes_on_as_it_was: BTreeMap<&Name, bool> = BTreeMap::new();
        for one in wanted {
            // Over a view that is itself built beside, it is that one that it waits for, rather than one beside itself.
            let over_changed = above(wanted, one).any(|name| goes_on_as_it_was.get(name) == Some(&true));
            goes_on_as_it_was.insert(&one.name, !one.is_unchanged() && was(one) && !over_changed);
        }
        let mut absent: Vec<&Name> = Vec::new();
        // Over old rows a view answers with its new SQL where that can be, else with its old one, else not yet.
        let mut falls_back: Vec<&Name> = Vec::new();
        loop {
            let texts = wanted.iter().filter(|wanted| !absent.contains(&&wanted.name)).map(|wanted| {
                let as_it_was = goes_on_as_it_was[&wanted.name] || falls_back.contains(&&wanted.name);
                let old = wanted.found.as_ref().filter(|_| as_it_was).map(|found| found.sql.clone());
                (wanted.name.clone(), old.unwrap_or_else(|| wanted.plan.sql().to_owned()))
            });
            let mut interim = Interim { plans: Vec::new(), old: BTreeMap::new() };
            let mut settled = true;
            for (name, plan) in check_views(&texts.collect(), schemas).await? {
                let Some(one) = wanted.iter().find(|wanted| wanted.name == name) else { continue };
                let is_old = goes_on_as_it_was[&one.name];
                // Only what is over a view that is built anew answers otherwise than it is to be.
                let waits = || above(wanted, one).any(|name| goes_on_as_it_was.get(name) == Some(&true));
                match plan {
                    _ if !is_old && !waits() => interim.plans.push((name, Arc::clone(&one.plan), one.settings)),
                    Ok(plan) if is_old && !goes_on(one, &plan) => {
                        settled = false;
                        goes_on_as_it_was.insert(&one.name, false);
                    }
                    Ok(plan) if !is_old && falls_back.contains(&&one.name) && !goes_on(one, &plan) => {
                        settled = false;
                        absent.push(&one.name);
                    }
                    Ok(plan) => {
                        let settings = match &one.found {
                            Some(found) if is_old => found.settings(one.settings),
                            _ => one.settings,
                        };
                        if is_old {
                            interim.old.insert(name.clone(), Arc::clone(&plan));
                        }
                        interim.plans.push((name, plan, settings));
                    }
                    Err(_) if is_old => {
                        settled = false;
                        goes_on_as_it_was.insert(&one.name, false);
                    }
                    Err(_) if one.found.is_some() && !falls_back.contains(&&one.name) => {
                        settled = false;
                        falls_back.push(&one.name);
                    }
                    Err(error) => {
                        tracing::info!(view = %name, "it waits for the views that it reads to be built: {error}");
                        settled = false;
                        absent.push(&one.name);
                    }
                }
            }
            // Each turn takes a view away from one of the three lists that it can be in.
            if settled {
                return Ok(interim);
            }
        }
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
        let begins_anew = rebuild.is_some();
        if let Some(why) = rebuild {
            if slot == Slot::Current {
                tracing::warn!(view = %name, "rebuilding from the log: {why}");
            }
            view.restart().map_err(failed)?;
        }
        if slot == Slot::Next && (begins_anew || kept_next(self.data, name).is_none()) {
            begin_next(self.data, name, plan, settings).map_err(failed)?;
        }
        if view.next_offset() < head.start {
            if view.next_offset() > Offset(0) {
                let missed = head.start.since(view.next_offset());
                tracing::warn!(view = %name, missed, "the log begins after what the view has seen; it goes on there");
            }
            view.begin_at(head.start);
        }
        // What is in the log when a view is begun is in the view, however late it came.
        if view.is_new() {
            view.take_whole_until(head.end);
        }
        Ok((view, beyond))
    }
}

/// Whether the view can be gone on with as its checkpoint has it, by this plan of its old SQL.
fn goes_on(wanted: &Wanted, plan: &ViewPlan) -> bool {
    wanted.found.as_ref().is_some_and(|found| {
        plan.stream() == wanted.plan.stream() && found.change(plan, &found.settings(wanted.settings)).is_none()
    })
}

/// The views that are to be otherwise once another that they read has been swapped, by that one.
fn renewals(wanted: &[Wanted], interim: &Interim) -> BTreeMap<Name, Vec<Renewal>> {
    let mut renewals: BTreeMap<Name, Vec<Renewal>> = BTreeMap::new();
    for one in wanted {
        let Wanted { id, name, plan, settings, .. } = one;
        let now = interim.plan(name).map(|now| Identity::of(now, settings));
        if now.is_some_and(|now| now.change(&Identity::of(plan, settings)).is_none()) {
            continue;
        }
        if let Some(root) = above(wanted, one).find(|above| interim.old.contains_key(*above)) {
            let (name, plan) = (name.clone(), Arc::clone(plan));
            let renewal = Renewal { id: *id, name, plan, settings: *settings };
            renewals.entry(root.clone()).or_default().push(renewal);
        }
    }
    renewals
}

/// The views that `one` is to read, the nearest first.
fn above<'a>(wanted: &'a [Wanted], one: &'a Wanted) -> impl Iterator<Item = &'a Name> {
    std::iter::successors(one.plan.reads(), |name| {
        wanted.iter().find(|wanted| wanted.name == **name).and_then(|wanted| wanted.plan.reads())
    })
}

/// What a status says of a view that was just opened.
fn noted(view: &View) -> Noted {
    let note = Noted::default();
    // A view over another has files to make even when nothing comes.
    lock(&note).checkpoint = view.plan().reads().is_none().then(|| view.next_offset());
    note
}
