//! The engine and the store to a spool over a real folder, one step at a time, with a clock that is moved by hand.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use lakehead_connector_api::{Chunk, Error, Resume, StreamResume};
use lakehead_model::{Cursor, Name, Reject, StreamSchema, Timestamp};
use lakehead_testkit::{ManualClock, VecTail};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::{
    SpoolAcks, SpoolReader,
    acks::settle,
    cursor::{SpoolCursor, TakenFile},
    open,
};

/// What is left over crashes: the folder, and what was committed.
pub(super) struct SpoolWorld {
    folder: tempfile::TempDir,
    settings: Value,
    pub(super) clock: Arc<ManualClock>,
    now: Instant,
    pub(super) cursor: Option<Cursor>,
    pub(super) events: Vec<String>,
    pub(super) rejects: Vec<Reject>,
}

/// An opened spool.
pub(super) struct OpenSpool {
    pub(super) reader: SpoolReader,
    pub(super) acks: SpoolAcks,
}

impl SpoolWorld {
    /// An empty folder, `in`, beside which there may be others; files rest at once.
    pub(super) fn new(settings: Value) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("in")).expect("a folder");
        let mut all = json!({ "path": folder.path().join("in"), "rest": "0s" });
        for (key, value) in settings.as_object().expect("a table") {
            let is_path = key == "done_folder";
            all[key] = if is_path { json!(folder.path().join(value.as_str().expect("a path"))) } else { value.clone() };
        }
        Self {
            folder,
            settings: all,
            clock: Arc::new(ManualClock::new(Timestamp(0))),
            now: Instant::now(),
            cursor: None,
            events: Vec::new(),
            rejects: Vec::new(),
        }
    }

    /// The watched folder.
    pub(super) fn inbox(&self) -> PathBuf {
        self.folder.path().join("in")
    }

    /// A path in the watched folder.
    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.inbox().join(name)
    }

    pub(super) fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.at(name), content).expect("a file");
    }

    /// Adds to a file that is there.
    pub(super) fn append(&self, name: &str, content: &str) {
        let mut file = fs::OpenOptions::new().append(true).open(self.at(name)).expect("a file");
        file.write_all(content.as_bytes()).expect("written");
    }

    /// The names in the folder, or in another beside it.
    pub(super) fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.folder.path().join(folder)) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    pub(super) fn try_open(&self) -> Result<OpenSpool, Error> {
        let stream = StreamResume {
            stream: Name::new("s").expect("a name"),
            cursor: self.cursor.clone(),
            event_time: StreamSchema::builtin("json").expect("built in").event_time,
            tail: Box::new(VecTail::default()),
        };
        let resume = Resume { name: "inbox".to_owned(), streams: vec![stream], clock: self.clock.clone() };
        let config = serde_json::from_value(self.settings.clone()).expect("settings");
        open(&config, resume).map(|(reader, acks)| OpenSpool { reader, acks })
    }

    pub(super) fn open(&self) -> OpenSpool {
        self.try_open().expect("it opens")
    }

    /// Time passes.
    pub(super) fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// What the spool hands over now; `None` where that is nothing.
    pub(super) fn next(&self, spool: &mut OpenSpool) -> Option<Chunk> {
        spool.reader.spooler.as_mut().expect("nothing was dropped").gather(self.now).expect("it can be read")
    }

    /// Keeps a chunk as the engine does.
    pub(super) fn commit(&mut self, mut chunk: Chunk) {
        self.rejects.append(&mut chunk.rejects);
        self.events.extend(chunk.events.events().map(|event| String::from_utf8_lossy(event).into_owned()));
        if chunk.cursor.is_some() {
            self.cursor = chunk.cursor;
        }
    }

    pub(super) fn committed(&self) -> SpoolCursor {
        self.cursor
            .as_ref()
            .map_or_else(SpoolCursor::default, |cursor| SpoolCursor::read(&cursor.position).expect("one"))
    }

    /// Says that all is on disk.
    pub(super) fn acknowledge(&self, spool: &OpenSpool) {
        settle(&spool.acks.ledger, &spool.acks.put_away, self.committed().taken).expect("put away");
    }

    /// Reads, commits and acknowledges until nothing comes any more, not at the next look either.
    pub(super) fn drain(&mut self, spool: &mut OpenSpool) {
        for _ in 0..3 {
            while let Some(chunk) = self.next(spool) {
                self.commit(chunk);
                self.acknowledge(spool);
            }
            self.pass(1);
        }
    }

    /// Opens, drains, and closes.
    pub(super) fn run(&mut self) {
        let mut spool = self.open();
        self.drain(&mut spool);
    }

    /// Which files a crash after the commit leaves to be put away.
    pub(super) fn due(&self, spool: &OpenSpool) -> Vec<TakenFile> {
        spool.acks.ledger.due(self.committed().taken)
    }

    pub(super) fn reasons(&self) -> Vec<&str> {
        self.rejects.iter().map(|reject| reject.reason.as_str()).collect()
    }
}

/// Lines `[from, to)`, each with a payload that does not compress to nothing.
pub(super) fn numbered(from: u64, to: u64) -> String {
    let noise = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (from..to).map(|n| format!("{{\"n\":{n},\"noise\":\"{:016x}{:016x}\"}}\n", noise(n), noise(n + 1))).collect()
}

pub(super) fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

pub(super) fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).expect("in memory");
    encoder.finish().expect("in memory")
}

/// Whether a path is there, link or not.
pub(super) fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
