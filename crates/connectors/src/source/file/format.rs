//! What files hold, line by line: how it is told from its name, how it is read, and how a line becomes an event.

use std::{
    io,
    path::Path,
    sync::{Arc, atomic::AtomicU64},
};

use lakehead_json::{CheckedLines, EventLines, EventTimes};
use schemars::JsonSchema;
use serde::Deserialize;

use super::history::event_of_row;
use crate::json_lines::{JSON_ENDINGS, LinePosition, Lines};

/// What files hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FileFormat {
    /// JSON lines, or one JSON array.
    #[default]
    Json,
    /// Rows of MediaWiki history dumps.
    MediawikiHistory,
}

impl FileFormat {
    /// How files end that are taken from a folder.
    pub(super) fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Json => JSON_ENDINGS,
            Self::MediawikiHistory => &["tsv"],
        }
    }

    /// Why a file of a folder is not taken.
    pub(super) fn other_name(self) -> &'static str {
        match self {
            Self::Json => "its name does not end as JSON lines do",
            Self::MediawikiHistory => "its name does not end as history dumps do",
        }
    }

    /// Bytes of lines that are read at once. An event of a row has the names of its columns, too, and about four times the
    /// row's bytes; a chunk is to hold 256 KiB of events.
    pub(super) fn run_bytes(self) -> usize {
        match self {
            Self::Json => 256 << 10,
            Self::MediawikiHistory => 64 << 10,
        }
    }

    /// Opens a file.
    pub(super) fn open(
        self,
        path: &Path,
        from: LinePosition,
        run_bytes: usize,
        read: Arc<AtomicU64>,
    ) -> io::Result<Lines> {
        match self {
            Self::Json => Lines::open(path, from, run_bytes, read),
            Self::MediawikiHistory => Lines::open_rows(path, from, run_bytes, read),
        }
    }

    /// Makes events of lines.
    pub(super) fn events(self, lines: &EventLines<'_>, times: &EventTimes) -> CheckedLines {
        match self {
            Self::Json => lines.check(times),
            Self::MediawikiHistory => lines.check_as(times, event_of_row),
        }
    }
}
