//! Runs of lines from every form of file, and from every position in it.

use std::{fs, io::Write};

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("into memory");
    encoder.finish().expect("into memory")
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).expect("into memory");
    encoder.finish().expect("into memory")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut frame = zstd::encode_all(bytes, 1).expect("into memory");
    // As in a segment: a skippable frame of three bytes after each data frame.
    frame.extend_from_slice(&[0x5b, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, b'{', b'}', b'\n']);
    frame
}

fn numbers(from: u64, to: u64) -> Vec<u8> {
    (from..to).flat_map(|n| format!("{{\"n\":{n}}}\n").into_bytes()).collect()
}

fn all(mut lines: Lines) -> Vec<Run> {
    let mut runs = Vec::new();
    while let Some(run) = lines.next().expect("readable") {
        runs.push(run);
    }
    runs
}

fn joined(runs: &[Run]) -> Vec<u8> {
    runs.iter().flat_map(|run| run.text.to_vec()).collect()
}

#[test]
fn several_members_of_every_form_read_as_one_text() {
    let whole = [numbers(0, 5_000), numbers(5_000, 9_000)];
    let form = |compress: fn(&[u8]) -> Vec<u8>| whole.iter().flat_map(|part| compress(part)).collect::<Vec<_>>();
    for (name, bytes) in
        [("plain", form(<[u8]>::to_vec)), ("gzip", form(gzip)), ("zstd", form(zstd)), ("bzip2", form(bzip2))]
    {
        let runs = all(Lines::read(io::Cursor::new(bytes), 1 << 10).expect("readable"));
        assert_eq!(joined(&runs), whole.concat(), "{name}");
        assert!(runs.len() > 1 && runs.iter().all(|run| run.text.ends_with(b"\n")), "{name}");
        assert_eq!(runs.last().map(|run| run.end.lines), Some(9_000), "{name}");
    }
}

#[test]
fn zeros_behind_compressed_data_end_a_file_and_within_it_are_damage() {
    let text = numbers(0, 5_000);
    for (name, whole) in [("gzip", gzip(&text)), ("zstd", zstd(&text))] {
        for zeros in [1, 3, 511, 70_000] {
            let padded = [whole.clone(), whole.clone(), vec![0; zeros]].concat();
            let runs = all(Lines::read(io::Cursor::new(padded.clone()), 1 << 10).expect("readable"));
            assert_eq!(joined(&runs), [text.clone(), text.clone()].concat(), "{name} {zeros}");
            let behind = [padded, whole.clone()].concat();
            assert!(read_all(&behind).is_err(), "{name} {zeros}: something behind the zeros");
            let torn = [&whole[..whole.len() / 2], &vec![0; zeros][..]].concat();
            assert!(read_all(&torn).is_err(), "{name} {zeros}: zeros within");
        }
        assert!(read_all(&whole[..whole.len() / 2]).is_err(), "{name}: half of it");
    }
}

fn read_all(bytes: &[u8]) -> io::Result<u64> {
    let mut lines = Lines::read(io::Cursor::new(bytes.to_vec()), 1 << 10)?;
    while lines.next()?.is_some() {}
    Ok(lines.position().lines)
}

#[test]
fn a_byte_order_mark_is_skipped_and_an_array_is_its_elements_from_every_position() {
    let folder = tempfile::tempdir().expect("a folder");
    let elements: Vec<String> = (0..2_000).map(|n| format!("{{\"n\": {n}, \"t\": [\"a, b\", {{}}]}}")).collect();
    let compact: Vec<u8> =
        (0..2_000).flat_map(|n| format!("{{\"n\":{n},\"t\":[\"a, b\",{{}}]}}\n").into_bytes()).collect();
    let mark = |text: &[u8]| [MARK, text].concat();
    let on_one_line = format!("[{}]\n", elements.join(","));
    let pretty = format!("[\n  {}\n]", elements.join(",\n  ").replace("{\"n\"", "{\n    \"n\""));
    let lines = numbers(0, 3_000);
    for (name, bytes, expected) in [
        ("lines with a mark", mark(&lines), lines.clone()),
        ("lines with a mark, gzip", gzip(&mark(&lines)), lines.clone()),
        ("array on one line", on_one_line.clone().into_bytes(), compact.clone()),
        ("array on many lines", pretty.clone().into_bytes(), compact.clone()),
        ("array with a mark, zstd", zstd(&mark(pretty.as_bytes())), compact.clone()),
        ("lines that are arrays", b"[1,2]\n[3]\n".to_vec(), b"[1,2]\n[3]\n".to_vec()),
        ("an array of nothing", b"[]".to_vec(), Vec::new()),
        ("one array on one line", b" [1,\"x\"] \n\n".to_vec(), b"1\n\"x\"\n".to_vec()),
    ] {
        let path = folder.path().join("file");
        fs::write(&path, &bytes).expect("a file");
        let open = |from| Lines::open(&path, from, 2 << 10, Arc::default()).expect("readable");
        let runs = all(open(LinePosition::default()));
        assert_eq!(String::from_utf8_lossy(&joined(&runs)), String::from_utf8_lossy(&expected), "{name}");
        for (index, run) in runs.iter().enumerate() {
            assert_eq!(joined(&all(open(run.end))), joined(&runs[index + 1..]), "{name} after {:?}", run.end);
        }
        let piped = all(Lines::read(io::Cursor::new(bytes), 2 << 10).expect("readable"));
        assert_eq!(joined(&piped), expected, "{name}, piped");
    }
}

#[test]
fn reading_goes_on_after_every_run_of_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = numbers(0, 3_000);
    for (name, bytes) in
        [("plain", text.clone()), ("gzip", gzip(&text)), ("bzip2", bzip2(&text)), ("zstd", zstd(&text))]
    {
        let path = folder.path().join(name);
        fs::write(&path, &bytes).expect("a file");
        let open = |from| Lines::open(&path, from, 4 << 10, Arc::default()).expect("readable");
        let runs = all(open(LinePosition::default()));
        assert!(runs.len() > 5, "{name}");
        for (index, run) in runs.iter().enumerate() {
            let rest = all(open(run.end));
            assert_eq!(joined(&rest), joined(&runs[index + 1..]), "{name} after {:?}", run.end);
        }
    }
}

#[test]
fn what_cannot_be_sought_is_passed_line_by_line_and_checked() {
    let text = numbers(0, 1_000);
    let runs = all(Lines::read(io::Cursor::new(text.clone()), 1 << 10).expect("readable"));
    let middle = runs[runs.len() / 2].end;
    let mut again = Lines::read(io::Cursor::new(text), 64 << 10).expect("readable");
    again.pass(middle).expect("the same lines");
    assert_eq!(joined(&all(again)), joined(&runs[runs.len() / 2 + 1..]));
    let mut other = Lines::read(io::Cursor::new(numbers(1, 1_000)), 1 << 10).expect("readable");
    assert!(other.pass(middle).expect_err("other lines").to_string().contains("another"));
    let mut short = Lines::read(io::Cursor::new(numbers(0, 3)), 1 << 10).expect("readable");
    assert!(short.pass(middle).expect_err("too short").to_string().contains("ends after 3 lines"));
}

#[test]
fn a_line_that_is_too_long_is_cut_and_its_neighbours_are_not() {
    let giant = vec![b'x'; LINE_BYTES_MAX + 2];
    let text = [b"{\"a\":1}\n", &giant[..], b"\n{\"a\":2}\nlast without newline"].concat();
    for run_bytes in [1 << 10, 16 << 20] {
        let runs = all(Lines::read(io::Cursor::new(text.clone()), run_bytes).expect("readable"));
        let cut: Vec<_> = runs.iter().filter(|run| run.cut.is_some()).collect();
        assert_eq!(cut.len(), 1);
        assert_eq!((cut[0].cut, cut[0].first_line, cut[0].text.len()), (Some(giant.len() as u64 + 1), 2, CUT_BYTES));
        let others: Vec<_> = runs.iter().filter(|run| run.cut.is_none()).cloned().collect();
        assert_eq!(joined(&others), b"{\"a\":1}\n{\"a\":2}\nlast without newline");
        let end = runs.last().expect("runs").end;
        assert_eq!((end.bytes, end.lines), (text.len() as u64, 4));
    }
}

#[test]
fn a_file_that_breaks_off_gives_its_lines_and_then_an_error() {
    let whole = gzip(&numbers(0, 20_000));
    let mut lines = Lines::read(io::Cursor::new(whole[..whole.len() / 2].to_vec()), 1 << 10).expect("a head");
    let mut given = 0;
    let error = loop {
        match lines.next() {
            Ok(Some(run)) => given = run.end.lines,
            Ok(None) => panic!("half a file has no end"),
            Err(error) => break error,
        }
    };
    assert!(given > 0, "{error}");
}
