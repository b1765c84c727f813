//! The cutover: a shadow replaces the active view of its name at one offset; the views over it are opened
//! again.

use std::{path::PathBuf, sync::Arc};

use lakehead_model::Name;
use lakehead_query::{Lake, Slot, View, ViewHandle};

use super::{
    decode_plan::ViewId,
    group::Group,
    member::{Member, Renewal},
    note::SharedNote,
    registry::Registry,
};
use crate::sync::lock;

/// How many rows two views may have together for their difference to be logged when one replaces the other: comparing them
/// keeps the live views waiting.
const COMPARED_ROWS_MAX: u64 = 300_000;

/// What a cutover changes in addition to the group: the tables, what a status shows, the files.
pub(super) struct Cutover {
    pub(super) lake: Lake,
    pub(super) registry: Registry,
    pub(super) data: PathBuf,
}

impl Cutover {
    /// Replaces the active view `name` of `group` by its shadow, at one offset.
    pub(super) async fn swap(&self, group: &mut Group, name: &Name) -> Result<(), String> {
        let Some(shadow_at) = group.place(name, true) else {
            return Err(format!("no view that was built beside {name} is ready to take its place"));
        };
        let Some(active_at) = group.place(name, false) else {
            return Err(format!("the view {name} itself is still being built"));
        };
        if let Some(shadow) = group.views.get(shadow_at).filter(|shadow| !shadow.is_running()) {
            let why = lock(&shadow.note).failed.clone().unwrap_or_default();
            return Err(format!("what was built to take the place of {name} stands still: {why}"));
        }
        log_difference(group, active_at, shadow_at).await;
        let mut next = group.views.remove(shadow_at);
        let active_at = if active_at > shadow_at { active_at - 1 } else { active_at };
        let (id, view, active_note) = group.views.remove(active_at).apart();
        // What is to be renewed answers over what this was, until it is.
        let held = hold_those_over(group, name, &next);
        if let Err((view, error)) = next.view.take_over(view).await {
            for (id, upstream) in held {
                let member = group.views.iter().find(|member| member.id == id);
                member.zip(upstream).into_iter().for_each(|(member, upstream)| member.view.follow_upstream(upstream));
            }
            group.add(vec![next, Member::new(id, *view, active_note, None)]);
            return Err(error.to_string());
        }
        tracing::info!(view = %name, offset = %next.view.next_offset(), "its new SQL is what it answers with from now on");
        let renew = next.shadow.take().map(|shadow| shadow.renew).unwrap_or_default();
        {
            let mut note = lock(&next.note);
            note.waits = false;
            note.quarantined = lakehead_query::quarantined(&self.data, name);
            note.committed(next.view.next_offset());
        }
        let note = Arc::clone(&next.note);
        group.add(vec![next]);
        for renewal in renew {
            self.renew(group, renewal).await;
        }
        self.registry.swapped(name, &note);
        // Views over it have files to write again, even when nothing comes.
        for member in group.views.iter().filter(|member| member.view.plan().upstream().is_some()) {
            lock(&member.note).checkpoint = None;
        }
        group.due = tokio::time::Instant::now();
        Ok(())
    }

    /// Opens a view over another view again, as it is to be over what that one has become, and replaces what there is of it.
    async fn renew(&self, group: &mut Group, renewal: Renewal) {
        let Renewal { id, name, plan, settings } = renewal;
        // What waited to take its place was made for what that one was.
        if let Some(waits) = group.place(&name, true) {
            group.views.remove(waits);
        }
        let read = plan.upstream().and_then(|read| group.place(read, false));
        let upstream = read.and_then(|at| group.views.get(at)).map(|member| member.view.handle());
        let old = group.place(&name, false).map(|at| group.views.remove(at));
        let slot = if old.is_some() { Slot::Shadow } else { Slot::Active };
        let opened = View::open(&self.data, name.clone(), plan, settings, slot, upstream).await;
        let note = SharedNote::default();
        let renewed = match (opened, old) {
            (Ok((view, _)), None) => {
                self.lake.add_view(view.handle());
                self.registry.add(view.handle(), Arc::clone(&note));
                Ok(view)
            }
            (Ok((mut view, _)), Some(old)) => match view.take_over(old.apart().1).await {
                Ok(()) => {
                    self.registry.swapped(&name, &note);
                    Ok(view)
                }
                Err((_, error)) => Err(error),
            },
            (Err(error), _) => Err(error),
        };
        match renewed {
            Ok(view) => group.add(vec![Member::new(id, view, note, None)]),
            // With its old SQL it would answer over what that one was no more.
            Err(error) => {
                tracing::error!(view = %name, "the view is no table until the next reload: it cannot be opened anew: {error}");
                self.lake.remove_view(&name);
                lock(&note).is_stopped = true;
                lock(&note).failed =
                    Some(format!("it cannot be opened anew over what it reads; reload again: {error}"));
                self.registry.swapped(&name, &note);
            }
        }
    }
}

/// Lets the views over `name` that are renewed with `next` keep what they read of it.
fn hold_those_over(group: &Group, name: &Name, next: &Member) -> Vec<(ViewId, Option<ViewHandle>)> {
    let renew: Vec<&Name> = next.shadow.iter().flat_map(|shadow| &shadow.renew).map(|renewal| &renewal.name).collect();
    let is_over =
        |member: &&Member| member.view.plan().upstream() == Some(name) && renew.contains(&member.view.handle().name());
    group.views.iter().filter(is_over).map(|member| (member.id, member.view.freeze_upstream())).collect()
}

/// Says in the log what a cutover changes, where that is quickly found out.
async fn log_difference(group: &Group, active: usize, shadow: usize) {
    let handle = |at: usize| group.views.get(at).map(|member| member.view.handle());
    let (Some(active), Some(shadow)) = (handle(active), handle(shadow)) else { return };
    let rows = |handle: &ViewHandle| handle.snapshot().result_rows();
    if rows(&active) + rows(&shadow) > COMPARED_ROWS_MAX {
        return;
    }
    if let Ok(found) = active.difference(&shadow).await {
        let lakehead_query::ViewDifference { added, removed, changed, .. } = found;
        tracing::info!(view = %active.name(), added, removed, changed, "rows that change with its new SQL");
    }
}
