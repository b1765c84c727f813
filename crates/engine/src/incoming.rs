//! What callers bring into a running pipeline, rather than its sources: pushes, and runs of lines of an import.

use std::sync::Arc;

use bytes::Bytes;
use lakehead_model::{Name, StreamSchema};
use lakehead_store::{Appender, Stream};

use crate::{
    Engine, Error, builtin,
    conformance::Conformance,
    import,
    push::{Pushed, Pushing},
    untimed::Untimed,
};

/// What an import into a stream needs of it.
type Importable = (Stream, StreamSchema, Appender, Arc<Untimed>, Arc<Conformance>);

impl Engine {
    /// Takes a pushed body: one JSON document, an array of them, or one on each line. What is not JSON, or too large, is
    /// refused by itself, with its place and reason. Returns when all of it is on disk.
    ///
    /// `key` makes a push idempotent: while the stream remembers the key, the same push again does nothing.
    ///
    /// # Errors
    /// `Invalid` for an unknown stream, a body above [`BODY_BYTES_MAX`](crate::BODY_BYTES_MAX) or an empty one;
    /// `Unavailable` while the store cannot write: nothing of the body was kept then; `Closed` while stopping.
    pub async fn push(
        &self,
        stream: &str,
        body: Bytes,
        content_type: Option<&str>,
        key: Option<&str>,
    ) -> Result<Pushed, Error> {
        if *self.stop.borrow() {
            return Err(Error::Stopping);
        }
        let current = self.shared.current();
        match current.streams.get(stream).and_then(|entry| entry.gateway.as_ref()) {
            Some(gateway) => gateway.push(body, content_type, key).await,
            None => Err(current.unknown(stream)),
        }
    }

    /// Takes whole lines of a body that goes on, as they come; what became of them is added to `pushing`. Returns when they are
    /// on disk. In the end comes [`push_finish`](Self::push_finish).
    ///
    /// # Errors
    /// As [`push`](Self::push): `pushing` counts what was kept before.
    pub async fn push_lines(&self, stream: &str, lines: Bytes, pushing: &mut Pushing) -> Result<(), Error> {
        if *self.stop.borrow() {
            return Err(Error::Stopping);
        }
        let current = self.shared.current();
        match current.streams.get(stream).and_then(|entry| entry.gateway.as_ref()) {
            Some(gateway) => gateway.push_lines(lines, pushing).await,
            None => Err(current.unknown(stream)),
        }
    }

    /// Finishes the push of a body whose lines were taken as they came.
    ///
    /// # Errors
    /// When the store cannot write.
    pub async fn push_finish(&self, stream: &str, pushing: &mut Pushing) -> Result<(), Error> {
        let current = self.shared.current();
        match current.streams.get(stream).and_then(|entry| entry.gateway.as_ref()) {
            Some(gateway) => gateway.finish(pushing).await,
            None => Ok(()),
        }
    }

    /// Takes a run of lines from an import that stands at the cursor `expected`, and moves it to `cursor` with them; see
    /// [`Importer`](crate::import::Importer).
    ///
    /// # Errors
    /// `CursorMoved` when the import stands elsewhere, `Invalid` for too many lines: nothing was taken then; else as [`push`](Self::push).
    pub async fn import(
        &self,
        stream: &str,
        source: &Name,
        event_time: Option<&str>,
        expected: Option<&str>,
        run: import::ImportBatch,
    ) -> Result<import::Imported, Error> {
        let (stream, schema, rejects, untimed, conformance) = self.importable(stream, source)?;
        import::check_event_time(stream.name(), &schema, event_time)?;
        let _turn = self.importing.lock().await;
        let held = self.imports.held(&stream, source);
        if held.as_deref() != expected {
            return Err(Error::CursorMoved { source_name: source.clone(), held });
        }
        self.imports.begin(&stream, source).await?;
        let importer = import::Importer::counting(&stream, rejects, &schema, source.clone(), untimed);
        let importer = importer.held_to(conformance.now());
        let cursor = Arc::clone(&run.cursor);
        let under_way = importer.hand_over_lines(run).await?;
        let imported = under_way.committed().await?;
        self.imports.committed(&stream, source, &cursor).await?;
        Ok(imported)
    }

    /// Where an import stands.
    ///
    /// # Errors
    /// `Invalid` for an unknown stream, or a name that is no import's.
    pub fn import_cursor(&self, stream: &str, source: &Name) -> Result<Option<Arc<str>>, Error> {
        self.importable(stream, source).map(|(stream, ..)| self.imports.held(&stream, source))
    }

    fn importable(&self, stream: &str, source: &Name) -> Result<Importable, Error> {
        if *self.stop.borrow() {
            return Err(Error::Stopping);
        }
        let current = self.shared.current();
        if !source.as_str().starts_with(import::PREFIX) || current.plan.pipeline.sources.contains_key(source) {
            return Err(Error::Pipeline(format!("{source} is no import: its name begins with {}", import::PREFIX)));
        }
        let entry = current.streams.get(stream).filter(|entry| entry.gateway.is_some());
        let entry = entry.ok_or_else(|| current.unknown(stream))?;
        let rejects = current.streams[builtin::REJECTS].stream.appender();
        let (untimed, conformance) = (Arc::clone(&entry.untimed), Arc::clone(&entry.conformance));
        Ok((entry.stream.clone(), current.plan.schemas[stream].clone(), rejects, untimed, conformance))
    }
}
