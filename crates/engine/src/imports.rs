//! What the imports of a data directory have done: `<data>/imports.json`, a record with a checksum.
//!
//! While an import runs, its cursor stands in the stream's footers, with the lines that it covers. A footer repeats every
//! cursor, so none may stay there for ever: what is done, and what a start finds broken off, is noted here and its cursor
//! given back. Noted first, given back after; so a crash in between leaves it in both places, and the footer's goes before.
//!
//! It also says between which offsets an import ran. The audit cannot tell there by order what was fetched and what was
//! imported (`audit/sequence.rs`).

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use lakehead_model::{Name, Offset};
use lakehead_store::{Stream, record};
use serde::{Deserialize, Serialize};

use crate::{
    Error,
    import::{ImportCursor, PREFIX},
    sync::lock,
};

const FILE: &str = "imports.json";

/// Cursors of other imports in a stream's footers beyond which they are given back while one runs: those broken off.
const RESTING_MAX: usize = 16;

/// All imports of a data directory. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Imports {
    path: Arc<PathBuf>,
    record: Arc<Mutex<ImportsRecord>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct ImportsRecord {
    /// By stream and name.
    imports: BTreeMap<Name, BTreeMap<Name, Import>>,
}

/// One import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Import {
    /// Where it stands, once its cursor was given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cursor: Option<Arc<str>>,
    /// Where the log ended when that was noted. Of a log that ends before it, it says nothing: that is an older copy.
    #[serde(default)]
    at: Offset,
    /// Between which offsets it ran; it runs, or was broken off, where there is no end.
    #[serde(default)]
    ran: Vec<(Offset, Option<Offset>)>,
    /// The files that it has read wholly, each by its size and its checksum.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    contents: Vec<(u64, u64)>,
}

impl Imports {
    /// Reads what is noted in `data`; nothing where nothing is.
    ///
    /// # Errors
    /// `Corrupt` when it is not as it was written, with what to do.
    pub fn load(data: &Path) -> Result<Self, Error> {
        let path = data.join(FILE);
        let record = match record::read(&path) {
            Ok(text) => serde_json::from_str(&text).map_err(io::Error::from),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(ImportsRecord::default()),
            Err(error) => Err(error),
        };
        let record = record.map_err(|source| match source.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => damaged(&path, &source),
            _ => Error::Io { what: format!("reading {}", path.display()), source },
        })?;
        Ok(Self { path: Arc::new(path), record: Arc::new(Mutex::new(record)) })
    }

    /// Where the import `source` stands in `stream`.
    #[must_use]
    pub fn held(&self, stream: &Stream, source: &Name) -> Option<Arc<str>> {
        let head = stream.head();
        if let Some(cursor) = head.cursors.get(source) {
            return Some(Arc::clone(&cursor.position));
        }
        let record = lock(&self.record);
        let import = record.imports.get(stream.name())?.get(source)?;
        import.cursor.clone().filter(|_| import.at <= head.end)
    }

    /// Notes what a start finds of imports in the footers of `stream`, and gives their cursors back.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn take_over(&self, stream: &Stream) -> Result<(), Error> {
        let head = stream.head();
        let found = head.cursors.iter().filter(|(source, _)| source.as_str().starts_with(PREFIX));
        let found: Vec<(Name, Arc<str>)> =
            found.map(|(source, cursor)| (source.clone(), Arc::clone(&cursor.position))).collect();
        let is_open = |import: &Import| import.ran.iter().any(|(_, to)| to.is_none());
        let has_open = lock(&self.record).imports.get(stream.name()).is_some_and(|all| all.values().any(is_open));
        if found.is_empty() && !has_open {
            return Ok(());
        }
        self.change(|record| {
            let imports = record.imports.entry(stream.name().clone()).or_default();
            for import in imports.values_mut() {
                import.end(head.end);
            }
            for (source, cursor) in &found {
                let import = imports.entry(source.clone()).or_default();
                if import.ran.is_empty() {
                    // Of before 2026-11-28: nobody noted when it ran.
                    import.ran.push((Offset(0), Some(head.end)));
                }
                import.stands(Arc::clone(cursor), head.end);
            }
        })?;
        Ok(stream.drop_cursors(found.into_iter().map(|(source, _)| source).collect()).await?)
    }

    /// Notes that the import `source` is about to write into `stream`; before its first lines.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn begin(&self, stream: &Stream, source: &Name) -> Result<(), Error> {
        let runs = |import: &Import| import.ran.last().is_some_and(|(_, to)| to.is_none());
        let known = lock(&self.record).imports.get(stream.name()).and_then(|all| all.get(source)).is_some_and(runs);
        if known {
            return Ok(());
        }
        let head = stream.head();
        let resting = head.cursors.keys().filter(|name| name.as_str().starts_with(PREFIX) && *name != source);
        if resting.count() >= RESTING_MAX {
            self.take_over(stream).await?;
        }
        self.change(|record| {
            let import = record.imports.entry(stream.name().clone()).or_default().entry(source.clone()).or_default();
            import.ran.push((head.end, None));
        })
    }

    /// Takes note of lines that are committed with the cursor `text`; where that says that the import is done, its cursor is
    /// given back.
    ///
    /// # Errors
    /// When it cannot be written; the cursor stays where it is then.
    pub async fn committed(&self, stream: &Stream, source: &Name, text: &str) -> Result<(), Error> {
        let ImportCursor { done, content } = ImportCursor::read(text);
        if let Some(content) = content {
            // Written with the next change; of an import that is broken off before it, only this is not known.
            let mut record = lock(&self.record);
            let import = record.imports.entry(stream.name().clone()).or_default().entry(source.clone()).or_default();
            if !import.contents.contains(&content) {
                import.contents.push(content);
            }
        }
        if done { self.rest(stream, source).await } else { Ok(()) }
    }

    /// Notes that the import `source` will not go on soon: its cursor, which the stream holds, is given back.
    ///
    /// # Errors
    /// When it cannot be written; it stays where it is then.
    pub async fn rest(&self, stream: &Stream, source: &Name) -> Result<(), Error> {
        let head = stream.head();
        let cursor = head.cursors.get(source).map(|cursor| Arc::clone(&cursor.position));
        self.change(|record| {
            let import = record.imports.entry(stream.name().clone()).or_default().entry(source.clone()).or_default();
            import.end(head.end);
            if let Some(cursor) = cursor {
                import.stands(cursor, head.end);
            }
        })?;
        Ok(stream.drop_cursors(vec![source.clone()]).await?)
    }

    /// Whether a file of this size was ever read into `stream`: only then it is worth while to look at its content.
    #[must_use]
    pub fn has_read_size(&self, stream: &Name, size: u64) -> bool {
        self.reads(stream, |content| content.0 == size).is_some()
    }

    /// Which import has read a file of this size and checksum into `stream`, if any.
    #[must_use]
    pub fn has_read(&self, stream: &Name, size: u64, checksum: u64) -> Option<Name> {
        self.reads(stream, |content| content == (size, checksum))
    }

    fn reads(&self, stream: &Name, is_it: impl Fn((u64, u64)) -> bool) -> Option<Name> {
        let record = lock(&self.record);
        let imports = record.imports.get(stream)?;
        imports
            .iter()
            .find(|(_, import)| import.contents.iter().any(|content| is_it(*content)))
            .map(|(name, _)| name.clone())
    }

    /// The offsets between which imports ran into `stream`, each without end while it runs.
    pub(crate) fn ran(&self, stream: &Name) -> Vec<(Offset, Option<Offset>)> {
        let record = lock(&self.record);
        let imports = record.imports.get(stream).into_iter().flat_map(BTreeMap::values);
        let mut ran: Vec<_> = imports.flat_map(|import| import.ran.iter().copied()).collect();
        ran.sort_unstable();
        ran
    }

    fn change(&self, change: impl FnOnce(&mut ImportsRecord)) -> Result<(), Error> {
        let mut record = lock(&self.record);
        let mut changed = record.clone();
        change(&mut changed);
        let json = serde_json::to_string(&changed).map_err(|error| Error::Internal(error.to_string()))?;
        record::write(&self.path, &json)
            .map_err(|source| Error::Io { what: format!("writing {}", self.path.display()), source })?;
        *record = changed;
        Ok(())
    }
}

impl Import {
    fn end(&mut self, at: Offset) {
        for (from, to) in &mut self.ran {
            to.get_or_insert(at.max(*from));
        }
        // Runs that touch are one.
        let mut joined: Vec<(Offset, Option<Offset>)> = Vec::new();
        for (from, to) in std::mem::take(&mut self.ran) {
            match joined.last_mut() {
                Some((_, Some(end))) if *end >= from => *end = (*end).max(to.unwrap_or(*end)),
                _ => joined.push((from, to)),
            }
        }
        self.ran = joined;
    }

    fn stands(&mut self, cursor: Arc<str>, at: Offset) {
        self.cursor = Some(cursor);
        self.at = at;
    }
}

fn damaged(path: &Path, error: &io::Error) -> Error {
    Error::Damaged {
        path: path.to_owned(),
        what: format!(
            "{error}; without it no import knows how far it has got. Restore it from a copy; or move it away, and what is \
             imported again is there twice"
        ),
    }
}
