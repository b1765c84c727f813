//! What a decoder promises beside its values: columns as wanted, shared text, errors that say what is wrong.

use arrow::array::{Array, AsArray};
use bytes::Bytes;
use lakehead_decode::{Decoder, Error, Events};
use lakehead_model::{Kind, Offset, StreamSchema, Timestamp};

fn decoder(wanted: &[&str]) -> Decoder {
    let schema = StreamSchema::builtin("mediawiki/recentchange").expect("a built-in schema");
    Decoder::new(&schema, &names(wanted)).expect("its columns")
}

fn names(wanted: &[&str]) -> Vec<String> {
    wanted.iter().map(|&name| name.to_owned()).collect()
}

fn block<'a>(payload: &'a Bytes, ends: &'a [u32]) -> Events<'a> {
    Events { payload, ends, first_offset: Offset(7), received_time: Timestamp(9) }
}

#[test]
fn columns_come_in_the_order_in_which_they_are_wanted() {
    let decoder = decoder(&["wiki", "event_offset", "bot"]);
    let payload = Bytes::from_static(b"{\"bot\":true,\"wiki\":\"dewiki\"}\n{}\n");
    let batch = decoder.decode(&block(&payload, &[29, 32])).expect("valid events");
    assert_eq!(batch.schema(), decoder.schema());
    let fields: Vec<_> = batch.schema_ref().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(fields, ["wiki", "event_offset", "bot"]);
    assert_eq!(batch.column(0).as_string_view().iter().collect::<Vec<_>>(), [Some("dewiki"), None]);
    assert_eq!(batch.column(1).as_primitive::<arrow::datatypes::Int64Type>().values(), &[7, 8]);
    assert_eq!(batch.column(2).as_boolean().iter().collect::<Vec<_>>(), [Some(true), None]);
}

#[test]
fn with_nothing_wanted_rows_are_counted() {
    let payload = Bytes::from_static(b"{}\n{}\n{}\n");
    let batch = decoder(&[]).decode(&block(&payload, &[3, 6, 9])).expect("valid events");
    assert_eq!((batch.num_columns(), batch.num_rows()), (0, 3));
}

#[test]
fn a_block_without_events_has_no_rows() {
    let batch = decoder(&["wiki", "data", "event_time"]).decode(&block(&Bytes::new(), &[])).expect("nothing");
    assert_eq!((batch.num_columns(), batch.num_rows()), (3, 0));
}

#[test]
fn equality_is_never_null() {
    let events = ["{}", "7", r#"{"meta":null}"#, r#"{"meta":{"domain":7}}"#, r#"{"meta":{"domain":"canary"}}"#];
    let payload = Bytes::from(events.join("\n") + "\n");
    let mut ends = Vec::new();
    for event in events {
        ends.push(ends.last().unwrap_or(&0) + u32::try_from(event.len()).expect("short") + 1);
    }
    let batch = decoder(&["canary"]).decode(&block(&payload, &ends)).expect("valid events");
    let canary = batch.column(0).as_boolean();
    assert_eq!(
        (canary.null_count(), canary.values().iter().collect::<Vec<_>>()),
        (0, vec![false, false, false, false, true])
    );
}

#[test]
fn text_of_any_length_is_whole_also_at_the_end_of_the_payload() {
    for length in 0..40 {
        let title = "t".repeat(length);
        for event in [format!("\"title\":\"{title}\""), format!("\"title\":\"{title}\",\"x\":\"{title}{title}\"")] {
            let payload = Bytes::from(format!("{{{event}}}\n"));
            let end = u32::try_from(payload.len()).expect("short");
            let batch = decoder(&["title", "data"]).decode(&block(&payload, &[end])).expect("a valid event");
            assert_eq!(batch.column(0).as_string_view().value(0), title);
            assert_eq!(batch.column(1).as_string_view().value(0).as_bytes(), &payload[..payload.len() - 1]);
        }
    }
}

#[test]
fn a_part_of_a_block_is_shared_like_a_whole_one() {
    let whole = Bytes::from_static(b"{}\n{\"title\":\"a title that is no short one\"}\n");
    let part = whole.slice(3..);
    let batch = decoder(&["title"]).decode(&block(&part, &[41])).expect("a valid event");
    let title = batch.column(0).as_string_view().value(0);
    assert_eq!(title, "a title that is no short one");
    assert_eq!(title.as_ptr(), whole[13..].as_ptr());
}

#[test]
fn several_blocks_make_the_rows_that_each_makes_alone() {
    let texts = [
        &["{\"title\":\"a title that is no short one\"}", "{\"title\":\"an \\u00e9scaped title, of some length\"}"][..],
        &[],
        &["{\"title\":\"short\"}", "{}", "{\"title\":\"\\u00e9\"}"],
        &["{\"title\":\"another title that is no short one\"}", "{\"title\":\"another \\u00e9scaped title\"}"],
    ];
    let payloads: Vec<_> =
        texts.iter().map(|texts| Bytes::from(texts.iter().map(|t| format!("{t}\n")).collect::<String>())).collect();
    let ends: Vec<Vec<u32>> = texts
        .iter()
        .map(|texts| {
            let mut end = 0;
            let ends = texts.iter().map(|text| {
                end += u32::try_from(text.len()).expect("short") + 1;
                end
            });
            ends.collect()
        })
        .collect();
    let blocks: Vec<_> = payloads
        .iter()
        .zip(&ends)
        .zip(0_u64..)
        .map(|((payload, ends), n)| Events {
            first_offset: Offset(10 * n),
            received_time: Timestamp(100 + i64::try_from(n).expect("small")),
            ..block(payload, ends)
        })
        .collect();
    let decoder = decoder(&["event_offset", "received_time", "title", "data", "bot"]);
    let alone: Vec<_> = blocks.iter().map(|block| decoder.decode(block).expect("valid events")).collect();
    let together = decoder.decode_all(&blocks).expect("valid events");
    assert_eq!(together.num_rows(), 7);
    let mut row = 0;
    for batch in alone {
        for (column, other) in batch.columns().iter().zip(together.columns()) {
            assert_eq!(**column, *other.slice(row, batch.num_rows()));
        }
        row += batch.num_rows();
    }
    assert_eq!(decoder.decode_all(&[]).expect("nothing").num_rows(), 0);
}

#[test]
fn an_unknown_column_is_named_with_those_that_there_are() {
    let schema = StreamSchema::builtin("json").expect("a built-in schema");
    let error = Decoder::new(&schema, &names(&["data", "wiki"])).expect_err("no such column");
    assert_eq!(
        error.to_string(),
        "there is no column \"wiki\": the table has event_offset, event_time, received_time, data"
    );
    assert_eq!(error.kind(), Kind::Invalid);
}

#[test]
fn two_columns_of_one_name_are_refused() {
    for name in ["data", "event_time", "wiki"] {
        let mut schema = StreamSchema::builtin("mediawiki/recentchange").expect("a built-in schema");
        let mut column = schema.columns[0].clone();
        column.name = name.to_owned();
        schema.columns.push(column);
        let error = Decoder::new(&schema, &[]).expect_err("twice");
        assert!(matches!(&error, Error::ColumnTwice { column, path } if column == name && path == "meta.id"));
        assert_eq!(error.kind(), Kind::Invalid);
    }
}

#[test]
fn ends_that_cannot_be_are_damage_and_are_named() {
    let payload = Bytes::from_static(b"{}\n{}\n");
    for (ends, event) in [(&[3, 7][..], 1), (&[3, 3], 1), (&[0], 0), (&[3, 2], 1), (&[u32::MAX], 0)] {
        let error = decoder(&["wiki"]).decode(&block(&payload, ends)).expect_err("impossible ends");
        assert!(matches!(error, Error::Ends { event: at, payload: 6, .. } if at == event), "{error}");
        assert_eq!(error.kind(), Kind::Corrupt);
    }
}

#[test]
fn a_payload_that_is_not_text_is_damage_and_no_panic() {
    for payload in
        [&b"{\"wiki\":\"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\"}\n"[..], b"{\"wiki\":\"\xff\"}\n"]
    {
        let payload = Bytes::from_static(payload);
        let end = u32::try_from(payload.len()).expect("short");
        let error = decoder(&["wiki"]).decode(&block(&payload, &[end])).expect_err("no text");
        assert!(error.to_string().starts_with("the block that begins at offset 7 "), "{error}");
        assert_eq!(error.kind(), Kind::Corrupt);
    }
}

#[test]
fn a_decoder_is_shared_between_threads() {
    fn shared<T: Send + Sync + Clone>(_: &T) {}
    shared(&decoder(&["wiki"]));
}
