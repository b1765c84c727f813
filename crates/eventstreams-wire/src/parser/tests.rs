//! Frames come out the same wherever the bytes were split, and memory stays bounded.

use super::*;

type Plain = (Vec<u8>, Option<Vec<u8>>, Result<Vec<u8>, u64>);

/// Every frame of `pieces`, copied out.
fn frames(pieces: &[&[u8]], max: usize) -> Vec<Plain> {
    let mut parser = Parser::new(max);
    let mut all = Vec::new();
    for piece in pieces {
        let mut input = *piece;
        while let Some(frame) = parser.next(&mut input) {
            let data = match frame.data {
                Data::Whole(data) => Ok(data.into_owned()),
                Data::TooLarge { frame_bytes, .. } => Err(frame_bytes),
            };
            all.push((frame.event.to_vec(), frame.id.map(<[u8]>::to_vec), data));
        }
    }
    all
}

fn message(event: &str, id: Option<&str>, data: &str) -> Plain {
    (event.into(), id.map(|id| id.as_bytes().to_vec()), Ok(data.as_bytes().to_vec()))
}

#[track_caller]
fn check(text: &str, expected: &[Plain]) {
    let bytes = text.as_bytes();
    assert_eq!(frames(&[bytes], 1 << 20), expected, "whole: {text:?}");
    for first in 0..=bytes.len() {
        assert_eq!(frames(&[&bytes[..first], &bytes[first..]], 1 << 20), expected, "cut at {first}: {text:?}");
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(frames(&single, 1 << 20), expected, "byte by byte: {text:?}");
}

#[test]
fn a_frame_is_found_wherever_its_bytes_are_split() {
    check(
        ":ok\n\nevent: message\nid: [1]\ndata: {\"a\":\"ü\"}\n\nevent: error\ndata: x\n\n",
        &[message("message", Some("[1]"), "{\"a\":\"ü\"}"), message("error", None, "x")],
    );
}

#[test]
fn lines_may_end_with_lf_crlf_or_cr() {
    let expected = [message("e", None, "1"), message("", None, "2")];
    for end in ["\n", "\r\n", "\r"] {
        check(&"event: e|data: 1||data: 2||".replace('|', end), &expected);
    }
    check("event: e\rdata: 1\r\n\r\ndata: 2\n\n", &expected);
}

#[test]
fn data_lines_are_joined_and_only_one_blank_is_taken_off() {
    check("data: a\ndata:b\ndata\ndata:  c\n\n", &[message("", None, "a\nb\n\n c")]);
}

#[test]
fn a_byte_order_mark_comments_and_unknown_fields_are_passed_over() {
    check(
        "\u{feff}data: 1\n: c\nretry: 5\nother\n\n:\n\n\n\ndata: 2\n\n",
        &[message("", None, "1"), message("", None, "2")],
    );
}

#[test]
fn a_cut_frame_was_never_there() {
    check("data: 1\n\nevent: message\nid: [2]\ndata: 2\n", &[message("", None, "1")]);
    check("id: [2]\n\n", &[]);
}

#[test]
fn a_frame_past_the_limit_is_counted_not_kept() {
    let large = "x".repeat(300_000);
    let text = format!("id: [7]\ndata: {large}\n\ndata: 2\n\n");
    for size in [1_000, 7_777, text.len()] {
        let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
        let expected = [(vec![], Some(b"[7]".to_vec()), Err(300_000 + 16)), message("", None, "2")];
        assert_eq!(frames(&pieces, 100_000), expected, "pieces of {size}");
    }
    let mut parser = Parser::new(100_000);
    for piece in text.as_bytes()[..290_000].chunks(1_000) {
        let mut input = piece;
        assert!(parser.next(&mut input).is_none());
        assert!(parser.open.capacity() <= 200_000, "{}", parser.open.capacity());
    }
}

#[test]
fn whole_comments_are_told_from_frames_and_pieces_of_them() {
    for comments in [":\n", ":\r\n\r\n: still here\n\n", ":ok\n\n", ":\r", ": a\r\r: b\r"] {
        assert!(is_only_comments(comments.as_bytes()), "{comments:?}");
    }
    for other in ["", "\n", ":", ": x", ":ok\n\ndata: 1\n", "data: 1\n\n"] {
        assert!(!is_only_comments(other.as_bytes()), "{other:?}");
    }
}

/// Id, retry and data.
type Timed = (Option<Vec<u8>>, Option<u64>, Vec<u8>);

/// Every frame of a parser that gives those without data, too.
fn with_dataless(pieces: &[&[u8]]) -> Vec<Timed> {
    let mut parser = Parser::new(1 << 20).with_dataless();
    let mut all = Vec::new();
    for piece in pieces {
        let mut input = *piece;
        while let Some(frame) = parser.next(&mut input) {
            let Data::Whole(data) = frame.data else { panic!("none is too large") };
            all.push((frame.id.map(<[u8]>::to_vec), frame.retry, data.into_owned()));
        }
    }
    all
}

#[test]
fn an_id_or_a_retry_without_data_is_given_where_it_is_asked_for() {
    let text = "retry: 250\n\nid: 7\n\n: c\n\nid: a\0b\n\nretry: -1\nretry: 1s\nretry\n\nid\ndata: 1\nretry: 9\n\n\
                retry: 99999999999999999999\n\ndata: 2\n\n";
    let expected = [
        (None, Some(250), vec![]),
        (Some(b"7".to_vec()), None, vec![]),
        (Some(vec![]), Some(9), b"1".to_vec()),
        (None, Some(u64::MAX), vec![]),
        (None, None, b"2".to_vec()),
    ];
    let bytes = text.as_bytes();
    for cut in 0..=bytes.len() {
        assert_eq!(with_dataless(&[&bytes[..cut], &bytes[cut..]]), expected, "cut at {cut}");
    }
    assert_eq!(with_dataless(&bytes.chunks(1).collect::<Vec<_>>()), expected, "byte by byte");
    assert_eq!(frames(&[bytes], 1 << 20), [message("", Some(""), "1"), message("", None, "2")]);
}
