//! Small steps over JSON text: white space, a string, a number. On valid text each lands just past what it steps over;
//! on any other it still moves the right way and never past an end.

/// The first position at or after `at` that holds no white space.
#[inline(always)]
pub(crate) fn space(document: &[u8], at: usize) -> usize {
    match document.get(at) {
        Some(0..=b' ') => more_space(document, at),
        _ => at,
    }
}

fn more_space(document: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = document.get(at) {
        at += 1;
    }
    at
}

/// Just past the closing quote of the string whose text begins at `at` (after its opening quote), or the end.
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

/// Where the text begins of the string whose closing quote stands at `end`: just past the last quote before it that an
/// even number of backslashes precedes.
pub(crate) fn string_start(document: &[u8], end: usize) -> usize {
    let mut head = document.get(..end).unwrap_or(document);
    while let Some(quote) = memchr::memrchr(b'"', head) {
        head = &head[..quote];
        if head.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 0 {
            return quote + 1;
        }
    }
    end
}

/// Just past a number, `true`, `false` or `null` that begins at `at`.
#[inline(always)]
pub(crate) fn scalar_end(document: &[u8], mut at: usize) -> usize {
    while let Some(byte) = document.get(at) {
        if matches!(byte, b',' | b'}' | b']' | 0..=b' ') {
            break;
        }
        at += 1;
    }
    at
}
