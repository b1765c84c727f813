//! What the last audit found, kept over a restart: `<data>/audit.json`, a record with a checksum.

use std::{io, path::Path};

use lakehead_model::Timestamp;
use lakehead_store::record;
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::{
    Error,
    status::{AuditOutcome, AuditStatus},
};

/// The record's name in the data directory.
pub const FILE: &str = "audit.json";

#[derive(Serialize, Deserialize)]
struct AuditRecord {
    last: AuditOutcome,
    /// Microseconds since 1970 of the last one that found nothing.
    last_success: Option<Timestamp>,
}

impl AuditStatus {
    /// What was kept in `data`; nothing where nothing is, or where it is not as it was written: then the log says so, and the
    /// next audit writes it anew.
    #[must_use]
    pub fn load(data: &Path) -> Self {
        let path = data.join(FILE);
        let read =
            record::read(&path).and_then(|text| serde_json::from_str::<AuditRecord>(&text).map_err(io::Error::from));
        match read {
            Ok(AuditRecord { last, last_success }) => Self { last: Some(last), last_success, ..Self::default() },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(error) => {
                warn!("{}: {error}; the next audit writes it anew", path.display());
                Self::default()
            }
        }
    }

    /// Keeps in `data` what the last audit found.
    pub(crate) fn save(&self, data: &Path) -> Result<(), Error> {
        let Some(last) = self.last.clone() else { return Ok(()) };
        let path = data.join(FILE);
        let record = AuditRecord { last, last_success: self.last_success };
        let json = serde_json::to_string(&record).map_err(|error| Error::Internal(error.to_string()))?;
        record::write(&path, &json).map_err(|source| Error::Io { what: format!("writing {}", path.display()), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_outcome_is_there_after_a_restart_and_a_flipped_byte_is_not_believed() {
        let dir = tempfile::tempdir().expect("a folder");
        assert!(AuditStatus::load(dir.path()).last.is_none());
        let last = AuditOutcome {
            at: Timestamp::from_seconds(1_790_000_000),
            took_seconds: 0.5,
            whole: true,
            events: 3,
            rows: 4,
            differences: 1,
            told: vec!["one thing".to_owned()],
            not_checked: Vec::new(),
            streams: Default::default(),
            views: Default::default(),
        };
        let at = last.at;
        let status = AuditStatus { last: Some(last), last_success: Some(Timestamp(7)), ..AuditStatus::default() };
        status.save(dir.path()).expect("writes");
        let read = AuditStatus::load(dir.path());
        assert_eq!(read.last_success, Some(Timestamp(7)));
        assert!(read.last.is_some_and(|last| last.differences == 1 && last.at == at && last.told == ["one thing"]));
        let path = dir.path().join(FILE);
        let mut bytes = std::fs::read(&path).expect("there");
        let digit = bytes.iter().position(|byte| *byte == b'3').expect("a digit");
        bytes[digit] = b'9';
        std::fs::write(&path, bytes).expect("writes");
        assert!(AuditStatus::load(dir.path()).last.is_none());
    }
}
