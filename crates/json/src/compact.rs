//! A document with raw newlines, on one line: the one case in which an event is not kept byte for byte.

/// `document`, which must be valid, without the white space that means nothing, thus without raw newlines: inside a
/// string a newline can only stand as an escape. What is in strings, and how numbers are written, stays.
#[must_use]
pub fn compact(document: &[u8]) -> Vec<u8> {
    let mut compacted = Vec::with_capacity(document.len());
    let mut at = 0;
    while let Some(byte) = document.get(at) {
        let end = match byte {
            b' ' | b'\n' | b'\r' | b'\t' => {
                at += 1;
                continue;
            }
            b'"' => crate::scan::string_end(document, at + 1),
            _ => at + 1,
        };
        compacted.extend_from_slice(&document[at..end]);
        at = end;
    }
    compacted
}

#[cfg(test)]
mod tests {
    use super::compact;

    #[test]
    fn only_white_space_outside_of_strings_goes() {
        let pretty = b" {\r\n\t\"a b\" : [ 1.0 ,\n -2e3, \"x \\\" y\\n\" ] ,\n \"\": { } }\n";
        assert_eq!(compact(pretty), b"{\"a b\":[1.0,-2e3,\"x \\\" y\\n\"],\"\":{}}");
        assert_eq!(compact(b"{}"), b"{}");
    }
}
