//! Schemas and events, in the order of the keywords; and what is refused of a schema.

use super::*;

const EDIT: &str = r##"{
    "$schema": "https://json-schema.org/draft-07/schema#",
    "$id": "/edit/1.0.0",
    "type": "object",
    "required": ["meta"],
    "properties": {
        "meta": {"$ref": "#/definitions/meta"},
        "wiki": {"type": "string", "pattern": "^[a-z]+$"},
        "default": {"type": "integer"}
    },
    "definitions": {
        "meta": {"type": "object", "required": ["stream"], "properties": {"dt": {"type": "string", "format": "date-time"}}}
    }
}"##;

fn schema(text: &str) -> JsonSchema {
    JsonSchema::new(text.as_bytes()).unwrap_or_else(|wrong| panic!("{text}: {wrong}"))
}

#[test]
fn an_event_that_does_not_conform_is_told_by_its_place() {
    let schema = schema(EDIT);
    for event in [r#"{"meta":{"stream":"a","dt":"2026-11-30T12:00:00Z"},"more":[1]}"#, r#"{"meta":{"stream":1}}"#] {
        assert_eq!(schema.check(event.as_bytes()), Ok(()), "{event}");
    }
    for (event, place) in [
        ("1", "the event: expected object, found a number"),
        ("{}", "the event: \"meta\" is missing"),
        (r#"{"meta":{}}"#, "/meta: \"stream\" is missing"),
        (r#"{"meta":{"stream":"a","dt":"today"}}"#, "/meta/dt: \"today\" is no date-time"),
        (r#"{"meta":{"stream":"a"},"wiki":"EN"}"#, "/wiki: \"EN\" does not match \"^[a-z]+$\""),
        (r#"{"meta":{"stream":"a"},"default":"x","default":1}"#, "/default: expected integer, found a string"),
    ] {
        let why = schema.check(event.as_bytes()).expect_err(event);
        assert_eq!(why, format!("it does not conform to the stream's JSON Schema: {place}"), "{event}");
    }
}

#[test]
fn each_keyword_takes_what_it_says_and_nothing_else() {
    for (text, good, bad) in [
        (r#"{"type": "integer"}"#, &["1", "1.0", "-7"][..], &["1.5", "\"1\"", "null"][..]),
        (r#"{"type": ["string", "null"]}"#, &["null", "\"\""], &["1", "[]"]),
        (r#"{"enum": [1, {"a": [2.0]}]}"#, &["1.0", r#"{"a":[2]}"#], &["2", r#"{"a":[2],"b":1}"#]),
        (r#"{"const": null}"#, &["null"], &["0", "{}"]),
        (r#"{"minimum": 1, "maximum": 3}"#, &["1", "3", "2.5", "\"9\""], &["0", "3.1", "-1e300"]),
        (r#"{"exclusiveMinimum": 1}"#, &["1.1"], &["1", "1.0"]),
        (r#"{"minimum": 1, "exclusiveMinimum": true}"#, &["2"], &["1"]),
        (r#"{"maximum": 9007199254740992}"#, &["9007199254740992"], &["9007199254740993"]),
        (r#"{"multipleOf": 0.1}"#, &["0.3", "7", "0"], &["0.35"]),
        (r#"{"minLength": 2, "maxLength": 3}"#, &["\"éé\"", "1"], &["\"a\"", "\"abcd\""]),
        (r#"{"pattern": "b+"}"#, &["\"abba\""], &["\"a\""]),
        (r#"{"items": {"type": "null"}}"#, &["[]", "[null]", "1"], &["[null,1]"]),
        (r#"{"items": [{"type": "null"}], "additionalItems": false}"#, &["[]", "[null]"], &["[1]", "[null,1]"]),
        (r#"{"prefixItems": [{"type": "null"}], "items": {"type": "boolean"}}"#, &["[null,true]"], &["[null,null]"]),
        (r#"{"contains": {"const": 1}, "maxContains": 1}"#, &["[2,1]"], &["[]", "[1,1]"]),
        (r#"{"minItems": 1, "maxItems": 2}"#, &["[1]", "[1,2]"], &["[]", "[1,2,3]"]),
        (r#"{"uniqueItems": true}"#, &["[1,\"1\",[1],{\"a\":1}]"], &["[1,1.0]", r#"[{"a":1,"b":2},{"b":2,"a":1}]"#]),
        (r#"{"required": ["a"]}"#, &[r#"{"a":null}"#, "1"], &["{}"]),
        (r#"{"properties": {"a": {"type": "null"}}}"#, &[r#"{"a":null,"b":1}"#], &[r#"{"a":1}"#]),
        (
            r#"{"properties": {"a": true}, "patternProperties": {"^x": {"type": "null"}}, "additionalProperties": false}"#,
            &[r#"{"a":1,"xy":null}"#],
            &[r#"{"xy":1}"#, r#"{"b":1}"#],
        ),
        (r#"{"additionalProperties": {"type": "null"}}"#, &[r#"{"a":null}"#], &[r#"{"a":1}"#]),
        (r#"{"propertyNames": {"maxLength": 1}}"#, &[r#"{"a":1}"#], &[r#"{"ab":1}"#]),
        (r#"{"minProperties": 1, "maxProperties": 1}"#, &[r#"{"a":1}"#], &["{}", r#"{"a":1,"b":2}"#]),
        (
            r#"{"dependencies": {"a": ["b"], "c": {"required": ["d"]}}}"#,
            &["{}", r#"{"a":1,"b":2}"#],
            &[r#"{"a":1}"#, r#"{"c":1}"#],
        ),
        (r#"{"dependentRequired": {"a": ["b"]}}"#, &[r#"{"b":1}"#], &[r#"{"a":1}"#]),
        (r#"{"dependentSchemas": {"a": {"required": ["b"]}}}"#, &[r#"{"b":1}"#], &[r#"{"a":1}"#]),
        (r#"{"allOf": [{"minimum": 1}, {"maximum": 2}]}"#, &["1"], &["0", "3"]),
        (r#"{"anyOf": [{"type": "null"}, {"minimum": 2}]}"#, &["null", "2"], &["1"]),
        (r#"{"oneOf": [{"minimum": 1}, {"maximum": 2}]}"#, &["0", "3"], &["1"]),
        (r#"{"not": {"type": "null"}}"#, &["1"], &["null"]),
        (r#"{"if": {"minimum": 5}, "then": {"multipleOf": 5}, "else": {"multipleOf": 2}}"#, &["10", "4"], &["6", "3"]),
        (r##"{"$ref": "#/$defs/a", "$defs": {"a": {"type": "null"}}, "maximum": 1}"##, &["null"], &["1", "true"]),
        (r#"{"properties": {"a": {"$id": "/b", "type": "null"}}}"#, &[r#"{"a":null}"#], &[r#"{"a":1}"#]),
        ("{}", &["1", "null", "{}"], &[]),
        (r#"{"properties": {"a": false}}"#, &["{}"], &[r#"{"a":1}"#]),
    ] {
        let schema = schema(text);
        good.iter().for_each(|event| assert_eq!(schema.check(event.as_bytes()), Ok(()), "{text}: {event}"));
        bad.iter().for_each(|event| assert!(schema.check(event.as_bytes()).is_err(), "{text}: {event}"));
    }
}

#[test]
fn what_stands_beside_a_reference_counts_from_2019_on() {
    let beside = r##""$ref": "#/definitions/a", "definitions": {"a": {"type": "integer"}}, "maximum": 1}"##;
    let old = schema(&format!(r#"{{"$schema": "http://json-schema.org/draft-07/schema#", {beside}"#));
    assert_eq!(old.check(b"7"), Ok(()));
    let new = schema(&format!(r#"{{"$schema": "https://json-schema.org/draft/2020-12/schema", {beside}"#));
    assert!(new.check(b"7").is_err());
}

#[test]
fn what_could_cost_more_than_an_event_is_worth_or_is_not_checked_is_refused() {
    for (text, why) in [
        ("type: object", "YAML"),
        ("[]", "a schema is a JSON object"),
        (r#"{"$schema": "https://example.org/mine"}"#, "drafts 4, 6, 7"),
        (r#"{"type": "thing"}"#, "valid are null, boolean"),
        (r#"{"properties": {"a": {"minLength": -1}}}"#, "the schema, at /properties/a: `minLength` is a whole number"),
        (r#"{"properties": {"a": 7}}"#, "a schema is an object, true or false"),
        (r#"{"required": true}"#, "`required` is an array of texts"),
        (r#"{"$ref": "https://example.org/schema"}"#, "in the same document"),
        (r#"{"$ref": "file:///etc/passwd"}"#, "in the same document"),
        (r##"{"$ref": "#name"}"##, "in the same document"),
        (r##"{"$ref": "#/%61"}"##, "in the same document"),
        (r##"{"$ref": "#/definitions/none"}"##, "nothing at that place"),
        (r##"{"properties": {"next": {"$ref": "#"}}}"##, "leads back into itself"),
        (r##"{"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}}"##, "leads back"),
        (
            r##"{"properties": {"a": {"$id": "b", "allOf": [{"$ref": "#/$defs/c"}]}}, "$defs": {"c": {}}}"##,
            "has no `$id` below",
        ),
        (r##"{"$ref": "#/$defs/c", "$defs": {"c": {"not": {"$id": "b"}}}}"##, "has no `$id` below"),
        (r##"{"$dynamicRef": "#x"}"##, "`$dynamicRef` is not checked"),
        (r#"{"unevaluatedProperties": false}"#, "`unevaluatedProperties` is not checked"),
        (r#"{"format": "regex"}"#, "checked are date"),
        (r#"{"pattern": "(?=a)b"}"#, "no lookaround"),
        (r#"{"pattern": "(a{1000}){1000}"}"#, "is not taken"),
    ] {
        let refused = JsonSchema::new(text.as_bytes()).expect_err(text);
        assert!(refused.contains(why), "{text}: {refused}");
    }
    assert!(JsonSchema::new(&vec![b' '; DOCUMENT_BYTES_MAX + 1]).is_err());
}

#[test]
fn references_that_multiply_are_counted_out() {
    // Thirty floors, each of which refers to the next twice: 2 to the 30th parts.
    let floor =
        |n: u32| format!(r##""f{n}": {{"allOf": [{{"$ref": "#/$defs/f{0}"}}, {{"$ref": "#/$defs/f{0}"}}]}}"##, n + 1);
    let floors: Vec<String> = (0..30).map(floor).chain([r#""f30": {"type": "string"}"#.to_owned()]).collect();
    let text = format!(r##"{{"$ref": "#/$defs/f0", "$defs": {{{}}}}}"##, floors.join(","));
    let refused = JsonSchema::new(text.as_bytes()).expect_err("too many");
    assert!(refused.contains("more than 4096 parts"), "{refused}");
}

#[test]
fn a_reason_is_short_however_long_what_is_wrong() {
    let schema = schema(r#"{"additionalProperties": false, "properties": {"a": {"enum": ["x"]}}}"#);
    for event in [format!(r#"{{"{}": 1}}"#, "k".repeat(100_000)), format!(r#"{{"a": "{}"}}"#, "v".repeat(100_000))] {
        assert!(schema.check(event.as_bytes()).expect_err("not allowed").len() < 500);
    }
}

#[test]
fn two_are_equal_when_they_say_the_same() {
    assert_eq!(schema(r#"{"type": "object"}"#), schema(r#"{ "type":"object" }"#));
    assert_ne!(schema(r#"{"type": "object"}"#), schema(r#"{"type": "array"}"#));
}
