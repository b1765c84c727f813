//! The state of an audit: the view and the log, pinned, and the findings so far.

use std::{ops::Range, sync::Arc};

use lakehead_model::Timestamp;

use super::{
    blocking::{blocking, first_whole, is_same_file},
    budget::Budget,
    extent::Extent,
    passes::first_unknown,
    recount::Recount,
    report::{Difference, ViewAudit},
};
use crate::{
    error::Error,
    keyed_rows::Differing,
    lake::Lake,
    view::{Listed, Snapshot, ViewHandle, files},
};

/// A view and the log, pinned, and what was found so far.
pub(super) struct Audit<'a> {
    pub(super) view: &'a ViewHandle,
    pub(super) extent: &'a Extent,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) recount: Recount,
    /// Windows that begin before this are left out.
    pub(super) from: Option<Timestamp>,
    /// Events that the view left out, as it says, and that no slice was found to lack yet.
    pub(super) left_out: u64,
    /// What rows may differ by them.
    pub(super) budget: Budget,
    pub(super) found: ViewAudit,
}

impl<'a> Audit<'a> {
    pub(super) async fn new(lake: &Lake, view: &'a ViewHandle, extent: &'a Extent) -> Result<Self, Error> {
        let snapshot = view.snapshot();
        let plan = snapshot.plan();
        let name = plan.stream();
        let Some((schema, stream)) = lake.stream(name) else {
            return Err(Error::Sql(format!("there is no stream {name}")));
        };
        let head = stream.head();
        let start = head.start.min(snapshot.next_offset);
        let whole = if start.0 == 0 { None } else { first_whole(stream.clone(), start).await? };
        let fresh = if extent.known.is_empty() { None } else { first_unknown(&snapshot, extent) };
        let from = [whole, extent.since, fresh].into_iter().flatten().max();
        let range = Range { start, end: snapshot.next_offset };
        let recount = Recount::new(&snapshot, stream, schema, range, extent).await?;
        let counts = snapshot.counts;
        let found = ViewAudit {
            stream: name.to_string(),
            offset: snapshot.next_offset,
            compared_from: from.map(|from| from.to_string()),
            ..ViewAudit::default()
        };
        let left_out = counts.late_dropped + counts.too_late;
        let budget = Budget::new(snapshot.plan().windowed(), left_out, counts.partly);
        Ok(Self { view, extent, snapshot, recount, from, left_out, budget, found })
    }

    pub(super) fn is_in(&self, window: Timestamp) -> bool {
        self.from.is_none_or(|from| window >= from)
    }

    /// Notes rows that differ; `otherwise` says where, if a row does not say its window.
    pub(super) fn tell(&mut self, differing: Vec<Differing>, otherwise: impl Fn() -> String) {
        for row in differing {
            self.found.differs(Difference::of_row(row, &otherwise));
        }
    }

    /// What other programs read under the period's public name must be the file that the checkpoint names.
    pub(super) async fn compare_public(&mut self, listed: &Listed) -> Result<(), Error> {
        let Some(public) = files::public_beside(&listed.file.path, listed.range) else { return Ok(()) };
        let own = listed.file.path.clone();
        let shown = public.display().to_string();
        let same = blocking(move || is_same_file(&own, &public)).await?;
        // A commit since the snapshot has put a newer file there; the next audit looks at that one.
        let is_current = || {
            let now = self.view.snapshot();
            now.results.files.iter().any(|now| now.file.path == listed.file.path)
        };
        if !same && is_current() {
            self.found.differs(Difference {
                window: listed.range.start.to_string(),
                what: format!("{shown} is not the result file that the checkpoint names"),
                ..Difference::default()
            });
        }
        Ok(())
    }
}
