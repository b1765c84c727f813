//! Makes chunks of the lines that were read: each line is checked, and what is no event is refused.

use async_trait::async_trait;
use lakehead_connector_api::{Activity, Chunk, Error, Reader};
use lakehead_json::{CheckedLines, EventLines, EventTimes};
use lakehead_model::{Cursor, EventTimeRule, StreamSchema};

use super::{
    format::FileFormat,
    reading::{ReadLines, Reading},
};

/// The reader of a source of files. It ends when all is read.
pub struct FileReader {
    /// `None` when there is nothing to read any more.
    reading: Option<Reading>,
    format: FileFormat,
    times: EventTimes,
    /// Whether it was said already that old events come.
    has_told: bool,
}

impl FileReader {
    /// Of what `reading` reads, JSON lines, for a stream whose event time is read by `event_time`. Without a reading it has
    /// ended.
    #[must_use]
    pub fn new(reading: Option<Reading>, event_time: Vec<EventTimeRule>) -> Self {
        Self::of(FileFormat::Json, reading, event_time)
    }

    /// As [`new`](Self::new), of lines of any format.
    #[must_use]
    pub fn of(format: FileFormat, reading: Option<Reading>, event_time: Vec<EventTimeRule>) -> Self {
        let times = EventTimes::new(&StreamSchema { event_time, ..StreamSchema::default() });
        Self { reading, format, times, has_told: false }
    }
}

#[async_trait]
impl Reader for FileReader {
    async fn next(&mut self) -> Result<Option<Chunk>, Error> {
        let Some(reading) = &mut self.reading else { return Ok(None) };
        let Some(ReadLines { run, from, cursor }) = reading.next().await? else {
            self.reading = None;
            return Ok(None);
        };
        let lines = EventLines { text: &run.text, from: &from, first_line: run.first_line, cut: run.cut };
        let CheckedLines { events, rejects, refused_more } = self.format.events(&lines, &self.times);
        let activity = (!std::mem::replace(&mut self.has_told, true)).then_some(Activity::CatchingUp);
        let cursor = Some(Cursor { position: cursor.text(), progress: None });
        Ok(Some(Chunk { events, cursor, rejects, refused_more, activity, ..Chunk::default() }))
    }
}
