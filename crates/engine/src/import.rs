//! An import's way in: chunks of a source of files, each kept together with the cursor after it, or not at all.
//!
//! What is refused is committed to `rejects` first; then the events go into one append with the cursor. So an import that is
//! broken off anywhere goes on from the cursor that the stream holds, and nothing is lost or doubled. Used by `lakehead import`
//! itself where no process runs, and behind HTTP where one does: there lines come that nobody has checked, and become a chunk
//! by the check that the source itself makes. It reads no files.

use std::sync::Arc;

use bytes::Bytes;
use lakehead_connector_api::Chunk;
use lakehead_json::{CheckedLines, EventLines, EventTimes};
use lakehead_json_schema::JsonSchema;
use lakehead_model::{APPEND_EVENTS_MAX, Cursor, EventTimeRule, Name, StreamSchema, TimeFormat};
use lakehead_store::{Appender, Stream, Ticket};
use serde::{Deserialize, Serialize};

use crate::{
    Error,
    conformance::hold,
    inlet::{Entry, Inlet},
    sync::blocking,
    untimed::{Untimed, without_time},
};

/// With this the name of every import begins, so that none is taken for a source of the pipeline.
pub const PREFIX: &str = "import_";

/// A batch of lines to be imported, not checked yet: what `lakehead import` hands to a running process.
#[derive(Clone, Debug)]
pub struct ImportBatch {
    /// The lines.
    pub text: Bytes,
    /// Where they come from, for a person: a file, or standard input.
    pub from: String,
    /// The number of the first, from 1.
    pub first_line: u64,
    /// When given, `text` is the beginning of one line that is too long and has this many bytes.
    pub cut: Option<u64>,
    /// Where the import stands after them: JSON text that only it reads.
    pub cursor: Arc<str>,
}

/// What became of a batch. All that it says is on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Imported {
    /// Lines that were kept as events.
    pub events: u64,
    /// Lines that were refused; they lie in the stream `rejects`.
    pub rejects: u64,
    /// Events without an event time.
    #[serde(default)]
    pub without_event_time: u64,
    /// Why the first of them has none, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_without: Option<String>,
}

/// A chunk on its way to the disk.
#[derive(Debug)]
pub struct UnderWay {
    ticket: Ticket,
    imported: Imported,
}

impl UnderWay {
    /// Waits until it is on disk.
    ///
    /// # Errors
    /// When it is not: nothing of its events was kept then, nor its cursor.
    pub async fn committed(self) -> Result<Imported, Error> {
        self.ticket.await?;
        Ok(self.imported)
    }
}

/// Brings the chunks of an import into a stream.
pub struct Importer {
    inlet: Inlet,
    times: EventTimes,
    json_schema: Option<Arc<JsonSchema>>,
}

/// The part of an import's cursor that is the same for all imports; the rest only its reader knows.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ImportCursor {
    /// Whether all is read.
    pub(crate) done: bool,
    /// The size and the checksum of the file that was read last, when it was read wholly.
    pub(crate) content: Option<(u64, u64)>,
}

impl ImportCursor {
    /// What `text` says; nothing where it says neither.
    pub(crate) fn read(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }
}

/// Refuses an event time of an import's own: a stream has one, whoever brings its events, so that a column means one thing.
/// The place that the stream itself names may be named.
///
/// # Errors
/// `Invalid`, with what to write in the pipeline instead.
pub fn check_event_time(stream: &Name, schema: &StreamSchema, event_time: Option<&str>) -> Result<(), Error> {
    let Some(path) = event_time else { return Ok(()) };
    let mut own: Vec<String> = schema.event_time.iter().map(|rule| rule.path.join(".")).collect();
    if own.iter().any(|own| own == path) {
        return Ok(());
    }
    // One place with several formats is several rules.
    own.dedup();
    let read = if own.is_empty() { "nowhere".to_owned() } else { own.join(", else ") };
    let both: Vec<String> = std::iter::once(format!("{path:?}")).chain(written(&schema.event_time)).collect();
    Err(Error::Pipeline(format!(
        "the event time of stream {stream} is read from {read}, for whatever brings its events; to have it read from {path}, \
         say so in the pipeline: under [stream.{stream}] event_time = [{}] (lakehead reload makes it hold for what is there, too)",
        both.join(", ")
    )))
}

/// Event time rules as a pipeline file has them, those of one place together.
fn written(rules: &[EventTimeRule]) -> Vec<String> {
    let are_one = |a: &EventTimeRule, b: &EventTimeRule| a.path == b.path && a.zone == b.zone;
    let one_place = |rules: &[EventTimeRule]| {
        let Some(first) = rules.first() else { return String::new() };
        let path = match first.path.iter().any(|key| key.contains('.')) {
            true => format!("{:?}", first.path),
            false => format!("{:?}", first.path.join(".")),
        };
        let names: Vec<String> = rules.iter().map(|rule| format!("{:?}", rule.format.name())).collect();
        let format = match rules {
            [one] if one.format == TimeFormat::Rfc3339 && !path.starts_with('[') => return path,
            [_] => format!("format = {}", names.concat()),
            _ => format!("formats = [{}]", names.join(", ")),
        };
        let zone = first.zone.as_ref().map(|zone| format!(", zone = {zone:?}")).unwrap_or_default();
        format!("{{ path = {path}, {format}{zone} }}")
    };
    rules.chunk_by(are_one).map(one_place).collect()
}

impl Importer {
    /// For the import `source` into `stream`, whose event time is read as its `schema` says, from whatever brings it.
    #[must_use]
    pub fn new(stream: &Stream, rejects: Appender, schema: &StreamSchema, source: Name) -> Self {
        Self::counting(stream, rejects, schema, source, Arc::default())
    }

    /// The same; events without a time are counted in `untimed`.
    pub(crate) fn counting(
        stream: &Stream,
        rejects: Appender,
        schema: &StreamSchema,
        source: Name,
        untimed: Arc<Untimed>,
    ) -> Self {
        let inlet = Inlet::new(source, stream, rejects, untimed);
        Self { inlet, times: EventTimes::new(schema), json_schema: None }
    }

    /// The events have to conform to `json_schema`, if there is one.
    pub(crate) fn held_to(mut self, json_schema: Option<Arc<JsonSchema>>) -> Self {
        self.json_schema = json_schema;
        self
    }

    /// Commits what is refused, and hands the events over with the cursor. Their event times are read by the stream's rule. Waits
    /// for room, not for the disk.
    ///
    /// # Errors
    /// When the store cannot write.
    pub async fn hand_over(&self, chunk: Chunk) -> Result<UnderWay, Error> {
        let Chunk { events, cursor, rejects, refused_more, .. } = chunk;
        debug_assert!(events.is_empty() || events.time_rule() == Some(self.times.rule()), "one rule for a stream");
        let refused = rejects.len() as u64 + refused_more;
        let mut imported = Imported { events: events.len() as u64, rejects: refused, ..Imported::default() };
        if let Some((count, why)) = without_time(&self.times, &events) {
            (imported.without_event_time, imported.why_without) = (count, Some(why));
        }
        let entry = Entry { events, cursor, key: None, urgent: true };
        let ticket = self.inlet.refuse(&rejects).await?.append(entry, &self.times).await?;
        Ok(UnderWay { ticket, imported })
    }

    /// Checks lines and hands them over as the chunk that they make.
    ///
    /// # Errors
    /// `Invalid` where there are more lines than one append takes; else as [`hand_over`](Self::hand_over).
    pub async fn hand_over_lines(&self, batch: ImportBatch) -> Result<UnderWay, Error> {
        let ImportBatch { text, from, first_line, cut, cursor } = batch;
        if memchr::memchr_iter(b'\n', &text).nth(APPEND_EVENTS_MAX).is_some() {
            return Err(Error::TooManyLines { limit: APPEND_EVENTS_MAX });
        }
        let lines = EventLines { text: &text, from: &from, first_line, cut };
        let CheckedLines { mut events, mut rejects, mut refused_more } = lines.check(&self.times);
        if let Some(schema) = self.json_schema.clone() {
            let from = from.clone();
            let held = blocking(move || hold(&schema, events, &from)).await?;
            events = held.events;
            rejects.extend(held.rejects);
            refused_more += held.refused_more;
        }
        let cursor = Some(Cursor { position: cursor, progress: None });
        self.hand_over(Chunk { events, cursor, rejects, refused_more, ..Chunk::default() }).await
    }
}

#[cfg(test)]
mod tests {
    use lakehead_model::{Clock, Timestamp};
    use lakehead_store::{Options, Store};

    use super::*;

    #[derive(Debug)]
    struct Noon;

    impl Clock for Noon {
        fn now(&self) -> Timestamp {
            Timestamp::from_seconds(1_790_000_000)
        }
    }

    fn name(text: &str) -> Name {
        Name::new(text).expect("a name")
    }

    fn batch(text: &str, cursor: &str) -> ImportBatch {
        let text = Bytes::copy_from_slice(text.as_bytes());
        ImportBatch { text, from: "a.jsonl".to_owned(), first_line: 41, cut: None, cursor: cursor.into() }
    }

    #[tokio::test]
    async fn lines_become_events_or_rejects_and_the_cursor_stands_with_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), Options::default(), Arc::new(Noon)).expect("a store");
        let (stream, rejects) =
            (store.stream(&name("s")).expect("s"), store.stream(&name("rejects")).expect("rejects"));
        let schema = StreamSchema::builtin("json").expect("built in");
        let source = name("import_a");
        let importer = Importer::new(&stream, rejects.appender(), &schema, source.clone());
        let lines = "{\"n\":1, \"dt\":\"1970-01-01T00:00:07Z\"}\r\n\n{\"n\":\n{\"n\":3,\"dt\":7}\n";
        let imported = importer.hand_over_lines(batch(lines, "{\"c\":1}")).await.expect("taken").committed().await;
        let imported = imported.expect("committed");
        assert_eq!((imported.events, imported.rejects, imported.without_event_time), (2, 1, 1));
        assert!(imported.why_without.is_some_and(|why| why.contains("looks like Unix seconds")));
        assert_eq!(stream.head().cursors.get(&source).map(|cursor| &*cursor.position), Some("{\"c\":1}"));
        let block = stream.reader(stream.head().start).next().expect("readable").expect("a block");
        let events: Vec<_> = block.events().map(|event| String::from_utf8_lossy(event).into_owned()).collect();
        assert_eq!(events, ["{\"n\":1, \"dt\":\"1970-01-01T00:00:07Z\"}", "{\"n\":3,\"dt\":7}"]);
        assert_eq!(block.event_time_greatest, Some(Timestamp::from_seconds(7)));
        assert_eq!(block.time_rule, Some(schema.time_rule()));
        let block = rejects.reader(rejects.head().start).next().expect("readable").expect("a block");
        let reject = String::from_utf8_lossy(block.event(0).expect("a reject")).into_owned();
        assert!(reject.contains("a.jsonl line 43"), "{reject}");

        let many = importer.hand_over_lines(batch(&"1\n".repeat(APPEND_EVENTS_MAX + 1), "2")).await;
        assert!(matches!(many, Err(Error::TooManyLines { .. })), "more than one append takes");
        let most = importer.hand_over_lines(batch(&"1\n".repeat(APPEND_EVENTS_MAX), "2")).await.expect("taken");
        assert_eq!(most.committed().await.expect("committed").events, APPEND_EVENTS_MAX as u64);
    }

    #[test]
    fn an_import_has_no_event_time_of_its_own() {
        let schema = StreamSchema::builtin("json").expect("built in");
        let check = |path| check_event_time(&name("s"), &schema, path).map_err(|error| error.to_string());
        assert_eq!(check(None), Ok(()));
        assert_eq!(check(Some("timestamp")), Ok(()));
        let refused = check(Some("when.at")).expect_err("another");
        assert!(
            refused.contains("under [stream.s] event_time = [\"when.at\", \"dt\", \"timestamp\", \"time\"]"),
            "{refused}"
        );
        let rule = |path: &[&str], format, zone: Option<&str>| EventTimeRule {
            path: path.iter().map(|key| (*key).to_owned()).collect(),
            format,
            zone: zone.map(str::to_owned),
        };
        let event_time = vec![
            rule(&["at"], TimeFormat::UnixMillis, None),
            rule(&["ts"], TimeFormat::Rfc3339, None),
            rule(&["ts"], TimeFormat::UnixSeconds, None),
            rule(&["ts"], TimeFormat::Auto, Some("Europe/Berlin")),
            rule(&["a.b", "c"], TimeFormat::Rfc3339, None),
        ];
        let schema = StreamSchema { event_time, ..StreamSchema::default() };
        let refused = check_event_time(&name("s"), &schema, Some("x")).expect_err("another").to_string();
        assert!(refused.contains("is read from at, else ts, else a.b.c,"), "{refused}");
        let said = r#"event_time = ["x", { path = "at", format = "unix_ms" }, { path = "ts", formats = ["rfc3339", "unix_seconds"] }, { path = "ts", format = "auto", zone = "Europe/Berlin" }, { path = ["a.b", "c"], format = "rfc3339" }]"#;
        assert!(refused.contains(said), "{refused}");
    }
}
