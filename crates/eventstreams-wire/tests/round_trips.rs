//! Whatever is written is read back as it was.

use lakehead_eventstreams_wire::{
    Assignment, Data, Entry, Parser, Position, TopicPartition, read_id, read_last_event_id, read_since, write,
    write_assignments, write_since,
};
use proptest::prelude::*;

/// What a frame was, copied out.
#[derive(Clone, Debug, PartialEq)]
struct Written {
    event: String,
    id: Option<String>,
    data: String,
}

impl Written {
    fn write(&self, out: &mut Vec<u8>) {
        write::event(&self.event, out);
        if let Some(id) = &self.id {
            write::id(|out| out.extend_from_slice(id.as_bytes()), out);
        }
        write::data(|out| out.extend_from_slice(self.data.as_bytes()), out);
        write::end(out);
    }
}

/// The frames in `bytes`, which come in pieces of `size`.
fn read(bytes: &[u8], size: usize) -> Vec<Written> {
    let mut parser = Parser::new(1 << 20);
    let mut frames = Vec::new();
    for piece in bytes.chunks(size) {
        let mut input = piece;
        while let Some(frame) = parser.next(&mut input) {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
            let Data::Whole(data) = &frame.data else { panic!("no frame passes the limit") };
            frames.push(Written { event: text(frame.event), id: frame.id.map(text), data: text(data) });
        }
    }
    frames
}

/// Text of one line, without a NUL.
fn line() -> impl Strategy<Value = String> {
    "[^\u{0}\r\n]{0,12}"
}

fn frame() -> impl Strategy<Value = Written> {
    (line(), prop::option::of(line()), "([^\r]|\n){0,24}").prop_map(|(event, id, data)| Written { event, id, data })
}

fn position() -> impl Strategy<Value = Position> {
    prop_oneof![any::<i64>().prop_map(Position::Offset), any::<i64>().prop_map(Position::Timestamp)]
}

proptest! {
    #[test]
    fn frames_are_read_as_they_were_written(
        frames in prop::collection::vec(frame(), 0..6), comment in line(), size in 1_usize..40,
    ) {
        let mut bytes = Vec::new();
        write::comment(&comment, &mut bytes);
        write::end(&mut bytes);
        frames.iter().for_each(|frame| frame.write(&mut bytes));
        prop_assert_eq!(read(&bytes, size), frames);
    }

    #[test]
    fn assignments_are_read_as_they_were_written(
        written in prop::collection::vec((any::<String>(), any::<i32>(), position()), 1..6),
    ) {
        let partitions: Vec<_> = written.iter().map(|(topic, number, _)| TopicPartition::new(topic, *number)).collect();
        let mut bytes = Vec::new();
        write_assignments(partitions.iter().zip(written.iter().map(|(.., position)| *position)), &mut bytes);
        let expected: Vec<_> = written
            .into_iter()
            .map(|(topic, partition, position)| {
                let (offset, timestamp) = match position {
                    Position::Offset(offset) => (Some(offset), None),
                    Position::Timestamp(millis) => (None, Some(millis)),
                };
                Assignment { topic, partition, offset, timestamp }
            })
            .collect();
        prop_assert_eq!(read_id(&bytes), Some(expected.clone()));
        let header = String::from_utf8(bytes).expect("JSON");
        prop_assert_eq!(read_last_event_id(&header), Ok(expected.into_iter().map(Entry::Assignment).collect()));
    }

    /// JavaScript's numbers are exact up to 2^53.
    #[test]
    fn since_is_read_as_it_was_written(millis in -(1_i64 << 53)..1 << 53) {
        prop_assert_eq!(read_since(&write_since(millis)), Some(millis));
    }
}
