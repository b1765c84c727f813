//! Steps over JSON text: white space, strings, whole values. On valid text each lands just past what it steps over.

/// The first position at or after `at` that holds no white space.
#[inline]
pub(crate) fn space(document: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = document.get(at) {
        at += 1;
    }
    at
}

/// Just past the closing quote of the string whose text begins at `at` (after its opening quote), or the end.
#[inline]
pub(crate) fn string_end(document: &[u8], mut at: usize) -> usize {
    while let Some(rest) = document.get(at..) {
        match memchr::memchr2(b'"', b'\\', rest) {
            None => break,
            Some(n) if rest[n] == b'"' => return at + n + 1,
            Some(n) => at += n + 2,
        }
    }
    document.len()
}

/// Just past the value that begins at `at`.
#[inline]
pub(crate) fn value_end(document: &[u8], at: usize) -> usize {
    match document.get(at) {
        Some(b'"') => string_end(document, at + 1),
        Some(b'{' | b'[') => container_end(document, at + 1, 1),
        Some(_) => scalar_end(document, at),
        None => document.len(),
    }
}

/// Just past a number, `true`, `false` or `null` that begins at `at`.
#[inline]
pub(crate) fn scalar_end(document: &[u8], at: usize) -> usize {
    let rest = document.get(at..).unwrap_or_default();
    let length = rest.iter().position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t'));
    at + length.unwrap_or(rest.len())
}

/// Just past the bracket that closes the `depth` objects and arrays that are open at `at`.
pub(crate) fn container_end(document: &[u8], mut at: usize, mut depth: usize) -> usize {
    while let Some(byte) = document.get(at) {
        at += 1;
        match byte {
            b'"' => at = string_end(document, at),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    document.len()
}
