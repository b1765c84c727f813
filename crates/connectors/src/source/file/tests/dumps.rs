//! Dumps of MediaWiki's history as Wikimedia lays them out: a file for each wiki and time, in bzip2 of several streams.

use std::io::Write;

use bzip2::{Compression, write::BzEncoder};
use lakehead_model::mediawiki_history;
use lakehead_testkit::conformance;

use super::*;

fn settings(paths: &[&Path]) -> Value {
    json!({ "paths": paths, "format": "mediawiki-history" })
}

/// The n-th row of a wiki, with as many columns.
fn row(columns: usize, wiki: &str, n: u64) -> String {
    let of = |name: &str| match name {
        "wiki_db" => wiki.to_owned(),
        "event_entity" => if n.is_multiple_of(3) { "page" } else { "revision" }.to_owned(),
        "event_type" => "create".to_owned(),
        "event_timestamp" => format!("20{:02}-0{}-01 00:00:00.0", n % 26, 1 + n % 9),
        "event_comment" => format!("line\\n{n}\\t{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        "event_user_id" | "page_id" | "revision_id" => n.to_string(),
        "page_title" => format!("Page_{n}"),
        "page_namespace" => "0".to_owned(),
        "event_user_is_anonymous" | "page_is_deleted" => n.is_multiple_of(2).to_string(),
        "revision_tags" => "mobile edit,a\\, b".to_owned(),
        _ => String::new(),
    };
    let layout = mediawiki_history::layout(columns).expect("a layout");
    layout.map(|column| of(column.name)).collect::<Vec<_>>().join("\t")
}

fn rows(columns: usize, wiki: &str, numbers: std::ops::Range<u64>) -> String {
    numbers.map(|n| row(columns, wiki, n) + "\n").collect()
}

/// Each part a stream of its own, as Hadoop writes them.
fn bzip2(parts: &[&str]) -> Vec<u8> {
    let stream = |part: &&str| {
        let mut encoder = BzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(part.as_bytes()).expect("in memory");
        encoder.finish().expect("in memory")
    };
    parts.iter().flat_map(stream).collect()
}

/// The event of each row, as it is expected.
fn expected(text: &str) -> Vec<Vec<u8>> {
    let event = |row: &str| {
        let mut event = Vec::new();
        crate::source::file::history::event_of_row(row.as_bytes(), &mut event).expect("an event");
        event
    };
    text.lines().map(event).collect()
}

/// A snapshot of three wikis in a folder, in the layouts of three times, and its rows in the order of the files' paths.
fn snapshot(folder: &Path) -> String {
    let (de, en, simple) = (rows(70, "dewiki", 0..900), rows(78, "enwiki", 0..1_500), rows(76, "simplewiki", 0..7));
    for (name, text) in [("dewiki/2026-08.dewiki.2001.tsv.bz2", &de), ("enwiki/2026-08.enwiki.2001-01.tsv.bz2", &en)] {
        fs::create_dir_all(folder.join(name).parent().expect("a folder")).expect("a folder");
        // Streams do not end where rows do.
        let (first, rest) = text.split_at(text.len() / 3 + 7);
        let (second, third) = rest.split_at(rest.len() / 2);
        fs::write(folder.join(name), bzip2(&[first, second, "", third])).expect("a file");
    }
    fs::write(folder.join("simplewiki.tsv"), simple.trim_end()).expect("a file");
    fs::write(folder.join("README.html"), "no dump").expect("a file");
    de + &en + &simple
}

#[tokio::test]
async fn keeps_the_source_contract() {
    let folder = tempfile::tempdir().expect("a folder");
    let expected = expected(&snapshot(folder.path()));
    let settings = async || settings(&[folder.path()]);
    conformance::source_that_ends::<JsonFiles, _>(settings, NOON, &expected).await;
}

#[tokio::test]
async fn it_goes_on_behind_every_chunk_with_the_row_that_follows() {
    let folder = tempfile::tempdir().expect("a folder");
    let all: Vec<String> =
        expected(&snapshot(folder.path())).into_iter().map(|e| String::from_utf8(e).expect("text")).collect();
    let settings = settings(&[folder.path()]);
    let chunks = read(&settings, None).await.expect("read");
    assert_eq!(events(&chunks), all);
    assert!(
        chunks.len() > 6 && chunks.iter().all(|chunk| chunk.events.payload().len() <= 256 << 10),
        "{}",
        chunks.len()
    );
    goes_on_behind_each(&settings, &chunks).await;
}

#[tokio::test]
async fn a_dump_that_breaks_off_gives_what_is_whole_and_stops_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = rows(78, "enwiki", 0..4_000);
    let (first, second) = text.split_at(text.len() / 2);
    let whole = bzip2(&[first, second]);
    let file = folder.path().join("a.tsv.bz2");
    // Within the first stream, behind it, within the second.
    for cut in [whole.len() / 4, bzip2(&[first]).len() + 3, whole.len() - 5] {
        fs::write(&file, &whole[..cut]).expect("a file");
        let (taken, error) = taken_before_damage(&settings(&[&file])).await;
        assert!(error.to_string().contains(&format!("a.tsv.bz2 behind line {taken}; ")), "{error}");
    }
}

#[tokio::test]
async fn a_row_that_is_none_is_refused_with_file_line_and_reason_and_the_others_are_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.tsv");
    let good = row(78, "enwiki", 2);
    let mut text =
        format!("{good}\r\n\nenwiki\tcut off\n{}\n{good}\n", good.replacen("\ttrue\t", "\tyes\t", 1)).into_bytes();
    text.extend_from_slice(b"[{\"no\": 1}]\n\xff\xfe\n");
    text.extend_from_slice(good.as_bytes());
    fs::write(&file, &text).expect("a file");
    let chunks = read(&settings(&[&file]), None).await.expect("read");
    assert_eq!(events(&chunks).len(), 3);
    let rejects: Vec<_> = chunks.iter().flat_map(|chunk| &chunk.rejects).collect();
    let told: Vec<_> =
        rejects.iter().map(|r| (r.position.rsplit('/').next().unwrap_or_default(), &*r.reason)).collect();
    assert_eq!(
        told[0],
        ("a.tsv line 3", "a row of a MediaWiki history dump has 70, 74, 76 or 78 columns, this one has 2")
    );
    assert!(told[1].0 == "a.tsv line 4" && told[1].1.contains("expected true or false, found \"yes\""), "{told:?}");
    assert!(told[2].0 == "a.tsv line 6" && told[3].0 == "a.tsv line 7" && told.len() == 4, "{told:?}");
    assert_eq!(rejects[0].payload, "enwiki\tcut off");
}

#[tokio::test]
async fn rows_that_begin_with_a_bracket_are_no_array() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.tsv");
    fs::write(&file, format!("[\n1,\n]\n{}", rows(74, "enwiki", 0..2))).expect("a file");
    let chunks = read(&settings(&[&file]), None).await.expect("read");
    assert_eq!((events(&chunks).len(), chunks.iter().map(|chunk| chunk.rejects.len()).sum::<usize>()), (2, 3));
}

#[tokio::test]
async fn hostile_files_are_refused_or_told_and_cost_no_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.tsv.bz2");
    let refusals = |chunks: &[Chunk]| chunks.iter().map(|c| c.rejects.len() as u64 + c.refused_more).sum::<u64>();
    for (bytes, taken, refused) in [
        (Vec::new(), 0, 0),
        (vec![b'\n'; 100_000], 0, 0),
        (vec![b'\t'; 100_000], 0, 1),
        (vec![0; 1_000], 0, 1),
        // A line of 64 MiB that is some bytes when it is compressed.
        (bzip2(&[&"x".repeat(64 << 20)]), 0, 1),
        (bzip2(&[&"\t".repeat(5 << 20), "\n", &row(70, "enwiki", 1)]), 1, 1),
        ("a\n".repeat(50_000).into_bytes(), 0, 50_000),
        ([b"\xef\xbb\xbf".as_slice(), row(78, "enwiki", 1).as_bytes()].concat(), 1, 0),
    ] {
        fs::write(&file, &bytes).expect("a file");
        let chunks = read(&settings(&[&file]), None).await.expect("read");
        assert_eq!((events(&chunks).len() as u64, refusals(&chunks)), (taken, refused));
        assert!(chunks.iter().all(|chunk| chunk.rejects.len() <= 1_001));
    }
    for bytes in [b"BZh91AY&SYnonsense".to_vec(), [bzip2(&["a\n"]), b"BZh9\x00\x00".to_vec()].concat()] {
        fs::write(&file, &bytes).expect("a file");
        let error = read(&settings(&[&file]), None).await.map(drop).expect_err("damage");
        assert!(matches!(error, Error::Invalid(_)) && error.to_string().contains("a.tsv.bz2 behind line "), "{error}");
    }
}

#[tokio::test]
async fn a_folder_gives_its_dumps_and_says_so_where_there_are_none() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a.jsonl"), "{}\n").expect("a file");
    let said = refused(&settings(&[folder.path()]), None).await;
    assert!(said.contains("nothing is there") && said.contains("end in .tsv, also with .gz, .zst or .bz2"), "{said}");
    let said = (SPEC.check)(&json!({ "paths": ["a"], "format": "csv" })).expect_err("refused");
    assert!(said.contains("`format`: unknown variant `csv`, expected `json` or `mediawiki-history`"), "{said}");
}

#[test]
fn the_example_names_columns_that_there_are() {
    let text = include_str!("../../../../../../examples/history.toml");
    let pipeline: Value = toml::from_str(text).expect("TOML");
    let mut source = pipeline["source"]["dumps"].as_object().expect("a table").clone();
    ["kind", "stream"].iter().for_each(|key| drop(source.remove(*key)));
    (SPEC.check)(&source.into()).expect("settings that can work");
    let schema = |stream: &str| {
        let name = pipeline["stream"][stream]["schema"].as_str().expect("a schema");
        StreamSchema::builtin(name).expect("built in")
    };
    let (history, live) = (schema("mediawiki_history"), schema("recentchange"));
    let sql = |view: &str| pipeline["view"][view]["sql"].as_str().expect("SQL").to_owned();
    let words = |text: &str| -> Vec<String> {
        text.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned).collect()
    };
    // Whatever of the views' SQL is lower case and no alias stands in the schema of its stream, or is a word of every stream.
    for (view, schema, aliases) in [
        ("new_pages_before", &history, ["month", "new_pages"].as_slice()),
        ("new_pages_live", &live, ["hour", "domain", "new_pages"].as_slice()),
    ] {
        let sql = sql(view);
        let outside: String = sql.split('\'').step_by(2).collect::<Vec<_>>().join(" ");
        for word in words(&outside).iter().filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase())) {
            let known = ["tumble", "event_time", "count", "mediawiki_history", "recentchange"].contains(&word.as_str());
            assert!(known || aliases.contains(&word.as_str()) || schema.column(word).is_some(), "{view}: {word}");
        }
    }
    // And the answer in the comments names what the views show.
    let answer: String = text
        .lines()
        .filter_map(|line| line.strip_prefix("#   "))
        .skip_while(|line| !line.starts_with("WITH"))
        .take_while(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("\n");
    let shown = ["wiki_db", "month", "new_pages", "wiki", "hour", "domain"];
    let own =
        ["new_pages_before", "new_pages_live", "names", "months", "date_trunc", "coalesce", "sum", "max", "n", "m"];
    let outside: String = answer.split('\'').step_by(2).collect::<Vec<_>>().join(" ");
    assert!(answer.contains("new_pages_before") && answer.contains("new_pages_live"), "{answer}");
    for word in words(&outside).iter().filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase())) {
        assert!(shown.contains(&word.as_str()) || own.contains(&word.as_str()), "the answer: {word}");
    }
}
