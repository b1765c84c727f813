//! Changes to an event's bytes: what faults do to single fields. Rare, so plain rather than fast.

use memchr::memmem;

/// The value of the first field of this name, anywhere in `json`: a number, a word, or a string without escapes, or a
/// flat object or list.
fn value_of(json: &[u8], name: &str) -> Option<(usize, usize, usize)> {
    let key = format!("\"{name}\":");
    let from = memmem::find(json, key.as_bytes())?;
    let start = from + key.len() + json[from + key.len()..].iter().take_while(|byte| **byte == b' ').count();
    let rest = &json[start..];
    let length = match rest.first()? {
        b'"' => 2 + rest[1..].iter().position(|byte| *byte == b'"')?,
        b'{' => 1 + rest.iter().position(|byte| *byte == b'}')?,
        b'[' => 1 + rest.iter().position(|byte| *byte == b']')?,
        _ => rest.iter().position(|byte| matches!(byte, b',' | b'}' | b']'))?,
    };
    Some((from, start, start + length))
}

/// Replaces the value of the first field of this name in `out[from..]`; nothing happens when there is none.
pub(crate) fn replace(out: &mut Vec<u8>, from: usize, name: &str, value: &[u8]) {
    if let Some((_, start, end)) = value_of(&out[from..], name) {
        out.splice(from + start..from + end, value.iter().copied());
    }
}

/// Removes the first field of this name in `out[from..]`, which follows another field.
pub(crate) fn remove(out: &mut Vec<u8>, from: usize, name: &str) {
    if let Some((key, _, end)) = value_of(&out[from..], name) {
        let comma = out[from..from + key].iter().rposition(|byte| *byte == b',').unwrap_or(key);
        out.drain(from + comma..from + end);
    }
}

/// Lengthens the first string of this name in `out[from..]` by `bytes` letters.
pub(crate) fn lengthen(out: &mut Vec<u8>, from: usize, name: &str, bytes: usize) {
    let key = format!("\"{name}\":");
    if let Some(at) = memmem::find(&out[from..], key.as_bytes())
        && let Some(quote) = out[from + at + key.len()..].iter().position(|byte| *byte == b'"')
    {
        let start = from + at + key.len() + quote + 1;
        out.splice(start..start, std::iter::repeat_n(b'x', bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_replaced_removed_and_lengthened() {
        let mut json =
            br#"[{"meta":{"id":"a", "dt": "2026"},"comment":"b \"c","bot":true,"length":{"new":1}}"#.to_vec();
        replace(&mut json, 1, "bot", b"\"yes\"");
        replace(&mut json, 1, "length", b"[]");
        replace(&mut json, 1, "none", b"[]");
        remove(&mut json, 1, "dt");
        lengthen(&mut json, 1, "comment", 3);
        let text = String::from_utf8(json).expect("utf-8");
        assert_eq!(text, r#"[{"meta":{"id":"a"},"comment":"xxxb \"c","bot":"yes","length":[]}"#);
    }
}
