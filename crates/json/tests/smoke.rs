//! First checks.
use lakehead_json::*;
#[test]
fn finds_values() {
    let document = br#"{"meta":{"x":[1,{"y":"]"}],"\u0064omain":"a\n\ud83d\ude00\ud800"},"n":-12, "b" : true ,"n":5}"#;
    validate(document).unwrap();
    let p = |s: &str| s.split('.').map(str::to_owned).collect::<Vec<_>>();
    let paths = Paths::new(&[p("n"), p("meta.domain"), p("meta"), p("b"), p("zz"), p("meta.x")]);
    let mut out = [None; 6];
    paths.extract(document, &mut out);
    assert_eq!(out[0].unwrap().as_i64(), Some(-12));
    assert_eq!(out[1].unwrap().as_str().unwrap(), "a\n\u{1f600}\u{fffd}");
    assert!(out[2].unwrap().bytes().ends_with(b"}"));
    assert_eq!(out[3].unwrap().as_bool(), Some(true));
    assert!(out[4].is_none());
    assert_eq!(out[5].unwrap().bytes(), br#"[1,{"y":"]"}]"#);
    assert_eq!(parse_rfc3339(b"2021-08-27T13:20:17.5+02:00").unwrap().to_string(), "2021-08-27T11:20:17.5Z");
    assert_eq!(validate(b"{\"a\":1 \"b\"}").unwrap_err().to_string(), "expected ',' or '}', found '\"' at byte 7");
    for bad in [
        "",
        "[",
        "{",
        "01",
        "1.",
        "-",
        "[1,]",
        "{\"a\"}",
        "\"\n\"",
        "tru",
        "1 2",
        "\"\\x\"",
        "\"\\u12g4\"",
        "{,}",
        "\u{feff}1",
    ] {
        assert!(validate(bad.as_bytes()).is_err(), "{bad:?}");
    }
    for n in [127, 128] {
        assert_eq!(validate(("[".repeat(n) + &"]".repeat(n)).as_bytes()).is_ok(), n == 127);
    }
    let mut none: [Option<Raw>; 6] = [None; 6];
    for n in 0..document.len() {
        paths.extract(&document[..n], &mut none);
        paths.extract(&document[n..], &mut none);
    }
}
