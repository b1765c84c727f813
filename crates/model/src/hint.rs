//! Helps for what a person reads: which words would be valid, a mark under a place, text that is safe for a terminal.

use std::borrow::Cow;

/// Words that are listed in full; of more than these only the near ones are named.
const LISTED_MAX: usize = 40;

/// Near words that are named where not all are.
const NEAR_MAX: usize = 3;

/// Characters of a line that are shown around a place.
const SHOWN_MAX: usize = 100;

/// What is valid, the nearest first if one is near: ``did you mean `stream`? valid: kind, stream, url``. Of more than 40 words
/// only the near ones are named.
#[must_use]
pub fn instead<'a>(found: &str, valid: impl IntoIterator<Item = &'a str>) -> String {
    let valid: Vec<_> = valid.into_iter().collect();
    if valid.is_empty() {
        return "there are none".to_owned();
    }
    let near = near(found, valid.iter().copied());
    if valid.len() > LISTED_MAX {
        let quoted: Vec<_> = near.iter().take(NEAR_MAX).map(|word| format!("`{word}`")).collect();
        return match quoted.as_slice() {
            [] => format!("none of the {} that there are is near it", valid.len()),
            near => format!("did you mean {}?", near.join(" or ")),
        };
    }
    let list = valid.join(", ");
    match near.first() {
        Some(word) => format!("did you mean `{word}`? valid: {list}"),
        None => format!("valid: {list}"),
    }
}

/// The words that `found` could be a slip of the pen for, the nearest first.
#[must_use]
pub fn near<'a>(found: &str, valid: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let found = found.to_lowercase();
    let most = found.chars().count().div_ceil(3).min(3);
    let away = |word: &str| distance(&found, &word.to_lowercase());
    let mut near: Vec<_> = valid.into_iter().map(|word| (away(word), word)).collect();
    near.retain(|(away, word)| *away <= most && *away < found.len().min(word.len()));
    near.sort_unstable();
    near.dedup();
    near.into_iter().map(|(_, word)| word).collect()
}

/// Of [`near`] those that are equally near.
#[must_use]
pub fn nearest<'a>(found: &str, valid: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let away = |word: &str| distance(&found.to_lowercase(), &word.to_lowercase());
    let near = near(found, valid);
    let least = near.first().map(|word| away(word));
    near.into_iter().filter(|word| Some(away(word)) == least).collect()
}

/// Whether `found` is `meant` but for one slip: a letter changed, added, left out, or two swapped.
#[must_use]
pub fn is_slip(found: &str, meant: &str) -> bool {
    distance(found, meant) == 1
}

/// How many letters must be changed, added, taken away or swapped with the next to make `a` into `b` (the optimal string
/// alignment distance: Levenshtein's, with swaps as one step, since that is how fingers slip).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = changed.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

/// `text` with every character that a terminal would act on written out, as in `\u{1b}`: control characters, and those that
/// turn the direction of writing around (Unicode Standard Annex 9, section 2).
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    let acts = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if acts(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// A line of a text with a mark under `length` characters from the `column`-th (from 1) on: two lines, indented, the last
/// without an end. Of a long line what is around the place is shown; control characters are shown as spaces.
#[must_use]
pub fn marked(line: &str, column: usize, length: usize) -> String {
    let line: Vec<char> = line.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let at = column.saturating_sub(1).min(line.len());
    let start = if line.len() <= SHOWN_MAX { 0 } else { at.saturating_sub(SHOWN_MAX / 2).min(line.len() - SHOWN_MAX) };
    let start = if start == 0 { line.iter().take_while(|c| **c == ' ').count().min(at) } else { start };
    let end = line.len().min(start + SHOWN_MAX);
    let (head, tail) = (
        if start > 0 && line[..start].iter().any(|c| *c != ' ') { "…" } else { "" },
        if end < line.len() { "…" } else { "" },
    );
    let shown: String = line[start..end].iter().collect();
    let before = " ".repeat(head.chars().count() + at - start);
    let mark = "^".repeat(length.clamp(1, (end - at.min(end)).max(1)));
    format!("    {head}{shown}{tail}\n    {before}{mark}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_offered_only_when_it_is_near() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("cuont", "count"), 1);
        assert_eq!(instead("limt", ["kind", "limit"]), "did you mean `limit`? valid: kind, limit");
        assert_eq!(instead("banana", ["kind", "limit"]), "valid: kind, limit");
        assert_eq!(instead("x", []), "there are none");
        assert_eq!(near("cuont", ["cot", "count", "coin"]), ["count", "cot"]);
        assert_eq!(nearest("cuont", ["cot", "count", "coin"]), ["count"]);
        assert_eq!(near("ab", ["cd", "xy"]), [""; 0]);
    }

    #[test]
    fn of_many_words_only_the_near_ones_are_told() {
        let many: Vec<String> = (0..50).map(|n| format!("function_{n}")).chain(["count".to_owned()]).collect();
        let of = |found: &str| instead(found, many.iter().map(String::as_str));
        assert_eq!(of("cuont"), "did you mean `count`?");
        assert_eq!(of("zzzzzz"), "none of the 51 that there are is near it");
    }

    #[test]
    fn what_a_terminal_would_act_on_is_written_out() {
        assert!(matches!(printable("äöü 漢字"), Cow::Borrowed(_)));
        assert_eq!(printable("a\u{1b}[31m\n\t\u{9b}\u{7f}\u{202e}"), r"a\u{1b}[31m\n\t\u{9b}\u{7f}\u{202e}");
    }

    #[test]
    fn the_mark_stands_under_the_place() {
        assert_eq!(marked("SELECT titel", 8, 5), "    SELECT titel\n           ^^^^^");
        assert_eq!(marked("  \tSELECT titel  ", 11, 99), "    SELECT titel\n           ^^^^^");
        assert_eq!(marked("SELECT", 7, 1), "    SELECT\n          ^");
        assert_eq!(marked("", 1, 0), "    \n    ^");
        let long = format!("{}titel{}", "a, ".repeat(100), ", b".repeat(100));
        let marked = marked(&long, 301, 5);
        let lines: Vec<&str> = marked.lines().collect();
        let at = lines[1].find('^').expect("a mark");
        let under: String = lines[0].chars().skip(at).take(5).collect();
        assert_eq!((under.as_str(), lines[0].chars().count() < 110), ("titel", true), "{marked}");
    }
}
