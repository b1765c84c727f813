//! The frames that are pushed, and the newest ones that there are to see.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Bytes;
use serde::Serialize;

/// A frame of server-sent events around one JSON document, which serde writes on one line.
pub(super) fn frame(event: &str, document: &impl Serialize) -> Bytes {
    let mut frame = format!("event: {event}\ndata: ").into_bytes();
    // It can only fail for keys that are no text, which none of ours has.
    let _ = serde_json::to_writer(&mut frame, document);
    frame.extend_from_slice(b"\n\n");
    Bytes::from(frame)
}

/// The newest rows of one panel.
#[derive(Clone)]
pub(super) struct Rows {
    /// Rises with each change of any panel.
    pub(super) version: u64,
    /// The frame, as it goes to every client.
    pub(super) frame: Bytes,
}

/// What there is to see: the list of panels, and the rows of each that was asked.
#[derive(Clone, Default)]
pub(super) struct Shown {
    /// Rises with each change of anything.
    version: u64,
    /// The version of the list: when it last changed.
    pub(super) listed: u64,
    /// The list of panels as a frame; empty before the first look.
    pub(super) list: Bytes,
    /// The rows by the panel's name.
    pub(super) rows: BTreeMap<String, Rows>,
}

impl Shown {
    /// Shows another list; only the rows of the panels that are what they were stay.
    pub(super) fn show_list(&mut self, list: Bytes, stays: &BTreeSet<&str>) {
        self.version += 1;
        self.listed = self.version;
        self.list = list;
        self.rows.retain(|name, _| stays.contains(name.as_str()));
    }

    /// Shows rows of a panel; whether they are others than before.
    pub(super) fn show_rows(&mut self, panel: &str, frame: Bytes) -> bool {
        if self.rows.get(panel).is_some_and(|rows| rows.frame == frame) {
            return false;
        }
        self.version += 1;
        self.rows.insert(panel.to_owned(), Rows { version: self.version, frame });
        true
    }
}
