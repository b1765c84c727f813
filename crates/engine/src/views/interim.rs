//! What answers under each view's name while changed views are built.
//!
//! ```text
//!                     as it is to be      as its checkpoint has it, and can continue?
//!   nothing changed   ─────────────────▶  opened
//!   changed           ─────────────────▶  yes: the old one answers, the new one is built as its shadow, then the cutover
//!                                         no:  the new one begins from nothing, in its place
//!   reads a view that is built anew ───▶  answers over the old rows until that one's cutover, and is renewed then
//! ```
//!
//! Whether a view was changed is said by its [`Identity`](lakehead_query::Identity) alone. An old view can continue where
//! it reads this very stream and what it reads is there as it was. Of a chain of views over views only the lowest that was
//! changed is built as a shadow; those above follow at its cutover.

use std::{collections::BTreeMap, sync::Arc};

use lakehead_model::{Name, StreamSchema};
use lakehead_query::{Identity, ViewPlan, ViewSettings, check_views};

use super::{decode_plan::ViewId, member::Renewal};
use crate::Error;

pub(super) type Schemas = BTreeMap<Name, StreamSchema>;

/// A view as it is to be.
pub(super) struct Wanted {
    pub(super) id: ViewId,
    pub(super) name: Name,
    pub(super) plan: Arc<ViewPlan>,
    pub(super) settings: ViewSettings,
    /// What its checkpoint holds, if there is one that can be read.
    pub(super) found: Option<lakehead_query::SavedDefinition>,
}

impl Wanted {
    /// Whether what its checkpoint holds is what it is to be; also where it holds nothing.
    fn is_unchanged(&self) -> bool {
        self.found.as_ref().is_none_or(|found| found.change(&self.plan, &self.settings).is_none())
    }

    /// Whether the view can continue as its checkpoint has it, by this plan of its old SQL.
    fn continues_by(&self, plan: &ViewPlan) -> bool {
        self.found.as_ref().is_some_and(|found| {
            plan.stream() == self.plan.stream() && found.change(plan, &found.settings(self.settings)).is_none()
        })
    }

    /// The views that it is to read, the nearest first.
    fn above<'a>(&'a self, wanted: &'a [Wanted]) -> impl Iterator<Item = &'a Name> {
        std::iter::successors(self.plan.upstream(), |name| {
            wanted.iter().find(|wanted| wanted.name == **name).and_then(|wanted| wanted.plan.upstream())
        })
    }
}

/// What answers under each name until what is built has taken its place: a plan, and the settings that it continues with.
pub(super) struct Interim {
    /// Each after those that it reads.
    pub(super) plans: Vec<(Name, Arc<ViewPlan>, ViewSettings)>,
    /// Those that continue as their checkpoints have them while their shadows are built.
    pub(super) old: BTreeMap<Name, Arc<ViewPlan>>,
}

/// Which SQL of a view answers meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answers {
    /// The old one; the new one is built as its shadow.
    Old,
    /// The new one.
    New,
    /// The old one, over old rows, since the new one does not fit them.
    OldMeanwhile,
    /// Neither.
    Not,
}

impl Interim {
    /// Finds out what answers under each name. The old SQL of a view may name others that have changed, too; so it is tried,
    /// and where it does not come out as its checkpoint has it, given up.
    pub(super) async fn of(wanted: &[Wanted], schemas: &Schemas) -> Result<Self, Error> {
        if wanted.iter().all(Wanted::is_unchanged) {
            let plans = wanted.iter().map(|one| (one.name.clone(), Arc::clone(&one.plan), one.settings));
            return Ok(Self { plans: plans.collect(), old: BTreeMap::new() });
        }
        let mut answers = at_first(wanted, schemas).await?;
        // A view only ever goes from Old to New, to OldMeanwhile, to Not: the turns come to an end.
        loop {
            if let Some(interim) = Self::settled(wanted, &mut answers, schemas).await? {
                return Ok(interim);
            }
        }
    }

    /// Tries whether all fits together if each view answers as `answers` has it. Where something does not, changes that.
    async fn settled<'w>(
        wanted: &'w [Wanted],
        answers: &mut BTreeMap<&'w Name, Answers>,
        schemas: &Schemas,
    ) -> Result<Option<Self>, Error> {
        let texts = wanted.iter().filter(|one| answers[&one.name] != Answers::Not).map(|one| {
            let as_it_was = answers[&one.name] != Answers::New;
            let old = one.found.as_ref().filter(|_| as_it_was).map(|found| found.sql.clone());
            (one.name.clone(), old.unwrap_or_else(|| one.plan.sql().to_owned()))
        });
        let mut interim = Self { plans: Vec::new(), old: BTreeMap::new() };
        let mut settled = true;
        for (name, plan) in check_views(&texts.collect(), schemas).await? {
            let Some(one) = wanted.iter().find(|wanted| wanted.name == name) else { continue };
            // Only a view over one that is built as a shadow answers otherwise than it is to be.
            let waits = one.above(wanted).any(|name| answers.get(name) == Some(&Answers::Old));
            let otherwise = match (answers[&one.name], plan) {
                (Answers::New | Answers::OldMeanwhile | Answers::Not, _) if !waits => {
                    interim.plans.push((name, Arc::clone(&one.plan), one.settings));
                    continue;
                }
                (Answers::Old, Ok(plan)) if one.continues_by(&plan) => {
                    let settings = one.found.as_ref().map_or(one.settings, |found| found.settings(one.settings));
                    interim.old.insert(name.clone(), Arc::clone(&plan));
                    interim.plans.push((name, plan, settings));
                    continue;
                }
                (Answers::Old, _) => Answers::New,
                (Answers::OldMeanwhile, Ok(plan)) if !one.continues_by(&plan) => Answers::Not,
                (_, Ok(plan)) => {
                    interim.plans.push((name, plan, one.settings));
                    continue;
                }
                (Answers::New, Err(_)) if one.found.is_some() => Answers::OldMeanwhile,
                (_, Err(error)) => {
                    tracing::info!(view = %name, "it waits for the views that it reads to be built: {error}");
                    Answers::Not
                }
            };
            answers.insert(&one.name, otherwise);
            settled = false;
        }
        Ok(settled.then_some(interim))
    }

    fn plan(&self, name: &Name) -> Option<&Arc<ViewPlan>> {
        self.plans.iter().find(|(other, ..)| other == name).map(|(_, plan, _)| plan)
    }

    /// The views that are to be otherwise once another that they read has been swapped, by that one.
    pub(super) fn renewals(&self, wanted: &[Wanted]) -> BTreeMap<Name, Vec<Renewal>> {
        let mut renewals: BTreeMap<Name, Vec<Renewal>> = BTreeMap::new();
        for one in wanted {
            let Wanted { id, name, plan, settings, .. } = one;
            let now = self.plan(name).map(|now| Identity::of(now, settings));
            if now.is_some_and(|now| now.change(&Identity::of(plan, settings)).is_none()) {
                continue;
            }
            if let Some(root) = one.above(wanted).find(|above| self.old.contains_key(*above)) {
                let (name, plan) = (name.clone(), Arc::clone(plan));
                let renewal = Renewal { id: *id, name, plan, settings: *settings };
                renewals.entry(root.clone()).or_default().push(renewal);
            }
        }
        renewals
    }
}

/// What is tried first: each changed view answers with its old SQL where that can continue.
async fn at_first<'w>(wanted: &'w [Wanted], schemas: &Schemas) -> Result<BTreeMap<&'w Name, Answers>, Error> {
    // As all of them were. What now cannot be compiled, or comes out otherwise, cannot continue.
    let were = wanted.iter().map(|wanted| {
        let sql = wanted.found.as_ref().map_or(wanted.plan.sql(), |found| &found.sql);
        (wanted.name.clone(), sql.to_owned())
    });
    let were = check_views(&were.collect(), schemas).await?;
    let continues = |wanted: &Wanted| {
        let plan = were.iter().find(|(name, _)| *name == wanted.name);
        plan.and_then(|(_, plan)| plan.as_ref().ok()).is_some_and(|plan| wanted.continues_by(plan))
    };
    let mut answers = BTreeMap::new();
    for one in wanted {
        // Over a view that is built as a shadow, a view waits for that one and gets no shadow of its own.
        let over_changed = one.above(wanted).any(|name| answers.get(name) == Some(&Answers::Old));
        let is_old = !one.is_unchanged() && continues(one) && !over_changed;
        answers.insert(&one.name, if is_old { Answers::Old } else { Answers::New });
    }
    Ok(answers)
}
