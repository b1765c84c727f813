//! What a pattern costs that an event brings: the steps of compiling it and of looking for it, the bytes that it holds.
//!
//! `\w{200}` is seven characters and nearly fills the 10 MiB that a compiled regular expression may have; each byte of
//! a text may then be looked at from each of its states. So a bound is taken from the pattern's text alone, before
//! anything is compiled. It is far above the truth for most patterns, and still small for those of a few words.
//!
//! Sources: the documentation of the crate `regex` on untrusted input (steps by size times text, and by the square of
//! the text where all matches are wanted) and on `size_limit` (10 MiB; `\w` takes more than 45,000 bytes); for LIKE,
//! `predicate.rs` of `arrow-string`.

use super::sized::long;

/// What a byte of a regular expression takes to be compiled. Two bytes, as `\w`, may name a class of 800 ranges, which
/// become an automaton of bytes, and take 6 KiB while they are read. So a pattern of at most 4 KiB is compiled.
const BYTE_STEPS: u64 = 1 << 16;

/// The same for LIKE, where a character becomes ten states at most: a pattern of at most 64 KiB is compiled.
const LIKE_BYTE_STEPS: u64 = 1 << 12;

/// So many states of twenty bytes are 10 MiB: what is larger is not compiled.
const STATES_MAX: u64 = 1 << 19;

/// What one state takes for one byte of a text, where no automaton of fewer steps can be had.
const STATE_STEPS: u64 = 8;

/// What a byte of a regular expression may hold when it is compiled, and the least that one holds.
const BYTE_BYTES: u64 = 32 << 10;
const COMPILED_BYTES_MIN: u64 = 64 << 10;

/// The most that one holds: compiled forwards and backwards, 10 MiB each, and what is remembered of texts.
const COMPILED_BYTES_MAX: u64 = 32 << 20;

/// The steps of compiling a regular expression and looking for it in a text of so many bytes, once or for each match.
pub(super) fn expression_steps(text_bytes: u64, pattern: &str, finds_all: bool) -> u64 {
    let states = long(pattern).saturating_mul(repetitions(pattern)).min(STATES_MAX);
    // Each state keeps where the groups of its match begin and end.
    let groups = pattern.matches('(').count() as u64;
    let searches = match finds_all {
        false => 1,
        true if branches(pattern) => text_bytes + 1,
        true => pattern.matches(['*', '+', '{']).count() as u64 + 2,
    };
    let each_byte = states.saturating_mul(STATE_STEPS + groups).saturating_mul(searches);
    long(pattern).saturating_mul(BYTE_STEPS).saturating_add(each_byte.saturating_mul(text_bytes + 1))
}

/// What a regular expression holds when it is compiled.
pub(super) fn expression_bytes(pattern: &str) -> u64 {
    let bytes = long(pattern).saturating_mul(repetitions(pattern)).saturating_mul(BYTE_BYTES);
    bytes.clamp(COMPILED_BYTES_MIN, COMPILED_BYTES_MAX)
}

/// The steps of LIKE, or of ILIKE, beyond those that each byte takes anyway. Only a pattern with `_`, a backslash or a
/// `%` elsewhere than at its ends becomes a regular expression; for ILIKE each does.
pub(super) fn like_steps(text_bytes: u64, pattern: &str, any_case: bool) -> u64 {
    let inner = pattern.strip_prefix('%').unwrap_or(pattern);
    let inner = inner.strip_suffix('%').unwrap_or(inner);
    let is_plain = !inner.contains(['%', '_', '\\']);
    let is_anywhere = pattern.starts_with('%') && pattern.ends_with('%');
    let compiled = long(pattern).saturating_mul(LIKE_BYTE_STEPS);
    match any_case {
        false if is_plain => 0,
        true if is_plain && !is_anywhere => compiled,
        _ => compiled.saturating_add(long(pattern).saturating_mul(STATE_STEPS).saturating_mul(text_bytes + 1)),
    }
}

/// How often a part may be repeated by the numbers in braces, also where these stand within each other. Blanks and
/// comments may stand among the digits, so all up to the next brace are one number: rather too large than too small.
fn repetitions(pattern: &str) -> u64 {
    let number = |after: &str| {
        let digits: String = after.chars().filter(char::is_ascii_digit).collect();
        if digits.is_empty() { 1 } else { digits.parse::<u64>().unwrap_or(u64::MAX).max(1) }
    };
    pattern.split('{').skip(1).map(number).fold(1, u64::saturating_mul)
}

/// Whether each of many matches may be settled only far behind its end: `a(.*b)?` goes to the end of the text for each
/// `a`, if there is no `b`.
///
/// Without alternatives, and without groups that are repeated or left out, that is not so. What is looked at behind a
/// match is then a stretch of one of the pattern's loops. A further match within that stretch would have made the first
/// one longer, so that no byte is looked at in more searches than there are loops, and two. A `#` may begin a comment,
/// which hides what follows a group.
fn branches(pattern: &str) -> bool {
    let is_repeated = |after: &str| after.trim_start().starts_with(['*', '+', '?', '{']);
    pattern.contains(['|', '#']) || pattern.split(')').skip(1).any(is_repeated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_braces_multiply_however_they_are_written() {
        for (pattern, expected) in [
            ("abc", 1),
            (r"\p{Greek}", 1),
            (r"\d{4}-\d{2}", 8),
            ("((a{10}){20}){30}", 6_000),
            ("(?x)a{1 0 0}", 100),
            ("a{0}", 1),
            ("a{,", 1),
            ("a{99999999999999999999}{9}", u64::MAX),
        ] {
            assert_eq!(repetitions(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn a_pattern_that_may_look_far_ahead_is_told_by_its_groups() {
        for plain in ["a+b", r"\s*<[^>]*>", r"(\w+)@(\w+)", "(?i)a.*?b", "((a)b)c*"] {
            assert!(!branches(plain), "{plain}");
        }
        for branched in ["a|b", "a(.*b)?", "(a+b)*", "(a){2}", "(?x)(a.*b) ?", "(?x)(a.*b)#\n?", "((a))+"] {
            assert!(branches(branched), "{branched}");
        }
    }

    #[test]
    fn steps_grow_with_the_pattern_and_the_text() {
        assert_eq!(expression_steps(3, "a", false), (1 << 16) + 4 * 8);
        assert_eq!(expression_steps(3, "(a)", false), (3 << 16) + 4 * 3 * 9);
        assert_eq!(expression_steps(3, "a+", true), (2 << 16) + 4 * 2 * 8 * 3);
        assert_eq!(expression_steps(3, "a|b", true), (3 << 16) + 4 * 3 * 8 * 4);
        assert_eq!(expression_steps(0, "a{1000}", false), (7 << 16) + 7_000 * 8);
        assert_eq!(expression_steps(0, "(a{1000}){1000}", false), (15 << 16) + (9 << 19));
        assert_eq!(expression_bytes("a"), 64 << 10);
        assert_eq!(expression_bytes("abcd"), 128 << 10);
        assert_eq!(expression_bytes(r"\w{999}"), 32 << 20);
    }

    #[test]
    fn a_pattern_of_like_costs_nothing_where_it_is_a_plain_text() {
        for plain in ["", "%", "%%", "a", "a%", "%a", "%a%"] {
            assert_eq!(like_steps(1 << 22, plain, false), 0, "{plain}");
        }
        assert_eq!(like_steps(3, "a%c", false), (3 << 12) + 3 * 8 * 4);
        assert_eq!(like_steps(3, r"a\%", false), (3 << 12) + 3 * 8 * 4);
        assert_eq!(like_steps(3, "_", false), (1 << 12) + 8 * 4);
        assert_eq!(like_steps(1 << 22, "abc", true), 3 << 12);
        assert_eq!(like_steps(3, "%a%", true), (3 << 12) + 3 * 8 * 4);
    }
}
