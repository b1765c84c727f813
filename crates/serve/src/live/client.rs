//! One listener: what it has been sent, and what it is to be sent next.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    time::Instant,
};

use axum::body::Bytes;
use futures::Stream;
use serde_json::json;
use tokio::sync::watch;

use super::{
    audience::Member,
    frames::{Shown, frame},
};
use crate::stopping::Stopping;

/// One listener.
pub(crate) struct Client {
    /// What it sees; with it its place is given up.
    member: Member,
    status: watch::Receiver<(Option<Instant>, Bytes)>,
    shown: watch::Receiver<Shown>,
    /// The version of the rows that it has of each panel.
    sent: BTreeMap<String, u64>,
    /// The version of the list that it has.
    listed: u64,
    /// What was taken up and not sent.
    pub(super) pending: VecDeque<Bytes>,
    stopping: Stopping,
}

impl Client {
    pub(super) fn new(
        member: Member,
        status: watch::Receiver<(Option<Instant>, Bytes)>,
        shown: watch::Receiver<Shown>,
        stopping: Stopping,
    ) -> Self {
        let hello = frame("hello", &json!({ "client": member.id }));
        Self { member, status, shown, sent: BTreeMap::new(), listed: 0, pending: [hello].into(), stopping }
    }

    /// The next frame, or `None` when the server stops. More is taken up only when all that was taken is sent, so at
    /// most one frame of each kind waits here.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = self.pending.pop_front() {
                return Some(frame);
            }
            tokio::select! {
                biased;
                () = self.stopping.wait() => return None,
                changed = self.status.changed() => {
                    changed.ok()?;
                    self.pending.push_back(self.status.borrow_and_update().1.clone());
                }
                changed = self.shown.changed() => {
                    changed.ok()?;
                    self.take_up();
                }
                changed = self.member.sees.changed() => {
                    changed.ok()?;
                    self.member.sees.mark_unchanged();
                    self.take_up();
                }
            }
        }
    }

    /// Takes up what it has not been sent: the list, and the rows of what it sees.
    fn take_up(&mut self) {
        let shown = self.shown.borrow_and_update();
        if shown.listed > self.listed {
            self.listed = shown.listed;
            self.pending.push_back(shown.list.clone());
            self.sent.retain(|name, _| shown.rows.contains_key(name));
        }
        let sees = self.member.sees.borrow();
        for (name, rows) in shown.rows.iter().filter(|(name, _)| sees.contains(*name)) {
            let sent = self.sent.entry(name.clone()).or_default();
            if rows.version > *sent {
                *sent = rows.version;
                self.pending.push_back(rows.frame.clone());
            }
        }
    }

    /// Everything that it is sent, as the body of an answer.
    pub(crate) fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        futures::stream::unfold(self, |mut client| async {
            let frame = client.next().await?;
            Some((Ok(frame), client))
        })
    }
}
