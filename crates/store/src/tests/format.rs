//! The files are what docs/formats/segment.md says, for any program that reads zstd.

use std::io::Read;

use super::{
    memory::Memory,
    rig::{append, append_at, open, segments},
};

#[test]
fn a_plain_zstd_decoder_prints_exactly_the_events() {
    let files = Memory::default();
    let stream = open(&files);
    append(&stream, &["{\"a\":1}", "{\"b\": \"\u{fc}\"}"]).expect("kept");
    append_at(&stream, &[], "only a cursor").expect("kept");
    append(&stream, &["3"]).expect("kept");
    stream.close().expect("closes");
    let bytes = files.bytes(&segments(&files).pop().expect("a segment"));
    let mut text = String::new();
    zstd::stream::read::Decoder::new(&*bytes).expect("zstd").read_to_string(&mut text).expect("whole frames");
    assert_eq!(text, "{\"a\":1}\n{\"b\": \"\u{fc}\"}\n3\n");
}

#[test]
fn a_file_begins_with_a_data_frame_that_tells_its_size() {
    let files = Memory::default();
    let stream = open(&files);
    append(&stream, &["1", "2"]).expect("kept");
    let bytes = files.bytes(&segments(&files).pop().expect("a segment"));
    assert_eq!(&bytes[..4], [0x28, 0xb5, 0x2f, 0xfd], "RFC 8878, 3.1.1");
    assert_eq!(zstd::zstd_safe::get_frame_content_size(&bytes).ok(), Some(Some(4)));
    let checksum_flag = bytes[4] & 0b100;
    assert_ne!(checksum_flag, 0, "RFC 8878, 3.1.1.1.1");
    let footer = zstd::zstd_safe::find_frame_compressed_size(&bytes).expect("a frame");
    assert_eq!(&bytes[footer..footer + 4], 0x184D_2A5B_u32.to_le_bytes());
    assert_eq!(&bytes[footer + 8..footer + 16], b"LHBLOCK\x02");
    assert_eq!(&bytes[bytes.len() - 8..], b"LHBLKEND");
}
