//! JSON as text, in the many ways in which one value may be written.

use crate::random::Random;

/// An object of these members (values are JSON already), in any order, with white space here and there.
pub(super) fn object(random: &mut Random, mut members: Vec<(&str, String)>) -> String {
    random.shuffle(&mut members);
    let space = |random: &mut Random| if random.chance(3) { " " } else { "" };
    let mut json = "{".to_owned();
    for (place, (key, value)) in members.into_iter().enumerate() {
        let comma = if place > 0 { "," } else { "" };
        let key = if random.chance(1) { escaped(key) } else { format!("\"{key}\"") };
        json += &format!("{comma}{}{key}{}:{}{value}", space(random), space(random), space(random));
    }
    json + "}"
}

/// A string, now and then with escapes that it does not need.
pub(super) fn string(random: &mut Random, text: &str) -> String {
    if random.chance(4) { escaped(text) } else { serde_json::to_string(text).expect("text is JSON") }
}

/// Every sign as an escape.
fn escaped(text: &str) -> String {
    let units = text.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
    format!("\"{}\"", units.collect::<String>())
}

/// A value of another type than any column wants here.
pub(super) fn mistyped(random: &mut Random) -> String {
    // Nothing in here is an integer of 64 bits, and no float is great: sums of other values stay exact.
    let odd = ["null", "[]", "{}", "[1,\"a\"]", "{\"a\":{\"b\":7}}", "7e0", "1.5", "\"12\"", "\"true\""];
    (*random.pick(&odd)).to_owned()
}
