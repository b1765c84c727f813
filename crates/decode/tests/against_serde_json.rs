//! Every declared column of every event equals what serde_json says: on hand-made events that are as odd as
//! Wikimedia's own, on the recordings beside the project where they are, and on mutated ones.

mod oracle;

use lakehead_model::StreamSchema;
use lakehead_testkit::recordings;
use oracle::check;
use proptest::prelude::*;

/// Events by hand: what has been seen on the wire, and what a hostile producer could send.
const ODD: &[&str] = &[
    // A canary: only `$schema` and `meta`.
    r#"{"$schema":"/mediawiki/recentchange/1.0.0","meta":{"id":"b0caf18d-6c7f-4403-947d-2712bbe28610","domain":"canary","dt":"2026-08-04T12:00:00.123Z","stream":"mediawiki.recentchange","topic":"eqiad.mediawiki.recentchange","partition":0,"offset":6520000000}}"#,
    // A number as type, an empty PHP map, no id.
    r#"{"meta":{"domain":"www.mediawiki.org"},"type":"142","log_params":[],"timestamp":1630070417,"bot":false,"wiki":"mediawikiwiki"}"#,
    r#"{"type":142,"log_params":{},"log_id":0,"title":"Talk:A","timestamp":"1630070417"}"#,
    // Ids past 32 bits, and at the ends of 64.
    r#"{"id":3470000000,"revision":{"old":9223372036854775807,"new":-9223372036854775808},"length":{"old":9223372036854775808,"new":1.5}}"#,
    // Mistyped fields.
    r#"{"id":"7","type":null,"title":["a"],"user":{"name":"a"},"bot":"true","minor":1,"patrolled":null,"length":7,"meta":"x","wiki":true}"#,
    r#"{"meta":[{"domain":"canary"}],"length":{"old":null,"new":"12"},"revision":[],"timestamp":null}"#,
    r#"{"meta":{"dt":"yesterday","domain":7},"timestamp":1e9,"log_params":"a \"serialised\" text","log_id":7e0}"#,
    r#"{"meta":{"dt":"2019-05-31T14:00:00+02:00"},"timestamp":1559304000.25,"namespace":-1}"#,
    // Escapes, bidi marks, signs beyond the Basic Multilingual Plane, a lone surrogate, raw and escaped.
    r#"{"title":"\u0041\ud83d\ude00 \u202Eabc\u202c \\ \/ \"q\" \b\f\n\r\t","comment":"😀😀😀😀 ‎שלום","user":"\u0000"}"#,
    r#"{"title":"twelve bytes","comment":"thirteen byte","user":"","wiki":"\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"}"#,
    r#"{ "\u0062ot" : true , "met\u0061" : { "dom\u0061in" : "can\u0061ry" , "d\u0074":"2026-02-03T09:34:13.569\u005a" } }"#,
    // White space everywhere, an empty object, no object at all.
    "{ \"log_params\" : { \"a\" : [ 1 , 2 ] } ,\t\"bot\"\r: false }",
    "{}",
    "[1,2]",
    "7",
    r#""meta""#,
    "null",
];

fn schema() -> StreamSchema {
    StreamSchema::builtin("mediawiki/recentchange").expect("a built-in schema")
}

#[test]
fn odd_events_decode_as_serde_json_reads_them() {
    check(&schema(), ODD);
}

#[test]
fn recorded_events_decode_as_serde_json_reads_them() {
    for events in recordings::all() {
        check(&schema(), &events);
    }
}

#[test]
fn any_schema_decodes_as_serde_json_reads_it() {
    let schema = serde_json::json!({
        "event_time": [{ "path": ["t"], "format": "unix_millis" }, { "path": ["d", "t"], "format": "rfc3339" }],
        "columns": [
            { "name": "f", "path": ["f"], "column_type": "float64" },
            { "name": "t", "path": ["t"], "column_type": "timestamp" },
            { "name": "d", "path": ["d"], "column_type": "json" },
            { "name": "d_t", "path": ["d", "t"], "column_type": "timestamp" },
            { "name": "is_x", "path": ["d", "x"], "column_type": "bool", "equals": "x\\\"😀" },
        ],
    });
    let schema: StreamSchema = serde_json::from_value(schema).expect("a schema");
    check(
        &schema,
        &[
            r#"{"f":1.5,"t":1630070417123,"d":{"t":"2021-08-27T13:20:17Z","x":"x\\\"😀"}}"#,
            r#"{"f":-0,"d":{"t":1630070417,"x":"x\\\"\ud83d\ude00"}}"#,
            r#"{"f":1e5,"t":-1,"d":{"x":"x"}}"#,
            r#"{"f":12345678901234567890,"t":"2021-08-27T13:20:17.999999Z","d":null}"#,
            r#"{"f":"1","t":[],"d":{"t":"2021-02-29T00:00:00Z"}}"#,
        ],
    );
}

proptest! {
    #[test]
    fn mutated_events_that_are_still_valid_decode_as_serde_json_reads_them(
        event in prop::sample::select(ODD),
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(&b"{}[]\",:\\ u0a1e-.tn"[..])), 1..3),
    ) {
        let mut event = event.as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(event.len());
            event[at] = byte;
        }
        if lakehead_json::validate(&event).is_ok() {
            let event = String::from_utf8(event).expect("checked");
            check(&schema(), &[event]);
        }
    }
}
