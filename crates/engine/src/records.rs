//! The small records of a data directory, looked at for a check: the catalogue, what imports have done, what the last audit
//! found. Each carries its own checksum.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use lakehead_model::Name;
use lakehead_store::{Witness, record};

use crate::{Error, audit::last, builtin::schemas, catalog::Catalog, offline};

/// The records, and what is lost with each.
const RECORDS: [(&str, &str); 3] = [
    ("catalog.json", "`lakehead run` writes it anew from the pipeline file"),
    ("imports.json", "no import knows any more how far it has got: what is imported again is there twice"),
    (last::FILE, "the next audit writes it anew"),
];

/// A record that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedRecord {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub what: String,
    /// What is lost with it.
    pub lost: &'static str,
}

/// The records of `data` that are not as they were written.
#[must_use]
pub fn damaged(data: &Path) -> Vec<DamagedRecord> {
    let look = |(name, lost): &(&str, &'static str)| {
        let path = data.join(name);
        let read = record::read(&path)
            .and_then(|text| serde_json::from_str::<serde_json::Value>(&text).map(drop).map_err(io::Error::from));
        match read {
            Ok(()) => None,
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => Some(DamagedRecord { path, what: error.to_string(), lost }),
        }
    };
    RECORDS.iter().filter_map(look).collect()
}

/// Moves a damaged record into the quarantine, so that the directory opens without it; answers where it is.
///
/// # Errors
/// When it cannot be moved.
pub fn quarantine(data: &Path, record: &DamagedRecord) -> Result<PathBuf, Error> {
    let folder = data.join("quarantine");
    let name = record.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let free = (0..).map(|number| folder.join(format!("{name}.{number}"))).find(|path| !path.exists());
    let to = free.unwrap_or_else(|| folder.join(&name));
    let moved = || {
        fs::create_dir_all(&folder)?;
        fs::rename(&record.path, &to)?;
        fs::File::open(&folder)?.sync_all()?;
        fs::File::open(data)?.sync_all()
    };
    moved()
        .map_err(|source| Error::Io { what: format!("moving {} to the quarantine", record.path.display()), source })?;
    Ok(to)
}

/// Who in `data` has seen which stream, and how far: the views, by their checkpoints. Nobody where there is no catalogue that
/// can be read.
pub async fn witnesses(data: &Path) -> BTreeMap<Name, Vec<Witness>> {
    let mut witnesses: BTreeMap<Name, Vec<Witness>> = BTreeMap::new();
    let Ok(catalog) = Catalog::load(data) else { return witnesses };
    let Ok(plans) = offline::plans(&catalog, &schemas(&catalog.stream_configs())).await else { return witnesses };
    for (name, plan) in plans {
        if plan.upstream().is_none()
            && let Some(seen) = lakehead_query::committed_offset(data, &name)
        {
            let by = format!("the checkpoint of view {name}");
            witnesses.entry(plan.stream().clone()).or_default().push(Witness { by, seen });
        }
    }
    witnesses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_byte_of_any_record_is_found_and_the_rest_is_left_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        assert_eq!(damaged(dir.path()), []);
        for (name, _) in RECORDS {
            record::write(&dir.path().join(name), "{\"n\":1}").expect("writes");
        }
        assert_eq!(damaged(dir.path()), []);
        for (name, _) in RECORDS {
            let path = dir.path().join(name);
            let whole = fs::read(&path).expect("there");
            let mut changed = whole.clone();
            changed[5] = b'2';
            fs::write(&path, changed).expect("writes");
            let found = damaged(dir.path());
            assert_eq!(found.iter().map(|found| &found.path).collect::<Vec<_>>(), [&path]);
            let kept = quarantine(dir.path(), &found[0]).expect("moves");
            assert!(kept.exists() && !path.exists() && damaged(dir.path()).is_empty());
            fs::write(&path, whole).expect("writes");
        }
    }
}
